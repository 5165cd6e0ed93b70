"""Every place between the bounds is a stiffness between the bounds."""

from __future__ import annotations

import pytest
import torch

from xtalfuse.physics.mechanics.bounds import at_place, draw_places, entry_scale, place_between
from xtalfuse.physics.mechanics.elasticity import (
    isotropic_stiffness,
    reuss,
    rotate_stiffness,
    voigt,
)

GENERATOR = torch.Generator().manual_seed(1)


@pytest.fixture(params=[1, 20], ids=["one grain", "20 grains"])
def bounds(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """Reuss and Voigt of a cubic crystal: they meet in the bulk modulus, and for one grain."""
    crystal = isotropic_stiffness(torch.tensor(137.0).double(), torch.tensor(30.0).double())
    crystal[3:, 3:] *= 3.0
    q = torch.randn(request.param, 4, generator=GENERATOR, dtype=torch.float64)
    stiffness = rotate_stiffness(crystal, torch.nn.functional.normalize(q, dim=1))
    return reuss(stiffness), voigt(stiffness)


def test_hill_is_in_the_middle(bounds):
    low, high = bounds
    hill = 0.5 * (low + high)
    assert torch.allclose(at_place(0.5 * torch.eye(6).double(), low, high), hill, rtol=1e-9)


def test_any_place_stays_between_the_bounds(bounds):
    low, high = bounds
    for seed in range(5):
        places = draw_places(0.5 * torch.eye(6).double(), 1.0, 3.0, 4, seed)
        stiffness = at_place(places, low, high)
        assert torch.equal(stiffness, stiffness.mT)
        slack = 1e-9 * high.diagonal().mean()  # the gap below which bounds count as one
        assert torch.linalg.eigvalsh(high - stiffness).min() > -slack
        assert torch.linalg.eigvalsh(stiffness - low).min() > -slack
        assert torch.linalg.eigvalsh(stiffness).min() > 0.0


def test_there_and_back(bounds):
    low, high = bounds
    inside = at_place(draw_places(0.5 * torch.eye(6).double(), 0.1, 0.1, 1, 0)[0], low, high)
    back = at_place(place_between(inside, low, high), low, high)
    # bounds that meet leave nothing to find: one part in 1e9 of the stiffness
    assert torch.allclose(back, inside, rtol=1e-7, atol=1e-7)


def test_the_scale_of_entries_is_that_of_drawn_stiffness(bounds):
    low, high = bounds
    width = 0.05
    drawn = at_place(draw_places(0.5 * torch.eye(6).double(), 0.0, width, 4000, 0), low, high)
    scale = width * entry_scale(low, high)
    large = scale > 1e-3 * scale.max()
    if scale.max() > 1e-6:
        # 4000 draws give a standard deviation to about 1.1 %
        assert torch.allclose(drawn.std(dim=0)[large], scale[large], rtol=0.06)
