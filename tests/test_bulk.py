# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import subprocess
import sys
from pathlib import Path

import numpy as np
import ptychopress
import pytest
from amaranth.hdl import Signal
from ptychopress.hdl.code_projector import CodeProjector
from ptychopress.hdl.encoder import ShiftCore, ShiftEncoder, ThresholdEncoder
from ptychopress.hdl.multiplier import Multiplier
from ptychopress.hdl.projector import Projector
from ptychopress.model.codebook import Codebook
from ptychopress.model.projection import Projection, ProjectionFormat
from ptychopress.sim.bulk import BulkEncoder, BulkProjector

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


PROJECTION_SIZES = {
    "pixels and components left over": {"pixels": 33, "components": 6, "input_bits": 8, "output_bits": 16},
    "three bytes a coefficient": {"pixels": 7, "components": 3, "input_bits": 5, "output_bits": 20},
    "four bytes": {"pixels": 10, "components": 30, "input_bits": 8, "output_bits": 30},
    "one byte": {"pixels": 16, "components": 4, "input_bits": 8, "output_bits": 8},
}


def drawn(seed: int, **sizes: int) -> Projection:
    """Random projection whose coefficients saturate now and then."""
    size = ProjectionFormat(**sizes)
    rng = np.random.default_rng(seed)
    low, high = size.weight_format.minimum, size.weight_format.maximum
    weights = rng.integers(low, high + 1, (size.components, size.pixels))
    shift = rng.integers(0, max(1, size.bias_format.bits - size.output_bits + 1), size.components)
    return Projection(size, weights, rng.integers(-999, 999, size.components), shift)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("name", PROJECTION_SIZES)
def test_coefficients_are_the_model_s(name: str, jobs: int) -> None:
    projection = drawn(5, **PROJECTION_SIZES[name])
    size, block = projection.format, Projector(projection.format, lanes=4, columns=4)
    frames = np.random.default_rng(6).integers(0, 1 << size.input_bits, (2, 25, size.pixels))
    found = BulkProjector(block, projection, jobs=jobs).run(frames)
    expected, saturated = projection.project(frames)
    np.testing.assert_array_equal(found.coefficients, expected)
    np.testing.assert_array_equal(found.saturated, saturated)
    assert not found.clipped.any()
    assert found.clipped.shape == (2, 25)
    # No idle clock between frames, and the latency once.
    assert found.clocks == 50 * block.frame_clocks - block.phases + block.latency + block.phases


def test_counts_through_encoder_and_projector() -> None:
    book, projection = Codebook.named("sqrt-b"), drawn(8, pixels=24, components=5, input_bits=8)
    block = CodeProjector(ShiftEncoder(book, lanes=4, input_bits=16), Projector(projection.format, lanes=4, columns=2))
    counts = np.random.default_rng(9).integers(0, 1 << 14, (30, 4, 6))
    counts[7, 2, 3] = 1 << 14
    found = BulkProjector(block, projection).run(counts)
    np.testing.assert_array_equal(found.coefficients, projection.project(book.encode(counts))[0])
    assert np.flatnonzero(found.clipped).tolist() == [7]


@pytest.mark.usefixtures("refused")
def test_a_table_of_another_format_is_refused() -> None:
    projection = drawn(5, pixels=16, components=4, input_bits=8)
    other = ProjectionFormat(pixels=16, components=5, input_bits=8)
    with pytest.raises(ValueError, match=r"the table is for .*components=4.* the projector for .*components=5"):
        BulkProjector(Projector(other, lanes=4, columns=4), projection)


class _WrongSign(Multiplier):
    """Planted: weights are taken for unsigned."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        wide = Signal(self.value_bits + self.weight_bits, reset_less=True)
        m.d.sync += wide.eq(self.value * self.weight.as_unsigned())
        previous = Signal.like(wide, reset_less=True)
        m.d.sync += previous.eq(wide)
        m.d.comb += self.product.eq(previous)
        return m


def test_a_wrong_sign_shows() -> None:
    projection = drawn(5, pixels=16, components=4, input_bits=8)
    block = Projector(projection.format, lanes=4, columns=4, multiplier=_WrongSign)
    frames = np.random.default_rng(6).integers(0, 256, (9, 16))
    assert (BulkProjector(block, projection).run(frames).coefficients != projection.project(frames)[0]).any()


@pytest.mark.slow
def test_every_frame_of_the_cell_benchmark() -> None:
    script = Path(ptychopress.__file__).parent / "benchmarks" / "projector_dataset.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split("|")[1:5] for line in done.stdout.splitlines()[2:]]
    assert [[int(cell.replace(",", "")) for cell in row] for row in rows] == [
        [100, 4488, 448_800, 0],
        [300, 4488, 1_346_400, 0],
    ]
