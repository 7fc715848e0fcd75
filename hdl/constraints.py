# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Timing constraints of a top level with one clock: a period, and a part of it for what is outside of each port."""

from typing import Any, Literal

from amaranth.lib.wiring import Flow

OUTSIDE = 0.3
"""Part of the period that is left to whatever drives an input, and to whatever an output drives."""

_HEADS = {
    "sdc": "# Timing constraints, SDC: for a block of its own. In a chip the clock is that of its surroundings.",
    "xdc": "# Timing constraints, XDC: for out-of-context runs. In a design the clock is that of its surroundings.",
}


def constraints(top: Any, clock_mhz: float, kind: Literal["sdc", "xdc"]) -> str:
    """Text of a constraints file.

    Parameters
    ----------
    top : amaranth.lib.wiring.Component
        With a clock ``aclk``; all other ports belong to it.
    clock_mhz : float
    kind : {"sdc", "xdc"}
        For ASIC flows, Quartus, OpenSTA; or for Vivado.
    """
    period = 1000 / clock_mhz
    inputs, outputs = (
        [
            f"{name}[*]" if len(getattr(top, name)) > 1 else name
            for name, member in top.signature.members.items()
            if member.flow is flow and name != "aclk"
        ]
        for flow in (Flow.In, Flow.Out)
    )
    lines = [
        _HEADS[kind],
        f"# {clock_mhz:g} MHz; {OUTSIDE:.0%} of the period is for what is outside of a port.",
        f"create_clock -name aclk -period {period:.3f} [get_ports aclk]",
    ]
    for direction, ports in (("input", inputs), ("output", outputs)):
        names = " ".join(ports)
        for bound, delay in (("max", OUTSIDE * period), ("min", 0)):
            lines.append(f"set_{direction}_delay -clock aclk -{bound} {delay:.3f} [get_ports {{{names}}}]")
    return "\n".join([*lines, ""])
