# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of the projectors: weights and pixels at their limits, every pause, tables that change, frames of any length.

A cocotb module: `ptychopress.sim.run` starts it in a simulator. It touches nothing but the ports of `AxiStreamTop`.
"""

from collections.abc import Iterator, Sequence
from itertools import product, repeat
from pathlib import Path
from random import Random
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from ..model.codebook import Codebook
from ..model.fixed import Format
from ..model.projection import Projection, ProjectionFormat
from .coverage import Coverage
from .stream import MATRIX, PAUSES, Beat, Pause, Settings, StreamBench
from .tdata import Beats, pack, pitch

SETTINGS = Settings.load()
COVERAGE = Coverage("projector")
SIZE = ProjectionFormat(**(SETTINGS.projection or {"pixels": 1, "components": 1, "input_bits": 1}))
LANES, COLUMNS, FRAME_CLOCKS = SETTINGS.lanes, SETTINGS.columns, SETTINGS.frame_clocks
BEATS, PHASES = -(-SIZE.pixels // LANES), -(-SIZE.components // COLUMNS)
# An encoder in front gives codes and, above its range, the flag `clipped`.
BOOK = next((Codebook.from_edges(edges, name=name) for name, edges in SETTINGS.books.items()), None)

# Beats of a frame: what it should have, less, more.
KINDS = {"good": BEATS, "1 beat more": BEATS + 1, "a frame more": 2 * BEATS, "many more": 3 * BEATS + 1}
if BEATS > 1:
    KINDS |= {"1 beat": 1, "1 beat less": BEATS - 1}
TABLE_ERRORS = ("1 short", "short", "single", "1 long", "long", "round")
# For tests in which each pattern of one side need not meet all of the other.
SOME = [("never", "never"), ("random", "random"), ("stalls", "slow"), ("slow", "stalls"), ("never", "slow")]
# The block lets its source wait while a beat stays for more than one row of components.
SOURCE_STATES = ("idle", "transfer", "wait") if PHASES > 1 else ("idle", "transfer")
STATES = list(product(SOURCE_STATES, ("idle", "blocked", "transfer", "wait")))


class ProjectorBench(StreamBench):
    """A projector and the projection in force in it, another one in every test."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)
        assert self.table is not None
        self.words = self.table
        self.in_force = self.random_projection()
        self.sent: list[Beats] = []
        self.stopping = False

    async def prepare(self) -> None:
        """Load a table: without one no frame is taken."""
        self.sent, self.stopping = [], False
        await self.put(self.in_force)

    async def put(self, projection: Projection) -> None:
        """Put a projection in force."""
        await self.load(self.table_words(projection))
        self.in_force = projection

    def random_projection(self) -> Projection:
        """Weights and first values of all magnitudes and at their limits, shifts of all sizes."""
        components, largest = SIZE.components, SIZE.largest_shift
        fitting = SIZE.accumulator_format.bits - SIZE.output_bits - self.rng.integers(0, 8, components)
        anything = self.rng.integers(0, largest + 1, components)
        shift = np.where(self.rng.random(components) < 0.7, np.clip(fitting, 0, largest), anything)
        weights = self._all_magnitudes(SIZE.weight_format, (components, SIZE.pixels))
        return projection(weights, self._all_magnitudes(SIZE.bias_format, components), shift)

    def _all_magnitudes(self, numbers: Format, shape: Any) -> NDArray[np.int64]:
        """Numbers of 2 bits as many as of 10, some at the limits."""
        values = self.rng.integers(0, np.left_shift(1, self.rng.integers(0, numbers.bits, shape), dtype=np.int64))
        values = np.where(self.rng.random(shape) < 0.5, values, ~values)
        dice = self.rng.random(shape)
        return np.where(dice < 0.05, numbers.minimum, np.where(dice > 0.95, numbers.maximum, values))

    def table_words(self, projection: Projection) -> list[int]:
        """Words that load a projection, with noise for weights of pixels that there are not."""
        rows = projection.words(LANES).reshape(SIZE.components, -1)
        limits = SIZE.weight_format
        beyond = rows[:, SIZE.pixels : BEATS * LANES]
        beyond[:] = self.rng.integers(limits.minimum, limits.maximum + 1, beyond.shape)
        return rows.ravel().tolist()

    def spoilt(self, kind: str, projection: Projection) -> list[int]:
        """Words of a table that is good, or wrong in one of the ways of TABLE_ERRORS."""
        words = self.table_words(projection)
        match kind:
            case "1 short":
                return words[:-1]
            case "short":
                return words[: int(self.rng.integers(1, len(words)))]
            case "single":
                return words[:1]
            case "1 long":
                return [*words, 0]
            case "long":
                return words + words[: int(self.rng.integers(1, len(words) + 1))]
            case "round":
                # A counter of components comes round to where a good table ends.
                components = SIZE.components + (1 << (SIZE.components - 1).bit_length())
                return np.resize(words, components * len(words) // SIZE.components).tolist()
            case _:
                return words

    def draw(self, kind: str = "good") -> Beats:
        """Beats of a frame, (beats, lanes): dark or bright, sometimes as bright as can be."""
        shape = (KINDS[kind], LANES)
        brightest = int(self.rng.integers(0, SETTINGS.in_bits + 1))
        values = self.rng.integers(0, 1 << self.rng.integers(0, brightest + 1, shape))
        return np.full(shape, (1 << SETTINGS.in_bits) - 1) if self.rng.random() < 0.1 else values

    def beats_of(self, frame: Beats) -> Iterator[Beat]:
        """Beats on tdata, tlast on the final one."""
        last = [*repeat(0, len(frame) - 1), 1]
        return zip(pack(frame, SETTINGS.in_bits, self.rng), last, strict=True)

    def send(self, frames: Sequence[Beats]) -> None:
        """Send frames after those under way."""
        for frame in frames:
            self.source.send(self.beats_of(frame))

    def send_endlessly(self, kinds: Sequence[str] = ("good",)) -> None:
        """Send frames of these kinds until `finish`."""

        def endless() -> Iterator[Beat]:
            while not self.stopping:
                self.sent.append(self.draw(str(self.rng.choice(kinds))))
                yield from self.beats_of(self.sent[-1])

        self.source.send(endless())

    async def finish(self) -> list[Beats]:
        """End with the frame under way; return all frames, whose coefficients have come out."""
        self.stopping = True
        await self.until(
            lambda: len(self.source.taken) >= sum(map(len, self.sent)),
            1000 + 40 * FRAME_CLOCKS,
            lambda: f"{len(self.source.taken)} of {sum(map(len, self.sent))} beats were taken",
        )
        await self.drain_frames(len(self.sent))
        return self.sent

    async def drain_frames(self, frames: int) -> None:
        """Clocks until the coefficients of so many frames have come out, and some more in which nothing may follow."""
        await self.drain(frames * PHASES, limit=400 + 40 * frames * (FRAME_CLOCKS + 2))

    async def exchange(self, frames: Sequence[Beats]) -> None:
        """Send frames, wait for all that comes out, compare."""
        self.send(frames)
        await self.drain_frames(len(frames))
        self.compare(*expected(frames, [self.in_force] * len(frames)))

    def compare_by_table(self, frames: Sequence[Beats], changes: list[int], projections: list[Projection]) -> None:
        """Compare with frames projected by the table that was complete before the clock of their first beat.

        Behind an encoder that clock is known only to lie between that of the beat and the one in which the encoder has
        taken as many more beats as it holds: either table may serve then, if it serves the whole frame.
        """
        first, clocks = np.cumsum([0, *map(len, frames[:-1])]), [*self.source.clocks, *repeat(self.now, SETTINGS.entry)]
        earliest, latest = (np.searchsorted(changes, np.take(clocks, first + k)) for k in (0, SETTINGS.entry))
        chosen = []
        for k, frame in enumerate(frames):
            candidates = projections[earliest[k] : latest[k] + 1]
            if len(candidates) > 1:
                came = [data for data, _, _ in self.sink.taken[k * PHASES : (k + 1) * PHASES]]
                candidates = [p for p in candidates if on_bus(expected([frame], [p])[0]) == came] or candidates
            chosen.append(candidates[0])
        self.in_force = projections[-1]
        self.compare(*expected(frames, chosen))

    async def fill(self) -> None:
        """Hold the output until the block has taken nothing for long."""
        self.sink.pauses(PAUSES["always"])
        await self.until(
            lambda: bool(self.source.clocks) and self.now - self.source.clocks[-1] > 2 * PHASES + 10,
            100 + 2 * BEATS * (SETTINGS.latency + 4 * PHASES),
            lambda: f"capacity: {len(self.source.taken)} beats were taken behind a stalled output",
        )


def projection(weights: NDArray[Any], preload: NDArray[Any], shift: NDArray[Any]) -> Projection:
    """Projection whose accumulators start from these values."""
    return Projection(SIZE, weights, preload - (np.left_shift(1, shift, dtype=np.int64) >> 1), shift)


def expected(frames: Sequence[Beats], projections: Sequence[Projection]) -> tuple[Beats, NDArray[np.bool_], list[int]]:
    """Coefficients as they stand on the bus, flags and tlast of all beats that come of frames and their projections."""
    mask = (1 << 8 * pitch(SIZE.output_bits)) - 1
    coefficients = np.zeros((len(frames), PHASES * COLUMNS), np.int64)
    saturated = np.zeros(coefficients.shape, np.bool_)
    others = np.empty((len(frames), PHASES, 3), np.bool_)
    for k, (frame, in_force) in enumerate(zip(frames, projections, strict=True)):
        counts = np.zeros(SIZE.pixels, np.int64)
        came = frame[:BEATS].ravel()[: SIZE.pixels]
        counts[: len(came)] = came
        values = counts if BOOK is None else BOOK.encode(counts).astype(np.int64)
        used = slice(SIZE.components)
        coefficients[k, used], saturated[k, used] = in_force.project(values)
        clipped = BOOK is not None and bool((counts >= BOOK.edges[-1]).any())
        others[k] = len(frame) < BEATS, len(frame) > BEATS, clipped
    flags = np.concatenate([saturated.reshape(-1, COLUMNS), others.reshape(-1, 3)], axis=1)
    return coefficients.reshape(-1, COLUMNS) & mask, flags, [*repeat(0, PHASES - 1), 1] * len(frames)


def on_bus(coefficients: Beats) -> list[int]:
    """Return tdata of beats."""
    size = 8 * pitch(SIZE.output_bits)
    return [sum(value << (k * size) for k, value in enumerate(row)) for row in coefficients.tolist()]


def every(clocks: int) -> Pause:
    """Pause pattern: no pause in one clock of so many."""

    def pause(rng: Random) -> Iterator[bool]:
        yield from repeat(True, rng.randrange(clocks))
        while True:
            yield False
            yield from repeat(True, clocks - 1)

    return pause


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no coefficient."""
    bench = await ProjectorBench(dut).start()
    COVERAGE.declare("states", STATES)
    bench.source.pauses(PAUSES[source])
    bench.sink.pauses(PAUSES[sink])
    bench.states.clear()
    await bench.exchange([bench.draw() for _ in range(max(12, 60 // FRAME_CLOCKS))])
    COVERAGE.hit("states", bench.states)


@cocotb.test
async def extremes(dut: Any) -> None:
    """Weights, first values and pixels at their limits, without a shift, with the largest, and with halves to round."""
    bench = await ProjectorBench(dut).start()
    columns = range(min(COLUMNS, SIZE.components))
    signs = ("low", "high") if SIZE.output_bits <= SIZE.bias_format.bits else ()
    COVERAGE.declare("saturated", list(product(("none", *signs), columns)))
    COVERAGE.declare("half", ["negative", "positive"])
    weight, first = SIZE.weight_format, SIZE.bias_format
    weights = {
        "lowest": np.full((SIZE.components, SIZE.pixels), weight.minimum),
        "highest": np.full((SIZE.components, SIZE.pixels), weight.maximum),
        "either": bench.rng.choice([weight.minimum, weight.maximum], (SIZE.components, SIZE.pixels)),
    }
    shape = (BEATS, LANES)
    for name, preload, shift in product(weights, (first.minimum, first.maximum), (0, 1, SIZE.largest_shift)):
        full = (np.full(SIZE.components, value) for value in (preload, shift))
        await bench.put(projection(weights[name], *full))
        brightest = (1 << SETTINGS.in_bits) - 1
        frames = [np.zeros(shape, np.int64), np.full(shape, brightest), bench.rng.choice([0, brightest], shape)]
        frames.append(bench.draw())
        await bench.exchange(frames)
        counts = np.array([frame.ravel()[: SIZE.pixels] for frame in frames])
        values = counts if BOOK is None else BOOK.encode(counts).astype(np.int64)
        coefficients, saturated = bench.in_force.project(values)
        limit = np.where(saturated, np.where(coefficients < 0, "low", "high"), "none")
        column = np.broadcast_to(np.arange(SIZE.components) % COLUMNS, limit.shape)
        COVERAGE.hit("saturated", zip(limit.ravel().tolist(), column.ravel().tolist(), strict=True))
        sums = bench.in_force.sums(values)
        if shift == 1:
            COVERAGE.hit("half", ("negative" if value < 0 else "positive" for value in sums[sums % 2 == 1].tolist()))


@cocotb.test
@cocotb.parametrize(sink=["never", "enough"])
async def throughput(dut: Any, sink: str) -> None:
    """A beat in every `phases` clocks, a frame in exactly `frame_clocks`, for 100 frames, and the promised latency."""
    bench = await ProjectorBench(dut).start()
    assert BEATS * PHASES == FRAME_CLOCKS, f"a frame takes {FRAME_CLOCKS} clocks instead of {BEATS} times {PHASES}"
    frames = [bench.draw() for _ in range(100)]
    if sink == "enough":
        bench.sink.pauses(every(BEATS))
    bench.send(frames)
    await bench.drain_frames(len(frames))
    # An encoder takes beats ahead before it is full.
    taken = bench.source.clocks[2 * SETTINGS.entry :]
    assert set(np.diff(taken).tolist()) <= {PHASES}, f"throughput: beats were taken in clocks {taken}"
    if sink == "never":
        first = bench.sink.clocks[0]
        steady = [first + k * FRAME_CLOCKS + row for k in range(len(frames)) for row in range(PHASES)]
        assert bench.sink.clocks == steady, f"throughput: coefficients came in clocks {bench.sink.clocks}"
    bench.compare(*expected(frames, [bench.in_force] * len(frames)))

    # Slow enough that no beat waits in front of the projector.
    bench.source.pauses(every(PHASES + 1))
    bench.send(frames[:1])
    await bench.drain_frames(1)
    latency = bench.sink.clocks[0] - bench.source.clocks[-1]
    assert latency == SETTINGS.latency, f"latency is {latency} instead of {SETTINGS.latency} clocks"
    bench.compare(*expected(frames[:1], [bench.in_force]))


@cocotb.test
async def capacity(dut: Any) -> None:
    """Behind a stalled output the block takes a frame or more, then none, and keeps them all, again and again."""
    bench = await ProjectorBench(dut).start()
    COVERAGE.declare("full", [(state, pause) for state in ("wait", "transfer") for pause in MATRIX])
    bench.send_endlessly()
    for pause in MATRIX:
        before = len(bench.sink.taken)
        await bench.fill()
        held = len(bench.source.taken) / BEATS - before / PHASES
        most = (SETTINGS.latency + 8) // PHASES + 3 + SETTINGS.entry
        assert 1 < held <= most, f"capacity is {held} frames instead of 1 to {most}"
        bench.sink.pauses(PAUSES[pause])
        bench.states.clear()
        await bench.run(20 + 2 * FRAME_CLOCKS)
        COVERAGE.hit("full", ((sink, pause) for source, sink in bench.states if source == "wait"))
    frames = await bench.finish()
    bench.compare(*expected(frames, [bench.in_force] * len(frames)))


@cocotb.test
@cocotb.parametrize((("source", "sink"), SOME))
async def odd_frames(dut: Any, source: str, sink: str) -> None:
    """Frames that end early or late are flagged, with the coefficients of what counts; the next one is right."""
    bench = await ProjectorBench(dut).start()
    COVERAGE.declare("frame", list(product(KINDS, ("output moves", "output stalls"))))
    bench.source.pauses(PAUSES[source])
    bench.sink.pauses(PAUSES[sink])
    kinds = bench.rng.permutation(np.repeat(list(KINDS), 6)).tolist()
    frames = [bench.draw(kind) for kind in kinds]
    ends = np.cumsum([len(frame) for frame in frames])
    bench.send(frames)
    for kind, end in zip(kinds, ends, strict=True):
        await bench.until(
            lambda end=end: len(bench.source.taken) >= end,
            1000 + 100 * FRAME_CLOCKS,
            lambda end=end: f"{len(bench.source.taken)} of {end} beats were taken",
        )
        stalls = bench.sink.state in ("wait", "blocked")
        COVERAGE.hit("frame", [(kind, "output stalls" if stalls else "output moves")])
    await bench.drain_frames(len(frames))
    bench.compare(*expected(frames, [bench.in_force] * len(frames)))


@cocotb.test(skip=BOOK is None)
async def clipping(dut: Any) -> None:
    """A count above the range gives the last code, and the flag of its frame if it is one of the frame's pixels."""
    bench = await ProjectorBench(dut).start()
    assert BOOK is not None
    stop, padded = BOOK.edges[-1], SIZE.pixels < BEATS * LANES
    bench.source.pauses(PAUSES["random"])
    COVERAGE.declare("clipped", ["first pixel", "last pixel", "dropped beat", *(["padding"] if padded else [])])
    quiet = np.minimum(bench.draw(), stop - 1)
    frames = [quiet]
    for place, name in ((0, "first pixel"), (SIZE.pixels - 1, "last pixel"), (BEATS * LANES - 1, "padding")):
        for count in (stop - 1, stop, (1 << SETTINGS.in_bits) - 1):
            frame = quiet.copy()
            frame.ravel()[place] = count
            frames += [frame, quiet]
        COVERAGE.hit("clipped", [name])
    frames += [np.vstack([quiet, frame]), quiet]
    COVERAGE.hit("clipped", ["dropped beat"])
    await bench.exchange(frames)


@cocotb.test(stage=1)
@cocotb.parametrize(
    (
        ("table", "source", "sink"),
        [
            ("never", "never", "never"),
            ("random", "random", "random"),
            ("never", "random", "stalls"),
            ("never", "stalls", "slow"),
            ("random", "never", "slow"),
        ],
    )
)
async def table_reload(dut: Any, table: str, source: str, sink: str) -> None:
    """A table serves the frames that begin after its last word, none before; and a bad one none at all."""
    bench = await ProjectorBench(dut).start()
    words = bench.words
    COVERAGE.declare("table", ["good", *TABLE_ERRORS])
    COVERAGE.declare("table_word", ["first try", "waited"])
    states = {"in": SOURCE_STATES, "out": ("idle", "transfer", "wait")}
    COVERAGE.declare("loading", [(side, state) for side in states for state in states[side]])
    # After each good table the other bank is in danger of what follows.
    kinds = ["good", *TABLE_ERRORS, "good", "round", "long", "good", "good"]
    sequence = [(kind, bench.random_projection()) for kind in kinds]
    ends, total = [], len(words.taken)
    for kind, projection in sequence:
        beats = bench.table_beats(bench.spoilt(kind, projection))
        words.send(beats)
        total += len(beats)
        ends.append(total)
    bench.send_endlessly([*repeat("good", 10), *KINDS])
    for port, pause in ((words, table), (bench.source, source), (bench.sink, sink)):
        port.pauses(PAUSES[pause])
    bench.states.clear()
    for end in ends:
        await bench.until(
            lambda end=end: len(words.taken) >= end, 50000, lambda: f"{len(words.taken)} of {total} words were taken"
        )
    COVERAGE.hit("loading", (pair for both in bench.states for pair in zip(("in", "out"), both, strict=True)))
    COVERAGE.hit("table", kinds)
    COVERAGE.hit("table_word", ("waited" if wait else "first try" for wait in words.waited))
    await bench.run(50 + 2 * FRAME_CLOCKS)
    frames = await bench.finish()

    closed = [words.clocks[end - 1] for end in ends]
    changes = [clock for clock, kind in zip(closed, kinds, strict=True) if kind == "good"]
    good = [bench.in_force, *(projection for kind, projection in sequence if kind == "good")]
    bench.compare_by_table(frames, changes, good)
    wrong = [clock + 1 for clock, kind in zip(closed, kinds, strict=True) if kind != "good"]
    assert bench.errors == wrong, f"table_error in clocks {bench.errors} instead of {wrong}"


@cocotb.test(stage=1)
async def table_meets_frame(dut: Any) -> None:
    """The last word of a table in each clock around the first and last beat of a frame, without a pause."""
    bench = await ProjectorBench(dut).start()
    words = bench.words
    moments = ["with a first beat", "before a first beat", *(["in mid-frame"] if FRAME_CLOCKS > 2 else [])]
    COVERAGE.declare("last_word", moments)
    bench.send_endlessly()
    await bench.run(3 * FRAME_CLOCKS + 10)
    turns = {k % FRAME_CLOCKS for k in (-PHASES - 1, -PHASES, -3, -2, -1, 0, 1, 2, PHASES)}
    projections, changes = [bench.in_force], []
    for turn in sorted(turns):
        projections.append(bench.random_projection())
        *most, final = bench.table_beats(bench.table_words(projections[-1]))
        for beats in (most, [final]):
            words.send(beats)
            end = len(words.taken) + len(beats)
            await bench.until(
                lambda end=end: len(words.taken) == end, 20000, lambda end=end: f"{len(words.taken)} of {end} words"
            )
            while (bench.now - bench.source.clocks[-1 - (len(bench.source.clocks) - 1) % BEATS]) % FRAME_CLOCKS != turn:
                await bench.step()
        changes.append(words.clocks[-1])
        await bench.run(3 * FRAME_CLOCKS)
    begins = set(bench.source.clocks[::BEATS])
    frames = await bench.finish()
    for clock in changes:
        moment = "with" if clock in begins else "before" if clock + 1 in begins else ""
        COVERAGE.hit("last_word", [f"{moment} a first beat" if moment else "in mid-frame"])
    if FRAME_CLOCKS == 1:
        COVERAGE.hit("last_word", ["before a first beat"])
    bench.compare_by_table(frames, changes, projections)


@cocotb.test(stage=1)
async def table_waits(dut: Any) -> None:
    """A bank is taken from no frame that needs it; without frames one table follows another."""
    bench = await ProjectorBench(dut).start()
    words, size = bench.words, len(bench.table_words(bench.in_force))
    await bench.put(bench.random_projection())
    await bench.put(bench.random_projection())
    await bench.exchange([bench.draw() for _ in range(3)])

    bench.send_endlessly()
    await bench.fill()
    old, new = bench.in_force, [bench.random_projection(), bench.random_projection()]
    before = len(words.taken)
    for projection in new:
        words.send(bench.table_beats(bench.table_words(projection)))
    await bench.run(2 * size + 30)
    taken = len(words.taken) - before
    assert taken == size, f"{taken} instead of {size} words were taken while a frame needs the other bank"
    bench.sink.pauses(PAUSES["never"])
    await bench.until(
        lambda: len(words.taken) == before + 2 * size,
        100 + 2 * size + 3 * FRAME_CLOCKS,
        lambda: f"{len(words.taken) - before - size} of {size} words of the second table were taken",
    )
    await bench.run(2 * FRAME_CLOCKS + 10)
    changes = [words.clocks[before + k * size - 1] for k in (1, 2)]
    bench.compare_by_table(await bench.finish(), changes, [old, *new])


@cocotb.test(stage=2)
async def table_needed(dut: Any) -> None:
    """After a reset no frame is taken until the last word of a good table, and the first one in the clock after."""
    bench = await ProjectorBench(dut).start()
    words = bench.words
    for _ in range(3):
        await bench.clear()
        frames = [bench.draw() for _ in range(5)]
        bench.send(frames)
        await bench.run(30)
        for kind in TABLE_ERRORS:
            beats = bench.table_beats(bench.spoilt(kind, bench.random_projection()))
            words.send(beats)
            await bench.run(len(beats) + 10)
        assert len(bench.errors) == len(TABLE_ERRORS), f"{len(bench.errors)} of {len(TABLE_ERRORS)} bad tables reported"
        assert len(bench.source.taken) <= SETTINGS.entry, "a beat was taken without a table"
        words.send(bench.table_beats(bench.table_words(bench.in_force)))
        await bench.drain_frames(len(frames))
        if not SETTINGS.entry:
            late = bench.source.clocks[0] - words.clocks[-1]
            assert late == 1, f"the first beat was taken {late} clocks after a table's last word instead of 1"
        bench.compare(*expected(frames, [bench.in_force] * len(frames)))


@cocotb.test(stage=2)
async def reset_mid_stream(dut: Any) -> None:
    """Reset in mid-frame, in mid-table, with the output stalled: all of it goes, and a table is needed again."""
    bench = await ProjectorBench(dut).start()
    words, size = bench.words, len(bench.table_words(bench.in_force))
    COVERAGE.declare("reset_output", ["idle", "transfer", "wait"])
    COVERAGE.declare("reset_table", ["none", "part", "whole"])
    chance = bench.rng.integers(1, 40 + 3 * FRAME_CLOCKS, 6)
    # Pauses, whether the output stalls, how many words of a table come, clocks, whether coefficients are moving.
    cases = [
        ("never", False, 0, 3, False),
        ("never", False, size - 1, size, True),
        ("never", True, size, size + 5, False),
        ("never", True, size // 2, size, False),
        *((str(bench.rng.choice(MATRIX)), k % 3 == 0, 0, int(clocks), False) for k, clocks in enumerate(chance)),
    ]
    for pause, full, loaded, clocks, moves in cases:
        bench.source.pauses(PAUSES[pause])
        bench.sink.pauses(PAUSES[pause])
        bench.send_endlessly(list(KINDS))
        if full:
            bench.source.pauses(PAUSES["never"])
            await bench.fill()
        words.send(bench.table_beats(bench.table_words(bench.random_projection()))[:loaded])
        await bench.run(1 + clocks)
        if moves:
            await bench.until(lambda: bench.sink.state == "transfer", 1000, lambda: "nothing came out")
        COVERAGE.hit("reset_output", [bench.sink.state])
        COVERAGE.hit("reset_table", ["none" if not loaded else "whole" if loaded == size else "part"])
        bench.sink.pauses(PAUSES["never"])
        bench.source.pauses(PAUSES["never"])
        await bench.clear(int(bench.rng.integers(1, 4)))
        frames = [bench.draw() for _ in range(3)]
        bench.send(frames)
        await bench.run(20 + FRAME_CLOCKS)
        assert len(bench.source.taken) <= SETTINGS.entry, "a beat was taken without a table"
        assert not bench.sink.taken, "coefficients came out of a block that was reset"
        bench.in_force = bench.random_projection()
        await bench.prepare()
        await bench.drain_frames(len(frames))
        bench.compare(*expected(frames, [bench.in_force] * len(frames)))


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
