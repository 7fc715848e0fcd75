# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Golden model of the detector core: the packet of each frame."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import packer, zeromask
from .codebook import Codebook
from .config import CoreConfig, Mode
from .packet import Flag, Header, Packet, Sizes, identifier
from .projection import Projection
from .rice import RiceFormat


@dataclass(frozen=True, eq=False)
class Core:
    """What the core sends, with the tables that are in force.

    Parameters
    ----------
    config : CoreConfig
    codebook : Codebook, optional
        That of the encoder; by default the configuration's.
    projection : Projection, optional
        What the projector is loaded with.
    """

    config: CoreConfig
    codebook: Codebook | None = None
    projection: Projection | None = None

    def packet(
        self, pixels: ArrayLike, mode: Mode, *, number: int = 0, flags: Flag = Flag.NONE, whole: bool = True
    ) -> Packet:
        """Packet of a frame, short, long or whole.

        Parameters
        ----------
        pixels : array_like of int
            Counts as they came, row by row; of any number.
        mode : Mode
        number : int
            Of the frame.
        flags : Flag
            What does not follow from the pixels: `DROPPED`, `FIRST`, `UNCORRECTABLE`.
        whole : bool
            Whether the frame ended with its last pixel; otherwise, with as many pixels, it is `LONG`.
        """
        frame, size = np.ravel(pixels), self.config.frame.pixels
        if frame.size < size:
            flags |= Flag.SHORT
        elif frame.size > size or not whole:
            flags |= Flag.LONG
        counts = np.zeros(size, np.uint16)
        counts[: frame.size] = frame[:size]
        payload, found = self.payload(counts, mode)
        coded, projects = mode not in (Mode.RAW, Mode.COUNT_COEFFICIENTS), mode.projects
        header = Header(
            sizes=Sizes.of(self.config),
            mode=mode,
            flags=flags | found,
            frame=number,
            codebook=self._codebook_identifier if coded else 0,
            weights=self._weights_identifier if projects else 0,
        )
        return Packet.build(header, payload)

    def payload(self, counts: NDArray[np.integer], mode: Mode) -> tuple[bytes, Flag]:
        """Payload of a whole frame, (N,), and what is to be said of its values."""
        config, flags = self.config, Flag.NONE
        if mode not in config.modes:
            raise ValueError(f"mode {mode.label}: the core is built for {', '.join(config.output.modes)}")
        values: NDArray[Any] = counts
        bits, signed = config.frame.count_bits, False
        if mode not in (Mode.RAW, Mode.COUNT_COEFFICIENTS):
            if (counts >= self._book.edges[-1]).any():
                flags |= Flag.CLIPPED
            values, bits = self._book.encode(np.minimum(counts, self._book.edges[-1] - 1)), config.codebook.code_bits
        if mode == Mode.ZEROMASK:
            return zeromask.encode(values, bits), flags
        if mode == Mode.RICE:
            rice = RiceFormat(width=config.frame.width, code_bits=bits, block=config.output.rice_block)
            shape = (1, config.frame.height, config.frame.width)
            return rice.encode(values.reshape(shape))[0], flags
        if mode.projects:
            values, saturated = self._projection.project(values)
            bits, signed = config.projector.output_bits, True
            if saturated.any():
                flags |= Flag.SATURATED
        return packer.pack(values, bits, signed=signed).tobytes(), flags

    @cached_property
    def _codebook_identifier(self) -> int:
        return identifier(self._book.thresholds(self.config.codebook.code_bits))

    @cached_property
    def _weights_identifier(self) -> int:
        return identifier(self._projection.words(self.config.frame.lanes))

    @property
    def _book(self) -> Codebook:
        return self.config.codebook if self.codebook is None else self.codebook

    @property
    def _projection(self) -> Projection:
        if self.projection is None:
            raise ValueError("projection: None, expected one for modes that project")
        return self.projection
