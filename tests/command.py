# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The command line as a function: what it prints, and its exit status."""

import gc
import io
import os
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from amaranth.hdl import UnusedElaboratable
from ptychopress.cli.main import main

COMMAND = Path(sys.executable).with_name("ptychopress")


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Call the command in this process, which has imported already what it needs; with an environment, in its own."""
    words = [str(COMMAND), *map(str, arguments)]
    if environment:
        return subprocess.run(words, capture_output=True, text=True, env=os.environ | environment)
    out, err, status = io.StringIO(), io.StringIO(), 0
    with warnings.catch_warnings(), patch.object(sys, "argv", words), redirect_stdout(out), redirect_stderr(err):
        # A block that is refused is never elaborated.
        warnings.simplefilter("ignore", UnusedElaboratable)
        try:
            main()
        except SystemExit as left:
            status = int(left.code or 0)
        gc.collect()
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of bad input."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1
    return lines[0]
