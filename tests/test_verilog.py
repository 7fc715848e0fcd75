# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from command import run
from ptychopress.model.pca import learn
from ptychopress.model.quantise import quantise
from ptychopress.model.transform import Transform
from ptychopress.model.weights import fingerprint, load, save
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
    "projector": ["--architecture", "projector", "--pixels", "70", "--components", "10", "--input-bits", "14"],
    "one of everything": [
        *("--architecture", "projector", "--pixels", "3", "--components", "2", "--input-bits", "1"),
        *("--weight-bits", "2", "--output-bits", "2", "--lanes", "1", "--columns", "1"),
    ],
    "encoder and projector": [
        *("--architecture", "projector", "--weights", "CODES", "--encoder", "--input-bits", "16"),
        *("--lanes", "5", "--columns", "3"),
    ],
    "projector of codes": ["--architecture", "projector", "--weights", "CODES", "--lanes", "64", "--columns", "5"],
    "hardwired": ["--architecture", "hardwired", "--weights", "COUNTS", "--adders-per-stage", "2"],
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Weights files of 5 components of 6 x 6 codes and counts."""
    folder = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(1)
    counts = rng.poisson(rng.uniform(0, 20, (6, 6)), (200, 6, 6))
    paths = {}
    for name, transform in (("CODES", Transform.codes("sqrt-b")), ("COUNTS", Transform("counts", 10))):
        values = transform.forward(counts)
        paths[name] = str(folder / f"{name}.h5")
        save(paths[name], quantise(learn(values, 5, transform=transform), values))
    return paths


@pytest.fixture(scope="module", params=VARIANTS)
def generated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: dict[str, str]
) -> Path:
    out = tmp_path_factory.mktemp("verilog") / "out"
    if request.param == "hardwired":
        pytest.importorskip("da4ml")
    options = [weights.get(option, option) for option in VARIANTS[request.param]]
    done = run("verilog", *options, "--out", out, "--json")
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


@pytest.mark.parametrize("variant", ["shift", "threshold", "core", "encoder and projector", "hardwired"])
def test_the_same_options_give_the_same_bytes(variant: str, weights: dict[str, str], tmp_path: Path) -> None:
    options = [weights.get(option, option) for option in VARIANTS[variant]]
    texts = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        assert run("verilog", *options, "--out", out, PYTHONHASHSEED=seed).returncode == 0
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


def test_the_table_beside_the_projector(weights: dict[str, str], tmp_path: Path) -> None:
    options = ["--architecture", "projector", "--weights", weights["CODES"], "--lanes", "5", "--columns", "3"]
    assert run("verilog", *options, "--encoder", "--out", tmp_path, "--module", "mine").returncode == 0
    told = json.loads((tmp_path / "mine.json").read_text())
    compressor = load(weights["CODES"])
    bits, lines = told["table"]["word_bits"], (tmp_path / told["table"]["file"]).read_text().splitlines()
    # 36 pixels of 8 bit times weights from -128 to 127.
    assert bits == (36 * 255 * 128).bit_length() + 1
    assert {len(line) for line in lines} == {-(-bits // 4)}
    words = np.array([int(line, 16) for line in lines])
    assert words.max() < 1 << bits
    words = np.where(words >> (bits - 1), words - (1 << bits), words).reshape(5, 42)
    projection = compressor.projection
    np.testing.assert_array_equal(words[:, :36], projection.weights)
    np.testing.assert_array_equal(words[:, 36:40], 0)
    np.testing.assert_array_equal(words[:, 40], projection.bias + (1 << projection.shift) // 2)
    np.testing.assert_array_equal(words[:, 41], projection.shift)
    assert told["table"]["words"] == words.size
    assert (told["block"], told["input_bits"], told["value_bits"], told["frame_clocks"]) == ("CodeProjector", 14, 8, 16)
    assert told["weights"]["sha256"] == fingerprint(compressor)
    np.testing.assert_array_equal(told["weights"]["step"], compressor.step)
    verilog = (tmp_path / "mine.v").read_text()
    for port, stream in told["ports"].items():
        assert re.search(rf"put \[{stream['tdata_bits'] - 1}:0\] {port}_tdata;", verilog)
        assert stream["tdata_bits"] == 8 * stream["values"] * stream["value_bytes"]
    assert "output [5:0] m_axis_tuser;" in verilog
    assert told["ports"]["m_axis"]["tuser_bits"] == {"saturated": [0, 2], "short": 3, "long": 4, "clipped": 5}


def test_a_table_takes_little_memory() -> None:
    from ptychopress.cli.verilog_projector import hex_lines

    words = np.random.default_rng(2).integers(-(1 << 37), 1 << 37, 50_000)
    tracemalloc.start()
    text = hex_lines(words, 38)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert text.splitlines() == [f"{word % (1 << 38):010x}" for word in words.tolist()]
    # Three times the text, and some integers of 8 bytes for each word.
    assert peak < 3 * len(text) + 4 * words.nbytes


def test_no_table_of_earlier_weights_stays(tmp_path: Path) -> None:
    from ptychopress.cli import verilog

    for name in ("mine_table.hex", "other_table.hex"):
        (tmp_path / name).write_text("0\n")
    sizes = {"pixels": 2, "components": 1, "input_bits": 2, "lanes": 1, "columns": 1}
    verilog.verilog(tmp_path, architecture=verilog.Architecture.PROJECTOR, module="mine", **sizes)
    assert not (tmp_path / "mine_table.hex").exists()
    assert (tmp_path / "mine.v").exists() and (tmp_path / "other_table.hex").exists()


def test_memories_of_the_projector(tmp_path: Path) -> None:
    sizes = ["--pixels", "70", "--components", "30", "--input-bits", "14", "--lanes", "8", "--columns", "3"]
    assert run("verilog", "--architecture", "projector", *sizes, "--out", tmp_path).returncode == 0
    text = (tmp_path / "ptychopress_projector.v").read_text()
    found = {"weights": 0, "preloads": 0, "shifts": 0, "sums": 0}
    for width, kind, depth in re.findall(r"reg (?:signed )?\[(\d+):0\] (preload|shift|ring)_\d+ \[(\d+):0\];", text):
        name = {"preload": "preloads", "shift": "shifts", "ring": "sums"}[kind]
        found[name] += (int(width) + 1) * (int(depth) + 1)
    for bits, depth in re.findall(r"\.BITS\(32'd(\d+)\),\s+\.DEPTH\(32'd(\d+)\)", text):
        found["weights"] += int(bits) * int(depth)
    assert found == json.loads((tmp_path / "ptychopress_projector.json").read_text())["memory_bits"]


def test_cells_of_an_ecp5(tmp_path: Path) -> None:
    sizes = ["--pixels", "20", "--components", "4", "--input-bits", "8", "--lanes", "2", "--columns", "2"]
    done = run("verilog", "--architecture", "projector", *sizes, "--target", "ecp5", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "ptychopress_projector.v").read_text()
    assert (text.count("MULT18X18D #("), text.count("DP16KD #(") > 0) == (4, True)


def test_a_frame_too_large_to_be_wired_in(tmp_path: Path) -> None:
    values = np.random.default_rng(1).poisson(3, (4, 1025))
    save(tmp_path / "w.h5", quantise(learn(values, 2, transform=Transform("counts", 8)), values))
    done = run("verilog", "--architecture", "hardwired", "--weights", tmp_path / "w.h5", "--out", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "1025 pixels" in done.stderr and "--architecture projector" in done.stderr
    assert not (tmp_path / "out").exists()


def test_weights_say_all(weights: dict[str, str], tmp_path: Path) -> None:
    for options, message in (
        (["projector", "--weights", weights["CODES"], "--pixels", "9"], "leave out --pixels"),
        (["projector", "--weights", weights["CODES"], "--codebook", "sqrt-a"], "options of the codebook"),
        (["projector", "--weights", weights["COUNTS"], "--encoder"], "are for counts"),
        (["hardwired", "--weights", weights["COUNTS"], "--lanes", "9"], "--lanes: not for"),
    ):
        done = run("verilog", "--architecture", *options, "--out", tmp_path / "out")
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert message in done.stderr
        assert not (tmp_path / "out").exists()


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
    (["--architecture", "projector"], "--weights FILE, or --pixels, --components and --input-bits"),
    (["--architecture", "projector", "--weights", "missing.h5"], "missing.h5: no such file"),
    (["--architecture", "projector", "--pixels", "0", "--components", "1", "--input-bits", "8"], "pixels must be"),
    (
        ["--architecture", "projector", "--pixels", "9", "--components", "1", "--input-bits", "8", "--columns", "0"],
        "columns must be a whole number",
    ),
    (["--architecture", "projector", "--core"], "--core: not for --architecture projector"),
    (["--architecture", "hardwired"], "needs --weights"),
    (["--pixels", "9"], "--pixels: not for --architecture shift"),
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


GIVEN = {
    "lanes": 2,
    "input_bits": 16,
    "core": True,
    "preload": False,
    "method": "midpoint",
    "fraction_bits": 0,
    "weights": Path("w.h5"),
    "pixels": 9,
    "components": 2,
    "weight_bits": 8,
    "output_bits": 16,
    "columns": 4,
    "encoder": True,
    "target": "portable",
    "adders_per_stage": 1,
    "codebook": "sqrt-b",
}
IGNORED = {
    "shift": ("preload", "fraction_bits", "weights", "pixels", "components", "weight_bits", "output_bits", "columns"),
    "threshold": ("core", "fraction_bits", "encoder", "target", "adders_per_stage"),
    "table": ("core", "preload", "fraction_bits"),
    "decoder": ("core", "preload", "input_bits", "target"),
    "projector": ("core", "preload", "method", "fraction_bits", "adders_per_stage"),
    "hardwired": tuple(name for name in GIVEN if name not in ("weights", "adders_per_stage")),
}


@pytest.mark.parametrize(("architecture", "name"), [(key, name) for key, names in IGNORED.items() for name in names])
def test_no_option_is_ignored(architecture: str, name: str, tmp_path: Path) -> None:
    from ptychopress.cli import verilog

    option = f"--{name.replace('_', '-')}"
    with pytest.raises(ValueError, match=f"^{option}: not for --architecture {architecture}$"):
        verilog.verilog(tmp_path / "out", architecture=verilog.Architecture(architecture), **{name: GIVEN[name]})
    with pytest.raises(ValueError, match=r"^--lanes: not for --core"):
        verilog.verilog(tmp_path / "out", core=True, lanes=2)


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
    "arguments",
    [
        ["--help"],
        ["--version"],
        [],
        ["verilog", "--help"],
        ["demo", "-h"],
        ["prove", "-h"],
        ["sim", "-h"],
        ["train", "-h"],
        ["compress", "-h"],
        ["decompress", "-h"],
    ],
)
def test_help_works(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0
    assert "ptychopress" in done.stdout
