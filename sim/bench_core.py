# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the whole detector core: pixels, tables and registers in, packets out, every octet as the model has it.

A cocotb module: `ptychopress.sim.run` starts it in a simulator.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any, Self

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge
from numpy.typing import NDArray

from ..model.codebook import Codebook
from ..model.config import CoreConfig, Mode
from ..model.core import Core
from ..model.packet import Flag, identifier
from ..model.registers import core_registers
from .bench_registers import Receiver, Sender
from .coverage import Coverage
from .draw import draw_codebook, draw_counts, draw_projection
from .stream import MATRIX, PAUSES, Settings, Sink, Source
from .tdata import pack

SETTINGS = Settings.load()
COVERAGE = Coverage("core")
CONFIG = CoreConfig.from_dict(SETTINGS.core) if SETTINGS.core else CoreConfig.named("cell-72")
REGISTERS = core_registers(CONFIG)
LABELS = [mode.label for mode in CONFIG.modes]
PHASES = -(-CONFIG.projection.components // CONFIG.projector.columns) if CONFIG.projects else 1
"""Clocks of a beat in modes that project."""
PATIENCE = 4000 + 200 * CONFIG.frame.beats * PHASES
ENDS = ("whole", "short", "one beat", "long", "no last", "broken off")
UNMARKED = ENDS[-2:]
"""Without a last beat; the next frame's start tells where they end."""


@dataclass(frozen=True)
class Sent:
    """A frame as it was sent, and what must come of it."""

    mode: Mode
    packet: bytes


class CoreBench:
    """The core with sources, sink, and a master on its bus.

    Attributes
    ----------
    begin, beats : int
        Beats of pixels sent before the last frame, and with it.
    codebook : Codebook or None
        Loaded last, in this or another test: where memories have initial values a table outlives a reset.
    """

    codebook: Codebook | None = None

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        # cocotb has seeded `random` from the run's seed and the test's name.
        self.rng = np.random.default_rng(random.getrandbits(64))
        self.pause_rng = random.Random(random.getrandbits(64))
        self.now = 0
        self.pixels = Source(dut, "s_axis", self.pause_rng, "tuser")
        self.sink = Sink(dut, self.pause_rng, "tkeep")
        self.tables = {
            name: Source(dut, f"s_axis_{name}", self.pause_rng)
            for name in ("weights", "thresholds")
            if hasattr(dut, f"s_axis_{name}_tdata")
        }
        bits = (REGISTERS.size - 1).bit_length()
        self.aw = Sender(dut, "s_axi_aw", {"addr": bits, "prot": 3}, self.pause_rng)
        self.w = Sender(dut, "s_axi_w", {"data": 32, "strb": 4}, self.pause_rng)
        self.ar = Sender(dut, "s_axi_ar", {"addr": bits, "prot": 3}, self.pause_rng)
        self.b = Receiver(dut, "s_axi_b", ["resp"], self.pause_rng)
        self.r = Receiver(dut, "s_axi_r", ["data", "resp"], self.pause_rng)
        self._reset = dut.aresetn if CONFIG.reset_active_low else dut.areset
        self._edge = RisingEdge(dut.aclk)

    async def start(self) -> Self:
        """Start the clock, reset, load what the core needs."""
        self._in_reset(True)
        self.dut.s_axis_tuser.value = 0
        # Low first: at time 0 the values written above have not arrived yet.
        Clock(self.dut.aclk, 10, "ns").start(start_high=False)
        await self.reset()
        return self

    def _in_reset(self, yes: bool) -> None:
        self._reset.value = int(yes != CONFIG.reset_active_low)

    async def reset(self, clocks: int = 2) -> None:
        """Reset, and load weights; a packet under way is lost."""
        self._in_reset(True)
        for port in (self.pixels, *self.tables.values(), self.aw, self.w, self.ar):
            port.halt()
        await self._edge
        for _ in range(clocks):
            await self._edge
            assert not self.sink.valid, "a beat survived the reset"
        for port in (self.sink, self.b, self.r):
            port.forget()
        self._in_reset(False)
        self.model = Core(CONFIG, codebook=self.codebook if CONFIG.encoder.preload else None)
        self.number, self.after_reset = 0, True
        self.begin = self.beats = 0
        if "thresholds" in self.tables and not CONFIG.encoder.preload:
            await self.load("thresholds", CONFIG.codebook.thresholds())
        if "weights" in self.tables:
            await self.new_weights()

    async def step(self) -> None:
        """One clock."""
        await self._edge
        self.now += 1
        for port in (self.pixels, self.sink, *self.tables.values(), self.aw, self.w, self.ar, self.b, self.r):
            port.clock(self.now)

    async def run(self, clocks: int) -> None:
        """So many clocks."""
        for _ in range(clocks):
            await self.step()

    async def until(self, done: Callable[[], bool], limit: int, what: str) -> None:
        """Clocks until `done`."""
        for _ in range(limit):
            if done():
                return
            await self.step()
        raise AssertionError(f"stuck: {what} after {limit} clocks")

    # Registers.

    async def write(self, register: str, **fields: int) -> None:
        """Write a register, the fields that are not named as 0."""
        node = REGISTERS.find_by_path(register)
        word = sum(value << node.get_child_by_name(name).low for name, value in fields.items())
        done = len(self.b.taken) + 1
        self.aw.send(node.absolute_address, 0)
        self.w.send(word, 15)
        await self.until(lambda: len(self.b.taken) == done, 200, f"write of {register}")
        assert self.b.taken[-1] == (0,), f"write of {register}: answer {self.b.taken[-1]}"

    async def read(self, register: str) -> dict[str, int]:
        """Fields of a register."""
        node = REGISTERS.find_by_path(register)
        done = len(self.r.taken) + 1
        self.ar.send(node.absolute_address, 0)
        await self.until(lambda: len(self.r.taken) == done, 200, f"read of {register}")
        word, answer = self.r.taken[-1]
        assert answer == 0, f"read of {register}: answer {answer}"
        return {f.inst_name: word >> f.low & ((1 << f.width) - 1) for f in node.fields()}

    async def counters(self) -> dict[str, int]:
        """Live counters, all of one moment; they begin anew."""
        await self.write("command", snapshot=1, clear=1)
        return {
            reg.inst_name: (await self.read(f"snapshot.{reg.inst_name}"))["count"]
            for reg in REGISTERS.find_by_path("snapshot").registers()
        }

    async def errors(self) -> set[str]:
        """Errors that stand; they are cleared."""
        found = {name for name, value in (await self.read("errors")).items() if value}
        await self.write("errors", **dict.fromkeys(found, 1))
        return found

    async def set(self, mode: Mode, *, drop: bool = False) -> None:
        """Mode of the frames to come."""
        await self.write("control", enable=1, drop_when_full=int(drop), mode=mode)

    # Tables.

    def words(self, name: str, words: Sequence[int] | NDArray[Any]) -> list[tuple[int, int]]:
        """Beats of a table."""
        bits = CONFIG.codebook.count_bits if name == "thresholds" else CONFIG.projection.bias_format.bits
        column = np.asarray(words, np.int64)[:, None] & ((1 << bits) - 1)
        return list(zip(pack(column, bits, self.rng), [*repeat(0, len(column) - 1), 1], strict=True))

    async def load(self, name: str, words: Sequence[int] | NDArray[Any]) -> None:
        """Load a table; it is in force for the frames that are sent from now on."""
        source, beats = self.tables[name], self.words(name, words)
        done = len(source.taken) + len(beats)
        source.send(beats)
        await self.until(lambda: len(source.taken) == done, 400 + 60 * len(beats), f"table of {name}")
        await self.run(2)
        assert (await self.read(f"{name}_hash"))["crc32"] == identifier(words), f"hash of {name}"

    async def new_weights(self) -> None:
        """Load other weights."""
        projection = draw_projection(self.rng, CONFIG.projection)
        await self.load("weights", projection.words(CONFIG.frame.lanes))
        self.model = replace(self.model, projection=projection)

    def in_force(self, book: Codebook) -> None:
        """Frames that are sent from now on are encoded by this codebook."""
        self.model = replace(self.model, codebook=book)
        CoreBench.codebook = book

    async def new_thresholds(self) -> None:
        """Load another codebook."""
        book = draw_codebook(self.rng, CONFIG.codebook)
        await self.load("thresholds", book.thresholds(CONFIG.codebook.code_bits))
        self.in_force(book)

    # Frames.

    def send(self, mode: Mode, end: str = "whole", *, start: bool = False, flags: Flag = Flag.NONE) -> Sent:
        """Send a frame that ends in one of `ENDS`; return what must come of it."""
        lanes, beats = CONFIG.frame.lanes, CONFIG.frame.beats
        length = {
            "short": int(self.rng.integers(1, beats)),
            "broken off": int(self.rng.integers(1, beats)),
            "one beat": 1,
            "long": beats + int(self.rng.integers(1, 2 * beats)),
        }.get(end, beats)
        counts = draw_counts(self.rng, length * lanes, CONFIG.frame.count_bits)
        tdata = pack(counts.reshape(-1, lanes).astype(np.int64), CONFIG.frame.count_bits, self.rng)
        self.begin, self.beats = self.beats, self.beats + length
        lasts = [*repeat(0, length - 1), int(end not in UNMARKED)]
        self.pixels.send(zip(tdata, lasts, [int(start), *repeat(0, length - 1)], strict=True))
        flags |= Flag.FIRST if self.after_reset else Flag.NONE
        packet = self.model.packet(counts, mode, number=self.number, flags=flags, whole=end not in UNMARKED)
        self.number, self.after_reset = self.number + 1, False
        return Sent(mode, packet.pack())

    def received(self) -> list[bytes]:
        """Packets that have come out whole."""
        octets, packets, packet = CONFIG.word_octets, [], b""
        for data, keep, last in self.sink.taken:
            size = octets if keep == (1 << octets) - 1 else 4
            assert keep == (1 << size) - 1, f"tkeep is {keep:b}"
            assert last or size == octets, "a word that is not full in the middle of a packet"
            packet += data.to_bytes(octets, "little")[:size]
            if last:
                packets.append(packet)
                packet = b""
        return packets

    async def expect(self, sent: Sequence[Sent], *, silent: int = 60) -> list[int]:
        """Wait for packets and compare every octet; nothing may follow. Returns when each beat of pixels was taken."""
        words = max(len(one.packet) for one in sent) // CONFIG.word_octets + 1
        limit = 1000 + 60 * (CONFIG.frame.beats * PHASES + words) * (len(sent) + 4)
        done = f"{len(sent)} packets"
        await self.until(lambda: sum(last for *_, last in self.sink.taken) >= len(sent), limit, done)
        self.sink.pauses(PAUSES["never"])
        await self.run(silent)
        got = self.received()
        assert len(got) == len(sent), f"packets lost or invented: {len(got)} instead of {len(sent)}"
        for k, (packet, one) in enumerate(zip(got, sent, strict=True)):
            if packet != one.packet:
                pairs = zip(packet, one.packet, strict=False)
                place = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(packet), len(one.packet)))
                raise AssertionError(
                    f"packet {k} in mode {one.mode.label} differs from octet {place} on:"
                    f" {packet[place : place + 8].hex(' ')} of {len(packet)} instead of"
                    f" {one.packet[place : place + 8].hex(' ')} of {len(one.packet)}"
                )
        clocks = self.pixels.clocks.copy()
        self.beats = 0
        for port in (self.pixels, self.sink):
            port.taken.clear()
            port.clocks.clear()
        return clocks


@cocotb.test()
@cocotb.parametrize(mode=LABELS)
async def frames(dut: Any, mode: str) -> None:
    """Frames of all kinds in one mode, at every pace of source and sink."""
    bench = await CoreBench(dut).start()
    COVERAGE.declare("mode", LABELS)
    await bench.set(Mode.labelled(mode))
    for source in MATRIX:
        for sink in ("never", "random", "stalls"):
            bench.pixels.pauses(PAUSES[source])
            bench.sink.pauses(PAUSES[sink])
            await bench.expect([bench.send(Mode.labelled(mode)) for _ in range(4)])
    COVERAGE.hit("mode", [mode])
    assert not await bench.errors() & {"short_frame", "long_frame", "dropped_frame", "bad_mode"}


@cocotb.test()
@cocotb.parametrize(mode=LABELS)
async def full_rate(dut: Any, mode: str) -> None:
    """No idle clock at the input, frame after frame, whatever they hold, while the output is ready."""
    bench = await CoreBench(dut).start()
    wanted = Mode.labelled(mode)
    await bench.set(wanted)
    await bench.expect([bench.send(wanted)])
    clocks = await bench.expect([bench.send(wanted) for _ in range(10)])
    phases = PHASES if wanted.projects else 1
    steady = [clocks[0] + phases * k for k in range(len(clocks))]
    # The first beats of all find empty registers behind the encoder, and hurry ahead.
    late = [clock for clock, latest in zip(clocks, steady, strict=True) if clock > latest]
    assert not late, f"the input waited: {len(late)} of {len(clocks)} beats came late"


def _all_pairs(rng: np.random.Generator) -> list[tuple[Mode, str]]:
    """Modes and ends of frames: every mode after every mode, every end after every end, every end in every mode."""

    def walk(values: Sequence[Any], count: int) -> list[Any]:
        pairs = [(a, b) for a in values for b in values]
        rounds = [rng.permutation(len(pairs)) for _ in range(-(-count // len(pairs)))]
        return [value for order in rounds for k in order for value in pairs[k]]

    count = max(len(ENDS), len(CONFIG.modes)) ** 2
    both = list(zip(walk(CONFIG.modes, count), walk(ENDS, count), strict=False))
    both += [(mode, end) for mode in CONFIG.modes for end in ENDS if (mode, end) not in both]
    return [*both, (CONFIG.modes[0], "whole")]


@cocotb.test()
async def mixed(dut: Any) -> None:
    """A new mode with each frame, good frames and bad ones, with and without marked starts, at every pace."""
    bench = await CoreBench(dut).start()
    COVERAGE.declare("mode after mode", [(a, b) for a in LABELS for b in LABELS])
    COVERAGE.declare("end", [(mode, end) for mode in LABELS for end in ENDS])
    COVERAGE.declare("end after end", [(a, b) for a in ENDS for b in ENDS])
    before, end = CONFIG.modes[0], "whole"
    sent: list[Sent] = []
    for k, (mode, kind) in enumerate(_all_pairs(bench.rng)):
        if k % 8 == 0:
            bench.pixels.pauses(PAUSES[str(bench.rng.choice(MATRIX))])
            bench.sink.pauses(PAUSES[str(bench.rng.choice(MATRIX))])
        if "thresholds" in bench.tables and k % 12 == 11 and end != "broken off":
            # In force from the next frame on, while the one before is under way; its end does not wait for this one.
            await bench.new_thresholds()
        if "weights" in bench.tables and k % 20 == 19:
            await bench.new_weights()
        await bench.set(mode)
        # What has no last beat ends where the next frame's start is marked.
        sent.append(bench.send(mode, kind, start=end in UNMARKED or bool(bench.rng.integers(2))))
        COVERAGE.hit("mode after mode", [(before.label, mode.label)])
        COVERAGE.hit("end", [(mode.label, kind)])
        COVERAGE.hit("end after end", [(end, kind)])
        before, end = mode, kind
        # The mode may change as soon as the frame has begun.
        await bench.until(lambda: len(bench.pixels.taken) > bench.begin, PATIENCE, "a frame's first beat")
    await bench.expect(sent)
    counters = await bench.counters()
    flags = [Flag(int.from_bytes(one.packet[6:8], "little")) for one in sent]
    assert counters["frames"] == counters["packets"] == len(sent), counters
    assert counters["short_frames"] == sum(Flag.SHORT in flag for flag in flags), counters
    assert counters["long_frames"] == sum(Flag.LONG in flag for flag in flags), counters
    clipped = Flag.CLIPPED | Flag.SATURATED
    assert counters["saturated_frames"] == sum(bool(flag & clipped) for flag in flags), counters
    assert {"short_frame", "long_frame"} <= await bench.errors()


@cocotb.test()
async def last_missing(dut: Any) -> None:
    """A source that marks no starts loses the frame behind a missing last beat, and no other."""
    bench = await CoreBench(dut).start()
    mode = CONFIG.modes[0]
    await bench.set(mode)
    sent = [bench.send(mode), bench.send(mode, "no last")]
    lost = bench.send(mode)
    bench.number -= 1
    sent.append(bench.send(mode))
    assert lost.packet != sent[-1].packet
    await bench.expect(sent)
    assert await bench.errors() >= {"long_frame"}


@cocotb.test()
async def stalled_for_ever(dut: Any) -> None:
    """Behind an output that never takes anything the input stalls; nothing is lost, and nothing has gone wrong."""
    bench = await CoreBench(dut).start()
    for mode in CONFIG.modes:
        await bench.set(mode)
        bench.sink.pauses(PAUSES["always"])
        await bench.step()
        sent = [bench.send(mode) for _ in range(CONFIG.output.buffer_frames + 30)]
        await bench.run(CONFIG.frame.beats * PHASES * 25 + 400)
        before = len(bench.pixels.taken)
        await bench.run(CONFIG.frame.beats * PHASES + 100)
        assert len(bench.pixels.taken) == before, "the input goes on for ever"
        assert not (await bench.read("status"))["idle"]
        bench.sink.pauses(PAUSES["never"])
        await bench.expect(sent)
    status = await bench.read("status")
    assert status["idle"] and not status["packets_waiting"], status
    assert "dropped_frame" not in await bench.errors()


@cocotb.test()
async def drop_when_full(dut: Any) -> None:
    """With no room for it a frame is dropped whole; the next packet tells of it, and numbers have a gap."""
    bench = await CoreBench(dut).start()
    for mode in CONFIG.modes:
        await bench.set(mode, drop=True)
        await bench.counters()
        bench.sink.pauses(PAUSES["always"])
        await bench.step()
        sent = [bench.send(mode) for _ in range(CONFIG.output.buffer_frames + 10)]
        await bench.run(CONFIG.frame.beats * PHASES * len(sent) + 400)
        assert len(bench.pixels.taken) == len(sent) * CONFIG.frame.beats, "the input stalled"
        counters = await bench.counters()
        kept = counters["frames"]
        assert CONFIG.output.buffer_frames <= kept < len(sent), counters
        assert counters["dropped_frames"] == len(sent) - kept, counters
        bench.sink.pauses(PAUSES["never"])
        await bench.expect(sent[:kept])
        await bench.expect([bench.send(mode, flags=Flag.DROPPED), bench.send(mode)])
        counters = await bench.counters()
        assert counters["frames"] == 2 and counters["packets"] == kept + 2, counters
        assert "dropped_frame" in await bench.errors()


@cocotb.test()
@cocotb.parametrize(mode=LABELS)
async def no_drop_at_full_rate(dut: Any, mode: str) -> None:
    """While the output is ready no frame is dropped, however fast they come."""
    bench = await CoreBench(dut).start()
    wanted = Mode.labelled(mode)
    await bench.set(wanted, drop=True)
    await bench.expect([bench.send(wanted) for _ in range(12)])
    assert not (await bench.counters())["dropped_frames"]


@cocotb.test(skip=not (CONFIG.encoder.reloadable and CONFIG.encoder.preload))
async def reset_in_a_table(dut: Any) -> None:
    """A reset in any clock around the last word of a codebook leaves codes and name of one and the same."""
    bench = await CoreBench(dut).start()
    mode = next(mode for mode in CONFIG.modes if mode not in (Mode.RAW, Mode.COUNT_COEFFICIENTS))
    source = bench.tables["thresholds"]
    for clocks in range(4):
        old, new = bench.model.codebook or CONFIG.codebook, draw_codebook(bench.rng, CONFIG.codebook)
        books = {identifier(book.thresholds(CONFIG.codebook.code_bits)): book for book in (old, new)}
        beats = bench.words("thresholds", new.thresholds(CONFIG.codebook.code_bits))
        source.send(beats)
        done = len(source.taken) + len(beats) - 1
        await bench.until(lambda done=done: len(source.taken) == done, PATIENCE, "all words but one")
        await bench.run(clocks)
        # The source sees the reset when the core does: the word that is offered in its first clock still counts.
        bench._in_reset(True)
        await bench.step()
        await bench.reset()
        await bench.set(mode)
        bench.in_force(books[(await bench.read("thresholds_hash"))["crc32"]])
        await bench.expect([bench.send(mode) for _ in range(3)])


@cocotb.test()
async def switched_off(dut: Any) -> None:
    """While the core is off frames are thrown away and not numbered; a mode that it has not is refused."""
    bench = await CoreBench(dut).start()
    mode = CONFIG.modes[0]
    await bench.set(mode)
    await bench.expect([bench.send(mode)])
    await bench.write("control", enable=0, mode=mode)
    number, beats = bench.number, CONFIG.frame.beats
    bench.send(mode)
    await bench.until(lambda: len(bench.pixels.taken) == beats, PATIENCE, "a frame that is thrown away")
    bench.number = number
    await bench.set(mode)
    await bench.expect([bench.send(mode)])
    missing = next((k for k in range(8) if k not in CONFIG.modes), 7)
    await bench.write("control", enable=1, mode=missing)
    await bench.expect([bench.send(mode)])
    assert "bad_mode" in await bench.errors()
    await bench.write("frame_number", value=0xFFFFFFFF)
    bench.number = 0xFFFFFFFF
    sent = [bench.send(mode)]
    bench.number = 0
    await bench.expect([*sent, bench.send(mode)])


@cocotb.test(skip=not CONFIG.encoder.reloadable)
async def codebook_waits(dut: Any) -> None:
    """A codebook whose last word comes in the middle of a frame is in force from the next one on."""
    bench = await CoreBench(dut).start()
    mode = next(mode for mode in CONFIG.modes if mode not in (Mode.RAW, Mode.COUNT_COEFFICIENTS))
    await bench.set(mode)
    source = bench.tables["thresholds"]
    for clocks in (1, 3, CONFIG.frame.beats // 2):
        bench.pixels.pauses(PAUSES["always"])
        sent, book = [bench.send(mode)], draw_codebook(bench.rng, CONFIG.codebook)
        beats = bench.words("thresholds", book.thresholds(CONFIG.codebook.code_bits))
        source.send(beats[:-1])
        done = len(source.taken) + len(beats) - 1
        await bench.until(lambda done=done: len(source.taken) == done, PATIENCE, "all words but one")
        bench.pixels.pauses(PAUSES["never"])
        await bench.run(1 + clocks)
        bench.pixels.pauses(PAUSES["always"])
        source.send(beats[-1:])
        await bench.run(20)
        assert (await bench.read("status"))["thresholds_loading"], "the last word was taken in the middle of a frame"
        bench.in_force(book)
        sent.append(bench.send(mode))
        bench.pixels.pauses(PAUSES["never"])
        await bench.expect(sent)


@cocotb.test(skip=not (CONFIG.projects or CONFIG.encoder.reloadable))
async def half_a_table(dut: Any) -> None:
    """A table that stops halfway, is too short or too long leaves the old one in force; half of it can be forgotten."""
    bench = await CoreBench(dut).start()
    loads = {"weights": bench.new_weights, "thresholds": bench.new_thresholds}
    for name, source in bench.tables.items():
        mode = next(mode for mode in CONFIG.modes if mode.projects or (name == "thresholds" and mode != Mode.RAW))
        await bench.set(mode)
        size = (
            len(CONFIG.codebook.thresholds())
            if name == "thresholds"
            else CONFIG.projection.components * (CONFIG.frame.pixels + 2)
        )
        for length, last in ((size - 1, False), (1, False), (size // 2, False), (size - 1, True), (size + 1, True)):
            await bench.errors()
            before = await bench.read(f"{name}_hash")
            words = bench.words(name, bench.rng.integers(0, 4, length))
            source.send([*words[:-1], (words[-1][0], int(last))])
            done = len(source.taken) + length
            await bench.until(lambda source=source, done=done: len(source.taken) == done, PATIENCE, f"{name}")
            await bench.run(2)
            assert (await bench.read("status"))[f"{name}_loading"] == (not last)
            await bench.expect([bench.send(mode)])
            if not last:
                await bench.write("command", reset_loaders=1)
            await bench.run(4)
            assert not (await bench.read("status"))[f"{name}_loading"], "half a table was not forgotten"
            assert await bench.read(f"{name}_hash") == before, "half a table has a name"
            assert f"{name}_table" in await bench.errors()
            await bench.expect([bench.send(mode)])
        await loads[name]()
        await bench.expect([bench.send(mode)])


@cocotb.test()
async def reset_mid_frame(dut: Any) -> None:
    """Reset in the middle of a frame, of a packet, of a stall: all of it goes, what follows is right."""
    bench = await CoreBench(dut).start()
    for mode in CONFIG.modes:
        for sink in ("never", "always"):
            await bench.set(mode)
            bench.sink.pauses(PAUSES[sink])
            for _ in range(4):
                bench.send(mode)
            await bench.run(int(bench.rng.integers(5, 4 * CONFIG.frame.beats * PHASES)))
            bench.sink.pauses(PAUSES["never"])
            await bench.reset(int(bench.rng.integers(1, 4)))
            await bench.set(mode)
            # The source has seen nothing of the reset: what it still sends of its frame is a short one.
            await bench.expect([bench.send(mode, "short"), bench.send(mode)])


@cocotb.test()
async def coverage(dut: Any) -> None:
    """Everything that was promised has happened."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
