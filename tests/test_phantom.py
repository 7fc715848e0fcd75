# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The drawn cells and reading an object from a file."""

from pathlib import Path

import numpy as np
import pytest
from ptychopress.reconstruction.phantom import Phantom, cell_phantom, load_phantom


@pytest.fixture(scope="module")
def cell() -> Phantom:
    return cell_phantom()


def test_cell_has_the_benchmarks_measures(cell: Phantom) -> None:
    assert cell.phase.shape == cell.support.shape == (325, 325)
    assert cell.phase.dtype == np.float64 and cell.support.dtype == np.bool_
    assert cell.phase.max() == pytest.approx(0.57) and cell.phase.min() >= 0
    assert 0.45 < cell.support.mean() < 0.55


def test_cell_stands_in_vacuum_away_from_the_border(cell: Phantom) -> None:
    border = np.ones((325, 325), bool)
    border[5:-5, 5:-5] = False
    assert not cell.support[border].any()
    assert cell.phase[border].max() < 1e-3
    assert cell.phase[cell.support].mean() > 20 * cell.phase[~cell.support].mean()


def test_cell_is_the_same_every_time(cell: Phantom) -> None:
    np.testing.assert_array_equal(cell.phase, cell_phantom().phase)


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_cell_has_no_symmetry_that_hides_a_flip(cell: Phantom, axes: tuple[int, ...]) -> None:
    flipped = np.flip(cell.phase, axes)
    assert np.mean((flipped - cell.phase) ** 2) > 0.05 * np.mean(cell.phase**2)


def test_cell_has_detail_at_every_scale_that_fades_towards_nyquist(cell: Phantom) -> None:
    power = np.abs(np.fft.fft2(cell.phase)) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(325), np.fft.fftfreq(325), indexing="ij"))
    bands = [power[(radius >= low) & (radius < 2 * low)].mean() for low in (0.0156, 0.0312, 0.0625, 0.125, 0.25)]
    ratios = np.array(bands[1:]) / bands[:-1]
    assert (ratios < 0.5).all() and (ratios > 1e-3).all()


def test_cell_scales_with_its_size() -> None:
    small = cell_phantom(65)
    assert small.phase.shape == (65, 65)
    assert small.support.mean() == pytest.approx(cell_phantom(130).support.mean(), abs=0.02)


def test_cell_refuses_a_size_too_small() -> None:
    with pytest.raises(ValueError, match="size: 31, expected 32"):
        cell_phantom(31)


def test_load_turns_nanometres_into_radians(tmp_path: Path) -> None:
    delta = np.zeros((8, 8), np.float32)
    delta[2, 3] = 0.01
    np.savez(tmp_path / "object.npz", delta=delta)
    phantom = load_phantom(tmp_path / "object.npz")
    assert phantom.phase.dtype == np.float64
    assert phantom.phase[2, 3] == pytest.approx(0.2534)  # 25.34 rad/nm * 0.01 nm
    assert np.argwhere(phantom.support).tolist() == [[2, 3]]


def test_load_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz: no such file, expected an \.npz"):
        load_phantom(tmp_path / "nowhere.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"phase": np.ones((4, 4))}, "no array 'delta'"),
        ({"delta": np.ones((4, 5))}, r"float64 \(4, 5\), expected"),
        ({"delta": np.ones((2, 4, 4))}, r"expected real numbers \(size, size\)"),
        ({"delta": np.ones((4, 4), complex)}, "complex128"),
        ({"delta": np.full((4, 4), np.nan)}, "non-finite"),
        ({"delta": np.zeros((4, 4))}, "no positive"),
    ],
)
def test_load_names_what_is_wrong_with_the_array(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "object.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message) as error:
        load_phantom(tmp_path / "object.npz")
    assert "object.npz" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_load_refuses_what_is_not_an_npz(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "object.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"object\.npz: not a readable \.npz"):
        load_phantom(tmp_path / "object.npz")


def test_load_refuses_a_bare_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "object.npy", np.ones((4, 4)))
    with pytest.raises(ValueError, match="not a readable"):
        load_phantom(tmp_path / "object.npy")


@pytest.mark.parametrize(
    ("phase", "support", "message"),
    [
        (np.zeros((4, 5)), np.ones((4, 5), bool), "phase: shape"),
        (np.zeros((4, 4)), np.ones((5, 5), bool), "support: shape"),
        (np.zeros((4, 4)), np.zeros((4, 4), bool), "not empty"),
        (np.full((4, 4), np.inf), np.ones((4, 4), bool), "not finite"),
    ],
)
def test_phantom_checks_itself(phase: np.ndarray, support: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Phantom(phase, support)
