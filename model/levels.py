# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Decode levels: the count that stands for each code, by three rules."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp1, gammainc, ndtr, pdtrc

from .noise import Noise

Edges = NDArray[np.int64]
Levels = NDArray[np.float64]

LEVEL_FRACTION_BITS = 10
"""Bias-free levels are rounded to 2**-10 counts, so that they are the same on every machine."""


def midpoint(edges: Edges, noise: Noise) -> Levels:
    """Mean of the first and last count of each bin; exact in half counts."""
    return (edges[:-1] + edges[1:] - 1) / 2


def posterior(edges: Edges, noise: Noise) -> Levels:
    """Mean of the counts of each bin, weighted with how likely each is (DeForest et al., ApJ 934, 179).

    The prior of the mean photon number is log-uniform from 1 photon to the codebook's range; the likelihood
    is Poisson's, so a count of n photons has the weight [P(n, range) - P(n, 1)] / n with P the
    regularised lower incomplete gamma function.
    """
    counts = np.arange(edges[-1])
    photons = np.maximum(noise.photons(counts), 0.0)
    top = float(noise.photons(edges[-1]))
    positive = np.maximum(photons, 1e-9)
    weight = np.where(
        photons > 0, (gammainc(positive, top) - gammainc(positive, 1.0)) / positive, exp1(1.0) - exp1(top)
    )
    # The weight falls below the smallest float where the range cuts it off: there the bin is flat.
    weight = np.maximum(weight, 1e-30)
    bins = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    total = np.bincount(bins, weight, len(edges) - 1)
    mean = np.bincount(bins, weight * counts, len(edges) - 1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, midpoint(edges, noise))


def unbiased(edges: Edges, noise: Noise) -> Levels:
    """Levels whose mean over the noise is the mean count, each within one sigma of every count of its bin.

    Bounded least squares: minimise the sum over mean counts mu of (E[level | mu] - mu)^2 / sigma(mu)^2, each
    level between last - sigma(last) and first + sigma(first) of its bin. A bin too wide for that keeps its
    level between its first and last count.
    """
    from scipy.optimize import lsq_linear  # here, as it takes most of a second to import

    means = mean_counts(edges, noise)
    weight = 1 / noise.sigma(means)
    low, high = _bounds(edges, noise)
    free = high > low
    start = np.clip(midpoint(edges, noise), low, high)
    matrix = code_probabilities(edges, noise, means) * weight[:, None]
    bias = means * weight - matrix @ start
    # The faint ridge settles the levels that no mean count reaches: they stay at their midpoints.
    ridge = 1e-6 * np.eye(int(free.sum()))
    fit = lsq_linear(
        np.vstack([matrix[:, free], ridge]),
        np.concatenate([bias, np.zeros(len(ridge))]),
        (low[free] - start[free], high[free] - start[free]),
        method="trf",
        lsq_solver="exact",
        tol=1e-12,
    )
    start[free] += fit.x
    grid = float(1 << LEVEL_FRACTION_BITS)
    inside_low, inside_high = np.ceil(low * grid), np.floor(high * grid)
    rounded = np.clip(np.rint(start * grid), inside_low, np.maximum(inside_low, inside_high))
    return rounded / grid


def _bounds(edges: Edges, noise: Noise) -> tuple[Levels, Levels]:
    """Lowest and highest level of each bin that stays within one sigma of all its counts with noise."""
    first, last = edges[:-1].astype(np.float64), edges[1:] - 1.0
    # A count without noise (zero photons) cannot be met within its sigma by any other level: it is left out.
    quiet = (noise.sigma(first) == 0) & (last > first)
    inner = np.where(quiet, first + 1, first)
    low, high = last - noise.sigma(last), inner + noise.sigma(inner)
    too_wide = low > high
    low, high = np.where(too_wide, first, low), np.where(too_wide, last, high)
    empty = last < first
    middle = midpoint(edges, noise)
    return np.where(empty, middle, np.maximum(low, 0.0)), np.where(empty, middle, high)


def mean_counts(edges: Edges, noise: Noise, points: int = 2000) -> NDArray[np.float64]:
    """Mean counts, log-spaced in photons from 1 up to where a tail of 8 sigma ends inside the range."""
    top = float(noise.photons(edges[-1]))
    reach = max(top - 8 * np.sqrt(noise.read_noise**2 + max(top, 0.0)), 0.25 * top)
    return noise.counts(np.geomspace(min(1.0, reach / 2), reach, points))


def code_probabilities(edges: Edges, noise: Noise, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each code for each mean count, float64 (means, levels); the last bin is open.

    Poisson without read noise, exactly; with it, the normal law of the same variance.
    """
    photons = noise.photons(means)[:, None]
    if noise.read_noise == 0:
        first_photons = np.ceil(noise.photons(edges[:-1]))
        at_least = np.where(first_photons > 0, pdtrc(np.maximum(first_photons - 1, 0), photons), 1.0)
    else:
        at_least = ndtr((means[:, None] - edges[:-1] + 0.5) / noise.sigma(means)[:, None])
        at_least[:, 0] = 1.0
    return at_least - np.pad(at_least[:, 1:], ((0, 0), (0, 1)))
