# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Registers of a detector core, compiled from `registers.rdl`, and their behaviour, exact to the clock."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from systemrdl import warnings as rdl_warnings
from systemrdl.compiler import RDLCompiler
from systemrdl.node import AddrmapNode, FieldNode
from systemrdl.rdltypes.builtin_enums import OnWriteType, PrecedenceType

from .. import __version__
from .config import CoreConfig

RDL_FILE = Path(__file__).with_name("registers.rdl")
"""The one source of the registers."""


def core_registers(config: CoreConfig | None = None) -> AddrmapNode:
    """Register map of a core.

    Parameters
    ----------
    config : CoreConfig, optional
        Without one the values that a core is built with are 0; the layout is the same in every core.
    """
    return compiled_registers(RDL_FILE, {} if config is None else _parameters(config))


def rdl_text(config: CoreConfig) -> str:
    """Text of the source, with the values that a core is built with in the place of its parameters' defaults."""
    text = RDL_FILE.read_text(encoding="utf-8")
    for name, value in _parameters(config).items():
        text, count = re.subn(rf"\b{name} = 0\b", f"{name} = {value}", text)
        assert count == 1, f"{RDL_FILE.name}: {count} defaults of {name}"
    return text


def compiled_registers(path: Path, parameters: Mapping[str, int]) -> AddrmapNode:
    """Register map of a file in SystemRDL.

    Raises
    ------
    systemrdl.RDLCompileError
        If there is anything wrong with it: what the compiler would only warn of counts too.
    """
    compiler = RDLCompiler(error_flags=rdl_warnings.ALL)
    compiler.compile_file(str(path))
    return compiler.elaborate(parameters=dict(parameters)).top


def _parameters(config: CoreConfig) -> dict[str, int]:
    """Parameters of the file's address map."""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", __version__)
    assert numbers is not None, f"version {__version__} does not begin with three numbers"
    frame, output, projector = config.frame, config.output, config.projector
    values: dict[str, int] = {
        **dict(zip(("MAJOR", "MINOR", "PATCH"), map(int, numbers.groups()), strict=True)),
        "HEIGHT": frame.height,
        "WIDTH": frame.width,
        "LANES": frame.lanes,
        "COUNT_BITS": frame.count_bits,
        "CODE_BITS": config.codebook.code_bits,
        "WORD_OCTETS": config.word_octets,
        "RICE_BLOCK": output.rice_block,
        "BUFFER_FRAMES": output.buffer_frames,
        "PROTECT": int(config.protect),
        "RELOADABLE": int(config.encoder.reloadable),
        "MODES": sum(1 << mode for mode in config.modes),
        "FIRST_MODE": int(config.modes[0]),
    }
    if config.projects:
        values |= {
            "COMPONENTS": projector.components,
            "COLUMNS": projector.columns,
            "WEIGHT_BITS": projector.weight_bits,
            "OUTPUT_BITS": projector.output_bits,
        }
    return values


@dataclass(frozen=True)
class _Field:
    """A field as its model needs it, with the paths of other fields that it looks at."""

    path: str
    address: int
    low: int
    width: int
    reset: int | None
    stores: bool
    readable: bool
    writable: bool
    shown: bool
    pulse: bool
    counter: bool
    sticky: bool
    write_one_to_clear: bool
    software_first: bool
    clear: str | None
    source: str | None
    copy: str | None
    enable: str | None

    @classmethod
    def of(cls, node: FieldNode, top: AddrmapNode) -> Self:
        def path(name: str) -> str | None:
            other = node.get_property(name)
            return other.get_rel_path(top) if isinstance(other, FieldNode) else None

        reset = node.get_property("reset")
        return cls(
            path=node.get_rel_path(top),
            address=node.parent.absolute_address,
            low=node.low,
            width=node.width,
            reset=reset if isinstance(reset, int) else None,
            stores=node.implements_storage,
            readable=node.is_sw_readable,
            writable=node.is_sw_writable,
            shown=node.is_hw_readable,
            pulse=node.get_property("singlepulse"),
            counter=node.get_property("counter"),
            sticky=node.get_property("intr"),
            write_one_to_clear=node.get_property("onwrite") is OnWriteType.woclr,
            software_first=node.get_property("precedence") is PrecedenceType.hw,
            clear=path("hwclr"),
            source=path("next"),
            copy=path("we"),
            enable=path("enable"),
        )

    def written(self, value: int, data: int, strobes: int) -> int:
        """Value after a write, with one bit of `strobes` a byte of the register."""
        for bit in range(self.width):
            place = self.low + bit
            if strobes >> place // 8 & 1:
                one = data >> place & 1
                kept = value & ~(1 << bit)
                value = kept | one << bit if not self.write_one_to_clear else kept if one else value
        return value


class RegisterModel:
    """What registers hold and show, clock by clock.

    Parameters
    ----------
    registers : AddrmapNode

    Attributes
    ----------
    values : dict of str to int
        What each field holds that holds anything, by its path below the map, such as "control.mode".
    """

    def __init__(self, registers: AddrmapNode) -> None:
        self._fields = [_Field.of(node, registers) for node in registers.descendants() if isinstance(node, FieldNode)]
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.values: dict[str, int] = {field.path: field.reset for field in self._fields if field.reset is not None}

    def outputs(self) -> dict[str, int]:
        """What hardware sees of the fields that it reads, by path; and the interrupt, "irq"."""
        shown = {field.path: self.values[field.path] for field in self._fields if field.shown}
        raised = any(self.values[field.path] and self.values[field.enable] for field in self._fields if field.enable)
        return shown | {"irq": int(raised)}

    def read(self, address: int, inputs: Mapping[str, int]) -> tuple[int, bool]:
        """What software reads: data, and whether the answer is OKAY. `inputs` as for `step`."""
        found = [field for field in self._fields if field.address == address & ~3 and field.readable]
        word = sum(self.values.get(field.path, inputs.get(field.path, 0)) << field.low for field in found)
        return word, bool(found)

    def step(
        self, inputs: Mapping[str, int], *, write: tuple[int, int, int] | None = None, read: int | None = None
    ) -> tuple[bool | None, tuple[int, bool] | None]:
        """Let one clock pass.

        Parameters
        ----------
        inputs : mapping of str to int
            What hardware drives: fields by path, steps of counters by path and "_incr".
        write : (address, data, strobes), optional
            Write of software that takes place in this clock.
        read : int, optional
            Address of a read that takes place.

        Returns
        -------
        okay : bool or None
            Whether the answer to the write is OKAY.
        answer : (data, okay) or None
            To the read, from before the clock.
        """
        answer = None if read is None else self.read(read, inputs)
        okay = None if write is None else False
        before = dict(self.values)
        for field in self._fields:
            if not field.stores:
                continue
            value = 0 if field.pulse else before[field.path]
            if not field.software_first:
                value = self._hardware(field, value, before, inputs)
            if write is not None and field.writable and field.address == write[0] & ~3:
                okay = True
                value = field.written(value, *write[1:])
            if field.software_first:
                value = self._hardware(field, value, before, inputs)
            self.values[field.path] = value % (1 << field.width)
        return okay, answer

    def _hardware(self, field: _Field, value: int, before: Mapping[str, int], inputs: Mapping[str, int]) -> int:
        if field.counter:
            cleared = field.clear is not None and before[field.clear]
            return (0 if cleared else value) + inputs[f"{field.path}_incr"]
        if field.sticky:
            return value | inputs[field.path]
        if field.source is not None and field.copy is not None and before[field.copy]:
            return before[field.source]
        return value
