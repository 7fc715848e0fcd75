# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Metrics against cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.reconstruction.metrics import FRC, apodisation, frc, half_bit, phase_of, register, smse


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
@given(
    st.tuples(st.floats(-4, 4), st.floats(-4, 4)),
    st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
    st.floats(-3, 3),
)
def test_register_undoes_phase_ramp_and_shift(
    shift: tuple[float, float], slope: tuple[float, float], phase: float
) -> None:
    reference = smooth_object()
    back = register(reference, moved(reference, shift, slope, phase), INNER)
    np.testing.assert_allclose(back[INNER], reference[INNER], atol=2e-3)


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


def test_half_bit_thresholds_by_hand() -> None:
    # n = 4: (0.4142 + 1.1436) / (1.4142 + 0.6436) and (0.2071 + 0.9551) / (1.2071 + 0.4551)
    assert half_bit(np.array([4]))[0] == pytest.approx(1.5578 / 2.0578)
    assert half_bit(np.array([4]), "split")[0] == pytest.approx(1.1622 / 1.6622)
    # n to infinity: SNR / (1 + SNR)
    assert half_bit(np.array([10**12]))[0] == pytest.approx(0.4142 / 1.4142, abs=1e-5)
    assert half_bit(np.array([10**12]), "split")[0] == pytest.approx(0.2071 / 1.2071, abs=1e-5)
    with pytest.raises(ValueError, match="kind: 'three', expected 'two' or 'split'"):
        half_bit(np.array([4]), "three")


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
    np.testing.assert_allclose(curve.threshold, half_bit(curve.counts))


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


def curve(values: list[float], threshold: list[float]) -> FRC:
    rings = len(values)
    return FRC(np.arange(rings) / (rings - 1), np.array(values), np.full(rings, 9), np.array(threshold), "two")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 1, 0.9, 0.1, 0.9], 0.625),  # 0.9 to 0.1 through 0.5 half way from 0.5 to 0.75; what rises again is noise
        ([1, 1, 0.6, 0.2, 0.1], 0.5 + 0.25 * 0.25),
        ([1, 1, 1, 1, 0.5], 1.0),  # touching is not below
        ([0, 1, 1, 1, 1], 1.0),  # zero frequency does not count
        ([1, 0.1, 1, 1, 1], 0.25),
    ],
)
def test_crossing_is_the_first_and_linear_between_rings(values: list[float], expected: float) -> None:
    assert curve(values, [0.5] * 5).crossing == pytest.approx(expected)


def test_frc_refuses_what_does_not_match() -> None:
    with pytest.raises(ValueError, match=r"images of \(4, 4\) and \(4, 5\)"):
        frc(np.ones((4, 4)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="same square"):
        frc(np.ones((4, 5)), np.ones((4, 5)))
