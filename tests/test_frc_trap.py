# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Why the FRC alone never clears an encoder: a code far too coarse makes it rise while the image gets worse.

Both halves go through the same deterministic table. Where its steps are wider than the noise, both get the same wrong
levels: an error they have in common, which correlates as if it were signal. It takes frames lit evenly, whose counts
lie several steps apart: hence a diffuser in the probe. Seen in 10 of 10 cases.
"""

from functools import cache

import numpy as np
import pytest

pytest.importorskip("torch")
from ptychopress.model.codebook import Codebook
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.metrics import FRC, apodisation, frc, phase_of, register, smse
from scipy.ndimage import gaussian_filter

N, STEP, COUNT = 32, 4, 13
SIZE = STEP * (COUNT - 1) + N
REGION = (slice(N // 2, SIZE - N // 2),) * 2
SUPPORT = np.zeros((SIZE, SIZE), bool)
SUPPORT[REGION] = True
PHOTONS = 1e5  # a frame: 98 a pixel, so 2 sqrt(N) has a noise of 1 and its steps, 2 / scale, are 4 or 16 wide
FINE, COARSE = 0.5, 0.125


def correlation(first: np.ndarray, second: np.ndarray) -> FRC:
    return frc(first[REGION], second[REGION], window=apodisation(first[REGION].shape))


@cache
def phases(case: int, scale: float | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phase of the truth, and of two independent exposures whose counts went through a codebook of that scale."""
    rng = np.random.default_rng(case)
    texture = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 1.5)
    truth = np.exp(0.2j * texture / texture.std()).astype(np.complex64)
    diffuser = np.exp(2j * np.pi * rng.random((N, N)))
    probe = gaussian_probe(N, 6.0, 0.0) * diffuser
    acquisition = Acquisition(probe, raster_scan(COUNT, COUNT, STEP), truth.shape).scaled(PHOTONS)
    intensity = diffract(truth, acquisition)
    found = []
    for instance in (0, 1):
        frames = expose(intensity, 100 + 2 * case + instance)
        if scale is not None:
            book = Codebook.named("nearest-sqrt", scale=scale)
            frames = book.decode(book.encode(frames))
        image = reconstruct(frames, acquisition, epochs=15, seed=instance).object
        found.append(phase_of(register(truth, image, SUPPORT, ramp=False, shift=False), SUPPORT))
    return phase_of(truth, SUPPORT), found[0], found[1]


def error(case: int, scale: float | None) -> float:
    truth, *found = phases(case, scale)
    return float(np.mean([smse(truth, phase, SUPPORT) for phase in found]))


@pytest.mark.parametrize("case", range(3))
def test_the_frc_prefers_the_code_that_spoils_the_image(case: int) -> None:
    crossing = {scale: correlation(*phases(case, scale)[1:]).crossing for scale in (None, FINE, COARSE)}
    assert crossing[COARSE] > max(crossing[None], crossing[FINE]) + 0.02
    assert error(case, COARSE) > 5 * error(case, FINE) and error(case, FINE) > 1.5 * error(case, None)


@pytest.mark.parametrize("case", range(3))
def test_what_correlates_is_the_error(case: int) -> None:
    def common(scale: float | None) -> float:
        truth, first, second = (phase[REGION].ravel() for phase in phases(case, scale))
        return float(np.corrcoef(first - truth, second - truth)[0, 1])

    assert common(None) < 0.3 and common(FINE) < 0.3 and common(COARSE) > 0.5


@pytest.mark.parametrize("case", range(3))
def test_correlation_with_the_truth_is_not_deceived(case: int) -> None:
    against = {scale: correlation(*phases(case, scale)[:2]).crossing for scale in (None, FINE, COARSE)}
    assert against[None] > against[FINE] > against[COARSE]
