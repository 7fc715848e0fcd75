# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Frames of an HDF5 file, read in pieces: as many of them as one likes, in little memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .cxi import marked

NAMES = ("entry_1/instrument_1/detector_1/data", "entry_1/data_1/data", "entry/data/data")
"""Data sets that are looked for: of CXI, and of NeXus."""

MASKS = ("entry_1/instrument_1/detector_1/mask", "entry/instrument/detector/pixel_mask")
"""Masks for frames that have no `mask` or `pixel_mask` beside them; a pixel with any bit set is invalid."""


@dataclass(frozen=True, eq=False)
class FrameFile:
    """Photon counts in a data set (J, rows, columns), not yet read.

    Attributes
    ----------
    path : Path
    name : str
        The data set.
    count : int
        J.
    shape : tuple of int
        Rows and columns.
    mask : numpy.ndarray
        Invalid pixels, bool (rows, columns): by the file's mask, or because the first frame has there the mark of a
        PILATUS (-1, -2) or EIGER (all bits set, in 32 bit or more; or 2^32 - 1 in 64 bit).
    """

    path: Path
    name: str
    count: int
    shape: tuple[int, int]
    mask: NDArray[np.bool_]

    @classmethod
    def open(cls, path: str | Path, name: str | None = None) -> FrameFile:
        """Look into a file.

        Parameters
        ----------
        path
        name
            The data set; by default the first of `NAMES` that there is.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is not HDF5, or has no such data set of integers (J, rows, columns).
        """
        path = Path(path)
        with _opened(path) as file:
            names = NAMES if name is None else (name,)
            found = next((name for name in names if isinstance(file.get(name), h5py.Dataset)), None)
            if found is None:
                raise ValueError(f"{path}: no data set {' or '.join(names)}, expected frames (J, rows, columns)")
            data: Any = file[found]
            if data.dtype.kind not in "iu" or data.ndim != 3 or 0 in data.shape:
                raise ValueError(
                    f"{path}: {found} is {data.dtype} {data.shape}, expected integer photon counts (J, rows, columns)"
                )
            count, shape = data.shape[0], data.shape[1:]
            mask = marked(_read(path, data, slice(0, 1))[0])
            own = [data.parent.get(name) for name in ("mask", "pixel_mask")]
            stored = [entry for entry in own if isinstance(entry, h5py.Dataset)]
            if not stored:
                stored = [entry for name in MASKS if isinstance(entry := file.get(name), h5py.Dataset)]
            for entry in stored:
                if entry.shape != shape or entry.dtype.kind not in "iub":
                    raise ValueError(f"{path}: {entry.name} is {entry.dtype} {entry.shape}, expected integers {shape}")
                mask |= entry[()] != 0
            return cls(path, found, count, shape, mask)

    def pieces(self, size: int, invalid: NDArray[np.bool_] | None = None) -> Iterator[NDArray[Any]]:
        """Counts of at most `size` frames at a time, unsigned (..., rows, columns), 0 where a pixel is invalid.

        Parameters
        ----------
        size
            Frames at a time.
        invalid
            Pixels that are invalid beside those of `mask`, bool (rows, columns).

        Raises
        ------
        ValueError
            If a valid pixel has no count, or a frame cannot be read.
        """
        mask = self.mask if invalid is None else self.mask | invalid
        with _opened(self.path) as file:
            for start in range(0, self.count, size):
                counts = _read(self.path, file[self.name], slice(start, start + size))
                counts[:, mask] = 0
                if (wrong := marked(counts) | (counts < 0)).any():
                    frame, row, column = np.argwhere(wrong)[0]
                    raise ValueError(
                        f"{self.path}: {self.name} holds {counts[frame, row, column]} in frame {start + frame}, row"
                        f" {row}, column {column}, expected a count: the pixel is not in the mask"
                    )
                yield counts.astype(f"u{counts.dtype.itemsize}", copy=False)


def _opened(path: Path) -> h5py.File:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected frames in an HDF5 file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file, or truncated") from error


def _read(path: Path, data: Any, part: slice) -> NDArray[Any]:
    try:
        return np.asarray(data[part])
    except OSError as error:
        # A filter that is not installed, or damaged bytes.
        raise ValueError(f"{path}: {data.name} cannot be read: {' '.join(str(error).split())}") from error
