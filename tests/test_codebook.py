# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import doctest
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ptychopress.model import codebook
from ptychopress.model.codebook import Codebook
from ptychopress.model.invalid import invalid_pixels
from ptychopress.model.noise import Noise

SQRT = ("sqrt-a", "sqrt-b", "sqrt-c")
METHODS = ("midpoint", "posterior", "unbiased")
CHARGE = {"gain": 2.5, "read_noise": 1.5, "pedestal": 100, "alpha": 1.0}


def book(name: str, count_bits: int | None = None) -> Codebook:
    return Codebook.named(name, count_bits, **(CHARGE if name == "noise-matched" else {}))


ALL = [book(name) for name in Codebook.names()]


def formula(name: str, n: int) -> int:
    """Schemes a, b, c as REFERENCE.md section 2 writes them, one count at a time."""
    m = n.bit_length() - 1
    if name == "sqrt-a":
        s = (m + 1) // 2 - 1
        return n if n < 16 else (n >> s) + (1 << (s + 2))
    if name == "sqrt-b":
        s = (m + 1) // 2
        return n if n < 4 else (n >> s) + (1 << s)
    s = m // 2 + 1
    return n if n < 2 else (n >> s) + (1 << (s - 1))


@pytest.mark.parametrize("count_bits", [1, 2, 5, 10, 14, 17])
@pytest.mark.parametrize("name", SQRT)
def test_sqrt_schemes_follow_their_formula(name: str, count_bits: int) -> None:
    counts = np.arange(1 << count_bits)
    expected = [formula(name, n) for n in range(1 << count_bits)]
    assert Codebook.named(name, count_bits).encode(counts).tolist() == expected


def argonne(n: int) -> int:
    if n < 16:
        return n
    if n < 64:
        return (n >> 2) + 12
    return (n >> 3) + 20 if n < 256 else (n >> 4) + 36


def test_argonne_follows_its_formula() -> None:
    assert book("argonne-10to7").encode(np.arange(1024)).tolist() == [argonne(n) for n in range(1024)]


@pytest.mark.parametrize("scale", [0.25, 0.5, 1, 2, 3, 16])
def test_nearest_sqrt_rounds_the_root(scale: float) -> None:
    ratio = Fraction(scale)
    # floor(scale sqrt(N) + 1/2) = floor((2 scale sqrt(N) + 1) / 2), exact by integer square roots.
    expected = [(isqrt(4 * ratio.numerator**2 * n // ratio.denominator**2) + 1) // 2 for n in range(1 << 14)]
    assert Codebook.named("nearest-sqrt", scale=scale).encode(np.arange(1 << 14)).tolist() == expected


def test_floor_sqrt_is_the_integer_root() -> None:
    assert book("floor-sqrt").encode(np.arange(1 << 14)).tolist() == [isqrt(n) for n in range(1 << 14)]


@pytest.mark.parametrize(
    ("name", "levels", "bits"),
    [
        *[("sqrt-a", 512, 9), ("sqrt-b", 256, 8), ("sqrt-c", 192, 8), ("sqrt-b-zero", 255, 8), ("sqrt-c-zero", 191, 8)],
        *[("floor-sqrt", 128, 7), ("argonne-10to7", 100, 7), ("script-2020-fine", 388, 9)],
        *[("script-2020-medium", 220, 8), ("script-2020-coarse", 194, 8)],
    ],
)
def test_published_numbers_of_levels(name: str, levels: int, bits: int) -> None:
    assert (book(name).levels, book(name).code_bits) == (levels, bits)
    assert book(name).encode((1 << book(name).count_bits) - 1) == levels - 1


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.name)
def test_encoding_counts_the_edges_below(entry: Codebook) -> None:
    counts = np.arange(entry.edges[-1])
    codes = entry.encode(counts).astype(int)
    assert (np.array(entry.edges)[codes] <= counts).all()
    assert (counts < np.array(entry.edges)[codes + 1]).all()


@pytest.mark.parametrize("name", [*SQRT, "sqrt-b-zero", "sqrt-c-zero", "floor-sqrt", "argonne-10to7"])
@pytest.mark.parametrize("method", ["midpoint", "unbiased"])
def test_error_within_one_sigma_for_every_count(name: str, method: codebook.DecodeMethod) -> None:
    entry = book(name)
    counts = np.arange(1, entry.edges[-1])
    error = np.abs(entry.decode(entry.encode(counts), method) - counts)
    # Levels are multiples of 2**-10, so these squares are exact in float64.
    assert (error**2 <= counts).all()


def test_left_edge_decoding_would_break_one_sigma() -> None:
    entry = book("sqrt-c")
    counts = np.arange(1, entry.edges[-1])
    left = np.array(entry.edges)[entry.encode(counts).astype(int)]
    assert ((left - counts) ** 2 > counts).any()


@pytest.mark.parametrize("count_bits", [3, 4, 6, 8, 10, 12, 14])
@pytest.mark.parametrize("name", Codebook.names())
def test_bias_free_levels_rise_and_are_never_worse(name: str, count_bits: int) -> None:
    entry = (
        book(name, min(count_bits, 10) if name == "argonne-10to7" else count_bits)
        if name != "noise-matched"
        else (Codebook.named(name, count_bits, gain=1, read_noise=1, pedestal=2))
    )
    figures = entry.figures().decoding
    assert (np.diff(entry.decode_levels("unbiased")) >= 0).all()
    assert figures["unbiased"].bias_rms <= figures["midpoint"].bias_rms


def test_bias_is_judged_against_a_counter_that_saturates() -> None:
    from ptychopress.model.levels import saturated_means

    draws = np.random.default_rng(8)
    for noise, means in ((Noise(), [50.0, 63.0]), (Noise(2, 0, 3), [60.0]), (Noise(2, 3, 10), [40.0, 60.0])):
        computed = saturated_means(np.array([0, 64]), noise, np.array(means))
        photons = draws.poisson(noise.photons(means), (400_000, len(means)))
        counts = noise.counts(photons + noise.read_noise * draws.standard_normal(photons.shape))
        assert computed == pytest.approx(np.minimum(counts, 63).mean(axis=0), abs=0.15)


def test_a_masked_array_keeps_its_invalid_pixels() -> None:
    counts = np.ma.array([5, 65535], mask=[False, True])
    assert book("sqrt-b").encode(counts).tolist() == [4, 0]
    assert book("sqrt-b").saturated(counts) == 0
    # Either mask is enough.
    assert book("sqrt-b").encode(np.ma.array([5, 6, 7], mask=[0, 1, 0]), invalid=[False, False, True]).tolist() == [
        4,
        0,
        0,
    ]


@pytest.mark.parametrize(("name", "limit"), [("sqrt-a", 0.0001), ("sqrt-b", 0.002), ("sqrt-c", 0.005)])
def test_bias_free_levels_reach_their_target(name: str, limit: float) -> None:
    entry = book(name)
    # An independent sum over counts, not the program's own bin probabilities.
    from scipy.stats import poisson

    means = np.geomspace(1, 12000, 60)
    decoded = entry.decode_levels("unbiased")[entry.table]
    counts = np.arange(entry.edges[-1])
    bias = [(poisson.pmf(counts, mu) @ decoded - mu) / np.sqrt(mu) for mu in means]
    assert np.sqrt(np.mean(np.square(bias))) <= limit
    assert entry.figures().decoding["unbiased"].bias_rms <= limit


@pytest.mark.parametrize(
    ("name", "midpoint", "posterior"), [("sqrt-a", 0.0036, 0.0029), ("sqrt-b", 0.024, 0.017), ("sqrt-c", 0.062, 0.042)]
)
def test_bias_of_the_other_methods_is_the_reference_one(name: str, midpoint: float, posterior: float) -> None:
    figures = book(name).figures().decoding
    assert figures["midpoint"].bias_rms == pytest.approx(midpoint, rel=0.03)
    assert figures["posterior"].bias_rms == pytest.approx(posterior, rel=0.05)


def test_figures_of_a_codebook_small_enough_to_work_out() -> None:
    figures = Codebook.from_edges([0, 1, 2, 4, 8]).figures()
    assert (figures.levels, figures.largest_code, figures.code_bits, figures.count_bits) == (4, 3, 2, 3)
    # Bins {2, 3} and {4..7} decode to 2.5 and 5.5: the worst is 1.5 counts at 4, over sqrt(4).
    assert figures.decoding["midpoint"].max_error == pytest.approx(0.75)


def test_sampling_agrees_with_the_computed_inflation() -> None:
    entry, mean = book("sqrt-c"), 1000.0
    draws = np.random.default_rng(5).poisson(mean, 400_000)
    from ptychopress.model.levels import code_probabilities

    p = code_probabilities(entry.edge_array, Noise(), np.array([mean]))[0]
    levels = entry.decode_levels()
    assert entry.decode(entry.encode(draws)).var() == pytest.approx(p @ levels**2 - (p @ levels) ** 2, rel=0.01)


def test_noise_matched_steps_are_alpha_sigma() -> None:
    entry = Codebook.named("noise-matched", 16, gain=20, read_noise=2, pedestal=500, alpha=0.5)
    edges = entry.edge_array[1:-1]
    step = np.diff(edges) / entry.noise.sigma((edges[1:] + edges[:-1]) / 2)
    assert step == pytest.approx(0.5, abs=0.03)
    assert entry.decode(entry.encode(500)) == pytest.approx(500, abs=20)


@settings(max_examples=40)
@given(
    st.lists(st.integers(1, 1023), unique=True, max_size=60).map(sorted),
    st.lists(st.integers(0, 1023), min_size=1, max_size=20),
)
@example([234, 235], [0])
def test_any_monotone_table(inner: list[int], counts: list[int]) -> None:
    entry = Codebook.from_edges([0, *inner, 1024])
    assert entry.encode(counts).tolist() == [sum(edge <= n for edge in inner) for n in counts]
    first, last = np.array([0, *inner]), np.array([*inner, 1024]) - 1
    for method in METHODS[:2]:
        levels = entry.decode_levels(method)
        assert (first <= levels).all()
        assert (levels <= last).all()
    # A bin that one level can serve within sigma is served so.
    levels, low, high = entry.decode_levels("unbiased"), last - np.sqrt(last), first + np.sqrt(first)
    assert (np.diff(levels) >= 0).all()
    served = (low <= high) & (first > 0)
    assert (levels[served] >= low[served]).all()
    assert (levels[served] <= high[served]).all()


def test_empty_bins_are_codes_that_no_count_gets() -> None:
    entry = Codebook.from_edges([0, 1, 1, 1, 4])
    assert entry.encode([0, 1, 3]).tolist() == [0, 3, 3]
    assert np.isfinite(entry.decode([0, 1, 2, 3], "unbiased")).all()


@pytest.mark.parametrize("count_bits", [3, 8, 14, 16, 20])
@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "<u2", ">u2", ">i4", "u4", "i8", "u8"])
def test_counts_of_every_dtype(dtype: str, count_bits: int) -> None:
    entry = Codebook.named("sqrt-b", count_bits)
    top = int(np.iinfo(dtype).max)
    values = [value for value in (0, 1, 6, 7, 8, entry.edges[-1] - 1, entry.edges[-1], top) if value <= top]
    expected = [formula("sqrt-b", min(value, entry.edges[-1] - 1)) for value in values]
    counts = np.array(values, dtype)
    assert entry.encode(counts).tolist() == expected
    assert entry.encode(np.repeat(counts, 2)[::2]).tolist() == expected
    assert entry.saturated(counts) == sum(value >= entry.edges[-1] for value in values)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_counts_above_the_range_saturate(dtype: type) -> None:
    entry = Codebook.named("sqrt-b", 6)
    top = min(int(np.iinfo(dtype).max), 1 << 40)
    counts = np.array([[0, 63], [64, top]], dtype)
    assert entry.encode(counts).tolist() == [[0, 15], [15, 15]]
    assert entry.saturated(counts) == 2


def test_shapes_and_empty_arrays() -> None:
    entry = book("sqrt-b")
    for shape in [(), (0,), (3, 0, 2), (2, 3, 4)]:
        counts = np.full(shape, 9, np.uint16)
        assert entry.encode(counts).shape == entry.decode(entry.encode(counts)).shape == shape


@pytest.mark.parametrize(
    ("frames", "convention", "depth", "invalid"),
    [
        (np.array([[0, 65535], [16383, 20000]], np.uint16), "eiger", None, [[False, True], [False, False]]),
        (np.array([[0, 4095], [16383, 20000]], np.uint16), "eiger", 12, [[False, True], [False, False]]),
        (np.array([[0, -1], [16383, 20000]], np.int32), "eiger", None, [[False, True], [False, False]]),
        (np.array([[-1, 5], [-2, 20000]], np.int32), "pilatus", None, [[True, False], [True, False]]),
    ],
)
def test_invalid_pixels_stay_apart_from_saturated_ones(frames, convention, depth, invalid) -> None:
    entry = book("sqrt-b")
    mask = invalid_pixels(frames, convention, depth=depth)
    assert mask.tolist() == invalid
    codes = entry.encode(frames, invalid=mask)
    assert entry.saturated(frames, invalid=mask) == 1
    back = entry.decode(codes, invalid=mask)
    assert np.isnan(back).tolist() == invalid
    assert back[1, 1] == entry.decode_levels()[-1]


@pytest.mark.parametrize(
    ("counts", "error", "where"),
    [
        ([[3, 0], [-3, -1]], ValueError, r"-3 at index \(1, 0\)"),
        ([1.0, 2.5], TypeError, r"2\.5 at index \(1,\)"),
        ([1.0, np.nan], TypeError, r"nan at index \(1,\)"),
        ([1.0, 2.0], TypeError, r"1\.0 at index \(0,\)"),
        (["1"], TypeError, r"index \(0,\)"),
        ([True], TypeError, "bool"),
    ],
)
def test_what_is_no_count_is_named(counts, error: type[Exception], where: str) -> None:
    with pytest.raises(error, match=where) as caught:
        book("sqrt-b").encode(counts)
    assert "\n" not in str(caught.value)


def test_what_is_no_code_is_named() -> None:
    with pytest.raises(ValueError, match=r"192 at index \(0, 1\).*0 to 191"):
        book("sqrt-c").decode([[0, 192]])
    with pytest.raises(TypeError, match="codes must be integers"):
        book("sqrt-c").decode([0.5])


@pytest.mark.parametrize(
    ("edges", "what"),
    [
        ([1, 2, 4, 8], r"start at 0 and have an end, got \(1, 2, 4\)$"),
        ([0], "have an end"),
        ([0, 3, 2, 4], r"edges\[2\] = 2 after 3"),
        ([0, 3], "2\\*\\*count_bits"),
        ([0, 1, 6], "2\\*\\*count_bits"),
        ([0, 0, 4], "hold a count"),
        ([0, 4, 4], "hold a count"),
        ([0, 1.5, 4], r"edges\[1\] must be a whole number, got 1\.5"),
        ([0, True, 2], r"edges\[1\] must be a whole number, got True"),
        ([0, 1 << 21], "count_bits 1 to 20"),
    ],
)
def test_what_is_no_table_is_refused(edges: list, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Codebook.from_edges(edges)


@pytest.mark.parametrize(
    ("name", "bits", "parameters", "what"),
    [
        ("sqrt-d", 14, {}, "known are sqrt-a"),
        ("sqrt-a", 0, {}, "from 1 to 20, got 0"),
        ("sqrt-a", 21, {}, "from 1 to 20, got 21"),
        ("argonne-10to7", 14, {}, "from 1 to 10, got 14"),
        ("sqrt-a", 14, {"scale": 2}, "does not take scale"),
        ("sqrt-a", True, {}, "count_bits must be a whole number, got True"),
        ("nearest-sqrt", 14, {"scale": "2"}, "scale must be a number"),
        ("noise-matched", 14, {"pedestal": 16384}, "pedestal must lie inside"),
        ("noise-matched", 14, {"gain": 1e6}, "leaves one code"),
        ("noise-matched", 14, {"gain": 1e-300}, "more than 65536 codes"),
        ("noise-matched", 14, {"gain": 1e-200, "read_noise": 1e-200, "pedestal": 1}, "more than 65536 codes"),
        ("nearest-sqrt", 14, {"scale": 0}, "scale must"),
        ("noise-matched", 14, {"alpha": -1}, "alpha must"),
        ("noise-matched", 14, {"gain": 0}, "gain must"),
        ("noise-matched", 14, {"read_noise": 1e-9, "pedestal": 1}, "more than 65536 codes"),
        ("nearest-sqrt", 14, {"scale": float("nan")}, "scale must"),
    ],
)
def test_bad_parameters_say_what_is_accepted(name: str, bits: int, parameters: dict, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Codebook.named(name, bits, **parameters)


def test_unknown_method_and_misfitting_mask() -> None:
    with pytest.raises(ValueError, match="midpoint, posterior, unbiased"):
        book("sqrt-b").decode([0], "left")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="shape"):
        book("sqrt-b").encode([1, 2], invalid=np.zeros(3, bool))
    with pytest.raises(ValueError, match="bool"):
        book("sqrt-b").encode([1, 2], invalid=[0, 1])


def test_thresholds_and_fixed_levels() -> None:
    entry = Codebook.from_edges([0, 1, 3, 8])
    assert entry.thresholds().tolist() == [0, 2, 7]
    assert entry.thresholds(3).tolist() == [0, 2, 7, 7, 7, 7, 7]
    assert entry.fixed_levels().tolist() == [0, 3, 10]
    assert entry.fixed_levels("midpoint", 0).tolist() == [0, 2, 5]
    assert entry.fixed_levels("midpoint", 16).tolist() == [0, 3 << 15, 5 << 16]
    for bits in (-1, 17):
        with pytest.raises(ValueError, match=f"fraction_bits must lie between 0 and 16, got {bits}"):
            entry.fixed_levels("midpoint", bits)
    with pytest.raises(ValueError, match="needs 2 code bits"):
        entry.thresholds(1)


@pytest.mark.parametrize("name", ["", "a\nendmodule", "a\rb", "a\u2028b", "a\x1b[2J", None])
def test_a_name_is_one_line(name: Any) -> None:
    with pytest.raises(ValueError, match=r"one line that can be printed, got [^\n]*$"):
        Codebook((0, 1, 2), name)


def test_a_codebook_is_a_value() -> None:
    assert Codebook.named("sqrt-b") == Codebook.from_edges(Codebook.named("sqrt-b").edges)
    assert hash(Codebook.named("sqrt-b")) != hash(Codebook.named("sqrt-a"))
    with pytest.raises(ValueError, match="read-only"):
        Codebook.named("sqrt-b").table[0] = 1


def test_examples_in_the_documentation() -> None:
    result = doctest.testmod(codebook)
    assert result.attempted > 0
    assert result.failed == 0
