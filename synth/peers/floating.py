# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Small floating-point numbers: the specification that the gates of `float_mac` are compared with."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_DOUBLE_FRACTION = 52


@dataclass(frozen=True)
class FloatFormat:
    """A sign, an exponent and a fraction, from the highest bit to the lowest: (-1)**s * 2**(e - bias) * 1.f.

    Exponent 0 stands for zero, whatever its sign and fraction: there are no subnormal numbers. All other exponents
    stand for numbers: there is no infinity and no NaN. A result is rounded to the nearest, halves to even, as if
    exponents had no end; one below the smallest number is zero then, one above the largest is the largest. This is the
    least logic that rounds as IEEE 754 does.

    Parameters
    ----------
    exponent_bits : int
        2 to 8.
    fraction_bits : int
        1 to 23.

    Raises
    ------
    ValueError
        For a width out of range.
    """

    exponent_bits: int
    fraction_bits: int

    def __post_init__(self) -> None:
        for name, low, high in (("exponent_bits", 2, 8), ("fraction_bits", 1, 23)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")

    def __str__(self) -> str:
        return f"FP{self.bits} (1-{self.exponent_bits}-{self.fraction_bits})"

    @property
    def bits(self) -> int:
        """Width."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """What is taken from an exponent."""
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def smallest(self) -> float:
        """Smallest number above zero."""
        return 2.0 ** (1 - self.bias)

    @property
    def largest(self) -> float:
        """Largest number."""
        return (2 - 2.0**-self.fraction_bits) * 2.0 ** ((1 << self.exponent_bits) - 1 - self.bias)

    def round(self, values: ArrayLike) -> NDArray[np.float64]:
        """Numbers of the format nearest to double-precision values.

        Sums and products of two numbers of up to 25 significant bits may be taken in double precision first: products
        are exact there, and a sum rounded to 53 bits and then to p rounds as it would at once if 53 >= 2 p + 2
        (Figueroa, ACM SIGNUM Newsletter 30, 21, 1995).
        """
        bits = np.array(values, np.float64).view(np.int64)
        dropped = _DOUBLE_FRACTION - self.fraction_bits
        bits += ((bits >> dropped) & 1) + ((1 << (dropped - 1)) - 1)
        bits &= -1 << dropped
        rounded = bits.view(np.float64)
        np.clip(rounded, -self.largest, self.largest, out=rounded)
        rounded[np.abs(rounded) < self.smallest] = 0
        return rounded

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Words of numbers, rounded; zero is the word 0."""
        values = np.atleast_1d(self.round(values))
        fraction, exponent = np.frexp(np.abs(values))
        field = np.ldexp(fraction, self.fraction_bits + 1).astype(np.int64) - (1 << self.fraction_bits)
        words = (np.signbit(values).astype(np.int64) << (self.bits - 1)) | field
        words |= (exponent.astype(np.int64) - 1 + self.bias) << self.fraction_bits
        return np.where(values == 0, 0, words)

    def decode(self, words: ArrayLike) -> NDArray[np.float64]:
        """Numbers that words stand for."""
        words = np.asarray(words, np.int64)
        exponent = (words >> self.fraction_bits) & ((1 << self.exponent_bits) - 1)
        fraction = (words & ((1 << self.fraction_bits) - 1)) | (1 << self.fraction_bits)
        sign = 1 - 2 * (words >> (self.bits - 1) & 1)
        values = np.ldexp((sign * fraction).astype(np.float64), exponent - self.bias - self.fraction_bits)
        return np.where(exponent == 0, 0.0, values)


WEIGHT = FloatFormat(5, 6)
PRODUCT = FloatFormat(5, 10)
TOTAL = FloatFormat(6, 10)
"""FP12, FP16 and FP17 of Rasheedi et al.

Their fields are our choice: we could read the widths alone. FP16 is that of IEEE 754. FP12 has its exponent, so that a
weight is a product's upper bits. FP17 spends its bit on the exponent: sums of 192 x 168 counts of 12 bits exceed the
131008 that an exponent of five bits ends at.
"""


def accumulate(
    weights: NDArray[np.float64],
    pixels: NDArray[np.integer],
    *,
    product: FloatFormat = PRODUCT,
    total: FloatFormat = TOTAL,
) -> NDArray[np.float64]:
    """Sums of products, one pixel after the other, as a lane computes them.

    Parameters
    ----------
    weights
        Numbers of the weights' format, (S', N).
    pixels
        Counts or codes (J, N), rounded to the products' format first.
    product, total
        Formats of a product and of a sum.

    Returns
    -------
    float64 (J, S').
    """
    values = product.round(pixels)
    sums = np.zeros((len(values), len(weights)))
    for value, weight in zip(values.T, weights.T, strict=True):
        lit = np.flatnonzero(value)  # a product with zero leaves its sum as it is
        sums[lit] = total.round(sums[lit] + product.round(value[lit, None] * weight))
    return sums
