# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress compress``: frames to codes or coefficients, by the golden model or the simulated hardware."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import h5py
import numpy as np
import typer
from numpy.typing import NDArray

from .. import __version__
from ..model.attributes import put
from ..model.checksum import frame_crc32
from ..model.code_file import Lossless
from ..model.quantise import Compressor
from ..model.weights import load, write
from ..reconstruction.frames import FrameFile
from .codes import compress_codes
from .console import console, progress_bar
from .engine import COLUMNS, LANES, Engine, compare, hardware_encoder, limited
from .files import publish_file
from .options import CodebookName, CountBits, DataPath, Edges, JsonOutput, Parameters, chosen_codebook, refuse

FORMAT = "ptychopress coefficients"
VERSION = 2
WEIGHTS = "weights"
"""Group that holds a copy of the weights file."""

_PIECE_BYTES = 1 << 25  # of counts in 16 bit that are worked on at a time
_CHUNK_BYTES = 1 << 19  # of coefficients in a chunk of the file


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
    out: Annotated[Path, typer.Option("--out", help="HDF5 file for the codes or coefficients.", metavar="FILE")],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", help="Coefficients: weights file of ptychopress train.", metavar="FILE"),
    ] = None,
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameters: Parameters = None,
    edges: Edges = None,
    lossless: Annotated[
        Lossless | None,
        typer.Option(
            "--lossless",
            help="Codes: szip, the default, which every HDF5 program reads; lz4, faster and larger, which needs"
            " hdf5plugin; none.",
        ),
    ] = None,
    block: Annotated[
        int | None,
        typer.Option("--block", help="Codes in a block of SZIP: 8, 16 or 32; 16 by default where it divides a row."),
    ] = None,
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
    """Turn frames into codes, or by --weights into coefficients, bit for bit those of the hardware.

    Beside them the file has all that turns them into frames again.
    """
    if weights is None:
        book = chosen_codebook(codebook, count_bits, parameters, edges)
        lossless = lossless or Lossless.SZIP
        if lossless is not Lossless.SZIP:
            refuse(f"it is for SZIP, not for --lossless {lossless}", block=block)
        told = compress_codes(file, out, path, book, lossless, block, engine, check)
    else:
        refuse(
            "it is for codes; with --weights the codebook is that of the weights, and coefficients are written",
            **{"codebook": codebook, "count_bits": count_bits, "parameter": parameters or None, "edges": edges},
            **{"lossless": lossless, "block": block},
        )
        told = _compress_coefficients(file, out, path, weights, engine, check)
    told |= {"file": str(out), "engine": "both" if check else engine.value}
    if as_json:
        typer.echo(json.dumps(told))
        return
    agree = ", model and hardware agree in every bit" if check else ""
    if weights is None:
        typer.echo(
            f"{told['frames']} frames, {told['bits_per_pixel']:.2f} bits a pixel: {told['saturated']} counts above the"
            f" range{agree}"
        )
    else:
        typer.echo(
            f"{told['frames']} frames of {told['pixels']} pixels, {told['components']} coefficients each:"
            f" {told['saturated']} saturated, {told['clipped_frames']} frames with counts above the range{agree}"
        )
    typer.echo(str(out))


def _compress_coefficients(
    file: Path, out: Path, path: str | None, weights: Path, engine: Engine, check: bool
) -> dict[str, Any]:
    """Write the file of coefficients; return what there is to tell."""
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
        told: dict[str, Any] = dict.fromkeys(("saturated", "clipped_frames"), 0)
        bar = bars.add_task("compress", total=frames.count)
        with h5py.File(stage, "w") as target:
            data = _prepare(target, compressor, frames)
            start = 0
            for counts in frames.pieces(_piece(compressor), invalid):
                result, *others = (run(compressor, counts) for run in engines)
                part = slice(start, start + len(counts))
                for other in others:
                    compare(result._asdict(), other._asdict(), start)
                for name, values in result._asdict().items():
                    data[name][part] = values
                data["crc32"][part] = frame_crc32(result.coefficients.astype(data["coefficients"].dtype))
                told["saturated"] += int(result.saturated.sum())
                told["clipped_frames"] += int(result.clipped.sum())
                start = part.stop
                bars.advance(bar, len(counts))
            target.attrs.update(told)
    size = compressor.projection.format
    told |= {"frames": frames.count, "pixels": size.pixels, "components": size.components}
    return told | {"output_bits": size.output_bits, "ratio": size.pixels / size.components}


def _prepare(target: h5py.File, compressor: Compressor, frames: FrameFile) -> dict[str, Any]:
    """Write all but the results; return the data sets that wait for them."""
    size = compressor.projection.format
    digest = write(target.create_group(WEIGHTS), compressor)
    put(
        target,
        {
            "format": FORMAT,
            "version": VERSION,
            "program": f"ptychopress {__version__}",
            "source": frames.path.name,
            "source_path": frames.name,
            "frame_shape": list(frames.shape),
            "weights_sha256": digest,
        },
    )
    dtype = np.dtype(np.int16 if size.output_bits <= 16 else np.int32)
    rows = max(1, _CHUNK_BYTES // (dtype.itemsize * size.components))
    shapes = {
        "coefficients": ((frames.count, size.components), dtype, (min(rows, frames.count), size.components)),
        "saturated": ((frames.count,), np.uint32, (min(_CHUNK_BYTES // 4, frames.count),)),
        "clipped": ((frames.count,), np.uint8, (min(_CHUNK_BYTES, frames.count),)),
        "crc32": ((frames.count,), np.uint32, (min(_CHUNK_BYTES // 4, frames.count),)),
    }
    meanings = {
        "coefficients": "coefficients of the components, for each frame",
        "saturated": "coefficients of each frame that were beyond their range",
        "clipped": "1 for a frame with a count above the range",
        "crc32": "CRC-32 of the coefficients of each frame",
    }
    data = {}
    for name, (shape, kind, chunks) in shapes.items():
        # Checksums: a changed byte is an error when it is read.
        data[name] = target.create_dataset(name, shape, kind, chunks=chunks, fletcher32=True)
        put(data[name], {"long_name": meanings[name]})
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
        block = CodeProjector(hardware_encoder(book), projector)
    bulk = BulkProjector(block, compressor.projection)

    def run(compressor: Compressor, counts: NDArray[Any]) -> Coefficients:
        # Flat: a row of pixels may be a frame, or one of many in it.
        result = bulk.run(limited(counts, input_bits).reshape(len(counts), -1))
        clipped = _clipped(compressor, counts) if book is None else result.clipped
        return Coefficients(result.coefficients, result.saturated.sum(axis=1, dtype=np.uint32), clipped)

    return run


def _clipped(compressor: Compressor, counts: NDArray[Any]) -> NDArray[np.bool_]:
    return np.any(counts >= 1 << compressor.transform.count_bits, axis=(1, 2))
