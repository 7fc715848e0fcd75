# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the Rice encoder: frames that take every option, every pause, frames without a gap, resets.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from ..model.rice import SEGMENT, RiceFormat
from .coverage import Coverage
from .stream import MATRIX, PAUSES, Settings, StreamBench
from .tdata import pack

SETTINGS = Settings.load()
COVERAGE = Coverage("rice")

Frame = NDArray[np.int64]
Option = tuple[str, int]


class RiceBench(StreamBench):
    """A Rice encoder, and its golden model."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        self.rice = RiceFormat(**SETTINGS.rice)
        self.beats = 0

    def blocks(self, scale: NDArray[Any]) -> Frame:
        """Frame of Poisson codes, their mean given for each block (height, blocks of a row)."""
        top = (1 << self.rice.code_bits) - 1
        mean = np.repeat(scale, self.rice.block, axis=1)
        return np.minimum(self.rng.poisson(mean), top)

    def draw(self, height: int = 2) -> Frame:
        """Frame of blocks of all kinds, one in three of them zero."""
        shape = (height, self.rice.width // self.rice.block)
        scale = 2.0 ** self.rng.uniform(-5, self.rice.code_bits, shape)
        return self.blocks(np.where(self.rng.random(shape) < 0.3, 0, scale))

    def largest(self, height: int = 2) -> Frame:
        """Frame of codes that all have their highest bit: blocks as long as they can be."""
        top = 1 << self.rice.code_bits
        return self.rng.integers(top // 2, top, (height, self.rice.width))

    def runs(self) -> Iterator[Frame]:
        """Rows with a run of zero blocks of each length in front, and with many short ones."""
        blocks = self.rice.width // self.rice.block
        for length in range(1, min(blocks, SEGMENT) + 1):
            scale = np.full((1, blocks), 2.0 ** (self.rice.code_bits - 1))
            yield self.blocks(np.where(np.arange(blocks) < length, 0, scale))
            if length < 8:
                yield self.blocks(np.where(np.arange(blocks) % (length + 1), 0, scale))

    def send(self, frames: Sequence[Frame]) -> list[bytes]:
        """Send frames; return their streams."""
        for frame in frames:
            beats = frame.reshape(-1, SETTINGS.lanes)
            last = [0] * (len(beats) - 1) + [1]
            self.beats += len(beats)
            self.source.send(zip(pack(beats, self.rice.code_bits, self.rng), last, strict=True))
        return [self.rice.encode(frame[None])[0] for frame in frames]

    async def finish(self, streams: Sequence[bytes]) -> None:
        """Wait for all that must come out, compare, and forget it."""
        words = sum(-(-len(stream) // SETTINGS.octets) for stream in streams)
        await self.drain(words, 1000 + 60 * words + 20 * self.beats)
        assert len(self.sink.taken) == words, f"words lost or repeated: {len(self.sink.taken)} instead of {words}"
        assert self.received() == list(streams), "streams differ"
        self.forget()

    def received(self) -> list[bytes]:
        """Streams that came out; checks that only the last word of one is not full, and what fills it is 0."""
        streams, stream = [], b""
        for data, size, last in self.sink.taken:
            word = data.to_bytes(SETTINGS.octets, "little")
            assert last or size == SETTINGS.octets, f"a word of {size} bytes in mid-frame"
            assert not any(word[size:]), "bytes above the size are not 0"
            stream += word[:size]
            if last:
                streams.append(stream)
                stream = b""
        assert not stream, "tlast is missing"
        return streams

    def forget(self) -> None:
        """Forget what went in and came out."""
        self.beats = 0
        for port in (self.source, self.sink):
            port.taken.clear()
            port.clocks.clear()

    async def exchange(self, frames: Sequence[Frame]) -> None:
        """Send frames, wait for all that comes out, compare."""
        await self.finish(self.send(frames))


def options(stream: bytes, rice: RiceFormat, blocks: int) -> Iterator[Option]:
    """Options that a stream takes, read from its bits: ("split", k), ("pairs", 0), ("whole", 0), ("zeros", sequence).

    Parameters
    ----------
    stream : bytes
    rice : RiceFormat
    blocks : int
        Of the frame.
    """
    bits = "".join(f"{octet:08b}" for octet in stream)
    place = block = 0

    def sequence() -> int:
        nonlocal place
        begin = place
        place = bits.index("1", begin) + 1
        return place - 1 - begin

    while block < blocks:
        identifier = int(bits[place : place + rice.id_bits], 2)
        place += rice.id_bits
        if identifier == rice.largest_split + 2:
            yield "whole", 0
            place += rice.block * rice.sample_bits
        elif identifier:
            yield "split", identifier - 1
            for _ in range(rice.block):
                sequence()
            place += rice.block * (identifier - 1)
        else:
            place += 1
            if bits[place - 1] == "1":
                yield "pairs", 0
                for _ in range(rice.block // 2):
                    sequence()
            else:
                length = sequence()
                yield "zeros", length
                rest = min(SEGMENT - block % rice.interval % SEGMENT, rice.interval - block % rice.interval)
                block += min(rest, blocks - block) - 1 if length == 4 else length if length < 4 else length - 1
        block += 1
    assert set(bits[place:]) <= {"0"} and len(bits) - place < 8, "bits behind the last block"


@cocotb.test
async def every_option(dut: Any) -> None:
    """Every split, the second extension, uncompressed where it can be, every run of zero blocks."""
    bench = await RiceBench(dut).start()
    rice = bench.rice
    splits = min(rice.largest_split, rice.code_bits - 1) + 1
    run = min(rice.interval, SEGMENT)
    COVERAGE.declare("option", [("split", k) for k in range(splits)])
    COVERAGE.declare("low", [("pairs", 0), *([("whole", 0)] if rice.sample_bits <= rice.code_bits + 1 else [])])
    COVERAGE.declare("run", range(run))
    zero = np.zeros((1, rice.width), np.int64)
    frames = [zero, zero + (1 << rice.code_bits) - 1, bench.largest(), *bench.runs(), *(bench.draw() for _ in range(8))]
    for k in range(splits):
        scale = np.full((1, rice.width // rice.block), 1.5 * 2.0**k)
        frames += [bench.blocks(scale), bench.blocks(scale / 6)]
    # Codes of one bit cost the same with the split below as above it: the one before decides.
    for order in (1, -1):
        steps = np.arange(rice.width // rice.block)[::order] * rice.code_bits // (rice.width // rice.block)
        frames.append(np.repeat(1 << steps, rice.block)[None])
    found: set[Option] = set()
    for frame in frames:
        blocks = frame.size // rice.block
        found |= set(options(rice.encode(frame[None])[0], rice, blocks))
    await bench.exchange(frames)
    COVERAGE.hit("option", (option for option in found if option[0] == "split"))
    COVERAGE.hit("low", (option for option in found if option[0] in ("pairs", "whole")))
    COVERAGE.hit("run", (length for option, length in found if option == "zeros"))


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change nothing."""
    bench = await RiceBench(dut).start()
    COVERAGE.declare("wait", [(side, kind) for side in ("in", "out") for kind in ("none", "short", "long")])
    COVERAGE.declare("end waited", [True])
    bench.source.pauses(PAUSES[source])
    bench.sink.pauses(PAUSES[sink])
    height = -(-20 * SETTINGS.lanes // bench.rice.width)
    await bench.exchange([bench.draw(2 * height), bench.largest(height), bench.draw(1)])
    for side, port in (("in", bench.source), ("out", bench.sink)):
        waits = ("none" if not wait else "short" if wait < 8 else "long" for wait in port.waited)
        COVERAGE.hit("wait", ((side, kind) for kind in waits))
    COVERAGE.hit("end waited", [bench.sink.last_waited])


def _largest(bench: RiceBench) -> list[Frame]:
    return [bench.largest() for _ in range(3)]


def _mixed(bench: RiceBench) -> list[Frame]:
    return [bench.draw() for _ in range(4)]


def _runs_then_largest(bench: RiceBench) -> list[Frame]:
    frames = []
    blocks = bench.rice.width // bench.rice.block
    for length in range(1, blocks, -(-blocks // 20)):
        frame = bench.largest(1)
        frame[:, bench.rice.block : (1 + length) * bench.rice.block] = 0
        frames.append(frame)
    return frames


def _zeros(bench: RiceBench) -> list[Frame]:
    return [np.zeros((2, bench.rice.width), np.int64)] * 3


LOADS: dict[str, Callable[[RiceBench], list[Frame]]] = {
    "largest": _largest,
    "mixed": _mixed,
    "runs": _runs_then_largest,
    "zeros": _zeros,
}


@cocotb.test
@cocotb.parametrize(load=tuple(LOADS))
async def throughput(dut: Any, load: str) -> None:
    """Frames back to back, a beat in each clock, if words are as wide as is asked for; latency as promised."""
    bench = await RiceBench(dut).start()
    frames = LOADS[load](bench)
    streams = bench.send(frames)
    taken, sent = bench.source.clocks, bench.sink.taken
    words = sum(-(-len(stream) // SETTINGS.octets) for stream in streams)
    await bench.drain(words, 1000 + 20 * bench.beats)
    if SETTINGS.full_rate:
        gaps = [clock for clock, following in pairwise(taken) if following != clock + 1]
        assert not gaps, f"throughput: the input waited after clocks {gaps}"
        ends = [clock for clock, (_, _, last) in zip(bench.sink.clocks, sent, strict=True) if last]
        beats = np.cumsum([frame.size // SETTINGS.lanes for frame in frames]).tolist()
        latency = max(end - taken[beat - 1] for end, beat in zip(ends, beats, strict=True))
        assert latency <= SETTINGS.latency, f"latency is {latency} instead of {SETTINGS.latency} clocks"
    await bench.finish(streams)


@cocotb.test
async def stalled(dut: Any) -> None:
    """Behind an output that is stalled for long the input stops, and nothing is lost."""
    bench = await RiceBench(dut).start()
    bench.sink.pauses(PAUSES["always"])
    await bench.step()
    streams = bench.send([bench.largest(4)] * 3)
    await bench.run(100 + 4 * bench.rice.block)
    held = len(bench.source.taken)
    await bench.run(100)
    assert len(bench.source.taken) == held, f"the input went on: {len(bench.source.taken)} beats after {held}"
    bench.sink.pauses(PAUSES["never"])
    await bench.finish(streams)


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset anywhere in a frame, the output moving or stalled: the next frame is right."""
    bench = await RiceBench(dut).start()
    COVERAGE.declare("reset output", ["idle", "wait"])
    for sink in ("never", "always", "random") * 4:
        bench.sink.pauses(PAUSES[sink])
        bench.send([bench.largest(1), bench.draw(3)])
        await bench.run(int(bench.rng.integers(1, 3 * bench.rice.width // SETTINGS.lanes + 40)))
        COVERAGE.hit("reset output", [bench.sink.state])
        bench.sink.pauses(PAUSES["never"])
        await bench.reset(int(bench.rng.integers(1, 4)))
        bench.forget()
        await bench.exchange([bench.draw(1)])


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
