"""Stiffness: notation, rotation, averages and bounds against explicit tensors and closed forms."""

from __future__ import annotations

import pytest
import torch

from xtalfuse.physics.mechanics.elasticity import (
    check_stiffness,
    composite_bounds,
    hashin_shtrikman,
    hill,
    isotropic_moduli,
    isotropic_stiffness,
    mandel_from_voigt,
    mandel_rotation,
    mandel_vector,
    polycrystal_bounds,
    reuss,
    rotate_stiffness,
    universal_anisotropy,
    voigt,
    voigt_from_mandel,
    youngs_modulus,
)
from xtalfuse.physics.orientation.quaternion import to_matrix

VOIGT_INDEX = ((0, 5, 4), (5, 1, 3), (4, 3, 2))


def cubic(c11: float, c12: float, c44: float) -> torch.Tensor:
    """Voigt's matrix of a cubic crystal."""
    matrix = torch.zeros(6, 6, dtype=torch.float64)
    matrix[:3, :3] = c12
    matrix.diagonal()[:3] = c11
    matrix.diagonal()[3:] = c44
    return matrix


def float64(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def triclinic(seed: int = 0) -> torch.Tensor:
    """A positive definite matrix without symmetry."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(6, 6, generator=generator, dtype=torch.float64)
    return root @ root.T + 6.0 * torch.eye(6, dtype=torch.float64)


def orientations(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(numbers, dim=-1)


def fourth_rank(voigt_matrix: torch.Tensor) -> torch.Tensor:
    """C_ijkl, looked up one by one."""
    out = torch.zeros(3, 3, 3, 3, dtype=voigt_matrix.dtype)
    for i in range(3):
        for j in range(3):
            for k in range(3):
                for m in range(3):
                    out[i, j, k, m] = voigt_matrix[VOIGT_INDEX[i][j], VOIGT_INDEX[k][m]]
    return out


COPPER = cubic(168.4, 121.4, 75.4)  # GPa; Simmons & Wang (1971)


def test_notations_invert_each_other_and_keep_the_energy() -> None:
    matrix = triclinic()
    assert torch.allclose(voigt_from_mandel(mandel_from_voigt(matrix)), matrix, rtol=1e-15)
    product = mandel_from_voigt(matrix) @ mandel_from_voigt(
        torch.linalg.inv(matrix), compliance=True
    )
    assert torch.allclose(product, torch.eye(6, dtype=torch.float64), atol=1e-13)
    strain = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    strain = strain + strain.T
    energy = torch.einsum("ij,ijkl,kl->", strain, fourth_rank(matrix), strain)
    vector = mandel_vector(strain)
    assert torch.allclose(vector @ mandel_from_voigt(matrix) @ vector, energy, rtol=1e-13)


def test_rotation_is_that_of_the_fourth_rank_tensor() -> None:
    matrix, turns = triclinic(), orientations(8)
    to_specimen = to_matrix(turns).mT  # crystal -> specimen
    tensor = torch.einsum("nia,njb,nkc,nld,abcd->nijkl", *[to_specimen] * 4, fourth_rank(matrix))
    found = voigt_from_mandel(rotate_stiffness(mandel_from_voigt(matrix), turns))
    for i, j, k, m in ((0, 0, 0, 0), (0, 0, 1, 2), (0, 1, 0, 2), (1, 2, 2, 2), (2, 0, 1, 1)):
        expected = tensor[:, i, j, k, m]
        at = VOIGT_INDEX[i][j], VOIGT_INDEX[k][m]
        assert torch.allclose(found[:, *at], expected, atol=1e-12)


def test_orientation_takes_specimen_to_crystal() -> None:
    # 90 deg about z takes the specimen's x to the crystal's y: stiff along y, stiff along x
    matrix = torch.diag(torch.tensor([1.0, 9.0, 1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    quarter = torch.tensor([0.5**0.5, 0.0, 0.0, 0.5**0.5], dtype=torch.float64)
    assert to_matrix(quarter)[:, 0].round().tolist() == [0.0, 1.0, 0.0]
    assert rotate_stiffness(matrix, quarter)[0, 0] == pytest.approx(9.0)


def test_opposite_quaternions_are_one_rotation_to_the_bit() -> None:
    turns = orientations(50)
    stiffness = mandel_from_voigt(triclinic())
    assert torch.equal(rotate_stiffness(stiffness, turns), rotate_stiffness(stiffness, -turns))


def test_averages_rotate_with_the_specimen() -> None:
    grains = rotate_stiffness(mandel_from_voigt(triclinic()), orientations(20))
    weights = torch.rand(20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    turn = mandel_rotation(to_matrix(orientations(1, seed=5)[0]))
    turned = turn @ grains @ turn.T
    for average in (voigt, reuss, hill):
        whole = turn @ average(grains, weights) @ turn.T
        assert torch.allclose(average(turned, weights), whole, atol=1e-11)


def test_averages_are_ordered_and_batched() -> None:
    grains = rotate_stiffness(mandel_from_voigt(COPPER), orientations(60)).view(3, 20, 6, 6)
    gap = voigt(grains) - reuss(grains)
    assert torch.linalg.eigvalsh(gap).min() > -1e-10
    assert torch.allclose(hill(grains)[1], hill(grains[1]), rtol=1e-14)


def test_averages_can_be_differentiated() -> None:
    grains = rotate_stiffness(mandel_from_voigt(COPPER), orientations(3)).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: hill(c, torch.tensor([1.0, 2.0, 3.0])), (grains,))


def test_void_has_no_reuss_average() -> None:
    grains = torch.stack([mandel_from_voigt(COPPER), torch.zeros(6, 6, dtype=torch.float64)])
    with pytest.raises(ValueError, match="void"):
        reuss(grains)


def test_random_averages_are_averages_over_rotations() -> None:
    grains = rotate_stiffness(mandel_from_voigt(triclinic()), orientations(200_000))
    bounds = polycrystal_bounds(mandel_from_voigt(triclinic()))
    # 200,000 random rotations sample the average to about 1 in 450
    for average, exact in ((voigt, bounds.voigt), (reuss, bounds.reuss)):
        sampled = isotropic_moduli(average(grains))
        assert sampled.bulk.item() == pytest.approx(exact.bulk.item(), rel=1e-3)
        assert sampled.shear.item() == pytest.approx(exact.shear.item(), rel=1e-3)
        assert torch.allclose(
            average(grains), isotropic_stiffness(exact.bulk, exact.shear), atol=0.15
        )


def test_hashin_shtrikman_of_a_cubic_crystal_is_the_closed_form() -> None:
    c11, c12, c44 = 168.4, 121.4, 75.4
    bulk, soft, stiff = (c11 + 2 * c12) / 3, (c11 - c12) / 2, c44

    def beta(shear: float) -> float:
        return -3 * (bulk + 2 * shear) / (5 * shear * (3 * bulk + 4 * shear))

    # Hashin & Shtrikman (1962), with C44 > (C11 - C12) / 2
    lower = soft + 3 / (5 / (stiff - soft) - 4 * beta(soft))
    upper = stiff + 2 / (5 / (soft - stiff) - 6 * beta(stiff))
    found = hashin_shtrikman(mandel_from_voigt(COPPER))
    assert found[0].shear.item() == pytest.approx(lower, rel=1e-12)
    assert found[1].shear.item() == pytest.approx(upper, rel=1e-12)
    assert [m.bulk.item() for m in found] == pytest.approx([bulk, bulk], rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_bounds_are_nested_for_crystals_without_symmetry(seed: int) -> None:
    bounds = polycrystal_bounds(mandel_from_voigt(triclinic(seed)))
    for name in ("bulk", "shear"):
        values = [float(getattr(m, name)) for m in (bounds.reuss, bounds.lower, bounds.upper,
                                                     bounds.voigt)]  # fmt: skip
        assert values == sorted(values)
        assert values[2] - values[1] < 0.7 * (values[3] - values[0])


def test_bounds_of_an_isotropic_crystal_meet() -> None:
    bounds = polycrystal_bounds(isotropic_stiffness(torch.tensor(76.0, dtype=torch.float64), 26.0))
    for moduli in bounds:
        assert moduli.bulk.item() == pytest.approx(76.0, rel=1e-9)
        assert moduli.shear.item() == pytest.approx(26.0, rel=1e-9)


def test_porous_composite_lies_under_the_classical_bound() -> None:
    bulk, shear = float64(170.0, 0.0), float64(27.0, 0.0)
    lower, upper = composite_bounds(bulk, shear, float64(0.35, 0.65))
    assert lower.bulk.item() == lower.shear.item() == lower.young.item() == 0.0
    # K of coated spheres: K f / (1 + (1 - f) K / (4/3 G))
    spheres = 170.0 * 0.35 / (1 + 0.65 * 170.0 / (4 / 3 * 27.0))
    assert upper.bulk.item() == pytest.approx(spheres, rel=1e-12)


def test_composite_of_equal_shear_is_known_exactly() -> None:
    bulk, shear = float64(30.0, 200.0), float64(40.0, 40.0)
    lower, upper = composite_bounds(bulk, shear, float64(0.3, 0.7))
    exact = 1 / (0.3 / (30 + 160 / 3) + 0.7 / (200 + 160 / 3)) - 160 / 3  # Hill (1963)
    assert lower.bulk.item() == pytest.approx(exact, rel=1e-12)
    assert upper.bulk.item() == pytest.approx(exact, rel=1e-12)


def test_youngs_modulus_of_copper_by_direction() -> None:
    directions = torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 1, 1], [2, 2, 2]]).double()
    found = youngs_modulus(mandel_from_voigt(COPPER), directions)
    compliance = torch.linalg.inv(COPPER)
    s11, s12, s44 = compliance[0, 0], compliance[0, 1], compliance[3, 3]
    slope = s11 - s12 - s44 / 2
    # 1/E = s11 - 2 (s11 - s12 - s44/2) (l2m2 + m2n2 + n2l2); Nye, Physical Properties of Crystals
    expected = [1 / (s11 - 2 * slope * x) for x in (0.0, 0.25, 1 / 3, 1 / 3)]
    assert torch.allclose(found, torch.stack(expected), rtol=1e-13)


def test_universal_anisotropy_follows_zener() -> None:
    # for a cubic crystal A_U = 6/5 (sqrt(A) - 1/sqrt(A))^2 with Zener's ratio A
    zener = 2 * 75.4 / (168.4 - 121.4)
    expected = 6 / 5 * (zener**0.5 - zener**-0.5) ** 2
    assert universal_anisotropy(mandel_from_voigt(COPPER)).item() == pytest.approx(expected)


def test_impossible_stiffness_is_refused() -> None:
    check_stiffness(mandel_from_voigt(COPPER))
    with pytest.raises(ValueError, match="positive definite"):
        check_stiffness(mandel_from_voigt(cubic(100.0, 120.0, 75.0)))
    lopsided = mandel_from_voigt(COPPER).clone()
    lopsided[0, 1] += 5.0
    with pytest.raises(ValueError, match="not symmetric"):
        check_stiffness(lopsided)


def test_crystal_symmetry_is_checked() -> None:
    check_stiffness(mandel_from_voigt(COPPER), "m-3m")
    uniaxial = mandel_from_voigt(COPPER).clone()
    uniaxial[2, 2] += 20.0
    check_stiffness(uniaxial, "4/mmm")
    with pytest.raises(ValueError, match="m-3m"):
        check_stiffness(uniaxial, "m-3m")
