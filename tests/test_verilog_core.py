# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import command
import ptychopress
import pytest
from ptychopress.cli.main import main
from ptychopress.hdl.block_memory import BlockMemory
from ptychopress.hdl.core import DetectorCompressor
from ptychopress.hdl.register_files import markdown
from ptychopress.hdl.verilog import verilog_text
from ptychopress.model.config import NAMED, CoreConfig, Mode
from ptychopress.model.packet import Flag, Packet
from ptychopress.model.registers import compiled_registers, core_registers
from ptychopress.sim.run import Simulator
from ptychopress.sim.tools import verilator_path_environment
from ptychopress.sim.verilog_bench import verilog_bench

EXAMPLE = Path(ptychopress.__file__).parent / "examples" / "core.toml"
ICARUS = pytest.mark.parametrize("simulator", ["icarus"], indirect=True)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return command.run("verilog", *arguments, **environment)


TINY = """
name = "tiny"
protect = false
[frame]
height = 4
width = 16
lanes = 2
[projector]
components = 3
columns = 2
[output]
modes = ["codes", "code-coefficients"]
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "core.toml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, config: Path) -> Path:
    out = tmp_path_factory.mktemp("core") / "out"
    done = run("--config", config, "--out", out, "--json", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["module"] == "tiny"
    assert sorted(told["files"]) == sorted(str(path) for path in out.iterdir())
    return out


@pytest.fixture(scope="module")
def facts(core: Path) -> dict:
    return json.loads((core / "build.json").read_text())


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the bench as the README says."""
    (command,) = re.findall(r"iverilog .*", (folder / "README.md").read_text())
    return subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )


def test_reproducible(core: Path, config: Path, tmp_path: Path) -> None:
    done = run("--config", config, "--out", tmp_path, PYTHONHASHSEED="2")
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in core.iterdir()
    }


@pytest.mark.simulator
@ICARUS
def test_bench_passes(core: Path, simulator: Simulator, tmp_path: Path) -> None:
    shutil.copytree(core, tmp_path / "core")
    done = check(tmp_path / "core")
    # Either mode twice, short and long, and one of codes between coefficients.
    assert (done.returncode, done.stdout, done.stderr) == (0, "PASS 9 packets\n", "")


def _bit(file: str, line: int, mask: int) -> Callable[[Path], None]:
    """Plant: other bits in a line of a file in hexadecimal."""

    def plant(folder: Path) -> None:
        path = folder / file
        lines = path.read_text().split()
        lines[line] = f"{int(lines[line], 16) ^ mask:0{len(lines[line])}x}"
        path.write_text("\n".join(lines) + "\n")

    return plant


def _text(pattern: str, new: str, file: str = "tiny.v") -> Callable[[Path], None]:
    """Plant: other text in the Verilog."""

    def plant(folder: Path) -> None:
        path = folder / file
        text, count = re.subn(pattern, new, path.read_text(), count=1)
        assert count == 1, f"nothing to plant: {pattern}"
        path.write_text(text)

    return plant


PLANTS = {
    "an octet of the first packet": (_bit("tiny_packets.hex", 9, 1 << 13), "FAIL packet 0, word 9"),
    "a last CRC": (_bit("tiny_packets.hex", -1, 1 << 31), "FAIL packet 8, word"),
    "a last tlast": (_bit("tiny_packets.hex", -1, 1 << 72), "FAIL packet 8, word"),
    "a count": (_bit("tiny_pixels.hex", 0, 1 << 9), "FAIL packet 0, word"),
    "a weight": (_bit("tiny_weights.hex", 7, 1), "FAIL register 3c"),
    "a mode": (_bit("tiny_frames.hex", 0, 1 << 10), "FAIL packet 0, word"),
    "an enable": (_bit("tiny_frames.hex", -1, 1), "FAIL packet 8: nothing has moved"),
    "a bit of a memory": (_text(r"data <= word;", "data <= word ^ 1;"), "FAIL packet 0, word"),
    "no end of a packet": (_text(r"assign m_axis_tlast = ", "assign m_axis_tlast = 1'b0 & "), "FAIL packet 0, word"),
    "a word that changes": (
        _text(r"assign m_axis_tdata = ", "assign m_axis_tdata = {64{~m_axis_tready}} ^ "),
        "a word changed while it waited",
    ),
    "a counter": (
        _text(r"assign live__short_frames__count_incr = ", "assign live__short_frames__count_incr = 1'b1 | "),
        "FAIL register 88",
    ),
}


@pytest.mark.simulator
@ICARUS
@pytest.mark.parametrize(("plant", "told"), PLANTS.values(), ids=PLANTS)
def test_planted_fault_fails(
    core: Path, simulator: Simulator, tmp_path: Path, plant: Callable[[Path], None], told: str
) -> None:
    shutil.copytree(core, tmp_path / "core")
    plant(tmp_path / "core")
    done = check(tmp_path / "core")
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stdout and "PASS" not in done.stdout, done.stdout


@pytest.mark.simulator
@ICARUS
def test_icarus_has_no_warning(core: Path, simulator: Simulator) -> None:
    command = ["iverilog", "-g2005", "-Wall", "-o", os.devnull, "tiny_tb.v", "tiny.v"]
    done = subprocess.run(command, cwd=core, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["verilator"], indirect=True)
def test_verilator_has_no_warning(core: Path, simulator: Simulator) -> None:
    (command,) = re.findall(r"`(verilator --lint-only .*?)`", (core / "README.md").read_text())
    done = subprocess.run(
        [*command.split(), "--quiet"], cwd=core, capture_output=True, text=True, env=verilator_path_environment()
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_build_tells_every_file(core: Path, facts: dict) -> None:
    assert facts["sha256"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in core.iterdir() if path.name != "build.json"
    }
    readme = (core / "README.md").read_text()
    assert not [path.name for path in core.iterdir() if f"`{path.name}`" not in readme and path.name != "README.md"]
    assert CoreConfig.from_dict(facts["configuration"]) == CoreConfig.from_dict(tomllib.loads(TINY))
    assert (core / "tiny.f").read_text() == "tiny.v\n"


def test_build_tells_ports(core: Path, facts: dict) -> None:
    head = (core / "tiny.v").read_text().partition("endmodule")[0]
    found = {}
    for direction, high, name in re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+)", head, re.MULTILINE):
        found[name] = {"direction": direction, "bits": int(high or 0) + 1}
    assert facts["ports"] == found


def test_build_tells_sizes(facts: dict) -> None:
    # 4 x 16 pixels, 2 a clock: 32 clocks; 3 components, 2 at a time: twice as many. Words of 8 bytes.
    modes = facts["modes"]
    assert facts["word_bytes"] == 8
    assert {name: mode["frame_clocks"] for name, mode in modes.items()} == {"codes": 32, "code-coefficients": 64}
    assert modes["codes"]["largest_payload_bytes"] == 64 * 8 // 8
    # 64 bytes in front, 4 behind in a word of their own.
    assert (modes["codes"]["largest_packet_words"], modes["codes"]["largest_packet_bytes"]) == (17, 64 + 64 + 4)
    assert modes["code-coefficients"]["largest_payload_bytes"] == 3 * 2
    assert modes["code-coefficients"]["largest_packet_words"] == 8 + 1 + 1
    # A weight for each pixel, a preload, a shift.
    assert {name: table["words"] for name, table in facts["tables"].items()} == {"weights": 3 * (64 + 2)}


@pytest.mark.slow
@pytest.mark.usefixtures("refused")
def test_build_tells_memories(core: Path, facts: dict) -> None:
    """Against what the elaborated blocks say of themselves."""
    made: list[BlockMemory] = []
    with pytest.MonkeyPatch.context() as patch:
        init = BlockMemory.__init__
        patch.setattr(BlockMemory, "__init__", lambda self, *a, **k: (init(self, *a, **k), made.append(self))[0])
        verilog_text(DetectorCompressor(CoreConfig.from_dict(tomllib.loads(TINY))), "tiny")
    assert facts["memory_bits"]["block"] == sum(memory.bits * memory.depth for memory in made)


def test_registers_are_the_cores(core: Path) -> None:
    expected = markdown(core_registers(CoreConfig.from_dict(tomllib.loads(TINY))))
    assert (core / "registers.md").read_text() == expected
    assert markdown(compiled_registers(core / "registers.rdl", {})) == expected


def _tcl(text: str, where: Path, *unknown: str) -> list[list[str]]:
    """Commands that a Tcl script gives, by an interpreter that knows none of those of the tools."""
    tkinter = pytest.importorskip("tkinter")
    tcl, calls = tkinter.Tcl(), []

    def record(*arguments: str) -> str:
        calls.append(list(arguments))
        return arguments[0].rpartition(":")[2]

    tcl.createcommand("record", record)
    tcl.eval("namespace eval ipx {}; set argc 0; set argv {}")
    for name in unknown:
        tcl.eval(f"proc {name} args {{ return [record {name} {{*}}$args] }}")
    tcl.eval(f"proc get_ports names {{ return $names }}; info script {{{where}}}")
    tcl.eval(text)
    return calls


@pytest.mark.parametrize("kind", ["sdc", "xdc"])
def test_constraints_name_every_port(core: Path, facts: dict, kind: str) -> None:
    path = core / f"tiny.{kind}"
    calls = _tcl(path.read_text(), path, "create_clock", "set_input_delay", "set_output_delay")
    assert calls[0] == ["create_clock", "-name", "aclk", "-period", "10.000", "aclk"]
    for direction, limits in (("input", ("3.000", "0.000")), ("output", ("3.000", "0.000"))):
        ports = {
            f"{name}[*]" if port["bits"] > 1 else name
            for name, port in facts["ports"].items()
            if port["direction"] == direction and name != "aclk"
        }
        found = [call for call in calls if call[0] == f"set_{direction}_delay"]
        assert [call[1:5] for call in found] == [
            ["-clock", "aclk", "-max", limits[0]],
            ["-clock", "aclk", "-min", limits[1]],
        ]
        assert all(sorted(call[5].split()) == sorted(ports) for call in found)


def test_vivado_script_names_what_there_is(core: Path, facts: dict) -> None:
    path = core / "package_ip.tcl"
    text = path.read_text()
    commands = set(re.findall(r"ipx::\w+", text)) | {"create_project", "add_files", "set_property", "close_project"}
    commands |= {"update_compile_order", "get_files", "current_fileset"}
    calls = _tcl(text, path, *commands)
    files = [Path(call[-1]) for call in calls if call[0] == "add_files"]
    assert files == [core / "tiny.v", core / "tiny.xdc"]
    associated = [call for call in calls if call[0] == "ipx::associate_bus_interfaces"]
    buses = [call[call.index("-busif") + 1] for call in associated if "-busif" in call]
    # A bus has at least valid and ready; AXI4-Lite's channels have two letters more.
    named = {re.sub(r"_(aw|w|b|ar|r|t)(valid)$", "", name) for name in facts["ports"] if name.endswith("valid")}
    assert sorted(buses) == sorted(named) and len(named) == 4
    assert associated[-1][1:5] == ["-clock", "aclk", "-reset", "aresetn"]
    assert "aresetn" in facts["ports"]
    # What the attributes in the Verilog say, the script says too.
    attribute = re.search(r"ASSOCIATED_BUSIF ([\w:]+)", (core / "tiny.v").read_text())
    assert attribute is not None and attribute[1].split(":") == buses


def test_fusesoc_names_what_there_is(core: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = (core / "tiny.core").read_text()
    assert text.startswith("CAPI=2:\n")
    told = yaml.safe_load(text)
    told.pop("CAPI=2")
    assert told["name"] == f"ptychopress:core:tiny:{ptychopress.__version__}"
    files = [
        name if isinstance(name, str) else next(iter(name))
        for kind in told["filesets"].values()
        for name in kind["files"]
    ]
    assert sorted(files) == sorted(
        path.name for path in core.iterdir() if path.suffix in (".v", ".vlt", ".hex", ".sdc", ".xdc")
    )
    assert set(told["targets"]) == {"default", "lint", "sim", "synth"}
    for target in told["targets"].values():
        for name in target["filesets"]:
            assert re.sub(r"\w+\? \((\w+)\)", r"\1", name) in told["filesets"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "cell-73"], "cell-73: no such file, expected a configuration in TOML, or one of cell-72"),
        (["--config", "cell-72", "--lanes", "4", "--codebook", "sqrt-b"], "--codebook, --lanes: not for --config"),
        (["--config", "cell-72", "--architecture", "table"], "--architecture: not for --config, which says all"),
        (["--config", "cell-72", "--no-preload"], "--preload: not for --config"),
        (["--config", "cell-72", "--clock-mhz", "0"], "--clock-mhz 0: expected a number above 0"),
        (["--config", "cell-72", "--clock-mhz", "nan"], "--clock-mhz nan: expected a number above 0"),
        (["--clock-mhz", "100"], "--clock-mhz: only for --config"),
        (["--config", "wrong.toml"], "wrong.toml: frame.lanes: 3, expected"),
        (["--config", "no.toml"], "no.toml: no TOML"),
        (["--config", "fast.toml"], "frame.lanes: 64 pixels of 16 bits a clock"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong.toml").write_text("[frame]\nheight = 8\nwidth = 32\nlanes = 3\n")
    Path("no.toml").write_text("[frame\n")
    Path("fast.toml").write_text("[frame]\nheight = 8\nwidth = 64\ncount_bits = 16\nlanes = 64\n")
    monkeypatch.setattr(sys, "argv", ["ptychopress", "verilog", *arguments, "--out", "out"])
    with pytest.raises(SystemExit) as left:
        main()
    out, err = capsys.readouterr()
    assert (left.value.code, out, err.count("\n")) == (2, "", 1), err
    assert told in err
    assert not Path("out").exists()


def test_example_is_documented() -> None:
    """It names every field of the configuration, and is one."""
    config = CoreConfig.read(EXAMPLE)
    given = tomllib.loads(EXAMPLE.read_text())
    for name, value in config.to_dict().items():
        assert name in given
        if isinstance(value, dict):
            assert value.keys() == given[name].keys()


@pytest.mark.slow
@pytest.mark.simulator
@ICARUS
def test_example_passes(simulator: Simulator, tmp_path: Path) -> None:
    done = run("--config", EXAMPLE, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    done = check(tmp_path)
    assert (done.returncode, done.stdout) == (0, "PASS 13 packets\n"), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMED)
def test_vectors_cover_every_mode(name: str) -> None:
    """Two whole frames of each mode, short ones and long ones; the expected words are packets that read well."""
    config = CoreConfig.named(name)
    files = verilog_bench(config)
    packets, packet = [], b""
    for line in files[f"{config.name}_packets.hex"].split():
        word, octets = int(line, 16), config.word_octets
        packet += word.to_bytes(2 * octets + 8, "little")[: (word >> 8 * octets & ((1 << octets) - 1)).bit_count()]
        if word >> 9 * octets:
            packets.append(Packet.unpack(packet))
            packet = b""
    assert not packet
    heads = [read.header for read in packets]
    assert [head.frame for head in heads] == list(range(len(heads)))
    for mode in config.modes:
        whole = [head for head in heads if head.mode == mode and not head.flags & (Flag.SHORT | Flag.LONG)]
        assert len(whole) >= 2, mode
    assert {Flag.SHORT, Flag.LONG} <= {Flag(head.flags & (Flag.SHORT | Flag.LONG)) for head in heads}
    beats = [int(line, 16) >> 32 for line in files[f"{config.name}_frames.hex"].split()]
    assert sum(beats) == len(files[f"{config.name}_pixels.hex"].split())


CORES = {
    "raw": {"frame": {"height": 3, "width": 16, "lanes": 1}, "output": {"modes": ["raw"]}, "reset_active_low": False},
    "wide": {
        "frame": {"height": 16, "width": 64, "lanes": 16, "count_bits": 16},
        "encoder": {"codebook": "floor-sqrt", "reloadable": True, "preload": False},
        "projector": {"components": 4, "columns": 4, "weight_bits": 3, "output_bits": 9},
        "output": {"modes": ["zeromask", "count-coefficients", "raw"], "buffer_frames": 3},
        "protect": False,
    },
    "lattice": {
        "frame": {"height": 8, "width": 32, "lanes": 4},
        "projector": {"components": 7, "columns": 3},
        "output": {"modes": [mode.label for mode in Mode], "rice_block": 16},
        "target": "ecp5",
    },
    "coefficients": {
        "frame": {"height": 16, "width": 64, "lanes": 8},
        "projector": {"components": 24, "columns": 12},
        "output": {"modes": ["code-coefficients"]},
    },
}


@pytest.mark.slow
@pytest.mark.simulator
@ICARUS
@pytest.mark.parametrize("name", CORES)
def test_other_cores_pass(name: str, simulator: Simulator, tmp_path: Path) -> None:
    source = {"name": name, **CORES[name]}
    lines = [f"{key} = {json.dumps(value)}" for key, value in source.items() if not isinstance(value, dict)]
    for table, fields in source.items():
        if isinstance(fields, dict):
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in fields.items())]
    (tmp_path / "core.toml").write_text("\n".join(lines))
    done = run("--config", tmp_path / "core.toml", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    done = check(tmp_path / "out")
    assert done.returncode == 0 and re.fullmatch(r"PASS \d+ packets\n", done.stdout), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.simulator
@ICARUS
@pytest.mark.parametrize("name", NAMED)
def test_named_cores_pass(name: str, simulator: Simulator, tmp_path: Path) -> None:
    done = run("--config", name, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    done = check(tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("PASS "), done.stdout + done.stderr
