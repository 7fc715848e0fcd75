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

from .hdf5 import Reader, loaded, opened

NAMES = ("entry_1/instrument_1/detector_1/data", "entry_1/data_1/data", "entry/data/data", "dp")
"""Data sets that are looked for: of CXI, of NeXus, of PtychoShelves and ptychodus."""

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
        with opened(path, "frames in an HDF5 file") as file:
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
            return cls(path, found, count, shape, first_mask(Reader(path, file), found))

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
        with opened(self.path, "frames in an HDF5 file") as file:
            for start in range(0, self.count, size):
                counts = loaded(self.path, file[self.name], slice(start, start + size))
                counts[:, mask] = 0
                if (wrong := marked(counts) | (counts < 0)).any():
                    frame, row, column = np.argwhere(wrong)[0]
                    raise ValueError(
                        f"{self.path}: {self.name} holds {counts[frame, row, column]} in frame {start + frame}, row"
                        f" {row}, column {column}, expected a count: the pixel is not in the mask"
                    )
                yield counts.astype(f"u{counts.dtype.itemsize}", copy=False)


def marked(counts: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a detector has written a mark instead of a count."""
    marks = [-1, -2] if counts.dtype.kind == "i" else []
    # In 16 bit the mark may as well be a pixel that saturates in every frame: that is left to the file's mask.
    if counts.dtype.kind == "u" and counts.dtype.itemsize >= 4:
        marks.append(np.iinfo(counts.dtype).max)
    if counts.dtype.itemsize == 8:
        marks.append(0xFFFFFFFF)  # of 32 bit, in a file that is wider
    found = np.zeros(counts.shape, np.bool_)
    for mark in marks:
        found |= counts == mark
    return found


def unknown(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where there is no value: a detector's mark or, among floats, NaN."""
    return np.isnan(values) if values.dtype.kind == "f" else marked(values)


def stored_mask(source: Reader, name: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a pixel is invalid by the masks beside the frames `name`, or else by `MASKS`; bool (rows, columns)."""
    group = name.rpartition("/")[0]
    beside = [entry for mask in ("mask", "pixel_mask") if (entry := source.find(f"{group}/{mask}"))]
    found = np.zeros(shape, np.bool_)
    for entry in beside or [entry for mask in MASKS if (entry := source.find(mask))]:
        found |= source.mask(entry, shape=shape)
    return found


def first_mask(source: Reader, name: str) -> NDArray[np.bool_]:
    """Where a pixel is invalid by the file's masks or has no value in the first frame; bool (rows, columns)."""
    first = loaded(source.path, source.file[name], 0)
    return unknown(first) | stored_mask(source, name, first.shape)


def read_frames(source: Reader, name: str, mask: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """All frames of a data set, as a `Scan` holds them.

    Parameters
    ----------
    source, name
        Where the data set is, (J, n, n).
    mask
        Pixels that are invalid beside those of the file's mask, bool (n, n).

    Returns
    -------
    Frames and mask: uint16 if every value is a whole number, else float32; 0 where the mask is set. Pixels are invalid
    too that have NaN or a detector's mark in every frame.

    Raises
    ------
    ValueError
        If a valid pixel is neither a count 0 to 65535 nor an intensity >= 0.
    """
    frames = loaded(source.path, source.file[name])
    whole = frames.dtype.kind != "f"
    mask = mask | stored_mask(source, name, mask.shape) | unknown(frames).all(axis=0)
    if mask.all():
        raise ValueError(f"{source.path}: {name} has no valid pixel, expected some outside of the mask")
    frames[:, mask] = 0
    least, most = (float(extreme(frames)) for extreme in (np.nanmin, np.nanmax))
    if least < 0 or not np.isfinite(most) or (whole and most > 65535):
        raise ValueError(
            f"{source.path}: {name} holds {least:g} to {most:g}, expected counts 0 to 65535, or floats >= 0, outside of"
            " invalid pixels"
        )
    whole = whole or (most <= 65535 and np.array_equal(frames, np.rint(frames)))
    return frames.astype(np.uint16 if whole else np.float32, copy=False), mask
