# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Components of a noisy first data set, applied to a second: ``python benchmarks/first_data_set.py --out DIR``.

The case that Huang et al. show: components of one data set compress the next one, whose probe is slightly different.
Beside them components of noise-free training objects with the right probe, of ordinary contrast, of far too much, and
matched to the sample's. The first data set is the cell turned by 90 degrees, lit by a probe 5 % wider with 5 % less
phase. A quarter of the scan, codes of sqrt-b; counts for the authors' recipe. Frames are expanded, as theirs were, or
reconstructed straight from the coefficients. Prints Markdown and writes a picture. Interrupted, it goes on where it
was.
"""

import argparse
import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ptychopress.model.contrast import kappa
from ptychopress.model.pca import Components, authors_recipe, learn, pixel_noise
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.acquisition import diffract, expose
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.losses import CoefficientLoss, Loss, PoissonLoss
from ptychopress.reconstruction.probes import gaussian_probe
from ptychopress.reconstruction.scene import Scene, simulated
from ptychopress.reconstruction.training import (
    matched,
    noise_free_patterns,
    probe_pattern,
    training_object,
    with_contrast,
)
from sweep import Point, cell, parser, sweep

SOURCES = {
    "first data set, authors' recipe": "recipe",
    "first data set, in units of noise": "data",
    "training objects, 5 times too strong": "strong",
    "training objects": "object",
    "training objects, matched": "matched",
}
COMPONENTS = (30, 100)
OBJECTS = 4


@lru_cache(maxsize=1)
def scene(phantom: str, photons: float) -> Scene:
    """The second data set."""
    return simulated(cell(phantom), photons, seed=1, quick=True)


@lru_cache(maxsize=1)
def learned(phantom: str, photons: float, source: str) -> tuple[Components, float | None]:
    """Components, and the factor of the contrast where it was changed."""
    found = scene(phantom, photons)
    acquisition, eta = found.acquisition, None
    assert found.truth is not None
    transform = Transform.codes("sqrt-b")
    if source in ("recipe", "data"):
        side = min(found.truth.shape)
        turned = found.truth.copy()
        turned[:side, :side] = np.rot90(turned[:side, :side])
        wrong = replace(acquisition, probe=gaussian_probe(72, 6.3, 0.475)).scaled(acquisition.photons)
        first = expose(diffract(turned, wrong), 11)
        if source == "recipe":
            return authors_recipe(first, max(COMPONENTS)), None
        noise = pixel_noise(transform, first.mean(axis=0)[None])
        return learn(transform.forward(first), max(COMPONENTS), transform=transform, noise=noise), None
    objects = [training_object(acquisition.object_shape, seed) for seed in range(OBJECTS)]
    if source != "object":
        objects = [with_contrast(obj, 5.0) for obj in objects]  # up to 3 rad
    if source == "matched":
        # From the noisy frames of the sample themselves, averaged.
        objects, eta = matched(objects, acquisition, kappa(found.counts[1].mean(axis=0), probe_pattern(acquisition)))
    patterns = np.concatenate([*noise_free_patterns(objects, acquisition, every=OBJECTS)])
    noise = pixel_noise(transform, patterns)
    return learn(transform.mean_value(patterns), max(COMPONENTS), transform=transform, noise=noise), eta


def work(point: Point) -> dict[str, Any]:
    """Figures of one reconstruction; its image is kept."""
    found, eta = scene(point["phantom"], point["photons"]), None
    counts = found.counts[0]
    loss: Loss = PoissonLoss(counts)
    if point["components"]:
        components, eta = learned(point["phantom"], point["photons"], point["source"])
        chosen = components.first(point["components"])
        sent = chosen.project(chosen.transform.forward(counts))
        loss = CoefficientLoss(sent, chosen, prior=1.0 if point["expand"] else 0.1)
    image = reconstruct(loss, found.acquisition, epochs=point["epochs"], seed=1).object
    judged = judge_one(found, image, (found.truth, found.truth))  # type: ignore[arg-type]
    np.save(picture_file(point), judged.phase)
    return {"smse": judged.smse, "frc": judged.frc.crossing, "eta": eta}


def picture_file(point: Point) -> Path:
    """Where the image is kept."""
    return Path(point["out"]) / f"{point['source']}-{point['components']}-{point['expand']:d}.npy"


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("Components of a noisy first data set, applied to a second.", epochs=20)
    command.add_argument("--photons", type=float, default=2e7)
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {
        "phantom": options.phantom,
        "photons": options.photons,
        "epochs": options.epochs,
        "out": str(options.out),
    }
    points = [shared | {"source": "none", "components": 0, "expand": False}]
    for source in SOURCES.values():
        points += [
            shared | {"source": source, "components": count, "expand": expand}
            for expand in (True, False)
            for count in COMPONENTS
        ]
    rows = sweep(points, work, options.jobs, options.out / "runs.jsonl")
    base, rest = rows[0]["found"], rows[1:]
    headings = [f"{how}, S' = {count}" for how in ("expanded", "straight") for count in COMPONENTS]
    print(f"Un-encoded: {base['smse']:.2e} rad², FRC crossing {base['frc']:.3f}.\n")
    print("| components from | eta | " + " | ".join(headings) + " |")
    print("|---|--:|" + "--:|" * len(headings))
    for k, name in enumerate(SOURCES):
        found = [row["found"] for row in rest[k * len(headings) : (k + 1) * len(headings)]]
        eta = "" if found[0]["eta"] is None else f"{found[0]['eta']:.3f}"
        print(f"| {name} | {eta} | " + " | ".join(f"{f['smse']:.2e} ({f['frc']:.2f})" for f in found) + " |")
    _picture(options, points).savefig(options.out / "first-data-set.png", dpi=100)
    return 0


def _picture(options: argparse.Namespace, points: list[Point]) -> Any:
    """Images above what differs from the truth: un-encoded, then each source expanded at the most components."""
    from matplotlib.figure import Figure
    from ptychopress.reconstruction.metrics import phase_of

    found = scene(options.phantom, options.photons)
    assert found.truth is not None
    truth = phase_of(found.truth, found.support)
    chosen = {"un-encoded": points[0]}
    for name, source in SOURCES.items():
        chosen[name] = next(p for p in points if p["source"] == source and p["expand"] and p["components"] == 100)
    figure = Figure(figsize=(3.2 * len(chosen), 6.4), layout="constrained")
    axes = figure.subplots(2, len(chosen))
    for column, (name, point) in enumerate(chosen.items()):
        phase = np.load(picture_file(point))
        axes[0, column].imshow(phase[found.region], cmap="gray", vmin=0, vmax=0.6)
        axes[0, column].set_title(name, fontsize="small")
        difference = np.where(found.support, phase - truth, np.nan)[found.region]
        axes[1, column].imshow(difference, cmap="RdBu", vmin=-0.15, vmax=0.15)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure


if __name__ == "__main__":
    sys.exit(main())
