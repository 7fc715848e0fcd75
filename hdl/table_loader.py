# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Table loader: watches a table on its way into a block, names it, and can take back half of one."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .beat import below
from .crc import Crc32

_WORD_OCTETS = 8


class TableLoader(wiring.Component):
    """Hands the words of a table on, and says which table the block has.

    A table is whole if ``last`` comes with its word number `words`: blocks drop all others. The hash is that of
    `ptychopress.model.packet.identifier`, of the last table that was whole; it changes in the clock in which the block
    has it, that after its last word.

    Latency 0, throughput a word a clock; a stalled block stalls the input in the same clock.

    Parameters
    ----------
    beat : StructLayout
        A word of a table and ``last``, as the block has it.
    words : int
        Of a table.
    first_hash : int, optional
        Of the table that the block wakes up with, in memories with initial values, where the last whole table outlives
        a reset; by default there is none, also after a reset.

    Members
    -------
    i : In(stream of beat)
    o : Out(stream of beat)
        Into the block.
    hold : In(1)
        Keep a last word back.
    forget : In(1)
        High for a clock: have the block drop what has come in of a table. A word or two are made up for it, the last
        one in a place where no table ends.
    loading : Out(1)
        A table has begun and not ended.
    loaded : Out(1)
        The block has a table.
    hash : Out(32)
        Of that table; 0 if there is none.
    """

    def __init__(self, beat: Any, words: int, *, first_hash: int | None = None) -> None:
        self.words = words
        self.first_hash = first_hash
        super().__init__(
            {
                "i": In(stream.Signature(beat)),
                "o": Out(stream.Signature(beat)),
                "hold": In(1),
                "forget": In(1),
                "loading": Out(1),
                "loaded": Out(1),
                "hash": Out(32),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.crc = crc = Crc32(_WORD_OCTETS)
        count, over = Signal(below(self.words)), Signal()
        final = (count == self.words - 1) & ~over
        forgetting = Signal()
        with m.If(self.forget & self.loading):
            m.d.sync += forgetting.eq(1)

        last = Mux(forgetting, ~final, self.i.p.last)
        sent = Signal()
        word = Value.cast(self.o.p[next(iter(self.o.p.shape()))[0]])
        m.d.comb += [
            self.o.p.eq(self.i.p),
            self.o.p.last.eq(last),
            self.o.valid.eq((forgetting | self.i.valid) & ~(last & self.hold)),
            self.i.ready.eq(self.o.ready & ~forgetting & ~(last & self.hold)),
            sent.eq(self.o.valid & self.o.ready),
            # Sign or zeros fill a word up, as its shape has it.
            crc.word.eq(word),
            crc.valid.eq(sent),
            crc.start.eq(~self.loading),
        ]
        kept = self.first_hash is not None
        whole, found = Signal(reset_less=kept), Signal(init=kept)
        name = Signal(32, init=self.first_hash or 0, reset_less=kept)
        with m.If(sent):
            m.d.sync += self.loading.eq(~last)
            with m.If(last):
                m.d.sync += [count.eq(0), over.eq(0), forgetting.eq(0)]
            with m.Elif(final):
                m.d.sync += over.eq(1)
            with m.Elif(~over):
                m.d.sync += count.eq(count + 1)
        m.d.sync += whole.eq(sent & last & final)
        with m.If(whole):
            m.d.sync += [name.eq(crc.crc), found.eq(1)]
        m.d.comb += [self.loaded.eq(found | whole), self.hash.eq(Mux(whole, crc.crc, name))]
        return m
