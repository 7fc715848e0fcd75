# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The count-to-code table that the encoder implements, and its decode levels."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from inspect import signature
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .lookup import look_up
from .noise import Noise
from .schemes import SCHEMES

if TYPE_CHECKING:
    from .figures import Figures

DecodeMethod = Literal["midpoint", "posterior", "unbiased"]

MAX_COUNT_BITS = 20
MAX_CODE_BITS = 16
_OWN_COUNT_BITS = {"argonne-10to7": 10}


@dataclass(frozen=True)
class Codebook:
    """A monotone map from photon counts to codes: code k stands for edges[k] <= N < edges[k + 1].

    Parameters
    ----------
    edges : tuple of int
        Bin edges, left included, right excluded, levels + 1 of them: from 0, never falling, to
        2**count_bits. Two equal edges make an empty bin, whose code no count gets.
    name : str
        What reports and the head of the Verilog call it: one line that can be printed.
    noise : Noise
        What a count's sigma is; photon counting by default.

    Attributes
    ----------
    count_bits, code_bits : int
        Width of a count and of a code.
    levels : int
        Number of codes; the largest is levels - 1.

    Raises
    ------
    ValueError
        If the edges are no such list, or the name no such line.

    References
    ----------
    Huang, Du, Hammer, Miceli, Jacobsen, J. Synchrotron Rad. 28, 292-300 (2021).

    Examples
    --------
    >>> book = Codebook.named("sqrt-b")
    >>> book.code_bits
    8
    >>> book.encode([0, 5, 100, 16383]).tolist()
    [0, 4, 20, 255]
    >>> book.decode([0, 4, 20, 255]).tolist()
    [0.0, 4.5, 99.5, 16319.5]
    """

    edges: tuple[int, ...]
    name: str = field(default="custom", compare=False)
    noise: Noise = field(default_factory=Noise)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name and self.name.isprintable()):
            raise ValueError(f"the name of a codebook must be one line that can be printed, got {self.name!r}")
        edges = tuple(_whole(f"edges[{k}]", edge) for k, edge in enumerate(self.edges))
        object.__setattr__(self, "edges", edges)
        if len(edges) < 2 or edges[0] != 0:
            raise ValueError(f"edges must start at 0 and have an end, got {edges[:3]!r}")
        for k in range(1, len(edges)):
            if edges[k] < edges[k - 1]:
                raise ValueError(f"edges must not fall, got edges[{k}] = {edges[k]} after {edges[k - 1]}")
        if edges[0] == edges[1] or edges[-2] == edges[-1]:
            raise ValueError(f"the first and the last bin must hold a count, got {edges[:2]!r}, {edges[-2:]!r}")
        if edges[-1] & (edges[-1] - 1) or not 1 <= self.count_bits <= MAX_COUNT_BITS:
            raise ValueError(
                f"the last edge must be 2**count_bits with count_bits 1 to {MAX_COUNT_BITS}, got {edges[-1]}"
            )
        if self.code_bits > MAX_CODE_BITS:
            raise ValueError(f"{self.levels} codes need {self.code_bits} bits, at most {MAX_CODE_BITS} are kept")

    @classmethod
    def named(cls, name: str, count_bits: int | None = None, **parameters: float) -> Self:
        """Codebook of a published or standard rule.

        Parameters
        ----------
        name : str
            One of `Codebook.names()`.
        count_bits : int, optional
            Width of a count, 1 to 20; by default 14, or 10 for `argonne-10to7`, which has no more.
        **parameters
            `scale` for `nearest-sqrt`; `gain` (counts a photon), `read_noise` (photons), `pedestal`
            (counts) and `alpha` (sigmas a step) for `noise-matched`.

        Raises
        ------
        ValueError
            For an unknown name, width or parameter, saying what is accepted.
        """
        if name not in SCHEMES:
            raise ValueError(f"unknown codebook {name!r}: known are {', '.join(SCHEMES)}")
        own_bits = _OWN_COUNT_BITS.get(name)
        bits = own_bits or 14 if count_bits is None else _whole("count_bits", count_bits)
        if not 1 <= bits <= (own_bits or MAX_COUNT_BITS):
            raise ValueError(f"count_bits of {name} must lie from 1 to {own_bits or MAX_COUNT_BITS}, got {bits!r}")
        known = list(signature(SCHEMES[name]).parameters)[1:]
        for key, value in parameters.items():
            if key not in known:
                raise ValueError(f"codebook {name} does not take {key}: it takes {', '.join(known) or 'no parameter'}")
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"{key} must be a number, got {value!r}")
        parameters = {key: float(value) for key, value in parameters.items()}
        edges = SCHEMES[name](1 << bits, **parameters)
        noise = Noise(**{k: v for k, v in parameters.items() if k in ("gain", "read_noise", "pedestal")})
        label = name + "".join(f" {key}={value:g}" for key, value in parameters.items())
        return cls((*edges, 1 << bits), label, noise)

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names that `named` knows."""
        return tuple(SCHEMES)

    @classmethod
    def from_edges(cls, edges: Iterable[int], *, name: str = "custom", noise: Noise | None = None) -> Self:
        """Codebook of any monotone table; `edges` as the class has them."""
        return cls(tuple(edges), name, noise or Noise())

    @property
    def count_bits(self) -> int:
        """Width of a count in bits."""
        return self.edges[-1].bit_length() - 1

    @property
    def levels(self) -> int:
        """Number of codes."""
        return len(self.edges) - 1

    @property
    def code_bits(self) -> int:
        """Width of a code in bits, at least 1."""
        return max(1, (self.levels - 1).bit_length())

    @property
    def code_dtype(self) -> np.dtype[Any]:
        """Smallest unsigned dtype that holds a code."""
        return np.min_scalar_type(self.levels - 1)

    @cached_property
    def edge_array(self) -> NDArray[np.int64]:
        """Edges as a read-only int64 array (levels + 1,)."""
        return _read_only(np.array(self.edges, np.int64))

    @cached_property
    def table(self) -> NDArray[Any]:
        """Code of every count, read-only, (2**count_bits,), unsigned."""
        return _read_only(np.repeat(np.arange(self.levels, dtype=self.code_dtype), np.diff(self.edge_array)))

    @cached_property
    def _levels(self) -> dict[str, NDArray[np.float64]]:
        return {}

    def decode_levels(self, method: DecodeMethod = "midpoint") -> NDArray[np.float64]:
        """Count that each code is decoded to, read-only, float64 (levels,).

        `midpoint` is the mean of a bin's first and last count; `posterior` and `unbiased` are explained in
        `ptychopress.model.levels`.
        """
        if method not in get_args(DecodeMethod):
            raise ValueError(f"unknown decode method {method!r}: known are {', '.join(get_args(DecodeMethod))}")
        if method not in self._levels:
            from . import levels  # here: encoding needs none of SciPy, which takes its time to import

            self._levels[method] = _read_only(getattr(levels, method)(self.edge_array, self.noise))
        return self._levels[method]

    def encode(self, counts: ArrayLike, *, invalid: ArrayLike | None = None) -> NDArray[Any]:
        """Code of each count.

        Parameters
        ----------
        counts : array_like of int
            Photon counts, any shape; the mask of a masked array counts as `invalid`.
            Counts above the range get the last code: `saturated` counts them.
        invalid : array_like of bool, optional
            Pixels without a count, broadcast to the shape of `counts`; what stands there is not looked at,
            and they get code 0. Hand the same mask to `decode`, and they come back as NaN.

        Returns
        -------
        numpy.ndarray
            Codes, unsigned, the shape of `counts`.

        Raises
        ------
        TypeError
            For counts that are not integers, naming the first.
        ValueError
            For a negative count, naming the first, or a mask that does not fit.
        """
        return look_up(self.table, _valid_counts(counts, invalid))

    def saturated(self, counts: ArrayLike, *, invalid: ArrayLike | None = None) -> int:
        """Return the number of valid pixels whose count lies above the range, 2**count_bits or more."""
        return int(np.count_nonzero(_valid_counts(counts, invalid) >= self.edges[-1]))

    def decode(
        self,
        codes: ArrayLike,
        method: DecodeMethod = "midpoint",
        *,
        invalid: ArrayLike | None = None,
        dtype: DTypeLike = np.float64,
    ) -> NDArray[Any]:
        """Count that each code stands for.

        Parameters
        ----------
        codes : array_like of int
            Codes, any shape.
        method : {"midpoint", "posterior", "unbiased"}
            Rule of the decode levels.
        invalid : array_like of bool, optional
            Pixels that come back as NaN, broadcast to the shape of `codes`.
        dtype : numpy dtype
            Of the counts: float64, or float32 to save time and memory.

        Returns
        -------
        numpy.ndarray
            Counts, of that dtype and the shape of `codes`.

        Raises
        ------
        TypeError, ValueError
            For codes that are not integers or not codes of this codebook, naming the first.
        """
        codes = np.asarray(codes)
        _require_integers("code", codes)
        if invalid is not None:
            invalid = _mask(invalid, codes.shape)
            codes = np.where(invalid, codes.dtype.type(0), codes)
        # The extremes first: nearly always they tell that there is nothing to look for.
        if codes.size and (codes.min() < 0 or codes.max() >= self.levels):
            bad = (codes < 0) | (codes >= self.levels)
            raise ValueError(f"code {_first(codes, bad)} is none of {self.name}: they go from 0 to {self.levels - 1}")
        counts = look_up(self.decode_levels(method).astype(dtype), codes)
        return counts if invalid is None else np.where(invalid, counts.dtype.type(np.nan), counts)

    def fixed_levels(self, method: DecodeMethod = "midpoint", fraction_bits: int = 1) -> NDArray[np.int64]:
        """Return the decode levels in units of 2**-fraction_bits counts, rounded half up, int64 (levels,).

        One fraction bit holds the midpoints exactly.
        """
        if not 0 <= fraction_bits <= 16:
            raise ValueError(f"fraction_bits must lie between 0 and 16, got {fraction_bits!r}")
        return np.floor(self.decode_levels(method) * (1 << fraction_bits) + 0.5).astype(np.int64)

    def thresholds(self, code_bits: int | None = None) -> NDArray[np.int64]:
        """Words that load a `ThresholdEncoder`: the last count below code 1, 2, ... 2**code_bits - 1.

        Codes that this codebook does not have get the largest count, which no count exceeds. The encoder must have been
        made for counts of the same width.

        Parameters
        ----------
        code_bits : int, optional
            Width of the encoder's codes; by default this codebook's own.

        Returns
        -------
        numpy.ndarray
            int64, (2**code_bits - 1,).
        """
        bits = self.code_bits if code_bits is None else code_bits
        if bits < self.code_bits:
            raise ValueError(f"{self.name} needs {self.code_bits} code bits, the encoder has {bits}")
        words = np.full((1 << bits) - 1, self.edges[-1] - 1, np.int64)
        words[: self.levels - 1] = self.edge_array[1:-1] - 1
        return words

    def figures(self) -> "Figures":
        """Return error, added noise and bias by decode method."""
        from .figures import figures

        methods: tuple[DecodeMethod, ...] = get_args(DecodeMethod)
        return figures(self.edge_array, self.noise, {m: self.decode_levels(m) for m in methods})


def _whole(what: str, value: Any) -> int:
    """Value as an int, if it is a whole number of some integer type."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        return index(value)
    except TypeError:
        raise ValueError(f"{what} must be a whole number, got {value!r}") from None


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _first(values: NDArray[Any], bad: NDArray[np.bool_]) -> str:
    index = np.unravel_index(int(np.argmax(bad)), bad.shape)
    return f"{values[index]!s} at index {tuple(int(i) for i in index)}"


def _mask(invalid: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.asarray(invalid)
    if mask.dtype != np.bool_:
        raise ValueError(f"the mask of invalid pixels must be bool, got {mask.dtype}")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"the mask of invalid pixels has shape {mask.shape}, the data {shape}") from None


def _require_integers(what: str, values: NDArray[Any]) -> None:
    if values.dtype.kind in "iu":
        return
    bad = np.ones(values.shape, np.bool_)
    if values.dtype.kind == "f":
        odd = ~((values >= 0) & (values == np.floor(values)))
        bad = odd if odd.any() else bad
    where = f"; the first that is none: {_first(values, bad)}" if values.size else ""
    raise TypeError(f"{what}s must be integers, got {values.dtype}{where}")


def _valid_counts(counts: ArrayLike, invalid: ArrayLike | None) -> NDArray[Any]:
    """Counts checked, with 0 in place of the invalid ones."""
    if isinstance(counts, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(counts)
        invalid = masked if invalid is None else masked | _mask(invalid, counts.shape)
    counts = np.asarray(counts)
    _require_integers("count", counts)
    if invalid is not None:
        counts = np.where(_mask(invalid, counts.shape), counts.dtype.type(0), counts)
    if counts.dtype.kind == "i" and counts.size and counts.min() < 0:
        raise ValueError(
            f"count {_first(counts, counts < 0)} is negative: counts are 0 or more; mark invalid pixels by a mask"
        )
    return counts
