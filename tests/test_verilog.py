# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ptychopress.sim.tools import verilator_path_environment

VARIANTS = {
    "shift": ["--codebook", "sqrt-b"],
    "saturating": ["--codebook", "sqrt-a", "--input-bits", "16", "--lanes", "3"],
    "core": ["--codebook", "sqrt-c", "--core"],
    "threshold": ["--codebook", "floor-sqrt", "--lanes", "2"],
    "asic": ["--codebook", "nearest-sqrt", "--parameter", "scale=2", "--no-preload", "--lanes", "1"],
    "table": ["--codebook", "argonne-10to7", "--architecture", "table", "--lanes", "2"],
    "decoder": ["--codebook", "sqrt-b", "--architecture", "decoder", "--method", "unbiased", "--fraction-bits", "4"],
    "partial decoder": ["--codebook", "sqrt-c", "--architecture", "decoder", "--lanes", "1"],
}


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ptychopress", *map(str, arguments)],
        executable=str(Path(sys.executable).with_name("ptychopress")),
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.fixture(scope="module", params=VARIANTS)
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verilog") / "out"
    done = run("verilog", *VARIANTS[request.param], "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert sorted(told["files"]) == sorted(str(path) for path in out.iterdir())
    return out


def sources(out: Path) -> tuple[Path, str]:
    (verilog,) = out.glob("*.v")
    return verilog, verilog.stem


@pytest.mark.simulator
def test_verilator_has_no_warning(generated: Path) -> None:
    verilog, module = sources(generated)
    done = subprocess.run(
        [
            "verilator",
            "--lint-only",
            "-Wall",
            "--quiet",
            generated / "ptychopress.vlt",
            verilog,
            "--top-module",
            module,
        ],
        capture_output=True,
        text=True,
        env=verilator_path_environment(),
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_icarus_has_no_warning(generated: Path, simulator: str) -> None:
    verilog, module = sources(generated)
    command = ["iverilog", "-Wall", "-o", os.devnull, "-s", module, verilog]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_yosys_has_no_warning(generated: Path) -> None:
    verilog, module = sources(generated)
    script = (
        "from pyosys import libyosys as ys; d = ys.Design();"
        f"d.run_pass('read_verilog {verilog}'); d.run_pass('hierarchy -check -top {module}');"
        "d.run_pass('proc'); d.run_pass('check -assert')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert f"Top module:  \\{module}" in done.stdout


@pytest.mark.parametrize("variant", ["shift", "threshold", "core"])
def test_the_same_options_give_the_same_bytes(variant: str, tmp_path: Path) -> None:
    texts = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        assert run("verilog", *VARIANTS[variant], "--out", out, PYTHONHASHSEED=seed).returncode == 0
        texts.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert texts[0] == texts[1]


def test_the_core_has_the_promised_ports(tmp_path: Path) -> None:
    assert run("verilog", "--core", "--out", tmp_path).returncode == 0
    text = (tmp_path / "sqrt_encoder_core.v").read_text()
    for line in ("module sqrt_encoder_core(code, count);", "output [7:0] code;", "input [13:0] count;"):
        assert line in text


def test_the_codebook_beside_the_verilog_decodes(tmp_path: Path) -> None:
    assert run("verilog", "--codebook", "sqrt-c", "--out", tmp_path).returncode == 0
    book = json.loads((tmp_path / "sqrt_encoder.json").read_text())
    assert (book["edges"][:5], book["edges"][-1], book["code_bits"]) == ([0, 1, 2, 4, 8], 16384, 8)
    assert book["levels"] == {"midpoint": book["levels"]["midpoint"]}
    assert book["levels"]["midpoint"][:5] == [0, 1, 2.5, 5.5, 9.5]


def test_own_edges(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text("[0, 1, 3, 8]")
    done = run("verilog", "--edges", tmp_path / "mine.json", "--out", tmp_path / "out", "--lanes", "1")
    assert done.returncode == 0, done.stderr
    assert "ThresholdEncoder of codebook mine" in (tmp_path / "out" / "sqrt_encoder.v").read_text()


BAD = [
    (["--codebook", "sqrt-z"], "unknown codebook 'sqrt-z': known are sqrt-a"),
    (["--count-bits", "40"], "from 1 to 20, got 40"),
    (["--count-bits", "many"], "'--count-bits': Input should be a valid integer"),
    (["--lanes", "0"], "lanes must be a whole number from 1"),
    (["--input-bits", "3"], "input_bits must lie between"),
    (["--codebook", "floor-sqrt", "--architecture", "shift"], "cannot be encoded by shifts"),
    (["--codebook", "sqrt-b-zero", "--core"], "cannot be encoded by shifts"),
    (["--parameter", "scale"], "expected KEY=NUMBER"),
    (["--codebook", "nearest-sqrt", "--parameter", "scale=2", "--parameter", "scale=3"], "given once"),
    (["--codebook", "nearest-sqrt", "--parameter", "name=2"], "given once"),
    (["--codebook", "sqrt-a", "--edges", "x.json"], "--edges says all"),
    (["--lanes", "100000"], "from 1 to 1024"),
    (["--module", "2x"], "Verilog name"),
    (["--edges", "missing.json"], "missing.json"),
    (["--architecture", "decoder", "--fraction-bits", "99"], "fraction_bits must"),
    (["--architecture", "magic"], "magic"),
    (["--nonsense"], "--nonsense"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_gets_one_line_and_leaves_nothing(options: list[str], message: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    done = run("verilog", *options, "--out", out)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_names_cannot_break_the_output(tmp_path: Path) -> None:
    edges = tmp_path / "evil\nendmodule garbage.json"
    done = run("verilog", "--edges", edges, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    edges.write_text("[0, 1, 3, 8]")
    assert run("verilog", "--edges", edges, "--out", tmp_path / "out", "--module", "mine").returncode == 0
    text = (tmp_path / "out" / "mine.v").read_text()
    assert "endmodule garbage" not in text
    assert "module mine(" in text


def test_a_directory_in_the_way_leaves_all_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "sqrt_encoder.v").mkdir()
    done = run("verilog", "--out", tmp_path)
    assert done.returncode == 2
    assert "is a directory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["sqrt_encoder.v"]


def test_out_must_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = run("verilog", "--out", tmp_path / "file")
    assert (done.returncode, (tmp_path / "file").read_text()) == (2, "mine")
    assert "takes a directory" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ptychopress.cli.files import publish

    (tmp_path / "kept").write_text("old")
    with pytest.raises(OSError, match="No space left"), publish(tmp_path) as stage:  # noqa: PT012
        (stage / "kept").write_text("new")
        Path("/dev/full").write_text("x")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"kept": "old"}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], [], ["verilog", "--help"], ["demo", "-h"], ["prove", "-h"], ["sim", "-h"]]
)
def test_help_works(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert "ptychopress" in done.stdout
