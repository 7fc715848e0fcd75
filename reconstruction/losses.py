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

MEASURED_BACKGROUND = 0.5
"""The same for measured frames, which hold more than a model knows: stray light, partial coherence, drift."""

_VALUE_STEPS = 32  # of a table over values, for each unit


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
    """Coefficients of components, frames never being expanded but for those of a batch.

    A model's intensities I give the mean values f(I) = E[transform(Poisson(I))] that its coefficients would come from.
    Of a frame the coefficients tell what lies in the space of the components. What lies outside is the model's own,
    drawn a little to 0, where it would be if the components described the sample wholly. The frame so completed is
    compared by its Poisson deviance. This is expectation-maximisation (Dempster, Laird, Rubin, J. R. Stat. Soc. B 39,
    1, 1977), a step of the maximisation for each expectation: the gradient is that of the deviance with the completed
    frame held, while the value is how far the model's coefficients are from those that were sent, squared, in units of
    the noise of a pixel.

    Rows that are not orthogonal, such as rounded weights, are made so first.

    Parameters
    ----------
    coefficients
        Real (J, S').
    source
        What made them: `Compressor` for the integers of the hardware, whose rounded weights the model then has too;
        `Components` for floating point.
    prior
        How far what lies outside the components is drawn, from 0, not at all, to 1, as if they described every frame:
        that is what expanding frames first comes to.
    background
        Photons added to every mean.

    Raises
    ------
    ValueError
        If the coefficients do not fit what made them, its frames are not square, or its rows depend on each other.
    """

    def __init__(
        self,
        coefficients: ArrayLike,
        source: Compressor | Components,
        *,
        prior: float = 0.3,
        background: float = BACKGROUND,
    ) -> None:
        sent = np.asarray(coefficients, np.float64)
        count = len(source.rows)
        if sent.ndim != 2 or sent.shape[1] != count:
            raise ValueError(f"coefficients: shape {sent.shape}, expected (J, {count}) as their components have it")
        _require_square((len(sent), *source.frame_shape))
        if not 0 <= prior <= 1:
            raise ValueError(f"prior: {prior!r}, expected 0 to 1")
        rows = source.rows
        if isinstance(source, Compressor):
            # What the integer weights give of the values less their mean, in units of the noise.
            sent = sent * source.step + source.offset
            rows = source.matrix
        # rows = lower @ orthonormal: coefficients of the orthonormal rows, one equation for another.
        orthonormal, upper = np.linalg.qr(rows.T)
        if np.linalg.cond(upper) > 1e6:
            raise ValueError("components: rows of weights depend on each other: expected independent ones")
        sent = np.linalg.solve(upper.T, sent.T).T
        shape = source.frame_shape
        self.coefficients = torch.from_numpy(sent.astype(np.float32))
        self.rows = _stored_rows(orthonormal.T.reshape(-1, *shape))
        self.noise, self.mean = (_stored_rows(np.reshape(a, (1, *shape)))[0] for a in (source.noise, source.mean))
        mask = source.mask
        self.invalid = None if mask is None or not mask.any() else torch.from_numpy(_corner_first(mask[None])[0])
        self.curve = MeanValue(source.transform)
        self.frames, self.window = len(sent), shape[0]
        self.size = sent.size
        self.prior, self.background = prior, background

    def evaluate(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Loss`."""
        completed, value = self.complete(intensity, index)
        gradient = _deviance(completed, intensity + self.background)[1]
        if self.invalid is not None:
            gradient.masked_fill_(self.invalid, 0.0)
        return value, gradient

    def complete(self, intensity: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames that have the coefficients sent, else the model's: photons, float32 (B, n, n); and the value."""
        values = self.curve.values(intensity).reshape(len(index), -1).sub(self.mean).div_(self.noise)
        own = values @ self.rows.T
        sent = self.coefficients.index_select(0, index)
        rest = 1 - self.prior
        outside = torch.addmm(values, torch.sub(sent, own, alpha=rest), self.rows, beta=rest)
        residual = own.sub_(sent)
        completed = self.curve.intensities(outside.mul_(self.noise).add_(self.mean))
        return completed.view(intensity.shape), torch.dot(residual.view(-1), residual.view(-1))

    def to(self, device: str) -> CoefficientLoss:
        """See `Loss`."""
        for name in ("coefficients", "rows", "noise", "mean"):
            setattr(self, name, getattr(self, name).to(device))
        if self.invalid is not None:
            self.invalid = self.invalid.to(device)
        self.curve.to(device)
        return self


class MeanValue:
    """f(I) = E[transform(Poisson(I))], its derivative and its inverse, from tables.

    Parameters
    ----------
    transform
        What becomes of counts.
    """

    def __init__(self, transform: Transform) -> None:
        self.plain = transform.kind == "counts"
        if not self.plain:
            curve = transform.curve
            self.steps = float(1 / curve.root[1])
            self.table = torch.from_numpy(curve.mean.astype(np.float32))
            self.first = float(curve.mean[0])
            values = np.arange(self.first, curve.mean[curve.top] + 1 / _VALUE_STEPS, 1 / _VALUE_STEPS)
            self.inverse = torch.from_numpy(transform.inverse(values).astype(np.float32))

    def values(self, intensity: torch.Tensor) -> torch.Tensor:
        """Mean values of intensities (photons) of any shape, float32 of that shape."""
        if self.plain:
            return intensity.clone()
        return _interpolated(self.table, intensity.sqrt().mul_(self.steps))[0]

    def slopes(self, intensity: torch.Tensor) -> torch.Tensor:
        """Derivative of the mean values for the intensities, more than 0, float32 of any shape."""
        if self.plain:
            return torch.ones_like(intensity)
        place = intensity.sqrt().mul_(self.steps)
        # df/dI = df/droot / (2 root)
        return _interpolated(self.table, place)[1].mul_(self.steps**2 / 2).div_(place)

    def intensities(self, values: torch.Tensor) -> torch.Tensor:
        """Intensities with these mean values, float32 of any shape: none beyond the ends of the counter's range."""
        if self.plain:
            return values.clamp(min=0)
        return _interpolated(self.inverse, values.sub(self.first).mul_(_VALUE_STEPS).clamp_(min=0))[0]

    def to(self, device: str) -> None:
        """Move the tables."""
        if not self.plain:
            self.table, self.inverse = self.table.to(device), self.inverse.to(device)


def _interpolated(table: torch.Tensor, place: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Value and rise of a table at places counted in its entries, 0 or more; beyond its end the last value."""
    cell = place.to(torch.int32).clamp_(max=len(table) - 2)
    low, high = (table.index_select(0, cell.reshape(-1) + step).view(cell.shape) for step in (0, 1))
    rise = high.sub_(low)
    return low.addcmul_(rise, (place - cell).clamp_(max=1.0)), rise


def _stored_rows(rows: NDArray[Any]) -> torch.Tensor:
    """Rows (S', n, n) as float32 (S', N), zero frequency first."""
    return torch.from_numpy(_corner_first(rows).reshape(len(rows), -1).astype(np.float32))


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
