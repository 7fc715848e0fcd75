# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
from ptychopress.cli.files import publish, resumable
from ptychopress.cli.workers import run_jobs
from ptychopress.reconstruction.acquisition import Acquisition, diffract, gaussian_probe, raster_scan
from ptychopress.reconstruction.job import Job
from rich.progress import Progress

SETTINGS = {"epochs": 2, "seed": 0}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    acquisition = Acquisition(gaussian_probe(16, 3.0), raster_scan(4, 4, 4), (28, 28)).scaled(1e4)
    frames = np.rint(diffract(np.ones((28, 28), np.complex64), acquisition)).astype(np.uint16)
    np.save(tmp_path / "frames.npy", frames)
    return Job(tmp_path / "frames.npy", None, np.zeros((16, 16), np.bool_), acquisition, SETTINGS)


def test_jobs_run_once_and_are_found_again(job: Job, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    other = Job(job.frames, np.arange(1 << 16, dtype=np.float32), job.mask, job.acquisition, SETTINGS)
    with Progress(disable=True) as bars:
        paths = run_jobs([job, other], out, 2, bars)
        assert len(set(paths)) == 2
        made = [path.stat().st_mtime_ns for path in paths]
        assert run_jobs([job, other], out, 40, bars) == paths
    assert [path.stat().st_mtime_ns for path in paths] == made
    # Levels that are the counts themselves: the same picture, by another name.
    np.testing.assert_array_equal(*(np.load(path)["object"] for path in paths))


def test_the_key_tells_jobs_apart(job: Job) -> None:
    mask = job.mask.copy()
    mask[0, 0] = True
    others = [
        Job(job.frames, job.levels, mask, job.acquisition, SETTINGS),
        Job(job.frames, job.levels, job.mask, job.acquisition.scaled(2e4), SETTINGS),
        Job(job.frames, job.levels, job.mask, job.acquisition, SETTINGS | {"seed": 1}),
        Job(job.frames, np.ones(5, np.float32), job.mask, job.acquisition, SETTINGS),
    ]
    assert len({job.key(), *(other.key() for other in others)}) == 5
    before = job.key()
    np.save(job.frames, np.load(job.frames) + 1)
    assert job.key() != before


def test_an_error_in_a_worker_comes_out(job: Job, tmp_path: Path) -> None:
    missing = Job(tmp_path / "missing.npy", None, job.mask, job.acquisition, SETTINGS)
    with Progress(disable=True) as bars, pytest.raises(FileNotFoundError, match=r"missing\.npy"):
        run_jobs([missing, job], tmp_path, 1, bars)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from rich.progress import Progress
from ptychopress.cli.workers import run_jobs
from ptychopress.reconstruction.acquisition import Acquisition, gaussian_probe, raster_scan
from ptychopress.reconstruction.job import Job

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    acquisition = Acquisition(gaussian_probe(16, 3.0), raster_scan(4, 4, 4), (28, 28))
    np.save(folder / "frames.npy", np.ones((16, 16, 16), np.uint16))
    job = Job(folder / "frames.npy", None, np.zeros((16, 16), bool), acquisition, {"epochs": 10**7, "seed": 0})
    print("ready", flush=True)
    try:
        with Progress(disable=True) as bars:
            run_jobs([job], folder, 1, bars)
    except RuntimeError as error:
        print(error, flush=True)
"""


def children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(line.split()[0]) for line in done.stdout.splitlines() if "spawn_main" in line]


@pytest.mark.parametrize("kind", ["killed worker", "killed parent", "interrupt"])
def test_a_killed_process_and_an_interrupt_end_the_work(kind: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "script.py", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        workers: list[int] = []
        while not workers and time.monotonic() < deadline:
            time.sleep(0.2)
            workers = children(process.pid)
        assert workers
        time.sleep(3)
        if kind == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            os.kill(workers[0] if kind == "killed worker" else process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        deadline = time.monotonic() + 10
        assert ("died" in out) == (kind == "killed worker")
        assert ("KeyboardInterrupt" in err) == (kind == "interrupt")
        while (left := [pid for pid in workers if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_resume_directory_is_kept_only_if_it_holds_something(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), publish(tmp_path / "a") as _, resumable(tmp_path / "a") as resume:  # noqa: PT012
        (resume / "done.npz").write_text("x")
        (resume / "half.part").write_text("x")
        raise KeyboardInterrupt
    assert [path.name for path in (tmp_path / "a" / ".resume").iterdir()] == ["done.npz"]
    with pytest.raises(ValueError, match="bad"), publish(tmp_path / "b") as _, resumable(tmp_path / "b"):
        raise ValueError("bad")
    assert not (tmp_path / "b").exists()
    with publish(tmp_path / "a") as stage, resumable(tmp_path / "a") as resume:
        assert (resume / "done.npz").exists()
        (stage / "result").write_text("y")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["result"]


def test_two_runs_do_not_share_a_directory(tmp_path: Path) -> None:
    with resumable(tmp_path) as resume:
        (resume / "done.npz").write_text("x")
        with pytest.raises(RuntimeError, match="another run"), resumable(tmp_path):
            pass
        assert (resume / "done.npz").exists()
    assert not list(tmp_path.iterdir())
