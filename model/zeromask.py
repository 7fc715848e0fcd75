# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Zeromask: which codes are not 0, and those that are not, as the hardware's `ZeromaskEncoder` does it.

Groups of eight pixels: an octet with a bit a pixel that says whether its code is not 0, pixel 0 lowest, then the
codes that are not 0. All of it lowest bit first, without a gap.
"""

import numpy as np
from numpy.typing import NDArray

GROUP = 8
"""Pixels of a group."""

WIDEST = 16
"""Bits of a code at most."""

_COUNTS = np.array([mask.bit_count() for mask in range(1 << GROUP)])


def zeromask_bits(pixels: int, code_bits: int) -> int:
    """Bits of the largest payload of so many pixels."""
    return GROUP * -(-pixels // GROUP) + pixels * code_bits


def encode(codes: NDArray[np.integer], code_bits: int) -> bytes:
    """Payload of a frame.

    Parameters
    ----------
    codes : numpy.ndarray
        Of any shape; taken row by row, N in all.
    code_bits : int
        1 to 16.

    Raises
    ------
    ValueError
        If a code does not fit.
    """
    _check_bits(code_bits)
    codes = np.ravel(codes)
    if codes.dtype.kind not in "iu":
        raise TypeError(f"codes must be integers, got {codes.dtype}")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < 1 << code_bits:
        raise ValueError(f"codes from {codes.min()} to {codes.max()} do not fit {code_bits} bits")
    present = codes != 0
    masks = np.packbits(present, bitorder="little")
    pixels = np.flatnonzero(present)
    used = codes[pixels].astype(np.uint64)
    counts = np.take(_COUNTS, masks)
    mask_places = GROUP * np.arange(len(masks)) + code_bits * (np.cumsum(counts) - counts)
    size = GROUP * len(masks) + code_bits * len(used)
    words = np.zeros((size >> 5) + 2)
    for values, places in ((masks.astype(np.uint64), mask_places), (used, _places(pixels, code_bits))):
        # No two values share a bit, so a sum puts them together; below 2**32 it is exact.
        shifted = values << (places & 31).astype(np.uint64)
        for part, offset in ((shifted & 0xFFFFFFFF, 0), (shifted >> 32, 1)):
            words += np.bincount((places >> 5) + offset, weights=part, minlength=len(words))
    return words.astype("<u4").tobytes()[: -(-size // 8)]


def decode(
    payload: bytes | bytearray | memoryview | NDArray[np.uint8], code_bits: int, pixels: int
) -> NDArray[np.uint16]:
    """Codes of a payload.

    Memory is bounded by the length of the payload and the number of pixels.

    Parameters
    ----------
    payload : bytes-like
    code_bits : int
        1 to 16.
    pixels : int
        N.

    Returns
    -------
    numpy.ndarray
        uint16 (N,).

    Raises
    ------
    ValueError
        If this is no payload of so many pixels: it ends early or late, a bit is set beyond the last pixel or the last
        code, or a code is 0 though its mask bit is set. There is one payload for each frame.
    """
    _check_bits(code_bits)
    octets = np.frombuffer(payload, np.uint8)
    groups = -(-pixels // GROUP)
    largest = -(-zeromask_bits(pixels, code_bits) // 8)
    if not groups <= len(octets) <= largest:
        raise ValueError(
            f"zeromask payload of {len(octets)} octets, expected {groups} to {largest} for {pixels} pixels"
        )
    padded = np.zeros(len(octets) + 4, np.uint8)
    padded[: len(octets)] = octets
    masks, size = _masks(padded, groups, code_bits)
    if -(-size // 8) != len(octets):
        raise ValueError(f"zeromask payload of {len(octets)} octets, expected {-(-size // 8)} by its masks")
    if size % 8 and octets[-1] >> size % 8:
        raise ValueError("zeromask payload: a bit is set behind its last code")
    present = np.unpackbits(masks, bitorder="little")
    if present[pixels:].any():
        raise ValueError(f"zeromask payload: a mask bit is set behind its last pixel, {pixels - 1}")
    used = np.flatnonzero(present)
    places = _places(used, code_bits)
    windows = np.ndarray(len(octets) + 1, "<u4", padded, 0, (1,))
    codes = np.zeros(pixels, np.uint16)
    codes[used] = (windows[places >> 3] >> (places & 7).astype(np.uint32)) & ((1 << code_bits) - 1)
    if not codes[used].all():
        raise ValueError("zeromask payload: a code is 0 where the mask says that it is not")
    return codes


def _masks(padded: NDArray[np.uint8], groups: int, code_bits: int) -> tuple[NDArray[np.uint8], int]:
    """Mask of each group, and the bits of all groups together."""
    # The one thing that must go step by step: where a group begins depends on the masks before it.
    windows = padded[:-1] | padded[1:].astype(np.uint16) << 8
    octets_at = (windows[:, None] >> np.arange(8, dtype=np.uint16)).astype(np.uint8).tobytes()
    steps = (GROUP + code_bits * _COUNTS).tolist()
    masks, place = bytearray(groups), 0
    try:
        for group in range(groups):
            masks[group] = mask = octets_at[place]
            place += steps[mask]
    except IndexError:
        raise ValueError(f"zeromask payload of {len(padded) - 4} octets ends before its {groups} groups") from None
    return np.frombuffer(masks, np.uint8), place


def _places(pixels: NDArray[np.intp], code_bits: int) -> NDArray[np.intp]:
    """Where the codes of the pixels begin, in bits, if all others are 0."""
    return GROUP * ((pixels >> 3) + 1) + code_bits * np.arange(len(pixels))


def _check_bits(code_bits: int) -> None:
    if not 1 <= code_bits <= WIDEST:
        raise ValueError(f"code_bits must lie between 1 and {WIDEST}, got {code_bits}")
