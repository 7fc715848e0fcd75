# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Encoders and multiply-accumulate lanes that are compared, each with its check."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from ...hdl.encoder import ShiftCore
from ...model.codebook import Codebook
from ...model.projection import ProjectionFormat
from ..area import Mapped, netlist_codes, simulate_netlist
from ..liberty import Library
from .compare import Contender
from .encoders import Structure, argonne, octave_case, table
from .float_mac import IntegerToFloat
from .floating import PRODUCT, TOTAL, WEIGHT, FloatFormat
from .mac_lane import Arithmetic, FixedPoint, FloatingPoint, Lane, ShiftSaturate, Step, as_signed
from .nearest_sqrt import NearestSqrt

PIXELS = 192 * 168
"""Of the detector of Rasheedi et al.: what a total must hold."""

PIXEL_BITS = 12
"""Of its counts."""

VECTORS = 20_000
"""Inputs that a netlist too wide for all of them is checked with."""

CLOCKS = 300
"""Inputs that RTL with registers is checked with."""

WIDE_TOTAL = FloatFormat(5, 11)
"""The other FP17: a bit of fraction for one of exponent."""


class Registered(wiring.Component):
    """A combinational encoder between registers. Latency 2 clocks, and its core's."""

    def __init__(self, core: Any) -> None:
        self.core = core
        self.latency = 2 + getattr(core, "latency", 0)
        super().__init__({"count": In(len(core.count)), "code": Out(len(core.code))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self.core
        m.d.sync += [core.count.eq(self.count), self.code.eq(core.code)]
        return m


class BlockTable(wiring.Component):
    """The codebook in block memory, with the register behind it. Latency 2 clocks."""

    latency = 2

    def __init__(self, codebook: Codebook) -> None:
        self.codebook = codebook
        super().__init__({"count": In(codebook.count_bits), "code": Out(codebook.code_bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        codes = self.codebook.table.tolist()
        memory = Memory(shape=self.codebook.code_bits, depth=len(codes), init=codes, attrs={"ram_style": "block"})
        m.submodules.memory = memory
        port = memory.read_port()
        m.d.comb += port.addr.eq(self.count)
        m.d.sync += self.code.eq(port.data)
        return m


def encoders(library: Library, count_bits: int = 14) -> list[Contender]:
    """Encoder cores: ours, and peers whose codes are as long and no better in error and in added noise.

    On the ECP5 each stands between registers.
    """
    narrow = min(count_bits, 10)
    b, a = Codebook.named("sqrt-b", count_bits), Codebook.named("sqrt-a", count_bits)
    a_10, argonne_10 = Codebook.named("sqrt-a", narrow), Codebook.named("argonne-10to7", narrow)
    rows = []

    def add(
        name: str, book: Codebook, core: Callable[[], Any] | None, against: str | None = None, clocked: Any = None
    ) -> None:
        midpoint = book.figures().decoding["midpoint"]
        rows.append(
            Contender(
                name=name,
                against=against,
                gates=core,
                wrong_gates=partial(_wrong_codes, book=book, library=library),
                clocked=clocked or (lambda: Registered(core())),
                wrong_clocked=partial(_wrong_clocked_codes, book=book),
                facts={
                    "codebook": book.name,
                    "count_bits": book.count_bits,
                    "code_bits": book.code_bits,
                    "max_error": midpoint.max_error,
                    "added_noise": midpoint.inflation_mean,
                },
            )
        )

    ours_b, ours_a, ours_10 = (f"ours, {name}" for name in ("sqrt-b", "sqrt-a", f"sqrt-a, {narrow} bits"))
    add(ours_b, b, lambda: ShiftCore(b))
    add("plain casez", b, lambda: Structure(b, octave_case), ours_b)
    add("table as logic", b, lambda: Structure(b, table), ours_b)
    add("table in block memory", b, None, ours_b, lambda: BlockTable(b))
    for scale, against in ((1, ours_b), (2, ours_a)):
        if against == ours_a:
            add(ours_a, a, lambda: ShiftCore(a))
        book = NearestSqrt.codebook(count_bits, scale)
        add(f"nearest sqrt, scale {scale}", book, partial(NearestSqrt, count_bits, scale), against)
        add(
            f"nearest sqrt, scale {scale}, pipelined",
            book,
            None,
            against,
            lambda scale=scale: Registered(NearestSqrt(count_bits, scale, pipelined=True)),
        )
    add(ours_10, a_10, lambda: ShiftCore(a_10))
    add("Argonne's 10 to 7, plain", argonne_10, lambda: Structure(argonne_10, argonne), ours_10)
    add("Argonne's 10 to 7, table", argonne_10, lambda: Structure(argonne_10, table), ours_10)
    return rows


def lanes(library: Library, pixels: int = PIXELS) -> list[Contender]:
    """Multiply-accumulate lanes, a product a clock, and what is needed beside them once a pixel or once a component."""
    codes = ProjectionFormat(pixels=pixels, components=1, input_bits=8)
    counts = ProjectionFormat(pixels=pixels, components=1, input_bits=14)
    ours = "ours, 8 x 8 bits"
    rows = [
        _lane(ours, None, FixedPoint(codes), library),
        _lane("ours, 14 x 8 bits", None, FixedPoint(counts), library),
    ]
    for total in (TOTAL, WIDE_TOTAL):
        rows.append(_lane(f"{WEIGHT}, {PRODUCT}, {total}", ours, FloatingPoint(WEIGHT, PRODUCT, total), library))

    def wrong_shift(mapped: Mapped) -> int:
        rng = np.random.default_rng(3)
        bits = codes.accumulator_format.bits
        total, shift = rng.integers(0, 1 << bits, VECTORS), rng.integers(0, codes.largest_shift + 1, VECTORS)
        found = simulate_netlist(mapped.netlist, library, {"total": total, "shift": shift})["coefficient"]
        expected, _ = codes.output_format.saturate(as_signed(total, bits) >> shift)
        return int(np.count_nonzero(as_signed(found, codes.output_bits) != expected))

    def wrong_number(mapped: Mapped) -> int:
        integers = np.arange(1 << PIXEL_BITS)
        found = simulate_netlist(mapped.netlist, library, {"integer": integers})["number"]
        return int(np.count_nonzero(PRODUCT.decode(found) != PRODUCT.round(integers)))

    rows.append(
        Contender(
            name="ours, once a component: shift, saturation",
            gates=partial(ShiftSaturate, codes),
            wrong_gates=wrong_shift,
        )
    )
    rows.append(
        Contender(
            name=f"theirs, once a pixel: {PIXEL_BITS} bits to {PRODUCT}",
            gates=partial(IntegerToFloat, PIXEL_BITS, PRODUCT),
            wrong_gates=wrong_number,
        )
    )
    return rows


def _lane(name: str, against: str | None, arithmetic: Arithmetic, library: Library) -> Contender:
    return Contender(
        name=name,
        against=against,
        gates=partial(Step, arithmetic),
        wrong_gates=partial(_wrong_step, arithmetic=arithmetic, library=library),
        flip_flops=sum(arithmetic.widths.values()),
        clocked=partial(Lane, arithmetic),
        wrong_clocked=_wrong_sums,
    )


def _wrong_codes(mapped: Mapped, book: Codebook, library: Library) -> int:
    return int(np.count_nonzero(netlist_codes(mapped, library, book.count_bits) != book.table))


def _wrong_step(mapped: Mapped, arithmetic: Arithmetic, library: Library) -> int:
    inputs = arithmetic.inputs(VECTORS, seed=1)
    found = simulate_netlist(mapped.netlist, library, inputs)
    right = [arithmetic.same(name, found[name], words) for name, words in arithmetic.expected(inputs).items()]
    return int(np.count_nonzero(~np.array(right)))


def _wrong_clocked_codes(component: Any, book: Codebook) -> int:
    edges = book.edge_array
    counts = np.random.default_rng(4).permutation(np.r_[edges[:-1], edges[1:] - 1])[:CLOCKS]
    counts = np.minimum(counts, edges[-1] - 1)
    codes = _clocked(component, [{"count": count} for count in counts.tolist()], "code", component.latency)
    return int(np.count_nonzero(codes != book.encode(counts)))


def _wrong_sums(lane: Lane) -> int:
    numbers = lane.arithmetic
    inputs = numbers.inputs(CLOCKS, seed=5)
    inputs["first"] = (np.arange(CLOCKS) % 37 == 0).astype(np.int64)
    total, expected = np.zeros(1, np.int64), []
    for k in range(CLOCKS):
        operands = {name: inputs[name][k : k + 1] for name in ("value", "weight", "first")}
        product = numbers.expected({**operands, "product": total, "total": total})["next_product"]
        total = numbers.expected({**operands, "product": product, "total": total})["next_total"]
        expected.append(int(total[0]))
    stimulus = [{name: int(inputs[name][k]) for name in ("value", "weight", "first")} for k in range(CLOCKS)]
    found = _clocked(lane, stimulus, "total", lane.latency)
    return int(np.count_nonzero(~numbers.same("next_total", found, np.array(expected))))


def _clocked(component: Any, stimulus: list[dict[str, int]], output: str, latency: int) -> Any:
    """Output so many clocks after each stimulus, one a clock, by Amaranth's simulator."""
    found = []

    async def bench(ctx: Any) -> None:
        for k in range(len(stimulus) + latency):
            for name, value in stimulus[min(k, len(stimulus) - 1)].items():
                ctx.set(getattr(component, name), value)
            if k >= latency:
                found.append(ctx.get(getattr(component, output)))
            await ctx.tick()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return np.array(found, np.int64)
