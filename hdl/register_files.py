# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What a register map is to people and to C: text made of the compiled SystemRDL.

There are packages for that, but peakrdl-cheader (LGPL-3) and peakrdl-markdown (GPL-3) would bind those who use what
is generated, or this package, and peakrdl-rawheader (Apache-2.0) knows nothing of fields.
"""

from collections.abc import Iterator

from systemrdl.node import AddrmapNode, FieldNode, RegNode
from systemrdl.rdltypes.builtin_enums import OnWriteType


def c_header(registers: AddrmapNode) -> str:
    """Text of a C header: offsets of registers, shifts and masks of fields, and the names of their values.

    It says nothing that depends on how a core was built: the same in every core of one register map.
    """
    prefix = registers.inst_name.upper()
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* {registers.get_property('name')}: generated from SystemRDL. */",
        f"#ifndef {prefix}_REGISTERS_H",
        f"#define {prefix}_REGISTERS_H",
        "",
        f"#define {prefix}_SIZE {registers.size:#x}u",
    ]
    for reg in _registers(registers):
        name = f"{prefix}_{reg.get_rel_path(registers, hier_separator='_').upper()}"
        lines += ["", f"/* {_title(reg)} */", f"#define {name}_OFFSET {reg.absolute_address:#04x}u"]
        for field in reg.fields():
            part = f"{name}_{field.inst_name.upper()}"
            lines += [
                f"#define {part}_SHIFT {field.low}",
                f"#define {part}_MASK {((1 << field.width) - 1) << field.low:#010x}u",
            ]
            encoding = field.get_property("encode")
            for entry in encoding or ():
                lines.append(f"#define {part}_{entry.name.upper()} {entry.value:#x}u")
    return "\n".join([*lines, "", f"#endif /* {prefix}_REGISTERS_H */", ""])


def markdown(registers: AddrmapNode) -> str:
    """Text of a page in Markdown, with the values that the core was built with."""
    lines = ["<!-- Generated from SystemRDL. -->", ""]
    lines += [f"# {registers.get_property('name')}", "", registers.get_property("desc") or "", ""]
    lines += ["| offset | register | |", "|---:|---|---|"]
    for reg in _registers(registers):
        lines.append(f"| {reg.absolute_address:#04x} | `{reg.get_rel_path(registers)}` | {_title(reg)} |")
    lines += ["", "Access: r read, w write, w1c write a 1 to clear, pulse write a 1 for one clock."]
    for reg in _registers(registers):
        lines += ["", f"## {reg.absolute_address:#04x} `{reg.get_rel_path(registers)}`", ""]
        if text := reg.get_property("desc"):
            lines += [text, ""]
        lines += ["| bits | field | access | reset | |", "|---:|---|---|---:|---|"]
        for field in reg.fields():
            bits = f"{field.high}:{field.low}" if field.width > 1 else f"{field.low}"
            lines.append(
                f"| {bits} | `{field.inst_name}` | {_access(field)} | {_reset(field)} | {_meaning(field)} |",
            )
    return "\n".join([*lines, ""])


def _registers(registers: AddrmapNode) -> Iterator[RegNode]:
    return (node for node in registers.descendants() if isinstance(node, RegNode))


def _title(reg: RegNode) -> str:
    """Name of a register behind that of its group."""
    group = "" if isinstance(reg.parent, AddrmapNode) else f"{reg.parent.get_property('name')}: "
    return group + reg.get_property("name")


def _access(field: FieldNode) -> str:
    if field.get_property("singlepulse"):
        return "pulse"
    if field.get_property("onwrite") is OnWriteType.woclr:
        return "r, w1c"
    return "rw" if field.is_sw_writable else "r"


def _reset(field: FieldNode) -> str:
    """Reset value, for people: long ones as they stand in memory."""
    value = field.get_property("reset")
    return "" if value is None else str(value) if value < 1 << 17 else f"{value:#010x}"


def _meaning(field: FieldNode) -> str:
    """Description, with the names of values where it is one of several."""
    encoding = list(field.get_property("encode") or ())
    names = "; ".join(f"{entry.value} {entry.rdl_name}" for entry in encoding) if len(encoding) > 1 else ""
    return " ".join(filter(None, [field.get_property("desc"), names and f"{names}."]))
