# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Fixed-point numbers: formats, rounding, saturation. Integers only.

A number is a raw integer and a format; its value is raw * 2**-f_bits. Formats are named as in Amaranth's RFC 41:
``SQ(i_bits, f_bits)`` signed, ``UQ(i_bits, f_bits)`` unsigned; `i_bits` includes the sign. The RTL of the same
operations is `ptychopress.hdl.fixed`.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Rounding = Literal["truncate", "half_up", "half_even"]
"""To the next lower step; to the nearest, halves up; to the nearest, halves to the even neighbour."""

ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)

LARGEST_SHIFT = 62
"""Largest right shift: beyond, nothing is left of an int64 but its sign."""


@dataclass(frozen=True)
class Format:
    """A number format.

    Parameters
    ----------
    i_bits : int
        Bits before the binary point, the sign among them; 0 or more, at least 1 if signed.
    f_bits : int
        Bits behind the binary point, 0 or more.
    signed : bool

    Raises
    ------
    ValueError
        For a width below 1 or above 63, or a negative number of bits.
    """

    i_bits: int
    f_bits: int = 0
    signed: bool = True

    def __post_init__(self) -> None:
        for name in ("i_bits", "f_bits"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} must be a whole number, 0 or more, got {value!r}")
        if self.signed and self.i_bits < 1:
            raise ValueError(
                f"i_bits must be 1 or more in a signed format, whose sign it includes, got {self.i_bits!r}"
            )
        if not 1 <= self.bits <= 63:
            raise ValueError(f"a format must have 1 to 63 bits, got {self.bits!r}")

    @classmethod
    def holding(cls, minimum: int, maximum: int, *, signed: bool = True) -> Self:
        """Smallest format without fraction for all integers from `minimum` to `maximum`."""
        if minimum > maximum or (minimum < 0 and not signed):
            raise ValueError(f"no {'signed' if signed else 'unsigned'} format holds {minimum!r} to {maximum!r}")
        # ~x = -x - 1: a negative number needs the bits of its complement, and the sign.
        bits = max(maximum, ~minimum if minimum < 0 else 0).bit_length()
        return cls(bits + 1 if signed else max(bits, 1), 0, signed)

    @property
    def bits(self) -> int:
        """Width."""
        return self.i_bits + self.f_bits

    @property
    def minimum(self) -> int:
        """Smallest raw integer."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest raw integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def step(self) -> float:
        """Value of raw 1."""
        return 2.0**-self.f_bits

    def __str__(self) -> str:
        return f"{'SQ' if self.signed else 'UQ'}({self.i_bits}, {self.f_bits})"

    def holds(self, raw: ArrayLike) -> bool:
        """Whether all raw integers are in range."""
        raw = _integers(raw)
        return not raw.size or bool(int(raw.min()) >= self.minimum and int(raw.max()) <= self.maximum)

    def saturate(self, raw: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Raw integers, the nearest in range for those that are not, and which those are.

        Parameters
        ----------
        raw : array_like of int
            Any shape.

        Returns
        -------
        values : numpy.ndarray
            int64, the shape of `raw`.
        saturated : numpy.ndarray
            bool, the shape of `raw`.
        """
        raw = _integers(raw)
        values = np.clip(raw, self.minimum, self.maximum)
        return values, values != raw


def SQ(i_bits: int, f_bits: int = 0) -> Format:  # noqa: N802, the name of RFC 41
    """Signed format."""
    return Format(i_bits, f_bits, True)


def UQ(i_bits: int, f_bits: int = 0) -> Format:  # noqa: N802, the name of RFC 41
    """Unsigned format."""
    return Format(i_bits, f_bits, False)


def round_shift(raw: ArrayLike, shift: ArrayLike, rounding: Rounding = "half_up") -> NDArray[np.int64]:
    """Raw integers divided by 2**shift and rounded.

    Parameters
    ----------
    raw : array_like of int
        Any shape; int64's whole range.
    shift : array_like of int
        0 to 62, broadcast to the shape of `raw`.
    rounding : {"truncate", "half_up", "half_even"}

    Returns
    -------
    numpy.ndarray
        int64. Nothing overflows on the way.

    Raises
    ------
    TypeError
        If `raw` or `shift` are not integers.
    ValueError
        For a shift out of range or an unknown rounding.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"unknown rounding {rounding!r}: known are {', '.join(ROUNDINGS)}")
    raw, shift = _integers(raw), _integers(shift)
    if shift.size and not (shift.min() >= 0 and shift.max() <= LARGEST_SHIFT):
        raise ValueError(f"shift must lie from 0 to {LARGEST_SHIFT}, got {shift.min()} to {shift.max()}")
    floor = raw >> shift
    if rounding == "truncate":
        return floor
    # The highest of the bits that are dropped; shifting by nothing drops none.
    below = np.maximum(shift - 1, 0)
    half = (raw >> below) & np.where(shift > 0, 1, 0)
    if rounding == "half_up":
        return floor + half
    rest = raw & ((np.int64(1) << below) - 1)
    return floor + (half & ((rest != 0) | floor & 1))


def convert(
    raw: ArrayLike, source: Format, target: Format, rounding: Rounding = "half_up"
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Numbers of one format in another: rounded to its step, saturated to its range.

    Returns
    -------
    values : numpy.ndarray
        Raw integers of `target`, int64, the shape of `raw`.
    saturated : numpy.ndarray
        bool, where the value lay outside the target's range.

    Raises
    ------
    ValueError
        If a number is none of `source`, or the finer step would take more than 63 bits.
    """
    raw = _integers(raw)
    if not source.holds(raw):
        raise ValueError(
            f"numbers from {raw.min()} to {raw.max()}: {source} holds {source.minimum} to {source.maximum}"
        )
    finer = target.f_bits - source.f_bits
    if finer <= 0:
        return target.saturate(round_shift(raw, -finer, rounding))
    if source.bits + finer > 63:
        raise ValueError(f"{source} with the step of {target} takes more than 63 bits")
    return target.saturate(raw << finer)


def _integers(values: Any) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise TypeError(f"expected integers of at most 63 bits, got {array.dtype}")
    return array.astype(np.int64, copy=False)
