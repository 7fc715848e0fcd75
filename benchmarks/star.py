# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Measured frames straight from coefficients: ``python benchmarks/star.py --data siemens_star.cxi --out DIR``.

The counts are split binomially into two halves. Un-encoded, both are reconstructed with several losses; compressed,
the first half, with everything that was tried. Components come from noise-free training objects lit by the file's probe
or by that found with the other half; the coefficients are the integers of the hardware (`Compressor`, 8 bit weights).
Errors are phase errors against the un-encoded image of the other half, and of the same half. Prints Markdown.
Interrupted, it goes on where it was.
"""

import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from ptychopress.model.contrast import kappa
from ptychopress.model.pca import Components, learn, pixel_noise
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.acquisition import Acquisition
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.losses import AmplitudeLoss, CoefficientLoss, Loss, PoissonLoss
from ptychopress.reconstruction.metrics import phase_of, register, smse
from ptychopress.reconstruction.scene import Scene, measured
from ptychopress.reconstruction.training import matched, noise_free_patterns, probe_pattern, training_object
from sweep import Point, parser, sweep

UNENCODED = ("amplitude", "poisson 0.01", "poisson 0.1", "poisson 0.5", "poisson 2")
BASE = "poisson 0.5"
"""What compressed images are compared with, and whose background they are reconstructed with."""

RATIOS = (6, 10, 16, 55, 164)
USUAL: Point = {
    "values": "sqrt-b",
    "lit": "refined",
    "objects": 8,
    "matched": False,
    "changes": 0.0,
    "prior": 0.1,
    "refine": False,
}
ATTEMPTS: dict[str, Point] = {
    "8 training objects lit by the probe of the other half, prior 0.1": {},
    "prior 1: frames expanded": {"prior": 1.0},
    "prior 0.3": {"prior": 0.3},
    "prior 0.01": {"prior": 0.01},
    "probe refined": {"refine": True},
    "lit by the file's probe, probe refined": {"lit": "file", "refine": True},
    "one training object": {"objects": 1},
    "contrast matched": {"matched": True},
    "signals and changes, weight 3": {"changes": 3.0},
}
COMMON = (16, 55)
"""Ratios at which everything is tried; the first attempt at all."""

CHANGE = 0.1
"""Change of a pixel of the training objects, rms of its amplitude and of its phase in rad, white."""


@lru_cache(maxsize=1)
def scene(data: str) -> Scene:
    """The two halves."""
    return measured(data, seed=1)


def image_file(out: str, loss: str, half: int) -> Path:
    """Where the un-encoded image of a half is kept."""
    return Path(out) / f"{loss.replace(' ', '-')}-{half}.npz"


def loss_of(frames: np.ndarray, name: str) -> Loss:
    """A loss of `UNENCODED`."""
    kind, _, background = name.partition(" ")
    return PoissonLoss(frames, background=float(background)) if kind == "poisson" else AmplitudeLoss(frames)


def unencoded(point: Point) -> dict[str, Any]:
    """Reconstruct one half and keep the image."""
    found = scene(point["data"])
    frames = found.counts[point["half"]].astype(np.float32)
    frames[:, found.mask] = np.nan
    made = reconstruct(
        loss_of(frames, point["loss"]),
        found.acquisition,
        epochs=point["epochs"],
        seed=1 + point["half"],
        refine_probe=True,
    )
    np.savez(image_file(point["out"], point["loss"], point["half"]), object=made.object, probe=made.probe)
    return {"loss": made.losses[-1]}


@lru_cache(maxsize=1)
def learned(
    data: str, out: str, values: str, lit: str, objects: int, match: bool, changes: float
) -> tuple[np.ndarray, Components, Acquisition]:
    """Training values, the most components that are asked for, and what they were lit by.

    With `changes`, components also of what small changes of the training objects change in
    their patterns, so many times as large, in units of each pixel's noise like the rest.
    """
    found = scene(data)
    acquisition = found.acquisition
    if lit == "refined":
        acquisition = replace(acquisition, probe=np.load(image_file(out, BASE, 1))["probe"])
    drawn = [training_object(acquisition.object_shape, seed, phase=1.0, absorption=0.3) for seed in range(objects)]
    if match:
        target = kappa(found.counts[0].mean(axis=0), probe_pattern(acquisition), mask=found.mask)
        drawn, _ = matched(drawn, acquisition, target, mask=found.mask)
    every = max(1, objects // 8)
    patterns = np.concatenate([*noise_free_patterns(drawn, acquisition, every=every)])
    transform = Transform("counts", found.count_bits) if values == "counts" else Transform.codes(values)
    training = transform.mean_value(patterns)
    most = patterns[0].size // min(RATIOS)
    mask = found.mask if found.mask.any() else None
    signals = training
    if changes:
        rng = np.random.default_rng(7)
        steps = (CHANGE * (rng.normal(size=o.shape) + 1j * rng.normal(size=o.shape)) for o in drawn)
        moved = [(o * np.exp(step)).astype(np.complex64) for o, step in zip(drawn, steps, strict=True)]
        change = (
            transform.mean_value(np.concatenate([*noise_free_patterns(moved, acquisition, every=every)])) - training
        )
        mean = training.mean(axis=0)
        signals = np.concatenate([training, mean + changes * change])
    components = learn(signals, most, transform=transform, noise=pixel_noise(transform, patterns), mask=mask)
    return training, components, acquisition


def compressed(point: Point) -> dict[str, Any]:
    """Figures of one attempt."""
    found = scene(point["data"])
    where = (point["data"], point["out"], *(point[key] for key in ("values", "lit", "objects", "matched", "changes")))
    training, components, acquisition = learned(*where)
    counts = np.where(found.mask, 0, found.counts[0])
    compressor = quantise(components.first(counts[0].size // point["ratio"]), training, 8, 16)
    coefficients, saturated = compressor.compress(counts)
    background = float(BASE.split()[1])
    made = reconstruct(
        CoefficientLoss(coefficients, compressor, prior=point["prior"], background=background),
        acquisition,
        epochs=point["epochs"],
        seed=1,
        refine_probe=point["refine"],
    )
    images = tuple(np.load(image_file(point["out"], BASE, half))["object"] for half in (0, 1))
    judged = judge_one(found, made.object, (images[0], images[1]))
    return {
        "same": judged.smse_unencoded,
        "other": error(found, images[1], made.object),
        "frc": judged.frc.crossing,
        "loss": made.losses[-1],
        "saturated": int(saturated.sum()),
    }


def error(found: Scene, reference: np.ndarray, image: np.ndarray) -> float:
    """Phase error of an image against another, rad^2."""
    aligned = register(reference, image, found.support)
    return smse(phase_of(reference, found.support), phase_of(aligned, found.support), found.support)


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("Measured frames straight from coefficients.", epochs=30, phantom=False)
    command.add_argument("--data", required=True, help="CXI file with counts and a probe")
    command.add_argument("--quick", action="store_true", help="the first attempt alone")
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"data": options.data, "out": str(options.out), "epochs": options.epochs}
    halves = [shared | {"loss": name, "half": half} for name in UNENCODED for half in (0, 1)]
    plain = sweep(halves, unencoded, options.jobs, options.out / "unencoded.jsonl")
    found = scene(options.data)
    print("| loss | between halves, rad² | FRC crossing | final loss |")
    print("|---|--:|--:|--:|")
    for name, row in zip(UNENCODED, plain[::2], strict=True):
        images = [np.load(image_file(str(options.out), name, half))["object"] for half in (0, 1)]
        crossing = judge_one(found, images[0], (images[0], images[1])).frc.crossing
        between = error(found, images[1], images[0])
        print(f"| {name} | {between:.2e} | {crossing:.3f} | {row['found']['loss']:.3f} |")

    tried = {"usual": {}} if options.quick else ATTEMPTS
    points, names = [], []
    for k, (name, changes) in enumerate(tried.items()):
        for ratio in RATIOS if k == 0 else COMMON:
            points.append(shared | USUAL | changes | {"ratio": ratio})
            names.append(name)
    rows = sweep(points, compressed, options.jobs, options.out / "compressed.jsonl")
    print("\n| attempt | ratio | to the other half | to the same half | FRC crossing | final loss | saturated |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, row in zip(names, rows, strict=True):
        figures = row["found"]
        print(
            f"| {name} | {row['ratio']} : 1 | {figures['other']:.2e} | {figures['same']:.2e} | {figures['frc']:.3f}"
            f" | {figures['loss']:.3f} | {figures['saturated']} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
