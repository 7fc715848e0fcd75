# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Print how fast the golden model projects whole data sets, beside a float64 matrix product of the same sizes.

Usage: OPENBLAS_NUM_THREADS=1 python benchmarks/projection_speed.py
"""

import statistics
import time

import numpy as np
from ptychopress.model.projection import Projection, ProjectionFormat

FRAMES, PIXELS, REPEATS = 4488, 72 * 72, 5


def seconds(call) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    rng = np.random.default_rng(1)
    print(f"{FRAMES} frames of {PIXELS} pixels, median of {REPEATS} runs")
    print("| S' | input bits | weight bits | projection, frames/s | float64 product, frames/s | ratio |")
    print("|--:|--:|--:|--:|--:|--:|")
    for components in (100, 300):
        for input_bits, weight_bits in ((8, 8), (9, 8), (14, 8), (14, 12)):
            size = ProjectionFormat(
                pixels=PIXELS, components=components, input_bits=input_bits, weight_bits=weight_bits
            )
            limits = size.weight_format
            weights = rng.integers(limits.minimum, limits.maximum + 1, (components, PIXELS))
            projection = Projection(size, weights, shift=np.full(components, input_bits))
            frames = rng.integers(0, 1 << input_bits, (FRAMES, PIXELS), np.min_scalar_type((1 << input_bits) - 1))
            floats, matrix = frames.astype(np.float64), np.ascontiguousarray(weights.T, np.float64)
            projection.project(frames[:1])
            # In turns, so that what else the machine does slows both.
            pairs = [
                (seconds(lambda p=projection, f=frames: p.project(f)), seconds(lambda a=floats, b=matrix: a @ b))
                for _ in range(REPEATS)
            ]
            own, peer = (FRAMES / statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(b / a for a, b in pairs)
            print(f"| {components} | {input_bits} | {weight_bits} | {own:.0f} | {peer:.0f} | {ratio:.2f} |", flush=True)
