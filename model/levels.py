# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Decode levels: the count that stands for each code, by three rules."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp1, gammainc, ndtr, pdtr, pdtrc

from .noise import Noise

Edges = NDArray[np.int64]
Levels = NDArray[np.float64]

LEVEL_FRACTION_BITS = 10
"""Bias-free levels are rounded to 2**-10 counts, so that they are the same on every machine."""

_GRID = float(1 << LEVEL_FRACTION_BITS)
_MAX_FITTED_LEVELS = 4096


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
    # Rounding must not carry the mean out of its bin.
    return np.where(total > 0, np.clip(mean, edges[:-1], edges[1:] - 1), midpoint(edges, noise))


def unbiased(edges: Edges, noise: Noise) -> Levels:
    """Levels whose mean over the noise is the mean count, each within one sigma of every count of its bin.

    Bounded least squares: minimise the sum over mean counts mu of (E[level | mu] - E[count | mu])^2 / sigma(mu)^2,
    each level between last - sigma(last) and first + sigma(first) of its bin, and none below the one before. A bin
    of one count keeps it, and a bin too wide for the bounds has its level between its first and last count. The
    count is the saturating counter's own: the last levels are not asked to make up for the detector's range.

    Raises
    ------
    ValueError
        For more than 4096 levels: so fine a codebook has no bias to speak of.
    """
    if len(edges) > _MAX_FITTED_LEVELS + 1:
        raise ValueError(f"{len(edges) - 1} levels are more than the {_MAX_FITTED_LEVELS} that can be fitted")
    from scipy.optimize import lsq_linear  # here: it takes a second to import, and few need it

    means = mean_counts(edges, noise)
    weight = 1 / noise.sigma(means)
    matrix = code_probabilities(edges, noise, means) * weight[:, None]
    target = saturated_means(edges, noise, means) * weight
    low, high = _bounds(edges, noise)
    middle = np.clip(midpoint(edges, noise), low, high)
    # The faint ridge settles levels that the noise hardly tells apart, near their midpoints.
    ridge = 1e-3 / np.maximum(noise.sigma(middle), 1e-3)
    # The triangular factor has the same least squares solutions as all the rows.
    factor, rotated = _triangle(np.vstack([matrix, np.diag(ridge)]), np.concatenate([target, ridge * middle]))
    group = np.arange(len(middle))
    while True:
        # Levels of one group share a value; at first each has a group of its own.
        together = np.equal.outer(group, np.arange(group[-1] + 1)).astype(np.float64)
        floor = np.array([low[group == g].max() for g in range(group[-1] + 1)])
        ceiling = np.array([high[group == g].min() for g in range(group[-1] + 1)])
        columns, shared, free = factor @ together, floor.copy(), ceiling > floor
        if free.any():
            small, rest = _triangle(columns[:, free], rotated - columns[:, ~free] @ shared[~free])
            fit = lsq_linear(small, rest, (floor[free], ceiling[free]), method="trf", lsq_solver="exact", tol=1e-10)
            shared[free] = fit.x
        falling = np.diff(shared) < -0.5 / _GRID
        if not falling.any():
            break
        group = np.concatenate([[0], np.cumsum(~falling)])[group]
    levels = shared[group]
    inside_low, inside_high = np.ceil(low * _GRID), np.floor(high * _GRID)
    rounded = np.clip(np.rint(levels * _GRID), inside_low, np.maximum(inside_low, inside_high))
    return np.maximum.accumulate(rounded) / _GRID


def _triangle(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[Levels, Levels]:
    q, r = np.linalg.qr(matrix)
    return r, q.T @ target


def _bounds(edges: Edges, noise: Noise) -> tuple[Levels, Levels]:
    """Lowest and highest level of each bin that stays within one sigma of all its counts with noise."""
    first, last = edges[:-1].astype(np.float64), edges[1:] - 1.0
    # A count without noise (zero photons) cannot be met within its sigma by any other level: it is left out.
    quiet = (noise.sigma(first) == 0) & (last > first)
    inner = np.where(quiet, first + 1, first)
    low, high = last - noise.sigma(last), inner + noise.sigma(inner)
    own = (low > high) | (first == last)
    low, high = np.where(own, first, low), np.where(own, last, high)
    empty = last < first
    middle = midpoint(edges, noise)
    return np.where(empty, middle, np.maximum(low, 0.0)), np.where(empty, middle, high)


def mean_counts(edges: Edges, noise: Noise, points: int = 2000) -> NDArray[np.float64]:
    """Mean counts over the whole range, log-spaced in photons from 1 (or the range, if it ends below)."""
    top = float(noise.photons(edges[-1]))
    return noise.counts(np.geomspace(min(1.0, top), top, points))


def saturated_means(edges: Edges, noise: Noise, means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the count that a counter ending at the codebook's range reports, for each mean count without that end."""
    ceiling = float(edges[-1] - 1)
    if noise.read_noise == 0:
        photons, last = noise.photons(means), np.floor(noise.photons(ceiling))
        below, inside = pdtr(last - 1, photons) if last >= 1 else 0.0, pdtr(last, photons)
        return noise.gain * photons * below + noise.pedestal * inside + ceiling * (1 - inside)
    sigma = noise.sigma(means)
    z = (ceiling - means) / sigma
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return ceiling + (means - ceiling) * ndtr(z) - sigma * density


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
