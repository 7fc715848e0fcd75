# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Rice coding after CCSDS 121.0-B: frames of codes in, the streams that libaec and HDF5's SZIP filter read out."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SEGMENT = 64
"""Blocks of a segment: no run of zero blocks goes beyond its end."""
LARGEST_INTERVAL = 128
"""Blocks of a reference sample interval that HDF5's SZIP filter takes at most."""

_BATCH = 1 << 18


@dataclass(frozen=True, kw_only=True)
class RiceFormat:
    """What a stream depends on, and the encoder.

    A stream is one frame, row by row, without the preprocessor: blocks of J codes, each coded in the shortest of the
    ways that the standard has, which an identifier of `id_bits` names:

    - zero block: a run of blocks that are all 0, by its length as a fundamental sequence (n zeros, then a one);
    - second extension: the two codes a, b of each pair as one fundamental sequence of (a + b) (a + b + 1) / 2 + b;
    - split: all but the k low bits of each code as fundamental sequences, then the k low bits of each; k from 0 to
      `largest_split`;
    - uncompressed.

    A run ends with its segment of 64 blocks, and with its interval of `interval` blocks. The first bit of the stream
    is the highest of its first byte; 0 bits fill up the last byte.

    Of splits of the same length the one nearest to that of the block before is taken, at first the lowest; of options
    the second extension before a split, and uncompressed before a split. That is what libaec does: `encode` gives its
    bytes.

    Parameters
    ----------
    width : int
        Pixels of a row.
    code_bits : int
        Of a code, 1 to 16.
    block : int
        J, codes of a block: 8, 16 or 32, a divisor of the width.

    Raises
    ------
    ValueError
        One line that names the field, the value and what would be accepted.

    References
    ----------
    CCSDS 121.0-B-3, Lossless Data Compression (2020).
    """

    width: int
    code_bits: int = 8
    block: int = 8

    def __post_init__(self) -> None:
        if type(self.code_bits) is not int or not 1 <= self.code_bits <= 16:
            raise ValueError(f"code_bits: {self.code_bits!r}, expected a whole number from 1 to 16")
        if self.block not in (8, 16, 32):
            raise ValueError(f"block: {self.block!r}, expected 8, 16 or 32")
        if type(self.width) is not int or self.width < 1 or self.width % self.block:
            raise ValueError(f"width: {self.width!r}, expected a multiple of the block {self.block}")

    @property
    def sample_bits(self) -> int:
        """Bits of a code in the standard's sense, and in memory: 8 or 16."""
        return 8 if self.code_bits <= 8 else 16

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of frames in memory and in HDF5."""
        return np.dtype("u1" if self.sample_bits == 8 else "<u2")

    @property
    def id_bits(self) -> int:
        """Bits of an identifier."""
        return 3 if self.sample_bits == 8 else 4

    @property
    def largest_split(self) -> int:
        """Largest k: the identifiers are 0 for low entropy, k + 1, and all ones for uncompressed."""
        return (1 << self.id_bits) - 3

    @property
    def interval(self) -> int:
        """Blocks of a reference sample interval: those of a row, but not more than HDF5's SZIP filter takes."""
        return min(self.width // self.block, LARGEST_INTERVAL)

    @property
    def block_bits(self) -> int:
        """Bits of a block that is not 0, at most: split with all but its highest bit a code costs one bit more."""
        return self.id_bits + self.block * min(self.sample_bits, self.code_bits + 1)

    @property
    def run_bits(self) -> int:
        """Bits of a run of zero blocks, at most."""
        # To its segment's end, the fundamental sequence is 4; before, from 5 blocks on, it is their number.
        longest = max(min(self.interval, SEGMENT) - 1, 4)
        return self.id_bits + 1 + longest + 1

    def encode(self, frames: ArrayLike) -> list[bytes]:
        """Streams of frames.

        Parameters
        ----------
        frames : array_like of int, shape (frames, height, width)
            Codes below 2**code_bits.

        Raises
        ------
        TypeError
            If they are no integers.
        ValueError
            If the shape or a code does not fit.
        """
        codes = np.asarray(frames)
        if codes.dtype.kind not in "iu":
            raise TypeError(f"frames: {codes.dtype}, expected integers")
        if codes.ndim != 3 or not codes.size or codes.shape[2] != self.width:
            raise ValueError(f"frames: shape {codes.shape}, expected (frames, height, {self.width})")
        if codes.min() < 0 or codes.max() >> self.code_bits:
            raise ValueError(f"frames: codes {codes.min()} to {codes.max()}, expected 0 to {(1 << self.code_bits) - 1}")
        batch = max(1, _BATCH // codes[0].size)
        return [
            stream
            for begin in range(0, len(codes), batch)
            for stream in self._encode(codes[begin : begin + batch].astype(self.dtype, copy=False))
        ]

    def _encode(self, frames: NDArray[Any]) -> list[bytes]:
        """Streams of a batch of frames."""
        size, id_bits = self.block, self.id_bits
        shape = (len(frames), frames[0].size // size)
        # Places in the stream of codes are sums over those before in the block: sample by sample, all blocks at once.
        codes = np.ascontiguousarray(frames.reshape(-1, size).T)
        splits = np.arange(min(self.largest_split, int(codes.max()).bit_length()) + 1, dtype=np.int32)
        sums = np.stack([np.add.reduce(codes >> k, axis=0, dtype=np.int32) for k in splits.tolist()])
        lengths = sums + size * (splits + 1)[:, None]

        # Lengths fall with k, then rise: where the fall ends, and where the rise begins.
        zero = sums[0] == 0
        least = lengths.min(axis=0)
        steps = np.diff(lengths, axis=0)
        low, high = (steps < 0).sum(axis=0, dtype=np.int8), (steps <= 0).sum(axis=0, dtype=np.int8)
        # A zero block leaves k as it was.
        low[zero], high[zero] = 0, len(splits) - 1
        split = _nearest(low.reshape(shape), high.reshape(shape)).ravel()

        whole = ~zero & (least >= size * self.sample_bits)
        # With a sum of J or more the second extension is longer than the fundamental sequences of the codes alone.
        paired = np.flatnonzero(~zero & (sums[0] < size))
        pairs = _pairs(codes[:, paired])
        extended = 1 + (pairs + 1).sum(axis=0, dtype=np.int32)
        taken = extended <= least[paired]
        paired, pairs = paired[taken], pairs[:, taken]

        # Bits of each block, and where its first is; frames begin with a byte.
        runs, ends = self._runs(zero.reshape(shape))
        bits = id_bits + np.minimum(least, size * self.sample_bits)
        bits[paired] = id_bits + extended[taken]
        bits[zero] = np.where(ends, id_bits + 1 + runs + 1, 0)[zero.reshape(shape)]
        stops = np.cumsum(bits.reshape(shape), axis=1)
        octets = (stops[:, -1] + 7) // 8
        stop_octets = np.cumsum(octets)
        first_bits = 8 * (stop_octets - octets)
        begins = (first_bits[:, None] + stops).ravel() - bits

        stream = np.zeros(8 * int(stop_octets[-1]), np.uint8)
        identifier = split + 1
        identifier[whole] = (1 << id_bits) - 1
        identifier[paired] = identifier[zero] = 0
        coded = np.flatnonzero(bits)
        for bit in range(id_bits):
            stream[begins[coded] + bit] = identifier[coded] >> (id_bits - 1 - bit) & 1
        inside = begins + id_bits
        stream[inside[paired]] = 1
        stream[inside[paired] + np.cumsum(pairs + 1, axis=0)] = 1
        ended = np.flatnonzero(ends)
        stream[inside[ended] + 1 + runs.ravel()[ended]] = 1

        split[identifier == 0] = -1
        split[whole] = self.sample_bits
        for k in (*splits.tolist(), self.sample_bits):
            chosen = np.flatnonzero(split == k)
            some, place = codes[:, chosen], inside[chosen]
            if k < self.sample_bits:
                stream[place - 1 + np.cumsum((some >> k) + np.intp(1), axis=0)] = 1
                place = place + sums[k, chosen] + size
            for bit in range(k):
                stream[place + (k * np.arange(size) + bit)[:, None]] = some >> (k - 1 - bit) & 1
        packed = np.packbits(stream).tobytes()
        limits = [0, *stop_octets.tolist()]
        return [packed[begin:end] for begin, end in pairwise(limits)]

    def _runs(self, zero: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Fundamental sequence of the run of zero blocks up to each block, and whether it ends there."""
        place = np.arange(zero.shape[1])
        in_segment = place % self.interval % SEGMENT
        boundary = np.append(in_segment[1:] == 0, True)
        begin = np.maximum.accumulate(np.where(zero, place - in_segment, place + 1), axis=1)
        run = place + 1 - begin
        following = np.zeros_like(zero)
        following[:, :-1] = zero[:, 1:]
        # From 5 blocks on the value 4 is left out: it says that the rest of the segment is 0.
        sequence = np.where(run <= 4, run - 1, np.where(boundary, 4, run))
        return sequence, zero & (boundary | ~following)


def _pairs(codes: NDArray[Any]) -> NDArray[np.intp]:
    """Second extension of the codes (J, blocks): one number a pair."""
    second = codes[1::2].astype(np.intp)
    both = codes[::2] + second
    return both * (both + 1) // 2 + second


def _nearest(low: NDArray[np.int8], high: NDArray[np.int8]) -> NDArray[np.int8]:
    """Of each block's range (frames, blocks) the value nearest to that of the block before; at first the lowest.

    The nearest value is a clip, and clips one behind another are again one: those of 1, 2, 4, ... blocks are put
    together until none leaves a choice.
    """
    low, high = low.copy(), high.copy()
    high[:, 0] = low[:, 0]
    step = 1
    while (low < high).any():
        floor, ceiling = low[:, step:].copy(), high[:, step:].copy()
        low[:, step:] = np.clip(low[:, :-step], floor, ceiling)
        high[:, step:] = np.clip(high[:, :-step], floor, ceiling)
        step *= 2
    return low
