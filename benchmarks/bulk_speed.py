# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Print how many pixels a second the compiled Verilog encodes on one core, beside ``numpy.take`` on the same frames.

Usage: python benchmarks/bulk_speed.py
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from ptychopress.hdl.encoder import ShiftEncoder, ThresholdEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.bulk import BulkEncoder

REPEATS = 5


def rate(encode: Callable[[np.ndarray], np.ndarray], frames: np.ndarray) -> float:
    """Median of some runs, in million pixels a second."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        encode(frames)
        seconds.append(time.perf_counter() - start)
    return frames.size / statistics.median(seconds) / 1e6


if __name__ == "__main__":
    frames = np.random.default_rng(1).poisson(200, (1000, 72, 72)).astype(np.uint16)
    print("| codebook | encoder, 16 lanes | Mpixel/s | of numpy.take |")
    print("|---|---|--:|--:|")
    for name in ("sqrt-a", "sqrt-b", "sqrt-c"):
        book = Codebook.named(name)
        peer = rate(lambda counts, book=book: np.take(book.table, counts), frames)
        for kind in (ShiftEncoder, ThresholdEncoder):
            hardware = BulkEncoder(kind(book, lanes=16))
            np.testing.assert_array_equal(hardware.encode(frames), book.encode(frames))
            found = rate(hardware.encode, frames)
            print(f"| {name} | {kind.__name__} | {found:.0f} | {found / peer:.2f} |")
