# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Learn 100 components from a scan that does not fit in memory, and print how much memory and time it took.

The scan has the size of Deng et al., Sci. Rep. 7, 445 (2017): 201 x 221 positions, 44,421 frames of 256 x 256 pixels.
It is simulated in pieces: a drawn object, a Gaussian probe, Poisson counts, codes of sqrt-b. First the same is done on
a small scan, whose components are compared with those of all its frames at once.

Usage: python benchmarks/streaming_pca.py [--frames 2000] [--count 100] [--limit-gib 4]
"""

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np
from ptychopress.model.pca import StreamingPca, learn
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.phantom import cell_phantom

ROWS, COLUMNS, STEP, SIZE = 201, 221, 5, 256
PIECE = 150
PHOTONS = 20_000  # of a frame


def scan(rows: int, columns: int, size: int) -> tuple[Acquisition, np.ndarray]:
    """A raster scan over two drawn cells, and their transmission."""
    shape = ((rows - 1) * STEP + size, (columns - 1) * STEP + size)
    phase = np.zeros(shape)
    cells = cell_phantom(min(shape) - size // 2).phase
    first = [(side - len(cells)) // 2 for side in shape]
    phase[first[0] : first[0] + len(cells), first[1] : first[1] + len(cells)] = cells
    acquisition = Acquisition(gaussian_probe(size, size / 12), raster_scan(rows, columns, STEP), shape)
    return acquisition.scaled(PHOTONS), np.exp(1j * phase).astype(np.complex64)


def pieces(acquisition: Acquisition, transmission: np.ndarray, transform: Transform, frames: int) -> Iterator:
    """Codes of the first `frames` positions, in an order without trend, so that fewer frames still see all of it."""
    order = np.random.default_rng(1).permutation(len(acquisition.positions))[:frames]
    for start in range(0, frames, PIECE):
        part = Acquisition(
            acquisition.probe, acquisition.positions[order[start : start + PIECE]], acquisition.object_shape
        )
        yield transform.forward(expose(diffract(transmission, part), seed=start))


def captured(rows: np.ndarray, values: np.ndarray) -> float:
    """Mean squared length of centred values in the space of some rows."""
    centred = values.reshape(len(values), -1) - values.reshape(len(values), -1).mean(axis=0)
    return float(np.sum((centred @ rows.T) ** 2) / len(values))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=ROWS * COLUMNS, help="frames to learn from; by default all")
    parser.add_argument("--count", type=int, default=100, help="components")
    parser.add_argument("--limit-gib", type=float, default=4.0, help="address space that the process may have")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (int(arguments.limit_gib * 2**30),) * 2)
    transform = Transform.codes("sqrt-b")

    acquisition, transmission = scan(30, 34, 48)
    values = np.concatenate(list(pieces(acquisition, transmission, transform, 1020)))
    count = min(arguments.count, 30)
    streaming = StreamingPca(count, transform=transform)
    for start in range(0, len(values), PIECE):
        streaming.partial_fit(values[start : start + PIECE])
    batch = learn(values, count, transform=transform)
    share = captured(streaming.components().rows, values) / captured(batch.rows, values)
    print(f"small scan, {len(values)} frames, {count} components: {share:.5f} of the variance that batch PCA captures")

    acquisition, transmission = scan(ROWS, COLUMNS, SIZE)
    frames = min(arguments.frames, len(acquisition.positions))
    streaming = StreamingPca(arguments.count, transform=transform, piece=PIECE)
    simulating = learning = 0.0
    start = time.perf_counter()
    for piece in pieces(acquisition, transmission, transform, frames):
        between = time.perf_counter()
        streaming.partial_fit(piece)
        simulating, learning = simulating + between - start, learning + time.perf_counter() - between
        start = time.perf_counter()
        if streaming.frames % (10 * PIECE) == 0:
            print(f"{streaming.frames} of {frames} frames, {learning:.0f} s", flush=True)
    components = streaming.components()
    # Linux gives kibibytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{frames} frames of {SIZE} x {SIZE}, {components.count} components, address space of {arguments.limit_gib} GiB"
    )
    print(f"peak memory {peak:.2f} GiB; learning {learning:.0f} s, simulating {simulating:.0f} s")
    print(f"that is {learning / frames * ROWS * COLUMNS:.0f} s of learning for all {ROWS * COLUMNS} frames")
    print("singular values:", " ".join(f"{value:.4g}" for value in components.singular_values[:: arguments.count // 5]))
