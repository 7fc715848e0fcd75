# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Const, Module
from ptychopress.hdl import encoder, projector, protected_memory
from ptychopress.hdl.code_projector import CodeProjector
from ptychopress.hdl.encoder import ShiftEncoder, ThresholdEncoder
from ptychopress.hdl.projector import Projector
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import Projection, ProjectionFormat
from ptychopress.model.secded import Secded
from ptychopress.sim.run import run_bench
from ptychopress.sim.upsets import (
    EncoderUpsets,
    ProjectorUpsets,
    Seen,
    Upset,
    campaign,
    drawn,
    every,
)
from ptychopress.synth.projector_properties import ProjectorRows, WatchedProjector

# Each builds a compiled model, which takes longer than what is asked of it.
pytestmark = pytest.mark.slow

SIZE = ProjectionFormat(pixels=15, components=4, input_bits=4, weight_bits=4, output_bits=8)
LANES, COLUMNS, FRAMES = 4, 3, 3
# Codes of 4 bits, all in use: every threshold decides between two of them.
BOOK = Codebook.from_edges([*range(9), 11, 20, 21, 22, 40, 60, 63, 64], name="own")
OTHER = Codebook.from_edges([0, 3, 4, 7, 10, 13, 14, 15, 20, 22, 23, 24, 30, 50, 51, 52, 64], name="other")


def projection(seed: int) -> Projection:
    rng = np.random.default_rng(seed)
    weights = rng.integers(-8, 8, (SIZE.components, SIZE.pixels))
    return Projection(SIZE, weights, rng.integers(-500, 500, SIZE.components), rng.integers(0, 4, SIZE.components))


def projector_upsets() -> ProjectorUpsets:
    frames = np.random.default_rng(5).integers(0, 16, (FRAMES, SIZE.pixels))
    return ProjectorUpsets(Projector(SIZE, lanes=LANES, columns=COLUMNS, protect=True), frames)


def encoder_upsets() -> EncoderUpsets:
    # Each lane gets every count once.
    counts = np.random.default_rng(6).permuted(np.tile(np.arange(64)[:, None], (1, 2)), axis=0)
    return EncoderUpsets(ThresholdEncoder(BOOK, lanes=2, protect=True), counts)


@pytest.fixture(scope="module")
def projector_bench() -> Iterator[ProjectorUpsets]:
    with projector_upsets() as bench:
        yield bench


@pytest.fixture
def encoder_bench() -> Iterator[EncoderUpsets]:
    with encoder_upsets() as bench:
        yield bench


def stored_bits() -> int:
    """Bits of a table of weights in its memories, with their check bits: a word of weights a beat and component."""
    words = [Secded(LANES * SIZE.weight_bits)] * -(-SIZE.pixels // LANES)
    words += [Secded(SIZE.bias_format.bits), Secded(SIZE.largest_shift.bit_length())]
    return SIZE.components * sum(word.word_bits for word in words)


def single_in_projector(upset: Upset, seen: Seen) -> None:
    """Every word is read once a frame, or is not part of the table in force."""
    assert seen.corrected in (0, FRAMES) and not seen.uncorrectable


def double_in_projector(upset: Upset, seen: Seen) -> None:
    assert seen.flagged.all() or not seen.flagged.any()
    assert (seen.corrected, seen.uncorrectable) == (0, int(seen.flagged.sum()))


@pytest.mark.simulator
def test_every_bit_of_a_projector(projector_bench: ProjectorUpsets) -> None:
    found = projector_bench.memories
    for seed in (4, 5):  # one bank, then the other
        projector_bench.load(projection(seed))
        tally = campaign(found, every(found), projector_bench.run, single_in_projector)
        # Banks have room for a component in every column of every row.
        total = 2 * stored_bits() * 2 * COLUMNS // SIZE.components
        assert tally.outcomes == {"corrected": stored_bits(), "unused": total - stored_bits()}, tally.examples


@pytest.mark.simulator
@pytest.mark.parametrize("count", [1000, pytest.param(None, marks=pytest.mark.slow)])
def test_pairs_of_bits_of_a_projector(projector_bench: ProjectorUpsets, count: int | None) -> None:
    found = projector_bench.memories
    for seed in (4, 5):  # one bank, then the other
        projector_bench.load(projection(seed))
        upsets = every(found, 2) if count is None else drawn(found, count, np.random.default_rng(8), 2)
        tally = campaign(found, upsets, projector_bench.run, double_in_projector)
        assert tally.outcomes.keys() == {"flagged", "unused"}, tally.examples
        # Twice as many words are unused: those of the other bank, and of two in three columns of a second row.
        assert tally.outcomes["flagged"] == pytest.approx(tally.outcomes["unused"] / 2, rel=0.2)


def encoder_judge(kind: str) -> Callable[[Upset, Seen], None]:
    def judge(upset: Upset, seen: Seen) -> None:
        reports = seen.corrected, seen.uncorrectable
        assert reports[kind == "single"] == 0
        if kind == "double":
            assert seen.uncorrectable == seen.flagged.sum()

    return judge


def thresholds_bits() -> int:
    return 2 * 15 * Secded(6).word_bits


@pytest.mark.simulator
def test_every_bit_and_pair_of_an_encoder(encoder_bench: EncoderUpsets) -> None:
    """Also those of the table that the memories have at first."""
    assert BOOK.code_bits == OTHER.code_bits == 4
    found, bits = encoder_bench.memories, Secded(6).word_bits
    for book in (None, OTHER, BOOK):
        if book is not None:
            encoder_bench.load(book)
        tally = campaign(found, every(found), encoder_bench.run, encoder_judge("single"))
        assert tally.outcomes == {"corrected": thresholds_bits(), "unused": thresholds_bits()}, tally.examples
    tally = campaign(found, every(found, 2), encoder_bench.run, encoder_judge("double"))
    pairs = thresholds_bits() * (bits - 1) // 2
    assert tally.outcomes == {"flagged": pairs, "unused": pairs}, tally.examples


@pytest.mark.simulator
def test_a_threshold_is_reported_with_every_beat_that_needs_it(encoder_bench: EncoderUpsets) -> None:
    """The first in the search is needed for all, the last for counts on either side of it."""
    found, seen = encoder_bench.memories, []
    upsets = [Upset(k, word, (3,)) for k, memory in enumerate(found) for word in range(memory.words)]
    campaign(found, upsets, encoder_bench.run, lambda upset, one: seen.append((upset.memory, one.corrected)))
    edges = np.array(BOOK.edges)
    for stage in range(4):
        # The thresholds of a stage share the counts out, in a lane: by every 16th, 8th, 4th, 2nd edge.
        shares = np.diff(edges[:: 16 >> stage]).tolist()
        for lane in range(2):
            name = f"thresholds_{lane}_{stage}"
            (number,) = (k for k, memory in enumerate(found) if memory.name.endswith(name))
            assert sorted(count for k, count in seen if k == number and count) == sorted(shares)


def test_a_silent_run_is_the_worst() -> None:
    def outcome(wrong: list[bool], flagged: list[bool], corrected: int = 0) -> str:
        return Seen(np.array(wrong), np.array(flagged), corrected, 0).outcome

    assert outcome([False, True], [True, False], 1) == "silent"
    assert outcome([False, True], [True, True], 1) == "flagged"
    assert outcome([False, False], [False, True], 1) == "flagged"
    assert outcome([False, False], [False, False], 2) == "corrected"
    assert outcome([False, False], [False, False]) == "unused"


def test_a_run_that_stays_wrong_is_refused() -> None:
    wrong = Seen(np.array([True]), np.array([True]), 0, 1)
    with pytest.raises(RuntimeError, match="a run without an upset"):
        campaign([], [], lambda: wrong)


class Fault:
    """Something wrong, put in the place of an attribute of a module while a block is elaborated."""

    def __init__(self, module: Any, name: str, change: Callable[[Any], Any]) -> None:
        self.module, self.name, self.change = module, name, change

    def plant(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.module, self.name, self.change(getattr(self.module, self.name)))


def reports_lost(kind: str, part: str) -> Callable[[Any], Any]:
    """Memories of a projector that never report one thing of one part."""

    def change(healthy: Any) -> Any:
        class Silent(healthy):
            def elaborate(self, platform: Any) -> Module:
                m = super().elaborate(platform)
                m.d.comb += getattr(self, kind)[part].eq(0)
                return m

        return Silent

    return change


def corrects(change: Callable[..., tuple[Any, Any, Any]]) -> Callable[[Any], Any]:
    """Correction with something else as its outcome."""
    return lambda healthy: lambda code, data, syndrome: change(data, *healthy(code, data, syndrome))


NOT_CORRECTED = corrects(lambda data, right, corrected, uncorrectable: (data, corrected, uncorrectable))
NOT_DETECTED = corrects(lambda data, right, corrected, uncorrectable: (right, corrected, Const(0)))
NOT_REPORTED = corrects(lambda data, right, corrected, uncorrectable: (right, Const(0), uncorrectable))
FAULTS = {
    "weights are not corrected": (Fault(protected_memory, "correct", NOT_CORRECTED), projector_upsets, 1, "silent"),
    "double errors are not detected": (Fault(protected_memory, "correct", NOT_DETECTED), projector_upsets, 2, "silent"),
    "corrections are not reported": (Fault(protected_memory, "correct", NOT_REPORTED), projector_upsets, 1, "unused"),
    "thresholds are not corrected": (Fault(encoder, "correct", NOT_CORRECTED), encoder_upsets, 1, "silent"),
    "wrong thresholds are not flagged": (Fault(encoder, "correct", NOT_DETECTED), encoder_upsets, 2, "silent"),
    **{
        f"{part} is not flagged": (
            Fault(projector, "WeightMemory", reports_lost("uncorrectable", part)),
            projector_upsets,
            2,
            "silent",
        )
        for part in ("weights", "preload", "shift")
    },
}


@pytest.mark.slow
@pytest.mark.simulator
@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault, make, bits, outcome = FAULTS[name]
    fault.plant(monkeypatch)
    with make() as bench:
        if isinstance(bench, ProjectorUpsets):
            bench.load(projection(4))
        found, rng = bench.memories, np.random.default_rng(9)
        tally = campaign(found, every(found) if bits == 1 else drawn(found, 2000, rng, bits), bench.run)
    if outcome == "silent":
        assert tally.outcomes["silent"]
    else:
        assert tally.outcomes.keys() == {outcome}


def protected(frame: tuple[int, int], bits: tuple[int, int, int], beat: tuple[int, int]) -> Projector:
    size = ProjectionFormat(
        pixels=frame[0], components=frame[1], input_bits=bits[0], weight_bits=bits[1], output_bits=bits[2]
    )
    return Projector(size, lanes=beat[0], columns=beat[1], protect=True)


SHIFTS = Codebook.named("sqrt-b", 8)
BLOCKS: dict[str, tuple[str, Callable[[], Any]]] = {
    "encoder": ("encoder", lambda: ThresholdEncoder(BOOK, lanes=2, input_bits=8, protect=True)),
    "encoder without a table": ("encoder", lambda: ThresholdEncoder(BOOK, preload=False, protect=True)),
    "one clock": ("projector", lambda: protected((4, 3), (5, 6, 9), (4, 3))),
    "two code words": ("projector", lambda: protected((5, 4), (4, 18, 16), (5, 3))),
    "codes": (
        "projector",
        lambda: CodeProjector(
            ShiftEncoder(SHIFTS, lanes=2, input_bits=10), protected((5, 4), (SHIFTS.code_bits, 4, 6), (2, 2))
        ),
    ),
}
BRIEF = [
    "throughput",
    "capacity",
    "back_pressure/source=random/sink=random",
    "table_reload/.*source=random/sink=random",
]


@pytest.mark.simulator
@pytest.mark.parametrize("simulator", ["icarus"], indirect=True)
@pytest.mark.parametrize(
    ("name", "tests"),
    [
        *((name, BRIEF) for name in ("encoder without a table", "one clock")),
        *(pytest.param(name, [], marks=pytest.mark.slow) for name in BLOCKS),
    ],
)
def test_protected_block_passes_its_bench(
    name: str, tests: list[str], simulator: Any, seed: int, tmp_path: Path
) -> None:
    """Words that no table has written are undefined in Icarus; so would be a flag that takes them for wrong."""
    bench, block = BLOCKS[name]
    result = run_bench(block(), bench, simulator=simulator, seed=seed, tests=tests, directory=tmp_path)
    assert result.passed, str(result)


def test_rules_of_the_proofs_take_a_protected_projector() -> None:
    size = ProjectionFormat(pixels=2, components=2, input_bits=1, weight_bits=2, output_bits=2)
    rules = ProjectorRows(partial(WatchedProjector, size, lanes=1, columns=1, protect=True))
    text = rtlil.convert(rules, name="top")
    assert rules.rules
    assert all(rule in text for rule in rules.rules)


@pytest.mark.usefixtures("refused")
def test_without_protection_nothing_is_there() -> None:
    plain = ThresholdEncoder(BOOK), Projector(SIZE)
    for block in plain:
        assert not {"upset", "corrected", "uncorrectable"} & block.signature.members.keys()
    assert "upset" not in [name for name, _ in plain[1].o.p.shape()["flags"].shape]
