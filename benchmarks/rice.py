# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Rice coding: bits a pixel, size of the encoder: ``python benchmarks/rice.py``.

"Predicted" is what libaec makes of the frames with the standard's preprocessor, which the encoder leaves out.

Codes of sqrt-b, of frames of the cell benchmark (its middle quarter) and of CXI files. With ``--area`` encoders
are placed on a Lattice ECP5, LFE5U-85F, speed grade 6, out of context, which takes minutes. Exit status 2: bad input,
or a tool is missing or failed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import imagecodecs
import numpy as np
from ptychopress.hdl.rice import RiceEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.model.rice import RiceFormat
from ptychopress.reconstruction.cxi import read_cxi
from ptychopress.reconstruction.phantom import cell_phantom
from ptychopress.reconstruction.scene import simulated
from ptychopress.synth.ecp5 import place_and_route

BLOCKS = (8, 16, 32)
PHOTONS = (2e7, 4e8)
PREPROCESS = 8
"""Libaec's AEC_DATA_PREPROCESS."""
# Pixels of a row, bits of a code, block; lanes, bytes of a word.
ENCODERS = {
    "1 lane": ((72, 8, 8), 1, 4),
    "4 lanes": ((72, 8, 8), 4, 8),
    "8 lanes, blocks of 16": ((256, 8, 16), 8, 16),
    "4 lanes, blocks of 32": ((256, 8, 32), 4, 8),
}


def frames(files: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Names and frames of counts."""
    for photons in PHOTONS:
        yield f"cell, {photons:.0e} photons", simulated(cell_phantom(), photons, seed=1, quick=True).counts[0]
    for file in files:
        yield file.rsplit("/", 1)[-1], read_cxi(file).counts


def measure(counts: np.ndarray) -> dict[str, Any]:
    """Bits a pixel for each block that divides the row."""
    book = Codebook.named("sqrt-b")
    codes = np.asarray(book.encode(np.minimum(counts, book.edges[-1] - 1)))
    result: dict[str, Any] = {"frames": list(counts.shape)}
    for block in BLOCKS:
        if codes.shape[-1] % block:
            continue
        rice = RiceFormat(width=codes.shape[-1], code_bits=book.code_bits, block=block)
        streams = rice.encode(codes)
        options: dict[str, Any] = {"bitspersample": rice.sample_bits, "blocksize": block, "rsi": rice.interval}
        predicted = [imagecodecs.aec_encode(frame.tobytes(), flags=PREPROCESS, **options) for frame in codes]
        result[f"{block}"] = {
            "bits": 8 * sum(map(len, streams)) / codes.size,
            "predicted": 8 * sum(map(len, predicted)) / codes.size,
        }
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="Rice coding: bits a pixel, size of the encoder.")
    parser.add_argument("--data", nargs="+", default=[], metavar="CXI", help="measured frames")
    parser.add_argument("--area", action="store_true", help="place encoders, for minutes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="N", help="seeds of the placement")
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    options = parser.parse_args(arguments)
    measured: dict[str, Any] = {"bits": {}, "area": {}}
    try:
        for name, counts in frames(options.data):
            measured["bits"][name] = measure(counts)
        for name, ((width, bits, block), lanes, octets) in ENCODERS.items() if options.area else ():
            rice = RiceFormat(width=width, code_bits=bits, block=block)
            placed = place_and_route(RiceEncoder(rice, lanes=lanes, octets=octets), seeds=options.seeds)
            measured["area"][name] = asdict(placed) | {"median": placed.median}
    except (OSError, ValueError, RuntimeError) as error:
        print(f"rice: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(measured, indent=2))
        return 0
    print("| frames | " + " | ".join(f"J = {block} | predicted" for block in BLOCKS) + " |")
    print("| --- |" + " ---: |" * (2 * len(BLOCKS)))
    for name, row in measured["bits"].items():
        cells = (row.get(str(block), {}).get(kind) for block in BLOCKS for kind in ("bits", "predicted"))
        bits = ("" if cell is None else f"{cell:.2f}" for cell in cells)
        print(f"| {name} | {' | '.join(bits)} |")
    if options.area:
        print("\n| encoder | MHz | LUT4 | FF |\n| --- | ---: | ---: | ---: |")
        for name, row in measured["area"].items():
            print(f"| {name} | {row['median']:.0f} | {row['lut4']} | {row['flip_flops']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
