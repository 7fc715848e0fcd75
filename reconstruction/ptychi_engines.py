# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The engines of pty-chi (PyPI: ptychi), set up for our scenes: what `reconstruct` is measured against.

pty-chi is no dependency of ours: it is imported where it is used. Its only use of torchvision, one Gaussian blur that
these engines never call, is no reason to install that.
"""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .acquisition import diffract
from .convergence import Engine, Report
from .scene import Scene

INSTALL = "pip install --no-deps ptychi==2.2.0 && pip install pandas 'pydantic>=2,<3' scikit-learn tifffile tqdm"
"""Beside our own extra `reconstruction`; a plain `pip install ptychi` also brings torchvision, and CUDA with it."""


@dataclass(frozen=True)
class Setting:
    """An engine of pty-chi and the options it runs with.

    Parameters
    ----------
    name
        In tables.
    options
        Its class of options in `ptychi.api`.
    reconstructor, object, schedule
        What differs from the defaults in its `reconstructor_options`, `object_options` and the latter's
        `optimization_plan`. A schedule of "CosineAnnealingLR" gets the passes as its `T_max`.
    poisson
        Whether to hand the engine PyTorch's Poisson loss for means: pty-chi's own takes them for logarithms
        (`log_input` is left at its default) and gives NaN.
    """

    name: str
    options: str
    reconstructor: dict[str, Any]
    object: dict[str, Any] = field(default_factory=dict)
    schedule: str | None = None
    poisson: bool = False


def _lsqml(noise: str, batch_size: int, **more: Any) -> Setting:
    # With one mode, step sizes from "the first mode only" are the same and take twice the time for the object.
    fixed = {"rescale_probe_intensity_in_first_epoch": False, "solve_step_sizes_only_using_first_probe_mode": False}
    detail = "".join(f", {key.split('_')[0]} {value}" for key, value in more.items())
    name = f"LSQML, {noise.capitalize()}, batch {batch_size}{detail}"
    return Setting(name, "LSQMLOptions", fixed | {"noise_model": noise, "batch_size": batch_size} | more)


def _compact(noise: str) -> Setting:
    return _lsqml(noise, 128, batching_mode="compact", momentum_acceleration_gain=0.5)


def _autodiff(
    batch_size: int, step: float, *, poisson: bool = False, schedule: str | None = "CosineAnnealingLR"
) -> Setting:
    loss = "Poisson mended" if poisson else "amplitude"
    return Setting(
        f"AD, {loss}, Adam {step:g}, batch {batch_size}{', cosine' if schedule else ''}",
        "AutodiffPtychographyOptions",
        {"loss_function": "mse_sqrt", "batch_size": batch_size},
        {"optimizer": "adam", "step_size": step},
        schedule,
        poisson,
    )


def _pie(kind: str, alpha: float, step: float) -> Setting:
    name = f"{kind[0].lower()}{kind[1:]}, alpha {alpha:g}, step {step:g}, batch 32"
    return Setting(name, f"{kind}Options", {"batch_size": 32}, {"alpha": alpha, "step_size": step})


SETTINGS: tuple[Setting, ...] = (
    _lsqml("poisson", 128),
    _compact("gaussian"),
    _autodiff(32, 1e-2),
    _autodiff(32, 3e-2, poisson=True),
    _pie("RPIE", 0.3, 1.0),
)
"""The best that was found of each engine."""

TRIED: tuple[Setting, ...] = (
    _lsqml("poisson", 32),
    _lsqml("poisson", 32, preconditioning_damping_factor=0.01),
    _compact("poisson"),
    _lsqml("gaussian", 32),
    _autodiff(32, 1e-2, schedule=None),
    _autodiff(32, 3e-2),
    _autodiff(32, 1e-2, poisson=True),
    _autodiff(128, 3e-2, poisson=True),
    _pie("RPIE", 0.1, 1.0),
    _pie("EPIE", 1.0, 0.3),
)
"""What else was tried of them."""


def load() -> ModuleType:
    """`ptychi.api`.

    Raises
    ------
    ModuleNotFoundError
        If pty-chi or something it needs is not installed.
    """
    blur = "torchvision.transforms"
    stand_in = {"torchvision": ModuleType("torchvision"), blur: ModuleType(blur)}
    stand_in[blur].__dict__["GaussianBlur"] = object
    try:
        importlib.import_module(blur)
        stand_in = {}
    except ImportError:
        sys.modules.update(stand_in)
    try:
        importlib.import_module("ptychi.api.task")
        return importlib.import_module("ptychi.api")
    finally:
        for name in stand_in:
            del sys.modules[name]


def engine(setting: Setting, *, seed: int = 1) -> Engine:
    """One of pty-chi's engines as a `convergence.Engine`."""

    def run(scene: Scene, passes: int, report: Report) -> None:
        with _quiet(), _seeded(seed):
            try:
                task = _task(scene, setting, np.ones(scene.acquisition.object_shape, np.complex64), passes)
                for _ in range(passes):
                    task.run(1)
                    report(np.ascontiguousarray(task.get_data("object").numpy()[0, 1:-1, 1:-1]))
            finally:
                torch.set_default_device(None)  # pty-chi sets one, which slows down what comes after

    return run


def frames(scene: Scene, index: list[int], obj: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Intensities of some frames by pty-chi's own forward model, (frames, n, n), zero frequency at the centre."""
    with _quiet():
        try:
            task = _task(scene, SETTINGS[0], obj, 1)
            intensity = task.reconstructor.forward_model(torch.tensor(index)).detach().numpy()
        finally:
            torch.set_default_device(None)
    return np.fft.fftshift(intensity, axes=(-2, -1))


def check(
    scene: Scene, simulate: Callable[[Scene, list[int], NDArray[np.complex64]], NDArray[np.float32]] = frames
) -> float:
    """Make sure that pty-chi's forward model has our conventions: axes, corners, zero frequency, photons.

    Returns
    -------
    The largest difference between its noise-free frames and ours over the brightest pixel.

    Raises
    ------
    RuntimeError
        If that is more than float32 explains.
    """
    assert scene.truth is not None
    count = len(scene.acquisition.positions)
    index = sorted({round(k * (count - 1) / 7) for k in range(8)})
    expected = diffract(scene.truth, scene.acquisition)[index]
    difference = float(np.abs(simulate(scene, index, scene.truth) - expected).max() / expected.max())
    if not difference < 1e-4:
        raise RuntimeError(
            f"pty-chi's frames of the true object differ from ours by {difference:.1e} of the brightest pixel: this "
            "version has other conventions, so that nothing can be compared"
        )
    return difference


def _task(scene: Scene, setting: Setting, obj: NDArray[np.complex64], passes: int) -> Any:
    """A task of pty-chi with our probe and positions, which are known, and an object to start from."""
    api, acquisition = load(), scene.acquisition
    options = getattr(api, setting.options)()
    for target, values in (
        (options.reconstructor_options, setting.reconstructor | {"default_device": "cpu"}),
        (options.object_options, setting.object),
    ):
        for name, value in values.items():
            setattr(target, name, value)
    if setting.schedule is not None:
        plan = options.object_options.optimization_plan
        plan.step_size_scheduler_class = setting.schedule
        plan.step_size_scheduler_options = {"T_max": passes}
    options.probe_options.optimizable = False
    options.object_options.remove_object_probe_ambiguity.enabled = False
    # Its positions are of the window's middle, and it wants a pixel of the object around all windows.
    options.object_options.determine_position_origin_coords_by = "specified"
    options.object_options.position_origin_coords = [1 + (acquisition.window - 1) / 2] * 2
    rows, columns = acquisition.positions.astype(np.float32).T
    task = importlib.import_module("ptychi.api.task").PtychographyTask(
        options,
        diffraction_data=scene.counts[0].astype(np.float32),
        object_data=np.pad(obj, 1, constant_values=1)[None],
        # Its Fourier transform is not unitary.
        probe_data=acquisition.modes[None] / np.float32(acquisition.window),
        probe_position_y_px=rows,
        probe_position_x_px=columns,
    )
    if setting.poisson:
        # The mean of the model may be 0 where there is a photon: eps is our `BACKGROUND`.
        task.reconstructor.loss_function = torch.nn.PoissonNLLLoss(log_input=False, eps=1e-2)
    return task


@contextmanager
def _quiet() -> Iterator[None]:
    """Without pty-chi's warnings and log."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """With the global random generators, which pty-chi draws from, started by `seed`; afterwards as they were."""
    state = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(state)
