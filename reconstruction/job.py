# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""One reconstruction as a unit of work for another process: files in, file out, resumable."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..model.codebook import Codebook
from ..model.weights import load
from .acquisition import Acquisition

if TYPE_CHECKING:
    from .losses import Loss

LossName = Literal["amplitude", "poisson", "interval", "coefficients"]


@dataclass(frozen=True)
class Job:
    """A reconstruction to be made.

    Parameters
    ----------
    frames
        .npy file (J, n, n): codes, unsigned, or intensities, counts among them; (J, S') for coefficients.
    levels
        Count of each code, float32 (levels,), where codes are decoded before they are compared; else None.
    mask
        Invalid pixels of a frame, bool (n, n); for coefficients the compressor has its own.
    acquisition
        Probe and scan.
    settings
        Keyword arguments of `reconstruct`.
    loss
        What the file is compared by: "amplitude" or "poisson", intensities or decoded levels; "interval", codes of
        `codebook` as they are; "coefficients", those of `weights`.
    codebook
        For the loss "interval".
    weights
        Weights file of the compressor, for the loss "coefficients".
    full_scale
        For the loss "poisson": counts from here on mean at least so many photons.
    background
        For all but the loss "amplitude": photons added to every mean, by default what the loss has.
    """

    frames: Path
    levels: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    acquisition: Acquisition
    settings: dict[str, Any]
    loss: LossName = "amplitude"
    codebook: Codebook | None = None
    weights: Path | None = None
    full_scale: float | None = None
    background: float | None = None

    def __post_init__(self) -> None:
        for name, given, needed in (("codebook", self.codebook, "interval"), ("weights", self.weights, "coefficients")):
            if (given is not None) != (self.loss == needed):
                raise ValueError(f"loss {self.loss!r} with {name} {given!r}: {needed!r}, and only it, takes one")

    def key(self) -> str:
        """Name of the outcome: the same if, and only if, everything that it depends on is."""
        import torch

        hashed = hashlib.sha256(self.frames.read_bytes())
        if self.weights is not None:
            hashed.update(self.weights.read_bytes())
        arrays = (self.levels, self.mask, self.acquisition.probe, self.acquisition.positions)
        for array in arrays:
            hashed.update(b"none" if array is None else repr((array.dtype, array.shape)).encode() + array.tobytes())
        others = (self.acquisition.object_shape, sorted(self.settings.items()), __version__, torch.__version__)
        compared = (self.loss, self.codebook and self.codebook.edges, self.full_scale, self.background)
        hashed.update(repr((others, compared)).encode())
        return hashed.hexdigest()[:24]

    def data(self) -> "Loss":
        """The data of the file, and how they are compared."""
        from .losses import AmplitudeLoss, CoefficientLoss, IntervalLoss, PoissonLoss

        values = np.load(self.frames)
        more: dict[str, Any] = {} if self.background is None else {"background": self.background}
        if self.weights is not None:
            return CoefficientLoss(values, load(self.weights), **more)
        if self.codebook is not None:
            return IntervalLoss(values, self.codebook, mask=self.mask, **more)
        frames = values.astype(np.float32) if self.levels is None else np.take(self.levels, values)
        frames[:, self.mask] = np.nan
        if self.loss == "amplitude":
            return AmplitudeLoss(frames)
        return PoissonLoss(frames, full_scale=self.full_scale, **more)

    def run(self, out: Path, progress: Callable[[int, int, float], None] | None = None) -> Path:
        """Reconstruct into `out`/KEY.npz (object, probe, losses), or find it there from an earlier run."""
        from .engine import reconstruct

        path = out / f"{self.key()}.npz"
        if not path.exists():
            found = reconstruct(self.data(), self.acquisition, progress=progress, **self.settings)
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                with part.open("wb") as file:
                    np.savez(file, object=found.object, probe=found.probe, losses=np.array(found.losses))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return path
