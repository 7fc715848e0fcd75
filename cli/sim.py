# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress sim``: the cocotb regressions, and soaks of the compiled core."""

import json
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import console, progress_bar
from .options import JsonOutput, refuse

if TYPE_CHECKING:
    from ..model.config import CoreConfig


class Gates(StrEnum):
    """Targets whose cells the benches can run on."""

    ASIC = "asic"
    ECP5 = "ecp5"


class Simulator(StrEnum):
    """Simulators that the benches run on."""

    VERILATOR = "verilator"
    ICARUS = "icarus"


def sim(
    simulator: Annotated[
        Simulator | None, typer.Option("--simulator", help="What runs the benches: Verilator, or Icarus with --gates.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", help="Runs whose name holds this text or matches this pattern.", metavar="PATTERN"),
    ] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs and leave.")] = False,
    coverage: Annotated[
        Path | None,
        typer.Option(
            "--coverage",
            help="Count lines and toggled bits too (Verilator), keep everything in this directory, a run each, and"
            " report on all runs that are there.",
            metavar="DIR",
        ),
    ] = None,
    gates: Annotated[
        Gates | None,
        typer.Option(
            "--gates",
            help="Run netlists of these cells instead of the RTL; without --only, of an encoder and a small projector.",
        ),
    ] = None,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(
            "--liberty",
            help="Standard cells for --gates asic, .lib or .lib.gz, yosys' own by default; may be repeated for a"
            " library in several files.",
            metavar="FILE",
        ),
    ] = None,
    soak: Annotated[
        int | None,
        typer.Option(
            "--soak",
            help="Instead of the benches: so many frames, good ones and bad, in any mode, through a whole core.",
            min=1,
            metavar="FRAMES",
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            "--config",
            help="Core to soak: a name, such as cell-72, or a TOML file; a small one by default.",
            metavar="CORE",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of everything random.", min=0)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Run the cocotb benches on the generated Verilog: every count, weights at their limits, stalls, resets, reloads.

    A failed run tells its seed; the same seed repeats it. With --coverage a line that no test reaches fails too,
    unless it is waived. With --gates the benches run on what yosys maps the Verilog to; a block whose table is in
    initial values is for FPGAs, and fails on --gates asic.
    """
    if soak is not None:
        own = {"only": only, "list": list_runs, "coverage": coverage, "gates": gates, "liberty": liberty}
        refuse("the benches' own: leave it out with --soak", **own)
        _soak(soak, config, seed, as_json)
        return
    refuse("goes with --soak", config=config)
    if gates is not Gates.ASIC:
        refuse("goes with --gates asic", liberty=liberty)
    # Here and not above: the list of runs makes every codebook.
    from ..sim.run import GATE_LEVEL, REGRESSIONS, require

    netlist = None if gates is None else _netlist(gates, liberty)
    simulator = simulator or (Simulator.VERILATOR if netlist is None else Simulator.ICARUS)
    if netlist is not None and simulator is not Simulator.ICARUS:
        raise ValueError("--gates runs on icarus, which knows unknown values: flip-flops of silicon start with them")
    every = REGRESSIONS if gates is None or only is not None else GATE_LEVEL
    chosen = [name for name in every if only is None or only in name or fnmatch(name, only)]
    if not chosen:
        raise ValueError(f"--only {only}: no run has such a name; --list shows them")
    if list_runs:
        typer.echo(json.dumps(chosen, indent=1) if as_json else "\n".join(chosen))
        return
    if coverage is not None and simulator is not Simulator.VERILATOR:
        raise ValueError(f"--coverage goes with --simulator verilator, got {simulator.value}")
    require(simulator.value)
    results = {}
    with progress_bar() as bars:
        bar = bars.add_task(f"benches on {simulator.value}", total=len(chosen))
        for name in chosen:
            directory = coverage / name if coverage else None
            results[name] = REGRESSIONS[name].run(
                simulator.value, seed, directory, netlist, code_coverage=coverage is not None
            )
            bars.advance(bar)
            if not results[name].passed:
                console.print(str(results[name]), style="red", markup=False)
    complete = True
    if coverage is not None:
        from .coverage import report

        complete = report(coverage, {name: regression.bench for name, regression in REGRESSIONS.items()}, as_json)
    elif as_json:
        rows = [{"run": name, "passed": result.passed} | asdict(result) for name, result in results.items()]
        typer.echo(json.dumps(rows, indent=1, default=str))
    if not as_json:
        tests = sum(len(result.tests) for result in results.values())
        failed = sum(not result.passed for result in results.values())
        what = "" if gates is None else f", netlists for {gates.value}"
        typer.echo(f"{len(results)} runs, {tests} tests on {simulator.value}{what}, seed {seed}: {failed} runs failed")
    if not complete or any(not result.passed for result in results.values()):
        raise typer.Exit(1)


def _netlist(gates: Gates, liberty: list[Path] | None) -> Callable[[str, str], str]:
    """What makes netlists, with the models of their cells, of Verilog and the name of its top module."""
    from ..synth.gates import asic_netlist, ecp5_netlist
    from ..synth.liberty import YOSYS_GATES, Library

    if gates is Gates.ECP5:
        return lambda verilog, top: ecp5_netlist(verilog, top).text
    library = Library.read(*liberty) if liberty else YOSYS_GATES
    return lambda verilog, top: asic_netlist(verilog, top, library).text


def _soak(frames: int, name: str | None, seed: int, as_json: bool) -> None:
    """Frames through a compiled core, every octet compared."""
    from ..sim.core_model import BulkCore
    from ..sim.soak import Soak, full_rate

    config = _soaked(name)
    with progress_bar() as bars:
        build = bars.add_task(f"compile {config.name}", total=1)
        core = BulkCore(config)
        bars.advance(build)
        bar = bars.add_task("frames", total=frames)
        with core:
            result = Soak(core, seed).run(frames, lambda done: bars.advance(bar, done))
            rates = {mode.label: clocks for mode, clocks in full_rate(core).items()} if result.passed else {}
    for what in (*result.mismatches[:10], *result.complaints[:10]):
        console.print(str(what), style="red", markup=False)
    if as_json:
        row = {"core": config.name, "seed": seed, "passed": result.passed} | vars(result)
        row |= {"mismatches": [asdict(found) for found in result.mismatches], "clocks_a_frame": rates}
        typer.echo(json.dumps(row, indent=1))
    else:
        wrong = len(result.mismatches) + len(result.complaints)
        modes = ", ".join(f"{count} {label}" for label, count in sorted(result.modes.items()))
        bad = ", ".join(f"{count} {end}" for end, count in sorted(result.ends.items()) if end != "whole")
        tables = ", ".join(f"{count} of {table}" for table, count in sorted(result.tables.items()))
        typer.echo(
            f"{config.name}: {result.frames} frames, {result.octets} octets in {result.clocks} clocks, seed {seed}:"
            f" {wrong} mismatches\n"
            f"modes: {modes}; {result.changes} changes\n"
            f"not whole: {bad or 'none'}\n"
            f"tables loaded: {tables or 'none'}"
        )
        for label, clocks in rates.items():
            typer.echo(f"clocks a frame at full rate, {label}: {min(clocks)} to {max(clocks)}")
    if not result.passed:
        raise typer.Exit(1)


def _soaked(name: str | None) -> "CoreConfig":
    """The core of that name or file."""
    from ..model.config import NAMED, CoreConfig
    from ..sim.soak import SMALL

    if name is None:
        return SMALL
    return CoreConfig.named(name) if name in NAMED or not name.endswith(".toml") else CoreConfig.read(name)
