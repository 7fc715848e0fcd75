# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A photon-counting detector: noise, background, saturation, bad pixels and a beam stop.

Two things look alike in the files of some detectors and are kept apart here. An **invalid** pixel (bad, in a gap,
behind the beam stop) measures nothing: it is marked in the mask, and its count, 0, means nothing. A **saturated**
pixel does measure, at least `full_scale` photons: it has that count and is not in the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .acquisition import FULL_SCALE, expose


@dataclass(frozen=True)
class Exposure:
    """What a detector recorded.

    Parameters
    ----------
    counts
        Photons, uint16 (..., rows, columns); 0 where a pixel is invalid.
    mask
        True where a pixel is invalid, bool (rows, columns).
    full_scale
        The largest count: it stands for itself and for all above.
    """

    counts: NDArray[np.uint16]
    mask: NDArray[np.bool_]
    full_scale: int

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Where a valid pixel saw `full_scale` photons or more, bool (..., rows, columns)."""
        return self.counts >= self.full_scale  # never at an invalid pixel, whose count is 0

    def levels(self, *, trust_saturated: bool = True) -> NDArray[np.float32]:
        """Frames as float32 with NaN at the invalid pixels, as `reconstruct` takes them.

        With `trust_saturated` False the saturated pixels are NaN too, else they keep `full_scale`.
        """
        levels = self.counts.astype(np.float32)
        levels[..., self.mask] = np.nan
        if not trust_saturated:
            levels[self.saturated] = np.nan
        return levels


@dataclass(frozen=True)
class Detector:
    """A counting detector whose zero frequency falls on pixel (rows // 2, columns // 2).

    Parameters
    ----------
    full_scale
        The count that the counters stop at, 1 to 65535: 2^bits - 1.
    beam_stop
        Radius in pixels of a round stop in the direct beam; 0 for none. It hides every pixel whose centre is nearer to
        the zero frequency than that.
    bad_pixels
        Other pixels that measure nothing, dead, hot, in gaps or behind the stop's holder: True, bool (rows, columns).
    background
        Mean counts that a pixel has without the sample, dark counts and stray photons, >= 0: one number for all, or
        (rows, columns). They are Poisson too.

    Raises
    ------
    ValueError
        If a field is out of range.
    """

    full_scale: int = FULL_SCALE
    beam_stop: float = 0.0
    bad_pixels: NDArray[np.bool_] | None = None
    background: float | NDArray[np.floating[Any]] = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.full_scale <= 65535:
            raise ValueError(f"full_scale: {self.full_scale!r}, expected 1 to 65535")
        if not self.beam_stop >= 0:
            raise ValueError(f"beam_stop: {self.beam_stop!r}, expected a radius in pixels >= 0")
        if self.bad_pixels is not None and (self.bad_pixels.ndim != 2 or self.bad_pixels.dtype != np.bool_):
            raise ValueError(
                f"bad_pixels: {self.bad_pixels.dtype} {self.bad_pixels.shape}, expected bool (rows, columns)"
            )
        background = np.asarray(self.background)
        if background.ndim not in (0, 2) or not ((background >= 0) & np.isfinite(background)).all():
            raise ValueError("background: expected mean counts >= 0, one number or (rows, columns)")

    def mask(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """True where a pixel of a frame of `shape` is invalid, bool (rows, columns)."""
        for name, array in (("bad_pixels", self.bad_pixels), ("background", self.background)):
            if isinstance(array, np.ndarray) and array.ndim and array.shape != shape:
                raise ValueError(f"{name}: shape {array.shape}, expected {shape}, that of a frame")
        rows, columns = (np.arange(extent) - extent // 2 for extent in shape)
        invalid = np.hypot(rows[:, None], columns) < self.beam_stop
        return invalid if self.bad_pixels is None else invalid | self.bad_pixels

    def expose(self, intensity: NDArray[np.floating[Any]], seed: int) -> Exposure:
        """Count the photons of frames.

        Parameters
        ----------
        intensity
            Mean photons, (..., rows, columns), as `diffract` gives them.
        seed
            The same seed gives the same counts, whatever the mask and the full scale.

        Raises
        ------
        ValueError
            If an intensity is negative or NaN, or a field has another shape than a frame.
        """
        if intensity.ndim < 2:
            raise ValueError(f"intensity: shape {intensity.shape}, expected (..., rows, columns)")
        mask = self.mask((intensity.shape[-2], intensity.shape[-1]))
        counts = expose(intensity + self.background, seed, full_scale=self.full_scale)
        counts[..., mask] = 0
        return Exposure(counts, mask, self.full_scale)
