# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A packetizer as its bench meets it: behind AXI4-Stream ports, what is said of a payload on the same bus."""

from dataclasses import asdict
from typing import Any

from amaranth.hdl import Cat, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..hdl.packetizer import Packetizer


class PacketizerPort(wiring.Component):
    """Octets, above them in 8 bits how many count, above that the descriptor on s_axis; m_axis_tuser is the size.

    Latency, throughput and stalls are the packetizer's.
    """

    def __init__(self, packetizer: Packetizer) -> None:
        self.inner = packetizer
        self.latency = packetizer.latency
        self.packets = {**asdict(packetizer.sizes), "largest": packetizer.largest, "frames": packetizer.frames}
        octets = packetizer.octets
        super().__init__(
            {
                "s_axis_tdata": In(8 * octets + 8 + len(Value.cast(packetizer.descriptor))),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(8 * octets),
                "m_axis_tuser": Out(len(packetizer.o.p.size)),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "level": Out(packetizer.level.shape()),
                "room": Out(1),
                "sending": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.inner = block = self.inner
        octets = 8 * block.octets
        m.d.comb += [
            Value.cast(block.i.p.octets).eq(self.s_axis_tdata),
            block.i.p.size.eq(self.s_axis_tdata[octets : octets + 8]),
            Value.cast(block.descriptor).eq(self.s_axis_tdata[octets + 8 :]),
            block.i.p.last.eq(self.s_axis_tlast),
            block.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(block.i.ready),
            Cat(self.m_axis_tdata, self.m_axis_tuser, self.m_axis_tlast).eq(block.o.p),
            self.m_axis_tvalid.eq(block.o.valid),
            block.o.ready.eq(self.m_axis_tready),
            self.level.eq(block.level),
            self.room.eq(block.room),
            self.sending.eq(block.sending),
        ]
        return m
