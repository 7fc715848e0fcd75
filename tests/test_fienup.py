# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Phase retrieval of an isolated object: recovery, Fienup's theorem, invalid pixels, noise, ambiguities."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.reconstruction.detector import Detector
from ptychopress.reconstruction.fienup import aligned, fienup

N = 64
ROWS, COLUMNS = np.indices((N, N))
# A wedge: it fits onto neither a shifted copy nor its inversion.
SUPPORT = (ROWS > 12) & (ROWS < 44) & (COLUMNS > 10) & (COLUMNS < 16 + 0.8 * (ROWS - 12))
MODULUS = SUPPORT * (1 + 0.5 * np.sin(0.6 * ROWS) * np.cos(0.4 * COLUMNS + 0.1 * ROWS))
OBJECT = MODULUS * np.exp(1j * (0.8 * np.sin(0.3 * COLUMNS) + 0.5 * (COLUMNS + ROWS > 50)))
ER = (("er", 600),)


def frame(obj: np.ndarray, photons: float = 1e6) -> np.ndarray:
    """Its far field of `photons`, written out as matrices: zero frequency at the centre."""
    rows, columns = (
        np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, np.arange(n)) / n) / np.sqrt(n) for n in obj.shape
    )
    intensity = np.abs(rows @ obj @ columns.T) ** 2
    return intensity * (photons / intensity.sum())


def error(image: np.ndarray, truth: np.ndarray = OBJECT) -> float:
    """Relative rms error, the scale taken from the image's photons and the ambiguities removed."""
    unit = truth / np.linalg.norm(truth)
    return float(np.linalg.norm(aligned(image / np.linalg.norm(image), unit) - unit))


def test_an_oversampled_object_is_recovered() -> None:
    intensity = frame(OBJECT)
    found = fienup(intensity, SUPPORT)
    assert found.image.dtype == np.complex64 and (found.image[~SUPPORT] == 0).all()
    assert error(found.image) < 1e-4 and found.loss < 1e-4
    assert np.sum(np.abs(found.image) ** 2) == pytest.approx(1e6, rel=1e-4)
    # The support admits neither a shift nor the twin: only the phase is free.
    unit, overlap = OBJECT / np.linalg.norm(OBJECT), np.vdot(found.image, OBJECT)
    plain = found.image * (overlap / abs(overlap)) / np.linalg.norm(found.image)
    assert np.linalg.norm(plain - unit) < 1e-4


def test_documented_snippet() -> None:
    page = Path(ptychopress.__file__).parent / "docs" / "fienup.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert names["error"] < 1e-3


def test_frames_need_not_be_square() -> None:
    wide = np.pad(OBJECT, ((0, 0), (0, 11)))
    found = fienup(frame(wide), np.pad(SUPPORT, ((0, 0), (0, 11))))
    assert error(found.image, wide) < 1e-4


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([(8, 8), (9, 12), (16, 7)]), st.booleans(), st.booleans())
def test_error_reduction_never_rises(seed: int, shape: tuple[int, int], non_negative: bool, gaps: bool) -> None:
    """Fienup's theorem holds for any moduli and support, whether or not they have a solution."""
    rng = np.random.default_rng(seed)
    intensity = rng.gamma(0.5, 1e3, shape)
    if gaps:
        intensity[rng.random(shape) < 0.15] = np.nan
    support = rng.random(shape) < 0.35
    support[0, 0], support[:, -1], support[-1] = True, False, False
    found = fienup(intensity, support, schedule=(("er", 40),), non_negative=non_negative, seed=seed)
    assert len(found.residuals) == 40
    assert (np.diff(found.residuals) <= 1e-6).all()


@pytest.mark.parametrize("non_negative", [False, True])
def test_hybrid_input_output_follows_its_formula(non_negative: bool) -> None:
    """Two iterations written out, from where error reduction has come to."""
    intensity, beta = frame(MODULUS - SUPPORT), 0.7  # of both signs: some output is always refused
    intensity[20, 30] = intensity[0, 0] = np.nan
    arguments: dict[str, Any] = {"beta": beta, "non_negative": non_negative, "seed": 1}
    image = fienup(intensity, SUPPORT, schedule=(("er", 2),), **arguments).image.astype(complex)
    for _ in range(2):
        wave = np.fft.fftshift(np.fft.fft2(image, norm="ortho"))
        wave = np.where(np.isnan(intensity), wave, np.sqrt(intensity) * wave / np.abs(wave))
        output = np.fft.ifft2(np.fft.ifftshift(wave), norm="ortho")
        holds = SUPPORT
        if non_negative:
            holds = SUPPORT & (output.real >= 0)
            assert (SUPPORT & ~holds).sum() > 5
        image = np.where(holds, output, image - beta * output)
        image = image.real + 0j if non_negative else image
    expected = np.where(SUPPORT, np.maximum(image.real, 0) if non_negative else image, 0)
    found = fienup(intensity, SUPPORT, schedule=(("er", 2), ("hio", 2)), **arguments)
    np.testing.assert_allclose(found.image, expected, atol=1e-4 * np.abs(expected).max())


def test_hybrid_input_output_escapes_where_error_reduction_stagnates() -> None:
    intensity = frame(OBJECT)
    for seed in range(3):
        stuck, free = fienup(intensity, SUPPORT, schedule=ER, seed=seed), fienup(intensity, SUPPORT, seed=seed)
        # 600 iterations both.
        assert error(stuck.image) > 0.05 and stuck.loss > 1e6 * free.loss
        assert abs(stuck.residuals[-1] - stuck.residuals[-50]) < 0.01 * stuck.residuals[-1]
        assert error(free.image) < 1e-4
        assert max(np.diff(free.residuals[:500])) > 0  # it climbs on its way


def test_a_pixel_behind_the_beam_stop_floats() -> None:
    intensity = frame(OBJECT)
    mask = Detector(beam_stop=1.5).mask((N, N))
    assert mask.sum() == 9 and intensity[mask].sum() > 0.3 * intensity.sum()
    found = fienup(np.where(mask, np.nan, intensity), SUPPORT)
    assert error(found.image) < 1e-3
    # Taken as dark they spoil the image.
    assert error(fienup(np.where(mask, 0, intensity), SUPPORT).image) > 0.3


def test_the_loss_counts_valid_pixels_alone() -> None:
    intensity = frame(OBJECT)
    intensity[5, 7] = np.nan
    found = fienup(intensity, SUPPORT, schedule=(("er", 3),))
    modulus = np.sqrt(frame(found.image, float(np.sum(np.abs(found.image.astype(complex)) ** 2))))
    valid = ~np.isnan(intensity)
    assert found.loss == pytest.approx(np.mean(4 * (modulus - np.sqrt(intensity))[valid] ** 2), rel=1e-3)


def test_counts_are_fitted_to_their_noise() -> None:
    intensity = frame(OBJECT, 1e7)
    counts = Detector(full_scale=65535).expose(np.minimum(intensity, 6e4), 1).levels(trust_saturated=False)
    counts[intensity > 6e4] = np.nan
    found = fienup(counts, SUPPORT, starts=5)
    valid = ~np.isnan(counts)
    noise = np.mean(4 * (np.sqrt(counts) - np.sqrt(intensity))[valid] ** 2)
    # A model of 2 x 564 unknowns takes its share of the noise of 4,096 pixels, some 28 %, along; the truth fits worse.
    assert 0.5 * noise < found.loss < noise
    assert error(found.image) < 0.03
    assert found.losses[int(np.argmin(found.losses))] == found.loss and len(found.losses) == 5


def test_the_best_of_the_starts_is_kept() -> None:
    intensity = frame(OBJECT)
    several = fienup(intensity, SUPPORT, schedule=(("er", 60),), starts=4, seed=2)
    assert len(set(several.losses)) == 4 and several.loss == min(several.losses)
    modulus = np.sqrt(frame(several.image, float(np.sum(np.abs(several.image.astype(complex)) ** 2))))
    assert np.mean(4 * (modulus - np.sqrt(intensity)) ** 2) == pytest.approx(several.loss, rel=1e-3)


def test_a_real_object_is_found_in_a_loose_support_if_it_is_known_to_be() -> None:
    """A box fits the twin too, and shifts: `aligned` removes them."""
    box = (ROWS > 10) & (ROWS < 46) & (COLUMNS > 8) & (COLUMNS < 44)
    dots = SUPPORT * np.maximum(np.sin(0.6 * ROWS) * np.cos(0.4 * COLUMNS + 0.1 * ROWS), 0)
    intensity = frame(dots)
    found = fienup(intensity, box, non_negative=True, starts=4)
    assert (found.image.imag == 0).all() and (found.image.real >= 0).all()
    assert error(found.image, dots) < 1e-3
    assert fienup(intensity, box, starts=4).loss > 10 * found.loss


def test_what_a_frame_cannot_tell() -> None:
    twin = np.roll(OBJECT[::-1, ::-1], (9, -4), axis=(0, 1)).conj()
    for other in (np.roll(OBJECT, (3, 50), axis=(0, 1)) * np.exp(2j), twin * np.exp(-1j)):
        np.testing.assert_allclose(frame(other), frame(OBJECT), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(aligned(other, OBJECT), OBJECT, atol=1e-5)
    assert error(MODULUS) > 0.1  # and nothing else is removed


def test_aligned_takes_even_and_odd_sides() -> None:
    obj = np.random.default_rng(1).normal(size=(7, 10)) + 1j
    np.testing.assert_allclose(aligned(obj[::-1, ::-1].conj() * 1j, obj), obj, atol=1e-5)
    np.testing.assert_array_equal(aligned(np.zeros((3, 3)), np.ones((3, 3))), 0)
    with pytest.raises(ValueError, match=r"shapes \(7, 10\) and \(7, 9\)"):
        aligned(obj, obj[:, :9])


def test_the_same_seed_gives_the_same_bits() -> None:
    runs = [fienup(frame(OBJECT), SUPPORT, schedule=(("hio", 5), ("er", 2)), seed=seed) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0].image, runs[1].image)
    assert runs[0].residuals == runs[1].residuals != runs[2].residuals


def test_progress_is_reported_after_each_iteration() -> None:
    seen: list[tuple[int, int, float]] = []
    found = fienup(
        frame(OBJECT), SUPPORT, schedule=(("hio", 2), ("er", 1)), starts=2, progress=lambda *step: seen.append(step)
    )
    assert [step[:2] for step in seen] == [(k, 6) for k in range(1, 7)]
    assert tuple(step[2] for step in seen) in [
        found.residuals + tuple(step[2] for step in seen[3:]),
        tuple(step[2] for step in seen[:3]) + found.residuals,
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"intensity": np.ones((2, N, N))}, r"intensity: shape \(2, 64, 64\)"),
        ({"intensity": np.full((N, N), -1.0)}, "negative or infinite"),
        ({"intensity": np.full((N, N), np.inf)}, "negative or infinite"),
        ({"intensity": np.zeros((N, N))}, "no photon on any valid pixel"),
        ({"intensity": np.full((N, N), np.nan)}, "no photon on any valid pixel"),
        ({"support": SUPPORT[1:]}, r"support: bool \(63, 64\), expected bool \(64, 64\)"),
        ({"support": SUPPORT * 1}, r"support: int64 \(64, 64\), expected bool"),
        ({"support": np.zeros((N, N), bool)}, "not empty"),
        ({"support": ROWS < 33}, "support: 2112 pixels, expected at most 2048, half of the valid pixels"),
        (
            {"intensity": np.where(COLUMNS < 32, np.nan, 1), "support": ROWS < 17},
            "support: 1088 pixels, expected at most 1024",
        ),
        ({"schedule": (("raar", 5),)}, r"schedule: \('raar', 5\), expected \"er\" or \"hio\""),
        ({"schedule": (("er", 0),)}, r"schedule: \('er', 0\)"),
        ({"schedule": ()}, "schedule: empty"),
        ({"beta": 0.0}, "beta: 0.0"),
        ({"beta": 2.1}, "beta: 2.1"),
        ({"starts": 0}, "starts: 0"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"intensity": np.ones((N, N)), "support": SUPPORT} | change
    with pytest.raises(ValueError, match=message):
        fienup(arguments.pop("intensity"), arguments.pop("support"), **arguments)
