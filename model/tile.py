# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Tile of a detector with a hard-wired projector among its pixels: sizes, and stand-in weights to measure it with."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .projection import Projection, ProjectionFormat


@dataclass(frozen=True, kw_only=True)
class TileConfig:
    """A tile of pixels whose coefficients leave once a clock, with weights that never change.

    Parameters
    ----------
    name : str
    height, width : int
        Pixels of the tile, all of which come at once.
    count_bits : int
        Of a pixel, 1 to 16.
    components : int
        S', coefficients of a tile.
    weight_bits, output_bits : int
        Of a weight and of a coefficient.
    adders_per_stage : int or None
        Levels of adders between two registers; None: one register, at the output.

    Raises
    ------
    ValueError
        For a size out of range.
    """

    name: str = "tile"
    height: int = 8
    width: int = 8
    count_bits: int = 10
    components: int = 4
    weight_bits: int = 8
    output_bits: int = 10
    adders_per_stage: int | None = None

    def __post_init__(self) -> None:
        _ = self.format
        if self.pixels > 1024 or self.components > 1024:
            raise ValueError(f"{self.name}: {self.pixels} pixels, {self.components} components, expected 1024 at most")

    @property
    def pixels(self) -> int:
        """N."""
        return self.height * self.width

    @property
    def ratio(self) -> float:
        """Bits of the pixels over bits of the coefficients."""
        return self.pixels * self.count_bits / (self.components * self.output_bits)

    @property
    def format(self) -> ProjectionFormat:
        """Sizes of the projector."""
        return ProjectionFormat(
            pixels=self.pixels,
            components=self.components,
            input_bits=self.count_bits,
            weight_bits=self.weight_bits,
            output_bits=self.output_bits,
        )

    def weights(self) -> NDArray[np.int64]:
        """Stand-in for learned components, int64 (S', N): plane waves of low frequency, no two phases alike.

        Principal components of smooth, stationary frames tend to plane waves. Whatever is symmetric in a matrix would
        be shared by the adder graph, and make its area too small: so phases are multiples of the golden angle.
        """
        y, x = np.mgrid[: self.height, : self.width]
        waves = sorted(((u, v) for u in range(32) for v in range(32)), key=lambda w: (w[0] ** 2 + w[1] ** 2, w))
        limit = (1 << (self.weight_bits - 1)) - 1
        golden = np.pi * (3 - 5**0.5)
        rows = [
            np.cos(np.pi * ((u + 0.5) * y / self.height + (v + 0.25) * x / self.width) + golden * (k + 1))
            for k, (u, v) in enumerate(waves[: self.components])
        ]
        return np.rint(limit * np.array(rows)).astype(np.int64).reshape(self.components, self.pixels)

    def projection(self) -> Projection:
        """The golden model with these weights, shifted so that no coefficient saturates."""
        weights, size = self.weights(), self.format
        extent = np.maximum(weights.clip(min=0).sum(axis=1), -weights.clip(max=0).sum(axis=1))
        largest = extent * size.input_format.maximum
        shift = [max(int(top).bit_length() + 1 - size.output_bits, 0) for top in largest]
        return Projection(size, weights, shift=np.array(shift))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def named(cls, name: str) -> Self:
        """One of the tiles of `TILES`.

        Raises
        ------
        ValueError
            If there is none of that name.
        """
        if name not in TILES:
            raise ValueError(f"tile {name!r}: known are {', '.join(TILES)}")
        return cls(**TILES[name])


TILES: dict[str, dict[str, Any]] = {
    "inpixel-tile": {
        "name": "inpixel_tile",
        "height": 16,
        "width": 16,
        "count_bits": 10,
        "components": 5,
        "output_bits": 10,
    },
}
"""Tiles by name: 10 bit pixels at 51:1, as AI-In-Pixel-65 has them at 50:1."""
