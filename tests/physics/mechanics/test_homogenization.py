"""Effective stiffness: exact solutions, bounds, rotation, derivative, and refusals."""

from __future__ import annotations

import pytest
import torch

from xtalfuse.physics.mechanics.elasticity import (
    composite_bounds,
    isotropic_moduli,
    isotropic_stiffness,
    mandel_rotation,
    reuss,
    rotate_stiffness,
    voigt,
)
from xtalfuse.physics.mechanics.homogenization import (
    ConvergenceError,
    Scheme,
    effective_stiffness,
    homogenize,
)

SCHEMES = ("fourier", "rotated")
TIGHT = 1e-10


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def float64(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def triclinic(count: int, seed: int = 0) -> torch.Tensor:
    """Positive definite matrices without symmetry."""
    root = torch.randn(count, 6, 6, generator=generator(seed), dtype=torch.float64)
    return root @ root.mT + 6.0 * torch.eye(6, dtype=torch.float64)


def copper_grains(count: int, seed: int = 0) -> torch.Tensor:
    """Copper in random orientations, GPa; Simmons & Wang (1971)."""
    crystal = torch.zeros(6, 6, dtype=torch.float64)
    crystal[:3, :3] = 121.4
    crystal.diagonal()[:3] = 168.4
    crystal.diagonal()[3:] = 2 * 75.4
    turns = torch.randn(count, 4, generator=generator(seed), dtype=torch.float64)
    return rotate_stiffness(crystal, torch.nn.functional.normalize(turns, dim=-1))


def cells(shape: tuple[int, ...], count: int, seed: int = 0) -> torch.Tensor:
    """Periodic Voronoi cells of random points."""
    points = torch.rand(count, 3, generator=generator(seed), dtype=torch.float64)
    axes = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    away = grid[..., None, :] - points
    return (away - away.round()).square().sum(dim=-1).argmin(dim=-1)


def laminate(stiffness: torch.Tensor, share: torch.Tensor, axis: int) -> torch.Tensor:
    """Exact stiffness of layers: traction and in-plane strain are the same in all of them."""
    out = [axis, *[3 + i for i in range(3) if i != axis]]
    flat = [i for i in range(6) if i not in out]
    block = {
        (a, b): stiffness[:, rows][:, :, columns]
        for a, rows in (("o", out), ("i", flat))
        for b, columns in (("o", out), ("i", flat))
    }
    soft = torch.linalg.inv(block["o", "o"])
    mean_soft = torch.einsum("n,nij->ij", share, soft)
    mixed = torch.einsum("n,nij->ij", share, soft @ block["o", "i"])
    rest = torch.einsum(
        "n,nij->ij", share, block["i", "i"] - block["i", "o"] @ soft @ block["o", "i"]
    )
    stiff = torch.linalg.inv(mean_soft)
    whole = torch.zeros(6, 6, dtype=stiffness.dtype)
    order = torch.tensor(out + flat)
    top = torch.cat([stiff, stiff @ mixed], dim=1)
    bottom = torch.cat([(stiff @ mixed).T, rest + mixed.T @ stiff @ mixed], dim=1)
    whole[order[:, None], order] = torch.cat([top, bottom])
    return whole


@pytest.mark.parametrize("scheme", SCHEMES)
def test_uniform_medium_needs_no_step(scheme: Scheme) -> None:
    stiffness = triclinic(1)
    found = homogenize(torch.zeros(6, 5, 4, dtype=int), stiffness, scheme=scheme, tolerance=TIGHT)
    assert found.iterations == 0
    assert torch.allclose(found.stiffness, stiffness[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("axis", range(3))
def test_laminate_is_exact(axis: int, scheme: Scheme) -> None:
    stiffness = triclinic(3)
    along = torch.tensor([0, 0, 1, 0, 2, 1, 1, 2])
    shape = [1, 1, 1]
    shape[axis] = 8
    labels = along.view(shape).expand([n if n > 1 else 3 for n in shape])
    found = homogenize(labels, stiffness, scheme=scheme, tolerance=TIGHT, step=(1.0, 2.0, 0.5))
    exact = laminate(stiffness, torch.bincount(along).double() / 8.0, axis)
    assert torch.allclose(found.stiffness, exact, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_composite_of_equal_shear_is_exact(scheme: Scheme) -> None:
    # any arrangement; an odd grid, on which every Fourier mode has a derivative
    labels = torch.randint(0, 2, (9, 9, 9), generator=generator(3))
    share = torch.bincount(labels.flatten()).double() / labels.numel()
    bulk, shear = float64(30.0, 300.0), float64(40.0, 40.0)
    found = homogenize(labels, isotropic_stiffness(bulk, shear), scheme=scheme, tolerance=TIGHT)
    exact, _ = composite_bounds(bulk, shear, share)  # both bounds; Hill (1963)
    expected = isotropic_stiffness(exact.bulk, exact.shear)
    assert torch.allclose(found.stiffness, expected, rtol=0, atol=1e-8)


def test_cubic_grains_share_a_bulk_modulus() -> None:
    found = homogenize(cells((12, 12, 12), 10), copper_grains(10), tolerance=1e-5)
    pressure = float64(1, 1, 1, 0, 0, 0)
    expected = (168.4 + 2 * 121.4) * pressure
    assert torch.allclose(found.stiffness @ pressure, expected, rtol=1e-12, atol=1e-9)
    stress = found.mean_stress @ pressure
    # each load is in equilibrium to the tolerance, so their sum is uniform to it
    assert torch.allclose(stress, expected.expand(10, 6), rtol=0, atol=1e-5 * 411.2)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_stiffness_lies_between_reuss_and_voigt(scheme: Scheme) -> None:
    labels, stiffness = cells((8, 8, 8), 6), triclinic(6)
    found = homogenize(labels, stiffness, scheme=scheme, tolerance=1e-3)
    over = voigt(stiffness, found.fraction) - found.stiffness
    under = found.stiffness - reuss(stiffness, found.fraction)
    # the bounds hold for the discrete problem, whatever the tolerance
    assert torch.linalg.eigvalsh(over).min() > -1e-10
    assert torch.linalg.eigvalsh(under).min() > -1e-10
    assert torch.allclose(found.stiffness, found.stiffness.T, rtol=1e-12)


def test_mean_stress_of_the_labels_adds_up() -> None:
    labels = cells((8, 6, 7), 5)
    labels[labels == 3] = 2  # a label without voxels
    found = homogenize(labels, copper_grains(5), tolerance=TIGHT, fields=True)
    total = torch.einsum("n,nij->ij", found.fraction, found.mean_stress)
    assert torch.allclose(total, found.stiffness, rtol=0, atol=1e-8)
    assert (found.mean_stress[3] == 0).all()
    assert found.stress is not None
    first = found.stress[:, :, labels == 0].mean(dim=-1)
    assert torch.allclose(first, found.mean_stress[0], rtol=1e-12, atol=1e-10)


def test_chosen_loads_see_their_part_of_the_stiffness() -> None:
    labels, grains = cells((8, 8, 8), 5), copper_grains(5)
    loads = torch.randn(2, 6, generator=generator(4), dtype=torch.float64)
    whole = homogenize(labels, grains, tolerance=1e-8)
    part = homogenize(labels, grains, tolerance=1e-8, loads=loads)
    assert torch.allclose(part.stiffness, loads @ whole.stiffness @ loads.T, rtol=1e-10)
    expected = whole.mean_stress @ loads.T
    assert torch.allclose(part.mean_stress, expected, rtol=0, atol=1e-4)


def test_large_volumes_go_load_by_load(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, grains = cells((6, 6, 6), 4), copper_grains(4).requires_grad_()
    found = []
    for voxels in (1, 10**6):
        monkeypatch.setattr("xtalfuse.physics.mechanics.homogenization.VOXELS_AT_ONCE", voxels)
        stiffness, stress = effective_stiffness(labels, grains, tolerance=1e-6)
        (gradient,) = torch.autograd.grad(stiffness.square().sum(), grains)
        found.append((stiffness.detach(), stress, gradient))
    for apart, together in zip(*found, strict=True):
        assert torch.allclose(apart, together, rtol=1e-10, atol=1e-10)


def test_strain_is_compatible_and_has_the_given_mean() -> None:
    found = homogenize(cells((9, 9, 9), 5), copper_grains(5), tolerance=1e-3, fields=True)
    assert found.strain is not None
    mean = found.strain.mean(dim=(2, 3, 4))
    assert torch.allclose(mean, torch.eye(6, dtype=torch.float64), atol=1e-12)
    # Saint-Venant: e11,22 + e22,11 = 2 e12,12, in Fourier space
    strain = torch.fft.fftn(found.strain, dim=(2, 3, 4))
    k = torch.fft.fftfreq(9, d=1 / 9, dtype=torch.float64)
    x, y = k[:, None, None], k[None, :, None]
    left = strain[0] * y**2 + strain[1] * x**2 - 2**0.5 * strain[5] * x * y
    assert left.abs().max() < 1e-10 * strain.abs().max()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_turning_the_specimen_turns_the_tensor(scheme: Scheme) -> None:
    labels, grains = cells((8, 8, 8), 6), copper_grains(6)
    quarter = mandel_rotation(float64(0, -1, 0, 1, 0, 0, 0, 0, 1).view(3, 3))  # x -> y
    options = {"scheme": scheme, "tolerance": 1e-7}
    whole, stress = effective_stiffness(labels, grains, **options)
    turned, turned_stress = effective_stiffness(
        torch.rot90(labels, 1, (0, 1)), quarter @ grains @ quarter.T, **options
    )
    assert torch.allclose(turned, quarter @ whole @ quarter.T, rtol=0, atol=1e-9)
    assert torch.allclose(turned_stress, quarter @ stress @ quarter.T, rtol=0, atol=1e-4)


def test_section_is_a_volume_that_does_not_change_along_z() -> None:
    section, grains = cells((10, 8, 1), 6), copper_grains(6)
    thin, _ = effective_stiffness(section, grains, tolerance=1e-8)
    thick, _ = effective_stiffness(section.expand(10, 8, 4), grains, tolerance=1e-8)
    assert torch.allclose(thin, thick, rtol=0, atol=1e-9)


def test_half_the_steps_are_a_finer_mesh_of_the_same_size() -> None:
    # stretching the grid and its step together changes nothing
    labels, grains = cells((8, 8, 8), 4), copper_grains(4)
    one, _ = effective_stiffness(labels, grains, tolerance=1e-8)
    other, _ = effective_stiffness(labels, grains, tolerance=1e-8, step=(0.3, 0.3, 0.3))
    assert torch.allclose(one, other, rtol=0, atol=1e-10)


def test_derivative_agrees_with_differences() -> None:
    labels, stiffness = cells((5, 5, 5), 3), triclinic(3)
    weight = torch.randn(6, 6, generator=generator(8), dtype=torch.float64)

    def energy(given: torch.Tensor) -> torch.Tensor:
        return (effective_stiffness(labels, given, tolerance=1e-9)[0] * weight).sum()

    variable = stiffness.clone().requires_grad_()
    energy(variable).backward()
    change = torch.randn(3, 6, 6, generator=generator(9), dtype=torch.float64)
    change = change + change.mT
    slope = (energy(stiffness + 1e-4 * change) - energy(stiffness - 1e-4 * change)) / 2e-4
    assert variable.grad is not None
    assert (variable.grad * change).sum().item() == pytest.approx(slope.item(), rel=1e-6)


def test_single_precision_agrees_with_double() -> None:
    labels, grains = cells((12, 12, 12), 10), copper_grains(10)
    double, stress = effective_stiffness(labels, grains, tolerance=1e-8)
    single, single_stress = effective_stiffness(labels, grains.float(), tolerance=1e-4)
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), double, rtol=0, atol=1e-4 * 200)
    assert torch.allclose(single_stress.double(), stress, rtol=0, atol=1e-3 * 200)


def test_pores_converge_under_their_bound() -> None:
    grid = torch.stack(torch.meshgrid(*[(torch.arange(12.0) + 0.5) / 12 - 0.5] * 3, indexing="ij"))
    labels = (grid.square().sum(dim=0) < 0.3**2).long()
    solid = isotropic_stiffness(float64(170.0, 0.0), float64(27.0, 0.0))
    found = homogenize(labels, solid, scheme="rotated", tolerance=1e-4)
    _, upper = composite_bounds(float64(170.0, 0.0), float64(27.0, 0.0), found.fraction)
    moduli = isotropic_moduli(found.stiffness)
    # 11 % of round pores are near the assemblage of coated spheres, which attains the bound
    assert 0.9 * upper.bulk < moduli.bulk < 1.001 * upper.bulk
    assert found.mean_stress[1].abs().max() == 0.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slabs_apart_have_no_stiffness_across(dtype: torch.dtype) -> None:
    labels = torch.zeros(8, 8, 8, dtype=int)
    labels[3:] = 1
    solid = isotropic_stiffness(float64(0.0, 170.0), float64(0.0, 27.0)).to(dtype)
    found = homogenize(labels, solid, scheme="rotated")
    across = found.stiffness[[0, 4, 5]]
    assert across.abs().max() < 1e-4 * 170.0  # the tolerance, of the solid's stiffness
    # a sheet under plane stress: E / (1 - nu^2) of its share
    young, poisson = 9 * 170 * 27 / (3 * 170 + 27), (1.5 * 170 - 27) / (3 * 170 + 27)
    sheet = 5 / 8 * young / (1 - poisson**2)
    assert found.stiffness[1, 1].item() == pytest.approx(sheet, rel=1e-4)


def test_what_cannot_be_solved_is_refused() -> None:
    labels, grains = cells((6, 6, 6), 4), copper_grains(4)
    with pytest.raises(ConvergenceError, match="after 1 steps"):
        homogenize(labels, grains, tolerance=1e-8, max_iterations=1)
    with pytest.raises(ValueError, match="labels run from 0 to 3"):
        homogenize(labels, grains[:3])
    with pytest.raises(ValueError, match="shape"):
        homogenize(labels[0], grains)
    with pytest.raises(ValueError, match="nothing to homogenize"):
        homogenize(labels, torch.zeros(4, 6, 6))
    with pytest.raises(ValueError, match="not known"):
        homogenize(labels, grains, scheme="centred")  # type: ignore[arg-type]
