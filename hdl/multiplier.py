# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Multipliers: what a projector is handed, so that each target brings its own."""

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, signed
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


class Ecp5Multiplier(Multiplier):
    """Product of a value and a weight in a MULT18X18D of a Lattice ECP5, with the registers inside it.

    As `Multiplier`, one clock later, for a value of up to 17 bits and a weight of up to 18. Synthesis would leave the
    registers outside: twice the flip-flops, and two thirds of the clock rate.
    """

    latency = 3

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        value, weight = Signal(signed(18)), Signal(signed(18))
        m.d.comb += [value.eq(self.value), weight.eq(self.weight)]
        ports = {f"i_A{k}": value[k] for k in range(18)} | {f"i_B{k}": weight[k] for k in range(18)}
        ports |= {f"i_C{k}": Const(0, 1) for k in range(18)}
        ports |= {f"o_P{k}": bit for k, bit in enumerate(self.product)}
        registers = {f"p_REG_{name}_CLK": "CLK0" for name in ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")}
        m.submodules.dsp = Instance(
            "MULT18X18D",
            p_GSR="DISABLED",
            **registers,
            i_CLK0=ClockSignal(),
            i_CE0=Const(1),
            i_RST0=Const(0, 1),
            i_SIGNEDA=Const(1),
            i_SIGNEDB=Const(1),
            i_SOURCEA=Const(0, 1),
            i_SOURCEB=Const(0, 1),
            **ports,
        )
        return m
