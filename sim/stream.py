# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""AXI4-Stream drivers and checkers for cocotb, and the bench that moves them all once a clock.

Everything is sampled at the rising edge, before the edge has any effect, and driven right after it. No
tasks run beside the test: a violated rule fails the test in the very clock it happens.
"""

import json
import os
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Self

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from numpy.typing import NDArray

from .coverage import Coverage
from .tdata import Beats, pack, unpack

SETTINGS_VARIABLE = "PTYCHOPRESS_BENCH"
"""Environment variable with the path of the settings file of a run."""

Beat = tuple[int, ...]
Pause = Callable[[random.Random], Iterator[bool]]


@dataclass(frozen=True)
class Settings:
    """What a bench knows of the block under test, written by `ptychopress.sim.run` and read in the simulator.

    Attributes
    ----------
    lanes, latency : int
        Of the block.
    in_bits, out_bits : int
        Width of a lane's value on the way in and out.
    table_bits : int
        Width of a word of a table.
    books : dict of str to list of int
        Edges of codebooks by name; the first is the block's own, the others are loaded at run time.
    has_table, preload : bool
        Whether the block takes tables, and whether it has one to begin with.
    levels : list of int
        Decode levels, in the decoder's fixed point.
    projection : dict of str to int
        Sizes of the projection, as `ProjectionFormat` takes them.
    columns, frame_clocks, entry : int
        Of a projector: coefficients a beat, clocks a frame, beats that an encoder in front of it may hold.
    registers : dict of str to int
        Parameters of the register map.
    packing : dict of str to int
        Of a block that makes payloads: `octets` of a word, lanes that count in the last beat (`last_values`); of a
        `BitPacker` also `chunk_bits`, and whether the first bit is the highest of its octet (`msb_first`).
    rice : dict of str to int
        Format of the Rice streams, as `RiceFormat` takes it.
    octets, full_rate : int, bool
        Of a Rice encoder: bytes of a word, and whether words are wide enough for a beat a clock.
    packets : dict of str to int
        Of a packetizer: `Sizes` of its headers, octets of the `largest` payload, `frames` that wait.
    core : dict
        Configuration of a detector core, as `CoreConfig.from_dict` takes it.
    coverage : str
        File for the functional coverage.
    """

    lanes: int = 1
    latency: int = 1
    in_bits: int = 14
    out_bits: int = 8
    table_bits: int = 0
    books: dict[str, list[int]] = field(default_factory=dict)
    has_table: bool = False
    preload: bool = True
    levels: list[int] = field(default_factory=list)
    projection: dict[str, int] = field(default_factory=dict)
    columns: int = 1
    frame_clocks: int = 1
    entry: int = 0
    registers: dict[str, int] = field(default_factory=dict)
    packing: dict[str, int] = field(default_factory=dict)
    rice: dict[str, int] = field(default_factory=dict)
    octets: int = 1
    full_rate: bool = True
    packets: dict[str, int] = field(default_factory=dict)
    core: dict[str, Any] = field(default_factory=dict)
    coverage: str = ""

    @classmethod
    def load(cls) -> Self:
        """Read the settings of this run; outside of a simulator, the defaults."""
        path = os.environ.get(SETTINGS_VARIABLE)
        if path is None:
            return cls()
        with open(path) as file:
            return cls(**json.load(file))


def _never(rng: random.Random) -> Iterator[bool]:
    return repeat(False)


def _always(rng: random.Random) -> Iterator[bool]:
    return repeat(True)


def _random(rng: random.Random) -> Iterator[bool]:
    while True:
        yield rng.random() < 0.5


def _slow(rng: random.Random) -> Iterator[bool]:
    while True:
        yield rng.random() < 0.8


def _stalls(rng: random.Random) -> Iterator[bool]:
    while True:
        yield from repeat(False, rng.randint(1, 20))
        yield from repeat(True, rng.randint(12, 40))


PAUSES: dict[str, Pause] = {
    "never": _never,
    "random": _random,
    "slow": _slow,
    "stalls": _stalls,
    "always": _always,
}
"""Pause patterns by name: an endless iterator that says whether to pause in the next clock."""

MATRIX = ("never", "random", "slow", "stalls")
"""The patterns that are tried against each other, source against sink."""


def frames(beats: int, rng: np.random.Generator) -> list[int]:
    """Return tlast of each beat: frames of 1, of 2, then of random length; the last beat ends one."""
    last = rng.random(beats) < 0.2
    last[:1] = last[2:3] = last[-1:] = True
    return last.astype(int).tolist()


class Source:
    """Drives the stream into the block and writes down what the block took.

    Attributes
    ----------
    taken : list of (tdata, tlast), and `sidebands`
    clocks : list of int
        When each was taken.
    waited : set of int
        Lengths of the waits for tready.
    state : {"idle", "transfer", "wait"}
        What happened in the last clock.
    """

    def __init__(self, dut: Any, prefix: str, rng: random.Random, *sidebands: str) -> None:
        self._ports = [getattr(dut, f"{prefix}_{name}") for name in ("tdata", "tlast", *sidebands)]
        self._valid = getattr(dut, f"{prefix}_tvalid")
        self._ready = getattr(dut, f"{prefix}_tready")
        self._rng = rng
        self.pauses(_never)
        self.halt()

    def pauses(self, pause: Pause) -> None:
        """Pause between beats after this pattern from now on."""
        self._pauses = pause(self._rng)

    def send(self, beats: Iterable[Beat]) -> None:
        """Send these beats after those under way."""
        self._feed = chain(self._feed, beats)

    def stop(self) -> None:
        """Send nothing more after the beat that is waiting."""
        self._feed = iter(())

    def halt(self) -> None:
        """Withdraw everything, as only a reset allows, and forget what was taken."""
        self._feed: Iterator[Beat] = iter(())
        self._offer: Beat | None = None
        self._valid.value = 0
        self._wait = 0
        self.taken: list[Beat] = []
        self.clocks: list[int] = []
        self.waited: set[int] = set()
        self.state = "idle"

    @property
    def ready(self) -> bool:
        """Level of tready before the last edge."""
        return bool(self._ready.value)

    def clock(self, now: int) -> None:
        """Take note of the edge that has just come, and drive for the next."""
        if self._offer is None:
            self.state = "idle"
        elif not self._ready.value:
            self.state = "wait"
            self._wait += 1
            return
        else:
            self.state = "transfer"
            self.taken.append(self._offer)
            self.clocks.append(now)
            self.waited.add(self._wait)
            self._wait = 0
        offer = None if next(self._pauses) else next(self._feed, None)
        if offer is not None:
            for port, value in zip(self._ports, offer, strict=True):
                port.value = value
        if (offer is None) != (self._offer is None):
            self._valid.value = int(offer is not None)
        self._offer = offer


class Sink:
    """Takes the stream out of the block and watches its rules.

    tvalid must not fall, nor tdata, tlast and tuser change, before a beat is taken.

    Attributes
    ----------
    taken : list of (tdata, tuser, tlast)
    clocks : list of int
        When each was taken.
    waited : set of int
        Lengths of the waits for tready.
    last_waited : bool
        Whether a beat with tlast had to wait.
    state : {"idle", "blocked", "transfer", "wait"}
        What happened in the last clock; "blocked" is tready low without a beat.
    """

    def __init__(self, dut: Any, rng: random.Random, sideband: str = "tuser") -> None:
        self._data, self._user, self._last = dut.m_axis_tdata, getattr(dut, f"m_axis_{sideband}"), dut.m_axis_tlast
        self._valid, self._ready = dut.m_axis_tvalid, dut.m_axis_tready
        self._rng = rng
        self._pause = False
        self._ready.value = 1
        self.pauses(_never)
        self.forget()

    def pauses(self, pause: Pause) -> None:
        """Hold tready low after this pattern from the next clock on."""
        self._pauses = pause(self._rng)

    def forget(self) -> None:
        """Forget what was taken, and a beat that waits, as only a reset allows."""
        self._waiting: tuple[int, int, int] | None = None
        self._wait = 0
        self.taken: list[tuple[int, int, int]] = []
        self.clocks: list[int] = []
        self.waited: set[int] = set()
        self.last_waited = False
        self.state = "idle"

    @property
    def valid(self) -> bool:
        """Level of tvalid before the last edge."""
        return bool(self._valid.value)

    def clock(self, now: int) -> None:
        """Take note of the edge that has just come, and drive for the next."""
        if self._valid.value:
            beat = tuple(_defined(port) for port in (self._data, self._user, self._last))
            if self._waiting is not None:
                assert beat == self._waiting, f"payload changed while waiting: {self._waiting} became {beat}"
            if self._pause:
                self.state, self._waiting = "wait", beat
                self._wait += 1
                self.last_waited |= bool(beat[2])
            else:
                self.state, self._waiting = "transfer", None
                self.taken.append(beat)
                self.clocks.append(now)
                self.waited.add(self._wait)
                self._wait = 0
        else:
            assert self._waiting is None, "tvalid fell before the beat was taken"
            self.state = "blocked" if self._pause else "idle"
        pause = next(self._pauses)
        if pause != self._pause:
            self._pause = pause
            self._ready.value = int(not pause)


def _defined(port: Any) -> int:
    """Value of a port; a bit that is neither 0 nor 1, as of memory that nobody wrote, is a finding."""
    bits = port.value
    assert bits.is_resolvable, f"undefined bits beside tvalid: {port._name} is {bits}"
    return int(bits)


STATES = (
    *((i, o) for i in ("idle", "transfer") for o in ("idle", "blocked", "transfer")),
    ("idle", "wait"),
    ("wait", "wait"),
)
"""What the two sides of a block can do in one clock: it makes its source wait only while its sink does."""


class StreamBench:
    """A block behind AXI4-Stream ports, with a source, a sink, and a source of tables if it takes them.

    Parameters
    ----------
    dut : cocotb handle
        Top of the design.
    settings : Settings
    coverage : Coverage
    """

    def __init__(self, dut: Any, settings: Settings, coverage: Coverage) -> None:
        self.dut = dut
        self.settings = settings
        self.coverage = coverage
        # cocotb has seeded `random` from the run's seed and the test's name.
        self.rng = np.random.default_rng(random.getrandbits(64))
        self.pause_rng = random.Random(random.getrandbits(64))
        self.now = 0
        self.source = Source(dut, "s_axis", self.pause_rng)
        self.sink = Sink(dut, self.pause_rng)
        self.table = Source(dut, "s_axis_table", self.pause_rng) if settings.has_table else None
        self.errors: list[int] = []
        self.states: set[tuple[str, str]] = set()
        self._edge = RisingEdge(dut.aclk)

    async def prepare(self) -> None:
        """Bring the block from a reset to where it takes beats."""
        return

    async def start(self) -> Self:
        """Start the clock, and reset."""
        self.dut.aresetn.value = 0
        # Low first: at time 0 the values written above have not arrived yet.
        Clock(self.dut.aclk, 10, "ns").start(start_high=False)
        await self.reset()
        return self

    async def step(self) -> None:
        """One clock."""
        await self._edge
        self.now += 1
        self.source.clock(self.now)
        self.sink.clock(self.now)
        self.states.add((self.source.state, self.sink.state))
        if self.table is not None:
            self.table.clock(self.now)
            if self.dut.table_error.value:
                self.errors.append(self.now)

    async def run(self, clocks: int) -> None:
        """So many clocks."""
        for _ in range(clocks):
            await self.step()

    async def until(self, done: Callable[[], bool], limit: int, progress: Callable[[], str]) -> None:
        """Clocks until `done`; fail after `limit` of them and say how far it came."""
        for _ in range(limit):
            if done():
                return
            await self.step()
        raise AssertionError(f"stuck: {progress()} after {limit} clocks")

    async def reset(self, clocks: int = 2) -> None:
        """Reset the block: it must be silent from the first edge on and hold nothing afterwards."""
        await self.clear(clocks)
        await self.prepare()

    async def clear(self, clocks: int = 2) -> None:
        """Reset the block and leave it so."""
        self.dut.aresetn.value = 0
        self.source.halt()
        if self.table is not None:
            self.table.halt()
            self.table.pauses(PAUSES["never"])
        await self._edge
        for _ in range(clocks):
            await self._edge
            assert not self.sink.valid, "a beat survived the reset"
        self.sink.forget()
        self.errors.clear()
        self.dut.aresetn.value = 1

    def table_beats(self, words: Sequence[int]) -> list[Beat]:
        """Words, signed or not, on tdata, tlast on the final one."""
        bits = self.settings.table_bits
        column = np.array(words, np.int64)[:, None] & ((1 << bits) - 1)
        return list(zip(pack(column, bits, self.rng), [*repeat(0, len(words) - 1), 1], strict=True))

    async def load(self, words: Sequence[int]) -> None:
        """Load a good table; it is in force for everything that is sent from now on."""
        assert self.table is not None
        table, beats = self.table, self.table_beats(words)
        done = len(table.taken) + len(beats)
        table.send(beats)
        await self.until(
            lambda: len(table.taken) == done,
            200 + 8 * len(beats),
            lambda: f"{len(table.taken)} of {done} words",
        )
        await self.run(1)
        assert not self.errors, "table_error after a good table"

    async def drain(self, beats: int, limit: int | None = None) -> None:
        """Clocks until so many beats have come out, and some more in which nothing may follow."""
        await self.until(
            lambda: len(self.sink.taken) >= beats,
            limit or 200 + 60 * beats,
            lambda: f"{len(self.sink.taken)} of {beats} beats came out",
        )
        self.sink.pauses(PAUSES["never"])
        await self.run(self.settings.latency + 4)

    def compare(self, values: Beats, flags: NDArray[np.bool_], last: list[int]) -> None:
        """Compare all that came out with what had to, bit for bit, and forget it."""
        taken = self.sink.taken
        assert len(taken) == len(values), f"beats lost or repeated: {len(taken)} instead of {len(values)}"
        data, user, ends = map(list, zip(*taken, strict=True))
        got = unpack(data, values.shape[1], self.settings.out_bits)
        np.testing.assert_array_equal(got, values, "values differ")
        weights = 1 << np.arange(flags.shape[1])
        np.testing.assert_array_equal(user, flags @ weights, "flags differ")
        np.testing.assert_array_equal(ends, last, "tlast differs")
        self.source.taken.clear()
        self.source.clocks.clear()
        self.sink.taken.clear()
        self.sink.clocks.clear()


class BeatBench(StreamBench, ABC):
    """A block that makes one beat out of each, and its model."""

    @abstractmethod
    def draw(self, beats: int) -> Beats:
        """Random values for so many beats, int64 (beats, lanes)."""

    @abstractmethod
    def expect(self, values: Beats) -> tuple[Beats, NDArray[np.bool_]]:
        """Values and flags that must come out, (beats, lanes) both."""

    def send(self, values: Beats) -> list[int]:
        """Send values; return tlast of each beat."""
        last = frames(len(values), self.rng)
        self.source.send(zip(pack(values, self.settings.in_bits, self.rng), last, strict=True))
        return last

    async def exchange(self, values: Beats) -> None:
        """Send values, wait for all that comes out, compare."""
        last = self.send(values)
        await self.drain(len(values))
        self.compare(*self.expect(values), last)

    async def back_pressure(self, source: str, sink: str) -> None:
        """Source against sink, each with its pause pattern; covers states, waits and frames."""
        self.coverage.declare("states", STATES)
        self.coverage.declare("wait", [(side, kind) for side in ("in", "out") for kind in ("none", "short", "long")])
        self.coverage.declare("frame", ["1 beat", "2 beats", "more", "end waited"])
        self.source.pauses(PAUSES[source])
        self.sink.pauses(PAUSES[sink])
        self.states.clear()
        values = self.draw(60)
        last = self.send(values)
        await self.drain(len(values))
        self.compare(*self.expect(values), last)
        self.coverage.hit("states", self.states)
        for side, port in (("in", self.source), ("out", self.sink)):
            waits = ("none" if not wait else "short" if wait < 8 else "long" for wait in port.waited)
            self.coverage.hit("wait", ((side, kind) for kind in waits))
        lengths = np.diff(np.flatnonzero([1, *last])).tolist()
        self.coverage.hit("frame", ({1: "1 beat", 2: "2 beats"}.get(length, "more") for length in lengths))
        self.coverage.hit("frame", ["end waited"] if self.sink.last_waited else [])

    async def throughput(self) -> None:
        """One beat a clock in and out, and exactly the promised latency, as long as nobody pauses."""
        values = self.draw(100)
        last = self.send(values)
        await self.drain(len(values))
        begin = self.source.clocks[0]
        steady = list(range(begin, begin + len(values)))
        assert self.source.clocks == steady, f"throughput: beats were taken in clocks {self.source.clocks}"
        latency = self.sink.clocks[0] - begin
        assert latency == self.settings.latency, f"latency is {latency} instead of {self.settings.latency} clocks"
        assert self.sink.clocks == [clock + latency for clock in steady], "throughput: the output has gaps"
        self.compare(*self.expect(values), last)

    async def capacity(self) -> None:
        """Behind a stalled output the block takes `latency` beats, then none, and keeps them all."""
        values = self.draw(self.settings.latency + 5)
        self.sink.pauses(PAUSES["always"])
        await self.step()
        last = self.send(values)
        await self.run(self.settings.latency + 30)
        held = len(self.source.taken)
        assert held == self.settings.latency, f"capacity is {held} instead of {self.settings.latency} beats"
        self.sink.pauses(PAUSES["never"])
        await self.drain(len(values))
        self.compare(*self.expect(values), last)

    async def reset_mid_stream(self) -> None:
        """Reset with the pipeline empty, filling, moving and stalled: all of it goes, the next frame is right."""
        latency = self.settings.latency
        fills = ("empty", "full") if latency == 1 else ("empty", "part", "full")
        self.coverage.declare("reset_fill", fills)
        self.coverage.declare("reset_output", ["idle", "transfer", "wait"])
        cases: Mapping[str, tuple[str, str, int, int]] = {
            "nothing sent": ("never", "never", 0, 3),
            "moving": ("never", "never", 200, latency + 5),
            "stalled": ("never", "always", 200, latency + 20),
            "filling": ("never", "always", 1, 2),
        }
        chance = (("random", "random", 200, int(clocks)) for clocks in self.rng.integers(1, 40, 6))
        for source, sink, beats, clocks in chain(cases.values(), chance):
            self.source.pauses(PAUSES[source])
            self.sink.pauses(PAUSES[sink])
            if beats:
                self.send(np.maximum(self.draw(beats), 1))
            await self.run(1 + clocks)
            held = len(self.source.taken) - len(self.sink.taken)
            self.coverage.hit("reset_fill", ["empty" if not held else "full" if held == latency else "part"])
            self.coverage.hit("reset_output", [self.sink.state])
            self.sink.pauses(PAUSES["never"])
            await self.reset(int(self.rng.integers(1, 4)))
            await self.exchange(self.draw(20))
