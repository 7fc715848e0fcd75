# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The forward model: against the simulator, its gradients, the kinds of object."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ptychopress.reconstruction.acquisition import Acquisition, diffract
from ptychopress.reconstruction.forward import Intensity, Ptychography

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE, N, FRAMES = (13, 12), 6, 5


def complex_random(*shape: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def acquisition(modes: int, fractional: bool) -> Acquisition:
    rng = np.random.default_rng(2)
    positions = rng.integers(0, np.array(SHAPE) - N, (FRAMES, 2))
    probe = complex_random(*((modes,) if modes > 1 else ()), N, N)
    return Acquisition(probe, positions + (0.4 * rng.random((FRAMES, 2)) if fractional else 0), SHAPE)


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("fractional", [False, True])
def test_intensities_are_those_of_the_simulator(modes: int, fractional: bool) -> None:
    scan, obj = acquisition(modes, fractional), complex_random(*SHAPE, seed=3)
    index = torch.tensor([4, 0, 2])
    found = Ptychography(scan, start=obj)(index).detach().numpy()
    expected = np.fft.ifftshift(diffract(obj, scan), axes=(-2, -1))[index.numpy()]
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-3)


@pytest.mark.parametrize("shared", [True, False], ids=["one probe", "one probe a frame"])
@pytest.mark.parametrize("modes", [1, 2])
def test_gradient_is_that_of_the_intensity(shared: bool, modes: int) -> None:
    torch.manual_seed(1)

    def unknown(*shape: int) -> Any:
        return torch.randn(*shape, dtype=torch.complex128, requires_grad=True)

    obj, probe = unknown(7, 6), unknown(*(() if shared else (3,)), modes, 4, 4)
    corners = [(0, 0), (1, 2), (3, 1)]
    assert torch.autograd.gradcheck(lambda o, p: Intensity.apply(o, p, corners), (obj, probe))


@pytest.mark.parametrize("kind", ["transmission", "exponent", "phase"])
def test_gradients_reach_every_unknown(kind: Any) -> None:
    scan = acquisition(2, True)
    start = np.exp(1j * complex_random(*SHAPE).real) * (0.5 if kind != "phase" else 1)
    model = Ptychography(scan, object_kind=kind, start=start, refine_probe=True, refine_positions=True)
    np.testing.assert_allclose(model.transmission.detach().numpy(), start, atol=1e-5)
    index = torch.arange(FRAMES)
    weight = torch.from_numpy(np.random.default_rng(4).random((FRAMES, N, N)).astype(np.float32))

    def value() -> Any:
        return (model(index) * weight).sum()

    value().backward()
    rng = np.random.default_rng(5)
    for parameter in model.parameters():
        # Along a random direction, by central differences.
        direction = torch.from_numpy(rng.normal(size=tuple(parameter.shape)).astype(np.float32))
        step = 1e-3
        with torch.no_grad():
            parameter += step * direction
            up = value().item()
            parameter -= 2 * step * direction
            down = value().item()
            parameter += step * direction
        slope = float((parameter.grad * direction).sum())
        assert slope == pytest.approx((up - down) / (2 * step), rel=2e-2, abs=1)


def test_what_is_known_stays_fixed() -> None:
    model = Ptychography(acquisition(1, False))
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["object_values"]
    np.testing.assert_allclose(model.positions.numpy(force=True), acquisition(1, False).positions)
    np.testing.assert_allclose(model.probe.numpy(force=True)[0], acquisition(1, False).probe, rtol=1e-5)


def test_unknown_kinds_and_wrong_starts_are_refused() -> None:
    kind: Any = "amplitude"
    with pytest.raises(ValueError, match="object_kind: 'amplitude', expected one of transmission, exponent, phase"):
        Ptychography(acquisition(1, False), object_kind=kind)
    with pytest.raises(ValueError, match=r"start: shape \(3, 3\), expected \(13, 12\)"):
        Ptychography(acquisition(1, False), start=np.ones((3, 3), complex))
