# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Named configurations side by side: ``python benchmarks/named.py named.json``.

Prints tables of what ``ptychopress synth --store named.json`` left, and what of it can be put beside published figures.
A configuration without a result is left out, and named. Exit status 2: bad input.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptychopress.cli.synth import read_store
from ptychopress.model.config import NAMED, CoreConfig, Mode
from ptychopress.model.tile import TILES, TileConfig
from ptychopress.synth.fpga import fits
from ptychopress.synth.result import Result

VARIABLE = (Mode.ZEROMASK, Mode.RICE)
"""Modes whose packets are as long as the frame makes them; what is told is the longest."""


def parts(result: Result) -> dict[str, Any]:
    """Figures of a synthesis, in standard cells or on an FPGA."""
    row: dict[str, Any] = {"configuration": result.design.replace("_", "-"), "target": result.target}
    if result.area is not None and result.gate_equivalents is not None:
        row |= {
            "GE": round(result.gate_equivalents),
            "cells/mm2": round(result.area / 1e6, 3),
            "memory bits": sum(result.memory_bits.values()),
        }
    if result.resources is not None and result.capacity is not None:
        used = result.resources
        row |= {"LUT4": used.lut, "FF": used.flip_flops, "DSP": used.dsp, "EBR": used.block_ram}
        row["fits"] = "yes" if fits(used, result.capacity) else "no"
    row["MHz"] = None if result.mhz is None else round(result.mhz)
    if "path by" in result.tools:
        row["path by"] = result.tools["path by"].split(",")[0]
    else:
        row["seeds"] = len(result.fmax)
    return row


def frames(name: str, result: Result | None) -> list[dict[str, Any]]:
    """Clocks, rate and bits of a frame, by mode; the rate is that of standard cells."""
    if name in TILES:
        tile = TileConfig.named(name)
        pixels, count_bits = tile.pixels, tile.count_bits
        modes = [("coefficients", 1, tile.components * tile.output_bits, False)]
    else:
        config = CoreConfig.named(name)
        pixels, count_bits = config.frame.pixels, config.frame.count_bits
        phases = -(-config.projector.components // config.projector.columns)
        modes = [
            (
                mode.label,
                config.frame.beats * (phases if mode.projects else 1),
                config.payload_bits(mode),
                mode in VARIABLE,
            )
            for mode in config.modes
        ]
    return [
        {
            "configuration": name,
            "mode": mode,
            "clocks": clocks,
            "frames/s": None if result is None or result.mhz is None else round(1e6 * result.mhz / clocks),
            "bits in": pixels * count_bits,
            "bits out": f"{'up to ' if variable else ''}{bits}",
            "ratio": f"{'from ' if variable else ''}{pixels * count_bits / bits:.3g}",
        }
        for mode, clocks, bits, variable in modes
    ]


def beside_rasheedi(result: Result) -> dict[str, float]:
    """What of mhz-192x168 does not depend on the technology, and what a million frames a second would take."""
    config = CoreConfig.named("mhz-192x168")
    size, clocks = config.projection, config.frame.beats * -(-config.projector.components // config.projector.columns)
    weights = size.pixels * size.components
    memory = sum(bits for place, bits in result.memory_bits.items() if ".weights_" in place)
    return {
        "N / S'": size.pixels / size.components,
        "multipliers": config.frame.lanes * config.projector.columns,
        "multiplications a frame": weights,
        "clocks a frame": clocks,
        "GE a multiplier, whole core": (result.gate_equivalents or 0) / (config.frame.lanes * config.projector.columns),
        "weight memory, bits": memory,
        "weights of 8 bits once, bits": weights * size.weight_bits,
        "weights of 12 bits once, bits": weights * 12,
        "weights of 12 bits once at N / S' = 100, bits": size.pixels * (size.pixels // 100) * 12,
        "multiplications a second at 1 MHz": weights * 1e6,
        "clock for 1 MHz, MHz": clocks,
    }


def beside_in_pixel(result: Result) -> dict[str, float]:
    """What of inpixel-tile can be counted by the pixel."""
    tile = TileConfig.named("inpixel-tile")
    assert result.gate_equivalents is not None and result.area is not None and result.mhz is not None
    return {
        "bits in / bits out": tile.ratio,
        "N / S'": tile.pixels / tile.components,
        "clocks of latency": 1,
        "GE a pixel": result.gate_equivalents / tile.pixels,
        "um2 of cells a pixel, 130 nm": result.area / tile.pixels,
        "side of a square of that, um": (result.area / tile.pixels) ** 0.5,
        "frames/s": 1e6 * result.mhz,
        "times 100,000 samples/s": 10 * result.mhz,
    }


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """Table with a column for each figure that a row has."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    ends = ["---" if any(isinstance(row.get(name), str) for row in rows) else "---:" for name in columns]
    lines = [" | ".join(columns), " | ".join(ends)]
    lines += [" | ".join(_text(row.get(name)) for name in columns) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; return the exit status."""
    parser = argparse.ArgumentParser(description="Named configurations, and what can be put beside published figures.")
    parser.add_argument("store", type=Path, help="results of ptychopress synth --store")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args(arguments)
    try:
        if not options.store.is_file():
            raise ValueError(f"{options.store}: no such file, expected results of ptychopress synth --store")
        runs = read_store(options.store).values()
    except ValueError as error:
        print(f"named: {error}", file=sys.stderr)
        return 2
    names = [*NAMED, *TILES]
    cells = {name: run for name in names for run in runs if _is(run, name) and run.area is not None}
    boards = {name: run for name in names for run in runs if _is(run, name) and run.resources is not None}
    told: dict[str, Any] = {
        "standard cells": [parts(run) for run in cells.values()],
        "ecp5": [parts(run) for run in boards.values()],
        "frames": [row for name in names for row in frames(name, cells.get(name))],
    }
    if "mhz-192x168" in cells:
        told["beside Rasheedi et al."] = beside_rasheedi(cells["mhz-192x168"])
    if "inpixel-tile" in cells:
        told["beside AI-In-Pixel-65"] = beside_in_pixel(cells["inpixel-tile"])
    if options.json:
        print(json.dumps(told, indent=1))
        return 0
    for title, table in told.items():
        rows = table if isinstance(table, list) else [{"figure": key, "ours": value} for key, value in table.items()]
        print(f"{title}:\n\n{as_markdown(rows)}\n" if rows else f"{title}: no results\n")
    for name in names:
        if name not in cells:
            print(f"{name}: not synthesised in standard cells")
    return 0


def _is(run: Result, name: str) -> bool:
    """Whether a result is of all of a named configuration, as it is today."""
    made = TileConfig.named(name).to_dict() if name in TILES else CoreConfig.named(name).to_dict()
    return run.design == made["name"] and run.configuration == json.loads(json.dumps(made))


if __name__ == "__main__":
    sys.exit(main())
