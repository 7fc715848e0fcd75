# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reading a scan from the files of many programs: which format it is shows in the files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .cxi import cxi_geometry
from .frames import NAMES, first_mask, read_frames
from .hdf5 import Reader, opened
from .ptychoshelves import ptychi_geometry, ptychodus_frames, ptychodus_geometry, ptychoshelves_geometry
from .scan import Geometry, Scan

_FORMATS = {
    "entry_1": cxi_geometry,
    "ppX": ptychoshelves_geometry,
    "probe_position_x_m": ptychodus_geometry,
    "positions_px": ptychi_geometry,
}
"""What reads a file that holds this."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Where a plain HDF5 file keeps a scan.

    A quantity is a number, or the name of a data set that holds one.

    Parameters
    ----------
    frames
        Photon counts or intensities (J, n, n), zero frequency at the centre.
    positions
        One data set (J, 2) of rows and columns, or two (J,): that of the rows, that of the columns.
    unit
        What a position is counted in, along rows and along columns, in metres; None: object pixels. Negative where
        the axis of the stage runs against that of the frames.
    probe, mask
        Probe complex (n, n) or (M, n, n); mask (n, n), not 0 where a pixel is invalid.
    object_pixel
        Side of an object pixel in metres; without it, wavelength * distance / (n * detector pixel).
    wavelength, distance, pixel_size
        Of the light, from sample to detector, and side of a detector pixel, in metres.

    Raises
    ------
    ValueError
        If a number is not positive, or positions are in metres and neither `object_pixel` nor all three of the others
        are given.
    """

    frames: str
    positions: str | tuple[str, str]
    unit: tuple[float, float] | None = None
    probe: str | None = None
    mask: str | None = None
    object_pixel: float | str | None = None
    wavelength: float | str | None = None
    distance: float | str | None = None
    pixel_size: float | str | None = None

    def __post_init__(self) -> None:
        for name in ("object_pixel", "wavelength", "distance", "pixel_size"):
            value = getattr(self, name)
            if isinstance(value, int | float) and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{name}: {value!r}, expected metres > 0")
        if self.unit is not None:
            if not all(np.isfinite(unit) and unit != 0 for unit in self.unit):
                raise ValueError(f"unit: {self.unit!r}, expected metres, of rows and of columns, not 0")
            if self.object_pixel is None and None in (self.wavelength, self.distance, self.pixel_size):
                raise ValueError(
                    "positions in metres: expected object_pixel, or wavelength, distance and pixel_size, to turn them"
                    " into object pixels"
                )


def read_scan(path: str | Path, *, parameters: str | Path | None = None, names: Names | None = None) -> Scan:
    """Read a scan from CXI, from the files of PtychoShelves, ptychodus or pty-chi, or from any HDF5 file.

    Parameters
    ----------
    path
        File of the frames.
    parameters
        File of everything else, if it is another one. That of `*_dp.hdf5` is `*_para.hdf5`, if there is one.
    names
        Names of the data sets where the format is none of these: of the frames in `path`, of all else in `parameters`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not HDF5, of no known format, a data set is missing, or one has the wrong type, shape or value.
    """
    with _found(path, parameters, names) as (source, name, chosen, geometry):
        frames, mask = read_frames(source, name, geometry.mask)
        return geometry.with_frames(frames if chosen is None else frames[chosen], mask)


def read_geometry(path: str | Path, *, parameters: str | Path | None = None, names: Names | None = None) -> Geometry:
    """As `read_scan`, all but the frames: of these the first is read, for its invalid pixels."""
    with _found(path, parameters, names) as (source, name, _, geometry):
        return replace(geometry, mask=geometry.mask | first_mask(source, name))


@contextmanager
def _found(
    path: str | Path, parameters: str | Path | None, names: Names | None
) -> Iterator[tuple[Reader, str, NDArray[np.int64] | None, Geometry]]:
    """File and data set of the frames, numbers of those that have a position, None for all, and the rest."""
    paths = Path(path), Path(parameters or _partner(Path(path)))
    with opened(paths[0], "an HDF5 file") as frames, opened(paths[1], "an HDF5 file") as others:
        source, other = Reader(paths[0], frames), Reader(paths[1], others)
        if names is not None:
            name, count, n = source.frames(names.frames)
            yield source, name, None, _plain_geometry(names, other, count, n)
            return
        read = next((read for mark, read in _FORMATS.items() if mark in others), None)
        if read is None:
            raise ValueError(
                f"{paths[1]}: neither CXI nor a parameter file of PtychoShelves, ptychodus or pty-chi: expected one of"
                f" {', '.join(_FORMATS)}, or the names of its data sets"
            )
        name, count, n = source.frames(*NAMES)
        geometry = read(other, count, n)
        chosen = np.sort(ptychodus_frames(other, count)) if read is ptychodus_geometry else None
        yield source, name, chosen, geometry


def _partner(path: Path) -> Path:
    """The parameter file that belongs to a file of frames: itself, if there is no other."""
    other = path.with_name(path.name.replace("_dp.", "_para."))
    return other if other.is_file() else path


def _plain_geometry(names: Names, source: Reader, frames: int, n: int) -> Geometry:
    def quantity(name: str) -> float | None:
        value = getattr(names, name)
        return source.positive(value, what=f"the {name} in m") if isinstance(value, str) else value

    pixel, wavelength, distance, side = map(quantity, ("object_pixel", "wavelength", "distance", "pixel_size"))
    if pixel is None and wavelength and distance and side:
        pixel = wavelength * distance / (n * side)
    if isinstance(names.positions, str):
        positions = source.finite(names.positions, shape=(frames, 2), what=f"rows and columns, numbers ({frames}, 2)")
    else:
        positions = source.pairs(*names.positions, count=frames)
    if names.unit is not None and pixel is not None:
        positions = positions * names.unit / pixel
    return Geometry(
        mask=source.mask(names.mask, shape=(n, n)) if names.mask else np.zeros((n, n), np.bool_),
        probe=source.probe(names.probe, n=n) if names.probe else None,
        positions=positions - positions.min(axis=0),
        object_pixel=None if pixel is None else (pixel, pixel),
        wavelength=wavelength,
        distance=distance,
        pixel_size=None if side is None else (side, side),
    )
