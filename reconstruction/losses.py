# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""How far mean intensities are from what a detector sent: counts, codes, or coefficients of components.

Each loss holds the data of a scan and knows the statistics of what it holds. Its value is counted in units of the
noise: about 1 for each number of the data when the model is right, less where most counts are 0. The gradients are
written out by hand: they are short, and no operation needs to be recorded.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..model.codebook import Codebook
from ..model.pca import Components
from ..model.quantise import Compressor
from ..model.transform import Transform
from .intervals import Intervals

BACKGROUND = 0.01
"""Photons that count likelihoods add to every mean: a photon where the model is dark is unlikely, not impossible."""


class Loss(Protocol):
    """Data of a scan of J frames of n x n pixels, and how badly intensities fit them.

    Attributes
    ----------
    frames, window : int
        J and n.
    size : int
        Numbers that are compared, of all frames.
    """

    frames: int
    window: int
    size: int

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Value of some frames, and its gradient.

        Parameters
        ----------
        intensity
            Mean photons by the model, float32 (B, n, n), zero frequency first, without gradient.
        index
            Which frames, int64 (B,).

        Returns
        -------
        value
            Sum over the frames, float32 ().
        gradient
            Derivative for each intensity, float32 (B, n, n).
        """
        ...

    def to(self, device: str) -> Loss:
        """The same on another device; itself where it is there."""
        ...


class AmplitudeLoss:
    """4 (sqrt(I') - sqrt(I))^2: variance-stabilised least squares.

    Parameters
    ----------
    frames
        Intensities in photons, real (J, n, n), zero frequency at the centre: counts or decoded levels. NaN marks an
        invalid pixel.

    Raises
    ------
    ValueError
        If frames have another shape, are negative or infinite, or no pixel is valid.
    """

    def __init__(self, frames: NDArray[Any]) -> None:
        data, self.masked, self.size = _stored(frames)
        self.amplitudes = torch.from_numpy(np.sqrt(data, out=data, where=data > 0))
        self.frames, self.window = data.shape[:2]

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Loss`."""
        measured = self.amplitudes.index_select(0, index)
        modulus = intensity.clamp(min=torch.finfo(intensity.dtype).tiny).sqrt_()
        residual = modulus - measured
        if self.masked:
            residual.masked_fill_(measured < 0, 0.0)
        value = 4 * torch.dot(residual.view(-1), residual.view(-1))
        return value, residual.div_(modulus).mul_(4)

    def to(self, device: str) -> AmplitudeLoss:
        """See `Loss`."""
        self.amplitudes = self.amplitudes.to(device)
        return self


class PoissonLoss:
    """Deviance of Poisson counts, 2 (I' - N + N ln(N / I')): twice the negative logarithm of their likelihood.

    Parameters
    ----------
    frames
        As for `AmplitudeLoss`. Decoded levels may be taken for counts; `IntervalLoss` knows better.
    full_scale
        Counts from here on mean at least so many photons: a model above them fits.
    background
        Photons added to every mean.
    """

    def __init__(
        self, frames: NDArray[Any], *, full_scale: float | None = None, background: float = BACKGROUND
    ) -> None:
        data, self.masked, self.size = _stored(frames)
        self.counts = torch.from_numpy(data)
        self.frames, self.window = data.shape[:2]
        self.full_scale, self.background = full_scale, background

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Loss`."""
        counts = self.counts.index_select(0, index)
        mean = intensity + self.background
        if self.full_scale is not None:
            counts = torch.where(counts >= self.full_scale, torch.maximum(counts, mean), counts)
        deviance, gradient = _deviance(counts, mean)
        if self.masked:
            invalid = counts < 0
            deviance.masked_fill_(invalid, 0.0)
            gradient.masked_fill_(invalid, 0.0)
        return deviance.sum(), gradient

    def to(self, device: str) -> PoissonLoss:
        """See `Loss`."""
        self.counts = self.counts.to(device)
        return self


class IntervalLoss:
    """Deviance of codes: a code says that the count lies in its bin, and no more.

    The likelihood of a bin is the sum of its counts' Poisson probabilities; see `Intervals`. Codes stay as they are, in
    one byte or two.

    Parameters
    ----------
    codes
        Unsigned integers (J, n, n), zero frequency at the centre.
    codebook
        Of a photon counter. Its last bin is open: a count in it means at least so many photons.
    mask
        Invalid pixels of a frame, bool (n, n).
    background
        Photons added to every mean.

    Raises
    ------
    ValueError
        If codes are no codes of the codebook, or have another shape.
    """

    def __init__(
        self,
        codes: NDArray[Any],
        codebook: Codebook,
        *,
        mask: NDArray[np.bool_] | None = None,
        background: float = BACKGROUND,
    ) -> None:
        _require_square(codes.shape)
        if codes.dtype.kind != "u" or codes.max() >= codebook.levels:
            raise ValueError(f"codes: {codes.dtype} up to {codes.max()}, expected unsigned, below {codebook.levels}")
        self.intervals = Intervals(codebook.edges)
        self.codes = torch.from_numpy(_corner_first(codes))
        self.frames, self.window = codes.shape[:2]
        self.background = background
        self.invalid = None if mask is None or not mask.any() else torch.from_numpy(_corner_first(mask[None])[0])
        valid = codes[0].size - (0 if mask is None else int(mask.sum()))
        self.size = len(codes) * valid

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Loss`."""
        codes = self.codes.index_select(0, index)
        mean = intensity + self.background
        expected, correction = self.intervals.look_up(codes, mean)
        deviance, gradient = _deviance(expected, mean)
        deviance.add_(correction)
        if self.invalid is not None:
            deviance.masked_fill_(self.invalid, 0.0)
            gradient.masked_fill_(self.invalid, 0.0)
        return deviance.sum(), gradient

    def to(self, device: str) -> IntervalLoss:
        """See `Loss`."""
        self.codes, self.intervals = self.codes.to(device), self.intervals.to(device)
        if self.invalid is not None:
            self.invalid = self.invalid.to(device)
        return self


class CoefficientLoss:
    """Squared distance of a model's coefficients from those that were sent, frames never being expanded.

    A model's intensities I give the mean values f(I) = E[transform(Poisson(I))]; rows w of the projection give
    W f(I), in units of the noise, which is compared with the coefficients. Rows that are not orthogonal, such as
    rounded weights, are made so first, so that the noise of every number compared is that of a pixel.

    Parameters
    ----------
    coefficients
        Real (J, S').
    source
        What made them: `Compressor` for the integers of the hardware, whose rounded weights the model then has too;
        `Components` for floating point.

    Raises
    ------
    ValueError
        If the coefficients do not fit what made them, or its frames are not square.
    """

    def __init__(self, coefficients: ArrayLike, source: Compressor | Components) -> None:
        sent = np.asarray(coefficients, np.float64)
        count = len(source.rows)
        if sent.ndim != 2 or sent.shape[1] != count:
            raise ValueError(f"coefficients: shape {sent.shape}, expected (J, {count}) as their components have it")
        _require_square((len(sent), *source.frame_shape))
        rows = source.rows
        if isinstance(source, Compressor):
            # What the integer weights give of the values less their mean, in units of the noise.
            sent = sent * source.step + source.offset
            rows = source.matrix
        # rows = lower @ orthonormal: coefficients of the orthonormal rows, one equation for another.
        orthonormal, upper = np.linalg.qr(rows.astype(np.float64).T)
        if np.linalg.cond(upper) > 1e6:
            raise ValueError(
                "components: two of the weights' rows are the same, or one is 0: expected independent rows"
            )
        sent = np.linalg.solve(upper.T, sent.T).T
        noise, mean = (np.asarray(a, np.float64).reshape(source.frame_shape) for a in (source.noise, source.mean))
        # What the coefficients of the mean are is taken from the data instead of from every model.
        sent = sent + (mean / noise).ravel() @ orthonormal
        weights = orthonormal.T.reshape(-1, *source.frame_shape) / noise
        self.coefficients = torch.from_numpy(sent.astype(np.float32))
        self.weights = torch.from_numpy(_corner_first(weights.astype(np.float32)).reshape(count, -1).copy())
        self.curve = MeanValue(source.transform)
        self.frames, self.window = len(sent), source.frame_shape[0]
        self.size = sent.size

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Loss`."""
        values, slopes = self.curve.evaluate(intensity)
        residual = torch.addmm(
            self.coefficients.index_select(0, index), values.reshape(len(index), -1), self.weights.T, beta=-1
        )
        gradient = (residual @ self.weights).view(intensity.shape).mul_(slopes).mul_(2)
        return torch.dot(residual.view(-1), residual.view(-1)), gradient

    def to(self, device: str) -> CoefficientLoss:
        """See `Loss`."""
        self.coefficients, self.weights = self.coefficients.to(device), self.weights.to(device)
        self.curve.to(device)
        return self


class MeanValue:
    """f(I) = E[transform(Poisson(I))] and its derivative, from a table over the root of I.

    Parameters
    ----------
    transform
        What becomes of counts.
    """

    def __init__(self, transform: Transform) -> None:
        self.table: torch.Tensor | None = None
        if transform.kind != "counts":
            curve = transform.curve
            self.steps = float(1 / curve.root[1])
            self.table = torch.from_numpy(curve.mean.astype(np.float32))
            self.rise = torch.from_numpy(np.diff(curve.mean).astype(np.float32))

    def evaluate(self, intensity: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean values and their derivatives for intensities of any shape, both float32 of that shape."""
        if self.table is None:
            return intensity, torch.ones_like(intensity)
        # Far in the dark f is straight: the floor only keeps 0 / 0 out.
        place = intensity.clamp(min=1e-12).sqrt_().mul_(self.steps)
        cell = place.to(torch.int32).clamp_(max=len(self.table) - 2)
        low = self.table.index_select(0, cell.reshape(-1)).view(cell.shape)
        rise = self.rise.index_select(0, cell.reshape(-1)).view(cell.shape)
        # Beyond the table every count is at the end of its range.
        inside = (place - cell).clamp_(max=1.0)
        values = low.addcmul_(rise, inside)
        # df/dI = df/droot / (2 root)
        return values, rise.mul_(self.steps**2 / 2).div_(place)

    def to(self, device: str) -> None:
        """Move the table."""
        if self.table is not None:
            self.table, self.rise = self.table.to(device), self.rise.to(device)


def _deviance(counts: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Deviance of Poisson counts of these means, and its derivative for the means."""
    ratio = counts / mean
    # The floor keeps 0 ln 0 out; torch.xlogy takes three times as long.
    log_ratio = ratio.clamp(min=torch.finfo(ratio.dtype).tiny).log_()
    return (mean - counts).addcmul_(counts, log_ratio).mul_(2), ratio.mul_(-2).add_(2)


def _stored(frames: NDArray[Any]) -> tuple[NDArray[np.float32], bool, int]:
    """Intensities with zero frequency first and -1 where a pixel is invalid, whether any is, and how many are not."""
    _require_square(frames.shape)
    data = np.empty(frames.shape, np.float32)
    for frame, stored in zip(frames, data, strict=True):
        stored[...] = _corner_first(frame[None])[0]
        invalid = np.isnan(stored)
        if (stored < 0).any() or np.isinf(stored).any():
            raise ValueError("frames: negative or infinite intensities, expected photons >= 0 or NaN for invalid")
        stored[invalid] = -1
    valid = int(np.count_nonzero(data >= 0))
    if not valid:
        raise ValueError("frames: no valid pixel")
    return data, valid < data.size, valid


def _corner_first(frames: NDArray[Any]) -> NDArray[Any]:
    """Frames (..., n, n) with zero frequency first, so that no transform in a loop needs a shift."""
    half = frames.shape[-1] // 2
    return np.roll(frames, (-half, -half), axis=(-2, -1))


def _require_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape:
        raise ValueError(f"frames: shape {shape}, expected square frames (J, n, n)")
