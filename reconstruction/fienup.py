# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Phase retrieval of a single isolated object from one frame: error reduction and hybrid input-output.

J. R. Fienup, Appl. Opt. 21, 2758 (1982). The object is 0 outside a support that is known, and the frame is sampled so
finely that the support fills less than half of the object's array. Two sets are visited in turn: waves with the
measured moduli, and images that are 0 outside the support.

What a frame and a support cannot tell is free: the global phase; a shift, as far as the support leaves room; and the
twin, conj(o(-r)), where that fits into the support too. A tight support without symmetry leaves the phase alone.
`aligned` removes all three.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int, float], None]
"""Called after every iteration with the iterations done, those of all starts, and the iteration's residual."""

SCHEDULE = (("hio", 500), ("er", 100))
"""Hybrid input-output finds the basin, error reduction its bottom."""


@dataclass(frozen=True)
class Retrieval:
    """What `fienup` found.

    Parameters
    ----------
    image
        The object, complex64, 0 outside the support; its Fourier transform is unitary: |F{image}|^2 are photons.
    loss
        Of the image, the mean over the valid pixels of 4 (|F{image}| - sqrt(I))^2: in units of the Poisson variance.
    residuals
        Of each iteration, the root of the share of the wave with the measured moduli that lies outside the object's
        constraints. Under error reduction it never rises.
    losses
        Of every start; the image is that of the smallest.
    """

    image: NDArray[np.complex64]
    loss: float
    residuals: tuple[float, ...]
    losses: tuple[float, ...]


def fienup(
    intensity: NDArray[Any],
    support: NDArray[np.bool_],
    *,
    schedule: Sequence[tuple[str, int]] = SCHEDULE,
    beta: float = 0.9,
    non_negative: bool = False,
    starts: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> Retrieval:
    """Find an isolated object from its far-field intensities.

    Parameters
    ----------
    intensity
        Photons, real (rows, columns), zero frequency at the centre, pixel (rows // 2, columns // 2). NaN marks an
        invalid pixel: its wave is left as it is.
    support
        Where the object may differ from 0, bool (rows, columns).
    schedule
        Pairs of an algorithm, "er" or "hio", and a number of iterations, worked through in order. End with "er".
    beta
        Feedback of hybrid input-output, 0 to 2.
    non_negative
        Whether the object is real and not negative: a strong constraint where it is true.
    starts
        Random starts, of which the one with the smallest loss is kept.
    seed
        Of the starts. The same arguments give the same image on one machine.
    progress
        Called after every iteration.

    Raises
    ------
    ValueError
        If shapes differ, an intensity is negative or infinite, the support has more than half as many pixels as the
        frame has valid ones, or a number is out of range.
    """
    steps = _steps(schedule)
    if not 0 < beta <= 2:
        raise ValueError(f"beta: {beta!r}, expected more than 0, at most 2")
    if starts < 1:
        raise ValueError(f"starts: {starts!r}, expected 1 or more")
    moduli, valid = _moduli(intensity)
    size = int(np.count_nonzero(support))
    if support.shape != intensity.shape or support.dtype != np.bool_ or not size:
        raise ValueError(f"support: {support.dtype} {support.shape}, expected bool {intensity.shape}, not empty")
    # A complex object has two unknowns a pixel; the frame of a real one is symmetric, and says half as much.
    if 2 * size > valid.sum():
        raise ValueError(f"support: {size} pixels, expected at most {valid.sum() // 2}, half of the valid pixels")
    generator, total = np.random.default_rng(seed), starts * len(steps)
    norm = float(np.linalg.norm(moduli[valid]))
    found: list[tuple[float, NDArray[np.complex64], tuple[float, ...]]] = []
    for start in range(starts):
        turns = np.exp(2j * np.pi * generator.random(moduli.shape)).astype(np.complex64)
        image = _constrained(_to_object(moduli * turns), support, non_negative)
        residuals: list[float] = []
        for done, algorithm in enumerate(steps, start * len(steps) + 1):
            measured = _to_object(_with_moduli(_to_detector(image), moduli, valid))
            inside = _constrained(measured, support, non_negative)
            residuals.append(float(np.linalg.norm(measured - inside) / norm))
            if algorithm == "er":
                image = inside
            else:
                # Where the constraints hold the output is taken; elsewhere it drives the input against them.
                holds, output = support, measured
                if non_negative:
                    output = measured.real.astype(np.complex64)
                    holds = support & (output.real >= 0)
                image = np.where(holds, inside, image - np.float32(beta) * output)
            if progress is not None:
                progress(done, total, residuals[-1])
        image = _constrained(image, support, non_negative)
        misfit = np.abs(_to_detector(image))[valid] - moduli[valid]
        found.append((4 * float(np.mean(misfit**2)), image, tuple(residuals)))
    loss, image, history = min(found, key=lambda each: each[0])
    return Retrieval(image, loss, history, tuple(each[0] for each in found))


def aligned(image: NDArray[Any], reference: NDArray[Any]) -> NDArray[np.complex64]:
    """The image, or its twin, shifted by whole pixels and turned in phase so that it is nearest to a reference.

    Both complex (rows, columns); shifts are periodic.
    """
    if image.shape != reference.shape or image.ndim != 2:
        raise ValueError(f"images: shapes {image.shape} and {reference.shape}, expected the same (rows, columns)")
    twin = np.roll(image[::-1, ::-1], (1, 1), axis=(0, 1)).conj()
    spectrum = np.fft.fft2(reference.astype(np.complex128))
    best, nearest = -1.0, image
    for candidate in (image, twin):
        correlation = np.fft.ifft2(spectrum * np.fft.fft2(candidate.astype(np.complex128)).conj())
        row, column = np.unravel_index(np.argmax(np.abs(correlation)), correlation.shape)
        peak = correlation[row, column]
        if abs(peak) > best:
            best = abs(peak)
            nearest = np.roll(candidate, (int(row), int(column)), axis=(0, 1)) * (peak / abs(peak) if peak else 1)
    return nearest.astype(np.complex64)


def _steps(schedule: Sequence[tuple[str, int]]) -> list[str]:
    """The algorithm of each iteration."""
    steps: list[str] = []
    for algorithm, iterations in schedule:
        if algorithm not in ("er", "hio") or iterations < 1:
            raise ValueError(
                f'schedule: ({algorithm!r}, {iterations!r}), expected "er" or "hio" and 1 iteration or more'
            )
        steps += [algorithm] * iterations
    if not steps:
        raise ValueError("schedule: empty, expected pairs of an algorithm and a number of iterations")
    return steps


def _moduli(intensity: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Square roots of the intensities, 0 where invalid, and where they are valid; zero frequency first."""
    if intensity.ndim != 2:
        raise ValueError(f"intensity: shape {intensity.shape}, expected one frame (rows, columns)")
    frame = np.fft.ifftshift(intensity).astype(np.float32)
    valid = ~np.isnan(frame)
    if (frame < 0).any() or np.isinf(frame).any():
        raise ValueError("intensity: negative or infinite values, expected photons >= 0 or NaN for invalid")
    moduli = np.sqrt(np.where(valid, frame, 0))
    if not moduli.any():
        raise ValueError("intensity: no photon on any valid pixel")
    return moduli, valid


def _to_detector(image: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Wave of an image, zero frequency first."""
    return np.fft.fft2(image, norm="ortho").astype(np.complex64, copy=False)


def _to_object(wave: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Image of a wave, zero frequency first."""
    return np.fft.ifft2(wave, norm="ortho").astype(np.complex64, copy=False)


def _with_moduli(
    wave: NDArray[np.complex64], moduli: NDArray[np.float32], valid: NDArray[np.bool_]
) -> NDArray[np.complex64]:
    """The nearest wave with the measured moduli; invalid pixels stay as they are."""
    modulus = np.abs(wave)
    # Where the wave is 0 every phase is as near: 0 is taken.
    phase = np.where(modulus > 0, wave / np.where(modulus > 0, modulus, 1), 1)
    return np.where(valid, moduli * phase, wave)


def _constrained(image: NDArray[np.complex64], support: NDArray[np.bool_], non_negative: bool) -> NDArray[np.complex64]:
    """The nearest image that is 0 outside the support and, on request, real and not negative."""
    if non_negative:
        image = np.maximum(image.real, 0).astype(np.complex64)
    return np.where(support, image, 0)
