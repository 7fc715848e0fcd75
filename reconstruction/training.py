# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Training objects: what components are learned from when there are no frames of the sample yet.

A training object need not look like the sample. It has to scatter as strongly, and hold edges of every direction at
every scale, so that its diffraction patterns span what patterns of other objects may be. No noise is in them: the
components hold signal only, which those of measured frames do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.contrast import kappa, match_contrast
from .acquisition import Acquisition, diffract

Transmission = NDArray[np.complex64]


def training_object(
    shape: tuple[int, int], seed: int, *, phase: float = 0.6, absorption: float = 0.0, smallest: float = 3.0
) -> Transmission:
    """Dead leaves: discs and polygons of every size lying over each other, complex64 `shape`.

    Radii r follow the density r^-3, which looks alike at every scale, as natural images do (Lee, Mumford, Huang, Int.
    J. Comput. Vis. 41, 35, 2001). Each leaf is even, with a sharp edge; its phase and its absorption are drawn
    independently.

    Parameters
    ----------
    shape
        Rows and columns.
    seed
        Two seeds give two objects, which together make an ensemble.
    phase
        Phases lie between 0 and this, in rad.
    absorption
        Amplitudes lie between 1 - absorption and 1; 0 makes a pure phase object.
    smallest
        Radius of the smallest leaf, in pixels; the largest is a quarter of the shorter side.

    Raises
    ------
    ValueError
        If the shape has less than 16 pixels a side, or a number is out of range.
    """
    _check(shape, phase, absorption)
    largest = min(shape) / 4
    if not 0 < smallest < largest:
        raise ValueError(f"smallest: {smallest!r}, expected a radius above 0, below {largest:g} pixels")
    rng = np.random.default_rng(seed)
    # The mean area of a leaf is 2 pi r^2 ln(R / r): every pixel is covered some four times.
    leaves = int(4 * shape[0] * shape[1] / (2 * np.pi * smallest**2 * np.log(largest / smallest)))
    # Density r^-3 means that 1 / r^2 is uniform.
    radii = 1 / np.sqrt(rng.uniform(largest**-2, smallest**-2, leaves))
    drawn = np.zeros((2, *shape))
    for radius in radii:
        centre = rng.uniform(0, shape)
        corners, turn = int(rng.integers(2, 7)), rng.uniform(0, 2 * np.pi)
        window = tuple(
            slice(max(int(c - radius), 0), min(int(c + radius) + 2, side))
            for c, side in zip(centre, shape, strict=True)
        )
        y, x = np.ogrid[window]
        y, x = y - centre[0], x - centre[1]
        inside = y**2 + x**2 <= radius**2
        # Three to six sides make a polygon; two stand for the whole disc.
        for side in range(corners if corners > 2 else 0):
            angle = turn + 2 * np.pi * side / corners
            inside &= y * np.sin(angle) + x * np.cos(angle) <= radius * np.cos(np.pi / corners)
        drawn[(slice(None), *window)] = np.where(inside, rng.uniform(size=(2, 1, 1)), drawn[(slice(None), *window)])
    return ((1 - absorption * drawn[1]) * np.exp(1j * phase * drawn[0])).astype(np.complex64)


def training_image(
    path: str | Path, shape: tuple[int, int], *, phase: float = 0.6, absorption: float = 0.0
) -> Transmission:
    """A picture as training object: a photograph with sharp edges will do, complex64 `shape`.

    Black is vacuum, white `phase` and `absorption`. Where the picture is too small it is repeated in mirror image,
    where it is too large its middle is taken.

    Parameters
    ----------
    path
        .npy file, real (rows, columns), or what matplotlib reads: PNG, grey or in colours.
    shape
        Rows and columns.
    phase, absorption
        As in `training_object`; the brightest and the darkest pixel of the whole picture are the ends.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no picture, or an even one.
    """
    _check(shape, phase, absorption)
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a picture (.png) or an array (.npy)")
    try:
        if Path(path).suffix == ".npy":
            # Not np.load: of an archive of arrays it makes no array.
            with Path(path).open("rb") as file:
                picture = np.lib.format.read_array(file)
        else:
            from matplotlib.image import imread

            picture = imread(path)
    except (ValueError, OSError, EOFError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable picture, expected .png or .npy") from error
    if picture.ndim == 3 and picture.shape[-1] in (3, 4):
        picture = picture[..., :3].mean(axis=-1)
    if picture.ndim != 2 or picture.size == 0 or picture.dtype.kind not in "fiu" or not np.isfinite(picture).all():
        raise ValueError(f"{path}: {picture.dtype} {picture.shape}, expected finite real numbers (rows, columns)")
    low, high = float(picture.min()), float(picture.max())
    if not high > low:
        raise ValueError(f"{path}: the picture is {low:g} everywhere, expected edges")
    grey = (picture.astype(np.float64) - low) / (high - low)
    for axis, side in enumerate(shape):
        missing = max(side - grey.shape[axis], 0)
        around = [(missing // 2, missing - missing // 2) if a == axis else (0, 0) for a in (0, 1)]
        grey = np.pad(grey, around, mode="symmetric")
        first = (grey.shape[axis] - side) // 2
        grey = np.take(grey, range(first, first + side), axis)
    return ((1 - absorption * grey) * np.exp(1j * phase * grey)).astype(np.complex64)


def with_contrast(obj: NDArray[np.complexfloating[Any, Any]], eta: float) -> Transmission:
    """The object with phase and logarithm of the amplitude times `eta`, as if it were so much thicker; complex64.

    The phase is counted from -pi to pi: an object that wraps cannot be scaled.
    """
    if not eta >= 0:
        raise ValueError(f"eta: {eta!r}, expected 0 or more")
    if not (np.isfinite(obj).all() and np.all(obj)):
        raise ValueError("object: holds zeros or values that are not finite, expected a transmission")
    return np.exp(eta * (np.log(np.abs(obj)) + 1j * np.angle(obj))).astype(np.complex64)


def noise_free_patterns(
    objects: Iterable[NDArray[np.complexfloating[Any, Any]]],
    acquisition: Acquisition,
    *,
    every: int = 1,
    chunk: int = 512,
) -> Iterator[NDArray[np.float32]]:
    """Mean intensities of the scan over each object in turn, in photons, float32 (at most `chunk`, n, n) at a time.

    Parameters
    ----------
    objects
        Transmissions, complex (acquisition.object_shape).
    acquisition
        Probe and scan; the probe's photons are those of a frame.
    every
        Take only every so many positions: the first object from position 0, the next from 1, so that an
        ensemble of `every` objects costs as much as one.
    chunk
        Frames at a time.
    """
    if every < 1 or chunk < 1:
        raise ValueError(f"every: {every!r}, chunk: {chunk!r}, expected 1 or more")
    for k, obj in enumerate(objects):
        positions = acquisition.positions[k % every :: every]
        for start in range(0, len(positions), chunk):
            yield diffract(obj, replace(acquisition, positions=positions[start : start + chunk]))


def matched(
    objects: Sequence[NDArray[np.complexfloating[Any, Any]]],
    acquisition: Acquisition,
    target: float,
    *,
    mask: NDArray[np.bool_] | None = None,
    every: int = 8,
) -> tuple[list[Transmission], float]:
    """Objects scaled to scatter as strongly as a sample, and the factor eta by which they were.

    Parameters
    ----------
    objects
        Transmissions, complex (acquisition.object_shape).
    acquisition
        Probe and scan.
    target
        `ptychopress.model.contrast.kappa` of the sample's frames, averaged, and `probe_pattern`.
    mask
        Invalid pixels of a frame, bool (n, n).
    every
        Positions left out, as in `noise_free_patterns`.
    """
    probe = probe_pattern(acquisition)

    def kappa_of(eta: float) -> float:
        total, frames = np.zeros(probe.shape), 0
        for chunk in noise_free_patterns((with_contrast(obj, eta) for obj in objects), acquisition, every=every):
            total += chunk.sum(axis=0, dtype=np.float64)
            frames += len(chunk)
        return kappa(total / frames, probe, mask)

    eta = match_contrast(kappa_of, target)
    return [with_contrast(obj, eta) for obj in objects], eta


def probe_pattern(acquisition: Acquisition) -> NDArray[np.float64]:
    """Mean intensity of a frame without object, photons, float64 (n, n)."""
    n = acquisition.window
    still = Acquisition(acquisition.probe, np.zeros((1, 2), np.int64), (n, n))
    return diffract(np.ones((n, n), np.complex64), still)[0].astype(np.float64)


def _check(shape: tuple[int, int], phase: float, absorption: float) -> None:
    if len(shape) != 2 or min(shape) < 16:
        raise ValueError(f"shape: {shape!r}, expected two sides of 16 pixels or more")
    if not 0 <= phase <= np.pi:
        raise ValueError(f"phase: {phase!r}, expected rad from 0 to pi")
    if not 0 <= absorption < 1:
        raise ValueError(f"absorption: {absorption!r}, expected 0 <= absorption < 1")
