# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""CRC-32 of whole words, one a clock."""

import zlib
from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Crc32(wiring.Component):
    """The CRC-32 of IEEE 802.3, as `zlib.crc32` has it.

    Latency 1 clock, throughput a word a clock. A bit of it is the parity of about half of 8 * octets + 32 bits:
    `amaranth.lib.crc` writes that as a chain, too deep for Amaranth's simulator at 32 octets and 47 s of work at 64.

    Parameters
    ----------
    octets : int
        Of a word.

    Members
    -------
    word : In(8 * octets)
        Low octet first.
    valid : In(1)
        There is a word.
    start : In(1)
        It is the first one.
    crc : Out(32)
        Of the words that came up to the clock before.
    """

    def __init__(self, octets: int) -> None:
        self.octets = octets
        super().__init__({"word": In(8 * octets), "valid": In(1), "start": In(1), "crc": Out(32)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = Signal(8 * self.octets + 32)
        m.d.comb += bits.eq(Cat(self.word, self.crc & ~self.start.replicate(32)))
        # A CRC is linear but for a constant: what one bit of the word, or of the CRC before, does to that of zeros.
        zeros, octets = bytes(self.octets), self.octets
        constant = zlib.crc32(zeros)
        effects = [zlib.crc32((1 << k).to_bytes(octets, "little")) ^ constant for k in range(8 * octets)]
        effects += [zlib.crc32(zeros, 1 << k) ^ constant for k in range(32)]
        state = Signal(32, reset_less=True)
        with m.If(self.valid):
            for k in range(32):
                mask = sum((effect >> k & 1) << place for place, effect in enumerate(effects))
                m.d.sync += state[k].eq((bits & mask).xor() ^ (constant >> k & 1))
        m.d.comb += self.crc.eq(state)
        return m
