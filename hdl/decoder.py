# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Decoder: a code in, the count it stands for out."""

from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..model.codebook import Codebook, DecodeMethod
from .beat import check_lanes, codes_beat, levels_beat
from .pipeline import delay, handshake


class ExpandDecoder(wiring.Component):
    """Decode levels in a read-only memory, one for every lane, for FPGA back ends that want counts.

    Levels are unsigned fixed point, `Codebook.fixed_levels(method, fraction_bits)`. A code that the codebook
    does not have gives the last level and is flagged in ``unknown``.

    Latency 1 clock, throughput one beat a clock. A stalled output stalls the input in the same clock; an empty
    register takes a beat while the output waits. Memory: 2**code_bits * level_bits bits a lane.

    Parameters
    ----------
    codebook : Codebook
    lanes : int
        Pixels a beat, 1 to 1024.
    method : {"midpoint", "posterior", "unbiased"}
    fraction_bits : int
        Bits behind the binary point, 0 to 16. One holds midpoints exactly.

    Members
    -------
    i : In(stream of codes_beat); ``saturated`` is ignored
    o : Out(stream of levels_beat)
    """

    latency = 1

    def __init__(
        self, codebook: Codebook, *, lanes: int = 1, method: DecodeMethod = "midpoint", fraction_bits: int = 1
    ) -> None:
        check_lanes(lanes)
        self.codebook = codebook
        self.lanes = lanes
        self.method = method
        self.fraction_bits = fraction_bits
        self._levels = codebook.fixed_levels(method, fraction_bits).tolist()
        self.level_bits = max(self._levels).bit_length()
        super().__init__(
            {
                "i": In(stream.Signature(codes_beat(codebook.code_bits, lanes))),
                "o": Out(stream.Signature(levels_beat(self.level_bits, lanes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance = handshake(m, self.i, self.o, self.latency)
        depth = 1 << self.codebook.code_bits
        padded = self._levels + [self._levels[-1]] * (depth - len(self._levels))
        for lane in range(self.lanes):
            rom = Memory(shape=self.level_bits, depth=depth, init=padded)
            m.submodules[f"rom_{lane}"] = rom
            port = rom.read_port()
            code = self.i.p.codes[lane]
            unknown = code > len(self._levels) - 1 if len(self._levels) < depth else Const(0)
            m.d.comb += [
                port.addr.eq(code),
                port.en.eq(advance),
                self.o.p.levels[lane].eq(port.data),
                self.o.p.unknown[lane].eq(delay(m, advance, unknown)[-1]),
            ]
        m.d.comb += self.o.p.last.eq(delay(m, advance, self.i.p.last)[-1])
        return m
