# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What an arithmetic of the projector costs: error of the coefficients, and of the image, on a simulated scan.

Not imported with the command line: it needs PyTorch.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from ..model.pca import Components
from ..model.quantise import quantise
from ..model.transform import Transform
from ..reconstruction.acquisition import diffract
from ..reconstruction.components import scene_components
from ..reconstruction.convergence import phase_error
from ..reconstruction.engine import reconstruct
from ..reconstruction.scene import Scene
from ..synth.peers.contenders import FIXED, WIDE_TOTAL
from ..synth.peers.floating import PRODUCT, TOTAL, WEIGHT, FloatFormat, accumulate

Coefficients = NDArray[np.float64]


@dataclass
class Quality:
    """One arithmetic on one kind of values.

    Attributes
    ----------
    values : str
        What is projected.
    arithmetic : str
    peer : bool
    components : int
    relative : float
        Rms error of the coefficients over their rms.
    added_noise : float
        Mean squared error of the coefficients over the variance that the photons give them.
    smse, smse_exact : float or None
        Phase error of the image against the truth, and against the image from exact coefficients, rad^2.
    """

    values: str
    arithmetic: str
    peer: bool
    components: int
    relative: float = 0.0
    added_noise: float = 0.0
    smse: float | None = None
    smse_exact: float | None = None


def fixed(components: Components, training: NDArray[Any], values: NDArray[Any], weight_bits: int) -> Coefficients:
    """Coefficients by the golden model of the projector: weights of `weight_bits`, coefficients of 16 bits."""
    compressor = quantise(components, training, weight_bits)
    found, _ = compressor.projection.project(values)
    return _recovered(components, compressor.matrix, found * compressor.step + compressor.offset)


def floating(components: Components, values: NDArray[Any], total: FloatFormat) -> Coefficients:
    """Coefficients by floating-point lanes: FP12 weights, FP16 products, sums of format `total`.

    The largest weight of a component is 1. Pixels come line by line; the mean frame's share is taken away afterwards,
    exactly.
    """
    largest = np.abs(components.matrix).max(axis=1, keepdims=True)
    weights = WEIGHT.round(components.matrix / largest)
    sums = accumulate(weights, values.reshape(len(values), -1), total=total) - weights @ components.mean
    return _recovered(components, weights * largest * components.noise, sums * largest[:, 0])


def _recovered(components: Components, matrix: NDArray[np.float64], found: Coefficients) -> Coefficients:
    """Coefficients of the components themselves from those of rounded ones, as `Compressor` expands them."""
    return found @ linalg.inv(components.rows @ matrix.T)


def qualities(
    scene: Scene,
    codes: Transform,
    count: int,
    epochs: int,
    step: Callable[[str], None] = lambda _: None,
) -> Iterator[Quality]:
    """Every arithmetic on codes and on counts of a simulated scene, on the same `count` components of each.

    Parameters
    ----------
    scene
        Its first noise instance is projected.
    codes
        What becomes of counts by the encoder.
    count
        S'.
    epochs
        Of each reconstruction; 0: no images.
    step
        Called with what was done.
    """
    assert scene.truth is not None
    counts, shape = scene.counts[0], scene.counts[0].shape
    intensity = diffract(scene.truth, scene.acquisition).reshape(len(counts), -1)
    for transform, bits in ((codes, codes.input_bits), (Transform(), scene.count_bits)):
        training, components = scene_components(scene, scene.acquisition, transform, count)
        values = transform.forward(counts)
        exact = components.project(values)
        variance = transform.noise_variance(intensity) @ (components.rows / components.noise).T ** 2
        step(f"components of {transform}")
        ways: list[tuple[str, bool, Callable[[], Coefficients]]] = [
            ("exact", False, lambda exact=exact: exact),
        ]
        ways += [
            (f"ours, {bits} x {weight_bits} bits", False, partial(fixed, components, training, values, weight_bits))
            for value_bits, weight_bits in FIXED
            if value_bits == bits
        ]
        ways += [
            (f"{WEIGHT}, {PRODUCT}, {total}", True, partial(floating, components, values, total))
            for total in (TOTAL, WIDE_TOTAL)
        ]
        exact_image = None
        for name, peer, project in ways:
            found = project()
            error = found - exact
            row = Quality(str(transform), name, peer, count)
            row.relative = float(np.sqrt(np.mean(error**2) / np.mean(exact**2)))
            row.added_noise = float(np.mean(error**2) / np.mean(variance))
            step(f"{transform}, {name}")
            if epochs:
                frames = components.intensity(found).reshape(shape).astype(np.float32)
                image = reconstruct(frames, scene.acquisition, epochs=epochs).object
                exact_image = image if exact_image is None else exact_image
                row.smse = phase_error(scene, image)
                row.smse_exact = phase_error(replace(scene, truth=exact_image), image)
                step(f"{transform}, {name}, image")
            yield row
