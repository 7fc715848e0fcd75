# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Driver of a detector core's registers, for any bus that reads and writes 32 bit words."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from systemrdl.node import FieldNode, RegNode

from .config import Mode
from .registers import core_registers


class Bus(Protocol):
    """Access to the registers: a mapped device, a debug bridge, a simulation."""

    def read(self, offset: int) -> int:
        """Return the 32 bit word at an offset from the core's first register."""
        ...

    def write(self, offset: int, value: int) -> None:
        """Write a 32 bit word."""
        ...


@dataclass(frozen=True)
class Capabilities:
    """What a core was built with, as its registers tell; the names are those of `CoreConfig` and its parts.

    Attributes
    ----------
    version : tuple of int
        Of the package that the core was made with.
    modes : tuple of Mode
    height, width, lanes, count_bits, code_bits, word_octets, rice_block, buffer_frames : int
    components, columns, weight_bits, output_bits : int
        0 without a projector.
    protect, reloadable : bool
    """

    version: tuple[int, int, int]
    modes: tuple[Mode, ...]
    height: int
    width: int
    lanes: int
    count_bits: int
    code_bits: int
    word_octets: int
    rice_block: int
    buffer_frames: int
    components: int
    columns: int
    weight_bits: int
    output_bits: int
    protect: bool
    reloadable: bool


class Driver:
    """A core's registers by name: "control" is a register, "control.mode" a field of it.

    It changes nothing by itself. One driver a core at a time: writing a field reads its register first.

    Parameters
    ----------
    bus : Bus

    Attributes
    ----------
    capabilities : Capabilities

    Raises
    ------
    ValueError
        If there is no core on the bus, or one with registers that this driver does not know.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        top = core_registers()
        self._registers = {node.get_rel_path(top): node for node in top.descendants() if isinstance(node, RegNode)}
        self._fields = {node.get_rel_path(top): node for node in top.descendants() if isinstance(node, FieldNode)}
        for name, what in (("identity.magic", "no core"), ("version.map", "a core with other registers")):
            found, expected = self.read(name), self._fields[name].get_property("reset")
            if found != expected:
                raise ValueError(f"{name}: {found:#x}, expected {expected:#x}: there is {what} on this bus")
        self.capabilities = self._capabilities()

    def read(self, name: str) -> int:
        """Value of a register or of a field.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name in self._registers:
            return self._bus.read(self._registers[name].absolute_address)
        field = self._field(name)
        return self._bus.read(field.parent.absolute_address) >> field.low & _ones(field)

    def write(self, name: str, value: int) -> None:
        """Write a field, and leave the others of its register alone.

        Raises
        ------
        ValueError
            If there is none of that name, it can only be read, or the value does not fit.
        """
        field = self._field(name)
        if not field.is_sw_writable:
            raise ValueError(f"{name}: it can only be read")
        if not 0 <= value <= _ones(field):
            raise ValueError(f"{name}: {value}, expected 0 to {_ones(field)}")
        offset = field.parent.absolute_address
        # A 1 to clear, or for a pulse, would do something to the others: theirs is 0.
        kept = sum(
            _ones(other) << other.low
            for other in field.parent.fields(sw_writable_only=True)
            if other != field and other.get_property("onwrite") is None and not other.get_property("singlepulse")
        )
        self._bus.write(offset, (self._bus.read(offset) & kept if kept else 0) | value << field.low)

    def set_mode(self, mode: Mode) -> None:
        """Ask for a mode, for the frames that begin from now on.

        Raises
        ------
        ValueError
            If the core was not built for it.
        """
        if mode not in self.capabilities.modes:
            built = ", ".join(known.label for known in self.capabilities.modes)
            raise ValueError(f"mode {mode.label}: the core was built for {built}")
        self.write("control.mode", mode)

    def counters(self, *, clear: bool = False) -> dict[str, int]:
        """All counters at one moment.

        Parameters
        ----------
        clear : bool
            They begin again at 0 in that very moment: no event is lost, or counted twice.
        """
        commands = ["command.snapshot", "command.clear"] if clear else ["command.snapshot"]
        self._bus.write(
            self._registers["command"].absolute_address, sum(1 << self._fields[name].low for name in commands)
        )
        return {name.split(".")[1]: self.read(name) for name in self._registers if name.startswith("snapshot.")}

    def errors(self) -> set[str]:
        """Names of what has happened since it was last cleared, such as "short_frame"."""
        word = self.read("errors")
        return {name for name, bit in self._error_bits().items() if word & bit}

    def clear_errors(self, names: Iterable[str] | None = None) -> None:
        """Clear errors of these names, by default all.

        Raises
        ------
        ValueError
            If there is none of a name.
        """
        self._bus.write(self._registers["errors"].absolute_address, self._error_word(names))

    def interrupt_on(self, names: Iterable[str]) -> None:
        """Have errors of these names, and no others, raise the interrupt.

        Raises
        ------
        ValueError
            If there is none of a name.
        """
        self._bus.write(self._registers["interrupts"].absolute_address, self._error_word(names))

    def wait(self, name: str, value: int, *, seconds: float = 1.0) -> None:
        """Wait until a field has a value: "status.idle" 1, for one.

        Raises
        ------
        TimeoutError
            If it has not after so many seconds.
        """
        end = time.monotonic() + seconds
        while (found := self.read(name)) != value:
            if time.monotonic() >= end:
                raise TimeoutError(f"{name}: {found} after {seconds} s, expected {value}")
            time.sleep(0.001)

    def _field(self, name: str) -> FieldNode:
        if name not in self._fields:
            raise ValueError(f"{name}: no such field, expected {', '.join(self._fields)}")
        return self._fields[name]

    def _error_bits(self) -> dict[str, int]:
        return {field.inst_name: 1 << field.low for field in self._registers["errors"].fields()}

    def _error_word(self, names: Iterable[str] | None) -> int:
        bits = self._error_bits()
        chosen = set(bits if names is None else names)
        if unknown := sorted(chosen - bits.keys()):
            raise ValueError(f"error {unknown[0]!r}: known are {', '.join(bits)}")
        return sum(bits[name] for name in chosen)

    def _capabilities(self) -> Capabilities:
        mask = self.read("modes.mask")
        values = {
            field.inst_name: self.read(f"{reg}.{field.inst_name}")
            for reg in ("frame", "beat", "projector", "coefficients", "build")
            for field in self._registers[reg].fields()
        }
        return Capabilities(
            version=(self.read("version.major"), self.read("version.minor"), self.read("version.patch")),
            modes=tuple(mode for mode in Mode if mask >> mode & 1),
            protect=bool(values.pop("protect")),
            reloadable=bool(values.pop("reloadable")),
            **values,
        )


def _ones(field: FieldNode) -> int:
    """Largest value of a field."""
    return (1 << field.width) - 1
