# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Fixed-point operations in gates: what `ptychopress.model.fixed` computes, on Amaranth values.

All of it is combinational, for values of any width and sign, and by constants that are known when the block is built.
"""

from amaranth.hdl import Cat, Const, Mux, Shape, Value, ValueLike

from ..model.fixed import ROUNDINGS, Format, Rounding


def shape_of(format: Format) -> Shape:
    """Shape of a raw integer of a format."""
    return Shape(format.bits, format.signed)


def round_shift(value: ValueLike, shift: int, rounding: Rounding = "half_up") -> Value:
    """Value divided by 2**shift and rounded, as wide as it takes: nothing overflows.

    Area: none to truncate, an incrementer to round.

    Parameters
    ----------
    value : ValueLike
    shift : int
        0 or more; beyond the width of the value too.
    rounding : {"truncate", "half_up", "half_even"}

    Raises
    ------
    ValueError
        For a negative shift or an unknown rounding.
    """
    if rounding not in ROUNDINGS:
        raise ValueError(f"unknown rounding {rounding!r}: known are {', '.join(ROUNDINGS)}")
    if type(shift) is not int or shift < 0:
        raise ValueError(f"shift must be a whole number, 0 or more, got {shift!r}")
    value = Value.cast(value)
    floor = value.shift_right(shift)
    if rounding == "truncate" or not shift:
        return floor
    bits = Cat(value, _sign(value).replicate(shift + 1))
    half, rest, odd = bits[shift - 1], bits[: shift - 1].any(), bits[shift]
    return floor + (half if rounding == "half_up" else half & (rest | odd))


def saturate(value: ValueLike, format: Format) -> tuple[Value, Value]:
    """Value as a raw integer of a format, the nearest in range, and whether it was out of range.

    Parameters
    ----------
    value : ValueLike
    format : Format

    Returns
    -------
    value : Value
        In the shape of `format`.
    saturated : Value
        One bit.
    """
    value = Value.cast(value)
    sign = _sign(value)
    # In range, all bits above the format's magnitude are its sign.
    magnitude = format.bits - format.signed
    bits = Cat(value, sign.replicate(max(1, magnitude - len(value) + 1)))
    above = bits[magnitude:]
    saturated = (above ^ sign.replicate(len(above))).any() if format.signed else above.any()
    nearest = Mux(saturated, ~sign.replicate(magnitude), bits[:magnitude])
    return (Cat(nearest, sign).as_signed() if format.signed else nearest), saturated


def _sign(value: Value) -> Value:
    """Whether a value is negative, one bit."""
    return value[-1] if value.shape().signed else Const(0, 1)
