# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of a detector core in plain Verilog, with its vectors: what a user without Python checks the core with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from systemrdl.node import AddrmapNode, FieldNode

from ..hdl.axi import lane_bytes
from ..hdl.verilog import ecp5_models
from ..model.config import CoreConfig, Mode
from ..model.core import Core
from ..model.packet import CRC_OCTETS, OFFSETS, Flag, identifier
from ..model.registers import core_registers
from .draw import draw_codebook, draw_projection
from .tdata import pack

_ENABLE = 1
_MODE_SHIFT = 8
_BIG = 20_000


@dataclass(frozen=True)
class _Frame:
    """A frame as it is sent, its mode, and the packet that must come of it."""

    mode: Mode
    beats: list[int]
    packet: bytes


@dataclass(frozen=True, eq=False)
class _Table:
    """Words to load, and their width."""

    words: NDArray[np.int64]
    bits: int

    @property
    def bus_bits(self) -> int:
        return 8 * lane_bytes(self.bits)

    def text(self, rng: np.random.Generator) -> str:
        """Beats of its stream, each {tlast, tdata}."""
        beats = pack(self.words[:, None] & ((1 << self.bits) - 1), self.bits, rng)
        return hexadecimal([*beats[:-1], beats[-1] | 1 << self.bus_bits], self.bus_bits + 1)


def verilog_bench(config: CoreConfig, *, seed: int = 1) -> dict[str, str]:
    """Text of the bench and of the files that it needs, by their names: what it reads, and models of a family's parts.

    Each mode gets two whole frames, some a short and a long one too, in an order in which the mode changes with each
    frame. Weights are random, and thresholds if they can be loaded. Coefficients come last: with `big_table` they are
    left out unless the simulation is run with ``+all``.

    Parameters
    ----------
    config : CoreConfig
    seed : int
        Of everything random.
    """
    rng, name = np.random.default_rng(seed), config.name
    projection = draw_projection(rng, config.projection) if config.projects else None
    book = draw_codebook(rng, config.codebook) if config.encoder.reloadable else None
    core = Core(config, book, projection)
    plan = _plan(config, rng)
    frames = [_frame(core, number, *planned, rng=rng) for number, planned in enumerate(plan)]
    quick = frames[: next((k for k, frame in enumerate(frames) if frame.mode.projects), len(frames))]

    lanes, octets = config.frame.lanes, config.word_octets
    tables: dict[str, _Table] = {}
    if book is not None:
        thresholds = np.asarray(book.thresholds(config.codebook.code_bits), np.int64)
        tables["thresholds"] = _Table(thresholds, config.codebook.count_bits)
    if projection is not None:
        tables["weights"] = _Table(projection.words(lanes), config.projection.bias_format.bits)

    pixels = [beat for frame in frames for beat in frame.beats]
    words = [_words(frame.packet, octets) for frame in frames]
    pixel_bits = 8 * lanes * lane_bytes(config.frame.count_bits)
    files = {
        f"{name}_frames.hex": hexadecimal(
            ((len(frame.beats) << 32) | _ENABLE | (frame.mode << _MODE_SHIFT) for frame in frames), 64
        ),
        f"{name}_pixels.hex": hexadecimal(pixels, pixel_bits + 2),
        f"{name}_packets.hex": hexadecimal(chain.from_iterable(words), 9 * octets + 1),
        **{f"{name}_{kind}.hex": table.text(rng) for kind, table in tables.items()},
    }
    # Without any other frame nothing can be left out.
    choice = big_table(config) and bool(quick)
    phases = -(-config.projector.components // config.projector.columns) if config.projects else 1
    values = {
        "NAME": name,
        "ABOUT_ALL": "\n// Frames of coefficients, and the weights that they need, take long: +all has them too."
        if choice
        else "",
        "ALL": '$test$plusargs("all") != 0' if choice else "1",
        "PIXEL_BITS": pixel_bits,
        "WORD_BITS": 8 * octets,
        "FRAMES": len(frames),
        "BEATS": len(pixels),
        "WORDS": sum(map(len, words)),
        "QUICK_FRAMES": len(quick),
        "QUICK_WORDS": sum(map(len, words[: len(quick)])),
        "PATIENCE": 4096 + 4 * config.frame.beats * phases,
        "RESET": "aresetn" if config.reset_active_low else "areset",
        "RESET_VALUE": "!reset" if config.reset_active_low else "reset",
        "TABLE_SOURCES": "\n".join(_source(name, kind, table) for kind, table in tables.items()),
        "TABLE_PORTS": "\n".join(_ports(kind) for kind in tables),
        "TABLE_MOVES": "".join(f" || (s_axis_{kind}_tvalid && s_axis_{kind}_tready)" for kind in tables),
        "CONTROL": f"{_address('control'):02x}",
        "CHECKS_BEFORE": "\n".join(_before(tables)),
        "CHECKS_AFTER": "\n".join(_after(frames, quick)),
    }
    bench = _resource("core_tb.v")
    for key, value in values.items():
        bench = bench.replace(f"@{key}@", str(value))
    parts = {f"{name}_ecp5.v": ecp5_models()} if config.target == "ecp5" else {}
    return {f"{name}_tb.v": bench, **parts, **files}


def big_table(config: CoreConfig) -> bool:
    """Whether the weights of a core are so many that Icarus takes minutes to load them."""
    return config.projects and config.projection.components * config.projection.pixels > _BIG


def hexadecimal(words: Iterable[int], bits: int) -> str:
    """Words of so many bits as $readmemh reads them, a line each."""
    return "".join(f"{word:0{-(-bits // 4)}x}\n" for word in words)


def _plan(config: CoreConfig, rng: np.random.Generator) -> list[tuple[Mode, int]]:
    """Mode and beats of each frame."""
    beats, plan = config.frame.beats, []
    for projects in (False, True):
        modes = [mode for mode in config.modes if mode.projects == projects]
        if not modes:
            continue
        first, last = modes[0], modes[-1]
        plan += [(mode, beats) for mode in modes]
        plan += [(first, int(rng.integers(1, beats))), (last, beats + int(rng.integers(1, beats + 1)))]
        plan += [(config.modes[0], beats)] if projects else []
        plan += [(mode, beats) for mode in modes]
    return plan


def _frame(core: Core, number: int, mode: Mode, beats: int, *, rng: np.random.Generator) -> _Frame:
    lanes, bits = core.config.frame.lanes, core.config.frame.count_bits
    counts = _counts(beats * lanes, bits, dense=number % 4 == 1, rng=rng)
    packet = core.packet(counts, mode, number=number, flags=Flag.NONE if number else Flag.FIRST)
    tdata = pack(counts.reshape(-1, lanes).astype(np.int64), bits, rng)
    size = 8 * lanes * lane_bytes(bits)
    tdata[-1] |= 1 << size
    # A start may be marked, or not.
    tdata[0] |= int(rng.integers(2)) << (size + 1)
    return _Frame(mode, tdata, packet.pack())


def _counts(pixels: int, bits: int, *, dense: bool, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Counts of a frame: all there are, or few photons in a few places."""
    if dense:
        return rng.integers(0, 1 << bits, pixels).astype(np.uint16)
    counts = rng.poisson(rng.exponential(10 ** rng.uniform(-2, 2), pixels))
    return np.minimum(counts, (1 << bits) - 1).astype(np.uint16)


def _words(packet: bytes, octets: int) -> list[int]:
    """Words of a packet, each {tlast, tkeep, tdata}."""
    parts = [packet[k : k + octets] for k in range(0, len(packet), octets)]
    assert len(parts[-1]) == CRC_OCTETS
    return [
        (int(k == len(parts) - 1) << 9 * octets)
        | (((1 << len(part)) - 1) << 8 * octets)
        | int.from_bytes(part, "little")
        for k, part in enumerate(parts)
    ]


def _source(name: str, kind: str, table: _Table) -> str:
    """The source of a table's stream, and the wires from it."""
    port, words = f"s_axis_{kind}", len(table.words)
    allowed = f"all ? {words} : 0" if kind == "weights" else words
    return f"""
  wire [31:0] {kind}_sent;
  wire {port}_tlast, {port}_tvalid, {port}_tready;
  wire [{table.bus_bits - 1}:0] {port}_tdata;
  {name}_tb_source #(
      .FILE("{name}_{kind}.hex"), .BITS({table.bus_bits + 1}), .WORDS({words})
  ) {kind} (
      .clk(aclk), .reset(reset), .pause(1'b0), .allowed({allowed}), .sent({kind}_sent),
      .word({{{port}_tlast, {port}_tdata}}), .valid({port}_tvalid), .ready({port}_tready)
  );"""


def _ports(kind: str) -> str:
    ports = [f"s_axis_{kind}_{name}" for name in ("tdata", "tlast", "tvalid", "tready")]
    return "      " + " ".join(f".{port}({port})," for port in ports)


def _before(tables: dict[str, _Table]) -> list[str]:
    """Checks of registers before the first frame, when all tables are in."""
    magic = _registers().find_by_path("identity.magic")
    assert isinstance(magic, FieldNode)
    lines = [_check("identity", magic.get_property("reset"))]
    for kind, table in tables.items():
        condition = "all && " if kind == "weights" else ""
        lines.append(f"    while ({condition}{kind}_sent < {len(table.words)}) @(posedge aclk);")
        named = identifier(table.words)
        lines.append(_check(f"{kind}_hash", named, 0 if kind == "weights" else named))
    return lines


def _after(frames: Sequence[_Frame], quick: Sequence[_Frame]) -> list[str]:
    """Checks of counters and errors behind the last packet."""
    (counts, errors), (quick_counts, quick_errors) = _counters(frames), _counters(quick)
    lines = [_check(f"live.{name}", count, quick_counts[name]) for name, count in counts.items()]
    return [*lines, _check("errors", errors, quick_errors)]


def _counters(frames: Sequence[_Frame]) -> tuple[dict[str, int], int]:
    """Live counters after those frames, and the register of errors."""
    flags = [Flag(int.from_bytes(frame.packet[OFFSETS["flags"] :][:2], "little")) for frame in frames]
    clipped = Flag.CLIPPED | Flag.SATURATED
    events = {
        "short_frames": sum(Flag.SHORT in flag for flag in flags),
        "long_frames": sum(Flag.LONG in flag for flag in flags),
        "saturated_frames": sum(bool(flag & clipped) for flag in flags),
        "dropped_frames": 0,
    }
    errors = 0
    for name, count in events.items():
        field = _registers().find_by_path(f"errors.{name.removesuffix('s')}")
        assert isinstance(field, FieldNode)
        errors |= bool(count) << field.low
    upsets = {"corrected_upsets": 0, "uncorrectable_upsets": 0}
    return {"frames": len(frames), "packets": len(frames), **events, **upsets}, errors


@cache
def _registers() -> AddrmapNode:
    return core_registers()


def _check(register: str, value: int, quick: int | None = None) -> str:
    """Check of a register; `quick`: its value without frames of coefficients."""
    text = f"32'h{value:08x}" if quick in (None, value) else f"all ? 32'h{value:08x} : 32'h{quick:08x}"
    return f"    check_register(8'h{_address(register):02x}, {text});  // {register}"


def _address(register: str) -> int:
    node = _registers().find_by_path(register)
    assert node is not None, register
    return node.absolute_address


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text()
