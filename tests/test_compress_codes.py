# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import ptychopress
import pytest
from ptychopress.cli import codes as codes_command
from ptychopress.cli import compress as compress_command
from ptychopress.cli import decompress as decompress_command
from ptychopress.cli.engine import Engine
from ptychopress.cli.main import main
from ptychopress.model.attributes import get
from ptychopress.model.code_file import Lossless
from ptychopress.model.codebook import Codebook
from ptychopress.model.config import CoreConfig
from ptychopress.model.core import Core
from ptychopress.model.packet import Flag
from ptychopress.reconstruction.cxi import write_cxi
from ptychopress.reconstruction.scan import Scan
from ptychopress.reconstruction.scan_files import read_scan
from ptychopress.sim.core_model import Frame

DATA = "entry_1/data_1/data"
SIDE, FRAMES = 16, 23
EDGES = [0, 1, 2, 4, 8, 16, 32, 64]
BOOK = Codebook.from_edges(EDGES)


@pytest.fixture(scope="module")
def scan() -> Scan:
    """With an invalid pixel, and counts above the range in two frames."""
    rng = np.random.default_rng(21)
    frames = rng.poisson(rng.uniform(0, 30, (SIDE, SIDE)), (FRAMES, SIDE, SIDE)).astype(np.uint16)
    frames[4, 1, 1], frames[9, 2, 5], frames[9, 2, 6] = 64, 65535, 70
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[3, 7] = True
    frames[:, mask] = 0
    positions = rng.uniform(0, 20, (FRAMES, 2))
    return Scan(
        frames=np.where(frames > 60, np.where(frames < 64, 60, frames), frames).astype(np.uint16),
        mask=mask,
        probe=rng.normal(size=(SIDE, SIDE)).astype(np.complex64),
        positions=positions - positions.min(axis=0),
        wavelength=1.4e-10,
        distance=2.0,
        pixel_size=(75e-6, 55e-6),
    )


@pytest.fixture
def source(scan: Scan, tmp_path: Path) -> Path:
    write_cxi(tmp_path / "scan.cxi", scan)
    (tmp_path / "edges.json").write_text(json.dumps(EDGES))
    return tmp_path / "scan.cxi"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ptychopress", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_round_trip(
    scan: Scan, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, edges, out = source.with_name("c.h5"), source.with_name("edges.json"), source.with_name("out.cxi")
    assert run(monkeypatch, "compress", source, "--edges", edges, "--out", path, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["codes"][()], BOOK.encode(scan.frames))
        assert np.flatnonzero(file["saturated"]).tolist() == [4, 9]
        assert file["saturated"][9] == 2 and file.attrs["saturated"] == told["saturated"] == 3
        np.testing.assert_array_equal(file["mask"][()], scan.mask)
        assert (get(file, "source"), get(file, "source_path")) == ("scan.cxi", "entry_1/instrument_1/detector_1/data")
        assert told["bits_per_pixel"] == 8 * file["codes"].id.get_storage_size() / scan.frames.size
        assert (told["frames"], told["sha256"], told["engine"]) == (FRAMES, get(file, "sha256"), "model")
    for method in ("midpoint", "posterior", "unbiased"):
        arguments = ["--method", method] if method != "midpoint" else []
        assert run(monkeypatch, "decompress", path, "--out", out, *arguments) == 0
        expected = BOOK.decode(BOOK.encode(scan.frames), method, dtype=np.float32)
        found = read_scan(out)
        np.testing.assert_array_equal(found.mask, scan.mask)
        with h5py.File(out) as file:
            np.testing.assert_array_equal(file[DATA][()], np.where(scan.mask, 0, expected))
            assert (get(file, "method"), get(file, "codes_sha256")) == (method, told["sha256"])
        for name in ("probe", "positions", "wavelength", "distance", "pixel_size"):
            np.testing.assert_allclose(getattr(found, name), getattr(scan, name), atol=1e-9, err_msg=name)


def test_pieces_do_not_show_and_files_are_reproducible(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, edges = source.with_name("c.h5"), source.with_name("edges.json")
    compress_command.compress(source, path, edges=edges)
    decompress_command.decompress(path, source.with_name("a.cxi"))
    whole = path.read_bytes()
    monkeypatch.setattr(codes_command, "_PIECE_BYTES", 2 * SIDE * SIDE * 5)
    monkeypatch.setattr(decompress_command, "_PIECE_BYTES", 8 * SIDE * SIDE * 4)
    compress_command.compress(source, path, edges=edges)
    assert path.read_bytes() == whole
    decompress_command.decompress(path, source.with_name("b.cxi"))
    with h5py.File(source.with_name("a.cxi")) as one, h5py.File(source.with_name("b.cxi")) as other:
        np.testing.assert_array_equal(one[DATA], other[DATA])


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "lossless"),
    [("custom", Lossless.SZIP), *(pytest.param("sqrt-c", kind, marks=pytest.mark.slow) for kind in Lossless)],
)
def test_the_hardware_gives_the_same_file(name: str, lossless: Lossless, source: Path) -> None:
    if lossless is Lossless.LZ4:
        pytest.importorskip("hdf5plugin")
    path = source.with_name("c.h5")
    book = {"edges": source.with_name("edges.json")} if name == "custom" else {"codebook": name, "count_bits": 8}
    compress_command.compress(source, path, lossless=lossless, **book)
    whole = path.read_bytes()
    for check in (False, True):
        compress_command.compress(source, path, lossless=lossless, engine=Engine.RTL, check=check, **book)
        assert path.read_bytes() == whole


def test_a_fault_in_the_hardware_is_found(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Faulty:
        """The golden model, with a bit of the second packet wrong. No Verilog is compiled."""

        def __init__(self, config: CoreConfig) -> None:
            self.core, self.number = Core(config), 0

        def __enter__(self) -> "Faulty":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def run(self, frames: Sequence[Frame]) -> list[bytes]:
            packets = []
            for frame in frames:
                flags = Flag.NONE if self.number else Flag.FIRST
                packet = bytearray(self.core.packet(frame.counts, frame.mode, number=self.number, flags=flags).pack())
                packet[70] ^= self.number == 1
                packets.append(bytes(packet))
                self.number += 1
            return packets

    monkeypatch.setattr("ptychopress.sim.core_model.BulkCore", Faulty)
    edges, out = source.with_name("edges.json"), source.with_name("c.h5")
    before = sorted(source.parent.iterdir())
    assert run(monkeypatch, "compress", source, "--edges", edges, "--out", out, "--check") == 1
    assert "1 packets, the first in frame 1" in capsys.readouterr().err
    assert sorted(source.parent.iterdir()) == before


def test_frames_that_no_core_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "small.h5", "w") as file:
        file["mine"] = np.ones((2, 2, 4), np.uint16)
    arguments = ["--path", "mine", "--codebook", "sqrt-b", "--lossless", "none", "--engine", "rtl"]
    assert run(monkeypatch, "compress", tmp_path / "small.h5", *arguments, "--out", tmp_path / "c.h5") == 2
    assert "no core for frames of 2 x 4: frame." in capsys.readouterr().err.replace("\n", " ")


def test_a_file_without_a_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], scan: Scan
) -> None:
    frames = scan.frames[:, :7, :9].astype(np.int32)
    frames[:, 2, 2] = -1
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["mine"] = frames
    (tmp_path / "edges.json").write_text(json.dumps(EDGES))
    arguments = ["--path", "mine", "--edges", tmp_path / "edges.json", "--lossless", "none"]
    assert run(monkeypatch, "compress", tmp_path / "plain.h5", *arguments, "--out", tmp_path / "c.h5") == 0
    assert "note: positions and detector are not kept" in capsys.readouterr().err
    for dtype in ("float32", "float64"):
        assert run(monkeypatch, "decompress", tmp_path / "c.h5", "--out", tmp_path / "f.h5", "--dtype", dtype) == 0
        with h5py.File(tmp_path / "f.h5") as file:
            found = file[DATA][()]
        assert found.dtype == dtype and np.isnan(found[:, 2, 2]).all() and np.isnan(found).sum() == FRAMES
        frames[:, 2, 2] = 0
        valid = np.ones((7, 9), np.bool_)
        valid[2, 2] = False
        np.testing.assert_array_equal(found[:, valid], BOOK.decode(BOOK.encode(frames))[:, valid])


def test_bad_input_gets_one_line_and_leaves_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out, edges = source.with_name("c.h5"), source.with_name("out.h5"), source.with_name("edges.json")
    compress_command.compress(source, path, edges=edges)
    damaged = source.with_name("damaged.h5")
    octets = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        octets[file["codes"].id.get_chunk_info(5).byte_offset + 9] ^= 1
    damaged.write_bytes(octets)
    before = {entry: entry.read_bytes() for entry in source.parent.iterdir()}
    capsys.readouterr()
    for arguments, message in (
        (["compress", source, "--codebook", "sqrt-d"], "unknown codebook 'sqrt-d'"),
        (["compress", source, "--block", "12"], "block of SZIP: 12, expected 8, 16, 32"),
        (["compress", source, "--lossless", "none", "--block", "8"], "--block: it is for SZIP"),
        (["compress", source, "--weights", path, "--codebook", "sqrt-b"], "--codebook: it is for codes"),
        (["compress", source, "--weights", path, "--lossless", "szip"], "--lossless: it is for codes"),
        (["compress", source.with_name("missing.h5")], "missing.h5: no such file"),
        (["decompress", source], "holds no coefficients"),
        (["decompress", source.with_name("missing.h5")], "missing.h5: no such file"),
        (["decompress", damaged], "damaged.h5 is damaged: frames 0 to 22 cannot be read"),
        (["decompress", path, "--method", "left"], "left"),
    ):
        assert run(monkeypatch, *arguments, "--out", out) == 2, arguments
        lines = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
        assert len(lines) == 1 and message in lines[0]
    assert run(monkeypatch, "decompress", path, "--out", path) == 2
    assert {entry: entry.read_bytes() for entry in source.parent.iterdir()} == before


@pytest.mark.parametrize("shape", [(3, 16, 1 << 31), (1 << 40, 16, 16)])
def test_a_source_that_claims_too_much_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_dataset(DATA, shape, "u2", chunks=(1, 16, 16))
    with pytest.raises(ValueError, match="hardly anything is stored"):
        compress_command.compress(tmp_path / "huge.h5", tmp_path / "c.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["huge.h5"]


def test_documented_snippet(scan: Scan, source: Path, tmp_path: Path) -> None:
    """What docs/compress.md says of the file, with h5py alone."""
    page = Path(ptychopress.__file__).parent / "docs" / "compress.md"
    snippet = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)[0]
    compress_command.compress(source, tmp_path / "codes.h5", edges=source.with_name("edges.json"))
    script = tmp_path / "snippet.py"
    script.write_text(f"{snippet}\nimport numpy as np\nnp.save('counts.npy', counts)\n")
    subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "counts.npy"), BOOK.decode(BOOK.encode(scan.frames)))


def test_damaged_files() -> None:
    """A small run of benchmarks/fuzz_files.py."""
    script = Path(ptychopress.__file__).parent / "benchmarks" / "fuzz_files.py"
    done = subprocess.run([sys.executable, script, "--cases", "60", "--seed", "7"], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
