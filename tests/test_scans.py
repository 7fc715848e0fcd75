# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Scan patterns."""

import numpy as np
import pytest
from ptychopress.reconstruction.scans import fermat_scan, jittered, raster_scan


def test_raster_goes_line_by_line() -> None:
    assert raster_scan(2, 3, step=5, first=-1).tolist() == [[-1, -1], [-1, 4], [-1, 9], [4, -1], [4, 4], [4, 9]]


def test_spiral_turns_by_the_golden_angle() -> None:
    spiral = fermat_scan(50, 3.0)
    angles = np.unwrap(np.arctan2(spiral[:, 0], spiral[:, 1]), period=2 * np.pi)
    golden = np.pi * (3 - np.sqrt(5))
    np.testing.assert_allclose(np.diff(angles) % (2 * np.pi), golden, atol=1e-9)
    np.testing.assert_allclose(golden, np.deg2rad(137.50776405))


def test_spiral_covers_a_disc_as_densely_as_a_raster() -> None:
    step = 4.0
    spiral = fermat_scan(2000, step)
    radii = np.hypot(*spiral.T)
    for radius in (30, 60, 90):
        assert (radii < radius).sum() == pytest.approx(np.pi * radius**2 / step**2, abs=1)
    distances = np.hypot(*(spiral[:, None] - spiral).transpose(2, 0, 1)) + np.eye(2000) * 1e9
    # A hexagonal lattice, the widest there is, has 1.07 steps.
    assert 0.75 * step < distances.min() and distances.min(axis=1).max() < 1.08 * step


def test_jitter_has_its_root_mean_square_in_either_axis_alike() -> None:
    raster = raster_scan(60, 60, 5)
    moved = jittered(raster, 2.0, seed=1) - raster
    assert np.sqrt(np.mean(np.sum(moved**2, axis=1))) == pytest.approx(2, rel=0.03)
    np.testing.assert_allclose(np.std(moved, axis=0), np.sqrt(2), rtol=0.04)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.06  # 3.6 sigma of 3,600 pairs
    np.testing.assert_array_equal(jittered(raster, 2.0, seed=1) - raster, moved)
    assert (jittered(raster, 2.0, seed=2) - raster != moved).all()
    np.testing.assert_array_equal(jittered(raster, 0.0, seed=1), raster)


def test_scans_refuse_what_is_no_scan() -> None:
    with pytest.raises(ValueError, match="raster of 0 x 3 positions, step 5"):
        raster_scan(0, 3)
    with pytest.raises(ValueError, match="spiral of 0 positions"):
        fermat_scan(0, 1.0)
    with pytest.raises(ValueError, match="step nan"):
        fermat_scan(3, float("nan"))
    with pytest.raises(ValueError, match="rms: -1"):
        jittered(raster_scan(2, 2), -1, seed=0)
