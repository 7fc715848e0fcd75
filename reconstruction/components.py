# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Components for a scene, learned before its frames are compressed, or from these frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.pca import Components, learn, pixel_noise
from ..model.transform import Transform
from .acquisition import Acquisition
from .scene import Scene
from .training import noise_free_patterns, training_object

OBJECTS = 4
"""Training objects of a simulation, each scanned at its share of the positions."""

MEASURED_OBJECTS = 8
"""Training objects for measured frames, which are few: each scanned at all positions."""


def scene_components(
    scene: Scene, acquisition: Acquisition, transform: Transform, count: int, *, own: bool = False
) -> tuple[NDArray[Any], Components]:
    """The strongest components of values like a scene's, and the values (J, n, n) that they were learned from.

    Parameters
    ----------
    scene
        What is to be compressed.
    acquisition
        The scene's, or the same with a better probe: what lights the training objects.
    transform
        What becomes of counts.
    count
        S', components.
    own
        Learn from the frames of the scene's first instance, noise and all, instead of noise-free training objects.
    """
    if own:
        counts = np.where(scene.mask, 0, scene.counts[0])
        values = transform.forward(counts)
        noise = pixel_noise(transform, counts.mean(axis=0)[None])
    else:
        shape, simulation = acquisition.object_shape, scene.truth is not None
        kinds = {"phase": 0.6} if simulation else {"phase": 1.0, "absorption": 0.3}
        objects, every = (OBJECTS, OBJECTS) if simulation else (MEASURED_OBJECTS, 1)
        drawn = (training_object(shape, seed, **kinds) for seed in range(objects))
        # Where the scan leaves the sample it sees the bare probe.
        bare = noise_free_patterns([np.ones(shape, np.complex64)], acquisition, chunk=1)
        patterns = np.concatenate([*noise_free_patterns(drawn, acquisition, every=every), next(bare)])
        values = transform.mean_value(patterns)
        noise = pixel_noise(transform, patterns)
    mask = scene.mask if scene.mask.any() else None
    return values, learn(values, count, transform=transform, noise=noise, mask=mask)
