# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from collections.abc import Callable

import numpy as np
import pytest
from ptychopress.model.contrast import kappa, match_contrast
from ptychopress.reconstruction.acquisition import CellBenchmark, cell_benchmark, diffract
from ptychopress.reconstruction.phantom import cell_phantom

FRAMES = 4488  # of the whole scan; the patterns of its middle stand for all


@pytest.fixture(scope="module")
def bench() -> CellBenchmark:
    return cell_benchmark(cell_phantom(), 2e7, rows=8, columns=8)


@pytest.fixture(scope="module")
def probe_pattern(bench: CellBenchmark) -> np.ndarray:
    return np.abs(np.fft.fftshift(np.fft.fft2(bench.acquisition.probe.astype(np.complex128)))) ** 2


@pytest.fixture(scope="module")
def mean_pattern(bench: CellBenchmark) -> Callable[[float], np.ndarray]:
    phase = np.angle(bench.object)

    def of(contrast: float) -> np.ndarray:
        scaled = np.exp(1j * contrast * phase).astype(np.complex64)
        return diffract(scaled, bench.acquisition).mean(axis=0, dtype=np.float64)

    return of


def test_kappa_by_hand() -> None:
    # The core is the first pixel, 60 of 100 photons, of which 30 are left; the halo the last one, with 1 of 100, of
    # which half a photon is left and 4.5 are scattered.
    probe = np.array([[60.0, 30.0], [9.0, 1.0]])
    mean = np.array([[30.0, 18.0], [9.0, 5.0]])
    assert kappa(mean, probe) == pytest.approx(4.5 / 50)
    assert kappa(mean, 7 * probe) == pytest.approx(4.5 / 50)
    assert kappa(3 * mean, probe) == pytest.approx(4.5 / 50)
    assert kappa(0.3 * probe, probe) == pytest.approx(0)


def test_masked_pixels_do_not_count() -> None:
    probe = np.array([[60.0, 30.0, 500.0], [9.0, 1.0, 0.0]])
    mean = np.array([[30.0, 18.0, -1.0], [9.0, 5.0, np.nan]])
    mask = np.array([[False, False, True], [False, False, True]])
    assert kappa(mean, probe, mask) == pytest.approx(4.5 / 50)


def test_kappa_of_a_weak_object_goes_with_its_square(bench: CellBenchmark, probe_pattern: np.ndarray) -> None:
    phase = np.random.default_rng(1).normal(size=bench.object.shape)

    def scattering(contrast: float) -> float:
        waves = diffract(np.exp(1j * contrast * phase).astype(np.complex64), bench.acquisition)
        return kappa(waves.mean(axis=0, dtype=np.float64), probe_pattern)

    assert scattering(0.0) == pytest.approx(0, abs=1e-7)
    assert scattering(0.1) / scattering(0.05) == pytest.approx(4, rel=0.02)
    # White phases of variance c^2 scatter c^2 photons for each that they leave, nearly all of them into the halo.
    assert scattering(0.1) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("contrast", [0.2, 0.4, 1.0, 1.5])
def test_known_contrasts_are_recovered_from_noisy_patterns(
    contrast: float, probe_pattern: np.ndarray, mean_pattern: Callable[[float], np.ndarray]
) -> None:
    mean = mean_pattern(contrast)
    for seed in range(3):
        noisy = np.random.default_rng(seed).poisson(mean * FRAMES) / FRAMES
        eta = match_contrast(lambda e: kappa(mean_pattern(e), probe_pattern), kappa(noisy, probe_pattern))
        assert eta == pytest.approx(contrast, rel=0.1)


def test_a_probe_pattern_off_its_centre_would_spoil_it(
    probe_pattern: np.ndarray, mean_pattern: Callable[[float], np.ndarray]
) -> None:
    measured = kappa(mean_pattern(0.4), np.roll(probe_pattern, 1, axis=0))
    eta = match_contrast(lambda e: kappa(mean_pattern(e), probe_pattern), measured)
    assert eta != pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize("target", [1e-9, 0.09, 1.0, 16.0, 1e9])
def test_matching_inverts_a_square(target: float) -> None:
    assert match_contrast(lambda eta: eta**2, target) == pytest.approx(np.sqrt(target), rel=1e-3)


def test_matching_takes_the_first_of_two() -> None:
    # Rises to 1 at eta = 2, and falls.
    assert match_contrast(lambda eta: np.sin(eta * np.pi / 4) ** 2, 0.5) == pytest.approx(1.0, rel=1e-3)


def test_matching_calls_no_simulation_twice() -> None:
    called = []

    def square(eta: float) -> float:
        called.append(eta)
        return eta**2

    match_contrast(square, 5.0)
    assert len(called) == len(set(called)) < 20


def test_out_of_reach_is_said() -> None:
    with pytest.raises(ValueError, match="out of reach: the training object reaches at most 1, at contrast 2"):
        match_contrast(lambda eta: np.sin(eta * np.pi / 4) ** 2, 3.0)
    with pytest.raises(ValueError, match="out of reach"):
        match_contrast(lambda eta: 1.0 + eta, 0.5)
    for target in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="scatters nothing that shows"):
            match_contrast(lambda eta: eta, target)


@pytest.mark.parametrize(
    ("mean", "probe", "mask", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 3)), None, "expected the same"),
        (np.ones((2, 2)), np.ones((2, 2)), np.zeros((1, 2), bool), "mask has shape"),
        (-np.ones((2, 2)), np.ones((2, 2)), None, "mean pattern holds negative"),
        (np.ones((2, 2)), np.full((2, 2), np.nan), None, "probe pattern holds negative"),
        (np.ones((2, 2)), np.zeros((2, 2)), None, "no light"),
        (np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 2), bool), "no light"),
        (np.ones((2, 2)), np.ones((2, 2)), None, "too flat"),
        (np.array([[0, 1]]), np.array([[1e3, 1.0]]), None, "do the two fit together"),
    ],
)
def test_wrong_patterns_are_refused(mean: np.ndarray, probe: np.ndarray, mask: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kappa(mean, probe, mask)
