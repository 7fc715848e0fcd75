# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Top level whose ports are a block's own, by plain names."""

from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow, In


class FlatTop(wiring.Component):
    """A block behind ports named after its members: ``s_axi_awvalid`` is awvalid of s_axi.

    Parameters
    ----------
    block : Amaranth component

    Members
    -------
    aclk, aresetn : In(1)
        Clock, and synchronous reset, active low.
    """

    def __init__(self, block: Any) -> None:
        self.block = block
        self._ports = [
            ("_".join(map(str, path)), member, value) for path, member, value in block.signature.flatten(block)
        ]
        ports = {name: member.flow(member.shape) for name, member, _ in self._ports}
        super().__init__({"aclk": In(1), "aresetn": In(1), **ports})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain(local=True)
        m.submodules.block = self.block
        m.d.comb += [domain.clk.eq(self.aclk), domain.rst.eq(~self.aresetn)]
        for name, member, value in self._ports:
            port = getattr(self, name)
            m.d.comb += value.eq(port) if member.flow is Flow.In else port.eq(value)
        return m
