# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.model import projection as module
from ptychopress.model.projection import Projection, ProjectionFormat


def by_hand(entry: Projection, frames: np.ndarray) -> tuple[list[list[int]], list[list[bool]]]:
    """Python's own integers, one product at a time."""
    low, high = -(1 << (entry.format.output_bits - 1)), (1 << (entry.format.output_bits - 1)) - 1
    weights, bias, shift = entry.weights.tolist(), entry.bias.tolist(), entry.shift.tolist()
    coefficients, saturated = [], []
    for frame in frames.tolist():
        sums = [b + sum(w * x for w, x in zip(row, frame, strict=True)) for row, b in zip(weights, bias, strict=True)]
        exact = [(2 * total // 2**s + 1) // 2 for total, s in zip(sums, shift, strict=True)]
        coefficients.append([min(max(y, low), high) for y in exact])
        saturated.append([not low <= y <= high for y in exact])
    return coefficients, saturated


def check(entry: Projection, frames: np.ndarray) -> None:
    coefficients, saturated = entry.project(frames)
    assert coefficients.dtype == np.int32 and saturated.dtype == np.bool_
    expected = by_hand(entry, frames)
    np.testing.assert_array_equal(coefficients, expected[0])
    np.testing.assert_array_equal(saturated, expected[1])


def drawn(size: ProjectionFormat, seed: int, shift: int | None = None) -> Projection:
    rng = np.random.default_rng(seed)
    weights = rng.integers(size.weight_format.minimum, size.weight_format.maximum + 1, (size.components, size.pixels))
    limit = size.bias_format.maximum // 2
    bias = rng.integers(-limit, limit + 1, size.components)
    shifts = rng.integers(0, max(1, size.bias_format.bits - 2), size.components) if shift is None else shift
    return Projection(size, weights, bias, np.broadcast_to(shifts, size.components))


sizes = st.builds(
    ProjectionFormat,
    pixels=st.integers(1, 40),
    components=st.integers(1, 9),
    input_bits=st.integers(1, 16),
    weight_bits=st.integers(2, 18),
    output_bits=st.integers(2, 32),
)


@settings(deadline=None)
@given(sizes, st.integers(0, 2**32), st.integers(1, 5))
def test_equals_pythons_integers(size: ProjectionFormat, seed: int, count: int) -> None:
    frames = np.random.default_rng(seed).integers(0, 1 << size.input_bits, (count, size.pixels), np.uint32)
    check(drawn(size, seed), frames)


@pytest.mark.parametrize(
    ("input_bits", "weight_bits", "dtype"), [(8, 8, np.float32), (14, 12, np.float64), (16, 18, np.float64)]
)
def test_whole_frames_in_every_arithmetic(input_bits: int, weight_bits: int, dtype: Any) -> None:
    # Enough pixels that single precision has to be added up from parts, and frames for two blocks.
    size = ProjectionFormat(pixels=1300, components=3, input_bits=input_bits, weight_bits=weight_bits, output_bits=20)
    entry = drawn(size, 5)
    assert entry._parts[1].dtype == dtype
    frames = np.random.default_rng(6).integers(0, 1 << input_bits, (module._BLOCK + 2, 1300), np.uint16)
    part = [0, 1, module._BLOCK - 1, module._BLOCK, module._BLOCK + 1]
    coefficients, saturated = entry.project(frames)
    expected = by_hand(entry, frames[part])
    np.testing.assert_array_equal(coefficients[part], expected[0])
    np.testing.assert_array_equal(saturated[part], expected[1])
    products = frames.astype(np.int64) @ entry.weights.T.astype(np.int64) + entry.bias
    np.testing.assert_array_equal(entry.sums(frames), products)


@pytest.mark.parametrize("limit", [1 << 20, 1])
def test_int64_above_what_double_precision_holds(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EXACT_DOUBLE", limit)
    size = ProjectionFormat(pixels=33, components=4, input_bits=14, weight_bits=9, output_bits=12)
    entry = drawn(size, 7)
    assert entry._parts[1].dtype == np.int64
    check(entry, np.random.default_rng(8).integers(0, 1 << 14, (6, 33)))


def test_single_precision_in_longer_parts_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    size = ProjectionFormat(pixels=3000, components=1, input_bits=8, weight_bits=8, output_bits=32)
    frames = np.random.default_rng(1).integers(0, 256, (4, 3000), np.uint8)
    weights = np.full((1, 3000), 127)
    monkeypatch.setattr(module, "_EXACT_SINGLE", 1 << 40)
    with pytest.raises(AssertionError):
        check(Projection(size, weights), frames)
    monkeypatch.undo()
    check(Projection(size, weights), frames)


@pytest.mark.parametrize("bits", [(1, 2, 2), (8, 8, 8), (14, 12, 16), (16, 18, 32)])
@pytest.mark.parametrize("pixel", ["none", "all"])
@pytest.mark.parametrize("weight", ["minimum", "maximum", "zero"])
@pytest.mark.parametrize("bias", ["minimum", "maximum", "zero"])
def test_extremes(bits: tuple[int, int, int], pixel: str, weight: str, bias: str) -> None:
    size = ProjectionFormat(pixels=600, components=2, input_bits=bits[0], weight_bits=bits[1], output_bits=bits[2])
    pick = {"minimum": lambda f: f.minimum, "maximum": lambda f: f.maximum, "zero": lambda f: 0}
    weights = np.full((2, 600), pick[weight](size.weight_format))
    start = pick[bias](size.bias_format)
    shift = np.array([0, size.bias_format.bits - 2])
    # With half a step the bias must still be in its format.
    entry = Projection(size, weights, np.minimum(start, size.bias_format.maximum - ((1 << shift) >> 1)), shift)
    frames = np.full((2, 600), size.input_format.maximum if pixel == "all" else 0)
    check(entry, frames)
    assert entry.format.accumulator_format.holds(entry.sums(frames))


def test_halves_go_up() -> None:
    entry = Projection(ProjectionFormat(pixels=1, components=2, input_bits=4), [[1], [-1]], shift=[2, 2])
    np.testing.assert_array_equal(
        entry.project(np.arange(9)[:, None])[0],
        [[0, 0], [0, 0], [1, 0], [1, -1], [1, -1], [1, -1], [2, -1], [2, -2], [2, -2]],
    )


def test_shapes() -> None:
    entry = drawn(ProjectionFormat(pixels=12, components=5, input_bits=8), 3)
    frames = np.random.default_rng(4).integers(0, 256, (2, 3, 3, 4), np.uint8)
    for given_frames, shape in ((frames, (2, 3, 5)), (frames[0, 0], (5,)), (frames.reshape(6, 12), (6, 5))):
        coefficients, saturated = entry.project(given_frames)
        assert coefficients.shape == saturated.shape == shape
        assert entry.sums(given_frames).shape == shape
        np.testing.assert_array_equal(coefficients.ravel(), entry.project(given_frames.reshape(-1, 12))[0].ravel())
    assert entry.project(np.zeros((0, 12), np.uint8))[0].shape == (0, 5)


def test_frames_are_left_alone() -> None:
    entry = drawn(ProjectionFormat(pixels=12, components=5, input_bits=8), 3)
    frames = np.random.default_rng(4).integers(0, 256, (7, 12), np.uint8)[::-1]
    before = frames.copy()
    first = entry.project(frames)[0]
    np.testing.assert_array_equal(frames, before)
    entry.project(255 - frames)
    np.testing.assert_array_equal(entry.project(frames)[0], first)


def test_sums_beyond_double_precision_are_exact() -> None:
    pixels = (1 << 20) + (1 << 18) + 1
    size = ProjectionFormat(pixels=pixels, components=1, input_bits=16, weight_bits=18)
    entry = Projection(size, np.full((1, pixels), (1 << 17) - 1))
    exact = pixels * 65535 * ((1 << 17) - 1)
    assert exact > 1 << 53 and exact % 2  # no double is odd there
    assert entry.sums(np.full(pixels, 65535, np.uint16)).tolist() == [exact]


@pytest.mark.parametrize("lanes", [1, 3, 8, 12, 20])
def test_words_are_what_the_hardware_is_loaded_with(lanes: int) -> None:
    entry = drawn(ProjectionFormat(pixels=12, components=5, input_bits=8), 9)
    beats = -(-12 // lanes)
    words = entry.words(lanes).reshape(5, beats * lanes + 2)
    assert words.dtype == np.int64
    np.testing.assert_array_equal(words[:, :12], entry.weights)
    assert not words[:, 12:-2].any()
    # Half a step is preloaded, so that a plain shift rounds.
    np.testing.assert_array_equal(words[:, -2], entry.bias + (2**entry.shift) // 2)
    np.testing.assert_array_equal(words[:, -1], entry.shift)


SIZE = ProjectionFormat(pixels=6, components=2, input_bits=8)
WEIGHTS = np.ones((2, 6), int)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ProjectionFormat(pixels=0, components=1, input_bits=8), ValueError, "pixels must be a whole number"),
        (lambda: ProjectionFormat(pixels=1, components=1, input_bits=17), ValueError, "input_bits .* from 1 to 16"),
        (lambda: ProjectionFormat(pixels=1, components=1, input_bits=8, weight_bits=1), ValueError, "weight_bits"),
        (lambda: ProjectionFormat(pixels=1, components=1, input_bits=8, output_bits=33), ValueError, "output_bits"),
        (lambda: Projection(SIZE, WEIGHTS.astype(float)), TypeError, "weights must be integers, got float64"),
        (lambda: Projection(SIZE, WEIGHTS[:1]), ValueError, r"weights has shape \(1, 6\), expected \(2, 6\)"),
        (lambda: Projection(SIZE, WEIGHTS * 128), ValueError, "weights from 128 to 128: expected -128 to 127"),
        (lambda: Projection(SIZE, WEIGHTS, shift=[0, 99]), ValueError, "shift from 0 to 99"),
        (lambda: Projection(SIZE, WEIGHTS, [2**40, 0]), ValueError, "bias with half a step from"),
        (lambda: Projection(SIZE, WEIGHTS).project(np.ones(6)), TypeError, "frames must be integers, got float64"),
        (lambda: Projection(SIZE, WEIGHTS).project(np.ones(7, int)), ValueError, "expected 6 pixels"),
        (
            lambda: Projection(SIZE, WEIGHTS).project(np.full(6, 256)),
            ValueError,
            "frames from 256 to 256: expected 0 to 255",
        ),
        (lambda: Projection(SIZE, WEIGHTS).project(np.full(6, -1, np.int8)), ValueError, "frames from -1 to -1"),
    ],
)
def test_wrong_use_is_refused(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
