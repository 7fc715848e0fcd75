# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from dataclasses import replace

import numpy as np
import pytest
from ptychopress.reconstruction.acquisition import Acquisition, gaussian_probe, raster_scan
from ptychopress.reconstruction.judgement import judge
from ptychopress.reconstruction.metrics import bit_threshold
from ptychopress.reconstruction.phantom import cell_phantom
from ptychopress.reconstruction.scene import Scene, simulated

SHAPE = (64, 64)


@pytest.fixture
def scene() -> Scene:
    support = np.zeros(SHAPE, np.bool_)
    support[8:56, 8:56] = True
    rng = np.random.default_rng(2)
    phase = np.where(support, 0.3 + 0.1 * rng.standard_normal(SHAPE), 0)
    counts = np.zeros((49, 16, 16), np.uint16)
    return Scene(
        name="test",
        title="Test",
        acquisition=Acquisition(gaussian_probe(16, 3.0), raster_scan(7, 7, 8), SHAPE),
        counts=(counts, counts),
        truth=np.exp(1j * phase).astype(np.complex64),
        support=support,
        region=(slice(8, 56), slice(8, 56)),
        count_bits=14,
        mask=np.zeros((16, 16), np.bool_),
        refine_probe=False,
        frc_kind="two",
    )


def noisy(scene: Scene, seed: int, sigma: float) -> np.ndarray:
    assert scene.truth is not None
    noise = np.random.default_rng(seed).standard_normal(SHAPE) * sigma
    return (scene.truth * np.exp(1j * noise)).astype(np.complex64)


def test_error_against_the_truth_is_that_of_the_noise_in_the_support(scene: Scene) -> None:
    found = judge(scene, (noisy(scene, 3, 0.05), noisy(scene, 4, 0.1)), None)
    assert found.smse == pytest.approx((0.05**2 + 0.1**2) / 2, rel=0.08)
    assert found.smse_unencoded is None
    # A global phase is no error; what lies outside the support is not looked at.
    turned = noisy(scene, 3, 0.05) * np.exp(0.7j)
    turned[~scene.support] = 1j
    again = judge(scene, (turned.astype(np.complex64), noisy(scene, 4, 0.1)), None)
    assert again.smse == pytest.approx(found.smse, rel=1e-3)


def test_error_against_the_unencoded_image_is_by_instance(scene: Scene) -> None:
    unencoded = noisy(scene, 3, 0.2), noisy(scene, 4, 0.2)
    # The same offset everywhere is a global phase, so put it on one half of the support.
    left = np.zeros(SHAPE)
    left[:, :32] = 0.04
    encoded = tuple((image * np.exp(1j * left)).astype(np.complex64) for image in unencoded)
    found = judge(scene, (encoded[0], encoded[1]), unencoded)
    # Half the pixels + 0.02, half - 0.02, once the mean has been taken off.
    assert found.smse_unencoded == pytest.approx(0.02**2, rel=0.02)


def test_correlation_is_between_the_two_instances(scene: Scene) -> None:
    same = judge(scene, (noisy(scene, 3, 0.05), noisy(scene, 3, 0.05)), None).frc
    assert same.values[1:] == pytest.approx(1.0)
    assert same.crossing == 1.0
    # Noise ten times the object's own contrast leaves nothing in common.
    blank = np.exp(1j * 0.3 * scene.support).astype(np.complex64)
    scene = replace(scene, truth=blank)
    apart = judge(scene, (noisy(scene, 3, 0.1), noisy(scene, 4, 0.1)), None).frc
    assert apart.values[5:].mean() < 0.3
    assert apart.crossing < 0.5
    split = judge(replace(scene, frc_kind="split"), (noisy(scene, 3, 0.1), noisy(scene, 4, 0.1)), None).frc
    assert split.threshold == pytest.approx(bit_threshold(split.counts, "split"))
    assert apart.threshold == pytest.approx(bit_threshold(apart.counts, "two"))


def test_the_two_instances_of_a_simulation_are_independent() -> None:
    made = simulated(cell_phantom(), 4e8, seed=5, quick=True)
    first, second = (counts[:40].astype(float) for counts in made.counts)
    bright = (first + second) / 2 > 20
    assert bright.sum() > 1000
    # Var(x - y) = 2 mu for independent Poisson counts, 0 for the same ones.
    ratio = np.mean((first - second)[bright] ** 2) / np.mean((first + second)[bright])
    assert ratio == pytest.approx(1.0, abs=0.1)
    rows, columns = made.region
    assert rows.stop - rows.start == columns.stop - columns.start > 100
