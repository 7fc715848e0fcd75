# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Single error correcting, double error detecting codes, after M. Y. Hsiao, IBM J. Res. Dev. 14 (1970), 395.

A parity-check matrix whose columns all differ and all have an odd number of ones gives distance 4: one wrong bit has
its own column as syndrome, two have the sum of two columns, which is not 0 and has an even number of ones: no column.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LARGEST = 512
"""Data bits of a code word at most."""


@dataclass(frozen=True)
class Secded:
    """Golden model of a SECDED code: the data, lowest bit first, and above it the check bits.

    Columns of check bits have a single one. Those of data bits have as few as there are columns for, and among the
    columns of as many ones each next is one whose rows hold the fewest so far: no parity is taken over many more bits
    than another.

    Parameters
    ----------
    data_bits : int
        1 to `LARGEST`.

    Raises
    ------
    ValueError
        For a width out of range.
    """

    data_bits: int

    def __post_init__(self) -> None:
        if type(self.data_bits) is not int or not 1 <= self.data_bits <= LARGEST:
            raise ValueError(f"data_bits must be a whole number from 1 to {LARGEST}, got {self.data_bits!r}")

    @cached_property
    def check_bits(self) -> int:
        """The fewest that leave a column for every data bit: 2**(check_bits - 1) have an odd number of ones."""
        bits = 2
        while (1 << (bits - 1)) - bits < self.data_bits:
            bits += 1
        return bits

    @property
    def word_bits(self) -> int:
        """Of data and check bits."""
        return self.data_bits + self.check_bits

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """Parity-check matrix: the column of each bit of a word, row r in bit r."""
        return (*_data_columns(self.data_bits, self.check_bits), *(1 << r for r in range(self.check_bits)))

    @cached_property
    def matrix(self) -> NDArray[np.uint8]:
        """Parity-check matrix, (check_bits, word_bits)."""
        return (np.array(self.columns) >> np.arange(self.check_bits)[:, None] & 1).astype(np.uint8)

    def word(self, data: int) -> int:
        """Code word of a data word, as whole numbers."""
        check = 0
        for bit, column in enumerate(self.columns[: self.data_bits]):
            check ^= column if data >> bit & 1 else 0
        return data | check << self.data_bits

    def encode(self, data: ArrayLike) -> NDArray[np.uint8]:
        """Code words of data words.

        Parameters
        ----------
        data : array_like of int
            Bits, (..., data_bits).

        Returns
        -------
        numpy.ndarray
            uint8 (..., word_bits).

        Raises
        ------
        ValueError
            For a wrong number of bits, or bits that are neither 0 nor 1.
        """
        data = self._bits(data, self.data_bits)
        return np.concatenate([data, self._parities(data)], axis=-1)

    def decode(self, words: ArrayLike) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.bool_]]:
        """Data words of code words that may have been damaged.

        Parameters
        ----------
        words : array_like of int
            Bits, (..., word_bits).

        Returns
        -------
        data : numpy.ndarray
            uint8 (..., data_bits); as it is in the word where that is uncorrectable.
        corrected : numpy.ndarray
            bool (...): one bit was wrong, of the data or of the check bits.
        uncorrectable : numpy.ndarray
            bool (...): two were. Three or more may be taken for one.

        Raises
        ------
        ValueError
            As for `encode`.
        """
        words = self._bits(words, self.word_bits)
        syndrome = self._parities(words).astype(np.int64) @ (1 << np.arange(self.check_bits))
        wrong = self._positions[syndrome]
        flip = wrong[..., None] == np.arange(self.data_bits)
        return words[..., : self.data_bits] ^ flip, wrong >= 0, (syndrome != 0) & (wrong < 0)

    @cached_property
    def _positions(self) -> NDArray[np.int64]:
        """Bit that each syndrome points to, -1 if to none."""
        positions = np.full(1 << self.check_bits, -1)
        positions[list(self.columns)] = np.arange(self.word_bits)
        return positions

    def _parities(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Parity of the bits that each row of the matrix picks, (..., check_bits)."""
        # A sum modulo 256 has the parity of the sum.
        return bits @ self.matrix[:, : bits.shape[-1]].T & np.uint8(1)

    def _bits(self, values: ArrayLike, count: int) -> NDArray[np.uint8]:
        bits = np.asarray(values)
        if bits.ndim == 0 or bits.shape[-1] != count:
            raise ValueError(f"words of shape {bits.shape}: expected {count} bits in the last axis")
        if not np.isin(bits, (0, 1)).all():
            raise ValueError("words have values that are neither 0 nor 1: expected bits")
        return bits.astype(np.uint8)


@cache
def _data_columns(data_bits: int, check_bits: int) -> tuple[int, ...]:
    """Columns of the data bits."""
    rows, columns = [0] * check_bits, []
    ones = 3
    while len(columns) < data_bits:
        left = list(combinations(range(check_bits), ones))
        while left and len(columns) < data_bits:
            best = min(left, key=lambda chosen: (max(rows[r] for r in chosen), sum(rows[r] for r in chosen)))
            left.remove(best)
            columns.append(sum(1 << r for r in best))
            for r in best:
                rows[r] += 1
        ones += 2
    return tuple(columns)
