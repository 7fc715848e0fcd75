# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Planted faults: blocks that are wrong in one way each, and the test that must notice.

A bench that no fault can fail proves nothing. Each fault is a real block whose streams pass through a
saboteur, or that overrides one detail; its attributes tell the bench of the healthy one.
"""

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from amaranth.hdl import ClockDomain, ClockSignal, Const, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring

from ..hdl import projector as projector_module
from ..hdl.code_projector import CodeProjector
from ..hdl.decoder import ExpandDecoder
from ..hdl.encoder import ShiftEncoder, TableEncoder, ThresholdEncoder
from ..hdl.projector import Projector
from ..hdl.weights import WeightMemory
from ..model.codebook import Codebook
from ..model.projection import ProjectionFormat
from .run import Simulator, SlowMultiplier, run_bench


class Saboteur(wiring.Component):
    """A block with the ports and attributes of a healthy one inside, all of them connected, and one thing wrong.

    Parameters
    ----------
    block : Amaranth component
        With streams ``i`` and ``o``, and perhaps ``table`` and ``table_error``.
    """

    def __init__(self, block: Any) -> None:
        self.block = block
        for name in (
            *("codebook", "lanes", "latency", "input_bits", "preload", "method", "fraction_bits", "level_bits"),
            *("format", "columns", "beats", "phases", "frame_clocks", "encoder", "projector"),
            *("rice", "octets", "longest"),
            *("packer", "chunk_bits", "msb_first", "value_bits", "code_bits", "last_values"),
        ):
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


class RegisteredOutput(Saboteur):
    """Everything comes out one clock late."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        _register(m, inner.o, outer.o)


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
        words = _table_words(inner)
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
        words = _table_words(inner)
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


class ShortLost(Saboteur):
    """A frame that ended early looks like any other."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        m.d.comb += outer.o.p.flags.short.eq(0)


class IdleClock(Saboteur):
    """Between two frames one clock is lost."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        closed = Signal(range(inner.phases + 1))
        with m.If(closed != 0):
            m.d.sync += closed.eq(closed - 1)
        with m.If(inner.i.valid & inner.i.ready & inner.i.p.last):
            m.d.sync += closed.eq(inner.phases)
        free = closed == 0
        m.d.comb += [inner.i.valid.eq(outer.i.valid & free), outer.i.ready.eq(inner.i.ready & free)]


class PaddingClips(Saboteur):
    """In front of a projector: a count above the range clips its frame where it is no pixel."""

    def spoil(self, m: Any, outer: Any, inner: Any) -> None:
        above = (count >= inner.encoder.codebook.edges[-1] for count in outer.i.p.counts)
        clipped = Signal()
        with m.If(outer.i.valid & outer.i.ready):
            m.d.sync += clipped.eq(Value.cast(sum(above)).any() | (clipped & ~outer.i.p.last))
        with m.If(clipped):
            m.d.comb += outer.o.p.flags.clipped.eq(1)


def driven(m: Any, name: str) -> Any:
    """Signal that a module drives, by its name; there is one."""
    (signal,) = (signal for signal in m._driving if signal.name == name)
    return signal


class SpoiltProjector(Projector):
    """A projector in which a later assignment overrides one of its own."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        self.spoil(m, self)
        return m

    @abstractmethod
    def spoil(self, m: Any, ports: Any) -> None:
        """Override one assignment."""


class PaddingCounts(SpoiltProjector):
    """What comes in lanes beyond the last pixel counts."""

    def spoil(self, m: Any, ports: Any) -> None:
        with m.If(ports.i.valid & ports.i.ready):
            m.d.sync += driven(m, "values").eq(Value.cast(ports.i.p.values))


class RestIsFrame(SpoiltProjector):
    """Of what follows the last beat that a frame should have one beat is dropped, the others are the next frame."""

    def spoil(self, m: Any, ports: Any) -> None:
        excess = driven(m, "excess")
        with m.If(excess):
            m.d.sync += excess.eq(0)


class RoomIgnored(SpoiltProjector):
    """Coefficients come whether the FIFO has room or not."""

    def spoil(self, m: Any, ports: Any) -> None:
        m.d.sync += driven(m, "room").eq(1)


class ClippedSticks(SpoiltProjector):
    """Once a frame was clipped all later ones are."""

    def spoil(self, m: Any, ports: Any) -> None:
        clipped = driven(m, "clipped")
        with m.If(clipped):
            m.d.sync += clipped.eq(1)


class ConstantsEarly(SpoiltProjector):
    """First values and shifts are those of a later row."""

    def spoil(self, m: Any, ports: Any) -> None:
        memory = m.submodules.memory
        m.d.comb += memory.constants_row.eq(memory.row)


class RefittedProjector(Projector):
    """A projector with one of its parts, found by name in its module, replaced by a wrong one."""

    part: str

    def elaborate(self, platform: Any) -> Module:
        wrong = partial(self.refit, getattr(projector_module, self.part))
        with patch.object(projector_module, self.part, wrong):
            return super().elaborate(platform)

    @abstractmethod
    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        """Stand for the part, which is handed over."""


class RingTooLong(RefittedProjector):
    """A sum comes back one row late."""

    part = "_ring"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        *most, places = arguments
        return healthy(*most, places + 1)


class RingTooShort(RefittedProjector):
    """A sum comes back one row early."""

    part = "_ring"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        *most, places = arguments
        return healthy(*most, places - 1)


class BiasInEveryBeat(RefittedProjector):
    """Every beat of a frame adds the first value."""

    part = "_ring"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        m, name, *_ = arguments
        return healthy(*arguments) + m.submodules.memory.preload[int(name.removeprefix("ring_"))]


class HalfStepLost(RefittedProjector):
    """Half a step is not there when the sum is shifted: it is rounded down."""

    part = "_shift_right"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        m, value, shift = arguments
        return healthy(m, value - ((Const(1) << shift) >> 1), shift)


class Wraps(RefittedProjector):
    """A coefficient that needs more bits loses the upper ones."""

    part = "_saturate"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        m, value, bits = arguments
        low = Signal(bits)
        m.d.sync += low.eq(value)
        wrong = Signal(bits)
        m.d.sync += wrong.eq(low)
        return wrong.as_signed(), healthy(*arguments)[1]


class WrongLimit(RefittedProjector):
    """What is too low becomes the negative of the largest coefficient."""

    part = "_saturate"

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        result, saturated = healthy(*arguments)
        lowest = -(1 << (arguments[2] - 1))
        return Mux(saturated & (result == lowest), lowest + 1, result), saturated


class UnusedColumnsShown(RefittedProjector):
    """Columns without a component show whatever the memory had when it was switched on."""

    part = "WeightMemory"

    def elaborate(self, platform: Any) -> Module:
        self.healthy = self.format
        self.format = replace(self.healthy, components=self.phases * self.columns)
        try:
            return super().elaborate(platform)
        finally:
            self.format = self.healthy

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        return FullMemory(self.healthy, **options)


class WrongMemory(RefittedProjector):
    """A projector with another memory of weights."""

    part = "WeightMemory"
    weight_memory: type[WeightMemory] = WeightMemory
    options: dict[str, Any] = {}  # noqa: RUF012, never changed

    def refit(self, healthy: Any, *arguments: Any, **options: Any) -> Any:
        return self.weight_memory(*arguments, **options | self.options)


class BankTakenAtOnce(WrongMemory):
    """A bank is filled anew while rows of the frame before may still be read from it."""

    options = {"settle": 0}  # noqa: RUF012, never changed


def _spoilt_memory(spoil: Callable[[Any, Any], None]) -> type[WrongMemory]:
    """Projector whose memory of weights has one assignment overridden."""

    class Memory(WeightMemory):
        def elaborate(self, platform: Any) -> Module:
            m = super().elaborate(platform)
            spoil(m, self)
            return m

    class Wrong(WrongMemory):
        weight_memory = Memory

    return Wrong


class FullMemory(WeightMemory):
    """As a memory is that was not switched on just now: full of anything."""

    def elaborate(self, platform: Any) -> Module:
        m: Any = super().elaborate(platform)
        for column in range(self.columns):
            init = m.submodules[f"preload_{column}"].data.init
            for row in range(len(init)):
                init[row] = row + 1
        return m


def _old_weights(m: Any, memory: Any) -> None:
    """A frame that begins in the clock of a swap gets the weights of the old table."""
    place, depth = driven(m, "place"), memory.beats * memory.phases
    old, upper = Signal(), place >= depth
    with m.If(memory.between):
        m.d.sync += old.eq(upper)
    for column in range(memory.columns):
        m.d.comb += m.submodules[f"weights_{column}"].address.eq(place - Mux(upper, depth, 0) + Mux(old, depth, 0))


def _always_loaded(m: Any, memory: Any) -> None:
    """There is a table even if there is none."""
    m.d.comb += memory.loaded.eq(1)


def _always_ready(m: Any, memory: Any) -> None:
    """A table that is complete and waits is overwritten by the next."""
    m.d.comb += memory.table.ready.eq(1)


def _overrun_forgotten(m: Any, memory: Any) -> None:
    """A table that is too long serves if its end comes round."""
    m.d.sync += driven(m, "overrun").eq(0)


def _runs_over(m: Any, memory: Any) -> None:
    """What follows the final word of a table goes on into the memory; for one lane."""
    taken = memory.table.valid & memory.table.ready
    m.d.sync += driven(m, "write_weights").eq(taken & (driven(m, "part") == 0))


def _table_words(block: Any) -> int:
    """Words of a table."""
    if hasattr(block, "format"):
        return block.format.components * (block.beats * block.lanes + 2)
    return (1 << block.codebook.code_bits) - 1


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

    def missed(self, simulator: Simulator, seed: int, directory: Path) -> str | None:
        """Run the test; None if it fails, and with nothing but the message, otherwise what came of it."""
        result = run_bench(
            self.block(), self.bench, simulator=simulator, seed=seed, tests=[self.test], directory=directory
        )
        if not result.failures:
            return f"not caught: {result}"
        expected = (
            failure.kind == "AssertionError" and re.search(self.message, failure.message) for failure in result.failures
        )
        return None if all(expected) else str(result)


def one_a_test(faults: Mapping[str, Fault]) -> frozenset[str]:
    """Names of some of the faults: the first for each test that has to notice any."""
    first = {fault.test.partition("/")[0]: name for name, fault in reversed(faults.items())}
    return frozenset(first.values())


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
    return {name: Fault(*fields) for name, fields in faults.items()} | _projector_faults()


def _projector_faults() -> dict[str, Fault]:
    size = ProjectionFormat(pixels=5, components=5, input_bits=4, weight_bits=4, output_bits=6)
    point = ProjectionFormat(pixels=1, components=2, input_bits=3, weight_bits=4, output_bits=5)
    few = Codebook.from_edges([0, 1, 3, 9, 17, 30, 41, 64], name="few")
    codes = replace(size, input_bits=few.code_bits)
    beat: dict[str, Any] = {"lanes": 2, "columns": 2}

    def around(saboteur: type[Saboteur]) -> Callable[[], Any]:
        return lambda: saboteur(Projector(size, **beat))

    def instead(projector: type[Projector]) -> Callable[[], Any]:
        return lambda: projector(size, **beat)

    def memory(spoil: Callable[[Any, Any], None]) -> Callable[[], Any]:
        return instead(_spoilt_memory(spoil))

    def behind(projector: type[Projector]) -> CodeProjector:
        return CodeProjector(TableEncoder(few, lanes=2, input_bits=8), projector(codes, **beat))

    pauses, odd = "back_pressure/source=never/sink=random", "odd_frames/source=random/sink=random"
    reload, meets = "table_reload/table=never/source=never/sink=never", "table_meets_frame"
    faults: dict[str, tuple[Callable[[], Any], str, str]] = {
        "swapped columns": (around(SwappedLanes), pauses, "values differ"),
        "dropped row": (around(DroppedBeat), pauses, "beats came out"),
        "duplicated row": (around(DuplicatedBeat), pauses, "lost or repeated"),
        "end lost": (around(LastLost), pauses, "tlast differs"),
        "row moves": (around(PayloadMoves), pauses, "payload changed while waiting"),
        "row hides": (around(ValidFalls), pauses, "tvalid fell"),
        "ring too long": (instead(RingTooLong), pauses, "values differ|undefined bits"),
        "ring too short": (instead(RingTooShort), pauses, "values differ|undefined bits"),
        "bias in every beat": (instead(BiasInEveryBeat), pauses, "values differ"),
        "padding counts": (instead(PaddingCounts), pauses, "values differ"),
        "unused columns shown": (instead(UnusedColumnsShown), pauses, "values differ|undefined bits"),
        "constants early": (instead(ConstantsEarly), pauses, "values differ"),
        "half a step lost": (instead(HalfStepLost), "extremes", "values differ"),
        "coefficient wraps": (instead(Wraps), "extremes", "values differ"),
        "wrong limit": (instead(WrongLimit), "extremes", "values differ"),
        "saturation not flagged": (around(FlagsLost), "extremes", "flags differ"),
        "idle clock": (around(IdleClock), "throughput/sink=never", "beats were taken in clocks"),
        "one clock more, projector": (around(RegisteredOutput), "throughput/sink=never", "latency is"),
        "room ignored": (instead(RoomIgnored), "capacity", "capacity"),
        "short not flagged": (around(ShortLost), odd, "flags differ"),
        "rest is a frame": (instead(RestIsFrame), odd, "differ|lost or repeated"),
        "clipped sticks": (lambda: behind(ClippedSticks), "clipping", "flags differ"),
        "padding clips": (lambda: PaddingClips(behind(Projector)), "clipping", "flags differ"),
        "old weights": (memory(_old_weights), meets, "values differ"),
        "swap early": (around(RegisteredInput), meets, "values differ"),
        "swap late": (around(RegisteredTable), meets, "values differ"),
        "bank taken at once": (
            lambda: BankTakenAtOnce(point, lanes=1, columns=2, multiplier=SlowMultiplier),
            reload,
            "values differ",
        ),
        "short table of weights serves": (around(ShortTableServes), reload, "differ"),
        "long table of weights serves": (memory(_overrun_forgotten), reload, "differ|table_error in clocks"),
        "long table runs over": (
            lambda: _spoilt_memory(_runs_over)(size, lanes=1, columns=2),
            reload,
            "values differ",
        ),
        "silent table error, projector": (around(SilentTableError), reload, "table_error in clocks"),
        "waiting table overwritten": (memory(_always_ready), "table_waits", "words were taken"),
        "weights not needed": (memory(_always_loaded), "table_needed", "without a table|undefined bits"),
        "no reset, projector": (around(NoReset), "reset_mid_stream", "without a table|survived the reset"),
    }
    return {name: Fault("projector", *fields) for name, fields in faults.items()}


FAULTS: dict[str, Fault] = _all_faults()
"""All faults by name."""
