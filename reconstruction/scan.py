# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A measured scan: its frames, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """What is known about a scan beside its frames.

    Parameters
    ----------
    mask
        True where a pixel is invalid, bool (n, n).
    probe
        Illumination, complex64 (n, n), or (M, n, n) for M incoherent modes, strongest first; None if it is not known.
    positions
        First corner (row, column) of each window, in object pixels, float64 (J, 2); the smallest of each is 0.
    object_pixel
        Height and width of an object pixel, wavelength * distance / (n * detector pixel), in metres; None if it is not
        known.
    wavelength, distance
        In metres, of the light and from sample to detector; None if they are not known.
    pixel_size
        Height and width of a detector pixel, in metres; None if they are not known.
    basis
        What one row and one column of the detector are in space, in metres, float64 (3, 2); None if it is not known.

    Raises
    ------
    ValueError
        If a shape is not as above, or a number not finite.
    """

    mask: NDArray[np.bool_]
    probe: NDArray[np.complex64] | None
    positions: NDArray[np.float64]
    object_pixel: tuple[float, float] | None = None
    wavelength: float | None = None
    distance: float | None = None
    pixel_size: tuple[float, float] | None = None
    basis: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        n = self.mask.shape[0]
        if self.mask.shape != (n, n) or self.mask.dtype != np.bool_:
            raise ValueError(f"mask: {self.mask.dtype} {self.mask.shape}, expected bool (n, n)")
        if self.probe is not None and (self.probe.ndim not in (2, 3) or self.probe.shape[-2:] != (n, n)):
            raise ValueError(f"probe: shape {self.probe.shape}, expected ({n}, {n}) or (M, {n}, {n})")
        if self.positions.ndim != 2 or self.positions.shape[1] != 2 or not np.isfinite(self.positions).all():
            raise ValueError(f"positions: shape {self.positions.shape}, expected finite numbers (J, 2)")
        if self.basis is not None and self.basis.shape != (3, 2):
            raise ValueError(f"basis: shape {self.basis.shape}, expected (3, 2)")

    @property
    def window(self) -> int:
        """Side n of a frame, in pixels."""
        return self.mask.shape[0]

    def with_frames(self, frames: NDArray[Any], mask: NDArray[np.bool_]) -> Scan:
        """The scan whose frames these are; a pixel that `mask` declares invalid is so too."""
        known = {field.name: getattr(self, field.name) for field in fields(Geometry)}
        return Scan(**known | {"frames": frames, "mask": self.mask | mask})


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan(Geometry):
    """A measured scan.

    Parameters
    ----------
    frames
        (J, n, n), zero frequency at the centre: photon counts, uint16, or intensities in photons, float32; 0 where the
        mask says that a pixel is invalid, NaN where only one frame's is.
    mask
        True where a pixel is invalid, bool (n, n): by the file's mask, or because every frame has there NaN or the mark
        of a PILATUS (-1, -2) or EIGER (all bits set, in 32 bit or more; or 2^32 - 1 in 64 bit).
    """

    frames: NDArray[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        shape = (len(self.positions), *self.mask.shape)
        if self.frames.shape != shape or self.frames.dtype not in (np.uint16, np.float32):
            raise ValueError(
                f"frames: {self.frames.dtype} {self.frames.shape}, expected uint16 or float32 {shape}, one a position"
            )

    @property
    def counts(self) -> NDArray[np.uint16]:
        """The frames, if they are photon counts.

        Raises
        ------
        ValueError
            If they are intensities.
        """
        if self.frames.dtype != np.uint16:
            raise ValueError(f"frames: {self.frames.dtype} intensities, expected photon counts, whole numbers")
        return self.frames.astype(np.uint16, copy=False)

    def acquisition(self) -> Acquisition:
        """Probe and positions, the probe scaled to the photons of the mean frame.

        Raises
        ------
        ValueError
            If there is no probe.
        """
        if self.probe is None:
            raise ValueError("scan without a probe: illumination was not in the file")
        last = np.floor(self.positions.max(axis=0) + 0.5).astype(int) + self.window
        photons = np.nansum(self.frames[:, ~self.mask], axis=1, dtype=np.float64).mean()
        return Acquisition(self.probe, self.positions, (int(last[0]), int(last[1]))).scaled(float(photons))

    def valid(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Frames as float32 with NaN at the masked pixels, as `reconstruct` takes them."""
        levels = frames.astype(np.float32)
        levels[:, self.mask] = np.nan
        return levels
