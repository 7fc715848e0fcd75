# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import doctest
import json

import numpy as np
import pytest
from ptychopress.model import transform as module
from ptychopress.model.codebook import Codebook
from ptychopress.model.transform import Transform
from scipy.stats import poisson

COARSE = Codebook.named("nearest-sqrt", scale=0.5)
ALL = [
    Transform(),
    Transform(count_bits=9),
    Transform("anscombe"),
    Transform("anscombe", 6),
    *[Transform.codes(name) for name in ("sqrt-a", "sqrt-b", "sqrt-c", "sqrt-c-zero", "floor-sqrt")],
    Transform.codes(COARSE),
    Transform.codes("argonne-10to7"),
]
CURVED = [entry for entry in ALL if entry.kind != "counts"]


def ids(entry: Transform) -> str:
    return f"{entry}, {entry.count_bits} bit"


def intensities(entry: Transform) -> np.ndarray:
    """From the dark over the whole range of the counter, off any grid."""
    end = float(1 << entry.count_bits)
    return np.concatenate([[0.0], np.geomspace(1e-2, 3, 15), np.geomspace(3.1, 0.999 * end, 15)])


@pytest.mark.parametrize("entry", CURVED, ids=ids)
def test_mean_and_variance_are_exact_sums(entry: Transform) -> None:
    for intensity in [*intensities(entry), 1.3 * (1 << entry.count_bits)]:
        counts = np.arange(max(0, int(intensity - 12 * intensity**0.5)), int(intensity + 12 * intensity**0.5) + 40)
        values = entry.forward(counts).astype(np.float64)
        weight = poisson.pmf(counts, intensity)
        mean = weight @ values
        assert entry.mean_value(intensity) == pytest.approx(mean, abs=1e-5)
        assert entry.noise_variance(intensity) == pytest.approx(weight @ (values - mean) ** 2, abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("entry", ALL, ids=ids)
def test_mean_and_variance_are_those_of_samples(entry: Transform) -> None:
    rng = np.random.default_rng(1)
    for intensity in (0.3, 5.0, 40.0):
        values = entry.forward(rng.poisson(intensity, 200_000)).astype(np.float64)
        # Five standard errors.
        error = 5 * np.sqrt(values.var() / values.size)
        assert entry.mean_value(intensity) == pytest.approx(values.mean(), abs=error)
        assert entry.noise_variance(intensity) == pytest.approx(values.var(), rel=0.02, abs=1e-3)


@pytest.mark.parametrize("entry", ALL, ids=ids)
def test_inverse_undoes_the_mean(entry: Transform) -> None:
    intensity = intensities(entry)
    # Where a codebook's first bin holds several counts, the curve is flat in the dark.
    sure = intensity > 0.05 if entry.kind == "codes" else intensity >= 0
    found = entry.inverse(entry.mean_value(intensity))
    np.testing.assert_allclose(found[sure], intensity[sure], rtol=1e-9, atol=1e-9)
    assert (np.abs(found - intensity) < 0.05).all()


def test_mean_is_not_the_value_of_the_mean() -> None:
    root = Transform("anscombe")
    naive = 2 * np.sqrt(0.5 + 0.375)
    assert abs(root.mean_value(0.5) - naive) > 0.1
    # The algebraic inverse of the mean value misses the intensity: that bias is what the exact inverse is there for.
    assert (root.mean_value(0.5) / 2) ** 2 - 0.375 < 0.4


@pytest.mark.parametrize("entry", CURVED, ids=ids)
def test_the_curve_rises_and_goes_on_beyond_the_range(entry: Transform) -> None:
    largest = float(entry.forward(1 << entry.count_bits))
    values = np.linspace(-3, 1.5 * largest, 4000)
    intensity = entry.inverse(values)
    assert (np.diff(intensity) >= 0).all()
    assert (intensity[values <= float(entry.forward(0))] == 0).all()
    # A smooth continuation: a step beyond the range is like one before it, within half.
    end = float(entry.mean_value(float(1 << entry.count_bits)))
    slopes = np.diff(np.sqrt(entry.inverse([0.6 * end, 0.9 * end, 1.05 * end, 1.35 * end])))
    assert slopes[2] == pytest.approx(slopes[0], rel=0.5)
    assert np.isfinite(intensity).all() and intensity[-1] > 1 << entry.count_bits


def test_anscombe_has_unit_variance_where_there_is_light() -> None:
    np.testing.assert_allclose(Transform("anscombe").noise_variance([10, 100, 1000, 10000]), 1, atol=0.02)


@pytest.mark.parametrize("entry", ALL, ids=ids)
def test_values_are_what_the_hardware_takes(entry: Transform) -> None:
    counts = np.array([[0, 1, 7], [100, (1 << entry.count_bits) - 1, 60000]])
    values = entry.forward(counts)
    assert values.shape == counts.shape
    if entry.integral:
        assert values.dtype.kind == "u"
        assert int(values.max()) < 1 << entry.input_bits
        assert entry.forward(counts.astype(np.uint16)).dtype == values.dtype
    else:
        largest = (1 << entry.count_bits) - 1
        np.testing.assert_array_equal(values, 2 * np.sqrt(np.minimum(counts, largest) + 3 / 8))
    if entry.kind == "counts":
        np.testing.assert_array_equal(values, np.minimum(counts, (1 << entry.count_bits) - 1))
    if entry.codebook:
        np.testing.assert_array_equal(values, entry.codebook.encode(counts))


def test_plain_counts_are_themselves() -> None:
    intensity = np.array([0.0, 0.1, 17.3, 1e6])
    for result in (Transform().mean_value(intensity), Transform().noise_variance(intensity)):
        np.testing.assert_array_equal(result, intensity)
    np.testing.assert_array_equal(Transform().inverse([-2.0, 0.0, 3.5]), [0.0, 0.0, 3.5])


@pytest.mark.parametrize("entry", ALL, ids=ids)
def test_comes_back_from_json(entry: Transform) -> None:
    found = Transform.from_dict(json.loads(json.dumps(entry.to_dict())))
    assert found == entry and str(found) == str(entry)
    assert hash(found) == hash(entry)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Transform("log"), ValueError, "unknown transform 'log': known are counts, anscombe, codes"),
        (lambda: Transform("codes"), ValueError, "codes, and only they, take one"),
        (lambda: Transform("counts", 14, COARSE), ValueError, "codes, and only they, take one"),
        (lambda: Transform(count_bits=21), ValueError, "count_bits must be a whole number from 1 to 20, got 21"),
        (lambda: Transform.codes(Codebook.named("noise-matched", gain=2)), ValueError, "expected photon counts"),
        (lambda: Transform("anscombe").input_bits, ValueError, "the projector takes counts or codes"),
        (lambda: Transform().forward([1.5]), TypeError, "counts must be integers, got float64"),
        (lambda: Transform("anscombe").forward([3, -1]), ValueError, "counts from -1: expected 0 or more"),
    ],
)
def test_wrong_use_is_refused(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_examples() -> None:
    assert doctest.testmod(module).failed == 0
