# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reconstructions side by side, one process a core, with one progress bar over all."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import Any

from rich.progress import Progress

from ..reconstruction.job import Job

_progress: Any = None


def _start(queue: "Queue[float]") -> None:
    """Prepare a worker: it reports to `queue`, leaves Ctrl-C to its parent, and does not outlive it."""
    global _progress
    _progress = queue
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(job: Job, out: Path) -> Path:
    told = 0.0

    def tell(epoch: int, epochs: int, loss: float) -> None:
        nonlocal told
        _progress.put(epoch / epochs - told)
        told = epoch / epochs

    path = job.run(out, tell)
    _progress.put(1.0 - told)
    return path


def run_jobs(jobs: Sequence[Job], out: Path, processes: int, bars: Progress) -> list[Path]:
    """Run the jobs, `processes` at a time; return their outcomes' files in order.

    An error or an interrupt ends the other jobs too; what was finished stays in `out` and is found again.

    Raises
    ------
    RuntimeError
        If a worker process died, as the system makes it when memory runs out.
    """
    context = multiprocessing.get_context("spawn")
    queue: Queue[float] = context.Queue()
    bar = bars.add_task("reconstruct", total=len(jobs))
    executor = ProcessPoolExecutor(min(processes, len(jobs)), context, _start, (queue,))
    try:
        futures = [executor.submit(_work, job, out) for job in jobs]
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=0.3, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            _advance(bars, bar, queue)
        bars.update(bar, completed=len(jobs))
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise RuntimeError("a worker process died, perhaps for lack of memory: try a smaller --jobs") from None
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _advance(bars: Progress, bar: Any, queue: "Queue[float]") -> None:
    while True:
        try:
            bars.advance(bar, queue.get_nowait())
        except Empty:
            return
