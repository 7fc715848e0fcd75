# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the packers: chunks of every size at every place, every pause, resets, clocks.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.
"""

from math import gcd
from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from ..model.packer import pack as packed
from .coverage import Coverage
from .payload import Frame, PayloadBench
from .stream import MATRIX, Settings
from .tdata import pack

SETTINGS = Settings.load()
COVERAGE = Coverage("packer")


class PackerBench(PayloadBench):
    """A `Packer`, or a `BitPacker` whose chunks come with their size."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        self.chunk_bits = SETTINGS.packing["chunk_bits"]

    def draw(self) -> list[Frame]:
        """Frames of 1, of 2, then of other numbers of beats, some of which fill their last word."""
        lengths = [1, 2, 1, *self.rng.integers(1, 12, 4).tolist()]
        if self.chunk_bits:
            return [*map(self.chunks, lengths), self.filling(), self.chunks(1), self.chunks(0), self.filling()]
        beat_bits = SETTINGS.lanes * SETTINGS.in_bits
        return [self.values(length) for length in (*lengths, 8 * self.octets // gcd(8 * self.octets, beat_bits), 3)]

    def ends(self) -> list[str]:
        bits, lanes = SETTINGS.in_bits, SETTINGS.lanes
        partly = self.chunk_bits or any(n * bits % (8 * self.octets) for n in (lanes, SETTINGS.packing["last_values"]))
        return ["full", "part"] if partly else ["full"]

    def values(self, beats: int) -> Frame:
        """A frame of values, of which some lanes of the last beat may not count."""
        bits, lanes, last_values = SETTINGS.in_bits, SETTINGS.lanes, SETTINGS.packing["last_values"]
        values = self.rng.integers(0, 1 << bits, (beats, lanes))
        extreme = self.rng.random(values.shape) < 0.2
        values[extreme] = self.rng.choice([0, (1 << bits) - 1], extreme.sum())
        used = values.ravel()[: (beats - 1) * lanes + last_values]
        chunks = [lanes * bits] * (beats - 1) + [last_values * bits]
        return Frame(pack(values, bits, self.rng), [*chunks], packed(used, bits).tobytes())

    def chunks(self, beats: int) -> Frame:
        """A frame of chunks; of none, a single one without bits."""
        sizes = self.rng.integers(0, self.chunk_bits + 1, beats)
        extreme = self.rng.random(beats) < 0.4
        sizes[extreme] = self.rng.choice([0, self.chunk_bits], extreme.sum())
        return self.frame(sizes.tolist() or [0])

    def filling(self) -> Frame:
        """A frame whose last word is full."""
        sizes = self.rng.integers(0, self.chunk_bits + 1, 5).tolist()
        while rest := -sum(sizes) % (8 * self.octets):
            sizes.append(min(rest, self.chunk_bits))
        return self.frame(sizes)

    def frame(self, sizes: list[int]) -> Frame:
        """Chunks of these sizes, with noise above them, which the block must ignore."""
        tdata, payload, length = [], 0, 0
        for size in sizes:
            noise = int.from_bytes(self.rng.bytes(-(-self.chunk_bits // 8)), "little") % (1 << self.chunk_bits)
            tdata.append(noise | size << self.chunk_bits)
            payload |= noise % (1 << size) << length
            length += size
        octets = np.frombuffer(payload.to_bytes(-(-length // 8), "little"), np.uint8)
        if SETTINGS.packing["msb_first"]:
            octets = np.packbits(np.unpackbits(octets, bitorder="little"))
        return Frame(tdata, [*sizes], octets.tobytes())


@cocotb.test(skip=not 0 < SETTINGS.packing.get("chunk_bits", 0) <= 8 * SETTINGS.packing.get("octets", 0) <= 8)
async def every_step(dut: Any) -> None:
    """Chunks of every size, last or not, meet every number of bits that may wait."""
    bench = await PackerBench(dut).start()
    sizes = range(bench.chunk_bits + 1)
    frames = []
    for fill in range(8 * bench.octets + 1):
        # From nothing to so many bits, then the chunk, and perhaps one more behind it.
        filled = [min(bench.chunk_bits, fill - k) for k in range(0, fill, bench.chunk_bits)]
        for size in sizes:
            behind = int(bench.rng.integers(len(sizes)))
            frames += [bench.frame([*filled, size]), bench.frame([*filled, size, behind])]
    await bench.exchange([frames[k] for k in bench.rng.permutation(len(frames))])


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no bit."""
    bench = await PackerBench(dut).start()
    await bench.back_pressure(source, sink)


@cocotb.test
async def throughput(dut: Any) -> None:
    """One chunk a clock, frames back to back, and every word in its clock."""
    bench = await PackerBench(dut).start()
    await bench.throughput()


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset in mid-stream: nothing is left of it afterwards."""
    bench = await PackerBench(dut).start()
    await bench.reset_mid_stream()


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
