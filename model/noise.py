# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Noise of a detector's counts: photon statistics, gain, read noise, pedestal."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Noise:
    """What a count means in photons, and how far it is uncertain.

    A count x stands for (x - pedestal) / gain photons. The defaults are those of a photon counter, whose
    counts are Poisson.

    Parameters
    ----------
    gain : float
        Counts (ADU) per photon, greater than 0.
    read_noise : float
        Standard deviation of the read-out, in photons, 0 or more.
    pedestal : float
        Counts (ADU) without light, 0 or more.

    Raises
    ------
    ValueError
        For a parameter outside its range.
    """

    gain: float = 1.0
    read_noise: float = 0.0
    pedestal: float = 0.0

    def __post_init__(self) -> None:
        for field, low, text in (
            ("gain", 0, "greater than 0"),
            ("read_noise", None, "0 or more"),
            ("pedestal", None, "0 or more"),
        ):
            value = getattr(self, field)
            if not np.isfinite(value) or value < 0 or value == low:
                raise ValueError(f"{field} must be {text}, got {value!r}")

    def photons(self, counts: ArrayLike) -> NDArray[np.float64]:
        """Photons for each count (float64, same shape; negative below the pedestal)."""
        return (np.asarray(counts, np.float64) - self.pedestal) / self.gain

    def counts(self, photons: ArrayLike) -> NDArray[np.float64]:
        """Mean count for each mean number of photons (float64, same shape)."""
        return np.asarray(photons, np.float64) * self.gain + self.pedestal

    def sigma(self, counts: ArrayLike) -> NDArray[np.float64]:
        """Standard deviation of a count whose mean is `counts`, in counts (float64, same shape)."""
        photons = np.maximum(self.photons(counts), 0.0)
        return self.gain * np.sqrt(self.read_noise**2 + photons)

    def first_count(self, steps: int, alpha: float) -> int:
        """Smallest count that lies `steps` noise steps of alpha * sigma above the pedestal.

        The scale 2 / alpha * (sqrt(r^2 + n) - r) for n photons and read noise r has steps of alpha standard
        deviations (Bernstein et al., PASP 122, 336, 2010); below the pedestal, where only the read noise is
        left, it goes on as n / (alpha r). Both are inverted exactly, in rational numbers.
        """
        gain, read, pedestal, step = (Fraction(x) for x in (self.gain, self.read_noise, self.pedestal, alpha))
        photons = steps * step * read
        if steps > 0:
            photons += (steps * step) ** 2 / 4
        return -((-(pedestal + gain * photons)) // 1)
