# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import os
import re
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import ptychopress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.hdl.register_files import c_header, markdown
from ptychopress.hdl.registers import RegisterFile
from ptychopress.model.config import NAMED, CoreConfig, Mode
from ptychopress.model.driver import Driver
from ptychopress.model.registers import RegisterModel, compiled_registers, core_registers
from ptychopress.sim import register_faults
from ptychopress.sim.register_faults import REGISTER_FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator
from ptychopress.synth.axi_properties import AxiLiteRules
from ptychopress.synth.prove import Claim, prove
from systemrdl.messages import RDLCompileError
from systemrdl.node import AddrmapNode, FieldNode, RegNode

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "registers"]
CELL = CoreConfig.named("cell-72")
SLOW = pytest.mark.slow

OFFSETS = {
    **{"identity": 0x00, "version": 0x04, "frame": 0x08, "beat": 0x0C, "projector": 0x10, "coefficients": 0x14},
    **{"build": 0x18, "modes": 0x1C, "control": 0x20, "command": 0x24, "status": 0x28, "errors": 0x2C},
    **{"interrupts": 0x30, "frame_number": 0x34, "thresholds_hash": 0x38, "weights_hash": 0x3C},
    **{"live.frames": 0x80, "live.packets": 0x84, "live.short_frames": 0x88, "live.long_frames": 0x8C},
    **{"live.saturated_frames": 0x90, "live.dropped_frames": 0x94},
    **{"live.corrected_upsets": 0x98, "live.uncorrectable_upsets": 0x9C},
    **{"snapshot.frames": 0xA0, "snapshot.packets": 0xA4, "snapshot.short_frames": 0xA8, "snapshot.long_frames": 0xAC},
    **{"snapshot.saturated_frames": 0xB0, "snapshot.dropped_frames": 0xB4},
    **{"snapshot.corrected_upsets": 0xB8, "snapshot.uncorrectable_upsets": 0xBC},
}
"""Software counts on these: a core with others has another version of the map."""


@cache
def cell_registers() -> AddrmapNode:
    return core_registers(CELL)


class ModelBus:
    """A bus with registers as their model has them, and hardware that is still but for `inputs`."""

    def __init__(self, registers: AddrmapNode | None = None) -> None:
        registers = registers or cell_registers()
        self.model = RegisterModel(registers)
        fields = [node.get_rel_path(registers) for node in registers.descendants() if isinstance(node, FieldNode)]
        self.inputs = {name: 0 for path in fields for name in (path, f"{path}_incr")}

    def clock(self, **access):
        return self.model.step(self.inputs, **access)

    def read(self, offset: int) -> int:
        _, answer = self.clock(read=offset)
        assert answer is not None
        assert answer[1], f"read of {offset:#x} is refused"
        return answer[0]

    def write(self, offset: int, value: int) -> None:
        okay, _ = self.clock(write=(offset, value, 15))
        assert okay, f"write to {offset:#x} is refused"
        self.clock()

    def happens(self, **inputs: int) -> None:
        """One clock with these inputs; `__` stands for a dot."""
        before = dict(self.inputs)
        self.inputs |= {name.replace("__", "."): value for name, value in inputs.items()}
        self.clock()
        self.inputs = before


def compiled(tmp_path: Path, body: str):
    path = tmp_path / "map.rdl"
    path.write_text(f"addrmap top {{ {body} }};")
    return compiled_registers(path, {})


def test_rdl_compiles_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    top = core_registers()
    assert capfd.readouterr() == ("", "")
    registers = {
        node.get_rel_path(top): node.absolute_address for node in top.descendants() if isinstance(node, RegNode)
    }
    assert registers == OFFSETS
    assert top.find_by_path("version.map").get_property("reset") == 1


def test_what_the_compiler_warns_of_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RDLCompileError):
        compiled(tmp_path, "reg { field { sw = rw; hw = r; } x[0:0]; } a @ 0;")


@pytest.mark.parametrize("path", ["control.mode", "status.mode"])
def test_modes_are_those_of_packets(path: str) -> None:
    encoding = core_registers().find_by_path(path).get_property("encode")
    assert {entry.rdl_name: entry.value for entry in encoding} == {mode.label: int(mode) for mode in Mode}


@pytest.mark.parametrize("name", NAMED)
def test_capabilities_are_the_configuration(name: str) -> None:
    config = CoreConfig.named(name)
    told = Driver(ModelBus(core_registers(config))).capabilities
    assert told.version == tuple(int(part) for part in re.findall(r"\d+", ptychopress.__version__)[:3])
    assert (told.height, told.width) == (config.frame.height, config.frame.width)
    assert (told.lanes, told.count_bits) == (config.frame.lanes, config.frame.count_bits)
    assert (told.code_bits, told.word_octets) == (config.codebook.code_bits, config.word_octets)
    assert (told.rice_block, told.buffer_frames) == (config.output.rice_block, config.output.buffer_frames)
    assert (told.protect, told.reloadable) == (config.protect, config.encoder.reloadable)
    assert set(told.modes) == set(config.modes)
    projector = config.projector
    sizes = (projector.components, projector.columns, projector.weight_bits, projector.output_bits)
    expected = sizes if config.projects else (0, 0, 0, 0)
    assert (told.components, told.columns, told.weight_bits, told.output_bits) == expected


@pytest.mark.parametrize("flag", [False, True])
def test_flags_and_first_mode(flag: bool) -> None:
    config = CoreConfig.from_dict(
        {
            "frame": {"height": 4096, "width": 4096, "lanes": 1},
            "encoder": {"reloadable": flag},
            "projector": {"components": 1 << 16, "columns": 1024, "weight_bits": 18, "output_bits": 32},
            "output": {"modes": ["code-coefficients", "raw"]},
            "protect": flag,
        }
    )
    bus = ModelBus(core_registers(config))
    told = Driver(bus).capabilities
    assert (told.protect, told.reloadable) == (flag, flag)
    assert (told.height, told.width, told.components, told.columns) == (4096, 4096, 1 << 16, 1024)
    assert bus.model.outputs()["control.mode"] == Mode.CODE_COEFFICIENTS
    assert bus.model.outputs()["control.enable"] == 1


def test_an_error_in_the_clock_of_its_clearing_stands() -> None:
    bus = ModelBus()
    bus.happens(errors__bad_mode=1)
    assert bus.read(0x2C) == 0x10
    bus.inputs["errors.long_frame"] = 1
    bus.clock(write=(0x2C, 0x12, 15))
    bus.inputs["errors.long_frame"] = 0
    assert bus.read(0x2C) == 0x02
    bus.write(0x2C, 0xFFFFFFFD)
    assert bus.read(0x2C) == 0x02
    bus.clock(write=(0x2C, 0xFFFFFFFF, 0b1110))
    assert bus.read(0x2C) == 0x02
    bus.write(0x2C, 0x02)
    assert bus.read(0x2C) == 0


def test_interrupt_is_for_the_errors_that_are_enabled() -> None:
    bus = ModelBus()
    bus.write(0x30, 0x10000)
    bus.happens(errors__short_frame=1)
    assert bus.model.outputs()["irq"] == 0
    bus.happens(errors__corrected_upset=1)
    assert bus.model.outputs()["irq"] == 1
    bus.write(0x2C, 0x10000)
    assert bus.model.outputs()["irq"] == 0


def test_snapshot_and_clear_lose_nothing() -> None:
    bus = ModelBus()
    for _ in range(3):
        bus.happens(live__frames__count_incr=1, live__corrected_upsets__count_incr=200)
    bus.inputs |= {"live.frames.count_incr": 1, "live.corrected_upsets.count_incr": 5}
    bus.clock(write=(0x24, 0b11, 15))
    assert bus.model.outputs()["command.snapshot"] == bus.model.outputs()["command.clear"] == 1
    bus.clock()
    assert bus.model.outputs()["command.snapshot"] == bus.model.outputs()["command.clear"] == 0
    bus.inputs |= {"live.frames.count_incr": 0, "live.corrected_upsets.count_incr": 0}
    assert [bus.read(offset) for offset in (0xA0, 0x80, 0xB8, 0x98)] == [4, 1, 605, 5]


def test_frame_number_written_while_it_counts() -> None:
    bus = ModelBus()
    bus.inputs["frame_number.value_incr"] = 1
    bus.clock(write=(0x34, 0xFFFFFFFF, 15))
    assert bus.model.outputs()["frame_number.value"] == 0xFFFFFFFF
    bus.clock()
    assert bus.model.outputs()["frame_number.value"] == 0
    bus.clock(write=(0x34, 0xAABBCCDD, 0b0110))
    assert bus.model.outputs()["frame_number.value"] == 0xBBCC01


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(0, 15))))
def test_bytes_are_written_by_their_strobes(writes: list[tuple[int, int]]) -> None:
    bus = ModelBus()
    octets = bytearray(4)
    for data, strobes in writes:
        bus.clock(write=(0x30, data, strobes))
        for k in range(4):
            if strobes >> k & 1:
                octets[k] = data >> 8 * k & 0xFF
    assert bus.read(0x30) == int.from_bytes(octets, "little") & 0x0003031F


@pytest.mark.parametrize("offset", range(0, 0x100, 4))
def test_accesses_to_nothing_are_refused(offset: int) -> None:
    bus = ModelBus()
    okay, answer = bus.clock(write=(offset, 0xFFFFFFFF, 15), read=offset)
    assert answer is not None
    assert answer[1] == (offset < 0x40 or 0x80 <= offset < 0xC0)
    assert okay == (offset in (0x20, 0x24, 0x2C, 0x30, 0x34))


@pytest.mark.simulator
@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        pytest.param(name, simulator, marks=[] if (name, simulator) == (BENCHES[0], "icarus") else SLOW)
        for name in BENCHES
        for simulator in ("icarus", "verilator")
    ],
    indirect=["simulator"],
)
def test_registers_equal_the_model_in_every_clock(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} <= {fault.test.partition("/")[0] for fault in REGISTER_FAULTS.values()}


FAST_FAULTS = ("clear hides an error", "strobes ignored", "ready waits for valid")


@pytest.mark.simulator
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FAST_FAULTS else SLOW) for name in REGISTER_FAULTS]
)
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := REGISTER_FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


def test_bus_rules_are_proven(tmp_path: Path) -> None:
    verdict = prove(Claim("bus rules", AxiLiteRules), tmp_path)
    assert verdict.outcome == "proven", verdict.detail


@pytest.mark.parametrize(
    ("slave", "rule"),
    [
        ("AnswerFalls", "each write has one answer"),
        pytest.param("DataMoves", "the answer to a read is its own, and stays", marks=SLOW),
        pytest.param("OlderData", "the answer to a read is its own, and stays", marks=SLOW),
        pytest.param("WrittenTwice", "a write is done of an address and data that were taken", marks=SLOW),
        pytest.param("StrobesIgnored", "what is written is what was taken", marks=SLOW),
        pytest.param("AddressAliased", "what is read is what was asked for", marks=SLOW),
        pytest.param("AnythingWrites", "the answer to a write is its own, and stays", marks=SLOW),
        pytest.param("HalfRate", "an address to read is taken when none is held", marks=SLOW),
    ],
)
def test_bus_rules_refute_a_fault(slave: str, rule: str, tmp_path: Path) -> None:
    verdict = prove(Claim("fault", partial(AxiLiteRules, getattr(register_faults, slave))), tmp_path)
    assert verdict.outcome == "refuted"
    assert rule in verdict.detail


@pytest.mark.slow
def test_files_are_the_same_from_run_to_run() -> None:
    program = """if True:
        from ptychopress.hdl.flat import FlatTop
        from ptychopress.hdl.register_files import c_header, markdown
        from ptychopress.hdl.registers import RegisterFile
        from ptychopress.hdl.verilog import verilog_text
        from ptychopress.model.config import CoreConfig
        from ptychopress.model.registers import core_registers
        registers = core_registers(CoreConfig.named("cell-72"))
        print(verilog_text(FlatTop(RegisterFile(registers)), "registers"), c_header(registers), markdown(registers))
        """
    first, again = (
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in "12"
    )
    assert first == again and b"PTYCHOPRESS_IDENTITY" in first


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("reg { field { sw=rw; hw=r; onwrite=wset; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware .* onwrite as it is"),
        ("reg { field { sw=rw; hw=r; swmod; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware for the property swmod"),
        ("reg { field { sw=r; hw=r; onread=rclr; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware .* property onread"),
        ("reg { field { sw=rw; hw=rw; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware for the property hw as"),
        ("reg { field { sw=rw; hw=w; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware for the property hw as"),
        ("reg { field { sw=rw; hw=w; we; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware for the property hw as"),
        ("reg { field { sw=rw; hw=r; hwclr; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware .* hwclr as"),
        ("reg { field { sw=rw1; hw=r; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware for the property sw as"),
        (
            "reg { field { posedge intr; sw=rw; hw=w; woclr; } x[0:0] = 0; } a @ 0;",
            "top.a.x: no hardware .* intr type as",
        ),
        ("reg { field { nonsticky intr; sw=rw; hw=w; } x[0:0] = 0; } a @ 0;", "top.a.x: no hardware .* stickybit as"),
        ("reg { field { sw=rw; hw=r; } x[0:0] = 0; } a[2] @ 0 += 4;", "top.a.*: no hardware for arrays"),
        ("external reg { field { sw=rw; hw=r; } x[0:0] = 0; } a @ 0;", "top.a: no hardware for external"),
        ("reg { regwidth = 16; field { sw=rw; hw=r; } x[0:0] = 0; } a @ 0;", "top.a: no hardware for registers not of"),
        ("external mem { mementries = 4; memwidth = 32; } a @ 0;", "top.a: no hardware for a mem"),
    ],
)
def test_what_has_no_hardware_is_refused_by_name(body: str, message: str, tmp_path: Path) -> None:
    registers = compiled(tmp_path, body)
    with pytest.raises(ValueError, match=message):
        RegisterFile(registers)


def test_c_header_compiles_and_says_what_the_map_does(tmp_path: Path) -> None:
    header = c_header(cell_registers())
    assert header == c_header(core_registers(CoreConfig.named("eiger-256")))
    (tmp_path / "registers.h").write_text(header)
    source = tmp_path / "probe.c"
    # Included twice, as headers are.
    source.write_text('#include "registers.h"\n#include "registers.h"\nint probe(void) { return 0; }\n')
    strict = ["g++", "-x", "c", "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    subprocess.run([*strict, "-fsyntax-only", str(source)], check=True)
    macros = subprocess.run([*strict, "-dM", "-E", str(source)], check=True, capture_output=True, text=True).stdout
    found = dict(re.findall(r"#define PTYCHOPRESS_(\w+) (\w+)", macros))
    values = {name: int(text.rstrip("u"), 0) for name, text in found.items()}
    offsets = {name.removesuffix("_OFFSET"): value for name, value in values.items() if name.endswith("_OFFSET")}
    assert offsets == {name.replace(".", "_").upper(): offset for name, offset in OFFSETS.items()}
    assert values["IDENTITY_MAGIC_PTYC"].to_bytes(4, "little") == b"PTYC"
    assert values["CONTROL_MODE_MASK"] == 0x700 and values["CONTROL_MODE_SHIFT"] == 8
    assert values["ERRORS_UNCORRECTABLE_UPSET_MASK"] == 0x20000
    for mode in Mode:
        assert values[f"CONTROL_MODE_{mode.name}"] == values[f"STATUS_MODE_{mode.name}"] == mode
    top = core_registers()
    for node in top.descendants():
        if isinstance(node, FieldNode):
            name = node.get_rel_path(top).replace(".", "_").upper()
            assert values[f"{name}_MASK"] == (2 << node.high) - (1 << node.low), name
            assert values[f"{name}_SHIFT"] == node.low, name


def test_page_is_the_generated_one() -> None:
    page = Path(ptychopress.__file__).parent / "docs" / "registers.md"
    expected = markdown(cell_registers())
    assert page.read_text() == expected, "write markdown(core_registers(CoreConfig.named('cell-72'))) to the page"


def test_driver_refuses_what_is_no_core() -> None:
    class Nothing:
        def read(self, offset: int) -> int:
            return 0xFFFFFFFF

        def write(self, offset: int, value: int) -> None:
            raise AssertionError("written to what is no core")

    class Newer(Nothing):
        def read(self, offset: int) -> int:
            return 0x43595450 if offset == 0 else 0x02000000

    with pytest.raises(ValueError, match=r"identity.magic: 0xffffffff, expected 0x43595450: there is no core"):
        Driver(Nothing())
    with pytest.raises(ValueError, match=r"version.map: 0x2, expected 0x1: there is a core with other registers"):
        Driver(Newer())


def test_driver_changes_one_field_alone() -> None:
    bus = ModelBus()
    driver = Driver(bus)
    driver.set_mode(Mode.RICE)
    driver.write("control.drop_when_full", 1)
    driver.write("control.enable", 0)
    assert (driver.read("control"), driver.read("control.mode")) == (0x302, Mode.RICE)
    bus.happens(errors__short_frame=1, errors__bad_mode=1)
    driver.write("errors.bad_mode", 1)
    assert driver.errors() == {"short_frame"}
    driver.write("frame_number.value", 0xFFFFFFFF)
    assert bus.model.outputs()["frame_number.value"] == 0xFFFFFFFF


def test_driver_reads_counters_of_one_moment() -> None:
    bus = ModelBus()
    driver = Driver(bus)
    bus.happens(live__frames__count_incr=1, live__dropped_frames__count_incr=1)
    # Counting goes on while they are read.
    bus.inputs["live.packets.count_incr"] = 1
    first, cleared, last = driver.counters(), driver.counters(clear=True), driver.counters()
    assert first["frames"] == cleared["frames"] == first["dropped_frames"] == 1
    assert last["frames"] == last["dropped_frames"] == 0
    assert list(first) == [name.split(".")[1] for name in OFFSETS if name.startswith("live.")]
    assert first["packets"] < cleared["packets"]
    bus.inputs["live.packets.count_incr"] = 0
    assert last["packets"] == 10, "clocks of a write and of eight reads"


def test_driver_clears_errors_and_enables_interrupts() -> None:
    bus = ModelBus()
    driver = Driver(bus)
    driver.interrupt_on(["corrected_upset", "long_frame"])
    assert driver.read("interrupts") == 0x10002
    bus.happens(errors__short_frame=1, errors__long_frame=1, errors__weights_table=1)
    assert driver.errors() == {"short_frame", "long_frame", "weights_table"}
    driver.clear_errors(["long_frame"])
    assert driver.errors() == {"short_frame", "weights_table"}
    driver.clear_errors()
    assert driver.errors() == set()


def test_driver_waits() -> None:
    bus = ModelBus()
    driver = Driver(bus)
    with pytest.raises(TimeoutError, match=r"status.idle: 0 after 0.01 s, expected 1"):
        driver.wait("status.idle", 1, seconds=0.01)
    bus.inputs["status.idle"] = 1
    driver.wait("status.idle", 1, seconds=0)


def test_driver_says_what_it_does_not_take() -> None:
    driver = Driver(ModelBus(core_registers(CoreConfig.named("mhz-192x168"))))
    with pytest.raises(ValueError, match=r"mode rice: the core was built for codes, code-coefficients"):
        driver.set_mode(Mode.RICE)
    with pytest.raises(ValueError, match=r"control.speed: no such field, expected identity.magic, "):
        driver.read("control.speed")
    with pytest.raises(ValueError, match=r"frame.width: it can only be read"):
        driver.write("frame.width", 1)
    with pytest.raises(ValueError, match=r"control.mode: 8, expected 0 to 7"):
        driver.write("control.mode", 8)
    with pytest.raises(ValueError, match=r"error 'fire': known are short_frame, "):
        driver.clear_errors(["fire"])


def test_page_of_the_driver_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(ptychopress.__file__).parent / "docs" / "driver.md").read_text()
    device, use = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    compile(device, "driver.md", "exec")
    bus = ModelBus()
    bus.inputs["status.idle"] = 1
    bus.happens(live__frames__count_incr=1, errors__bad_mode=1)
    exec(use, {"bus": bus})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("72 (<Mode.RAW") and lines[1] == "1 0 set()"
    assert bus.model.outputs()["control.mode"] == Mode.RICE
