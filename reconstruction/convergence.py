# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Error of an image against the time spent on it: curves of reconstruction engines on one scene, and their table."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .engine import reconstruct
from .forward import Ptychography
from .losses import Loss
from .metrics import phase_of, register, smse
from .scene import Scene

Report = Callable[[NDArray[np.complex64]], None]
"""Called by an engine after every pass over the frames, with its image (acquisition.object_shape)."""

Engine = Callable[[Scene, int, Report], None]
"""Reconstructs the first counts of a scene from free space in so many passes, with the scene's probe and positions."""


@dataclass(frozen=True)
class Curve:
    """How an engine got on.

    Parameters
    ----------
    engine
        Its name.
    rival
        Whether it is one of those that ours are compared with.
    seconds
        Processor time after each pass, the making of the engine's own arrays included, that of judging left out.
    errors
        Phase error against the truth within the support after each pass, rad^2. An engine whose image is no longer
        finite has fewer passes than it was given.
    diverged
        Whether that happened.
    """

    engine: str
    rival: bool
    seconds: tuple[float, ...]
    errors: tuple[float, ...]
    diverged: bool = False

    def first_below(self, error: float) -> float | None:
        """Processor time after the first pass whose error is at most `error`; None if there is no such pass."""
        return next((s for s, e in zip(self.seconds, self.errors, strict=True) if e <= error), None)


@dataclass(frozen=True)
class Row:
    """A curve in figures.

    Parameters
    ----------
    engine, rival
        As `Curve` has them.
    passes
        Over the frames.
    seconds
        Processor time of all of them.
    seconds_to_best
        Processor time until the error was first at most the best rival's final one; None if it never was.
    smse
        Final phase error, rad^2; None if the engine diverged.
    lowest
        Lowest phase error on the way, which nobody knows who has no truth.
    ratio
        Final error over the best rival's.
    """

    engine: str
    rival: bool
    passes: int
    seconds: float
    seconds_to_best: float | None
    smse: float | None
    lowest: float | None
    ratio: float | None


class _DivergedError(Exception):
    """The image is not finite."""


def record(
    name: str, engine: Engine, scene: Scene, passes: int, *, rival: bool, advance: Callable[[], None] | None = None
) -> Curve:
    """Run an engine on one thread, without denormals, and judge its image after every pass with the clock stopped."""
    seconds: list[float] = []
    errors: list[float] = []
    judging = 0.0

    def report(image: NDArray[np.complex64]) -> None:
        nonlocal judging
        stopped = time.process_time()
        if not np.isfinite(image).all():
            raise _DivergedError
        seconds.append(stopped - started - judging)
        errors.append(phase_error(scene, image))
        if advance is not None:
            advance()
        judging += time.process_time() - stopped

    threads, diverged = torch.get_num_threads(), False
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    started = time.process_time()
    try:
        engine(scene, passes, report)
    except _DivergedError:
        diverged = True
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
    return Curve(name, rival, tuple(seconds), tuple(errors), diverged)


def phase_error(scene: Scene, image: NDArray[np.complex64]) -> float:
    """Mean squared phase error of an image against the truth within the support, rad^2, as `judge_one` has it."""
    if scene.truth is None:
        raise ValueError(f"{scene.name}: no truth to compare with, expected a simulated scene")
    aligned = register(scene.truth, image, scene.support, ramp=scene.refine_probe, shift=scene.refine_probe)
    return smse(phase_of(scene.truth, scene.support), phase_of(aligned, scene.support), scene.support)


def ours(loss: Callable[[NDArray[Any]], Loss], *, seed: int = 1) -> Engine:
    """`reconstruct` with its default settings as an engine."""

    def run(scene: Scene, passes: int, report: Report) -> None:
        model = Ptychography(scene.acquisition)
        with tempfile.TemporaryDirectory() as folder:
            # The image of a pass is read from the checkpoint, whose writing counts against us.
            path = Path(folder) / "state.pt"

            def look(*_: object) -> None:
                model.load_state_dict(torch.load(path, weights_only=True)["model"])
                report(model.transmission.detach().numpy())

            reconstruct(
                loss(scene.counts[0]),
                scene.acquisition,
                epochs=passes,
                seed=seed,
                checkpoint=path,
                progress=look,
            )

    return run


def table(curves: Sequence[Curve]) -> list[Row]:
    """Figures of the curves, in their order. The best rival is the one with the lowest final error."""
    ends = [curve.errors[-1] for curve in curves if curve.rival and curve.errors and not curve.diverged]
    best = min(ends, default=None)
    rows = []
    for curve in curves:
        final = curve.errors[-1] if curve.errors and not curve.diverged else None
        rows.append(
            Row(
                engine=curve.engine,
                rival=curve.rival,
                passes=len(curve.errors),
                seconds=curve.seconds[-1] if curve.seconds else 0.0,
                seconds_to_best=None if best is None else curve.first_below(best),
                smse=final,
                lowest=min(curve.errors, default=None),
                ratio=None if best is None or final is None else final / best,
            )
        )
    return rows


def plot(curves: Sequence[Curve], title: str) -> bytes:
    """Phase errors against processor time, a PNG; ours in bold."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    for curve in curves:
        width = 1.0 if curve.rival else 2.5
        axes.plot(curve.seconds, curve.errors, marker=".", lw=width, label=curve.engine)
    axes.set(title=title, xlabel="processor time, s", ylabel="phase error, rad²", xscale="log", yscale="log")
    axes.grid(which="both", lw=0.3)
    axes.legend(frameon=False, fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
