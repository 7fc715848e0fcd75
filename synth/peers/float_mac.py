# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Floating-point arithmetic in gates: product, sum, conversion, exactly as `ptychopress.synth.peers.floating`."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .floating import FloatFormat


class FloatMultiplier(wiring.Component):
    """Product of two numbers, rounded once. Combinational.

    Parameters
    ----------
    a, b, product : FloatFormat
        The product has no more significant bits than the exact one.

    Members
    -------
    a, b : In
    product : Out
    """

    def __init__(self, a: FloatFormat, b: FloatFormat, product: FloatFormat) -> None:
        self.formats = a, b, product
        super().__init__({"a": In(a.bits), "b": In(b.bits), "product": Out(product.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b, product = self.formats
        sign_a, exponent_a, one_a = _fields(self.a, a)
        sign_b, exponent_b, one_b = _fields(self.b, b)
        exact = Signal(a.fraction_bits + b.fraction_bits + 2)
        m.d.comb += exact.eq(one_a * one_b)
        # From 1 to 4: of two places for the leading one the higher makes the exponent one more.
        leading = Mux(exact[-1], exact, exact << 1)[: len(exact)]
        exponent = exponent_a + exponent_b + exact[-1] + (product.bias - a.bias - b.bias)
        zero = (exponent_a == 0) | (exponent_b == 0)
        m.d.comb += self.product.eq(_packed(m, sign_a ^ sign_b, exponent, leading, zero, product))
        return m


class FloatAdder(wiring.Component):
    """Sum of two numbers of one format, rounded once. Combinational.

    The smaller is shifted to the larger's exponent with two bits more and one that stands for all below; the sum is
    shifted until it begins with a one, and rounded.

    Members
    -------
    a, b : In
    total : Out
    """

    def __init__(self, format: FloatFormat) -> None:
        self.format = format
        super().__init__({"a": In(format.bits), "b": In(format.bits), "total": Out(format.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        size, magnitude = self.format, self.format.bits - 1
        a_is_larger = self.a[:magnitude] >= self.b[:magnitude]
        larger, smaller = Signal(size.bits), Signal(size.bits)
        m.d.comb += [
            larger.eq(Mux(a_is_larger, self.a, self.b)),
            smaller.eq(Mux(a_is_larger, self.b, self.a)),
        ]
        sign, exponent, one = _fields(larger, size)
        sign_small, exponent_small, one_small = _fields(smaller, size)

        distance = Signal(size.exponent_bits)
        m.d.comb += distance.eq(exponent - exponent_small)
        aligned = _shift_right_sticky(m, Cat(Const(0, 3), one_small), distance)
        subtract = sign ^ sign_small
        # One place above for the carry; a difference is never negative.
        exact = Signal(size.fraction_bits + 5)
        m.d.comb += exact.eq(Cat(Const(0, 3), one) + (aligned ^ subtract.replicate(len(exact))) + subtract)
        leading, zeros = _normalised(m, exact)
        nothing = (exponent == 0) | ~leading[-1]
        m.d.comb += self.total.eq(_packed(m, sign, exponent + 1 - zeros, leading, nothing, size))
        return m


class IntegerToFloat(wiring.Component):
    """Unsigned integer as a floating-point number, rounded if it has more significant bits. Combinational.

    Members
    -------
    integer : In
    number : Out
    """

    def __init__(self, bits: int, format: FloatFormat) -> None:
        self.format = format
        super().__init__({"integer": In(bits), "number": Out(format.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = len(self.integer)
        leading, zeros = _normalised(m, self.integer)
        exponent = Const(self.format.bias + bits - 1) - zeros
        m.d.comb += self.number.eq(_packed(m, Const(0, 1), exponent, leading, ~leading[-1], self.format))
        return m


def widened(word: Value, source: FloatFormat, target: FloatFormat) -> Value:
    """Word of a number in a format that holds every number of its own."""
    fraction, exponent, sign = word[: source.fraction_bits], word[source.fraction_bits : -1], word[-1]
    room = Const(0, target.fraction_bits - source.fraction_bits)
    moved = Mux(exponent == 0, 0, exponent + (target.bias - source.bias))[: target.exponent_bits]
    return Cat(room, fraction, moved if target.exponent_bits > source.exponent_bits else exponent, sign)


def _fields(word: Value, format: FloatFormat) -> tuple[Value, Value, Value]:
    """Sign, exponent, and fraction below its leading one; the last is 0 for zero."""
    fraction, exponent, sign = word[: format.fraction_bits], word[format.fraction_bits : -1], word[-1]
    some = exponent.any()
    return sign, exponent, Cat(fraction & some.replicate(len(fraction)), some)


def _packed(m: Module, sign: Value, exponent: Value, leading: Value, zero: Value, format: FloatFormat) -> Value:
    """Word of 1.f * 2**exponent, biased, for a `leading` that begins with a one: rounded, and kept in range."""
    fraction = Cat(Const(0, format.fraction_bits + 2), leading[:-1])
    dropped = len(fraction) - format.fraction_bits
    kept, guard, rest = fraction[dropped:], fraction[dropped - 1], fraction[: dropped - 1]
    # Rounding up a fraction of ones carries into the exponent, and leaves a fraction of zeros: as it should.
    wide = Signal(signed(format.exponent_bits + 3))
    rounded = Signal(signed(format.fraction_bits + len(wide)))
    m.d.comb += [wide.eq(exponent), rounded.eq(Cat(kept, wide).as_signed() + (guard & (rest.any() | kept[0])))]
    final = rounded[format.fraction_bits :].as_signed()
    above = final >= (1 << format.exponent_bits)
    word = rounded[: format.bits - 1] | above.replicate(format.bits - 1)
    # Exponent 0 is zero: the fraction may stay.
    there = ~(zero | (final < 1))
    kept, exponent = word[: format.fraction_bits], word[format.fraction_bits :]
    return Cat(kept, exponent & there.replicate(format.exponent_bits), sign)


def _shift_right_sticky(m: Module, value: Value, distance: Value) -> Value:
    """Value shifted right; its lowest bit is 1 if any that left it was."""
    for place, bit in enumerate(distance):
        step = min(1 << place, len(value))
        lost = value[: step + 1].any()
        shifted = Cat(lost, value[step + 1 :], Const(0, step))[: len(value)]
        register = Signal(len(value), name=f"aligned_{place}")
        m.d.comb += register.eq(Mux(bit, shifted, value))
        value = register
    return value


def _normalised(m: Module, value: Value) -> tuple[Value, Value]:
    """Value shifted left until it begins with a one, and how far; a zero stays one."""
    zeros: list[Value] = []
    for place in reversed(range((len(value) - 1).bit_length())):
        step = 1 << place
        empty = ~value[-step:].any()
        register = Signal(len(value), name=f"normalised_{place}")
        m.d.comb += register.eq(Mux(empty, value << step, value))
        value = register
        zeros.insert(0, empty)
    return value, Cat(zeros)
