# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Scans of PtychoShelves, ptychodus and pty-chi: frames in one HDF5 file, everything else in a second, or in the same.

Rows of the object grow with y, its columns with x, and frames are not turned: as pty-chi loads these files, and as
PtychoShelves (fold_slice) does with the orientation of its detectors at the Advanced Photon Source.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cxi import PLANCK_TIMES_C
from .hdf5 import Reader
from .scan import Geometry

_ELECTRONVOLT = 1.602176634e-19  # joules


def ptychoshelves_geometry(source: Reader, frames: int, n: int) -> Geometry:
    """All but the frames, from a parameter file of PtychoShelves, `data_roi*_para.hdf5`.

    `ppX` and `ppY` in metres, `dx`, the object pixel in metres, and, where present, `lambda` in metres and `probe`.
    """
    pixel = source.positive("dx", what="the object pixel in m")
    return Geometry(
        mask=np.zeros((n, n), np.bool_),
        probe=source.probe("probe", n=n) if source.find("probe") else None,
        positions=_from_zero(source.pairs("ppY", "ppX", count=frames)) / pixel,
        object_pixel=(pixel, pixel),
        wavelength=source.positive("lambda", what="the wavelength in m") if source.find("lambda") else None,
    )


def ptychodus_geometry(source: Reader, frames: int, n: int) -> Geometry:
    """All but the frames, from a product of ptychodus.

    `probe_position_x_m`, `probe_position_y_m`, `probe` and the attributes `pixel_height_m`, `pixel_width_m` of `object`
    or `probe`; where present, the attributes `photon_energy_eV` (formerly `probe_energy_eV`) and
    `detector_object_distance_m` of the file. With `probe_position_indexes`, positions are those of the frames of these
    numbers, and come in the order of the frames.
    """
    chosen = ptychodus_frames(source, frames)
    positions = source.pairs("probe_position_y_m", "probe_position_x_m", count=len(chosen))[np.argsort(chosen)]
    height, width = (_attribute(source, ("object", "probe"), f"pixel_{side}_m") for side in ("height", "width"))
    if height is None or width is None:
        raise ValueError(f"{source.path}: object has no pixel_height_m and pixel_width_m, expected attributes in m > 0")
    energy = _attribute(source, ("/",), "photon_energy_eV", "probe_energy_eV")
    distance = _attribute(source, ("/",), "detector_object_distance_m")
    wavelength = PLANCK_TIMES_C / (energy * _ELECTRONVOLT) if energy else None
    extent = wavelength * distance / n if wavelength and distance else None
    return Geometry(
        mask=np.zeros((n, n), np.bool_),
        probe=source.probe("probe", n=n) if source.find("probe") else None,
        positions=_from_zero(positions) / (height, width),
        object_pixel=(height, width),
        wavelength=wavelength,
        distance=distance,
        pixel_size=(extent / height, extent / width) if extent else None,
    )


def ptychodus_frames(source: Reader, frames: int) -> NDArray[np.int64]:
    """Numbers of the frames that a product of ptychodus has positions for, in the order of its positions.

    Raises
    ------
    ValueError
        If one of them is not among so many frames, or named twice.
    """
    name = source.find("probe_position_indexes")
    if name is None:
        return np.arange(frames)
    chosen = source.vector(name, "frame numbers").astype(np.int64)
    if chosen.min() < 0 or chosen.max() >= frames or len(np.unique(chosen)) < len(chosen):
        raise ValueError(
            f"{source.path}: {name} has {len(chosen)} numbers, {chosen.min()} to {chosen.max()}, expected each once, 0"
            f" to {frames - 1}"
        )
    return chosen


def ptychi_geometry(source: Reader, frames: int, n: int) -> Geometry:
    """All but the frames, from a reconstruction of pty-chi (pear): `positions_px`, `obj_pixel_size_m`, `probe`."""
    pixel = source.positive("obj_pixel_size_m", what="the object pixel in m")
    positions = source.finite("positions_px", shape=(frames, 2), what=f"rows and columns ({frames}, 2), in pixels")
    return Geometry(
        mask=np.zeros((n, n), np.bool_),
        probe=source.probe("probe", n=n) if source.find("probe") else None,
        positions=_from_zero(positions),
        object_pixel=(pixel, pixel),
    )


def _attribute(source: Reader, owners: tuple[str, ...], *names: str) -> float | None:
    """The first of the named attributes that is there and positive: ptychodus writes 0 for what it does not know."""
    for owner in owners:
        for name in names:
            value = source.file[owner].attrs.get(name) if owner in source.file else None
            if isinstance(value, int | float | np.number) and value > 0 and np.isfinite(value):
                return float(value)
    return None


def _from_zero(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    return positions - positions.min(axis=0)
