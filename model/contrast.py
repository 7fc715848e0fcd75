# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""How strongly an object scatters, and a training object that scatters as strongly.

The literature uses the object's fractional scattering without a formula; this is ours. The diffraction patterns of a
scan, averaged over its positions, are the probe's own far field P, weakened, plus what the object scatters out of it.
The core are the brightest pixels of P that together hold half of its photons; alpha = sum of the mean pattern over the
core / sum of P over the core is what is left of the probe. The halo are the dimmest pixels of P, that together hold at
most a hundredth of its photons: what is found there is scattered. With it

    kappa = (sum of the mean pattern over the halo - alpha sum of P over the halo) / (alpha sum of P)

are the photons that the object scattered clear of the probe for each that it left: 0 without object, and growing with
the square of a weak one's phase. Only the shape of P enters, not its photons, so the probe need not be measured at the
same exposure. Taking all but the core for the halo would count some more of the scattered photons, and with them half
of the probe's, whose noise hides a weak object: on the cell benchmark kappa is twice as large then, its noise ten
times.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

CORE = 0.5
"""Share of the probe's photons in its core."""

HALO = 0.01
"""Share of the probe's photons in its halo."""

_STEPS = 20  # of a factor of 2 in search of a bracket


def kappa(mean_pattern: ArrayLike, probe_pattern: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Scattering of an object relative to the probe that passes it, as the module defines it.

    Parameters
    ----------
    mean_pattern : array_like
        Counts or intensities averaged over the positions of a scan, (rows, columns), photons.
    probe_pattern : array_like
        The probe's own far field, without object, on any scale, (rows, columns).
    mask : array_like of bool, optional
        Invalid pixels; they count neither here nor there.

    Raises
    ------
    ValueError
        If shapes differ, a valid pixel is negative or not finite, or there is no light in the probe or its core.
    """
    mean, probe = np.asarray(mean_pattern, np.float64), np.asarray(probe_pattern, np.float64)
    if mean.shape != probe.shape:
        raise ValueError(f"mean pattern of shape {mean.shape}, probe pattern of {probe.shape}: expected the same")
    if mask is not None:
        valid = ~np.asarray(mask, np.bool_)
        if valid.shape != mean.shape:
            raise ValueError(f"mask has shape {valid.shape}, the patterns {mean.shape}")
        mean, probe = mean[valid], probe[valid]
    for name, pattern in (("mean", mean), ("probe", probe)):
        if not (np.isfinite(pattern).all() and (pattern >= 0).all()):
            raise ValueError(f"{name} pattern holds negative values, infinity or NaN: mark invalid pixels by the mask")
    mean, probe = mean.ravel(), probe.ravel()
    order = np.argsort(-probe, kind="stable")
    held = np.cumsum(probe[order])
    if not held.size or held[-1] == 0:
        raise ValueError("probe pattern holds no light")
    core = order[: int(np.searchsorted(held, CORE * held[-1])) + 1]
    halo = order[int(np.searchsorted(held, (1 - HALO) * held[-1])) + 1 :]
    if not halo.size:
        raise ValueError(f"probe pattern is too flat: every pixel holds more than {HALO:.0%} of its photons")
    alpha = mean[core].sum() / probe[core].sum()
    if alpha == 0:
        raise ValueError("mean pattern holds no light where the probe is brightest: do the two fit together?")
    return float((mean[halo].sum() - alpha * probe[halo].sum()) / (alpha * probe.sum()))


def match_contrast(kappa_of: Callable[[float], float], target: float) -> float:
    """Contrast eta of a training object at which it scatters as the sample does.

    Parameters
    ----------
    kappa_of : callable
        Kappa of the training object whose phase and absorption are scaled by eta: a simulated scan. It must grow with
        eta up to the target, as it does until phases wrap.
    target : float
        The sample's kappa.

    Returns
    -------
    float
        The smallest eta found with kappa_of(eta) = target, to 1e-3 of itself.

    Raises
    ------
    ValueError
        If the target is not positive, or no contrast from 2**-20 to 2**20 reaches it before kappa falls again.
    """
    if not 0 < target < np.inf:
        raise ValueError(f"target must be a positive kappa, got {target!r}: the sample scatters nothing that shows")
    found: dict[float, float] = {}

    def excess(eta: float) -> float:
        if eta not in found:
            found[eta] = kappa_of(eta) - target
        return found[eta]

    high = 1.0
    for _ in range(_STEPS):
        if excess(high) >= 0:
            break
        high *= 2
        if excess(high) < excess(high / 2):
            raise ValueError(f"kappa {target:.3g} is out of reach: the training object reaches {_most(found, target)}")
    low = high / 2
    for _ in range(_STEPS):
        if excess(low) < 0 <= excess(high):
            return float(brentq(excess, low, high, rtol=1e-3, xtol=1e-12))  # type: ignore[arg-type]
        low, high = low / 2, low
    raise ValueError(f"kappa {target:.3g} is out of reach: the training object reaches {_most(found, target)}")


def _most(found: dict[float, float], target: float) -> str:
    eta = max(found, key=lambda at: found[at])
    return f"at most {found[eta] + target:.3g}, at contrast {eta:g}"
