# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Ptychographic reconstruction: amplitude least squares, by mini-batches and Adam."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .acquisition import Acquisition

Progress = Callable[[int, int, float], None]
"""Called after every epoch with the epochs done, the epochs in all and the epoch's loss."""

_INVALID = -1.0  # an amplitude that no pixel has


@dataclass(frozen=True)
class Reconstruction:
    """What `reconstruct` found.

    Parameters
    ----------
    object
        Transmission, complex64 (acquisition.object_shape); 1 where no light fell.
    probe
        Illumination, complex64 (n, n): the given one, or refined.
    losses
        Of each epoch, the mean over the valid pixels of 4 (|psi| - sqrt(I))^2: in units of the Poisson variance,
        so about 1 for a perfect fit to high counts, less where most counts are 0.
    """

    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]
    losses: tuple[float, ...]


class AmplitudeLoss(torch.autograd.Function):
    """Sum over frames and pixels of (|F{p o}| - a)^2, its gradient written out by hand.

    With psi = F{p o}, unitary, the gradient is 2 conj(p) F^-1{psi - a psi / |psi|} for the object, and the same with
    conj(o) in place of conj(p) for the probe: two transforms a frame, half of what recorded operations would take.

    Arguments of `apply`: object (rows, columns) and probe (n, n), or (B, n, n) with one a frame, both complex; the
    frames' corners, B pairs (row, column); their amplitudes a, real (B, n, n), zero frequency first, -1 where a pixel
    is invalid; whether any is.
    """

    @staticmethod
    def forward(
        ctx: Any,
        obj: torch.Tensor,
        probe: torch.Tensor,
        corners: list[tuple[int, int]],
        amplitudes: torch.Tensor,
        masked: bool,
    ) -> torch.Tensor:
        """Loss, float (); the gradients are worked out with it and kept in `ctx`."""
        n = probe.shape[-1]
        patches = torch.stack([obj[r : r + n, c : c + n] for r, c in corners])
        wave = torch.fft.fft2(patches * probe, norm="ortho")
        # re^2 + im^2 takes a fifth of the time of abs(); the floor keeps 0 / 0 out.
        modulus = torch.addcmul(wave.real.square(), wave.imag, wave.imag)
        modulus = modulus.clamp_(min=torch.finfo(modulus.dtype).tiny).sqrt_()
        residual = modulus - amplitudes
        if masked:
            residual.masked_fill_(amplitudes < 0, 0.0)
        loss = torch.dot(residual.view(-1), residual.view(-1))
        back = torch.fft.ifft2(wave.mul_(residual.div_(modulus)), norm="ortho")
        if ctx.needs_input_grad[1]:
            grad_probe = 2 * back * patches.conj()
            ctx.grad_probe = grad_probe if probe.ndim == 3 else grad_probe.sum(dim=0)
        if ctx.needs_input_grad[0]:
            back.mul_((2 * probe.conj()).resolve_conj())
            ctx.grad_object = torch.zeros_like(obj)
            for (r, c), patch in zip(corners, back.unbind(), strict=True):
                ctx.grad_object[r : r + n, c : c + n].add_(patch)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients for object and probe; none for what is given."""
        (scale,) = grad_outputs
        return (
            ctx.grad_object * scale if ctx.needs_input_grad[0] else None,
            ctx.grad_probe * scale if ctx.needs_input_grad[1] else None,
            None,
            None,
            None,
        )


def reconstruct(
    frames: NDArray[Any],
    acquisition: Acquisition,
    *,
    epochs: int = 30,
    learning_rate: float = 3e-2,
    batch_size: int = 32,
    seed: int = 0,
    refine_probe: bool = False,
    probe_learning_rate: float = 1e-2,
    progress: Progress | None = None,
) -> Reconstruction:
    """Find the object, and on request the probe, from frames.

    Starts from free space (object = 1) and the acquisition's probe; minimises the sum of (|psi| - sqrt(I))^2 with Adam
    over mini-batches in random order. The learning rates hold for the first half of the steps and then fall to
    0 as a cosine. One thread; the same arguments give the same bits on one machine.

    Parameters
    ----------
    frames
        Intensities in photons, real (J, n, n), zero frequency at the centre: counts or decoded levels. NaN marks an
        invalid pixel.
    acquisition
        Probe, positions and shape of the object.
    epochs
        Passes over the frames.
    learning_rate
        Adam's step for real and imaginary part of the object, whose free space is 1.
    batch_size
        Frames a step; 16 to 64 fit in the cache of a core.
    seed
        Of the order of the frames.
    refine_probe
        Whether the probe is an unknown too. Its scale, a phase ramp and a shift common with the object are then free:
        see `metrics.register`.
    probe_learning_rate
        Adam's step for the probe, whose largest amplitude is 1.
    progress
        Called after every epoch.

    Raises
    ------
    ValueError
        If frames do not fit the acquisition, are negative or infinite, or a number is out of range.
    """
    count, n = len(acquisition.positions), acquisition.window
    if frames.shape != (count, n, n):
        raise ValueError(f"frames: shape {frames.shape}, expected {(count, n, n)} as the acquisition has it")
    for name, value in (
        ("epochs", epochs),
        ("batch_size", batch_size),
        ("learning_rate", learning_rate),
        ("probe_learning_rate", probe_learning_rate),
    ):
        if not value > 0:
            raise ValueError(f"{name}: {value!r}, expected a positive number")
    with _one_thread():
        amplitudes = _amplitudes(frames)
        valid = int((amplitudes >= 0).sum())
        masked = valid < amplitudes.numel()
        corners = [(int(row), int(column)) for row, column in acquisition.corners]
        shifts = torch.from_numpy(acquisition.shifts.astype(np.float32)) if acquisition.shifts.any() else None
        # Adam's steps do not know the size of what they change: object and probe are both of order 1.
        unit = float(np.abs(acquisition.probe).max())
        obj = torch.view_as_real(torch.ones(acquisition.object_shape, dtype=torch.complex64)).clone().requires_grad_()
        probe = torch.view_as_real(torch.from_numpy(acquisition.probe / np.float32(unit))).clone()
        groups: list[dict[str, Any]] = [{"params": [obj], "lr": learning_rate}]
        if refine_probe:
            groups.append({"params": [probe.requires_grad_()], "lr": probe_learning_rate})
        # The gradient of a lit pixel is of order 1 (see `unit`): eps leaves pixels a thousand times darker alone.
        adam = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-3, fused=True)
        steps = epochs * math.ceil(count / batch_size)
        schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: _rate(step / steps))

        order, losses = np.random.default_rng(seed), []
        for epoch in range(epochs):
            total = 0.0
            for index in np.array_split(order.permutation(count), math.ceil(count / batch_size)):
                illumination = torch.view_as_complex(probe) * unit
                if shifts is not None:
                    illumination = _shifted(illumination, shifts[index])
                batch = amplitudes.index_select(0, torch.from_numpy(index))
                loss = AmplitudeLoss.apply(
                    torch.view_as_complex(obj), illumination, [corners[j] for j in index], batch, masked
                )
                adam.zero_grad()
                (loss / unit**2).backward()
                adam.step()
                schedule.step()
                total += loss.item()
            losses.append(4 * total / valid)
            if progress is not None:
                progress(epoch + 1, epochs, losses[-1])
        found = (torch.view_as_complex(obj), torch.view_as_complex(probe) * unit)
        return Reconstruction(found[0].detach().numpy(), found[1].detach().numpy(), tuple(losses))


def _rate(done: float) -> float:
    """Factor of the learning rates once the fraction `done` of the steps is made: 1, then half a cosine down to 0."""
    return 1.0 if done < 0.5 else 0.5 - 0.5 * math.cos(2 * math.pi * done)


def _amplitudes(frames: NDArray[Any]) -> torch.Tensor:
    """Square roots of the frames, zero frequency first, so that no transform in the loop needs a shift; float32."""
    amplitudes = np.empty(frames.shape, np.float32)
    half = frames.shape[-1] // 2
    for frame, amplitude in zip(frames, amplitudes, strict=True):
        frame = np.roll(frame, (-half, -half), axis=(0, 1)).astype(np.float32)
        invalid = np.isnan(frame)
        if (frame < 0).any() or np.isinf(frame).any():
            raise ValueError("frames: negative or infinite intensities, expected photons >= 0 or NaN for invalid")
        np.sqrt(frame, out=amplitude)
        amplitude[invalid] = _INVALID
    if (amplitudes < 0).all():
        raise ValueError("frames: no valid pixel")
    return torch.from_numpy(amplitudes)


def _shifted(probe: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """The probe (n, n) moved by each of `shifts` (B, 2) pixels, complex (B, n, n), by the Fourier shift theorem."""
    frequency = torch.fft.fftfreq(probe.shape[-1])
    angle = shifts[:, 0, None, None] * frequency[:, None] + shifts[:, 1, None, None] * frequency
    return torch.fft.ifft2(torch.fft.fft2(probe) * torch.polar(torch.ones_like(angle), -2 * math.pi * angle))


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
