"""A crystal scaled voxel by voxel: the same answer as the full homogenization."""

from __future__ import annotations

import pytest
import torch

from xtalfuse.physics.mechanics.homogenization import Scheme, homogenize
from xtalfuse.physics.mechanics.scaled_medium import ScaledMedium


def crystal() -> torch.Tensor:
    """A positive definite matrix without symmetry."""
    root = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return root @ root.T + 6.0 * torch.eye(6, dtype=torch.float64)


def scales(size: int, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, size, size, size, generator=generator).clamp(min=0.05)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("scheme", ["fourier", "rotated"])
def test_energy_is_that_of_the_full_homogenization(size: int, scheme: Scheme) -> None:
    medium = ScaledMedium((size,) * 3, crystal(), steps=25, scheme=scheme)
    scale = scales(size)
    found = medium(scale)[:, :, -1]
    labels = torch.arange(size**3).view(size, size, size)
    for one, energy in zip(scale, found, strict=True):
        stiffness = one.flatten()[:, None, None].double() * crystal()
        full = homogenize(
            labels, stiffness, loads=torch.eye(6)[:3], tolerance=1e-6, scheme=scheme
        ).stiffness
        # single precision over some hundred voxels
        assert torch.allclose(energy.double(), full.diagonal(), rtol=1e-5)


def test_energy_falls_from_voigt_and_stays_when_converged() -> None:
    scale = scales(8)
    energy = ScaledMedium((8, 8, 8), crystal(), steps=80)(scale)
    start = scale.mean(dim=(1, 2, 3))[:, None] * crystal().diagonal()[:3].float()
    assert torch.allclose(energy[:, :, 0], start, rtol=1e-5)
    assert (energy.diff(dim=2) <= 0).all()
    assert torch.allclose(energy[:, :, 40], energy[:, :, -1], rtol=1e-6)


def test_uniform_scale_needs_no_step() -> None:
    energy = ScaledMedium((6, 6, 6), crystal(), steps=3)(torch.full((1, 6, 6, 6), 0.5))
    expected = 0.5 * crystal().diagonal()[:3].float()
    assert torch.allclose(energy, expected[None, :, None].expand(1, 3, 4), rtol=1e-5)


def test_energy_can_be_differentiated() -> None:
    medium = ScaledMedium((4, 4, 4), crystal(), steps=2).double()
    scale = scales(4, 1).double().requires_grad_()
    (gradient,) = torch.autograd.grad(medium(scale)[:, :, -1].sum(), scale)
    change = torch.randn(scale.shape, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        up, down = (medium(scale + h * change)[:, :, -1].sum() for h in (1e-5, -1e-5))
    assert (gradient * change).sum().item() == pytest.approx((up - down).item() / 2e-5, rel=1e-6)
