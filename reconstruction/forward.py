# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Far-field ptychography as a PyTorch module: from object, probe and positions to mean intensities."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from .acquisition import Acquisition

ObjectKind = Literal["transmission", "exponent", "phase"]
"""Unknowns of an object pixel: real and imaginary part; absorption a and phase f of exp(-a + i f); that phase alone."""


class Intensity(torch.autograd.Function):
    """Intensities |F{p o}|^2 of a batch of frames, summed over the modes of p; their gradient written out by hand.

    With psi = F{p o}, unitary, and g the gradient for the intensities, that for the object is
    2 conj(p) F^-1{g psi}, summed over modes and frames, and the same with conj(o) for the probe: two transforms a mode
    and frame, half of what recorded operations would take.

    Arguments of `apply`: object (rows, columns) and probe (M, n, n), or (B, M, n, n) with one a frame, both complex;
    the frames' corners, B pairs (row, column). Result: real (B, n, n), zero frequency first.
    """

    @staticmethod
    def forward(ctx: Any, obj: torch.Tensor, probe: torch.Tensor, corners: list[tuple[int, int]]) -> torch.Tensor:
        """Intensities."""
        n = probe.shape[-1]
        patches = torch.stack([obj[r : r + n, c : c + n] for r, c in corners])[:, None]
        wave = torch.fft.fft2(patches * probe, norm="ortho")
        ctx.corners, ctx.shape, ctx.shared = corners, obj.shape, probe.ndim == 3
        ctx.save_for_backward(patches, probe, wave)
        intensity = torch.addcmul(wave.real.square(), wave.imag, wave.imag)
        return intensity[:, 0] if intensity.shape[1] == 1 else intensity.sum(dim=1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Gradients for object and probe; none for the corners."""
        patches, probe, wave = ctx.saved_tensors
        back = torch.fft.ifft2(wave * (2 * grad_outputs[0])[:, None], norm="ortho")
        grad_object = grad_probe = None
        if ctx.needs_input_grad[1]:
            grad_probe = back * patches.conj()
            grad_probe = grad_probe.sum(dim=0) if ctx.shared else grad_probe
        if ctx.needs_input_grad[0]:
            n = probe.shape[-1]
            back.mul_(probe.conj().resolve_conj())
            grad_object = back.new_zeros(ctx.shape)
            for (r, c), patch in zip(ctx.corners, back.sum(dim=1).unbind(), strict=True):
                grad_object[r : r + n, c : c + n].add_(patch)
        return grad_object, grad_probe, None


class Ptychography(torch.nn.Module):
    """What is unknown about a scan, and the mean intensities that follow from it.

    Parameters
    ----------
    acquisition
        Probe, positions and shape of the object; J frames of n x n pixels, M incoherent modes.
    object_kind
        Unknowns of an object pixel.
    start
        Transmission to start from, complex (acquisition.object_shape); 1 everywhere by default.
    refine_probe, refine_positions
        Whether probe and positions are unknowns too.

    Attributes
    ----------
    object_values : torch.nn.Parameter
        Unknowns of the object, float32 (rows, columns, 2), or (rows, columns) of a phase object.
    probe_values : torch.nn.Parameter
        Real and imaginary part of the modes over `unit`, float32 (M, n, n, 2).
    shifts : torch.nn.Parameter
        How far the probe of each frame lies from its corner, in object pixels, float32 (J, 2).
    unit : float
        Largest amplitude of the first mode at the start. An optimiser like Adam does not know the size of what it
        changes: object and probe are both of order 1.
    """

    def __init__(
        self,
        acquisition: Acquisition,
        *,
        object_kind: ObjectKind = "transmission",
        start: NDArray[np.complexfloating[Any, Any]] | None = None,
        refine_probe: bool = False,
        refine_positions: bool = False,
    ) -> None:
        super().__init__()
        if object_kind not in get_args(ObjectKind):
            raise ValueError(f"object_kind: {object_kind!r}, expected one of {', '.join(get_args(ObjectKind))}")
        if start is not None and start.shape != acquisition.object_shape:
            raise ValueError(f"start: shape {start.shape}, expected {acquisition.object_shape} as the acquisition has")
        self.object_kind: ObjectKind = object_kind
        self.acquisition = acquisition
        self.unit = float(np.abs(acquisition.modes[0]).max())
        obj = np.ones(acquisition.object_shape, np.complex64) if start is None else start.astype(np.complex64)
        self.object_values = torch.nn.Parameter(_unknowns(torch.from_numpy(obj), object_kind))
        modes = torch.from_numpy(acquisition.modes / np.float32(self.unit))
        self.probe_values = torch.nn.Parameter(torch.view_as_real(modes).clone(), requires_grad=refine_probe)
        shifts = torch.from_numpy(acquisition.shifts.astype(np.float32))
        self.shifts = torch.nn.Parameter(shifts, requires_grad=refine_positions)
        self._corners = [(int(row), int(column)) for row, column in acquisition.corners]
        self._shifted = refine_positions or bool(acquisition.shifts.any())

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        """Mean intensities of the frames `index`, int64 (B,): photons, float32 (B, n, n), zero frequency first."""
        probe = torch.view_as_complex(self.probe_values) * self.unit
        if self._shifted:
            probe = _shifted(probe, self.shifts.index_select(0, index))
        corners = [self._corners[j] for j in index.tolist()]
        intensity: torch.Tensor = Intensity.apply(self.transmission, probe, corners)  # type: ignore[assignment]
        return intensity

    @torch.no_grad()
    def move(self, index: torch.Tensor, share: float) -> None:
        """Move the frames `index` by `share` of a Gauss-Newton step, at most half a pixel.

        `shifts.grad` is that of a deviance, twice that of a likelihood. What a frame tells of its own position along an
        axis is nearly 2 sum |p do/dx|^2: moved alone the probe changes no intensity, what changes is the object in it,
        and of a change of a wave about half is along the wave, which is what intensities show. To this comes 1, for
        positions that are known to a pixel.
        """
        assert self.shifts.grad is not None
        obj, n = self.transmission, self.probe_values.shape[1]
        slopes = torch.stack([obj.roll(-1, axis) - obj.roll(1, axis) for axis in (0, 1)]).abs().square() / 4
        light = self.probe.abs().square().sum(dim=0)
        corners = (self._corners[j] for j in index.tolist())
        told = torch.stack([(slopes[:, r : r + n, c : c + n] * light).sum(dim=(1, 2)) for r, c in corners])
        step = (self.shifts.grad[index] * (-share / 2) / (1 + 2 * told)).clamp_(-0.5, 0.5)
        self.shifts.index_add_(0, index, step)

    @property
    def transmission(self) -> torch.Tensor:
        """The object, complex64 (rows, columns)."""
        if self.object_kind == "transmission":
            return torch.view_as_complex(self.object_values)
        if self.object_kind == "phase":
            return torch.polar(torch.ones_like(self.object_values), self.object_values)
        return torch.polar(torch.exp(-self.object_values[..., 0]), self.object_values[..., 1])

    @property
    def probe(self) -> torch.Tensor:
        """The modes, complex64 (M, n, n)."""
        return torch.view_as_complex(self.probe_values) * self.unit

    @property
    def positions(self) -> torch.Tensor:
        """Positions of the frames, in object pixels, float32 (J, 2)."""
        return self.shifts + torch.tensor(self._corners, device=self.shifts.device)


def _unknowns(obj: torch.Tensor, kind: ObjectKind) -> torch.Tensor:
    """Values of the unknowns that make up a transmission."""
    if kind == "transmission":
        return torch.view_as_real(obj).clone()
    if kind == "phase":
        return obj.angle()
    # Where nothing passes there is no finite absorption: e^-10 is dark enough.
    return torch.stack([-torch.log(obj.abs().clamp(min=math.exp(-10))), obj.angle()], dim=-1)


def _shifted(probe: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Modes (M, n, n) moved by each of `shifts` (B, 2) pixels, complex (B, M, n, n), by the Fourier shift theorem."""
    frequency = torch.fft.fftfreq(probe.shape[-1], device=probe.device)
    angle = shifts[:, 0, None, None] * frequency[:, None] + shifts[:, 1, None, None] * frequency
    ramp = torch.polar(torch.ones_like(angle), -2 * math.pi * angle)
    return torch.fft.ifft2(torch.fft.fft2(probe) * ramp[:, None])
