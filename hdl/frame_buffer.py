# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Frame buffer: payloads wait until they are whole, for their length stands in front of them."""

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ..model.packet import FIELDS
from .beat import below, words_beat
from .block_memory import BlockMemory


def _field_bits(*names: str) -> dict[str, int]:
    return {item.name: 8 * item.octets for item in FIELDS if item.name in names}


DESCRIPTOR = StructLayout(_field_bits("mode", "flags", "frame", "codebook", "weights"))
"""What is known of a frame at its end: fields of the packet's header."""

WHOLE_FRAME = StructLayout({"descriptor": DESCRIPTOR, **_field_bits("length")})
"""A frame whose payload is whole, and the octets of it."""


class FrameBuffer(wiring.Component):
    """Words of payloads in a ring, and beside them a queue of what is known of the payloads that are whole.

    Throughput: a word a clock in and a word a clock out, at the same time. Latency: a frame is offered 2 clocks after
    its last beat was taken, its words 4 clocks after theirs at the earliest, whether their frame is whole or not.
    Stalls: ``i.ready`` depends on registers only; it is low while the ring is full or the queue is. What is fetched
    ahead leaves the ring, so a last beat without octets behind the largest payload is taken too. A payload that is
    larger than the ring may wait for ever.

    Octets beyond the payload in its last word are 0. A last beat of size 0 takes no word.

    Memory: frames * words * 8 * octets bits, unprotected: the CRC is of what comes out.

    Parameters
    ----------
    octets : int
        Of a word.
    words : int
        Of the largest payload, 1 or more.
    frames : int
        Payloads of that size that find place, 1 or more. Smaller ones: one more at most.
    memory : type
        Class of the ring's memory, with the constructor, ports and `latency` of `BlockMemory`.

    Members
    -------
    i : In(stream of words_beat)
    descriptor : In(DESCRIPTOR)
        Counts in the clock in which the last beat of a payload is taken.
    frame : Out(stream of WHOLE_FRAME)
        In the order in which they came.
    o : Out(stream of ArrayLayout(8, octets))
        All words of all payloads, nothing between them.
    level : Out(below(depth + ahead + 1))
        Words that were taken and have not come out.
    room : Out(1)
        A payload of the largest size behind what was taken finds place at once.
    """

    def __init__(self, octets: int, *, words: int, frames: int, memory: type[Any] = BlockMemory) -> None:
        if words < 1 or frames < 1:
            raise ValueError(f"frame buffer of {frames!r} frames of {words!r} words, expected 1 or more of both")
        self.octets = octets
        self.words = words
        self.depth = max(frames * words, 2)
        # As many as can be on their way through the memory or wait behind it, so that its latency costs no clock.
        self.ahead = 1 << (memory.latency + 1).bit_length()
        self.frames = frames
        self.memory = memory
        super().__init__(
            {
                "i": In(stream.Signature(words_beat(octets))),
                "descriptor": In(DESCRIPTOR),
                "frame": Out(stream.Signature(WHOLE_FRAME)),
                "o": Out(stream.Signature(ArrayLayout(8, octets))),
                "level": Out(below(self.depth + self.ahead + 1)),
                "room": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # One more: the queue's own output takes a frame a clock late.
        m.submodules.queue = queue = SyncFIFOBuffered(width=WHOLE_FRAME.size, depth=self.frames + 1)
        m.submodules.memory = memory = self.memory(8 * self.octets, self.depth)

        taken = Signal()
        written = Signal()
        read_out = Signal()
        fetch = Signal()
        # Words in the ring.
        stored = Signal(below(self.depth + 1))
        m.d.comb += [
            self.i.ready.eq((stored != self.depth) & queue.w_rdy),
            taken.eq(self.i.valid & self.i.ready),
            written.eq(taken & (self.i.p.size != 0)),
            read_out.eq(self.o.valid & self.o.ready),
            self.room.eq((self.level <= self.depth - self.words) & queue.w_rdy),
        ]
        m.d.sync += [self.level.eq(self.level + written - read_out), stored.eq(stored + written - fetch)]

        m.d.comb += [
            memory.write_address.eq(self._counter(m, "write", written)),
            memory.write_data.eq(
                Cat(Mux(k < self.i.p.size, octet, 0) for k, octet in enumerate(self.i.p.octets)),
            ),
            memory.write_enable.eq(written),
        ]

        length = Signal(32)
        whole = Signal(WHOLE_FRAME)
        with m.If(taken):
            m.d.sync += length.eq(Mux(self.i.p.last, 0, length + self.i.p.size))
        m.d.comb += [
            whole.descriptor.eq(self.descriptor),
            whole.length.eq(length + self.i.p.size),
            queue.w_data.eq(whole),
            queue.w_en.eq(taken & self.i.p.last),
            Value.cast(self.frame.p).eq(queue.r_data),
            self.frame.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.frame.ready),
        ]
        self._fetch(m, memory, stored != 0, fetch, read_out)
        return m

    def _counter(self, m: Module, name: str, step: Value) -> Signal:
        """Address in the ring that moves on with each `step`."""
        address = Signal(range(self.depth), name=name)
        with m.If(step):
            m.d.sync += address.eq(Mux(address == self.depth - 1, 0, address + 1))
        return address

    def _fetch(self, m: Module, memory: Any, some: Value, fetch: Signal, read_out: Value) -> None:
        """Fetch words ahead, while there are `some` in the ring."""
        places = self.ahead
        claimed = Signal(range(places + 1))
        m.d.comb += [fetch.eq(some & (claimed != places)), memory.address.eq(self._counter(m, "read", fetch))]
        m.d.sync += claimed.eq(claimed + fetch - read_out)

        arrived: Value = fetch
        for stage in range(memory.latency):
            held = Signal(name=f"arriving_{stage}")
            m.d.sync += held.eq(arrived)
            arrived = held
        waiting = Array(Signal(8 * self.octets, name=f"waiting_{k}", reset_less=True) for k in range(places))
        put = Signal(range(places))
        get = Signal(range(places))
        there = Signal(range(places + 1))
        with m.If(arrived):
            m.d.sync += [waiting[put].eq(memory.data), put.eq(put + 1)]
        with m.If(read_out):
            m.d.sync += get.eq(get + 1)
        m.d.sync += there.eq(there + arrived - read_out)
        m.d.comb += [self.o.valid.eq(there != 0), Value.cast(self.o.p).eq(waiting[get])]
