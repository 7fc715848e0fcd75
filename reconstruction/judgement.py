# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Comparing compressions on a scene: error against the truth and the un-encoded image, resolution."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .metrics import FRC, apodisation, frc, phase_of, register, smse
from .scene import Scene


@dataclass(frozen=True)
class Judgement:
    """Figures of one compression on one scene.

    Parameters
    ----------
    smse
        Phase error against the truth within the support, rad^2, mean of the noise instances; None without a truth.
    smse_unencoded
        The same against the image of the same instance without encoding; None for that image itself.
    frc
        Correlation of the phases: of both instances, or of one with what `judge_one` takes.
    phase
        First instance in line with the truth, or the un-encoded image, rad, float32 (acquisition.object_shape).
    """

    smse: float | None
    smse_unencoded: float | None
    frc: FRC
    phase: NDArray[np.float32]


def judge(
    scene: Scene, images: tuple[NDArray[np.complex64], NDArray[np.complex64]], unencoded: tuple[NDArray, NDArray] | None
) -> Judgement:
    """Compare the reconstructions of both instances with the truth, with `unencoded`, and with each other."""
    free = scene.refine_probe
    references = (scene.truth, scene.truth) if scene.truth is not None else unencoded or (images[0], images[0])
    aligned = [
        register(reference, image, scene.support, ramp=free, shift=free)
        for reference, image in zip(references, images, strict=True)
    ]
    phases = [phase_of(image, scene.support) for image in aligned]
    against_truth = None
    if scene.truth is not None:
        truth = phase_of(scene.truth, scene.support)
        against_truth = float(np.mean([smse(truth, phase, scene.support) for phase in phases]))
    against_unencoded = None
    if unencoded is not None:
        against_unencoded = float(
            np.mean([_phase_error(scene, *pair, free) for pair in zip(unencoded, images, strict=True)])
        )
    pair = images[0], register(images[0], images[1], scene.support, ramp=free, shift=free)
    first, second = (phase_of(image, scene.support)[scene.region] for image in pair)
    ring = frc(first, second, kind=scene.frc_kind, window=apodisation(first.shape))
    return Judgement(against_truth, against_unencoded, ring, phases[0].astype(np.float32))


def judge_one(scene: Scene, image: NDArray[np.complex64], unencoded: tuple[NDArray, NDArray]) -> Judgement:
    """Compare a reconstruction of the first instance with the truth and with that instance's un-encoded image.

    It is correlated with the truth or, where nobody knows it, with the un-encoded image of the other instance. The
    threshold is the scene's.
    """
    free = scene.refine_probe
    reference = unencoded[1] if scene.truth is None else scene.truth
    aligned = register(reference, image, scene.support, ramp=free, shift=free)
    expected, phase = phase_of(reference, scene.support), phase_of(aligned, scene.support)
    first, second = expected[scene.region], phase[scene.region]
    return Judgement(
        smse=None if scene.truth is None else smse(expected, phase, scene.support),
        smse_unencoded=_phase_error(scene, unencoded[0], image, free),
        frc=frc(first, second, kind=scene.frc_kind, window=apodisation(first.shape)),
        phase=phase.astype(np.float32),
    )


def _phase_error(scene: Scene, reference: NDArray, image: NDArray, free: bool) -> float:
    aligned = register(reference, image, scene.support, ramp=free, shift=free)
    return smse(phase_of(reference, scene.support), phase_of(aligned, scene.support), scene.support)
