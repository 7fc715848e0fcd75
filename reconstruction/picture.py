# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A picture of a reconstructed object: phase and amplitude side by side."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .metrics import phase_of


def save_picture(
    path: Path, obj: NDArray[np.complex64], lit: NDArray[np.bool_], pixel: tuple[float, float] | None = None
) -> None:
    """Draw phase and amplitude where light fell into a PNG file.

    Parameters
    ----------
    path
    obj
        Transmission, complex64 (rows, columns).
    lit
        Where light fell, bool (rows, columns).
    pixel
        Height and width of a pixel in metres; without it the axes count pixels.
    """
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    shown, inside = _level(obj[box], lit[box]), lit[box]
    height, width = (1.0, 1.0) if pixel is None else (1e6 * pixel[0], 1e6 * pixel[1])
    extent = (0.0, shown.shape[1] * width, shown.shape[0] * height, 0.0)
    figure = Figure(figsize=(12, 1 + 5.2 * extent[2] / extent[1]), layout="constrained")
    panels = {"phase, rad": phase_of(shown, inside), "amplitude": np.abs(shown)}
    for axis, (title, values) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        low, high = np.percentile(values[inside], (0.5, 99.5))
        image = axis.imshow(values, cmap="gray", vmin=low, vmax=high, extent=extent)
        axis.set(title=title, xlabel="pixels" if pixel is None else "µm")
        figure.colorbar(image, ax=axis, fraction=0.046)
    with mpl.rc_context({"font.size": 10}):
        figure.savefig(path, format="png", dpi=100, metadata={"Software": None})


def _level(obj: NDArray[np.complex64], lit: NDArray[np.bool_]) -> NDArray[np.complex64]:
    """The object without its mean phase ramp, which a refined probe leaves free."""
    for axis in (0, 1):
        there, here = (np.moveaxis(np.where(lit, obj, 0), axis, 0)[part] for part in (slice(1, None), slice(-1)))
        slope = np.angle(np.vdot(here, there))
        ramp = np.exp(-1j * slope * np.arange(obj.shape[axis])).astype(np.complex64)
        obj = obj * (ramp[:, None] if axis == 0 else ramp)
    return obj
