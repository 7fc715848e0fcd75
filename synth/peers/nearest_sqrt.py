# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Code = round(scale * sqrt(N)), computed: an integer square root, one bit after the other."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...model.codebook import Codebook


class NearestSqrt(wiring.Component):
    """Nearest integer to scale * sqrt(count), as high-level synthesis makes it of a loop over the bits of the root.

    Each round takes two bits of the radicand scale**2 * count and finds one bit of its root r by one trial
    subtraction; what remains is rest = radicand - r**2. The nearest integer is r + 1 exactly if rest > r, for
    (r + 1/2)**2 = r**2 + r + 1/4 and the radicand is an integer. No table, no multiplier but that by the constant.

    Latency: 0, or with `pipelined` one clock for each bit of the root, 1 count a clock; there is no stall.

    Parameters
    ----------
    count_bits : int
    scale : int
        1 to 16.
    pipelined : bool
        A register behind each round, as synthesis for a high clock rate puts them.

    Members
    -------
    count : In(count_bits)
    code : Out

    Raises
    ------
    ValueError
        For a scale that is no integer in range.
    """

    def __init__(self, count_bits: int, scale: int = 1, *, pipelined: bool = False) -> None:
        if type(scale) is not int or not 1 <= scale <= 16:
            raise ValueError(f"scale must be a whole number from 1 to 16, got {scale!r}")
        self.scale = scale
        self.pipelined = pipelined
        self.radicand_bits = (scale**2 * ((1 << count_bits) - 1)).bit_length()
        super().__init__({"count": In(count_bits), "code": Out(self.codebook(count_bits, scale).code_bits)})

    @staticmethod
    def codebook(count_bits: int, scale: int) -> Codebook:
        """Golden model: what the unit computes."""
        return Codebook.named("nearest-sqrt", count_bits, scale=scale)

    @property
    def latency(self) -> int:
        """Clocks from a count to its code."""
        return -(-self.radicand_bits // 2) if self.pipelined else 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rounds = -(-self.radicand_bits // 2)
        radicand = Signal(2 * rounds)
        m.d.comb += radicand.eq(self.count * self.scale**2)
        root: Value = Const(0, 0)
        rest: Value = Const(0, 0)
        coming: Value = radicand
        for _ in range(rounds):
            # (2r + 1)**2 = 4r**2 + 4r + 1: the next bit is 1 if that much more is left.
            left, trial = Cat(coming[-2:], rest), Cat(Const(1, 2), root)
            difference = left - trial
            bit = ~difference[-1]
            # The rest is at most twice the root: a bit more than the root has.
            root_next = Signal(len(root) + 1)
            rest_next = Signal(len(root) + 2)
            coming_next = Signal(len(coming) - 2)
            domain = m.d.sync if self.pipelined else m.d.comb
            domain += [
                root_next.eq(Cat(bit, root)),
                rest_next.eq(_select(bit, difference, left)),
                coming_next.eq(coming[:-2]),
            ]
            root, rest, coming = root_next, rest_next, coming_next
        m.d.comb += self.code.eq(root + (rest > root))
        return m


def _select(bit: Value, one: Value, other: Value) -> Value:
    width = max(len(one), len(other))
    return (one & bit.replicate(width)) | (other & (~bit).replicate(width))
