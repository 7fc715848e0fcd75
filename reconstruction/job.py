# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""One reconstruction as a unit of work for another process: files in, file out, resumable."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from .acquisition import Acquisition


@dataclass(frozen=True)
class Job:
    """A reconstruction to be made.

    Parameters
    ----------
    frames
        .npy file (J, n, n): codes, unsigned, or intensities, counts among them.
    levels
        Count of each code, float32 (levels,); None if the file holds intensities.
    mask
        Invalid pixels of a frame, bool (n, n).
    acquisition
        Probe and scan.
    settings
        Keyword arguments of `reconstruct`.
    """

    frames: Path
    levels: NDArray[np.float32] | None
    mask: NDArray[np.bool_]
    acquisition: Acquisition
    settings: dict[str, Any]

    def key(self) -> str:
        """Name of the outcome: the same if, and only if, everything that it depends on is."""
        import torch

        hashed = hashlib.sha256(self.frames.read_bytes())
        arrays = (self.levels, self.mask, self.acquisition.probe, self.acquisition.positions)
        for array in arrays:
            hashed.update(b"none" if array is None else repr((array.dtype, array.shape)).encode() + array.tobytes())
        others = (self.acquisition.object_shape, sorted(self.settings.items()), __version__, torch.__version__)
        hashed.update(repr(others).encode())
        return hashed.hexdigest()[:24]

    def run(self, out: Path, progress: Callable[[int, int, float], None] | None = None) -> Path:
        """Reconstruct into `out`/KEY.npz (object, probe, losses), or find it there from an earlier run."""
        from .engine import reconstruct

        path = out / f"{self.key()}.npz"
        if not path.exists():
            values = np.load(self.frames)
            frames = values.astype(np.float32) if self.levels is None else np.take(self.levels, values)
            frames[:, self.mask] = np.nan
            found = reconstruct(frames, self.acquisition, progress=progress, **self.settings)
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                with part.open("wb") as file:
                    np.savez(file, object=found.object, probe=found.probe, losses=np.array(found.losses))
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return path
