# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The reconstruction: gradient, convergence, invalid pixels, determinism, interruption."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.engine import AmplitudeLoss, reconstruct
from ptychopress.reconstruction.metrics import register

SHAPE, N = (34, 34), 16
INNER = np.zeros(SHAPE, bool)
INNER[7:-7, 7:-7] = True


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """`reconstruct` sees to it itself; the gradient check waits for idle threads otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def truth() -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    phase = 0.5 * np.sin(0.5 * rows) * np.cos(0.3 * columns + 0.1 * rows) + 0.3 * (columns > 17)
    return ((0.9 + 0.1 * np.cos(0.4 * columns)) * np.exp(1j * phase)).astype(np.complex64)


def acquisition(step: int = 2) -> Acquisition:
    count = (SHAPE[0] - N) // step + 1
    return Acquisition(gaussian_probe(N, 2.5), raster_scan(count, count, step), SHAPE).scaled(1e5)


def error(found: np.ndarray, *, free: bool = False) -> float:
    image = register(truth(), found, INNER, ramp=free, shift=free)
    return float(np.mean(np.abs(image - truth())[INNER] ** 2))


def complex_randn(*shape: int) -> Any:
    return torch.randn(*shape, dtype=torch.complex128, requires_grad=True)


@pytest.mark.parametrize("probes", [(), (3,)], ids=["one probe", "one probe a frame"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_is_that_of_the_loss(probes: tuple[int, ...], masked: bool) -> None:
    torch.manual_seed(1)
    obj, probe = complex_randn(7, 6), complex_randn(*probes, 4, 4)
    amplitudes = torch.rand(3, 4, 4, dtype=torch.float64) + 0.1
    if masked:
        amplitudes[0, 1, 2] = amplitudes[2, 0, 0] = -1
    corners = [(0, 0), (1, 2), (3, 1)]
    assert torch.autograd.gradcheck(lambda o, p: AmplitudeLoss.apply(o, p, corners, amplitudes, masked), (obj, probe))


def test_loss_is_the_sum_written_out() -> None:
    obj, probe = np.ones((4, 4), complex), np.ones((4, 4), complex)
    # F{1} on 4 x 4 is 4 at zero frequency and 0 elsewhere: (4 - 3)^2 + 15 (0 - 0.5)^2.
    amplitudes = torch.full((1, 4, 4), 0.5, dtype=torch.float64)
    amplitudes[0, 0, 0] = 3
    loss = AmplitudeLoss.apply(torch.from_numpy(obj), torch.from_numpy(probe), [(0, 0)], amplitudes, False)
    assert float(loss) == pytest.approx(1 + 15 / 4)


def test_noise_free_frames_give_the_object() -> None:
    found = reconstruct(diffract(truth(), acquisition()), acquisition(), epochs=60, batch_size=16)
    assert found.object.dtype == np.complex64 and found.object.shape == SHAPE
    assert error(found.object) < 1e-4
    assert found.losses[-1] < 0.01 < found.losses[0]
    np.testing.assert_allclose(found.probe, acquisition().probe, rtol=1e-6)


def test_fractional_positions_are_honoured() -> None:
    exact = acquisition()
    moved = exact.positions + np.random.default_rng(3).uniform(-0.45, 0.45, exact.positions.shape)
    moved = np.clip(moved, 0, SHAPE[0] - N)
    frames = diffract(truth(), replace(exact, positions=moved))
    found = reconstruct(frames, replace(exact, positions=moved), epochs=40, batch_size=16)
    rounded = reconstruct(frames, replace(exact, positions=np.rint(moved).astype(int)), epochs=40, batch_size=16)
    assert error(found.object) < 2e-4
    assert error(rounded.object) > 5 * error(found.object)


def test_a_wrong_probe_is_refined() -> None:
    wrong = replace(acquisition(), probe=gaussian_probe(N, 2.8, phase=0.3)).scaled(1e5)
    frames = diffract(truth(), acquisition())
    kept = reconstruct(frames, wrong, epochs=60, batch_size=16)
    refined = reconstruct(frames, wrong, epochs=60, batch_size=16, refine_probe=True)
    assert refined.losses[-1] < 0.1 * kept.losses[-1]
    overlap = [abs(np.vdot(p, acquisition().probe)) / np.linalg.norm(p) for p in (wrong.probe, refined.probe)]
    best = np.linalg.norm(acquisition().probe)
    assert best - overlap[1] < 0.3 * (best - overlap[0])


def test_poisson_counts_fit_to_their_noise() -> None:
    counts = expose(diffract(truth(), acquisition()), 0, full_scale=65535)
    found = reconstruct(counts, acquisition(), epochs=40, batch_size=16)
    # 4 Var(sqrt(N)) is 1 at high counts, less in the dark; the fit takes some of the noise along.
    assert 0.3 < found.losses[-1] < 1.1
    assert error(found.object) < 2e-3


def test_nan_excludes_a_pixel() -> None:
    frames = diffract(truth(), acquisition())
    clean = reconstruct(frames, acquisition(), epochs=20, batch_size=16)
    spoiled, blanked = frames.copy(), frames.copy()
    spoiled[:, 8, 5] = 65535
    blanked[:, 8, 5] = np.nan
    bad, good = (reconstruct(f, acquisition(), epochs=20, batch_size=16) for f in (spoiled, blanked))
    assert error(bad.object) > 10 * error(clean.object)
    assert error(good.object) < 3 * error(clean.object)
    assert np.isfinite(good.object).all() and np.isfinite(good.losses).all()


def test_unlit_pixels_stay_free_space() -> None:
    wide = Acquisition(acquisition().probe, acquisition().positions, (60, 60))
    found = reconstruct(diffract(np.pad(truth(), (0, 26)), wide), wide, epochs=3)
    assert (found.object[SHAPE[0] :] == 1).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    frames = diffract(truth(), acquisition())
    runs = [reconstruct(frames, acquisition(), epochs=3, batch_size=16, seed=seed) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(runs[0].object, runs[1].object)
    assert runs[0].losses == runs[1].losses
    assert (runs[0].object != runs[2].object).any()


def test_progress_is_reported_after_each_epoch() -> None:
    seen: list[tuple[int, int, float]] = []
    found = reconstruct(
        diffract(truth(), acquisition(6)), acquisition(6), epochs=3, progress=lambda *step: seen.append(step)
    )
    assert [step[:2] for step in seen] == [(1, 3), (2, 3), (3, 3)]
    assert tuple(step[2] for step in seen) == found.losses


def test_an_interruption_leaves_torch_and_the_inputs_as_they_were() -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    frames, scan, threads = diffract(truth(), acquisition(6)), acquisition(6), torch.get_num_threads()
    frames_before, probe_before = frames.copy(), scan.probe.copy()
    with pytest.raises(KeyboardInterrupt):
        reconstruct(frames, scan, epochs=3, refine_probe=True, progress=interrupt)
    assert torch.get_num_threads() == threads
    np.testing.assert_array_equal(frames, frames_before)
    np.testing.assert_array_equal(scan.probe, probe_before)


@pytest.mark.parametrize(
    ("frames", "arguments", "message"),
    [
        (np.ones((3, N, N)), {}, r"frames: shape \(3, 16, 16\), expected \(16, 16, 16\)"),
        (-np.ones((16, N, N)), {}, "frames: negative or infinite"),
        (np.full((16, N, N), np.inf), {}, "frames: negative or infinite"),
        (np.full((16, N, N), np.nan), {}, "frames: no valid pixel"),
        (np.ones((16, N, N)), {"epochs": 0}, "epochs: 0, expected a positive"),
        (np.ones((16, N, N)), {"batch_size": 0}, "batch_size: 0"),
        (np.ones((16, N, N)), {"learning_rate": float("nan")}, "learning_rate: nan"),
        (np.ones((16, N, N)), {"probe_learning_rate": -1.0}, "probe_learning_rate: -1.0"),
    ],
)
def test_wrong_arguments(frames: np.ndarray, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reconstruct(frames, acquisition(6), **arguments)
