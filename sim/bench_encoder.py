# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Bench of all encoders: every count, every pause, resets, saturation, tables that change on the way.

A cocotb module: `ptychopress.sim.run` starts it in a simulator. It touches nothing but the ports of
`AxiStreamTop`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from ..model.codebook import Codebook
from .coverage import Coverage
from .stream import MATRIX, PAUSES, Beat, BeatBench, Settings
from .tdata import Beats, pack, unpack

SETTINGS = Settings.load()
COVERAGE = Coverage("encoder")
BOOKS = {name: Codebook.from_edges(edges, name=name) for name, edges in SETTINGS.books.items()}
TABLE_ERRORS = ("short", "single", "long", "twice") if SETTINGS.out_bits > 1 else ("long", "twice")


class EncoderBench(BeatBench):
    """An encoder and the codebook in force in it, which is kept from test to test as the block keeps it."""

    in_force = next(iter(BOOKS.values()), Codebook((0, 1, 2)))

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, SETTINGS, COVERAGE)

    def draw(self, beats: int) -> Beats:
        """Draw counts of all magnitudes, as many of 5 bits as of 10."""
        shape = (beats, SETTINGS.lanes)
        bits = self.rng.integers(0, SETTINGS.in_bits + 1, shape)
        return self.rng.integers(0, np.left_shift(1, bits, dtype=np.int64))

    def expect(self, values: Beats) -> tuple[Beats, NDArray[np.bool_]]:
        """Code of each count in the codebook in force, and whether it is above its range."""
        return self.in_force.encode(values).astype(np.int64), values >= self.in_force.edges[-1]

    async def prepare(self) -> None:
        """Load the table in force if the block has none."""
        if SETTINGS.has_table and not SETTINGS.preload:
            await self.put(self.in_force)

    def words(self, book: Codebook) -> list[int]:
        """Words that load a codebook."""
        return book.thresholds(SETTINGS.out_bits).tolist()

    async def put(self, book: Codebook) -> None:
        """Put a codebook in force."""
        await self.load(self.words(book))
        type(self).in_force = book

    def random_book(self) -> Codebook:
        """Codebook of random edges, some of its bins empty, with few or all of the codes."""
        stop = 1 << SETTINGS.table_bits
        levels = int(self.rng.integers(2, (1 << SETTINGS.out_bits) + 1))
        inner = np.sort(self.rng.integers(1, stop, levels - 1))
        return Codebook.from_edges([0, *inner, stop], name="random")


def every_count_once(book: Codebook, rng: np.random.Generator) -> Beats:
    """All counts in random order, (beats, lanes)."""
    counts = rng.permutation(np.arange(book.edges[-1]))
    fill = rng.integers(0, book.edges[-1], -len(counts) % SETTINGS.lanes)
    return np.append(counts, fill).reshape(-1, SETTINGS.lanes)


def every_edge_in_every_lane(book: Codebook, rng: np.random.Generator) -> Beats:
    """Both sides of every edge, and ends and middle of every octave, in every lane, (beats, lanes)."""
    octaves, edges = 1 << np.arange(book.count_bits), book.edge_array[1:-1]
    middles = rng.integers(octaves, 2 * octaves)
    column = np.unique(np.concatenate([[0], edges - 1, edges, octaves, middles, 2 * octaves - 1]))
    return rng.permuted(np.tile(column[:, None], SETTINGS.lanes), axis=0)


@cocotb.test(stage=-1)
@cocotb.parametrize(book=[cocotb.Param(book, name) for name, book in BOOKS.items()])
async def every_count(dut: Any, book: Codebook) -> None:
    """Every count of a codebook gets its code; the first codebook is the one the block comes with."""
    bench = await EncoderBench(dut).start()
    COVERAGE.declare("octave", [(m, k) for m in range(book.count_bits + 1) for k in range(SETTINGS.lanes)])
    COVERAGE.declare("parity", [(odd, k) for odd in (0, 1) for k in range(SETTINGS.lanes)])
    counts = every_count_once(book, bench.rng)
    assert np.array_equal(np.unique(counts), np.arange(book.edges[-1]))
    if book is bench.in_force:
        counts = np.vstack([counts, every_edge_in_every_lane(book, bench.rng)])
    else:
        await bench.put(book)
    await bench.exchange(counts)
    lane = np.broadcast_to(np.arange(SETTINGS.lanes), counts.shape).ravel().tolist()
    octave = np.frexp(counts)[1].ravel().tolist()
    COVERAGE.hit("octave", zip(octave, lane, strict=True))
    COVERAGE.hit("parity", zip((counts & 1).ravel().tolist(), lane, strict=True))


@cocotb.test
@cocotb.parametrize(source=MATRIX, sink=MATRIX)
async def back_pressure(dut: Any, source: str, sink: str) -> None:
    """Pauses on either side change no beat."""
    bench = await EncoderBench(dut).start()
    await bench.back_pressure(source, sink)


@cocotb.test
async def throughput(dut: Any) -> None:
    """One beat a clock, and the promised latency."""
    bench = await EncoderBench(dut).start()
    await bench.throughput()


@cocotb.test
async def capacity(dut: Any) -> None:
    """Stall the output: it fills the pipeline and then stalls the input."""
    bench = await EncoderBench(dut).start()
    await bench.capacity()


@cocotb.test
async def reset_mid_stream(dut: Any) -> None:
    """Reset in mid-stream: the pipeline is empty afterwards."""
    bench = await EncoderBench(dut).start()
    await bench.reset_mid_stream()


@cocotb.test
async def saturation(dut: Any) -> None:
    """Check that counts above the range, and no others, get the last code and the flag of their lane."""
    bench = await EncoderBench(dut).start()
    stop, lanes = bench.in_force.edges[-1], SETTINGS.lanes
    above = SETTINGS.in_bits > bench.in_force.count_bits
    COVERAGE.declare("saturated", [(flag, k) for flag in ((False, True) if above else (False,)) for k in range(lanes)])
    # One more than the range for each bit on top: an encoder that looks at some of them only wraps here.
    tops = [1 << bit for bit in range(bench.in_force.count_bits, SETTINGS.in_bits)]
    column = np.array([0, 1, stop - 2, stop - 1] + [top + k for top in tops for k in (0, 1, stop // 2)])
    column = np.append(column, (1 << SETTINGS.in_bits) - 1)
    counts = bench.rng.permuted(np.tile(np.repeat(column, 4)[:, None], lanes), axis=0)
    counts = np.vstack([counts, bench.draw(100)])
    await bench.exchange(counts)
    lane = np.broadcast_to(np.arange(lanes), counts.shape).ravel().tolist()
    COVERAGE.hit("saturated", zip((counts >= stop).ravel().tolist(), lane, strict=True))


@cocotb.test(stage=1, skip=not SETTINGS.has_table)
@cocotb.parametrize(
    (
        ("table", "source", "sink"),
        [
            ("never", "never", "never"),
            ("random", "random", "random"),
            ("never", "random", "stalls"),
            ("never", "stalls", "slow"),
            ("stalls", "never", "random"),
        ],
    )
)
async def table_reload(dut: Any, table: str, source: str, sink: str) -> None:
    """Check that a table serves the beats after its last word, none before; and a bad one none at all."""
    bench = await EncoderBench(dut).start()
    words = bench.table
    assert words is not None
    COVERAGE.declare("table", ["good", *TABLE_ERRORS])
    COVERAGE.declare("table_word", ["first try", "waited"])
    COVERAGE.declare("swap", [(side, state) for side in ("in", "out") for state in ("idle", "transfer", "wait")])
    kinds = [
        "good",
        *TABLE_ERRORS,
        "good",
        "good",
        *bench.rng.choice(["good", *TABLE_ERRORS], 8).tolist(),
        "good",
    ]
    sequence = [(kind, bench.random_book()) for kind in kinds]
    ends, total = [], len(words.taken)
    for kind, book in sequence:
        beats = bench.table_beats(spoilt(bench, kind, book))
        words.send(beats)
        total += len(beats)
        ends.append(total)
    bench.source.send(_endless(bench))
    for port, pause in ((words, table), (bench.source, source), (bench.sink, sink)):
        port.pauses(PAUSES[pause])
    for end in ends:
        await bench.until(
            lambda end=end: len(words.taken) >= end, 20000, lambda: f"{len(words.taken)} of {total} words"
        )
        COVERAGE.hit("swap", [("in", bench.source.state), ("out", bench.sink.state)])
    COVERAGE.hit("table", kinds)
    COVERAGE.hit("table_word", ("waited" if wait else "first try" for wait in words.waited))
    await bench.run(50)
    bench.source.stop()
    bench.sink.pauses(PAUSES["never"])
    await bench.run(SETTINGS.latency + 10)

    closed = [words.clocks[end - 1] for end in ends]
    changes = [clock for clock, kind in zip(closed, kinds, strict=True) if kind == "good"]
    books = [bench.in_force, *(book for kind, book in sequence if kind == "good")]
    # A beat accepted in the clock of the last word is still of the old table.
    turn = np.searchsorted(changes, bench.source.clocks)
    data, last = map(list, zip(*bench.source.taken, strict=True))
    counts = unpack(data, SETTINGS.lanes, SETTINGS.in_bits) & ((1 << SETTINGS.in_bits) - 1)
    codes = np.vstack([book.encode(counts[turn == t]) for t, book in enumerate(books)]).astype(np.int64)
    EncoderBench.in_force = books[-1]
    bench.compare(codes, counts >= books[0].edges[-1], last)
    wrong = [clock + 1 for clock, kind in zip(closed, kinds, strict=True) if kind != "good"]
    assert bench.errors == wrong, f"table_error in clocks {bench.errors} instead of {wrong}"


def spoilt(bench: EncoderBench, kind: str, book: Codebook) -> list[int]:
    """Words of a table that is good, or wrong in one of the ways of TABLE_ERRORS."""
    words = bench.words(book)
    match kind:
        case "short":
            return words[: int(bench.rng.integers(1, len(words)))]
        case "single":
            return words[:1]
        case "long":
            return words + words[: int(bench.rng.integers(1, len(words) + 1))]
        case "twice":
            # The counter of words comes round to where a good table ends.
            return [*words, 0, *words]
        case _:
            return words


def _endless(bench: EncoderBench) -> Iterator[Beat]:
    while True:
        values = bench.draw(64)
        last = (bench.rng.random(64) < 0.1).astype(int).tolist()
        yield from zip(pack(values, SETTINGS.in_bits, bench.rng), last, strict=True)


@cocotb.test(stage=1, skip=not SETTINGS.has_table)
async def table_waits(dut: Any) -> None:
    """Check that no word is taken into a bank that beats on their way still need."""
    bench = await EncoderBench(dut).start()
    words, old = bench.table, bench.in_force
    assert words is not None
    bench.sink.pauses(PAUSES["always"])
    values = bench.draw(SETTINGS.latency)
    last = bench.send(values)
    await bench.run(SETTINGS.latency + 10)
    new = [bench.random_book(), bench.random_book()]
    before, size = len(words.taken), len(bench.words(old))
    for book in new:
        words.send(bench.table_beats(bench.words(book)))
    await bench.run(2 * size + 10)
    taken = len(words.taken) - before
    assert taken == size, f"{taken} instead of {size} words were taken while old beats wait"
    bench.sink.pauses(PAUSES["never"])
    await bench.drain(len(values))
    bench.compare(*bench.expect(values), last)
    await bench.run(size + SETTINGS.latency)
    assert len(words.taken) - before == 2 * size, "the second table is not taken after the old beats have left"
    EncoderBench.in_force = new[1]
    await bench.exchange(bench.draw(40))


@cocotb.test(stage=2, skip=not (SETTINGS.has_table and SETTINGS.preload))
async def table_outlives_reset(dut: Any) -> None:
    """Check that a reset leaves the last complete table in force, and drops one on its way."""
    bench = await EncoderBench(dut).start()
    words = bench.table
    assert words is not None
    size = len(bench.words(bench.in_force))
    for cut in sorted({1, size // 2, size - 1} - {0}):
        await bench.put(bench.random_book())
        words.send(bench.table_beats(bench.words(bench.random_book()))[:cut])
        await bench.run(cut + 5)
        await bench.reset()
        await bench.exchange(bench.draw(40))
    await bench.put(bench.random_book())
    await bench.exchange(bench.draw(40))


@cocotb.test(stage=2, skip=not SETTINGS.has_table or SETTINGS.preload)
async def table_needed_after_reset(dut: Any) -> None:
    """Without preload no beat is taken until the last word of a good table after a reset."""
    bench = await EncoderBench(dut).start()
    words = bench.table
    assert words is not None
    for _ in range(3):
        EncoderBench.in_force = bench.random_book()
        bench.dut.aresetn.value = 0
        await bench.run(1)
        words.halt()
        bench.errors.clear()
        bench.dut.aresetn.value = 1
        values = bench.draw(40)
        last = bench.send(values)
        await bench.run(30)
        words.send(bench.table_beats(spoilt(bench, TABLE_ERRORS[0], bench.random_book())))
        await bench.run(3 * len(bench.words(bench.in_force)) + 10)
        assert len(bench.errors) == 1, "table_error is not reported"
        assert not bench.source.taken, "a beat was taken without a table"
        words.send(bench.table_beats(bench.words(bench.in_force)))
        await bench.drain(len(values))
        assert bench.source.clocks[0] == words.clocks[-1] + 1, (
            "the table does not serve from the clock after its last word"
        )
        bench.compare(*bench.expect(values), last)


@cocotb.test(stage=100)
async def coverage(dut: Any) -> None:
    """Whatever the tests above declared has been hit."""
    COVERAGE.write(Path(SETTINGS.coverage))
    COVERAGE.check()
