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
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from ptychopress.hdl.encoder import ShiftCore, allows_shifts
from ptychopress.model.codebook import Codebook
from ptychopress.synth.area import SCRIPTS, Mapped, map_component, netlist_codes, rtl_codes
from ptychopress.synth.liberty import YOSYS_GATES, Library
from rich.console import Console
from rich.progress import Progress

TARGET_GE = 70
TARGET = ("sqrt-b", 14)
"""The target holds for this codebook and width, best of the list of scripts, IHP sg13g2 typical."""

MAX_COUNT_BITS = 16

Build = Callable[[Module, Value, Value, Codebook], None]


class Structure(wiring.Component):
    """Combinational encoder whose code is driven by a function `build(m, count, code, codebook)`."""

    def __init__(self, codebook: Codebook, build: Build) -> None:
        self.codebook = codebook
        self.build = build
        super().__init__({"count": In(codebook.count_bits), "code": Out(codebook.code_bits)})

    def elaborate(self, platform: Any) -> Module:
        """Amaranth's protocol."""
        m = Module()
        self.build(m, self.count, self.code, self.codebook)
        return m


def linear_bits(codebook: Codebook) -> int:
    """Counts below 2**linear_bits are their own codes."""
    wide = np.diff(codebook.edge_array) > 1
    return int(np.argmax(wide)).bit_length() - 1 if wide.any() else codebook.count_bits


def octave_shift(lead: int, low: int) -> int:
    """Shift of the counts whose leading one is at bit `lead`."""
    return (lead - low + 1) // 2 + 1


def formula(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """(N >> s) plus a constant, s and the constant by the leading one: the rule as its formulas have it."""
    low = linear_bits(codebook)
    shifted, offset = Const(0, codebook.code_bits), Const(0, codebook.code_bits)
    for lead in range(low, codebook.count_bits):
        first, shift = 1 << lead, octave_shift(lead, low)
        here = count[lead:].any()
        shifted = Mux(here, count[shift:], shifted if lead > low else count[:low])
        offset = Mux(here, int(codebook.table[first]) - (first >> shift), offset)
    m.d.comb += code.eq(shifted + offset)


def octave_case(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """One ``casez`` branch for every octave."""
    low, width = linear_bits(codebook), codebook.count_bits
    with m.Switch(count):
        for lead in reversed(range(low, width)):
            shift = octave_shift(lead, low)
            top = low - 2 + 2 * shift
            with m.Case("0" * (width - 1 - lead) + "1" + "-" * lead):
                m.d.comb += code.eq(Cat(count[shift:top], Const(lead != top, 1), Const(lead == top, 1)))
        with m.Default():
            m.d.comb += code.eq(count[:low])


def octave_pairs(count: Value, codebook: Codebook) -> list[tuple[Value, Value, Value, Value]]:
    """Return, for every pair of octaves that shares a shift, count bits at or above, inside, above it, and the code."""
    low, width = linear_bits(codebook), codebook.count_bits
    bits = Cat(count, Const(0, 2))
    pairs = []
    for shift, top in enumerate(range(low, width + 1, 2), start=1):
        first = max(low, top - 1)
        if first < width:
            word = Cat(bits[shift:top], ~bits[top], bits[top])
            pairs.append((bits[first:], bits[first : top + 1], bits[top + 1 :], word))
    return pairs


def nested_mux(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """A chain of multiplexers, a pair of octaves each."""
    word: Value = count[: linear_bits(codebook)]
    for at_or_above, _, _, new in octave_pairs(count, codebook):
        word = Mux(at_or_above.any(), new, word)
    m.d.comb += code.eq(word)


def if_chain(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """The same by overriding assignments."""
    m.d.comb += code.eq(count[: linear_bits(codebook)])
    for _, inside, _, new in octave_pairs(count, codebook):
        with m.If(inside.any()):
            m.d.comb += code.eq(new)


def one_hot(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """AND-OR of the pairs, one hot, each select from its own reduction."""
    low = linear_bits(codebook)
    words = [Mux(count[low:].any(), 0, count[:low])]
    for _, inside, above, new in octave_pairs(count, codebook):
        words.append(Mux(inside.any() & ~above.any(), new, 0))
    m.d.comb += code.eq(reduce(or_, words))


def one_hot_chain(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """AND-OR of the pairs, selects from a thermometer over the pairs."""
    words: list[Value] = []
    seen: Value = Const(0, 1)
    for _, inside, _, new in reversed(octave_pairs(count, codebook)):
        now = seen | inside.any()
        words.append(Mux(now & ~seen, new, 0))
        seen = now
    words.append(Mux(seen, 0, count[: linear_bits(codebook)]))
    m.d.comb += code.eq(reduce(or_, words))


def flat_markers(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """`ShiftCore` with a reduction for every select instead of one chain of ORs."""
    low, width = linear_bits(codebook), codebook.count_bits
    bits = Cat(count, Const(0, 4))

    def leading(first: int, stop: int) -> Value:
        return bits[first:].any() & ~bits[stop:].any()

    words = [
        Mux(leading(max(low, top - 1), top + 1), count[shift:top], 0)
        for shift, top in enumerate(range(low, width + 1, 2), start=1)
    ]
    words.append(Cat(Mux(bits[low:].any(), 0, count[:low]), [leading(k, k + 2) for k in range(low, width, 2)]))
    m.d.comb += code.eq(reduce(or_, words))


def table(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """The read-only memory of `TableEncoder`, as logic."""
    m.submodules.rom = rom = Memory(shape=codebook.code_bits, depth=len(codebook.table), init=codebook.table.tolist())
    port = rom.read_port(domain="comb")
    m.d.comb += [port.addr.eq(count), code.eq(port.data)]


def argonne(m: Module, count: Value, code: Value, codebook: Codebook) -> None:
    """Argonne's 10-to-7 rule as its formulas have it, shifts and additions."""
    with m.If(count < 16):
        m.d.comb += code.eq(count)
    with m.Elif(count < 64):
        m.d.comb += code.eq((count >> 2) + 12)
    with m.Elif(count < 256):
        m.d.comb += code.eq((count >> 3) + 20)
    with m.Else():
        m.d.comb += code.eq((count >> 4) + 36)


SHIFT_STRUCTURES: dict[str, Build] = {
    "formula with adder": formula,
    "octave casez": octave_case,
    "if chain": if_chain,
    "nested mux": nested_mux,
    "one-hot": one_hot,
    "one-hot chain": one_hot_chain,
    "flat markers": flat_markers,
}


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
