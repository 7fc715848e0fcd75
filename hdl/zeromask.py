# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Zeromask: a bit a pixel that says whether its code is not 0, and the codes that are not."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..model.zeromask import GROUP, WIDEST
from .beat import bare_beat, words_beat
from .packer import BitPacker
from .pipeline import delay, handshake


class ZeromaskEncoder(wiring.Component):
    """Codes of frames in, their payload out, as `ptychopress.model.zeromask.encode`.

    The codes of a beat that are not 0 are brought together in a tree, one level a clock: of two neighbours the right
    one moves down to where the left one ends. Above the eight pixels of a group the masks go along. Beats of fewer
    pixels are put together to a group first. `BitPacker` does the rest.

    Throughput: while the output is ready one beat a clock, and no idle clock between frames, if lanes * (1 + code_bits)
    <= 8 * octets and a frame has a multiple of 8 pixels. A frame that ends within a group is filled up with zeros,
    which may cost as many clocks as the group lacks. Latency: `latency` clocks from the last beat of a group to the
    word that it pushes out; the final word of a frame is one clock later than that.
    Stalls: an output that waits stops all of it and, in the same clock, the input; with fewer than 8 lanes once a group
    is complete.

    Parameters
    ----------
    code_bits : int
        Of a code, 1 to 16.
    lanes : int
        Codes a beat, a power of two from 1 to 64.
    octets : int
        Bytes of a word of the output, a power of two from 1 to 128.

    Members
    -------
    i : In(stream of bare_beat)
    o : Out(stream of words_beat)
    """

    def __init__(self, code_bits: int, lanes: int, octets: int) -> None:
        if type(code_bits) is not int or not 1 <= code_bits <= WIDEST:
            raise ValueError(f"code_bits must be a whole number from 1 to {WIDEST}, got {code_bits!r}")
        if type(lanes) is not int or lanes not in (1 << k for k in range(7)):
            raise ValueError(f"lanes must be a power of two from 1 to 64, got {lanes!r}")
        self.code_bits = code_bits
        self.lanes = lanes
        self.octets = octets
        self.pixels = max(lanes, GROUP)
        self.packer = BitPacker(self.pixels * (1 + code_bits), octets)
        super().__init__(
            {
                "i": In(stream.Signature(bare_beat(code_bits, lanes))),
                "o": Out(stream.Signature(words_beat(octets))),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the last beat of a group to the word that it pushes out."""
        return (self.lanes < GROUP) + self._levels + self.packer.latency

    @property
    def _levels(self) -> int:
        return self.pixels.bit_length() - 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.packer = packer = self.packer
        source: Any = self.i
        if self.lanes < GROUP:
            m.submodules.collector = collector = BeatCollector(self.code_bits, self.lanes)
            wiring.connect(m, wiring.flipped(self.i), collector.i)
            source = collector.o

        advance = handshake(m, source, packer.i, self._levels)
        present = [code.any() for code in source.p.values]
        mask = Cat(present)
        parts = [_Part(code, one) for code, one in zip(source.p.values, present, strict=True)]
        count: Value = mask
        for _ in range(self._levels):
            count = sum((part.count for part in parts[1:]), start=parts[0].count)
            parts = [self._joined(m, advance, *parts[k : k + 2]) for k in range(0, len(parts), 2)]
            mask = delay(m, advance, mask)[-1]
            if len(parts) * GROUP == self.pixels:
                parts = [
                    _Part(Cat(mask[k * GROUP : (k + 1) * GROUP], part.bits), part.count, GROUP)
                    for k, part in enumerate(parts)
                ]
        m.d.comb += [
            packer.i.p.bits.eq(parts[0].bits),
            packer.i.p.size.eq(delay(m, advance, self.pixels + self.code_bits * count)[-1]),
            packer.i.p.last.eq(delay(m, advance, source.p.last, self._levels)[-1]),
        ]
        wiring.connect(m, packer.o, wiring.flipped(self.o))
        return m

    def _joined(self, m: Module, advance: Value, left: "_Part", right: "_Part") -> "_Part":
        """Both, one behind the other, a clock later."""
        moved = right.bits
        for k, digit in enumerate(left.count):
            moved = Mux(digit, moved << (self.code_bits << k), moved)
        bits = Signal(len(left.bits) + len(right.bits), reset_less=True)
        with m.If(advance):
            m.d.sync += bits.eq(left.bits | (moved << left.masked))
        return _Part(bits, delay(m, advance, left.count + right.count)[-1], left.masked + right.masked)


@dataclass(frozen=True)
class _Part:
    """What becomes of some neighbouring pixels: bits, of which those beyond the last code are 0.

    Attributes
    ----------
    bits : Value
    count : Value
        Codes in them.
    masked : int
        Mask bits in them.
    """

    bits: Value
    count: Value
    masked: int = 0


class BeatCollector(wiring.Component):
    """Beats of 1, 2 or 4 codes in, groups of eight out; one that a frame leaves incomplete is filled up with 0.

    Throughput one beat a clock. Latency 1 clock from the last beat of a group. A stalled output stalls the input in
    the same clock, once a group is complete.

    Parameters
    ----------
    code_bits, lanes : int

    Members
    -------
    i, o : streams of bare_beat
    """

    def __init__(self, code_bits: int, lanes: int) -> None:
        self.lanes = lanes
        super().__init__(
            {
                "i": In(stream.Signature(bare_beat(code_bits, lanes))),
                "o": Out(stream.Signature(bare_beat(code_bits, GROUP))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        beats = GROUP // self.lanes
        complete = Signal()
        place = Signal(range(beats))
        group = Signal(self.o.p.shape(), reset_less=True)
        end = self.i.p.last | (place == beats - 1)
        m.d.comb += [self.i.ready.eq(~complete | self.o.ready), self.o.valid.eq(complete), self.o.p.eq(group)]
        with m.If(self.i.ready):
            m.d.sync += complete.eq(self.i.valid & end)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [place.eq(Mux(end, 0, place + 1)), group.last.eq(self.i.p.last)]
            for beat in range(beats):
                codes = Cat(group.values[beat * self.lanes + lane] for lane in range(self.lanes))
                with m.If(place == beat):
                    m.d.sync += codes.eq(self.i.p.values)
                if beat:
                    with m.If(place == 0):
                        m.d.sync += codes.eq(0)
        return m
