# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""CXI files (HDF5; https://www.cxidb.org/cxi.html): a scan read from one, and written to one.

What is read, all lengths in metres:

- `entry_1/instrument_1/detector_1/data` or `entry_1/data_1/data`: photon counts or intensities (J, n, n), zero
  frequency at the centre of the frame;
- `.../detector_1/distance`, `x_pixel_size`, `y_pixel_size`, and, where present, `basis_vectors` (3, 2): what one row
  and one column of the detector are in space; without them a row is -y and a column -x;
- `.../detector_1/mask` (n, n), optional: a pixel with any bit set is invalid;
- `entry_1/instrument_1/source_1/wavelength`, or `energy` in joules;
- `.../source_1/illumination`, optional: the probe (n, n), or its modes (M, n, n);
- `entry_1/sample_1/geometry_1/translation` or `entry_1/data_1/translation` (J, 3): where the probe stands on the
  sample. A file in which rows and columns of the object grow with the scan has basis vectors (0, -p, 0) and
  (-p, 0, 0) and translations (-x, -y, 0).

What is written is all of that, but for the sign of the translations: they are where the sample stands, as CXI defines
them and cdtools and ptychodus read them, and their attribute `moved`, "sample", says so to the reader here. With the
wrong sign frames can be explained as well, by the conjugate of object and probe turned by 180 degrees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike

from ..model.attributes import get, put
from .frames import read_frames, stored_mask
from .hdf5 import Reader, opened
from .scan import Geometry, Scan

PLANCK_TIMES_C = 6.62607015e-34 * 299792458.0
"""Photon energy times wavelength, in joule metres."""

DATA = "entry_1/instrument_1/detector_1/data"
"""Data set of the frames."""

_VERSION = 160
_DETECTOR = "entry_1/instrument_1/detector_1/"
_SOURCE = "entry_1/instrument_1/source_1/"
_PROBE = _SOURCE + "illumination"
_FRAMES = (DATA, "entry_1/data_1/data")
_TRANSLATIONS = ("entry_1/sample_1/geometry_1/translation", "entry_1/data_1/translation")
_MOVED = "moved"


def read_cxi(path: str | Path) -> Scan:
    """Read a scan from a CXI file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not HDF5, a data set is missing, or one has the wrong type, shape or value.
    """
    with opened(path, "a CXI (HDF5) file") as file:
        source = Reader(path, file)
        name, frames, n = source.frames(*_FRAMES)
        geometry = cxi_geometry(source, frames, n)
        return geometry.with_frames(*read_frames(source, name, geometry.mask))


def cxi_geometry(source: Reader, frames: int, n: int) -> Geometry:
    """Everything of a scan but its frames, of which there are so many, n x n pixels each."""
    distance = source.positive(_DETECTOR + "distance", what="the sample to detector distance in m")
    height = source.positive(_DETECTOR + "y_pixel_size", what="the height of a detector pixel in m")
    width = source.positive(_DETECTOR + "x_pixel_size", what="the width of a detector pixel in m")
    if source.find(_SOURCE + "wavelength") or not source.find(_SOURCE + "energy"):
        wavelength = source.positive(_SOURCE + "wavelength", what="the wavelength in m")
    else:
        wavelength = PLANCK_TIMES_C / source.positive(_SOURCE + "energy", what="the photon energy in J")
    basis = np.array([[0.0, -width], [-height, 0.0], [0.0, 0.0]])
    if source.find(_DETECTOR + "basis_vectors"):
        basis = source.finite(_DETECTOR + "basis_vectors", shape=(3, 2), what="floats (3, 2)")
        if not np.allclose(np.linalg.norm(basis, axis=0), (height, width), rtol=1e-3):
            raise ValueError(f"{source.path}: {_DETECTOR}basis_vectors: columns are not one pixel long")
    translation = source.finite(*_TRANSLATIONS, shape=(frames, 3), what=f"floats ({frames}, 3), in m")
    # Moving the probe by r turns the wave at detector pixel i by 2 pi r . basis i / (wavelength distance), and a window
    # that starts k pixels further by 2 pi k i / n; basis vectors that are not orthogonal need nothing more.
    extent = wavelength * distance / n
    sample = get(source.file[str(source.find(*_TRANSLATIONS))], _MOVED) == "sample"
    positions = (-translation if sample else translation) @ basis / extent
    return Geometry(
        mask=stored_mask(source, DATA, (n, n)),
        probe=source.probe(_PROBE, n=n) if source.find(_PROBE) else None,
        positions=positions - positions.min(axis=0),
        object_pixel=(extent / height, extent / width),
        wavelength=wavelength,
        distance=distance,
        pixel_size=(height, width),
        basis=basis,
    )


def write_cxi(path: str | Path, scan: Scan) -> None:
    """Write a scan to a CXI file that `read_cxi` and other programs read.

    Raises
    ------
    ValueError
        If wavelength, distance or detector pixel are not known.
    """
    _require_detector(scan)
    with h5py.File(path, "w") as file:
        data = create_cxi(file, scan, scan.frames.dtype)
        for frame, values in enumerate(scan.frames):
            data[frame] = np.where(scan.mask, 0, values)


def create_cxi(file: h5py.File, geometry: Geometry, dtype: DTypeLike) -> Any:
    """Write everything of a scan but its frames, and what waits for these.

    Returns
    -------
    The data set (J, n, n) of the frames, one a chunk; 0 belongs where the mask is set.

    Raises
    ------
    ValueError
        If wavelength, distance or detector pixel are not known.
    """
    write_geometry(file, geometry)
    n, count = geometry.window, len(geometry.positions)
    data: Any = file.create_dataset(DATA, (count, n, n), dtype, chunks=(1, n, n))
    put(data, {"long_name": "intensity", "units": "photon"})
    for link, name in zip(("data", "translation"), (DATA, _TRANSLATIONS[0]), strict=True):
        file[f"entry_1/data_1/{link}"] = h5py.SoftLink(f"/{name}")
    return data


def write_geometry(group: h5py.Group, geometry: Geometry) -> None:
    """Write everything of a scan but its frames, for `cxi_geometry`, into a group of any file.

    Raises
    ------
    ValueError
        If wavelength, distance or detector pixel are not known.
    """
    wavelength, distance, (height, width) = _require_detector(geometry)
    basis = np.array([[0.0, -width], [-height, 0.0], [0.0, 0.0]]) if geometry.basis is None else geometry.basis
    items = {
        "cxi_version": _VERSION,
        _DETECTOR + "distance": distance,
        _DETECTOR + "x_pixel_size": width,
        _DETECTOR + "y_pixel_size": height,
        _DETECTOR + "basis_vectors": basis,
        _DETECTOR + "mask": geometry.mask.astype(np.uint32),
        _SOURCE + "wavelength": wavelength,
        _SOURCE + "energy": PLANCK_TIMES_C / wavelength,
        _TRANSLATIONS[0]: -geometry.positions @ np.linalg.pinv(basis) * (wavelength * distance / geometry.window),
    }
    if geometry.probe is not None:
        items[_PROBE] = geometry.probe
    for name, value in items.items():
        group[name] = value
    put(group[_TRANSLATIONS[0]], {_MOVED: "sample"})


def _require_detector(geometry: Geometry) -> tuple[float, float, tuple[float, float]]:
    """Wavelength, distance and detector pixel."""
    known = geometry.wavelength, geometry.distance, geometry.pixel_size
    if known[0] is None or known[1] is None or known[2] is None:
        names = zip(("wavelength", "distance", "pixel_size"), known, strict=True)
        missing = ", ".join(name for name, value in names if value is None)
        raise ValueError(f"scan without {missing}, which a CXI file holds: they were not in the file it came from")
    return known[0], known[1], known[2]
