# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Programs that do the work: found, run, and their last words when they fail."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 1800
"""Seconds after which a run counts as failed. The very first one of a tool in WebAssembly compiles it, for a minute."""


def find_tool(name: str, package: str | None = None) -> str:
    """Path of a program; that of this Python's own installation goes before any other.

    Raises
    ------
    RuntimeError
        If there is none, saying which package brings it.
    """
    # Of a folder of packages beside the installation, too.
    folders = [str(Path(sys.executable).parent), *(str(Path(entry) / "bin") for entry in sys.path if entry)]
    path = os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])
    program = shutil.which(name, path=path)
    if program is None:
        raise RuntimeError(f"{name} is missing: pip install {package or name}")
    return program


def run_tool(command: Sequence[str], directory: Path, *, timeout: float = TIMEOUT, text: str | None = None) -> str:
    """Run a program in a directory, with `text` to read; return what it said.

    Raises
    ------
    RuntimeError
        If it fails or takes too long, with its last words.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(command, cwd=directory, input=text, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{name}: no result after {timeout:g} s") from None
    said = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"{name} failed: {last_words(said) or f'exit status {done.returncode}'}")
    return said


def last_words(said: str) -> str:
    """Lines of a log that tell of an error, three at most, as one."""
    errors = [line.strip() for line in said.splitlines() if re.search("error|fail|cannot|assert", line, re.IGNORECASE)]
    return " ".join(errors[:3])


def releases(*packages: str) -> dict[str, str]:
    """Version of each package that is installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
