# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What refining recovers from a wrong start: ``python benchmarks/refinement.py --out DIR``.

A quarter of the authors' cell scan, lit by a zone plate with central stop, out of focus, whose light is coherent or
consists of three modes. Each case is reconstructed with what is true, with what is wrong, and with what is wrong
refined. Prints Markdown: phase errors against the truth, without phase ramp and shift, which a refined probe shares
with the object. Interrupted, it goes on where it was.
"""

import sys
from dataclasses import replace
from typing import Any

import numpy as np
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.losses import PoissonLoss
from ptychopress.reconstruction.metrics import phase_of, register, smse
from ptychopress.reconstruction.probes import ZonePlate, partially_coherent
from ptychopress.reconstruction.scene import simulated
from sweep import Point, cell, parser, sweep

PLATE = ZonePlate(diameter=60e-6, outermost_zone=3e-9, stop_diameter=20e-6)
DEFOCUS = 360e-9
BLUR = 1.0
"""Size of the source at the sample, pixels rms, that makes the modes."""

CASES = {
    "defocus off by 20 %": {"modes": 1, "wrong": "defocus"},
    "3 modes, started from 1": {"modes": 3, "wrong": "modes"},
    "positions off by 1 pixel rms": {"modes": 1, "wrong": "positions"},
    "all three": {"modes": 3, "wrong": "defocus modes positions"},
}
PROBE_RATE = {1: 1e-2, 3: 3e-3}
"""Adam's step for the probe by its modes: three follow the noise of the frames with the step that suits one."""
HOW = ("true", "wrong", "refined")


def lit(modes: int, defocus: float) -> np.ndarray:
    """The probe."""
    probe = PLATE.probe(72, 1e-9, 0.248e-9, defocus)
    return probe if modes == 1 else partially_coherent(probe, modes, BLUR)


def start(modes: int, defocus: float) -> np.ndarray:
    """Modes when only one probe is known: its slopes are the modes that a small source adds."""
    probe = lit(1, defocus)
    if modes == 1:
        return probe
    slopes = [np.gradient(probe, axis=axis) for axis in (0, 1)]
    return np.stack([probe, *(0.3 * s * np.linalg.norm(probe) / np.linalg.norm(s) for s in slopes)]).astype(
        np.complex64
    )


def work(point: Point) -> dict[str, Any]:
    """Figures of one reconstruction."""
    scene = simulated(cell(point["phantom"]), point["photons"], seed=1, quick=True)
    assert scene.truth is not None
    wrong, photons = point["wrong"].split(), scene.acquisition.photons
    margin = 4  # where positions may move to
    truth = np.pad(scene.truth, margin, constant_values=1)
    support = np.pad(scene.support, margin)
    nominal = scene.acquisition.positions + float(margin)
    off = np.random.default_rng(5).normal(0, 1 / np.sqrt(2), nominal.shape) if "positions" in wrong else 0.0
    true = Acquisition(lit(point["modes"], DEFOCUS), nominal + off, truth.shape).scaled(photons)
    counts = expose(diffract(truth, true), 1)
    known = true
    if point["how"] != "true":
        defocus = DEFOCUS * (1.2 if "defocus" in wrong else 1)
        probe = start(point["modes"], defocus) if "modes" in wrong else lit(point["modes"], defocus)
        if point["how"] == "wrong" and "modes" in wrong:
            probe = lit(1, defocus)
        known = replace(true, probe=probe, positions=nominal).scaled(photons)
    refine = point["how"] == "refined"
    found = reconstruct(
        PoissonLoss(counts),
        known,
        epochs=point["epochs"],
        seed=1,
        refine_probe=refine and ("defocus" in wrong or "modes" in wrong),
        probe_learning_rate=PROBE_RATE[point["modes"]],
        refine_positions=refine and "positions" in wrong,
    )
    image = register(truth, found.object, support)
    left = found.positions - true.positions
    return {
        "smse": smse(phase_of(truth, support), phase_of(image, support), support),
        "loss": found.losses[-1],
        "positions": float(np.sqrt(2) * np.std(left - left.mean(axis=0))),
    }


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("What refining recovers from a wrong start.", epochs=60)
    command.add_argument("--photons", type=float, default=2e7)
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"phantom": options.phantom, "photons": options.photons, "epochs": options.epochs}
    points = [shared | case | {"how": how} for case in CASES.values() for how in HOW]
    rows = sweep(points, work, options.jobs, options.out / "runs.jsonl")
    print("| case | all known, rad² | wrong | refined | refined to known | positions left, pixels rms |")
    print("|---|--:|--:|--:|--:|--:|")
    for k, name in enumerate(CASES):
        true, wrong, refined = (row["found"] for row in rows[3 * k : 3 * k + 3])
        print(
            f"| {name} | {true['smse']:.2e} | {wrong['smse']:.2e} | {refined['smse']:.2e}"
            f" | {100 * (refined['smse'] / true['smse'] - 1):+.0f} % | {refined['positions']:.3f} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
