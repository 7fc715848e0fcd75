# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Metrics against cases worked out by hand, and against other packages that have them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ptychopress.reconstruction.metrics import (
    FRC,
    apodisation,
    bit_threshold,
    data_error,
    data_mse,
    frc,
    phase_of,
    register,
    smse,
)
from scipy.ndimage import fourier_shift


def smooth_object(n: int = 48) -> np.ndarray:
    rows, columns = np.indices((n, n)) / n
    centre = (rows - 0.4) ** 2 + (columns - 0.55) ** 2
    return np.exp(
        1j * (0.8 * np.exp(-centre / 0.02) + 0.4 * np.exp(-((rows - 0.6) ** 2) / 0.005 - (columns - 0.4) ** 2 / 0.01))
    )


def moved(image: np.ndarray, shift: tuple[float, float], slope: tuple[float, float], phase: float) -> np.ndarray:
    n = len(image)
    f, axis = np.fft.fftfreq(n), np.arange(n)
    there = np.fft.ifft2(np.fft.fft2(image) * np.exp(-2j * np.pi * (f[:, None] * shift[0] + f * shift[1])))
    return there * np.exp(1j * (slope[0] * axis[:, None] + slope[1] * axis + phase))


INNER = np.zeros((48, 48), bool)
INNER[6:-6, 6:-6] = True


def test_smse_counts_the_support_alone() -> None:
    truth, support = np.zeros((4, 4)), np.zeros((4, 4), bool)
    support[0, :2] = True
    image = np.full((4, 4), 100.0)
    image[0, :2] = (0.5, -0.1)
    assert smse(truth, image, support) == pytest.approx((0.25 + 0.01) / 2)


def test_smse_of_a_constant_offset_is_its_square() -> None:
    truth = np.random.default_rng(0).normal(size=(9, 9))
    assert smse(truth, truth + 0.3, np.ones((9, 9), bool)) == pytest.approx(0.09)


def test_smse_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"shapes \(2, 2\), \(2, 3\) and \(2, 2\)"):
        smse(np.zeros((2, 2)), np.zeros((2, 3)), np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="support: empty"):
        smse(np.zeros((2, 2)), np.zeros((2, 2)), np.zeros((2, 2), bool))


def test_phase_does_not_wrap_around_its_mean() -> None:
    phases = np.array([[3.0, 3.3], [2.9, 3.2]])  # astride of pi
    np.testing.assert_allclose(phase_of(np.exp(1j * phases)), phases)
    np.testing.assert_allclose(phase_of(np.exp(-1j * phases)), -phases)


def test_phase_takes_its_mean_from_the_support() -> None:
    obj = np.exp(1j * np.array([[3.0, 3.2, 0.0, 0.0, 0.0]]))
    assert phase_of(obj, np.array([[True, True, False, False, False]]))[0, 1] == pytest.approx(3.2)


@settings(deadline=None, max_examples=20)
@example((-4.0, 0.0), (0.08203125, 0.078125), 0.0)  # what is left of a ramp may hide the peak of the correlation
@given(
    st.tuples(st.floats(-6, 6), st.floats(-6, 6)),
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
    st.floats(-3, 3),
)
def test_register_undoes_phase_ramp_and_shift(
    shift: tuple[float, float], slope: tuple[float, float], phase: float
) -> None:
    reference = smooth_object()
    back = register(reference, moved(reference, shift, slope, phase), INNER)
    np.testing.assert_allclose(back[INNER], reference[INNER], atol=1e-5)


def test_register_finds_its_way_through_noise() -> None:
    reference, rng = smooth_object(), np.random.default_rng(1)
    noise = 0.05 * (rng.normal(size=(48, 48)) + 1j * rng.normal(size=(48, 48)))
    back = register(reference, moved(reference, (0.4, -1.3), (0.02, 0.05), 1.0) + noise, INNER)
    assert np.abs(back - reference)[INNER].std() < 0.06


def test_register_leaves_what_it_is_told_not_to_touch() -> None:
    reference = smooth_object()
    ramped, shifted = moved(reference, (0, 0), (0.05, 0), 0.7), moved(reference, (1.5, 0), (0, 0), 0.7)
    for image in (ramped, shifted):
        only_phase = register(reference, image, ramp=False, shift=False)
        turn = only_phase / image
        np.testing.assert_allclose(turn, turn[0, 0], rtol=1e-9)
        assert abs(turn[0, 0]) == pytest.approx(1)
        assert np.angle(np.vdot(only_phase, reference)) == pytest.approx(0, abs=1e-9)


def test_register_keeps_the_modulus() -> None:
    reference = smooth_object()
    assert np.abs(register(reference, 2 * reference)) == pytest.approx(2 * np.abs(reference), rel=1e-3)


def test_register_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"images of \(4, 4\) and \(5, 5\)"):
        register(np.ones((4, 4)), np.ones((5, 5)))
    with pytest.raises(ValueError, match="support: "):
        register(np.ones((4, 4)), np.ones((4, 4)), np.zeros((4, 4), bool))


def test_apodisation_is_flat_inside_and_falls_to_zero() -> None:
    window = apodisation((40, 40), edge=0.25)
    assert window[20, 20] == 1 and window[10, 15] == 1
    # Half way down the edge, 5 pixels in, the cosine is at 1/2: between the samples at 4.5 and 5.5.
    assert (window[4, 20] + window[5, 20]) / 2 == pytest.approx(0.5)
    assert window[0, 0] < 1e-4
    with pytest.raises(ValueError, match="edge: 0"):
        apodisation((4, 4), edge=0)


PUBLISHED = {
    # (a + b / sqrt(n)) / (c + d / sqrt(n)): van Heel and Schatz 2005, equations 14 and 17, for "split"
    ("split", 0.5): (0.2071, 1.9102, 1.2071, 0.9102),
    ("split", 1): (0.5, 2.4142, 1.5, 1.4142),
    ("two", 0.5): (0.4142, 2.2872, 1.4142, 1.2872),
    ("two", 1): (1, 3, 2, 2),  # each image with SNR 1: 2 sqrt(1) = 2
}


@pytest.mark.parametrize(("kind", "bits"), PUBLISHED)
def test_thresholds_are_those_published(kind: str, bits: float) -> None:
    a, b, c, d = PUBLISHED[kind, bits]
    counts = np.array([4, 9, 100, 10**12])
    root = np.sqrt(counts)
    assert bit_threshold(counts, kind, bits) == pytest.approx((a + b / root) / (c + d / root), abs=1e-4)


@given(st.sampled_from(["two", "split"]), st.floats(0.05, 4), st.integers(1, 10**6))
def test_a_threshold_falls_from_one_to_what_the_information_asks(kind: str, bits: float, n: int) -> None:
    first, here, next_one, last = bit_threshold(np.array([1, n, n + 1, 10**18]), kind, bits)
    assert first == pytest.approx(1) and here > next_one > last
    # FRC = s / (1 + s), so s = FRC / (1 - FRC); the sum of two halves has twice the SNR of each.
    snr = last / (1 - last) * (2 if kind == "split" else 1)
    assert np.log2(1 + snr) == pytest.approx(bits, rel=1e-6)


def test_thresholds_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="kind: 'three', expected 'two' or 'split'"):
        bit_threshold(np.array([4]), "three")
    with pytest.raises(ValueError, match="bits: 0, expected a positive number"):
        bit_threshold(np.array([4]), bits=0)
    with pytest.raises(ValueError, match="kind: 'three'"):
        frc(np.ones((4, 4)), np.ones((4, 4)), kind="three")


def test_frc_of_an_image_with_itself_is_one() -> None:
    image = np.random.default_rng(2).normal(size=(32, 32))
    curve = frc(image, 3 * image)
    np.testing.assert_allclose(curve.values, 1)
    assert curve.crossing == 1.0


def test_rings_are_one_sample_wide_up_to_nyquist() -> None:
    curve = frc(np.ones((8, 8)), np.ones((8, 8)))
    np.testing.assert_allclose(curve.frequencies, [0, 0.25, 0.5, 0.75, 1])
    # Radius 1: 4 on the axes, 4 diagonal (1.41 rounds to 1). Radius 2: 4 on the axes, 8 at 2.24; 2.83 rounds to 3.
    assert curve.counts[:3].tolist() == [1, 8, 12]
    np.testing.assert_allclose(curve.threshold, bit_threshold(curve.counts))


@pytest.mark.parametrize("n", [32, 33])
def test_each_frequency_falls_in_its_ring(n: int) -> None:
    """A wave k periods long in the first image and another in the second correlate in ring k alone."""
    x = np.arange(n)
    first = sum(np.cos(2 * np.pi * k * x / n + k) for k in (2, 5, 9)) * np.ones((n, 1))
    second = np.cos(2 * np.pi * 5 * x / n + 5) * np.ones((n, 1))
    values = frc(first, second + 0 * first).values
    assert values[5] == pytest.approx(1)
    assert frc(first, first).frequencies[5] == pytest.approx(5 / (n / 2))


def test_frc_of_noisy_images_is_snr_over_one_plus_snr() -> None:
    """White noise, white signal with SNR 9 below half of Nyquist and 1/9 above: FRC 0.9 and 0.1."""
    rng, n = np.random.default_rng(3), 256
    f = np.fft.fftfreq(n) * n
    gain = np.where(np.hypot(f[:, None], f) <= n / 4, 3, 1 / 3)
    signal = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, n))) * gain)
    curve = frc(signal + rng.normal(size=(n, n)), signal + rng.normal(size=(n, n)))
    assert curve.values[20:62].mean() == pytest.approx(0.9, abs=0.02)
    assert curve.values[68:].mean() == pytest.approx(0.1, abs=0.02)


def test_independent_noise_does_not_correlate() -> None:
    rng = np.random.default_rng(4)
    curve = frc(rng.normal(size=(128, 128)), rng.normal(size=(128, 128)))
    assert curve.values[10:].mean() < 0.1 and curve.crossing < 0.1


def test_a_window_hides_the_border() -> None:
    rng = np.random.default_rng(5)
    image, other = rng.normal(size=(2, 32, 32))
    other[8:24, 8:24] = image[8:24, 8:24]
    window = np.zeros((32, 32))
    window[8:24, 8:24] = 1
    np.testing.assert_allclose(frc(image, other, window=window).values, 1)
    assert frc(image, other).values[5:].mean() < 0.7


def curve(values: list[float]) -> FRC:
    """A curve whose threshold is 1/2 in every ring: 1-bit of two data sets, rings so large that chance is nil."""
    rings = len(values)
    return FRC(np.arange(rings) / (rings - 1), np.array(values), np.full(rings, 2**62), "two", 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 1, 0.9, 0.1, 0.9], 0.625),  # 0.9 to 0.1 through 0.5 half way from 0.5 to 0.75; what rises again is noise
        ([1, 1, 0.6, 0.2, 0.1], 0.5 + 0.25 * 0.25),
        ([0, 1, 1, 1, 1], 1.0),  # zero frequency does not count
        ([1, 0.1, 1, 1, 1], 0.25),
    ],
)
def test_crossing_is_the_first_and_linear_between_rings(values: list[float], expected: float) -> None:
    assert curve(values).crossing == pytest.approx(expected)


def test_touching_the_threshold_is_not_below_it() -> None:
    above = curve([1.0, 1.0, 1.0])
    assert replace(above, values=above.threshold).crossing == 1.0


def test_one_curve_is_judged_by_either_criterion() -> None:
    falling = replace(curve([1, 0.8, 0.6, 0.4, 0.2]), bits=0.5)
    # Rings so large: half-bit of two data sets is 0.4142 / 1.4142 = 0.2929, 1-bit of a split one 0.5 / 1.5.
    assert falling.crossing == pytest.approx(0.75 + 0.25 * (0.4 - 0.2929) / 0.2, abs=1e-4)
    assert replace(falling, kind="split", bits=1).crossing == pytest.approx(0.75 + 0.25 * (0.4 - 1 / 3) / 0.2)
    assert falling.criterion == "half-bit, two full data sets"
    assert frc(np.eye(4), np.eye(4), kind="split", bits=1).criterion == "1-bit, one data set split in half"


def test_resolution_is_a_period_in_the_unit_of_the_pixel() -> None:
    # u = 0.625 / (2 * 8 nm), 1 / u = 25.6 nm
    assert curve([1, 1, 0.9, 0.1, 0.9]).resolution(8) == pytest.approx(25.6)
    assert curve([1, 1, 1]).resolution(8) == 16
    with pytest.raises(ValueError, match="pixel: 0, expected a positive length"):
        curve([1, 1, 1]).resolution(0)


def test_frc_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"images of \(4, 4\) and \(4, 5\)"):
        frc(np.ones((4, 4)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="same square"):
        frc(np.ones((4, 5)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="not finite"):
        frc(np.ones((4, 4)), np.full((4, 4), np.nan))


FRAMES = np.array([[[4.0, 9.0], [0.0, 16.0]], [[1.0, 1.0], [1.0, 25.0]]])
MEASURED = np.array([[[1.0, 9.0], [4.0, np.nan]], [[1.0, 0.0], [1.0, 36.0]]])


def test_data_errors_by_hand() -> None:
    # Seven valid pixels. (4 - 1)^2 + (0 - 4)^2 + (1 - 0)^2 + (25 - 36)^2; 4 of 1 + 4 + 1 + 1 for the roots.
    assert data_mse(FRAMES, MEASURED) == pytest.approx((9 + 16 + 1 + 121) / 7)
    assert data_error(FRAMES, MEASURED) == pytest.approx(4 * 7 / 7)


def test_masked_pixels_do_not_count_whatever_they_hold() -> None:
    first = np.array([[True, False], [False, False]])
    assert data_mse(FRAMES, MEASURED, first) == pytest.approx((16 + 1 + 121) / 5)
    assert data_error(FRAMES, MEASURED, first) == pytest.approx(4 * 6 / 5)
    whole = np.stack([first, np.ones((2, 2), bool)])
    assert data_mse(FRAMES, MEASURED, whole) == pytest.approx(16 / 2)
    frames = np.where(whole, -7.0, FRAMES)
    assert data_error(frames, MEASURED, whole) == pytest.approx(4 * 4 / 2)


def test_unsigned_counts_do_not_wrap() -> None:
    assert data_mse(np.array([[[300, 2]]], np.uint16), np.array([[[0, 2]]], np.uint16)) == pytest.approx(45000)


@pytest.mark.parametrize(("mean", "expected"), [(0.01, 0.072), (1, 1.815), (1000, 1.0)])
def test_data_error_of_the_truth_is_that_of_poisson_noise(mean: float, expected: float) -> None:
    """4 E[(sqrt(N) - sqrt(mu))^2] = 8 mu - 8 sqrt(mu) E[sqrt(N)], E[sqrt(N)] = sum of sqrt(k) mu^k e^-mu / k!.

    mu = 0.01: 0.00997 of E, 0.08 - 0.8 * 0.00994; mu = 1: E = 0.3679 * (1 + 0.7071 + 0.2887 + 0.0833 + 0.0186 + 0.0034
    + 0.0005 + 0.0001) = 0.7732.
    """
    counts = np.random.default_rng(6).poisson(mean, (4, 256, 256))
    assert data_error(np.full(counts.shape, mean), counts) == pytest.approx(expected, rel=0.05 if mean < 1 else 0.01)


def test_data_errors_refuse_what_does_not_match() -> None:
    for metric in (data_mse, data_error):
        with pytest.raises(ValueError, match=r"frames: shape \(2, 2, 2\), expected \(1, 2, 2\)"):
            metric(FRAMES, MEASURED[:1])
        with pytest.raises(ValueError, match=r"mask: shape \(3, 3\), expected that of a frame or \(2, 2, 2\)"):
            metric(FRAMES, MEASURED, np.ones((3, 3), bool))
        with pytest.raises(ValueError, match="measured: no valid pixel"):
            metric(FRAMES, MEASURED, np.ones((2, 2), bool))
        for bad in (-1.0, np.inf, np.nan):
            with pytest.raises(ValueError, match="negative or not finite in a valid pixel"):
                metric(np.full((2, 2, 2), bad), MEASURED)


@pytest.mark.parametrize("shift", [(0.4, -1.3), (-2.25, 3.6)])
def test_registration_agrees_with_scikit_image(shift: tuple[float, float]) -> None:
    """Its phase correlation is given to 1/100 pixel here."""
    registration = pytest.importorskip("skimage.registration")
    reference = smooth_object()
    image = moved(reference, shift, (0, 0), 0)
    found = registration.phase_cross_correlation(reference, image, upsample_factor=100, normalization=None)[0]
    theirs = np.fft.ifft2(fourier_shift(np.fft.fft2(image), found))
    ours = register(reference, image, INNER, ramp=False)
    np.testing.assert_allclose(ours[INNER], theirs[INNER], atol=2e-3)
    left = registration.phase_cross_correlation(reference, ours, upsample_factor=100, normalization=None)[0]
    assert np.abs(left).max() < 0.011 < np.abs(found).max()


def test_errors_agree_with_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    first, second = np.random.default_rng(7).random((2, 3, 9, 9))
    expected = metrics.mean_squared_error(first, second)
    assert data_mse(first, second) == pytest.approx(expected)
    assert smse(first[0], second[0], np.ones((9, 9), bool)) == pytest.approx(
        metrics.mean_squared_error(first[0], second[0])
    )


@pytest.mark.filterwarnings("ignore")  # of a package that is not ours
def test_correlation_and_thresholds_agree_with_cdtools() -> None:
    """Seen with cdtools-py 0.3.2.

    Its rings hold radii from k to k + 1 and ours from k - 1/2 to k + 1/2: the images have no power but
    where both mean ring k.
    """
    calc_frc = pytest.importorskip("cdtools.tools.analysis").calc_frc
    n, rng = 64, np.random.default_rng(8)
    axis = np.fft.fftfreq(n, 1 / n)
    radius = np.hypot(axis[:, None], axis)
    both = (radius % 1 > 0.02) & (radius % 1 < 0.48)
    common, *noise = np.fft.fft2(rng.normal(size=(3, n, n)))
    first, second = (np.fft.ifft2((common / (1 + radius / 8) ** 2 + 0.3 * other) * both).real for other in noise)
    rings = n // 2 - 1
    for kind, bits, snr in (("split", 1, 1.0), ("split", 0.5, 2**0.5 - 1), ("two", 1, 2.0)):
        _, values, threshold = calc_frc(first, second, np.eye(3)[:, :2], nbins=rings, snr=snr)
        ours = frc(first, second, kind=kind, bits=bits)
        # Their last ring is closed; their first holds zero frequency, which has no power here, and radius 1.2.
        np.testing.assert_allclose(ours.values[2 : rings - 1], np.abs(values)[2:-1], rtol=1e-9)
        counts = np.histogram(radius / n, rings, (0, rings / n))[0]
        np.testing.assert_allclose(bit_threshold(counts, kind, bits), threshold, rtol=1e-12)
    assert ours.values[2] > 0.9 > 0.5 > ours.values[2:].min()
