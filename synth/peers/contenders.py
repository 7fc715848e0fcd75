# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Encoders and multiply-accumulate lanes that are compared, each with its check."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
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

FIXED = ((8, 8), (14, 8), (14, 12))
"""Bits of a value and of a weight of our lanes: codes, counts, counts with finer weights."""

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


def encoders(library: Library, count_bits: int = 14) -> list[Contender]:
    """Encoder cores: ours, and peers whose codes are as long and no better in error and in added noise.

    On the ECP5 each stands between registers; of a table yosys makes block memory there.
    """
    narrow = min(count_bits, 10)
    b, a = Codebook.named("sqrt-b", count_bits), Codebook.named("sqrt-a", count_bits)
    near_a, argonne_book = Codebook.named("sqrt-a", narrow), Codebook.named("argonne-10to7", narrow)
    rows = []

    def add(name: str, book: Codebook, core: Callable[[], Any], *against: str, pipelined: bool = False) -> str:
        midpoint = book.figures().decoding["midpoint"]
        facts = {
            "codebook": book.name,
            "count_bits": book.count_bits,
            "code_bits": book.code_bits,
            "max_error": midpoint.max_error,
            "added_noise": midpoint.inflation_mean,
        }
        rows.append(
            Contender(
                name=name,
                against=against,
                gates=None if pipelined else core,
                wrong_gates=partial(_wrong_codes, book=book, library=library),
                clocked=lambda: Registered(core()),
                wrong_clocked=partial(_wrong_clocked_codes, book=book),
                facts=facts,
            )
        )
        return name

    def add_roots(scale: int, against: str) -> None:
        for pipelined in (False, True):
            core = partial(NearestSqrt, count_bits, scale, pipelined=pipelined)
            name = f"nearest sqrt, scale {scale}{', pipelined' if pipelined else ''}"
            add(name, NearestSqrt.codebook(count_bits, scale), core, against, pipelined=pipelined)

    ours = add("ours, sqrt-b", b, partial(ShiftCore, b))
    add("plain casez", b, partial(Structure, b, octave_case), ours)
    add("table", b, partial(Structure, b, table), ours)
    add_roots(1, ours)
    ours = add("ours, sqrt-a", a, partial(ShiftCore, a))
    add_roots(2, ours)
    ours = add(f"ours, sqrt-a of {narrow} bits", near_a, partial(ShiftCore, near_a))
    add("Argonne's 10 to 7, plain", argonne_book, partial(Structure, argonne_book, argonne), ours)
    add("Argonne's 10 to 7, table", argonne_book, partial(Structure, argonne_book, table), ours)
    return rows


def lanes(library: Library, pixels: int = PIXELS) -> list[Contender]:
    """Multiply-accumulate lanes, a product a clock, and what is needed beside them once a pixel or once a component."""
    rows = []
    for value_bits, weight_bits in FIXED:
        size = ProjectionFormat(pixels=pixels, components=1, input_bits=value_bits, weight_bits=weight_bits)
        rows.append(_lane(f"ours, {value_bits} x {weight_bits} bits", (), FixedPoint(size), library))
    ours = tuple(row.name for row in rows)
    for total in (TOTAL, WIDE_TOTAL):
        rows.append(_lane(f"{WEIGHT}, {PRODUCT}, {total}", ours, FloatingPoint(WEIGHT, PRODUCT, total), library))

    codes = ProjectionFormat(pixels=pixels, components=1, input_bits=8)

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


def _lane(name: str, against: tuple[str, ...], arithmetic: Arithmetic, library: Library) -> Contender:
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
