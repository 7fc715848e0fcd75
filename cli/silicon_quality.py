# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What an arithmetic of the projector costs: error of the coefficients, and of the image, on a simulated scan.

Not imported with the command line: it needs PyTorch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
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


class Judge:
    """Every arithmetic on one kind of values of a simulated scene, with the same components for all.

    What takes time is done when it is first needed.

    Parameters
    ----------
    scene
        Makes the scene, whose first noise instance is projected.
    transform
        What becomes of counts.
    count
        S'.
    epochs
        Of each reconstruction; 0: no images.
    """

    def __init__(self, scene: Callable[[], Scene], transform: Transform, count: int, epochs: int) -> None:
        self._make_scene = scene
        self.transform = transform
        self.count = count
        self.epochs = epochs
        bits = transform.input_bits
        self.ways: dict[str, Callable[[], Coefficients]] = {"exact": lambda: self.exact}
        for value_bits, weight_bits in FIXED:
            if value_bits == bits:
                self.ways[f"ours, {bits} x {weight_bits} bits"] = partial(self._fixed, weight_bits)
        for total in (TOTAL, WIDE_TOTAL):
            self.ways[f"{WEIGHT}, {PRODUCT}, {total}"] = partial(self._floating, total)

    def judge(self, name: str) -> Quality:
        """Figures of one of the `ways`."""
        found, scene = self.ways[name](), self.scene
        error = found - self.exact
        row = Quality(str(self.transform), name, self.count)
        row.relative = float(np.sqrt(np.mean(error**2) / np.mean(self.exact**2)))
        row.added_noise = float(np.mean(error**2) / self._variance)
        if self.epochs:
            image = self.exact_image if name == "exact" else self._image(found)
            row.smse = phase_error(scene, image)
            row.smse_exact = phase_error(replace(scene, truth=self.exact_image), image)
        return row

    @cached_property
    def scene(self) -> Scene:
        """What is projected."""
        return self._make_scene()

    @cached_property
    def values(self) -> NDArray[Any]:
        """Codes or counts, (J, n, n)."""
        return self.transform.forward(self.scene.counts[0])

    @cached_property
    def exact(self) -> Coefficients:
        """Coefficients of the components before rounding, (J, S')."""
        return self._learned[1].project(self.values)

    @cached_property
    def exact_image(self) -> NDArray[np.complex64]:
        """Reconstruction from exact coefficients."""
        return self._image(self.exact)

    @cached_property
    def _learned(self) -> tuple[NDArray[Any], Components]:
        return scene_components(self.scene, self.scene.acquisition, self.transform, self.count)

    @cached_property
    def _variance(self) -> float:
        """Mean variance of a coefficient by the photons' noise."""
        assert self.scene.truth is not None
        components = self._learned[1]
        intensity = diffract(self.scene.truth, self.scene.acquisition).reshape(len(self.values), -1)
        return float(np.mean(self.transform.noise_variance(intensity) @ (components.rows / components.noise).T ** 2))

    def _fixed(self, weight_bits: int) -> Coefficients:
        training, components = self._learned
        return fixed(components, training, self.values, weight_bits)

    def _floating(self, total: FloatFormat) -> Coefficients:
        return floating(self._learned[1], self.values, total)

    def _image(self, found: Coefficients) -> NDArray[np.complex64]:
        frames = self._learned[1].intensity(found).reshape(self.values.shape).astype(np.float32)
        return reconstruct(frames, self.scene.acquisition, epochs=self.epochs).object
