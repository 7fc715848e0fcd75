# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The likelihood of a bin of Poisson counts, from tables.

With q the distribution of a count N of mean I once it is known to lie in the bin,

    ln P(bin | I) = <N> ln I - I - <ln N!> + H(q),

<> being the mean over q and H its entropy; and its derivative is that of a Poisson count, with <N> in place of the
count: <N> / I - 1. So twice the negative logarithm, counted from its least value, is the deviance of a Poisson count
<N> and a correction of order 1, which is 0 for a bin of one count. Both are smooth in the root of I, the scale on which
the noise of a count is 1/2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp, xlogy

_STEPS = 32  # for each unit of the root: linear interpolation between them errs by 2e-4 of the noise
_REACH = 4.5  # of the table beyond a bin, in units of the root: nine standard deviations
_CHUNK = 1 << 22  # numbers at a time


class Intervals:
    """Mean count of a bin, and its correction of the deviance, for every code and mean intensity.

    Parameters
    ----------
    edges
        Bin edges in counts, from 0, never falling: bin c is [edges[c], edges[c + 1]), the last one has no end.
    """

    def __init__(self, edges: Sequence[int]) -> None:
        self._open = len(edges) - 2
        tables, places, singles = [], [], []
        begin = 0
        for code, (left, right) in enumerate(pairwise(edges)):
            if right - left <= 1 and code != self._open:
                # A single count, whatever the mean, or none, which no code is of. Its place is never looked at.
                singles.append(left)
                places.append((-1, 0, 0))
                continue
            beyond = 0 if code < self._open else int(10 * np.sqrt(right)) + 100
            root = _grid(left, right + beyond)
            tables.append(_table(left, right + beyond, root))
            singles.append(-1)
            places.append((begin, round(root[0] * _STEPS), len(root) - 1))
            begin += len(root)
        self._counts = torch.tensor(singles, dtype=torch.float32)
        self._tables = torch.from_numpy(np.concatenate(tables).astype(np.float32))
        self._places = torch.tensor(places)

    def look_up(self, codes: torch.Tensor, mean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean count of the bin of each code, and what the deviance of a Poisson count lacks to be that of the code.

        Parameters
        ----------
        codes
            Integers, any shape.
        mean
            Photons, more than 0, float32 of that shape.

        Returns
        -------
        Both float32 of that shape.
        """
        index = codes.reshape(-1).int()
        # index_select: five times as fast as brackets.
        expected = self._counts.index_select(0, index)
        correction = torch.zeros_like(expected)
        # Most pixels hold few photons, and a bin of few is one count: only the others take the longer way.
        wide = torch.nonzero(expected < 0).squeeze(1)
        code, intensity = index.index_select(0, wide), mean.reshape(-1).index_select(0, wide)
        begin, first, last = self._places.index_select(0, code).unbind(-1)
        place = torch.minimum(intensity.sqrt().mul_(_STEPS).sub_(first).clamp_(min=0), last)
        cell = torch.minimum(place.to(torch.int64), last - 1)
        low, high = (self._tables.index_select(0, begin + cell + step) for step in (0, 1))
        inner, rest = torch.lerp(low, high, place.sub_(cell)[:, None]).unbind(-1)
        # In the open bin, brighter than its table: as likely as can be.
        free = (code == self._open) & (intensity > inner)
        expected[wide] = torch.where(free, intensity, inner)
        correction[wide] = torch.where(free, 0.0, rest)
        return expected.view(mean.shape), correction.view(mean.shape)

    def to(self, device: str) -> Intervals:
        """Move the tables."""
        for name in ("_counts", "_tables", "_places"):
            setattr(self, name, getattr(self, name).to(device))
        return self


def _grid(left: int, right: int) -> NDArray[np.float64]:
    """Roots of the intensity at which a bin is tabulated."""
    first = np.floor(max(np.sqrt(left) - _REACH, 0) * _STEPS)
    return np.arange(first, np.ceil((np.sqrt(right) + _REACH) * _STEPS) + 1) / _STEPS


def _table(left: int, right: int, root: NDArray[np.float64]) -> NDArray[np.float64]:
    """<N> and the correction, float64 (len(root), 2)."""
    counts = np.arange(left, right, dtype=np.float64)
    log_factorial = gammaln(counts + 1)
    # In complete darkness the bin's first count is the only one that can be.
    mean = np.maximum(root * root, 1e-9)
    expected, rest = np.empty_like(mean), np.empty_like(mean)
    size = max(1, _CHUNK // len(counts))
    for start in range(0, len(mean), size):
        part = slice(start, start + size)
        log_weight = xlogy(counts, mean[part, None]) - log_factorial
        log_total = np.asarray(logsumexp(log_weight, axis=1))
        expected[part] = np.exp(log_weight - log_total[:, None]) @ counts
        # Entropy and <ln N!> together: ln P + I - <N> ln I.
        rest[part] = log_total - xlogy(expected[part], mean[part])
    deviance = 2 * (mean - xlogy(expected, mean) - rest)
    poisson = 2 * (mean - expected + xlogy(expected, expected / mean))
    return np.stack([expected, deviance - deviance.min() - poisson], axis=1)
