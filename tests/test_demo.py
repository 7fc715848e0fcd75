# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import subprocess
from pathlib import Path

import command
import h5py
import numpy as np
import pytest

pytest.importorskip("torch")
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.phantom import cell_phantom

pytestmark = pytest.mark.simulator


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return command.run("demo", *arguments, **environment)


def write_cxi(path: Path, frames: np.ndarray, acquisition: Acquisition) -> None:
    """A file as `reconstruction/cxi.py` documents it, with object pixels of 1 nm."""
    n, wavelength, distance, pixel = acquisition.window, 1e-10, 1.0, 1e-10 / (acquisition.window * 1e-9)
    with h5py.File(path, "w") as file:
        detector = file.create_group("entry_1/instrument_1/detector_1")
        detector["data"] = frames
        detector["distance"] = distance
        detector["x_pixel_size"] = detector["y_pixel_size"] = pixel
        file["entry_1/instrument_1/source_1/wavelength"] = wavelength
        file["entry_1/instrument_1/source_1/illumination"] = acquisition.probe
        xy = -1e-9 * acquisition.positions[:, ::-1].astype(float)
        file["entry_1/sample_1/geometry_1/translation"] = np.column_stack([xy, np.zeros(len(xy))])
    assert n == frames.shape[-1]


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "scan.cxi"
    positions = raster_scan(8, 8, 4)
    acquisition = Acquisition(gaussian_probe(24, 4.0), positions, (52, 52)).scaled(2e5)
    obj = np.exp(1j * cell_phantom(52).phase).astype(np.complex64)
    write_cxi(path, expose(diffract(obj, acquisition), 1), acquisition)
    return path


def test_measured_frames_to_report(scan: Path, tmp_path: Path) -> None:
    done = run("--data", scan, "--out", tmp_path / "out", "--json", "--quick")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == json.loads(done.stdout)
    rows = {row["codebook"]: row for row in results["results"]}
    assert list(rows) == ["none", "sqrt-a", "sqrt-b", "sqrt-c"]
    for name, bits in (("sqrt-a", 9), ("sqrt-b", 8), ("sqrt-c", 8)):
        row = rows[name]
        assert (row["bit_exact"], row["mismatches"], row["bits"]) == (True, 0, bits)
        assert (row["frames"], row["pixels"]) == (128, 128 * 24 * 24)
        assert 0 < row["smse_unencoded"] < 0.1
        assert row["clocks"] >= row["pixels"] / 16
    assert rows["sqrt-a"]["smse_unencoded"] < rows["sqrt-c"]["smse_unencoded"]
    assert rows["none"]["entropy"] > rows["sqrt-a"]["entropy"] > rows["sqrt-c"]["entropy"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "results.json",
        "report.html",
        "phase-scan.png",
        "frc-scan.png",
        "projector-scan.png",
        "projector-phase-scan.png",
    }
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5
    assert "http" not in page.replace("http-equiv", "")  # self-contained


@pytest.mark.slow
def test_measured_frames_through_the_projector(scan: Path, tmp_path: Path) -> None:
    done = run("--data", scan, "--out", tmp_path / "out", "--json", "--quick", "--sweep")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["projections"]
    pixels, frames = 24 * 24, 64
    assert [(row["domain"], row["components"], row["weight_bits"]) for row in rows] == [
        (domain, count, bits)
        for domain in ("counts", "sqrt-b")
        for count, bits in ((pixels // 16, 8), (pixels // 55, 8), (pixels // 55, None))
    ]
    for row in rows:
        hardware = row["weight_bits"] is not None
        assert row["bit_exact"] is (True if hardware else None)
        assert row["simulated"] == (frames if hardware else 0)
        assert row["coefficients"] == row["simulated"] * row["components"]
        assert row["mismatches"] == 0
        assert 0 < row["smse_unencoded"] < 0.1
        if hardware:
            # 36 beats of 16 pixels, each for as many clocks as there are rows of four components.
            assert row["clocks"] >= frames * 36 * -(-row["components"] // 4)
            assert row["loss"] < 0.02
    for narrow, wide in ((1, 0), (4, 3)):
        assert rows[narrow]["smse_unencoded"] > rows[wide]["smse_unencoded"]


WRONG_SHIFT = """
import ptychopress.hdl.encoder as encoder

class WrongShift(encoder.ShiftCore):
    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.count[4:] == 1):
            m.d.comb += self.code[0].eq(self.count[0])
        return m

encoder.ShiftCore = WrongShift
"""

# Half a step too much: every rounding of a half goes the other way.
WRONG_ROUNDING = """
import ptychopress.hdl.projector as projector

right = projector._shift_right

def wrong(m, value, shift):
    return right(m, value ^ 1, shift)

projector._shift_right = wrong
"""


@pytest.mark.slow
def test_a_fault_in_the_projector_is_found(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WRONG_ROUNDING)
    done = run("--data", scan, "--out", tmp_path / "out", "--json", "--quick", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    results = json.loads(done.stdout)
    assert {row["bit_exact"] for row in results["results"]} == {None, True}
    assert any(row["mismatches"] for row in results["projections"])
    assert "differ from the golden model" in " ".join((tmp_path / "out" / "report.html").read_text().split())


def test_a_fault_in_the_hardware_is_found(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WRONG_SHIFT)
    done = run("--data", scan, "--out", tmp_path / "out", "--json", "--no-projector", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)["results"]
    assert [row["bit_exact"] for row in rows] == [None, False, False, False]
    assert all(row["mismatches"] > 0 for row in rows[1:])
    assert "differ from the golden model" in " ".join((tmp_path / "out" / "report.html").read_text().split())


@pytest.mark.parametrize("options", [["--no-projector"], pytest.param(["--quick"], marks=pytest.mark.slow)])
def test_invalid_pixels_are_neither_counts_nor_saturated(options: list[str], scan: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked.cxi"
    with h5py.File(scan) as clean, h5py.File(marked, "w") as file:
        clean.copy("entry_1", file)
        detector = file["entry_1/instrument_1/detector_1"]
        frames = detector["data"][()].astype(np.int32)
        frames[:, 3, 4] = -1
        frames[:, 5:7, 9] = 65535
        del detector["data"]
        detector["data"] = frames
        detector["mask"] = np.zeros(frames.shape[1:], np.uint32)
        detector["mask"][5:7, 9] = 1
    done = run("--data", marked, "--out", tmp_path / "out", "--json", "--decode", "unbiased", *options)
    assert done.returncode == 0, done.stderr
    assert all(row["bit_exact"] is not False for row in json.loads(done.stdout).get("projections", []))
    rows = json.loads(done.stdout)["results"]
    assert [row["saturated"] for row in rows] == [0, 0, 0, 0]
    frames[:, 3, 4] = frames[:, 5:7, 9] = 0
    assert rows[0]["bits"] == int(frames.max()).bit_length()


@pytest.mark.slow
def test_the_simulated_benchmark_in_short(tmp_path: Path) -> None:
    smse = {}
    for rule in ("midpoint", "unbiased"):
        done = run("--quick", "--out", tmp_path / rule, "--json", "--decode", rule, "--no-projector")
        assert done.returncode == 0, done.stderr
        rows = {row["codebook"]: row for row in json.loads(done.stdout)["results"]}
        assert {row["scene"] for row in rows.values()} == {"2e7"}
        assert all(row["bit_exact"] for name, row in rows.items() if name != "none")
        smse[rule] = {name: row["smse"] for name, row in rows.items()}
        assert smse[rule]["sqrt-a"] == pytest.approx(smse[rule]["none"], rel=0.03)
        assert 0.2 < rows["none"]["frc_crossing"] < 0.8
    assert smse["midpoint"]["none"] == smse["unbiased"]["none"]
    assert smse["midpoint"]["sqrt-c"] != smse["unbiased"]["sqrt-c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "missing.cxi"], "missing.cxi"),
        (["--phantom", "missing.npz"], "missing.npz"),
        (["--data", "a.cxi", "--phantom", "b.npz"], "exclude each other"),
        (["--decode", "left"], "left"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(options: list[str], message: str, tmp_path: Path) -> None:
    done = run(*options, "--out", tmp_path / "new" / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_hdf5_without_frames_and_without_geometry(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "empty.h5", "w") as file:
        file["other"] = 1
    done = run("--data", tmp_path / "empty.h5", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "no data set entry_1/instrument_1/detector_1/data" in done.stderr
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["entry_1/instrument_1/detector_1/data"] = np.ones((2, 8, 8), np.uint16)
    done = run("--data", tmp_path / "bare.h5", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "distance" in done.stderr
    assert not (tmp_path / "out").exists()
