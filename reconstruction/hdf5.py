# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reading data sets of an HDF5 file, with errors of one line that say what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_LARGE = 1 << 28  # bytes
_MOST = 1 << 15  # bytes that a filter makes of one


def opened(path: str | Path, what: str) -> h5py.File:
    """Open a file for reading.

    Parameters
    ----------
    path
    what
        What it should hold, for the error.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not HDF5.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected {what}")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file, or truncated, expected {what}") from error


def loaded(path: str | Path, data: Any, part: Any = ()) -> NDArray[Any]:
    """A data set, or a part of it.

    Raises
    ------
    ValueError
        If the bytes are damaged, a filter is not installed, or nearly nothing is stored of a large data set.
    """
    _require_stored(path, data)
    try:
        return np.asarray(data[part])
    except OSError as error:
        raise ValueError(f"{path}: {data.name} cannot be read: {' '.join(str(error).split())}") from error


def _require_stored(path: str | Path, data: Any) -> None:
    """Refuse what claims to be large and is hardly there: no filter makes so much of so little."""
    if data.nbytes > _LARGE and data.id.get_storage_size() * _MOST < data.nbytes:
        raise ValueError(
            f"{path}: {data.name} claims to be {data.dtype} {data.shape}, of which hardly anything is stored"
        )


class Reader:
    """Data sets of one file, checked.

    Parameters
    ----------
    path, file
        The file and its name.
    """

    def __init__(self, path: str | Path, file: h5py.File) -> None:
        self.path, self.file = path, file

    def find(self, *names: str) -> str | None:
        """The first of the names that is a data set."""
        return next((name for name in names if isinstance(self.file.get(name), h5py.Dataset)), None)

    def shape(self, *names: str) -> tuple[int, ...]:
        """Of the first of the names that is a data set; () if there is none."""
        found: Any = self.file.get(self.find(*names) or "")
        return found.shape if found is not None else ()

    def dataset(self, *names: str, kinds: str, shape: tuple[int | None, ...], what: str) -> Any:
        """The first of the named data sets, not read: dtype kind one of `kinds`, `shape` with None for any extent.

        Raises
        ------
        ValueError
            If there is none, or it is of another kind or shape; `what` says what was expected.
        """
        name = self.find(*names)
        if name is None:
            raise ValueError(f"{self.path}: no data set {' or '.join(names)}, expected {what}")
        data: Any = self.file[name]
        fits = len(data.shape) == len(shape) and all(
            extent > 0 and wanted in (None, extent) for extent, wanted in zip(data.shape, shape, strict=True)
        )
        if data.dtype.kind not in kinds or not fits:
            raise ValueError(f"{self.path}: {name} is {data.dtype} {data.shape}, expected {what}")
        return data

    def read(self, *names: str, kinds: str, shape: tuple[int | None, ...], what: str) -> NDArray[Any]:
        """As `dataset`, read."""
        return loaded(self.path, self.dataset(*names, kinds=kinds, shape=shape, what=what))

    def finite(self, *names: str, shape: tuple[int | None, ...], what: str) -> NDArray[np.float64]:
        """Finite real numbers, float64."""
        values = self.read(*names, kinds="fiu", shape=shape, what=what).astype(np.float64)
        if not np.isfinite(values).all():
            raise ValueError(f"{self.path}: {self.find(*names)} holds values that are not finite, expected {what}")
        return values

    def vector(self, name: str, what: str) -> NDArray[np.float64]:
        """Finite real numbers, float64 (J,), stored as a row, a column or neither."""
        shape = self.shape(name)
        line = shape if shape and sum(extent != 1 for extent in shape) <= 1 else (None,)
        return self.finite(name, shape=line, what=what).reshape(-1)

    def pairs(self, rows: str, columns: str, *, count: int) -> NDArray[np.float64]:
        """Finite real numbers of two data sets side by side, float64 (count, 2)."""
        found = [self.vector(name, f"{count} numbers") for name in (rows, columns)]
        for name, values in zip((rows, columns), found, strict=True):
            if len(values) != count:
                raise ValueError(f"{self.path}: {name} has {len(values)} numbers, expected {count}, one a frame")
        return np.stack(found, axis=1)

    def positive(self, *names: str, what: str) -> float:
        """A positive number, stored as a scalar or as an array of one."""
        name = self.find(*names)
        one = (1,) * len(self.shape(*names))
        value = float(self.read(*names, kinds="fiu", shape=one, what=what).reshape(()))
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{self.path}: {name} is {value!r}, expected {what} > 0")
        return value

    def frames(self, *names: str) -> tuple[str, int, int]:
        """Name, number J and side n of the first of the frames that is there, (J, n, n) of real numbers."""
        what = "square frames (J, n, n), integers or floats"
        data = self.dataset(*names, kinds="iuf", shape=(None, None, None), what=what)
        name, (count, n, columns) = str(self.find(*names)), data.shape
        if n != columns:
            raise ValueError(f"{self.path}: {name} is {data.dtype} {data.shape}, expected {what}")
        return name, count, n

    def mask(self, *names: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Where a pixel is invalid, by the first of the masks that is there, any bit set; bool (rows, columns)."""
        return self.read(*names, kinds="iub", shape=shape, what=f"integers {shape}") != 0

    def probe(self, *names: str, n: int) -> NDArray[np.complex64]:
        """The first of the probes that is there, complex64 (n, n), or its incoherent modes (M, n, n), strongest first.

        A fourth, first axis is that of orthogonal probe relaxation, of which the mean probe, the first, is taken.
        """
        what = f"complex ({n}, {n}), (M, {n}, {n}) or (K, M, {n}, {n})"
        name = self.find(*names)
        extra = len(self.shape(*names)) - 2
        probe = self.read(*names, kinds="c", shape=(None,) * min(max(extra, 0), 2) + (n, n), what=what)
        if not np.isfinite(probe).all():
            raise ValueError(f"{self.path}: {name} holds values that are not finite, expected {what}")
        modes = (probe[0] if extra == 2 else probe.reshape(-1, n, n)).astype(np.complex64)
        strength = np.sum(np.abs(modes.astype(np.complex128)) ** 2, axis=(1, 2))
        modes = modes[np.argsort(-strength, kind="stable")]
        return modes[0] if len(modes) == 1 else modes
