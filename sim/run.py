# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Start benches in a simulator: build once, run, read the results; and the list of all regressions."""

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args
from xml.etree import ElementTree

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import Runner, get_runner

from ..hdl.axi import AxiStreamTop
from ..hdl.code_projector import CodeProjector
from ..hdl.core import DetectorCompressor
from ..hdl.decoder import ExpandDecoder
from ..hdl.encoder import ShiftEncoder, TableEncoder, ThresholdEncoder
from ..hdl.flat import FlatTop
from ..hdl.multiplier import Multiplier
from ..hdl.packer import BitPacker, Packer
from ..hdl.packetizer import Packetizer
from ..hdl.projector import Projector
from ..hdl.registers import RegisterFile
from ..hdl.rice import RiceEncoder
from ..hdl.verilog import verilog_text
from ..hdl.zeromask import ZeromaskEncoder
from ..model.codebook import Codebook, DecodeMethod
from ..model.config import CoreConfig, Mode
from ..model.packet import Sizes
from ..model.projection import ProjectionFormat
from ..model.registers import core_registers
from ..model.rice import RiceFormat
from .code_coverage import COVERAGE_OPTIONS, VERILOG_FILE
from .packetizer_port import PacketizerPort
from .stream import SETTINGS_VARIABLE, Settings
from .tools import (
    ToolError,
    build_once,
    cache_directory,
    icarus_version,
    prune,
    verilator_path_environment,
    verilator_version,
)

Simulator = Literal["verilator", "icarus"]
SIMULATORS: tuple[Simulator, ...] = get_args(Simulator)

_TOP = "dut"
_TIMESCALE = ("1ns", "1ns")
# The benches touch only ports: making every signal public, cocotb's default, costs compile and run time.
_PORTS = f'`verilator_config\npublic_flat_rw -module "{_TOP}" -var "*"\n'
_OPTIONS: dict[Simulator, list[str]] = {
    # A split model is compiled with a precompiled header, for which the wheel's makefile lacks an option; and
    # compiling with optimisation takes longer than these short runs.
    "verilator": ["-Wno-fatal", "--no-public-flat-rw", "--output-split", "0", "-CFLAGS", "-O0"],
    # The generated text counts on Verilog's initial values being events, which start its combinational blocks;
    # SystemVerilog's, which cocotb asks for, are none.
    "icarus": ["-g2005"],
}


@dataclass(frozen=True)
class Failure:
    """A cocotb test that failed.

    Attributes
    ----------
    test : str
        Its name, with parameters.
    kind : str
        Name of the exception: AssertionError for a finding of the bench; "crash" if there is no result.
    message : str
    """

    test: str
    kind: str
    message: str


@dataclass(frozen=True)
class BenchResult:
    """Outcome of one simulator run.

    Attributes
    ----------
    bench, block : str
        What ran on what.
    simulator : str
    seed : int
        Repeats the run when handed to `run_bench`.
    tests : tuple of str
        Tests that ran.
    failures : tuple of Failure
    coverage_path, log_path : Path
        Functional coverage (JSON), there if the test `coverage` ran, and all that the simulator printed.
    seconds : float
    """

    bench: str
    block: str
    simulator: Simulator
    seed: int
    tests: tuple[str, ...]
    failures: tuple[Failure, ...]
    coverage_path: Path
    log_path: Path
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether tests ran and none failed."""
        return bool(self.tests) and not self.failures

    def __str__(self) -> str:
        """One line that is enough to repeat the run, and one more for each failure."""
        line = (
            f"{'passed' if self.passed else 'FAILED'} bench {self.bench} of {self.block} on {self.simulator},"
            f" seed {self.seed}: {len(self.tests)} tests in {self.seconds:.1f} s"
        )
        return "\n".join([line, *(f"  {f.test}: {f.kind}: {f.message}" for f in self.failures)])


def run_bench(
    block: Any,
    bench: str,
    *,
    simulator: Simulator = "verilator",
    seed: int = 1,
    tables: Sequence[Codebook] = (),
    tests: Sequence[str] = (),
    directory: Path | None = None,
    netlist: Callable[[str, str], str] | None = None,
    code_coverage: bool = False,
) -> BenchResult:
    """Run a bench on a block.

    Not for several threads of one process: the environment changes while a simulator runs.

    Parameters
    ----------
    block : Amaranth component
        One of ours: the bench is told what its attributes say.
    bench : str
        "encoder", "decoder", "projector", "registers", "packer", "zeromask", "rice", "framer" or "core".
    simulator : {"verilator", "icarus"}
    seed : int
        Of everything random in the run.
    tables : sequence of Codebook
        Further codebooks to load into a block that takes tables.
    tests : sequence of str
        Regular expressions for the names of the tests to run, all of them by default.
    directory : Path, optional
        Where results go; by default a new one in the cache directory.
    netlist : callable, optional
        Makes of Verilog and the name of its top module the Verilog to run instead: a netlist, with its cells.
    code_coverage : bool
        Verilator only: leave in the directory what `ptychopress.sim.code_coverage` reads.

    Raises
    ------
    ToolError
        If the simulator is missing or does not compile the block.
    """
    begin = time.monotonic()
    if directory is None:
        runs = cache_directory() / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        prune(runs)
        directory = Path(tempfile.mkdtemp(prefix=f"{bench}-", dir=runs))
    # The simulator runs in it.
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    coverage, log, results = (directory / name for name in ("coverage.json", "simulator.log", "results.xml"))
    settings = directory / "settings.json"
    settings.write_text(json.dumps(asdict(_settings(block, tables, coverage))))
    verilog = verilog_text(top_of(block), _TOP)
    if netlist is not None:
        verilog = netlist(verilog, _TOP)
    if code_coverage:
        (directory / VERILOG_FILE).write_text(verilog)
    build = _build(simulator, verilog, COVERAGE_OPTIONS if code_coverage else ())
    with _environment(_tool_environment(simulator)):
        _test(
            get_runner(simulator),
            f"{__package__}.bench_{bench}",
            build,
            directory,
            log,
            results,
            settings,
            seed,
            tests,
        )
    ran, failures = read_results(results, log)
    seconds = time.monotonic() - begin
    return BenchResult(bench, describe(block), simulator, seed, ran, failures, coverage, log, seconds)


@dataclass(frozen=True)
class Regression:
    """One run of `regressions`.

    Attributes
    ----------
    bench : str
    block : callable
        Makes the block: that takes a while for some.
    tables : tuple of Codebook
    tests : tuple of str
        As for `run_bench`.
    """

    bench: str
    block: Callable[[], Any]
    tables: tuple[Codebook, ...] = ()
    tests: tuple[str, ...] = ()

    def run(
        self,
        simulator: Simulator,
        seed: int = 1,
        directory: Path | None = None,
        netlist: Callable[[str, str], str] | None = None,
        code_coverage: bool = False,
    ) -> BenchResult:
        """Run it; see `run_bench`."""
        return run_bench(
            self.block(),
            self.bench,
            simulator=simulator,
            seed=seed,
            tables=self.tables,
            tests=self.tests,
            directory=directory,
            netlist=netlist,
            code_coverage=code_coverage,
        )


def regressions(simulator: Simulator, seed: int = 1) -> Iterator[BenchResult]:
    """Run all of `REGRESSIONS`, one after the other; `seed` and what is raised as for `run_bench`."""
    require(simulator)
    for regression in REGRESSIONS.values():
        yield regression.run(simulator, seed)


def _books() -> dict[str, Codebook]:
    """Every named codebook as published; those with parameters with some more of them."""
    books = [Codebook.named(name) for name in Codebook.names() if name != "noise-matched"]
    books.append(Codebook.named("nearest-sqrt", scale=2))
    books.append(Codebook.named("noise-matched", gain=2, read_noise=1.5, pedestal=100))
    return {book.name: book for book in books}


SMALL_CORES: dict[str, dict[str, Any]] = {
    "core-raw": {"frame": {"height": 2, "width": 16, "lanes": 2, "count_bits": 12}, "output": {"modes": ["raw"]}},
    "core-all-modes": {
        "frame": {"height": 4, "width": 16, "lanes": 2, "count_bits": 12},
        "encoder": {"codebook": "argonne-10to7"},
        "projector": {"components": 5, "columns": 2},
        "output": {"modes": [mode.label for mode in Mode]},
    },
    "core-reloadable": {
        "frame": {"height": 4, "width": 8, "lanes": 1, "count_bits": 8},
        "encoder": {"reloadable": True},
        "projector": {"components": 3, "columns": 3},
        "output": {"modes": [mode.label for mode in Mode], "buffer_frames": 3},
    },
    "core-for-asic": {
        "frame": {"height": 4, "width": 16, "lanes": 4, "count_bits": 10},
        "encoder": {"codebook": "nearest-sqrt", "reloadable": True, "preload": False},
        "projector": {"components": 4, "columns": 4, "output_bits": 12},
        "output": {"modes": ["codes", "rice", "code-coefficients"], "rice_block": 16},
        "protect": False,
        "reset_active_low": False,
    },
}
"""Configurations whose benches take a minute or so."""


def _all_regressions() -> dict[str, Regression]:
    books = _books()
    a, b, c, argonne = (books[name] for name in ("sqrt-a", "sqrt-b", "sqrt-c", "argonne-10to7"))
    small = Codebook.from_edges([0, 1, 3, 9, 9, 30, 41, 64], name="small")
    tiny = Codebook.from_edges([0, 1, 5, 8], name="tiny")
    named = Codebook.named
    counts = ("every_count", "throughput", "coverage")

    def wide(*code_bits: int) -> tuple[Codebook, ...]:
        return tuple(book for book in books.values() if book.count_bits == 14 and book.code_bits in code_bits)

    cores = {
        name: Regression("core", partial(DetectorCompressor, CoreConfig.from_dict(values)))
        for name, values in SMALL_CORES.items()
    }
    return cores | {
        "shift-a": Regression("encoder", lambda: ShiftEncoder(a, lanes=16), (), counts),
        "shift-b": Regression("encoder", lambda: ShiftEncoder(b, lanes=16)),
        "shift-c": Regression("encoder", lambda: ShiftEncoder(c, lanes=16), (), counts),
        "shift-1-lane": Regression("encoder", lambda: ShiftEncoder(named("sqrt-b", 10), input_bits=11)),
        "shift-2-lanes": Regression("encoder", lambda: ShiftEncoder(named("sqrt-a", 4), lanes=2, input_bits=20)),
        "shift-3-lanes": Regression("encoder", lambda: ShiftEncoder(named("sqrt-c", 12), lanes=3, input_bits=16)),
        "shift-5-lanes": Regression("encoder", lambda: ShiftEncoder(named("sqrt-b", 4), lanes=5, input_bits=32)),
        **{
            f"table-{name}": Regression("encoder", lambda book=book: TableEncoder(book), (), counts)
            for name, book in books.items()
        },
        "table-3-lanes": Regression("encoder", lambda: TableEncoder(argonne, lanes=3, input_bits=12)),
        "threshold-9-bits": Regression("encoder", lambda: ThresholdEncoder(a, lanes=16), wide(9), counts),
        "threshold-8-bits": Regression("encoder", lambda: ThresholdEncoder(b, lanes=16), wide(7, 8), counts),
        "threshold-argonne": Regression(
            "encoder",
            lambda: ThresholdEncoder(argonne, lanes=5, input_bits=14),
            (named("sqrt-c", 10),),
            (*counts, "saturation"),
        ),
        "threshold-1-lane": Regression("encoder", lambda: ThresholdEncoder(b)),
        "threshold-2-lanes": Regression("encoder", lambda: ThresholdEncoder(small, lanes=2, input_bits=8)),
        "threshold-3-lanes": Regression("encoder", lambda: ThresholdEncoder(tiny, lanes=3)),
        "threshold-no-preload": Regression(
            "encoder", lambda: ThresholdEncoder(named("sqrt-c", 6), input_bits=7, preload=False)
        ),
        "decoder-midpoint": Regression("decoder", lambda: ExpandDecoder(b, lanes=8)),
        "decoder-unbiased": Regression(
            "decoder", lambda: ExpandDecoder(c, lanes=3, method="unbiased", fraction_bits=10)
        ),
        "decoder-posterior": Regression(
            "decoder",
            lambda: ExpandDecoder(
                books["noise-matched gain=2 read_noise=1.5 pedestal=100"], method="posterior", fraction_bits=4
            ),
        ),
        "decoder-argonne": Regression("decoder", lambda: ExpandDecoder(argonne, lanes=2, fraction_bits=0)),
        "decoder-5-lanes": Regression("decoder", lambda: ExpandDecoder(small, lanes=5, fraction_bits=16)),
        **_projector_regressions(),
        **_rice_regressions(),
        **{
            f"registers-{name}": Regression("registers", lambda name=name: _registers(name))
            for name in ("cell-72", "mhz-192x168", "eiger-256")
        },
        **_packer_regressions(),
        **_zeromask_regressions(),
        **_framer_regressions(),
    }


def _framer_regressions() -> dict[str, Regression]:
    # Octets of a word, octets of the largest payload, payloads that wait.
    sizes = {
        "4": (4, 30, 2),
        "8": (8, 100, 3),
        "16": (16, 200, 2),
        "32": (32, 96, 1),
        "64": (64, 130, 2),
        "1-word": (4, 3, 1),
    }

    def block(octets: int, largest: int, frames: int) -> PacketizerPort:
        constants = Sizes(word_octets=octets, count_bits=14, code_bits=8, width=72, height=36, components=65536)
        return PacketizerPort(Packetizer(constants, largest=largest, frames=frames))

    return {
        f"framer-{name}": Regression("framer", lambda arguments=arguments: block(*arguments))
        for name, arguments in sizes.items()
    }


def _registers(name: str) -> RegisterFile:
    return RegisterFile(core_registers(CoreConfig.named(name)))


class SizedChunks(wiring.Component):
    """A `BitPacker` whose chunks come on one bus, their sizes above their bits."""

    def __init__(
        self, chunk_bits: int, octets: int, *, msb_first: bool = False, packer: type[BitPacker] = BitPacker
    ) -> None:
        self.packer = packer(chunk_bits, octets, msb_first=msb_first)
        self.chunk_bits = chunk_bits
        self.octets = octets
        self.msb_first = msb_first
        self.lanes = 1
        self.latency = self.packer.latency
        bus = StructLayout({"chunk": chunk_bits + chunk_bits.bit_length(), "last": 1})
        super().__init__({"i": In(stream.Signature(bus)), "o": Out(self.packer.o.signature)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.packer = packer = self.packer
        m.d.comb += [
            Cat(packer.i.p.bits, packer.i.p.size).eq(self.i.p.chunk),
            packer.i.p.last.eq(self.i.p.last),
            packer.i.valid.eq(self.i.valid),
            self.i.ready.eq(packer.i.ready),
        ]
        wiring.connect(m, packer.o, wiring.flipped(self.o))
        return m


def _packer_regressions() -> dict[str, Regression]:
    blocks: dict[str, Callable[[], Any]] = {
        "smallest": lambda: SizedChunks(1, 1),
        "octet": lambda: SizedChunks(8, 1),
        "octet-msb": lambda: SizedChunks(5, 1, msb_first=True),
        "chunks": lambda: SizedChunks(60, 8),
        "chunks-msb": lambda: SizedChunks(64, 8, msb_first=True),
        "wide-chunks": lambda: SizedChunks(100, 4),
        "wider-chunks": lambda: SizedChunks(37, 2, msb_first=True),
        "14-bits": lambda: Packer(14, 8, 16),
        "9-bits": lambda: Packer(9, 4, 8),
        "1-bit": lambda: Packer(1, 1, 4),
        "full-word": lambda: Packer(8, 8, 8),
        "coefficients": lambda: Packer(16, 5, 16, last_values=3),
        "wide-values": lambda: Packer(32, 1, 2),
    }
    return {f"packer-{name}": Regression("packer", block) for name, block in blocks.items()}


def _zeromask_regressions() -> dict[str, Regression]:
    # Bits of a code, lanes, octets.
    sizes = {
        "8x8": (8, 8, 16),
        "9x4": (9, 4, 8),
        "16x1": (16, 1, 4),
        "14x2": (14, 2, 4),
        "1x1": (1, 1, 1),
        "5x32": (5, 32, 32),
        "3x16": (3, 16, 8),
    }
    return {
        f"zeromask-{name}": Regression("zeromask", lambda size=size: ZeromaskEncoder(*size))
        for name, size in sizes.items()
    }


class SlowMultiplier(Multiplier):
    """A product takes more clocks than it must, as in a DSP block with all its registers."""

    latency = 6

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.multiplier = multiplier = Multiplier(self.value_bits, self.weight_bits)
        m.d.comb += [multiplier.value.eq(self.value), multiplier.weight.eq(self.weight)]
        product = multiplier.product
        for _ in range(self.latency - Multiplier.latency):
            register = Signal.like(product, reset_less=True)
            m.d.sync += register.eq(product)
            product = register
        m.d.comb += self.product.eq(product)
        return m


def _projector_regressions() -> dict[str, Regression]:
    # Pixels, components; bits of input, weight, output; lanes, columns.
    sizes = {
        "8x8": ((11, 6), (8, 8, 16), (4, 4)),
        "14x12": ((10, 7), (14, 12, 16), (4, 2)),
        "16x18": ((3, 5), (16, 18, 32), (2, 3)),
        "1-bit": ((8, 5), (1, 2, 3), (3, 5)),
        "wide-output": ((7, 4), (3, 4, 32), (2, 2)),
        "5-lanes": ((5, 6), (4, 5, 8), (5, 1)),
        "1-lane": ((6, 3), (6, 6, 10), (1, 1)),
        "1-clock": ((4, 3), (5, 6, 9), (4, 3)),
        "1-pixel": ((1, 1), (1, 2, 2), (1, 1)),
    }

    def projector(
        frame: tuple[int, int], bits: tuple[int, int, int], beat: tuple[int, int], multiplier: type[Any] = Multiplier
    ) -> Projector:
        size = ProjectionFormat(
            pixels=frame[0], components=frame[1], input_bits=bits[0], weight_bits=bits[1], output_bits=bits[2]
        )
        return Projector(size, lanes=beat[0], columns=beat[1], multiplier=multiplier)

    def codes(encoder: type[Any], book: Codebook, *beat: int) -> CodeProjector:
        bits = (book.code_bits, 4, 6)
        return CodeProjector(
            encoder(book, lanes=beat[0], input_bits=book.count_bits + 2), projector((5, 4), bits, beat)
        )

    few = Codebook.from_edges([0, 1, 3, 9, 17, 30, 41, 64], name="few")
    blocks: dict[str, Callable[[], Any]] = {
        **{name: lambda sizes=sizes: projector(*sizes) for name, sizes in sizes.items()},
        "slow-multiplier": lambda: projector((1, 2), (3, 4, 5), (1, 2), SlowMultiplier),
        "shift-codes": lambda: codes(ShiftEncoder, Codebook.named("sqrt-b", 8), 2, 2),
        "table-codes": lambda: codes(TableEncoder, few, 3, 4),
    }
    return {f"projector-{name}": Regression("projector", block) for name, block in blocks.items()}


def _rice_regressions() -> dict[str, Regression]:
    # Pixels of a row, bits of a code, block; lanes, bytes of a word.
    sizes = {
        "1-lane": ((72, 8, 8), 1, 4),
        "2-lanes": ((48, 9, 16), 2, 4),
        "cell": ((72, 8, 8), 4, 8),
        "block-a-beat": ((40, 6, 8), 8, 8),
        "segments": ((1040, 4, 8), 8, 16),
        "block-32": ((96, 7, 32), 4, 4),
        "16-lanes": ((48, 5, 16), 16, 16),
        "1-bit": ((24, 1, 8), 2, 4),
        "14-bits": ((64, 14, 16), 8, 16),
        "16-bits": ((48, 16, 8), 2, 8),
        "narrow": ((48, 8, 8), 4, 1),
    }

    def encoder(size: tuple[int, int, int], lanes: int, octets: int) -> RiceEncoder:
        width, code_bits, block = size
        return RiceEncoder(RiceFormat(width=width, code_bits=code_bits, block=block), lanes=lanes, octets=octets)

    return {f"rice-{name}": Regression("rice", lambda sizes=sizes: encoder(*sizes)) for name, sizes in sizes.items()}


def describe(block: Any) -> str:
    """Say what a block is, in a few words."""
    if hasattr(block, "packetizer"):
        frame = block.config.frame
        modes = ", ".join(block.config.output.modes)
        return f"{type(block).__name__}({frame.height} x {frame.width}, {frame.lanes} lanes; {modes})"
    if hasattr(block, "rice"):
        rice = block.rice
        return (
            f"{type(block).__name__}(blocks of {rice.block}, rows of {rice.width}, {rice.code_bits} bits,"
            f" {block.lanes} lanes, {block.octets} octets)"
        )
    if hasattr(block, "registers"):
        return f"{type(block).__name__}({block.registers.size} bytes)"
    if hasattr(block, "packets"):
        octets, largest, frames = (block.packets[name] for name in ("word_octets", "largest", "frames"))
        return f"{type(block).__name__}({octets} octets, {frames} payloads of {largest})"
    if hasattr(block, "packer"):
        settings = _payload_settings(block, Path())
        return f"{type(block).__name__}({block.lanes} x {settings.in_bits} bits, {block.octets} octets)"
    projector = getattr(block, "projector", block)
    if hasattr(projector, "format"):
        size, encoder = projector.format, getattr(block, "encoder", None)
        return (
            f"{type(block).__name__}({size.pixels} pixels, {size.components} components,"
            f" {size.input_bits} x {size.weight_bits} to {size.output_bits} bits,"
            f" {projector.lanes} lanes, {projector.columns} columns{f', {encoder.codebook.name}' if encoder else ''})"
        )
    text = f"{type(block).__name__}({block.codebook.name}, {block.codebook.count_bits} bits, {block.lanes} lanes"
    if hasattr(block, "level_bits"):
        return f"{text}, {block.method}, {block.fraction_bits} fraction bits)"
    text += f", input {block.input_bits} bits" if block.input_bits > block.codebook.count_bits else ""
    return text + ("" if getattr(block, "preload", True) else ", no preload") + ")"


def require(simulator: Simulator) -> None:
    """Raise ToolError if a simulator is not there."""
    _tool_environment(simulator)


def _tool_environment(simulator: Simulator) -> dict[str, str]:
    if simulator == "verilator":
        return verilator_path_environment()
    icarus_version()
    return dict(os.environ)


def top_of(block: Any) -> Any:
    """Put the ports that the benches drive around a block."""
    if hasattr(block, "packetizer"):
        return block
    return FlatTop(block) if hasattr(block, "registers") or hasattr(block, "packets") else AxiStreamTop(block)


def _settings(block: Any, tables: Sequence[Codebook], coverage: Path) -> Settings:
    if hasattr(block, "packetizer"):
        return Settings(core=block.config.to_dict(), coverage=str(coverage))
    if hasattr(block, "rice"):
        return Settings(
            lanes=block.lanes,
            latency=block.latency,
            rice=asdict(block.rice),
            octets=block.octets,
            full_rate=block.longest * block.lanes <= 8 * block.octets * block.rice.block,
            coverage=str(coverage),
        )
    if hasattr(block, "registers"):
        return Settings(registers=dict(block.registers.parameters), coverage=str(coverage))
    if hasattr(block, "packer"):
        return _payload_settings(block, coverage)
    if hasattr(block, "packets"):
        return Settings(latency=block.latency, packets=block.packets, coverage=str(coverage))
    projector = getattr(block, "projector", block)
    if hasattr(projector, "format"):
        return _projector_settings(block, projector, coverage)
    books = {book.name: list(book.edges) for book in (block.codebook, *tables)}
    common = {"lanes": block.lanes, "latency": block.latency, "books": books, "coverage": str(coverage)}
    code_bits = block.codebook.code_bits
    if hasattr(block, "level_bits"):
        method: DecodeMethod = block.method
        levels = block.codebook.fixed_levels(method, block.fraction_bits).tolist()
        return Settings(in_bits=code_bits, out_bits=block.level_bits, levels=levels, **common)
    return Settings(
        in_bits=block.input_bits,
        out_bits=code_bits,
        table_bits=block.codebook.count_bits,
        has_table=hasattr(block, "table"),
        preload=getattr(block, "preload", True),
        **common,
    )


def _payload_settings(block: Any, coverage: Path) -> Settings:
    chunk_bits = getattr(block, "chunk_bits", 0)
    bits = [getattr(block, name) for name in ("chunk_bits", "value_bits", "code_bits") if hasattr(block, name)]
    return Settings(
        lanes=block.lanes,
        latency=block.latency,
        in_bits=bits[0],
        packing={
            "octets": block.octets,
            "last_values": getattr(block, "last_values", block.lanes),
            "chunk_bits": chunk_bits,
            "msb_first": int(getattr(block, "msb_first", False)),
        },
        coverage=str(coverage),
    )


def _projector_settings(block: Any, projector: Any, coverage: Path) -> Settings:
    size, encoder = projector.format, getattr(block, "encoder", None)
    return Settings(
        lanes=projector.lanes,
        latency=block.latency,
        in_bits=encoder.input_bits if encoder else size.input_bits,
        out_bits=size.output_bits,
        table_bits=size.bias_format.bits,
        books={encoder.codebook.name: list(encoder.codebook.edges)} if encoder else {},
        has_table=True,
        preload=False,
        projection=asdict(size),
        columns=projector.columns,
        frame_clocks=projector.frame_clocks,
        entry=block.latency - projector.latency,
        coverage=str(coverage),
    )


@contextmanager
def _environment(environment: dict[str, str]) -> Iterator[None]:
    """Run with other environment variables: the runner hands on nothing but this process's own."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    # With it the runner would exit pytest on a failed test; results are read here instead.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _build(simulator: Simulator, verilog: str, further: Sequence[str] = ()) -> Path:
    environment = _tool_environment(simulator)
    version = verilator_version() if simulator == "verilator" else icarus_version()
    options = [*_OPTIONS[simulator], *further]
    # A model that is built finds cocotb where it was then: one of another environment is another model.
    key = json.dumps([simulator, version, str(libs_dir), options, _TIMESCALE, _PORTS, verilog])

    def build(work: Path) -> None:
        source, ports, log = work / f"{_TOP}.v", work / "ports.vlt", work / "build.log"
        source.write_text(verilog)
        ports.write_text(_PORTS)
        try:
            with _environment(environment):
                get_runner(simulator).build(
                    sources=[source] if simulator == "icarus" else [ports, source],
                    hdl_toplevel=_TOP,
                    build_dir=work,
                    build_args=options,
                    timescale=_TIMESCALE,
                    log_file=log,
                )
        except RuntimeError as error:
            lines = log.read_text().splitlines()
            cause = next((line for line in lines if "rror" in line), lines[-1] if lines else str(error))
            raise ToolError(f"{simulator} does not compile the block: {cause}") from None
        for scrap in [*work.glob("*.gch"), *work.glob("*.o"), *work.glob("*.cpp")]:
            scrap.unlink()

    return build_once(f"bench-{simulator}", key, build)


def _test(
    runner: Runner,
    module: str,
    build: Path,
    directory: Path,
    log: Path,
    results: Path,
    settings: Path,
    seed: int,
    tests: Sequence[str],
) -> None:
    try:
        runner.test(
            test_module=module,
            hdl_toplevel=_TOP,
            hdl_toplevel_lang="verilog",
            build_dir=build,
            test_dir=directory,
            results_xml=str(results),
            seed=seed,
            # Rewriting the assertions of every module that is imported takes longer than the bench.
            extra_env={SETTINGS_VARIABLE: str(settings), "COCOTB_REWRITE_ASSERTION_FILES": ""},
            test_filter=rf"\.({'|'.join(tests)})(/|$)" if tests else None,
            log_file=log,
        )
    except (RuntimeError, SystemExit):
        # A failed test makes the simulator fail; what failed stands in the results, if it came so far.
        return


def read_results(results: Path, log: Path) -> tuple[tuple[str, ...], tuple[Failure, ...]]:
    """Read the tests that ran and the failures from cocotb's results, or from the log if there are none."""
    if not results.exists():
        lines = log.read_text().splitlines() if log.exists() else []
        errors = [line for line in lines if re.match(r"\w*(Error|Exception)\b", line)]
        return (), (Failure("simulator", "crash", errors[-1] if errors else "it left no result"),)
    tests: list[str] = []
    failures: list[Failure] = []
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.get("name", "")
        if case.find("skipped") is not None:
            continue
        tests.append(name)
        for element in [*case.findall("failure"), *case.findall("error")]:
            message = re.sub(r"\s+", " ", element.get("message", "")).strip()
            failures.append(Failure(name, element.get("type", element.tag), message))
    return tuple(tests), tuple(failures)


REGRESSIONS: dict[str, Regression] = _all_regressions()
"""Every bench on every architecture, codebook and width, by name."""

GATE_LEVEL = ("shift-1-lane", "shift-b", "threshold-no-preload", "projector-1-lane")
"""Runs that mapped netlists are checked by: what is small enough for a simulation of gates in minutes."""
