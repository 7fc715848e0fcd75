# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Frames to a file of codes: the part of ``ptychopress compress`` without weights."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .. import __version__
from ..model.code_file import CodeFile, CodeWriter, Lossless
from ..model.codebook import Codebook
from ..reconstruction.cxi import cxi_geometry, write_geometry
from ..reconstruction.frames import FrameFile
from ..reconstruction.hdf5 import Reader
from ..reconstruction.scan import Geometry
from ..reconstruction.scan_files import read_geometry
from .compiled_core import CompiledCore
from .console import console, progress_bar
from .engine import Engine
from .files import publish_file

SCAN = "scan"
"""Group that holds what is known of the scan, laid out as in CXI."""

_PIECE_BYTES = 1 << 23  # of counts in 16 bit that are worked on at a time


def compress_codes(
    file: Path,
    out: Path,
    path: str | None,
    book: Codebook,
    lossless: Lossless,
    block: int | None,
    engine: Engine,
    check: bool,
) -> dict[str, Any]:
    """Write the file of codes; return what there is to tell."""
    with publish_file(out, file) as stage, progress_bar() as bars:
        frames = FrameFile.open(file, path)
        source = {"program": f"ptychopress {__version__}", "source": frames.path.name, "source_path": frames.name}
        bar = bars.add_task("compress", total=frames.count)
        with h5py.File(stage, "w") as target, ExitStack() as stack:
            writer = CodeWriter(
                target,
                book,
                frames.count,
                frames.shape,
                mask=frames.mask,
                lossless=lossless,
                block=block,
                attributes=source,
            )
            _keep_geometry(target, frames)
            core = None
            if check or engine is Engine.RTL:
                core = stack.enter_context(CompiledCore(book, frames.shape, writer.block, check=check))
            step = max(1, _PIECE_BYTES // (2 * writer.rows * frames.shape[0] * frames.shape[1])) * writer.rows
            for counts in frames.pieces(step):
                saturated = np.count_nonzero(counts >= book.edges[-1], axis=(1, 2))
                if core is None:
                    writer.write(book.encode(counts), saturated)
                else:
                    codes, streams = core.encode(counts)
                    if streams:
                        writer.write_streams(streams, codes, saturated)
                    else:
                        writer.write(codes, saturated)
                bars.advance(bar, len(counts))
            told: dict[str, Any] = {"sha256": writer.close(), "saturated": writer.saturated}
            size = writer.data.id.get_storage_size()
    pixels = frames.count * frames.shape[0] * frames.shape[1]
    return told | {"frames": frames.count, "codebook": book.name, "bits_per_pixel": 8 * size / pixels}


def kept_geometry(codes: CodeFile) -> Geometry | None:
    """What a file of codes knows of its scan, None if nothing."""
    group: Any = codes.file.get(SCAN)
    if group is None:
        return None
    geometry = cxi_geometry(Reader(codes.path, group), codes.count, codes.shape[0])
    return geometry if codes.mask is None else replace(geometry, mask=geometry.mask | codes.mask)


def _keep_geometry(target: h5py.File, frames: FrameFile) -> None:
    """Copy what the source knows of the scan, if that is enough for a CXI file; a note says what is missing."""
    try:
        geometry = read_geometry(frames.path)
        if (len(geometry.positions), *geometry.mask.shape) != (frames.count, *frames.shape):
            raise ValueError(f"{frames.path}: {len(geometry.positions)} positions for {frames.count} frames")
        group = target.create_group(SCAN)
        try:
            write_geometry(group, geometry)
        except ValueError:
            del target[SCAN]
            raise
    except ValueError as error:
        console.print(f"note: positions and detector are not kept: {error}", style="yellow", soft_wrap=True)
