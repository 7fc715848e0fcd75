# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The weights file: a compressor in HDF5, readable without this package.

Attributes of the root: `format` ("ptychopress weights"), `version`, `input_bits`, `weight_bits`, `output_bits`,
`frame_shape`, `transform` ("counts" or "codes"), `count_bits`, `recipe` and `report` (JSON), `sha256`. Data sets, each
with attributes `long_name` and `units`:

=========  ===============  ==========================================================================
weights    int8 or wider    (S', N), W
bias       int64            (S',), b
shift      int64            (S',), right shift of a sum, rounded half up
scale      float64          (S',), values for one step of a weight
rows       float32          (S', N), Q, the orthonormal components before they were rounded
mean       float64          (N,), mean value of each pixel
noise      float64          (N,), unit of each pixel, in values
mask       uint8            frame_shape, 1 at invalid pixels; only if there are any
edges      int64            bin edges of the codebook, with its `name`; only for codes
=========  ===============  ==========================================================================

With plain h5py a frame x of values is compressed to ``y = (W @ x + b + 2**shift // 2) >> shift``, clipped to
`output_bits`, and expanded to ``mean + noise * (Q.T @ solve(A @ Q.T, scale * (y * 2**shift - b - W @ mean)))``, where
``A`` is ``scale[:, None] * W * noise``.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .attributes import get, plain, put
from .codebook import Codebook
from .projection import Projection, ProjectionFormat
from .quantise import Compressor
from .transform import Transform

FORMAT = "ptychopress weights"
VERSION = 1

_WIDTHS = ("input_bits", "weight_bits", "output_bits")
_DATA = {
    "weights": ("integer weights of the components", "1"),
    "bias": ("what each sum starts from, without half a step", "1"),
    "shift": ("right shift of each sum, rounded half up", "bit"),
    "scale": ("values for one step of a weight", "value"),
    "rows": ("orthonormal components, in whose space frames are expanded", "1"),
    "mean": ("mean value of each pixel, taken from frames by the bias", "value"),
    "noise": ("unit of each pixel in which the components are orthonormal", "value"),
    "mask": ("1 at invalid pixels", ""),
    "edges": ("bin edges of the codebook: code k stands for edges[k] to edges[k + 1] - 1", "photon"),
}


def fingerprint(compressor: Compressor) -> str:
    """SHA-256, in hex, of all that decides a bit of a coefficient or of a frame made from it.

    The same whatever file the compressor is in; recipe and report have no part in it.
    """
    digest = hashlib.sha256(json.dumps(_head(compressor), sort_keys=True).encode())
    for name, array in _arrays(compressor).items():
        wide = array.astype("<f8" if array.dtype.kind == "f" else "<i8")
        digest.update(f"{name} {wide.shape}".encode() + wide.tobytes())
    return digest.hexdigest()


def save(path: str | Path, compressor: Compressor) -> str:
    """Write a weights file; it is there whole or, after an error, as it was.

    Returns
    -------
    str
        Its `fingerprint`.
    """
    path = Path(path)
    handle, stage = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    try:
        with h5py.File(stage, "w") as file:
            digest = write(file, compressor)
        # mkstemp lets nobody else read; a file like any other does.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(stage, 0o666 & ~umask)
        os.replace(stage, path)
    except BaseException:
        Path(stage).unlink(missing_ok=True)
        raise
    return digest


def write(group: h5py.Group, compressor: Compressor) -> str:
    """Write what a weights file holds into a group of any HDF5 file, such as its root; return the `fingerprint`."""
    digest = fingerprint(compressor)
    head = _head(compressor)
    name = compressor.transform.codebook.name if compressor.transform.codebook else None
    documents = {key: json.dumps(getattr(compressor, key)) for key in ("recipe", "report")}
    put(group, {"format": FORMAT, "version": VERSION, **head, **documents, "sha256": digest})
    for key, array in _arrays(compressor).items():
        data = group.create_dataset(key, data=array)
        put(data, dict(zip(("long_name", "units"), _DATA[key], strict=True)))
        if name is not None and key == "edges":
            put(data, {"name": name})
    return digest


def load(path: str | Path, group: str = "/") -> Compressor:
    """Read a weights file, or what `write` has written into a group of another.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no weights file, of another version, truncated or changed: one line that says which.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such file, expected a weights file")
    try:
        with h5py.File(path) as whole:
            file = whole.get(group)
            if not isinstance(file, h5py.Group):
                raise _UnfitError(f"is HDF5 but has no group {group} of weights")
            if get(file, "format") != FORMAT:
                raise _UnfitError("is HDF5 but no weights file: its attribute 'format' is not 'ptychopress weights'")
            if (version := get(file, "version")) != VERSION:
                raise _UnfitError(f"is a weights file of version {version}: this program reads version {VERSION}")
            expected = plain(file.attrs["sha256"])
            compressor = _read(file)
    except _UnfitError as error:
        raise ValueError(f"{path} {error}") from None
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or truncated: {_line(error)}") from error
    except Exception as error:  # whatever a library makes of changed bytes
        raise ValueError(f"{path} is damaged: {_line(error)}") from error
    if fingerprint(compressor) != expected:
        raise ValueError(f"{path} is damaged: its contents do not have the SHA-256 that it was written with")
    return compressor


class _UnfitError(Exception):
    """What is wrong with a file, to stand after its name."""


def _head(compressor: Compressor) -> dict[str, Any]:
    size, transform = compressor.projection.format, compressor.transform
    return {
        **{name: getattr(size, name) for name in _WIDTHS},
        "frame_shape": list(compressor.frame_shape),
        "transform": transform.kind,
        "count_bits": transform.count_bits,
    }


def _arrays(compressor: Compressor) -> dict[str, np.ndarray[Any, Any]]:
    projection, book = compressor.projection, compressor.transform.codebook
    arrays = {name: getattr(projection, name) for name in ("weights", "bias", "shift")}
    arrays |= {name: getattr(compressor, name) for name in ("scale", "rows", "mean", "noise")}
    if compressor.mask is not None:
        arrays["mask"] = compressor.mask.astype(np.uint8)
    if book is not None:
        arrays["edges"] = book.edge_array
    return arrays


def _read(file: h5py.Group) -> Compressor:
    attrs = {name: plain(value) for name, value in file.attrs.items()}
    weights = _array(file, "weights")
    book = None
    if "edges" in file:
        name = str(plain(file["edges"].attrs["name"]))
        book = Codebook.from_edges(_array(file, "edges").tolist(), name=name)
    size = ProjectionFormat(
        pixels=weights.shape[1], components=weights.shape[0], **{name: int(attrs[name]) for name in _WIDTHS}
    )
    return Compressor(
        projection=Projection(size, weights, _array(file, "bias"), _array(file, "shift")),
        scale=_array(file, "scale"),
        rows=_array(file, "rows"),
        mean=_array(file, "mean"),
        noise=_array(file, "noise"),
        transform=Transform(attrs["transform"], int(attrs["count_bits"]), book),
        frame_shape=tuple(int(side) for side in attrs["frame_shape"]),
        mask=_mask(_array(file, "mask")) if "mask" in file else None,
        recipe=json.loads(attrs["recipe"]),
        report=json.loads(attrs["report"]),
    )


def _array(file: h5py.Group, name: str) -> np.ndarray[Any, Any]:
    data = file[name]
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{name} is no data set")
    return data[()]


def _mask(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if (values > 1).any():
        raise ValueError(f"mask up to {values.max()}: expected 0 and 1")
    return values.astype(np.bool_)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
