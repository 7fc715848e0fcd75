# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Run a bench on mutants of its block until the first test fails."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from .run import Failure, read_results, run_bench
from .tools import ToolError

PLAN_VARIABLE = "PTYCHOPRESS_MUTANTS"
"""Environment variable with the path of the plan of `ptychopress.sim.bench_mutants`."""

SECONDS = 60
"""Processor time after which a mutant counts as one that hangs."""


def run_mutants(
    mutated: str,
    block: Any,
    bench: str,
    mutants: Sequence[int],
    directory: Path,
    *,
    tests: Sequence[str] = (),
    seed: int = 1,
    seconds: int = SECONDS,
) -> dict[int, Failure | None]:
    """First test that fails on each mutant, None if all pass.

    Icarus: a mutant stops after some hundred clocks, and compiling takes a fraction of a second.

    Parameters
    ----------
    mutated : str
        The block with the port that selects, as `ptychopress.synth.mutation.plant` makes it.
    block : Amaranth component
        What the bench is told of.
    bench, tests, seed
        As for `ptychopress.sim.run.run_bench`.
    mutants : sequence of int
    directory : Path
        Where results go.
    seconds : int
        Processor time of one mutant.

    Raises
    ------
    ToolError
        If the simulator is missing, does not compile the mutants, or ends for a reason of its own.
    """
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    plan, status_file = directory / "plan.json", directory / "status.json"
    module = f"{__package__}.bench_{bench}"
    plan.write_text(json.dumps({"bench": module, "mutants": list(mutants), "seconds": seconds}))
    for old in (status_file, *directory.glob("*/results.xml")):
        old.unlink(missing_ok=True)
    with patch.dict(os.environ, {PLAN_VARIABLE: str(plan), "COCOTB_MAX_FAILURES": "1"}):
        run_bench(
            block,
            "mutants",
            simulator="icarus",
            seed=seed,
            tests=("select", *tests) if tests else (),
            directory=directory,
            netlist=lambda verilog, top: mutated,
        )
    if not status_file.exists():
        raise ToolError(f"the mutants of {bench} did not run: see {directory / 'simulator.log'}")
    status = json.loads(status_file.read_text())
    return {number: _first(directory / str(number), status[str(number)], seconds) for number in mutants}


def _first(directory: Path, status: int, seconds: int) -> Failure | None:
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return Failure("simulator", "hang", f"no end after {seconds} s of processor time")
    results = directory / "results.xml"
    if not results.exists():
        raise ToolError(f"a mutant left no result: see {directory / 'simulator.log'}")
    _, failures = read_results(results, directory / "simulator.log")
    return failures[0] if failures else None
