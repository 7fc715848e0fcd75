# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Many runs of one function, side by side, kept in a file as they come, so that an interrupted sweep goes on."""

import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

Point = dict[str, Any]


def sweep(points: Sequence[Point], work: Callable[[Point], dict[str, Any]], jobs: int, kept: Path) -> list[Point]:
    """Each point with what `work` made of it, in order.

    Parameters
    ----------
    points
        JSON values; a point that `kept` has is not run again.
    work
        Takes a point, returns figures. A module's function, as it runs in other processes.
    jobs
        Processes.
    kept
        File of JSON lines, one a run.
    """
    done: dict[str, Point] = {}
    if kept.exists():
        # The last line may be half written.
        lines = [line for line in kept.read_text().splitlines() if line.endswith("}")]
        kept.write_text("".join(f"{line}\n" for line in lines))
        done = {
            _key({name: value for name, value in row.items() if name != "found"}): row for row in map(json.loads, lines)
        }
    missing = list({_key(point): point for point in points if _key(point) not in done}.values())
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with (
        multiprocessing.get_context("spawn").Pool(jobs) as pool,
        kept.open("a") as file,
        Progress(*columns, console=Console(stderr=True)) as bars,
    ):
        results = pool.imap_unordered(_Run(work), missing)
        for point, found in bars.track(results, total=len(missing), description="runs"):
            row = point | {"found": found}
            file.write(json.dumps(row) + "\n")
            file.flush()
            done[_key(point)] = row
    return [done[_key(point)] for point in points]


class _Run:
    """`work`, with the point beside its result."""

    def __init__(self, work: Callable[[Point], dict[str, Any]]) -> None:
        self.work = work

    def __call__(self, point: Point) -> tuple[Point, dict[str, Any]]:
        return point, self.work(point)


def _key(point: Point) -> str:
    return json.dumps(point, sort_keys=True)
