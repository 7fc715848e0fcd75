# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Scans of several programs: each is written as that program lays it out, and must explain its frames."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import ptychopress
import pytest
from ptychopress.reconstruction.acquisition import diffract
from ptychopress.reconstruction.scan import Scan
from ptychopress.reconstruction.scan_files import Names, read_geometry, read_scan

ROOT = Path(ptychopress.__file__).parent
N, HEIGHT, WIDTH, WAVELENGTH, DISTANCE = 12, 2e-8, 3e-8, 1.4e-10, 2.0
FIRST = np.array([5, 3])  # of the windows, in the object
ENERGY = 8856.0  # eV, of 1.4 angstrom


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An object, two modes of a probe and corners of windows, none of which is symmetric."""
    rng = np.random.default_rng(5)
    obj = np.exp(1j * rng.uniform(0, 3, (31, 36))) * rng.uniform(0.5, 1, (31, 36))
    row, column = np.mgrid[:N, :N] - 5.0
    probe = np.exp(-(row**2) / 8 - (column - 1) ** 2 / 14 + 0.3j * row - 0.1j * row * column)
    corners = np.array([(r, c) for r in range(0, 12, 3) for c in range(0, 16, 2)][3:]) + FIRST
    return obj, 9 * np.stack([probe, 0.3 * probe * column]), np.insert(corners, 0, FIRST, axis=0)


def intensities() -> np.ndarray:
    """Frames by definition, one by one."""
    obj, modes, corners = scene()
    waves = [np.fft.fft2(modes * obj[r : r + N, c : c + N], norm="ortho") for r, c in corners]
    return np.fft.fftshift(np.sum(np.abs(waves) ** 2, axis=1), axes=(1, 2)).astype(np.float32)


def metres(height: float = HEIGHT, width: float = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the middle of the windows, from some origin."""
    _, _, corners = scene()
    return (corners[:, 0] + N / 2 - 100.5) * height, (corners[:, 1] + N / 2 + 33.25) * width


def write(path: Path, items: dict[str, Any], **attributes: float) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in items.items():
            file[name] = value
        file.attrs.update(attributes)
    return path


def cxi(folder: Path) -> dict[str, Any]:
    rows, columns = metres()
    detector = "entry_1/instrument_1/detector_1/"
    items = {
        detector + "data": intensities(),
        detector + "distance": DISTANCE,
        detector + "y_pixel_size": WAVELENGTH * DISTANCE / (N * HEIGHT),
        detector + "x_pixel_size": WAVELENGTH * DISTANCE / (N * WIDTH),
        "entry_1/instrument_1/source_1/wavelength": WAVELENGTH,
        "entry_1/instrument_1/source_1/illumination": scene()[1],
        "entry_1/data_1/translation": np.stack([-columns, -rows, 0 * rows], axis=1),
    }
    return {"path": write(folder / "scan.cxi", items)}


def ptychoshelves(folder: Path) -> dict[str, Any]:
    rows, columns = metres(HEIGHT, HEIGHT)
    write(folder / "data_roi0_dp.hdf5", {"dp": intensities()})
    items = {"ppX": columns[:, None], "ppY": rows[:, None], "dx": [HEIGHT], "lambda": [WAVELENGTH], "probe": scene()[1]}
    write(folder / "data_roi0_para.hdf5", items)
    return {"path": folder / "data_roi0_dp.hdf5"}


def ptychodus(folder: Path) -> dict[str, Any]:
    """Positions in another order than the frames, of which two have none."""
    rows, columns = metres()
    order = np.random.default_rng(6).permutation(len(rows))
    numbers = np.arange(len(rows)) + (np.arange(len(rows)) >= 7) * 2
    frames = np.zeros((len(rows) + 2, N, N), np.float32)
    frames[numbers] = intensities()
    write(folder / "frames.h5", {"entry/data/data": frames})
    items = {
        "probe_position_indexes": numbers[order],
        "probe_position_y_m": rows[order],
        "probe_position_x_m": columns[order],
        "probe": scene()[1][None],
        "object": np.ones((1, 40, 40), np.complex64),
    }
    product = write(
        folder / "product.h5", items, probe_energy_eV=ENERGY, detector_object_distance_m=DISTANCE, exposure_time_s=0.0
    )
    with h5py.File(product, "a") as file:
        file["object"].attrs.update({"pixel_height_m": HEIGHT, "pixel_width_m": WIDTH})
    return {"path": folder / "frames.h5", "parameters": product}


def ptychi(folder: Path) -> dict[str, Any]:
    write(folder / "frames.h5", {"dp": intensities()})
    items = {
        "positions_px": np.stack(metres(1, 1), axis=1).astype(np.float32),
        "obj_pixel_size_m": HEIGHT,
        "probe": scene()[1][None],
    }
    return {"path": folder / "frames.h5", "parameters": write(folder / "recon_Niter100.h5", items)}


def plain(folder: Path) -> dict[str, Any]:
    """Micrometres, the rows counted upwards, square detector pixels."""
    rows, columns = metres(HEIGHT, HEIGHT)
    items = {"a/frames": intensities(), "a/up": -rows * 1e6, "a/right": columns * 1e6, "p": scene()[1], "z": DISTANCE}
    names = Names(
        frames="a/frames",
        positions=("a/up", "a/right"),
        unit=(-1e-6, 1e-6),
        probe="p",
        wavelength=WAVELENGTH,
        distance="z",
        pixel_size=WAVELENGTH * DISTANCE / (N * HEIGHT),
    )
    return {"path": write(folder / "plain.h5", items), "names": names}


def pixels(folder: Path) -> dict[str, Any]:
    items = {"I": intensities(), "positions": scene()[2], "P": scene()[1], "bad": np.zeros((N, N), np.uint8)}
    names = Names(frames="I", positions="positions", probe="P", mask="bad", object_pixel=HEIGHT)
    return {"path": write(folder / "plain.h5", items), "names": names}


def matlab(folder: Path) -> dict[str, Any]:
    """A pair that MATLAB wrote: its first axis is HDF5's last, so that frames and probe are transposed."""
    rows, columns = metres(HEIGHT, HEIGHT)
    items = {"dp": intensities().transpose(0, 2, 1), "ppX": columns[None], "ppY": rows[None]}
    items["probe"] = scene()[1].transpose(0, 2, 1)
    names = Names(frames="dp", positions=("ppX", "ppY"), unit=(1, 1), probe="probe", object_pixel=HEIGHT)
    return {"path": write(folder / "data_roi0_dp.hdf5", items), "names": names}


FORMATS = [cxi, ptychoshelves, ptychodus, ptychi, plain, pixels, matlab]


def misfit(scan: Scan, obj: np.ndarray) -> float:
    """Relative error of the frames that the scan's geometry gives with an object in its first windows' corner."""
    # With its own probe: that of `acquisition` has the photons of the frames, which the object absorbed a part of.
    acquisition = dataclasses.replace(scan.acquisition(), probe=scan.probe)
    rows, columns = acquisition.object_shape
    frames = diffract(obj[:rows, :columns], acquisition)
    return float(np.linalg.norm(frames - scan.frames) / np.linalg.norm(scan.frames))


@pytest.mark.parametrize("form", FORMATS)
def test_the_object_explains_the_frames_unflipped_and_in_place(form: Callable[[Path], Any], tmp_path: Path) -> None:
    scan = read_scan(**form(tmp_path))
    obj, modes, corners = scene()
    obj = obj[FIRST[0] :, FIRST[1] :]
    corners = corners - FIRST
    if form is matlab:
        obj, modes, corners = obj.T, modes.transpose(0, 2, 1), corners[:, ::-1]
    np.testing.assert_allclose(scan.positions, corners, atol=1e-4)
    np.testing.assert_allclose(scan.probe, modes, rtol=1e-6, atol=1e-6)
    assert misfit(scan, obj) < 1e-3
    for wrong in (obj[::-1], obj[:, ::-1], obj.conj(), np.roll(obj, 1, 0), np.roll(obj, 1, 1)):
        assert misfit(scan, wrong) > 0.1
    geometry = read_geometry(**form(tmp_path))
    for name in ("positions", "probe", "mask", "object_pixel"):
        np.testing.assert_array_equal(getattr(geometry, name), getattr(scan, name), err_msg=name)


@pytest.mark.parametrize(
    ("form", "pixel", "wavelength", "distance"),
    [
        (cxi, (HEIGHT, WIDTH), WAVELENGTH, DISTANCE),
        (ptychoshelves, (HEIGHT, HEIGHT), WAVELENGTH, None),
        (ptychodus, (HEIGHT, WIDTH), WAVELENGTH, DISTANCE),
        (ptychi, (HEIGHT, HEIGHT), None, None),
        (plain, (HEIGHT, HEIGHT), WAVELENGTH, DISTANCE),
        (pixels, (HEIGHT, HEIGHT), None, None),
    ],
)
def test_lengths(form: Callable[[Path], Any], pixel: Any, wavelength: Any, distance: Any, tmp_path: Path) -> None:
    scan = read_scan(**form(tmp_path))
    assert scan.object_pixel == pytest.approx(pixel, rel=1e-6)
    assert scan.wavelength == (wavelength and pytest.approx(wavelength, rel=1e-5))
    assert scan.distance == distance
    if distance:
        sides = [WAVELENGTH * DISTANCE / (N * side) for side in pixel]
        assert scan.pixel_size == pytest.approx(sides, rel=1e-5)
    else:
        assert scan.pixel_size is None


def test_what_ptychodus_does_not_know_is_zero(tmp_path: Path) -> None:
    arguments = ptychodus(tmp_path)
    with h5py.File(arguments["parameters"], "a") as file:
        file.attrs["detector_object_distance_m"] = 0.0
    scan = read_scan(**arguments)
    assert (scan.distance, scan.pixel_size) == (None, None) and scan.wavelength == pytest.approx(WAVELENGTH, rel=1e-5)
    with h5py.File(arguments["parameters"], "a") as file:
        file.attrs["photon_energy_eV"] = 2 * ENERGY  # as newer versions call it
    assert read_scan(**arguments).wavelength == pytest.approx(WAVELENGTH / 2, rel=1e-5)


def test_masks_of_the_frames_file_count(tmp_path: Path) -> None:
    """NaN in every frame, and the mask beside the frames; the geometry knows both without reading all frames."""
    arguments = ptychoshelves(tmp_path)
    with h5py.File(arguments["path"], "a") as file:
        file["dp"][:, 2, 3] = np.nan
        file["mask"] = (np.arange(N * N) == 17).reshape(N, N)
    for found in (read_scan(**arguments), read_geometry(**arguments)):
        assert np.argwhere(found.mask).tolist() == [[1, 5], [2, 3]]


def test_frames_of_one_file_and_geometry_of_another(tmp_path: Path) -> None:
    """What `ptychopress decompress` writes, with the original for all else."""
    original = cxi(tmp_path)["path"]
    frames = write(tmp_path / "frames.h5", {"entry_1/data_1/data": intensities() + 1})
    scan = read_scan(frames, parameters=original)
    np.testing.assert_array_equal(scan.frames, intensities() + 1)
    np.testing.assert_array_equal(scan.positions, read_scan(original).positions)


def test_documented_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for form in (cxi, ptychoshelves, ptychodus):
        form(tmp_path)
    rows, columns = metres(8e-9, 8e-9)
    write(tmp_path / "own.h5", {"I": intensities(), "y": rows * 1e6, "x": columns * 1e6})
    example = (ROOT / "docs" / "files.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(example, found)
    np.testing.assert_allclose(found["scan"].positions, scene()[2] - FIRST, atol=1e-6)
    np.testing.assert_array_equal(read_scan("copy.cxi").frames, intensities())


def test_an_unknown_format_says_what_is_known(tmp_path: Path) -> None:
    path = write(tmp_path / "own.h5", {"frames": intensities(), "positions": scene()[2]})
    with pytest.raises(ValueError, match=r"own\.h5: neither CXI nor .*ppX, probe_position_x_m, .* names of its data"):
        read_scan(path)


def change(form: Callable[[Path], Any], folder: Path, name: str, value: Any) -> dict[str, Any]:
    arguments = form(folder)
    for path in folder.iterdir():
        with h5py.File(path, "a") as file:
            if name in file:
                del file[name]
                if value is not None:
                    file[name] = value
    return arguments


@pytest.mark.parametrize(
    ("form", "name", "value", "message"),
    [
        (ptychoshelves, "dx", None, r"para\.hdf5: no data set dx, expected the object pixel in m"),
        (ptychoshelves, "dx", [1e-8, 1e-8], r"dx is float64 \(2,\), expected the object pixel in m"),
        (ptychoshelves, "lambda", [0.0], "lambda is 0.0, expected the wavelength in m > 0"),
        (ptychoshelves, "ppY", None, "no data set ppY, expected 30 numbers"),
        (ptychoshelves, "ppX", np.zeros(29), "ppX has 29 numbers, expected 30, one a frame"),
        (ptychoshelves, "ppX", np.zeros((6, 5)), r"ppX is float64 \(6, 5\), expected 30 numbers"),
        (ptychoshelves, "ppX", np.full(30, np.nan), "ppX holds values that are not finite, expected 30 numbers"),
        (
            ptychoshelves,
            "probe",
            np.ones((5, 5), complex),
            r"probe is complex128 \(5, 5\), expected complex \(12, 12\)",
        ),
        (ptychoshelves, "dp", np.ones((30, 12, 13)), r"dp.hdf5: dp is float64 \(30, 12, 13\), expected square frames"),
        (ptychoshelves, "dp", None, "dp.hdf5: no data set entry_1.* or dp, expected square frames"),
        (ptychodus, "object", np.ones((1, 4, 4)), "object has no pixel_height_m and pixel_width_m"),
        (ptychodus, "probe_position_indexes", np.arange(30) + 3, "30 numbers, 3 to 32, expected each once, 0 to 31"),
        (ptychodus, "probe_position_indexes", np.arange(30) // 2, "30 numbers, 0 to 14, expected each once"),
        (ptychodus, "probe_position_indexes", None, "probe_position_y_m has 30 numbers, expected 32, one a frame"),
        (ptychi, "positions_px", np.zeros((30, 3)), r"positions_px is float64 \(30, 3\), expected rows and columns"),
        (plain, "z", None, "plain.h5: no data set z, expected the distance in m"),
        (plain, "p", None, "plain.h5: no data set p, expected complex"),
        (pixels, "bad", None, "plain.h5: no data set bad, expected integers"),
        (pixels, "positions", np.zeros((2, 30)), r"positions is float64 \(2, 30\), expected rows and columns"),
    ],
)
def test_what_is_wrong_is_named(form: Any, name: str, value: Any, message: str, tmp_path: Path) -> None:
    arguments = change(form, tmp_path, name, value)
    with pytest.raises(ValueError, match=message) as error:
        read_scan(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": (1e-6, 0)}, "unit: .* not 0"),
        ({"unit": (1, 1)}, "positions in metres: expected object_pixel, or"),
        ({"unit": (1, 1), "wavelength": 1e-10, "distance": 1.0}, "positions in metres: expected object_pixel, or"),
        ({"object_pixel": -1e-9}, "object_pixel: -1e-09, expected metres > 0"),
    ],
)
def test_names_that_do_not_say_enough(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Names(frames="I", positions="p", **options)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.h5: no such file, expected an HDF5 file"):
        read_scan(tmp_path / "none.h5")
