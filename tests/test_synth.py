# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from ptychopress.cli.main import main
from ptychopress.cli.synth import read_store
from ptychopress.model.config import CoreConfig
from ptychopress.model.tile import TILES, TileConfig
from ptychopress.synth import asic, fpga, gate_paths, sta, yosys
from ptychopress.synth.asic import synthesise_asic
from ptychopress.synth.designs import BLOCKS, Design, Registered, design
from ptychopress.synth.fpga import TARGETS, critical_path, synthesise
from ptychopress.synth.liberty import Library
from ptychopress.synth.result import Resources, Result, compare, differences
from ptychopress.synth.tools import find_tool
from test_area import TINY

ROOT = Path(ptychopress.__file__).parent
SG13G2 = ROOT.parent / "shared" / "data" / "liberty" / "sg13g2_stdcell_typ_1p20V_25C.lib.gz"
"""IHP's cells, on the machines that have them; they are no part of the repository."""

CONFIG = {
    "name": "tiny",
    "frame": {"height": 8, "width": 16, "count_bits": 10, "lanes": 2},
    "projector": {"components": 4, "columns": 2},
    "output": {"modes": ["codes", "code-coefficients"]},
    "protect": False,
}


def tiny(**changes: Any) -> CoreConfig:
    return CoreConfig.from_dict(CONFIG | changes)


def report(rate: float, delays: list[float]) -> dict[str, Any]:
    """As nextpnr writes it; the first path is between clock domains, and is none of the clock's."""
    parts = [
        {
            "type": "routing",
            "delay": delay,
            "from": {"cell": f"c{k}"},
            "to": {"cell": f"c{k + 1}", "port": "A"},
            "net": "n",
        }
        for k, delay in enumerate(delays)
    ]
    other = {"from": "async", "to": "posedge clk", "path": [{**parts[0], "delay": 99.0}]}
    own = {"from": "posedge clk", "to": "posedge clk", "path": parts}
    return {"fmax": {"clk": {"achieved": rate, "constraint": 250}}, "critical_paths": [other, own], "utilization": {}}


def test_reports_give_median_and_path() -> None:
    reports = {
        1: report(90.0, [1.0, 2.0]),
        2: report(110.0, [7.0]),
        3: report(100.0, [3.0, 0.0, 4.5]),
        4: report(105.0, [8.0]),
    }
    told = fpga._timing(reports)
    assert told["fmax"] == {1: 90.0, 2: 110.0, 3: 100.0, 4: 105.0}
    assert told["path_ns"] == 10.0
    assert told["critical_path"].splitlines() == [
        "from c0",
        " 3.00 routing to c1.A over n",
        " 4.50 routing to c3.A over n",
    ]
    assert fpga._timing({}) == {}
    with pytest.raises(RuntimeError, match="0 clocks"):
        fpga._timing({1: {"fmax": {}, "critical_paths": []}})
    assert critical_path({"fmax": {"clk": {}}, "critical_paths": []}) == ""


@pytest.mark.parametrize(
    ("target", "cells", "expected"),
    [
        (
            "ecp5",
            {"LUT4": 10, "CCU2C": 3, "TRELLIS_DPR16X4": 2, "TRELLIS_FF": 7, "MULT18X18D": 1, "DP16KD": 4, "PFUMX": 9},
            Resources(lut=10 + 6 + 8, carry=6, memory_lut=8, flip_flops=7, dsp=1, block_ram=4),
        ),
        (
            "ice40",
            {
                "SB_LUT4": 5,
                "SB_CARRY": 2,
                "SB_DFF": 1,
                "SB_DFFESR": 3,
                "SB_MAC16": 1,
                "SB_RAM40_4K": 2,
                "SB_SPRAM256KA": 1,
            },
            Resources(lut=5, carry=2, flip_flops=4, dsp=1, block_ram=2, large_ram=1),
        ),
        (
            "gowin",
            {
                "LUT1": 1,
                "LUT4": 2,
                "MUX2_LUT5": 3,
                "ALU": 4,
                "RAM16SDP4": 1,
                "DFFRE": 5,
                "MULT9X9": 1,
                "SDPB": 2,
                "pROM": 1,
            },
            Resources(lut=3 + 4 + 4, carry=4, memory_lut=4, flip_flops=5, dsp=1, block_ram=3),
        ),
        (
            "xilinx7",
            {
                "LUT6": 3,
                "MUXF7": 2,
                "SRL16E": 2,
                "RAM32M": 1,
                "CARRY4": 5,
                "FDRE": 6,
                "DSP48E1": 1,
                "RAMB18E1": 1,
                "RAMB36E1": 2,
            },
            Resources(lut=3 + 2 + 4, carry=5, memory_lut=6, flip_flops=6, dsp=1, block_ram=5),
        ),
    ],
)
def test_cells_are_resources(target: str, cells: dict[str, int], expected: Resources) -> None:
    assert TARGETS[target].count(cells) == expected


def test_registers_at_the_ports_do_not_count() -> None:
    mark = {Registered.MARK: "1"}
    netlist = {
        "modules": {
            "top": {
                "netnames": {
                    "in_0": {"bits": [2, 3], "attributes": mark},
                    "own": {"bits": [4], "attributes": {}},
                },
                "cells": {
                    "a": {"type": "FF", "connections": {"Q": [2], "D": [9]}},
                    "b": {"type": "FF", "connections": {"Q": [3], "D": [9]}},
                    "c": {"type": "FF", "connections": {"Q": [4], "D": [2]}},
                    "d": {"type": "LUT", "connections": {"A": [2], "Z": [9]}},
                },
            }
        }
    }
    assert fpga._cells(netlist) == Counter({"FF": 1, "LUT": 1})


class Nested(wiring.Component):
    """Adds; with ports of several kinds, and a clock of its own if wanted."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "b": In(4), "sum": Out(5)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        total = Signal(5)
        m.d.sync += total.eq(self.a + self.b)
        m.d.comb += self.sum.eq(total)
        return m


def test_registers_stand_at_every_port() -> None:
    block = Registered(Nested())
    seen = []

    async def bench(ctx: Any) -> None:
        for a, b in ((3, 4), (15, 15), (0, 9), (0, 0), (0, 0)):
            ctx.set(block.inputs, a | b << 4)
            for _ in range(2):
                ctx.set(block.clk, 0)
                await ctx.delay(1e-9)
                ctx.set(block.clk, 1)
                await ctx.delay(1e-9)
            seen.append(ctx.get(block.outputs))

    simulator = Simulator(block)
    simulator.add_testbench(bench)
    simulator.run()
    # In, sum, out: three clocks, of which a step of the bench has two.
    assert seen[1:4] == [7, 30, 9]


def test_registers_stand_around_a_whole_core() -> None:
    block = Registered(design(tiny()).component)
    text = rtlil.convert(block, name="top")
    assert block.signature.members["inputs"].shape > 64 and Registered.MARK in text


def result(**changes: Any) -> Result:
    basis = Result(
        design="d",
        configuration={"frame": {"lanes": 4}, "modes": ["raw"]},
        target="t",
        tools={"yosys": "1"},
        options={"seeds": [1, 2, 3]},
        resources=Resources(lut=1000, flip_flops=200, dsp=4),
        capacity=Resources(lut=2000, dsp=8),
        fmax={1: 100.0, 2: 104.0, 3: 96.0},
        path_ns=10.0,
        frame_clocks={"raw": 64},
    )
    return replace(basis, **changes)


def test_results_survive_json() -> None:
    one = result(hierarchy={"": 5.0}, memory_bits={"m": 8})
    told = json.loads(json.dumps(one.to_dict()))
    assert told["mhz"] == 100.0 and told["frames_per_second"] == {"raw": pytest.approx(1e8 / 64)}
    assert Result.from_dict(told) == one
    with pytest.raises(ValueError, match="not a result"):
        Result.from_dict({"design": "d"})


@pytest.mark.parametrize(
    ("now", "figure", "verdict"),
    [
        ({"fmax": {1: 103.9, 2: 103.9, 3: 103.9}}, "MHz", "within noise"),
        ({"fmax": {1: 104.1, 2: 104.1, 3: 104.1}}, "MHz", "better"),
        ({"fmax": {1: 95.9, 2: 95.9, 3: 95.9}}, "MHz", "worse"),
        ({"fmax": {1: 80.0, 2: 106.0, 3: 120.0}}, "MHz", "within noise"),
        ({}, "MHz", "equal"),
        ({"resources": Resources(lut=1020, dsp=4)}, "lut", "within noise"),
        ({"resources": Resources(lut=1021, dsp=4)}, "lut", "worse"),
        ({"resources": Resources(lut=979, dsp=4)}, "lut", "better"),
        ({"resources": Resources(lut=1000, dsp=5)}, "dsp", "worse"),
        ({"resources": Resources(lut=1000, flip_flops=204)}, "flip flops", "within noise"),
        ({"resources": Resources(lut=1000, flip_flops=205)}, "flip flops", "worse"),
        ({"frame_clocks": {"raw": 63}}, "clocks a frame, raw", "better"),
    ],
)
def test_better_or_worse_by_more_than_noise(now: dict[str, Any], figure: str, verdict: str) -> None:
    changes = {change.figure: change.verdict for change in compare(result(), result(**now))}
    assert changes[figure] == verdict
    assert "block ram" not in changes


def test_areas_compare_with_the_noise_of_abc() -> None:
    before = result(resources=None, fmax={}, gate_equivalents=100.0, memory_bits={"m": 8})
    changes = {
        c.figure: c.verdict for c in compare(before, replace(before, gate_equivalents=102.1, memory_bits={"m": 7}))
    }
    assert changes["gate equivalents"] == "worse" and changes["memory bits"] == "better"
    assert changes["MHz"] == "equal"
    (clock, *_) = compare(before, replace(before, path_ns=10.1))
    assert (clock.figure, clock.verdict) == ("MHz", "within noise")
    (clock, *_) = compare(before, replace(before, path_ns=10.3))
    assert (clock.figure, clock.verdict) == ("MHz", "worse")


def test_differences_are_named() -> None:
    now = result(configuration={"frame": {"lanes": 8}, "modes": ["raw"]}, tools={"yosys": "2"}, options={"seeds": [1]})
    assert differences(result(), now) == [
        "configuration frame.lanes: 4 before, 8 now",
        "options seeds: [1, 2, 3] before, [1] now",
        "tools yosys: 1 before, 2 now",
    ]
    assert differences(result(), result()) == []


def test_area_adds_up_by_place() -> None:
    library = Library.parse(TINY)
    cell = {"connections": {}}
    macro = {"type": "$__macro", "parameters": {"SIZE": bin(16)[2:], "WIDTH": "101"}}
    modules = {
        "top": {
            "cells": {"one": {"type": "part", **cell}, "two": {"type": "part", **cell}, "g": {"type": "INV", **cell}}
        },
        "part": {"cells": {"n": {"type": "NAND2", **cell}, "store": {"type": "memory", **cell}}},
        "memory": {"cells": {"$m": macro, "f": {"type": "DFF", **cell}}},
    }
    areas, memories = asic._by_place(modules, library)
    assert areas == {"": 32.0, "one": 15.0, "one.store": 12.0, "two": 15.0, "two.store": 12.0}
    assert memories == {"one.store": 80, "two.store": 80}
    modules["top"]["cells"]["g"]["type"] = "XOR9"
    with pytest.raises(RuntimeError, match="no area for XOR9"):
        asic._by_place(modules, library)


def test_gates_between_registers_are_written_for_abc() -> None:
    library = Library.parse(TINY)
    module = {
        "ports": {"x": {"direction": "input", "bits": [2]}, "y": {"direction": "output", "bits": [5]}},
        "cells": {
            "ff": {"type": "DFF", "connections": {"CK": [1], "D": [4], "Q": [3]}},
            "g": {"type": "NAND2", "connections": {"A": [2], "B": [3], "Y": [4]}},
            "h": {"type": "NAND2", "connections": {"A": [4], "B": ["1"], "Y": [5]}},
        },
    }
    assert gate_paths.gates_blif(module, library).splitlines() == [
        ".model gates",
        ".inputs const_1 n2 n3",
        ".outputs n4 n5",
        ".gate NAND2 A=n2 B=n3 Y=n4",
        ".gate NAND2 A=n4 B=const_1 Y=n5",
        ".end",
    ]


def test_reports_of_timing_are_read() -> None:
    said = "Delay =  9.00 ps\nWireLoad Gates = 3 \x1b[1;35mDelay =   914.68 ps\x1b[0m\nPath  0 --  46 : pi\nend"
    assert gate_paths.path_of(said) == (pytest.approx(0.91468), "Path  0 --  46 : pi")
    assert gate_paths.path_of("nothing") == (None, "")
    lines = [
        "Startpoint: a (input port)",
        "  1.1588   1.1588 v _083_/D (DFF)",
        "           1.1588   data arrival time",
        "  -0.1238  4.8762   library setup time",
        "           4.8762   data required time",
        "          -1.1588   data arrival time",
    ]
    time, path = sta.path_of("\n".join(["warnings", *lines]))
    assert time == pytest.approx(1.2826) and path.startswith("Startpoint")
    assert sta.path_of("No paths found.") == (None, "")
    with pytest.raises(RuntimeError, match="sta failed: Error: x"):
        sta.path_of("Error: x\nStartpoint: a")


def test_constraints_name_every_port_but_the_clock() -> None:
    ports = {"clk": ("input", 1), "a": ("input", 4), "v": ("input", 1), "y": ("output", 2)}
    module = {"ports": {name: {"direction": way, "bits": list(range(n))} for name, (way, n) in ports.items()}}
    assert sta.constraints_text(module, "clk", 200).splitlines() == [
        "create_clock -name clock -period 5 [get_ports clk]",
        "set_input_delay 0 -clock clock [get_ports {a[*] v}]",
        "set_output_delay 0 -clock clock [get_ports {y[*]}]",
    ]


def test_memories_are_macros_or_flip_flops() -> None:
    config = tiny(frame=CONFIG["frame"] | {"width": 64})
    size = config.projection
    # Two banks, of a word of a lane's weights for each beat and phase, in each column.
    bits = 2 * config.frame.beats * 2 * (2 * size.weight_bits)
    macros = synthesise_asic(design(config, "projector"))
    weights = {place: found for place, found in macros.memory_bits.items() if found == bits}
    assert bits >= asic.MACRO_BITS and len(weights) == config.projector.columns
    assert set(macros.memory_bits) == set(weights)
    assert macros.frame_clocks == {"projector": config.frame.beats * 2}
    assert macros.gate_equivalents == pytest.approx(macros.hierarchy[""])
    assert macros.path_ns is None and macros.mhz is None


@pytest.mark.slow
def test_small_memories_become_flip_flops() -> None:
    config = tiny(frame=CONFIG["frame"] | {"height": 2, "width": 8}, projector={"components": 1, "columns": 1})
    bits = 2 * config.frame.beats * 2 * 8
    macros = synthesise_asic(design(config, "projector"), macro_bits=bits)
    flops = synthesise_asic(design(config, "projector"), macro_bits=bits + 1)
    weights = "memory.weights_0.memory.words"
    assert macros.memory_bits[weights] == bits and weights not in flops.memory_bits
    assert macros.gate_equivalents is not None and flops.gate_equivalents is not None
    # A bit of state is a flip-flop of four NANDs.
    assert flops.gate_equivalents - macros.gate_equivalents > 4 * bits


def test_a_library_gives_a_delay(tmp_path: Path) -> None:
    library = Library.parse(TINY)
    got = synthesise_asic(design(tiny(), "encoder"), library, keep=tmp_path)
    assert got.path_ns is not None and got.path_ns > 0 and got.mhz == pytest.approx(1000 / got.path_ns)
    assert got.area == pytest.approx(3 * (got.gate_equivalents or 0))
    assert {"net.v", "yosys.log", "net.json"} <= {path.name for path in tmp_path.iterdir()}


def test_a_library_in_two_files_is_one(tmp_path: Path) -> None:
    begin, end = TINY.index("cell (DFF)"), TINY.rindex("}")
    (tmp_path / "gates.lib").write_text(TINY[:begin] + "}\n")
    head = TINY[: TINY.index("cell (BUF)")]
    (tmp_path / "states.lib").write_text(head.replace("(tiny)", "(states)") + TINY[begin:end] + "}\n")
    both = Library.read(tmp_path / "gates.lib", tmp_path / "states.lib")
    assert both.cells == Library.parse(TINY).cells and both.name == "tiny + states"
    one = synthesise_asic(design(tiny(), "encoder"), both)
    assert one.area == synthesise_asic(design(tiny(), "encoder"), Library.parse(TINY)).area
    with pytest.raises(ValueError, match="is in 2 files"):
        _ = both.text
    with pytest.raises(ValueError, match="cell BUF is in another file"):
        Library.read(tmp_path / "gates.lib", tmp_path / "gates.lib")
    with pytest.raises(ValueError, match="has no two-input NAND"):
        Library.read(tmp_path / "states.lib")


def test_the_longest_path_without_opensta_is_abcs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asic, "sta_installed", lambda: False)
    got = synthesise_asic(design(tiny(), "encoder"), Library.parse(TINY))
    assert got.tools["path by"] == "abc" and got.path_ns is not None and got.critical_path.startswith("Path")


class Kept(wiring.Component):
    """Counts, stores and adds to what it reads; of its output only every other bit is not constant."""

    def __init__(self) -> None:
        super().__init__({"place": In(6), "out": Out(16)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=64, init=[])
        write, read = memory.write_port(), memory.read_port()
        count, total = Signal(8), Signal(8)
        m.d.sync += [count.eq(count + 1), total.eq(read.data + count)]
        m.d.comb += [write.addr.eq(count), write.data.eq(count), write.en.eq(1), read.addr.eq(self.place)]
        m.d.comb += self.out.eq(Cat(Cat(bit, Const(0, 1)) for bit in total))
        return m


@pytest.mark.skipif(not sta.sta_installed() or not SG13G2.exists(), reason="no OpenSTA or no sg13g2 library here")
@pytest.mark.parametrize("quick", [False, True])
def test_opensta_reads_constants_and_macros(tmp_path: Path, quick: bool) -> None:
    got = synthesise_asic(Design("kept", {}, Kept(), {}), Library.read(SG13G2), macro_bits=512, quick=quick)
    assert got.tools["path by"].startswith("OpenSTA"), got.tools
    assert list(got.memory_bits.values()) == [512]
    # The sum of what the macro gives, and of no more than the count: its path begins at either.
    assert got.path_ns is not None and 0.3 < got.path_ns < 4


def test_paths_from_and_to_macros_count() -> None:
    macro = {
        "type": asic._MACRO,
        "connections": {"RD_DATA": [5, 6], "RD_ADDR": [2, "0"], "WR_CLK": [3], "WR_EN": [7] * 3, "X": []},
    }
    gate = {"type": "INV", "connections": {"A": [5], "Y": [4]}}
    module = {
        "ports": {"clk": {"direction": "input", "bits": [3]}},
        "cells": {"m": macro, "$flatten\\a.\\b.$abc$1": gate},
        "netnames": {"n": {}},
    }
    opened = asic._without_macros(module)
    assert opened["ports"] == {
        "clk": {"direction": "input", "bits": [3]},
        "macro_0_RD_DATA": {"direction": "input", "bits": [5, 6]},
        "macro_0_RD_ADDR": {"direction": "output", "bits": [2, "0"]},
        "macro_0_WR_EN": {"direction": "output", "bits": [7]},
    }
    assert opened["cells"] == {"a.b.cell_1": gate} and not opened["netnames"]


def test_quick_maps_the_same_logic() -> None:
    library = Library.parse(TINY)
    usual, quick = (synthesise_asic(design(tiny(), "encoder"), library, quick=way) for way in (False, True))
    assert quick.area != usual.area and quick.area == pytest.approx(usual.area, rel=0.25)
    assert differences(usual, quick)[0] == "options quick: none before, True now"


def test_a_run_that_is_too_long_ends_abc_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = "import subprocess, sys; sys.stdin.read(); subprocess.run([sys.executable, '-c', WAIT])"
    wait = f"import pathlib, time; time.sleep(1.5); pathlib.Path({str(tmp_path / 'late')!r}).touch()"
    monkeypatch.setattr(yosys, "TIMEOUT", 0.5)
    monkeypatch.setattr(yosys, "_CHILD", child.replace("WAIT", repr(wait)))
    with pytest.raises(RuntimeError, match=r"mapping: no result after 0.5 s"):
        yosys.run_yosys([], tmp_path, "mapping")
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()


def test_a_planted_adder_is_larger_and_slower() -> None:
    class Slow(Nested):
        def elaborate(self, platform: Any) -> Module:
            m = Module()
            total = Signal(5)
            m.d.sync += total.eq(self.a * self.b + total)
            m.d.comb += self.sum.eq(total)
            return m

    library = Library.parse(TINY)
    good, bad = (synthesise_asic(Design("add", {}, block, {}), library) for block in (Nested(), Slow()))
    verdicts = {change.figure: change.verdict for change in compare(good, bad)}
    assert verdicts["gate equivalents"] == "worse" and verdicts["MHz"] == "worse"


def test_every_block_of_a_core_is_there(refused: None) -> None:
    everything = tiny(output={"modes": ["codes", "zeromask", "rice", "code-coefficients"], "rice_block": 8})
    for block in BLOCKS:
        made = design(everything, block)
        assert made.component is not None and made.name == ("tiny" if block == "core" else f"tiny/{block}")
    with pytest.raises(ValueError, match="--block rice: tiny has none"):
        design(tiny(), "rice")
    assert design(everything, "core").frame_clocks == {
        "codes": 64,
        "zeromask": 64,
        "rice": 64,
        "code-coefficients": 128,
    }


@pytest.mark.parametrize("name", TILES)
def test_tiles_project_without_saturation(name: str) -> None:
    tile = TileConfig.named(name)
    projection = tile.projection()
    top = projection.format.input_format.maximum
    largest, saturated = projection.project(np.where(projection.weights > 0, top, 0))
    smallest, below = projection.project(np.where(projection.weights < 0, top, 0))
    assert not saturated.any() and not below.any()
    # Nor is the range wasted: the largest coefficient takes the last bit but one, or more.
    extent = np.maximum(np.diag(largest), -np.diag(smallest))
    assert (extent >= 1 << (tile.output_bits - 3)).all()


def test_bad_tiles_are_refused() -> None:
    with pytest.raises(ValueError, match="1024 at most"):
        TileConfig(height=64, width=32)
    with pytest.raises(ValueError, match="input_bits"):
        TileConfig(count_bits=0)
    with pytest.raises(ValueError, match="known are inpixel-tile"):
        TileConfig.named("none")


def needs(target: str) -> None:
    try:
        find_tool(TARGETS[target].placer)
    except RuntimeError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("target", ["ice40", pytest.param("gowin", marks=pytest.mark.slow)])
def test_a_family_places_without_ports(target: str) -> None:
    needs(target)
    got = synthesise(design(tiny(), "encoder"), TARGETS[target], seeds=(1, 2))
    assert got.resources is not None and got.resources.flip_flops == 2 * tiny().codebook.code_bits + 2
    assert 10 < got.resources.lut < 100 and list(got.fmax) == [1, 2]
    assert got.mhz == min(got.fmax.values())
    delays = [float(line.split()[0]) for line in got.critical_path.splitlines()[1:]]
    assert sum(delays) == pytest.approx(got.path_ns, abs=0.05)


@pytest.mark.slow
def test_xilinx_is_synthesised_only() -> None:
    got = synthesise(design(tiny(), "encoder"), TARGETS["xilinx7"])
    assert got.resources is not None and got.resources.flip_flops == 2 * tiny().codebook.code_bits + 2
    assert not got.fmax and got.mhz is None and got.options == {}


def test_what_does_not_fit_is_not_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    needs("ecp5")
    monkeypatch.setattr(fpga, "run_tool", lambda *_: pytest.fail("placed"))
    family = TARGETS["ecp5"]
    small = replace(family.devices["12k"], capacity=Resources(lut=20, flip_flops=100))
    got = synthesise(design(tiny(), "encoder"), replace(family, devices={"12k": small}))
    assert got.resources is not None and got.resources.lut > 20 and not got.fmax


@pytest.mark.slow
@pytest.mark.skipif(not SG13G2.exists(), reason="no sg13g2 library on this machine")
def test_whole_cores_are_mapped() -> None:
    got = synthesise_asic(design(tiny()), Library.read(SG13G2))
    assert {"payloads", "registers", "intake", "packetizer"} <= got.hierarchy.keys()
    assert got.memory_bits and got.mhz is not None and got.mhz > 50


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "core.toml"
    path.write_text(
        'name = "tiny"\n[frame]\nheight = 8\nwidth = 16\ncount_bits = 10\nlanes = 2\n[output]\nmodes = ["codes"]\n'
    )
    return path


def test_the_command_compares_with_the_last_run(
    tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def told(*arguments: str) -> str:
        command = [
            "ptychopress",
            "synth",
            "--config",
            "core.toml",
            "--block",
            "encoder",
            "--target",
            "asic",
            *arguments,
        ]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as left:
            main()
        assert left.value.code == 0
        return capsys.readouterr().out

    first = json.loads(told("--json"))
    assert first["compared"] is None and first["design"] == "tiny/encoder"
    config.write_text(config.read_text().replace("lanes = 2", "lanes = 4"))
    second = json.loads(told("--json"))
    verdicts = {change["figure"]: change["verdict"] for change in second["compared"]["changes"]}
    assert verdicts["gate equivalents"] == "worse" and verdicts["clocks a frame, encoder"] == "better"
    assert second["compared"]["differences"] == ["configuration frame.lanes: 2 before, 4 now"]
    third = told("--keep", "kept")
    assert "the run before had the same configuration" in third and "core_3" in third
    assert (tmp_path / "kept" / "net.v").exists()
    assert list(json.loads((tmp_path / "synth.json").read_text())["runs"]) == [
        "tiny/encoder on asic yosys' own CMOS gates"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "ecp5", "--device", "99k"], "device must be one of 85k"),
        (["--target", "ice40", "--speed", "6"], "speed must be left out"),
        (["--target", "ecp5", "--liberty", "x.lib"], "--liberty: only with --target asic"),
        (["--target", "ecp5", "--quick"], "--quick: only with --target asic"),
        (["--target", "asic", "--seeds", "2"], "--seeds: not with --target asic"),
        (["--target", "asic", "--liberty", "x.lib"], "x.lib: no such file"),
        (["--target", "asic", "--clock", "inf"], "Invalid value for '--clock'"),
        (["--target", "asic", "--block", "rice"], "--block rice: tiny has none"),
        (["--target", "asic", "--store", "core.toml"], "expected results of ptychopress synth"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ptychopress", "synth", "--config", str(config), *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line]
    assert left.value.code == 2 and message in told.err and len(lines) == 1 and not told.out
    assert not (tmp_path / "synth.json").exists()


def test_a_result_of_another_kind_shows(tmp_path: Path) -> None:
    store = tmp_path / "synth.json"
    runs = {"d on t": result().to_dict()}
    store.write_text(json.dumps({"format": "ptychopress-synth-1", "runs": runs}))
    assert read_store(store) == {"d on t": result()}
    spoilt: list[dict[str, Any]] = [
        {"tools": 3},
        {"configuration": "x"},
        {"gate_equivalents": "big"},
        {"memory_bits": [1]},
        {"frame_clocks": None},
        {"hierarchy": {"": "5"}},
        {"resources": {"lut": "x"}},
    ]
    for change in spoilt:
        told = {"d on t": runs["d on t"] | change}
        store.write_text(json.dumps({"format": "ptychopress-synth-1", "runs": told}))
        with pytest.raises(ValueError, match=r"synth.json: expected results of ptychopress synth"):
            read_store(store)
    del runs["d on t"]["target"]
    store.write_text(json.dumps({"format": "ptychopress-synth-1", "runs": runs}))
    with pytest.raises(ValueError, match=r"synth.json: expected results of ptychopress synth"):
        read_store(store)
