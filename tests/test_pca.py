# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import doctest

import numpy as np
import pytest
from ptychopress.model import pca
from ptychopress.model.pca import Components, StreamingPca, authors_matrix, authors_recipe, learn
from ptychopress.model.transform import Transform


def low_rank(frames: int, pixels: int, rank: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(frames, rank)) @ rng.normal(size=(rank, pixels)) + rng.normal(size=pixels)


def noisy(frames: int = 400, seed: int = 2) -> np.ndarray:
    """Poisson counts of frames that vary in six directions."""
    rng = np.random.default_rng(seed)
    signal = np.abs(rng.normal(size=(frames, 6))) @ np.abs(rng.normal(size=(6, 63))) * np.array([9.0])
    return rng.poisson(signal).reshape(frames, 7, 9)


def same_space(a: np.ndarray, b: np.ndarray) -> float:
    """Smallest cosine between two spaces of orthonormal rows."""
    return float(np.linalg.svd(a @ b.T, compute_uv=False).min())


def require_orthonormal(entry: Components) -> None:
    np.testing.assert_allclose(entry.rows @ entry.rows.T, np.eye(entry.count), atol=1e-12)


@pytest.fixture(params=["svd", "gram"])
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two ways, whatever the size."""
    monkeypatch.setattr(pca, "_SMALL", -1 if request.param == "gram" else 1 << 62)
    return request.param


@pytest.mark.parametrize("shape", [(60, 48), (48, 60)])
@pytest.mark.parametrize("centred", [True, False])
def test_low_rank_values_come_back(method: str, shape: tuple[int, int], centred: bool) -> None:
    values = low_rank(*shape, rank=5)
    # Uncentred, the common mean is a sixth direction.
    entry = learn(values, 6 - centred, centred=centred)
    require_orthonormal(entry)
    np.testing.assert_allclose(entry.expand(entry.project(values)), values, atol=1e-10)
    reference = np.linalg.svd(values - values.mean(axis=0) * centred, compute_uv=False)
    np.testing.assert_allclose(entry.singular_values, reference[: entry.count], rtol=1e-10)
    # One fewer is not enough.
    fewer = entry.first(entry.count - 1)
    assert np.abs(fewer.expand(fewer.project(values)) - values).max() > 0.1


@pytest.mark.parametrize("shape", [(60, 48), (48, 60)])
def test_both_ways_give_the_same_signs_included(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(3).normal(size=shape) * np.geomspace(1, 0.1, shape[1])
    exact = learn(values, 20)
    monkeypatch.setattr(pca, "_SMALL", -1)
    np.testing.assert_allclose(learn(values, 20).rows, exact.rows, atol=1e-8)
    largest = np.abs(exact.rows).argmax(axis=1)
    assert (exact.rows[np.arange(20), largest] > 0).all()


@pytest.mark.parametrize("count", [20, 21, 35, 63])
@pytest.mark.parametrize("centred", [True, False])
def test_the_basis_is_completed_beyond_the_rank(method: str, count: int, centred: bool) -> None:
    values = noisy(20)
    entry = learn(values, count, centred=centred)
    require_orthonormal(entry)
    np.testing.assert_allclose(entry.expand(entry.project(values)), values, atol=1e-9)
    assert (entry.singular_values[20:] == 0).all()
    if count == 63:
        others = noisy(5, seed=9)
        np.testing.assert_allclose(entry.expand(entry.project(others)), others, atol=1e-9)


def test_identical_frames_have_no_direction() -> None:
    values = np.full((30, 12), 4)
    entry = learn(values, 3)
    require_orthonormal(entry)
    np.testing.assert_allclose(entry.expand(entry.project(values)), values, atol=1e-12)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("splits", [[1, 2, 3], [30], [7, 8, 50], []])
def test_streaming_equals_batch_up_to_the_rank_kept(splits: list[int], centred: bool) -> None:
    values = low_rank(60, 48, rank=5)
    entry = StreamingPca(6 - centred, centred=centred, kept=6, piece=25)
    for part in np.split(values, splits):
        entry.partial_fit(part)
    found, batch = entry.components(), learn(values, 6 - centred, centred=centred)
    np.testing.assert_allclose(found.rows, batch.rows, atol=1e-10)
    np.testing.assert_allclose(found.mean, batch.mean, atol=1e-12)
    np.testing.assert_allclose(found.singular_values, batch.singular_values, rtol=1e-10)


@pytest.mark.parametrize("centred", [True, False])
def test_streaming_is_near_batch_on_noisy_counts_in_any_order(centred: bool) -> None:
    values = noisy()
    batch = learn(values, 6, centred=centred)
    for order in (values, values[::-1]):
        entry = StreamingPca(6, centred=centred, piece=30)
        entry.partial_fit(order)
        assert same_space(entry.components().rows, batch.rows) > 0.98


def test_without_the_shift_of_the_mean_streaming_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    # The second half differs from the first by a constant, which is the strongest component of all.
    values = low_rank(60, 48, rank=3)
    values[30:] += 50 * np.random.default_rng(8).normal(size=48)
    batch = learn(values, 4)

    def cosine() -> float:
        entry = StreamingPca(4, kept=4)
        entry.partial_fit(values[:30])
        entry.partial_fit(values[30:])
        return same_space(entry.components().rows, batch.rows)

    assert cosine() == pytest.approx(1, abs=1e-10)
    monkeypatch.setattr(pca.np, "sqrt", np.zeros_like)
    assert cosine() < 0.5


def test_merging_equals_streaming_all() -> None:
    values = low_rank(60, 48, rank=5)
    parts = [StreamingPca(5, kept=5) for _ in range(3)]
    parts[0].partial_fit(values[:13])
    parts[1].partial_fit(values[13:])
    parts[0].merge(parts[1])
    parts[0].merge(parts[2])  # which has seen nothing
    found, batch = parts[0].components(), learn(values, 5)
    np.testing.assert_allclose(found.rows, batch.rows, atol=1e-10)
    np.testing.assert_allclose(found.mean, batch.mean, atol=1e-12)
    assert parts[0].frames == 60


@pytest.mark.parametrize("count", [1, 7, 20])
def test_authors_recipe_is_the_projection_on_its_rows(count: int) -> None:
    counts = noisy(20)
    flat = counts.reshape(20, -1).astype(np.float64)
    # Section by section as they wrote it: covariance between frames, eigenvectors by falling eigenvalue, R = P' D.
    eigenvalues, vectors = np.linalg.eigh(np.cov(flat))
    rows = (vectors[:, np.argsort(-eigenvalues)].T @ flat)[:count]
    np.testing.assert_allclose(np.abs(authors_matrix(counts, count)), np.abs(rows), atol=1e-8)
    decoded = np.maximum(flat @ np.linalg.pinv(rows) @ rows, 0)
    entry = authors_recipe(counts, count)
    require_orthonormal(entry)
    np.testing.assert_allclose(entry.intensity(entry.project(counts)).reshape(20, -1), decoded, atol=1e-8)
    assert entry.recipe["method"] == "authors" and not entry.centred


def test_a_mask_takes_pixels_out() -> None:
    values, mask = noisy().astype(np.float64), np.zeros((7, 9), bool)
    mask[2, 3] = mask[6, 8] = True
    clean = learn(values.reshape(400, -1)[:, ~mask.ravel()], 61)
    values[:, mask] = np.nan
    entry = learn(values, 61, mask=mask)
    np.testing.assert_allclose(entry.rows[:, ~mask.ravel()], clean.rows, atol=1e-12)
    assert not entry.rows[:, mask.ravel()].any()
    back = entry.expand(entry.project(values))
    assert np.isnan(back[:, mask]).all()
    np.testing.assert_allclose(back[:, ~mask], values[:, ~mask], atol=1e-9)
    streaming = StreamingPca(61, mask=mask)
    streaming.partial_fit(values)
    np.testing.assert_allclose(np.abs(np.diag(streaming.components().rows @ entry.rows.T)), 1, atol=1e-8)
    with pytest.raises(ValueError, match="count must be a whole number from 1 to 61, got 62"):
        learn(values, 62, mask=mask)


def test_intensities_of_components_of_the_square_root() -> None:
    root = Transform("anscombe")
    intensity = np.abs(low_rank(50, 63, rank=2)).reshape(50, 7, 9) * 20
    entry = learn(root.mean_value(intensity), 50, transform=root)
    np.testing.assert_allclose(entry.intensity(entry.project(root.mean_value(intensity))), intensity, atol=1e-7)


def test_shapes_of_coefficients() -> None:
    entry = learn(noisy(), 5)
    stack = noisy(6).reshape(2, 3, 7, 9)
    assert entry.project(stack).shape == (2, 3, 5)
    assert entry.project(stack[0, 0].ravel()).shape == (5,)
    assert entry.expand(entry.project(stack)).shape == stack.shape
    assert (entry.count, entry.pixels, entry.frame_shape) == (5, 63, (7, 9))
    assert entry.recipe == {"method": "pca", "count": 5, "frames": 400, "centred": True}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learn(noisy(), 64), "count must be a whole number from 1 to 63, got 64"),
        (lambda: learn(noisy(), 0), "count must be a whole number"),
        (lambda: learn(np.ones(5), 1), r"values of shape \(5,\): expected \(J, rows, columns\)"),
        (lambda: learn(np.ones((0, 5)), 1), "not empty"),
        (lambda: learn(np.full((3, 5), np.inf), 1), "NaN or infinity"),
        (lambda: learn(np.ones((3, 5), complex), 1), "expected real numbers"),
        (lambda: learn(noisy(), 3, mask=np.zeros((9, 7), bool)), r"mask is bool \(9, 7\), expected bool \(7, 9\)"),
        (lambda: authors_recipe(noisy(20), 21), "from 1 to 20, got 21"),
        (lambda: learn(noisy(), 3).first(4), "count must lie from 1 to 3"),
        (lambda: learn(noisy(), 3).project(np.ones((3, 62))), "expected frames of"),
        (lambda: StreamingPca(3, kept=2), "no more asked for than kept"),
        (lambda: StreamingPca(3).components(), "no frames to learn from yet"),
        (lambda: StreamingPca(3).merge(StreamingPca(3, centred=False)), "same transform and centring"),
        (lambda: Components(rows=2 * np.eye(3), singular_values=np.ones(3), frame_shape=(3,)), "not orthonormal"),
        (lambda: Components(rows=np.eye(3), singular_values=np.ones(2), frame_shape=(3,)), "singular_values has shape"),
    ],
)
def test_wrong_use_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_frames_of_another_shape_are_refused() -> None:
    entry = StreamingPca(3)
    entry.partial_fit(noisy(5))
    with pytest.raises(ValueError, match=r"frames of shape \(9, 7\) after frames of shape \(7, 9\)"):
        entry.partial_fit(noisy(5).transpose(0, 2, 1))


def test_examples() -> None:
    assert doctest.testmod(pca).failed == 0
