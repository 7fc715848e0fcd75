# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Packing: values of any width as bytes without a gap between them, as the hardware's `Packer` does it."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDEST = 32
"""Bits of a value at most."""

_BLOCK = 1 << 16  # values


def packed_octets(count: int, bits: int) -> int:
    """Bytes that so many values take."""
    return -(-count * bits // 8)


def pack(values: NDArray[np.integer], bits: int, *, signed: bool = False) -> NDArray[np.uint8]:
    """Put values one behind another, the lowest bit of the first one first.

    Bit k of a row is bit k % 8 of its octet k // 8: 8, 16 and 32 bit values are plain little-endian.

    Parameters
    ----------
    values : numpy.ndarray
        Integers (..., N); each row is packed for itself.
    bits : int
        Of a value, 1 to 32.
    signed : bool
        Whether they are in two's complement.

    Returns
    -------
    numpy.ndarray
        uint8 (..., ceil(N * bits / 8)), filled up with 0 bits.

    Raises
    ------
    ValueError
        If a value does not fit.
    """
    _check_bits(bits)
    values = np.asarray(values)
    if values.dtype.kind not in "iu":
        raise TypeError(f"values must be integers, got {values.dtype}")
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    if values.size and not low <= int(values.min()) <= int(values.max()) < high:
        raise ValueError(f"values from {values.min()} to {values.max()} do not fit {bits} bits, {low} to {high - 1}")
    *rows, count = values.shape
    unsigned = _unsigned(bits)
    if bits == 8 * unsigned.itemsize:
        return np.ascontiguousarray(values, unsigned).view(np.uint8).reshape(*rows, packed_octets(count, bits))
    octets = np.empty((*rows, packed_octets(count, bits)), np.uint8)
    flat, flat_octets = values.reshape(math.prod(rows), count), octets.reshape(math.prod(rows), octets.shape[-1])
    for block in _blocks(*flat.shape):
        flat_octets[block] = _pack_rows(flat[block].astype(unsigned), bits)
    return octets


def unpack(octets: NDArray[np.uint8], bits: int, count: int, *, signed: bool = False) -> NDArray[np.integer]:
    """Values of what `pack` made.

    Parameters
    ----------
    octets : numpy.ndarray
        uint8 (..., ceil(count * bits / 8)).
    bits : int
        Of a value, 1 to 32.
    count : int
        N, values of a row.
    signed : bool
        Whether they are in two's complement.

    Returns
    -------
    numpy.ndarray
        (..., N), of the narrowest type.

    Raises
    ------
    ValueError
        If there are fewer or more octets than that.
    """
    _check_bits(bits)
    octets = np.asarray(octets, np.uint8)
    *rows, size = octets.shape
    if size != packed_octets(count, bits):
        raise ValueError(f"{size} octets, expected {packed_octets(count, bits)}: {count} values of {bits} bits")
    unsigned = _unsigned(bits)
    if bits == 8 * unsigned.itemsize:
        values = np.ascontiguousarray(octets).view(unsigned).astype(unsigned.newbyteorder("="), copy=False)
        return values.view(f"i{unsigned.itemsize}") if signed else values
    values = np.empty((*rows, count), unsigned.newbyteorder("="))
    flat, flat_octets = values.reshape(math.prod(rows), count), octets.reshape(math.prod(rows), size)
    for block in _blocks(*flat.shape):
        flat[block] = _unpack_rows(flat_octets[block], bits, values.dtype)[:, :count]
    if not signed:
        return values
    sign = values.dtype.type(1 << (bits - 1))
    return ((values ^ sign) - sign).view(f"i{values.itemsize}")


def _blocks(rows: int, count: int) -> Iterator[slice]:
    """Rows that a processor's cache holds at a time."""
    step = max(1, _BLOCK // max(1, count))
    return (slice(first, first + step) for first in range(0, rows, step))


def _pack_rows(values: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint8]:
    """Octets (R, ceil(N * bits / 8)) of values (R, N)."""
    rows, count = values.shape
    values &= values.dtype.type((1 << bits) - 1)
    if count % 8:
        values = np.pad(values, [(0, 0), (0, -count % 8)])
    # Eight values make `bits` octets: one after another, for all eights at once.
    eights = values.reshape(rows, -(-count // 8), 8)
    octets = np.empty((*eights.shape[:2], bits), np.uint8)
    for octet in range(bits):
        parts = np.zeros(eights.shape[:2], np.uint8)
        for k in range(8 * octet // bits, (8 * octet + 7) // bits + 1):
            shift = 8 * octet - k * bits
            value = eights[:, :, k]
            parts |= (value >> shift if shift >= 0 else value << -shift).astype(np.uint8)
        octets[:, :, octet] = parts
    return octets.reshape(rows, eights.shape[1] * bits)[:, : packed_octets(count, bits)]


def _unpack_rows(octets: NDArray[np.uint8], bits: int, kind: np.dtype[Any]) -> NDArray[np.unsignedinteger]:
    """Values (R, N) of octets (R, ceil(N * bits / 8)), and up to seven more."""
    rows, size = octets.shape
    eights = -(-size // bits)
    # Windows of a few octets at every eighth value, for all eights at once; the last ones reach beyond the end.
    padded = np.zeros((rows, eights * bits + 8), np.uint8)
    padded[:, :size] = octets
    window = np.dtype("<u2" if bits <= 9 else "<u4" if bits <= 25 else "<u8")
    values = np.empty((rows, eights, 8), kind)
    for k in range(8 if values.size else 0):
        octet, shift = divmod(k * bits, 8)
        column = np.ndarray((rows, eights), window, padded, octet, (padded.shape[1], bits))
        values[:, :, k] = (column >> shift) & ((1 << bits) - 1)
    return values.reshape(rows, 8 * eights)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= WIDEST:
        raise ValueError(f"bits must lie between 1 and {WIDEST}, got {bits}")


def _unsigned(bits: int) -> np.dtype[np.unsignedinteger]:
    """The narrowest little-endian unsigned type."""
    return np.dtype("<u1" if bits <= 8 else "<u2" if bits <= 16 else "<u4")
