# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.hdl import secded
from ptychopress.hdl.block_memory import BlockMemory
from ptychopress.hdl.protected_memory import ProtectedMemory
from ptychopress.model.secded import Secded
from ptychopress.synth.properties import Property
from ptychopress.synth.prove import Claim, prove

WIDTHS = (*range(1, 17), 18, 26, 27, 57, 58, 64, 72, 120, 144, 247, 300, 512)


def as_bits(values: Any, bits: int) -> np.ndarray:
    return (np.asarray(values)[..., None] >> np.arange(bits) & 1).astype(np.uint8)


@pytest.mark.parametrize("bits", WIDTHS)
def test_distance_is_four(bits: int) -> None:
    """No three columns add up to 0: they all differ, and a sum of three odd ones is odd."""
    code = Secded(bits)
    columns = code.columns
    assert len(columns) == code.word_bits == bits + code.check_bits
    assert len(set(columns)) == len(columns)
    assert all(column.bit_count() % 2 == 1 for column in columns)
    assert max(columns) < 1 << code.check_bits
    # Check bits are bits of the word: their columns are the unit matrix.
    np.testing.assert_array_equal(code.matrix[:, bits:], np.eye(code.check_bits))


# Data bits for which one more takes another check bit: all odd columns of r rows but those of the check bits.
@pytest.mark.parametrize(("check", "most"), [(3, 1), (4, 4), (5, 11), (6, 26), (7, 57), (8, 120), (9, 247), (10, 502)])
def test_no_check_bit_too_many(check: int, most: int) -> None:
    assert Secded(most).check_bits == check
    assert Secded(most + 1).check_bits == check + 1


@pytest.mark.parametrize("bits", [4, 14, 32, 64, 512])
def test_parities_are_of_even_length(bits: int) -> None:
    rows = Secded(bits).matrix.sum(axis=1)
    assert rows.max() - rows.min() <= 1


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_single_and_double_error(bits: int) -> None:
    code = Secded(bits)
    data = as_bits(np.arange(1 << bits) if bits < 6 else np.random.default_rng(bits).integers(0, 1 << bits, 8), bits)
    words = code.encode(data)
    np.testing.assert_array_equal(words[:, :bits], data)
    for wrong in range(3):
        for places in combinations(range(code.word_bits), wrong):
            damaged = words.copy()
            damaged[:, places] ^= 1
            found, corrected, uncorrectable = code.decode(damaged)
            assert (corrected == (wrong == 1)).all() and (uncorrectable == (wrong == 2)).all()
            np.testing.assert_array_equal(found, data if wrong < 2 else damaged[:, :bits])


@settings(max_examples=60, deadline=None)
@given(bits=st.sampled_from(WIDTHS), seed=st.integers(0, 1 << 32))
def test_wide_words(bits: int, seed: int) -> None:
    code, rng = Secded(bits), np.random.default_rng(seed)
    data = rng.integers(0, 2, (3, 4, bits))
    words = code.encode(data)
    for wrong in range(3):
        places = rng.permuted(np.tile(np.arange(code.word_bits) < wrong, (3, 4, 1)), axis=-1)
        found, corrected, uncorrectable = code.decode(words ^ places)
        assert (corrected == (wrong == 1)).all() and (uncorrectable == (wrong == 2)).all()
        if wrong < 2:
            np.testing.assert_array_equal(found, data)


@settings(max_examples=60, deadline=None)
@given(bits=st.sampled_from(WIDTHS), data=st.data())
def test_whole_numbers_are_encoded_alike(bits: int, data: Any) -> None:
    code, value = Secded(bits), data.draw(st.integers(0, (1 << bits) - 1))
    word = code.encode([value >> k & 1 for k in range(bits)])
    assert code.word(value) == sum(int(bit) << k for k, bit in enumerate(word))


@pytest.mark.usefixtures("refused")
@pytest.mark.parametrize("bits", [0, -1, 513, 8.0, True])
def test_a_width_out_of_range_is_refused(bits: Any) -> None:
    with pytest.raises(ValueError, match=f"data_bits must be a whole number from 1 to 512, got {bits}"):
        Secded(bits)


@pytest.mark.usefixtures("refused")
def test_what_is_no_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"words of shape \(3, 7\): expected 8 bits"):
        Secded(8).encode(np.zeros((3, 7), int))
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        Secded(8).decode(np.full(13, 2))


class Codec(wiring.Component):
    """All of the logic, side by side."""

    def __init__(self, code: Secded) -> None:
        self.code = code
        super().__init__(
            {
                "data": In(code.data_bits),
                "word": Out(code.word_bits),
                "damaged": In(code.word_bits),
                "right": Out(code.data_bits),
                "reports": Out(2),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        syndrome = Signal(self.code.check_bits)
        right, *reports = secded.correct(self.code, self.damaged[: self.code.data_bits], syndrome)
        m.d.comb += [
            syndrome.eq(secded.syndrome(self.code, self.damaged)),
            self.word.eq(secded.encode(self.code, self.data)),
            self.right.eq(right),
            self.reports.eq(Cat(reports)),
        ]
        return m


def check_codec(code: Secded, data: np.ndarray, damaged: np.ndarray) -> None:
    """Compare logic and model; bits of words, (words, bits)."""
    right, *reports = code.decode(damaged)
    columns = data, code.encode(data), damaged, right, np.stack(reports, axis=-1)
    rows = zip(
        *([sum(int(bit) << k for k, bit in enumerate(row)) for row in column] for column in columns), strict=True
    )
    codec = Codec(code)

    async def bench(ctx: Any) -> None:
        for data, word, damaged, right, reports in rows:
            ctx.set(codec.data, data)
            ctx.set(codec.damaged, damaged)
            assert (ctx.get(codec.word), ctx.get(codec.right), ctx.get(codec.reports)) == (word, right, reports)

    simulator = Simulator(codec)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("bits", [1, 2, 4, 5])
def test_logic_is_the_model_for_every_word(bits: int) -> None:
    code = Secded(bits)
    damaged = as_bits(np.arange(1 << code.word_bits), code.word_bits)
    check_codec(code, damaged[:, :bits], damaged)


@pytest.mark.parametrize("bits", [14, 32, 64])
def test_logic_is_the_model_for_wide_words(bits: int) -> None:
    code, rng = Secded(bits), np.random.default_rng(bits)
    data = rng.integers(0, 2, (300, bits)).astype(np.uint8)
    wrong = rng.permuted(np.arange(code.word_bits) < rng.integers(0, 4, (300, 1)), axis=-1)
    check_codec(code, data, code.encode(data) ^ wrong)


class OpenMemory(BlockMemory):
    """A memory whose words a bench can reach."""

    def elaborate(self, platform: Any) -> Module:
        m: Any = super().elaborate(platform)
        self.words = m.submodules.memory.data
        return m


@pytest.mark.parametrize("bits", [5, 64, 70, 150])
def test_protected_memory(bits: int) -> None:
    """Words come back `latency` clocks later; what is reported is the word beside it."""
    made: list[OpenMemory] = []

    def memory(bits: int, depth: int) -> OpenMemory:
        made.append(OpenMemory(bits, depth))
        return made[-1]

    memory.latency = OpenMemory.latency  # type: ignore[attr-defined]
    dut = ProtectedMemory(bits, 6, memory=memory)  # type: ignore[arg-type]
    assert dut.latency == BlockMemory.latency + 1
    rng = np.random.default_rng(bits)
    words = [int.from_bytes(rng.bytes(32), "little") % (1 << bits) for _ in range(6)]
    # Word 1 has an upset in its last code word, word 2 two in its first, word 3 one in each; word 4 two and, if it has
    # a second code word, one in that.
    starts = np.cumsum([0, *(code.word_bits for code in dut.codes)]).tolist()
    assert [code.data_bits for code in dut.codes] == [min(64, bits - low) for low in range(0, bits, 64)]
    flips = {1: [starts[-1] - 1], 2: [0, 3], 3: [start + 1 for start in starts[:-1]], 4: [2, 3]}
    reports = {0: (0, 0), 1: (1, 0), 2: (0, 1), 3: (1, 0), 4: (0, 1), 5: (0, 0)}
    if len(dut.codes) > 1:
        flips[4].append(starts[-2] + 4)
        reports[4] = (1, 1)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.write_enable, 1)
        for address, word in enumerate(words):
            ctx.set(dut.write_address, address)
            ctx.set(dut.write_data, word)
            await ctx.tick()
        ctx.set(dut.write_enable, 0)
        # Neither address nor data count without an enable.
        ctx.set(dut.write_data, 0)
        for address, places in flips.items():
            row = made[0].words[address]
            ctx.set(row, ctx.get(row) ^ sum(1 << bit for bit in places))
        order = rng.integers(0, 6, 40).tolist()
        for clock, address in enumerate(order):
            ctx.set(dut.address, address)
            await ctx.tick()
            if clock >= dut.latency - 1:
                was = order[clock - dut.latency + 1]
                seen = ctx.get(dut.corrected), ctx.get(dut.uncorrectable)
                assert seen == reports[was], was
                if not seen[1]:
                    assert ctx.get(dut.data) == words[was]

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


class Rules(Property):
    """Up to two bits of a word are flipped, the solver says which."""

    def __init__(self, bits: int) -> None:
        self.code = Secded(bits)
        super().__init__({"data": In(bits), **{name: In(range(self.code.word_bits + 1)) for name in ("one", "other")}})

    def elaborate(self, platform: Any) -> Module:
        m, code = Module(), self.code
        bits = code.word_bits
        word = Signal(bits)
        flips = Cat((self.one == k) ^ (self.other == k) for k in range(bits))
        m.d.comb += word.eq(secded.encode(code, self.data) ^ flips)
        syndrome = Signal(code.check_bits)
        m.d.comb += syndrome.eq(secded.syndrome(code, word))
        right, corrected, uncorrectable = secded.correct(code, word[: code.data_bits], syndrome)
        both = (self.one < bits) & (self.other < bits)
        two = both & (self.one != self.other)
        self.rule(m, "with one wrong bit or none the data is right", two | (right == self.data))
        self.rule(m, "one wrong bit is reported", corrected == (~both & ((self.one < bits) | (self.other < bits))))
        self.rule(m, "two wrong bits are reported", uncorrectable == two)
        return m


@pytest.mark.slow
@pytest.mark.parametrize("bits", [8, 14, 32])
def test_proof_of_correction_and_detection(bits: int, tmp_path: Path) -> None:
    verdict = prove(Claim("SECDED", lambda: Rules(bits)), tmp_path)
    assert verdict.outcome == "proven", verdict.detail


@pytest.mark.slow
def test_a_column_twice_is_refuted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    columns = Secded(8).columns
    monkeypatch.setattr(Secded, "columns", (columns[1], *columns[1:]))
    verdict = prove(Claim("column twice", lambda: Rules(8)), tmp_path)
    assert verdict.outcome == "refuted"
