# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import json
import os
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from ptychopress.model import weights
from ptychopress.model.pca import learn
from ptychopress.model.quantise import Compressor, quantise
from ptychopress.model.transform import Transform

FRAMES = np.random.default_rng(1).poisson(np.linspace(1, 60, 42), (50, 42)).reshape(50, 6, 7)
MASK = np.zeros((6, 7), bool)
MASK[2, 3] = True


def compressor(kind: str = "codes") -> Compressor:
    transform = Transform.codes("sqrt-b") if kind == "codes" else Transform(count_bits=10)
    values = transform.forward(FRAMES)
    noise = np.linspace(0.5, 2, 42)
    return quantise(learn(values, 5, transform=transform, noise=noise, mask=MASK if kind == "codes" else None), values)


@pytest.mark.parametrize("kind", ["codes", "counts"])
def test_comes_back_whole(kind: str, tmp_path: Path) -> None:
    entry = compressor(kind)
    digest = weights.save(tmp_path / "w.h5", entry)
    found = weights.load(tmp_path / "w.h5")
    assert digest == weights.fingerprint(found) == weights.fingerprint(entry)
    coefficients, saturated = entry.compress(FRAMES)
    np.testing.assert_array_equal(found.compress(FRAMES)[0], coefficients)
    np.testing.assert_array_equal(found.compress(FRAMES)[1], saturated)
    np.testing.assert_array_equal(found.expand(coefficients), entry.expand(coefficients))
    assert (found.recipe, found.report, found.transform) == (entry.recipe, entry.report, entry.transform)
    assert str(found.transform) == str(entry.transform)
    assert [path.name for path in tmp_path.iterdir()] == ["w.h5"]


def test_plain_h5py_is_enough(tmp_path: Path) -> None:
    entry = compressor("counts")
    weights.save(tmp_path / "w.h5", entry)
    # By the page's formulas alone.
    with h5py.File(tmp_path / "w.h5") as file:
        w, b, shift, scale = (file[name][()] for name in ("weights", "bias", "shift", "scale"))
        q, mean, noise = (file[name][()] for name in ("rows", "mean", "noise"))
        limit = 2 ** (file.attrs["output_bits"] - 1)
        assert json.loads(file.attrs["recipe"])["frames"] == 50
        assert all({"long_name", "units"} <= set(file[name].attrs) for name in file)
    x = FRAMES[7].ravel()
    y = np.clip((w.astype(int) @ x + b + 2**shift // 2) >> shift, -limit, limit - 1)
    np.testing.assert_array_equal(y, entry.compress(FRAMES[7])[0])
    matrix = scale[:, None] * w * noise
    back = mean + noise * (q.T @ np.linalg.solve(matrix @ q.T, scale * (y * 2.0**shift - b - w @ mean)))
    np.testing.assert_allclose(back, entry.values(y).ravel(), atol=1e-9)


def test_fingerprint_is_of_what_decides_a_bit() -> None:
    entry = compressor()
    digest = weights.fingerprint(entry)
    assert weights.fingerprint(replace(entry, recipe={"other": 1}, report={})) == digest
    other = replace(entry, scale=entry.scale * (1 + 1e-15 * 4))
    assert weights.fingerprint(other) != digest
    assert weights.fingerprint(replace(entry, mask=None)) != digest


@pytest.mark.parametrize("name", ["weights", "bias", "shift", "scale", "rows", "mean", "noise", "mask", "edges"])
def test_any_flipped_byte_of_an_array_is_found(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    weights.save(path, compressor())
    with h5py.File(path) as file:
        start, size = file[name].id.get_offset(), file[name].id.get_storage_size()
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for at in rng.choice(size, min(size, 40), replace=False).tolist():
        changed = bytearray(whole)
        changed[start + at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"w\.h5 is damaged: [^\n]+$"):
            weights.load(path)
    path.write_bytes(whole)
    weights.load(path)


def test_any_flipped_byte_anywhere_loads_the_same_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    digest = weights.save(path, compressor())
    whole = path.read_bytes()
    rng = np.random.default_rng(4)
    refused = 0
    for at in rng.choice(len(whole), 100, replace=False).tolist():
        changed = bytearray(whole)
        changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        try:
            found = weights.load(path)
        except ValueError as error:
            refused += "w.h5" in str(error).splitlines()[-1]
        else:
            assert weights.fingerprint(found) == digest
    assert refused > 5


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated(share: float, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    weights.save(path, compressor())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"w\.h5 is (no HDF5 file, or truncated|damaged): [^\n]+$"):
        weights.load(path)


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with pytest.raises(FileNotFoundError, match=r"other\.h5: no such file"):
        weights.load(path)
    path.write_text("weights")
    with pytest.raises(ValueError, match="no HDF5 file"):
        weights.load(path)
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(ValueError, match="is HDF5 but no weights file"):
        weights.load(path)
    weights.save(path, compressor())
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(ValueError, match="of version 2: this program reads version 1"):
        weights.load(path)


@pytest.mark.parametrize("name", ["input_bits", "weight_bits", "output_bits", "frame_shape", "transform", "sha256"])
def test_missing_or_changed_attributes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    weights.save(path, compressor())
    with h5py.File(path, "r+") as file:
        file.attrs[name] = {"frame_shape": [7, 6], "transform": "counts", "sha256": "0" * 64}.get(name, 12)
    with pytest.raises(ValueError, match="is damaged"):
        weights.load(path)
    with h5py.File(path, "r+") as file:
        del file.attrs[name]
    with pytest.raises(ValueError, match="is damaged"):
        weights.load(path)


def test_a_name_cannot_break_the_verilog(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    weights.save(path, compressor())
    with h5py.File(path, "r+") as file:
        file["edges"].attrs["name"] = "evil\nendmodule"
    with pytest.raises(ValueError, match=r"w\.h5 is damaged: the name of a codebook [^\n]*$"):
        weights.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.h5"
    weights.save(path, compressor())
    before = path.read_bytes()
    with pytest.raises(TypeError):
        weights.save(path, replace(compressor(), recipe={"no JSON": object()}))
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        weights.save(path, compressor("counts"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.h5"]
