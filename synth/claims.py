# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The list of what is claimed of the RTL, and of what must be refuted."""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import product

from amaranth.hdl import Module, Value

from ..hdl.decoder import ExpandDecoder
from ..hdl.encoder import ShiftCore, ShiftEncoder, TableEncoder, ThresholdEncoder, allows_shifts
from ..hdl.projector import Projector
from ..model.codebook import Codebook
from ..model.fixed import SQ, Format
from ..model.projection import ProjectionFormat
from .axi_properties import AxiLiteRules
from .equivalence import Equivalence
from .gates import Netlist, asic_netlist, ecp5_netlist
from .liberty import YOSYS_GATES, Library
from .projector_properties import (
    EarlyRows,
    EarlySums,
    ProjectorDelay,
    ProjectorRoom,
    ProjectorStream,
    ProjectorSums,
    ProjectorTables,
    WatchedProjector,
)
from .properties import (
    Contiguous,
    DecoderStream,
    EncoderStream,
    Encodes,
    Monotone,
    StreamRules,
    TableStream,
    WithinSigma,
)
from .prove import Claim

WIDTHS = (10, 14, 16)
"""Count widths at which the combinational cores are proven."""


class LostRules(Encodes):
    """A proof from which yosys drops the assertions without a word."""

    commands = ("chformal -assert -remove",)


class AlwaysWrong(EncoderStream):
    """Stream rules turned round: they must be refuted by a beat that comes out right."""

    def right(self, m: Module, remembered: Value) -> Value:
        return ~super().right(m, remembered)


class NarrowFormat(ProjectionFormat):
    """Sizes with an accumulator that lacks a bit."""

    @property
    def accumulator_format(self) -> Format:
        return SQ(super().accumulator_format.bits - 1)


class RoundedDown(EarlySums):
    """Sums taken to be rounded down: they are not."""

    edge = 2


def shift_codebooks() -> list[str]:
    """Names of the codebooks that shifts can encode."""
    return [name for name in Codebook.names() if allows_shifts(Codebook.named(name))]


def claims(names: Iterable[str] | None = None, library: Library = YOSYS_GATES) -> list[Claim]:
    """List what is claimed.

    Parameters
    ----------
    names : iterable of str, optional
        Codebooks whose cores are looked at, by default all that apply. The blocks with streams are small, and
        their claims do not depend on it.
    library : Library
        Standard cells of the netlists that are compared with their RTL.

    Raises
    ------
    ValueError
        For a codebook that has no core of shifts.
    """
    known = shift_codebooks()
    chosen = known if names is None else list(dict.fromkeys(names))
    for name in chosen:
        if name not in known:
            raise ValueError(f"nothing to prove for codebook {name!r}: cores of shifts have {', '.join(known)}")
    cores = [claim for name in chosen for claim in _core(name)]
    return [*cores, *_streams(), *_projectors(), *_buses(), *_netlists(library), *_must_fail()]


def _core(name: str) -> list[Claim]:
    found = []
    for bits in WIDTHS:
        codebook = Codebook.named(name, bits)
        make = partial(ShiftCore, codebook)
        found += [
            Claim(f"{name}, {bits} bit: {text}", partial(kind, make, codebook))
            for text, kind in (
                ("RTL is the codebook", Encodes),
                ("|N' - N| <= sigma", WithinSigma),
                ("monotone", Monotone),
                ("contiguous", Contiguous),
            )
        ]
    return found


def _streams() -> list[Claim]:
    small, smaller = Codebook.named("floor-sqrt", 6), Codebook.named("floor-sqrt", 4)
    sqrt_b, gaps = Codebook.named("sqrt-b"), Codebook.named("sqrt-c", 6)
    blocks: dict[str, partial[StreamRules]] = {
        "shift encoder, sqrt-b 14 bit, 2 lanes": partial(
            EncoderStream, partial(ShiftEncoder, sqrt_b, lanes=2, input_bits=16)
        ),
        "table encoder, 6 bit, 2 lanes": partial(EncoderStream, partial(TableEncoder, small, lanes=2, input_bits=7)),
        "decoder, 6 bit, 2 lanes": partial(DecoderStream, partial(ExpandDecoder, gaps, lanes=2)),
        "threshold encoder 4 to 2 bit, loaded at power-up": partial(
            TableStream, partial(ThresholdEncoder, smaller, input_bits=5), any_state=False
        ),
        "threshold encoder 4 to 2 bit, empty at power-up": partial(
            TableStream, partial(ThresholdEncoder, smaller, input_bits=5, preload=False)
        ),
        "threshold encoder 4 to 2 bit, empty at power-up, 2 lanes": partial(
            TableStream, partial(ThresholdEncoder, smaller, lanes=2, preload=False)
        ),
    }
    larger = partial(
        TableStream, partial(ThresholdEncoder, Codebook.named("floor-sqrt", 5), input_bits=6), any_state=False
    )
    found = []
    for name, build in blocks.items():
        found += [
            Claim(f"{name}: stream rules", build),
            Claim(f"{name}: situations", build, "reachable", 16),
        ]
    name = "threshold encoder 5 to 3 bit, loaded at power-up"
    return [
        *found,
        Claim(f"{name}: stream rules", larger, "bounded", 14),
        Claim(f"{name}: situations", larger, "reachable", 16),
    ]


def _projectors() -> list[Claim]:
    found = []
    for (pixels, components, lanes, columns), text, rules, mode, depth in (
        ((2, 2, 1, 1), "handshake", ProjectorStream, "unbounded", None),
        ((2, 2, 1, 1), "tables", ProjectorTables, "unbounded", None),
        ((2, 2, 1, 1), "tables, situations", ProjectorTables, "reachable", 30),
        ((2, 2, 1, 1), "rows into the FIFO", EarlyRows, "unbounded", None),
        ((1, 1, 1, 1), "room in the FIFO", ProjectorRoom, "bounded", 36),
        ((1, 1, 1, 1), "room, situations", ProjectorRoom, "reachable", 36),
        ((1, 1, 1, 1), "rows at the output", ProjectorDelay, "bounded", 20),
        ((2, 1, 1, 1), "rows, situations", ProjectorDelay, "reachable", 40),
        ((1, 1, 1, 1), "sums into the FIFO", EarlySums, "unbounded", None),
        ((2, 1, 1, 1), "sums into the FIFO", EarlySums, "bounded", 20),
        ((2, 2, 1, 1), "sums into the FIFO", EarlySums, "bounded", 24),
        ((3, 1, 2, 2), "sums into the FIFO", EarlySums, "bounded", 23),
        ((1, 1, 1, 1), "sums at the output", ProjectorSums, "bounded", 20),
        ((1, 1, 1, 1), "sums, situations", ProjectorSums, "reachable", 24),
    ):
        name = f"projector, N = {pixels}, S' = {components}, P = {lanes}, C = {columns}: {text}"
        build = partial(rules, _projector(pixels, components, lanes, columns))
        found.append(Claim(name, build, mode, depth))
    return found


def _projector(
    pixels: int = 1,
    components: int = 1,
    lanes: int = 1,
    columns: int = 1,
    kind: type[ProjectionFormat] = ProjectionFormat,
) -> partial[WatchedProjector]:
    """Maker of a projector of 1 bit pixels, 2 bit weights and 2 bit coefficients."""
    size = kind(pixels=pixels, components=components, input_bits=1, weight_bits=2, output_bits=2)
    return partial(WatchedProjector, size, lanes=lanes, columns=columns)


def _buses() -> list[Claim]:
    name = "AXI4-Lite slave of the registers"
    return [
        Claim(f"{name}: bus rules", AxiLiteRules),
        Claim(f"{name}: situations", AxiLiteRules, "reachable", 8),
    ]


def _netlists(library: Library) -> list[Claim]:
    sqrt_b, sqrt_c = Codebook.named("sqrt-b"), Codebook.named("sqrt-c", 6)
    size = ProjectionFormat(pixels=4, components=4, input_bits=2, weight_bits=3, output_bits=4)
    blocks = {
        "shift encoder, sqrt-b 14 bit, 2 lanes": lambda: ShiftEncoder(sqrt_b, lanes=2, input_bits=16),
        "threshold encoder, sqrt-c 6 bit, empty at power-up": lambda: ThresholdEncoder(sqrt_c, preload=False),
        "projector, N = 4, S' = 4, P = 2, C = 2": lambda: Projector(size, lanes=2, columns=2),
    }
    targets = {"standard cells": partial(asic_netlist, library=library), "ECP5": ecp5_netlist}
    faults = {"a NOR is a NAND": (r"\$_NOR_", "$_NAND_"), "an input is stuck at 0": (r"\.A\(.*?\),", ".A(1'h0),")}
    return [
        *(
            Claim(f"equivalence: {name}, {target}", partial(Equivalence, block, netlist), "equivalence")
            for name, block in blocks.items()
            for target, netlist in targets.items()
        ),
        *(
            Claim(
                f"false equivalence: {name}, {fault}",
                partial(Equivalence, block, partial(_spoilt, *change)),
                "equivalence",
                must_fail=True,
            )
            for (name, block), (fault, change) in product(list(blocks.items())[:2], faults.items())
        ),
    ]


def _spoilt(pattern: str, replacement: str, verilog: str, top: str) -> Netlist:
    """Netlist of yosys' gates that is changed where the pattern first fits."""
    netlist = asic_netlist(verilog, top)
    return replace(netlist, verilog=re.sub(pattern, lambda _: replacement, netlist.verilog, count=1))


def _must_fail() -> list[Claim]:
    codebook = Codebook.named("sqrt-b")
    edges = list(codebook.edges)
    edges[100] += 1
    planted = Codebook.from_edges(edges)
    core = partial(ShiftCore, codebook)
    return [
        Claim("false: sqrt-b, |N' - N| <= sigma / 2", partial(WithinSigma, core, codebook, parts=2), must_fail=True),
        Claim("false: sqrt-b with one edge off by one", partial(Encodes, core, planted), must_fail=True),
        Claim("false: a codebook with its assertions lost", partial(LostRules, core, codebook), must_fail=True),
        Claim(
            "false: shift encoder, every beat comes out wrong",
            partial(AlwaysWrong, partial(ShiftEncoder, codebook)),
            must_fail=True,
        ),
        Claim(
            "false: projector with an accumulator that lacks a bit",
            partial(EarlySums, _projector(kind=NarrowFormat)),
            "bounded",
            20,
            must_fail=True,
        ),
        Claim("false: projector that rounds down", partial(RoundedDown, _projector()), "bounded", 20, must_fail=True),
    ]
