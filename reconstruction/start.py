# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a reconstruction starts from: the scale of the probe, its modes, and room around the scan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.quantise import Compressor
from .acquisition import Acquisition
from .probes import partially_coherent

_FRAMES = 1000  # that the photons of the mean frame are taken from
_PIECE = 32  # frames that are expanded at a time

_BLUR = 1.0
"""Shifts of the probe whose mixture gives further modes, in pixels."""

_SHARE = 0.05
"""Photons of each further mode for those of the first."""


def mean_photons(coefficients: NDArray[np.integer[Any]], compressor: Compressor) -> float:
    """Photons of the mean frame that coefficients (J, S') stand for, at its valid pixels.

    At most a thousand frames, evenly chosen, are expanded, a few at a time.
    """
    chosen = coefficients[:: -(-len(coefficients) // _FRAMES)]
    pieces = (compressor.expand(chosen[start : start + _PIECE]) for start in range(0, len(chosen), _PIECE))
    return float(sum(np.nansum(piece) for piece in pieces) / len(chosen))


def with_modes(acquisition: Acquisition, count: int) -> Acquisition:
    """The acquisition with `count` incoherent modes and as many photons.

    Those that are there are kept, the strongest first. Further ones are guessed, weak: those of the strongest if it
    shook by a pixel, which are close to its derivatives. They are there to be refined.

    Raises
    ------
    ValueError
        If there are not so many.
    """
    modes = acquisition.modes[:count]
    if count > len(modes):
        powers = np.array([1.0] + [_SHARE] * (count - 1))
        guessed = partially_coherent(modes[0], count, _BLUR, powers=powers.tolist())[len(modes) :]
        modes = np.concatenate([modes, guessed * np.float32(np.sqrt(powers.sum()))])
    return replace(acquisition, probe=modes[0] if count == 1 else modes).scaled(acquisition.photons)


def with_room(
    obj: NDArray[np.complex64], positions: NDArray[np.float64], window: int, room: int
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """An object with vacuum around it, as far as windows come nearer to its border than `room` pixels, and positions.

    Parameters
    ----------
    obj
        Complex64 (rows, columns).
    positions
        Of windows in it, in pixels, float64 (J, 2); refined ones may lie outside.
    window
        Side of a window, in pixels.
    room
        Pixels.
    """
    corners = np.floor(positions + 0.5)
    left = min(corners.min(), (np.array(obj.shape) - window - corners.max(axis=0)).min())
    missing = max(0, room - int(left))
    return np.pad(obj, missing, constant_values=1), positions + missing
