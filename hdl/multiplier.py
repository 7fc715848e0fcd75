# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Multipliers: what a projector is handed, so that each target brings its own."""

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiplier(wiring.Component):
    """Product of a value and a weight, for any target: synthesis infers what it has.

    A product a clock, never stalled. The registers, of operands and product, have no reset.

    Parameters
    ----------
    value_bits : int
        Of the unsigned value.
    weight_bits : int
        Of the signed weight.

    Members
    -------
    value : In(value_bits)
    weight : In(signed(weight_bits))
    product : Out(signed(value_bits + weight_bits))
        That of the operands `latency` clocks before.
    """

    latency = 2

    def __init__(self, value_bits: int, weight_bits: int) -> None:
        self.value_bits = value_bits
        self.weight_bits = weight_bits
        super().__init__(
            {
                "value": In(value_bits),
                "weight": In(signed(weight_bits)),
                "product": Out(signed(value_bits + weight_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        value = Signal.like(self.value, reset_less=True)
        weight = Signal.like(self.weight, reset_less=True)
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += [value.eq(self.value), weight.eq(self.weight), product.eq(value * weight)]
        m.d.comb += self.product.eq(product)
        return m
