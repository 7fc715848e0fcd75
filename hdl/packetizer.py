# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Packetizer: payloads in, packets out."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..model.packet import Sizes
from .beat import words_beat
from .block_memory import BlockMemory
from .frame_buffer import DESCRIPTOR, FrameBuffer
from .framer import Framer


class Packetizer(wiring.Component):
    """A `FrameBuffer` and behind it a `Framer`.

    Throughput: a word a clock on either side. A packet takes 64 / octets + 1 clocks more than its words do; nothing is
    idle between packets that wait. Latency: 3 clocks from the last beat of a payload to the first word of its packet,
    if none is before it. Stalls: as of its parts.

    Parameters
    ----------
    sizes : Sizes
        Constants of the header, among them the octets of a word.
    largest : int
        Octets of the largest payload, which must never be exceeded.
    frames : int
        Payloads of that size that find place, 1 or more, the one that is being sent among them.
    memory : type
        As for `FrameBuffer`.

    Members
    -------
    i : In(stream of words_beat)
        Payloads; a last beat may have the size 0.
    descriptor : In(DESCRIPTOR)
        Counts in the clock in which the last beat of a payload is taken.
    o : Out(stream of words_beat)
        Packets, `last` with the CRC, which is the only beat that is not full.
    level : Out
        Words of payloads that were taken and have not left the buffer.
    room : Out(1)
        A payload of the largest size behind what was taken finds place at once. What is still on its way here counts
        for nothing: a core that lets in at most `frames` more payloads than it was ``sending`` needs not ask.
    sending : Out(1)
        High in the clock in which the last beat of a packet is taken.
    """

    latency = 3

    def __init__(self, sizes: Sizes, *, largest: int, frames: int = 2, memory: type[Any] = BlockMemory) -> None:
        if largest < 1:
            raise ValueError(f"largest {largest!r}, expected a payload of 1 octet or more")
        self.sizes = sizes
        self.octets = sizes.word_octets
        self.largest = largest
        self.frames = frames
        words = -(-largest // self.octets)
        self._buffer = FrameBuffer(self.octets, words=words, frames=frames, memory=memory)
        self._framer = Framer(sizes)
        super().__init__(
            {
                "i": In(stream.Signature(words_beat(self.octets))),
                "descriptor": In(DESCRIPTOR),
                "o": Out(stream.Signature(words_beat(self.octets))),
                "level": Out(self._buffer.level.shape()),
                "room": Out(1),
                "sending": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.buffer = buffer = self._buffer
        m.submodules.framer = framer = self._framer
        wiring.connect(m, wiring.flipped(self.i), buffer.i)
        wiring.connect(m, buffer.frame, framer.frame)
        wiring.connect(m, buffer.o, framer.i)
        wiring.connect(m, framer.o, wiring.flipped(self.o))
        m.d.comb += [
            buffer.descriptor.eq(self.descriptor),
            self.level.eq(buffer.level),
            self.room.eq(buffer.room),
            self.sending.eq(self.o.valid & self.o.ready & self.o.p.last),
        ]
        return m
