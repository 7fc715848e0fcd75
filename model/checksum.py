# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Checksums of what files hold."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def frame_crc32(frames: NDArray[Any]) -> NDArray[np.uint32]:
    """CRC-32 of each frame (J, ...): of its values in C order, little-endian, in the width of the dtype."""
    octets = np.ascontiguousarray(frames, frames.dtype.newbyteorder("<"))
    return np.array([zlib.crc32(frame) for frame in octets], np.uint32)


def fletcher32(octets: bytes) -> int:
    """HDF5's checksum of a chunk: Fletcher-32 of big-endian words of 16 bit, an odd octet filled up with 0."""
    words = np.frombuffer(octets + bytes(len(octets) % 2), ">u2").astype(np.int64)
    if not words.any():
        return 0
    sums = words.sum(), (words * (np.arange(len(words), 0, -1) % 0xFFFF)).sum()
    # Carries are added back in: no sum is 0 but that of nothing.
    low, high = ((int(value) - 1) % 0xFFFF + 1 for value in sums)
    return high << 16 | low
