# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What compresses frames, the golden model or the simulated hardware, and how the two are compared."""

from enum import StrEnum
from typing import Any

import numpy as np
import typer
from numpy.typing import NDArray

from ..model.codebook import Codebook
from .console import console

LANES, COLUMNS = 8, 8
"""Of the hardware that is simulated."""


class Engine(StrEnum):
    """What compresses."""

    MODEL = "model"
    RTL = "rtl"


def hardware_encoder(book: Codebook) -> Any:
    """Encoder of a codebook; counts wider than its own by a bit, so that those above the range are for it to find."""
    from ..hdl.encoder import ShiftEncoder, TableEncoder, allows_shifts

    encoder = ShiftEncoder if allows_shifts(book) else TableEncoder
    return encoder(book, lanes=LANES, input_bits=book.count_bits + 1)


def limited(counts: NDArray[Any], bits: int) -> NDArray[Any]:
    """Counts above the range of so many bits become the largest of it."""
    limit = (1 << bits) - 1
    return np.minimum(counts, counts.dtype.type(limit)) if np.iinfo(counts.dtype).max > limit else counts


def compare(model: dict[str, NDArray[Any]], hardware: dict[str, NDArray[Any]], start: int) -> None:
    """Leave with exit status 1, and a line that says where, if anything differs; `start` is the first frame's number.

    The first axis of all arrays is that of the frames.
    """
    for name, expected in model.items():
        differs = expected != hardware[name]
        if differs.any():
            frame = start + int(np.argwhere(differs)[0][0])
            console.print(
                f"the hardware differs from the golden model: {np.count_nonzero(differs)} {name}, the first in frame"
                f" {frame}; nothing was written",
                style="red",
                soft_wrap=True,
            )
            raise typer.Exit(1)
