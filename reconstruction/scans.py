# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Scan patterns: where the probe's window stands, (row, column) in object pixels.

A pattern may start anywhere, also below 0: `acquisition.placed` makes an object array around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def raster_scan(rows: int = 66, columns: int = 68, step: int = 5, first: int = 0) -> NDArray[np.int64]:
    """Corners of a raster scan, line by line, int64 (rows * columns, 2); the first is (first, first)."""
    if min(rows, columns, step) < 1:
        raise ValueError(f"raster of {rows} x {columns} positions, step {step}: expected positive integers")
    grid = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1)
    return grid.reshape(-1, 2).astype(np.int64) * step + first


def fermat_scan(count: int, step: float) -> NDArray[np.float64]:
    """A Fermat spiral around (0, 0), from the inside out, float64 (count, 2).

    It covers a disc evenly and without a period, so no artefact of the scan's grid builds up (Huang et al., Opt.
    Express 22, 12634, 2014): each position turns by the golden angle and has an area of step^2, as in a raster.
    """
    if count < 1 or not step > 0:
        raise ValueError(f"spiral of {count!r} positions, step {step!r}: expected positive numbers")
    k = np.arange(count)
    radius, angle = step * np.sqrt((k + 0.5) / np.pi), np.pi * (3 - np.sqrt(5)) * k
    return np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)


def jittered(positions: NDArray[Any], rms: float, seed: int) -> NDArray[np.float64]:
    """Positions moved at random, float64 (J, 2): normally distributed, by `rms` pixels in the root mean square.

    That is the length of the move; each axis has rms / sqrt(2).
    """
    if not rms >= 0:
        raise ValueError(f"rms: {rms!r}, expected pixels >= 0")
    return positions + np.random.default_rng(seed).normal(0, rms / np.sqrt(2), positions.shape)
