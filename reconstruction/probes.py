# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Illuminations: Gaussian and zone-plate probes, their propagation, partial coherence, and how far two differ.

A probe is complex (n, n), or (M, n, n) for M incoherent modes, centred on pixel (n // 2, n // 2). Its scale is free:
`Acquisition.scaled` sets the photons. Lengths are in metres unless a parameter says pixels; a wave that travels
downstream by z gains the phase +2 pi z / wavelength.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Probe = NDArray[np.complexfloating[Any, Any]]
"""A complex probe (n, n) or modes (M, n, n)."""


def gaussian_probe(size: int = 72, sigma: float = 6.0, phase: float = 0.5) -> NDArray[np.complex64]:
    """Gaussian illumination exp(-r^2 / (2 sigma^2)) whose phase is `phase` times its amplitude, complex64 (size, size).

    `sigma` is in pixels, `phase` in rad; r is counted from pixel (size / 2, size / 2).
    """
    if size < 2 or not sigma > 0:
        raise ValueError(f"probe of size {size!r} and sigma {sigma!r}: expected size >= 2 and sigma > 0")
    axis = np.arange(size) - size / 2
    amplitude = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * sigma**2))
    return (amplitude * np.exp(1j * phase * amplitude)).astype(np.complex64)


@dataclass(frozen=True)
class ZonePlate:
    """A Fresnel zone plate with a central stop, of whose orders an ideal order-sorting aperture passes only the first.

    Parameters
    ----------
    diameter
        Of the zone plate, in metres.
    outermost_zone
        Width of the outermost zone, in metres: the smallest detail of the focus.
    stop_diameter
        Of the central stop, in metres, smaller than `diameter`; 0 for none.

    Raises
    ------
    ValueError
        If a length is out of range.
    """

    diameter: float
    outermost_zone: float
    stop_diameter: float = 0.0

    def __post_init__(self) -> None:
        if not self.outermost_zone > 0:
            raise ValueError(f"outermost_zone: {self.outermost_zone!r}, expected metres > 0")
        if not self.diameter > 4 * self.outermost_zone:
            raise ValueError(f"diameter: {self.diameter!r}, expected metres, more than 4 times the outermost zone")
        if not 0 <= self.stop_diameter < self.diameter:
            raise ValueError(f"stop_diameter: {self.stop_diameter!r}, expected 0 <= metres < {self.diameter!r}")

    def focal_length(self, wavelength: float) -> float:
        """Distance of the first-order focus, diameter * outermost zone / wavelength, in metres."""
        return self.diameter * self.outermost_zone / wavelength

    def depth_of_focus(self, wavelength: float) -> float:
        """How far from the focus, on either side, the probe stays sharp: 2 outermost zone^2 / wavelength, in metres."""
        return 2 * self.outermost_zone**2 / wavelength

    def probe(self, size: int, pixel: float, wavelength: float, defocus: float = 0.0) -> NDArray[np.complex64]:
        """The wave at the sample.

        Parameters
        ----------
        size
            Side n of the window, in pixels.
        pixel
            Side of an object pixel, wavelength * detector distance / (n * detector pixel), in metres.
        wavelength
            In metres.
        defocus
            How far downstream of the focus the sample is, in metres; negative: upstream.

        Returns
        -------
        complex64 (n, n), of intensity sum 1.

        Raises
        ------
        ValueError
            If a pixel is wider than the outermost zone, so that the cone misses the detector, or the window is
            narrower than the cone at the sample, or so narrow that the open ring is no detector pixel wide.
        """
        if size < 2 or not (pixel > 0 and wavelength > 0):
            raise ValueError(
                f"size {size!r}, pixel {pixel!r}, wavelength {wavelength!r}: expected size >= 2, metres > 0"
            )
        if pixel > self.outermost_zone:
            raise ValueError(f"pixel: {pixel!r}, expected at most the outermost zone, {self.outermost_zone!r}")
        narrowest = 2 * self.outermost_zone / (1 - self.stop_diameter / self.diameter)
        if size * pixel < narrowest:
            raise ValueError(
                f"size: {size!r} makes the window {size * pixel:.3g} m wide, expected at least {narrowest:.3g} m, "
                "in which the zone plate's open ring is a detector pixel wide"
            )
        cone = abs(defocus) * wavelength / self.outermost_zone
        if not cone < size * pixel:
            raise ValueError(
                f"defocus: {defocus!r} makes the probe {cone:.3g} m wide, expected less than the window, "
                f"{size * pixel:.3g} m"
            )
        # A ray through the plate at radius r meets the sample at spatial frequency r / (wavelength * focal length).
        frequency = np.fft.fftfreq(size, pixel)
        radius = np.hypot(frequency[:, None], frequency) * wavelength * self.focal_length(wavelength)
        edge = wavelength * self.focal_length(wavelength) / (size * pixel)  # one sample: edges are as wide as that
        pupil = _step((self.diameter / 2 - radius) / edge)
        if self.stop_diameter:
            pupil *= _step((radius - self.stop_diameter / 2) / edge)
        focus = np.fft.fftshift(np.fft.ifft2(pupil, norm="ortho"))
        return propagated(focus / np.linalg.norm(focus), defocus, wavelength, pixel)


def _step(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """0 to 1 across an edge one sample wide; `distance` from the edge is in samples."""
    return np.clip(distance + 0.5, 0, 1)


def propagated(probe: Probe, distance: float, wavelength: float, pixel: float) -> NDArray[np.complex64]:
    """The probe `distance` metres further downstream, by its angular spectrum; negative distances go back.

    The window is periodic: light that leaves it on one side comes in on the other.

    Parameters
    ----------
    probe
        Complex (..., n, n).
    distance, wavelength
        In metres.
    pixel
        Side of a pixel in metres, longer than 0.71 wavelengths, so that no wave is evanescent.

    Returns
    -------
    complex64, with the shape and the photons of `probe`.
    """
    if not (wavelength > 0 and pixel > wavelength / np.sqrt(2)):
        raise ValueError(f"pixel {pixel!r}, wavelength {wavelength!r}: expected pixel > 0.71 wavelength > 0, in metres")
    if not np.isfinite(distance):
        raise ValueError(f"distance: {distance!r}, expected metres")
    rows, columns = (np.fft.fftfreq(n, pixel) * wavelength for n in probe.shape[-2:])
    sine_squared = rows[:, None] ** 2 + columns**2
    # cos - 1, rid of its cancellation: the phase along the axis, millions of turns, is left out.
    advance = -sine_squared / (1 + np.sqrt(1 - sine_squared))
    turn = np.exp(2j * np.pi * (distance / wavelength) * advance)
    return np.fft.ifft2(np.fft.fft2(probe.astype(np.complex128)) * turn).astype(np.complex64)


def partially_coherent(
    probe: Probe, count: int, blur: float | tuple[float, float], *, powers: Sequence[float] | None = None
) -> NDArray[np.complex64]:
    """Incoherent modes of a probe whose source is extended, or whose sample shakes.

    Such a probe is a mixture of copies of `probe`, moved by a Gaussian distribution of shifts (Gaussian Schell model).
    Its mutual intensity is diagonal in the modes returned: they are orthogonal, strongest first.

    Parameters
    ----------
    probe
        Complex (n, n).
    count
        Modes M to keep; the light of the rest goes to them.
    blur
        Standard deviation of the shifts in pixels: the demagnified source; of rows and columns, or one for both.
    powers
        Photons of the modes in any unit, M numbers > 0, instead of those that follow from `blur`.

    Returns
    -------
    complex64 (M, n, n), of as many photons as `probe`.

    Raises
    ------
    ValueError
        If an argument is out of range, or the blur is too small to give `count` modes.
    """
    if probe.ndim != 2 or not np.any(probe):
        raise ValueError(f"probe: shape {probe.shape}, expected one coherent probe (n, n) that is not 0")
    sigmas = np.broadcast_to(np.asarray(blur, np.float64), (2,))
    if not (sigmas >= 0).all() or not np.isfinite(sigmas).all():
        raise ValueError(f"blur: {blur!r}, expected pixels >= 0")
    if powers is not None and (len(powers) != count or not all(power > 0 for power in powers)):
        raise ValueError(f"powers: {powers!r}, expected {count!r} numbers > 0")
    # Gauss-Hermite points integrate over the shifts; 15 an axis are exact to more digits than float32 has.
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    spectrum = np.fft.fft2(probe.astype(np.complex128))
    ramps = [
        np.exp(-2j * np.pi * sigma * np.outer(nodes if sigma else [0.0], np.fft.fftfreq(n)))
        for sigma, n in zip(sigmas, probe.shape, strict=True)
    ]
    shares = [np.sqrt(weights / weights.sum()) if sigma else np.ones(1) for sigma in sigmas]
    copies = np.fft.ifft2(spectrum * ramps[0][:, None, :, None] * ramps[1][None, :, None, :])
    copies *= shares[0][:, None, None, None] * shares[1][None, :, None, None]
    copies = copies.reshape(-1, probe.size)
    # Singular vectors by the small Gram matrix of the copies.
    energies, mixtures = np.linalg.eigh(copies.conj() @ copies.T)
    energies, mixtures = energies[::-1], mixtures[:, ::-1]
    found = int((energies > 1e-12 * energies[0]).sum())
    if not 1 <= count <= found:
        raise ValueError(f"count: {count!r}, expected 1 to {found}, the modes that a blur of {blur!r} pixels gives")
    modes = mixtures[:, :count].T @ copies
    modes /= np.linalg.norm(modes, axis=1, keepdims=True)
    kept = energies[:count] if powers is None else np.asarray(powers, np.float64)
    kept = kept * (np.sum(np.abs(probe.astype(np.complex128)) ** 2) / kept.sum())
    return (modes * np.sqrt(kept)[:, None]).reshape(count, *probe.shape).astype(np.complex64)


def magnified(probe: Probe, factor: float) -> NDArray[np.complex64]:
    """The probe `factor` times as wide about its centre pixel, by trigonometric interpolation; its photons are kept.

    Parameters
    ----------
    probe
        Complex (..., n, n), dark at the border of its window.
    factor
        > 0; 1.05 makes a probe that is wrong by 5 %.
    """
    if not factor > 0:
        raise ValueError(f"factor: {factor!r}, expected a positive number")
    n = probe.shape[-1]
    centred = np.arange(n) - n // 2
    places = centred / factor
    # Row x of the matrix evaluates the Fourier series of the window at x / factor; outside the window there is nothing.
    series = np.exp(2j * np.pi * np.outer(places, centred) / n) / n
    series[np.abs(places) > n / 2] = 0
    matrix = series @ np.exp(-2j * np.pi * np.outer(centred, centred) / n)
    image = matrix @ probe.astype(np.complex128) @ matrix.T
    return (image * (np.linalg.norm(probe) / np.linalg.norm(image))).astype(np.complex64)


def mismatch(probe: Probe, other: Probe) -> float:
    """Root of the share of light in which two probes differ, 0 to 1, whatever their scale and global phase.

    sqrt(1 - |<p, q>|^2 / (|p|^2 |q|^2)): about the relative rms error. Both (n, n).
    """
    if probe.shape != other.shape or probe.ndim != 2:
        raise ValueError(f"probes: shapes {probe.shape} and {other.shape}, expected the same (n, n)")
    p, q = (array.astype(np.complex128) / np.linalg.norm(array) for array in (probe, other))
    # |q - <p, q> p| rather than 1 - |<p, q>|^2: the same, and exact for small differences.
    return float(np.linalg.norm(q - np.vdot(p, q) * p))
