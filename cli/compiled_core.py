# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Frames through a detector core that is compiled for them: codes, and Rice streams as the hardware makes them."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..model.codebook import Codebook
from ..model.config import CoreConfig, EncoderConfig, FrameConfig, Mode, OutputConfig
from ..model.core import Core
from ..model.packet import Flag, Packet
from .engine import LANES, compare, limited


class CompiledCore:
    """The core's Verilog, compiled by Verilator: a context manager.

    Parameters
    ----------
    book : Codebook
    shape : tuple of int
        Rows and columns of a frame.
    block : int or None
        Codes of a block of the Rice coder; None for codes as they are. Rows that are no whole blocks are not for the
        hardware's coder either.
    check : bool
        Whether each packet is compared with the golden model's.

    Raises
    ------
    ValueError
        If there is no core for such frames.
    ToolError
        If Verilator, a compiler, make or perl is missing, or the build fails.
    """

    def __init__(self, book: Codebook, shape: tuple[int, int], block: int | None, *, check: bool) -> None:
        from ..sim.core_model import BulkCore

        height, width = shape
        self.mode = Mode.CODES if block is None or width % block else Mode.RICE
        try:
            self.config = CoreConfig(
                name="compress_core",
                frame=FrameConfig(
                    height=height,
                    width=width,
                    # A bit more than the codebook's, so that counts above its range are for the hardware to find.
                    count_bits=min(book.count_bits + 1, 16),
                    lanes=math.gcd(width, LANES),
                ),
                encoder=EncoderConfig(codebook=book.name, edges=book.edges),
                output=OutputConfig(modes=(self.mode.label,), rice_block=block or 8),
            )
        except ValueError as error:
            raise ValueError(f"--engine rtl: no core for frames of {height} x {width}: {error}") from None
        self._bulk = BulkCore(self.config)
        self._golden = Core(self.config) if check else None
        self._number = 0

    def __enter__(self) -> Self:
        self._bulk.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._bulk.__exit__(*details)

    def encode(self, counts: NDArray[Any]) -> tuple[NDArray[Any], list[bytes]]:
        """Codes of the next frames (frames, rows, columns), and their Rice streams if the core makes them."""
        from ..sim.core_model import Frame

        frames = limited(counts, self.config.frame.count_bits)
        octets = self._bulk.run([Frame(frame.ravel(), self.mode) for frame in frames])
        if self._golden is not None:
            compare(self._expected(frames), {"packets": np.array(octets, object)}, self._number)
        self._number += len(frames)
        packets = [Packet.unpack(packet) for packet in octets]
        codes = np.stack([packet.values() for packet in packets]).reshape(counts.shape)
        return codes, [packet.payload for packet in packets] if self.mode == Mode.RICE else []

    def _expected(self, frames: NDArray[Any]) -> dict[str, NDArray[Any]]:
        assert self._golden is not None
        packets = [
            self._golden.packet(frame, self.mode, number=number, flags=Flag.NONE if number else Flag.FIRST).pack()
            for number, frame in enumerate(frames, self._number)
        ]
        return {"packets": np.array(packets, object)}
