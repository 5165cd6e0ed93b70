"""Slip systems, Taylor, Sachs, Hall-Petch, Tabor: numbers of the literature, two ways each."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from xtalfuse.physics.mechanics.plasticity import (
    _deviators,
    axial_strain,
    hall_petch,
    schmid_factor,
    tabor_hardness,
    taylor_factor,
    yield_surface,
)
from xtalfuse.physics.mechanics.slip import FAMILIES, MODES, SlipSystems, slip_systems
from xtalfuse.physics.orientation.laue import laue_operators
from xtalfuse.physics.orientation.quaternion import from_axis_angle, multiply, random, to_matrix

MAGNESIUM = 1.624
HEXAGONAL = [name for name, mode in MODES.items() if mode.hexagonal]
COUNTS = {
    "octahedral": 12, "octahedral_twin": 12, "bcc_110": 12, "bcc_112": 12, "bcc_123": 24,
    "bcc_twin": 12, "cube": 6, "rock_salt": 6, "basal": 3, "prismatic": 3, "pyramidal_a": 6,
    "pyramidal_ca": 12, "pyramidal_ca_2": 6, "tensile_twin": 6, "compressive_twin": 6,
    "compressive_twin_1": 6,
}  # fmt: skip
TWO_WAYS = [
    ("fcc", 1.0),
    ("bcc_pencil", 1.0),
    (("bcc_110", "bcc_112"), (1.0, 1.1)),
    ("hcp", (1.0, 0.7, 1.3, 3.0)),
    (("basal", "prismatic", "pyramidal_ca", "tensile_twin"), (1.0, 9.0, 6.0, 1.5)),
    (("basal", "prismatic", "tensile_twin"), (1.0, 3.0, 2.0)),
    (("basal", "prismatic", "pyramidal_a"), 1.0),
]


@pytest.fixture(scope="module")
def grains() -> np.ndarray:
    """60,000 random orientations: means of Taylor factors are good to 0.002."""
    return random(60_000, np.random.default_rng(7))


@pytest.mark.parametrize("name", MODES)
def test_systems_of_a_mode(name: str) -> None:
    systems = slip_systems(name, 1.0, MAGNESIUM if name in HEXAGONAL else None)
    assert len(systems) == COUNTS[name]
    np.testing.assert_allclose((systems.normal * systems.direction).sum(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(systems.normal, axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(systems.direction, axis=1), 1.0, atol=1e-12)


def test_twins_shear_the_way_they_are_seen_to() -> None:
    """{10-12} twins lengthen c in magnesium and shorten it in zinc; bcc twins by [001] tension."""

    def along_c(name: str, ratio: float | None) -> np.ndarray:
        return np.sign(slip_systems(name, 1.0, ratio).schmid[:, 2, 2])

    assert (along_c("tensile_twin", MAGNESIUM) == 1).all()
    assert (along_c("tensile_twin", 1.856) == -1).all()
    assert (along_c("compressive_twin", MAGNESIUM) == -1).all()
    assert (along_c("compressive_twin_1", MAGNESIUM) == -1).all()
    ferrite = slip_systems("bcc_twin").schmid[:, 2, 2].max()
    copper = slip_systems("octahedral_twin").schmid[:, 2, 2]
    assert ferrite == pytest.approx(sqrt(2) / 3)
    assert copper.max() == pytest.approx(sqrt(2) / 6)  # fcc twins under [001] compression
    assert -copper.min() == pytest.approx(sqrt(2) / 3)


def test_the_yield_surface_of_octahedral_slip_has_56_corners() -> None:
    """Bishop & Hill (1951); {110}<111> has as many, by exchange of plane and direction."""
    for family in ("fcc", "bcc_110"):
        surface = yield_surface(slip_systems(family))
        assert surface.corners.shape == (56, 5)
        assert len(surface.open_ways) == 0


def test_corners_activate_six_or_eight_systems() -> None:
    """Bishop & Hill (1951): 32 corners load six systems to the critical stress, 24 load eight."""
    systems = slip_systems("fcc")
    stress = np.einsum("vk,kij->vij", yield_surface(systems).corners, _deviators())
    resolved = abs(np.einsum("vij,mij->vm", stress, systems.schmid))
    assert resolved.max() <= 1.0 + 1e-9
    loaded, corners = np.unique((resolved > 1.0 - 1e-9).sum(axis=1), return_counts=True)
    assert dict(zip(loaded.tolist(), corners.tolist(), strict=True)) == {6: 32, 8: 24}


@pytest.mark.parametrize("family", [*FAMILIES, *MODES])
def test_half_of_the_corners_is_enough_where_nothing_twins(family: str) -> None:
    surface = yield_surface(slip_systems(family, 1.0, MAGNESIUM))
    assert surface.symmetric == ("twin" not in family)
    if surface.symmetric:
        assert len(surface.needed) == len(surface.corners) / 2
        both = np.concatenate([surface.needed, -surface.needed])
        apart = np.linalg.norm(surface.corners[:, None] - both, axis=-1).min(axis=1)
        assert apart.max(initial=0.0) < 1e-5


@pytest.mark.parametrize(
    ("family", "independent"),
    [("fcc", 5), ("bcc_110", 5), ("bcc_112", 5), ("rock_salt", 2), ("cube", 3), ("basal", 2),
     ("prismatic", 2), ("pyramidal_a", 4), ("pyramidal_ca", 5), ("pyramidal_ca_2", 5)],
)  # fmt: skip
def test_independent_systems(family: str, independent: int) -> None:
    """Groves & Kelly (1963), Phil. Mag. 8, 877; von Mises (1928) asks for five."""
    schmid = slip_systems(family, 1.0, MAGNESIUM).schmid.reshape(-1, 9)
    assert np.linalg.matrix_rank(schmid) == independent


@pytest.mark.parametrize(
    ("family", "expected", "tolerance"),
    [
        ("fcc", 3.067, 0.004),  # Chin & Mammel (1967), Trans. Metall. Soc. AIME 239, 1400
        ("bcc_110", 3.067, 0.004),
        ("bcc_112", 2.954, 0.004),  # the same
        ("bcc_123", 2.803, 0.004),  # the same
        ("bcc_pencil", 2.754, 0.004),  # the same, all 48 systems
        ("bcc_pencil", 2.733, 0.03),  # planes without number: Rosenberg & Piehler (1971)
    ],
)
def test_mean_taylor_factor_without_texture(grains, family, expected, tolerance) -> None:
    """Tolerance: three standard errors of the mean of 60,000 grains and the last digit printed."""
    assert taylor_factor(grains, "x", family).mean() == pytest.approx(expected, abs=tolerance)


def test_corners_of_the_triangle() -> None:
    """fcc tension along [001], [111] and [011]: sqrt(6), 1.5 sqrt(6) and 1.5 sqrt(6)."""
    at = {"001": [1.0, 0.0, 0.0, 0.0], "111": _turn([1.0, 1.0, 1.0]), "011": _turn([0.0, 1.0, 1.0])}
    factor = {name: float(taylor_factor(np.array(q), "x", "fcc")) for name, q in at.items()}
    assert factor["001"] == pytest.approx(sqrt(6))
    assert factor["111"] == pytest.approx(1.5 * sqrt(6))
    assert factor["011"] == pytest.approx(1.5 * sqrt(6))


def _turn(crystal_direction: list[float]) -> np.ndarray:
    """An orientation that has the crystal direction along the x axis of the specimen."""
    to = np.array(crystal_direction) / np.linalg.norm(crystal_direction)
    half = np.array([1.0, 0.0, 0.0]) + to
    return from_axis_angle(half, np.pi)


def least_work(q: np.ndarray, strain: np.ndarray, systems: SlipSystems) -> float:
    """Taylor's linear programme: shears that give the strain with the least work; inf if none."""
    turn = np.asarray(to_matrix(q))
    size = np.sqrt(2.0 / 3.0 * (strain**2).sum())  # von Mises
    target = turn @ strain @ turn.T / size
    ways = np.concatenate([systems.schmid, -systems.schmid[~systems.twin]])
    cost = np.concatenate([systems.critical_stress, systems.critical_stress[~systems.twin]])
    rows = [(0, 0), (1, 1), (0, 1), (0, 2), (1, 2)]  # the trace is zero
    found = linprog(
        cost, A_eq=[[way[ij] for way in ways] for ij in rows], b_eq=[target[ij] for ij in rows]
    )
    return float(found.fun) if found.success else inf


@pytest.mark.parametrize(("family", "stress"), TWO_WAYS)
def test_corners_and_linear_programme_agree(family, stress) -> None:
    """Bishop and Hill's greatest work is Taylor's least; 1e-9 is the solver's tolerance."""
    rng = np.random.default_rng(3)
    systems = slip_systems(family, stress, MAGNESIUM)
    for q in random(8, rng):
        strain = rng.normal(size=(3, 3))
        strain = strain + strain.T
        strain -= np.eye(3) * np.trace(strain) / 3.0
        corner = float(taylor_factor(q, strain, systems))
        assert corner == pytest.approx(least_work(q, strain, systems), rel=1e-9)


def test_slip_along_a_cannot_change_the_c_axis() -> None:
    """Groves & Kelly (1963), Phil. Mag. 8, 877: basal, prismatic and pyramidal <a> are four."""
    systems = slip_systems(("basal", "prismatic", "pyramidal_a"), 1.0, MAGNESIUM)
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    assert taylor_factor(upright, "z", systems) == inf
    in_the_basal_plane = np.diag([1.0, -1.0, 0.0])
    assert np.isfinite(taylor_factor(upright, in_the_basal_plane, systems))
    twins = slip_systems(("basal", "prismatic", "tensile_twin"), 1.0, MAGNESIUM)
    assert np.isfinite(taylor_factor(upright, axial_strain([0, 0, 1]), twins))
    assert taylor_factor(upright, -axial_strain([0, 0, 1]), twins) == inf


def test_equivalent_orientations_have_one_factor() -> None:
    rng = np.random.default_rng(5)
    q = random(50, rng)
    strain = np.array([[1.0, 0.2, 0.0], [0.2, -0.3, 0.4], [0.0, 0.4, -0.7]])
    for laue, systems in (
        ("m-3m", slip_systems("bcc")),
        ("6/mmm", slip_systems("hcp", (1.0, 2.0, 3.0, 4.0), MAGNESIUM)),
    ):
        factor = taylor_factor(q, strain, systems)
        for operator in laue_operators(laue):
            np.testing.assert_allclose(
                taylor_factor(multiply(operator, q), strain, systems), factor, rtol=1e-9
            )
        np.testing.assert_allclose(taylor_factor(-q, strain, systems), factor, rtol=1e-12)


def test_turning_specimen_and_strain_together_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    q, turn = random(50, rng), random(1, rng)[0]
    inverse = turn * np.array([1.0, -1.0, -1.0, -1.0])
    matrix = to_matrix(turn)
    strain = np.diag([1.0, -0.2, -0.8])
    np.testing.assert_allclose(
        taylor_factor(multiply(q, inverse), matrix @ strain @ matrix.T, "fcc"),
        taylor_factor(q, strain, "fcc"),
        rtol=1e-9,
    )


def test_the_size_of_the_strain_does_not_matter_and_stress_scales() -> None:
    q = random(20, np.random.default_rng(8))
    strain = axial_strain([1, 2, 3])
    one = taylor_factor(q, strain, "fcc")
    np.testing.assert_allclose(taylor_factor(q, 1e-4 * strain, "fcc"), one, rtol=1e-12)
    stress = taylor_factor(q, strain, slip_systems("fcc", 25.0))
    np.testing.assert_allclose(stress, 25.0 * one, rtol=1e-9)


def test_one_strain_for_each_grain() -> None:
    q = random(3, np.random.default_rng(9))
    strains = np.stack([axial_strain(axis) for axis in np.eye(3)])
    each = taylor_factor(q, strains, "fcc")
    for i, axis in enumerate("xyz"):
        assert each[i] == pytest.approx(taylor_factor(q[i], axis, "fcc"))


def test_numpy_and_torch_single_and_double(grains) -> None:
    some = grains[:200]
    double = taylor_factor(torch.from_numpy(some), "x", "bcc")
    single = taylor_factor(torch.from_numpy(some).float(), "x", "bcc")
    assert double.dtype == torch.float64
    assert single.dtype == torch.float32
    np.testing.assert_allclose(double.numpy(), taylor_factor(some, "x", "bcc"), rtol=1e-12)
    np.testing.assert_allclose(single.numpy(), double.numpy(), rtol=1e-5)  # 30 x float32


def test_sachs_is_below_taylor(grains) -> None:
    schmid = schmid_factor(grains, "x", "fcc")
    assert schmid.max() <= 0.5 + 1e-12
    assert schmid.min() == pytest.approx(sqrt(6) / 9, abs=2e-3)  # at [111], exact there: 0.2722
    sachs = 1.0 / schmid
    assert sachs.mean() == pytest.approx(2.238, abs=0.01)  # Sachs (1928), integrated by hand
    assert (sachs <= taylor_factor(grains, "x", "fcc") + 1e-9).all()


def test_basal_slip_of_a_crystal_loaded_along_c_has_no_schmid_factor() -> None:
    upright = np.array([1.0, 0.0, 0.0, 0.0])
    basal = slip_systems("basal", 1.0, MAGNESIUM)
    assert schmid_factor(upright, "z", basal) == pytest.approx(0.0, abs=1e-15)
    twin = slip_systems("compressive_twin", 1.0, MAGNESIUM)
    assert schmid_factor(upright, "z", twin) == 0.0  # it would shorten c
    hard = slip_systems(("basal", "prismatic"), (1.0, 4.0), MAGNESIUM)
    alone = slip_systems("prismatic", 1.0, MAGNESIUM)
    across = schmid_factor(upright, [1.0, 1.0, 0.0], alone)
    assert schmid_factor(upright, [1.0, 1.0, 0.0], hard) == pytest.approx(0.25 * across)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: slip_systems("octahedrl"), "did you mean 'octahedral'"),
        (lambda: slip_systems("hcp"), "needs c/a"),
        (lambda: slip_systems(("octahedral", "basal"), 1.0, 1.6), "all of a cubic"),
        (lambda: slip_systems("bcc", (1.0, 2.0, 3.0)), "one for each"),
        (lambda: slip_systems("fcc", -1.0), "positive"),
        (lambda: taylor_factor(np.eye(4)[0], np.diag([1.0, 0.0, 0.0]), "fcc"), "trace 0"),
        (lambda: taylor_factor(np.eye(4)[0], np.zeros((3, 3)), "fcc"), "not zero"),
        (lambda: taylor_factor(np.eye(4)[0], "w", "fcc"), "no axis 'w'"),
        (lambda: axial_strain([0, 0, 0]), "direction"),
        (lambda: hall_petch(0.0, 10.0, 100.0), "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_families_name_modes_that_exist() -> None:
    assert {name for names in FAMILIES.values() for name in names} <= set(MODES)


def test_hall_petch_and_tabor() -> None:
    """Mild steel, sigma_0 = 70 MPa and k = 0.74 MPa m^0.5, of 25 um grains: 218 MPa."""
    assert hall_petch(25.0, 70.0, 740.0) == pytest.approx(218.0)
    np.testing.assert_allclose(hall_petch(np.array([1.0, 100.0]), 70.0, 740.0), [810.0, 144.0])
    assert tabor_hardness(200.0) == 600.0
