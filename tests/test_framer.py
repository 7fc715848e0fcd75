# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import zlib
from pathlib import Path

import numpy as np
import pytest
from amaranth.sim import Simulator as AmaranthSimulator
from ptychopress.hdl.crc import Crc32
from ptychopress.hdl.frame_buffer import DESCRIPTOR, FrameBuffer
from ptychopress.hdl.packetizer import Packetizer
from ptychopress.model.packet import FIELDS, Sizes
from ptychopress.sim.framer_faults import FAULTS
from ptychopress.sim.run import REGRESSIONS, Simulator

BENCHES = [name for name, regression in REGRESSIONS.items() if regression.bench == "framer"]
QUICK_FAULTS = ("fill kept", "ring overrun", "CRC beat dirty")


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
def test_packets_equal_the_model(simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS["framer-4"].run(simulator, seed, tmp_path)
    assert result.passed, str(result)
    benches = {test.partition("/")[0] for test in result.tests}
    assert benches - {"coverage"} == {fault.test.partition("/")[0] for fault in FAULTS.values()}


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("name", BENCHES)
def test_packets_equal_the_model_in_all_sizes(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    result = REGRESSIONS[name].run(simulator, seed, tmp_path)
    assert result.passed, str(result)


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK_FAULTS else pytest.mark.slow) for name in FAULTS]
)
def test_planted_fault_is_caught(name: str, simulator: Simulator, seed: int, tmp_path: Path) -> None:
    assert (missed := FAULTS[name].missed(simulator, seed, tmp_path)) is None, missed


@pytest.mark.parametrize("octets", [1, 4, 64])
def test_crc_is_that_of_zlib(octets: int, seed: int) -> None:
    words = np.random.default_rng(seed).bytes(12 * octets)
    crc = Crc32(octets)
    found = []

    async def drive(ctx: object) -> None:
        for place in range(12):
            # Two messages, of five words and of seven, with a pause between their words.
            ctx.set(crc.word, int.from_bytes(words[place * octets : (place + 1) * octets], "little"))
            ctx.set(crc.start, place in (0, 5))
            ctx.set(crc.valid, 1)
            await ctx.tick()
            ctx.set(crc.valid, 0)
            await ctx.tick()
            found.append(ctx.get(crc.crc))

    simulator = AmaranthSimulator(crc)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    ends = [(0 if place < 5 else 5, place + 1) for place in range(12)]
    assert found == [zlib.crc32(words[begin * octets : end * octets]) for begin, end in ends]


def test_descriptor_is_part_of_the_header() -> None:
    sizes = {item.name: 8 * item.octets for item in FIELDS}
    assert [(name, field.width) for name, field in DESCRIPTOR] == [
        (name, sizes[name]) for name in ("mode", "flags", "frame", "codebook", "weights")
    ]


@pytest.mark.usefixtures("refused")
def test_bad_sizes_are_refused() -> None:
    sizes = Sizes(word_octets=4, count_bits=1, code_bits=1, width=1, height=1)
    with pytest.raises(ValueError, match="largest 0, expected a payload of 1 octet or more"):
        Packetizer(sizes, largest=0)
    with pytest.raises(ValueError, match="frame buffer of 0 frames of 2 words, expected 1 or more of both"):
        Packetizer(sizes, largest=5, frames=0)
    with pytest.raises(ValueError, match="frame buffer of 1 frames of 0 words"):
        FrameBuffer(4, words=0, frames=1)
