# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Where compression is free, where it costs, where it breaks: ``python benchmarks/coefficient_map.py --out DIR``.

A quarter of the authors' cell scan, reconstructed straight from the integers that the hardware would send
(`Compressor`, 8 bit weights, codes of sqrt-b), over coefficients a frame, error of the probe that the training objects
were lit by, and dose; with their Gaussian probe and with that of a zone plate with central stop, out of focus. The
reconstruction knows the probe. With `--whole` all 4,488 frames at one dose and without errors, floating point beside
integers. Prints Markdown. Interrupted, it goes on where it was.
"""

import sys
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from ptychopress.model.pca import Components, learn, pixel_noise
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.acquisition import diffract, expose
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.losses import CoefficientLoss, PoissonLoss
from ptychopress.reconstruction.probes import ZonePlate, gaussian_probe, mismatch
from ptychopress.reconstruction.scene import Scene, simulated
from ptychopress.reconstruction.training import noise_free_patterns, training_object
from sweep import Point, cell, parser, sweep

COMPONENTS = (10, 30, 100, 300)
ERRORS = (0.0, 0.02, 0.05, 0.1)
DOSES = (1e6, 2e7, 4e8)
PRIORS = (0.0, 0.03, 0.1, 0.3, 1.0)
PIXEL, WAVELENGTH = 1e-9, 0.248e-9
OBJECTS = 4


def probe(kind: str, error: float) -> np.ndarray:
    """The illumination, wrong by a share `error`."""
    if kind == "gaussian":
        return gaussian_probe(72, 6 * (1 + error), 0.5 * (1 - error))
    plate = ZonePlate(diameter=60e-6, outermost_zone=3e-9, stop_diameter=20e-6)
    return plate.probe(72, PIXEL, WAVELENGTH, 360e-9 * (1 + error))


@lru_cache(maxsize=1)
def scene(phantom: str, kind: str, photons: float, whole: bool) -> Scene:
    """The scan, lit by that probe."""
    found = simulated(cell(phantom), photons, seed=1, quick=not whole)
    assert found.truth is not None
    lit = replace(found.acquisition, probe=probe(kind, 0)).scaled(found.acquisition.photons)
    mean = diffract(found.truth, lit)
    return replace(found, acquisition=lit, counts=(expose(mean, 1), expose(mean, 2)))


@lru_cache(maxsize=1)
def learned(phantom: str, kind: str, photons: float, whole: bool, error: float) -> tuple[np.ndarray, Components]:
    """Training values and components of them, from objects lit by the wrong probe."""
    acquisition = scene(phantom, kind, photons, whole).acquisition
    lit = replace(acquisition, probe=probe(kind, error)).scaled(acquisition.photons)
    objects = (training_object(lit.object_shape, seed) for seed in range(OBJECTS))
    patterns = np.concatenate([*noise_free_patterns(objects, lit, every=OBJECTS)])
    transform = Transform.codes("sqrt-b")
    values = transform.mean_value(patterns)
    return values, learn(values, max(COMPONENTS), transform=transform, noise=pixel_noise(transform, patterns))


def work(point: Point) -> dict[str, Any]:
    """Figures of one reconstruction."""
    where = (point["phantom"], point["probe"], point["photons"], point["whole"])
    found = scene(*where)
    counts = found.counts[0]
    loss: Any = PoissonLoss(counts)
    if point["components"]:
        values, components = learned(*where, point["error"])
        chosen = components.first(point["components"])
        if point["weight_bits"]:
            compressor = quantise(chosen, values, point["weight_bits"], 16)
            loss = CoefficientLoss(compressor.compress(counts)[0], compressor, prior=point["prior"])
        else:
            sent = chosen.project(chosen.transform.forward(counts))
            loss = CoefficientLoss(sent, chosen, prior=point["prior"])
    image = reconstruct(loss, found.acquisition, epochs=point["epochs"], seed=1).object
    judged = judge_one(found, image, (found.truth, found.truth))  # type: ignore[arg-type]
    return {"smse": judged.smse, "frc": judged.frc.crossing}


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("Coefficients x probe error x dose.", epochs=20)
    command.add_argument("--priors", action="store_true", help="the prior of the loss instead, at one dose, no errors")
    command.add_argument("--whole", action="store_true", help="the whole scan, one dose, no errors")
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"phantom": options.phantom, "epochs": options.epochs, "whole": options.whole}

    def run(*chosen: Point) -> list[float]:
        return [row["found"]["smse"] for row in sweep(chosen, work, options.jobs, options.out / "runs.jsonl")]

    def point(kind: str, photons: float, error: float, count: int, weight_bits: int = 8, prior: float = 0.1) -> Point:
        return shared | {
            "prior": prior if count else 0,
            "probe": kind,
            "photons": photons,
            "error": error,
            "components": count,
            "weight_bits": weight_bits if count else 0,
        }

    if options.priors:
        print("| S' | " + " | ".join(f"prior {prior:g}" for prior in PRIORS) + " |")
        print("|--:|" + "--:|" * len(PRIORS))
        for count in COMPONENTS[:3]:
            smse = run(*(point("gaussian", 2e7, 0.0, count, 8, prior) for prior in PRIORS))
            print(f"| {count} | " + " | ".join(f"{value:.2e}" for value in smse) + " |")
        return 0
    if options.whole:
        counts = [0, *COMPONENTS]
        smse = run(*(point("gaussian", 2e7, 0.0, count, bits) for bits in (8, 0) for count in counts))
        print("| S' | ratio | SMSE, rad², 8 bit weights | to un-encoded | floating point | to un-encoded |")
        print("|--:|--:|--:|--:|--:|--:|")
        print(f"| un-encoded | | {smse[0]:.3e} | | | |")
        for count, *found in zip(counts[1:], smse[1 : len(counts)], smse[len(counts) + 1 :], strict=True):
            cells = (f"{value:.3e} | {100 * (value / smse[0] - 1):+.1f} %" for value in found)
            print(f"| {count} | {72 * 72 / count:.0f} : 1 | " + " | ".join(cells) + " |")
        return 0
    sizes = [(kind, photons) for kind in ("gaussian", "zone plate") for photons in DOSES]
    smse = run(
        *(point(*size, 0.0, 0) for size in sizes),
        *(point(*size, error, count) for size in sizes for error in ERRORS for count in COMPONENTS),
    )
    print(
        "| probe | photons | un-encoded | training probe wrong by | mismatch | "
        + " | ".join(map(_heading, COMPONENTS))
        + " |"
    )
    print("|---|--:|--:|--:|--:|" + "--:|" * len(COMPONENTS))
    compressed = iter(smse[len(sizes) :])
    for (kind, photons), base in zip(sizes, smse, strict=False):
        for error in ERRORS:
            off = mismatch(probe(kind, 0), probe(kind, error))
            cells = (f"{100 * (next(compressed) / base - 1):+.0f} %" for _ in COMPONENTS)
            print(f"| {kind} | {photons:.0e} | {base:.2e} | {error:.0%} | {off:.3f} | " + " | ".join(cells) + " |")
    return 0


def _heading(count: int) -> str:
    return f"S' = {count} ({72 * 72 / count:.0f}:1)"


if __name__ == "__main__":
    sys.exit(main())
