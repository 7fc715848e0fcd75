# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the packetizer: payloads of every length, every pause, a buffer that is full, resets.

A cocotb module: `ptychopress.sim.run` starts it in a simulator. Every octet of every packet is compared with
`ptychopress.model.packet`, in every clock the level, and whether there is room.
"""

import zlib
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import cocotb

from ..model.config import Mode
from ..model.packet import CRC_OCTETS, HEADER_OCTETS, OFFSETS, Header, Packet, Sizes
from .coverage import Coverage
from .stream import MATRIX, PAUSES, Settings, StreamBench

SETTINGS = Settings.load()
COVERAGE = Coverage("framer")
CONSTANTS = dict(SETTINGS.packets or {"word_octets": 4, "count_bits": 1, "code_bits": 1, "width": 1, "height": 1})
LARGEST, FRAMES = CONSTANTS.pop("largest", 1), CONSTANTS.pop("frames", 1)
SIZES = Sizes(**CONSTANTS)
OCTETS = SIZES.word_octets
WORDS = -(-LARGEST // OCTETS)
DEPTH = max(FRAMES * WORDS, 2)
# Words that are fetched ahead, for a memory that takes 2 clocks.
AHEAD = 4
HEADER_WORDS = HEADER_OCTETS // OCTETS
# Of a packet: what the descriptor says of it.
DESCRIPTOR = slice(OFFSETS["mode"], OFFSETS["length"])
# What the two sides can do in one clock: a full buffer makes its source wait while packets go.
STATES = [
    *product(("idle", "transfer"), ("idle", "blocked", "transfer", "wait")),
    ("wait", "transfer"),
    ("wait", "wait"),
]


class FramerBench(StreamBench):
    """A packetizer, the packets that are due from it, and what must be in its buffer."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        self.levels: set[str] = set()
        self.forget()

    def forget(self) -> None:
        """Nothing is on its way, as after a reset."""
        self.packets: list[bytes] = []
        self.source.taken.clear()
        self.source.clocks.clear()
        self.sink.forget()
        # Words and ends of payloads among the first n beats that go in, and that come out.
        self.into, self.out = [(0, 0)], [(0, 0)]

    async def clear(self, clocks: int = 2) -> None:
        """Reset."""
        await super().clear(clocks)
        self.forget()

    def lengths(self, count: int) -> list[int]:
        """So many lengths of payloads: nothing, at most a word, any, the largest."""
        kinds = [(0, 0), (0, min(OCTETS, LARGEST)), (0, LARGEST), (LARGEST, LARGEST)]
        return [int(self.rng.integers(*kinds[kind], endpoint=True)) for kind in self.rng.integers(0, 4, count)]

    def send(self, lengths: Iterable[int]) -> None:
        """Send payloads of these lengths, with noise wherever nothing counts."""
        for length in lengths:
            packet = self.packet(length)
            self.packets.append(packet)
            # Some payloads end with a beat of their own, in which nothing counts.
            starts = [*range(0, length, OCTETS)]
            if not starts or (length % OCTETS == 0 and self.rng.random() < 0.5):
                starts.append(length)
            self.source.send([self.beat(packet, length, start, start == starts[-1]) for start in starts])
            for start in starts:
                self.count(self.into, int(start < length), start == starts[-1])
            words = -(-length // OCTETS)
            for word in range(-HEADER_WORDS, words + 1):
                self.count(self.out, int(0 <= word < words), word == words)

    def packet(self, length: int) -> bytes:
        """Packet of random octets; bits that no mode and no flag sets are nothing special."""
        octets = Packet.build(Header(sizes=SIZES, mode=Mode.RAW), self.rng.bytes(length)).pack()
        descriptor = self.rng.bytes(DESCRIPTOR.stop - DESCRIPTOR.start)
        octets = octets[: DESCRIPTOR.start] + descriptor + octets[DESCRIPTOR.stop : -CRC_OCTETS]
        return octets + zlib.crc32(octets).to_bytes(CRC_OCTETS, "little")

    @staticmethod
    def count(beats: list[tuple[int, int]], words: int, last: bool) -> None:
        """Note one more beat."""
        beats.append((beats[-1][0] + words, beats[-1][1] + last))

    def beat(self, packet: bytes, length: int, start: int, last: bool) -> tuple[int, int]:
        """Beat of a payload."""
        octets = packet[HEADER_OCTETS : HEADER_OCTETS + length][start : start + OCTETS]
        descriptor = packet[DESCRIPTOR] if last else self.rng.bytes(DESCRIPTOR.stop - DESCRIPTOR.start)
        bus = octets + self.rng.bytes(OCTETS - len(octets)) + bytes([len(octets)]) + descriptor
        return int.from_bytes(bus, "little"), int(last)

    async def step(self) -> None:
        """One clock, in which the buffer is what it should be."""
        taken, came = len(self.source.taken), len(self.sink.taken)
        await super().step()
        came += self.sink.valid
        assert came < len(self.out), "beats without a payload"
        level, frames = (a - b for a, b in zip(self.into[taken], self.out[came], strict=True))
        assert int(self.dut.level.value) == level, f"level is {int(self.dut.level.value)} instead of {level}"
        fits, room = level + WORDS <= DEPTH, bool(self.dut.room.value)
        assert room <= (fits and frames <= FRAMES), "room where there is none"
        assert room >= (fits and frames < FRAMES), "no room where there is some"
        sending = self.sink.state == "transfer" and self.sink.taken[-1][2]
        assert bool(self.dut.sending.value) == sending, "sending differs"
        self.levels.add("full" if level >= DEPTH else "part" if level else "empty")

    def compare_packets(self) -> None:
        """Compare all that came out with the packets that are due, and forget it."""
        words = []
        for octets in self.packets:
            for start in range(0, len(octets), OCTETS):
                part = octets[start : start + OCTETS]
                words.append((int.from_bytes(part, "little"), len(part), int(start + OCTETS >= len(octets))))
        taken = self.sink.taken
        assert len(taken) == len(words), f"beats lost or repeated: {len(taken)} instead of {len(words)}"
        for column, name in enumerate(("octets", "sizes", "tlast")):
            wrong = next((k for k, (a, b) in enumerate(zip(taken, words, strict=True)) if a[column] != b[column]), None)
            if wrong is not None:
                got, due = taken[wrong][column], words[wrong][column]
                raise AssertionError(f"{name} differ in beat {wrong}: {got:#x} instead of {due:#x}")
        assert not self.sink.valid
        self.forget()

    async def finish(self) -> None:
        """Wait for all packets that are due; compare."""
        await self.drain(len(self.out) - 1)
        self.compare_packets()
        assert self.dut.level.value == 0 and self.dut.room.value == 1, "something is left in the buffer"

    async def exchange(self, lengths: Iterable[int]) -> None:
        """Send payloads, wait for their packets, compare."""
        self.send(lengths)
        await self.finish()


@cocotb.test
async def every_length(dut: Any) -> None:
    """Payloads of nothing up to some words, and of the largest sizes."""
    bench = await FramerBench(dut).start()
    lengths = {*range(min(3 * OCTETS + 2, LARGEST + 1)), *range(max(LARGEST - OCTETS, 0), LARGEST + 1)}
    await bench.exchange(bench.rng.permutation(sorted(lengths)).tolist())


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no octet."""
    bench = await FramerBench(dut).start()
    COVERAGE.declare("states", STATES)
    COVERAGE.declare("level", ["empty", "part", "full"] if DEPTH > 2 else ["empty", "full"])
    bench.source.pauses(PAUSES[source])
    bench.sink.pauses(PAUSES[sink])
    await bench.exchange(bench.lengths(10))
    COVERAGE.hit("states", bench.states)
    COVERAGE.hit("level", bench.levels)


@cocotb.test
async def throughput(dut: Any) -> None:
    """A word a clock while packets wait, none idle within them or between them; and the promised latency."""
    bench = await FramerBench(dut).start()
    for lengths in ([LARGEST] * 5, bench.lengths(6), [0] * 6, [min(OCTETS, LARGEST)] * 6):
        bench.send(lengths)
        # As many as find place wait before the first one goes.
        bench.sink.pauses(PAUSES["always"])
        await bench.run(20 + 2 * DEPTH)
        waiting = bench.into[len(bench.source.taken)][1]
        beats = next(k for k, (_, ends) in enumerate(bench.out) if ends == waiting)
        bench.sink.pauses(PAUSES["never"])
        await bench.drain(len(bench.out) - 1)
        clocks = bench.sink.clocks[:beats]
        assert waiting and clocks == [*range(clocks[0], clocks[0] + beats)], "throughput: packets have gaps"
        bench.compare_packets()
    if FRAMES > 1:
        # Nothing waits at first: the buffer takes a payload while it gives another.
        bench.send([LARGEST] * 5)
        await bench.drain(len(bench.out) - 1)
        clocks = bench.sink.clocks[HEADER_WORDS + WORDS :]
        assert clocks == [*range(clocks[0], clocks[0] + len(clocks))], "throughput: packets have gaps"
        bench.compare_packets()
    for length in (0, LARGEST):
        bench.send([length])
        await bench.drain(len(bench.out) - 1)
        latency = bench.sink.clocks[0] - bench.source.clocks[-1]
        assert latency == SETTINGS.latency, f"latency is {latency} instead of {SETTINGS.latency} clocks"
        bench.compare_packets()


@cocotb.test
@cocotb.parametrize(length=["largest", "nothing"])
async def capacity(dut: Any, length: str) -> None:
    """Behind an output that is stalled for long as much is taken as was promised, then nothing, and all of it kept."""
    bench = await FramerBench(dut).start()
    bench.sink.pauses(PAUSES["always"])
    await bench.step()
    payloads, octets = {"largest": (FRAMES, LARGEST), "nothing": (FRAMES + 1, 0)}[length]
    bench.send([octets] * (payloads + 2))
    await bench.run(2 * DEPTH + 200)
    words, ends = bench.into[len(bench.source.taken)]
    if octets:
        due = min(DEPTH + AHEAD, (FRAMES + 1) * WORDS)
        assert words == due and ends >= FRAMES, f"capacity is {words} instead of {due} words, {ends} payloads"
    else:
        assert ends == payloads, f"capacity is {ends} instead of {payloads} payloads"
    bench.sink.pauses(PAUSES["never"])
    await bench.finish()


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset wherever it may be: nothing is left, and the next packets are right."""
    bench = await FramerBench(dut).start()
    for source, sink in [("never", "never"), ("never", "always"), ("random", "random"), ("random", "slow")] * 2:
        bench.source.pauses(PAUSES[source])
        bench.sink.pauses(PAUSES[sink])
        bench.send(bench.lengths(20))
        await bench.run(int(bench.rng.integers(1, 60 + 4 * WORDS)))
        bench.sink.pauses(PAUSES["never"])
        await bench.reset(int(bench.rng.integers(1, 4)))
        await bench.exchange(bench.lengths(3))


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
