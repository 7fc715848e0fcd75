# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Benches of blocks that make the payload of each frame, in words of bytes."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from .stream import PAUSES, STATES, StreamBench


@dataclass(frozen=True)
class Frame:
    """A frame on its way in, and what must come out.

    Attributes
    ----------
    tdata : list of int
        Its beats.
    chunks : list of int or None
        Bits that each beat hands to the `BitPacker` within; None if it hands over nothing.
    payload : bytes
        By the model.
    """

    tdata: list[int]
    chunks: list[int | None]
    payload: bytes


class PayloadBench(StreamBench, ABC):
    """A block with a `BitPacker` at its end, and its model."""

    @abstractmethod
    def draw(self) -> list[Frame]:
        """Some frames, random ones among them."""

    @abstractmethod
    def ends(self) -> list[str]:
        """How frames of `draw` end: in a word that is "full", or filled in "part"."""

    @property
    def octets(self) -> int:
        """Bytes of a word."""
        return self.settings.packing["octets"]

    def send(self, frames: Sequence[Frame]) -> int:
        """Send frames; return how many words must come out."""
        for frame in frames:
            self.source.send(zip(frame.tdata, [*repeat(0, len(frame.tdata) - 1), 1], strict=True))
        return sum(len(self.words(frame)) for frame in frames)

    def words(self, frame: Frame) -> list[tuple[int, int, int]]:
        """Words that must come out of a frame: octets, size, last."""
        payload, words = frame.payload, []
        for first in range(0, max(1, len(payload)), self.octets):
            piece = payload[first : first + self.octets]
            words.append((int.from_bytes(piece, "little"), len(piece), int(first + self.octets >= len(payload))))
        return words

    def compare_words(self, frames: Sequence[Frame]) -> None:
        """Compare all that came out with what had to, bit for bit, and forget it."""
        expected = [word for frame in frames for word in self.words(frame)]
        taken = self.sink.taken
        assert len(taken) == len(expected), f"words lost or repeated: {len(taken)} instead of {len(expected)}"
        for field, name in enumerate(("octets", "sizes", "tlast")):
            pairs = zip(taken, expected, strict=True)
            wrong = [f"{got} instead of {right}" for got, right in pairs if got[field] != right[field]]
            assert not wrong, f"{name} differ in {len(wrong)} words: {next(iter(wrong))}"
        for port in (self.source, self.sink):
            port.taken.clear()
            port.clocks.clear()

    async def exchange(self, frames: Sequence[Frame]) -> None:
        """Send frames, wait for all that comes out, compare."""
        words = self.send(frames)
        beats = sum(len(frame.tdata) for frame in frames)
        await self.drain(words, 400 + 12 * (words + beats))
        self.compare_words(frames)

    async def back_pressure(self, source: str, sink: str) -> None:
        """Source against sink, each with its pause pattern; covers states, waits, and how frames end."""
        frames = self.draw()
        self.coverage.declare("states", STATES)
        self.coverage.declare("wait", [(side, kind) for side in ("in", "out") for kind in ("none", "short", "long")])
        self.coverage.declare("frame", ["1 chunk", "2 chunks", "more", "end waited"])
        self.coverage.declare("end", self.ends())
        self.source.pauses(PAUSES[source])
        self.sink.pauses(PAUSES[sink])
        self.states.clear()
        self.source.waited.clear()
        self.sink.waited.clear()
        self.sink.last_waited = False
        await self.exchange(frames)
        self.coverage.hit("states", self.states)
        for side, port in (("in", self.source), ("out", self.sink)):
            waits = ("none" if not wait else "short" if wait < 8 else "long" for wait in port.waited)
            self.coverage.hit("wait", ((side, kind) for kind in waits))
        lengths = (sum(bits is not None for bits in frame.chunks) for frame in frames)
        self.coverage.hit("frame", ({1: "1 chunk", 2: "2 chunks"}.get(length, "more") for length in lengths))
        self.coverage.hit("frame", ["end waited"] if self.sink.last_waited else [])
        sizes = [self.words(frame)[-1][1] for frame in frames]
        self.coverage.hit("end", ("full" if size == self.octets else "part" for size in sizes))

    async def throughput(self) -> None:
        """With nobody pausing every beat is taken, and every word comes out, in the clock that is promised."""
        frames = self.draw()
        await self.exchange(frames[:1])
        words = self.send(frames)
        await self.drain(words)
        begin = self.source.clocks[0]
        takes, comes = self.schedule(frames)
        assert [clock - begin for clock in self.source.clocks] == takes, (
            f"beats were taken in clocks {self.source.clocks} instead of {takes} after {begin}"
        )
        clocks = [clock - begin for clock in self.sink.clocks]
        assert clocks == comes, f"words came in clocks {clocks} instead of {comes}"
        self.compare_words(frames)

    def schedule(self, frames: Sequence[Frame]) -> tuple[list[int], list[int]]:
        """Clocks in which beats are taken and words come out, without pauses, from the first beat on.

        A chunk that the waiting bits leave no room for pushes a word out, and so does the clock after the end of a
        frame. One that is wider than a word takes a clock for every word of bits; beats without a chunk hide them.
        """
        word_bits, latency = 8 * self.octets, self.settings.latency
        takes: list[int] = []
        comes: list[int] = []
        now = hidden = 0
        for frame in frames:
            fill = after = 0
            for bits in frame.chunks:
                takes.append(now)
                now += 1
                if bits is None:
                    hidden += 1
                    continue
                pieces = [min(word_bits, bits - first) for first in range(0, max(1, bits), word_bits)]
                for clock, piece in enumerate(pieces, takes[-1]):
                    fill += piece
                    if fill > word_bits:
                        comes.append(clock + latency)
                        fill -= word_bits
                after = takes[-1] + len(pieces)
                now += max(0, len(pieces) - 1 - hidden)
                hidden = 0
            comes.append(after + latency)
        return takes, comes

    async def reset_mid_stream(self) -> None:
        """Reset with nothing sent, moving and stalled: all of it goes, the next frames are right."""
        self.coverage.declare("reset_output", ["idle", "transfer", "wait"])
        cases = [("never", "idle", 0), ("never", "transfer", 5), ("always", "wait", 30)]
        cases += [("random", "", clocks) for clocks in self.rng.integers(1, 60, 6).tolist()]
        for sink, state, clocks in cases:
            self.source.pauses(PAUSES["random" if sink == "random" else "never"])
            self.sink.pauses(PAUSES[sink])
            self.send(self.draw())
            await self.run(1 + clocks)
            await self.until(lambda state=state: state in ("", self.sink.state), 200, lambda: self.sink.state)
            self.coverage.hit("reset_output", [self.sink.state])
            self.source.pauses(PAUSES["never"])
            self.sink.pauses(PAUSES["never"])
            # As short as can be: what is on its way then must not outlive it either.
            await self.reset(0 if state else int(self.rng.integers(0, 4)))
            await self.exchange(self.draw()[:4])
