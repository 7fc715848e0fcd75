# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress decompress``: coefficients back to frames."""

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import typer
from numpy.typing import NDArray

from .. import __version__
from ..model.quantise import Compressor
from ..model.weights import load
from ..reconstruction.cxi import create_cxi
from ..reconstruction.scan import Geometry
from ..reconstruction.scan_files import read_geometry
from .compress import FORMAT, VERSION, WEIGHTS
from .console import progress_bar
from .files import publish_file
from .options import JsonOutput

DATA = "entry_1/data_1/data"
"""Data set of the frames, as in CXI."""

_PIECE_BYTES = 1 << 25  # of frames in float64 that are worked on at a time


class Type(StrEnum):
    """Number that an intensity is."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"


def decompress(
    file: Annotated[Path, typer.Argument(help="File of ptychopress compress.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", help="HDF5 file for the frames.", metavar="FILE")],
    scan: Annotated[
        Path | None,
        typer.Option(
            "--scan",
            help="Scan, usually the file that was compressed, whose positions, probe, wavelength and detector make the"
            " output a complete CXI file.",
            metavar="FILE",
        ),
    ] = None,
    dtype: Annotated[Type, typer.Option("--dtype", help="Of an intensity.")] = Type.FLOAT32,
    as_json: JsonOutput = False,
) -> None:
    """Turn coefficients back into intensities: photons, NaN at invalid pixels, or 0 in a CXI file, which has a mask."""
    with publish_file(out, file, scan) as stage, progress_bar() as bars, open_coefficients(file) as source:
        compressor = load(file, WEIGHTS)
        coefficients = read_coefficients(file, source, compressor)
        frames, shape = len(coefficients), compressor.frame_shape
        geometry = None if scan is None else _geometry(scan, frames, shape, compressor.mask)
        bar = bars.add_task("decompress", total=frames)
        with h5py.File(stage, "w") as target:
            if geometry is None:
                data: Any = target.create_dataset(DATA, (frames, *shape), dtype.value, chunks=(1, *shape))
                data.attrs.update({"long_name": "intensity", "units": "photon"})
            else:
                data = create_cxi(target, geometry, dtype.value)
            told = {name: source.attrs[name] for name in ("source", "source_path", "weights_sha256")}
            target.attrs.update({"program": f"ptychopress {__version__}", **told})
            size = max(1, _PIECE_BYTES // (8 * compressor.projection.format.pixels))
            for start in range(0, frames, size):
                part = slice(start, start + size)
                try:
                    piece = coefficients[part]
                except OSError as error:
                    message = f"{file} is damaged: frames {start} to {min(part.stop, frames) - 1} cannot be read"
                    raise ValueError(message) from error
                intensities = compressor.expand(piece)
                data[part] = intensities if geometry is None else np.where(geometry.mask, 0, intensities)
                bars.advance(bar, len(piece))
    if as_json:
        typer.echo(json.dumps({"file": str(out), "data": DATA, "frames": frames, "frame_shape": list(shape)}))
    else:
        typer.echo(f"{frames} frames of {' x '.join(map(str, shape))} in {DATA}")
        typer.echo(str(out))


def open_coefficients(path: Path) -> h5py.File:
    """A file of `ptychopress compress`, to be read."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected one of ptychopress compress")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or truncated") from error
    if file.attrs.get("format") != FORMAT:
        raise ValueError(f"{path} is HDF5 but holds no coefficients: its attribute 'format' is not '{FORMAT}'")
    if file.attrs.get("version") != VERSION:
        raise ValueError(f"{path} is of version {file.attrs.get('version')}: this program reads version {VERSION}")
    return file


def _geometry(path: Path, frames: int, shape: tuple[int, ...], mask: NDArray[np.bool_] | None) -> Geometry:
    """All that the scan has beside its frames, of which there are so many; `mask` has the pixels that are not known."""
    geometry = read_geometry(path)
    if (len(geometry.positions), *geometry.mask.shape) != (frames, *shape):
        raise ValueError(
            f"{path}: {len(geometry.positions)} positions, frames of {geometry.mask.shape}, expected {frames} and"
            f" {shape}, as in the file of coefficients"
        )
    return geometry if mask is None else replace(geometry, mask=geometry.mask | mask)


def read_coefficients(path: Path, file: h5py.File, compressor: Compressor) -> Any:
    """Its data set of coefficients (J, S'), which fits the weights, not read yet."""
    data: Any = file.get("coefficients")
    components = compressor.projection.format.components
    if not isinstance(data, h5py.Dataset) or data.ndim != 2 or data.shape[1] != components or data.dtype.kind != "i":
        raise ValueError(f"{path} is damaged: expected integer coefficients (J, {components}), as its weights have")
    for name in ("source", "source_path", "weights_sha256"):
        if name not in file.attrs:
            raise ValueError(f"{path} is damaged: it has no attribute {name!r}")
    if file.attrs["weights_sha256"] != file[WEIGHTS].attrs["sha256"]:
        raise ValueError(f"{path} is damaged: its weights are not those that it was compressed with")
    return data
