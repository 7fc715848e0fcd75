# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Probes against the optics of textbooks: zone plates, propagation, partial coherence."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychopress.reconstruction.probes import (
    ZonePlate,
    gaussian_probe,
    magnified,
    mismatch,
    partially_coherent,
    propagated,
)
from scipy.ndimage import gaussian_filter
from scipy.special import j1

WAVELENGTH, PIXEL = 1.24e-10, 10e-9
PLATE = ZonePlate(diameter=180e-6, outermost_zone=50e-9, stop_diameter=60e-6)


def radius(n: int) -> np.ndarray:
    """Distance from the centre pixel, in pixels."""
    axis = np.arange(n) - n // 2
    return np.hypot(axis[:, None], axis)


def far_field(probe: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.fftshift(np.fft.fft2(probe, norm="ortho"))) ** 2


def energies(modes: np.ndarray) -> np.ndarray:
    return np.sum(np.abs(modes.astype(complex)) ** 2, axis=(1, 2))


def test_gaussian_follows_its_formula() -> None:
    probe = gaussian_probe()
    assert probe.shape == (72, 72) and probe.dtype == np.complex64
    assert probe[36, 36] == pytest.approx(np.exp(0.5j))
    amplitude = np.exp(-0.5)  # six pixels, one sigma, from the centre
    assert probe[36, 42] == pytest.approx(amplitude * np.exp(0.5j * amplitude))
    np.testing.assert_array_equal(probe[30, 36], probe[36, 30])


@pytest.mark.parametrize("defocus", [0.0, 2e-4, -2e-4])
def test_far_field_of_a_zone_plate_is_its_open_ring(defocus: float) -> None:
    n = 128
    probe = PLATE.probe(n, PIXEL, WAVELENGTH, defocus)
    assert probe.dtype == np.complex64
    intensity = far_field(probe)
    assert intensity.sum() == pytest.approx(1, rel=1e-5)
    # The plate's edge is at 1 / (2 x 50 nm), a detector pixel is 1 / (128 x 10 nm): 12.8 pixels; the stop is a third.
    outer, inner = 12.8, 12.8 / 3
    r = radius(n)
    assert intensity[(r < inner - 0.5) | (r > outer + 0.5)].max() < 1e-9
    ring = intensity[(r > inner + 0.5) & (r < outer - 0.5)]
    np.testing.assert_allclose(ring, ring[0], rtol=1e-4)
    # Its area; an edge that rises linearly in amplitude over a sample passes 1/3, not 1/2, of the light there.
    area = np.pi * (outer**2 - inner**2) - 2 * np.pi * (outer + inner) / 6
    assert 1 / ring[0] == pytest.approx(area, rel=0.01)


@pytest.mark.parametrize("stop", [0.0, 60e-6])
def test_focus_is_the_airy_pattern_of_a_ring(stop: float) -> None:
    n = 256
    probe = ZonePlate(180e-6, 50e-9, stop).probe(n, PIXEL, WAVELENGTH)
    v = np.pi * np.maximum(radius(n), 1e-9) * PIXEL / 50e-9  # k NA r, NA = wavelength / (2 outermost zone)
    ratio = max(stop / 180e-6, 1e-9)
    amplitude = (2 * j1(v) / v - ratio**2 * 2 * j1(ratio * v) / (ratio * v)) / (1 - ratio**2)
    near = radius(n) < 40
    peak = probe[n // 2, n // 2]
    assert abs(peak) == pytest.approx(np.abs(probe).max()) and peak.real > 0.999 * abs(peak)
    np.testing.assert_allclose((probe / peak)[near], amplitude[near], atol=0.01)


@pytest.mark.parametrize("defocus", [1e-3, -1e-3])
def test_far_from_the_focus_the_probe_is_a_ring_of_a_spherical_wave(defocus: float) -> None:
    n = 512
    probe = PLATE.probe(n, PIXEL, WAVELENGTH, defocus)
    # The cone is as wide as the plate at the focal length f: at z its radius is z * wavelength / (2 * outermost zone).
    outer = 1e-3 * WAVELENGTH / (2 * 50e-9) / PIXEL
    r, intensity = radius(n), np.abs(probe) ** 2
    assert intensity[r < 1.15 * outer].sum() > 0.95
    assert intensity[(r > outer / 3) & (r < outer)].sum() > 0.9
    # Downstream the wave diverges: its phase is +pi x^2 / (wavelength z).
    line = probe[n // 2, n // 2 :]
    x = np.arange(len(line))
    inside = (x > 0.5 * outer) & (x < 0.85 * outer)
    slope = np.angle(line[1:] * line[:-1].conj())[inside[:-1]]
    expected = np.pi * (2 * x + 1)[inside] * PIXEL**2 / (WAVELENGTH * defocus)
    assert np.mean(slope / expected) == pytest.approx(1, abs=0.02)


def test_geometry_of_a_zone_plate() -> None:
    assert PLATE.focal_length(WAVELENGTH) == pytest.approx(180e-6 * 50e-9 / 1.24e-10)  # 7.26 cm
    aperture = 90e-6 / PLATE.focal_length(WAVELENGTH)
    assert PLATE.depth_of_focus(WAVELENGTH) == pytest.approx(WAVELENGTH / (2 * aperture**2))  # Born and Wolf
    # A quarter wave of defocus at the edge of the aperture: the axis keeps sin^2 / x^2 of pi / 4, 81 %.
    plate = ZonePlate(180e-6, 50e-9)
    focus, edge = (
        abs(plate.probe(256, PIXEL, WAVELENGTH, z)[128, 128]) ** 2 for z in (0, plate.depth_of_focus(WAVELENGTH))
    )
    assert edge / focus == pytest.approx(8 / np.pi**2, abs=0.02)


@pytest.mark.parametrize(
    ("fields", "call", "message"),
    [
        ({"outermost_zone": 0.0}, {}, "outermost_zone: 0.0"),
        ({"diameter": 1e-7}, {}, "diameter: 1e-07"),
        ({"stop_diameter": 180e-6}, {}, "stop_diameter: 0.00018"),
        ({}, {"size": 1}, "size 1"),
        ({}, {"wavelength": 0.0}, "wavelength 0.0"),
        ({}, {"pixel": 60e-9}, "pixel: 6e-08, expected at most the outermost zone, 5e-08"),
        ({}, {"defocus": -6e-4}, r"defocus: -0.0006 makes the probe 1.49e-06 m wide, expected less .* 1.28e-06 m"),
        ({"stop_diameter": 135e-6}, {"size": 39}, r"size: 39 .* 3.9e-07 m wide, expected at least 4e-07 m"),
    ],
)
def test_zone_plates_check_themselves(fields: dict[str, float], call: dict[str, Any], message: str) -> None:
    plate = {"diameter": 180e-6, "outermost_zone": 50e-9, "stop_diameter": 60e-6} | fields
    with pytest.raises(ValueError, match=message):
        ZonePlate(**plate).probe(**({"size": 128, "pixel": PIXEL, "wavelength": WAVELENGTH} | call))


@pytest.mark.parametrize("distance", [0.0, 1e-4, -1e-4, 3e-4])
def test_a_gaussian_beam_spreads_as_it_must(distance: float) -> None:
    n, sigma = 128, 6 * PIXEL
    beam = propagated(gaussian_probe(n, 6, phase=0), distance, WAVELENGTH, PIXEL)
    intensity = np.abs(beam) ** 2
    x = (np.arange(n) - n // 2) * PIXEL
    variance = (intensity.sum(axis=0) * x**2).sum() / intensity.sum()
    rayleigh = 2 * np.pi * sigma**2 / WAVELENGTH
    assert variance == pytest.approx(sigma**2 / 2 * (1 + (distance / rayleigh) ** 2), rel=1e-4)


def test_an_oblique_wave_advances_along_the_axis_by_its_cosine() -> None:
    n, pixel = 32, 1.0  # the wavelength is a pixel: 8 turns in 32 pixels are a sine of 1 / 4, far from paraxial
    wave = np.exp(2j * np.pi * 8 * np.arange(n) / n) * np.ones((n, 1))
    np.testing.assert_allclose(
        propagated(wave, 3.7, 1.0, pixel), wave * np.exp(2j * np.pi * 3.7 * (np.sqrt(15 / 16) - 1)), atol=1e-5
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.floats(-1e-2, 1e-2), st.floats(-1e-2, 1e-2), st.sampled_from([(9, 9), (2, 8, 8)]))
def test_propagation_keeps_light_and_adds_up(seed: int, first: float, second: float, shape: tuple[int, ...]) -> None:
    real, imaginary = np.random.default_rng(seed).normal(size=(2, *shape))
    probe = real + 1j * imaginary
    there = propagated(probe, first, WAVELENGTH, PIXEL)
    assert there.shape == shape and there.dtype == np.complex64
    assert np.linalg.norm(there) == pytest.approx(np.linalg.norm(probe), rel=1e-5)
    np.testing.assert_allclose(propagated(there, -first, WAVELENGTH, PIXEL), probe, atol=1e-5)
    np.testing.assert_allclose(
        propagated(there, second, WAVELENGTH, PIXEL), propagated(probe, first + second, WAVELENGTH, PIXEL), atol=1e-5
    )


def test_propagation_refuses_evanescent_waves() -> None:
    with pytest.raises(ValueError, match=r"expected pixel > 0\.71 wavelength"):
        propagated(gaussian_probe(8, 2), 1.0, 1.5, 1.0)
    with pytest.raises(ValueError, match="distance: nan"):
        propagated(gaussian_probe(8, 2), np.nan, 1.0, 1.0)


def test_modes_of_a_gaussian_schell_beam_fall_as_powers() -> None:
    """Mehler's formula: exp(-a (x^2 + y^2) + 2 b x y) has the eigenvalues q^k, q = (a - sqrt(a^2 - b^2)) / b."""
    sigma, blur = 5.0, 1.5
    modes = partially_coherent(gaussian_probe(48, sigma, phase=0), 6, blur)
    b = blur**2 / (2 * sigma**2 * (2 * blur**2 + sigma**2))
    a = 1 / (2 * sigma**2) - b
    q = (a - np.sqrt(a**2 - b**2)) / b
    found = energies(modes)
    np.testing.assert_allclose(found / found[0], [1, q, q, q**2, q**2, q**2], rtol=1e-3)


@pytest.mark.parametrize("blur", [1.0, (0.0, 2.0)])
@pytest.mark.parametrize("lopsided", [False, True])
def test_modes_are_orthogonal_and_make_up_the_blurred_beam(blur: Any, lopsided: bool) -> None:
    probe = PLATE.probe(48, PIXEL, WAVELENGTH, 5e-5)
    if lopsided:  # a far field that is not the same at u and -u, unlike that of the zone plate
        far = np.fft.fftshift(np.fft.fft2(probe)) * (1 + np.linspace(-2, 2, 48) + np.linspace(-1, 1, 48)[:, None])
        probe = np.fft.ifft2(np.fft.ifftshift(far))
        probe /= np.linalg.norm(probe)
    modes = partially_coherent(probe, 11, blur)
    assert modes.shape == (11, 48, 48) and modes.dtype == np.complex64
    flat = modes.reshape(11, -1).astype(complex)
    products = flat.conj() @ flat.T
    np.testing.assert_allclose(products, np.diag(energies(modes)), atol=1e-6)
    assert (np.diff(energies(modes)) <= 1e-9).all()
    assert energies(modes).sum() == pytest.approx(1, rel=1e-5)
    blurred = gaussian_filter(np.abs(probe) ** 2, blur, mode="wrap", truncate=8)
    np.testing.assert_allclose(np.sum(np.abs(modes) ** 2, axis=0), blurred, atol=0.03 * blurred.max())


def test_modes_take_given_powers_and_keep_the_light() -> None:
    probe = gaussian_probe(32, 4)
    modes = partially_coherent(probe, 3, 1.0, powers=(8, 1.5, 0.5))
    total = np.sum(np.abs(probe.astype(complex)) ** 2)
    np.testing.assert_allclose(energies(modes), np.array([0.8, 0.15, 0.05]) * total, rtol=1e-5)
    single = partially_coherent(probe, 1, 0.0)
    assert mismatch(single[0], probe) < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 4, 4)), 1, 1.0), r"probe: shape \(2, 4, 4\)"),
        ((np.zeros((4, 4)), 1, 1.0), "that is not 0"),
        ((gaussian_probe(16, 3), 1, -1.0), "blur: -1.0"),
        ((gaussian_probe(16, 3), 0, 1.0), "count: 0"),
        ((gaussian_probe(16, 3), 2, 0.0), "count: 2, expected 1 to 1, the modes that a blur of 0.0 pixels gives"),
    ],
)
def test_modes_refuse_what_is_not_one_probe(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        partially_coherent(*arguments)
    with pytest.raises(ValueError, match=r"powers: \(1, 0\), expected 2 numbers > 0"):
        partially_coherent(gaussian_probe(16, 3), 2, 1.0, powers=(1, 0))


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1])
def test_a_magnified_gaussian_is_a_wider_gaussian(factor: float) -> None:
    probe = gaussian_probe(48, 5, phase=0.4)
    wider = magnified(probe, factor)
    formula = gaussian_probe(48, 5 * factor, phase=0.4)
    np.testing.assert_allclose(wider, formula / factor, atol=1e-4)  # the same light on a larger area
    assert np.linalg.norm(wider) == pytest.approx(np.linalg.norm(probe), rel=1e-5)
    both = magnified(np.stack([probe, 2 * probe]), factor)
    np.testing.assert_allclose(both[1], 2 * both[0], rtol=1e-5)
    np.testing.assert_allclose(both[0], wider, rtol=1e-3, atol=1e-6)


def test_magnification_leaves_nothing_beyond_the_window() -> None:
    smaller = magnified(np.ones((8, 8), complex), 0.5)
    assert (smaller[0] == 0).all() and (smaller[2:7, 2:7] != 0).all()
    with pytest.raises(ValueError, match="factor: 0"):
        magnified(gaussian_probe(8, 2), 0)


def test_mismatch_of_two_gaussians() -> None:
    """Overlap of amplitudes: 2 s t / (s^2 + t^2), so the mismatch is |s^2 - t^2| / (s^2 + t^2)."""
    first, second = gaussian_probe(64, 5, phase=0), gaussian_probe(64, 6, phase=0)
    assert mismatch(first, second) == pytest.approx((36 - 25) / (36 + 25), rel=1e-4)
    assert mismatch(first, 3j * first) < 1e-6
    with pytest.raises(ValueError, match=r"shapes \(64, 64\) and \(8, 8\)"):
        mismatch(first, gaussian_probe(8, 2))


def test_documented_mismatches() -> None:
    page = (Path(ptychopress.__file__).parent / "docs" / "simulation.md").read_text()
    rows = re.findall(r"`([^`]*1 \+ x[^`]*)` \| ([\d.]+), ([\d.]+), ([\d.]+) \|", page)
    assert len(rows) == 3
    zone_plate = PLATE.probe(128, 20e-9, WAVELENGTH, 200e-6)
    names = {"gaussian_probe": gaussian_probe, "plate": PLATE, "magnified": magnified, "probe": zone_plate}
    for (expression, *figures), right in zip(rows, (gaussian_probe(), zone_plate, zone_plate), strict=True):
        for x, figure in zip((0.02, 0.05, 0.1), figures, strict=True):
            assert f"{mismatch(right, eval(expression, names | {'x': x})):.3f}" == figure
