# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress plan``: lanes, columns and memories for a detector, a frame rate and a ratio."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, floor, log10
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ..model.config import CoreConfig
from ..synth.fpga import TARGETS
from ..synth.plan import Impossible, Plan, Wish, propose
from ..synth.scaling import Fit
from .files import publish_file
from .options import JsonOutput
from .synth import Target

CLOCK_MHZ = {"ecp5": 75.0, "ice40": 25.0, "gowin": 100.0, "xilinx7": 150.0, "asic": 100.0}
"""Assumed where --clock says nothing: round figures, to be replaced by those of ``ptychopress synth``."""

BLOCK_BITS = {"ecp5": 18432, "ice40": 4096, "gowin": 18432, "xilinx7": 18432}
"""Bits of a block memory."""

LARGE_BITS = 1 << 18
"""Bits of a memory of the larger kind, SB_SPRAM256KA."""


def plan(
    pixels: Annotated[str, typer.Option("--pixels", help="Rows x pixels of a row, such as 192x168.", metavar="HxW")],
    rate: Annotated[float, typer.Option("--rate", help="Frames a second.")],
    ratio: Annotated[float, typer.Option("--ratio", help="Pixels of a frame over its coefficients, N / S'.")],
    clock: Annotated[
        float | None,
        typer.Option("--clock", help=f"MHz; {', '.join(f'{name} {mhz:g}' for name, mhz in CLOCK_MHZ.items())}."),
    ] = None,
    target: Annotated[Target, typer.Option("--target", help="Where the core is to go.")] = Target.ASIC,
    count_bits: Annotated[int, typer.Option("--count-bits", help="Of a count.")] = 14,
    codebook: Annotated[str, typer.Option("--codebook", help="Rule of the codes.", metavar="NAME")] = "sqrt-b",
    weight_bits: Annotated[int, typer.Option("--weight-bits", help="Of a weight.")] = 8,
    output_bits: Annotated[int, typer.Option("--output-bits", help="Of a coefficient.")] = 16,
    protect: Annotated[bool, typer.Option("--protect/--no-protect", help="Memories carry check bits.")] = True,
    fit: Annotated[
        Path | None,
        typer.Option("--fit", help="Areas of your library, by benchmarks/scaling.py --measure.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the configuration, for verilog --config.", metavar="FILE")
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Smallest core for codes and coefficients that keeps up with a frame rate: lanes, columns, memories, area.

    Exit status 1: no core is so fast, and what would be possible.
    """
    size = re.fullmatch(r"(\d+)x(\d+)", pixels)
    if size is None:
        raise ValueError(f"--pixels {pixels}: expected rows x pixels of a row, such as 192x168")
    wish = Wish(
        height=int(size[1]),
        width=int(size[2]),
        rate=rate,
        ratio=ratio,
        clock_mhz=CLOCK_MHZ[target] if clock is None else clock,
        count_bits=count_bits,
        weight_bits=weight_bits,
        output_bits=output_bits,
        codebook=codebook,
        parts="ecp5" if target is Target.ECP5 else "portable",
        protect=protect,
    )
    costs = Fit.read(fit)
    found = propose(wish, costs)
    if isinstance(found, Impossible):
        if as_json:
            typer.echo(json.dumps(found.to_dict()))
        else:
            typer.echo(_refusal(wish, found, costs))
        raise typer.Exit(1)
    if out is not None:
        with publish_file(out) as staged:
            staged.write_text(_head(wish, found) + toml_text(found.config), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(found.to_dict() | {"fits": _demand(found, target)}))
        return
    _show(wish, found, target, costs)
    if clock is None:
        # Anything may be slower: the fit is of areas.
        typer.echo(f"{wish.clock_mhz:g} MHz are assumed: see what ptychopress synth says of the core, and give --clock")


def _head(wish: Wish, found: Plan) -> str:
    return (
        f"# {wish.height}x{wish.width} pixels at {wish.rate:g} frames/s, {wish.ratio:g}:1, {wish.clock_mhz:g} MHz:"
        f" {found.frame_clocks} clocks a frame\n# By ptychopress plan; ptychopress verilog --config takes it\n\n"
    )


def toml_text(config: CoreConfig) -> str:
    """Configuration as TOML, all of it."""
    plain, tables = [], []
    for name, value in config.to_dict().items():
        if not isinstance(value, Mapping):
            plain.append(f"{name} = {_toml(value)}\n")
            continue
        # A table inside a table has nothing in it here, and a codebook by rule has no edges.
        inside = "".join(f"{key} = {_toml(item)}\n" for key, item in value.items() if item not in ({}, ()))
        tables.append(f"\n[{name}]\n{inside}")
    return "".join(plain + tables)


def _toml(value: Any) -> str:
    # Text, numbers, true and false, and lists of text are in TOML as they are in JSON.
    return json.dumps(value)


def _refusal(wish: Wish, found: Impossible, fit: Fit) -> str:
    """In words by how much it is too fast, and what would be possible."""
    lines = [
        f"{wish.height}x{wish.width} pixels at {wish.rate:g} frames/s: impossible, {_excess(found.factor)} too fast.",
        f"A frame takes {found.frame_clocks} clocks at least, by {_lanes(found.lanes)}; {wish.clock_mhz:g} MHz has"
        f" {found.clocks} for it.",
        f"Possible: {_limit(found.rate, floor)} frames/s; or a clock of {_limit(found.clock_mhz, ceil)} MHz"
        + (f"; or the rows in {found.parts} parts, a core each." if found.parts else "."),
    ]
    turned = propose(replace(wish, height=wish.width, width=wish.height), fit)
    if isinstance(turned, Plan):
        lines.append(f"Read out by rows of {wish.height} pixels it is possible: {_lanes(turned.config.frame.lanes)}.")
    elif turned.factor < found.factor:
        lines.append(
            f"Read out by rows of {wish.height} pixels it is {_excess(turned.factor)} too fast: {_lanes(turned.lanes)}."
        )
    return "\n".join(lines)


def _lanes(number: int) -> str:
    return f"{number} lane{'' if number == 1 else 's'}"


def _excess(factor: float) -> str:
    """By how much, in words; slightly too fast is not once."""
    return f"{factor:.3g} times" if factor >= 1.01 else f"{max(100 * (factor - 1), 1e-9):.1g} %"


def _limit(value: float, rounded: Callable[[float], int]) -> str:
    """A limit to five digits, rounded to the side on which it holds."""
    step = 10.0 ** min(floor(log10(value)) - 4, 0)
    text = f"{rounded(value / step) * step:,.{-round(log10(step))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _demand(found: Plan, target: Target) -> dict[str, list[float]]:
    """Multipliers and memories that the core needs, and that the family's first device has."""
    if target is Target.ASIC:
        return {}
    device = next(iter(TARGETS[target].devices.values())).capacity
    has = device.block_ram * BLOCK_BITS[target] + device.large_ram * LARGE_BITS
    return {"DSP": [found.multipliers, device.dsp], "memory bits": [sum(found.memory_bits.values()), has]}


def _show(wish: Wish, found: Plan, target: Target, fit: Fit) -> None:
    out = Console(highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    config = found.config
    rows: list[tuple[str, str]] = [
        ("lanes P", f"{config.frame.lanes}"),
        ("columns C", f"{config.projector.columns}"),
        ("components S'", f"{config.projector.components}"),
        ("multipliers P C", f"{found.multipliers}"),
        ("clocks a frame", f"{found.frame_clocks} of {wish.clocks}"),
        ("frames/s", f"{found.rate:,.0f}"),
        ("bits in / bits out", f"{found.bit_ratio:.3g}"),
        *((f"memory bits, {name}", f"{bits:,}") for name, bits in found.memory_bits.items()),
        *((f"gate equivalents, {name}", f"{area:,.0f}") for name, area in found.area.items()),
        ("gate equivalents, all", f"{sum(found.area.values()):,.0f}"),
    ]
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print(f"gate equivalents: of {fit.library}, expected, without memories")
    for what, (needed, there) in _demand(found, target).items():
        if needed > there:
            name = next(iter(TARGETS[target].devices))
            out.print(f"{what}: {needed:,.0f}, more than the {there:,.0f} of {target} {name}")
