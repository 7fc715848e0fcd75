# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Planted faults: Rice encoders that are wrong in one way each, and the test that must notice."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Module

from ..hdl import rice as rice_module
from ..hdl.rice import RiceEncoder
from ..model.rice import RiceFormat
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
    Saboteur,
    SwappedLanes,
    ValidFalls,
    driven,
)

RICE = RiceFormat(width=48, code_bits=8, block=8)
BEAT: dict[str, Any] = {"lanes": 4, "octets": 8}


def _around(saboteur: type[Saboteur]) -> Callable[[], Any]:
    return lambda: saboteur(RiceEncoder(RICE, **BEAT))


def _inside(part: str, spoil: Callable[[Any, Any], None]) -> Callable[[], RiceEncoder]:
    """Make an encoder with one assignment of a part overridden."""

    class Wrong(getattr(rice_module, part)):
        def elaborate(self, platform: Any) -> Module:
            m = super().elaborate(platform)
            spoil(m, self)
            return m

    return _refitted(part, Wrong)


def _refitted(part: str, wrong: type[Any]) -> Callable[[], RiceEncoder]:
    """Make an encoder with another class for a part."""

    class Encoder(RiceEncoder):
        def elaborate(self, platform: Any) -> Module:
            with patch.object(rice_module, part, wrong):
                return super().elaborate(platform)

    return lambda: Encoder(RICE, **BEAT)


class PairsSwapped(rice_module.Former):
    """The second code of a pair counts as the first."""

    def elaborate(self, platform: Any) -> Module:
        healthy = rice_module.second_extension
        with patch.object(rice_module, "second_extension", lambda rice, first, second: healthy(rice, second, first)):
            return super().elaborate(platform)


def _lowest_split(m: Any, chooser: Any) -> None:
    """Of splits of the same length the lowest is taken, whatever was before."""
    m.d.comb += driven(m, "larger").eq(driven(m, "falls"))


def _split_survives(m: Any, chooser: Any) -> None:
    """A frame begins with the split of the one before."""
    with m.If(chooser.i.ready & ~driven(m, "zero")):
        m.d.sync += driven(m, "before").eq(driven(m, "larger"))


def _rest_counted(m: Any, chooser: Any) -> None:
    """A run of zero blocks up to the end of a row is coded by its length."""
    run = driven(m, "run")
    with m.If(driven(m, "zero") & (run >= 4)):
        m.d.comb += chooser.o.p.run.eq(run + 1)


def _next_unseen(m: Any, chooser: Any) -> None:
    """A run of zero blocks ends if the next block is not there yet."""
    with m.If(driven(m, "held") & ~chooser.i.valid):
        m.d.comb += [chooser.o.valid.eq(1), chooser.i.ready.eq(chooser.o.ready)]


def _row_end_passed(m: Any, collector: Any) -> None:
    """A run of zero blocks goes on in the next row."""
    with m.If(collector.i.valid & collector.i.ready):
        m.d.sync += driven(m, "block")[-2].eq(collector.i.p.last)


def _low_bit_lost(m: Any, former: Any) -> None:
    """Of the first code of a beat the highest low bit is lost."""
    m.d.comb += driven(m, "low")[0].eq(0)


def _bits_overwritten(m: Any, former: Any) -> None:
    """The next block is formed whether the bits of the last are taken or not."""
    m.d.comb += driven(m, "advance").eq(1)


def _all_faults() -> dict[str, Fault]:
    pauses = "back_pressure/source=never/sink=stalls"
    faults: dict[str, tuple[Callable[[], Any], str, str]] = {
        "lowest split": (_inside("Chooser", _lowest_split), "every_option", "streams differ"),
        "split survives": (_inside("Chooser", _split_survives), "every_option", "streams differ"),
        "rest counted": (_inside("Chooser", _rest_counted), "every_option", "streams differ|words"),
        "next unseen": (_inside("Chooser", _next_unseen), "every_option", "streams differ|words"),
        "row's end passed": (_inside("Collector", _row_end_passed), "every_option", "streams differ|words"),
        "low bit lost": (_inside("Former", _low_bit_lost), "every_option", "streams differ"),
        "pairs swapped": (_refitted("Former", PairsSwapped), "every_option", "streams differ|words"),
        "bits overwritten": (_inside("Former", _bits_overwritten), "stalled", "the input went on"),
        "swapped octets": (_around(SwappedLanes), "stalled", "streams differ|not 0"),
        "dropped word": (_around(DroppedBeat), pauses, "beats came out"),
        "duplicated word": (_around(DuplicatedBeat), pauses, "lost or repeated"),
        "tlast lost": (_around(LastLost), "every_option", "streams differ|mid-frame"),
        "size lost": (_around(FlagsLost), pauses, "in mid-frame"),
        "word moves": (_around(PayloadMoves), pauses, "payload changed while waiting"),
        "tvalid falls": (_around(ValidFalls), pauses, "tvalid fell"),
        "half rate": (_around(HalfRate), "throughput/load=largest", "the input waited"),
        "no room": (_around(NoRoom), "stalled", "the input went on"),
        "no reset": (_around(NoReset), "reset_mid_stream", "survived the reset|differ|words"),
    }
    return {name: Fault("rice", *fields) for name, fields in faults.items()}


FAULTS: dict[str, Fault] = _all_faults()
"""All faults by name."""
