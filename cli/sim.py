# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress sim``: the cocotb regressions."""

import json
from dataclasses import asdict
from enum import StrEnum
from fnmatch import fnmatch
from typing import Annotated

import typer

from .console import console, progress_bar
from .options import JsonOutput


class Simulator(StrEnum):
    """Simulators that the benches run on."""

    VERILATOR = "verilator"
    ICARUS = "icarus"


def sim(
    simulator: Annotated[Simulator, typer.Option("--simulator", help="What runs the benches.")] = Simulator.VERILATOR,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Runs whose name holds this text or matches this pattern.", metavar="PATTERN"),
    ] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs and leave.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.", min=0)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Run the cocotb benches on the generated Verilog: every count, weights at their limits, stalls, resets, reloads.

    A failed run tells its seed; the same seed repeats it.
    """
    # Here and not above: the list of runs makes every codebook.
    from ..sim.run import REGRESSIONS, require

    chosen = [name for name in REGRESSIONS if only is None or only in name or fnmatch(name, only)]
    if not chosen:
        raise ValueError(f"--only {only}: no run has such a name; --list shows them")
    if list_runs:
        typer.echo(json.dumps(chosen, indent=1) if as_json else "\n".join(chosen))
        return
    require(simulator.value)
    results = {}
    with progress_bar() as bars:
        bar = bars.add_task(f"benches on {simulator.value}", total=len(chosen))
        for name in chosen:
            results[name] = REGRESSIONS[name].run(simulator.value, seed)
            bars.advance(bar)
            if not results[name].passed:
                console.print(str(results[name]), style="red", markup=False)
    if as_json:
        rows = [{"run": name, "passed": result.passed} | asdict(result) for name, result in results.items()]
        typer.echo(json.dumps(rows, indent=1, default=str))
    else:
        tests = sum(len(result.tests) for result in results.values())
        failed = sum(not result.passed for result in results.values())
        typer.echo(f"{len(results)} runs, {tests} tests on {simulator.value}, seed {seed}: {failed} runs failed")
    if any(not result.passed for result in results.values()):
        raise typer.Exit(1)
