# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""``ptychopress bench codec``: size and speed of codes in HDF5, beside counts in the filters that detectors use."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import h5py
import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from .. import __version__
from ..model.code_file import CodeFile, CodeWriter, Lossless
from ..model.codebook import Codebook
from ..model.lookup import look_up
from ..reconstruction.frames import FrameFile
from .console import console, progress_bar
from .files import publish
from .options import CodebookName, CountBits, DataPath, Edges, JsonOutput, Parameters, chosen_codebook

ENCODE_TARGET = 1.5
"""Speed of `Codebook.encode` that is aimed at, in that of `numpy.take`."""

RIVAL = "bitshuffle, LZ4"
"""What decompression is to be no slower than."""

_PIECE_BYTES = 1 << 18  # of codes that are read before they are expanded: they stay in the cache


@dataclass
class Row:
    """One way to keep frames in HDF5, as `results.json` has it; rates in GB of 16 bit counts a second.

    Attributes
    ----------
    name : str
    holds : str
        "codes" or "counts".
    bits_per_pixel : float
        Of the chunks in the file.
    compress : float
        From counts to a file in memory.
    read : float
        From the file to what it holds.
    decompress : float
        From the file to counts: float32 levels of the codes, or the counts themselves.
    """

    name: str
    holds: str
    bits_per_pixel: float
    compress: float
    read: float
    decompress: float


def codec(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="CXI or other HDF5 file with counts instead of the simulated cell.", metavar="FILE"
        ),
    ] = None,
    path: DataPath = None,
    frames: Annotated[
        int, typer.Option("--frames", help="So many from the first; where there are fewer, they are repeated.", min=1)
    ] = 2048,
    photons: Annotated[float, typer.Option("--photons", help="Dose on the simulated cell: 1e4 to 4e8.")] = 2e7,
    codebook: CodebookName = None,
    count_bits: CountBits = None,
    parameters: Parameters = None,
    edges: Edges = None,
    runs: Annotated[int, typer.Option("--runs", help="Of which the median is told.", min=1)] = 7,
    seed: Annotated[int, typer.Option("--seed", help="Of the simulation's noise.", min=0)] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Directory for results.json.", metavar="DIR")] = None,
    as_json: JsonOutput = False,
) -> None:
    """Measure encode, decode, compress and decompress on one core, beside bitshuffle with LZ4 and zstd, and gzip.

    All on the same frames in memory, one after the other in each run. Rates are of processor time, summed over threads
    if a filter has any, in GB of 16 bit counts a second. Chunks of SZIP are of one frame, all others of about 256 KB.
    """
    try:
        import hdf5plugin  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise ValueError("the benchmark needs hdf5plugin: pip install 'ptychopress[bench]'") from None
    book = chosen_codebook(codebook, count_bits, parameters, edges)
    with nullcontext() if out is None else publish(out) as stage:
        counts = _simulated(photons, seed) if data is None else _read(data, path, frames)
        counts = counts[np.arange(frames) % len(counts)]
        peers = {
            RIVAL: dict(hdf5plugin.Bitshuffle(cname="lz4")),
            "bitshuffle, zstd": dict(hdf5plugin.Bitshuffle(cname="zstd")),
            "gzip 1, shuffle": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
        }
        results = measure(counts, book, peers, runs)
        results = {
            "format": "ptychopress-bench-codec-1",
            "version": __version__,
            "numpy": np.__version__,
            "h5py": h5py.__version__,
            "hdf5plugin": version("hdf5plugin"),
            "machine": platform.machine(),
            "source": "simulated cell" if data is None else data.name,
            "frames": list(counts.shape),
            "codebook": book.name,
            "runs": runs,
            **results,
        }
        if stage is not None:
            (stage / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(results))
    else:
        console.print(_table(results))
        typer.echo("\n".join(verdicts(results)))


def measure(counts: NDArray[np.uint16], book: Codebook, peers: dict[str, dict[str, Any]], runs: int) -> dict[str, Any]:
    """Check every way against the counts, then time it.

    Parameters
    ----------
    counts
        (J, rows, columns).
    book
    peers
        Ways to keep counts: arguments of h5py's `create_dataset`.
    runs
        Of which the median is taken.

    Returns
    -------
    `encode`, `decode` and, with `take_` in front, the same by `numpy.take`, in GB/s; `results`, a `Row` for each way.
    """
    codes, levels = book.encode(counts), book.decode_levels().astype(np.float32)
    expected = levels[codes]
    tasks: dict[tuple[str, str], Callable[[], Any]] = {
        ("", "encode"): lambda: book.encode(counts),
        ("", "take_encode"): lambda: np.take(book.table, np.minimum(counts, book.edges[-1] - 1)),
        ("", "decode"): lambda: book.decode(codes, dtype=np.float32),
        ("", "take_decode"): lambda: np.take(levels, codes),
    }
    if counts.max() < book.edges[-1]:
        tasks["", "take_encode"] = lambda: np.take(book.table, counts)
    wanted = {"encode": codes, "take_encode": codes, "decode": expected, "take_decode": expected}
    bits: dict[str, float] = {}
    for way in Lossless:
        image, size = _write_codes(counts, book, way)
        bits[way] = 8 * size / counts.size
        tasks[way, "compress"] = lambda way=way: _write_codes(counts, book, way)
        tasks[way, "read"] = lambda image=image: _read_codes(image)
        tasks[way, "decompress"] = lambda image=image: _expand(image)
        wanted |= {f"{way} read": codes, f"{way} decompress": expected}
    for name, filters in peers.items():
        image, size = _write_counts(counts, filters)
        bits[name] = 8 * size / counts.size
        tasks[name, "compress"] = lambda filters=filters: _write_counts(counts, filters)
        tasks[name, "read"] = lambda image=image: _read_counts(image)
        wanted[f"{name} read"] = counts
    for (name, what), task in tasks.items():
        if what != "compress" and not np.array_equal(task(), wanted[f"{name} {what}".strip()]):
            raise RuntimeError(f"{name} {what}: not what was written")
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in tasks}
    with progress_bar() as bars:
        bar = bars.add_task("codec", total=runs * len(tasks))
        for _ in range(runs):
            for key, task in tasks.items():
                start = time.process_time()
                task()
                seconds[key].append(time.process_time() - start)
                bars.advance(bar)
    rate = {key: 2 * counts.size / max(statistics.median(taken), 1e-9) / 1e9 for key, taken in seconds.items()}
    rows = [
        Row(name, holds, bits[name], *(rate[name, what] for what in ("compress", "read", last)))
        for names, holds, last in ((Lossless, "codes", "decompress"), (peers, "counts", "read"))
        for name in names
    ]
    return {what: rate["", what] for _, what in list(tasks)[:4]} | {"results": [asdict(row) for row in rows]}


def verdicts(results: dict[str, Any]) -> list[str]:
    """A line for each target: whether it is met, and by how much."""
    ratio = results["encode"] / results["take_encode"]
    word = "met" if ratio >= ENCODE_TARGET else "MISSED"
    lines = [
        f"encode: target {word}: {results['encode']:.2f} GB/s, {ratio:.1f} times numpy.take; aimed at {ENCODE_TARGET}",
        f"decode: {results['decode']:.2f} GB/s, {results['decode'] / results['take_decode']:.1f} times numpy.take",
    ]
    rows = {row["name"]: row for row in results["results"]}
    rival = rows[RIVAL]
    for row in rows.values():
        if row["holds"] == "codes":
            for what in ("read", "decompress"):
                word = "met" if row[what] >= rival["read"] else "MISSED"
                lines.append(
                    f"{what}, {row['name']}: target {word}: {row[what]:.2f} GB/s, {row[what] / rival['read']:.2f} times"
                    f" {RIVAL} of counts; {row['bits_per_pixel']:.2f} bits a pixel, those {rival['bits_per_pixel']:.2f}"
                )
    return lines


def _simulated(photons: float, seed: int) -> NDArray[np.uint16]:
    try:
        from ..reconstruction.phantom import cell_phantom
        from ..reconstruction.scene import simulated
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the simulated cell needs {error.name}: pip install 'ptychopress[reconstruction]', or give --data"
        ) from None
    return simulated(cell_phantom(), photons, seed=seed).counts[0]


def _read(path: Path, name: str | None, frames: int) -> NDArray[np.uint16]:
    """The first frames of a file, 0 at invalid pixels."""
    source = FrameFile.open(path, name)
    counts = next(source.pieces(min(frames, source.count)))
    if counts.max() > 0xFFFF:
        raise ValueError(f"{path}: counts up to {counts.max()}, the benchmark is of counts of 16 bit")
    return counts.astype(np.uint16, copy=False)


def _write_codes(counts: NDArray[np.uint16], book: Codebook, way: Lossless) -> tuple[bytes, int]:
    """A file of codes in memory, and the octets of its chunks."""
    with h5py.File("codes", "w", driver="core", backing_store=False) as file:
        mask = np.zeros(counts.shape[1:], np.bool_)
        writer = CodeWriter(file, book, len(counts), counts.shape[1:], mask=mask, lossless=way, attributes={})
        step = writer.rows * max(1, _PIECE_BYTES // (writer.rows * counts[0].size))
        for start in range(0, len(counts), step):
            piece = counts[start : start + step]
            writer.write(book.encode(piece), np.count_nonzero(piece >= book.edges[-1], axis=(1, 2)))
        writer.close()
        file.flush()
        return file.id.get_file_image(), writer.data.id.get_storage_size()


def _write_counts(counts: NDArray[np.uint16], filters: dict[str, Any]) -> tuple[bytes, int]:
    """A file of counts in memory, and the octets of its chunks."""
    with h5py.File("counts", "w", driver="core", backing_store=False) as file:
        rows = max(1, min(len(counts), _PIECE_BYTES // counts[0].nbytes))
        data = file.create_dataset("counts", counts.shape, counts.dtype, chunks=(rows, *counts.shape[1:]), **filters)
        data[()] = counts
        file.flush()
        return file.id.get_file_image(), data.id.get_storage_size()


def _open(image: bytes) -> h5py.File:
    """A file that is in memory."""
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fapl_core(backing_store=False)
    access.set_file_image(image)
    return h5py.File(h5py.h5f.open(b"image", h5py.h5f.ACC_RDONLY, fapl=access))


def _read_codes(image: bytes) -> NDArray[Any]:
    """All codes of a file, checked."""
    with _open(image) as file:
        codes = CodeFile(Path("image"), file)
        return codes.read(0, codes.count)


def _expand(image: bytes) -> NDArray[np.float32]:
    """Counts that all codes of a file stand for, checked."""
    with _open(image) as file:
        codes = CodeFile(Path("image"), file)
        levels = codes.decode_levels().astype(np.float32)
        counts = np.empty((codes.count, *codes.shape), np.float32)
        for part, piece in codes.pieces(_PIECE_BYTES):
            look_up(levels, piece, counts[part])
        return counts


def _read_counts(image: bytes) -> NDArray[np.uint16]:
    """All counts of a file."""
    with _open(image) as file:
        data: Any = file["counts"]
        return data[()]


def _table(results: dict[str, Any]) -> Table:
    shape = " x ".join(map(str, results["frames"]))
    table = Table(
        box=None, title=f"{results['source']}, {shape}, {results['codebook']}: GB/s of 16 bit counts, one core"
    )
    for heading in ("file", "holds", "bit/pixel", "compress", "read", "decompress"):
        table.add_column(heading, justify="left" if heading in ("file", "holds") else "right")
    for row in results["results"]:
        numbers = (row[name] for name in ("bits_per_pixel", "compress", "read", "decompress"))
        table.add_row(row["name"], row["holds"], *(f"{number:.2f}" for number in numbers))
    return table
