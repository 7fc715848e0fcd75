# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Ptychographic reconstruction by mini-batches and Adam, from whatever a `Loss` holds."""

from __future__ import annotations

import hashlib
import math
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .acquisition import Acquisition
from .forward import ObjectKind, Ptychography
from .losses import AmplitudeLoss, Loss

_POSITIONS_START = 0.1
"""Share of the steps after which positions start to move: before it no image could tell where they are."""

Progress = Callable[[int, int, float], None]
"""Called after every epoch with the epochs done, the epochs in all and the epoch's loss."""


@dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` found.

    Parameters
    ----------
    object
        Transmission, complex64 (acquisition.object_shape); 1 where no light fell.
    probe
        Illumination, complex64, the shape of the acquisition's: the given one, or refined.
    losses
        Of each epoch, the mean of the loss for each number of the data, in units of its noise: about 1 for a perfect
        fit, less where most counts are 0.
    positions
        In object pixels, float64 (J, 2): the given ones, or refined.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    losses: tuple[float, ...]
    positions: NDArray[np.float64]


def reconstruct(
    data: Loss | NDArray[Any],
    acquisition: Acquisition,
    *,
    epochs: int = 30,
    learning_rate: float = 3e-2,
    batch_size: int = 32,
    seed: int = 0,
    object_kind: ObjectKind = "transmission",
    start: NDArray[np.complexfloating[Any, Any]] | None = None,
    refine_probe: bool = False,
    probe_learning_rate: float = 1e-2,
    refine_positions: bool = False,
    position_learning_rate: float = 0.15,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Reconstruction:
    """Find the object, and on request probe and positions, from what a detector sent.

    Starts from free space (object = 1) and the acquisition's probe and positions; minimises the loss with Adam
    over mini-batches in random order. The learning rates hold for the first half of the steps and then fall to
    0 as a cosine. On a CPU one thread; the same arguments give the same bits on one machine, interrupted or not.

    Parameters
    ----------
    data
        A loss, which holds the data; or intensities for an `AmplitudeLoss`.
    acquisition
        Probe, positions and shape of the object.
    epochs
        Passes over the frames.
    learning_rate
        Adam's step for the unknowns of the object: parts of a transmission, whose free space is 1, or rad.
    batch_size
        Frames a step; 16 to 64 fit in the cache of a core.
    seed
        Of the order of the frames.
    object_kind
        Unknowns of an object pixel, see `Ptychography`.
    start
        Transmission to start from, complex (acquisition.object_shape), instead of free space.
    refine_probe
        Whether the probe is an unknown too. Its scale, a phase ramp and a shift common with the object are then free:
        see `metrics.register`.
    probe_learning_rate
        Adam's step for the probe, whose largest amplitude is 1.
    refine_positions
        Whether the positions are unknowns too. They start to move after a tenth of the steps.
    position_learning_rate
        Share of a Gauss-Newton step that a frame's position moves by, each time that its batch comes: 0 to 1.
    device
        "cpu", or a device of PyTorch such as "cuda".
    checkpoint
        File that is written after every epoch, and gone on from if it is there.
    progress
        Called after every epoch.

    Raises
    ------
    ValueError
        If data do not fit the acquisition, are negative or infinite, a number is out of range, or the checkpoint is of
        other data or settings.
    """
    for name, value in (
        ("epochs", epochs),
        ("batch_size", batch_size),
        ("learning_rate", learning_rate),
        ("probe_learning_rate", probe_learning_rate),
        ("position_learning_rate", position_learning_rate),
    ):
        if not value > 0:
            raise ValueError(f"{name}: {value!r}, expected a positive number")
    count, n = len(acquisition.positions), acquisition.window
    if isinstance(data, np.ndarray) and data.shape != (count, n, n):
        raise ValueError(f"frames: shape {data.shape}, expected {(count, n, n)} as the acquisition has it")
    loss: Loss = AmplitudeLoss(data) if isinstance(data, np.ndarray) else data
    if (loss.frames, loss.window) != (count, n):
        raise ValueError(
            f"data of {loss.frames} frames of {loss.window} pixels a side, expected {count} of {n} as the acquisition"
        )
    with _one_thread():
        model = Ptychography(
            acquisition,
            object_kind=object_kind,
            start=start,
            refine_probe=refine_probe,
            refine_positions=refine_positions,
        ).to(device)
        loss = loss.to(device)
        unknowns = [(model.object_values, learning_rate)]
        if refine_probe:
            unknowns.append((model.probe_values, probe_learning_rate))
        # The gradient of a lit pixel is of order 1 (see `unit`): eps leaves pixels a thousand times darker alone.
        groups = [{"params": [values]} for values, *_ in unknowns]
        adam = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-3, fused=True)
        batches = math.ceil(count / batch_size)
        order = np.random.default_rng(seed)
        losses: list[float] = []
        # Four, as the noise variance of a root is 1/4: a pixel of a frame then weighs as in amplitude least squares.
        scale = 1 / (4 * model.unit**2)

        kept = None
        if checkpoint is not None:
            settings = (epochs, learning_rate, batch_size, seed, object_kind, probe_learning_rate)
            others = (refine_probe, refine_positions, position_learning_rate, torch.__version__)
            kept = _Checkpoint(checkpoint, _fingerprint(model, loss, (*settings, *others)))
            if (state := kept.read()) is not None:
                model.load_state_dict(state["model"])
                adam.load_state_dict(state["adam"])
                order.bit_generator.state = state["order"]
                losses = state["losses"]
        for epoch in range(len(losses), epochs):
            total = 0.0
            for batch, chosen in enumerate(np.array_split(order.permutation(count), batches)):
                index = torch.from_numpy(chosen).to(device)
                intensity = model(index)
                value, gradient = loss.evaluate(intensity.detach(), index)
                model.zero_grad()
                intensity.backward(gradient.mul_(scale))
                done = (epoch * batches + batch) / (epochs * batches)
                for group, (_, rate) in zip(adam.param_groups, unknowns, strict=True):
                    group["lr"] = rate * _rate(done)
                adam.step()
                if refine_positions and done >= _POSITIONS_START:
                    model.move(index, position_learning_rate * _rate(done) / scale)
                total += value.item()
            losses.append(total / loss.size)
            if kept is not None:
                kept.write(
                    {
                        "model": model.state_dict(),
                        "adam": adam.state_dict(),
                        "order": order.bit_generator.state,
                        "losses": losses,
                    }
                )
            if progress is not None:
                progress(epoch + 1, epochs, losses[-1])
        found = [tensor.detach().cpu().numpy() for tensor in (model.transmission, model.probe, model.positions)]
        positions = found[2].astype(np.float64) if refine_positions else acquisition.positions.astype(np.float64)
        return Reconstruction(found[0], found[1].reshape(acquisition.probe.shape), tuple(losses), positions)


def _rate(done: float) -> float:
    """Factor of the learning rates once the fraction `done` of the steps is made: 1, then half a cosine down to 0."""
    return 1.0 if done < 0.5 else 0.5 - 0.5 * math.cos(2 * math.pi * done)


def _fingerprint(model: Ptychography, loss: Loss, settings: tuple[Any, ...]) -> str:
    """Hash of all that the outcome depends on."""
    held = vars(loss)
    numbers = {name: value for name, value in held.items() if isinstance(value, int | float | None)}
    hashed = hashlib.sha256(repr((type(loss).__name__, sorted(numbers.items()), settings)).encode())
    for tensor in (*model.state_dict().values(), *(v for v in held.values() if isinstance(v, torch.Tensor))):
        hashed.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
        hashed.update(np.ascontiguousarray(tensor.cpu().numpy()).data.cast("B"))
    hashed.update(model.acquisition.corners.tobytes())
    return hashed.hexdigest()


class _Checkpoint:
    """State of a reconstruction in a file, which is whole at any time."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def read(self) -> dict[str, Any] | None:
        """The state, None if there is no file."""
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, weights_only=True)
        except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            raise ValueError(f"{self.path}: not a readable checkpoint; remove it to start anew") from error
        if not isinstance(state, dict) or state.get("fingerprint") != self.fingerprint:
            raise ValueError(f"{self.path}: a checkpoint of other data or settings; remove it to start anew")
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state in the file."""
        part = self.path.with_suffix(f".{os.getpid()}.part")
        try:
            torch.save(state | {"fingerprint": self.fingerprint}, part)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread and no denormals: on few cores 5 to 20 times as fast as torch's defaults."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
