# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import ptychopress
import pytest
from command import COMMAND, complaint, run
from ptychopress.model.attributes import get
from ptychopress.model.pca import learn
from ptychopress.model.projection import Projection
from ptychopress.model.quantise import Compressor, quantise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import fingerprint, load, save
from ptychopress.reconstruction.cxi import write_cxi
from ptychopress.reconstruction.scan import Scan

DATA = "entry_1/data_1/data"
SHAPE = (9, 7)
MASKED = (2, 3)


def write_frames(path: Path, counts: np.ndarray, name: str = DATA) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=counts, chunks=(1, *counts.shape[1:]))
    return path


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    rng = np.random.default_rng(7)
    counts = rng.poisson(rng.uniform(0, 40, SHAPE) * rng.uniform(0.5, 2, (50, 1, 1))).astype(np.uint16)
    counts[3, 4, 4], counts[11, 0, 0] = 16384, 65535  # above the range of 14 bit
    return counts


@pytest.fixture(scope="module", params=["codes", "counts"])
def weights(request: pytest.FixtureRequest, counts: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights with an invalid pixel, and so few bits that some coefficients saturate."""
    transform = Transform.codes("sqrt-b") if request.param == "codes" else Transform("counts", 14)
    mask = np.zeros(SHAPE, np.bool_)
    mask[MASKED] = True
    values = transform.forward(np.minimum(counts, 1000))
    components = learn(values, 11, transform=transform, mask=mask)
    path = tmp_path_factory.mktemp("weights") / "weights.h5"
    save(path, quantise(components, values, 8, 9, 0.1))
    return path


def test_round_trip(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    source = write_frames(tmp_path / "frames.h5", counts)
    done = run("compress", source, "--weights", weights, "--out", tmp_path / "c.h5", "--json")
    assert done.returncode == 0, done.stderr
    compressor = load(weights)
    expected, saturated = compressor.compress(counts)
    assert saturated.any()
    told = json.loads(done.stdout)
    assert (told["frames"], told["saturated"], told["clipped_frames"]) == (50, saturated.sum(), 2)
    with h5py.File(tmp_path / "c.h5") as file:
        assert file["coefficients"].dtype == np.int16
        np.testing.assert_array_equal(file["coefficients"][()], expected)
        np.testing.assert_array_equal(file["saturated"][()], saturated.sum(axis=1))
        np.testing.assert_array_equal(np.flatnonzero(file["clipped"][()]), [3, 11])
        assert get(file, "weights_sha256") == fingerprint(compressor)
        assert (get(file, "source"), get(file, "source_path")) == ("frames.h5", DATA)
    for kind in ("float32", "float64"):
        out = tmp_path / f"{kind}.h5"
        assert run("decompress", tmp_path / "c.h5", "--out", out, "--dtype", kind).returncode == 0
        with h5py.File(out) as file:
            frames = file[DATA][()]
        np.testing.assert_array_equal(frames, compressor.expand(expected).astype(kind))
        assert np.isnan(frames[:, *MASKED]).all() and np.isnan(frames).sum() == len(frames)


def test_pieces_do_not_show(counts: np.ndarray, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.cli import compress, decompress

    source = write_frames(tmp_path / "frames.h5", counts)
    monkeypatch.setattr(compress, "_PIECE_BYTES", 2 * counts[0].size * 7)
    monkeypatch.setattr(decompress, "_PIECE_BYTES", 8 * counts[0].size * 7)
    compress.compress(source, tmp_path / "c.h5", weights)
    compressor = load(weights)
    expected, _ = compressor.compress(counts)
    decompress.decompress(tmp_path / "c.h5", tmp_path / "f.h5")
    with h5py.File(tmp_path / "c.h5") as coefficients, h5py.File(tmp_path / "f.h5") as frames:
        np.testing.assert_array_equal(coefficients["coefficients"][()], expected)
        np.testing.assert_allclose(frames[DATA][()], compressor.expand(expected), rtol=1e-5, atol=1e-5)


def scanned(path: Path) -> tuple[Path, Compressor]:
    """A CXI file with a scan and an invalid pixel, and a compressor that has another one."""
    rng = np.random.default_rng(8)
    n, count = 8, 20
    masks = np.zeros((2, n, n), np.bool_)
    masks[0, 1, 2], masks[1, 3, 4] = True, True
    frames = rng.poisson(rng.uniform(0, 40, (n, n)) * rng.uniform(0.5, 2, (count, 1, 1))).astype(np.uint16)
    probe = (rng.normal(size=(2, n, n)) * [[[2]], [[1]]] + 1j).astype(np.complex64)
    positions = rng.uniform(0, 20, (count, 2))
    scan = Scan(
        frames=np.where(masks[0], 0, frames),
        mask=masks[0],
        probe=probe,
        positions=positions - positions.min(axis=0),
        wavelength=1.4e-10,
        distance=2.0,
        pixel_size=(75e-6, 55e-6),
    )
    write_cxi(path, scan)
    return path, quantise(learn(frames, 5, transform=Transform("counts", 14), mask=masks[1]), frames)


def test_with_the_scan_the_frames_are_a_complete_cxi_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.cli import compress, decompress
    from ptychopress.reconstruction import scan_files

    source, compressor = scanned(tmp_path / "scan.cxi")
    save(tmp_path / "weights.h5", compressor)
    original = scan_files.read_scan(source)
    compress.compress(source, tmp_path / "c.h5", tmp_path / "weights.h5")
    # Frames by threes, and none of the original's beside the first.
    monkeypatch.setattr(decompress, "_PIECE_BYTES", 8 * original.mask.size * 3)
    with monkeypatch.context() as patch:
        patch.setattr(scan_files, "read_frames", None)
        decompress.decompress(tmp_path / "c.h5", tmp_path / "out.cxi", scan=source)
    found = scan_files.read_scan(tmp_path / "out.cxi")
    assert np.argwhere(found.mask).tolist() == [[1, 2], [3, 4]]
    with h5py.File(tmp_path / "c.h5") as file:
        expected = compressor.expand(file["coefficients"][()])
    np.testing.assert_allclose(found.frames, np.where(found.mask, 0, expected), rtol=1e-5, atol=1e-5)
    for name in ("probe", "positions", "object_pixel", "wavelength", "distance", "pixel_size", "basis"):
        np.testing.assert_allclose(getattr(found, name), getattr(original, name), atol=1e-9, err_msg=name)
    with h5py.File(tmp_path / "out.cxi") as file:
        assert file[DATA].dtype == np.float32 and file[DATA].chunks == (1, 8, 8)
        # As other programs find it, to whom NaN would be poison.
        assert np.argwhere(file["entry_1/instrument_1/detector_1/mask"]).tolist() == [[1, 2], [3, 4]]
        np.testing.assert_array_equal(file[DATA], found.frames)
        assert get(file, "source") == "scan.cxi"
    assert np.isfinite(found.acquisition().photons)


def test_a_scan_that_does_not_fit_is_refused(plain: tuple[Path, Path, Compressor], tmp_path: Path) -> None:
    _, coefficients, _ = plain
    scan, _ = scanned(tmp_path / "scan.cxi")
    before = scan.read_bytes()
    bare = write_frames(tmp_path / "bare.h5", np.zeros((50, 9, 9), np.uint16))
    for source, message in (
        (scan, "scan.cxi: 20 positions, frames of (8, 8), expected 50 and (9, 7), as in the compressed file"),
        (bare, "bare.h5: no data set entry_1/instrument_1/detector_1/distance"),
        (tmp_path / "missing.cxi", "missing.cxi: no such file"),
        (coefficients, "neither CXI nor"),
    ):
        assert message in complaint(run("decompress", coefficients, "--scan", source, "--out", tmp_path / "out.cxi"))
    assert "which is read" in complaint(run("decompress", coefficients, "--scan", scan, "--out", scan))
    assert scan.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.h5", "scan.cxi"]


@pytest.mark.simulator
def test_the_hardware_gives_the_same_file(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    source = write_frames(tmp_path / "frames.h5", counts)
    found = []
    for engine in ("model", "rtl"):
        out = tmp_path / f"{engine}.h5"
        done = run("compress", source, "--weights", weights, "--out", out, "--engine", engine)
        assert done.returncode == 0, done.stderr
        with h5py.File(out) as file:
            found.append({name: file[name][()].tobytes() for name in ("coefficients", "saturated", "clipped")})
    assert found[0] == found[1]
    done = run("compress", source, "--weights", weights, "--out", tmp_path / "both.h5", "--check", "--json")
    assert (done.returncode, json.loads(done.stdout)["engine"]) == (0, "both")


WRONG_SATURATION = """
import ptychopress.hdl.projector as projector

right = projector._saturate

def wrong(m, value, bits):
    coefficient, saturated = right(m, value, bits)
    return coefficient ^ (coefficient == 1), saturated

projector._saturate = wrong
"""


@pytest.mark.simulator
def test_a_fault_in_the_hardware_is_found(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WRONG_SATURATION)
    source, out = write_frames(tmp_path / "frames.h5", counts), tmp_path / "out" / "c.h5"
    out.parent.mkdir()
    done = run("compress", source, "--weights", weights, "--out", out, "--check", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    first = np.argwhere(load(weights).compress(counts)[0] == 1)[0][0]
    assert f"coefficients, the first in frame {first};" in done.stderr
    assert not list(out.parent.iterdir())


def test_marks_of_invalid_pixels(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    marked = counts.astype(np.int32)
    marked[:, *MASKED] = -1
    source = write_frames(tmp_path / "frames.h5", marked, "mine/frames")
    done = run("compress", source, "--path", "mine/frames", "--weights", weights, "--out", tmp_path / "c.h5")
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "c.h5") as file:
        np.testing.assert_array_equal(file["coefficients"][()], load(weights).compress(counts)[0])
    marked[5, 1, 1] = -1
    source = write_frames(tmp_path / "frames.h5", marked)
    done = run("compress", source, "--weights", weights, "--out", tmp_path / "d.h5")
    assert "holds -1 in frame 5, row 1, column 1" in complaint(done)
    # Dead in this file, but not when the components were learned: counts as no light.
    marked[:, 1, 1] = -2
    source = write_frames(tmp_path / "frames.h5", marked)
    done = run("compress", source, "--weights", weights, "--out", tmp_path / "d.h5")
    assert (done.returncode, "1 invalid pixels" in done.stderr) == (0, True)
    dark = counts.copy()
    dark[:, 1, 1] = 0
    with h5py.File(tmp_path / "d.h5") as file:
        np.testing.assert_array_equal(file["coefficients"][()], load(weights).compress(dark)[0])


def test_documented_snippet(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    """What docs/compress.md says of the file, with h5py and NumPy alone."""
    page = Path(ptychopress.__file__).parent / "docs" / "compress.md"
    snippet = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[1]
    source = write_frames(tmp_path / "frames.h5", counts)
    assert run("compress", source, "--weights", weights, "--out", tmp_path / "coefficients.h5").returncode == 0
    script = tmp_path / "snippet.py"
    script.write_text(f"{snippet}\nnp.save('values.npy', values)\n")
    subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, check=True)
    compressor = load(weights)
    expected = compressor.values(compressor.compress(counts)[0])
    np.testing.assert_allclose(np.load(tmp_path / "values.npy"), expected, rtol=1e-6, atol=1e-6)


@pytest.fixture(scope="module")
def plain(counts: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Compressor]:
    """Frames, coefficients and the compressor between them."""
    folder = tmp_path_factory.mktemp("plain")
    compressor = quantise(learn(counts, 3, transform=Transform("counts", 16)), counts)
    save(folder / "weights.h5", compressor)
    source = write_frames(folder / "frames.h5", counts)
    done = run("compress", source, "--weights", folder / "weights.h5", "--out", folder / "c.h5")
    assert done.returncode == 0, done.stderr
    return source, folder / "c.h5", compressor


def changed_coefficient(path: Path) -> None:
    with h5py.File(path) as file:
        offset = file["coefficients"].id.get_chunk_info(0).byte_offset
    data = bytearray(path.read_bytes())
    data[offset + 20] ^= 4
    path.write_bytes(data)


def changed_weight(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["weights/weights"][0, 0] ^= 1


def other_weights(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["weights_sha256"] = "0" * 64


def lost_weights(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["weights"]


def fewer_columns(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        part = file["coefficients"][:, :2]
        del file["coefficients"]
        file["coefficients"] = part


def newer_version(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 3


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def not_hdf5(path: Path) -> None:
    path.write_text("coefficients")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (changed_coefficient, "is damaged: frames 0 to 49 cannot be read"),
        (changed_weight, "SHA-256"),
        (other_weights, "not those that it was compressed with"),
        (lost_weights, "no group weights"),
        (fewer_columns, "expected integer coefficients (J, 3)"),
        (newer_version, "is of version 3"),
        (truncated, "truncated"),
        (not_hdf5, "no HDF5 file"),
    ],
)
def test_a_damaged_file_gets_one_line_and_leaves_nothing(
    fault: object, message: str, plain: tuple[Path, Path, Compressor], tmp_path: Path
) -> None:
    path = tmp_path / "c.h5"
    path.write_bytes(plain[1].read_bytes())
    fault(path)
    assert message in complaint(run("decompress", path, "--out", tmp_path / "f.h5"))
    assert [path.name for path in tmp_path.iterdir()] == ["c.h5"]


def test_bad_input_gets_one_line_and_leaves_nothing(plain: tuple[Path, Path, Compressor], tmp_path: Path) -> None:
    source, coefficients, _ = plain
    weights = source.with_name("weights.h5")
    small = write_frames(tmp_path / "small.h5", np.zeros((2, 4, 4), np.uint16))
    floats = write_frames(tmp_path / "floats.h5", np.zeros((2, *SHAPE)))
    before = {path: path.read_bytes() for path in (source, coefficients, weights, small, floats)}
    for arguments, message in (
        (["compress", small, "--weights", weights], "frames of (4, 4)"),
        (["compress", floats, "--weights", weights], "expected integer photon counts"),
        (["compress", source, "--weights", source], "no weights file"),
        (["compress", source, "--weights", weights, "--path", "nothing"], "no data set nothing"),
        (["compress", tmp_path / "missing.h5", "--weights", weights], "missing.h5: no such file"),
        (["decompress", weights], "holds no coefficients"),
        (["decompress", coefficients, "--dtype", "int8"], "int8"),
    ):
        assert message in complaint(run(*arguments, "--out", tmp_path / "out.h5")), arguments
    for arguments, out in (
        (["compress", source, "--weights", weights], source),
        (["compress", source, "--weights", weights], weights),
        (["decompress", coefficients], coefficients),
    ):
        assert "which is read" in complaint(run(*arguments, "--out", out))
    assert "is a directory" in complaint(run("decompress", coefficients, "--out", tmp_path))
    assert "no such directory" in complaint(run("decompress", coefficients, "--out", tmp_path / "new" / "f.h5"))
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["floats.h5", "small.h5"]


def test_an_interrupt_leaves_the_old_file(counts: np.ndarray, weights: Path, tmp_path: Path) -> None:
    source = write_frames(tmp_path / "frames.h5", counts)
    # At work, and not just about to be: an interrupt inside HDF5's own calls may be lost.
    at_work = tmp_path / "site" / "at_work"
    slow = "import pathlib, time, ptychopress.model.quantise as q\n"
    slow += f"q.Compressor.compress = lambda *_: (pathlib.Path({str(at_work)!r}).touch(), time.sleep(60))\n"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(slow)
    (tmp_path / "c.h5").write_text("old")
    command = [COMMAND, "compress", source, "--weights", weights, "--out", tmp_path / "c.h5"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not at_work.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert (process.returncode, "interrupted" in stderr) == (130, True)
    assert (tmp_path / "c.h5").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.h5", "frames.h5", "site"]


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("bits", [7, 8, 14, 16, 17])
def test_counts_are_limited_to_any_width(dtype: str, bits: int) -> None:
    from ptychopress.cli.engine import limited

    largest = int(np.iinfo(dtype).max)
    found = limited(np.array([0, 3, largest], dtype), bits)
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), [0, 3, min(largest, 2**bits - 1)])


@pytest.mark.usefixtures("refused")
def test_frames_of_one_row_reach_the_hardware_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.cli import compress
    from ptychopress.sim import bulk

    class Model:
        def __init__(self, block: object, projection: Projection) -> None:
            self.projection = projection

        def run(self, frames: np.ndarray) -> bulk.BulkCoefficients:
            return bulk.BulkCoefficients(*self.projection.project(frames), np.zeros(len(frames), np.bool_), 0)

    monkeypatch.setattr(bulk, "BulkProjector", Model)
    counts = np.random.default_rng(3).poisson(9, (20, 1, 12)).astype(np.uint16)
    entry = quantise(learn(counts, 3, transform=Transform("counts", 8)), counts)
    found, expected = compress._hardware(entry)(entry, counts), compress._model(entry, counts)
    assert [values.shape for values in found] == [(20, 3), (20,), (20,)]
    for name, values in found._asdict().items():
        np.testing.assert_array_equal(values, getattr(expected, name))
