# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Objects to scan: a pair of cells drawn by code, or an object read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

WAVENUMBER = 25.34
"""k = 2 pi / wavelength at 5 keV, in rad/nm."""

LARGEST_PHASE = 0.57
"""Largest phase of the drawn cells, in rad: that of Huang et al.'s cell."""


@dataclass(frozen=True)
class Phantom:
    """A pure phase object in vacuum.

    Parameters
    ----------
    phase
        Phase shift in rad, float64 (size, size); zero is vacuum.
    support
        Where the object is, and where a reconstruction is judged, bool (size, size).

    Raises
    ------
    ValueError
        If the shapes are not as above, a phase is not finite, or the support is empty.
    """

    phase: NDArray[np.float64]
    support: NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.phase.ndim != 2 or self.phase.shape[0] != self.phase.shape[1] or self.phase.size == 0:
            raise ValueError(f"phase: shape {self.phase.shape}, expected a square (size, size)")
        if self.support.shape != self.phase.shape or not self.support.any():
            raise ValueError(f"support: shape {self.support.shape}, expected {self.phase.shape}, not empty")
        if not np.isfinite(self.phase).all():
            raise ValueError("phase: holds values that are not finite")


def cell_phantom(size: int = 325) -> Phantom:
    """Two cells, drawn by formulas alone: the same on every machine.

    Each has an outline without symmetry, a membrane, a nucleus with a nucleolus, folded inner membranes and vesicles
    from a tenth of the cell down to the pixel. Lengths scale with `size`; edges are a pixel wide. The phase reaches
    0.57 rad; the support, what the outlines enclose, is about half of the array.

    Raises
    ------
    ValueError
        If size is less than 32.
    """
    if size < 32:
        raise ValueError(f"size: {size!r}, expected 32 or more")
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = axis[:, None], axis[None, :]
    first = _Cell(x, y, centre=(0.02, -0.45), radii=(0.80, 0.39), tilt=-0.10, harmonics=(0.13, 0.09, -0.06, 0.05))
    second = _Cell(x, y, centre=(-0.05, 0.49), radii=(0.82, 0.37), tilt=0.16, harmonics=(-0.12, 0.10, 0.07, -0.05))
    phase = first.draw(nucleus=(-0.35, 0.05), vesicles=47) + second.draw(nucleus=(0.40, -0.08), vesicles=61)
    # The optics passes no detail finer than a pixel: neither does the object.
    phase = ndimage.gaussian_filter(phase, 0.4)
    support = (first.inside > 0.5) | (second.inside > 0.5)
    return Phantom(phase * (LARGEST_PHASE / phase.max()), support)


class _Cell:
    """One cell; coordinates run from -1 to 1 across the array, `u` and `v` from -1 to 1 across the cell."""

    def __init__(
        self,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        *,
        centre: tuple[float, float],
        radii: tuple[float, float],
        tilt: float,
        harmonics: tuple[float, ...],
    ) -> None:
        dx, dy = x - centre[0], y - centre[1]
        self.u = (dx * np.cos(tilt) + dy * np.sin(tilt)) / radii[0]
        self.v = (dy * np.cos(tilt) - dx * np.sin(tilt)) / radii[1]
        self.radii, self.pixel = radii, 2 / y.size
        angle = np.arctan2(self.v, self.u)
        edge = 1 + sum(h * np.sin((k + 2) * angle + 1.7 * k + tilt) for k, h in enumerate(harmonics))
        # Distance to the outline in units of the array's half side, positive inside; exact enough near the outline.
        self.depth = (edge - np.hypot(self.u, self.v)) * radii[1]
        self.inside = self.step(self.depth)

    def step(self, distance: NDArray[np.float64]) -> NDArray[np.float64]:
        """0 to 1 across an edge one pixel wide."""
        return 0.5 + 0.5 * np.tanh(1.6 * distance / self.pixel)

    def disc(self, u: float, v: float, radius: float, stretch: float = 1.0) -> NDArray[np.float64]:
        """Depth below the edge of an ellipse at (u, v) of the cell, its `radius` in units of the array's half side."""
        du, dv = (self.u - u) * self.radii[0] / stretch, (self.v - v) * self.radii[1]
        return radius - np.hypot(du, dv)

    def draw(self, *, nucleus: tuple[float, float], vesicles: int) -> NDArray[np.float64]:
        """Phase of the cell, in arbitrary units."""
        thickness = 0.22 + 0.16 * np.sqrt(np.clip(self.depth / self.radii[1], 0, 1))
        ripple = np.sin(34 * self.u + 6 * np.sin(5 * self.v + 1)) * np.sin(23 * self.v + 5 * np.sin(4 * self.u))
        folds = np.exp(-((ripple / 0.16) ** 2)) * self.step(self.depth - 0.06)
        phase = thickness + 0.15 * folds + 0.50 * np.exp(-(((self.depth - 0.02) / 0.014) ** 2))
        core = self.disc(*nucleus, 0.20, 1.3)
        phase = phase + self.step(core) * (0.18 - 0.15 * folds) + 0.30 * np.exp(-((core / 0.011) ** 2))
        phase = phase + 0.25 * self.step(self.disc(nucleus[0] + 0.05, nucleus[1] - 0.1, 0.06, 0.8))
        for k in range(vesicles):
            # A sunflower spreads points evenly without repeating; sizes fall geometrically to a pixel and start again.
            radius, turn = 0.88 * np.sqrt((k + 0.5) / vesicles), 2.399963 * k
            size = 0.065 * 0.78 ** (k % 11)
            shell = self.disc(radius * np.cos(turn), radius * np.sin(turn), size, 1 + 0.25 * np.sin(k))
            if k % 3:
                phase = phase + 0.30 * self.step(shell)
            else:
                phase = phase - (0.8 if k % 2 else 0.5) * self.step(shell) * phase
                phase = phase + 0.35 * np.exp(-((shell / 0.008) ** 2))
        # What lies one over the other saturates, as the membranes of the authors' cell do.
        return 0.8 * np.tanh(phase / 0.8) * self.inside


def load_phantom(path: str | Path) -> Phantom:
    """Read an object from the array `delta` of an .npz file: refractive index decrement times thickness, in nm.

    The phase is 25.34 rad/nm (5 keV) times delta, whatever the sign convention of the beam. The support is where
    delta > 0. For the authors' own reconstruction of their cell, in which vacuum is clipped to zero except for some
    noise, this is 68,955 pixels rather than the 50,918 of the unpublished original, and gives the image error they
    publish: 1.04e-3 rad^2 at 2e7 photons (inside the filled outlines, 50,700 pixels, it is 1.25e-3).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an .npz file, has no `delta`, or `delta` is not a square array of finite real numbers.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected an .npz with an array 'delta'")
    try:
        with np.load(path) as arrays:
            delta = arrays["delta"]
    except KeyError as error:
        raise ValueError(f"{path}: no array 'delta', expected one (size, size) in nm") from error
    except (ValueError, OSError, EOFError, BadZipFile, TypeError) as error:
        raise ValueError(f"{path}: not a readable .npz file, expected one with an array 'delta'") from error
    if delta.ndim != 2 or delta.shape[0] != delta.shape[1] or delta.dtype.kind not in "fiu":
        raise ValueError(f"{path}: delta is {delta.dtype} {delta.shape}, expected real numbers (size, size) in nm")
    if not np.isfinite(delta).all() or not (delta > 0).any():
        raise ValueError(f"{path}: delta holds no positive or some non-finite values, expected nm, vacuum 0")
    return Phantom(WAVENUMBER * delta.astype(np.float64), delta > 0)
