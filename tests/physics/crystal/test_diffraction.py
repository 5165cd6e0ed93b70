"""Reflections and structure factors: against pymatgen, selection rules and closed forms."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from xtalfuse.physics.crystal import diffraction
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import (
    anomalous,
    cell_from_metric,
    form_factor,
    metric_basis,
    quadratic_form,
    reciprocal_metric,
    reflections,
)
from xtalfuse.physics.crystal.profile import lorentz_polarisation
from xtalfuse.physics.units import two_theta

CUBE = (90.0, 90.0, 90.0)
WAVELENGTH = 1.5405929

# symbol as pymatgen writes it, crystal without displacement, as pymatgen's default
LIKE_FOR_LIKE = {
    "halite": (
        "Fm-3m",
        Crystal((5.6402,) * 3 + CUBE, "F m -3 m",
                (Site("Na", (0, 0, 0), b_iso=0), Site("Cl", (0.5, 0.5, 0.5), b_iso=0))),
    ),
    "rutile": (
        "P4_2/mnm",
        Crystal((4.5937, 4.5937, 2.9587, *CUBE), "P 42/m n m",
                (Site("Ti", (0, 0, 0), b_iso=0), Site("O", (0.3053, 0.3053, 0), b_iso=0))),
    ),
    "corundum": (
        "R-3c",
        Crystal((4.7589, 4.7589, 12.9919, 90, 90, 120), "R -3 c:H",
                (Site("Al", (0, 0, 0.35228), b_iso=0), Site("O", (0.30624, 0, 0.25), b_iso=0))),
    ),
    "quartz": (
        "P3_221",
        Crystal((4.9134, 4.9134, 5.4052, 90, 90, 120), "P 32 2 1",
                (Site("Si", (0.4697, 0, 2 / 3), b_iso=0),
                 Site("O", (0.4135, 0.2669, 0.7858), b_iso=0))),
    ),
    "zincite": (
        "P6_3mc",
        Crystal((3.2498, 3.2498, 5.2066, 90, 90, 120), "P 63 m c",
                (Site("Zn", (1 / 3, 2 / 3, 0), b_iso=0),
                 Site("O", (1 / 3, 2 / 3, 0.3819), b_iso=0))),
    ),
    "baddeleyite": (
        "P2_1/c",
        Crystal((5.1505, 5.2116, 5.3173, 90, 99.23, 90), "P 1 21/c 1",
                (Site("Zr", (0.2754, 0.0395, 0.2083), b_iso=0),
                 Site("O", (0.0700, 0.3317, 0.3447), b_iso=0),
                 Site("O", (0.4496, 0.7569, 0.4792), b_iso=0))),
    ),
}  # fmt: skip


def powder_lines(angle: np.ndarray, intensity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lines nearer than 1e-4 deg summed: they are one line of a powder."""
    order = np.argsort(angle)
    angle, intensity = angle[order], intensity[order]
    label = np.cumsum(np.diff(angle, prepend=-1.0) > 1e-4) - 1
    return angle[np.unique(label, return_index=True)[1]], np.bincount(label, intensity)


@pytest.mark.parametrize("name", LIKE_FOR_LIKE)
def test_powder_lines_against_pymatgen(name, monkeypatch):
    from pymatgen.analysis.diffraction import xrd
    from pymatgen.core import Lattice, Structure

    symbol, crystal = LIKE_FOR_LIKE[name]
    lattice = Lattice.from_parameters(*crystal.cell)
    species = [site.species for site in crystal.sites]
    positions = [site.position for site in crystal.sites]
    structure = Structure.from_spacegroup(symbol, lattice, species, positions)
    theirs = xrd.XRDCalculator(WAVELENGTH).get_pattern(structure, False, (10.0, 100.0))

    # like for like: the same form factors and no dispersion leave the geometry to compare
    def their_factor(number, s2):
        from pymatgen.core import Element

        rows = np.array(xrd.ATOMIC_SCATTERING_PARAMS[Element.from_Z(number).symbol])
        return number - 41.78214 * s2 * (np.exp(-np.outer(s2, rows[:, 1])) @ rows[:, 0])

    monkeypatch.setattr(diffraction, "form_factor", their_factor)
    monkeypatch.setattr(diffraction, "anomalous", lambda number, wavelength: 0j)
    own = reflections(crystal, 1.0)
    angle = two_theta(own.d_spacings(crystal.cell), WAVELENGTH)
    area = 2.0 * lorentz_polarisation(angle) * own.intensities(crystal.cell, WAVELENGTH)
    inside = (angle > 10.0) & (angle < 100.0)
    angle, area = powder_lines(angle[inside], area[inside])
    strong = area > 0.002 * area.max()  # pymatgen drops lines below 0.001 of the strongest
    theirs_strong = theirs.y > 0.002 * theirs.y.max()
    assert angle[strong] == pytest.approx(theirs.x[theirs_strong], abs=1e-4)
    # geometric parts are single precision, cancelling terms cost some digits
    assert area[strong] == pytest.approx(theirs.y[theirs_strong], rel=1e-3)


@pytest.mark.parametrize(
    ("symbol", "allowed"),
    [
        # International Tables A: conditions of centring, screw axes and glide planes
        ("I m -3 m", lambda h, k, m: (h + k + m) % 2 == 0),
        ("F m -3 m", lambda h, k, m: len({h % 2, k % 2, m % 2}) == 1),
        ("P a -3", lambda h, k, m: not (h == 0 and k % 2) and not (k == 0 and m % 2)
         and not (m == 0 and h % 2)),
        ("P 1 21/c 1", lambda h, k, m: not (k == 0 and m % 2) and not (h == m == 0 and k % 2)),
        ("P 63 m c", lambda h, k, m: not ((h - k) % 3 == 0 and h == k and m % 2)),
    ],
)  # fmt: skip
def test_systematic_absences(symbol, allowed):
    angles = {"P 1 21/c 1": (90.0, 105.0, 90.0), "P 63 m c": (90.0, 90.0, 120.0)}.get(symbol, CUBE)
    lengths = {"P 1 21/c 1": (5.2, 6.1, 7.3), "P 63 m c": (4.4, 4.4, 5.2)}.get(symbol, (5.4,) * 3)
    # a general position, so that no further condition holds
    crystal = Crystal((*lengths, *angles), symbol, (Site("Si", (0.0873, 0.1719, 0.3377)),))
    found = reflections(crystal, 1.1).hkl
    assert len(found) > 8
    assert all(allowed(*map(int, row)) for row in found)


def test_diamond_glides_forbid_200_and_222():
    crystal = Crystal((5.43102,) * 3 + CUBE, "F d -3 m:2", (Site("Si", (0.125,) * 3),))
    found = {tuple(sorted(map(abs, map(int, row)))) for row in reflections(crystal, 0.9).hkl}
    assert {(1, 1, 1), (0, 2, 2), (1, 1, 3), (0, 0, 4), (1, 3, 3)} <= found
    assert not {(0, 0, 2), (2, 2, 2), (0, 2, 4)} & found


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("P 1", (4.1, 5.2, 6.3, 80.0, 95.0, 101.0)),
        ("P 1 2 1", (4.1, 5.2, 6.3, 90.0, 101.0, 90.0)),
        ("P m m m", (4.1, 5.2, 6.3, *CUBE)),
        ("P 4/m", (4.1, 4.1, 6.3, *CUBE)),
        ("P -3", (4.1, 4.1, 6.3, 90.0, 90.0, 120.0)),
        ("R -3 m:R", (5.1, 5.1, 5.1, 70.0, 70.0, 70.0)),
        ("P 6/m m m", (4.1, 4.1, 6.3, 90.0, 90.0, 120.0)),
        ("P m -3", (5.1,) * 3 + CUBE),
    ],
)
def test_multiplicities_count_every_lattice_point_once(symbol, cell):
    # primitive groups without screws: every hkl of the sphere must be in exactly one orbit
    crystal = Crystal(cell, symbol, (Site("U", (0.01, 0.02, 0.03), b_iso=0.0),))
    own = reflections(crystal, 1.3)
    metric = reciprocal_metric(cell)
    grid = np.array(list(product(range(-8, 9), repeat=3)))
    inverse_d2 = quadratic_form(grid) @ metric
    inside = (inverse_d2 > 0) & (inverse_d2 <= 1.0 / 1.3**2)
    assert own.multiplicity.sum() == inside.sum()
    assert np.all(np.diff(own.d_spacings(cell)) <= 1e-9)


@pytest.mark.parametrize(
    ("symbol", "free"),
    [("P -1", 6), ("P 1 21/c 1", 4), ("P 1 1 21/b", 4), ("C 1 2/c 1", 4), ("P n m a", 3),
     ("P 42/m n m", 2), ("R -3 c:H", 2), ("R -3 c:R", 2), ("P 63/m m c", 2), ("F d -3 m:2", 1)],
)  # fmt: skip
def test_number_of_free_cell_parameters_in_any_setting(symbol, free):
    basis = metric_basis(symbol)
    assert basis.shape == (6, free)
    assert basis.T @ basis == pytest.approx(np.eye(free), abs=1e-12)


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("P 1 21/c 1", (5.1, 5.2, 5.3, 90.0, 99.2, 90.0)),
        ("P 1 1 21/b", (5.1, 5.3, 5.2, 90.0, 90.0, 99.2)),
        ("R -3 c:H", (4.7, 4.7, 12.9, 90.0, 90.0, 120.0)),
        ("R -3 c:R", (5.1, 5.1, 5.1, 55.3, 55.3, 55.3)),
        ("P -1", (4.1, 5.2, 6.3, 80.0, 95.0, 101.0)),
    ],
)
def test_a_cell_of_the_system_is_in_the_span_of_its_basis(symbol, cell):
    basis, metric = metric_basis(symbol), reciprocal_metric(cell)
    assert basis @ (basis.T @ metric) == pytest.approx(metric, abs=1e-12)


@pytest.mark.parametrize(
    "cell",
    [(5.0,) * 3 + CUBE, (4.7, 4.7, 12.9, 90.0, 90.0, 120.0), (4.1, 5.2, 6.3, 80.0, 95.0, 101.0)],
)
def test_cell_to_metric_and_back(cell):
    assert cell_from_metric(reciprocal_metric(cell)) == pytest.approx(cell, rel=1e-12)


def test_an_impossible_metric_is_refused():
    with pytest.raises(ValueError, match="positive definite"):
        cell_from_metric(np.array([1.0, 1.0, 1.0, 0.9, 0.9, -0.9]))


def test_intensity_is_the_mean_of_both_friedel_mates():
    # wurtzite has no centre, and near the Zn edge f'' makes 002 and 00-2 differ
    crystal = LIKE_FOR_LIKE["zincite"][1]
    own = reflections(crystal, 1.2)
    atoms, wavelength = crystal.expand(), 1.2830
    s2 = 0.25 / own.d_spacings(crystal.cell) ** 2
    factors = np.stack(
        [form_factor(int(z), s2) + anomalous(int(z), wavelength) for z in atoms.numbers], axis=1
    )
    phase = 2j * np.pi * (own.hkl @ atoms.positions.T)
    plus = np.abs(np.sum(factors * np.exp(phase), axis=1)) ** 2
    minus = np.abs(np.sum(factors * np.exp(-phase), axis=1)) ** 2
    assert np.max(np.abs(plus - minus) / (plus + minus)) > 0.01  # the test is not vacuous
    expected = own.multiplicity * 0.5 * (plus + minus)
    # the stored geometric part is single precision
    assert own.intensities(crystal.cell, wavelength) == pytest.approx(expected, rel=1e-4)


def test_displacement_weakens_high_angles_as_debye_and_waller_say():
    _, cold = LIKE_FOR_LIKE["halite"]
    warm = Crystal(cold.cell, cold.space_group,
                   tuple(Site(s.species, s.position, 1.0, 1.5) for s in cold.sites))  # fmt: skip
    first, second = reflections(cold, 0.9), reflections(warm, 0.9)
    assert np.array_equal(first.hkl, second.hkl)
    d = first.d_spacings(cold.cell)
    ratio = second.intensities(cold.cell, WAVELENGTH) / first.intensities(cold.cell, WAVELENGTH)
    # |F|^2 carries exp(-2 B s^2) with s = 1 / (2 d)
    assert ratio == pytest.approx(np.exp(-2.0 * 1.5 * 0.25 / d**2), rel=1e-4)


@pytest.mark.parametrize("number", [3, 8, 14, 26, 56, 82])
def test_form_factor_starts_at_the_number_of_electrons(number):
    s2 = np.array([0.0, 0.1, 0.5, 1.0])
    factor = form_factor(number, s2)
    assert factor[0] == pytest.approx(number, rel=0.005)  # the table's own misfit
    assert np.all(np.diff(factor) < 0)


def test_dispersion_of_iron_for_copper_radiation():
    # International Tables C, table 4.2.6.8: f' = -1.13, f'' = 3.20 for Fe and Cu K-alpha
    found = anomalous(26, 1.5418)
    assert found.real == pytest.approx(-1.13, abs=0.1)  # Kissel-Pratt term differs by 0.05
    assert found.imag == pytest.approx(3.20, rel=0.02)


def test_a_moved_cell_moves_d_without_new_sums():
    _, crystal = LIKE_FOR_LIKE["corundum"]
    own = reflections(crystal, 1.0)
    larger = (*(1.01 * v for v in crystal.cell[:3]), *crystal.cell[3:])
    assert own.d_spacings(larger) == pytest.approx(1.01 * own.d_spacings(crystal.cell), rel=1e-12)


def test_no_atoms_or_no_limit_is_refused():
    with pytest.raises(ValueError, match="no atoms"):
        reflections(Crystal((5,) * 3 + CUBE, "P 1", ()))
    with pytest.raises(ValueError, match="positive"):
        reflections(LIKE_FOR_LIKE["halite"][1], 0.0)
