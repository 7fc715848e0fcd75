# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Compressed against uncompressed: figures of each compression, and which has the fewest bits without loss.

The rule looks at error and correlation together. Correlation alone clears nothing: a code that is far too coarse gets
both halves of the data wrong in the same way, and what is wrong alike correlates. Error alone does not either: an
image that is smoother than its data errs less from a noisy one, whatever detail it lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .judgement import Judgement
from .metrics import apodisation, frc, phase_of, register, smse
from .scene import Scene

TOLERANCE = 0.05
"""How much larger an error may be, of the un-encoded one."""

FRC_MARGIN = 0.05
"""How much lower the crossing of the correlation may be, Nyquist = 1: a ring decides on it, and its noise of some 1 in
the root of its samples moves the crossing of a flat curve about as far."""


@dataclass(frozen=True)
class Candidate:
    """What the rule looks at.

    Parameters
    ----------
    name
        For people.
    bits
        Bits that are sent for each pixel.
    error
        Against the truth or, where nobody knows it, against the un-encoded image of the other half; rad^2.
    crossing
        Half-bit crossing of the Fourier ring correlation with the other half, Nyquist = 1.
    """

    name: str
    bits: float
    error: float
    crossing: float


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate is without loss, and what there is to say about it in a line."""

    lossless: bool
    note: str


def recommend(
    candidates: Sequence[Candidate],
    unencoded: Candidate,
    *,
    tolerance: float = TOLERANCE,
    margin: float = FRC_MARGIN,
) -> tuple[Candidate | None, list[Verdict]]:
    """The candidate with the fewest bits without loss, None if all lose, and a verdict on each.

    Without loss is what has, all three: fewer bits than the counts; an error of at most 1 + `tolerance` times that
    without encoding; a crossing at most `margin` lower than that without encoding. However high the crossing, it makes
    up for no error. Of equal bits the smaller error wins.

    Parameters
    ----------
    candidates, unencoded
        Judged alike: the same frames, the same other half.
    tolerance
        Share of the error without encoding, 0 or more.
    margin
        In units of the Nyquist frequency, 0 or more.

    Raises
    ------
    ValueError
        If the tolerance or the margin is negative.
    """
    if not (tolerance >= 0 and margin >= 0):
        raise ValueError(f"tolerance {tolerance!r}, FRC margin {margin!r}: expected 0 or more")
    verdicts = [_verdict(candidate, unencoded, tolerance, margin) for candidate in candidates]
    without_loss = [c for c, verdict in zip(candidates, verdicts, strict=True) if verdict.lossless]
    return min(without_loss, key=lambda c: (c.bits, c.error), default=None), verdicts


def _verdict(candidate: Candidate, unencoded: Candidate, tolerance: float, margin: float) -> Verdict:
    # Asked in this sense, what is not a number loses.
    small = candidate.error <= (1 + tolerance) * unencoded.error
    sharp = candidate.crossing >= unencoded.crossing - margin
    notes = []
    if not candidate.bits < unencoded.bits:
        notes.append("no fewer bits than the counts")
    if not small:
        rise = "" if unencoded.error == 0 else f" by {candidate.error / unencoded.error - 1:.1%}"
        notes.append(f"error larger{rise}")
        if candidate.crossing > unencoded.crossing + margin:
            notes[-1] += ", and the FRC that rose makes up for none of it"
    if not sharp:
        notes.append(f"FRC lower by {unencoded.crossing - candidate.crossing:.3f}")
        if small:
            notes[-1] += ": detail lost, though the error is not larger"
    return Verdict(not notes, "; ".join(notes))


@dataclass(frozen=True)
class HalfJudgement(Judgement):
    """Figures of a compression of the first half alone.

    Parameters
    ----------
    smse_other
        Phase error against the un-encoded image of the other half, rad^2: its noise, which no compression can change,
        is in it.
    """

    smse_other: float


def judge_half(
    scene: Scene, image: NDArray[np.complex64], unencoded: tuple[NDArray[Any], NDArray[Any]]
) -> HalfJudgement:
    """Compare a reconstruction of the first instance with the truth, and with both un-encoded images.

    The correlation is with the un-encoded image of the second, whatever is known of the truth.
    """
    free = scene.refine_probe

    def phases(reference: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        aligned = register(reference, image, scene.support, ramp=free, shift=free)
        return phase_of(reference, scene.support), phase_of(aligned, scene.support)

    same, other = phases(unencoded[0]), phases(unencoded[1])
    shown = same if scene.truth is None else phases(scene.truth)
    first, second = (phase[scene.region] for phase in other)
    return HalfJudgement(
        smse=None if scene.truth is None else smse(*shown, scene.support),
        smse_unencoded=None if image is unencoded[0] else smse(*same, scene.support),
        frc=frc(first, second, kind=scene.frc_kind, window=apodisation(first.shape)),
        phase=shown[1].astype(np.float32),
        smse_other=smse(*other, scene.support),
    )


def entropy(values: NDArray[Any]) -> float:
    """Bits that remain for each value at the least when each is coded by itself (order 0): counts or codes."""
    share = np.bincount(values.ravel()) / values.size
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())
