# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The fixed-point projection of frames onto components, exactly as the projector computes it.

    y[s] = saturate(floor((b[s] + sum_n w[s, n] x[n]) / 2**shift[s] + 1/2))

for a frame x of N unsigned counts or codes, signed weights w, a bias b that centring comes with, and one right shift a
component. Sums are exact: nothing but the last step rounds or saturates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fixed import SQ, UQ, Format

# Integers below these are exact in the type, and so are their sums in any order.
_EXACT_SINGLE = 1 << 24
_EXACT_DOUBLE = 1 << 53
_BLOCK = 1024  # frames at a time: enough for the matrix product's full speed
_SHORTEST = 128  # pixels for which a product in single precision, twice as fast, is worth adding up its parts


@dataclass(frozen=True, kw_only=True)
class ProjectionFormat:
    """Sizes of a projection, and the widths that follow from them; the same for model, RTL and files.

    Parameters
    ----------
    pixels : int
        N, pixels of a frame.
    components : int
        S', coefficients of a frame.
    input_bits : int
        Of a count or code, unsigned, 1 to 16.
    weight_bits : int
        Of a weight, signed, 2 to 18.
    output_bits : int
        Of a coefficient, signed, 2 to 32.

    Raises
    ------
    ValueError
        For a size out of range.
    """

    pixels: int
    components: int
    input_bits: int
    weight_bits: int = 8
    output_bits: int = 16

    def __post_init__(self) -> None:
        for name, low, high in (
            ("pixels", 1, 1 << 24),
            ("components", 1, 1 << 24),
            ("input_bits", 1, 16),
            ("weight_bits", 2, 18),
            ("output_bits", 2, 32),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")

    @property
    def input_format(self) -> Format:
        """Of x."""
        return UQ(self.input_bits)

    @property
    def weight_format(self) -> Format:
        """Of w."""
        return SQ(self.weight_bits)

    @property
    def output_format(self) -> Format:
        """Of y."""
        return SQ(self.output_bits)

    @property
    def bias_format(self) -> Format:
        """Of the accumulator's first value: as wide as any sum of products, so that any centring fits."""
        extent = self.pixels * self.input_format.maximum
        return Format.holding(extent * self.weight_format.minimum, extent * self.weight_format.maximum)

    @property
    def accumulator_format(self) -> Format:
        """Of bias plus any sum of products, for any weights and any part of a frame: it cannot overflow."""
        return SQ(self.bias_format.bits + 1)

    def leading_axes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Axes in front of the one that holds a frame's pixels or, if it does not, of the two that do.

        Raises
        ------
        ValueError
            If neither holds N pixels.
        """
        for k in (1, 2):
            if len(shape) >= k and np.prod(shape[-k:]) == self.pixels:
                return shape[:-k]
        raise ValueError(f"frames of shape {shape}: expected {self.pixels} pixels in the last axis or two")

    @property
    def largest_shift(self) -> int:
        """Largest right shift: what it leaves of an accumulator is the sign."""
        return self.accumulator_format.bits - 1


@dataclass(frozen=True, eq=False)
class Projection:
    """Golden model of the projector.

    Parameters
    ----------
    format : ProjectionFormat
    weights : array_like of int
        w, (S', N).
    bias : array_like of int, optional
        b, (S',); by default 0. With half a step, 2**shift / 2, it must fit `format.bias_format`: that sum is what
        the hardware starts from, so that rounding takes it no adder.
    shift : array_like of int, optional
        Right shift of each component, (S',), 0 to `format.largest_shift`; by default 0.

    Raises
    ------
    TypeError
        If an array is not of integers.
    ValueError
        For an array of the wrong shape or with a value out of range.
    """

    format: ProjectionFormat
    weights: NDArray[Any]
    bias: NDArray[np.int64] = field(default=None)  # type: ignore[assignment]
    shift: NDArray[np.int64] = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        size = self.format
        for name, shape, dtype in (
            ("weights", (size.components, size.pixels), np.min_scalar_type(size.weight_format.minimum)),
            ("bias", (size.components,), np.int64),
            ("shift", (size.components,), np.int64),
        ):
            given = getattr(self, name)
            array = np.zeros(shape, dtype) if given is None else np.asarray(given)
            if array.dtype.kind not in "iu":
                raise TypeError(f"{name} must be integers, got {array.dtype}")
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
            if name == "weights" and not size.weight_format.holds(array):
                raise ValueError(_out_of_range(name, array, size.weight_format.minimum, size.weight_format.maximum))
            if name == "shift" and (array.min() < 0 or array.max() > size.largest_shift):
                raise ValueError(_out_of_range(name, array, 0, size.largest_shift))
            array = array.astype(dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if not size.bias_format.holds(self.preload):
            limits = size.bias_format
            raise ValueError(_out_of_range("bias with half a step", self.preload, limits.minimum, limits.maximum))

    @property
    def preload(self) -> NDArray[np.int64]:
        """What each accumulator starts from, int64 (S',): the bias and half a step."""
        return self.bias + ((np.int64(1) << self.shift) >> 1)

    def project(self, frames: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Coefficients of frames.

        Parameters
        ----------
        frames : array_like of int
            Counts or codes (..., N), or frames (..., rows, columns) of N pixels in more than one row.

        Returns
        -------
        coefficients : numpy.ndarray
            int32 (..., S').
        saturated : numpy.ndarray
            bool (..., S'): the coefficient is the nearest of `output_bits`.

        Raises
        ------
        TypeError
            If the frames are not integers.
        ValueError
            If they do not have N pixels, or a value is out of range.
        """
        size = self.format
        flat, leading = self._flat(frames)
        coefficients = np.empty((len(flat), size.components), np.int32)
        saturated = np.empty(coefficients.shape, np.bool_)
        low, high = size.output_format.minimum, size.output_format.maximum
        for part, sums in self._blocks(flat):
            sums += self.preload
            if sums.dtype == np.float64:
                # Exact as well: powers of two only move the binary point.
                sums *= np.exp2(-self.shift)
                np.floor(sums, out=sums)
            else:
                sums >>= self.shift
            np.logical_or(sums < low, sums > high, out=saturated[part])
            coefficients[part] = np.clip(sums, low, high, out=sums)
        shape = (*leading, size.components)
        return coefficients.reshape(shape), saturated.reshape(shape)

    def sums(self, frames: ArrayLike) -> NDArray[np.int64]:
        """Exact sums before the shift, b + W x, int64 (..., S'), of frames as `project` takes them."""
        flat, leading = self._flat(frames)
        exact = np.empty((len(flat), self.format.components), np.int64)
        for part, sums in self._blocks(flat):
            exact[part] = sums
        return (exact + self.bias).reshape(*leading, self.format.components)

    def _flat(self, frames: ArrayLike) -> tuple[NDArray[Any], tuple[int, ...]]:
        """Frames as (frames, N), checked, and the shape of the leading axes."""
        size = self.format
        frames = np.asarray(frames)
        if frames.dtype.kind not in "iu":
            raise TypeError(f"frames must be integers, got {frames.dtype}")
        leading = size.leading_axes(frames.shape)
        flat = frames.reshape(-1, size.pixels)
        limits, largest = np.iinfo(frames.dtype), size.input_format.maximum
        if flat.size and (limits.min < 0 or limits.max > largest) and (flat.min() < 0 or int(flat.max()) > largest):
            raise ValueError(_out_of_range("frames", flat, 0, largest))
        return flat, leading

    def _blocks(self, flat: NDArray[Any]) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Sums of products of some frames at a time: which, and integers (frames, S') in float64 or int64.

        The arrays are used again for the next frames: fresh memory costs more than the sums that are written to it.
        """
        pixels, weights = self._parts
        rows, columns = min(_BLOCK, len(flat)), self.format.components
        values = np.empty(rows * pixels, weights.dtype)
        product = np.empty((rows, columns), weights.dtype)
        total = np.empty((rows, columns), np.int64 if weights.dtype == np.int64 else np.float64)
        for start in range(0, len(flat), _BLOCK):
            frames = flat[start : start + _BLOCK]
            count = len(frames)
            sums = total[:count]
            sums[:] = 0
            for first in range(0, self.format.pixels, pixels):
                part = frames[:, first : first + pixels]
                operand = values[: part.size].reshape(part.shape)
                operand[:] = part
                sums += np.matmul(operand, weights[first : first + pixels], out=product[:count])
            yield slice(start, start + count), sums

    @cached_property
    def _parts(self) -> tuple[int, NDArray[Any]]:
        """Weights (N, S') in the fastest type that is exact, and for how many pixels at a time it is."""
        size = self.format
        largest = size.input_format.maximum * -size.weight_format.minimum
        if (pixels := (_EXACT_SINGLE - 1) // largest) >= min(_SHORTEST, size.pixels):
            dtype = np.float32
        else:
            pixels, dtype = size.pixels, np.float64
        if size.accumulator_format.maximum >= _EXACT_DOUBLE:
            pixels, dtype = size.pixels, np.int64
        return min(pixels, size.pixels), np.ascontiguousarray(self.weights.T, dtype)

    def words(self, lanes: int) -> NDArray[np.int64]:
        """Words that load a projector of so many lanes, in the order of its table stream, int64.

        Component by component: its weights, filled up with zeros to whole beats; what its accumulator starts from; its
        shift.
        """
        beats = -(-self.format.pixels // lanes)
        padding = beats * lanes - self.format.pixels
        rows = [
            np.pad(self.weights.astype(np.int64), ((0, 0), (0, padding))),
            self.preload[:, None],
            self.shift[:, None],
        ]
        return np.hstack(rows).ravel()


def _out_of_range(name: str, array: NDArray[Any], low: int, high: int) -> str:
    return f"{name} from {array.min()} to {array.max()}: expected {low} to {high}"
