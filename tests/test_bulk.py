# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import numpy as np
import pytest
from ptychopress.hdl.encoder import ShiftCore, ShiftEncoder, ThresholdEncoder
from ptychopress.model.codebook import Codebook
from ptychopress.sim.bulk import BulkEncoder

pytestmark = pytest.mark.simulator


@pytest.fixture(scope="module")
def encoder() -> BulkEncoder:
    return BulkEncoder(ShiftEncoder(Codebook.named("sqrt-b"), lanes=3, input_bits=20))


def test_every_count_and_many_above_the_range(encoder: BulkEncoder) -> None:
    counts = np.arange(1 << 15)
    result = encoder.run(counts)
    np.testing.assert_array_equal(result.codes, encoder.encoder.codebook.encode(counts))
    assert result.saturated == 1 << 14
    # One beat a clock, and the encoder's latency of one.
    assert result.clocks == -(-len(counts) // 3) + 1


@pytest.mark.parametrize("shape", [(4,), (7, 5), (3, 7, 5), (2, 3, 1, 1), (0, 4, 4)])
def test_frames_of_any_shape_with_a_partial_last_beat(encoder: BulkEncoder, shape: tuple[int, ...]) -> None:
    counts = np.random.default_rng(3).integers(0, 1 << 20, shape)
    result = encoder.run(counts)
    np.testing.assert_array_equal(result.codes, encoder.encoder.codebook.encode(counts))
    assert result.saturated == encoder.encoder.codebook.saturated(counts)


def test_nine_bit_codes_and_the_pipelined_search() -> None:
    book = Codebook.named("sqrt-a")
    counts = np.random.default_rng(4).integers(0, 1 << 14, (20, 30, 30), np.uint16)
    np.testing.assert_array_equal(BulkEncoder(ThresholdEncoder(book, lanes=2)).encode(counts), book.encode(counts))


def test_what_the_input_cannot_carry_is_refused(encoder: BulkEncoder) -> None:
    with pytest.raises(ValueError, match="0 to 1048575"):
        encoder.run([1 << 20])
    with pytest.raises(ValueError, match="-1 to"):
        encoder.run([-1])
    with pytest.raises(TypeError, match="float64"):
        encoder.run([1.0])


class _WrongShift(ShiftCore):
    """Planted: in one octave the bits kept lie one too low."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.count[9:] == 1):
            m.d.comb += self.code[:4].eq(self.count[4:8])
        return m


class _LosesBeats(ShiftEncoder):
    """Planted: every beat whose first count is 77 vanishes."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.o.p.codes[0] == 17):
            m.d.comb += self.o.valid.eq(0)
        return m


def test_a_wrong_shift_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ptychopress.hdl.encoder.ShiftCore", _WrongShift)
    book = Codebook.named("sqrt-b")
    counts = np.arange(1 << 14)
    wrong = np.flatnonzero(BulkEncoder(ShiftEncoder(book, lanes=4)).encode(counts) != book.encode(counts))
    assert len(wrong)
    assert set(wrong) <= set(range(512, 1024))


def test_a_lost_beat_shows() -> None:
    with pytest.raises(RuntimeError, match=r"lost a beat|misplaced tlast"):
        BulkEncoder(_LosesBeats(Codebook.named("sqrt-b"), lanes=4)).encode(np.arange(1 << 10))
