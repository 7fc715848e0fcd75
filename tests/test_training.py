# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Training objects and their noise-free patterns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imsave
from ptychopress.model.contrast import kappa
from ptychopress.reconstruction.acquisition import Acquisition, diffract, gaussian_probe, raster_scan
from ptychopress.reconstruction.training import (
    matched,
    noise_free_patterns,
    probe_pattern,
    training_image,
    training_object,
    with_contrast,
)

ACQUISITION = Acquisition(gaussian_probe(24, 2.5), raster_scan(7, 8, 5), (54, 59)).scaled(1000)


@pytest.fixture(scope="module")
def leaves() -> np.ndarray:
    return training_object((120, 150), 3, phase=0.8, absorption=0.3)


def test_an_object_depends_on_its_seed_alone(leaves: np.ndarray) -> None:
    np.testing.assert_array_equal(leaves, training_object((120, 150), 3, phase=0.8, absorption=0.3))
    other = training_object((120, 150), 4, phase=0.8, absorption=0.3)
    assert abs(np.corrcoef(np.angle(leaves).ravel(), np.angle(other).ravel())[0, 1]) < 0.2


def test_phase_and_amplitude_fill_their_ranges(leaves: np.ndarray) -> None:
    assert leaves.shape == (120, 150) and leaves.dtype == np.complex64
    for values, low, high in ((np.angle(leaves), 0, 0.8), (np.abs(leaves), 0.7, 1)):
        assert low - 1e-6 <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high + 1e-6
    # Drawn independently: knowing one says nothing of the other.
    assert abs(np.corrcoef(np.angle(leaves).ravel(), np.abs(leaves).ravel())[0, 1]) < 0.25


def test_no_absorption_makes_a_pure_phase_object() -> None:
    np.testing.assert_allclose(np.abs(training_object((40, 40), 0)), 1, atol=1e-6)


def test_leaves_are_even_with_sharp_edges(leaves: np.ndarray) -> None:
    """Most neighbours are alike, and those that are not differ by an edge's whole height, in both directions."""
    for axis in (0, 1):
        steps = np.abs(np.diff(np.angle(leaves), axis=axis))
        assert 0.6 < (steps < 1e-6).mean() < 0.95
        assert np.median(steps[steps > 1e-6]) > 0.1


def test_leaves_look_alike_at_every_scale() -> None:
    """The spectrum of the phase falls all the way to Nyquist, like that of edges, without a preferred scale."""
    phase = np.angle(training_object((256, 256), 1))
    window = np.hanning(256)
    power = np.abs(np.fft.fft2((phase - phase.mean()) * np.outer(window, window))) ** 2
    frequency = np.fft.fftfreq(256)
    radius = np.hypot(frequency[:, None], frequency)
    bands = [power[(radius >= low) & (radius < 2 * low)].mean() for low in (0.0156, 0.0312, 0.0625, 0.125, 0.25)]
    ratios = np.array(bands[1:]) / bands[:-1]
    assert (ratios < 0.5).all() and (ratios > 0.03).all()


def test_contrast_multiplies_phase_and_logarithm_of_the_amplitude(leaves: np.ndarray) -> None:
    half = with_contrast(leaves, 0.5)
    assert half.dtype == np.complex64
    np.testing.assert_allclose(np.angle(half), np.angle(leaves) / 2, atol=1e-6)
    np.testing.assert_allclose(np.abs(half), np.sqrt(np.abs(leaves)), atol=1e-6)
    np.testing.assert_allclose(with_contrast(leaves, 0), 1, atol=1e-7)
    np.testing.assert_allclose(with_contrast(leaves, 2), leaves**2, atol=1e-5)


def test_patterns_are_those_of_each_object_in_turn() -> None:
    objects = [training_object(ACQUISITION.object_shape, seed) for seed in (1, 2)]
    chunks = list(noise_free_patterns(objects, ACQUISITION, chunk=20))
    assert [len(chunk) for chunk in chunks] == [20, 20, 16, 20, 20, 16]
    expected = np.concatenate([diffract(obj, ACQUISITION) for obj in objects])
    np.testing.assert_allclose(np.concatenate(chunks), expected, rtol=1e-5, atol=1e-6)


def test_an_ensemble_shares_the_positions_out() -> None:
    objects = [training_object(ACQUISITION.object_shape, seed) for seed in (1, 2, 3)]
    patterns = np.concatenate(list(noise_free_patterns(objects, ACQUISITION, every=3)))
    whole = [diffract(obj, ACQUISITION) for obj in objects]
    assert len(patterns) == 19 + 19 + 18
    np.testing.assert_allclose(patterns[:19], whole[0][0::3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(patterns[19:38], whole[1][1::3], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(patterns[38:], whole[2][2::3], rtol=1e-5, atol=1e-6)


def test_a_phase_object_loses_no_photon_and_an_absorbing_one_does() -> None:
    shape = ACQUISITION.object_shape
    clear, dark = (training_object(shape, 1, absorption=a) for a in (0.0, 0.4))
    energies = [np.concatenate(list(noise_free_patterns([o], ACQUISITION))).sum(axis=(1, 2)) for o in (clear, dark)]
    np.testing.assert_allclose(energies[0], 1000, rtol=1e-5)
    assert (energies[1] < 990).all() and (energies[1] > 360).all()


def test_probe_pattern_is_the_probes_spectrum() -> None:
    pattern = probe_pattern(ACQUISITION)
    expected = np.abs(np.fft.fftshift(np.fft.fft2(ACQUISITION.probe, norm="ortho"))) ** 2
    np.testing.assert_allclose(pattern, expected, rtol=1e-4, atol=1e-5)
    assert pattern.sum() == pytest.approx(1000, rel=1e-5)


@pytest.mark.parametrize("eta", [0.4, 1.0, 1.7])
def test_matching_finds_the_contrast_of_another_object(eta: float) -> None:
    """The sample is another seed of the same kind, thicker or thinner; all that is known of it is its mean pattern."""
    shape = ACQUISITION.object_shape
    sample = with_contrast(training_object(shape, 9, phase=0.5), eta)
    target = kappa(diffract(sample, ACQUISITION).mean(axis=0, dtype=np.float64), probe_pattern(ACQUISITION))
    objects = [training_object(shape, seed, phase=0.5) for seed in range(4)]
    scaled, found = matched(objects, ACQUISITION, target, every=4)
    # Two draws of so small a field differ by more than their contrast: a fifth is what can be asked of eta ...
    assert found == pytest.approx(eta, rel=0.2)
    # ... but kappa itself is met.
    mean = np.concatenate(list(noise_free_patterns(scaled, ACQUISITION, every=4))).mean(axis=0, dtype=np.float64)
    assert kappa(mean, probe_pattern(ACQUISITION)) == pytest.approx(target, rel=0.01)
    np.testing.assert_array_equal(scaled[2], with_contrast(objects[2], found))


def test_a_picture_is_read_from_black_to_white(tmp_path: Path) -> None:
    picture = np.arange(400.0).reshape(20, 20) - 7
    np.save(tmp_path / "ramp.npy", picture)
    obj = training_image(tmp_path / "ramp.npy", (20, 20), phase=0.5, absorption=0.2)
    assert obj.dtype == np.complex64
    np.testing.assert_allclose(np.angle(obj), 0.5 * np.arange(400).reshape(20, 20) / 399, atol=1e-6)
    np.testing.assert_allclose(np.abs(obj), 1 - 0.2 * np.arange(400).reshape(20, 20) / 399, atol=1e-6)


def test_a_picture_is_cut_or_mirrored_to_the_shape(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).uniform(size=(20, 30))
    np.save(tmp_path / "noise.npy", picture)
    grey = (picture - picture.min()) / (picture.max() - picture.min())
    phase = np.angle(training_image(tmp_path / "noise.npy", (24, 16), phase=1.0))
    np.testing.assert_allclose(phase[2:22], grey[:, 7:23], atol=1e-6)
    np.testing.assert_array_equal(phase[:2], phase[3:1:-1])
    np.testing.assert_array_equal(phase[-2:], phase[-3:-5:-1])


def test_a_png_in_colours_counts_as_grey(tmp_path: Path) -> None:
    colours = np.zeros((16, 16, 3))
    colours[4:, :, 0] = 1
    colours[8:, :, 1] = 1
    colours[12:, :, 2] = 1
    imsave(tmp_path / "stripes.png", colours)
    phase = np.angle(training_image(tmp_path / "stripes.png", (16, 16), phase=0.9))
    np.testing.assert_allclose(phase[:, 5], np.repeat([0, 0.3, 0.6, 0.9], 4), atol=1e-5)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.png: no such file"):
        training_image(tmp_path / "nowhere.png", (20, 20))


@pytest.mark.parametrize("name", ["text.png", "text.npy"])
def test_what_is_no_picture_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.\w+: not a readable picture") as error:
        training_image(tmp_path / name, (20, 20))
    assert "\n" not in str(error.value)


def test_an_archive_is_no_picture(tmp_path: Path) -> None:
    with (tmp_path / "archive.npy").open("wb") as file:
        np.savez(file, np.eye(20))
    with pytest.raises(ValueError, match=r"archive\.npy: not a readable picture"):
        training_image(tmp_path / "archive.npy", (20, 20))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((20, 20), 3.0), "the picture is 3 everywhere"),
        (np.full((20, 20), np.nan), "expected finite real numbers"),
        (np.ones((4, 20, 20)), r"float64 \(4, 20, 20\)"),
        (np.ones((20, 20), complex), "complex128"),
    ],
)
def test_a_useless_picture_is_refused(tmp_path: Path, picture: np.ndarray, message: str) -> None:
    np.save(tmp_path / "picture.npy", picture)
    with pytest.raises(ValueError, match=message):
        training_image(tmp_path / "picture.npy", (20, 20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shape": (15, 40)}, r"shape: \(15, 40\), expected two sides of 16"),
        ({"shape": (40,)}, r"shape: \(40,\)"),
        ({"phase": -0.1}, "phase: -0.1, expected rad from 0 to pi"),
        ({"phase": 3.2}, "phase: 3.2"),
        ({"absorption": 1.0}, "absorption: 1.0, expected 0 <= absorption < 1"),
        ({"smallest": 10.0}, "smallest: 10.0, expected a radius above 0, below 10 pixels"),
        ({"smallest": 0.0}, "smallest: 0.0"),
    ],
)
def test_training_object_names_what_is_out_of_range(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"shape": (40, 40), "seed": 1} | change
    with pytest.raises(ValueError, match=message):
        training_object(**arguments)


def test_contrast_refuses_what_it_cannot_scale() -> None:
    with pytest.raises(ValueError, match="eta: -1"):
        with_contrast(np.ones((4, 4), complex), -1)
    with pytest.raises(ValueError, match="holds zeros or values that are not finite"):
        with_contrast(np.zeros((4, 4), complex), 1)


@pytest.mark.parametrize("change", [{"every": 0}, {"chunk": 0}])
def test_patterns_refuse_numbers_below_one(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        next(noise_free_patterns([np.ones(ACQUISITION.object_shape)], ACQUISITION, **change))
