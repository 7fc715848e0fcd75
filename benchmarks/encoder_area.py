# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Area of encoder structures, each mapped by the same list of ABC scripts: ``python benchmarks/encoder_area.py``.

The RTL of every structure and every netlist made of it are compared with the codebook for all counts. One gate
equivalent (GE) is the library's smallest two-input NAND. Exit status 1: a code was wrong; 2: bad input, or a library
that ABC does not map to.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ptychopress.hdl.encoder import ShiftCore, allows_shifts
from ptychopress.model.codebook import Codebook
from ptychopress.synth.area import SCRIPTS, Mapped, map_component, netlist_codes, rtl_codes
from ptychopress.synth.liberty import YOSYS_GATES, Library
from ptychopress.synth.peers.encoders import SHIFT_STRUCTURES, Structure, argonne, table
from rich.console import Console
from rich.progress import Progress

TARGET_GE = 70
TARGET = ("sqrt-b", 14)
"""The target holds for this codebook and width, best of the list of scripts, IHP sg13g2 typical."""

MAX_COUNT_BITS = 16


def structures(codebook: Codebook) -> dict[str, tuple[Codebook, Callable[[Codebook], Any]]]:
    """Codebook and constructor of everything that is compared, by name."""
    compared: dict[str, tuple[Codebook, Callable[[Codebook], Any]]] = {}
    if allows_shifts(codebook):
        for name, build in SHIFT_STRUCTURES.items():
            compared[name] = codebook, partial(Structure, build=build)
        compared["ShiftCore"] = codebook, ShiftCore
    compared["table as logic"] = codebook, partial(Structure, build=table)
    book = Codebook.named("argonne-10to7")
    compared["Argonne, plain"] = book, partial(Structure, build=argonne)
    compared["Argonne, table"] = book, partial(Structure, build=table)
    return compared


@dataclass
class Row:
    """One structure.

    Attributes
    ----------
    structure, codebook : str
    count_bits, code_bits : int
    rtl_errors : int
        Counts whose code by the RTL is not the codebook's.
    netlist_errors : dict of str to int
        The same for each script's netlist.
    results : dict of str to Mapped
    """

    structure: str
    codebook: str
    count_bits: int
    code_bits: int
    rtl_errors: int = 0
    netlist_errors: dict[str, int] = field(default_factory=dict)
    results: dict[str, Mapped] = field(default_factory=dict)

    @property
    def best(self) -> Mapped:
        """The smallest; the first of equal ones."""
        return min(self.results.values(), key=lambda mapped: mapped.area)

    @property
    def exact(self) -> bool:
        """Whether every code of the RTL and of every netlist was right."""
        return self.rtl_errors == 0 and not any(self.netlist_errors.values())


def measure(
    codebook: Codebook,
    library: Library,
    scripts: dict[str, str] = SCRIPTS,
    step: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """Map and verify every structure; `step` is called with its name after each script."""
    for name, (book, build) in structures(codebook).items():
        component = build(book)
        row = Row(name, book.name, book.count_bits, book.code_bits)
        row.rtl_errors = int(np.count_nonzero(rtl_codes(component) != book.table))
        for mapped in map_component(component, library, scripts):
            row.results[mapped.script] = mapped
            codes = netlist_codes(mapped, library, book.count_bits)
            row.netlist_errors[mapped.script] = int(np.count_nonzero(codes != book.table))
            step(name)
        yield row


def as_markdown(rows: list[Row], scripts: list[str]) -> str:
    """Table of gate equivalents, structure by script, with what the best is."""
    lines = [["structure", "bits", *scripts, "best", "cells", "delay/ps", "codes"]]
    for row in rows:
        best = row.best
        lines.append(
            [
                row.structure,
                f"{row.count_bits} to {row.code_bits}",
                *(f"{row.results[name].gate_equivalents:.1f}" for name in scripts),
                f"**{best.gate_equivalents:.1f}**",
                str(best.cells),
                "-" if best.delay_ps is None else f"{best.delay_ps:.0f}",
                "exact" if row.exact else "WRONG",
            ]
        )
    lines.insert(1, ["---"] + ["---:"] * (len(lines[0]) - 2) + ["---"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def target_line(codebook: Codebook, library: Library, rows: list[Row]) -> str:
    """Whether the area target is met, where it applies."""
    if (codebook.name, codebook.count_bits) != TARGET:
        return f"No target for {codebook.name} at {codebook.count_bits} bits: it is set for {TARGET[0]} at {TARGET[1]}."
    best = next(row for row in rows if row.structure == "ShiftCore").best
    if library.text is None:
        return (
            f"ShiftCore: {best.gate_equivalents:.1f} GE. The target of {TARGET_GE} GE is set for a library (--liberty)."
        )
    verdict = "met" if best.gate_equivalents <= TARGET_GE else "missed"
    taken = f"ShiftCore takes {best.gate_equivalents:.1f} GE ({best.script})"
    return f"Target {TARGET_GE} GE for {TARGET[0]}: {verdict}, {taken}."


def report(codebook: Codebook, library: Library, rows: list[Row]) -> dict[str, Any]:
    """All figures as plain JSON values."""
    return {
        "codebook": codebook.name,
        "count_bits": codebook.count_bits,
        "library": library.name,
        "area_unit": library.unit,
        "nand2": {"cell": library.nand2.name, "area": library.nand2.area},
        "target_ge": TARGET_GE if (codebook.name, codebook.count_bits) == TARGET and library.text else None,
        "rows": [
            {
                "structure": row.structure,
                "codebook": row.codebook,
                "count_bits": row.count_bits,
                "code_bits": row.code_bits,
                "rtl_errors": row.rtl_errors,
                "best": row.best.script,
                "scripts": {
                    name: {k: v for k, v in asdict(mapped).items() if k not in ("netlist", "script")}
                    | {"netlist_errors": row.netlist_errors[name]}
                    for name, mapped in row.results.items()
                },
            }
            for row in rows
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print it; return the exit status."""
    parser = argparse.ArgumentParser(description="Area of encoder structures, the same ABC scripts for all.")
    parser.add_argument(
        "--liberty", type=Path, metavar="FILE", help="standard cells, .lib or .lib.gz; without: yosys' own CMOS gates"
    )
    parser.add_argument("--codebook", default="sqrt-b", metavar="NAME", help=f"one of {', '.join(Codebook.names())}")
    parser.add_argument("--count-bits", type=int, metavar="N", help=f"width of a count, up to {MAX_COUNT_BITS}")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args(arguments)
    try:
        codebook = Codebook.named(options.codebook, options.count_bits)
        if codebook.count_bits > MAX_COUNT_BITS:
            raise ValueError(f"--count-bits goes up to {MAX_COUNT_BITS} here, got {codebook.count_bits}")
        library = Library.read(options.liberty) if options.liberty else YOSYS_GATES
    except ValueError as error:
        print(f"encoder_area: {error}", file=sys.stderr)
        return 2
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            runs = progress.add_task("mapping", total=len(SCRIPTS) * len(structures(codebook)))
            rows = list(
                measure(codebook, library, SCRIPTS, lambda name: progress.update(runs, advance=1, description=name))
            )
    except RuntimeError as error:
        print(f"encoder_area: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report(codebook, library, rows), indent=1))
    else:
        print(f"{codebook.name}, {codebook.count_bits} bit counts, library {library.name}.")
        print(f"1 GE = {library.nand2.name} = {library.nand2.area:g} ({library.unit}). All columns in GE.\n")
        print(as_markdown(rows, list(SCRIPTS)))
        print(f"\n{target_line(codebook, library, rows)}")
    return 0 if all(row.exact for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
