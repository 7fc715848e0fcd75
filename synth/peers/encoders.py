# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Ways to write a combinational encoder: the plain ones that others would, and those that `ShiftCore` grew from."""

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...model.codebook import Codebook

Build = Callable[[Module, Value, Value, Codebook], None]


class Structure(wiring.Component):
    """Combinational encoder whose code is driven by a function `build(m, count, code, codebook)`."""

    def __init__(self, codebook: Codebook, build: Build) -> None:
        self.codebook = codebook
        self.build = build
        super().__init__({"count": In(codebook.count_bits), "code": Out(codebook.code_bits)})

    def elaborate(self, platform: Any) -> Module:
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
"""Structures for codebooks that `ptychopress.hdl.encoder.allows_shifts`, by name."""
