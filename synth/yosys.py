# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Commands of yosys, run by pyosys in a process of their own: one that fails ends the process it runs in."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TIMEOUT = 900
"""Seconds after which a run counts as failed."""

_CHILD = """
import json, sys
from pyosys import libyosys
design = libyosys.Design()
for command in json.load(sys.stdin):
    design.run_pass(command)
"""


def run_yosys(commands: Sequence[str], directory: Path, what: str = "yosys") -> str:
    """Run commands in a directory, and return all that was said.

    Parameters
    ----------
    commands : sequence of str
    directory : Path
        Relative names of files in the commands are in it.
    what : str
        What errors call the run.

    Raises
    ------
    RuntimeError
        If it fails or takes longer than `TIMEOUT`, with yosys' last words.
    """
    # In a session of its own, so that ABC, which yosys starts, ends with it.
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        start_new_session=True,
    ) as child:
        try:
            stdout, stderr = child.communicate(json.dumps(list(commands)), TIMEOUT)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{what}: no result after {TIMEOUT} s") from None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    said = stdout + stderr
    if child.returncode:
        errors = [line.strip() for line in said.splitlines() if re.search("error|fail|cannot", line, re.IGNORECASE)]
        raise RuntimeError(f"{what} failed in yosys: {' '.join(errors) or 'no message'}")
    return said
