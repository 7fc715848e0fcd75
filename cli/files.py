# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Writing results so that nothing half-written is ever left behind."""

import fcntl
import io
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file through memory: numpy's own error on a full disk says nothing of disk or file."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    path.write_bytes(buffer.getbuffer())


@contextmanager
def publish(out: Path, *stale: str) -> Iterator[Path]:
    """Hand out a directory to write into; its files appear in `out` together when all went well.

    Files of the same name are replaced, others in `out` stay. After an error or an interrupt they are as they were.

    Parameters
    ----------
    out : Path
    stale : str
        Names of files that an earlier run may have left, and that would not fit those written now: they are removed.

    Raises
    ------
    NotADirectoryError
        If `out` is a file.
    ValueError, IsADirectoryError
        If something that is no file is in the way of one.
    """
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file: --out takes a directory")
    missing = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _stage(out) as stage:
            yield stage
            written = sorted(stage.iterdir())
            for name in (*stale, *(path.name for path in written)):
                _require_file(out / name, "a file of that name is to be written or removed")
            for name in stale:
                (out / name).unlink(missing_ok=True)
            for path in written:
                os.replace(path, out / path.name)
    except BaseException as error:
        if isinstance(error, OSError) and error.errno and error.filename is None:
            error.filename = str(out)
        for path in missing:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


@contextmanager
def publish_file(out: Path, *sources: Path | None) -> Iterator[Path]:
    """Hand out a path to write one file to; it appears as `out` when all went well.

    A file of that name is replaced; after an error or an interrupt it is as it was.

    Parameters
    ----------
    out : Path
        In a directory that exists.
    sources : Path or None
        Files that are read meanwhile, none of which `out` may be.

    Raises
    ------
    ValueError, IsADirectoryError, FileNotFoundError
        If `out` cannot be a new file: at once, before any work.
    """
    _require_file(out, "--out takes a file")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent}: no such directory, expected one for {out.name}")
    for source in sources:
        if source is not None and out.exists() and source.exists() and out.samefile(source):
            raise ValueError(f"--out {out} is {source}, which is read: choose another name")
    # In a directory of its own, so that its mode is that of any new file, and nothing else can be in the way.
    with _stage(out.parent) as stage:
        try:
            yield stage / out.name
            os.replace(stage / out.name, out)
        except OSError as error:
            if error.errno and error.filename is None:
                error.filename = str(out)
            raise


@contextmanager
def _stage(directory: Path) -> Iterator[Path]:
    """Hand out a new directory that is gone afterwards."""
    stage = directory / f".ptychopress-{secrets.token_hex(8)}"
    try:
        # In here and by a name known before: an interrupt that comes with it finds it too.
        stage.mkdir(mode=0o700)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _require_file(path: Path, why: str) -> None:
    """Refuse to replace what is there but no regular file: a directory, a device, a pipe."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a directory: {why}")
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is a device, pipe or socket: {why}")


@contextmanager
def resumable(out: Path) -> Iterator[Path]:
    """Hand out `out`/.resume for finished parts of long work: removed when all is done, kept after an interrupt.

    Raises
    ------
    RuntimeError
        If another process has it in hand.
    """
    resume, lock = out / ".resume", out / ".lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"another run is at work in {out}: wait for it, or choose another --out") from None
        resume.mkdir(exist_ok=True)
        try:
            yield resume
        except BaseException:
            for part in resume.glob("*.part"):
                part.unlink()
            if not any(resume.iterdir()):
                resume.rmdir()
            raise
        else:
            shutil.rmtree(resume)
        finally:
            lock.unlink()
