# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Faults planted in the registers: a wrong word in their SystemRDL, in their logic, or between them and the bus."""

import tempfile
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring
from systemrdl.node import FieldNode

from ..hdl import registers as registers_module
from ..hdl.axi_lite import AxiLiteSlave
from ..hdl.registers import RegisterFile
from ..model.config import CoreConfig
from ..model.registers import RDL_FILE, compiled_registers, core_registers
from .faults import Fault

_CONFIG = CoreConfig.named("cell-72")


def _misread(old: str, new: str) -> RegisterFile:
    """Registers made of other words than the file's."""
    text = RDL_FILE.read_text()
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / RDL_FILE.name
        path.write_text(text.replace(old, new))
        return RegisterFile(compiled_registers(path, core_registers(_CONFIG).parameters))


class SpoiltSlave(wiring.Component):
    """A slave with one thing wrong between it and its ports."""

    def __init__(self, address_bits: int) -> None:
        self.inner = AxiLiteSlave(address_bits)
        super().__init__(self.inner.signature)

    def elaborate(self, platform: Any) -> Module:
        m: Any = Module()
        outer, inner = self, self.inner
        m.submodules.inner = self.inside(m)
        for path, member, port in inner.signature.flatten(inner):
            outside: Any = outer
            for name in path:
                outside = getattr(outside, str(name))
            m.d.comb += port.eq(outside) if member.flow is wiring.In else outside.eq(port)
        # Of two assignments in one module the later wins.
        self.spoil(m, outer, inner)
        return m

    def inside(self, m: Any) -> Any:
        """Return what is elaborated as the healthy slave."""
        return self.inner

    @abstractmethod
    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        """Override one of the connections."""


class StrobesIgnored(SpoiltSlave):
    """Every byte is written."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.write_strobe.eq(0b1111)


class AddressAliased(SpoiltSlave):
    """The highest address bit does not count."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.read_address.eq(inner.read_address[:-1])


class HighBitLost(SpoiltSlave):
    """Bit 10 of one counter is not read."""

    bit = 10

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        elsewhere = inner.read_address[2:] != 0x94 >> 2
        m.d.comb += inner.read_data[self.bit].eq(outer.read_data[self.bit] & elsewhere)


class HighestBitLost(HighBitLost):
    """Bit 31 is not: no bench can count that far."""

    bit = 31


class AnythingWrites(SpoiltSlave):
    """Every write is answered OKAY."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += inner.write_okay.eq(1)


class AnythingReads(SpoiltSlave):
    """Every read is answered OKAY."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += inner.read_okay.eq(1)


class WrittenTwice(SpoiltSlave):
    """A write is done again in the next clock."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        again = Signal()
        m.d.sync += again.eq(inner.write)
        m.d.comb += outer.write.eq(inner.write | again)


class AnswerFalls(SpoiltSlave):
    """An answer to a write is not shown in the second clock in which it waits."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        waited = Signal()
        m.d.sync += waited.eq(outer.s_axi.bvalid & ~outer.s_axi.bready)
        m.d.comb += outer.s_axi.bvalid.eq(inner.s_axi.bvalid & ~waited)


class DataMoves(SpoiltSlave):
    """What was read goes on changing while it waits."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        waited = Signal()
        m.d.sync += waited.eq(outer.s_axi.rvalid & ~outer.s_axi.rready)
        m.d.comb += outer.s_axi.rdata.eq(inner.s_axi.rdata ^ waited)


class ReadyWaits(SpoiltSlave):
    """The address of a write is taken only together with its data."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += [
            outer.s_axi.awready.eq(inner.s_axi.awready & outer.s_axi.wvalid),
            inner.s_axi.awvalid.eq(outer.s_axi.awvalid & outer.s_axi.wvalid),
        ]


class OlderData(SpoiltSlave):
    """What is read is one clock old."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        old = Signal(32)
        m.d.sync += old.eq(outer.read_data)
        m.d.comb += inner.read_data.eq(old)


class HalfRate(SpoiltSlave):
    """Addresses of reads are taken in every fourth clock."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        turn = Signal(2)
        m.d.sync += turn.eq(turn + 1)
        open_ = turn == 0
        m.d.comb += [
            outer.s_axi.arready.eq(inner.s_axi.arready & open_),
            inner.s_axi.arvalid.eq(outer.s_axi.arvalid & open_),
        ]


class SlaveOutlivesReset(SpoiltSlave):
    """The slave has no reset."""

    def inside(self, m: Any) -> Any:
        m.domains.kept = kept = ClockDomain(local=True, reset_less=True)
        m.d.comb += kept.clk.eq(ClockSignal())
        return DomainRenamer("kept")(self.inner)

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        return


class _WithSlave(RegisterFile):
    """Registers behind a spoilt slave."""

    def __init__(self, slave: type[SpoiltSlave]) -> None:
        self._slave = slave
        super().__init__(core_registers(_CONFIG))

    def elaborate(self, platform: Any) -> Module:
        with patch.object(registers_module, "AxiLiteSlave", self._slave):
            return super().elaborate(platform)


class ClearLosesEvents(RegisterFile):
    """What happens in the clock of a clear is not counted."""

    def _hardware(self, field: FieldNode, now: Value, values: dict[str, Value]) -> Value:
        clear = field.get_property("hwclr")
        after = super()._hardware(field, now, values)
        return Mux(values[clear.get_path()], 0, after) if isinstance(clear, FieldNode) else after


class LateSnapshot(RegisterFile):
    """One counter of the snapshot takes in what happens in its clock."""

    def _hardware(self, field: FieldNode, now: Value, values: dict[str, Value]) -> Value:
        after = super()._hardware(field, now, values)
        if not field.get_path().endswith("snapshot.packets.count"):
            return after
        return (after + (values[field.get_property("we").get_path()] & self.live.packets.count_incr))[: field.width]


def _all_faults() -> dict[str, Fault]:
    both = "accesses/master=random/answers=random"
    faults: dict[str, tuple[Callable[[], Any], str, str]] = {
        "clear hides an error": (
            lambda: _misread("        default precedence = hw;\n", ""),
            "error_races",
            "errors: |read of 0x2c|irq is",
        ),
        "wrong counter in a snapshot": (
            lambda: _misread(
                "snapshot.frames.count -> next = live.frames", "snapshot.frames.count -> next = live.packets"
            ),
            "snapshot_races",
            "read of 0xa0",
        ),
        "counter is not cleared": (
            lambda: _misread("    live.packets.count -> hwclr = command.clear;\n", ""),
            "clears",
            "read of 0x[8a]4",
        ),
        "high bit lost": (lambda: _WithSlave(HighBitLost), "large_counts", "read of 0x94"),
        "highest bit lost": (lambda: _WithSlave(HighestBitLost), "full_counts", "read of 0x94"),
        "wrong bit": (lambda: _misread("idle[15:15]", "idle[14:14]"), "shown", "read of 0x28"),
        "wrong reset value": (
            lambda: _misread("mode[10:8] = FIRST_MODE", "mode[10:8] = 3'd1"),
            "reset_values",
            "mode is",
        ),
        "error without interrupt": (
            lambda: _misread("    errors.bad_mode -> enable = interrupts.bad_mode;\n", ""),
            "error_races",
            "irq",
        ),
        "clear loses events": (lambda: ClearLosesEvents(core_registers(_CONFIG)), "snapshot_races", "read of 0xa"),
        "late snapshot": (lambda: LateSnapshot(core_registers(_CONFIG)), "snapshot_races", "read of 0xa4"),
        "strobes ignored": (lambda: _WithSlave(StrobesIgnored), both, " is |read of "),
        "address aliased": (lambda: _WithSlave(AddressAliased), "every_address", "read of "),
        "anything writes": (lambda: _WithSlave(AnythingWrites), "every_address", "write to .* response 0"),
        "anything reads": (lambda: _WithSlave(AnythingReads), "every_address", "read of .* response 0"),
        "written twice": (lambda: _WithSlave(WrittenTwice), "number_wraps", "value is"),
        "answer falls": (lambda: _WithSlave(AnswerFalls), both, "bvalid fell"),
        "data moves": (lambda: _WithSlave(DataMoves), both, "payload changed"),
        "ready waits for valid": (lambda: _WithSlave(ReadyWaits), "no_combinational_path", "follows an input"),
        "older data": (lambda: _WithSlave(OlderData), both, "read of"),
        "half rate": (lambda: _WithSlave(HalfRate), "throughput", "taken in clocks"),
        "slave outlives a reset": (
            lambda: _WithSlave(SlaveOutlivesReset),
            "reset_mid_access",
            "survived|no write|no read",
        ),
    }
    return {name: Fault("registers", *fields) for name, fields in faults.items()}


REGISTER_FAULTS: dict[str, Fault] = _all_faults()
"""Faults by name."""
