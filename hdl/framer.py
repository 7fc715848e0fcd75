# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Framer: header, payload and CRC-32 of each frame, one word a clock."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import In, Out

from ..model.config import Mode
from ..model.packet import CRC_OCTETS, HEADER_OCTETS, OFFSETS, Header, Sizes
from .beat import words_beat
from .crc import Crc32
from .frame_buffer import WHOLE_FRAME


class Framer(wiring.Component):
    """Packets, as `ptychopress.model.packet` has them, of frames that are whole and their words.

    A packet of n words of payload takes 64 / octets + n + 1 clocks; no clock is idle inside of it as long as its words
    are there, nor between it and the next one if that is there. Latency: the first word of the header comes 1 clock
    after its frame was offered. A stalled output stalls what is behind it in the same clock (``i.ready`` is
    combinational from ``o.ready``); an empty register takes a word while the output waits.

    Parameters
    ----------
    sizes : Sizes
        Constants of the header, among them the octets of a word.

    Members
    -------
    frame : In(stream of WHOLE_FRAME)
        Taken in the clock behind the last word of its payload.
    i : In(stream of ArrayLayout(8, octets))
        Words of the payloads, the last one of each filled up with 0.
    o : Out(stream of words_beat)
        All beats are full but the last one of a packet: 4 octets, the CRC.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.octets = sizes.word_octets
        super().__init__(
            {
                "frame": In(stream.Signature(WHOLE_FRAME)),
                "i": In(stream.Signature(ArrayLayout(8, self.octets))),
                "o": Out(stream.Signature(words_beat(self.octets))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        octets, headers = self.octets, HEADER_OCTETS // self.octets
        header = self._header()

        # What is offered: the register, or the CRC of what was offered before.
        register = Signal(8 * octets, reset_less=True)
        full = Signal()
        first = Signal()
        closing = Signal()
        advance = Signal()
        m.d.comb += advance.eq(~full | self.o.ready)

        # Words of the header that have gone into the register, and words of the payload that have not.
        place = Signal(range(headers + 1))
        left = Signal(32, reset_less=True)
        words = (self.frame.p.length + octets - 1) >> (octets.bit_length() - 1)
        with m.If(advance):
            with m.If(place != headers):
                m.d.sync += [
                    register.eq(header.word_select(place, 8 * octets)),
                    Cat(full, first, closing).eq(Cat(self.frame.valid, place == 0, Const(0, 1))),
                    place.eq(place + self.frame.valid),
                    left.eq(words),
                ]
            with m.Elif(left != 0):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [
                    register.eq(self.i.p),
                    Cat(full, first, closing).eq(Cat(self.i.valid, Const(0, 2))),
                    left.eq(left - self.i.valid),
                ]
            with m.Else():
                m.d.comb += self.frame.ready.eq(1)
                m.d.sync += [Cat(full, first, closing).eq(0b101), place.eq(0)]

        m.submodules.crc = crc = Crc32(octets)
        m.d.comb += [
            crc.word.eq(register),
            crc.start.eq(first),
            crc.valid.eq(full & ~closing & self.o.ready),
            Value.cast(self.o.p.octets).eq(Mux(closing, crc.crc, register)),
            self.o.p.size.eq(Mux(closing, CRC_OCTETS, octets)),
            self.o.p.last.eq(closing),
            self.o.valid.eq(full),
        ]
        return m

    def _header(self) -> Value:
        """All bits of the header: those of the template, in which the fields of the frame are put."""
        template = Header(sizes=self.sizes, mode=Mode.RAW).pack()
        frame = self.frame.p
        fields = {OFFSETS[name]: frame.descriptor[name] for name, _ in frame.descriptor.shape()}
        fields[OFFSETS["length"]] = frame.length
        parts, place = [], 0
        for offset in sorted(fields):
            parts += [Const(int.from_bytes(template[place:offset], "little"), 8 * (offset - place)), fields[offset]]
            place = offset + len(fields[offset]) // 8
        return Cat(*parts, Const(int.from_bytes(template[place:], "little"), 8 * (HEADER_OCTETS - place)))
