# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychopress.cli import bench_codec
from ptychopress.cli.main import main

DATA = "entry_1/data_1/data"


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["ptychopress", "bench", "codec", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


@pytest.fixture
def frames(tmp_path: Path) -> tuple[Path, np.ndarray]:
    counts = np.random.default_rng(6).poisson(4, (5, 16, 16)).astype(np.uint16)
    with h5py.File(tmp_path / "frames.h5", "w") as file:
        file[DATA] = counts
    (tmp_path / "edges.json").write_text("[0, 1, 2, 4, 8, 16, 32, 64]")
    return tmp_path / "frames.h5", counts


def test_the_command_writes_what_it_prints(
    frames: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hdf5plugin")
    path, out = frames[0], frames[0].with_name("out")
    arguments = ["--data", path, "--edges", path.with_name("edges.json"), "--frames", 12, "--runs", 3]
    assert command(monkeypatch, *arguments, "--json", "--out", out) == 0
    results = json.loads(capsys.readouterr().out)
    assert results == json.loads((out / "results.json").read_text())
    assert (results["frames"], results["source"], results["runs"]) == ([12, 16, 16], "frames.h5", 3)
    rows = {row["name"]: row for row in results["results"]}
    assert list(rows) == ["szip", "lz4", "none", "bitshuffle, LZ4", "bitshuffle, zstd", "gzip 1, shuffle"]
    assert [row["holds"] for row in rows.values()] == ["codes"] * 3 + ["counts"] * 3
    # A chunk of all frames and its checksum.
    assert rows["none"]["bits_per_pixel"] == pytest.approx(8 + 32 / (12 * 16 * 16))
    assert rows["szip"]["bits_per_pixel"] < rows["none"]["bits_per_pixel"]
    assert all(row[name] > 0 for row in rows.values() for name in ("compress", "read", "decompress"))
    assert command(monkeypatch, *arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("encode: target ") and "decompress, szip: target " in captured.out
    assert "bitshuffle, zstd" in captured.err


@pytest.mark.parametrize("what", ["look_up", "write"])
def test_what_comes_back_wrong_is_not_timed(
    what: str, frames: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ptychopress.model.codebook import Codebook

    if what == "look_up":
        monkeypatch.setattr(bench_codec, "look_up", lambda table, indices, out: out.fill(1))
    else:
        wrong = {"counts": frames[1][::-1]}
        monkeypatch.setattr(bench_codec, "_read_counts", lambda image: wrong["counts"])
    peers = {bench_codec.RIVAL: {"compression": "gzip"}}
    monkeypatch.setattr(bench_codec, "Lossless", [bench_codec.Lossless.SZIP])
    with pytest.raises(RuntimeError, match="not what was written"):
        bench_codec.measure(frames[1], Codebook.from_edges([0, 1, 2, 4, 8, 16, 32, 64]), peers, 1)


def test_verdicts() -> None:
    def row(name: str, holds: str, read: float, decompress: float) -> dict[str, Any]:
        return {"name": name, "holds": holds, "bits_per_pixel": 2.0, "read": read, "decompress": decompress}

    results = {"encode": 1.5, "take_encode": 1.0, "decode": 1.0, "take_decode": 1.0}
    results["results"] = [row("szip", "codes", 1.0, 0.9), row(bench_codec.RIVAL, "counts", 1.0, 1.0)]
    lines = bench_codec.verdicts(results)
    assert [line.partition(" target ")[2].partition(":")[0] for line in lines] == ["met", "", "met", "MISSED"]
    assert "MISSED" in bench_codec.verdicts(results | {"take_encode": 1.01})[0]


def test_without_hdf5plugin_one_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "hdf5plugin":
            raise ModuleNotFoundError("No module named 'hdf5plugin'", name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert command(monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "needs hdf5plugin: pip install 'ptychopress[bench]'" in error


def test_wrong_arguments(
    frames: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hdf5plugin")
    with h5py.File(frames[0], "w") as file:
        file[DATA] = np.full((2, 8, 8), 1 << 17)
    for arguments, message in (
        (["--data", frames[0]], "counts up to 131072, the benchmark is of counts of 16 bit"),
        (["--data", "missing.h5"], "missing.h5: no such file"),
        (["--codebook", "sqrt-d"], "unknown codebook"),
        (["--out", frames[0]], "is a file: --out takes a directory"),
    ):
        assert command(monkeypatch, *arguments) == 2
        assert message in capsys.readouterr().err
