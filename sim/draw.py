# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Random stimuli for a core: counts of all kinds of frames, weights, codebooks."""

import numpy as np
from numpy.typing import NDArray

from ..model.codebook import Codebook
from ..model.projection import Projection, ProjectionFormat


def draw_counts(rng: np.random.Generator, pixels: int, count_bits: int) -> NDArray[np.uint16]:
    """Counts of a frame: empty, full, of any value, sparse, or as light falls, from very weak to strong."""
    top = (1 << count_bits) - 1
    match rng.integers(6):
        case 0:
            counts = np.zeros(pixels, int)
        case 1:
            counts = np.full(pixels, top)
        case 2:
            counts = rng.integers(0, top + 1, pixels)
        case 3:
            counts = np.where(rng.random(pixels) < 0.05, rng.integers(0, top + 1, pixels), 0)
        case _:
            counts = rng.poisson(rng.exponential(10 ** rng.uniform(-2, 2), pixels))
    return np.minimum(counts, top).astype(np.uint16)


def draw_projection(rng: np.random.Generator, size: ProjectionFormat) -> Projection:
    """Weights over their whole range, and shifts with which most coefficients are in range and some are not."""
    low, high = size.weight_format.minimum, size.weight_format.maximum
    weights = rng.integers(low, high + 1, (size.components, size.pixels))
    # A sum of random terms is about as many bits longer than a coefficient.
    usual = size.input_bits + size.weight_bits - 2 + size.pixels.bit_length() // 2 - size.output_bits
    shift = rng.integers(0, min(size.largest_shift, max(usual, 1)) + 1, size.components)
    # Bias and half a step together are to fit.
    limit = min(1000, size.bias_format.maximum // 2)
    return Projection(size, weights, rng.integers(-limit, limit + 1, size.components), shift)


def draw_codebook(rng: np.random.Generator, like: Codebook) -> Codebook:
    """Codebook of counts and codes as wide as those of another, with as many codes as there can be."""
    top = 1 << like.count_bits
    inner = np.sort(rng.choice(np.arange(1, top), (1 << like.code_bits) - 1, replace=False))
    return Codebook.from_edges([0, *inner.tolist(), top])
