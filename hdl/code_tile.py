# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Encoder cores in front of a hard-wired projector: a tile's counts in, coefficients of their codes out."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..model.codebook import Codebook
from .beat import values_beat
from .encoder import ShiftCore
from .hardwired import HardwiredProjector


class CodeTile(wiring.Component):
    """A `ShiftCore` for each pixel, and a projector of their codes, without a register in between.

    Latency, throughput and stalls are the projector's.

    Parameters
    ----------
    codebook : Codebook
        One that `ShiftCore` takes.
    projector : HardwiredProjector
        Of its codes.

    Members
    -------
    i : In(stream of values_beat)
        Counts, all in the codebook's range.
    o : Out(stream of coefficients_beat)

    Raises
    ------
    ValueError
        If the projector takes values of another width.
    """

    def __init__(self, codebook: Codebook, projector: HardwiredProjector) -> None:
        if codebook.code_bits != projector.format.input_bits:
            raise ValueError(
                f"codes of {codebook.name} have {codebook.code_bits} bits, the projector takes"
                f" {projector.format.input_bits}: they must agree"
            )
        self.codebook = codebook
        self.projector = projector
        self.lanes = projector.lanes
        self.latency = projector.latency
        super().__init__(
            {
                "i": In(stream.Signature(values_beat(codebook.count_bits, projector.lanes))),
                "o": Out(projector.o.signature),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.projector = projector = self.projector
        wiring.connect(m, projector.o, wiring.flipped(self.o))
        m.d.comb += [
            projector.i.p.clipped.eq(self.i.p.clipped),
            projector.i.p.last.eq(self.i.p.last),
            projector.i.valid.eq(self.i.valid),
            self.i.ready.eq(projector.i.ready),
        ]
        for lane in range(self.lanes):
            m.submodules[f"core_{lane}"] = core = ShiftCore(self.codebook)
            m.d.comb += [core.count.eq(self.i.p.values[lane]), projector.i.p.values[lane].eq(core.code)]
        return m
