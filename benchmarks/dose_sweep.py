# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Error and resolution over dose, for counts and for codes: ``python benchmarks/dose_sweep.py --out DIR``.

The authors' cell simulation (`ptychopress demo`), several noise instances. Counts are compared by their Poisson
deviance, codes by the likelihood of their bins and, for comparison, as counts in the middle of their bins. Prints
Markdown and writes a plot. Interrupted, it goes on where it was.
"""

import sys
from functools import lru_cache
from typing import Any

import numpy as np
from ptychopress.model.codebook import Codebook
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.judgement import judge_one
from ptychopress.reconstruction.losses import IntervalLoss, Loss, PoissonLoss
from ptychopress.reconstruction.scene import Scene, simulated
from sweep import Point, cell, parser, sweep

DOSES = (1e4, 1e5, 1e6, 2e7, 4e8)
SENT = ("counts", "sqrt-a interval", "sqrt-b interval", "sqrt-c interval", "sqrt-b midpoint", "sqrt-c midpoint")


@lru_cache(maxsize=1)
def scene(phantom: str, photons: float, seed: int, quick: bool) -> Scene:
    """The benchmark; a process works on one noise instance for some time."""
    return simulated(cell(phantom), photons, seed=seed, quick=quick)


def loss(counts: np.ndarray, sent: str) -> Loss:
    """What is minimised."""
    if sent == "counts":
        return PoissonLoss(counts)
    name, rule = sent.split()
    book = Codebook.named(name)
    codes = book.encode(counts)
    if rule == "interval":
        return IntervalLoss(codes, book)
    return PoissonLoss(book.decode_levels("midpoint").astype(np.float32)[codes])


def work(point: Point) -> dict[str, Any]:
    """Figures of one reconstruction."""
    # Instances of one scene are a seed apart: every second seed makes a new pair.
    found = scene(point["phantom"], point["photons"], 2 * point["instance"] + 1, point["quick"])
    assert found.truth is not None
    image = reconstruct(loss(found.counts[0], point["sent"]), found.acquisition, epochs=point["epochs"], seed=1).object
    judged = judge_one(found, image, (found.truth, found.truth))
    return {"smse": judged.smse, "frc": judged.frc.crossing}


def main(arguments: list[str] | None = None) -> int:
    """Run it; return the exit status."""
    command = parser("Error and resolution over dose, for counts and codes.", epochs=30)
    command.add_argument("--instances", type=int, default=5)
    command.add_argument("--quick", action="store_true", help="a quarter of the scan")
    options = command.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    shared = {"phantom": options.phantom, "quick": options.quick, "epochs": options.epochs}
    points = [
        {"photons": photons, "instance": instance, "sent": sent, **shared}
        for instance in range(options.instances)
        for photons in DOSES
        for sent in SENT
    ]
    rows = sweep(points, work, options.jobs, options.out / "runs.jsonl")

    def values(photons: float, sent: str, figure: str) -> np.ndarray:
        chosen = [row for row in rows if row["photons"] == photons and row["sent"] == sent]
        return np.array([row["found"][figure] for row in chosen])

    print("| photons | sent | SMSE, rad² | to counts, of the same instance | FRC crossing |")
    print("|--:|---|--:|--:|--:|")
    for photons in DOSES:
        base = values(photons, "counts", "smse")
        for sent in SENT:
            smse, frc = (values(photons, sent, figure) for figure in ("smse", "frc"))
            against = "" if sent == "counts" else _percent(smse / base - 1)
            print(
                f"| {photons:.0e} | {sent} | {smse.mean():.3e} ± {smse.std(ddof=1):.0e} | {against}"
                f" | {frc.mean():.3f} ± {frc.std(ddof=1):.3f} |"
            )
    _plot(values).savefig(options.out / "dose.png", dpi=100)
    return 0


def _percent(change: np.ndarray) -> str:
    return f"{100 * change.mean():+.1f} ± {100 * change.std(ddof=1):.1f} %"


def _plot(values: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    for axis, (key, text) in zip(
        figure.subplots(1, 2), {"smse": "phase error, rad²", "frc": "FRC crossing, Nyquist = 1"}.items(), strict=True
    ):
        for sent in SENT:
            data = np.array([values(photons, sent, key) for photons in DOSES])
            style = "--" if sent.endswith("midpoint") else "-"
            axis.errorbar(DOSES, data.mean(axis=1), data.std(axis=1, ddof=1), ls=style, capsize=2, label=sent)
        axis.set(xscale="log", xlabel="photons on the object", ylabel=text)
    figure.axes[0].set_yscale("log")
    figure.axes[0].legend(frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(main())
