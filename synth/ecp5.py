# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""A component placed and routed on a Lattice ECP5 as it stands, without registers at its ports."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .designs import Design
from .fpga import SEEDS, TARGETS, synthesise

_TARGET = TARGETS["ecp5"]
DEVICES = tuple(_TARGET.devices)
"""Devices as nextpnr's options name them: LFE5U, LFE5UM and LFE5UM5G with so many thousand LUTs."""


@dataclass(frozen=True)
class Placed:
    """A component on an ECP5.

    Parameters
    ----------
    fmax : dict of int to float
        Clock rate by seed, MHz, from register to register: ports have no pins and no timing.
    lut4 : int
        LUT4s used, for logic, for carries and as distributed memory.
    carry, memory : int
        Of `lut4`, those in carry chains, and those that are distributed memory.
    flip_flops : int
    dsp : int
        MULT18X18D.
    block_ram : int
        DP16KD, 18 kbit each.
    critical_path : str
        Longest path of the seed with the median clock rate: delay in ns and end of each of its parts that take time.
    """

    fmax: dict[int, float]
    lut4: int
    carry: int
    memory: int
    flip_flops: int
    dsp: int
    block_ram: int
    critical_path: str

    @property
    def median(self) -> float:
        """Clock rate of the median seed, MHz; the lower of two."""
        return statistics.median_low(self.fmax.values())


def place_and_route(
    component: Any, *, device: str = "85k", speed: int = 6, seeds: Sequence[int] = SEEDS, workers: int = 1
) -> Placed:
    """Synthesise an Amaranth component with yosys, place and route it with nextpnr.

    Parameters
    ----------
    component : amaranth.lib.wiring.Component
        With one clock.
    device, speed, seeds, workers
        As for `synthesise`.

    Raises
    ------
    ValueError
        For an unknown device or speed grade, or no seed, or one twice.
    RuntimeError
        If a tool is missing or fails, with its last words; if the component has not one clock, or does not fit.
    """
    result = synthesise(
        Design("component", {}, component, {}),
        _TARGET,
        device=device,
        speed=speed,
        seeds=seeds,
        workers=workers,
        registered=False,
    )
    used, has = result.resources, result.capacity
    if used is None or not result.fmax:
        raise RuntimeError(f"the component does not fit an ECP5 {device}: it takes {used}, there is {has}")
    return Placed(
        fmax=result.fmax,
        lut4=used.lut,
        carry=used.carry,
        memory=used.memory_lut,
        flip_flops=used.flip_flops,
        dsp=used.dsp,
        block_ram=used.block_ram,
        critical_path=result.critical_path,
    )
