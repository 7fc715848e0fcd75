# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Blocks of a configuration by name, and their text for yosys."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..hdl.core import DetectorCompressor
from ..hdl.decoder import ExpandDecoder
from ..hdl.hardwired import HardwiredProjector
from ..hdl.intake import encoder_of
from ..hdl.payloads import payload_block, projector_of
from ..hdl.registers import RegisterFile
from ..hdl.verilog import VerilogTarget, block_memory_text
from ..model.config import CoreConfig, Mode
from ..model.registers import core_registers
from ..model.tile import TileConfig

TOP = "top"
"""Name of the top module."""

BLOCKS = ("core", "encoder", "decoder", "projector", "packer", "zeromask", "rice", "registers")
"""What of a core can be looked at on its own. The packer is that of codes."""


@dataclass(frozen=True)
class Design:
    """A block to be synthesised.

    Parameters
    ----------
    name : str
    configuration : dict
        Plain values.
    component : amaranth.lib.wiring.Component
        To be elaborated once.
    frame_clocks : dict of str to int
        Clocks of a frame at full rate, by mode, or under the block's name.
    """

    name: str
    configuration: dict[str, Any]
    component: Any
    frame_clocks: dict[str, int]


def design(config: CoreConfig | TileConfig, block: str = "core") -> Design:
    """Block of a configuration.

    Raises
    ------
    ValueError
        If the configuration has no such block.
    """
    if isinstance(config, TileConfig):
        if block != "core":
            raise ValueError(f"--block {block}: {config.name} is one block, leave the option out")
        component = HardwiredProjector(config.projection(), adders_per_stage=config.adders_per_stage)
        return Design(config.name, config.to_dict(), component, {"coefficients": component.frame_clocks})
    beats = config.frame.beats
    projected = beats * -(-config.projector.components // config.projector.columns)
    if block == "core":
        clocks = {mode.label: projected if mode.projects else beats for mode in config.modes}
        return Design(config.name, config.to_dict(), DetectorCompressor(config), clocks)
    made = _block(config, block)
    if made is None:
        raise ValueError(f"--block {block}: {config.name} has none, its modes are {', '.join(config.output.modes)}")
    clocks = {} if block == "registers" else {block: projected if block == "projector" else beats}
    return Design(f"{config.name}/{block}", config.to_dict(), made, clocks)


def _block(config: CoreConfig, name: str) -> Any:
    """Block of a core, None if it has no such."""
    match name:
        case "encoder":
            return encoder_of(config)
        case "decoder":
            return ExpandDecoder(config.codebook, lanes=config.frame.lanes)
        case "projector":
            return projector_of(config)
        case "registers":
            return RegisterFile(core_registers(config))
        case "packer" | "zeromask" | "rice":
            mode = {"packer": Mode.CODES, "zeromask": Mode.ZEROMASK, "rice": Mode.RICE}[name]
            return payload_block(config, mode) if mode in config.modes else None
    raise ValueError(f"--block {name}: expected {', '.join(BLOCKS)}")


class Registered(wiring.Component):
    """A block between registers at its ports, so that every path of it lies between two registers.

    The registers' signals have the attribute ``MARK``, by which they can be told from the block's own.

    Parameters
    ----------
    block : amaranth.lib.wiring.Component
        With the clock domain ``sync``, or with one of its own and ports ``aclk`` and, if need be, a reset.

    Members
    -------
    clk, reset : In(1)
    inputs : In, outputs : Out
        The block's ports, side by side.
    """

    MARK = "ptychopress_port"

    def __init__(self, block: Any) -> None:
        self.block = block
        self._ports = [
            (member.flow, Value.cast(value), path[-1]) for path, member, value in block.signature.flatten(block)
        ]
        bits = {flow: sum(len(value) for way, value, name in self._ports if way is flow) for flow in (In, Out)}
        super().__init__({"clk": In(1), "reset": In(1), "inputs": In(bits[In]), "outputs": Out(bits[Out])})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.ports = ports = ClockDomain(local=True, reset_less=True)
        m.submodules.block = self.block
        m.d.comb += ports.clk.eq(self.clk)
        # Amaranth takes no domain of a name that stands further out, be it local.
        if all(name != "aclk" for _, _, name in self._ports):
            m.domains.sync = sync = ClockDomain(local=True)
            m.d.comb += [sync.clk.eq(self.clk), sync.rst.eq(self._register(m, self.reset, "reset"))]
        place = {In: 0, Out: 0}
        for number, (flow, value, name) in enumerate(self._ports):
            here = slice(place[flow], place[flow] + len(value))
            place[flow] = here.stop
            if name == "aclk":
                m.d.comb += value.eq(self.clk)
            elif flow is In:
                m.d.comb += value.eq(self._register(m, self.inputs[here], f"in_{number}"))
            else:
                m.d.comb += self.outputs[here].eq(self._register(m, value, f"out_{number}"))
        return m

    def _register(self, m: Module, value: Value, name: str) -> Signal:
        register = Signal(len(value), name=name, attrs={"keep": 1, self.MARK: 1})
        m.d.ports += register.eq(value)
        return register


def write_rtl(component: Any, directory: Path) -> list[str]:
    """Write a component's RTL into a directory; return yosys' commands that read it, module `TOP`.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    target = VerilogTarget(TOP)
    text = rtlil.convert(component, name=TOP, platform=target, emit_src=False)
    (directory / "top.il").write_text(text)
    if target.block_memory not in text:
        return ["read_rtlil top.il"]
    (directory / "memory.v").write_text(block_memory_text(target))
    return ["read_rtlil top.il", "read_verilog memory.v"]
