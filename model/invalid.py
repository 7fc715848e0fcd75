# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Which pixels of a frame carry no count, by the conventions of detectors."""

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Convention = Literal["eiger", "pilatus"]


def invalid_pixels(frames: NDArray[Any], convention: Convention, *, depth: int | None = None) -> NDArray[np.bool_]:
    """Mask of the pixels that a detector marked as invalid.

    Parameters
    ----------
    frames : numpy.ndarray of int
        Counts as the detector's files hold them, any shape.
    convention : {"eiger", "pilatus"}
        EIGER writes 2**depth - 1, PILATUS -1 (gap) and -2 (defect).
    depth : int, optional
        Bit depth of an EIGER's counts; by default the width of the dtype. EIGER's mark is also what heavy
        saturation would read: choose a codebook with count_bits below the depth, and the two stay apart, as
        real counts above the codebook's range saturate and only the mark is invalid.

    Returns
    -------
    numpy.ndarray
        bool, the shape of `frames`; hand it to `Codebook.encode` and `Codebook.decode`.

    Raises
    ------
    TypeError
        If the frames are not integers.
    ValueError
        For an unknown convention or a depth that the dtype does not hold.
    """
    if frames.dtype.kind not in "iu":
        raise TypeError(f"frames must be integers, got {frames.dtype}")
    if convention == "pilatus":
        return (frames == -1) | (frames == -2)
    if convention != "eiger":
        raise ValueError(f"unknown convention {convention!r}: known are {', '.join(get_args(Convention))}")
    bits = 8 * frames.dtype.itemsize
    if depth is None:
        depth = bits
    if not 1 <= depth <= bits:
        raise ValueError(f"depth must lie between 1 and the {bits} bits of {frames.dtype}, got {depth!r}")
    # A signed dtype holds the all-ones mark as -1 at full depth.
    mark = (1 << depth) - 1
    return frames == (mark if mark <= np.iinfo(frames.dtype).max else -1)
