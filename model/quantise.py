# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""From components to the integers that the projector holds, and back from its coefficients to frames."""

import warnings
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from .pca import Components
from .projection import Projection, ProjectionFormat
from .transform import Transform

WEIGHT_BITS = range(4, 17)
"""Widths of a weight that `choose_widths` tries."""

_NOISE_FRAMES = 256  # frames that the noise is averaged over
_WIDEST = 32  # bits of a coefficient
_HEADROOM = 4  # standard deviations of the noise beyond the training set's extremes


@dataclass(frozen=True, eq=False, kw_only=True)
class Compressor:
    """What turns counts into coefficients, bit for bit as the hardware does, and coefficients into frames.

    Integer weights are neither orthogonal nor of unit length, so a frame is expanded as the one frame in the space of
    the float components Q that has these coefficients y: in units of the noise, x - mean = Q' inv(A Q') scale
    (2**shift y - b - W mean), where A = scale W noise is the integer matrix in these units. Whatever lies in that space
    comes back exactly, however coarse the weights; these only let in some noise from outside. The pseudo-inverse of A
    would tilt the space itself.

    Parameters
    ----------
    projection : Projection
        Weights, biases, shifts and widths.
    scale : numpy.ndarray
        What one step of a weight stands for, float64 (S',): scale[s] * weights[s] * noise is near an orthonormal
        component, and scale[s] * 2**shift[s] is one step of a coefficient, in units of the noise.
    rows : numpy.ndarray
        Q, orthonormal in units of the noise: frames are expanded in their space, float32 (S', N), as they are most of
        a weights file.
    transform : Transform
        What becomes of counts before they are projected.
    frame_shape : tuple of int
        Rows and columns of a frame; or (N,).
    mean : numpy.ndarray, optional
        Mean values, float64 (N,), by default 0.
    noise : numpy.ndarray, optional
        Unit of each pixel, in values, float64 (N,), by default 1.
    mask : numpy.ndarray, optional
        Invalid pixels, bool (frame_shape): they have weight 0, and come back as NaN.
    recipe : dict
        How the components were learned, as JSON values.
    report : dict
        What quantisation cost, as JSON values: see `quantise`.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """

    projection: Projection
    scale: NDArray[np.float64]
    rows: NDArray[np.float32]
    transform: Transform
    frame_shape: tuple[int, ...]
    mean: NDArray[np.float64] = field(default=None)  # type: ignore[assignment]
    noise: NDArray[np.float64] = field(default=None)  # type: ignore[assignment]
    mask: NDArray[np.bool_] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size = self.projection.format
        if self.mean is None:
            object.__setattr__(self, "mean", np.zeros(size.pixels))
        if self.noise is None:
            object.__setattr__(self, "noise", np.ones(size.pixels))
        if self.transform.input_bits != size.input_bits:
            raise ValueError(f"values of {self.transform.input_bits} bits, a projection of {size.input_bits}")
        if min(self.frame_shape, default=0) < 1 or int(np.prod(self.frame_shape)) != size.pixels:
            raise ValueError(f"frames of {self.frame_shape}, a projection of {size.pixels} pixels")
        for name, shape in (
            ("scale", (size.components,)),
            ("rows", (size.components, size.pixels)),
            ("mean", (size.pixels,)),
            ("noise", (size.pixels,)),
        ):
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} is {array.dtype} {array.shape}, expected finite numbers {shape}")
        for name in ("scale", "noise"):
            if not (getattr(self, name) > 0).all():
                raise ValueError(f"{name} from {getattr(self, name).min()}: expected more than 0")
        if self.mask is not None:
            if self.mask.shape != self.frame_shape:
                raise ValueError(f"mask has shape {self.mask.shape}, frames {self.frame_shape}")
            if self.projection.weights[:, self.mask.ravel()].any():
                raise ValueError("mask: an invalid pixel has a weight that is not 0")

    @property
    def step(self) -> NDArray[np.float64]:
        """One step of each coefficient, in units of the noise, float64 (S',)."""
        return self.scale * np.exp2(self.projection.shift)

    def compress(self, counts: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Coefficients of counts.

        Parameters
        ----------
        counts : array_like of int
            Photon counts, (..., rows, columns) or (..., N); what stands at invalid pixels is not looked at.

        Returns
        -------
        coefficients : numpy.ndarray
            int32 (..., S').
        saturated : numpy.ndarray
            bool (..., S').
        """
        counts = np.asarray(counts)
        # Flat: the projection cannot tell one row of pixels that is a frame from many.
        flat = counts.reshape(*_leading(counts.shape, self.frame_shape), self.projection.format.pixels)
        if self.mask is not None:
            flat = np.where(self.mask.ravel(), counts.dtype.type(0), flat)
        return self.projection.project(self.transform.forward(flat))

    def values(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Values (..., *frame_shape) that coefficients (..., S') stand for, float64; NaN at invalid pixels.

        They are means, which `Transform.inverse` turns into intensities without bias.
        """
        coefficients = np.asarray(coefficients, np.float64)
        values = (coefficients * self.step + self.offset) @ self._decoder * self.noise + self.mean
        values = values.reshape(*coefficients.shape[:-1], *self.frame_shape)
        if self.mask is not None:
            values[..., self.mask] = np.nan
        return values

    def expand(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Intensities (..., *frame_shape) for coefficients (..., S'): photons, float64; NaN at invalid pixels."""
        return self.transform.inverse(self.values(coefficients))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """Integer weights times their scale, in units of the noise: near orthonormal, float64 (S', N)."""
        return self.projection.weights * self.scale[:, None] * self.noise

    @cached_property
    def _unmix(self) -> NDArray[np.float64]:
        """From coefficients of the integer matrix, each times its step, to those of the float components, (S', S')."""
        mixed = self.rows @ self.matrix.T
        with warnings.catch_warnings():
            warnings.simplefilter("error", linalg.LinAlgWarning)
            try:
                return np.asarray(linalg.inv(mixed))
            except (linalg.LinAlgError, linalg.LinAlgWarning):
                # So few bits that two components have become one.
                return np.asarray(linalg.pinv(mixed))

    @cached_property
    def _decoder(self) -> NDArray[np.float64]:
        return self._unmix @ self.rows

    @cached_property
    def offset(self) -> NDArray[np.float64]:
        """What coefficients, each times its step, lack to be those of values less their mean, float64 (S',).

        It is the rounding of the bias.
        """
        return -self.scale * (self.projection.bias + self.projection.weights @ self.mean)


def quantise(
    components: Components,
    training_values: ArrayLike,
    weight_bits: int = 8,
    output_bits: int = 16,
    saturate_share: float = 0.0,
) -> Compressor:
    """Integer weights, biases and shifts for components.

    Each component has its own scale, with its largest weight at the end of the range, and the smallest right shift
    with which no coefficient of the training values saturates, be it that they spread four standard deviations of the
    noise further.

    Parameters
    ----------
    components : Components
        Of counts or codes.
    training_values : array_like
        Values of frames like those to come, (J, rows, columns) or (J, N); means are rounded, and end with the range.
    weight_bits, output_bits : int
        Width of a weight, 2 to 18, and of a coefficient, 2 to 32.
    saturate_share : float
        Largest share of each component's training coefficients that may saturate; with more than 0 without headroom.

    Returns
    -------
    Compressor
        Its report says what quantisation adds to the noise variance of a frame in the space of the components, in
        units of that variance: `loss`, and of it `loss_weights` for rounding the weights alone and `loss_outputs` for
        rounding and saturating the coefficients; `saturated`, the share of training coefficients that do.

    Raises
    ------
    ValueError
        If the transform has no integer values, the values do not fit the components or have no noise, or a width is
        out of range or too small.
    """
    return _Training(components, training_values).quantise(weight_bits, output_bits, saturate_share)


def require_share(saturate_share: float) -> None:
    """Raise a ValueError if this is no `saturate_share`."""
    if not 0 <= saturate_share < 1:
        raise ValueError(f"saturate_share must lie from 0 to less than 1, got {saturate_share!r}")


def require_loss(max_loss: float) -> None:
    """Raise a ValueError if this is no `max_loss`."""
    if not 0 < max_loss < np.inf:
        raise ValueError(f"max_loss must be a positive share of the noise variance, got {max_loss!r}")


def choose_widths(components: Components, training_values: ArrayLike, max_loss: float) -> Compressor:
    """The narrowest `quantise` whose `loss` is at most `max_loss`.

    First the weights, 4 to 16 bits: the fewest that take at most three quarters of it. Then the coefficients, which
    with the rest need at most one bit more than with all of it.

    Raises
    ------
    ValueError
        If `max_loss` is not positive, or out of reach with 16 bits.
    """
    require_loss(max_loss)
    training = _Training(components, training_values)
    best = np.inf
    for weight_bits in WEIGHT_BITS:
        loss = training.quantise(weight_bits, _WIDEST, 0.0).report["loss_weights"]
        if loss <= 0.75 * max_loss:
            break
        best = min(best, loss)
    else:
        raise ValueError(f"max_loss {max_loss!r} is out of reach: weights of 16 bits alone cost {best:.2g}")
    # The loss falls with every bit.
    low, high = 2, _WIDEST
    while low < high:
        middle = (low + high) // 2
        try:
            loss = training.quantise(weight_bits, middle, 0.0).report["loss"]
        except _NarrowError:
            loss = np.inf
        if loss <= max_loss:
            high = middle
        else:
            low = middle + 1
    return training.quantise(weight_bits, low, 0.0)


class _Training:
    """What is needed of the training values for any widths."""

    def __init__(self, components: Components, training_values: ArrayLike) -> None:
        bits = components.transform.input_bits
        values = np.asarray(training_values)
        pixels = components.pixels
        leading = _leading(values.shape, components.frame_shape)
        flat = values.reshape(-1, pixels)
        if not leading or not len(flat):
            raise ValueError(f"training values of shape {values.shape}: expected frames of {components.frame_shape}")
        if flat.dtype.kind == "f":
            # Means of plain counts may lie above the counter's range, where counts do not.
            flat = np.minimum(np.rint(flat), (1 << bits) - 1)
        if components.mask is not None:
            flat = np.where(components.mask.ravel(), 0, flat)
        # NaN fails here as well.
        if not (flat.min() >= 0 and flat.max() < 1 << bits):
            raise ValueError(f"training values from {flat.min()} to {flat.max()}: expected 0 to {(1 << bits) - 1}")
        self.components = components
        self.values = flat.astype(np.min_scalar_type((1 << bits) - 1), copy=False)
        self.coefficients = np.concatenate(
            [components.project(part.reshape(-1, *components.frame_shape)) for part in self._parts(512)]
        )
        sample = self.coefficients[np.linspace(0, len(flat) - 1, min(_NOISE_FRAMES, len(flat))).astype(int)]
        variance = components.transform.noise_variance(np.nan_to_num(components.intensity(sample)))
        self.variance = variance.reshape(-1, pixels).mean(axis=0)
        self.noise = float(np.sum(components.rows**2 @ (self.variance / components.noise**2)))
        if not self.noise > 0:
            raise ValueError("training values without noise, as of dark frames: the loss has no unit")
        self._sums: tuple[int, Projection, NDArray[np.int64]] | None = None

    def _parts(self, size: int) -> list[NDArray[Any]]:
        return [self.values[start : start + size] for start in range(0, len(self.values), size)]

    def sums(self, weight_bits: int) -> tuple[Projection, NDArray[np.int64]]:
        """Integer weights, and their exact sums over the training values."""
        if self._sums is None or self._sums[0] != weight_bits:
            parts = self.components
            size = ProjectionFormat(
                pixels=parts.pixels,
                components=parts.count,
                input_bits=parts.transform.input_bits,
                weight_bits=weight_bits,
            )
            largest = size.weight_format.maximum
            matrix = parts.matrix
            weights = np.rint(matrix * (largest / np.abs(matrix).max(axis=1, keepdims=True))).astype(np.int64)
            bias = -np.rint(weights @ parts.mean).astype(np.int64)
            projection = Projection(size, weights, bias)
            self._sums = (weight_bits, projection, projection.sums(self.values))
        return self._sums[1:]

    def quantise(self, weight_bits: int, output_bits: int, saturate_share: float) -> Compressor:
        """Compressor of these widths, with its report."""
        require_share(saturate_share)
        parts = self.components
        projection, sums = self.sums(weight_bits)
        size = ProjectionFormat(**vars(projection.format) | {"output_bits": output_bits})
        low, high = self._extent(projection.weights, sums, saturate_share)
        shift = _smallest_shift(low, high, projection.bias, size)
        compressor = Compressor(
            projection=Projection(size, projection.weights, projection.bias, shift),
            scale=np.abs(parts.matrix).max(axis=1) / size.weight_format.maximum,
            rows=parts.rows.astype(np.float32),
            transform=parts.transform,
            frame_shape=parts.frame_shape,
            mean=parts.mean,
            noise=parts.noise,
            mask=parts.mask,
            recipe=parts.recipe,
        )
        rounded = np.clip((sums + ((np.int64(1) << shift) >> 1)) >> shift, size.output_format.minimum, None)
        rounded = np.minimum(rounded, size.output_format.maximum)
        exact = sums * compressor.scale + compressor.offset
        taken = rounded * compressor.step + compressor.offset
        report = self._losses(compressor, exact, taken)
        report["saturated"] = float(np.mean(np.abs(rounded * np.exp2(shift) - sums) > np.exp2(shift - 1.0)))
        report |= {"noise_variance": self.noise / parts.count, "training_frames": len(self.values)}
        compressor.report.update(report)
        return compressor

    def _extent(
        self, weights: NDArray[Any], sums: NDArray[np.int64], share: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sums of each component that must not saturate: the lowest and the highest."""
        if share > 0:
            # At each end half of the share; counted, so that no interpolation is in it.
            spare = int(share * len(sums) / 2)
            ordered = np.sort(sums, axis=0)
            return ordered[spare], ordered[len(sums) - 1 - spare]
        sigma = np.sqrt(np.square(weights, dtype=np.float64) @ self.variance)
        headroom = np.ceil(_HEADROOM * sigma).astype(np.int64)
        return sums.min(axis=0) - headroom, sums.max(axis=0) + headroom

    def _losses(
        self, compressor: Compressor, exact: NDArray[np.float64], taken: NDArray[np.float64]
    ) -> dict[str, float]:
        """Mean squared distance of frames from those of the float components over that of the noise, in its units."""
        # The rows are orthonormal, to float32: coefficients are as far apart as frames.
        losses = {}
        for name, error in (
            ("loss", taken @ compressor._unmix - self.coefficients),
            ("loss_weights", exact @ compressor._unmix - self.coefficients),
            ("loss_outputs", (taken - exact) @ compressor._unmix),
        ):
            losses[name] = float(np.mean(np.einsum("js,js->j", error, error))) / self.noise
        return losses


class _NarrowError(ValueError):
    """Coefficients of too few bits."""


def _smallest_shift(
    low: NDArray[np.int64], high: NDArray[np.int64], bias: NDArray[np.int64], size: ProjectionFormat
) -> NDArray[np.int64]:
    """Smallest right shift of each component that keeps both ends in range, and bias with half a step."""
    shift = np.full(low.shape, -1, np.int64)
    for candidate in range(size.largest_shift, -1, -1):
        half = (1 << candidate) >> 1
        fits = (
            ((high + half) >> candidate <= size.output_format.maximum)
            & ((low + half) >> candidate >= size.output_format.minimum)
            & (bias + half <= size.bias_format.maximum)
        )
        shift[fits] = candidate
    if (shift < 0).any():
        raise _NarrowError(f"output_bits {size.output_bits} is too small: no shift keeps every coefficient in range")
    return shift


def _leading(shape: tuple[int, ...], frame_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the axes before those of a frame, which may be flat."""
    for tail in (frame_shape, (int(np.prod(frame_shape)),)):
        if shape[len(shape) - len(tail) :] == tail:
            return shape[: len(shape) - len(tail)]
    raise ValueError(f"frames of shape {shape}: expected the last axes to be {frame_shape}, or their product")
