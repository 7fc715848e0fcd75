# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
from ptychopress.cli import bench
from ptychopress.cli.main import main
from ptychopress.reconstruction import convergence, ptychi_engines
from ptychopress.reconstruction.acquisition import diffract, expose, placed
from ptychopress.reconstruction.convergence import Curve, Report, ours, phase_error, record, table
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.losses import PoissonLoss
from ptychopress.reconstruction.phantom import cell_phantom
from ptychopress.reconstruction.probes import gaussian_probe
from ptychopress.reconstruction.scans import raster_scan
from ptychopress.reconstruction.scene import Scene


def small_scene() -> Scene:
    acquisition = placed(gaussian_probe(16, 3.0), raster_scan(5, 6, 3)).scaled(1e4)
    rows, columns = acquisition.object_shape
    truth = np.exp(1j * cell_phantom(40).phase[4 : 4 + rows, 3 : 3 + columns]).astype(np.complex64)
    counts = [expose(diffract(truth, acquisition), seed) for seed in (1, 2)]
    support = np.zeros(truth.shape, np.bool_)
    support[8:-8, 8:-8] = True
    inside = (slice(8, rows - 8), slice(8, columns - 8))
    mask = np.zeros((16, 16), np.bool_)
    pair = (counts[0], counts[1])
    return Scene("small", "Small", acquisition, pair, truth, support, inside, 14, mask, False, "two")


SCENE = small_scene()


def test_the_clock_stops_while_an_image_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]

    def engine(scene: Scene, passes: int, report: Report) -> None:
        clock[0] += 5  # setting up
        for _ in range(passes):
            clock[0] += 2
            report(SCENE.truth)

    def judged(*_: Any) -> float:
        clock[0] += 30
        return 0.5

    monkeypatch.setattr(convergence, "time", SimpleNamespace(process_time=lambda: clock[0]))
    monkeypatch.setattr(convergence, "phase_error", judged)
    advanced: list[int] = []
    curve = record("fake", engine, SCENE, 3, rival=True, advance=lambda: advanced.append(1))
    assert curve == Curve("fake", True, (7.0, 9.0, 11.0), (0.5, 0.5, 0.5))
    assert len(advanced) == 3


def test_an_image_that_is_not_finite_ends_the_run() -> None:
    def engine(scene: Scene, passes: int, report: Report) -> None:
        for k in range(passes):
            report(SCENE.truth * np.complex64(1 if k < 2 else np.nan))

    curve = record("fake", engine, SCENE, 5, rival=True)
    assert curve.diverged and len(curve.errors) == len(curve.seconds) == 2


def test_phase_error_is_that_of_the_support_after_the_global_phase() -> None:
    assert SCENE.truth is not None
    assert phase_error(SCENE, SCENE.truth * np.complex64(np.exp(0.7j))) == pytest.approx(0, abs=1e-10)
    # As many pixels up by 0.1 rad as down: their mean stays, the error is 0.01; outside the support nothing counts.
    flat = np.zeros(SCENE.support.sum())
    flat[: flat.size // 2], flat[-(flat.size // 2) :] = 0.1, -0.1
    wrong = np.full(SCENE.support.shape, 1.0)
    wrong[SCENE.support] = flat
    image = (SCENE.truth * np.exp(1j * wrong)).astype(np.complex64)
    assert phase_error(SCENE, image) == pytest.approx(0.01 * 2 * (flat.size // 2) / flat.size, rel=1e-4)
    with pytest.raises(ValueError, match="no truth to compare with"):
        phase_error(replace(SCENE, truth=None), image)


def test_our_engine_is_reconstruct_looked_at_after_every_pass() -> None:
    images: list[np.ndarray] = []
    ours(PoissonLoss, seed=3)(SCENE, 4, lambda image: images.append(image.copy()))
    expected = reconstruct(PoissonLoss(SCENE.counts[0]), SCENE.acquisition, epochs=4, seed=3)
    assert len(images) == 4
    np.testing.assert_array_equal(images[-1], expected.object)
    errors = [phase_error(SCENE, image) for image in images]
    assert errors[-1] < errors[0]


CURVES = [
    Curve("ours", False, (1.0, 2.0, 3.0), (8.0, 3.0, 2.0)),
    Curve("a", True, (2.0, 4.0, 6.0), (9.0, 3.5, 4.0)),
    Curve("b", True, (5.0, 10.0, 15.0), (9.0, 8.0, 7.0)),
    Curve("c", True, (1.0,), (1.0,), diverged=True),
]


def test_table() -> None:
    own, a, b, c = table(CURVES)
    assert (own.seconds, own.seconds_to_best, own.smse, own.lowest, own.ratio) == (3.0, 2.0, 2.0, 2.0, 0.5)
    assert (a.seconds, a.seconds_to_best, a.smse, a.lowest, a.ratio) == (6.0, 4.0, 4.0, 3.5, 1.0)
    assert (b.passes, b.seconds_to_best, b.smse, b.ratio) == (3, None, 7.0, 1.75)
    # What diverged is not the best, however good it was on the way.
    assert (c.passes, c.smse, c.lowest, c.ratio) == (1, None, 1.0, None)


@pytest.mark.parametrize(
    ("own", "word"),
    [
        (Curve("ours", False, (1.0, 4.0), (9.0, 4.0)), "met"),
        (Curve("ours", False, (1.0, 4.0), (9.0, 4.07)), "met"),
        (Curve("ours", False, (1.0, 4.0), (9.0, 4.09)), "MISSED"),
        (Curve("ours", False, (1.0, 4.1), (9.0, 1.0)), "MISSED"),
    ],
)
def test_verdict(own: Curve, word: str) -> None:
    line = bench.verdict(table([own, *CURVES[1:]]))
    assert line.startswith(f"target {word}: ours ends at") and "the error of a, 4.00e+00" in line
    assert bench.verdict(table([own, CURVES[-1]])) == "nothing to compare: all of one side diverged"


@pytest.mark.parametrize(
    "fault",
    [
        lambda frames: frames,
        lambda frames: frames[:, ::-1],
        lambda frames: frames.transpose(0, 2, 1),
        lambda frames: np.fft.ifftshift(frames, axes=(1, 2)),
        lambda frames: np.roll(frames, 1, axis=2),
        lambda frames: frames * 1.001,
        lambda frames: frames[::-1],
        lambda frames: frames * np.nan,
    ],
    ids=["none", "flipped", "transposed", "not centred", "a pixel off", "photons", "order", "nan"],
)
def test_other_conventions_are_found(fault: Any, request: pytest.FixtureRequest) -> None:
    def simulate(scene: Scene, index: list[int], obj: np.ndarray) -> np.ndarray:
        return fault(diffract(obj, scene.acquisition)[index])

    if request.node.callspec.id == "none":
        assert ptychi_engines.check(SCENE, simulate) == 0
    else:
        with pytest.raises(RuntimeError, match="other conventions"):
            ptychi_engines.check(SCENE, simulate)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ptychopress", "bench", "ptychi", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pty-chi whose engines come nearer to the truth at a speed that depends on their name, or diverge."""

    def engine(setting: ptychi_engines.Setting, *, seed: int) -> convergence.Engine:
        def run(scene: Scene, passes: int, report: Report) -> None:
            assert scene.truth is not None
            for k in range(passes):
                left = {"good": 2.0 ** -(k + 1), "bad": 0.9}.get(setting.name, np.inf)
                report((scene.truth + left * (1 - scene.truth)).astype(np.complex64))

        return run

    monkeypatch.setattr(ptychi_engines, "load", lambda: None)
    monkeypatch.setattr(ptychi_engines, "check", lambda scene: 1e-7)
    monkeypatch.setattr(ptychi_engines, "engine", engine)
    settings = tuple(ptychi_engines.Setting(name, "Options", {"batch_size": 2}) for name in ("bad", "good"))
    monkeypatch.setattr(ptychi_engines, "SETTINGS", settings)
    monkeypatch.setattr(ptychi_engines, "TRIED", (ptychi_engines.Setting("worse", "Options", {}),))
    monkeypatch.setattr(bench, "version", lambda name: f"{name} 9.9")
    monkeypatch.setattr("ptychopress.reconstruction.scene.simulated", lambda *_, **__: SCENE)


@pytest.mark.usefixtures("fake")
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply:RuntimeWarning")
def test_the_command_writes_what_it_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "--epochs", 3, "--tried", "--json", "--out", tmp_path / "out") == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == json.loads(capsys.readouterr().out)
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert (results["ptychi"], results["forward_models_differ"]) == ("ptychi 9.9", 1e-7)
    rows = {row["engine"]: row for row in results["results"]}
    assert list(rows) == ["ours, Poisson", "ours, amplitude", "bad", "good", "worse"]
    assert [row["passes"] for row in rows.values()] == [3, 3, 3, 3, 0]
    assert rows["good"]["ratio"] == 1 < rows["bad"]["ratio"]
    assert rows["worse"]["smse"] is None
    assert [len(curve["errors"]) for curve in results["curves"]] == [3, 3, 3, 3, 0]
    assert [setting["name"] for setting in results["settings"]] == ["bad", "good", "worse"]


@pytest.mark.usefixtures("fake")
def test_the_command_says_who_won(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(monkeypatch, "--epochs", 1) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("target ") and "the error of good" in captured.out
    assert "bad" in captured.err and "worse" not in captured.err


def test_without_ptychi_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load() -> None:
        raise ModuleNotFoundError("No module named 'ptychi'", name="ptychi")

    monkeypatch.setattr(ptychi_engines, "load", load)
    assert command(monkeypatch, "--quick") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "needs ptychi: pip install --no-deps ptychi==" in error


@pytest.mark.usefixtures("fake")
def test_wrong_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert command(monkeypatch, "--out", tmp_path / "file") == 2
    assert "is a file: --out takes a directory" in capsys.readouterr().err
    assert command(monkeypatch, "--epochs", 0) == 2
    assert "--epochs" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(ptychi_engines, "load", lambda: None)
    monkeypatch.setattr(bench, "version", lambda name: name)
    assert command(monkeypatch, "--photons", "-1") == 2
    assert "photons: -1.0, expected a positive number" in capsys.readouterr().err
    assert command(monkeypatch, "--phantom", tmp_path / "nothing.npz") == 2
    assert "nothing.npz: no such file" in capsys.readouterr().err


@pytest.fixture
def real() -> None:
    pytest.importorskip("ptychi", exc_type=ImportError)
    ptychi_engines.load()


@pytest.mark.usefixtures("real")
def test_the_forward_model_of_ptychi_is_ours() -> None:
    assert ptychi_engines.check(SCENE) < 1e-5
    assert "torchvision" not in sys.modules or sys.modules["torchvision"].__spec__ is not None

    def shifted(scene: Scene, index: list[int], obj: np.ndarray) -> np.ndarray:
        scan = scene.acquisition
        other = replace(scan, positions=np.minimum(scan.positions + np.array([0, 1]), scan.positions.max(axis=0)))
        return ptychi_engines.frames(replace(scene, acquisition=other), index, obj)

    with pytest.raises(RuntimeError, match="other conventions"):
        ptychi_engines.check(SCENE, shifted)


@pytest.mark.usefixtures("real")
@pytest.mark.parametrize("setting", ptychi_engines.SETTINGS, ids=lambda setting: setting.name)
def test_engines_of_ptychi_approach_the_truth(setting: ptychi_engines.Setting) -> None:
    import torch

    # Among 30 frames 32 would overlap entirely.
    few = replace(setting, reconstructor=setting.reconstructor | {"batch_size": 4})
    curve = record(few.name, ptychi_engines.engine(few), SCENE, 20, rival=True)
    torch.rand(1)
    np.random.random()
    state, drawn = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    again = record(few.name, ptychi_engines.engine(few), SCENE, 20, rival=True)
    assert curve.errors == again.errors and len(curve.errors) == 20
    assert curve.errors[-1] < 0.5 * phase_error(SCENE, np.ones(SCENE.acquisition.object_shape, np.complex64))
    assert torch.equal(torch.random.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], drawn)
    assert not torch.overrides._get_current_function_mode_stack()  # a default device slows down every call
    images: list[np.ndarray] = []
    ptychi_engines.engine(few)(SCENE, 20, images.append)
    for shift in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        assert phase_error(SCENE, np.roll(images[-1], shift, (0, 1))) > curve.errors[-1]
    if few.poisson:
        other = record("amplitude", ptychi_engines.engine(replace(few, poisson=False)), SCENE, 20, rival=True)
        assert curve.errors != other.errors
