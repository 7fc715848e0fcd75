# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Simulated acquisitions: geometry, dose, diffraction, counts."""

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ptychopress.reconstruction.acquisition import (
    Acquisition,
    cell_benchmark,
    diffract,
    expose,
    gaussian_probe,
    in_vacuum,
    placed,
    raster_scan,
    split_counts,
)
from ptychopress.reconstruction.phantom import Phantom, cell_phantom

PROBE = gaussian_probe(8, 1.5)


def random_object(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.exp(1j * rng.uniform(0, 1, shape)).astype(np.complex64)


def test_benchmark_is_the_authors_scan() -> None:
    bench = cell_benchmark(cell_phantom())
    positions = bench.acquisition.positions
    assert len(positions) == 4488 and bench.acquisition.window == 72
    # From -36 in the phantom's frame in steps of 5, 66 rows and 68 columns; windows end 72 further.
    assert (positions.max(axis=0) - positions.min(axis=0)).tolist() == [325, 335]
    assert bench.acquisition.object_shape == (397, 407)
    assert bench.region == (slice(36, 361), slice(36, 361))


def test_benchmark_keeps_the_phantom_and_surrounds_it_with_vacuum() -> None:
    phantom = cell_phantom()
    bench = cell_benchmark(phantom)
    np.testing.assert_allclose(np.angle(bench.object[bench.region]), phantom.phase, atol=1e-6)
    np.testing.assert_array_equal(bench.support[bench.region], phantom.support)
    outside = np.ones(bench.object.shape, bool)
    outside[bench.region] = False
    assert (bench.object[outside] == 1).all() and not bench.support[outside].any()


def test_benchmark_dose_is_spread_as_the_authors_spread_it() -> None:
    bench = cell_benchmark(cell_phantom(), 2e7)
    assert bench.acquisition.photons == pytest.approx(2e7 * 325**2 / 50918 / 4488, rel=1e-5)
    frames = diffract(bench.object[:72, :72], Acquisition(bench.acquisition.probe, np.array([[0, 0]]), (72, 72)))
    assert frames.sum() == pytest.approx(9244.3, rel=1e-3)  # 2e7 * 105625 / 50918 / 4488


def test_partial_benchmark_is_the_middle_of_the_whole_at_the_same_dose() -> None:
    phantom = cell_phantom()
    whole, part = cell_benchmark(phantom), cell_benchmark(phantom, rows=33, columns=34)
    assert len(part.acquisition.positions) == 33 * 34
    assert part.acquisition.photons == whole.acquisition.photons
    # 16 rows and 17 columns are skipped: 80 and 85 pixels.
    height, width = part.object.shape
    np.testing.assert_array_equal(part.object, whole.object[80 : 80 + height, 85 : 85 + width])
    # Nothing nearer than half a window to the cut is judged.
    assert part.region == (slice(36, height - 36), slice(36, width - 36))


@pytest.mark.parametrize(("rows", "columns"), [(0, 1), (67, 68), (66, 69)])
def test_benchmark_refuses_a_scan_larger_than_the_whole(rows: int, columns: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 66 rows and 1 to 68 columns"):
        cell_benchmark(cell_phantom(), rows=rows, columns=columns)


def test_benchmark_refuses_no_photons() -> None:
    with pytest.raises(ValueError, match="photons: 0"):
        cell_benchmark(cell_phantom(), 0)


def test_frames_are_the_squared_fourier_sum_with_its_zero_in_the_centre() -> None:
    obj, n = random_object((12, 13)), 8
    acquisition = Acquisition(PROBE, np.array([[0, 0], [3, 5]]), (12, 13))
    frames = diffract(obj, acquisition)
    index = np.arange(n)
    matrix = np.exp(-2j * np.pi * np.outer(index - n // 2, index) / n) / np.sqrt(n)
    for frame, (r, c) in zip(frames, [(0, 0), (3, 5)], strict=True):
        wave = matrix @ (PROBE * obj[r : r + n, c : c + n]) @ matrix.T
        np.testing.assert_allclose(frame, np.abs(wave) ** 2, rtol=1e-4, atol=1e-6)


def test_a_frame_holds_the_photons_of_the_exit_wave() -> None:
    acquisition = Acquisition(PROBE, np.array([[1, 2]]), (12, 12)).scaled(1234)
    assert diffract(random_object((12, 12)), acquisition).sum() == pytest.approx(1234, rel=1e-5)


def test_batches_change_nothing() -> None:
    acquisition = Acquisition(PROBE, raster_scan(3, 3, 2), (12, 12))
    obj = random_object((12, 12))
    np.testing.assert_allclose(
        diffract(obj, acquisition, batch_size=2), diffract(obj, acquisition, batch_size=64), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("shift", [(0.3, -0.45), (0.5, 0.0), (-0.2, 0.2)])
def test_a_fractional_position_moves_the_probe_within_its_window(shift: tuple[float, float]) -> None:
    """The probe moved by a fraction of a pixel, written down from its formula, sees the same."""
    n, sigma, obj = 24, 2.0, random_object((26, 26))
    axes = [np.arange(n) - n / 2 - s for s in shift]
    moved = np.exp(-(axes[0][:, None] ** 2 + axes[1] ** 2) / (2 * sigma**2)).astype(np.complex64)
    still = gaussian_probe(n, sigma, phase=0)
    position = np.array([[1 + shift[0], 1 + shift[1]]])
    corner = np.floor(position + 0.5)
    expected = diffract(obj, Acquisition(moved * 1.0, np.array([[1, 1]]), obj.shape))
    if (corner != 1).any():  # 1.5 rounds up to corner 2: the window, not only the probe, lies one pixel further
        expected = diffract(
            np.roll(obj, -1, axis=0), Acquisition(np.roll(moved, -1, axis=0), np.array([[1, 1]]), obj.shape)
        )
    np.testing.assert_allclose(diffract(obj, Acquisition(still, position, obj.shape)), expected, atol=2e-4)


def two_modes() -> np.ndarray:
    return np.stack([2 * PROBE, PROBE * np.linspace(-1, 1, 8)]).astype(np.complex64)


@pytest.mark.parametrize(
    "positions", [raster_scan(3, 3, 2), raster_scan(3, 3, 2)[:-1] + 0.3], ids=["whole", "fraction"]
)
def test_modes_add_up_as_intensities(positions: np.ndarray) -> None:
    obj, modes = random_object((12, 12)), two_modes()
    frames = diffract(obj, Acquisition(modes, positions, (12, 12)), batch_size=4)
    single = [diffract(obj, Acquisition(mode, positions, (12, 12))) for mode in modes]
    np.testing.assert_allclose(frames, single[0] + single[1], rtol=1e-5, atol=1e-6)
    assert single[1].sum() > 0.01 * single[0].sum()


def test_modes_count_in_photons_dose_and_coverage() -> None:
    acquisition = Acquisition(two_modes(), np.array([[0, 0], [4, 2]]), (12, 12))
    assert acquisition.window == 8 and acquisition.modes.shape == (2, 8, 8)
    assert acquisition.photons == pytest.approx(np.sum(np.abs(two_modes().astype(complex)) ** 2), rel=1e-6)
    scaled = acquisition.scaled(100)
    assert scaled.photons == pytest.approx(100, rel=1e-5) and scaled.probe.shape == (2, 8, 8)
    np.testing.assert_allclose(scaled.probe / np.sqrt(100 / acquisition.photons), two_modes(), rtol=1e-5)
    # The first mode lights the left half of a window, the second the right half.
    halves = np.zeros((2, 4, 4), np.complex64)
    halves[0, :, :2], halves[1, :, 2:] = 1, 0.5
    covered = [Acquisition(halves, np.array([[0, 0]]), (4, 5)).coverage(threshold) for threshold in (0.2, 0.3)]
    assert covered[0].sum() == 16 and covered[1].sum() == 8


def test_one_mode_is_the_coherent_probe() -> None:
    obj, positions = random_object((12, 12)), raster_scan(2, 2, 3)
    coherent = Acquisition(PROBE, positions, (12, 12))
    assert coherent.modes.shape == (1, 8, 8)
    np.testing.assert_array_equal(diffract(obj, coherent), diffract(obj, Acquisition(PROBE[None], positions, (12, 12))))


def test_corners_and_shifts_make_up_the_positions() -> None:
    positions = np.array([[0.0, 2.5], [1.49, 3.51]])
    acquisition = Acquisition(PROBE, positions, (12, 12))
    assert acquisition.corners.tolist() == [[0, 3], [1, 4]]
    np.testing.assert_allclose(acquisition.corners + acquisition.shifts, positions)


def test_coverage_is_where_the_probe_went() -> None:
    acquisition = Acquisition(np.ones((4, 4), np.complex64), np.array([[0, 0], [2, 0]]), (8, 6))
    covered = acquisition.coverage(0.4)
    assert covered.sum() == 24 and covered[:6, :4].all()
    assert acquisition.coverage(0.6).sum() == 8  # only the two rows seen twice


@pytest.mark.parametrize("positions", [np.array([[-3, 4], [7, -2]]), np.array([[-3.4, 4.2], [7.3, -2.0]])])
@pytest.mark.parametrize("margin", [0, 2])
def test_a_placed_scan_has_its_object_just_around_it(positions: np.ndarray, margin: int) -> None:
    acquisition = placed(PROBE, positions, margin=margin)
    # Corners from (-3, -2) to (7, 4), windows of 8.
    assert acquisition.object_shape == (18 + 2 * margin, 14 + 2 * margin)
    assert acquisition.corners.tolist() == [[margin, 6 + margin], [10 + margin, margin]]
    np.testing.assert_allclose(acquisition.positions - positions, [[3 + margin, 2 + margin]] * 2)
    assert acquisition.positions.dtype == positions.dtype


def test_placed_takes_modes_and_refuses_no_scan() -> None:
    assert placed(two_modes(), np.array([[0, 0]])).object_shape == (8, 8)
    with pytest.raises(ValueError, match=r"positions: shape \(0, 2\)"):
        placed(PROBE, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="margin: -1"):
        placed(PROBE, np.array([[0, 0]]), margin=-1)


def test_an_object_lies_in_the_middle_of_vacuum() -> None:
    obj = np.arange(2, 8).reshape(2, 3) * 1j
    larger = in_vacuum(obj, (5, 6))
    assert larger.dtype == np.complex64 and larger.shape == (5, 6)
    np.testing.assert_array_equal(larger[1:3, 1:4], obj)
    assert (larger == 1).sum() == 24
    np.testing.assert_array_equal(in_vacuum(obj, (4, 1)), np.array([[1], [3j], [6j], [1]]))
    np.testing.assert_array_equal(in_vacuum(obj, (2, 3)), obj)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe": np.ones((4, 5))}, r"probe: shape \(4, 5\)"),
        ({"probe": np.ones(4)}, r"probe: shape \(4,\)"),
        ({"probe": np.ones((0, 8, 8))}, r"probe: shape \(0, 8, 8\)"),
        ({"probe": np.ones((1, 2, 8, 8))}, r"probe: shape \(1, 2, 8, 8\), expected a square \(n, n\), or \(M, n, n\)"),
        ({"probe": np.full((8, 8), np.nan)}, "probe: holds values that are not finite"),
        ({"positions": np.zeros((0, 2))}, r"positions: shape \(0, 2\)"),
        ({"positions": np.zeros((3, 3))}, r"positions: shape \(3, 3\)"),
        ({"positions": np.full((1, 2), np.nan)}, "finite real numbers"),
        ({"positions": np.array([[-1, 0]])}, r"\[-1, 0\] to \[7, 8\], outside the object array"),
        ({"positions": np.array([[0, 5]])}, r"to \[8, 13\], outside the object array of \(12, 12\)"),
    ],
)
def test_acquisition_checks_itself(change: dict[str, Any], message: str) -> None:
    fields = {"probe": PROBE, "positions": np.array([[0, 0]]), "object_shape": (12, 12)} | change
    with pytest.raises(ValueError, match=message):
        Acquisition(**fields)


def test_acquisition_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        Acquisition(PROBE, np.array([[0, 0]]), (8, 8)).object_shape = (9, 9)  # type: ignore[misc]


def test_diffract_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"object: shape \(9, 9\), expected \(8, 8\)"):
        diffract(np.ones((9, 9), complex), Acquisition(PROBE, np.array([[0, 0]]), (8, 8)))


def test_counts_are_poisson() -> None:
    counts = expose(np.full((200, 200), 7.0, np.float32), seed=3)
    assert counts.dtype == np.uint16
    # 40,000 draws: the mean is known to 0.013, the variance to 0.05 (one sigma).
    assert counts.mean() == pytest.approx(7, abs=0.07)
    assert counts.var() == pytest.approx(7, abs=0.25)


def test_counts_depend_on_the_seed_alone() -> None:
    intensity = np.full((50, 50), 5.0, np.float32)
    np.testing.assert_array_equal(expose(intensity, 1), expose(intensity, 1))
    assert (expose(intensity, 1) != expose(intensity, 2)).mean() > 0.5


def test_counts_saturate_instead_of_wrapping() -> None:
    bright = np.full((4, 4), 1e6, np.float32)
    assert (expose(bright, 0) == 16383).all()
    assert (expose(bright, 0, full_scale=1023) == 1023).all()


def test_expose_refuses_what_is_not_an_intensity() -> None:
    with pytest.raises(ValueError, match="negative values or NaN"):
        expose(np.array([1.0, np.nan]), 0)
    with pytest.raises(ValueError, match="full_scale: 65536"):
        expose(np.array([1.0]), 0, full_scale=65536)


@settings(deadline=None, max_examples=50)
@given(arrays(np.uint16, (3, 5), elements=st.integers(0, 65535)), st.integers(0, 2**32))
def test_halves_sum_to_the_whole(counts: np.ndarray, seed: int) -> None:
    first, second = split_counts(counts, seed)
    assert first.dtype == second.dtype == np.uint16
    np.testing.assert_array_equal(first.astype(int) + second, counts)
    np.testing.assert_array_equal(first, split_counts(counts, seed)[0])


def test_halves_are_independent_halves() -> None:
    counts = expose(np.full((300, 300), 10.0), seed=5)
    first, second = (half.astype(float) for half in split_counts(counts, 6))
    assert first.mean() == pytest.approx(5, abs=0.04) and first.var() == pytest.approx(5, abs=0.15)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.015  # 4.5 sigma of 90,000 pairs


def test_split_refuses_levels() -> None:
    with pytest.raises(TypeError, match="dtype float32, expected unsigned integers"):
        split_counts(np.ones((2, 2), np.float32), 0)  # type: ignore[arg-type]


def test_benchmark_refuses_a_phantom_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"phantom: \(100, 100\), expected \(325, 325\)"):
        cell_benchmark(Phantom(np.zeros((100, 100)), np.ones((100, 100), bool)))
