# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reconstruct the cell benchmark from components by the recipe of Huang et al., beside the curve that they published.

Components of the noisy counts themselves, by their recipe and in floating point; negative intensities are set to 0, as
they do. Prints a row of Markdown for each number of components.

Usage: python benchmarks/authors_curve.py [--phantom FILE.npz] [--components 10 100 300 1000]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from ptychopress.model.pca import authors_recipe
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.phantom import cell_phantom, load_phantom
from ptychopress.reconstruction.report import AUTHORS
from ptychopress.reconstruction.scene import simulated


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(description="The authors' recipe, reconstructed, beside their curve.")
    parser.add_argument("--phantom", type=Path, help=".npz with an array delta (nm); by default the built-in cell")
    parser.add_argument("--components", type=int, nargs="+", default=[10, 100, 300, 1000])
    options = parser.parse_args(arguments)
    phantom = load_phantom(options.phantom) if options.phantom else cell_phantom()
    scene = simulated(phantom, 2e7, seed=1)
    counts = scene.counts[0]
    components = authors_recipe(counts, max(options.components))
    print("| S' | SMSE, rad² | published | FRC crossing | published |")
    print("|--:|--:|--:|--:|--:|")
    for count in options.components:
        chosen = components.first(count)
        frames = chosen.intensity(chosen.project(counts)).astype(np.float32)
        image = reconstruct(frames, scene.acquisition, epochs=30, seed=1).object
        assert scene.truth is not None
        found = judge_one(scene, image, (scene.truth, scene.truth))
        smse, frc = (AUTHORS[key].get(count) for key in ("smse", "frc_crossing"))
        published = ("" if smse is None else f"{smse:.1e}"), ("" if frc is None else f"{frc:.2f}")
        row = f"| {count} | {found.smse:.2e} | {published[0]} | {found.frc.crossing:.3f} | {published[1]} |"
        print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
