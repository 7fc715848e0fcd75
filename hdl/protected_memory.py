# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Memory that corrects a wrong bit in a word and reports two."""

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..model.secded import Secded
from .block_memory import BlockMemory
from .secded import correct, encode, syndrome

_DATA_BITS = 64


class ProtectedMemory(wiring.Component):
    """`BlockMemory` whose words carry SECDED check bits.

    A word a clock, never stalled, a clock later than the memory inside: the syndromes have a register, the correction
    behind it is combinational. What is stored stays as it is: a wrong bit is corrected in every read until its word is
    written again. A word of more than 64 bits is stored as several code words, of 64 data bits each but the last; they
    are corrected apart, and reported together.

    A word that has never been written is reported at random: the reports count for words that were read on purpose.

    Parameters
    ----------
    bits, depth
        As for `BlockMemory`.
    memory : type
        Class of the memory inside, with the constructor, ports and `latency` of `BlockMemory`.

    Members
    -------
    write_address, write_data, write_enable, address, data
        As for `BlockMemory`.
    corrected : Out(1)
        Of the word in ``data`` a code word had one wrong bit.
    uncorrectable : Out(1)
        One had two: ``data`` is wrong.
    """

    def __init__(self, bits: int, depth: int, *, memory: type[Any] = BlockMemory) -> None:
        self.bits = bits
        self.depth = depth
        self.memory = memory
        self.latency = memory.latency + 1
        self.codes = tuple(Secded(min(_DATA_BITS, bits - low)) for low in range(0, bits, _DATA_BITS))
        super().__init__(
            {
                "write_address": In(range(depth)),
                "write_data": In(bits),
                "write_enable": In(1),
                "address": In(range(depth)),
                "data": Out(bits),
                "corrected": Out(1),
                "uncorrectable": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = self.memory(sum(code.word_bits for code in self.codes), self.depth)
        m.d.comb += [
            memory.write_address.eq(self.write_address),
            memory.write_enable.eq(self.write_enable),
            memory.address.eq(self.address),
        ]
        low = place = 0
        written, data, reports = [], [], []
        for code in self.codes:
            written.append(encode(code, self.write_data[low : low + code.data_bits]))
            word = memory.data[place : place + code.word_bits]
            held, fault = Signal(code.data_bits, reset_less=True), Signal(code.check_bits, reset_less=True)
            m.d.sync += [held.eq(word), fault.eq(syndrome(code, word))]
            right, *report = correct(code, held, fault)
            data.append(right)
            reports.append(report)
            low, place = low + code.data_bits, place + code.word_bits
        corrected, uncorrectable = zip(*reports, strict=True)
        m.d.comb += [
            memory.write_data.eq(Cat(written)),
            self.data.eq(Cat(data)),
            self.corrected.eq(Cat(corrected).any()),
            self.uncorrectable.eq(Cat(uncorrectable).any()),
        ]
        return m
