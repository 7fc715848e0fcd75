# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Packer: values of any width in, bytes without a gap between them out."""

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..model.packer import WIDEST
from .beat import bare_beat, check_lanes, chunk_beat, words_beat


class BitPacker(wiring.Component):
    """Chunks of 0 to B = `chunk_bits` bits in, words of W = 8 * `octets` bits out.

    The bits of a frame are put one behind another, the lowest of the first chunk first; bit k is bit k % 8 of octet
    k // 8, or bit 7 - k % 8 with `msb_first`. The last octet is filled up with 0 bits. A frame of n bits makes
    max(1, ceil(n / W)) beats; the one with ``last`` is full if n is a multiple of W, and of size 0 if n = 0.

    Up to W bits wait inside. A chunk that they leave no room for pushes a word out, and so does the first clock after
    the end of a frame, whether a chunk of the next frame comes in it or not. Hence no chunk pushes two.

    Throughput: while the output is ready one chunk a clock, frames of any length back to back, if B <= W. With B > W a
    chunk is cut first: it takes max(1, ceil(size / W)) clocks, in which the input waits. Latency: `latency` clocks from
    a chunk to the word that it pushes out; the final word of a frame is one clock later than that.
    Stalls: an output that waits stops all of it and, in the same clock, the input.

    Parameters
    ----------
    chunk_bits : int
        B, 1 or more.
    octets : int
        Bytes of a word, a power of two from 1 to 128.
    msb_first : bool
        The first bit is the highest of its octet, not the lowest.

    Members
    -------
    i : In(stream of chunk_beat)
        What ``bits`` holds above ``size`` is ignored.
    o : Out(stream of words_beat)
        Octets above ``size`` are 0.
    """

    def __init__(self, chunk_bits: int, octets: int, *, msb_first: bool = False) -> None:
        if type(chunk_bits) is not int or chunk_bits < 1:
            raise ValueError(f"chunk_bits must be a whole number from 1 on, got {chunk_bits!r}")
        if type(octets) is not int or octets not in (1 << k for k in range(8)):
            raise ValueError(f"octets must be a power of two from 1 to 128, got {octets!r}")
        self.chunk_bits = chunk_bits
        self.octets = octets
        self.msb_first = msb_first
        self.latency = 3 if chunk_bits <= 8 * octets else 4
        super().__init__(
            {
                "i": In(stream.Signature(chunk_beat(chunk_bits))),
                "o": Out(stream.Signature(words_beat(octets))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        word_bits = 8 * self.octets
        piece: Any = self.i
        if self.chunk_bits > word_bits:
            m.submodules.cutter = cutter = ChunkCutter(self.chunk_bits, word_bits)
            wiring.connect(m, wiring.flipped(self.i), cutter.i)
            piece = cutter.o
        piece_bits = len(piece.p.bits)

        advance = Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), piece.ready.eq(advance)]

        # How many bits wait; at the end of a frame as many as if the last word had been filled up.
        fill = Signal(range(word_bits + 1))
        ended = Signal()
        end_bits = Signal.like(fill, reset_less=True)
        total = Signal(range(2 * word_bits + 1))
        push = Signal()
        rest = Signal.like(fill)
        size = Mux(piece.valid, piece.p.size, 0)
        m.d.comb += [
            total.eq(fill + size),
            push.eq(ended | (total > word_bits)),
            # The total, less a word if one leaves; a word is a power of two.
            rest.eq(Mux(push, Cat(total[: len(fill) - 1], total[-1]), total)),
        ]
        end = piece.valid & piece.p.last
        with m.If(advance):
            m.d.sync += [fill.eq(Mux(end, word_bits, rest)), ended.eq(end), end_bits.eq(rest)]

        # First clock: bits that count, and where they go.
        bits = Signal(piece_bits, reset_less=True)
        place = Signal.like(fill, reset_less=True)
        used = Signal()
        pushes = Signal()
        final = Signal(reset_less=True)
        octets = Signal(range(self.octets + 1), reset_less=True)
        with m.If(advance):
            m.d.sync += [
                bits.eq(piece.p.bits & Cat(size > k for k in range(piece_bits))),
                place.eq(fill),
                used.eq(piece.valid),
                pushes.eq(push),
                final.eq(ended),
                octets.eq(Mux(ended, (end_bits + 7) >> 3, self.octets)),
            ]

        # Second: there they are, in this word and the next.
        placed = Signal(word_bits + piece_bits, reset_less=True)
        used_2 = Signal()
        pushes_2 = Signal()
        final_2 = Signal(reset_less=True)
        octets_2 = Signal.like(octets, reset_less=True)
        with m.If(advance):
            m.d.sync += [
                placed.eq(bits << place),
                used_2.eq(used),
                pushes_2.eq(pushes),
                final_2.eq(final),
                octets_2.eq(octets),
            ]

        # Third: with what was there before.
        held = Signal(word_bits)
        word = Signal(word_bits)
        carried = Signal(word_bits)
        m.d.comb += Cat(word, carried).eq(Mux(used_2, placed, 0) | held)
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(pushes_2), held.eq(Mux(pushes_2, carried, word))]
        out = Signal(self.o.p.shape(), reset_less=True)
        with m.If(advance):
            m.d.sync += [
                Value.cast(out.octets).eq(self._ordered(word)),
                out.size.eq(octets_2),
                out.last.eq(final_2),
            ]
        m.d.comb += self.o.p.eq(out)
        return m

    def _ordered(self, word: Value) -> Value:
        """Bits of a word where they leave."""
        return Cat(word[k ^ 7] for k in range(len(word))) if self.msb_first else word


class ChunkCutter(wiring.Component):
    """Chunks in, the same bits in pieces of `piece_bits` out, of which only the last of a chunk is not full.

    A chunk takes as many clocks as it makes pieces, one if it is empty. Latency 1 clock. A stalled output stalls the
    input in the same clock.

    Parameters
    ----------
    chunk_bits, piece_bits : int
        A piece is the smaller.

    Members
    -------
    i, o : streams of chunk_beat
    """

    def __init__(self, chunk_bits: int, piece_bits: int) -> None:
        self.piece_bits = piece_bits
        super().__init__(
            {"i": In(stream.Signature(chunk_beat(chunk_bits))), "o": Out(stream.Signature(chunk_beat(piece_bits)))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        held = Signal()
        chunk = Signal(self.i.p.shape(), reset_less=True)
        more = chunk.size > self.piece_bits
        m.d.comb += [
            self.i.ready.eq(~held | (self.o.ready & ~more)),
            self.o.valid.eq(held),
            self.o.p.bits.eq(chunk.bits),
            self.o.p.size.eq(Mux(more, self.piece_bits, chunk.size)),
            self.o.p.last.eq(chunk.last & ~more),
        ]
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), chunk.eq(self.i.p)]
        with m.Elif(self.o.ready):
            m.d.sync += [chunk.bits.eq(chunk.bits >> self.piece_bits), chunk.size.eq(chunk.size - self.piece_bits)]
        return m


class Packer(wiring.Component):
    """One value a lane in, the values of a frame without a gap between them out, as `ptychopress.model.packer.pack`.

    A `BitPacker` with chunks of one size. Throughput: while the output is ready one beat a clock, and no idle clock
    between frames, if lanes * value_bits <= 8 * octets. Latency and stalls are those of `BitPacker`.

    Parameters
    ----------
    value_bits : int
        Of a value, signed or not, 1 to 32.
    lanes : int
        Values a beat, 1 to 1024.
    octets : int
        Bytes of a word of the output, a power of two from 1 to 128.
    last_values : int, optional
        How many lanes count, from lane 0 on, in the beat with ``last``; by default all.

    Members
    -------
    i : In(stream of bare_beat)
    o : Out(stream of words_beat)
    """

    def __init__(self, value_bits: int, lanes: int, octets: int, *, last_values: int | None = None) -> None:
        check_lanes(lanes)
        if type(value_bits) is not int or not 1 <= value_bits <= WIDEST:
            raise ValueError(f"value_bits must be a whole number from 1 to {WIDEST}, got {value_bits!r}")
        if last_values is None:
            last_values = lanes
        if type(last_values) is not int or not 1 <= last_values <= lanes:
            raise ValueError(f"last_values must be a whole number from 1 to the {lanes} lanes, got {last_values!r}")
        self.value_bits = value_bits
        self.lanes = lanes
        self.octets = octets
        self.last_values = last_values
        self.packer = BitPacker(value_bits * lanes, octets)
        self.latency = self.packer.latency
        super().__init__(
            {
                "i": In(stream.Signature(bare_beat(value_bits, lanes))),
                "o": Out(stream.Signature(words_beat(octets))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.packer = packer = self.packer
        m.d.comb += [
            packer.i.p.bits.eq(self.i.p.values),
            packer.i.p.size.eq(Mux(self.i.p.last, self.last_values * self.value_bits, packer.chunk_bits)),
            packer.i.p.last.eq(self.i.p.last),
            packer.i.valid.eq(self.i.valid),
            self.i.ready.eq(packer.i.ready),
        ]
        wiring.connect(m, packer.o, wiring.flipped(self.o))
        return m
