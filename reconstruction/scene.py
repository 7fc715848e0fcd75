# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Two independent sets of counts of one object, simulated or measured, and how to judge what is made of them."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .acquisition import FULL_SCALE, Acquisition, cell_benchmark, diffract, expose, split_counts
from .cxi import read_cxi
from .phantom import Phantom
from .scan import Scan


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
    count_bits
        Width of a count as the detector sends it.
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
    count_bits: int
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
        region=_square(inside),
        count_bits=FULL_SCALE.bit_length(),
        mask=np.zeros((window, window), np.bool_),
        refine_probe=False,
        frc_kind="two",
    )


def measured(path: str | Path, *, seed: int) -> Scene:
    """Frames of a CXI file, split binomially into two half doses."""
    return halves(read_cxi(path), Path(path), seed=seed)


def halves(scan: Scan, path: Path, *, seed: int) -> Scene:
    """Frames of a scan, split binomially into two half doses; its file gives the name."""
    acquisition = scan.acquisition()
    # Below a fifth of the largest dose, at the rim of the scan, the halves agree on little but the probe's errors.
    lit = acquisition.coverage(0.2)
    return Scene(
        name=re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem)[:80],
        title=f"{path.name}, {len(scan.frames)} frames, two halves by binomial splitting",
        acquisition=acquisition.scaled(acquisition.photons / 2),
        counts=split_counts(scan.counts, seed),
        truth=None,
        support=lit,
        region=_square(lit),
        count_bits=max(1, int(scan.frames.max()).bit_length()),
        mask=scan.mask,
        refine_probe=True,
        frc_kind="split",
    )


def _square(inside: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Largest square about the middle of what is `inside` that holds nothing else.

    What no light fell on is the same in all reconstructions, and would correlate.
    """
    edges = [np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0)]
    row, column = (int(edge[0] + edge[-1] + 1) // 2 for edge in edges)
    half = min(row, column, inside.shape[0] - row, inside.shape[1] - column)
    while half and not inside[row - half : row + half, column - half : column + half].all():
        half -= 1
    if half < 4:
        raise ValueError("the scan lights no square of 8 object pixels evenly: nothing to correlate")
    return slice(row - half, row + half), slice(column - half, column + half)
