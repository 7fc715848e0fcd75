# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Error and resolution over the number of components: ``python benchmarks/authors_curve.py --out DIR``.

The cell benchmark by the recipe of Huang et al., components of the noisy counts themselves in floating point, frames
expanded and negative intensities set to 0; the curve that they published; and ours, straight from the integers that
the hardware would send, as `coefficient_map.py --whole`. Prints Markdown and writes a plot. Interrupted, it goes on
where it was.
"""

import sys
from functools import lru_cache
from typing import Any

import coefficient_map
import numpy as np
from ptychopress.model.pca import Components, authors_recipe
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.report import AUTHORS
from ptychopress.reconstruction.scene import Scene, simulated
from sweep import Point, cell, parser, sweep

COMPONENTS = (10, 100, 300, 1000)
PHOTONS = 2e7


@lru_cache(maxsize=1)
def learned(phantom: str) -> tuple[Scene, Components]:
    """The scan, and the most components of its counts."""
    scene = simulated(cell(phantom), PHOTONS, seed=1)
    return scene, authors_recipe(scene.counts[0], max(COMPONENTS))


def recipe(point: Point) -> dict[str, Any]:
    """Figures of the recipe."""
    scene, components = learned(point["phantom"])
    chosen = components.first(point["components"])
    frames = chosen.intensity(chosen.project(scene.counts[0])).astype(np.float32)
    image = reconstruct(frames, scene.acquisition, epochs=point["epochs"], seed=1).object
    assert scene.truth is not None
    found = judge_one(scene, image, (scene.truth, scene.truth))
    return {"smse": found.smse, "frc": found.frc.crossing}


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("Error over the number of components, the authors' and ours.", epochs=30)
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"phantom": options.phantom, "epochs": options.epochs}
    theirs = [shared | {"components": count} for count in COMPONENTS]
    fixed = {"whole": True, "prior": 0.1, "probe": "gaussian", "photons": PHOTONS, "error": 0.0, "weight_bits": 8}
    ours = [shared | fixed | {"components": count} for count in coefficient_map.COMPONENTS]
    found = {
        "the authors' recipe, here": sweep(theirs, recipe, options.jobs, options.out / "recipe.jsonl"),
        "straight from coefficients": sweep(ours, coefficient_map.work, options.jobs, options.out / "runs.jsonl"),
    }
    curves = {
        name: {key: {row["components"]: row["found"][key] for row in rows} for key in ("smse", "frc")}
        for name, rows in found.items()
    }
    curves = {"published": {"smse": AUTHORS["smse"], "frc": AUTHORS["frc_crossing"]}} | curves
    print("| S' | ratio | " + " | ".join(f"SMSE, {name} | FRC" for name in curves) + " |")
    print("|--:|--:|" + "--:|--:|" * len(curves))
    for count in sorted({count for curve in curves.values() for values in curve.values() for count in values}):
        cells = [_cell(curve[key].get(count), form) for curve in curves.values() for key, form in _FORMS.items()]
        print(f"| {count} | {72 * 72 / count:.0f} : 1 | " + " | ".join(cells) + " |")
    _plot(curves).savefig(options.out / "components.png", dpi=100)
    return 0


_FORMS = {"smse": ".2e", "frc": ".2f"}


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _plot(curves: dict[str, dict[str, dict[int, float]]]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    for axis, (key, text) in zip(
        figure.subplots(1, 2), {"smse": "phase error, rad²", "frc": "FRC crossing, Nyquist = 1"}.items(), strict=True
    ):
        for name, curve in curves.items():
            points = sorted(curve[key].items())
            axis.plot(*zip(*points, strict=True), "o-", label=name)
        axis.set(xscale="log", xlabel="coefficients a frame", ylabel=text)
    figure.axes[0].set_yscale("log")
    figure.axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
