# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Registers in RTL, elaborated from their SystemRDL."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, Signature
from amaranth.utils import ceil_log2
from systemrdl.node import AddrmapNode, FieldNode, Node, RegfileNode, RegNode
from systemrdl.rdltypes.builtin_enums import AccessType, InterruptType, OnWriteType, PrecedenceType

from .axi_lite import AxiLite, AxiLiteSlave

_PROPERTIES = {
    *("name", "desc", "encode", "regwidth", "accesswidth", "sw", "hw", "reset", "precedence"),
    *("onwrite", "woclr", "singlepulse", "counter", "incrwidth", "hwclr", "next", "we"),
    *("intr", "intr type", "stickybit", "enable"),
}
"""What `RegisterFile` makes hardware of, or what makes none."""


class RegisterFile(wiring.Component):
    """The registers of a SystemRDL address map behind AXI4-Lite, one member for each field that hardware sees.

    Timing of the bus as `AxiLiteSlave` has it: an access takes place in one clock, and what it writes is seen by
    hardware in the next. An access that no field of a register takes part in is answered SLVERR.

    Members are nested as the map is: ``control.mode`` is the field mode of the register control.

    - A field that hardware reads is an output: what it holds.
    - A field that hardware writes, and that holds nothing, is an input that software reads.
    - An interrupt field is an input: a 1 sets it, and it stays.
    - A counter has an input of its name and ``_incr``: what to add in this clock.

    ``hwclr``, ``we`` with ``next``, and ``enable`` refer to other fields. What hardware does comes before what software
    does in the same clock, and after it with ``precedence = hw``.

    Parameters
    ----------
    registers : AddrmapNode
        32 bit registers; such as `core_registers` gives.

    Raises
    ------
    ValueError
        Names the field and the property that there is no hardware for.

    Members
    -------
    s_axi : In(AxiLite)
    irq : Out(1)
        There is an interrupt field set that is enabled.
    """

    def __init__(self, registers: AddrmapNode) -> None:
        for node in registers.descendants():
            _check(node)
        self.registers = registers
        self.address_bits = ceil_log2(registers.size)
        super().__init__({"s_axi": In(AxiLite(self.address_bits)), "irq": Out(1), **_members(registers)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave = slave = AxiLiteSlave(self.address_bits)
        wiring.connect(m, wiring.flipped(self.s_axi), slave.s_axi)

        fields = [node for node in self.registers.descendants() if isinstance(node, FieldNode)]
        values: dict[str, Value] = {}
        for field in fields:
            values[field.get_path()] = value = self._value(field)
            if field.is_hw_readable:
                m.d.comb += self._member(field).eq(value)
        raised = [
            values[field.get_path()] & values[enable.get_path()]
            for field in fields
            if (enable := field.get_property("enable")) is not None
        ]
        m.d.comb += self.irq.eq(Cat(raised).any())

        # Signals, not expressions, which would be written out anew for each bit of a field.
        mask, here = Signal(32), {}
        m.d.comb += mask.eq(Cat(strobe.replicate(8) for strobe in slave.write_strobe))
        for reg in self.registers.descendants():
            if isinstance(reg, RegNode) and reg.has_sw_writable:
                name = reg.get_rel_path(self.registers).replace(".", "_")
                here[reg.get_path()] = chosen = Signal(name=f"write_{name}")
                m.d.comb += chosen.eq(slave.write & (slave.write_address[2:] == reg.absolute_address >> 2))
        with m.Switch(slave.write_address[2:]):
            for reg in self.registers.descendants():
                if isinstance(reg, RegNode) and reg.has_sw_writable:
                    with m.Case(reg.absolute_address >> 2):
                        m.d.comb += slave.write_okay.eq(1)
        with m.Switch(slave.read_address[2:]):
            for reg in self.registers.descendants():
                if isinstance(reg, RegNode) and reg.has_sw_readable:
                    with m.Case(reg.absolute_address >> 2):
                        m.d.comb += slave.read_okay.eq(1)
                        for field in reg.fields(sw_readable_only=True):
                            m.d.comb += slave.read_data[field.low : field.high + 1].eq(values[field.get_path()])
        for field in fields:
            if not field.implements_storage:
                continue
            value = values[field.get_path()]
            now = Const(0, field.width) if field.get_property("singlepulse") else value
            written = Mux(here[field.parent.get_path()], mask, 0) if field.is_sw_writable else Const(0, 32)
            if field.get_property("precedence") is PrecedenceType.hw:
                now = self._hardware(field, _software(field, now, slave.write_data, written), values)
            else:
                now = _software(field, self._hardware(field, now, values), slave.write_data, written)
            m.d.sync += value.eq(now)
        return m

    def _member(self, field: FieldNode, suffix: str = "") -> Any:
        """Port of a field."""
        owner: Any = self
        *path, name = field.get_rel_path(self.registers).split(".")
        for part in path:
            owner = getattr(owner, part)
        return getattr(owner, name + suffix)

    def _value(self, field: FieldNode) -> Value:
        """What software reads of a field: a register, a constant or an input."""
        if field.implements_storage:
            name = field.get_rel_path(self.registers).replace(".", "_")
            return Signal(field.width, init=field.get_property("reset"), name=name)
        return self._member(field) if field.is_hw_writable else Const(field.get_property("reset"), field.width)

    def _hardware(self, field: FieldNode, now: Value, values: dict[str, Value]) -> Value:
        """What becomes of a value by the hardware's doing."""
        if field.get_property("counter"):
            clear = field.get_property("hwclr")
            begin = Mux(values[clear.get_path()], 0, now) if clear else now
            return (begin + self._member(field, "_incr"))[: field.width]
        if field.get_property("intr"):
            return now | self._member(field)
        if (source := field.get_property("next")) is not None:
            return Mux(values[field.get_property("we").get_path()], values[source.get_path()], now)
        return now


def _software(field: FieldNode, now: Value, data: Value, mask: Value) -> Value:
    """What becomes of a value by a write of those bits of the register that are in the mask."""
    if not field.is_sw_writable:
        return now
    mask = mask[field.low : field.high + 1]
    ones = data[field.low : field.high + 1] & mask
    return now & ~ones if field.get_property("onwrite") is OnWriteType.woclr else (now & ~mask) | ones


def _members(node: AddrmapNode | RegfileNode | RegNode) -> dict[str, Any]:
    """Members for what is below a node, nested; nothing for what hardware does not see."""
    members: dict[str, Any] = {}
    for child in node.children():
        name = child.inst_name
        if isinstance(child, FieldNode):
            if child.get_property("counter"):
                members[f"{name}_incr"] = In(child.get_property("incrwidth") or 1)
            if child.is_hw_readable:
                members[name] = Out(child.width)
            elif child.is_hw_writable and child.get_property("next") is None:
                members[name] = In(child.width)
        elif below := _members(child):
            members[name] = Out(Signature(below))
    return members


def _check(node: Node) -> None:
    """Raise ValueError if there is no hardware for a node."""
    path = node.get_path()
    if not isinstance(node, (RegfileNode, RegNode, FieldNode)):
        raise ValueError(f"{path}: no hardware for a {node.component_type_name}")
    if not isinstance(node, FieldNode) and (node.is_array or node.external):
        raise ValueError(f"{path}: no hardware for {'arrays' if node.is_array else 'external registers'}")
    if isinstance(node, RegNode) and (node.is_alias or node.get_property("regwidth") != 32):
        raise ValueError(f"{path}: no hardware for {'aliases' if node.is_alias else 'registers not of 32 bits'}")
    for name in node.list_properties():
        if name not in _PROPERTIES:
            raise ValueError(f"{path}: no hardware for the property {name}")
    if not isinstance(node, FieldNode):
        return
    stores, sets = node.implements_storage, node.get_property("intr")
    refused = {
        "sw": node.get_property("sw") in (AccessType.rw1, AccessType.w1),
        "hw": node.get_property("hw") not in (AccessType.r, AccessType.w, AccessType.na)
        or (stores and node.is_hw_writable and not sets and node.get_property("next") is None),
        "onwrite": node.get_property("onwrite") not in (None, OnWriteType.woclr),
        "hwclr": isinstance(node.get_property("hwclr"), bool) and node.get_property("hwclr"),
        "we": (node.get_property("next") is None) != (not isinstance(node.get_property("we"), FieldNode)),
        "next": not isinstance(node.get_property("next"), (FieldNode, type(None))),
        "intr type": sets and node.get_property("intr type") is not InterruptType.level,
        "stickybit": sets and not node.get_property("stickybit"),
    }
    for name, wrong in refused.items():
        if wrong:
            raise ValueError(f"{path}: no hardware for the property {name} as it is here")
    if (stores or not node.is_hw_writable) and not isinstance(node.get_property("reset"), int):
        raise ValueError(f"{path}: no hardware without a number as its reset value")
