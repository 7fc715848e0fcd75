# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress decompress``: codes or coefficients back to frames."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import h5py
import numpy as np
import typer
from numpy.typing import NDArray

from .. import __version__
from ..model import code_file
from ..model.attributes import get, put
from ..model.checksum import frame_crc32
from ..model.code_file import CodeFile
from ..model.lookup import look_up
from ..model.quantise import Compressor
from ..model.weights import load
from ..reconstruction.cxi import create_cxi
from ..reconstruction.scan import Geometry
from ..reconstruction.scan_files import read_geometry
from .codes import kept_geometry
from .compress import FORMAT, VERSION, WEIGHTS
from .console import progress_bar
from .files import publish_file
from .options import JsonOutput, refuse
from .verilog import Method

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
    method: Annotated[
        Method | None, typer.Option("--method", help="Codes: rule that turns them into counts; midpoint by default.")
    ] = None,
    as_json: JsonOutput = False,
) -> None:
    """Turn codes or coefficients back into intensities.

    These are photons, NaN at invalid pixels, or 0 in a CXI file, which has a mask. Codes that came from a CXI file
    become one again.
    """
    with publish_file(out, file, scan) as stage, progress_bar() as bars, _opened(file, method, dtype) as source:
        frames, shape = source.frames, source.shape
        geometry = source.geometry if scan is None else _geometry(scan, frames, shape, source.mask)
        bar = bars.add_task("decompress", total=frames)
        with h5py.File(stage, "w") as target:
            if geometry is None:
                data: Any = target.create_dataset(DATA, (frames, *shape), dtype.value, chunks=(1, *shape))
                data.attrs.update({"long_name": "intensity", "units": "photon"})
            else:
                data = create_cxi(target, geometry, dtype.value)
            put(target, {"program": f"ptychopress {__version__}", **source.told})
            invalid, value = (source.mask, np.nan) if geometry is None else (geometry.mask, 0)
            for part, intensities in source.pieces:
                if invalid is not None:
                    intensities[:, invalid] = value
                data[part] = intensities
                bars.advance(bar, len(intensities))
    if as_json:
        typer.echo(json.dumps({"file": str(out), "data": DATA, "frames": frames, "frame_shape": list(shape)}))
    else:
        typer.echo(f"{frames} frames of {' x '.join(map(str, shape))} in {DATA}")
        typer.echo(str(out))


class _Source(NamedTuple):
    """What is decompressed.

    Attributes
    ----------
    frames, shape
        Number of frames, and rows and columns of each.
    mask
        Invalid pixels, bool (rows, columns), or None.
    geometry
        What the file knows of the scan, or None.
    told
        Attributes that go into the output.
    pieces
        Numbers of some frames and their intensities, piece by piece.
    """

    frames: int
    shape: tuple[int, ...]
    mask: NDArray[np.bool_] | None
    geometry: Geometry | None
    told: dict[str, Any]
    pieces: Iterator[tuple[slice, NDArray[Any]]]


@contextmanager
def _sound(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 makes of changed bytes into a ValueError; errors that say what is wrong stay."""
    try:
        yield
    except (ValueError, FileNotFoundError):
        raise
    except Exception as error:
        raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error


@contextmanager
def _opened(path: Path, method: Method | None, dtype: Type) -> Iterator[_Source]:
    """A file of ptychopress compress, of either kind."""
    if _format(path) == code_file.FORMAT:
        with CodeFile.open(path) as codes:
            levels = codes.decode_levels((method or Method.MIDPOINT).value).astype(dtype.value)
            told = {name: get(codes.file, name) for name in ("source", "source_path")}
            told |= {"codes_sha256": get(codes.file, "sha256"), "method": (method or Method.MIDPOINT).value}
            pieces = ((part, look_up(levels, piece)) for part, piece in codes.pieces(_PIECE_BYTES // 8))
            with _sound(path):
                geometry = kept_geometry(codes)
            yield _Source(codes.count, codes.shape, codes.mask, geometry, told, pieces)
        return
    refuse("it is for files of codes", method=method)
    with open_coefficients(path) as source:
        compressor = load(path, WEIGHTS)
        with _sound(path):
            coefficients = Coefficients(path, source, compressor)
            told = {name: get(source, name) for name in ("source", "source_path", "weights_sha256")}
        pieces = _expanded(coefficients, compressor)
        yield _Source(len(coefficients), compressor.frame_shape, compressor.mask, None, told, pieces)


def _format(path: Path) -> Any:
    """Attribute `format` of an HDF5 file, None if it has none; what is no HDF5 file is for the reader to refuse."""
    try:
        with h5py.File(path, "r") as file:
            return get(file, "format")
    except Exception:  # whatever the library makes of changed bytes
        return None


def _expanded(coefficients: "Coefficients", compressor: Compressor) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Frames of coefficients, some at a time."""
    size = max(1, _PIECE_BYTES // (8 * compressor.projection.format.pixels))
    for start in range(0, len(coefficients), size):
        part = slice(start, min(start + size, len(coefficients)))
        yield part, compressor.expand(coefficients.read(part.start, part.stop))


def open_coefficients(path: Path) -> h5py.File:
    """A file of `ptychopress compress`, to be read."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, expected one of ptychopress compress")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise ValueError(f"{path} is no HDF5 file, or truncated") from error
    with _sound(path):
        if get(file, "format") != FORMAT:
            raise ValueError(f"{path} is HDF5 but holds no coefficients: its attribute 'format' is not '{FORMAT}'")
        if get(file, "version") != VERSION:
            raise ValueError(f"{path} is of version {get(file, 'version')}: this program reads version {VERSION}")
    return file


def _geometry(path: Path, frames: int, shape: tuple[int, ...], mask: NDArray[np.bool_] | None) -> Geometry:
    """All that the scan has beside its frames, of which there are so many; `mask` has the pixels that are not known."""
    geometry = read_geometry(path)
    if (len(geometry.positions), *geometry.mask.shape) != (frames, *shape):
        raise ValueError(
            f"{path}: {len(geometry.positions)} positions, frames of {geometry.mask.shape}, expected {frames} and"
            f" {shape}, as in the compressed file"
        )
    return geometry if mask is None else replace(geometry, mask=geometry.mask | mask)


class Coefficients:
    """Coefficients in a file, checked as they are read.

    Parameters
    ----------
    path, file
        The file and its name.
    compressor
        Its weights.

    Raises
    ------
    ValueError
        If they do not fit the weights, or something is missing.
    """

    def __init__(self, path: Path, file: h5py.File, compressor: Compressor) -> None:
        components = compressor.projection.format.components
        data: Any = file.get("coefficients")
        crc32: Any = file.get("crc32")
        size = file.id.get_filesize()
        if (
            not isinstance(data, h5py.Dataset)
            or data.dtype.str not in ("<i2", "<i4")
            or data.shape[1:] != (components,)
        ):
            raise ValueError(f"{path} is damaged: expected integer coefficients (J, {components}), as its weights have")
        if not isinstance(crc32, h5py.Dataset) or (crc32.dtype.str, crc32.shape) != ("<u4", data.shape[:1]):
            raise ValueError(f"{path} is damaged: expected crc32 ({len(data)},)")
        rows = max(len(data), *(data.chunks or (0,)))
        if rows * components * data.dtype.itemsize > 2 * size:
            raise ValueError(f"{path} is damaged: it claims {len(data)} frames, more than it has room for")
        for name in ("source", "source_path", "weights_sha256"):
            if name not in file.attrs:
                raise ValueError(f"{path} is damaged: it has no attribute {name!r}")
        if get(file, "weights_sha256") != get(file[WEIGHTS], "sha256"):
            raise ValueError(f"{path} is damaged: its weights are not those that it was compressed with")
        self.path, self.data, self._crc32 = path, data, crc32[()]

    def __len__(self) -> int:
        return len(self._crc32)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Coefficients of some frames.

        Raises
        ------
        ValueError
            If they are not what was written, naming the frames.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        try:
            found = self.data[start:stop]
        except OSError as error:
            raise ValueError(f"{self.path} is damaged: frames {start} to {stop - 1} cannot be read") from error
        wrong = frame_crc32(found) != self._crc32[start:stop]
        if wrong.any():
            frame = start + int(np.argmax(wrong))
            raise ValueError(f"{self.path} is damaged: frame {frame} does not have the CRC-32 that it was written with")
        return found
