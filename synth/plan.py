# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Lanes and columns of a core for a frame rate and a ratio, or by how much that is too fast."""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from ..model.config import CoreConfig
from .scaling import Fit, memory_bits

LANES = (1, 2, 4, 8, 16, 32, 64)
"""What a core can have."""

COLUMNS = 1024
"""Columns that a projector can have at most."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked of a core.

    Parameters
    ----------
    height, width : int
        Pixels of a frame.
    rate : float
        Frames a second.
    ratio : float
        Pixels of a frame over its coefficients, N / S'.
    clock_mhz : float
    count_bits, weight_bits, output_bits : int
        Of a count, a weight and a coefficient.
    codebook : str
    parts : str
        "portable" or "ecp5", as the configuration's target.
    protect : bool
        Whether memories carry check bits.

    Raises
    ------
    ValueError
        For a rate, a ratio or a clock that is none.
    """

    height: int
    width: int
    rate: float
    ratio: float
    clock_mhz: float
    count_bits: int = 14
    weight_bits: int = 8
    output_bits: int = 16
    codebook: str = "sqrt-b"
    parts: str = "portable"
    protect: bool = True

    def __post_init__(self) -> None:
        for name in ("rate", "clock_mhz"):
            value = getattr(self, name)
            if not 0 < value < 1e12:
                raise ValueError(f"--{name.removesuffix('_mhz')} {value:g}: expected a number above 0")
        if self.height < 1 or self.width < 1:
            raise ValueError(f"--pixels {self.height}x{self.width}: expected a row of one pixel or more")
        pixels = self.height * self.width
        if not 1 <= self.ratio <= pixels:
            raise ValueError(f"--ratio {self.ratio:g}: expected 1 to {pixels}, the pixels of a frame")

    @property
    def components(self) -> int:
        """S'."""
        return int(self.height * self.width / self.ratio)

    @property
    def clocks(self) -> int:
        """Clocks that there are for a frame."""
        # A rate that is a clock over so many clocks, rounded, is not to lose one of them.
        return int(self.clock_mhz * 1e6 / self.rate * (1 + 1e-12))

    def config(self, lanes: int, columns: int) -> CoreConfig:
        """Core with so many lanes and columns.

        Raises
        ------
        ValueError
            If there is none.
        """
        return CoreConfig.from_dict(
            {
                "name": f"core_{self.height}x{self.width}",
                "frame": {
                    "height": self.height,
                    "width": self.width,
                    "count_bits": self.count_bits,
                    "lanes": lanes,
                },
                "encoder": {"codebook": self.codebook},
                "projector": {
                    "components": self.components,
                    "columns": columns,
                    "weight_bits": self.weight_bits,
                    "output_bits": self.output_bits,
                },
                "output": {"modes": ["code-coefficients", "codes"]},
                "protect": self.protect,
                "target": self.parts,
            },
            where="plan",
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A core that keeps up.

    Parameters
    ----------
    config : CoreConfig
    frame_clocks : int
        Clocks of a frame in the mode of coefficients.
    rate : float
        Frames a second that it keeps up with.
    area : dict of str to float
        Expected gate equivalents of projector and rest, without memories.
    memory_bits : dict of str to int
    """

    config: CoreConfig
    frame_clocks: int
    rate: float
    area: dict[str, float]
    memory_bits: dict[str, int]

    @property
    def multipliers(self) -> int:
        """P C."""
        return self.config.frame.lanes * self.config.projector.columns

    @property
    def bit_ratio(self) -> float:
        """Bits of a frame's counts over bits of its coefficients."""
        config = self.config
        counts = config.frame.pixels * config.frame.count_bits
        return counts / (config.projector.components * config.projector.output_bits)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "possible": True,
            "lanes": self.config.frame.lanes,
            "columns": self.config.projector.columns,
            "components": self.config.projector.components,
            "multipliers": self.multipliers,
            "frame_clocks": self.frame_clocks,
            "rate": self.rate,
            "bit_ratio": self.bit_ratio,
            "gate_equivalents": self.area,
            "memory_bits": self.memory_bits,
            "configuration": self.config.to_dict(),
        }


@dataclass(frozen=True, kw_only=True)
class Impossible:
    """Why there is no core.

    Parameters
    ----------
    factor : float
        How many times too fast.
    frame_clocks, clocks : int
        Clocks that a frame takes at least, and that there are.
    lanes : int
        With which it takes them.
    rate : float
        Frames a second that are possible.
    clock_mhz : float
        With which it would be possible.
    parts : int or None
        Cores that it takes if each has some of the rows; None if even a row is too much for one.
    """

    factor: float
    frame_clocks: int
    clocks: int
    lanes: int
    rate: float
    clock_mhz: float
    parts: int | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"possible": False, **self.__dict__}


def propose(wish: Wish, fit: Fit) -> Plan | Impossible:
    """Smallest core, by its expected area, that takes a frame within the clocks that there are.

    A frame takes (N / P) ceil(S' / C) clocks. P is a power of two, 64 at most, that divides the pixels of a row; the
    output has to carry what comes in. So N / P clocks are the least, whatever the columns.

    Raises
    ------
    ValueError
        If no core whatever has such frames, with the reason.
    """
    plans, fastest = _plans(wish, fit)
    if plans:
        return min(plans, key=lambda plan: (sum(plan.area.values()), plan.config.frame.lanes))
    clocks, lanes = fastest
    return Impossible(
        factor=clocks * wish.rate / (wish.clock_mhz * 1e6),
        frame_clocks=clocks,
        clocks=wish.clocks,
        lanes=lanes,
        rate=wish.clock_mhz * 1e6 / clocks,
        clock_mhz=clocks * wish.rate / 1e6,
        parts=next((parts for parts in range(2, wish.height + 1) if _shared(wish, parts, fit)), None),
    )


def _shared(wish: Wish, parts: int, fit: Fit) -> bool:
    """Whether so many cores keep up that share the rows of a frame, the largest of them with a row more than others."""
    rows = ceil(wish.height / parts)
    if rows == ceil(wish.height / (parts - 1)):
        # As one core less, which did not.
        return False
    try:
        plans, _ = _plans(replace(wish, height=rows, ratio=min(wish.ratio, rows * wish.width)), fit)
    except ValueError:
        return False
    return bool(plans)


def _plans(wish: Wish, fit: Fit) -> tuple[list[Plan], tuple[int, int]]:
    """Cores that keep up, the smallest for each number of lanes; fewest clocks of a frame, and lanes for it.

    Raises
    ------
    ValueError
        If no core whatever has such frames, with the reason.
    """
    plans: list[Plan] = []
    fastest: tuple[int, int] | None = None
    refused: ValueError | None = None
    for lanes in (lanes for lanes in LANES if wish.width % lanes == 0):
        beats = wish.height * wish.width // lanes
        # Columns enough, or as many as a core can have.
        phases = max(wish.clocks // beats, ceil(wish.components / COLUMNS), 1)
        columns = ceil(wish.components / phases)
        try:
            config = wish.config(lanes, columns)
        except ValueError as error:
            refused = refused or error
            continue
        clocks = beats * ceil(wish.components / columns)
        if fastest is None or clocks < fastest[0]:
            fastest = clocks, lanes
        if clocks <= wish.clocks:
            rate = wish.clock_mhz * 1e6 / clocks
            plans.append(
                Plan(
                    config=config,
                    frame_clocks=clocks,
                    rate=rate,
                    area=fit.area(config),
                    memory_bits=memory_bits(config),
                )
            )
    if fastest is None:
        raise refused or ValueError("no core has such frames")
    return plans, fastest
