# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A lane that multiplies and accumulates, a product a clock: the projector's fixed-point one and a floating-point one.

Both have the same registers: operands, product, total. What is between them is one combinational `Step`, so that its
netlist can be compared with its golden model, input by input; `Lane` puts the registers around it.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ...hdl.fixed import saturate
from ...model.projection import ProjectionFormat
from .float_mac import FloatAdder, FloatMultiplier, widened
from .floating import FloatFormat

Words = NDArray[np.int64]


class Arithmetic(ABC):
    """Numbers of a lane: the logic of its step, and the golden model of it.

    Parameters
    ----------
    value, weight, product, total : int
        Widths of the registers.
    """

    def __init__(self, value: int, weight: int, product: int, total: int) -> None:
        self.widths = {"value": value, "weight": weight, "product": product, "total": total}

    @abstractmethod
    def logic(self, m: Module, step: "Step") -> None:
        """Drive the outputs of a step."""

    @abstractmethod
    def expected(self, inputs: dict[str, Words]) -> dict[str, Words]:
        """Words of both outputs for words of all inputs."""

    def same(self, name: str, words: Words, expected: Words) -> NDArray[np.bool_]:
        """Whether words of an output stand for the numbers expected."""
        return words == expected

    def inputs(self, count: int, seed: int) -> dict[str, Words]:
        """Words of all inputs to check with: all zeros, all ones, and random ones."""
        rng = np.random.default_rng(seed)
        words = {name: rng.integers(0, 1 << width, count) for name, width in self.widths.items()}
        for name, width in self.widths.items():
            words[name][:2] = 0, (1 << width) - 1
        return words | {"first": rng.integers(0, 2, count)}


class FixedPoint(Arithmetic):
    """As the projector of one lane and one column has it: an exact product, an exact sum."""

    def __init__(self, format: ProjectionFormat) -> None:
        product = format.input_bits + format.weight_bits
        super().__init__(format.input_bits, format.weight_bits, product, format.accumulator_format.bits)

    def logic(self, m: Module, step: "Step") -> None:
        """Drive the outputs of a step."""
        m.d.comb += [
            step.next_product.eq(step.value * step.weight.as_signed()),
            step.next_total.eq(Mux(step.first, 0, step.total.as_signed()) + step.product.as_signed()),
        ]

    def expected(self, inputs: dict[str, Words]) -> dict[str, Words]:
        """Words of both outputs for words of all inputs."""
        weight, product, total = (as_signed(inputs[name], self.widths[name]) for name in ("weight", "product", "total"))
        exact = {
            "next_product": inputs["value"] * weight,
            "next_total": np.where(inputs["first"] == 1, 0, total) + product,
        }
        return {name: words & ((1 << self.widths[name.removeprefix("next_")]) - 1) for name, words in exact.items()}


class FloatingPoint(Arithmetic):
    """A floating-point product, rounded, and a floating-point sum, rounded.

    Parameters
    ----------
    weight, product, total : FloatFormat
        The value has the product's format.
    """

    def __init__(self, weight: FloatFormat, product: FloatFormat, total: FloatFormat) -> None:
        self.weight, self.product, self.total = weight, product, total
        super().__init__(product.bits, weight.bits, product.bits, total.bits)

    def logic(self, m: Module, step: "Step") -> None:
        """Drive the outputs of a step."""
        m.submodules.multiplier = multiplier = FloatMultiplier(self.product, self.weight, self.product)
        m.submodules.adder = adder = FloatAdder(self.total)
        m.d.comb += [
            multiplier.a.eq(step.value),
            multiplier.b.eq(step.weight),
            step.next_product.eq(multiplier.product),
            adder.a.eq(Mux(step.first, 0, step.total)),
            adder.b.eq(widened(step.product, self.product, self.total)),
            step.next_total.eq(adder.total),
        ]

    def expected(self, inputs: dict[str, Words]) -> dict[str, Words]:
        """Words of both outputs for words of all inputs."""
        product, total = self.product, self.total
        so_far = np.where(inputs["first"] == 1, 0, total.decode(inputs["total"]))
        return {
            "next_product": product.encode(product.decode(inputs["value"]) * self.weight.decode(inputs["weight"])),
            "next_total": total.encode(so_far + product.decode(inputs["product"])),
        }

    def same(self, name: str, words: Words, expected: Words) -> NDArray[np.bool_]:
        """Whether they are the same numbers: there are many words for zero."""
        format = self.product if name == "next_product" else self.total
        return format.decode(words) == format.decode(expected)

    def inputs(self, count: int, seed: int) -> dict[str, Words]:
        """Words of all inputs; in half of them the sum's terms are near each other, where a difference loses bits."""
        words = super().inputs(count, seed)
        rng = np.random.default_rng(seed + 1)
        near = self.total.encode(self.product.decode(words["product"])) ^ (1 << (self.total.bits - 1))
        near += rng.integers(-3, 4, count) + (rng.integers(-3, 4, count) << self.total.fraction_bits)
        near &= (1 << self.total.bits) - 1
        words["total"] = np.where(rng.random(count) < 0.5, near, words["total"])
        return words


class Step(wiring.Component):
    """What a lane computes in a clock: a product of operands, and the product before added to the total so far.

    Members
    -------
    value, weight, product, total : In
        Contents of the registers. `total` counts as 0 if `first`.
    first : In(1)
    next_product, next_total : Out
    """

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        widths = arithmetic.widths
        super().__init__(
            {name: In(width) for name, width in widths.items()}
            | {"first": In(1), "next_product": Out(widths["product"]), "next_total": Out(widths["total"])}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self.arithmetic.logic(m, self)
        return m


class Lane(wiring.Component):
    """A step with its registers; `first` goes with the operands of a sum's first product.

    Latency 3 clocks from operands to the total that holds their product. It never stalls.

    Members
    -------
    value, weight, first : In
    total : Out
    """

    latency = 3

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        widths = arithmetic.widths
        super().__init__(
            {
                "value": In(widths["value"]),
                "weight": In(widths["weight"]),
                "first": In(1),
                "total": Out(widths["total"]),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.step = step = Step(self.arithmetic)
        registers = {name: Signal(width, name=name, reset_less=True) for name, width in self.arithmetic.widths.items()}
        first = Signal(2)
        m.d.comb += [getattr(step, name).eq(register) for name, register in registers.items()]
        m.d.comb += [step.first.eq(first[1]), self.total.eq(registers["total"])]
        m.d.sync += [
            registers["value"].eq(self.value),
            registers["weight"].eq(self.weight),
            first.eq((first << 1) | self.first),
            registers["product"].eq(step.next_product),
            registers["total"].eq(step.next_total),
        ]
        return m


class ShiftSaturate(wiring.Component):
    """What a fixed-point total goes through once a frame: the right shift of its component, and saturation.

    Members
    -------
    total : In(signed)
    shift : In
    coefficient : Out(signed)
    """

    def __init__(self, format: ProjectionFormat) -> None:
        self.format = format
        super().__init__(
            {
                "total": In(signed(format.accumulator_format.bits)),
                "shift": In(format.largest_shift.bit_length()),
                "coefficient": Out(signed(format.output_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.coefficient.eq(saturate(self.total >> self.shift, self.format.output_format)[0])
        return m


def as_signed(words: Words, bits: int) -> Words:
    """Numbers of words in two's complement."""
    return words - ((words >> (bits - 1) & 1) << bits)
