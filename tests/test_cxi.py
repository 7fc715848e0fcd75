# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Reading and writing CXI files: orientation, what is optional, and what is wrong with a bad one."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

pytest.importorskip("torch")
from ptychopress.reconstruction.acquisition import Acquisition, diffract, expose, gaussian_probe, raster_scan
from ptychopress.reconstruction.cxi import read_cxi, write_cxi
from ptychopress.reconstruction.engine import reconstruct
from ptychopress.reconstruction.frames import marked
from ptychopress.reconstruction.metrics import register
from ptychopress.reconstruction.scan import Scan

N, WAVELENGTH, DISTANCE, PIXEL = 16, 1.4e-10, 2.0, 75e-6
OBJECT_PIXEL = WAVELENGTH * DISTANCE / (N * PIXEL)
DETECTOR = "entry_1/instrument_1/detector_1/"
SOURCE = "entry_1/instrument_1/source_1/"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"


def scene() -> tuple[np.ndarray, Acquisition]:
    """An object without any symmetry, an L with a dot, and a scan over it."""
    phase = np.zeros((34, 36))
    phase[10:24, 12:16] = 0.6
    phase[20:24, 12:26] = 0.6
    phase[12:14, 20:22] = 0.4
    acquisition = Acquisition(gaussian_probe(N, 2.5), raster_scan(10, 11, 2), (34, 36)).scaled(2e4)
    return np.exp(1j * phase).astype(np.complex64), acquisition


def contents() -> dict[str, Any]:
    """A file in the convention of the module: rows of the object grow with -y, columns with -x."""
    obj, acquisition = scene()
    rows, columns = (acquisition.positions + np.array([3, -2])).T * OBJECT_PIXEL  # the origin of the stage is anywhere
    return {
        DETECTOR + "data": expose(diffract(obj, acquisition), 0),
        DETECTOR + "distance": DISTANCE,
        DETECTOR + "x_pixel_size": PIXEL,
        DETECTOR + "y_pixel_size": PIXEL,
        DETECTOR + "basis_vectors": np.array([[0, -PIXEL], [-PIXEL, 0], [0, 0]]),
        DETECTOR + "mask": np.zeros((N, N), np.uint32),
        SOURCE + "wavelength": WAVELENGTH,
        SOURCE + "illumination": acquisition.probe,
        TRANSLATION: np.stack([-columns, -rows, 0 * rows], axis=1),
    }


def write(path: Path, items: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in items.items():
            file[name] = value
    return path


def read(tmp_path: Path, items: dict[str, Any]) -> Scan:
    return read_cxi(write(tmp_path / "scan.cxi", items))


def test_the_object_comes_back_unflipped_and_unshifted(tmp_path: Path) -> None:
    truth, acquisition = scene()
    scan = read(tmp_path, contents())
    np.testing.assert_allclose(scan.positions, acquisition.positions, atol=1e-6)
    np.testing.assert_array_equal(scan.frames, contents()[DETECTOR + "data"])
    assert scan.acquisition().object_shape == truth.shape
    found = reconstruct(scan.frames, scan.acquisition(), epochs=30).object
    inner = np.zeros(truth.shape, bool)
    inner[6:-6, 6:-6] = True

    def error(candidate: np.ndarray) -> float:
        image = register(candidate, found, inner, ramp=False, shift=False)
        return float(np.mean(np.abs(image - candidate)[inner] ** 2))

    others = [truth[::-1], truth[:, ::-1], truth[::-1, ::-1], truth.conj()]
    others += [np.roll(truth, 1, axis) for axis in (0, 1)] + [np.roll(truth, -1, axis) for axis in (0, 1)]
    assert error(truth) < 0.2 * min(error(other) for other in others)
    assert error(truth) < 5e-3


def test_a_detector_mounted_otherwise_still_tells_the_positions(tmp_path: Path) -> None:
    """Rows along +x and columns along +y: the stage's x is the row, its y the column."""
    items = contents() | {DETECTOR + "basis_vectors": np.array([[PIXEL, 0], [0, PIXEL], [0, 0]])}
    x, y, _ = items[TRANSLATION].T / OBJECT_PIXEL
    np.testing.assert_allclose(read(tmp_path, items).positions, np.stack([x - x.min(), y - y.min()], axis=1), atol=1e-6)


def test_without_basis_vectors_rows_go_down_and_columns_right(tmp_path: Path) -> None:
    items = contents()
    del items[DETECTOR + "basis_vectors"]
    np.testing.assert_allclose(read(tmp_path, items).positions, scene()[1].positions, atol=1e-6)


def test_translations_of_the_sample_are_the_opposite(tmp_path: Path) -> None:
    items = contents() | {TRANSLATION: -contents()[TRANSLATION]}
    path = write(tmp_path / "scan.cxi", items)
    expected = scene()[1].positions
    np.testing.assert_allclose(read_cxi(path).positions, expected.max(axis=0) - expected, atol=1e-6)
    with h5py.File(path, "a") as file:
        file[TRANSLATION].attrs["moved"] = "sample"
    np.testing.assert_allclose(read_cxi(path).positions, expected, atol=1e-6)


def test_fractions_of_a_pixel_are_kept(tmp_path: Path) -> None:
    items = contents()
    items[TRANSLATION][1, 0] -= 0.25 * OBJECT_PIXEL
    scan = read(tmp_path, items)
    assert scan.positions[1] == pytest.approx([0, 2.25], abs=1e-6)
    assert scan.acquisition().shifts[1] == pytest.approx([0, 0.25], abs=1e-6)


def test_geometry_and_defaults(tmp_path: Path) -> None:
    items = contents()
    for name in ("mask", "basis_vectors"):
        del items[DETECTOR + name]
    del items[SOURCE + "wavelength"], items[SOURCE + "illumination"]
    items[SOURCE + "energy"] = 1.41889e-15  # joules, of 1.4 angstrom: h c / wavelength
    scan = read(tmp_path, items)
    assert scan.wavelength == pytest.approx(WAVELENGTH, rel=1e-5)
    assert scan.object_pixel == pytest.approx((OBJECT_PIXEL, OBJECT_PIXEL), rel=1e-5)
    assert (scan.distance, scan.pixel_size) == (DISTANCE, (PIXEL, PIXEL))
    assert scan.probe is None and not scan.mask.any()
    with pytest.raises(ValueError, match="illumination was not in the file"):
        scan.acquisition()


def test_the_probe_is_scaled_to_the_counts(tmp_path: Path) -> None:
    items = contents() | {SOURCE + "illumination": 7 * contents()[SOURCE + "illumination"]}
    assert read(tmp_path, items).acquisition().photons == pytest.approx(2e4, rel=1e-2)


def test_masked_pixels_become_nan(tmp_path: Path) -> None:
    items = contents()
    items[DETECTOR + "mask"][3, 4] = 0x80
    scan = read(tmp_path, items)
    levels = scan.valid(scan.frames)
    assert scan.mask.sum() == 1 and levels.dtype == np.float32
    assert np.isnan(levels[:, 3, 4]).all() and np.isnan(levels).sum() == len(levels)


def test_frames_and_translations_are_found_under_data_1_too(tmp_path: Path) -> None:
    items = contents()
    items["entry_1/data_1/data"] = items.pop(DETECTOR + "data")
    items["entry_1/data_1/translation"] = items.pop(TRANSLATION)
    assert read(tmp_path, items).frames.shape == (110, N, N)


def test_modes_come_strongest_first(tmp_path: Path) -> None:
    probe = contents()[SOURCE + "illumination"]
    modes = np.stack([probe * 0.3, probe[::-1], probe.T * 0.5]).astype(np.complex64)
    for stored in (modes, modes[None], np.stack([modes, 0 * modes])):
        items = contents() | {SOURCE + "illumination": stored}
        np.testing.assert_array_equal(read(tmp_path, items).probe, modes[[1, 2, 0]])
    assert read(tmp_path, contents() | {SOURCE + "illumination": probe[None]}).probe.shape == (N, N)


def test_intensities_are_float32_and_whole_numbers_are_counts(tmp_path: Path) -> None:
    items = contents()
    counts = items[DETECTOR + "data"]
    scan = read(tmp_path, items | {DETECTOR + "data": counts.astype(np.float64)})
    np.testing.assert_array_equal(scan.counts, counts)
    intensities = counts + 0.25
    intensities[:, 3, 4] = np.nan
    intensities[5, 6, 7] = np.nan
    scan = read(tmp_path, items | {DETECTOR + "data": intensities})
    assert scan.frames.dtype == np.float32 and np.argwhere(scan.mask).tolist() == [[3, 4]]
    assert (scan.frames[:, 3, 4] == 0).all() and np.argwhere(np.isnan(scan.frames)).tolist() == [[5, 6, 7]]
    assert scan.acquisition().photons == pytest.approx(2e4 + 0.25 * N**2, rel=1e-2)
    with pytest.raises(ValueError, match="float32 intensities, expected photon counts"):
        _ = scan.counts


@pytest.mark.parametrize("kind", ["counts", "intensities"])
@pytest.mark.parametrize("turned", [False, True])
def test_what_is_written_is_read_again(tmp_path: Path, kind: str, turned: bool) -> None:
    items = contents()
    items[DETECTOR + "mask"][3, 4] = 1
    items[TRANSLATION][1, 0] -= 0.25 * OBJECT_PIXEL
    probe = items[SOURCE + "illumination"]
    items[SOURCE + "illumination"] = np.stack([probe, 0.2 * probe.T])
    if kind == "intensities":
        items[DETECTOR + "data"] = items[DETECTOR + "data"] + np.float32(0.25)
    if turned:  # not along the axes, and pixels that are not square
        items[DETECTOR + "basis_vectors"] = np.array([[0.6, 1.6], [0.8, -1.2], [0, 0]]) * PIXEL
        items[DETECTOR + "x_pixel_size"] = 2 * PIXEL
    scan = read(tmp_path, items)
    write_cxi(tmp_path / "again.cxi", scan)
    again = read_cxi(tmp_path / "again.cxi")
    for field in dataclasses.fields(Scan):
        written, found = getattr(scan, field.name), getattr(again, field.name)
        np.testing.assert_allclose(found, written, rtol=1e-12, atol=1e-9, err_msg=field.name)
        assert getattr(found, "dtype", None) == getattr(written, "dtype", None)
    with h5py.File(tmp_path / "again.cxi") as file:
        assert file["entry_1/data_1/data"].chunks == (1, N, N) and file["cxi_version"][()] == 160
        assert file[SOURCE + "energy"][()] * WAVELENGTH == pytest.approx(1.98644586e-25, rel=1e-8)
        np.testing.assert_array_equal(file["entry_1/data_1/translation"][()], file[TRANSLATION][()])
        # As cdtools goes about it: the sample moves, the object's pixels are reciprocal to the detector's.
        sides = np.linalg.pinv(N * file[DETECTOR + "basis_vectors"][()]).T * WAVELENGTH * DISTANCE
        corners = -file[TRANSLATION][()] @ np.linalg.pinv(sides).T
        np.testing.assert_allclose(corners - corners.min(axis=0), scan.positions, atol=1e-6)


def test_no_nan_is_written_where_the_mask_is_set(tmp_path: Path) -> None:
    scan = read(tmp_path, contents())
    mask = np.zeros((N, N), bool)
    mask[3, 4] = True
    frames = np.where(mask, np.nan, scan.frames).astype(np.float32)
    write_cxi(tmp_path / "again.cxi", dataclasses.replace(scan, frames=frames, mask=mask))
    with h5py.File(tmp_path / "again.cxi") as file:
        np.testing.assert_array_equal(file[DETECTOR + "data"][()], np.where(mask, 0, scan.frames))


def test_nothing_is_written_without_wavelength_distance_and_pixel(tmp_path: Path) -> None:
    scan = dataclasses.replace(read(tmp_path, contents()), distance=None, pixel_size=None)
    (tmp_path / "old.cxi").write_text("old")
    with pytest.raises(ValueError, match="scan without distance, pixel_size, which a CXI file holds"):
        write_cxi(tmp_path / "old.cxi", scan)
    assert (tmp_path / "old.cxi").read_text() == "old"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("mask", np.zeros((N, 3), bool), r"mask: bool \(16, 3\), expected bool \(n, n\)"),
        ("probe", np.ones((3, 3), np.complex64), r"probe: shape \(3, 3\), expected \(16, 16\)"),
        ("positions", np.full((110, 2), np.nan), "positions: .* expected finite numbers"),
        ("positions", np.zeros((3, 2)), r"frames: uint16 \(110, 16, 16\), expected .* \(3, 16, 16\), one a position"),
        ("frames", np.zeros((110, N, N), np.int32), "frames: int32"),
        ("basis", np.zeros((2, 3)), r"basis: shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, field: str, value: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(read(tmp_path, contents()), **{field: value})


@pytest.mark.parametrize(
    ("dtype", "marks"),
    [
        ("i2", [-1, -2]),
        ("i4", [-1, -2]),
        ("i8", [-1, -2, 2**32 - 1]),
        ("u2", []),
        ("u4", [2**32 - 1]),
        ("u8", [2**32 - 1, 2**64 - 1]),
    ],
)
def test_marks_in_every_width(dtype: str, marks: list[int]) -> None:
    counts = [0, 1, 32767, 65535 if dtype != "i2" else 2, *marks]
    assert marked(np.array(counts, dtype)).tolist() == [False] * 4 + [True] * len(marks)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.cxi: no such file, expected a CXI"):
        read_cxi(tmp_path / "nowhere.cxi")


def test_not_hdf5(tmp_path: Path) -> None:
    (tmp_path / "scan.cxi").write_bytes(b"a picture, perhaps")
    with pytest.raises(ValueError, match=r"scan\.cxi: not an HDF5 file"):
        read_cxi(tmp_path / "scan.cxi")


@pytest.mark.parametrize(
    "name",
    [DETECTOR + "data", DETECTOR + "distance", DETECTOR + "x_pixel_size", SOURCE + "wavelength", TRANSLATION],
)
def test_missing_data_set(tmp_path: Path, name: str) -> None:
    items = contents()
    del items[name]
    with pytest.raises(ValueError, match=f"no data set {name}.*, expected") as error:
        read(tmp_path, items)
    assert "scan.cxi" in str(error.value) and "\n" not in str(error.value)


def change(name: str, edit: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(items: dict[str, Any]) -> None:
        items[name] = edit(items[name])

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (change(DETECTOR + "data", lambda d: d > 0), r"data is bool \(110, 16, 16\), expected square frames"),
        (change(DETECTOR + "data", lambda d: d - 0.25), r"holds -0.25 to .*, expected .* floats >= 0"),
        (
            change(DETECTOR + "data", lambda d: np.where(d == d.max(), np.inf, d)),
            "holds .* to inf, expected .* floats >= 0",
        ),
        (change(DETECTOR + "data", lambda d: d + np.uint32(65536)), "expected counts 0 to 65535"),
        (change(DETECTOR + "mask", np.ones_like), "data has no valid pixel"),
        (change(SOURCE + "illumination", lambda p: p[None, None, None]), r"expected complex \(16, 16\), \(M, 16, 16\)"),
        (change(SOURCE + "illumination", lambda p: p * np.nan), "illumination holds values that are not finite"),
        (change(DETECTOR + "data", lambda d: d[0]), r"data is uint16 \(16, 16\), expected .* \(J, n, n\)"),
        (change(DETECTOR + "data", lambda d: d[:, :8]), "expected square frames"),
        (change(DETECTOR + "data", lambda d: d.astype(np.int32) - 1), "holds -1 to .*, expected counts 0 to 65535"),
        (change(DETECTOR + "data", lambda d: d[:0]), r"data is uint16 \(0, 16, 16\)"),
        (change(DETECTOR + "distance", lambda d: -d), "distance is -2.0, expected .* > 0"),
        (change(DETECTOR + "distance", lambda d: [d, d]), r"distance is float64 \(2,\), expected"),
        (change(DETECTOR + "mask", lambda m: m[:8]), r"mask is uint32 \(8, 16\), expected integers \(16, 16\)"),
        (
            change(DETECTOR + "basis_vectors", lambda b: b.T),
            r"basis_vectors is float64 \(2, 3\), expected floats \(3, 2\)",
        ),
        (change(DETECTOR + "basis_vectors", lambda b: 2 * b), "basis_vectors: columns are not one pixel long"),
        (change(SOURCE + "illumination", np.abs), r"illumination is float32 \(16, 16\), expected complex"),
        (change(TRANSLATION, lambda t: t[1:]), r"translation is float64 \(109, 3\), expected floats \(110, 3\)"),
        (change(TRANSLATION, lambda t: t * np.nan), "translation holds values that are not finite"),
        (change(SOURCE + "wavelength", lambda w: "1.4 A"), "wavelength is object .*, expected the wavelength in m"),
    ],
)
def test_wrong_data_set(tmp_path: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    items = contents()
    spoil(items)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, items)
    assert "scan.cxi" in str(error.value) and "\n" not in str(error.value)
