# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Payloads: frames of counts and codes in, the payload of each by its mode out, in the order in which they came."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..model.config import CoreConfig, Mode
from ..model.packet import Flag
from ..model.rice import RiceFormat
from .beat import words_beat
from .block_memory import BlockMemory, Ecp5BlockMemory
from .frame_buffer import DESCRIPTOR
from .intake import intake_beat
from .multiplier import Ecp5Multiplier, Multiplier
from .packer import Packer
from .projector import Projector
from .rice import RiceEncoder
from .zeromask import ZeromaskEncoder

PARTS = {
    "portable": {"multiplier": Multiplier, "memory": BlockMemory},
    "ecp5": {"multiplier": Ecp5Multiplier, "memory": Ecp5BlockMemory},
}
"""What a projector multiplies with and keeps its weights in, by the configuration's target."""

_ON_THE_WAY = 8
"""Frames that the blocks may hold; more wait."""

_REPORT = StructLayout({"saturated": 1, "upset": 1})
"""What a projector says of a frame's coefficients."""


def projector_of(config: CoreConfig) -> Projector | None:
    """Projector of a core, None if none of its modes projects."""
    if not config.projects:
        return None
    sizes = {"lanes": config.frame.lanes, "columns": config.projector.columns}
    return Projector(config.projection, protect=config.protect, **sizes, **PARTS[config.target])


def payload_block(config: CoreConfig, mode: Mode) -> Any:
    """Block that makes a payload of counts or codes in a mode that does not project."""
    lanes, octets, code_bits = config.frame.lanes, config.word_octets, config.codebook.code_bits
    match mode:
        case Mode.RAW:
            return Packer(config.frame.count_bits, lanes, octets)
        case Mode.CODES:
            return Packer(code_bits, lanes, octets)
        case Mode.ZEROMASK:
            return ZeromaskEncoder(code_bits, lanes, octets)
        case Mode.RICE:
            rice = RiceFormat(width=config.frame.width, code_bits=code_bits, block=config.output.rice_block)
            return RiceEncoder(rice, lanes=lanes, octets=octets)
    raise ValueError(f"{mode.label} projects: its coefficients have another packer")


class Payloads(wiring.Component):
    """Hands each frame to the block of its mode, and collects the payloads in the order of the frames.

    Throughput: that of the blocks. When the mode changes, the first word of a frame waits until the last one of the
    frame before has left. Stalls: a block whose turn it is not stalls once it is full, and with it the input when it
    gets a frame.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    i : In(stream of intake_beat)
    weights : In(32)
        Identifier of the projector's table for a frame that begins.
    o : Out(stream of words_beat)
    descriptor : Out(DESCRIPTOR)
        Of the frame whose payload leaves; right in its last beat.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.projector = projector_of(config)
        self.blocks = self._blocks()
        super().__init__(
            {
                "i": In(stream.Signature(intake_beat(config))),
                "weights": In(32),
                "o": Out(stream.Signature(words_beat(config.word_octets))),
                "descriptor": Out(DESCRIPTOR),
            }
        )

    def _blocks(self) -> dict[Mode, Any]:
        """Block at the end of each mode's way; both kinds of coefficients share one."""
        config, octets = self.config, self.config.word_octets
        blocks = {mode: payload_block(config, mode) for mode in config.modes if not mode.projects}
        if self.projector is not None:
            size, columns = config.projector, self.projector.columns
            last = size.components - (self.projector.phases - 1) * columns
            packer = Packer(size.output_bits, columns, octets, last_values=last)
            blocks |= {mode: packer for mode in config.modes if mode.projects}
        return blocks

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        i, frame = self.i.p, self.i.p.frame
        m.submodules.order = order = SyncFIFO(width=3, depth=_ON_THE_WAY)
        m.submodules.ends = ends = SyncFIFO(width=DESCRIPTOR.size, depth=_ON_THE_WAY)
        room = (order.w_rdy | ~i.first) & (ends.w_rdy | ~i.last)
        taken = Signal()
        m.d.comb += taken.eq(self.i.valid & self.i.ready)

        # What is said of a frame in any of its beats.
        seen = Signal(StructLayout({"clipped": 1, "upset": 1}))
        clipped, upset = (i[name] | (seen[name] & ~i.first) for name in ("clipped", "upset"))
        weights = Signal(32, reset_less=True)
        with m.If(taken):
            m.d.sync += [seen.clipped.eq(clipped), seen.upset.eq(upset)]
            with m.If(i.first):
                m.d.sync += weights.eq(self.weights)
        projects = frame.mode >= Mode.COUNT_COEFFICIENTS
        coded = (frame.mode != Mode.RAW) & (frame.mode != Mode.COUNT_COEFFICIENTS)
        ended = DESCRIPTOR(ends.w_data)
        m.d.comb += [
            order.w_en.eq(taken & i.first),
            order.w_data.eq(frame.mode),
            ends.w_en.eq(taken & i.last),
            ended.mode.eq(frame.mode),
            ended.frame.eq(frame.number),
            ended.codebook.eq(Mux(coded, frame.codebook, 0)),
            ended.weights.eq(Mux(projects, Mux(i.first, self.weights, weights), 0)),
        ]
        for flag, value in {
            Flag.CLIPPED: clipped,
            Flag.UNCORRECTABLE: upset,
            Flag.SHORT: i.short,
            Flag.LONG: i.long,
            Flag.DROPPED: frame.dropped,
            Flag.FIRST: frame.after_reset,
        }.items():
            m.d.comb += _bit(ended.flags, flag).eq(value)

        # Into the block of the mode.
        with m.Switch(frame.mode):
            for mode in self.config.modes:
                source: Any = self.projector.i if mode.projects else self.blocks[mode].i
                values = i.counts if mode in (Mode.RAW, Mode.COUNT_COEFFICIENTS) else i.codes
                with m.Case(mode):
                    m.d.comb += [source.valid.eq(self.i.valid & room), self.i.ready.eq(source.ready & room)]
                    for lane, value in enumerate(values):
                        m.d.comb += source.p.values[lane].eq(value)
                    m.d.comb += source.p.last.eq(i.last)
                    if mode.projects:
                        m.d.comb += source.p.clipped.eq(i.clipped)

        for mode, block in self.blocks.items():
            if not mode.projects:
                m.submodules[mode.label] = block
        reports = self._coefficients(m)

        # Out of the blocks, in turn.
        descriptor, ready = DESCRIPTOR(ends.r_data), ends.r_rdy & reports.r_rdy if reports else ends.r_rdy
        with m.Switch(order.r_data):
            for mode in self.config.modes:
                block = self.blocks[mode]
                with m.Case(mode):
                    here = order.r_rdy & (~block.o.p.last | (ready if mode.projects else ends.r_rdy))
                    m.d.comb += [
                        self.o.p.eq(block.o.p),
                        self.o.valid.eq(block.o.valid & here),
                        block.o.ready.eq(self.o.ready & here),
                    ]
        done = self.o.valid & self.o.ready & self.o.p.last
        m.d.comb += [order.r_en.eq(done), ends.r_en.eq(done), self.descriptor.eq(descriptor)]
        if reports:
            report, projected = _REPORT(reports.r_data), descriptor.mode >= Mode.COUNT_COEFFICIENTS
            m.d.comb += reports.r_en.eq(done & projected)
            for flag, value in {Flag.SATURATED: report.saturated, Flag.UNCORRECTABLE: report.upset}.items():
                with m.If(projected & value):
                    m.d.comb += _bit(self.descriptor.flags, flag).eq(1)
        return m

    def _coefficients(self, m: Module) -> Any:
        """Projector and packer behind it; return the queue of what is said of its frames, None without a projector."""
        projector = self.projector
        if projector is None:
            return None
        packer = next(block for mode, block in self.blocks.items() if mode.projects)
        m.submodules.projector, m.submodules.coefficients = projector, packer
        m.submodules.reports = reports = SyncFIFO(width=_REPORT.size, depth=_ON_THE_WAY)
        out, seen = projector.o.p, Signal()
        real = Mux(out.last, Const((1 << packer.last_values) - 1, projector.columns), ~Const(0, projector.columns))
        saturated = (out.flags.saturated & real).any() | seen
        room = reports.w_rdy | ~out.last
        taken = projector.o.valid & projector.o.ready
        with m.If(taken):
            m.d.sync += seen.eq(saturated & ~out.last)
        report = _REPORT(reports.w_data)
        m.d.comb += [
            packer.i.p.last.eq(out.last),
            packer.i.valid.eq(projector.o.valid & room),
            projector.o.ready.eq(packer.i.ready & room),
            reports.w_en.eq(taken & out.last),
            report.saturated.eq(saturated),
            report.upset.eq(out.flags.upset if projector.protect else 0),
        ]
        for column, value in enumerate(out.coefficients):
            m.d.comb += packer.i.p.values[column].eq(value)
        return reports


def _bit(flags: Value, flag: Flag) -> Value:
    return flags[flag.bit_length() - 1]
