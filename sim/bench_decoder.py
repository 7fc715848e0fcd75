# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the decoder: every code, codes that the codebook does not have, every pause, resets.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.
"""

from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from .coverage import Coverage
from .stream import MATRIX, BeatBench, Settings
from .tdata import Beats

SETTINGS = Settings.load()
COVERAGE = Coverage("decoder")


class DecoderBench(BeatBench):
    """A decoder and its table of levels."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        self.levels = np.array(SETTINGS.levels, np.int64)

    def draw(self, beats: int) -> Beats:
        """Codes, known and unknown."""
        return self.rng.integers(0, 1 << SETTINGS.in_bits, (beats, SETTINGS.lanes))

    def expect(self, values: Beats) -> tuple[Beats, NDArray[np.bool_]]:
        """Level of each code, and whether the codebook does not have it."""
        return np.take(self.levels, values, mode="clip"), values >= len(self.levels)


@cocotb.test
async def every_code(dut: Any) -> None:
    """Every code in every lane gives its level, and the flag if the codebook does not have it."""
    bench = await DecoderBench(dut).start()
    lanes, codes = SETTINGS.lanes, 1 << SETTINGS.in_bits
    unknown = (False, True) if len(bench.levels) < codes else (False,)
    COVERAGE.declare("code", [(code, k) for code in range(codes) for k in range(lanes)])
    COVERAGE.declare("unknown", [(flag, k) for flag in unknown for k in range(lanes)])
    values = bench.rng.permuted(np.tile(np.arange(codes)[:, None], lanes), axis=0)
    await bench.exchange(values)
    lane = np.broadcast_to(np.arange(lanes), values.shape).ravel().tolist()
    COVERAGE.hit("code", zip(values.ravel().tolist(), lane, strict=True))
    COVERAGE.hit("unknown", zip((values >= len(bench.levels)).ravel().tolist(), lane, strict=True))


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no beat."""
    bench = await DecoderBench(dut).start()
    await bench.back_pressure(source, sink)


@cocotb.test
async def throughput(dut: Any) -> None:
    """One beat a clock, and the promised latency."""
    bench = await DecoderBench(dut).start()
    await bench.throughput()


@cocotb.test
async def capacity(dut: Any) -> None:
    """Stall the output: it fills the pipeline and then stalls the input."""
    bench = await DecoderBench(dut).start()
    await bench.capacity()


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset in mid-stream: the pipeline is empty afterwards."""
    bench = await DecoderBench(dut).start()
    await bench.reset_mid_stream()


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
