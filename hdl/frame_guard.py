# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Frame guard: frames of any length in, frames of exactly as many beats as a frame has out."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from .beat import below, check_lanes


def source_beat(count_bits: int, lanes: int) -> StructLayout:
    """One count a lane; `start` marks the first beat of a frame, if the source says so, and `last` the final one."""
    return StructLayout({"counts": ArrayLayout(count_bits, lanes), "start": 1, "last": 1})


def guarded_beat(count_bits: int, lanes: int) -> StructLayout:
    """One count a lane, `first` and `last` beat of a frame, and in the last whether it was `short` or `long`."""
    return StructLayout({"counts": ArrayLayout(count_bits, lanes), "first": 1, "short": 1, "long": 1, "last": 1})


class FrameGuard(wiring.Component):
    """Makes every frame `beats` beats long, so that nothing behind it ever sees another.

    A frame that ends early is filled up with zeros and flagged ``short``, while the input waits. One that does not
    end with its last beat is cut there and flagged ``long``; what follows is thrown away, up to and including
    ``last``. A beat with ``start`` begins a frame wherever it comes: it ends the one before, if that is under way, and
    throwing away. So a source that marks starts loses nothing but the frame whose ``last`` is missing; one
    that does not loses the next frame too.

    A frame whose first beat comes while ``admit`` is low is thrown away whole.

    Latency 0, throughput a beat a clock; a stalled output stalls the input in the same clock.

    Parameters
    ----------
    count_bits, lanes : int
        Of a beat.
    beats : int
        Of a frame, 1 or more.

    Members
    -------
    i : In(stream of source_beat)
    o : Out(stream of guarded_beat)
    admit : In(1)
    refused : Out(1)
        High in the clock in which a frame's first beat is thrown away.
    between : Out(1)
        The next beat to leave, in a later clock, is the first of a frame.
    """

    def __init__(self, count_bits: int, lanes: int, beats: int) -> None:
        check_lanes(lanes)
        if type(beats) is not int or beats < 1:
            raise ValueError(f"beats must be a whole number from 1 on, got {beats!r}")
        self.beats = beats
        super().__init__(
            {
                "i": In(stream.Signature(source_beat(count_bits, lanes))),
                "o": Out(stream.Signature(guarded_beat(count_bits, lanes))),
                "admit": In(1),
                "refused": Out(1),
                "between": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        i, o = self.i, self.o
        beat, filling, discarding = Signal(below(self.beats)), Signal(), Signal()
        fresh, end = beat == 0, beat == self.beats - 1

        # What becomes of the beat at the input.
        early = i.p.start & ~fresh
        skipped = discarding & ~i.p.start
        refused = fresh & ~skipped & ~self.admit
        passed: Value = ~filling & ~early & ~skipped & ~refused
        left = Signal()
        m.d.comb += [
            o.valid.eq(filling | (i.valid & (early | passed))),
            # A start in the middle of a frame waits until the frame is filled up.
            o.p.counts.eq(Mux(filling | early, 0, i.p.counts)),
            o.p.first.eq(fresh),
            o.p.last.eq(end),
            o.p.short.eq(filling | early),
            o.p.long.eq(~filling & ~early & ~i.p.last),
            i.ready.eq(Mux(filling | early, 0, ~passed | o.ready)),
            left.eq(o.valid & o.ready),
            self.refused.eq(i.valid & i.ready & refused),
            self.between.eq(Mux(left, end, fresh)),
        ]
        with m.If(i.valid & i.ready):
            m.d.sync += discarding.eq((skipped | refused | end) & ~i.p.last)
        with m.If(left):
            m.d.sync += beat.eq(Mux(end, 0, beat + 1))
            m.d.sync += filling.eq((filling | early | i.p.last) & ~end)
        return m
