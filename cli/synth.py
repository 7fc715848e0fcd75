# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress synth``: area and timing of a configuration, or of a block of it, on an FPGA or in standard cells."""

import json
from collections.abc import Mapping
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..model.config import CoreConfig
from ..model.tile import TILES, TileConfig
from ..synth.asic import MACRO_BITS, synthesise_asic
from ..synth.designs import design
from ..synth.fpga import SEEDS, TARGETS, fits, synthesise
from ..synth.liberty import YOSYS_GATES, Library
from ..synth.result import Change, Resources, Result, compare, differences
from ..synth.sta import MISSING, sta_installed
from .console import console, progress_bar
from .files import publish_file
from .options import JsonOutput, refuse
from .verilog_core import chosen_config

FORMAT = "ptychopress-synth-1"


class Target(StrEnum):
    """What is synthesised for."""

    ECP5 = "ecp5"
    ICE40 = "ice40"
    GOWIN = "gowin"
    XILINX7 = "xilinx7"
    ASIC = "asic"


class Block(StrEnum):
    """What of a core is synthesised; the members are those of `BLOCKS`."""

    CORE = "core"
    ENCODER = "encoder"
    DECODER = "decoder"
    PROJECTOR = "projector"
    PACKER = "packer"
    ZEROMASK = "zeromask"
    RICE = "rice"
    REGISTERS = "registers"


def synth(
    config: Annotated[
        str,
        typer.Option(
            "--config",
            help="A detector core: a configuration in TOML, or cell-72, mhz-192x168, eiger-256; or inpixel-tile.",
            metavar="FILE",
        ),
    ],
    target: Annotated[Target, typer.Option("--target", help="FPGA family, or standard cells.")] = Target.ECP5,
    block: Annotated[Block, typer.Option("--block", help="Only this part of the core.")] = Block.CORE,
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            help="; ".join(f"{name}: {', '.join(target.devices)}" for name, target in TARGETS.items()) + ".",
        ),
    ] = None,
    speed: Annotated[
        int | None, typer.Option("--speed", help="Speed grade, the slowest by default; ecp5: 6, 7, 8.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help=f"Placements, of which the median counts: {len(SEEDS)}.", min=1)
    ] = None,
    clock: Annotated[
        float,
        typer.Option("--clock", help="MHz: what placement aims for, and gates are sized for.", min=1, max=100_000),
    ] = 250,
    liberty: Annotated[
        list[Path] | None,
        typer.Option(
            "--liberty",
            help="asic: standard cells, .lib or .lib.gz; may be repeated for a library in several files. Without one"
            " area is in NAND2 equivalents of yosys' own gates, and there is no delay.",
            metavar="FILE",
        ),
    ] = None,
    macro_bits: Annotated[
        int | None,
        typer.Option(
            "--macro-bits",
            help="asic: memories of so many bits or more, with clocked reads, are macros: their bits are told, not"
            f" their area. Others become flip-flops. {MACRO_BITS} by default.",
            min=1,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="asic: map in a tenth of the time, to some per cent more area; for whole cores and inpixel-tile.",
        ),
    ] = False,
    store: Annotated[
        Path, typer.Option("--store", help="Results of earlier runs, to compare with; this one is added.")
    ] = Path("synth.json"),
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Leave netlists, reports and logs there.", metavar="DIR")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", help="Seeds at a time.", min=1)] = 1,
    as_json: JsonOutput = False,
) -> None:
    """Area and timing of a configuration on an FPGA or in standard cells, compared with the last run.

    FPGA: yosys, and nextpnr once for each seed, out of context, between registers at the ports that are not counted;
    xilinx7: yosys alone. asic: standard cells block by block, before layout.
    """
    if target is Target.ASIC:
        refuse("not with --target asic", device=device, speed=speed, seeds=seeds)
    else:
        refuse("only with --target asic", liberty=liberty, macro_bits=macro_bits, quick=quick)
        TARGETS[target].device(device, speed)
    chosen = _chosen(config)
    runs = read_store(store)
    library = Library.read(*liberty) if liberty else YOSYS_GATES
    if library.texts and not sta_installed():
        console.print(MISSING)
    made = design(chosen, block)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    with publish_file(store) as staged:
        with progress_bar() as progress:
            chosen_seeds = SEEDS if seeds is None else tuple(range(1, seeds + 1))
            steps = 3 if target is Target.ASIC else 1 + len(chosen_seeds)
            task = progress.add_task(f"{made.name}, {target}", total=steps)

            def advance(step: str) -> None:
                progress.update(task, advance=1, description=f"{made.name}, {target}: {step}")

            if target is Target.ASIC:
                result = synthesise_asic(
                    made,
                    library,
                    clock_mhz=clock,
                    macro_bits=MACRO_BITS if macro_bits is None else macro_bits,
                    quick=quick,
                    keep=keep,
                    advance=advance,
                )
            else:
                result = synthesise(
                    made,
                    TARGETS[target],
                    device=device,
                    speed=speed,
                    seeds=chosen_seeds,
                    clock_mhz=clock,
                    workers=workers,
                    keep=keep,
                    advance=advance,
                )
        key = f"{result.design} on {result.target}"
        before = runs.get(key)
        runs[key] = result
        told = {name: run.to_dict() for name, run in runs.items()}
        staged.write_text(json.dumps({"format": FORMAT, "runs": told}, indent=1) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(result.to_dict() | {"compared": None if before is None else _compared(before, result)}))
    else:
        show(result, before)


def _chosen(text: str) -> CoreConfig | TileConfig:
    return TileConfig.named(text) if text in TILES else chosen_config(text)


def read_store(path: Path) -> dict[str, Result]:
    """Results of earlier runs, by design and target; none if there is no such file.

    Raises
    ------
    ValueError
        If the file is something else.
    """
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']!r}")
        return {key: Result.from_dict(values) for key, values in stored["runs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: expected results of ptychopress synth ({FORMAT}): {error}") from None


def _compared(before: Result, now: Result) -> dict[str, Any]:
    changes = [
        {"figure": c.figure, "before": c.before, "now": c.now, "noise": c.noise, "verdict": c.verdict}
        for c in compare(before, now)
    ]
    return {"changes": changes, "differences": differences(before, now)}


def show(result: Result, before: Result | None) -> None:
    """Print a result for people, and what became better or worse."""
    out = Console(highlight=False, markup=False, soft_wrap=True)
    out.print(f"{result.design} on {result.target}")
    changes = {change.figure: change for change in compare(before, result)} if before else {}
    table = Table(box=None, pad_edge=False)
    for title in ("", "now", "of", "before", ""):
        table.add_column(title, justify="right" if title else "left")
    for figure, now, capacity in _figures(result):
        change = changes.get(figure)
        then = ["", ""] if change is None else [_text(change.before), _verdict(change)]
        table.add_row(figure, _text(now), "" if capacity is None else _text(capacity), *then)
    out.print(table)
    if result.resources and result.capacity and not fits(result.resources, result.capacity):
        out.print("does not fit this device: synthesised only")
    if result.fmax:
        rates = result.fmax.values()
        out.print(f"MHz is the median of {len(rates)} seeds, {min(rates):.1f} to {max(rates):.1f}")
    if result.hierarchy:
        out.print(_blocks(result))
    for place, bits in result.memory_bits.items():
        out.print(f"memory {place}: {bits} bits")
    if result.critical_path:
        out.print("longest path:")
        out.print(result.critical_path)
    if before is not None:
        for line in differences(before, result) or ["the run before had the same configuration, options and tools"]:
            out.print(line)


def _figures(result: Result) -> list[tuple[str, float, float | None]]:
    """Name, figure, and what the device has of it."""
    rows: list[tuple[str, float, float | None]] = []
    if result.mhz is not None:
        rows.append(("MHz", result.mhz, None))
    if result.resources is not None and result.capacity is not None:
        for item in fields(Resources):
            used, has = getattr(result.resources, item.name), getattr(result.capacity, item.name)
            if used or has:
                rows.append((item.name.replace("_", " "), used, has or None))
    if result.area is not None and result.gate_equivalents is not None:
        rows.append((f"area ({result.area_unit})", result.area, None))
        rows.append(("gate equivalents", result.gate_equivalents, None))
        rows.append(("memory bits", sum(result.memory_bits.values()), None))
    rows += [(f"clocks a frame, {mode}", clocks, None) for mode, clocks in result.frame_clocks.items()]
    rows += [(f"frames/s, {mode}", rate, None) for mode, rate in result.frames_per_second.items()]
    return rows


def _blocks(result: Result) -> Table:
    """Area of blocks two deep."""
    table = Table("block", "gate equivalents", "part", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    whole: Mapping[str, float] = result.hierarchy
    for place, area in whole.items():
        if place.count(".") < 2 and area > 0:
            table.add_row(place or "all", f"{area:.0f}", f"{area / whole['']:.1%}")
    return table


def _verdict(change: Change) -> str:
    return f"{change.verdict} ({change.now - change.before:+.4g}, noise {change.noise:.3g})"


def _text(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 or value == int(value) else f"{value:.1f}"
