# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a codebook costs: error, added noise and bias, in units of the counts' own noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .levels import code_probabilities, saturated_means
from .noise import Noise


@dataclass(frozen=True)
class DecodeFigures:
    """Figures of one decode method.

    Attributes
    ----------
    max_error : float
        Largest |N' - N| / sigma(N) over all counts with noise, that is every N from 1 for photon counts.
    inflation_mean, inflation_max : float
        Noise variance after decoding over the variance before, less 1, over mean counts log-spaced.
    bias_rms : float
        Root mean square of (E[N' | mu] - E[N | mu]) / sigma(mu) over the same mean counts mu; E[N | mu] is mu
        but for what the counter's range cuts off.
    """

    max_error: float
    inflation_mean: float
    inflation_max: float
    bias_rms: float


@dataclass(frozen=True)
class Figures:
    """Figures of a codebook: widths, number of codes, and `DecodeFigures` by decode method."""

    count_bits: int
    code_bits: int
    levels: int
    largest_code: int
    decoding: dict[str, DecodeFigures]


def decode_figures(
    edges: NDArray[np.int64], noise: Noise, decode_levels: NDArray[np.float64], points: int = 2000
) -> DecodeFigures:
    """Figures of one set of decode levels.

    Mean counts run log-spaced from 1 photon to 73 % of the range, 12,000 of 16,384: what is above is in reach
    of saturation, which is the detector's limit and not the codebook's.
    """
    counts = np.arange(edges[-1])
    sigma = noise.sigma(counts)
    noisy = sigma > 0
    error = np.abs(np.repeat(decode_levels, np.diff(edges)) - counts)
    means = noise.counts(np.geomspace(1, max(1.0, 12000 / 16384 * float(noise.photons(edges[-1]))), points))
    probabilities = code_probabilities(edges, noise, means)
    decoded = probabilities @ decode_levels
    variance = noise.sigma(means) ** 2
    inflation = (probabilities @ decode_levels**2 - decoded**2) / variance - 1
    bias = (decoded - saturated_means(edges, noise, means)) / np.sqrt(variance)
    return DecodeFigures(
        max_error=float(np.max(error[noisy] / sigma[noisy])),
        inflation_mean=float(inflation.mean()),
        inflation_max=float(inflation.max()),
        bias_rms=float(np.sqrt(np.mean(bias**2))),
    )


def figures(edges: NDArray[np.int64], noise: Noise, decode_levels: Mapping[str, NDArray[np.float64]]) -> Figures:
    """Figures of a codebook with the given decode levels by method."""
    levels = len(edges) - 1
    return Figures(
        count_bits=int(edges[-1]).bit_length() - 1,
        code_bits=max(1, (levels - 1).bit_length()),
        levels=levels,
        largest_code=levels - 1,
        decoding={name: decode_figures(edges, noise, values) for name, values in decode_levels.items()},
    )
