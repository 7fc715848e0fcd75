# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""AXI4-Lite: its signals, and a slave that turns it into single reads and writes of words."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

OKAY, SLVERR = 0b00, 0b10


class AxiLite(wiring.Signature):
    """Signals of AXI4-Lite with 32 bit data, from the master's side, by the names of the standard.

    Parameters
    ----------
    address_bits : int
    """

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteSlave(wiring.Component):
    """Takes reads and writes from AXI4-Lite and has each done in one clock.

    Reads and writes do not wait for each other. An address and its data may come in any order; each is held until the
    other is there. All outputs to the bus come from registers: nothing on it depends on anything else within a clock.
    Protection bits are ignored.

    A write is done one clock after its address and data were taken, and its answer stands one clock later; a read
    alike. Each goes at half the clock rate at most. While an answer waits, the next request is taken, and no more.

    Parameters
    ----------
    address_bits : int

    Members
    -------
    s_axi : In(AxiLite)
    write : Out(1)
        Do a write in this clock.
    write_address, write_data, write_strobe : Out
    write_okay : In(1)
        In the same clock: there is something to write to.
    read_address : Out
    read_data, read_okay : In
        In the same clock.
    """

    def __init__(self, address_bits: int) -> None:
        self.address_bits = address_bits
        super().__init__(
            {
                "s_axi": In(AxiLite(address_bits)),
                "write": Out(1),
                "write_address": Out(address_bits),
                "write_data": Out(32),
                "write_strobe": Out(4),
                "write_okay": In(1),
                "read_address": Out(address_bits),
                "read_data": In(32),
                "read_okay": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        axi = self.s_axi

        address_held, data_held = Signal(), Signal()
        address = Signal(self.address_bits, reset_less=True)
        data, strobe = Signal(32, reset_less=True), Signal(4, reset_less=True)
        m.d.comb += [
            axi.awready.eq(~address_held),
            axi.wready.eq(~data_held),
            self.write.eq(address_held & data_held & (~axi.bvalid | axi.bready)),
            self.write_address.eq(address),
            self.write_data.eq(data),
            self.write_strobe.eq(strobe),
        ]
        answered, answer = Signal(), Signal(2, reset_less=True)
        m.d.comb += [axi.bvalid.eq(answered), axi.bresp.eq(answer)]
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [address.eq(axi.awaddr), address_held.eq(1)]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [data.eq(axi.wdata), strobe.eq(axi.wstrb), data_held.eq(1)]
        with m.If(axi.bready):
            m.d.sync += answered.eq(0)
        with m.If(self.write):
            m.d.sync += [
                address_held.eq(0),
                data_held.eq(0),
                answered.eq(1),
                answer.eq(_response(self.write_okay)),
            ]

        held, found = Signal(), Signal()
        source = Signal(self.address_bits, reset_less=True)
        word, response = Signal(32, reset_less=True), Signal(2, reset_less=True)
        m.d.comb += [
            axi.arready.eq(~held),
            self.read_address.eq(source),
            axi.rvalid.eq(found),
            axi.rdata.eq(word),
            axi.rresp.eq(response),
        ]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [source.eq(axi.araddr), held.eq(1)]
        with m.If(axi.rready):
            m.d.sync += found.eq(0)
        with m.If(held & (~found | axi.rready)):
            m.d.sync += [
                held.eq(0),
                found.eq(1),
                word.eq(self.read_data),
                response.eq(_response(self.read_okay)),
            ]
        return m


def _response(okay: Value) -> Value:
    return Mux(okay, OKAY, SLVERR)
