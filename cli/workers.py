# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reconstructions side by side, one process a core, with one progress bar over all."""

import multiprocessing
import signal
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

from rich.progress import Progress

from ..reconstruction.job import Job

_progress: Any = None


def _start(queue: "Queue[float]") -> None:
    """Prepare a worker: it reports to `queue`, and leaves Ctrl-C to its parent."""
    global _progress
    _progress = queue
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(task: tuple[int, Job, Path]) -> tuple[int, Path]:
    number, job, out = task
    told = 0.0

    def tell(epoch: int, epochs: int, loss: float) -> None:
        nonlocal told
        _progress.put(epoch / epochs - told)
        told = epoch / epochs

    path = job.run(out, tell)
    _progress.put(1.0 - told)
    return number, path


def run_jobs(jobs: Sequence[Job], out: Path, processes: int, bars: Progress) -> list[Path]:
    """Run the jobs, `processes` at a time; return their outcomes' files in order.

    An error or an interrupt ends the other jobs too; what was finished stays in `out` and is found again.
    """
    context = multiprocessing.get_context("spawn")
    queue: Queue[float] = context.Queue()
    bar = bars.add_task("reconstruct", total=len(jobs))
    paths = [Path()] * len(jobs)
    with context.Pool(processes, _start, (queue,)) as pool:
        pending = pool.imap_unordered(_work, [(k, job, out) for k, job in enumerate(jobs)])
        for _ in jobs:
            while True:
                try:
                    number, path = pending.next(timeout=0.3)
                except multiprocessing.TimeoutError:
                    _advance(bars, bar, queue)
                else:
                    break
            paths[number] = path
        _advance(bars, bar, queue)
    bars.update(bar, completed=len(jobs))
    return paths


def _advance(bars: Progress, bar: Any, queue: "Queue[float]") -> None:
    while True:
        try:
            bars.advance(bar, queue.get_nowait())
        except Empty:
            return
