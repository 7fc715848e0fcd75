# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Judging an image: squared error against the truth, registration, Fourier ring correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Signal-to-noise ratio of the half-bit criterion: of the average of two full data sets, and of one split in half.
_HALF_BIT = {"two": (0.4142, 2.2872, 1.4142, 1.2872), "split": (0.2071, 1.9102, 1.2071, 0.9102)}


@dataclass(frozen=True)
class FRC:
    """A Fourier ring correlation.

    Parameters
    ----------
    frequencies
        Of each ring, Nyquist (1 / (2 pixel)) = 1, float64 (rings,).
    values
        Correlation of the two images in each ring, 0 to 1, float64 (rings,).
    counts
        Samples in each ring, int64 (rings,).
    threshold
        Half-bit threshold of each ring, float64 (rings,).
    kind
        Which threshold: "two" data sets, or one "split" in half.
    """

    frequencies: NDArray[np.float64]
    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    threshold: NDArray[np.float64]
    kind: str

    @property
    def crossing(self) -> float:
        """Where the correlation first falls below the threshold, Nyquist = 1; 1.0 if it never does.

        Linear between the two rings. The ring at zero frequency, a single sample, does not count.
        """
        margin = self.values - self.threshold
        below = np.flatnonzero(margin[1:] < 0) + 1
        if not len(below):
            return 1.0
        i = int(below[0])
        if i == 1:
            return float(self.frequencies[1])
        fraction = margin[i - 1] / (margin[i - 1] - margin[i])
        return float(self.frequencies[i - 1] + fraction * (self.frequencies[i] - self.frequencies[i - 1]))


def phase_of(
    obj: NDArray[np.complexfloating[Any, Any]], support: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Phase of a transmission in rad, float64, counted from its mean direction so that small phases do not wrap.

    The mean is taken where `support` is true (everywhere by default); it is added back, so that a global phase stays.
    """
    where = np.ones(obj.shape, np.bool_) if support is None else support
    mean = np.angle(np.sum(obj[where]))
    return np.asarray(np.angle(obj * np.exp(-1j * mean)) + mean, np.float64)


def smse(truth: NDArray[np.floating[Any]], image: NDArray[np.floating[Any]], support: NDArray[np.bool_]) -> float:
    """Mean over the support of (truth - image)^2; for phases in rad^2."""
    if not truth.shape == image.shape == support.shape:
        raise ValueError(f"shapes {truth.shape}, {image.shape} and {support.shape}, expected three alike")
    if not support.any():
        raise ValueError("support: empty")
    return float(np.mean((np.asarray(truth, np.float64) - image)[support] ** 2))


def half_bit(counts: NDArray[np.integer[Any]], kind: str = "two") -> NDArray[np.float64]:
    """Half-bit threshold of rings of `counts` samples (van Heel and Schatz, J. Struct. Biol. 151, 250, 2005).

    kind "two": two full data sets, signal-to-noise ratio 0.4142 in each; "split": one data set split in half, 0.2071.
    """
    if kind not in _HALF_BIT:
        raise ValueError(f"kind: {kind!r}, expected 'two' or 'split'")
    a, b, c, d = _HALF_BIT[kind]
    root = np.sqrt(counts)
    return np.asarray((a + b / root) / (c + d / root), np.float64)


def frc(
    first: NDArray[Any], second: NDArray[Any], *, kind: str = "two", window: NDArray[np.floating[Any]] | None = None
) -> FRC:
    """Fourier ring correlation |sum F1 F2*| / sqrt(sum |F1|^2 sum |F2|^2) of two square images.

    Rings are one sample wide, up to Nyquist. The images are taken as they are: `register` and `window` them first.

    Parameters
    ----------
    first, second
        Real or complex images (n, n).
    kind
        Half-bit threshold, see `half_bit`.
    window
        Multiplied on both images first, see `apodisation`; none by default.
    """
    if first.shape != second.shape or first.ndim != 2 or first.shape[0] != first.shape[1]:
        raise ValueError(f"images of {first.shape} and {second.shape}, expected two of the same square (n, n)")
    n = first.shape[0]
    weight = 1.0 if window is None else window
    f1, f2 = (np.fft.fft2(image * weight) for image in (first, second))
    axis = np.fft.fftfreq(n, 1 / n)
    ring = np.rint(np.hypot(axis[:, None], axis)).astype(np.int64).ravel()
    rings = n // 2 + 1

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(ring, values.ravel(), minlength=rings)[:rings].astype(np.float64)

    cross = f1 * f2.conj()
    power = total(np.abs(f1) ** 2) * total(np.abs(f2) ** 2)
    # A ring without power in either image correlates with nothing.
    values = np.hypot(total(cross.real), total(cross.imag)) / np.sqrt(np.where(power > 0, power, 1))
    counts = np.bincount(ring, minlength=rings)[:rings]
    return FRC(np.arange(rings) / (n / 2), values, counts, half_bit(counts, kind), kind)


def apodisation(shape: tuple[int, int], edge: float = 0.1) -> NDArray[np.float64]:
    """Window that is 1 inside and falls to 0 as a raised cosine over `edge` of the side at each border."""
    if not 0 < edge <= 0.5:
        raise ValueError(f"edge: {edge!r}, expected 0 < edge <= 0.5")

    def taper(n: int) -> NDArray[np.float64]:
        distance = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / (edge * n)
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1)), np.float64)

    return taper(shape[0])[:, None] * taper(shape[1])


def register(
    reference: NDArray[Any],
    image: NDArray[Any],
    support: NDArray[np.bool_] | None = None,
    *,
    ramp: bool = True,
    shift: bool = True,
) -> NDArray[np.complex128]:
    """Bring a complex image into line with a reference: remove global phase, phase ramp and sub-pixel shift.

    None of the three is an error of a reconstruction whose probe is unknown. The shift comes from the
    peak of the cross-correlation, the ramp from a fit; both are refined together.

    Parameters
    ----------
    reference, image
        Complex transmissions of the same shape.
    support
        Where they are compared, bool, everywhere by default.
    ramp, shift
        Whether a phase ramp and a shift are free; with a known probe they are not, only the global phase is.

    Returns
    -------
    The image in line with the reference, complex128.
    """
    if reference.shape != image.shape or reference.ndim != 2:
        raise ValueError(f"images of {reference.shape} and {image.shape}, expected two of the same shape")
    where = np.ones(image.shape, np.bool_) if support is None else support
    if where.shape != image.shape or not where.any():
        raise ValueError(f"support: shape {where.shape}, expected {image.shape} with at least one pixel set")
    axes = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in image.shape), indexing="ij")
    waves = [2j * np.pi * f for f in np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij")]
    slope, moved = np.zeros(2), np.zeros(2)

    def apply() -> NDArray[np.complex128]:
        """The image, ramped by `slope` rad per pixel, then moved by `moved` pixels, at the reference's global phase."""
        there = image * np.exp(1j * (slope[0] * axes[0] + slope[1] * axes[1]))
        if moved.any():
            there = np.fft.ifft2(np.fft.fft2(there) * np.exp(-moved[0] * waves[0] - moved[1] * waves[1]))
        return there * np.exp(1j * np.angle(np.vdot(there[where], reference[where])))

    if ramp:
        # Padding four times finds the slope to an eighth of a turn across the image: near enough for what follows.
        product = np.pad(np.where(where, np.conj(reference) * image, 0), [(0, 3 * n) for n in image.shape])
        slope = 2 * np.pi * _peak(product) / np.array(product.shape)
    if shift:
        flat = [np.where(where, a - a[where].mean(), 0) for a in (reference, apply())]
        moved = _peak(np.fft.fft2(flat[0]) * np.conj(np.fft.fft2(flat[1])))
    # Noise would swamp the derivatives: the fit sees both images smoothed by two pixels.
    smooth = np.exp(sum(2 * w**2 for w in waves))
    target = np.fft.ifft2(np.fft.fft2(reference) * smooth)[where]
    for _ in range(20):
        spectrum = np.fft.fft2(apply()) * smooth
        there = np.fft.ifft2(spectrum)[where]
        # What a small change of global phase, scale, slope and shift does to the image.
        changes = [1j * there, there]
        changes += [1j * r[where] * there for r in axes] if ramp else []
        changes += [-np.fft.ifft2(spectrum * w)[where] for w in waves] if shift else []
        matrix = np.stack(changes)
        normal = (matrix.conj() @ matrix.T).real
        step = np.linalg.solve(normal, (matrix.conj() @ (target - there)).real)[2:]
        if ramp:
            slope = slope + step[:2]
        if shift:
            moved = moved + np.clip(step[-2:], -0.5, 0.5)
        if np.abs(step).max(initial=0) < 1e-5:
            break
    return apply()


def _peak(spectrum: NDArray[Any]) -> NDArray[np.float64]:
    """Signed index (row, column) of the largest sample of the inverse transform."""
    peak = np.unravel_index(np.argmax(np.abs(np.fft.ifft2(spectrum))), spectrum.shape)
    return np.array([p - n if p > n // 2 else p for p, n in zip(peak, spectrum.shape, strict=True)], np.float64)
