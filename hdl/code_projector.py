# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Encoder and projector in one pipeline: counts in, coefficients of their codes out."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .beat import below, counts_beat
from .encoder import ShiftEncoder, TableEncoder
from .projector import Projector


class CodeProjector(wiring.Component):
    """An encoder in front of a projector. A count above the codebook's range sets ``clipped`` of its frame.

    Throughput and stalls are the projector's; the encoder adds its own latency.

    Parameters
    ----------
    encoder : ShiftEncoder or TableEncoder
        Its codebook is fixed: a projection is learned for one.
    projector : Projector
        As many lanes, and inputs as wide as the encoder's codes.

    Members
    -------
    i : In(stream of counts_beat)
    o : Out(stream of coefficients_beat)
    table, table_error
        The projector's; with one that is protected, also ``corrected`` and ``uncorrectable``.

    Raises
    ------
    ValueError
        If the two do not fit.
    """

    def __init__(self, encoder: ShiftEncoder | TableEncoder, projector: Projector) -> None:
        code_bits = encoder.codebook.code_bits
        if encoder.lanes != projector.lanes:
            raise ValueError(f"the encoder has {encoder.lanes} lanes, the projector {projector.lanes}: they must agree")
        if code_bits != projector.format.input_bits:
            raise ValueError(
                f"codes of {encoder.codebook.name} have {code_bits} bits, the projector takes"
                f" {projector.format.input_bits}: they must agree"
            )
        self.encoder = encoder
        self.projector = projector
        self.lanes = projector.lanes
        self.input_bits = encoder.input_bits
        self.latency = encoder.latency + projector.latency
        super().__init__(
            {
                "i": In(stream.Signature(counts_beat(encoder.input_bits, encoder.lanes))),
                "o": Out(projector.o.signature),
                "table": In(projector.table.signature.flip()),
                "table_error": Out(1),
                **({"corrected": Out(1), "uncorrectable": Out(1)} if projector.protect else {}),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.encoder = encoder = self.encoder
        m.submodules.projector = projector = self.projector
        wiring.connect(m, wiring.flipped(self.i), encoder.i)
        wiring.connect(m, projector.o, wiring.flipped(self.o))
        # In a frame's last beat the highest lanes may carry no pixel; what follows that beat is dropped.
        beat, saturated = Signal(below(projector.beats)), encoder.o.p.saturated
        beat_end = beat == projector.beats - 1
        pixels = self.lanes - (projector.beats * self.lanes - projector.format.pixels)
        with m.If(encoder.o.valid & encoder.o.ready):
            m.d.sync += beat.eq(Mux(encoder.o.p.last, 0, beat + ~beat_end))
        wiring.connect(m, wiring.flipped(self.table), projector.table)
        m.d.comb += [
            projector.i.p.values.eq(encoder.o.p.codes),
            projector.i.p.clipped.eq(saturated[:pixels].any() | (saturated[pixels:].any() & ~beat_end)),
            projector.i.p.last.eq(encoder.o.p.last),
            projector.i.valid.eq(encoder.o.valid),
            encoder.o.ready.eq(projector.i.ready),
            self.table_error.eq(projector.table_error),
        ]
        if projector.protect:
            m.d.comb += [
                self.corrected.eq(projector.corrected),
                self.uncorrectable.eq(projector.uncorrectable),
            ]
        return m
