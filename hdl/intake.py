# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Intake: counts in whatever frames they come, exact frames of counts and codes out, each with its mode and number."""

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from ..model.config import CoreConfig, Mode
from .encoder import ShiftEncoder, TableEncoder, ThresholdEncoder, allows_shifts
from .frame_guard import FrameGuard, source_beat
from .pipeline import delay, handshake

FRAME = StructLayout({"mode": 3, "number": 32, "codebook": 32, "dropped": 1, "after_reset": 1})
"""What is known of a frame at its beginning; `dropped`: frames between the one before and this one were dropped."""

_REPORTS = ("corrected", "uncorrectable")

_ON_THE_WAY = 8
"""Frames that the encoder may hold parts of; more wait."""


def intake_beat(config: CoreConfig) -> StructLayout:
    """A count and its code in each lane, what is to be said of the beat, and of its frame.

    `clipped`: a count was above the codebook's range; `upset`: a threshold was beyond repair; both for codes only.
    """
    lanes = config.frame.lanes
    flags = ("clipped", "upset", "short", "long", "first", "last")
    return StructLayout(
        {
            "counts": ArrayLayout(config.frame.count_bits, lanes),
            "codes": ArrayLayout(config.codebook.code_bits, lanes),
            **dict.fromkeys(flags, 1),
            "frame": FRAME,
        }
    )


def encoder_of(config: CoreConfig) -> Any:
    """Encoder of a core, None if none of its modes sends codes."""
    if set(config.modes) <= {Mode.RAW, Mode.COUNT_COEFFICIENTS}:
        return None
    book, sizes = config.codebook, {"lanes": config.frame.lanes, "input_bits": config.frame.count_bits}
    if config.encoder.reloadable:
        return ThresholdEncoder(book, preload=config.encoder.preload, protect=config.protect, **sizes)
    if allows_shifts(book):
        return ShiftEncoder(book, **sizes)
    # A table of codes has no check bits. Where memories have no initial values it is logic and needs none.
    if config.protect and config.encoder.preload:
        return ThresholdEncoder(book, protect=True, **sizes)
    return TableEncoder(book, **sizes)


class Intake(wiring.Component):
    """Guard and encoder: makes frames exact, gives each a mode and a number, and encodes it.

    Counts go beside their codes, so that frames of all modes keep their order. Throughput: a beat a clock. Latency:
    that of the encoder, 1 clock without one. Stalls: a stalled output stalls the input in the same clock.

    Parameters
    ----------
    config : CoreConfig

    Members
    -------
    i : In(stream of source_beat)
    o : Out(stream of intake_beat)
    mode : In(3)
        Of a frame that begins. One that the core is not built for changes nothing.
    enable : In(1)
        While low, frames that begin are thrown away and not numbered.
    drop_when_full : In(1)
        A frame that begins while `frames` of them are in the core is thrown away whole.
    sent : In(1)
        A packet has left the core.
    number : In(32)
        Of a frame that begins.
    codebook : In(32)
        Identifier of the table that a beat is encoded by.
    begun, dropped, unknown_mode : Out(1)
        High in the clock in which a frame begins; in which one is thrown away for want of room, whose number is used up
        too; in which one begins, and `mode` is none of the core's.
    between : Out(1)
        What the encoder takes in a later clock belongs to another frame.
    mode_now : Out(3)
        Of the frame that began last.
    idle : Out(1)
        No frame is in the core.
    corrected, uncorrectable : Out(1)
        What a protected encoder says of its thresholds, for frames whose codes are sent.

    Attributes
    ----------
    frames : int
        How many frames find place in the core, `buffer_frames` if nobody says otherwise before elaboration.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        frame = config.frame
        self.guard = FrameGuard(frame.count_bits, frame.lanes, frame.beats)
        self.encoder = encoder_of(config)
        self.frames = config.output.buffer_frames
        super().__init__(
            {
                "i": In(stream.Signature(source_beat(frame.count_bits, frame.lanes))),
                "o": Out(stream.Signature(intake_beat(config))),
                **{name: In(1) for name in ("enable", "drop_when_full", "sent")},
                "mode": In(3),
                "number": In(32),
                "codebook": In(32),
                **{name: Out(1) for name in ("begun", "dropped", "unknown_mode", "between", "idle")},
                "mode_now": Out(3, init=config.modes[0]),
                **{name: Out(1) for name in _REPORTS},
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from a beat taken to the beat offered."""
        return 1 if self.encoder is None else self.encoder.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.guard = guard = self.guard
        wiring.connect(m, wiring.flipped(self.i), guard.i)

        # Frames in the core: begun and not sent.
        inside = Signal(range(self.frames + _ON_THE_WAY * 4))
        m.d.sync += inside.eq(inside + self.begun - self.sent)
        full = inside >= self.frames
        m.d.comb += [
            guard.admit.eq(self.enable & ~(self.drop_when_full & full)),
            self.dropped.eq(guard.refused & self.enable),
            self.idle.eq((inside == 0) & guard.between & ~guard.o.valid),
            self.between.eq(guard.between),
        ]

        # The frame that begins.
        m.submodules.frames = frames = SyncFIFO(width=FRAME.size, depth=_ON_THE_WAY)
        first, room = guard.o.p.first, Signal()
        known = Const(sum(1 << mode for mode in self.config.modes), 8).bit_select(self.mode, 1)
        gap, fresh = Signal(), Signal(init=1)
        begun = FRAME(frames.w_data)
        m.d.comb += [
            room.eq((frames.w_rdy & ~inside[-1]) | ~first),
            frames.w_en.eq(self.begun),
            begun.mode.eq(Mux(known, self.mode, self.mode_now)),
            begun.number.eq(self.number),
            begun.codebook.eq(self.codebook),
            begun.dropped.eq(gap),
            begun.after_reset.eq(fresh),
            self.begun.eq(guard.o.valid & guard.o.ready & first),
            self.unknown_mode.eq(self.begun & ~known),
        ]
        with m.If(self.begun):
            m.d.sync += [self.mode_now.eq(begun.mode), gap.eq(0), fresh.eq(0)]
        with m.Elif(self.dropped):
            m.d.sync += gap.eq(1)

        # Counts, beside the encoder: both pipelines move in the same clocks, by the same rule.
        source, latency = stream.Signature(guard.o.p.shape()).create(), self.latency
        m.d.comb += [
            source.p.eq(guard.o.p),
            source.valid.eq(guard.o.valid & room),
            guard.o.ready.eq(source.ready & room),
        ]
        end = stream.Signature(1).create()
        encoder = self.encoder
        out = self.o.p
        clipped: Value = Const(0)
        upset: Value = Const(0)
        if encoder is None:
            advance = handshake(m, source, end, latency)
        else:
            m.submodules.encoder = encoder
            advance = Signal()
            m.d.comb += [
                advance.eq(~encoder.o.valid | encoder.o.ready),
                encoder.i.p.counts.eq(source.p.counts),
                encoder.i.p.last.eq(source.p.last),
                encoder.i.valid.eq(source.valid),
                source.ready.eq(encoder.i.ready),
                end.valid.eq(encoder.o.valid),
                encoder.o.ready.eq(end.ready),
                out.codes.eq(encoder.o.p.codes),
            ]
            clipped = encoder.o.p.saturated.any()
            upset = getattr(encoder, "upset", Const(0))
        for name in ("counts", "short", "long", "first", "last"):
            m.d.comb += out[name].eq(delay(m, advance, source.p[name], latency)[-1])
        begun = FRAME(frames.r_data)
        coded = (begun.mode != Mode.RAW) & (begun.mode != Mode.COUNT_COEFFICIENTS)
        m.d.comb += [
            self.o.valid.eq(end.valid & frames.r_rdy),
            end.ready.eq(self.o.ready & frames.r_rdy),
            frames.r_en.eq(self.o.valid & self.o.ready & out.last),
            out.frame.eq(begun),
            out.clipped.eq(clipped & coded),
            out.upset.eq(upset & coded),
        ]
        if getattr(encoder, "protect", False):
            used = Signal()
            m.d.sync += used.eq(coded)
            m.d.comb += [getattr(self, name).eq(getattr(encoder, name) & used) for name in _REPORTS]
        return m
