# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the zeromask encoder: every mask of a group, every pause, resets, clocks.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.
"""

from pathlib import Path
from typing import Any

import cocotb
import numpy as np

from ..model.zeromask import GROUP, encode
from .coverage import Coverage
from .payload import Frame, PayloadBench
from .stream import MATRIX, Settings
from .tdata import Beats, pack

SETTINGS = Settings.load()
COVERAGE = Coverage("zeromask")


class ZeromaskBench(PayloadBench):
    """A zeromask encoder."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        # Beats of a group, and groups of a beat.
        self.collected = max(1, GROUP // SETTINGS.lanes)
        self.groups = max(1, SETTINGS.lanes // GROUP)

    def draw(self) -> list[Frame]:
        """Frames of 1, of 2, then of other numbers of groups, from empty to full."""
        lengths = [1, 2, 1, *self.rng.integers(1, 12, 4).tolist()]
        frames = [
            self.frame(self.codes(length * self.collected, self.rng.choice([0.1, 0.5, 0.9]))) for length in lengths
        ]
        beats = -(-self.octets // self.groups) * self.collected
        extremes = [self.frame(self.codes(beats, density)) for density in (0.0, 1.0)]
        return [*frames, *extremes]

    def ends(self) -> list[str]:
        return ["full", "part"] if self.octets > 1 else ["full"]

    def codes(self, beats: int, density: float) -> Beats:
        """Codes (beats, lanes), of which that part is not 0."""
        shape, largest = (beats, SETTINGS.lanes), (1 << SETTINGS.in_bits) - 1
        codes = self.rng.integers(1, largest + 1, shape)
        extreme = self.rng.random(shape) < 0.2
        codes[extreme] = self.rng.choice([1, largest], extreme.sum())
        return np.where(self.rng.random(shape) < density, codes, 0)

    def frame(self, codes: Beats) -> Frame:
        """A frame of these codes."""
        pixels = self.collected * SETTINGS.lanes
        present = np.add.reduceat(np.ravel(codes) != 0, range(0, codes.size, pixels), dtype=np.int64)
        chunks: list[int | None] = [None] * len(codes)
        for group, count in enumerate(present.tolist()):
            final = min((group + 1) * self.collected, len(codes)) - 1
            chunks[final] = max(GROUP, pixels) + SETTINGS.in_bits * count
        return Frame(pack(codes, SETTINGS.in_bits, self.rng), chunks, encode(codes, SETTINGS.in_bits))


@cocotb.test
async def every_mask(dut: Any) -> None:
    """Every mask of a group, in every group of a beat."""
    bench = await ZeromaskBench(dut).start()
    masks = np.arange(1 << GROUP)
    COVERAGE.declare("mask", [(mask, group) for mask in masks.tolist() for group in range(bench.groups)])
    chosen = bench.rng.permuted(np.tile(masks[:, None], bench.groups), axis=0)
    present = np.unpackbits(chosen.astype(np.uint8)[..., None], axis=-1, bitorder="little").reshape(-1, SETTINGS.lanes)
    await bench.exchange([bench.frame(bench.codes(len(present), 1.0) * present)])
    group = np.broadcast_to(np.arange(bench.groups), chosen.shape).ravel().tolist()
    COVERAGE.hit("mask", zip(chosen.ravel().tolist(), group, strict=True))


@cocotb.test(skip=SETTINGS.lanes >= GROUP)
async def incomplete_groups(dut: Any) -> None:
    """A frame that ends within a group is filled up with zeros, and nothing of it meets the next."""
    bench = await ZeromaskBench(dut).start()
    COVERAGE.declare("group_beats", range(1, bench.collected + 1))
    lengths = bench.rng.permutation(np.tile(np.arange(1, 2 * bench.collected + 1), 2))
    await bench.exchange([bench.frame(bench.codes(length, 0.8)) for length in lengths])
    COVERAGE.hit("group_beats", ((lengths - 1) % bench.collected + 1).tolist())


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no bit."""
    bench = await ZeromaskBench(dut).start()
    await bench.back_pressure(source, sink)


@cocotb.test
async def throughput(dut: Any) -> None:
    """One beat a clock, frames back to back, even if no code is 0, and every word in its clock."""
    bench = await ZeromaskBench(dut).start()
    await bench.throughput()


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset in mid-stream: nothing is left of it afterwards."""
    bench = await ZeromaskBench(dut).start()
    await bench.reset_mid_stream()


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
