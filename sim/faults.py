# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Planted faults: blocks that are wrong in one way each, and the test that must notice.

A bench that no fault can fail proves nothing. Each fault is a real block whose streams pass through a
saboteur, or that overrides one detail; its attributes tell the bench of the healthy one.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from amaranth.hdl import ClockDomain, ClockSignal, DomainRenamer, Module, Signal, Value
from amaranth.lib import wiring

from ..hdl.decoder import ExpandDecoder
from ..hdl.encoder import ShiftEncoder, TableEncoder, ThresholdEncoder
from ..model.codebook import Codebook


class Saboteur(wiring.Component):
    """A block with the ports and attributes of a healthy one inside, all of them connected, and one thing wrong.

    Parameters
    ----------
    block : Amaranth component
        With streams ``i`` and ``o``, and perhaps ``table`` and ``table_error``.
    """

    def __init__(self, block: Any) -> None:
        self.block = block
        for name in ("codebook", "lanes", "latency", "input_bits", "preload", "method", "fraction_bits", "level_bits"):
            if hasattr(block, name):
                setattr(self, name, getattr(block, name))
        super().__init__(block.signature)

    def elaborate(self, platform: Any) -> Module:
        m: Any = Module()
        outer: Any = self
        m.submodules.block = self.inside(m)
        for into in ("i", "table"):
            if hasattr(outer, into):
                _connect(m, getattr(outer, into), getattr(self.block, into))
        _connect(m, self.block.o, outer.o)
        if hasattr(outer, "table_error"):
            m.d.comb += outer.table_error.eq(self.block.table_error)
        # Of two assignments in one module the later wins.
        self.spoil(m, outer, self.block)
        return m

    def inside(self, m: Any) -> Any:
        """Return what is elaborated as the healthy block."""
        return self.block

    @abstractmethod
    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        """Override one of the connections between the ports outside and those of the healthy block."""


def _connect(m: Any, source: Any, sink: Any) -> None:
    m.d.comb += [sink.p.eq(source.p), sink.valid.eq(source.valid), source.ready.eq(sink.ready)]


def _transfers(m: Any, port: Any) -> Signal:
    """Count transfers over a stream, modulo 32."""
    index = Signal(5)
    with m.If(port.valid & port.ready):
        m.d.sync += index.eq(index + 1)
    return index


def _register(m: Any, source: Any, sink: Any) -> None:
    """Put one register between two streams."""
    full, payload = Signal(), Signal.like(Value.cast(source.p))
    m.d.comb += [source.ready.eq(~full | sink.ready), sink.valid.eq(full), Value.cast(sink.p).eq(payload)]
    with m.If(source.ready):
        m.d.sync += [full.eq(source.valid), payload.eq(source.p)]


def _fields(port: Any) -> tuple[Any, Any]:
    """Values and flags of an output."""
    names = [name for name, _ in port.p.shape()]
    return port.p[names[0]], port.p[names[1]]


def _waited(m: Any, port: Any) -> Value:
    """High in the second and later clocks in which a beat waits."""
    waiting = Signal()
    m.d.sync += waiting.eq(port.valid & ~port.ready)
    return waiting & ~port.ready


class ShiftedTooFar(Saboteur):
    """From 64 to 127 counts are shifted by one bit too many."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        for count, spoilt in zip(outer.i.p.counts, inner.i.p.counts, strict=True):
            with m.If(count >> 6 == 1):
                m.d.comb += spoilt.eq(64 | count[1:6])


class DroppedBeat(Saboteur):
    """One beat in 32 never comes out."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        drop = _transfers(m, inner.o) == 5
        m.d.comb += [outer.o.valid.eq(inner.o.valid & ~drop), inner.o.ready.eq(outer.o.ready | drop)]


class DuplicatedBeat(Saboteur):
    """One beat in 32 comes out twice."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        again = Signal()
        first = (_transfers(m, inner.o) == 5) & ~again
        m.d.comb += inner.o.ready.eq(outer.o.ready & ~first)
        with m.If(outer.o.valid & outer.o.ready):
            m.d.sync += again.eq(first)


class SwappedLanes(Saboteur):
    """Lanes 0 and 1 have changed places on the way out."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        (right, _), (wrong, _) = _fields(inner.o), _fields(outer.o)
        m.d.comb += [wrong[0].eq(right[1]), wrong[1].eq(right[0])]


class LastLost(Saboteur):
    """Every eighth beat ends no frame."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.o.p.last.eq(inner.o.p.last & (_transfers(m, inner.o)[:3] != 0))


class FlagsLost(Saboteur):
    """No flag is ever set."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += _fields(outer.o)[1].eq(0)


class PayloadMoves(Saboteur):
    """A beat that waits shows another value until it is taken: what is taken is right."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        (right, _), (wrong, _) = _fields(inner.o), _fields(outer.o)
        m.d.comb += wrong[0].eq(right[0] ^ _waited(m, inner.o))


class ValidFalls(Saboteur):
    """A beat that waits hides until it is taken: what is taken is right."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.o.valid.eq(inner.o.valid & ~_waited(m, inner.o))


class RegisteredInput(Saboteur):
    """Everything comes one clock late; a beat taken with a table's last word meets the new table."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        _register(m, outer.i, inner.i)


class RegisteredTable(Saboteur):
    """A table serves one clock too late."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        _register(m, outer.table, inner.table)


class HalfRate(Saboteur):
    """A beat is taken in every other clock only."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        phase = Signal()
        m.d.sync += phase.eq(~phase)
        m.d.comb += [inner.i.valid.eq(outer.i.valid & phase), outer.i.ready.eq(inner.i.ready & phase)]


class NoRoom(Saboteur):
    """The input is always ready, whether the beat can be kept or not."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.i.ready.eq(1)


class NoReset(Saboteur):
    """A reset changes nothing."""

    def inside(self, m: Any) -> Any:
        m.domains.unreset = domain = ClockDomain(local=True, reset_less=True)
        m.d.comb += domain.clk.eq(ClockSignal())
        return DomainRenamer("unreset")(self.block)

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        """Leave the connections as they are."""


class ShortTableServes(Saboteur):
    """A table that ends early is filled up and put in force."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        words = (1 << inner.codebook.code_bits) - 1
        sent, filling = Signal(range(words + 1)), Signal()
        final = sent == words - 1
        with m.If(inner.table.valid & inner.table.ready):
            m.d.sync += [sent.eq(sent + 1), filling.eq((filling | outer.table.p.last) & ~final)]
            with m.If((filling | outer.table.p.last) & final):
                m.d.sync += sent.eq(0)
        m.d.comb += [
            inner.table.p.last.eq((filling | outer.table.p.last) & final),
            inner.table.valid.eq(outer.table.valid | filling),
            outer.table.ready.eq(inner.table.ready & ~filling),
        ]


class LongTableServes(Saboteur):
    """The first words of a table that ends late are put in force."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        words = (1 << inner.codebook.code_bits) - 1
        sent = Signal(range(words + 1))
        rest = sent == words
        with m.If(outer.table.valid & outer.table.ready):
            m.d.sync += sent.eq(sent + ~rest)
            with m.If(outer.table.p.last):
                m.d.sync += sent.eq(0)
        m.d.comb += [
            inner.table.p.last.eq(outer.table.p.last | (sent == words - 1)),
            inner.table.valid.eq(outer.table.valid & ~rest),
            outer.table.ready.eq(inner.table.ready | rest),
        ]


class SilentTableError(Saboteur):
    """table_error stays low."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.table_error.eq(0)


class WrappingEncoder(ShiftEncoder):
    """Counts above the range lose their upper bits."""

    def _clamp(self, lane: int) -> tuple[Value, Value]:
        _, above = super()._clamp(lane)
        return cast(Any, self).i.p.counts[lane][: self.codebook.count_bits], above


class WrongWord(TableEncoder):
    """One word of the memory is one code too low, as if an edge lay one count too high."""

    def elaborate(self, platform: Any) -> Module:
        healthy, edges = self.codebook, list(self.codebook.edges)
        edges[9] += 1
        self.codebook = Codebook.from_edges(edges)
        m = super().elaborate(platform)
        self.codebook = healthy
        return m


class NeedsNoTable(ThresholdEncoder):
    """It says that it has no table to begin with, and takes beats nevertheless."""

    def elaborate(self, platform: Any) -> Module:
        self.preload = True
        m = super().elaborate(platform)
        self.preload = False
        return m


class ThresholdOff(ThresholdEncoder):
    """One threshold is one count too high."""

    def _stage_init(self, stage: int) -> list[int]:
        words = super()._stage_init(stage)
        if stage == 2:
            words[1] += 1
        return words


class BusyBankOverwritten(ThresholdEncoder):
    """Table words are taken while beats that need the bank are still on their way."""

    def elaborate(self, platform: Any) -> Module:
        m, ports = super().elaborate(platform), cast(Any, self)
        m.d.comb += ports.table.ready.eq(1)
        return m


class LevelOff(ExpandDecoder):
    """One decode level is one step too high."""

    def __init__(self, codebook: Codebook, **options: Any) -> None:
        super().__init__(codebook, **options)
        self._levels[5] += 1


@dataclass(frozen=True)
class Fault:
    """A fault and where it must show.

    Attributes
    ----------
    bench : str
    block : callable
        Makes the faulty block.
    test : str
        Test that must fail, as a regular expression for `run_bench`.
    message : str
        Regular expression that its AssertionError must match.
    """

    bench: str
    block: Callable[[], Any]
    test: str
    message: str


def _all_faults() -> dict[str, Fault]:
    book = Codebook.named("sqrt-b", 8)
    few = Codebook.from_edges([0, 1, 3, 9, 17, 30, 41, 64], name="few")
    wide: dict[str, Any] = {"lanes": 2, "input_bits": 10}

    def shift(saboteur: type[Saboteur]) -> tuple[str, Callable[[], Any]]:
        return "encoder", lambda: saboteur(ShiftEncoder(book, **wide))

    def threshold(saboteur: type[Saboteur]) -> tuple[str, Callable[[], Any]]:
        return "encoder", lambda: saboteur(ThresholdEncoder(few, lanes=2))

    def decoder(saboteur: type[Saboteur]) -> tuple[str, Callable[[], Any]]:
        return "decoder", lambda: saboteur(ExpandDecoder(few, lanes=2))

    pauses, reload = "back_pressure/source=never/sink=random", "table_reload/table=never/source=never/sink=never"
    faults: dict[str, tuple[Any, ...]] = {
        "wrong shift": (*shift(ShiftedTooFar), "every_count", "values differ"),
        "wrong ROM word": (
            "encoder",
            lambda: WrongWord(book, lanes=2),
            "every_count",
            "values differ",
        ),
        "wrong threshold": ("encoder", lambda: ThresholdOff(few, lanes=2), "every_count", "values differ"),
        "swapped lanes": (*shift(SwappedLanes), "every_count", "values differ"),
        "dropped beat": (*shift(DroppedBeat), pauses, "beats came out"),
        "duplicated beat": (*shift(DuplicatedBeat), pauses, "lost or repeated"),
        "tlast lost": (*shift(LastLost), pauses, "tlast differs"),
        "payload moves": (*shift(PayloadMoves), pauses, "payload changed while waiting"),
        "tvalid falls": (*shift(ValidFalls), pauses, "tvalid fell"),
        "dropped beat, pipeline": (*threshold(DroppedBeat), pauses, "beats came out"),
        "payload moves, pipeline": (*threshold(PayloadMoves), pauses, "payload changed while waiting"),
        "one clock more": (*shift(RegisteredInput), "throughput", "latency is 2"),
        "half rate": (*shift(HalfRate), "throughput", "beats were taken in clocks"),
        "no room": (*shift(NoRoom), "capacity", "capacity is"),
        "no room, pipeline": (*threshold(NoRoom), "capacity", "capacity is"),
        "no reset": (*shift(NoReset), "reset_mid_stream", "survived the reset"),
        "no reset, pipeline": (*threshold(NoReset), "reset_mid_stream", "survived the reset"),
        "wraps": ("encoder", lambda: WrappingEncoder(book, **wide), "saturation", "values differ"),
        "flags lost": (*shift(FlagsLost), "saturation", "flags differ"),
        "table early": (*threshold(RegisteredInput), reload, "values differ"),
        "table late": (*threshold(RegisteredTable), reload, "values differ"),
        "busy bank": ("encoder", lambda: BusyBankOverwritten(few, lanes=2), "table_waits", "words were taken"),
        "short table serves": (*threshold(ShortTableServes), reload, "values differ"),
        "long table serves": (*threshold(LongTableServes), reload, "values differ"),
        "silent table error": (*threshold(SilentTableError), reload, "table_error in clocks"),
        "half a table survives": (
            *threshold(NoReset),
            "table_outlives_reset",
            "table_error after a good table",
        ),
        "takes without a table": (
            "encoder",
            lambda: NeedsNoTable(few, preload=False),
            "table_needed_after_reset",
            "without a table",
        ),
        "wrong level": ("decoder", lambda: LevelOff(few, lanes=2), "every_code", "values differ"),
        "unknown lost": (*decoder(FlagsLost), "every_code", "flags differ"),
        "dropped beat, decoder": (*decoder(DroppedBeat), pauses, "beats came out"),
        "payload moves, decoder": (*decoder(PayloadMoves), pauses, "payload changed while waiting"),
        "one clock more, decoder": (*decoder(RegisteredInput), "throughput", "latency is 2"),
        "no room, decoder": (*decoder(NoRoom), "capacity", "capacity is"),
        "no reset, decoder": (*decoder(NoReset), "reset_mid_stream", "survived the reset"),
    }
    return {name: Fault(*fields) for name, fields in faults.items()}


FAULTS: dict[str, Fault] = _all_faults()
"""All faults by name."""
