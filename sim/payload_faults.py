# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Planted faults: packers and zeromask encoders that are wrong in one way each, and the test that must notice."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Cat, Module, Value
from amaranth.lib.data import View

from ..hdl import packer as packer_module
from ..hdl import zeromask as zeromask_module
from ..hdl.packer import BitPacker, ChunkCutter, Packer
from ..hdl.zeromask import BeatCollector, ZeromaskEncoder
from .faults import (
    DroppedBeat,
    DuplicatedBeat,
    Fault,
    FlagsLost,
    HalfRate,
    LastLost,
    NoReset,
    NoRoom,
    PayloadMoves,
    RegisteredOutput,
    Saboteur,
    SwappedLanes,
    ValidFalls,
    driven,
)
from .run import SizedChunks

Spoil = Callable[[Any, Any], None]


def _spoilt(part: type[Any], spoil: Spoil) -> type[Any]:
    """Class of a part in which a later assignment overrides one of its own."""

    class Spoilt(part):
        def elaborate(self, platform: Any) -> Module:
            m = super().elaborate(platform)
            spoil(m, self)
            return m

    return Spoilt


def _packer(spoil: Spoil, chunk_bits: int = 13, octets: int = 2) -> Callable[[], Any]:
    """Make a packer that is spoilt."""
    return lambda: SizedChunks(chunk_bits, octets, packer=_spoilt(BitPacker, spoil))


def _advancing(m: Any) -> Any:
    return m.If(driven(m, "advance"))


def _noise_kept(m: Any, packer: Any) -> None:
    """Bits above the size of a chunk count."""
    with _advancing(m):
        m.d.sync += driven(m, "bits").eq(packer.i.p.bits)


def _frames_run_together(m: Any, packer: Any) -> None:
    """A frame begins where the one before ended."""
    with _advancing(m):
        m.d.sync += driven(m, "fill").eq(driven(m, "rest"))


def _pushed_early(m: Any, packer: Any) -> None:
    """A word leaves as soon as it is full, and if the frame ends there, another behind it."""
    m.d.comb += driven(m, "push").eq(driven(m, "ended") | (driven(m, "total") >= 8 * packer.octets))


def _end_waits(m: Any, packer: Any) -> None:
    """The final word of a frame waits for the next frame."""
    ended = driven(m, "ended")
    with _advancing(m), m.If(~packer.i.valid & ended):
        m.d.sync += [ended.eq(1), driven(m, "fill").eq(driven(m, "fill")), driven(m, "pushes").eq(0)]


def _size_rounded_down(m: Any, packer: Any) -> None:
    """An octet that is filled in part is not counted."""
    with _advancing(m), m.If(driven(m, "ended")):
        m.d.sync += driven(m, "octets").eq(driven(m, "end_bits") >> 3)


def _carry_lost(m: Any, packer: Any) -> None:
    """What of a chunk does not fit the word is lost."""
    with _advancing(m), m.If(driven(m, "pushes_2")):
        m.d.sync += driven(m, "held").eq(0)


def _reset_forgets(m: Any, packer: Any) -> None:
    """What was on its way when the reset came is in the next word."""
    m.d.comb += Cat(driven(m, "word"), driven(m, "carried")).eq(driven(m, "placed") | driven(m, "held"))


def _piece_too_many(m: Any, cutter: Any) -> None:
    """A chunk that fills its last piece gets an empty one behind it."""
    chunk: Any = View(cutter.i.p.shape(), driven(m, "chunk"))
    more = chunk.size >= cutter.piece_bits
    m.d.comb += [
        cutter.i.ready.eq(~driven(m, "held") | (cutter.o.ready & ~more)),
        cutter.o.p.last.eq(chunk.last & ~more),
    ]


class WrongCutter(BitPacker):
    """A packer of wide chunks whose pieces are wrong."""

    def elaborate(self, platform: Any) -> Module:
        with patch.object(packer_module, "ChunkCutter", _spoilt(ChunkCutter, _piece_too_many)):
            return super().elaborate(platform)


class LowestFirst(BitPacker):
    """The first bit is the lowest, though it should be the highest."""

    def _ordered(self, word: Value) -> Value:
        return word


class AllLanesCount(Packer):
    """All lanes of the last beat count."""

    def elaborate(self, platform: Any) -> Module:
        healthy, self.last_values = self.last_values, self.lanes
        m = super().elaborate(platform)
        self.last_values = healthy
        return m


class GroupNotCleared(ZeromaskEncoder):
    """A group that is incomplete keeps codes of the one before."""

    def elaborate(self, platform: Any) -> Module:
        with patch.object(zeromask_module, "BeatCollector", _spoilt(BeatCollector, _group_kept)):
            return super().elaborate(platform)


def _group_kept(m: Any, collector: Any) -> None:
    group: Any = View(collector.o.p.shape(), driven(m, "group"))
    with m.If(collector.i.valid & collector.i.ready & (driven(m, "place") == 0)):
        for code in [*group.values][collector.lanes :]:
            m.d.sync += code.eq(code)


class FullNeighbour(ZeromaskEncoder):
    """Behind a neighbour without a 0 codes do not move, nor does it count."""

    def _joined(self, m: Module, advance: Any, left: Any, right: Any) -> Any:
        return super()._joined(m, advance, replace(left, count=left.count[:-1]), right)


def _all_faults() -> dict[str, Fault]:
    def around(saboteur: type[Saboteur]) -> Callable[[], Any]:
        return lambda: saboteur(SizedChunks(13, 2))

    def behind(saboteur: type[Saboteur]) -> Callable[[], Any]:
        return lambda: saboteur(ZeromaskEncoder(5, 4, 4))

    pauses, step = "back_pressure/source=never/sink=random", "every_step"
    wrong = "beats came out|lost or repeated|differ"
    packers: dict[str, tuple[Callable[[], Any], str, str]] = {
        "dropped word": (around(DroppedBeat), pauses, wrong),
        "duplicated word": (around(DuplicatedBeat), pauses, "lost or repeated"),
        "end of words lost": (around(LastLost), pauses, "tlast differ"),
        "sizes lost": (around(FlagsLost), pauses, "sizes differ"),
        "swapped octets": (around(SwappedLanes), pauses, "octets differ"),
        "word moves": (around(PayloadMoves), pauses, "payload changed while waiting"),
        "word hides": (around(ValidFalls), pauses, "tvalid fell"),
        "no room, packer": (around(NoRoom), pauses, wrong),
        "half rate, packer": (around(HalfRate), "throughput", "beats were taken in clocks"),
        "one clock more, packer": (around(RegisteredOutput), "throughput", "words came in clocks"),
        "no reset, packer": (around(NoReset), "reset_mid_stream", f"survived the reset|{wrong}"),
        "noise kept": (_packer(_noise_kept, 8, 1), step, "octets differ"),
        "frames run together": (_packer(_frames_run_together, 8, 1), step, wrong),
        "pushed early": (_packer(_pushed_early, 8, 1), step, "lost or repeated|differ"),
        "carry lost": (_packer(_carry_lost, 8, 1), step, "octets differ"),
        "end waits": (_packer(_end_waits), pauses, "beats came out"),
        "size rounded down": (_packer(_size_rounded_down), pauses, "sizes differ"),
        "reset forgets": (_packer(_reset_forgets), "reset_mid_stream", "octets differ"),
        "piece too many": (lambda: SizedChunks(40, 2, packer=WrongCutter), "throughput", "beats were taken in clocks"),
        "lowest first": (lambda: SizedChunks(13, 2, msb_first=True, packer=LowestFirst), pauses, "octets differ"),
        "all lanes count": (lambda: AllLanesCount(9, 4, 4, last_values=1), pauses, "lost or repeated|differ"),
    }
    encoders: dict[str, tuple[Callable[[], Any], str, str]] = {
        "dropped word, zeromask": (behind(DroppedBeat), pauses, "beats came out"),
        "one clock more, zeromask": (behind(RegisteredOutput), "throughput", "words came in clocks"),
        "half rate, zeromask": (behind(HalfRate), "throughput", "beats were taken in clocks"),
        "no room, zeromask": (behind(NoRoom), pauses, wrong),
        "no reset, zeromask": (behind(NoReset), "reset_mid_stream", f"survived the reset|{wrong}"),
        "full neighbour": (lambda: FullNeighbour(5, 8, 8), "every_mask", wrong),
        "group not cleared": (lambda: GroupNotCleared(5, 2, 4), "incomplete_groups", wrong),
    }
    return {name: Fault("packer", *fields) for name, fields in packers.items()} | {
        name: Fault("zeromask", *fields) for name, fields in encoders.items()
    }


PAYLOAD_FAULTS: dict[str, Fault] = _all_faults()
"""All of them by name."""
