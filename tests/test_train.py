# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import command
import h5py
import numpy as np
import pytest
from command import COMMAND, complaint
from ptychopress.model.pca import learn, pixel_noise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import fingerprint, load
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.frames import FrameFile
from ptychopress.reconstruction.training import training_object

SIDE = 24
DEAD = (3, 20)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return command.run("train", *arguments, **environment)


def told(*arguments: str | Path, **environment: str) -> dict:
    done = run(*arguments, "--json", **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan of 64 frames over a weak phase object, as CXI, with a dead pixel."""
    acquisition = Acquisition(gaussian_probe(SIDE, 4.0), raster_scan(8, 8, 4), (52, 52)).scaled(2e4)
    obj = training_object((52, 52), 9, phase=0.3)
    counts = expose(diffract(obj, acquisition), 1).astype(np.int32)
    counts[:, *DEAD] = -1
    path, pixel = tmp_path_factory.mktemp("scan") / "scan.cxi", 1e-10 / (SIDE * 1e-9)
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"] = counts
        detector["distance"] = 1.0
        detector["x_pixel_size"] = detector["y_pixel_size"] = pixel
        file["entry_1/instrument_1/source_1/wavelength"] = 1e-10
        file["entry_1/instrument_1/source_1/illumination"] = acquisition.probe
        xy = -1e-9 * acquisition.positions[:, ::-1].astype(float)
        file["entry_1/sample_1/geometry_1/translation"] = np.column_stack([xy, np.zeros(len(xy))])
    return path


def test_from_data_is_learn_on_all_frames(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights.h5"
    result = told("--from", "data", "--data", scan, "--components", "12", "--out", out)
    compressor = load(out)
    assert result["sha256"] == fingerprint(compressor)
    assert (result["frames"], result["invalid_pixels"], result["components"], result["rank"]) == (64, 1, 12, 12)
    assert result["ratio"] == pytest.approx(SIDE**2 / 12)
    assert result["ratio_bits"] == pytest.approx(SIDE**2 * 14 / (12 * 16))
    assert result["report"] == compressor.report and result["report"]["saturated"] == 0
    assert compressor.recipe["source"] == "data" and compressor.recipe["file"] == "scan.cxi"
    assert np.argwhere(compressor.mask).tolist() == [list(DEAD)]

    with h5py.File(scan) as file:
        counts = file["entry_1/instrument_1/detector_1/data"][()]
    counts[:, *DEAD] = 0
    transform = Transform.codes("sqrt-b")
    noise = pixel_noise(transform, counts.mean(axis=0)[None])
    expected = learn(transform.forward(counts), 12, transform=transform, noise=noise, mask=compressor.mask)
    np.testing.assert_allclose(compressor.rows, expected.rows, atol=1e-8)
    np.testing.assert_allclose(compressor.mean, expected.mean, atol=1e-9)


def test_frames_in_many_pieces(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More frames than are decomposed at a time, and than widths are found on."""
    from ptychopress.cli import train

    out = tmp_path / "weights.h5"
    monkeypatch.setattr(train, "_PIECE_FRAMES", 40)
    monkeypatch.setattr(train, "_SAMPLE_FRAMES", 20)
    train.train(out, train.Source.DATA, scan, components=44)
    compressor = load(out)
    # Kept are 66 directions, more than there are frames: nothing is lost.
    assert compressor.report["training_frames"] == 16
    one = tmp_path / "one.h5"
    told("--from", "data", "--data", scan, "--components", "44", "--out", one)
    np.testing.assert_allclose(compressor.rows, load(one).rows, atol=1e-6)


@pytest.mark.parametrize("domain", ["codes", "counts"])
def test_from_an_object(domain: str, scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "weights.h5"
    options = ["--data", scan, "--ratio", "24", "--objects", "2", "--domain", domain]
    result = told(*options, "--max-loss", "0.02", "--out", out)
    compressor = load(out)
    assert (compressor.transform.kind, result["components"], compressor.recipe["source"]) == (domain, 24, "object")
    assert result["report"]["loss"] <= 0.02
    # The components hold the sample's frames, which they were not learned from, far better than a mean frame does.
    with h5py.File(scan) as file:
        counts = file["entry_1/instrument_1/detector_1/data"][()]
    valid = ~compressor.mask
    counts[:, ~valid] = 0
    values = compressor.transform.forward(counts).astype(float)
    rebuilt = compressor.values(compressor.compress(counts)[0])
    noise = compressor.noise.reshape(SIDE, SIDE)[valid]
    rest = ((rebuilt - values)[:, valid] / noise).var()
    assert rest < 0.6 * ((values - values.mean(axis=0))[:, valid] / noise).var()


def test_matched_contrast(scan: Path, tmp_path: Path) -> None:
    """An object drawn like the sample, but three times as strong, is scaled back to it."""
    options = ["--data", scan, "--objects", "1", "--object-seed", "9", "--phase", "0.9", "--components", "10"]
    result = told(*options, "--match", "--out", tmp_path / "weights.h5")
    assert result["recipe"]["eta"] == pytest.approx(1 / 3, rel=0.1)
    assert result["recipe"]["kappa"] == load(tmp_path / "weights.h5").recipe["kappa"] > 0
    done = run(*options, "--match", "--out", tmp_path / "weights.h5")
    assert f"kappa {result['recipe']['kappa']:.4g}" in done.stdout and "eta 0.3" in done.stdout


def test_the_same_options_give_the_same_weights_without_torch(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = sys.modules['matplotlib'] = None\n")
    options = ["--data", scan, "--components", "8", "--uncentred", "--unweighted", "--weight-bits", "6"]
    hashes, out = set(), tmp_path / "weights.h5"
    for seed in "12":
        hashes.add(told(*options, "--out", out, PYTHONHASHSEED=seed, PYTHONPATH=str(tmp_path))["sha256"])
    assert len(hashes) == 1
    compressor = load(out)
    assert not compressor.mean.any() and (compressor.noise == 1).all()
    assert compressor.projection.format.weight_bits == 6
    assert told(*options, "--object-seed", "2", "--out", out)["sha256"] not in hashes
    # A picture takes matplotlib, an array does not.
    picture = np.random.default_rng(3).uniform(size=(64, 64))
    np.save(tmp_path / "picture.npy", picture)
    (tmp_path / "picture.png").write_bytes(b"")
    own = ["--object", tmp_path / "picture.npy"]
    assert told(*options, *own, "--out", out, PYTHONPATH=str(tmp_path))["recipe"]["picture"] == "picture.npy"
    done = run(*options, "--object", tmp_path / "picture.png", "--out", out, PYTHONPATH=str(tmp_path))
    assert "pip install 'ptychopress[reconstruction]'" in complaint(done)


def test_frames_of_any_hdf5_file(tmp_path: Path) -> None:
    counts = np.random.default_rng(5).poisson(9, (6, 5, 4)).astype(np.uint16)
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file["mine/frames"] = counts
        file["entry/instrument/detector/pixel_mask"] = np.eye(5, 4, dtype=np.uint32)
    frames = FrameFile.open(tmp_path / "frames.h5", "mine/frames")
    np.testing.assert_array_equal(frames.mask, np.eye(5, 4, dtype=bool))
    pieces = list(frames.pieces(4))
    assert [len(piece) for piece in pieces] == [4, 2]
    np.testing.assert_array_equal(np.concatenate(pieces), np.where(np.eye(5, 4), 0, counts))
    options = ["--from", "data", "--data", tmp_path / "frames.h5", "--path", "mine/frames", "--components", "9"]
    done = run(*options, "--out", tmp_path / "weights.h5")
    assert done.returncode == 0, done.stderr
    # Six frames, centred, span five directions.
    assert "6 frames hold 5 components" in done.stderr


@pytest.mark.parametrize("own", ["mask", "pixel_mask", None])
def test_the_mask_is_that_of_the_frames_detector(own: str | None, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "two.cxi", "w") as file:
        file["entry_1/instrument_1/detector_1/mask"] = np.eye(5, 4, dtype=np.uint32)
        detector = file.create_group("entry_1/instrument_1/detector_2")
        detector["data"] = np.ones((6, 5, 4), np.uint16)
        if own is not None:
            detector[own] = np.eye(5, 4, 1, dtype=np.uint32)
    frames = FrameFile.open(tmp_path / "two.cxi", "entry_1/instrument_1/detector_2/data")
    np.testing.assert_array_equal(frames.mask, np.eye(5, 4, 0 if own is None else 1, dtype=bool))


BAD = [
    (["--components", "4"], "--data FILE.cxi or --benchmark"),
    (["--from", "data", "--components", "4"], "needs --data"),
    (["--from", "data", "--data", "missing.cxi", "--components", "4"], "missing.cxi: no such file"),
    (["--data", "SCAN"], "--components S' or --ratio R"),
    (["--data", "SCAN", "--components", "4", "--ratio", "5"], "--components S' or --ratio R"),
    (["--data", "SCAN", "--components", "576"], "expected 1 to 575"),
    (["--data", "SCAN", "--ratio", "0.5"], "expected 1 to 576"),
    (["--data", "SCAN", "--benchmark", "--components", "4"], "one of the two"),
    (["--benchmark", "--match", "--components", "4"], "--match needs"),
    (["--from", "data", "--data", "SCAN", "--match", "--components", "4"], "--match: for --from object"),
    (
        ["--data", "SCAN", "--components", "4", "--domain", "counts", "--codebook", "sqrt-a"],
        "--codebook: for --domain codes",
    ),
    (["--data", "SCAN", "--components", "4", "--weight-bits", "1"], "weight_bits must be"),
    (["--data", "SCAN", "--components", "4", "--max-loss", "1", "--weight-bits", "8"], "finds the widths"),
    (["--data", "SCAN", "--components", "4", "--max-loss", "-1"], "max_loss must be"),
    (["--data", "SCAN", "--components", "4", "--phase", "9"], "phase: 9"),
    (["--data", "SCAN", "--components", "4", "--codebook", "sqrt-z"], "unknown codebook"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_gets_one_line_and_leaves_nothing(
    options: list[str], message: str, scan: Path, tmp_path: Path
) -> None:
    options = [str(scan) if option == "SCAN" else option for option in options]
    assert message in complaint(run(*options, "--out", tmp_path / "weights.h5"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options",
    [
        {"weight_bits": 1},
        {"output_bits": 33},
        {"saturate_share": 1.0},
        {"saturate_share": float("nan")},
        {"max_loss": 0.0},
        {"domain": "counts", "count_bits": 17},
    ],
    ids=str,
)
def test_widths_are_looked_at_before_learning(
    options: dict[str, Any], scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopress.cli import train

    monkeypatch.setattr(train, "_from_data", lambda *_: pytest.fail("work has begun"))
    name = list(options)[-1]
    with pytest.raises(ValueError, match="input_bits" if name == "count_bits" else name):
        train.train(tmp_path / "weights.h5", train.Source.DATA, scan, components=4, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            ({"source": "data", name: value}, f"--{name.replace('_', '-')}: for --from object")
            for name, value in {
                "benchmark": True,
                "photons": 2e7,
                "objects": 4,
                "object_seed": 0,
                "phase": 0.6,
                "absorption": 0.0,
                "match": True,
            }.items()
        ),
        ({"source": "data", "picture": Path("a.png")}, "--object: for --from object"),
        ({"photons": 2e7}, "--photons: for --benchmark"),
        ({"path": "a/b"}, "--path: for --from data"),
        ({"picture": Path("a.png"), "objects": 4, "object_seed": 1}, "--objects, --object-seed: for drawn objects"),
    ],
    ids=str,
)
def test_no_option_is_ignored(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    from ptychopress.cli import train

    source = train.Source(options.pop("source", "object"))
    with pytest.raises(ValueError, match=f"^{message}"):
        train.train(tmp_path / "weights.h5", source, Path("scan.cxi"), components=4, **options)


def test_the_data_are_never_overwritten(scan: Path) -> None:
    before = scan.read_bytes()
    assert "which is read" in complaint(run("--data", scan, "--components", "4", "--out", scan))
    assert scan.read_bytes() == before


def test_an_interrupt_leaves_the_old_file(scan: Path, tmp_path: Path) -> None:
    slow = "import time, ptychopress.model.pca as p\np.StreamingPca.components = lambda *_: time.sleep(60)\n"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(slow)
    out = tmp_path / "weights.h5"
    out.write_text("old")
    command = [COMMAND, "train", "--from", "data", "--data", scan, "--components", "4", "--out", out]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".ptychopress-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in stderr) == (130, True)
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site", "weights.h5"]
