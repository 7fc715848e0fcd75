# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import dataclasses
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from amaranth.hdl import Fragment
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.hdl import hardwired, pipeline
from ptychopress.hdl.axi import AxiStreamTop
from ptychopress.hdl.hardwired import AdderGraph, HardwiredProjector
from ptychopress.hdl.verilog import verilog_text, waivers_text
from ptychopress.model.projection import Projection, ProjectionFormat
from ptychopress.sim.tools import verilator_path_environment
from ptychopress.synth.peers import constant_matrix
from script import benchmark

pytest.importorskip("da4ml")


def projection(
    weights: Any,
    *,
    bias: Any = None,
    shift: Any = None,
    input_bits: int = 4,
    weight_bits: int = 8,
    output_bits: int = 16,
) -> Projection:
    weights = np.asarray(weights)
    components, pixels = weights.shape
    size = ProjectionFormat(
        pixels=pixels, components=components, input_bits=input_bits, weight_bits=weight_bits, output_bits=output_bits
    )
    return Projection(size, weights, bias, shift)


def drawn(components: int, pixels: int, *, seed: int = 1, **widths: int) -> Projection:
    """Random weights, biases and shifts, of which some saturate and some do not."""
    rng = np.random.default_rng(seed)
    size = projection(np.zeros((components, pixels), int), **widths).format
    weights = rng.integers(size.weight_format.minimum, size.weight_format.maximum + 1, (components, pixels))
    bias = rng.integers(size.bias_format.minimum, size.bias_format.maximum + 1, components) // 2
    return Projection(size, weights, bias, rng.integers(0, size.largest_shift // 2, components))


MATRICES = {
    "random": drawn(3, 8),
    "narrow output": drawn(4, 6, output_bits=5),
    "N not a power of two": drawn(5, 13, input_bits=3, weight_bits=5),
    "wide": drawn(2, 5, input_bits=16, weight_bits=18, output_bits=32),
    "one bit inputs": drawn(3, 9, input_bits=1, weight_bits=2, output_bits=4),
    "all weights at the lower limit": projection(np.full((2, 7), -128), output_bits=10),
    "all weights at the upper limit": projection(np.full((2, 7), 127), shift=[3, 0]),
    "limits in turn": projection(np.resize([127, -128, -128], (4, 6)), bias=[0, 1, -1, 500], shift=[0, 1, 2, 9]),
    "zeros": projection(np.zeros((2, 3), int), bias=[-5, 0], shift=[1, 0]),
    "some zeros": projection([[0, 3, 0], [0, 0, 0], [0, 0, 4]], bias=[0, 7, -4]),
    "single pixel": projection([[-3], [1], [0], [64]], shift=[1, 0, 0, 3]),
    "single component": projection([[5, -7, 0, 99, -128]], shift=[4]),
    "one wire": projection([[1]]),
    "negative only": projection([[-1, -2, -77], [-128, -64, -1]]),
    "a component and its negative": projection([[3, -5, 8], [-3, 5, -8], [6, -10, 16]], shift=[0, 0, 4]),
    "shifted to the sign": projection([[-9, 4]], bias=[-1], shift=[13]),
}


class Run(NamedTuple):
    """What a block put out: coefficients, flags as (saturated, short, long, clipped), last, clock of each beat."""

    coefficients: np.ndarray
    saturated: np.ndarray
    short: list[int]
    long: list[int]
    clipped: list[int]
    last: list[int]
    taken: list[int]
    offered: list[int]


def run(
    block: HardwiredProjector,
    frames: np.ndarray,
    *,
    last: Any = None,
    clipped: Any = None,
    sent: int | None = None,
    idle: float = 0.0,
    stall: float = 0.0,
    seed: int = 1,
) -> Run:
    """Send beats through a block in Amaranth's simulator, with random gaps and stalls; `sent` is how many come out."""
    last = np.ones(len(frames), int) if last is None else np.asarray(last)
    clipped = np.zeros(len(frames), int) if clipped is None else np.asarray(clipped)
    expected = len(frames) if sent is None else sent
    drive, sink = random.Random(seed), random.Random(seed + 1)
    beats: list[Any] = []
    taken: list[int] = []
    offered: list[int] = []
    clock = 0

    async def count(ctx: Any) -> None:
        nonlocal clock
        async for _ in ctx.tick():
            clock += 1

    async def source(ctx: Any) -> None:
        for frame, end, above in zip(frames, last, clipped, strict=True):
            while drive.random() < idle:
                await ctx.tick()
            ctx.set(block.i.p, {"values": [int(v) for v in frame], "clipped": int(above), "last": int(end)})
            ctx.set(block.i.valid, 1)
            while True:
                _, _, ready = await ctx.tick().sample(block.i.ready)
                if ready:
                    break
            taken.append(clock)
            ctx.set(block.i.valid, 0)

    async def check(ctx: Any) -> None:
        held = None
        while len(beats) < expected:
            ctx.set(block.o.ready, sink.random() >= stall)
            _, _, valid, ready, payload = await ctx.tick().sample(block.o.valid, block.o.ready, block.o.payload)
            if held is not None:
                assert valid and payload.as_bits() == held, "an offered beat changed"
            if valid and held is None:
                offered.append(clock)
            held = payload.as_bits() if valid and not ready else None
            if valid and ready:
                beats.append(payload)
        ctx.set(block.o.ready, 1)
        for _ in range(block.latency + 2):
            _, _, valid = await ctx.tick().sample(block.o.valid)
            assert not valid, "a beat too many"

    simulator = Simulator(Fragment.get(block, None))
    simulator.add_clock(1e-6)
    simulator.add_process(count)
    simulator.add_testbench(source)
    simulator.add_testbench(check)
    simulator.run()
    columns = block.columns
    return Run(
        np.array([[beat.coefficients[k] for k in range(columns)] for beat in beats]),
        np.array([[beat.flags.saturated >> k & 1 for k in range(columns)] for beat in beats]),
        *([getattr(beat.flags, name) for beat in beats] for name in ("short", "long", "clipped")),
        [beat.last for beat in beats],
        taken,
        offered,
    )


def frames_for(model: Projection, count: int = 24, seed: int = 2) -> np.ndarray:
    """Random frames, and those in which every component is smallest or largest."""
    rng = np.random.default_rng(seed)
    largest = model.format.input_format.maximum
    extremes = [np.zeros(model.format.pixels, int), np.full(model.format.pixels, largest)]
    for row in model.weights:
        extremes += [(row < 0) * largest, (row > 0) * largest]
    return np.vstack([extremes, rng.integers(0, largest + 1, (count, model.format.pixels))])


def check_equal(block: HardwiredProjector, model: Projection, **pauses: Any) -> Run:
    frames = frames_for(model)
    got = run(block, frames, **pauses)
    coefficients, saturated = model.project(frames)
    np.testing.assert_array_equal(got.coefficients, coefficients)
    np.testing.assert_array_equal(got.saturated, saturated)
    assert set(got.last) == {1} and not any(got.short + got.long + got.clipped)
    return got


@pytest.mark.parametrize("adders_per_stage", [None, 1, 2, 3])
@pytest.mark.parametrize("name", MATRICES)
def test_coefficients_are_the_models(name: str, adders_per_stage: int | None) -> None:
    model = MATRICES[name]
    block = HardwiredProjector(model, adders_per_stage=adders_per_stage)
    got = check_equal(block, model)
    # A frame a clock, and the latency that the block states.
    assert np.diff(got.taken).tolist() == [1] * (len(got.taken) - 1)
    assert np.subtract(got.offered, got.taken).tolist() == [block.latency] * len(got.taken)
    assert block.latency == (1 if adders_per_stage is None else max(1, -(-block.levels // adders_per_stage)))


@pytest.mark.parametrize("adders_per_stage", [None, 1, 2])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.5), (0.5, 0.0), (0.5, 0.5), (0.1, 0.9)])
def test_no_pause_changes_anything(idle: float, stall: float, adders_per_stage: int | None, seed: int) -> None:
    model = MATRICES["narrow output"]
    check_equal(HardwiredProjector(model, adders_per_stage=adders_per_stage), model, idle=idle, stall=stall, seed=seed)


@pytest.mark.parametrize("extra_depth", [None, 0, 1, 3])
def test_every_depth_is_the_same_matrix(extra_depth: int | None) -> None:
    model = MATRICES["N not a power of two"]
    check_equal(HardwiredProjector(model, adders_per_stage=2, extra_depth=extra_depth), model)


def test_sharing_takes_fewer_adders_than_digits() -> None:
    """A multiplication by w takes an adder for every non-zero digit of w but one."""
    model = drawn(8, 16)
    # Non-zero digits of the non-adjacent form: those of 3w xor w.
    digits = sum(int(3 * abs(w) ^ abs(w)).bit_count() for w in model.weights.ravel().tolist())
    smallest = AdderGraph(model).adders
    assert smallest <= AdderGraph(model, extra_depth=0).adders < 0.7 * digits


def test_widths_follow_the_range_of_sums_and_not_of_their_terms() -> None:
    (minus_three,) = (AdderGraph(projection([[-3]])).nodes[t.node] for t in AdderGraph(projection([[-3]])).outputs)
    assert minus_three.range(15) == (-45, 0)


@pytest.mark.parametrize("adders_per_stage", [None, 1])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.4, 0.6)])
def test_a_frame_without_end_is_flagged_and_the_next_is_right(
    idle: float, stall: float, adders_per_stage: int | None
) -> None:
    model = MATRICES["random"]
    frames = frames_for(model, 6)[:10]
    last = [1, 0, 0, 0, 1, 1, 0, 1, 1, 1]
    kept = [0, 1, 5, 6, 8, 9]
    clipped = [0, 1, 0, 1, 1, 0, 0, 1, 1, 0]
    block = HardwiredProjector(model, adders_per_stage=adders_per_stage)
    got = run(block, frames, last=last, clipped=clipped, sent=len(kept), idle=idle, stall=stall)
    np.testing.assert_array_equal(got.coefficients, model.project(frames[kept])[0])
    assert got.long == [0, 1, 0, 1, 0, 0]
    assert got.clipped == [0, 1, 0, 0, 1, 0]
    assert set(got.last) == {1} and not any(got.short)


def faults(model: Projection) -> dict[str, Projection]:
    weights, bias, shift = (np.array(array, np.int64) for array in (model.weights, model.bias, model.shift))
    weights[1, 3] ^= 1
    bias[2] += 1 << shift[2]
    shift[0] += 1
    return {
        "weight": dataclasses.replace(model, weights=weights),
        "bias": dataclasses.replace(model, bias=bias),
        "shift": dataclasses.replace(model, shift=shift),
    }


@pytest.mark.parametrize("which", ["weight", "bias", "shift"])
def test_a_wrong_constant_is_caught(which: str) -> None:
    model = projection(drawn(3, 8).weights, bias=[100, -31, 7], shift=[2, 0, 3])
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(HardwiredProjector(faults(model)[which]), model)


def test_a_missing_register_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MATRICES["random"]
    left_out = []

    def delay(m: Any, advance: Any, value: Any, stages: int = 1) -> list[Any]:
        if stages and not left_out:
            left_out.append(value)
            return [value] * stages
        return pipeline.delay(m, advance, value, stages)

    monkeypatch.setattr(hardwired, "delay", delay)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        check_equal(HardwiredProjector(model, adders_per_stage=1), model)


def test_a_wrong_graph_is_never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    import da4ml.cmvm

    solve = da4ml.cmvm.solve
    monkeypatch.setattr(da4ml.cmvm, "solve", lambda matrix, **options: solve(matrix + np.float32(1), **options))
    with pytest.raises(AssertionError, match="da4ml: another matrix"):
        AdderGraph(MATRICES["random"])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_graph_is_its_matrix(data: st.DataObject) -> None:
    """Symbolically, by the rows, which the constructor compares, and in numbers by the terms."""
    components, pixels = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 8))
    weight = st.integers(-128, 127) | st.sampled_from([0, 0, 1, -128])
    row = st.lists(weight, min_size=pixels, max_size=pixels)
    weights = data.draw(st.lists(row, min_size=components, max_size=components))
    bias = data.draw(st.lists(st.integers(-64, 63), min_size=components, max_size=components))
    model = projection(weights, bias=bias)
    graph = AdderGraph(model, extra_depth=data.draw(st.sampled_from([None, 0, 2])))
    frame = np.random.default_rng(1).integers(0, 16, pixels)
    values: list[int] = []
    for node in graph.nodes:
        parts = [(values[term.node] << term.shift) * (-1 if term.negative else 1) for term in node.terms]
        values.append(sum(parts) if parts else int(node.row[:-1] @ frame + node.row[-1]))
        low, high = node.range(15)
        assert low <= values[-1] <= high
    sums = [values[term.node] << term.shift for term in graph.outputs]
    assert sums == (np.array(weights) @ frame + bias).tolist()


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adders_per_stage": 0}, "adders_per_stage must be a whole number, 1 or more, or None, got 0"),
        ({"adders_per_stage": 1.5}, "got 1.5"),
        ({"extra_depth": -1}, "extra_depth must be a whole number, 0 or more, or None, got -1"),
    ],
)
def test_bad_parameters_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HardwiredProjector(MATRICES["one wire"], **options)


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize(("shape", "name"), [((1, 1025), "pixels"), ((1025, 1), "components")])
def test_what_no_bus_carries_is_refused(shape: tuple[int, int], name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 to 1024, got 1025"):
        HardwiredProjector(projection(np.zeros(shape, int)))


@pytest.mark.usefixtures("refused")
def test_without_da4ml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "da4ml.cmvm", None)
    with pytest.raises(ValueError, match=r"needs da4ml.*: pip install 'ptychopress\[hardwired\]'"):
        HardwiredProjector(MATRICES["one wire"])


@pytest.fixture(params=["random", "narrow output", "zeros", "one wire"])
def verilog(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    block = HardwiredProjector(MATRICES[request.param], adders_per_stage=2)
    path = tmp_path / "hardwired.v"
    path.write_text(verilog_text(AxiStreamTop(block), "hardwired"))
    (tmp_path / "ptychopress.vlt").write_text(waivers_text())
    return path


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["verilator"], indirect=True)
def test_verilator_has_no_warning(verilog: Path, simulator: str) -> None:
    waivers = verilog.with_name("ptychopress.vlt")
    command = ["verilator", "--lint-only", "-Wall", "--quiet", waivers, verilog, "--top-module", "hardwired"]
    done = subprocess.run(command, capture_output=True, text=True, env=verilator_path_environment())
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_icarus_has_no_warning(verilog: Path, simulator: str) -> None:
    command = ["iverilog", "-Wall", "-o", os.devnull, "-s", "hardwired", verilog]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_same_matrix_gives_the_same_verilog() -> None:
    texts = {verilog_text(AxiStreamTop(HardwiredProjector(drawn(4, 9), adders_per_stage=1)), "x") for _ in range(2)}
    assert len(texts) == 1


@pytest.fixture(scope="module")
def comparison() -> Any:
    return benchmark("hardwired_area")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize("matrix", ["random", "components"])
def test_what_is_compared_computes_the_same(matrix: str, simulator: str) -> None:
    weights = constant_matrix.MATRICES[matrix](3, 9)
    other = weights.copy()
    other[2, 5] += 1
    compared = list(constant_matrix.structures(weights, 2))
    assert [structure.name for structure in compared[:3]] == ["plain multiplications", "da4ml's Verilog", "ours"]
    for structure in compared:
        assert constant_matrix.wrong_sums(structure, weights) == 0
        assert constant_matrix.wrong_sums(structure, other) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--inputs", "0"], "--inputs must be 1 or more, got 0"),
        (["--matrix", "components", "--inputs", "5"], "a square number of inputs, got 5"),
        (["--liberty", "nowhere.lib"], "nowhere.lib: no such file"),
    ],
)
def test_bad_input_of_the_comparison_is_one_line(
    comparison: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert comparison.main(arguments) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and not told.out
