# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The file of codes: frames as codes in HDF5, with all that turns them into counts again.

Attributes of the root: `format` ("ptychopress codes"), `version`, `frame_shape`, `saturated` (total), those that the
writer was handed, and `sha256`. Data sets:

==================  ===============  =====================================================================
codes               uint8 or uint16  (J, rows, columns), 0 at invalid pixels; with Fletcher-32, but for LZ4
crc32               uint32           (J,), CRC-32 of the codes of a frame, row by row, little-endian
saturated           uint32           (J,), counts of a frame above the range
mask                uint8            (rows, columns), 1 at invalid pixels; only if there are any
codebook/edges      int64            (levels + 1,), bin edges
codebook/midpoint   float64          (levels,), count that a code stands for; so `posterior` and `unbiased`, the last
                                     only for codebooks of up to 4096 levels
==================  ===============  =====================================================================

With plain h5py, ``file["codebook/midpoint"][()][file["codes"][k]]`` are the counts of frame k.

`sha256` covers every attribute and every data set but `codes`, which `crc32` covers.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
from numpy.typing import NDArray

from .attributes import get, plain, put
from .checksum import fletcher32, frame_crc32
from .codebook import Codebook, DecodeMethod

FORMAT = "ptychopress codes"
VERSION = 1
DATA = "codes"
BLOCKS = (8, 16, 32)
"""Codes of a block of SZIP."""

MAX_PIXELS = 1 << 26
"""Of a frame. A damaged file cannot ask for more memory than some frames of this size take."""

_BITSHUFFLE = 32008
_CHUNK_BYTES = 1 << 18
_METHODS: tuple[DecodeMethod, ...] = get_args(DecodeMethod)


class Lossless(StrEnum):
    """How the codes are coded without loss."""

    SZIP = "szip"
    """HDF5's own SZIP filter, entropy coding (CCSDS 121.0-B): every HDF5 program reads it. One frame a chunk."""
    LZ4 = "lz4"
    """Bitshuffle and LZ4, as detectors write counts: more bits, much faster to read; readers need the plugin."""
    NONE = "none"
    """The codes as they are."""


def default_block(columns: int) -> int:
    """Codes of a block of SZIP for frames of so many columns: 16 where that divides them, 8 elsewhere."""
    return 16 if columns % 16 == 0 else 8


class CodeWriter:
    """A file of codes, being written from the first frame to the last.

    Parameters
    ----------
    file : h5py.File
        Empty.
    book : Codebook
    count : int
        J.
    shape : tuple of int
        Rows and columns.
    mask : numpy.ndarray
        Invalid pixels, bool (rows, columns).
    lossless : Lossless
    block : int, optional
        Codes of a block of SZIP, 8, 16 or 32; by default `default_block`.
    attributes : mapping
        Of the root, beside its own.

    Attributes
    ----------
    rows : int
        Frames of a chunk: write multiples of it.
    block : int or None
        Codes of a block of SZIP, None without it.
    saturated : int
        Counts above the range so far.

    Raises
    ------
    ValueError
        For frames too small or too large, or if HDF5 lacks the filter.
    """

    def __init__(
        self,
        file: h5py.File,
        book: Codebook,
        count: int,
        shape: tuple[int, int],
        *,
        mask: NDArray[np.bool_],
        lossless: Lossless = Lossless.SZIP,
        block: int | None = None,
        attributes: Mapping[str, Any],
    ) -> None:
        self.file, self.count, self.saturated, self._start = file, count, 0, 0
        pixels, dtype = shape[0] * shape[1], book.code_dtype.newbyteorder("<")
        if pixels > MAX_PIXELS:
            raise ValueError(f"frames of {shape[0]} x {shape[1]}: at most {MAX_PIXELS} pixels are taken")
        rows = 1 if lossless is Lossless.SZIP else max(1, min(count, _CHUNK_BYTES // (pixels * dtype.itemsize)))
        self.rows = rows
        block = default_block(shape[1]) if block is None else block
        self.block = block if lossless is Lossless.SZIP else None
        if lossless is Lossless.SZIP and pixels < block:
            raise ValueError(f"frames of {shape[0]} x {shape[1]} do not fill a block of SZIP, {block}: use no coding")
        self.data = file.create_dataset(
            DATA, (count, *shape), dtype, chunks=(rows, *shape), **_filters(lossless, block)
        )
        put(self.data, {"long_name": f"codes of {book.name}, code k stands for the count codebook/midpoint[k]"})
        # Written at once, so that they have their place in the file before the first chunk.
        self._crc32 = file.create_dataset("crc32", data=np.zeros(count, "<u4"))
        put(self._crc32, {"long_name": "CRC-32 of the codes of each frame"})
        self._over = file.create_dataset("saturated", data=np.zeros(count, "<u4"))
        put(self._over, {"long_name": "counts of each frame above the range"})
        if mask.any():
            file["mask"] = mask.astype(np.uint8)
            put(file["mask"], {"long_name": "1 at invalid pixels"})
        _write_codebook(file.create_group("codebook"), book)
        put(file, {"format": FORMAT, "version": VERSION, "frame_shape": list(shape), **attributes})

    def write(self, codes: NDArray[Any], saturated: NDArray[Any]) -> None:
        """Write the next frames, and how many counts of each were above the range."""
        self.data[self._start : self._start + len(codes)] = codes
        self.data.flush()  # so that chunks lie in the file in the order of the frames, as those of `write_streams`
        self._told(codes, saturated)

    def write_streams(self, streams: list[bytes], codes: NDArray[Any], saturated: NDArray[Any]) -> None:
        """Write the next frames as the streams of an SZIP coder, one a frame; `codes` are what they decode to.

        The file is the same as after `write`, if HDF5's coder would have made the same streams.
        """
        for frame, (stream, octets) in enumerate(zip(streams, codes, strict=True), self._start):
            chunk, skipped = szip_chunk(stream, octets.astype(self.data.dtype).tobytes())
            self.data.id.write_direct_chunk((frame, 0, 0), chunk, skipped)
        self._told(codes, saturated)

    def close(self) -> str:
        """Seal the file, to which nothing may be added afterwards; return its `sha256`."""
        if self._start != self.count:
            raise ValueError(f"{self._start} frames were written, expected {self.count}")
        put(self.file, {"saturated": self.saturated})
        digest = _digest(self.file)
        put(self.file, {"sha256": digest})
        return digest

    def _told(self, codes: NDArray[Any], saturated: NDArray[Any]) -> None:
        part = slice(self._start, self._start + len(codes))
        self._crc32[part] = frame_crc32(codes.astype(self.data.dtype, copy=False))
        self._over[part] = saturated
        self.saturated += int(np.sum(saturated))
        self._start = part.stop


class CodeFile:
    """A file of codes, open for reading and found whole, but for the codes: they are checked as they are read.

    Attributes
    ----------
    path : pathlib.Path
    file : h5py.File
    count : int
        J.
    shape : tuple of int
        Rows and columns.
    mask : numpy.ndarray or None
        Invalid pixels, bool (rows, columns).
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        self.path, self.file = path, file
        if (found := get(file, "format")) != FORMAT:
            raise _UnfitError(f"holds no codes: its attribute 'format' is {found!r}, not {FORMAT!r}")
        if (found := get(file, "version")) != VERSION:
            raise _UnfitError(f"is of version {found}: this program reads version {VERSION}")
        data: Any = file.get(DATA)
        if not isinstance(data, h5py.Dataset) or data.ndim != 3 or data.dtype.str not in ("|u1", "<u2"):
            raise _UnfitError("is damaged: expected codes (J, rows, columns), uint8 or uint16")
        self.data: Any = data
        self.count, *shape = data.shape
        self.shape = (shape[0], shape[1])
        if 0 in data.shape or shape[0] * shape[1] > MAX_PIXELS:
            raise _UnfitError(f"is damaged: codes {data.shape}, expected frames of 1 to {MAX_PIXELS} pixels")
        if get(file, "sha256") != _digest(file):
            raise _UnfitError("is damaged: its contents do not have the SHA-256 that it was written with")
        rows, *sides = data.chunks or (0,)
        if tuple(sides) != self.shape or (rows > 1 and rows * self.frame_bytes > _CHUNK_BYTES):
            raise _UnfitError(f"is damaged: chunks {data.chunks} of codes {data.shape}")
        if data.id.get_num_chunks() != -(-self.count // rows):
            raise _UnfitError("is damaged: chunks of codes are missing")
        if _BITSHUFFLE in _filter_numbers(data):
            _require_bitshuffle()
        parts: Any = file
        self._crc32: NDArray[np.uint32] = parts["crc32"][()]
        self.mask: NDArray[np.bool_] | None = parts["mask"][()] != 0 if "mask" in file else None

    @classmethod
    @contextmanager
    def open(cls, path: str | Path) -> Iterator["CodeFile"]:
        """Open a file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is no file of codes, of another version, truncated or changed: one line that says which.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file, expected one of ptychopress compress")
        try:
            file = h5py.File(path, "r")
        except Exception as error:  # whatever the library makes of changed bytes
            raise ValueError(f"{path} is no HDF5 file, or truncated") from error
        with file:
            try:
                codes = cls(path, file)
            except _UnfitError as error:
                raise ValueError(f"{path} {error}") from None
            except Exception as error:
                raise ValueError(f"{path} is damaged: {' '.join(str(error).split())}") from error
            yield codes

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Codes of some frames.

        Raises
        ------
        ValueError
            If they are not what was written, naming the first frame.
        """
        stop = min(stop, self.count)
        try:
            codes = self.data[start:stop]
        except Exception as error:  # a filter's or the library's own, of many kinds
            raise ValueError(
                f"{self.path} is damaged: frames {start} to {stop - 1} cannot be read: {' '.join(str(error).split())}"
            ) from error
        wrong = frame_crc32(codes) != self._crc32[start:stop]
        if wrong.any():
            raise ValueError(
                f"{self.path} is damaged: frame {start + int(np.argmax(wrong))} does not have the CRC-32 that it was"
                " written with"
            )
        return codes

    def decode_levels(self, method: DecodeMethod = "midpoint") -> NDArray[np.float64]:
        """Count that each code stands for, float64 (levels,).

        Raises
        ------
        ValueError
            If the file has none of that method.
        """
        levels: Any = self.file.get(f"codebook/{method}")
        if levels is None:
            raise ValueError(f"{self.path} has no {method} levels: use {' or '.join(_METHODS[:2])}")
        return levels[()]

    @property
    def frame_bytes(self) -> int:
        """Octets of the codes of a frame."""
        return self.shape[0] * self.shape[1] * self.data.dtype.itemsize

    def pieces(self, octets: int) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Codes of all frames, some whole chunks at a time, about so many octets; and which frames they are."""
        rows = self.data.chunks[0]
        step = rows * max(1, octets // (rows * self.frame_bytes))
        for start in range(0, self.count, step):
            part = slice(start, min(start + step, self.count))
            yield part, self.read(part.start, part.stop)


def szip_chunk(stream: bytes, octets: bytes) -> tuple[bytes, int]:
    """A chunk as HDF5 has it in the file behind the filters SZIP and Fletcher-32, and its mask of skipped filters.

    Parameters
    ----------
    stream : bytes
        Of the SZIP coder.
    octets : bytes
        What it decodes to; HDF5 keeps these instead if the stream would be longer.
    """
    skipped = len(stream) > len(octets)
    coded = octets if skipped else len(octets).to_bytes(4, "little") + stream
    return coded + fletcher32(coded).to_bytes(4, "little"), int(skipped)


class _UnfitError(Exception):
    """What is wrong with a file, to stand after its name."""


def _filters(lossless: Lossless, block: int) -> dict[str, Any]:
    """Arguments of `create_dataset`."""
    if lossless is Lossless.NONE:
        return {"fletcher32": True}
    if lossless is Lossless.LZ4:
        _require_bitshuffle()
        return {"compression": _BITSHUFFLE, "compression_opts": (0, 2)}
    if block not in BLOCKS:
        raise ValueError(f"block of SZIP: {block!r}, expected {', '.join(map(str, BLOCKS))}")
    number, encodes = h5py.h5z.FILTER_SZIP, h5py.h5z.FILTER_CONFIG_ENCODE_ENABLED
    if not (h5py.h5z.filter_avail(number) and h5py.h5z.get_filter_info(number) & encodes):
        raise ValueError(
            "this HDF5 library has no encoder of SZIP: install h5py from its wheels, which have one, or code by lz4 or"
            " none"
        )
    return {"compression": "szip", "compression_opts": ("ec", block), "fletcher32": True}


def _require_bitshuffle() -> None:
    """Load the filter, from hdf5plugin or from where HDF5 looks for plugins."""
    with suppress(ModuleNotFoundError):
        import hdf5plugin  # noqa: F401  # pyright: ignore[reportMissingImports]
    if not h5py.h5z.filter_avail(_BITSHUFFLE):
        raise ValueError("bitshuffle and LZ4 need HDF5's plugin: pip install hdf5plugin")


def _filter_numbers(data: h5py.Dataset) -> list[int]:
    """Numbers of a data set's filters."""
    pipeline = data.id.get_create_plist()
    return [pipeline.get_filter(k)[0] for k in range(pipeline.get_nfilters())]


def _write_codebook(group: h5py.Group, book: Codebook) -> None:
    noise = book.noise
    put(group, {"name": book.name, "count_bits": book.count_bits, "code_bits": book.code_bits})
    put(group, {"gain": noise.gain, "read_noise": noise.read_noise, "pedestal": noise.pedestal})
    group["edges"] = book.edge_array.astype("<i8")
    put(group["edges"], {"long_name": "code k stands for counts edges[k] to edges[k + 1] - 1"})
    for method in _METHODS:
        try:
            levels = book.decode_levels(method)
        except ValueError:  # too many to be fitted
            continue
        group[method] = levels.astype("<f8")
        put(group[method], {"long_name": f"count that each code stands for, {method}"})


def _digest(file: h5py.File) -> str:
    """SHA-256, in hex, of every attribute but itself and of every data set but the codes.

    Raises
    ------
    _UnfitError
        For a data set that is larger than the file, which is not read, or of no plain numbers.
    """
    digest, size = hashlib.sha256(), file.id.get_filesize()

    def add(name: str, item: Any) -> None:
        digest.update(f"{name} {type(item).__name__}\n".encode())
        attributes = {key: plain(value) for key, value in item.attrs.items()}
        if name == "/":
            attributes.pop("sha256", None)
        digest.update(f"{sorted(attributes.items())!r}\n".encode())
        if isinstance(item, h5py.Dataset):
            digest.update(f"{item.dtype.str} {item.shape}\n".encode())
            if name != DATA:
                if item.dtype.kind not in "biufc" or item.nbytes > size:
                    raise _UnfitError(f"is damaged: {name} is {item.dtype} {item.shape}")
                digest.update(np.ascontiguousarray(item[()]).tobytes())

    add("/", file)
    file.visititems(add)
    return digest.hexdigest()
