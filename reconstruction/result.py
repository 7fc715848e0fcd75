# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The file of a reconstruction: object, probe, positions and losses, in HDF5 that says what it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from .hdf5 import Reader, opened

FORMAT = "ptychopress reconstruction"
VERSION = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """A reconstruction as its file has it.

    Parameters
    ----------
    object
        Transmission, complex64 (rows, columns).
    probe
        Illumination in roots of photons, complex64 (n, n), or (M, n, n) for M incoherent modes.
    positions
        First corner (row, column) of each window in the object, in object pixels, float64 (J, 2).
    losses
        Of each epoch, float64 (epochs,).
    object_pixel
        Height and width of an object pixel in metres; None if it is not known.
    about
        Whatever else is to be remembered: attributes of the file.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    positions: NDArray[np.float64]
    losses: NDArray[np.float64]
    object_pixel: tuple[float, float] | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> None:
        """Write the file."""
        with h5py.File(path, "w") as file:
            file.attrs.update({"format": FORMAT, "version": VERSION, **self.about})
            for name, (meaning, units) in _DATA.items():
                file[name] = getattr(self, name)
                file[name].attrs.update({"long_name": meaning, "units": units})
            if self.object_pixel is not None:
                file["object"].attrs.update({"pixel_size": self.object_pixel, "pixel_size_units": "m"})

    @classmethod
    def load(cls, path: str | Path) -> Result:
        """Read a file, all but `about`.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is no such file, of another version, or damaged.
        """
        with opened(path, "one of ptychopress reconstruct") as file:
            if file.attrs.get("format") != FORMAT:
                raise ValueError(f"{path} is HDF5 but no reconstruction: its attribute 'format' is not '{FORMAT}'")
            if file.attrs.get("version") != VERSION:
                raise ValueError(f"{path} is of version {file.attrs.get('version')}: this program reads {VERSION}")
            source = Reader(path, file)
            obj = source.read("object", kinds="c", shape=(None, None), what="complex (rows, columns)")
            if not np.isfinite(obj).all():
                raise ValueError(f"{path}: object holds values that are not finite, expected a transmission")
            pixel: Any = file["object"].attrs.get("pixel_size")
            return cls(
                object=obj.astype(np.complex64),
                probe=source.probe("probe", n=(source.shape("probe") or (0,))[-1]),
                positions=source.finite("positions", shape=(None, 2), what="numbers (J, 2)"),
                losses=source.finite("losses", shape=(None,), what="numbers (epochs,)"),
                object_pixel=None if pixel is None else (float(pixel[0]), float(pixel[1])),
            )


_DATA = {
    "object": ("transmission of the object; 1 is vacuum, and where no light fell", "1"),
    "probe": ("illumination, or its incoherent modes (M, n, n), whose intensities sum to the photons of a frame", ""),
    "positions": ("row and column of the first corner of each window in the object", "pixel"),
    "losses": ("mean loss of each epoch, in units of the noise: about 1 for a perfect fit", "1"),
}
"""Data sets: long name and unit."""
