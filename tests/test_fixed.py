# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ptychopress.model.fixed import LARGEST_SHIFT, ROUNDINGS, SQ, UQ, Format, Rounding, convert, round_shift

SMALL = [Format(i, f, s) for s in (False, True) for i in range(5) for f in range(4) if i + f >= 1 and i >= s]


def nearest(value: Fraction, rounding: Rounding) -> int:
    """Rounding as the words say it."""
    if rounding == "truncate":
        return floor(value)
    below = floor(value)
    if value - below != Fraction(1, 2):
        return below + (value - below > Fraction(1, 2))
    return below + 1 if rounding == "half_up" else below + below % 2


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_small_number_by_every_shift(rounding: Rounding) -> None:
    raw = np.arange(-256, 256)
    for shift in range(11):
        expected = [nearest(Fraction(int(r), 1 << shift), rounding) for r in raw]
        np.testing.assert_array_equal(round_shift(raw, shift, rounding), expected)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@given(raw=st.integers(-(2**63), 2**63 - 1), shift=st.integers(0, LARGEST_SHIFT))
def test_the_whole_range_of_int64(rounding: Rounding, raw: int, shift: int) -> None:
    for value in (raw, 2**63 - 1, -(2**63)):
        assert int(round_shift(value, shift, rounding)) == nearest(Fraction(value, 1 << shift), rounding)


def test_a_shift_for_each_column() -> None:
    raw = np.array([[5, 5, 5], [-5, -5, -5]])
    np.testing.assert_array_equal(round_shift(raw, [0, 1, 2]), [[5, 3, 1], [-5, -2, -1]])


def test_pythons_round_is_another_thing() -> None:
    assert round_shift(5, 1) == 3 != round(2.5)


@pytest.mark.parametrize("source", SMALL, ids=str)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_number_of_every_small_format_in_every_other(source: Format, rounding: Rounding) -> None:
    raw = np.arange(source.minimum, source.maximum + 1)
    for target in SMALL:
        values, saturated = convert(raw, source, target, rounding)
        for r, v, s in zip(raw.tolist(), values.tolist(), saturated.tolist(), strict=True):
            exact = nearest(Fraction(r, 1 << source.f_bits) * (1 << target.f_bits), rounding)
            assert v == min(max(exact, target.minimum), target.maximum)
            assert s == (not target.minimum <= exact <= target.maximum)


@pytest.mark.parametrize("entry", SMALL, ids=str)
def test_range_of_a_format(entry: Format) -> None:
    # All bit patterns, read as the sign says.
    patterns = [p - (entry.signed and p >> (entry.bits - 1)) * (1 << entry.bits) for p in range(1 << entry.bits)]
    assert (entry.minimum, entry.maximum) == (min(patterns), max(patterns))
    assert entry.step == 2.0**-entry.f_bits
    assert entry.holds(patterns) and not entry.holds([entry.maximum + 1]) and not entry.holds([entry.minimum - 1])


@given(st.integers(-(2**40), 2**40), st.integers(-(2**40), 2**40))
def test_holding_is_the_smallest(a: int, b: int) -> None:
    low, high = sorted((a, b))
    entry = Format.holding(low, high)
    assert entry.holds([low, high])
    assert entry.bits == 1 or not Format(entry.bits - 1).holds([low, high])
    if low >= 0:
        unsigned = Format.holding(low, high, signed=False)
        assert unsigned.holds([low, high])
        assert unsigned.bits == 1 or not UQ(unsigned.bits - 1).holds([low, high])


def test_names() -> None:
    assert (str(SQ(3, 5)), str(UQ(8))) == ("SQ(3, 5)", "UQ(8, 0)")
    assert SQ(3, 5) == Format(3, 5) and UQ(8) == Format(8, 0, False)
    assert SQ(8).holds(np.zeros(0, np.uint8))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Format(0, 4), ValueError, "i_bits must be 1 or more in a signed format"),
        (lambda: Format(-1, 4), ValueError, "i_bits must be a whole number, 0 or more, got -1"),
        (lambda: Format(4, True), ValueError, "f_bits must be a whole number"),
        (lambda: UQ(0), ValueError, "1 to 63 bits, got 0"),
        (lambda: SQ(60, 4), ValueError, "1 to 63 bits, got 64"),
        (lambda: Format.holding(-1, 1, signed=False), ValueError, "no unsigned format holds -1 to 1"),
        (lambda: Format.holding(2, 1), ValueError, "no signed format holds 2 to 1"),
        (lambda: round_shift(1, 63), ValueError, "shift must lie from 0 to 62"),
        (lambda: round_shift(1, -1), ValueError, "shift must lie from 0 to 62"),
        (lambda: round_shift(1, 1, "up"), ValueError, "unknown rounding 'up'"),
        (lambda: round_shift(1.5, 1), TypeError, "expected integers of at most 63 bits, got float64"),
        (lambda: round_shift(np.uint64(1), 1), TypeError, "got uint64"),
        (lambda: convert([300], UQ(8), UQ(4)), ValueError, r"numbers from 300 to 300: UQ\(8, 0\) holds 0 to 255"),
        (lambda: convert([1], SQ(60), SQ(1, 4)), ValueError, "takes more than 63 bits"),
    ],
)
def test_wrong_use_is_refused(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_widest_format_has_63_bits() -> None:
    assert SQ(63).maximum == (1 << 62) - 1
