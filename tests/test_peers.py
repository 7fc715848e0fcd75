# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import ProjectionFormat
from ptychopress.synth.area import SCRIPTS, map_component, simulate_netlist
from ptychopress.synth.ecp5 import Placed
from ptychopress.synth.liberty import YOSYS_GATES
from ptychopress.synth.peers import compare, contenders, float_mac, nearest_sqrt
from ptychopress.synth.peers.compare import Contender, Figures, flip_flop_equivalents, measure, ratios
from ptychopress.synth.peers.contenders import Registered
from ptychopress.synth.peers.float_mac import FloatAdder, FloatMultiplier, IntegerToFloat
from ptychopress.synth.peers.floating import PRODUCT, TOTAL, WEIGHT, FloatFormat, accumulate
from ptychopress.synth.peers.mac_lane import Arithmetic, FixedPoint, FloatingPoint, Step
from ptychopress.synth.peers.nearest_sqrt import NearestSqrt

FEW = {"map": SCRIPTS["map"]}
TINY, OTHER = FloatFormat(3, 2), FloatFormat(4, 3)


def numbers(format: FloatFormat) -> dict[float, int]:
    """All numbers of a format by their definition, with their fractions."""
    found = {0.0: 0}
    for exponent in range(1, 1 << format.exponent_bits):
        for fraction in range(1 << format.fraction_bits):
            value = (1 + fraction / (1 << format.fraction_bits)) * 2.0 ** (exponent - format.bias)
            found |= {value: fraction, -value: fraction}
    return found


def nearest(format: FloatFormat, value: float) -> float:
    """The nearest number, of two the one with the even fraction, with exponents that have no end below."""
    known = numbers(FloatFormat(format.exponent_bits + 1, format.fraction_bits))
    best = min(known, key=lambda x: (abs(x - value), known[x] & 1))
    if abs(best) < format.smallest:
        return 0.0
    return float(np.clip(best, -format.largest, format.largest))


def outputs(component: Any, **inputs: Any) -> dict[str, Any]:
    """Outputs of a component's netlist."""
    (mapped,) = map_component(component, scripts=FEW)
    return simulate_netlist(mapped.netlist, YOSYS_GATES, inputs)


def pairs(a: FloatFormat, b: FloatFormat) -> tuple[Any, Any]:
    first, second = np.meshgrid(np.arange(1 << a.bits), np.arange(1 << b.bits))
    return first.ravel(), second.ravel()


def test_rounding_finds_the_nearest_number() -> None:
    values = np.arange(-1300, 1301) / 64
    np.testing.assert_array_equal(TINY.round(values), [nearest(TINY, value) for value in values])


@pytest.mark.parametrize("format", [TINY, OTHER, WEIGHT, TOTAL])
def test_words_stand_for_the_numbers_of_the_definition(format: FloatFormat) -> None:
    words = np.arange(1 << format.bits)
    values = format.decode(words)
    assert set(values.tolist()) == set(numbers(format))
    assert np.abs(values).max() == format.largest and np.abs(values[values != 0]).min() == format.smallest
    again = format.encode(values)
    np.testing.assert_array_equal(again[values != 0], words[values != 0])
    assert not again[values == 0].any()


@pytest.mark.parametrize("operation", [np.multiply, np.add])
def test_half_precision_is_that_of_numpy(operation: Any) -> None:
    rng = np.random.default_rng(1)
    raw = rng.integers(0, 1 << 16, (2, 200_000)).astype(np.uint16)
    a, b = raw.view(np.float16)
    with np.errstate(all="ignore"):
        expected = operation(a, b)
        # The formats coincide where neither infinity, NaN nor a subnormal number comes in.
        same = np.all([np.isfinite(x) & (np.abs(x) >= 2.0**-14) for x in (a, b, expected)], axis=0)
    assert same.sum() > 50_000
    found = PRODUCT.round(operation(*PRODUCT.decode(raw)))
    np.testing.assert_array_equal(found[same], expected[same].astype(np.float64))


def test_sums_are_taken_pixel_by_pixel_as_numpy_does() -> None:
    rng = np.random.default_rng(2)
    weights = WEIGHT.round(rng.normal(size=(3, 40)))
    pixels = rng.integers(0, 200, (5, 40)) * (rng.random((5, 40)) < 0.7)
    expected = np.zeros((5, 3), np.float16)
    for n in range(40):
        expected += pixels[:, n : n + 1].astype(np.float16) * weights[:, n].astype(np.float16)
    found = accumulate(weights, pixels, total=FloatFormat(5, 10))
    np.testing.assert_array_equal(found, expected.astype(np.float64))


def test_a_longer_fraction_is_nearer() -> None:
    rng = np.random.default_rng(3)
    weights, pixels = WEIGHT.round(rng.normal(size=(2, 300))), rng.integers(0, 256, (20, 300))
    exact = pixels @ weights.T
    errors = [np.abs(accumulate(weights, pixels, total=FloatFormat(6, bits)) - exact).max() for bits in (8, 10, 12)]
    assert errors[0] > errors[1] > errors[2] > 0


@pytest.mark.parametrize(("a", "b", "product"), [(TINY, OTHER, TINY), (TINY, TINY, OTHER)])
def test_every_product(a: FloatFormat, b: FloatFormat, product: FloatFormat) -> None:
    first, second = pairs(a, b)
    found = outputs(FloatMultiplier(a, b, product), a=first, b=second)["product"]
    np.testing.assert_array_equal(product.decode(found), product.round(a.decode(first) * b.decode(second)))


def test_every_sum() -> None:
    format = FloatFormat(4, 2)
    first, second = pairs(format, format)
    found = outputs(FloatAdder(format), a=first, b=second)["total"]
    np.testing.assert_array_equal(format.decode(found), format.round(format.decode(first) + format.decode(second)))


@pytest.mark.parametrize(("bits", "format"), [(9, TINY), (6, PRODUCT)])
def test_every_integer(bits: int, format: FloatFormat) -> None:
    integers = np.arange(1 << bits)
    found = outputs(IntegerToFloat(bits, format), integer=integers)["number"]
    np.testing.assert_array_equal(format.decode(found), format.round(integers))


@pytest.mark.parametrize("wrong", [{"exponent_bits": 1}, {"exponent_bits": 9}, {"fraction_bits": 0}])
def test_what_is_no_format_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number from"):
        FloatFormat(**{"exponent_bits": 5, "fraction_bits": 10} | wrong)


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (7, 3)])
def test_roots_are_the_codebook(bits: int, scale: int) -> None:
    book = Codebook.named("nearest-sqrt", bits, scale=scale)
    codes = outputs(NearestSqrt(bits, scale), count=np.arange(1 << bits))["code"]
    np.testing.assert_array_equal(codes, book.table)
    pipelined = partial(NearestSqrt, bits, scale, pipelined=True)
    assert contenders._wrong_clocked_codes(Registered(pipelined()), book) == 0


def test_a_wrong_latency_shows() -> None:
    early = Registered(NearestSqrt(6, pipelined=True))
    early.latency -= 1
    assert contenders._wrong_clocked_codes(early, NearestSqrt.codebook(6, 1)) > 0


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("scale", [0, 17, 1.5])
def test_a_scale_that_is_no_small_integer_is_refused(scale: Any) -> None:
    with pytest.raises(ValueError, match="scale must be a whole number from 1 to 16"):
        NearestSqrt(8, scale)


SIZE = ProjectionFormat(pixels=8, components=1, input_bits=3, weight_bits=3)
FLOATING = FloatingPoint(TINY, TINY, OTHER)


def lane(arithmetic: Arithmetic) -> Contender:
    return contenders._lane("lane", (), arithmetic, YOSYS_GATES)


def test_a_lane_is_right_and_its_registers_count() -> None:
    figures = measure(lane(FLOATING), YOSYS_GATES, FEW, ())
    assert figures.wrong == 0 and figures.script == "map" and figures.luts is None
    bare = Contender(name="step", gates=lambda: Step(FLOATING), wrong_gates=lambda _: 0)
    # A flip-flop has 16 transistors, a NAND 4.
    assert flip_flop_equivalents(YOSYS_GATES, FEW) == 4
    logic = measure(bare, YOSYS_GATES, FEW, ()).gate_equivalents or 0
    assert figures.gate_equivalents == logic + 4 * sum(FLOATING.widths.values())


def wrong_outputs(contender: Contender) -> tuple[int, int]:
    """Of its netlist, and of its RTL with registers."""
    assert contender.gates and contender.wrong_gates and contender.clocked and contender.wrong_clocked
    (mapped,) = map_component(contender.gates(), scripts=FEW)
    return contender.wrong_gates(mapped), contender.wrong_clocked(contender.clocked())


def without_sticky(m: Any, value: Any, distance: Any) -> Any:
    return value >> distance


packed = float_mac._packed


def unrounded(m: Any, sign: Any, exponent: Any, leading: Any, zero: Any, format: FloatFormat) -> Any:
    # Without what rounding looks at.
    return packed(m, sign, exponent, leading & -(1 << (len(leading) - 1 - format.fraction_bits)), zero, format)


def not_widened(word: Any, source: FloatFormat, target: FloatFormat) -> Any:
    return word


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("_shift_right_sticky", without_sticky), ("_packed", unrounded), ("widened", not_widened)],
)
def test_a_wrong_floating_point_lane_shows(name: str, wrong: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.synth.peers import mac_lane

    monkeypatch.setattr(mac_lane if name == "widened" else float_mac, name, wrong)
    assert min(wrong_outputs(lane(FLOATING))) > 0


class Unsigned(FixedPoint):
    """Takes weights for unsigned."""

    def logic(self, m: Any, step: Any) -> None:
        m.d.comb += [
            step.next_product.eq(step.value * step.weight),
            step.next_total.eq(step.total.as_signed() + step.product.as_signed()),
        ]


def test_a_wrong_fixed_point_lane_shows() -> None:
    assert wrong_outputs(lane(FixedPoint(SIZE))) == (0, 0)
    assert min(wrong_outputs(lane(Unsigned(SIZE)))) > 0


def test_a_wrong_root_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest_sqrt, "_select", lambda bit, one, other: other)
    rows = {row.name: row for row in contenders.encoders(YOSYS_GATES, 6)}
    assert min(wrong_outputs(rows["nearest sqrt, scale 1"])) > 0


def test_peers_are_no_better_than_what_they_are_compared_with() -> None:
    rows = {row.name: row for row in contenders.encoders(YOSYS_GATES, 10)}
    compared = [(rows[name], row) for row in rows.values() for name in row.against]
    assert len(compared) == 8
    for ours, theirs in compared:
        for fact in ("code_bits", "max_error", "added_noise"):
            assert ours.facts[fact] <= theirs.facts[fact], (ours.name, theirs.name, fact)
        assert ours.facts["count_bits"] == theirs.facts["count_bits"]


def test_ratios_are_ours_over_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = Placed(
        fmax={1: 100.0, 2: 120.0, 3: 300.0},
        lut4=30,
        carry=4,
        memory=0,
        flip_flops=20,
        dsp=0,
        block_ram=0,
        critical_path="",
    )
    asked = []

    def place(component: Any, seeds: Any) -> Placed:
        rtlil.convert(component)
        asked.append(seeds)
        return placed

    monkeypatch.setattr(compare, "place_and_route", place)
    book = Codebook.named("sqrt-b", 4)
    contender = Contender(
        name="ours",
        clocked=lambda: Registered(NearestSqrt(4)),
        wrong_clocked=partial(contenders._wrong_clocked_codes, book=NearestSqrt.codebook(4, 1)),
    )
    ours = measure(contender, YOSYS_GATES, FEW, (1, 2, 3))
    assert asked == [(1, 2, 3)] and (ours.wrong, ours.luts, ours.mhz, ours.gate_equivalents) == (0, 30, 120.0, None)
    theirs = Figures("theirs", ("ours",), luts=60, flip_flops=10, dsp=0, mhz=60.0, gate_equivalents=5.0)
    assert ratios(ours, theirs) == {"luts": 0.5, "flip_flops": 2.0, "mhz": 2.0}
    assert contenders._wrong_clocked_codes(Registered(NearestSqrt(4)), book) > 0


@pytest.mark.slow
def test_everything_that_is_compared_is_right() -> None:
    rows = [*contenders.encoders(YOSYS_GATES, 12), *contenders.lanes(YOSYS_GATES)]
    assert len({row.name for row in rows}) == len(rows) == 17
    for row in rows:
        assert measure(row, YOSYS_GATES, FEW, ()).wrong == 0, row.name
