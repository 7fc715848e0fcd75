# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Losses: values written out, gradients by differences, statistics by sampling."""

from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

torch = pytest.importorskip("torch")
from ptychopress.model.codebook import Codebook
from ptychopress.model.pca import learn, pixel_noise
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.reconstruction.intervals import Intervals
from ptychopress.reconstruction.losses import (
    AmplitudeLoss,
    CoefficientLoss,
    IntervalLoss,
    Loss,
    MeanValue,
    PoissonLoss,
)

J, N = 6, 8
BOOKS = ("sqrt-a", "sqrt-b", "sqrt-c", "sqrt-c-zero", "argonne-10to7")


def means(seed: int = 1, largest: float = 300.0) -> np.ndarray:
    """Intensities from nearly dark to bright, centred."""
    return np.exp(np.random.default_rng(seed).uniform(np.log(1e-3), np.log(largest), (J, N, N))).astype(np.float32)


def counts(seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).poisson(means()).astype(np.uint16)


def first(frames: np.ndarray) -> Any:
    """As the model has them: zero frequency first."""
    return torch.from_numpy(np.fft.ifftshift(frames, axes=(-2, -1)).astype(np.float32))


@cache
def components(kind: str) -> Any:
    transform = Transform.codes("sqrt-b") if kind == "codes" else Transform(kind)  # type: ignore[arg-type]
    training = np.concatenate([means(seed) for seed in range(10)])
    values = transform.mean_value(training)
    return learn(values, 20, transform=transform, centred=True, noise=pixel_noise(transform, training)), values


@cache
def losses() -> dict[str, Loss]:
    book = Codebook.named("sqrt-b")
    mask = np.zeros((N, N), bool)
    mask[2, 3] = True
    spoiled = counts().astype(np.float32)
    spoiled[:, 1, 5] = np.nan
    found: dict[str, Loss] = {
        "amplitude": AmplitudeLoss(counts()),
        "amplitude, invalid": AmplitudeLoss(spoiled),
        "poisson": PoissonLoss(counts()),
        "poisson, invalid": PoissonLoss(spoiled),
        "poisson, saturated": PoissonLoss(np.minimum(counts(), 40), full_scale=40),
        "interval": IntervalLoss(book.encode(counts()), book),
        "interval, invalid": IntervalLoss(book.encode(counts()), book, mask=mask),
    }
    for kind in ("counts", "anscombe", "codes"):
        parts, values = components(kind)
        sent = parts.transform.forward(counts())
        found[f"coefficients of {kind}"] = CoefficientLoss(parts.project(sent), parts)
        if kind != "anscombe":
            compressor = quantise(parts, values, 6, 12)
            found[f"hardware coefficients of {kind}"] = CoefficientLoss(compressor.compress(counts())[0], compressor)
    return found


@pytest.mark.parametrize("name", losses())
def test_gradient_is_that_of_the_value(name: str) -> None:
    loss, index = losses()[name], torch.tensor([4, 1, 2])
    intensity = first(means(7))[index]
    gradient = loss.evaluate(intensity.clone(), index)[1].double()
    if isinstance(loss, CoefficientLoss):
        # By its definition: of the deviance of the completed frames, held.
        held = np.fft.fftshift(loss.complete(intensity, index)[0].numpy(), axes=(-2, -1))
        loss, index = PoissonLoss(held), torch.arange(3)
    rng = np.random.default_rng(8)
    for _ in range(5):
        direction = torch.from_numpy(rng.normal(size=intensity.shape)) * intensity
        up, down = (float(loss.evaluate((intensity + sign * 1e-3 * direction).float(), index)[0]) for sign in (1, -1))
        slope = float((gradient * direction).sum())
        scale = float((gradient * direction).abs().sum())
        assert slope == pytest.approx((up - down) / 2e-3, abs=5e-3 * scale)


@pytest.mark.parametrize("name", losses())
def test_evaluation_leaves_intensities_alone(name: str) -> None:
    intensity = first(means(7))
    before = intensity.clone()
    losses()[name].evaluate(intensity, torch.arange(J))
    assert torch.equal(before, intensity)


def value(loss: Loss, frames: np.ndarray) -> float:
    return float(loss.evaluate(first(frames), torch.arange(len(frames)))[0])


def test_amplitude_loss_written_out() -> None:
    frames = np.zeros((1, 2, 2))
    frames[0] = [[4, 9], [0, 1]]
    # (1 - 2)^2 + (1 - 3)^2 + (1 - 0)^2 + 0, times 4.
    assert value(AmplitudeLoss(frames), np.ones((1, 2, 2))) == pytest.approx(4 * 6)
    frames[0, 0, 1] = np.nan
    loss = AmplitudeLoss(frames)
    assert value(loss, np.ones((1, 2, 2))) == pytest.approx(4 * 2) and loss.size == 3


def test_poisson_loss_is_the_deviance() -> None:
    loss = PoissonLoss(counts(), background=0.25)
    best, given = (stats.poisson.logpmf(counts(), mean).sum() for mean in (counts(), means() + 0.25))
    assert value(loss, means()) == pytest.approx(2 * (best - given), rel=1e-4)
    assert loss.size == counts().size


def test_a_saturated_count_does_not_pull_a_brighter_model_down() -> None:
    loss = PoissonLoss(np.full((1, 2, 2), 40), full_scale=40, background=0)
    brighter, darker = (loss.evaluate(torch.full((1, 2, 2), mean), torch.arange(1)) for mean in (90.0, 30.0))
    assert float(brighter[0]) == 0 and not brighter[1].any()
    assert float(darker[0]) > 0 and (darker[1] < 0).all()


@pytest.mark.parametrize("name", BOOKS)
def test_interval_loss_is_the_deviance_of_the_bins(name: str) -> None:
    book = Codebook.named(name)
    rng = np.random.default_rng(3)
    mean = np.exp(rng.uniform(np.log(0.01), np.log(book.edges[-1] * 0.8), (40, N, N)))
    # Within five standard deviations of the mean.
    drawn = np.clip(np.rint(mean + rng.uniform(-5, 5, mean.shape) * np.sqrt(mean + 1)), 0, book.edges[-1] - 1)
    codes = book.encode(drawn.astype(np.int64))
    edges = np.array(book.edges)
    left, right = edges[codes], np.where(codes == book.levels - 1, 10**9, edges[codes + 1])

    def log_likelihood(means: Any, below: Any = left, above: Any = right) -> Any:
        upper, lower = stats.poisson.cdf(above - 1, means), stats.poisson.cdf(below - 1, means)
        tail = stats.poisson.sf(below - 1, means) - stats.poisson.sf(above - 1, means)
        with np.errstate(divide="ignore"):
            return np.log(np.where(means < below, tail, upper - lower))

    grid = np.linspace(0, 1, 201)[:, None, None, None]
    span = np.where(codes == book.levels - 1, 2 * left, right)
    best = log_likelihood(np.maximum(left + grid * (span - left), 1e-9)).max(axis=0)
    expected = 2 * np.sum(best - log_likelihood(mean))
    loss = IntervalLoss(codes, book, background=0)
    assert value(loss, mean) == pytest.approx(expected, rel=3e-3)


def test_single_counts_are_poisson_counts() -> None:
    book = Codebook.from_edges(range(65))
    few = np.minimum(counts(), 60)
    exact, codes = PoissonLoss(few), IntervalLoss(book.encode(few), book)
    for a, b in zip(*(loss.evaluate(first(means(5, 50)), torch.arange(J)) for loss in (exact, codes)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_the_last_bin_is_open() -> None:
    book = Codebook.named("sqrt-b")
    codes = np.full((1, 2, 2), book.levels - 1, np.uint8)
    loss = IntervalLoss(codes, book)
    for bright in (20_000.0, 1e6):
        found, gradient = loss.evaluate(torch.full((1, 2, 2), bright), torch.arange(1))
        assert float(found) == pytest.approx(0, abs=0.05) and float(gradient.abs().max()) < 1e-4
    assert float(loss.evaluate(torch.full((1, 2, 2), 12_000.0), torch.arange(1))[0]) > 100


def test_bins_without_a_count_are_no_obstacle() -> None:
    book = Codebook.named("nearest-sqrt", scale=2)
    assert (np.diff(book.edges) == 0).any()
    few = np.minimum(counts(), 1)
    exact, codes = PoissonLoss(few), IntervalLoss(book.encode(few), book)
    assert value(codes, means(5, 50)) == pytest.approx(value(exact, means(5, 50)), rel=1e-4)


def test_interval_tables_are_monotone() -> None:
    codes = torch.full((4000,), 40)
    mean = torch.linspace(1, 4000, 4000)
    expected = Intervals(Codebook.named("sqrt-b").edges).look_up(codes, mean)[0]
    left, right = (Codebook.named("sqrt-b").edges[40 + k] for k in (0, 1))
    assert (expected.diff() >= -1e-3).all() and expected.min() >= left and expected.max() <= right - 1 + 1e-3


@pytest.mark.parametrize("transform", [Transform(), Transform("anscombe"), Transform.codes("sqrt-c")], ids=str)
def test_mean_value_is_what_sampling_gives(transform: Transform) -> None:
    rng = np.random.default_rng(4)
    intensity = np.array([0.01, 0.3, 1.0, 2.7, 11.0, 95.0, 1500.0], np.float32)
    drawn = transform.forward(rng.poisson(intensity, (200_000, len(intensity)))).astype(float)
    curve, given = MeanValue(transform), torch.from_numpy(intensity)
    spread = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert (np.abs(curve.values(given).numpy() - drawn.mean(axis=0)) < 5 * spread + 1e-4).all()
    # The derivative of a Poisson mean of g is the mean of g(N + 1) - g(N).
    more = transform.forward(rng.poisson(intensity, (200_000, len(intensity))) + 1).astype(float)
    spread = (more.std(axis=0) + drawn.std(axis=0)) / np.sqrt(len(drawn))
    assert (np.abs(curve.slopes(given).numpy() - (more.mean(axis=0) - drawn.mean(axis=0))) < 5 * spread + 2e-3).all()
    np.testing.assert_allclose(curve.intensities(curve.values(given)), intensity, rtol=2e-3, atol=2e-4)
    # Beyond the range: no light, or as much as there can be.
    ends = curve.intensities(torch.tensor([-3.0, 1e6]))
    assert float(ends[0]) == 0 and float(ends[1]) >= 16_000


@pytest.mark.parametrize("kind", ["counts", "anscombe", "codes"])
def test_coefficients_are_compared_in_units_of_their_noise(kind: str) -> None:
    parts, _ = components(kind)
    drawn = np.random.default_rng(5).poisson(np.broadcast_to(means()[:1], (400, N, N)))
    loss = CoefficientLoss(parts.project(parts.transform.forward(drawn)), parts)
    true = value(loss, np.broadcast_to(means()[:1], drawn.shape))
    variance = parts.transform.noise_variance(means()[0].ravel().astype(float)) / parts.noise**2
    assert true / len(drawn) == pytest.approx(float((parts.rows**2 @ variance).sum()), rel=0.05)
    assert value(loss, np.broadcast_to(1.2 * means()[:1], drawn.shape)) > true


@pytest.mark.parametrize("kind", ["counts", "codes"])
def test_hardware_coefficients_are_those_of_its_integer_weights(kind: str) -> None:
    parts, values = components(kind)
    # Weights of 4 bits are far from the components; coefficients that are not rounded.
    compressor = quantise(parts, values, 4, 32)
    still = np.rint(parts.transform.mean_value(means()))
    sums = still.reshape(J, -1) @ compressor.projection.weights.T + compressor.projection.bias
    frames = parts.transform.inverse(still)
    loss = CoefficientLoss(sums / np.exp2(compressor.projection.shift), compressor)
    # The frames whose mean values are these integers fit to the last digit.
    assert value(loss, frames) < 1e-4 * value(loss, 1.05 * frames)


@pytest.mark.parametrize("prior", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["counts", "anscombe", "codes"])
def test_completed_frames_have_the_coefficients_and_else_the_models(kind: str, prior: float) -> None:
    transform = components(kind)[0].transform
    # Values in the middle of the range, so that none ends at 0.
    training = np.concatenate([means(seed) for seed in range(10)]) / 10 + 200
    values = transform.mean_value(training)
    parts = learn(values, 20, transform=transform, centred=True, noise=pixel_noise(transform, training))
    wanted, model = (transform.mean_value(means(seed) / 10 + 200) for seed in (13, 14))
    loss = CoefficientLoss(parts.project(wanted), parts, prior=prior)
    frames = loss.complete(first(means(14) / 10 + 200), torch.arange(J))[0].numpy()
    found = parts.transform.mean_value(np.fft.fftshift(frames, axes=(-2, -1)))
    unit = parts.noise.reshape(N, N)
    np.testing.assert_allclose(parts.project(found), parts.project(wanted), atol=0.02 * np.sqrt(N))
    outside = [values - parts.expand(parts.project(values)) for values in (found, model)]
    np.testing.assert_allclose(outside[0] / unit, (1 - prior) * outside[1] / unit, atol=0.02)


def test_a_prior_of_one_is_expanding_first() -> None:
    parts, _ = components("codes")
    sent = parts.project(parts.transform.forward(counts()))
    frames = CoefficientLoss(sent, parts, prior=1).complete(first(means(9)), torch.arange(J))[0].numpy()
    np.testing.assert_allclose(np.fft.fftshift(frames, axes=(-2, -1)), parts.intensity(sent), rtol=2e-3, atol=2e-3)


def test_invalid_pixels_of_components_do_not_pull() -> None:
    mask = np.zeros((N, N), bool)
    mask[1, 5] = True
    values = np.concatenate([means(seed) for seed in range(10)]).astype(float)
    parts = learn(values, 5, mask=mask)
    sent = parts.project(np.where(mask, 0, counts()))
    gradient = CoefficientLoss(sent, parts, prior=0.5).evaluate(first(means()), torch.arange(J))[1].numpy()
    gradient = np.fft.fftshift(gradient, axes=(-2, -1))
    assert not gradient[:, mask].any() and gradient[:, ~mask].all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AmplitudeLoss(np.ones((2, 3, 4))), r"frames: shape \(2, 3, 4\), expected square"),
        (lambda: PoissonLoss(-np.ones((2, 4, 4))), "frames: negative or infinite"),
        (lambda: AmplitudeLoss(np.full((2, 4, 4), np.nan)), "frames: no valid pixel"),
        (
            lambda: IntervalLoss(np.full((1, 2, 2), 256, np.uint16), Codebook.named("sqrt-b")),
            "codes: uint16 up to 256, expected unsigned, below 256",
        ),
        (lambda: IntervalLoss(np.ones((1, 2, 2)), Codebook.named("sqrt-b")), "codes: float64"),
        (
            lambda: CoefficientLoss(np.ones((3, 7)), components("counts")[0]),
            r"coefficients: shape \(3, 7\), expected \(J, 20\)",
        ),
        (lambda: CoefficientLoss(np.ones((3, 20)), components("counts")[0], prior=1.5), "prior: 1.5, expected 0 to 1"),
    ],
)
def test_wrong_data(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
