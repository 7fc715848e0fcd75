# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What is done to counts before they are projected, and undone after: nothing, a square root, or a codebook."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from .codebook import MAX_COUNT_BITS, Codebook
from .noise import Noise

Kind = Literal["counts", "anscombe", "codes"]

_KNOTS = 16  # exact Poisson sums for each unit of sqrt(intensity), which is two standard deviations of a count
_FINE = 16  # interpolated points for each of them: linear interpolation between these errs by 1e-5 of the noise


@dataclass(frozen=True)
class Transform:
    """A map from counts to the values that are projected.

    Parameters
    ----------
    kind : {"counts", "anscombe", "codes"}
        The counts themselves; 2 sqrt(N + 3/8), whose noise has variance 1 wherever there are some photons; the codes of
        `codebook`. Counts above the range are the largest of it.
    count_bits : int
        Width of a count; a codebook's own for codes.
    codebook : Codebook, optional
        For codes only; one of a photon counter.

    Raises
    ------
    ValueError
        For an unknown kind, a width out of range, or a codebook that is missing, not asked for or of another detector.

    References
    ----------
    Anscombe, Biometrika 35, 246 (1948); the exact unbiased inverse is that of Mäkitalo and Foi, IEEE Trans. Image
    Process. 20, 99 (2011), for any map.

    Examples
    --------
    >>> root = Transform("anscombe")
    >>> root.forward([0, 100]).round(3).tolist()
    [1.225, 20.037]
    >>> root.inverse(root.mean_value([0.5, 100])).round(6).tolist()
    [0.5, 100.0]
    """

    kind: Kind = "counts"
    count_bits: int = 14
    codebook: Codebook | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown transform {self.kind!r}: known are {', '.join(get_args(Kind))}")
        if (self.codebook is not None) != (self.kind == "codes"):
            raise ValueError(f"transform {self.kind!r} with codebook {self.codebook!r}: codes, and only they, take one")
        if self.codebook is not None:
            if self.codebook.noise != Noise():
                raise ValueError(f"codebook {self.codebook.name} has {self.codebook.noise!r}: expected photon counts")
            object.__setattr__(self, "count_bits", self.codebook.count_bits)
        if type(self.count_bits) is not int or not 1 <= self.count_bits <= MAX_COUNT_BITS:
            raise ValueError(f"count_bits must be a whole number from 1 to {MAX_COUNT_BITS}, got {self.count_bits!r}")

    @classmethod
    def codes(cls, codebook: Codebook | str) -> Self:
        """Codes of a codebook, or of the one of that name."""
        book = Codebook.named(codebook) if isinstance(codebook, str) else codebook
        return cls("codes", book.count_bits, book)

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; `from_dict` takes them back."""
        parts: dict[str, Any] = {"kind": self.kind, "count_bits": self.count_bits}
        if self.codebook is not None:
            parts |= {"codebook": self.codebook.name, "edges": list(self.codebook.edges)}
        return parts

    @classmethod
    def from_dict(cls, parts: dict[str, Any]) -> Self:
        """Transform that `to_dict` gave."""
        edges = parts.get("edges")
        book = None if edges is None else Codebook.from_edges(edges, name=parts.get("codebook", "custom"))
        return cls(parts["kind"], parts["count_bits"], book)

    def __str__(self) -> str:
        return f"codes of {self.codebook.name}" if self.codebook else self.kind

    @property
    def integral(self) -> bool:
        """Whether values are integers, as the projector in hardware takes them."""
        return self.kind != "anscombe"

    @property
    def input_bits(self) -> int:
        """Width of a value in bits.

        Raises
        ------
        ValueError
            If values are no integers.
        """
        if not self.integral:
            raise ValueError(f"values of {self} are no integers: the projector takes counts or codes")
        return self.codebook.code_bits if self.codebook else self.count_bits

    def forward(self, counts: ArrayLike) -> NDArray[Any]:
        """Value of each count.

        Parameters
        ----------
        counts : array_like of int
            Any shape.

        Returns
        -------
        numpy.ndarray
            The shape of `counts`; unsigned integers if `integral`, else float64.

        Raises
        ------
        TypeError, ValueError
            For counts that are no integers, or negative.
        """
        counts = np.asarray(counts)
        if self.codebook is not None:
            return self.codebook.encode(counts)
        if counts.dtype.kind not in "iu":
            raise TypeError(f"counts must be integers, got {counts.dtype}")
        if counts.dtype.kind == "i" and counts.size and counts.min() < 0:
            raise ValueError(f"counts from {counts.min()}: expected 0 or more; mark invalid pixels by a mask")
        largest = (1 << self.count_bits) - 1
        if np.iinfo(counts.dtype).max > largest:
            counts = np.minimum(counts, counts.dtype.type(largest))
        if self.kind == "anscombe":
            return 2 * np.sqrt(counts + 0.375)
        return counts.astype(np.min_scalar_type(largest), copy=False)

    def mean_value(self, intensity: ArrayLike) -> NDArray[np.float64]:
        """Mean value of Poisson counts of each intensity (photons, 0 or more), float64, same shape.

        This is what noise-free intensities become: not the value of their rounded counts. Only for plain counts the
        end of the counter's range is left out.
        """
        intensity = np.asarray(intensity, np.float64)
        if self.kind == "counts":
            return intensity.copy()
        return np.interp(np.sqrt(intensity), self.curve.root, self.curve.mean)

    def noise_variance(self, intensity: ArrayLike) -> NDArray[np.float64]:
        """Variance of the value of Poisson counts of each intensity (photons, 0 or more), float64, same shape."""
        intensity = np.asarray(intensity, np.float64)
        if self.kind == "counts":
            return intensity.copy()
        return np.interp(np.sqrt(intensity), self.curve.root, self.curve.variance)

    def inverse(self, values: ArrayLike) -> NDArray[np.float64]:
        """Intensity whose mean value each value is: photons, 0 or more, float64, same shape.

        Unbiased, where decoding a mean code as if it were a code is not. Values below that of no light give 0; beyond
        the mean value at the end of the counter's range the curve goes on straight over the root of the intensity.
        """
        values = np.asarray(values, np.float64)
        if self.kind == "counts":
            return np.maximum(values, 0.0)
        curve = self.curve
        root = np.interp(values, curve.mean[: curve.top + 1], curve.root[: curve.top + 1])
        beyond = np.maximum(values - curve.mean[curve.top], 0.0)
        return (root + beyond / curve.slope) ** 2

    @cached_property
    def curve(self) -> "Curve":
        """Mean and variance of a value over the root of the intensity; not for plain counts."""
        from scipy.interpolate import CubicSpline  # here: it takes a second to import, and few need it

        size = 1 << self.count_bits
        values = np.asarray(self.forward(np.arange(size)), np.float64)
        end = np.sqrt(size)
        # Three more, six standard deviations: there every count is at the end of its range.
        knots = np.arange(np.ceil((end + 3) * _KNOTS) + 1) / _KNOTS
        values = np.append(values, np.full(_reach(knots[-1] ** 2).stop - size, values[-1]))
        log_factorial = gammaln(np.arange(len(values)) + 1.0)
        moments = np.array([_moments(values, log_factorial, root * root) for root in knots])
        root = np.arange((len(knots) - 1) * _FINE + 1) / (_KNOTS * _FINE)
        # Both are functions of the intensity, so their slope over its root is 0 in the dark.
        ends: Any = ((1, np.zeros(2)), (2, np.zeros(2)))
        fine = CubicSpline(knots, moments, bc_type=ends)(root)
        mean = np.maximum.accumulate(fine[:, 0])
        top = int(np.searchsorted(root, end))
        slope = (mean[top] - mean[top // 2]) / (root[top] - root[top // 2])
        return Curve(root, mean, np.maximum(fine[:, 1], 0.0), top, float(slope))


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean and variance of a value, tabulated; linear in between.

    Attributes
    ----------
    root : numpy.ndarray
        Root of the intensity, in equal steps from 0, float64.
    mean : numpy.ndarray
        Mean value, never falling, float64.
    variance : numpy.ndarray
        Its variance, float64.
    top : int
        Index of the end of the counter's range; beyond, `mean` bends to the largest value.
    slope : float
        Of the mean value over the root of the intensity, in the upper half of that range.
    """

    root: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    top: int
    slope: float


def _reach(intensity: float) -> slice:
    """Counts of notable probability."""
    reach = 9 * np.sqrt(intensity) + 30
    return slice(max(0, int(intensity - reach)), int(intensity + reach) + 1)


def _moments(values: NDArray[np.float64], log_factorial: NDArray[np.float64], intensity: float) -> tuple[float, float]:
    """Mean and variance of the value of Poisson counts; values and log(N!) are tabulated for counts from 0."""
    if intensity == 0:
        return float(values[0]), 0.0
    counts = _reach(intensity)
    values = values[counts]
    weight = np.exp(np.arange(counts.start, counts.stop) * np.log(intensity) - intensity - log_factorial[counts])
    weight /= weight.sum()
    mean = float(weight @ values)
    return mean, float(weight @ (values - mean) ** 2)
