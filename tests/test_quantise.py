# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from ptychopress.model.pca import Components, learn, pixel_noise
from ptychopress.model.quantise import Compressor, choose_widths, quantise
from ptychopress.model.transform import Transform

CODES = Transform.codes("sqrt-b")


def counts(frames: int = 200, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    directions = np.abs(np.random.default_rng(0).normal(size=(6, 63)))
    return rng.poisson(np.abs(rng.normal(size=(frames, 6))) @ directions * 30).reshape(frames, 7, 9)


def trained(
    transform: Transform = CODES, centred: bool = True, count: int = 8, noisy: bool = False
) -> tuple[Components, np.ndarray]:
    values = transform.forward(counts())
    noise = pixel_noise(transform, counts().mean(axis=0, keepdims=True)) if noisy else None
    return learn(values, count, transform=transform, centred=centred, noise=noise), values


@pytest.mark.parametrize("transform", [Transform(), CODES], ids=str)
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("noisy", [True, False])
@pytest.mark.parametrize(("weight_bits", "output_bits"), [(4, 16), (8, 16), (8, 6), (16, 32)])
def test_report_is_the_distance_of_the_frames(
    transform: Transform, centred: bool, noisy: bool, weight_bits: int, output_bits: int
) -> None:
    parts, values = trained(transform, centred, noisy=noisy)
    entry = quantise(parts, values, weight_bits, output_bits)
    # As the words say it, frame by frame, in units of each pixel's noise.
    floats = parts.expand(parts.project(values)).reshape(len(values), -1)
    coefficients, saturated = entry.compress(counts())
    assert not saturated.any()
    variance = transform.noise_variance(transform.inverse(floats)) / parts.noise**2
    noise = np.mean(np.sum((variance @ (parts.rows**2).T), axis=1))
    found = (entry.values(coefficients).reshape(len(values), -1) - floats) / parts.noise
    assert entry.report["loss"] == pytest.approx(np.mean(np.sum(found**2, axis=1)) / noise, rel=1e-6, abs=1e-9)
    assert entry.report["noise_variance"] == pytest.approx(noise / parts.count)
    # Without rounding the outputs: the frame of the float space that the integer matrix maps to the same.
    matrix = entry.projection.weights * entry.scale[:, None]
    seen = (values.reshape(len(values), -1) - parts.mean) @ matrix.T
    exact = np.linalg.solve((matrix * parts.noise) @ parts.rows.T, seen.T).T @ parts.rows * parts.noise + parts.mean
    lost = np.mean(np.sum(((exact - floats) / parts.noise) ** 2, axis=1))
    assert entry.report["loss_weights"] == pytest.approx(lost / noise, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("centred", [True, False])
def test_loss_falls_with_every_bit(centred: bool) -> None:
    parts, values = trained(centred=centred)
    by_weight = [quantise(parts, values, bits, 32).report["loss_weights"] for bits in range(4, 17, 2)]
    assert all(b < a / 4 for a, b in pairwise(by_weight))
    by_output = [quantise(parts, values, 16, bits).report["loss_outputs"] for bits in range(4, 13, 2)]
    assert all(b < a / 8 for a, b in pairwise(by_output))


@pytest.mark.parametrize("weight_bits", [2, 4, 8, 18])
def test_weights_fill_their_range(weight_bits: int) -> None:
    parts, values = trained(noisy=True)
    entry = quantise(parts, values, weight_bits, 16)
    weights = entry.projection.weights.astype(int)
    assert (np.abs(weights).max(axis=1) == 2 ** (weight_bits - 1) - 1).all()
    assert np.abs(weights * entry.scale[:, None] - parts.matrix).max() <= entry.scale.max() / 2 * (1 + 1e-9)
    np.testing.assert_array_equal(entry.projection.bias, -np.rint(weights @ parts.mean))


def test_uncentred_components_have_no_bias() -> None:
    assert not quantise(*trained(centred=False)).projection.bias.any()


@pytest.mark.parametrize("output_bits", [4, 6, 8, 12])
def test_shift_is_the_smallest_without_saturation(output_bits: int) -> None:
    parts, values = trained()
    entry = quantise(parts, values, 10, output_bits)
    projection = entry.projection
    assert not projection.project(values)[1].any()
    # Four standard deviations of the noise wider: by exact sums, with Python's integers.
    variance = CODES.noise_variance(parts.intensity(parts.project(values))).reshape(len(values), -1).mean(axis=0)
    for s in range(parts.count):
        sums = projection.sums(values)[:, s]
        margin = 4 * np.sqrt(projection.weights[s].astype(float) ** 2 @ variance)
        low, high = sums.min() - margin, sums.max() + margin

        def fits(shift: int, low: float = low, high: float = high) -> bool:
            limit = 2 ** (output_bits - 1)
            return -limit <= np.floor(low / 2**shift + 0.5) and np.floor(high / 2**shift + 0.5) < limit

        shift = int(projection.shift[s])
        assert fits(shift) and (shift == 0 or not fits(shift - 1))


def test_half_a_step_fits_beside_the_bias(monkeypatch: pytest.MonkeyPatch) -> None:
    # So much noise beside so small a range that only a shift would do whose half step is no word of the table.
    values = np.array([[[1]], [[0]]])
    parts = learn(values, 1, transform=Transform("counts", 1), noise=np.array([20.78]))
    with pytest.raises(ValueError, match="output_bits 2 is too small"):
        quantise(parts, values, 9, 2)
    for bits in (3, 8):
        projection = quantise(parts, values, 9, bits).projection
        assert projection.format.bias_format.holds(projection.preload)
        assert not projection.project(values)[1].any()
    monkeypatch.setattr("ptychopress.model.quantise.WEIGHT_BITS", (9,))
    assert choose_widths(parts, values, 1e3).projection.format.output_bits == 3


def test_new_frames_do_not_saturate_either() -> None:
    entry = quantise(*trained(), 8, 8)
    assert entry.compress(counts(2000, seed=5))[1].mean() < 1e-3


def test_some_may_saturate_if_asked() -> None:
    parts, values = trained()
    strict, loose = quantise(parts, values, 8, 8), quantise(parts, values, 8, 8, saturate_share=0.2)
    assert (loose.projection.shift <= strict.projection.shift).all()
    assert (loose.projection.shift < strict.projection.shift).any()
    saturated = loose.projection.project(values)[1]
    assert saturated.any() and (saturated.mean(axis=0) <= 0.2).all()
    assert loose.report["saturated"] == pytest.approx(saturated.mean())
    assert strict.report["saturated"] == 0


@pytest.mark.parametrize("weight_bits", [3, 4, 8])
def test_what_lies_in_the_space_comes_back_however_coarse_the_weights(weight_bits: int) -> None:
    rng = np.random.default_rng(7)
    pattern = rng.integers(0, 9, (4, 63))
    values = (rng.integers(0, 7, (40, 4)) @ pattern).astype(np.uint8)
    parts = learn(values, 4, transform=Transform(count_bits=8), centred=False)
    entry = quantise(parts, values, weight_bits, 32)
    coefficients = entry.compress(values)[0]
    # To the float32 of the rows.
    np.testing.assert_allclose(entry.values(coefficients), values, atol=1e-4)
    # The faults: coefficients taken for those of the float components, and the pseudo-inverse of the integers.
    taken = coefficients * entry.step
    for decoder in (parts.rows, np.linalg.pinv(entry.matrix).T):
        assert np.abs(taken @ decoder - values).max() > 0.1


@pytest.mark.parametrize("max_loss", [1e-4, 0.01, 0.3])
def test_chosen_widths_are_the_narrowest(max_loss: float) -> None:
    parts, values = trained()
    entry = choose_widths(parts, values, max_loss)
    size = entry.projection.format
    assert entry.report["loss"] <= max_loss
    assert quantise(parts, values, size.weight_bits, size.output_bits - 1).report["loss"] > max_loss
    if size.weight_bits > 4:
        narrower = quantise(parts, values, size.weight_bits - 1, 32)
        assert narrower.report["loss_weights"] > 0.75 * max_loss


def test_masked_pixels_neither_count_nor_come_back() -> None:
    mask = np.zeros((7, 9), bool)
    mask[0, 4] = mask[5, 5] = True
    frames = counts()
    values = CODES.forward(frames)
    entry = quantise(learn(values, 8, transform=CODES, mask=mask), values)
    first = entry.compress(frames)
    frames[:, mask] = -2
    second = entry.compress(frames)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(entry.compress(frames.reshape(200, 63))[0], first[0])
    back = entry.expand(second[0])
    assert np.isnan(back[:, mask]).all() and np.isfinite(back[:, ~mask]).all()
    with pytest.raises(ValueError, match="an invalid pixel has a weight"):
        replace(entry, mask=~mask)


def test_expanded_intensities_are_photons() -> None:
    parts, values = trained()
    entry = quantise(parts, values, 12, 16)
    frames = entry.expand(entry.compress(counts())[0])
    assert frames.shape == (200, 7, 9) and (frames >= 0).all()
    np.testing.assert_allclose(frames, parts.intensity(parts.project(values)), rtol=0.05, atol=0.05)
    assert entry.expand(entry.compress(counts()[0])[0]).shape == (7, 9)


def test_components_that_become_one_still_decode() -> None:
    entry = quantise(*trained(count=2))
    same = type(entry.projection)(entry.projection.format, np.ones((2, 63), int))
    assert np.isfinite(replace(entry, projection=same).values([[1, 1]])).all()


def test_mean_values_may_train() -> None:
    intensity = np.full((4, 7, 9), 30.0) + np.arange(4)[:, None, None]
    values = CODES.mean_value(intensity)
    entry = quantise(learn(values, 2, transform=CODES), values)
    exposed = np.random.default_rng(2).poisson(np.repeat(intensity, 100, axis=0))
    assert not entry.compress(exposed)[1].any()


def test_frames_of_one_row() -> None:
    # One more than are projected at a time: the last part is a single frame.
    values = CODES.forward(counts(513))
    parts, entry = (learn(values.reshape(513, *shape), 8, transform=CODES) for shape in ((1, 63), (7, 9)))
    row, frame = quantise(parts, values.reshape(513, 1, 63)), quantise(entry, values)
    found, expected = (e.compress(counts().reshape(-1, *e.frame_shape)) for e in (row, frame))
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert row.compress(counts()[0].reshape(1, 63))[0].shape == (8,)
    assert row.expand(found[0]).shape == (200, 1, 63)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, v: quantise(learn(v, 2, transform=Transform("anscombe")), v), "the projector takes counts or codes"),
        (lambda p, v: quantise(p, v, weight_bits=19), "weight_bits must be a whole number from 2 to 18"),
        (lambda p, v: quantise(p, v, output_bits=1), "output_bits must be a whole number from 2 to 32"),
        (lambda p, v: quantise(p, v, saturate_share=1.0), "saturate_share must lie from 0"),
        (lambda p, v: quantise(p, v.astype(int) + 256), "training values from .* expected 0 to 255"),
        (lambda p, v: quantise(p, v * np.nan), "training values from nan"),
        (lambda p, v: quantise(p, v[:, 1:]), "frames of shape"),
        (lambda p, v: quantise(learn(0 * v, 2, transform=CODES), 0 * v), "without noise, as of dark frames"),
        (lambda p, v: choose_widths(learn(0 * v, 2, transform=CODES), 0 * v, 0.1), "without noise, as of dark frames"),
        (lambda p, v: choose_widths(p, v, 0.0), "max_loss must be a positive share"),
        (lambda p, v: choose_widths(p, v, 1e-15), "out of reach: weights of 16 bits alone cost"),
    ],
)
def test_wrong_use_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(*trained())


def test_parts_that_do_not_fit_are_refused() -> None:
    entry = quantise(*trained())
    for change, message in (
        ({"transform": Transform()}, "values of 14 bits, a projection of 8"),
        ({"frame_shape": (7, 8)}, "a projection of 63 pixels"),
        ({"frame_shape": (-7, -9)}, "a projection of 63 pixels"),
        ({"frame_shape": ()}, "a projection of 63 pixels"),
        ({"rows": entry.rows[:7]}, r"rows is float32 \(7, 63\), expected finite numbers \(8, 63\)"),
        ({"rows": entry.rows * np.float32(np.nan)}, "rows is float32"),
        ({"scale": np.ones(7)}, "scale is float64"),
        ({"scale": np.zeros(8)}, "expected more than 0"),
        ({"mean": np.full(63, np.nan)}, "mean is float64"),
        ({"mask": np.zeros((9, 7), bool)}, "mask has shape"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(entry, **change)
    assert isinstance(entry, Compressor)
