# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What benchmarks of many reconstructions share.

Runs of one function, side by side, are kept in a file as they come, so that an interrupted sweep goes on.
"""

import argparse
import json
import multiprocessing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ptychopress.reconstruction.phantom import Phantom, cell_phantom, load_phantom
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

Point = dict[str, Any]


def parser(description: str, *, epochs: int, phantom: bool = True) -> argparse.ArgumentParser:
    """Options `--out`, `--epochs` and `--jobs`, and `--phantom` of a simulation."""
    options = argparse.ArgumentParser(description=description)
    if phantom:
        options.add_argument(
            "--phantom", default="", help=".npz with an array delta (nm); by default the built-in cell"
        )
    options.add_argument(
        "--out", type=Path, required=True, help="directory for the runs, and pictures if there are any"
    )
    options.add_argument("--epochs", type=int, default=epochs, help="of each reconstruction")
    options.add_argument("--jobs", type=int, default=2, help="reconstructions side by side")
    return options


def cell(phantom: str) -> Phantom:
    """What `--phantom` names."""
    return load_phantom(phantom) if phantom else cell_phantom()


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
