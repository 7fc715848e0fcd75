# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress compress``: frames to coefficients, by the golden model or the simulated hardware."""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import h5py
import numpy as np
import typer
from numpy.typing import NDArray

from .. import __version__
from ..model.quantise import Compressor
from ..model.weights import load, write
from ..reconstruction.frames import FrameFile
from .console import console, progress_bar
from .files import publish_file
from .options import DataPath, JsonOutput

FORMAT = "ptychopress coefficients"
VERSION = 1
WEIGHTS = "weights"
"""Group that holds a copy of the weights file."""

LANES, COLUMNS = 8, 8
"""Of the hardware that is simulated."""

_PIECE_BYTES = 1 << 25  # of counts in 16 bit that are worked on at a time
_CHUNK_BYTES = 1 << 19  # of coefficients in a chunk of the file


class Engine(StrEnum):
    """What computes the coefficients."""

    MODEL = "model"
    RTL = "rtl"


class Coefficients(NamedTuple):
    """What becomes of some frames.

    Attributes
    ----------
    coefficients : numpy.ndarray
        int32 (J, S').
    saturated : numpy.ndarray
        Coefficients beyond their range, uint32 (J,).
    clipped : numpy.ndarray
        Whether a count was above the range of codebook or counter, bool (J,).
    """

    coefficients: NDArray[np.int32]
    saturated: NDArray[np.uint32]
    clipped: NDArray[np.bool_]


def compress(
    file: Annotated[Path, typer.Argument(help="CXI or other HDF5 file with photon counts.", metavar="FILE")],
    weights: Annotated[Path, typer.Option("--weights", help="Weights file of ptychopress train.", metavar="FILE")],
    out: Annotated[Path, typer.Option("--out", help="HDF5 file for the coefficients.", metavar="FILE")],
    path: DataPath = None,
    engine: Annotated[
        Engine,
        typer.Option(
            "--engine", help="model: golden model. rtl: the Verilog, simulated; the same bits, and far slower."
        ),
    ] = Engine.MODEL,
    check: Annotated[
        bool, typer.Option("--check", help="Run both engines and compare every bit; exit status 1 if one differs.")
    ] = False,
    as_json: JsonOutput = False,
) -> None:
    """Turn frames into coefficients, bit for bit those of the hardware, beside the weights that expand them again."""
    with publish_file(out, file, weights) as stage, progress_bar() as bars:
        compressor = load(weights)
        frames = FrameFile.open(file, path)
        if frames.shape != compressor.frame_shape:
            raise ValueError(f"{file}: frames of {frames.shape}, weights of {weights} for {compressor.frame_shape}")
        invalid = np.zeros(frames.shape, np.bool_) if compressor.mask is None else compressor.mask
        new = int(np.count_nonzero(frames.mask & ~invalid))
        if new:
            console.print(f"note: {new} invalid pixels that the weights take for valid count as 0", style="yellow")
        engines = [_model] if engine is Engine.MODEL else [_hardware(compressor)]
        if check:
            engines = [_model, _hardware(compressor)]
        told = dict.fromkeys(("saturated", "clipped_frames"), 0)
        bar = bars.add_task("compress", total=frames.count)
        with h5py.File(stage, "w") as target:
            data = _prepare(target, compressor, frames)
            start = 0
            for counts in frames.pieces(_piece(compressor), invalid):
                result, *others = (run(compressor, counts) for run in engines)
                part = slice(start, start + len(counts))
                for other in others:
                    _compare(result, other, start)
                for name, values in result._asdict().items():
                    data[name][part] = values
                told["saturated"] += int(result.saturated.sum())
                told["clipped_frames"] += int(result.clipped.sum())
                start = part.stop
                bars.advance(bar, len(counts))
            target.attrs.update(told)
    size = compressor.projection.format
    told |= {"file": str(out), "frames": frames.count, "components": size.components, "output_bits": size.output_bits}
    told |= {"ratio": size.pixels / size.components, "engine": "both" if check else engine.value}
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(
        f"{frames.count} frames of {size.pixels} pixels, {size.components} coefficients each:"
        f" {told['saturated']} saturated, {told['clipped_frames']} frames with counts above the range"
        + (", model and hardware agree in every bit" if check else "")
    )
    typer.echo(str(out))


def _prepare(target: h5py.File, compressor: Compressor, frames: FrameFile) -> dict[str, Any]:
    """Write all but the results; return the data sets that wait for them."""
    size = compressor.projection.format
    digest = write(target.create_group(WEIGHTS), compressor)
    target.attrs.update(
        {
            "format": FORMAT,
            "version": VERSION,
            "program": f"ptychopress {__version__}",
            "source": frames.path.name,
            "source_path": frames.name,
            "frame_shape": list(frames.shape),
            "weights_sha256": digest,
        }
    )
    dtype = np.dtype(np.int16 if size.output_bits <= 16 else np.int32)
    rows = max(1, _CHUNK_BYTES // (dtype.itemsize * size.components))
    shapes = {
        "coefficients": ((frames.count, size.components), dtype, (min(rows, frames.count), size.components)),
        "saturated": ((frames.count,), np.uint32, (min(_CHUNK_BYTES // 4, frames.count),)),
        "clipped": ((frames.count,), np.uint8, (min(_CHUNK_BYTES, frames.count),)),
    }
    meanings = {
        "coefficients": "coefficients of the components, for each frame",
        "saturated": "coefficients of each frame that were beyond their range",
        "clipped": "1 for a frame with a count above the range",
    }
    data = {}
    for name, (shape, kind, chunks) in shapes.items():
        # Checksums: a changed byte is an error when it is read.
        data[name] = target.create_dataset(name, shape, kind, chunks=chunks, fletcher32=True)
        data[name].attrs["long_name"] = meanings[name]
    return data


def _piece(compressor: Compressor) -> int:
    """Frames at a time."""
    size = compressor.projection.format
    return max(1, _PIECE_BYTES // (2 * max(size.pixels, size.components)))


def _model(compressor: Compressor, counts: NDArray[Any]) -> Coefficients:
    """Coefficients by the golden model."""
    coefficients, saturated = compressor.compress(counts)
    return Coefficients(coefficients, saturated.sum(axis=1, dtype=np.uint32), _clipped(compressor, counts))


def _hardware(compressor: Compressor) -> Callable[[Compressor, NDArray[Any]], Coefficients]:
    """Coefficients by the simulated hardware: a projector of counts, or an encoder in front of one of codes."""
    from ..hdl.code_projector import CodeProjector
    from ..hdl.encoder import ShiftEncoder, TableEncoder, allows_shifts
    from ..hdl.projector import Projector
    from ..sim.bulk import BulkProjector

    projector, book = (
        Projector(compressor.projection.format, lanes=LANES, columns=COLUMNS),
        compressor.transform.codebook,
    )
    # Wider than any count of the codebook: counts above its range are for the hardware to find.
    input_bits = compressor.transform.count_bits + (book is not None)
    block: Any = projector
    if book is not None:
        encoder = ShiftEncoder if allows_shifts(book) else TableEncoder
        block = CodeProjector(encoder(book, lanes=LANES, input_bits=input_bits), projector)
    bulk = BulkProjector(block, compressor.projection)

    def run(compressor: Compressor, counts: NDArray[Any]) -> Coefficients:
        # Flat: a row of pixels may be a frame, or one of many in it.
        result = bulk.run(_limited(counts, input_bits).reshape(len(counts), -1))
        clipped = _clipped(compressor, counts) if book is None else result.clipped
        return Coefficients(result.coefficients, result.saturated.sum(axis=1, dtype=np.uint32), clipped)

    return run


def _limited(counts: NDArray[Any], bits: int) -> NDArray[Any]:
    """Counts above the range of so many bits become the largest of it."""
    limit = (1 << bits) - 1
    return np.minimum(counts, counts.dtype.type(limit)) if np.iinfo(counts.dtype).max > limit else counts


def _clipped(compressor: Compressor, counts: NDArray[Any]) -> NDArray[np.bool_]:
    return np.any(counts >= 1 << compressor.transform.count_bits, axis=(1, 2))


def _compare(model: Coefficients, hardware: Coefficients, start: int) -> None:
    """Leave with exit status 1, and a line that says where, if anything differs."""
    for name in Coefficients._fields:
        differs = getattr(model, name) != getattr(hardware, name)
        if differs.any():
            frame = start + int(np.argwhere(differs)[0][0])
            console.print(
                f"the hardware differs from the golden model: {np.count_nonzero(differs)} {name}, the first in frame"
                f" {frame}; nothing was written",
                style="red",
                soft_wrap=True,
            )
            raise typer.Exit(1)
