"""The surrogate for porous metals: symmetry, refusals, weights that come with the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from xtalfuse.datasets.simulate.wave_foam import WaveFoamSpec, wave_foam
from xtalfuse.encoders.networks.foam import PorousConfig, PorousSurrogate, load_porous_surrogate


@pytest.fixture(scope="module")
def surrogate() -> PorousSurrogate:
    return load_porous_surrogate()


@pytest.fixture(scope="module")
def foam() -> torch.Tensor:
    return torch.from_numpy(wave_foam(5, 0, WaveFoamSpec(size=48)))


def test_turning_the_volume_turns_the_answer(
    surrogate: PorousSurrogate, foam: torch.Tensor
) -> None:
    (plain,) = surrogate(foam[None])
    (turned,) = surrogate(foam.permute(2, 0, 1)[None])
    (mirrored,) = surrogate(foam.flip(1)[None])
    # exact but for rounding of single-precision transforms
    assert torch.allclose(turned, plain[[2, 0, 1]], rtol=1e-4)
    assert torch.allclose(mirrored, plain, rtol=1e-4)


def test_shift_by_whole_cells_changes_nothing(
    surrogate: PorousSurrogate, foam: torch.Tensor
) -> None:
    both = torch.stack([foam, foam.roll((3, -6, 9), (0, 1, 2))])
    plain, shifted = surrogate(both)
    assert torch.allclose(plain, shifted, rtol=1e-4)


def test_more_metal_is_stiffer(surrogate: PorousSurrogate, foam: torch.Tensor) -> None:
    more = foam.clone()
    for axis in range(3):
        more |= foam.roll(1, axis)
    assert (surrogate(more[None]) > surrogate(foam[None])).all()
    assert (surrogate(foam[None]) > 0).all()


def test_soft_foams_are_less_sure(surrogate: PorousSurrogate) -> None:
    stiffness = torch.tensor([1.0, 4.0, 8.0], dtype=torch.float64)
    relative = surrogate.uncertainty(stiffness) / stiffness
    assert (relative.diff() < 0).all()
    assert 0.02 < float(relative[1]) < 0.2


def test_nanoporous_gold_agrees_with_molecular_dynamics(
    surrogate: PorousSurrogate, real: Path
) -> None:
    with np.load(real / "ct" / "nanoporous_gold.npz", allow_pickle=False) as file:
        bits = np.unpackbits(file["volumes_packed"][:100], axis=1, count=48**3)
        known = torch.from_numpy(file["stiffness_gpa"][:100])
    volumes = torch.from_numpy(bits.reshape(-1, 48, 48, 48))
    found = torch.cat([surrogate(part) for part in volumes.split(4)])
    unexplained = (found - known).square().sum() / (known - known.mean()).square().sum()
    assert 1 - unexplained > 0.93  # 0.950 on all 300; nothing was fitted to these labels


def test_volume_that_has_no_cells_is_refused(surrogate: PorousSurrogate) -> None:
    with pytest.raises(ValueError, match="multiple of 16"):
        surrogate(torch.zeros(1, 40, 40, 40))
    with pytest.raises(ValueError, match="no weights"):
        PorousSurrogate(PorousConfig(surrogate.config.solid))(torch.zeros(1, 48, 48, 48))


def test_fit_recovers_a_linear_law() -> None:
    solid = tuple(tuple(row) for row in torch.eye(6).tolist())
    made = PorousSurrogate(PorousConfig(solid))
    seen = torch.randn(40, 3, 15, generator=torch.Generator().manual_seed(0)).double().numpy()
    made.fit_features(seen, 0.5 * seen[..., 0] - 0.2 * seen[..., 3] + 1.0)
    assert made.weight[0].item() == pytest.approx(0.5, abs=1e-4)
    assert made.intercept.item() == pytest.approx(1.0, abs=1e-4)
    assert float(made.uncertainty(torch.ones(())).max()) < 1e-3
