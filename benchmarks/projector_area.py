# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Size and clock rate of the whole projector on a Lattice ECP5: ``python benchmarks/projector_area.py``.

LFE5U-85F, speed grade 6, out of context; every configuration is placed and routed once for each seed. Exit status 1:
the target is missed; 2: bad input, or a tool is missing or failed.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from ptychopress.hdl.block_memory import BlockMemory, Ecp5BlockMemory
from ptychopress.hdl.multiplier import Ecp5Multiplier, Multiplier
from ptychopress.hdl.projector import Projector
from ptychopress.model.projection import ProjectionFormat
from ptychopress.synth.ecp5 import SEEDS, Placed, place_and_route
from rich.console import Console
from rich.progress import Progress

TARGET_MHZ = 180
"""Of the configuration `target`, median of the seeds."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A projector and the cells that it is handed."""

    pixels: int = 1024
    components: int = 32
    input_bits: int = 8
    weight_bits: int = 8
    output_bits: int = 16
    lanes: int = 8
    columns: int = 4
    multiplier: type[Any] = Ecp5Multiplier
    memory: type[Any] = Ecp5BlockMemory

    def projector(self) -> Projector:
        """Return a new projector, to be elaborated once."""
        size = ProjectionFormat(
            pixels=self.pixels,
            components=self.components,
            input_bits=self.input_bits,
            weight_bits=self.weight_bits,
            output_bits=self.output_bits,
        )
        return Projector(size, lanes=self.lanes, columns=self.columns, multiplier=self.multiplier, memory=self.memory)


CONFIGURATIONS = {
    "target": Configuration(),
    "inferred multipliers": Configuration(multiplier=Multiplier),
    "inferred memories": Configuration(memory=BlockMemory),
    "all inferred": Configuration(multiplier=Multiplier, memory=BlockMemory),
    "64 pixels": Configuration(pixels=64),
    "14 x 12 bits": Configuration(input_bits=14, weight_bits=12, output_bits=24),
    "16 lanes, 8 columns": Configuration(lanes=16, columns=8),
}


def as_markdown(rows: dict[str, Placed]) -> str:
    """Table of what was placed."""
    lines = [
        "| projector | N | S' | P | C | bits | MHz | seeds | LUT4 | carry | memory | FF | DSP | EBR |",
        "| --- | ---: | ---: | ---: | ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, placed in rows.items():
        made = CONFIGURATIONS[name]
        rates = placed.fmax.values()
        lines.append(
            f"| {name} | {made.pixels} | {made.components} | {made.lanes} | {made.columns}"
            f" | {made.input_bits} x {made.weight_bits} to {made.output_bits} | **{placed.median:.0f}**"
            f" | {len(rates)}: {min(rates):.0f} to {max(rates):.0f} | {placed.lut4} | {placed.carry} | {placed.memory}"
            f" | {placed.flip_flops} | {placed.dsp} | {placed.block_ram} |"
        )
    return "\n".join(lines)


def target_line(placed: Placed) -> str:
    """Sentence that compares the target's configuration with the target."""
    verdict = "met" if placed.median >= TARGET_MHZ else "missed"
    return f"Target {TARGET_MHZ} MHz: {verdict}, {placed.median:.1f} MHz."


def main(arguments: list[str] | None = None) -> int:
    """Place and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Size and clock rate of projectors on an LFE5U-85F, speed grade 6.")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), metavar="N", help="seeds of the placement")
    parser.add_argument(
        "--only", nargs="+", default=list(CONFIGURATIONS), metavar="NAME", help=f"of {', '.join(CONFIGURATIONS)}"
    )
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="seeds at a time")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.only if name not in CONFIGURATIONS]
    if unknown or options.workers < 1:
        what = (
            f"unknown configuration {unknown[0]!r}"
            if unknown
            else f"--workers must be 1 or more, got {options.workers}"
        )
        print(f"projector_area: {what}", file=sys.stderr)
        return 2
    rows = {}
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("placing", total=len(options.only))
            for name in options.only:
                progress.update(task, description=name)
                projector = CONFIGURATIONS[name].projector()
                rows[name] = place_and_route(projector, seeds=options.seeds, workers=options.workers)
                progress.advance(task)
    except (RuntimeError, ValueError) as error:
        print(f"projector_area: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({name: asdict(placed) | {"median": placed.median} for name, placed in rows.items()}, indent=1))
    else:
        print(as_markdown(rows))
        if "target" in rows:
            print(f"\n{target_line(rows['target'])}")
    return 1 if "target" in rows and rows["target"].median < TARGET_MHZ else 0


if __name__ == "__main__":
    sys.exit(main())
