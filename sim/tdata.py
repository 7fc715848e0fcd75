# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Values on tdata and back: each lane takes whole bytes, lane 0 the lowest."""

import numpy as np
from numpy.typing import NDArray

Beats = NDArray[np.int64]
"""Values (beats, lanes)."""


def pitch(bits: int) -> int:
    """Bytes of tdata that a lane takes."""
    return -(-bits // 8)


def pack(values: Beats, bits: int, rng: np.random.Generator) -> list[int]:
    """Put values (beats, lanes) on tdata, with noise in the padding, which the block must ignore."""
    size = pitch(bits)
    padding = rng.integers(0, 1 << (8 * size - bits), values.shape) << bits
    raw = (values | padding).astype("<u8").view(np.uint8).reshape(*values.shape, 8)[..., :size]
    return [int.from_bytes(row.tobytes(), "little") for row in raw]


def unpack(words: list[int], lanes: int, bits: int) -> Beats:
    """Unsigned values (beats, lanes) from tdata, padding included: a block that does not fill it as promised fails."""
    size = pitch(bits)
    raw = np.frombuffer(b"".join(word.to_bytes(lanes * size, "little") for word in words), np.uint8)
    wide = np.zeros((len(words), lanes, 8), np.uint8)
    wide[..., :size] = raw.reshape(len(words), lanes, size)
    return wide.view("<u8")[..., 0].astype(np.int64)
