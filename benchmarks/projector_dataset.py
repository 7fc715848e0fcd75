# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Send every frame of the cell benchmark through the compiled projector, and compare every coefficient.

Components of the frames' own codes are learned and rounded to 8 bits; the encoder stands in front of the projector.
Prints a row of Markdown for each number of components; exit status 1 if a coefficient or flag differs from the golden
model.

Usage: python benchmarks/projector_dataset.py [--phantom FILE.npz] [--components 100 300] [--rows 66] [--jobs 2]
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from ptychopress.hdl.code_projector import CodeProjector
from ptychopress.hdl.encoder import ShiftEncoder
from ptychopress.hdl.projector import Projector
from ptychopress.model.codebook import Codebook
from ptychopress.model.pca import learn, pixel_noise
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.acquisition import cell_benchmark, diffract, expose
from ptychopress.reconstruction.phantom import cell_phantom, load_phantom
from ptychopress.sim.bulk import BulkProjector

LANES, COLUMNS = 16, 4


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description="All frames of the cell benchmark through the compiled projector.")
    parser.add_argument("--phantom", type=Path, help=".npz with an array delta (nm); by default the built-in cell")
    parser.add_argument("--components", type=int, nargs="+", default=[100, 300], help="coefficients of a frame")
    parser.add_argument("--rows", type=int, default=66, help="lines of the scan, of 66")
    parser.add_argument("--jobs", type=int, default=2, help="copies of the hardware side by side")
    options = parser.parse_args(arguments)
    bench = cell_benchmark(load_phantom(options.phantom) if options.phantom else cell_phantom(), rows=options.rows)
    counts = expose(diffract(bench.object, bench.acquisition), 1)
    book = Codebook.named("sqrt-b")
    transform = Transform.codes(book)
    codes, noise = transform.forward(counts), pixel_noise(transform, counts.mean(axis=0)[None])
    components = learn(codes, max(options.components), transform=transform, noise=noise)
    print("| S' | frames | coefficients | differ | clocks | seconds of simulation |")
    print("|--:|--:|--:|--:|--:|--:|")
    wrong = 0
    for count in options.components:
        projection = quantise(components.first(count), codes).projection
        projector = Projector(projection.format, lanes=LANES, columns=COLUMNS)
        block = CodeProjector(ShiftEncoder(book, lanes=LANES, input_bits=16), projector)
        hardware = BulkProjector(block, projection, jobs=options.jobs)
        started = time.monotonic()
        found = hardware.run(counts)
        seconds = time.monotonic() - started
        expected, saturated = projection.project(codes)
        differ = int(np.count_nonzero((found.coefficients != expected) | (found.saturated != saturated)))
        print(f"| {count} | {len(counts):,} | {expected.size:,} | {differ} | {found.clocks:,} | {seconds:.1f} |")
        wrong += differ
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
