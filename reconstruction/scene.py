# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Two independent sets of counts of one object, simulated or measured, and how to judge what is made of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .acquisition import Acquisition, cell_benchmark, diffract, expose, split_counts
from .cxi import read_cxi
from .phantom import Phantom


@dataclass(frozen=True)
class Scene:
    """What a comparison of encoders runs on.

    Parameters
    ----------
    name
        Short, for files and tables; `title` is for people.
    acquisition
        Probe and scan.
    counts
        Two noise instances, uint16 (J, n, n) each.
    truth
        True transmission, complex64 (acquisition.object_shape), or None where nobody knows it.
    support
        Where images are compared, bool (acquisition.object_shape).
    region
        Square of the object array in which the Fourier ring correlation is taken.
    mask
        Invalid pixels of a frame, bool (n, n).
    refine_probe
        Whether the probe is only a first guess.
    frc_kind
        Half-bit threshold that applies: "two" full data sets, or one "split" in half.
    """

    name: str
    title: str
    acquisition: Acquisition
    counts: tuple[NDArray[np.uint16], NDArray[np.uint16]]
    truth: NDArray[np.complex64] | None
    support: NDArray[np.bool_]
    region: tuple[slice, slice]
    mask: NDArray[np.bool_]
    refine_probe: bool
    frc_kind: str


def simulated(phantom: Phantom, photons: float, *, seed: int, quick: bool = False) -> Scene:
    """The cell benchmark at `photons` photons on the object; `quick` scans its middle quarter only."""
    rows, columns = (33, 34) if quick else (66, 68)
    bench = cell_benchmark(phantom, photons, rows=rows, columns=columns)
    intensity = diffract(bench.object, bench.acquisition)
    window = bench.acquisition.window
    inside = np.zeros_like(bench.support)
    inside[bench.region] = True
    return Scene(
        name=f"{photons:.0e}".replace("e+0", "e"),
        title=f"Simulated cell, {photons:.0e} photons".replace("e+0", "e"),
        acquisition=bench.acquisition,
        counts=(expose(intensity, seed), expose(intensity, seed + 1)),
        truth=bench.object,
        support=bench.support & inside,
        region=_square(bench.region),
        mask=np.zeros((window, window), np.bool_),
        refine_probe=False,
        frc_kind="two",
    )


def measured(path: str | Path, *, seed: int) -> Scene:
    """Frames of a CXI file, split binomially into two half doses."""
    scan = read_cxi(path)
    acquisition = scan.acquisition()
    # Below a fifth of the largest dose, at the rim of the scan, the halves agree on little but the probe's errors.
    lit = acquisition.coverage(0.2)
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    return Scene(
        name=Path(path).stem,
        title=f"{Path(path).name}, {len(scan.frames)} frames, two halves by binomial splitting",
        acquisition=acquisition.scaled(acquisition.photons / 2),
        counts=split_counts(scan.frames, seed),
        truth=None,
        support=lit,
        region=_square(box),
        mask=scan.mask,
        refine_probe=True,
        frc_kind="split",
    )


def _square(region: tuple[Any, ...]) -> tuple[slice, slice]:
    """Largest square in the middle of a rectangle."""
    extents = [s.stop - s.start for s in region]
    side = min(extents)
    starts = [s.start + (extent - side) // 2 for s, extent in zip(region, extents, strict=True)]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
