# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The reconstruction: gradient, convergence, invalid pixels, determinism, interruption."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.losses import PoissonLoss
from ptychopress.reconstruction.metrics import register

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE, N = (34, 34), 16
INNER = np.zeros(SHAPE, bool)
INNER[7:-7, 7:-7] = True


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


@pytest.mark.parametrize("kind", ["exponent", "phase"])
def test_other_unknowns_give_the_object_too(kind: Any) -> None:
    wanted = truth() if kind == "exponent" else truth() / np.abs(truth())
    found = reconstruct(diffract(wanted, acquisition()), acquisition(), epochs=60, batch_size=16, object_kind=kind)
    assert np.mean(np.abs(register(wanted, found.object, INNER, ramp=False, shift=False) - wanted)[INNER] ** 2) < 2e-4
    if kind == "phase":
        np.testing.assert_allclose(np.abs(found.object), 1, rtol=1e-5)


def test_a_start_near_the_end_is_better_at_once() -> None:
    frames = diffract(truth(), acquisition())
    runs = [reconstruct(frames, acquisition(), epochs=1, batch_size=16, start=start) for start in (None, truth())]
    assert runs[1].losses[0] < 0.1 * runs[0].losses[0]


def test_modes_explain_what_one_probe_cannot() -> None:
    first = gaussian_probe(N, 2.5)
    second = 0.5 * first * (np.arange(N) - N / 2)[:, None] / 2.5
    scan = replace(acquisition(), probe=np.stack([first, second])).scaled(1e5)
    frames = diffract(truth(), scan)
    both = reconstruct(frames, scan, epochs=60, batch_size=16)
    single = reconstruct(frames, replace(scan, probe=scan.probe[0]).scaled(1e5), epochs=60, batch_size=16)
    assert both.probe.shape == (2, N, N)
    assert error(both.object) < 5e-4 < error(single.object)
    assert both.losses[-1] < 0.01 * single.losses[-1]


def test_positions_are_refined() -> None:
    exact = acquisition()
    moved = np.clip(exact.positions + np.random.default_rng(3).normal(0, 0.5, exact.positions.shape), 0, SHAPE[0] - N)
    frames = diffract(truth(), replace(exact, positions=moved))
    kept, refined = (
        reconstruct(frames, exact, epochs=150, batch_size=16, refine_positions=refine) for refine in (False, True)
    )
    np.testing.assert_array_equal(kept.positions, exact.positions)

    def spread(positions: np.ndarray) -> float:
        off = positions - moved
        return float(np.std(off - off.mean(axis=0)))

    assert spread(refined.positions) < 0.2 * spread(kept.positions)
    assert refined.losses[-1] < 0.05 * kept.losses[-1]


class _InterruptedError(Exception):
    pass


@pytest.mark.parametrize("more", [{}, {"refine_probe": True, "refine_positions": True}], ids=["object", "all"])
def test_a_checkpoint_goes_on_to_the_same_bits(more: dict[str, Any], tmp_path: Any) -> None:
    def interrupt(epoch: int, *_: Any) -> None:
        if epoch == 3:
            raise _InterruptedError

    frames, path = diffract(truth(), acquisition()), tmp_path / "state.pt"
    settings = {"epochs": 6, "batch_size": 16, "seed": 3, **more}
    whole = reconstruct(frames, acquisition(), **settings)
    with pytest.raises(_InterruptedError):
        reconstruct(frames, acquisition(), checkpoint=path, progress=interrupt, **settings)
    seen: list[int] = []
    resumed = reconstruct(
        frames, acquisition(), checkpoint=path, progress=lambda epoch, *_: seen.append(epoch), **settings
    )
    assert seen == [4, 5, 6]
    assert resumed.losses == whole.losses
    for name in ("object", "probe", "positions"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Any) -> None:
    frames, path = diffract(truth(), acquisition()), tmp_path / "state.pt"
    reconstruct(frames, acquisition(), epochs=2, checkpoint=path)
    for other in ({"epochs": 3}, {"epochs": 2, "seed": 1}, {"epochs": 2, "start": truth()}):
        with pytest.raises(ValueError, match="a checkpoint of other data or settings"):
            reconstruct(frames, acquisition(), checkpoint=path, **other)
    with pytest.raises(ValueError, match="a checkpoint of other data or settings"):
        reconstruct(PoissonLoss(frames), acquisition(), epochs=2, checkpoint=path)
    other_path = tmp_path / "poisson.pt"
    reconstruct(PoissonLoss(frames), acquisition(), epochs=2, checkpoint=other_path)
    with pytest.raises(ValueError, match="a checkpoint of other data or settings"):
        reconstruct(PoissonLoss(frames, background=0.5), acquisition(), epochs=2, checkpoint=other_path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        reconstruct(frames, acquisition(), epochs=2, checkpoint=path)


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
        (PoissonLoss(np.ones((16, 8, 8))), {}, "data of 16 frames of 8 pixels a side, expected 16 of 16"),
    ],
)
def test_wrong_arguments(frames: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reconstruct(frames, acquisition(6), **arguments)
