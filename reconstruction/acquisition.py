# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Simulated ptychographic acquisitions: probe, scan, mean intensities and photon counts.

Conventions, shared by the whole folder: axes are (row, column); a scan position is where the first corner of the
probe's window falls in the object array, in object pixels; outside the phantom lies vacuum, transmission 1;
the Fourier transform is unitary, so a frame holds as many photons as the exit wave; a frame has its zero frequency
at the centre, pixel (n // 2, n // 2), as a detector sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .phantom import Phantom
from .probes import gaussian_probe
from .scans import raster_scan

FULL_SCALE = 16383
"""Largest count of a 14 bit counter."""

DOSE_RATIO = 325**2 / 50918
"""Photons on the whole array for each photon on the authors' cell: array over support, in pixels."""


@dataclass(frozen=True)
class Acquisition:
    """What is known about a scan beside its frames.

    Parameters
    ----------
    probe
        Illumination, complex64 (n, n), or (M, n, n) for M incoherent modes, by convention the strongest first. Its
        intensity sums to the photons of a frame without object.
    positions
        First corner (row, column) of the probe's window in the object array for each of the J frames, in object
        pixels, (J, 2), int64 or float64. Fractional positions are honoured: the probe is shifted within its window.
    object_shape
        Rows and columns of the object array; every window lies inside.

    Raises
    ------
    ValueError
        If a shape is not as above, a value is not finite, or a window leaves the object array.
    """

    probe: NDArray[np.complex64]
    positions: NDArray[Any]
    object_shape: tuple[int, int]

    def __post_init__(self) -> None:
        probe = np.ascontiguousarray(self.probe, np.complex64)
        positions = _checked_positions(self.positions)
        if probe.ndim not in (2, 3) or probe.shape[-2] != probe.shape[-1] or probe.size == 0:
            raise ValueError(f"probe: shape {probe.shape}, expected a square (n, n), or (M, n, n) for M modes")
        if not np.isfinite(probe).all():
            raise ValueError("probe: holds values that are not finite")
        positions = positions.astype(np.float64 if positions.dtype.kind == "f" else np.int64)
        object.__setattr__(self, "probe", probe)
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "object_shape", (int(self.object_shape[0]), int(self.object_shape[1])))
        last = self.corners.max(axis=0) + self.window
        if self.corners.min() < 0 or (last > self.object_shape).any():
            raise ValueError(
                f"positions: windows span {self.corners.min(axis=0).tolist()} to {last.tolist()}, "
                f"outside the object array of {self.object_shape}"
            )

    @property
    def window(self) -> int:
        """Side n of the probe's window and of a frame, in pixels."""
        return self.probe.shape[-1]

    @property
    def modes(self) -> NDArray[np.complex64]:
        """The probe as incoherent modes, complex64 (M, n, n), whose intensities add up; M = 1 for a coherent probe."""
        return self.probe.reshape(-1, self.window, self.window)

    @property
    def corners(self) -> NDArray[np.int64]:
        """Positions rounded to whole pixels, int64 (J, 2)."""
        return np.floor(self.positions + 0.5).astype(np.int64)

    @property
    def shifts(self) -> NDArray[np.float64]:
        """What rounding left: how far the probe moves inside its window, -0.5 to 0.5 pixels, float64 (J, 2)."""
        return np.asarray(self.positions - self.corners, np.float64)

    @property
    def photons(self) -> float:
        """Photons of a frame without object."""
        return float(np.sum(np.abs(self.probe.astype(np.complex128)) ** 2))

    def scaled(self, photons: float) -> Acquisition:
        """The same acquisition with `photons` photons in a frame without object."""
        if not photons > 0:
            raise ValueError(f"photons: {photons!r}, expected a positive number")
        return replace(self, probe=self.probe * np.float32(np.sqrt(photons / self.photons)))

    def coverage(self, threshold: float = 0.1) -> NDArray[np.bool_]:
        """Where the scan put light: dose at least `threshold` times the largest, bool (object_shape)."""
        dose = np.zeros(self.object_shape)
        intensity = np.sum(np.abs(self.modes) ** 2, axis=0)
        n = self.window
        for row, column in self.corners:
            dose[row : row + n, column : column + n] += intensity
        return dose >= threshold * dose.max()


def _checked_positions(positions: NDArray[Any]) -> NDArray[Any]:
    """The positions, if they are finite real numbers (J, 2)."""
    array = np.asarray(positions)
    if array.ndim != 2 or array.shape[1] != 2 or len(array) == 0:
        raise ValueError(f"positions: shape {array.shape}, expected (J, 2), J > 0")
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ValueError(f"positions: expected finite real numbers, got dtype {array.dtype}")
    return array


@dataclass(frozen=True)
class CellBenchmark:
    """The cell benchmark: what is scanned, how, and where the truth lies.

    Parameters
    ----------
    acquisition
        Probe and scan.
    object
        True transmission in vacuum, complex64 (acquisition.object_shape).
    support
        Where the cell is, bool (acquisition.object_shape).
    region
        Slices of the object array to judge a reconstruction in: the phantom or, in a partial scan, the part of it
        that is lit as evenly as in the whole scan.
    """

    acquisition: Acquisition
    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    region: tuple[slice, slice]


def placed(probe: NDArray[np.complexfloating[Any, Any]], positions: NDArray[Any], *, margin: int = 0) -> Acquisition:
    """An acquisition with an object array just around a scan pattern and its windows.

    Parameters
    ----------
    probe
        Illumination, complex (n, n) or (M, n, n).
    positions
        Scan pattern (J, 2), wherever it starts. It is moved by whole pixels.
    margin
        Pixels of the object array that no window reaches, on each side: room for positions that are refined.
    """
    if margin < 0:
        raise ValueError(f"margin: {margin!r}, expected pixels >= 0")
    corners = np.floor(_checked_positions(positions) + 0.5).astype(np.int64)
    first = corners.min(axis=0) - margin
    rows, columns = corners.max(axis=0) + probe.shape[-1] + margin - first
    return Acquisition(probe.astype(np.complex64), positions - first, (int(rows), int(columns)))


def in_vacuum(obj: NDArray[np.complexfloating[Any, Any]], shape: tuple[int, int]) -> NDArray[np.complex64]:
    """An object in the middle of an array of `shape`, vacuum (1) around it, complex64; what does not fit is cut off."""
    surrounded = np.ones(shape, np.complex64)
    here, there = [], []
    for size, extent in zip(obj.shape, shape, strict=True):
        offset = (extent - size) // 2
        here.append(slice(max(offset, 0), min(offset + size, extent)))
        there.append(slice(here[-1].start - offset, here[-1].stop - offset))
    surrounded[tuple(here)] = obj[tuple(there)]
    return surrounded


def cell_benchmark(phantom: Phantom, photons: float = 2e7, *, rows: int = 66, columns: int = 68) -> CellBenchmark:
    """The scan of Huang et al.'s cell simulation over a phantom.

    66 x 68 positions, 5 pixels apart, of a 72 x 72 window with a Gaussian probe; the first corner is 36 pixels
    outside the phantom. `photons` fall on the cell; spread evenly over the array they give
    photons * 325^2 / 50918 / 4488 per frame (2e7: 9,244), where 50,918 pixels are the support of the authors' cell,
    whatever the phantom here.

    Parameters
    ----------
    phantom
        What is scanned, 325 x 325 pixels.
    photons
        Dose on the cell, in photons: 1e4 to 4e8 in the paper.
    rows, columns
        Fewer than 66 x 68 scan only the middle of the phantom, at the same dose per frame.

    Raises
    ------
    ValueError
        If the phantom has another size, rows or columns exceed the whole scan, or photons is not positive.
    """
    size, full, step, margin = 325, (66, 68), 5, 36
    if phantom.phase.shape != (size, size):
        raise ValueError(f"phantom: {phantom.phase.shape}, expected (325, 325), what the benchmark scans")
    if not (1 <= rows <= full[0] and 1 <= columns <= full[1]):
        raise ValueError(f"{rows} x {columns} positions: expected 1 to 66 rows and 1 to 68 columns")
    if not photons > 0:
        raise ValueError(f"photons: {photons!r}, expected a positive number")
    probe = gaussian_probe()
    n = len(probe)
    # Vacuum as far as the whole scan reaches, then what the asked for part of it sees.
    around = [(margin, (count - 1) * step + n - margin - size) for count in full]
    skip = [(count - part) // 2 * step for count, part in zip(full, (rows, columns), strict=True)]
    extent = [(part - 1) * step + n for part in (rows, columns)]
    seen = (slice(skip[0], skip[0] + extent[0]), slice(skip[1], skip[1] + extent[1]))
    transmission = np.pad(np.exp(1j * phantom.phase), around, constant_values=1).astype(np.complex64)[seen]
    support = np.pad(phantom.support, around)[seen]
    # Half a window from the border of what is seen the light is even.
    region = tuple(
        slice(max(margin - s, n // 2), min(margin + size - s, e - n // 2)) for s, e in zip(skip, extent, strict=True)
    )
    photons_per_frame = photons * DOSE_RATIO / (full[0] * full[1])
    acquisition = Acquisition(probe, raster_scan(rows, columns, step), transmission.shape).scaled(photons_per_frame)
    return CellBenchmark(acquisition, transmission, support, (region[0], region[1]))


def diffract(
    obj: NDArray[np.complexfloating[Any, Any]], acquisition: Acquisition, *, batch_size: int = 64
) -> NDArray[np.float32]:
    """Mean intensities |F{p(r - r_j) o(r)}|^2 of every frame, in photons, summed over the probe's modes.

    Parameters
    ----------
    obj
        Transmission, complex (acquisition.object_shape).
    acquisition
        Probe and scan.
    batch_size
        Frames worked on at a time; the result does not depend on it.

    Returns
    -------
    float32 (J, n, n), zero frequency at the centre.
    """
    if obj.shape != acquisition.object_shape:
        raise ValueError(f"object: shape {obj.shape}, expected {acquisition.object_shape}")
    n, corners, shifts = acquisition.window, acquisition.corners, acquisition.shifts
    frames = np.zeros((len(corners), n, n), np.float32)
    frequency = np.fft.fftfreq(n)
    for start in range(0, len(corners), batch_size):
        batch = slice(start, start + batch_size)
        patches = np.stack([obj[r : r + n, c : c + n] for r, c in corners[batch]]).astype(np.complex64)
        turn = None
        if shifts[batch].any():
            angle = shifts[batch, 0, None, None] * frequency[:, None] + shifts[batch, 1, None, None] * frequency
            turn = np.exp(-2j * np.pi * angle)
        for mode in acquisition.modes:
            moved = mode if turn is None else np.fft.ifft2(np.fft.fft2(mode) * turn)
            waves = np.fft.fft2((patches * moved).astype(np.complex64, copy=False), norm="ortho")
            frames[batch] += np.fft.fftshift(waves.real**2 + waves.imag**2, axes=(-2, -1))
    return frames


def expose(intensity: NDArray[np.floating[Any]], seed: int, *, full_scale: int = FULL_SCALE) -> NDArray[np.uint16]:
    """Photon counts: one Poisson draw per pixel of `intensity` (photons), saturated at `full_scale`, uint16.

    The same seed gives the same counts; two seeds give two independent noise instances.
    """
    if not 1 <= full_scale <= 65535:
        raise ValueError(f"full_scale: {full_scale!r}, expected 1 to 65535")
    if not (intensity >= 0).all():
        raise ValueError("intensity: holds negative values or NaN, expected photons >= 0")
    counts = np.random.default_rng(seed).poisson(intensity)
    return np.minimum(counts, full_scale).astype(np.uint16)


def split_counts(counts: NDArray[np.unsignedinteger[Any]], seed: int) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Two independent half doses: each photon is given to one half or the other by the toss of a coin.

    Halves of Poisson counts are independent Poisson counts of half the mean, as two exposures would be. The two
    sum exactly to `counts`.
    """
    if counts.dtype.kind != "u":
        raise TypeError(f"counts: dtype {counts.dtype}, expected unsigned integers")
    first = np.random.default_rng(seed).binomial(counts, 0.5).astype(np.uint16)
    return first, (counts - first).astype(np.uint16)
