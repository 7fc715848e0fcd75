# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Block memories: what a projector keeps its weights in, handed in so that each target brings its own."""

from typing import Any

from amaranth.hdl import Array, Cat, ClockSignal, Const, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .verilog import VerilogTarget


class BlockMemory(wiring.Component):
    """Memory with a port to write and one to read, for any target: synthesis infers what it has.

    A word a clock, never stalled. A block memory is slow to answer: a second register stands behind it. What it holds
    at first, and what is read from where something is written in that clock, is unspecified.

    In Verilog it is one module, ``block_memory.v``, without initial values: written out word by word, those of a large
    memory would be megabytes, and an ASIC has none.

    Parameters
    ----------
    bits : int
        Of a word.
    depth : int
        Words.

    Members
    -------
    write_address : In(range(depth))
    write_data : In(bits)
    write_enable : In(1)
    address : In(range(depth))
    data : Out(bits)
        The word whose address came `latency` clocks before.
    """

    latency = 2

    def __init__(self, bits: int, depth: int) -> None:
        self.bits = bits
        self.depth = depth
        super().__init__(
            {
                "write_address": In(range(depth)),
                "write_data": In(bits),
                "write_enable": In(1),
                "address": In(range(depth)),
                "data": Out(bits),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if isinstance(platform, VerilogTarget):
            m.submodules.memory = Instance(
                platform.block_memory,
                p_BITS=self.bits,
                p_DEPTH=self.depth,
                p_ADDRESS_BITS=len(self.address),
                i_clk=ClockSignal(),
                i_write_address=self.write_address,
                i_write_data=self.write_data,
                i_write_enable=self.write_enable,
                i_address=self.address,
                o_data=self.data,
            )
            return m
        m.submodules.memory = memory = Memory(shape=self.bits, depth=self.depth, init=[])
        write, read = memory.write_port(), memory.read_port()
        data = Signal.like(self.data, reset_less=True)
        m.d.sync += data.eq(read.data)
        m.d.comb += [
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            write.en.eq(self.write_enable),
            read.addr.eq(self.address),
            self.data.eq(data),
        ]
        return m


class Ecp5BlockMemory(BlockMemory):
    """Memory in DP16KD of a Lattice ECP5, with the register inside them.

    As `BlockMemory`. Without its output register a DP16KD takes 5.8 ns from clock to output, and synthesis would
    leave that register outside.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # A block has 2**14 words of 1 bit, ..., or 2**10 words of 18.
        address_bits = min(max(len(self.address), 10), 14)
        width = {10: 18, 11: 9, 12: 4, 13: 2, 14: 1}[address_bits]
        stack = -(-self.depth // (1 << address_bits))
        high, write_high = self.address[address_bits:], self.write_address[address_bits:]
        for _ in range(self.latency):
            register = Signal(len(high), reset_less=True)
            m.d.sync += register.eq(high)
            high = register
        words = []
        for block in range(stack):
            word = Signal(self.bits, name=f"word_{block}")
            for low in range(0, self.bits, width):
                bits = slice(low, min(low + width, self.bits))
                m.submodules[f"block_{block}_{low}"] = _dp16kd(
                    width,
                    self.write_address[:address_bits],
                    self.write_data[bits],
                    self.write_enable & (write_high == block),
                    self.address[:address_bits],
                    word[bits],
                )
            words.append(word)
        m.d.comb += self.data.eq(Array(words)[high] if stack > 1 else words[0])
        return m


def _dp16kd(
    width: int, write_address: Value, write_data: Value, write_enable: Value, address: Value, data: Value
) -> Instance:
    """Block that is written at its port A and read at its port B, two clocks later."""
    # The address is left aligned. Below it, if a word has two bytes, their write enables.
    unused = 14 - len(address)
    write_pins, pins = Cat(Const(3 if width == 18 else 0, unused), write_address), Cat(Const(0, unused), address)
    ports = {f"i_ADA{k}": write_pins[k] for k in range(14)} | {f"i_ADB{k}": pins[k] for k in range(14)}
    ports |= {f"i_DIA{k}": bit for k, bit in enumerate(write_data)} | {f"o_DOB{k}": bit for k, bit in enumerate(data)}
    for port in "AB":
        ports |= {f"i_CLK{port}": ClockSignal(), f"i_CE{port}": Const(1), f"i_OCE{port}": Const(1)}
        ports |= {f"i_RST{port}": Const(0, 1)} | {f"i_CS{port}{k}": Const(0, 1) for k in range(3)}
    return Instance(
        "DP16KD",
        p_DATA_WIDTH_A=width,
        p_DATA_WIDTH_B=width,
        p_REGMODE_A="NOREG",
        p_REGMODE_B="OUTREG",
        p_CSDECODE_A="0b000",
        p_CSDECODE_B="0b000",
        p_WRITEMODE_A="NORMAL",
        p_WRITEMODE_B="NORMAL",
        p_GSR="DISABLED",
        i_WEA=write_enable,
        i_WEB=Const(0, 1),
        **ports,
    )
