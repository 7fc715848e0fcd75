# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reading a ptychographic scan from a CXI file (HDF5; https://www.cxidb.org/cxi.html).

What is read, all lengths in metres:

- `entry_1/instrument_1/detector_1/data` or `entry_1/data_1/data`: photon counts (J, n, n), zero frequency at the
  centre of the frame;
- `.../detector_1/distance`, `x_pixel_size`, `y_pixel_size`, and, where present, `basis_vectors` (3, 2): what one row
  and one column of the detector are in space; without them a row is -y and a column -x;
- `.../detector_1/mask` (n, n), optional: a pixel with any bit set is invalid;
- `entry_1/instrument_1/source_1/wavelength`, or `energy` in joules;
- `.../source_1/illumination`, optional: the probe (n, n);
- `entry_1/sample_1/geometry_1/translation` or `entry_1/data_1/translation` (J, 3): where the probe stands on the
  sample. A file in which rows and columns of the object grow with the scan has basis vectors (0, -p, 0) and
  (-p, 0, 0) and translations (-x, -y, 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition

_PLANCK_TIMES_C = 6.62607015e-34 * 299792458.0  # joule metre
_DETECTOR = "entry_1/instrument_1/detector_1/"
_SOURCE = "entry_1/instrument_1/source_1/"


@dataclass(frozen=True)
class Scan:
    """A measured scan.

    Parameters
    ----------
    frames
        Photon counts, uint16 (J, n, n), zero frequency at the centre; 0 where a pixel is invalid.
    mask
        True where a pixel is invalid, bool (n, n): by the file's mask, or because every frame has there the mark of a
        PILATUS (-1, -2) or EIGER (all bits set, in 32 bit or more; or 2^32 - 1 in 64 bit).
    probe
        Illumination, complex64 (n, n), None if the file has none.
    positions
        First corner (row, column) of each window, in object pixels, float64 (J, 2); the smallest of each is 0.
    wavelength, distance
        In metres.
    pixel_size
        Height and width of a detector pixel, in metres.
    basis
        What one row and one column of the detector are in space, in metres, float64 (3, 2).
    """

    frames: NDArray[np.uint16]
    mask: NDArray[np.bool_]
    probe: NDArray[np.complex64] | None
    positions: NDArray[np.float64]
    wavelength: float
    distance: float
    pixel_size: tuple[float, float]
    basis: NDArray[np.float64]

    @property
    def object_pixel(self) -> tuple[float, float]:
        """Height and width of an object pixel, wavelength * distance / (n * detector pixel), in metres."""
        extent = self.wavelength * self.distance / self.frames.shape[-1]
        return extent / self.pixel_size[0], extent / self.pixel_size[1]

    def acquisition(self) -> Acquisition:
        """Probe and positions, the probe scaled to the photons of the mean frame.

        Raises
        ------
        ValueError
            If the file has no probe.
        """
        if self.probe is None:
            raise ValueError(f"scan without a probe: {_SOURCE}illumination was not in the file")
        last = np.floor(self.positions.max(axis=0) + 0.5).astype(int) + self.frames.shape[-1]
        photons = self.frames[:, ~self.mask].sum(axis=1, dtype=np.float64).mean()
        return Acquisition(self.probe, self.positions, (int(last[0]), int(last[1]))).scaled(float(photons))

    def valid(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Frames as float32 with NaN at the masked pixels, as `reconstruct` takes them."""
        levels = frames.astype(np.float32)
        levels[:, self.mask] = np.nan
        return levels


def read_cxi(path: str | Path) -> Scan:
    """Read a scan from a CXI file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not HDF5, a data set is missing, or one has the wrong type, shape or value.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a CXI (HDF5) file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path}: not an HDF5 file, expected a CXI file") from error
    with file:
        return _read(_Reader(str(path), file))


class _Reader:
    """Data sets of one file, with errors that name the file and the data set."""

    def __init__(self, path: str, file: h5py.File) -> None:
        self.path, self.file = path, file

    def find(self, *names: str) -> str | None:
        """The first of the names that is a data set."""
        return next((name for name in names if isinstance(self.file.get(name), h5py.Dataset)), None)

    def read(self, *names: str, kinds: str, shape: tuple[int | None, ...], what: str) -> NDArray[Any]:
        """The first of the named data sets, checked: dtype kind one of `kinds`, `shape` with None for any extent."""
        name = self.find(*names)
        if name is None:
            raise ValueError(f"{self.path}: no data set {' or '.join(names)}, expected {what}")
        data: Any = self.file[name]
        fits = len(data.shape) == len(shape) and all(
            extent > 0 and wanted in (None, extent) for extent, wanted in zip(data.shape, shape, strict=True)
        )
        if data.dtype.kind not in kinds or not fits:
            raise ValueError(f"{self.path}: {name} is {data.dtype} {data.shape}, expected {what}")
        return np.asarray(data[()])

    def positive(self, *names: str, what: str) -> float:
        """A positive number."""
        value = float(self.read(*names, kinds="fiu", shape=(), what=what))
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{self.path}: {self.find(*names)} is {value!r}, expected {what} > 0")
        return value


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


def _read(source: _Reader) -> Scan:
    """Everything of a scan, from an open file."""
    names = (_DETECTOR + "data", "entry_1/data_1/data")
    counts = source.read(*names, kinds="iu", shape=(None, None, None), what="integer photon counts (J, n, n)")
    frames, n, _ = counts.shape
    if counts.shape[1] != counts.shape[2]:
        raise ValueError(f"{source.path}: {source.find(*names)} is {counts.shape}, expected square frames (J, n, n)")
    distance = source.positive(_DETECTOR + "distance", what="the sample to detector distance in m")
    height = source.positive(_DETECTOR + "y_pixel_size", what="the height of a detector pixel in m")
    width = source.positive(_DETECTOR + "x_pixel_size", what="the width of a detector pixel in m")
    if source.find(_SOURCE + "wavelength") or not source.find(_SOURCE + "energy"):
        wavelength = source.positive(_SOURCE + "wavelength", what="the wavelength in m")
    else:
        wavelength = _PLANCK_TIMES_C / source.positive(_SOURCE + "energy", what="the photon energy in J")

    basis = np.array([[0.0, -width], [-height, 0.0], [0.0, 0.0]])
    if source.find(_DETECTOR + "basis_vectors"):
        what = "floats (3, 2)"
        basis = source.read(_DETECTOR + "basis_vectors", kinds="f", shape=(3, 2), what=what).astype(np.float64)
        if not np.allclose(np.linalg.norm(basis, axis=0), (height, width), rtol=1e-3):
            raise ValueError(f"{source.path}: {_DETECTOR}basis_vectors: columns are not one pixel long")
    mask = np.zeros((n, n), np.bool_)
    if source.find(_DETECTOR + "mask"):
        mask = source.read(_DETECTOR + "mask", kinds="iub", shape=(n, n), what=f"integers ({n}, {n})") != 0
    mask |= marked(counts).all(axis=0)
    valid = counts[:, ~mask]
    if not valid.size or valid.min() < 0 or valid.max() > 65535:
        span = f"{valid.min()} to {valid.max()}" if valid.size else "no valid pixel"
        raise ValueError(
            f"{source.path}: {source.find(*names)} holds {span}, expected counts 0 to 65535 outside of invalid pixels"
        )
    counts[:, mask] = 0
    probe = None
    if source.find(_SOURCE + "illumination"):
        probe = source.read(_SOURCE + "illumination", kinds="c", shape=(n, n), what=f"complex ({n}, {n})")
        probe = probe.astype(np.complex64)
    translation = source.read(
        "entry_1/sample_1/geometry_1/translation",
        "entry_1/data_1/translation",
        kinds="f",
        shape=(frames, 3),
        what=f"floats ({frames}, 3), in m",
    ).astype(np.float64)
    if not np.isfinite(translation).all():
        raise ValueError(f"{source.path}: translation holds values that are not finite, expected metres")
    # Moving the probe by r turns the wave at detector pixel i by 2 pi r . basis i / (wavelength distance), and a window
    # that starts k pixels further by 2 pi k i / n; basis vectors that are not orthogonal need nothing more.
    positions = translation @ basis * n / (wavelength * distance)
    positions -= positions.min(axis=0)
    return Scan(counts.astype(np.uint16), mask, probe, positions, wavelength, distance, (height, width), basis)
