# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Judging an image and its fit to the data: squared errors, registration, Fourier ring correlation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KINDS = {"two": "two full data sets", "split": "one data set split in half"}


@dataclass(frozen=True)
class FRC:
    """A Fourier ring correlation, and the criterion it is judged by.

    `dataclasses.replace(curve, bits=1)` is the same curve judged by the 1-bit criterion.

    Parameters
    ----------
    frequencies
        Of each ring, Nyquist (1 / (2 pixel)) = 1, float64 (rings,).
    values
        Correlation of the two images in each ring, 0 to 1, float64 (rings,).
    counts
        Samples in each ring, int64 (rings,).
    kind
        Of what the two images are: "two" full data sets, or one "split" in half.
    bits
        Information asked of a sample, see `bit_threshold`: 0.5 for half-bit, 1 for 1-bit.
    """

    frequencies: NDArray[np.float64]
    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    kind: str = "two"
    bits: float = 0.5

    def __post_init__(self) -> None:
        _signal_to_noise(self.kind, self.bits)

    @property
    def threshold(self) -> NDArray[np.float64]:
        """Threshold of each ring, float64 (rings,)."""
        return bit_threshold(self.counts, self.kind, self.bits)

    @property
    def criterion(self) -> str:
        """What to name beside a figure, as "half-bit, two full data sets"."""
        return f"{'half' if self.bits == 0.5 else format(self.bits, 'g')}-bit, {_KINDS[self.kind]}"

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

    def resolution(self, pixel: float) -> float:
        """1 / u at the crossing, a full period, in the unit of `pixel`, the side of an image pixel.

        Without a crossing 2 `pixel`, that of Nyquist: then the pixels limit it and not the noise.
        """
        if not pixel > 0:
            raise ValueError(f"pixel: {pixel!r}, expected a positive length")
        return 2 * pixel / self.crossing


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


def data_mse(frames: NDArray[Any], measured: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Mean over the valid pixels of (I' - I)^2, in photons squared.

    Parameters
    ----------
    frames
        Intensities I' to judge, of a model or decompressed, in photons, real (J, n, n).
    measured
        Counts I, real (J, n, n). NaN marks an invalid pixel.
    mask
        True where a pixel is invalid, bool, (n, n) or (J, n, n).

    Raises
    ------
    ValueError
        If shapes do not match, no pixel is valid, or a valid one is negative or not finite.
    """
    return _mean_error(frames, measured, mask, lambda value: value)


def data_error(frames: NDArray[Any], measured: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> float:
    """Variance-stabilised data error: mean over the valid pixels of 4 (sqrt(I') - sqrt(I))^2.

    2 sqrt(I) of a Poisson count has a variance near 1 whatever its mean, so that bright pixels count no more than dim
    ones and the error is in units of the Poisson variance. Of the true means against their counts it is 1 where these
    are high, up to 1.8 for means near 1, and less where most counts are 0.

    Parameters and errors as `data_mse` has them.
    """
    return _mean_error(frames, measured, mask, lambda value: 2 * np.sqrt(value))


def _mean_error(
    frames: NDArray[Any],
    measured: NDArray[Any],
    mask: NDArray[np.bool_] | None,
    scale: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    """Mean over the valid pixels of (scale(I') - scale(I))^2, a frame at a time."""
    if frames.shape != measured.shape:
        raise ValueError(f"frames: shape {frames.shape}, expected {measured.shape} as measured")
    invalid = np.asarray(False if mask is None else mask, np.bool_)
    try:
        invalid = np.broadcast_to(invalid, measured.shape)
    except ValueError as error:
        raise ValueError(f"mask: shape {invalid.shape}, expected that of a frame or {measured.shape}") from error
    total, count = 0.0, 0
    for frame, counts, bad in zip(frames, measured, invalid, strict=True):
        valid = ~(np.isnan(counts) | bad)
        pair = np.stack([frame[valid], counts[valid]]).astype(np.float64)
        if not (np.isfinite(pair) & (pair >= 0)).all():
            raise ValueError("frames or measured: negative or not finite in a valid pixel, expected photons >= 0")
        total += float(np.sum(np.diff(scale(pair), axis=0) ** 2))
        count += pair.shape[1]
    if not count:
        raise ValueError("measured: no valid pixel")
    return total / count


def bit_threshold(counts: NDArray[np.integer[Any]], kind: str = "two", bits: float = 0.5) -> NDArray[np.float64]:
    """FRC of rings of `counts` samples, n, that hold `bits` bits of information a sample.

    With a signal-to-noise ratio s in each of the two images

        T = (s + 2 sqrt(s) / sqrt(n) + 1 / sqrt(n)) / (s + 1 + 2 sqrt(s) / sqrt(n))

    as signal and noise, and the noise of both, sum up to sqrt(n) by chance (van Heel and Schatz, J. Struct. Biol. 151,
    250, 2005). A sample holds log2(1 + SNR) bits. kind "two": each of two full data sets shall hold them,
    s = 2^bits - 1 (0.4142 for half-bit, 1 for 1-bit); "split": the sum of two halves shall, whose noise has half the
    variance, s = (2^bits - 1) / 2 (0.2071 and 0.5).
    """
    s = _signal_to_noise(kind, bits)
    root = np.sqrt(counts)
    return np.asarray((s * root + 2 * np.sqrt(s) + 1) / ((s + 1) * root + 2 * np.sqrt(s)), np.float64)


def _signal_to_noise(kind: str, bits: float) -> float:
    if kind not in _KINDS:
        raise ValueError(f"kind: {kind!r}, expected 'two' or 'split'")
    if not bits > 0:
        raise ValueError(f"bits: {bits!r}, expected a positive number, as 0.5 or 1")
    return (2**bits - 1) / (2 if kind == "split" else 1)


def frc(
    first: NDArray[Any],
    second: NDArray[Any],
    *,
    kind: str = "two",
    bits: float = 0.5,
    window: NDArray[np.floating[Any]] | None = None,
) -> FRC:
    """Fourier ring correlation |sum F1 F2*| / sqrt(sum |F1|^2 sum |F2|^2) of two square images.

    Rings are one sample wide, up to Nyquist. The images are taken as they are: `register` and `window` them first.

    Parameters
    ----------
    first, second
        Real or complex images (n, n).
    kind, bits
        Threshold, see `bit_threshold`.
    window
        Multiplied on both images first, see `apodisation`; none by default.

    Raises
    ------
    ValueError
        If the images are not as above or hold a value that is not finite, or the threshold is not known.
    """
    if first.shape != second.shape or first.ndim != 2 or first.shape[0] != first.shape[1]:
        raise ValueError(f"images of {first.shape} and {second.shape}, expected two of the same square (n, n)")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("images: hold values that are not finite")
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
    return FRC(np.arange(rings) / (n / 2), values, counts, kind, bits)


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

    # Noise would swamp the derivatives: the fit sees both images smoothed by two pixels.
    smooth = np.exp(sum(2 * w**2 for w in waves))
    target = np.fft.ifft2(np.fft.fft2(reference) * smooth)[where]

    def fit(ramp: bool, shift: bool) -> None:
        """Gauss and Newton's steps of `slope` and `moved`, as far as they are free."""
        nonlocal slope, moved
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

    if ramp:
        # Padding four times finds the slope to an eighth of a turn across the image: near enough to fit it, and what
        # the fit leaves no longer drowns the peak of the correlation.
        product = np.pad(np.where(where, np.conj(reference) * image, 0), [(0, 3 * n) for n in image.shape])
        slope = 2 * np.pi * _peak(product) / np.array(product.shape)
        fit(ramp=True, shift=False)
    if shift:
        flat = [np.where(where, a - a[where].mean(), 0) for a in (reference, apply())]
        moved = _peak(np.fft.fft2(flat[0]) * np.conj(np.fft.fft2(flat[1])))
        fit(ramp, shift)
    return apply()


def _peak(spectrum: NDArray[Any]) -> NDArray[np.float64]:
    """Signed index (row, column) of the largest sample of the inverse transform."""
    peak = np.unravel_index(np.argmax(np.abs(np.fft.ifft2(spectrum))), spectrum.shape)
    return np.array([p - n if p > n // 2 else p for p, n in zip(peak, spectrum.shape, strict=True)], np.float64)
