# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Rice encoder: codes in, the bytes of their frame's CCSDS 121.0-B stream out."""

from functools import reduce
from itertools import pairwise
from operator import or_
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.lib.wiring import In, Out

from ..model.rice import SEGMENT, RiceFormat
from .beat import bare_beat, below, chunk_beat, words_beat
from .packer import BitPacker
from .pipeline import delay, handshake


class RiceEncoder(wiring.Component):
    """Rice coding after CCSDS 121.0-B of whole frames, as `ptychopress.model.rice.RiceFormat.encode`.

    A block of J codes goes through three parts. It is collected, while sums over its codes grow: what is left of them
    for each split, and the second extension. It is decided on: split, option, or one more block of a run of zeros. It
    is formed, P codes a clock: every fundamental sequence is a one in a vector as long as the largest block, placed by
    the sum of those before, and the low bits of the codes follow behind. A `BitPacker` makes words of the vectors.

    A run of zero blocks ends where the next block is known not to be zero; it takes the place of its last block. So a
    block leaves at most one vector behind.

    Throughput: one beat a clock, frames back to back, while the output is ready, whatever the codes are, if
    `longest` <= 8 * `octets` * J / P, which says that the largest vector leaves in the clocks of a block. Otherwise
    the input waits while a longer one leaves.
    Latency: depends on the codes, as words are pushed out by what follows; the final word of a frame comes at most
    `latency` clocks after its last beat, while the output is ready. Stalls: an output that waits stops what is before
    it, and the input in the same clock once there is no room left. Area: ``benchmarks/rice.py --area``.

    Parameters
    ----------
    rice : RiceFormat
    lanes : int
        P, codes a beat, a power of two up to J.
    octets : int
        Bytes of a word, a power of two from 1 to 128.

    Members
    -------
    i : In(stream of bare_beat)
        A frame is whole rows of `rice.width` codes.
    o : Out(stream of words_beat)
    """

    def __init__(self, rice: RiceFormat, *, lanes: int = 1, octets: int = 8) -> None:
        if type(lanes) is not int or lanes not in (1 << k for k in range(rice.block.bit_length())):
            raise ValueError(f"lanes must be a power of two from 1 to the block {rice.block}, got {lanes!r}")
        self.rice = rice
        self.lanes = lanes
        self.octets = octets
        self.longest = max(rice.block_bits, rice.run_bits)
        self._packer = BitPacker(self.longest, octets, msb_first=True)
        super().__init__(
            {
                "i": In(stream.Signature(bare_beat(rice.code_bits, lanes))),
                "o": Out(stream.Signature(words_beat(octets))),
            }
        )

    @property
    def latency(self) -> int:
        """Clocks from the last beat of a frame to its final word, at most, if no vector makes the input wait."""
        pieces = -(-self.longest // (8 * self.octets))
        # Collected, chosen, judged, held; formed, perhaps behind a run of zero blocks; packed.
        return 4 + 2 * self.rice.block // self.lanes + Former.stages + self._packer.latency + pieces

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.collector = collector = Collector(self.rice, self.lanes)
        m.submodules.chooser = chooser = Chooser(self.rice)
        m.submodules.judge = judge = Judge(self.rice)
        m.submodules.former = former = Former(self.rice, self.lanes, self.longest)
        m.submodules.packer = self._packer
        wiring.connect(m, wiring.flipped(self.i), collector.i)
        wiring.connect(m, collector.o, chooser.i)
        wiring.connect(m, chooser.o, judge.i)
        wiring.connect(m, judge.o, former.i)
        wiring.connect(m, former.o, self._packer.i)
        wiring.connect(m, self._packer.o, wiring.flipped(self.o))
        return m


def _splits(rice: RiceFormat) -> range:
    """Splits that can be the shortest: none leaves nothing of the largest code."""
    return range(min(rice.largest_split, rice.code_bits - 1) + 1)


def _may_be_whole(rice: RiceFormat) -> bool:
    """Whether uncompressed can be the shortest."""
    return rice.sample_bits <= rice.code_bits + 1


def _depth(rice: RiceFormat) -> int:
    """Bits of a number below J."""
    return rice.block.bit_length() - 1


def second_extension(rice: RiceFormat, first: Value, second: Value) -> Value:
    """Second extension of two codes, right if their sum is below J."""
    triangle = Array(n * (n + 1) // 2 for n in range(rice.block))
    return triangle[(first + second)[: _depth(rice)]] + second[: _depth(rice)]


def _block_beat(rice: RiceFormat) -> StructLayout:
    """A block, what is left of its codes in sum for each split, its second extension, and whether a run ends here.

    `pairs`, the sum over the pairs, is right if the sum of the codes is below J.
    """
    return StructLayout(
        {
            "codes": ArrayLayout(rice.code_bits, rice.block),
            "sums": ArrayLayout(rice.code_bits + _depth(rice), len(_splits(rice))),
            "pairs": 2 * _depth(rice),
            "boundary": 1,
            "last": 1,
        }
    )


def _split_beat(rice: RiceFormat) -> StructLayout:
    """A block, its best split and the length of that.

    pairs, few : its second extension, and whether that is right
    zeros, run : a run of zero blocks, and its fundamental sequence
    """
    return StructLayout(
        {
            "codes": ArrayLayout(rice.code_bits, rice.block),
            "split": below(len(_splits(rice))),
            "length": rice.code_bits + _depth(rice) + 1,
            "pairs": 2 * _depth(rice),
            "few": 1,
            "zeros": 1,
            "run": below(SEGMENT),
            "last": 1,
        }
    )


def _choice_beat(rice: RiceFormat) -> StructLayout:
    """A block and how it is coded; `size` is without the identifier.

    split : low bits that stand behind the fundamental sequences
    whole : uncompressed
    paired : second extension
    zeros, run : a run of zero blocks, and its fundamental sequence
    """
    return StructLayout(
        {
            "codes": ArrayLayout(rice.code_bits, rice.block),
            "split": below(len(_splits(rice))),
            "whole": 1,
            "paired": 1,
            "zeros": 1,
            "run": below(SEGMENT),
            "size": range(max(rice.block_bits, rice.run_bits) - rice.id_bits + 1),
            "last": 1,
        }
    )


class Collector(wiring.Component):
    """Beats in, blocks out. A beat a clock, if blocks are taken at once."""

    def __init__(self, rice: RiceFormat, lanes: int) -> None:
        self.rice = rice
        self.lanes = lanes
        super().__init__(
            {
                "i": In(stream.Signature(bare_beat(rice.code_bits, lanes))),
                "o": Out(stream.Signature(_block_beat(rice))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rice, lanes = self.rice, self.lanes
        steps = rice.block // lanes
        full = Signal()
        block = Signal(self.o.p.shape(), reset_less=True)
        step = Signal(below(steps))
        place = Signal(below(rice.interval))
        start, end = step == 0, step == steps - 1
        m.d.comb += [self.i.ready.eq(~full | self.o.ready), self.o.valid.eq(full), self.o.p.eq(block)]
        with m.If(self.i.ready):
            m.d.sync += full.eq(self.i.valid & end)

        new = [self.i.p.values[lane] for lane in range(lanes)]
        codes = [*block.codes, *new]
        pairs = [second_extension(rice, *codes[k - 1 : k + 1]) for k in range(rice.block + 1, len(codes), 2)]
        if lanes == 1:
            pairs = [Mux(step[0], second_extension(rice, *codes[-2:]), 0)]
        last_place = place == rice.interval - 1
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                Cat(block.codes).eq(Cat(codes[lanes:])),
                *(
                    block.sums[k].eq(Mux(start, 0, block.sums[k]) + sum((code >> k for code in new), Const(0, 0)))
                    for k in _splits(rice)
                ),
                block.pairs.eq(Mux(start, 0, block.pairs) + sum(pairs, Const(0, 0))),
                block.last.eq(self.i.p.last),
                block.boundary.eq(self.i.p.last | last_place | (place % SEGMENT == SEGMENT - 1)),
                step.eq(Mux(end, 0, step + 1)),
            ]
            with m.If(end):
                m.d.sync += place.eq(Mux(last_place | self.i.p.last, 0, place + 1))
        return m


class Chooser(wiring.Component):
    """Blocks in, what there is to be sent of them out, with the best split: of a zero block only the run that it ends.

    A block a clock. A zero block waits for the next, which decides whether the run goes on.
    """

    def __init__(self, rice: RiceFormat) -> None:
        self.rice = rice
        super().__init__({"i": In(stream.Signature(_block_beat(rice))), "o": Out(stream.Signature(_split_beat(rice)))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rice, splits = self.rice, _splits(self.rice)
        size = rice.block
        sums = self.i.p.sums
        lengths = [Signal(len(sums[0]) + 1, name=f"length_{k}", reset_less=True) for k in splits]

        # A block in hand. By one more bit its low part grows by J; by how much does the rest shrink?
        held = Signal()
        block = Signal(self.i.p.shape(), reset_less=True)
        zero = Signal(reset_less=True)
        few = Signal(reset_less=True)
        falls = Signal(len(splits) - 1, reset_less=True)
        stays = Signal.like(falls)
        with m.If(self.i.ready):
            m.d.sync += [
                held.eq(self.i.valid),
                block.eq(self.i.p),
                zero.eq(sums[0] == 0),
                few.eq(sums[0] < size),
                *(length.eq(sums[k] + size * (k + 1)) for k, length in enumerate(lengths)),
                falls.eq(Cat(low > high + size for low, high in pairwise(sums))),
                stays.eq(Cat(low >= high + size for low, high in pairwise(sums))),
            ]

        # Bit k of these says that the split is larger than k. Where the length stays the same, that of before counts.
        before = Signal(len(splits) - 1)
        larger = Signal(len(splits) - 1)
        m.d.comb += larger.eq(falls | (stays & before))
        chosen = Cat(Const(1, 1), larger) & ~Cat(larger, Const(0, 1))
        run = Signal(below(SEGMENT))
        silent = zero & ~block.boundary & (sums[0] == 0)
        decided = held & (~zero | block.boundary | self.i.valid)
        m.d.comb += [
            self.o.valid.eq(decided & ~silent),
            self.i.ready.eq(~held | (decided & (silent | self.o.ready))),
            self.o.p.codes.eq(block.codes),
            self.o.p.split.eq(reduce(or_, (Mux(chosen[k], k, 0) for k in splits))),
            self.o.p.length.eq(reduce(or_, (Mux(chosen[k], lengths[k], 0) for k in splits))),
            self.o.p.pairs.eq(block.pairs),
            self.o.p.few.eq(few),
            self.o.p.zeros.eq(zero),
            self.o.p.run.eq(Mux(run < 4, run, Mux(block.boundary, 4, run + 1))),
            self.o.p.last.eq(block.last),
        ]
        with m.If(held & self.i.ready):
            m.d.sync += [
                run.eq(Mux(silent, run + 1, 0)),
                before.eq(Mux(block.last, 0, Mux(zero, before, larger))),
            ]
        return m


class Judge(wiring.Component):
    """Best split in, option out. A block a clock, latency 1 clock."""

    def __init__(self, rice: RiceFormat) -> None:
        self.rice = rice
        super().__init__({"i": In(stream.Signature(_split_beat(rice))), "o": Out(stream.Signature(_choice_beat(rice)))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance = handshake(m, self.i, self.o, 1)
        block = Signal(self.i.p.shape(), reset_less=True)
        with m.If(advance):
            m.d.sync += block.eq(self.i.p)
        largest = self.rice.block * self.rice.sample_bits
        extended = block.pairs + (1 + self.rice.block // 2)
        whole = ~block.zeros & (block.length >= largest) if _may_be_whole(self.rice) else Const(0)
        paired = ~block.zeros & block.few & (extended <= block.length)
        size = Mux(whole, largest, Mux(paired, extended, block.length))
        m.d.comb += [
            self.o.p.codes.eq(block.codes),
            self.o.p.split.eq(Mux(block.zeros | paired | whole, 0, block.split)),
            self.o.p.whole.eq(whole),
            self.o.p.paired.eq(paired),
            self.o.p.zeros.eq(block.zeros),
            self.o.p.run.eq(block.run),
            self.o.p.size.eq(Mux(block.zeros, 2 + block.run, size)),
            self.o.p.last.eq(block.last),
        ]
        return m


class Former(wiring.Component):
    """Blocks and how they are coded in, their bits out, the first lowest: J / P clocks a block.

    Latency J / P + 4 clocks from the block to its bits.
    """

    stages = 4

    def __init__(self, rice: RiceFormat, lanes: int, longest: int) -> None:
        self.rice = rice
        self.lanes = lanes
        self.longest = longest
        super().__init__(
            {"i": In(stream.Signature(_choice_beat(rice))), "o": Out(stream.Signature(chunk_beat(longest)))}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rice, lanes, id_bits = self.rice, self.lanes, self.rice.id_bits
        steps = rice.block // lanes

        # A block in hand, the next codes always in front.
        advance = Signal()
        held = Signal()
        block = Signal(self.i.p.shape(), reset_less=True)
        step = Signal(below(steps))
        first, final = step == 0, step == steps - 1
        m.d.comb += self.i.ready.eq(~held | (advance & final))
        with m.If(self.i.ready):
            m.d.sync += [held.eq(self.i.valid), block.eq(self.i.p), step.eq(0)]
        with m.Elif(advance):
            m.d.sync += [step.eq(step + 1), Cat(block.codes).eq(Cat(block.codes) >> (lanes * rice.code_bits))]

        # First: the fundamental sequence of each lane, if it has one, and the low bits of its code, the highest first.
        place = Signal(range(self.longest + 1))
        sequences = [Signal.like(place, name=f"sequence_{lane}") for lane in range(lanes)]
        present = Signal(lanes)
        split = ~(block.whole | block.paired | block.zeros)
        for lane, sequence in enumerate(sequences):
            paired, pair = Const(0), Const(0)
            if lane % 2 == 0:
                paired = block.paired & ~step[0] if lanes == 1 else block.paired
                pair = second_extension(rice, block.codes[lane], block.codes[lane + 1])
            run = block.zeros & first if lane == 0 else Const(0)
            code = block.codes[lane] >> block.split
            m.d.comb += [
                present[lane].eq(split | paired | run),
                sequence.eq(Mux(split, code, 0) | Mux(paired, pair, 0) | Mux(run, block.run, 0)),
            ]
        widths = {split: split for split in _splits(rice)}
        if _may_be_whole(rice):
            widths[1 << len(block.split)] = rice.sample_bits
        largest = lanes * max(widths.values())
        low = Signal(largest)
        stride = Signal(range(largest + 1))
        with m.Switch(Cat(block.split, block.whole)):
            for case, width in widths.items():
                with m.Case(case):
                    codes = (Cat(code, Const(0, width))[:width][::-1] for code in block.codes[:lanes])
                    m.d.comb += [low.eq(Cat(codes)), stride.eq(lanes * width)]

        # Identifier; sequences begin behind it, and behind the bit that tells those of low entropy apart.
        identifier = Mux(split, block.split + 1, Mux(block.whole, (1 << id_bits) - 1, 0))[:id_bits]
        header = Cat(identifier[::-1], block.paired)
        begin = id_bits + (block.paired | block.zeros)
        # Low bits end with the block.
        low_begin = (id_bits + block.size - stride * steps)[: len(place)]

        def after(clocks: int, value: Any) -> Signal:
            return delay(m, advance, value, clocks)[-1]

        # Second: where the ones are, from the first lane on.
        sequences, present_1 = [after(1, sequence) for sequence in sequences], after(1, present)
        ends = [Const(0, 0)]
        for lane, sequence in enumerate(sequences):
            ends.append((ends[-1] + sequence + present_1[lane])[: len(place)])
        places = [after(1, end + sequence) for end, sequence in zip(ends, sequences, strict=False)]

        # Third: from the first bit of the block on.
        first_2 = after(2, first)
        so_far = Signal.like(place, reset_less=True)
        low_so_far = Signal.like(place, reset_less=True)
        base, low_base = Mux(first_2, after(2, begin), so_far), Mux(first_2, after(2, low_begin), low_so_far)
        step, low_step = after(1, ends[-1]), after(2, stride)
        with m.If(advance):
            m.d.sync += [so_far.eq(base + step), low_so_far.eq(low_base + low_step)]
        places = [after(1, (base + place)[: len(so_far)]) for place in places]
        low_place = after(1, low_base)

        # Fourth: there they are.
        valid = [held, *(Signal(name=f"valid_{stage}") for stage in range(1, self.stages))]
        bits = Signal(self.longest, reset_less=True)
        complete = Signal()
        final_3 = after(3, final)
        ones = (one << place for one, place in zip(after(3, present), places, strict=True))
        parts = [Mux(after(3, first), after(3, header), bits), after(3, low) << low_place, *ones]
        with m.If(advance):
            m.d.sync += [
                *(later.eq(sooner) for sooner, later in pairwise(valid)),
                bits.eq(reduce(or_, parts)),
                complete.eq(valid[-1] & final_3),
            ]
        m.d.comb += [
            advance.eq(~complete | self.o.ready),
            self.o.valid.eq(complete),
            self.o.p.bits.eq(bits),
            self.o.p.size.eq(after(4, id_bits + block.size)),
            self.o.p.last.eq(after(4, block.last)),
        ]
        return m
