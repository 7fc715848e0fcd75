# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Principal components of frames: learned at once, in a stream of pieces, or by the recipe of Huang et al.

All work on values, that is on what `Transform.forward` makes of counts or `Transform.mean_value` of noise-free
intensities, so that a component always says what it is a component of.

Least squares wants the same noise in every pixel. Square roots give it where there are many photons; where there are
few, as in most pixels of a diffraction pattern, the noise is far smaller, and so is the signal, which is as telling. So
values can be counted in units of `pixel_noise`: components are then orthonormal in these units, and projecting on them,
the division included, is still one matrix.
"""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from .transform import Transform

FLOOR = 0.003
"""Variance that is added to the noise of a pixel, in values: what a pixel without light gets."""

_SMALL = 1 << 31  # multiplications up to which a whole SVD is cheap; beyond, eigenvectors of the smaller Gram matrix


@dataclass(frozen=True, eq=False, kw_only=True)
class Components:
    """Orthonormal components of the frames of one detector, in units of the noise.

    Parameters
    ----------
    rows : numpy.ndarray
        Components of (values - mean) / noise, orthonormal, the strongest first, float64 (S', N); 0 at invalid pixels.
    singular_values : numpy.ndarray
        Of the values that they were learned from, float64 (S',); 0 for those that only complete the basis.
    frame_shape : tuple of int
        Rows and columns of a frame, N pixels in all; or (N,).
    transform : Transform
        What the values are.
    mean : numpy.ndarray, optional
        What is taken from the values first, float64 (N,): the mean frame if `centred`, else 0.
    noise : numpy.ndarray, optional
        Unit of each pixel, float64 (N,), more than 0; by default 1.
    centred : bool
    mask : numpy.ndarray, optional
        Invalid pixels, bool (frame_shape), which take no part.
    recipe : dict
        How they were learned, as JSON values.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or the rows are not orthonormal.
    """

    rows: NDArray[np.float64]
    singular_values: NDArray[np.float64]
    frame_shape: tuple[int, ...]
    transform: Transform = field(default_factory=Transform)
    mean: NDArray[np.float64] = field(default=None)  # type: ignore[assignment]
    noise: NDArray[np.float64] = field(default=None)  # type: ignore[assignment]
    centred: bool = False
    mask: NDArray[np.bool_] | None = None
    recipe: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pixels = int(np.prod(self.frame_shape))
        if self.mean is None:
            object.__setattr__(self, "mean", np.zeros(pixels))
        if self.noise is None:
            object.__setattr__(self, "noise", np.ones(pixels))
        count = len(self.rows)
        shapes = {"rows": (count, pixels), "singular_values": (count,), "mean": (pixels,), "noise": (pixels,)}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, expected {shape}")
        if not (self.noise > 0).all():
            raise ValueError(f"noise from {self.noise.min()}: expected more than 0")
        if self.mask is not None and self.mask.shape != self.frame_shape:
            raise ValueError(f"mask has shape {self.mask.shape}, frames {self.frame_shape}")
        # One row against all is enough to see a basis that was scaled or mixed up, at the cost of one product.
        if not np.allclose(self.rows @ self.rows.sum(axis=0), 1, atol=1e-6):
            raise ValueError("rows are not orthonormal")

    @property
    def count(self) -> int:
        """S', number of components."""
        return len(self.rows)

    @property
    def pixels(self) -> int:
        """N, pixels of a frame."""
        return self.rows.shape[1]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """What values, less their mean, are multiplied by, float64 (S', N)."""
        return self.rows / self.noise

    def first(self, count: int) -> "Components":
        """The strongest `count` of them."""
        if not 1 <= count <= self.count:
            raise ValueError(f"count must lie from 1 to {self.count}, the components there are, got {count!r}")
        return Components(
            rows=self.rows[:count],
            singular_values=self.singular_values[:count],
            frame_shape=self.frame_shape,
            transform=self.transform,
            mean=self.mean,
            noise=self.noise,
            centred=self.centred,
            mask=self.mask,
            recipe=self.recipe | {"count": count},
        )

    def project(self, values: ArrayLike) -> NDArray[np.float64]:
        """Coefficients (..., S') of values (..., N) or (..., rows, columns), float64."""
        flat, leading = _frames(values, self.frame_shape, self.mask)
        return (((flat - self.mean) / self.noise) @ self.rows.T).reshape(*leading, self.count)

    def expand(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Values (..., *frame_shape) nearest to those that had these coefficients (..., S'), float64.

        Nearest in units of the noise. Invalid pixels come back as NaN.
        """
        coefficients = np.asarray(coefficients, np.float64)
        values = (coefficients @ self.rows * self.noise + self.mean).reshape(
            *coefficients.shape[:-1], *self.frame_shape
        )
        if self.mask is not None:
            values[..., self.mask] = np.nan
        return values

    def intensity(self, coefficients: ArrayLike) -> NDArray[np.float64]:
        """Intensities (..., *frame_shape) for coefficients (..., S'): photons, 0 or more, float64."""
        return self.transform.inverse(self.expand(coefficients))


def pixel_noise(transform: Transform, intensities: ArrayLike, *, floor: float = FLOOR) -> NDArray[np.float64]:
    """Noise of the values of each pixel, over all frames: the root of its mean variance and `floor`.

    Parameters
    ----------
    transform : Transform
    intensities : array_like
        Photons of J frames, (J, rows, columns) or (J, N): noise-free, or measured frames' mean alone, (1, ...).
    floor : float
        What a pixel without any light gets, in values squared, more than 0.

    Returns
    -------
    numpy.ndarray
        float64 (rows, columns) or (N,).
    """
    if not floor > 0:
        raise ValueError(f"floor must be more than 0, got {floor!r}")
    intensities = np.asarray(intensities)
    _require_stack(intensities)
    return np.sqrt(np.mean([transform.noise_variance(frame) for frame in intensities], axis=0) + floor)


def learn(
    values: ArrayLike,
    count: int,
    *,
    transform: Transform | None = None,
    centred: bool = True,
    noise: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    recipe: dict[str, Any] | None = None,
) -> Components:
    """The strongest principal components of values in memory.

    Parameters
    ----------
    values : array_like
        Values of J frames, (J, rows, columns) or (J, N).
    count : int
        S', 1 to N; beyond the rank of the values, arbitrary directions complete the basis.
    transform : Transform, optional
        What the values are, for `Components`; by default plain counts.
    centred : bool
        Whether the mean frame is taken away first. It costs no hardware.
    noise : array_like, optional
        Unit of each pixel, (rows, columns) or (N,), as `pixel_noise` finds it; by default 1.
    mask : array_like of bool, optional
        Invalid pixels of a frame.
    recipe : dict, optional
        What is to be remembered about the values' origin.

    Raises
    ------
    ValueError
        If `count` is out of range or an array has the wrong shape.
    """
    values = np.asarray(values)
    _require_stack(values)
    shape = values.shape[1:]
    valid, mask = _valid(mask, shape)
    _require_count(count, int(valid.sum()))
    data = values.reshape(len(values), -1)[:, valid].astype(np.float64)
    _require_finite(data)
    unit = _unit(noise, shape)
    mean = data.mean(axis=0) if centred else np.zeros(data.shape[1])
    data -= mean
    data /= unit[valid]
    rows, singular = _principal(data, count)
    return Components(
        rows=_spread(rows, valid),
        singular_values=singular,
        frame_shape=shape,
        transform=transform or Transform(),
        mean=_spread(mean, valid),
        noise=unit,
        centred=centred,
        mask=mask,
        recipe={"method": "pca", "count": count, "frames": len(values), "centred": centred} | (recipe or {}),
    )


def authors_recipe(counts: ArrayLike, count: int, *, transform: Transform | None = None) -> Components:
    """Components by the recipe of Huang et al.: the row space of their encoding matrix, in an orthonormal basis.

    Their encoder is the pseudo-inverse of `authors_matrix`, their decoder that matrix; one after the other is the
    orthogonal projection onto its row space, which an orthonormal basis does as well with far less dynamic range.

    Parameters
    ----------
    counts : array_like
        Values of J frames, (J, rows, columns) or (J, N).
    count : int
        S', 1 to the smaller of J and N.
    transform : Transform, optional
        What the values are; the authors take plain counts.
    """
    matrix = authors_matrix(counts, count)
    return Components(
        rows=_orthonormal(matrix, count),
        singular_values=linalg.norm(matrix, axis=1),
        frame_shape=np.shape(counts)[1:],
        transform=transform or Transform(),
        recipe={"method": "authors", "count": count, "frames": len(matrix), "centred": False},
    )


def authors_matrix(counts: ArrayLike, count: int) -> NDArray[np.float64]:
    """First S' rows of R = P^T D, float64 (S', N).

    D are the counts (J, N) and the columns of P the eigenvectors, by falling eigenvalue, of the covariance between
    frames, for which each frame's own mean over its pixels is taken away; D itself is not centred.

    Raises
    ------
    ValueError
        If `count` exceeds J or N.
    """
    counts = np.asarray(counts)
    _require_stack(counts)
    data = counts.reshape(len(counts), -1).astype(np.float64)
    _require_finite(data)
    _require_count(count, min(data.shape))
    centred = data - data.mean(axis=1, keepdims=True)
    _, vectors = linalg.eigh(centred @ centred.T, subset_by_index=(len(data) - count, len(data) - 1))
    return vectors[:, ::-1].T @ data


class StreamingPca:
    """Principal components of more frames than fit in memory, learned piece by piece.

    What is kept is the `kept` strongest directions so far, their singular values, the mean frame and the number of
    frames; each piece is stacked below them, with one row for the shift of the mean, and decomposed again. For values
    of rank up to `kept` this equals `learn` on all frames; else what fell below the `kept` strongest is lost.

    Parameters
    ----------
    count : int
        S', components asked for.
    transform, centred, noise, mask
        As for `learn`.
    kept : int, optional
        Directions that are kept between pieces; by default half as many again as asked for.
    piece : int, optional
        Frames that are decomposed at a time; by default as many as are kept. Memory goes as (kept + piece) N.

    Raises
    ------
    ValueError
        If `kept` is less than `count`, or a number is less than 1.

    References
    ----------
    Ross, Lim, Lin, Yang, Int. J. Comput. Vis. 77, 125 (2008), without forgetting.

    Examples
    --------
    >>> frames = np.random.default_rng(1).poisson(5, (40, 6, 6))
    >>> pca = StreamingPca(3, centred=False, kept=36)
    >>> for piece in np.split(frames, 4):
    ...     pca.partial_fit(piece)
    >>> np.allclose(pca.components().rows, learn(frames, 3, centred=False).rows)
    True
    """

    def __init__(
        self,
        count: int,
        *,
        transform: Transform | None = None,
        centred: bool = True,
        noise: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        kept: int | None = None,
        piece: int | None = None,
    ) -> None:
        self.count = count
        self.transform = transform or Transform()
        self.centred = centred
        self.kept = count + -(-count // 2) if kept is None else kept
        self.piece = self.kept if piece is None else piece
        if not 1 <= count <= self.kept or self.piece < 1:
            raise ValueError(
                f"count {count!r}, kept {self.kept!r}, piece {self.piece!r}: expected 1 or more, and no more asked "
                "for than kept"
            )
        self.frames = 0
        self._mask = None if mask is None else np.asarray(mask)
        self._noise = None if noise is None else np.asarray(noise)
        self._unit = np.zeros(0)
        self._shape: tuple[int, ...] = ()
        self._valid = np.zeros(0, np.bool_)
        # Right singular vectors times singular values, and the mean, in units of the noise.
        self._directions = np.zeros((0, 0))
        self._mean = np.zeros(0)

    def partial_fit(self, values: ArrayLike) -> None:
        """Learn from some more frames: values (J, rows, columns) or (J, N), of any J."""
        values = np.asarray(values)
        _require_stack(values)
        self._accept(values.shape[1:])
        for start in range(0, len(values), self.piece):
            part = values[start : start + self.piece]
            data = part.reshape(len(part), -1)[:, self._valid].astype(np.float64)
            _require_finite(data)
            data /= self._unit[self._valid]
            mean = data.mean(axis=0) if self.centred else self._mean
            data -= mean
            self._absorb(data, mean, len(part))

    def merge(self, other: Self) -> None:
        """Learn what another has learned from other frames of the same kind."""
        if (self.transform, self.centred) != (other.transform, other.centred):
            raise ValueError("what is merged must have the same transform and centring")
        if other.frames:
            self._accept(other._shape)
            if not (np.array_equal(self._valid, other._valid) and np.array_equal(self._unit, other._unit)):
                raise ValueError("what is merged must have the same mask and noise")
            self._absorb(other._directions, other._mean, other.frames)

    def components(self) -> Components:
        """The strongest components so far."""
        if not self.frames:
            raise ValueError("no frames to learn from yet")
        rows, singular = _principal(self._directions, self.count)
        return Components(
            rows=_spread(rows, self._valid),
            singular_values=singular,
            frame_shape=self._shape,
            transform=self.transform,
            mean=_spread(self._mean * self._unit[self._valid], self._valid),
            noise=self._unit,
            centred=self.centred,
            mask=None if self._valid.all() else ~self._valid.reshape(self._shape),
            recipe={
                "method": "streaming pca",
                "count": self.count,
                "kept": self.kept,
                "frames": self.frames,
                "centred": self.centred,
            },
        )

    def _accept(self, shape: tuple[int, ...]) -> None:
        """Take the first frames' shape as that of all."""
        if not self._shape:
            valid, _ = _valid(self._mask, shape)
            _require_count(self.count, int(valid.sum()))
            self._shape, self._valid, self._unit = shape, valid, _unit(self._noise, shape)
            self._directions, self._mean = np.zeros((0, valid.sum())), np.zeros(valid.sum())
        elif shape != self._shape:
            raise ValueError(f"frames of shape {shape} after frames of shape {self._shape}")

    def _absorb(self, data: NDArray[np.float64], mean: NDArray[np.float64], frames: int) -> None:
        total = self.frames + frames
        rows = [self._directions, data]
        if self.centred:
            # The scatter about the common mean exceeds those about the two by this one row's square.
            rows.append(np.sqrt(self.frames * frames / total) * (self._mean - mean)[None])
            self._mean = self._mean + (mean - self._mean) * (frames / total)
        stack = np.concatenate(rows)
        vectors, singular = _principal(stack, min(self.kept, *stack.shape))
        self._directions = vectors * singular[:, None]
        self.frames = total


def _principal(data: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First right singular vectors (count, N) and singular values (count,) of data (J, N).

    Beyond the rank the vectors complete the basis, and the singular values are 0.
    """
    frames, pixels = data.shape
    taken = min(count, frames, pixels)
    if frames * pixels * min(frames, pixels) <= _SMALL or taken == 0:
        _, singular, vectors = linalg.svd(data, full_matrices=False) if taken else (None, np.zeros(0), data)
        scaled, singular = vectors[:taken], singular[:taken]
    elif frames <= pixels:
        # Squaring loses singular values below 1e-8 of the largest: far below the photons' noise.
        _, left = linalg.eigh(data @ data.T, subset_by_index=(frames - taken, frames - 1), overwrite_a=True)
        scaled = left[:, ::-1].T @ data
        singular = linalg.norm(scaled, axis=1)
    else:
        _, right = linalg.eigh(data.T @ data, subset_by_index=(pixels - taken, pixels - 1), overwrite_a=True)
        scaled = right[:, ::-1].T
        singular = linalg.norm(data @ scaled.T, axis=0)
    return _orthonormal(scaled, count), np.pad(singular, (0, count - taken))


def _orthonormal(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Orthonormal rows (count, N) that span, one after the other, what the given ones do; the largest value positive.

    Where there are none, or zeros, any direction completes the basis.
    """
    lengths = linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(lengths > 0, lengths, 1.0)
    overlap = unit @ unit.T
    if len(rows) == count and np.abs(overlap - np.eye(count)).max() < 1e-3:
        # Nearly there: the Cholesky factor takes away what is missing, at a fraction of the time.
        q = linalg.solve_triangular(linalg.cholesky(overlap, lower=True), unit, lower=True, overwrite_b=True)
    else:
        # A Householder factor is orthonormal whatever it factors, zeros included.
        q = np.linalg.qr(np.pad(unit, ((0, count - len(rows)), (0, 0))).T).Q.T
    largest = np.take_along_axis(q, np.abs(q).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(q * np.where(largest < 0, -1.0, 1.0))


def _frames(
    values: ArrayLike, shape: tuple[int, ...], mask: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """Values as (frames, N), 0 at invalid pixels, and the shape of the leading axes."""
    values = np.asarray(values)
    pixels = int(np.prod(shape))
    for tail in (shape, (pixels,)):
        if values.shape[values.ndim - len(tail) :] == tail:
            leading = values.shape[: values.ndim - len(tail)]
            flat = values.reshape(-1, pixels).astype(np.float64)
            if mask is not None:
                flat[:, mask.ravel()] = 0
            return flat, leading
    raise ValueError(f"values of shape {values.shape}: expected frames of {shape} or {pixels} pixels in the last axis")


def _valid(mask: ArrayLike | None, shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Which pixels are valid, (N,), and the mask if there are others."""
    if mask is None:
        return np.ones(int(np.prod(shape)), np.bool_), None
    mask = np.asarray(mask)
    if mask.shape != shape or mask.dtype != np.bool_:
        raise ValueError(f"mask is {mask.dtype} {mask.shape}, expected bool {shape}")
    return ~mask.ravel(), mask if mask.any() else None


def _unit(noise: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Unit of each pixel, float64 (N,)."""
    pixels = int(np.prod(shape))
    unit = np.ones(pixels) if noise is None else np.asarray(noise, np.float64)
    if unit.shape not in (shape, (pixels,)) or not (np.isfinite(unit) & (unit > 0)).all():
        raise ValueError(f"noise is {unit.dtype} {unit.shape}, expected numbers above 0 {shape}")
    return unit.ravel()


def _spread(values: NDArray[np.float64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Values of valid pixels among all pixels, 0 at the others."""
    if valid.all():
        return values
    spread = np.zeros((*values.shape[:-1], len(valid)))
    spread[..., valid] = values
    return spread


def _require_stack(values: NDArray[Any]) -> None:
    if values.ndim not in (2, 3) or values.size == 0:
        raise ValueError(f"values of shape {values.shape}: expected (J, rows, columns) or (J, N), not empty")
    if values.dtype.kind not in "iuf":
        raise ValueError(f"values are {values.dtype}: expected real numbers")


def _require_finite(data: NDArray[np.float64]) -> None:
    if not np.isfinite(data).all():
        raise ValueError("values hold NaN or infinity outside the mask: mark invalid pixels by it")


def _require_count(count: int, most: int) -> None:
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or not 1 <= count <= most:
        raise ValueError(f"count must be a whole number from 1 to {most}, got {count!r}")
