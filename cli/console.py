# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What the command line writes for people: to standard error, so that standard output stays for results."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """Write one line that says what was wrong."""
    console.print(f"ptychopress: error: {message}", style="bold red", markup=False, soft_wrap=True)


def progress_bar() -> Progress:
    """Bars for long work."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
