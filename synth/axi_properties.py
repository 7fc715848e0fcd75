# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a slave on AXI4-Lite must do, whatever its master and the registers behind it do."""

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assume, Cat, Module, Mux, ResetSignal, Signal, Value, ValueLike
from amaranth.lib.wiring import In

from ..hdl.axi_lite import OKAY, SLVERR, AxiLiteSlave
from .properties import Property

ADDRESS_BITS = 4
"""Addresses pass through unseen: few bits show it."""


class AxiLiteRules(Property):
    """Rules of the bus, and that each pair of an address and data is written once, each address read once.

    Nothing is assumed of the master: it may drop valid or change what is beside it. The slave's registers power up
    with any value, and the first clock is a reset; one may come in any clock.

    Parameters
    ----------
    make : callable
        Builds the slave from the width of an address.
    """

    commands = ("setattr -unset init top.dut*/w:*",)

    def __init__(self, make: Callable[[int], Any] = AxiLiteSlave) -> None:
        self.slave = make(ADDRESS_BITS)
        self.started = Signal(reset_less=True)
        names = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")
        bus = {name: In(len(getattr(self.slave.s_axi, name))) for name in names}
        super().__init__({**bus, "write_okay": In(1), "read_data": In(32), "read_okay": In(1)})

    def rule(self, m: Module, text: str, condition: ValueLike) -> None:
        """Assert a condition for all clocks but the reset that ends an unknown state."""
        super().rule(m, text, ~self.started | condition)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.dut = slave = self.slave
        axi = slave.s_axi
        for name in self.signature.members:
            m.d.comb += getattr(axi if hasattr(axi, name) else slave, name).eq(getattr(self, name))
        m.d.sync += self.started.eq(1)
        m.d.comb += Assume(self.started | ResetSignal())
        was_reset = Signal(reset_less=True)
        m.d.sync += was_reset.eq(ResetSignal())

        address, data, source = axi.awvalid & axi.awready, axi.wvalid & axi.wready, axi.arvalid & axi.arready
        answered, found = axi.bvalid & axi.bready, axi.rvalid & axi.rready
        addresses, words = self._count(m, address, slave.write), self._count(m, data, slave.write)
        answers = self._count(m, slave.write, answered)
        self.rule(m, "a write is done of an address and data that were taken", ~slave.write | (addresses & words))
        self.rule(m, "an address is taken when none is held", axi.awready == (addresses == 0))
        self.rule(m, "data is taken when none is held", axi.wready == (words == 0))
        self.rule(
            m,
            "a write is done as soon as there is both, and room for its answer",
            slave.write == ((addresses != 0) & (words != 0) & (~axi.bvalid | axi.bready)),
        )
        pair = Cat(slave.write_address, slave.write_data, slave.write_strobe)
        held = Cat(self._last(m, address, axi.awaddr), self._last(m, data, Cat(axi.wdata, axi.wstrb)))
        self.rule(m, "what is written is what was taken", ~slave.write | (pair == held))
        self.rule(m, "each write has one answer", axi.bvalid == (answers != 0))
        response = self._last(m, slave.write, Mux(self.write_okay, OKAY, SLVERR))
        self.rule(m, "the answer to a write is its own, and stays", ~axi.bvalid | (axi.bresp == response))

        reads, done = Signal(range(3)), Signal()
        m.d.comb += done.eq((reads != 0) & (~axi.rvalid | axi.rready))
        m.d.sync += reads.eq(reads + source - done)
        results = self._count(m, done, found)
        self.rule(m, "an address to read is taken when none is held", axi.arready == (reads == 0))
        self.rule(m, "each read has one answer", axi.rvalid == (results != 0))
        self.rule(
            m, "what is read is what was asked for", ~done | (slave.read_address == self._last(m, source, axi.araddr))
        )
        result = self._last(m, done, Cat(self.read_data, Mux(self.read_okay, OKAY, SLVERR)))
        self.rule(m, "the answer to a read is its own, and stays", ~axi.rvalid | (Cat(axi.rdata, axi.rresp) == result))
        self.rule(m, "a reset ends everything", ~was_reset | ~(axi.bvalid | axi.rvalid | slave.write))

        waited = Signal(2)
        m.d.sync += waited.eq(Cat(axi.bvalid & ~axi.bready, axi.rvalid & ~axi.rready))
        self.reachable(m, "a write is answered after a wait", waited[0] & answered)
        self.reachable(m, "a read is answered after a wait", waited[1] & found)
        self.reachable(m, "data waits for its address", (words != 0) & (addresses == 0) & address)
        self.reachable(m, "an address waits for its data", (addresses != 0) & (words == 0) & data)
        self.reachable(m, "a write is done in the clock in which the one before is answered", slave.write & answered)
        self.reachable(m, "a read and a write are done in one clock", slave.write & done)
        return m

    def _count(self, m: Module, more: Value, less: Value) -> Signal:
        """How many have come and not gone."""
        count = Signal(range(3))
        m.d.sync += count.eq(count + more - less)
        return count

    def _last(self, m: Module, when: Value, value: Value) -> Signal:
        """What a value was when it was last taken."""
        last = Signal(len(value), reset_less=True)
        with m.If(when):
            m.d.sync += last.eq(value)
        return last
