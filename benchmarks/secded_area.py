# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What SECDED costs: ``python benchmarks/secded_area.py``.

The logic of a code word in gate equivalents (GE), each yosys' smallest two-input NAND, the best of a few ABC scripts;
and with ``--projector`` a projector with and without protection on a Lattice ECP5, LFE5U-85F, speed grade 6, out of
context. Exit status 2: bad input, or a tool is missing or failed.
"""

import argparse
import json
import sys
from dataclasses import asdict
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from ptychopress.hdl.block_memory import Ecp5BlockMemory
from ptychopress.hdl.multiplier import Ecp5Multiplier
from ptychopress.hdl.projector import Projector
from ptychopress.hdl.secded import correct, encode, syndrome
from ptychopress.model.projection import ProjectionFormat
from ptychopress.model.secded import Secded
from ptychopress.synth.area import SCRIPTS, map_component
from ptychopress.synth.ecp5 import place_and_route

WIDTHS = (14, 32, 64)
FEW_SCRIPTS = {name: SCRIPTS[name] for name in ("default", "amap2", "dc2-amap5")}
SIZE = ProjectionFormat(pixels=1024, components=32, input_bits=8, weight_bits=8, output_bits=16)


class Encoder(wiring.Component):
    """Code word of a data word."""

    def __init__(self, code: Secded) -> None:
        self.code = code
        super().__init__({"data": In(code.data_bits), "word": Out(code.word_bits)})

    def elaborate(self, platform: Any) -> Module:
        """Amaranth's protocol."""
        m = Module()
        m.d.comb += self.word.eq(encode(self.code, self.data))
        return m


class Decoder(wiring.Component):
    """Data of a code word, and what was wrong with it."""

    def __init__(self, code: Secded) -> None:
        self.code = code
        members = {"word": In(code.word_bits), "data": Out(code.data_bits)}
        super().__init__({**members, "corrected": Out(1), "uncorrectable": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Amaranth's protocol."""
        m = Module()
        fault = Signal(self.code.check_bits)
        data, corrected, uncorrectable = correct(self.code, self.word[: self.code.data_bits], fault)
        m.d.comb += [
            fault.eq(syndrome(self.code, self.word)),
            self.data.eq(data),
            self.corrected.eq(corrected),
            self.uncorrectable.eq(uncorrectable),
        ]
        return m


def main(arguments: list[str] | None = None) -> int:
    """Map, place and print; return the exit status."""
    parser = argparse.ArgumentParser(description="What SECDED costs in gates and, if asked, on an LFE5U-85F.")
    parser.add_argument("--projector", action="store_true", help="place a projector with and without, for minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="N", help="seeds of the placement")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args(arguments)
    measured: dict[str, Any] = {"gates": [], "projector": []}
    try:
        for bits in WIDTHS:
            code = Secded(bits)
            areas = {
                kind.__name__.lower(): min(
                    mapped.gate_equivalents for mapped in map_component(kind(code), scripts=FEW_SCRIPTS)
                )
                for kind in (Encoder, Decoder)
            }
            measured["gates"].append({"data_bits": bits, "check_bits": code.check_bits, **areas})
        for protect in (False, True) if options.projector else ():
            block = Projector(
                SIZE, lanes=8, columns=4, multiplier=Ecp5Multiplier, memory=Ecp5BlockMemory, protect=protect
            )
            placed = place_and_route(block, seeds=options.seeds)
            measured["projector"].append({"protect": protect, **asdict(placed), "median": placed.median})
    except (RuntimeError, ValueError) as error:
        print(f"secded_area: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(measured, indent=1))
        return 0
    print("| data bits | check bits | encoder, GE | decoder, GE |\n| ---: | ---: | ---: | ---: |")
    for row in measured["gates"]:
        print(f"| {row['data_bits']} | {row['check_bits']} | {row['encoder']:.0f} | {row['decoder']:.0f} |")
    if options.projector:
        print(
            "\n| projector | MHz | LUT4 | memory | FF | DSP | EBR |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
        )
        for row in measured["projector"]:
            cells = (row[name] for name in ("lut4", "memory", "flip_flops", "dsp", "block_ram"))
            name = "protected" if row["protect"] else "plain"
            print(f"| {name} | {row['median']:.0f} | {' | '.join(map(str, cells))} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
