# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""AXI4-Stream top level around a block, with the names that integrators know."""

from typing import Any

from amaranth.hdl import Cat, ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def lane_bytes(bits: int) -> int:
    """Whole bytes that a lane of so many bits takes on a bus."""
    return -(-bits // 8)


class AxiStreamTop(wiring.Component):
    """A block with streams ``i`` and ``o``, and perhaps ``table``, behind AXI4-Stream ports.

    Every lane, and a word of a table, takes whole bytes of tdata, its value in the low bits, lane 0 lowest; on the
    way out signed values fill their bytes with their sign, others with 0, on the way in what fills them is ignored.
    tlast is the beat's ``last``; tuser on the way out is the beat's flags. In reset a beat is lost if offered:
    AXI4-Stream has sources hold tvalid low then.
    Latency, throughput and stalls are the block's.

    Members
    -------
    aclk, aresetn : In(1)
        Clock, and synchronous reset, active low.
    s_axis_tdata, s_axis_tlast, s_axis_tvalid, s_axis_tready
        Into ``i``.
    m_axis_tdata, m_axis_tuser, m_axis_tlast, m_axis_tvalid, m_axis_tready
        From ``o``.
    s_axis_table_tdata, s_axis_table_tlast, s_axis_table_tvalid, s_axis_table_tready, table_error
        Into ``table``, for a block that has one.
    corrected, uncorrectable : Out(1)
        Of a block that has protected memories; its ``upset``, if it has that, is the highest bit of m_axis_tuser.
    """

    def __init__(self, block: Any) -> None:
        self.block = block
        members = {"aclk": In(1), "aresetn": In(1)}
        for prefix, port in self._inputs().items():
            members |= {
                f"{prefix}_tdata": In(_bus_bits(_lanes(port))),
                f"{prefix}_tlast": In(1),
                f"{prefix}_tvalid": In(1),
                f"{prefix}_tready": Out(1),
            }
        members |= {
            "m_axis_tdata": Out(_bus_bits(_lanes(block.o))),
            "m_axis_tuser": Out(len(_flags(block))),
            "m_axis_tlast": Out(1),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
        }
        self._reports = [name for name in ("table_error", "corrected", "uncorrectable") if hasattr(block, name)]
        members |= {name: Out(1) for name in self._reports}
        super().__init__(members)

    def _inputs(self) -> dict[str, Any]:
        table = {"s_axis_table": self.block.table} if hasattr(self.block, "table") else {}
        return {"s_axis": self.block.i} | table

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain(local=True)
        m.submodules.block = self.block
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        for prefix, port in self._inputs().items():
            m.d.comb += [
                port.valid.eq(getattr(self, f"{prefix}_tvalid")),
                port.p.last.eq(getattr(self, f"{prefix}_tlast")),
                getattr(self, f"{prefix}_tready").eq(port.ready),
            ]
            for octets, lane in _on_bus(getattr(self, f"{prefix}_tdata"), _lanes(port)):
                m.d.comb += lane.eq(octets[: len(lane)])
        for octets, lane in _on_bus(self.m_axis_tdata, _lanes(self.block.o)):
            m.d.comb += octets.eq(lane)
        m.d.comb += [
            self.m_axis_tuser.eq(_flags(self.block)),
            self.m_axis_tlast.eq(self.block.o.p.last),
            self.m_axis_tvalid.eq(self.block.o.valid),
            self.block.o.ready.eq(self.m_axis_tready),
        ]
        for name in self._reports:
            m.d.comb += getattr(self, name).eq(getattr(self.block, name))
        return m


def _lanes(port: Any) -> list[Value]:
    """Values of a payload's first field, lane by lane."""
    name, _ = next(iter(port.p.shape()))
    field = port.p[name]
    return [Value.cast(field)] if isinstance(field, Value) else [Value.cast(lane) for lane in field]


def _flags(block: Any) -> Value:
    """Value of an output's second field, what is to be said of the first, and what is said beside it."""
    names = [name for name, _ in block.o.p.shape()]
    flags = Value.cast(block.o.p[names[1]])
    return Cat(flags, block.upset) if hasattr(block, "upset") else flags


def _bus_bits(lanes: list[Value]) -> int:
    return sum(8 * lane_bytes(len(lane)) for lane in lanes)


def _on_bus(tdata: Value, lanes: list[Value]) -> list[tuple[Value, Value]]:
    """Pair each lane with the bytes of tdata that carry it."""
    pitch = 8 * lane_bytes(len(lanes[0]))
    return [(tdata[k * pitch : (k + 1) * pitch], lane) for k, lane in enumerate(lanes)]
