# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.sim import Simulator
from ptychopress.hdl import fixed as rtl
from ptychopress.model import fixed as model
from ptychopress.model.fixed import ROUNDINGS, SQ, UQ, Format, Rounding

WIDTHS = (1, 2, 3, 6)
FORMATS = [SQ(1), SQ(2), SQ(4), SQ(2, 1), SQ(9), UQ(1), UQ(3), UQ(0, 2), UQ(6), UQ(8)]
SHAPES = [Shape(width, signed) for width in WIDTHS for signed in (False, True)]


def evaluate(shape: Shape, build: Callable[[Value], list[Value]]) -> tuple[np.ndarray, np.ndarray]:
    """All values of a shape, and what each built value is for them, (values, results)."""
    source = Signal(shape)
    results = [Value.cast(value) for value in build(source)]
    probes = [Signal(value.shape()) for value in results]
    m = Module()
    m.d.comb += [probe.eq(value) for probe, value in zip(probes, results, strict=True)]
    first = -(1 << (shape.width - 1)) if shape.signed else 0
    values = np.arange(first, first + (1 << shape.width))
    seen = np.empty((len(values), len(probes)), np.int64)

    async def bench(ctx: Any) -> None:
        for row, value in enumerate(values):
            ctx.set(source, int(value))
            seen[row] = [ctx.get(probe) for probe in probes]

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return values, seen


def check_rounding(shape: Shape, rounding: Rounding) -> None:
    shifts = range(shape.width + 3)
    values, seen = evaluate(shape, lambda value: [rtl.round_shift(value, shift, rounding) for shift in shifts])
    np.testing.assert_array_equal(seen, model.round_shift(values[:, None], np.array(shifts), rounding))


def check_saturation(shape: Shape, format: Format) -> None:
    values, seen = evaluate(shape, lambda value: list(rtl.saturate(value, format)))
    nearest, saturated = model.Format.saturate(format, values)
    np.testing.assert_array_equal(seen, np.stack([nearest, saturated], axis=1))


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_every_value_and_shift_rounds_as_the_model(shape: Shape, rounding: Rounding) -> None:
    check_rounding(shape, rounding)


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=repr)
def test_every_value_saturates_as_the_model(shape: Shape, format: Format) -> None:
    check_saturation(shape, format)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_shapes_hold_the_format(format: Format) -> None:
    shape = rtl.shape_of(format)
    assert (shape.width, shape.signed) == (format.bits, format.signed)
    value, saturated = rtl.saturate(Signal(12), format)
    assert (value.shape(), saturated.shape()) == (shape, Shape(1))


def test_halves_go_where_their_names_say() -> None:
    halves = [-3, -1, 1, 3]  # -1.5, -0.5, 0.5, 1.5
    expected = {"truncate": [-2, -1, 0, 1], "half_up": [-1, 0, 1, 2], "half_even": [-2, 0, 0, 2]}
    for rounding in ROUNDINGS:
        values, seen = evaluate(Shape(3, True), lambda value, how=rounding: [rtl.round_shift(value, 1, how)])
        assert seen[np.searchsorted(values, halves), 0].tolist() == expected[rounding]


@pytest.mark.parametrize(
    "fault",
    [
        lambda value, shift, rounding: right_rounding(value, shift, "truncate"),
        lambda value, shift, rounding: right_rounding(value, max(shift - 1, 0), rounding),
        lambda value, shift, rounding: right_rounding(value, shift, "half_up"),
        lambda value, shift, rounding: right_rounding(value, shift, rounding)[: len(value)],
    ],
    ids=["truncated", "one bit less", "halves up", "sign lost"],
)
def test_a_wrong_rounding_is_caught(fault: Callable[..., Value], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl, "round_shift", fault)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_rounding(Shape(6, True), "half_even")


right_rounding = rtl.round_shift
right_saturation = rtl.saturate


@pytest.mark.parametrize(
    "fault",
    [
        lambda value, format: (value[: format.bits].as_signed(), right_saturation(value, format)[1]),
        lambda value, format: (right_saturation(value, format)[0], value[format.bits :].any()),
        lambda value, format: right_saturation(value, SQ(format.bits - 1)),
    ],
    ids=["wraps", "flags what is negative", "one bit less"],
)
def test_a_wrong_saturation_is_caught(fault: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl, "saturate", fault)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_saturation(Shape(6, True), SQ(4))


@pytest.mark.parametrize(
    ("shift", "rounding", "message"),
    [
        (-1, "half_up", "shift must be a whole number, 0 or more, got -1"),
        (1.5, "half_up", "got 1.5"),
        (1, "nearest", "unknown rounding 'nearest'"),
    ],
)
def test_bad_arguments_are_refused(shift: Any, rounding: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rtl.round_shift(Signal(4), shift, rounding)
