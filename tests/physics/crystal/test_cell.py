"""Crystals: symmetry, composition and density against published values."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.physics.crystal.cell import Crystal, Site, laue_rotations

# Cells and positions as in Wyckoff, Crystal Structures (1963-1965).
CORUNDUM = Crystal(
    (4.7589, 4.7589, 12.9919, 90, 90, 120), "R -3 c:H",
    (Site("Al", (0, 0, 0.35228)), Site("O", (0.30624, 0, 0.25))),
)  # fmt: skip
QUARTZ = Crystal(
    (4.9134, 4.9134, 5.4052, 90, 90, 120), "P 32 2 1",
    (Site("Si", (0.4697, 0, 2 / 3)), Site("O", (0.4135, 0.2669, 0.7858))),
)  # fmt: skip
FLUORITE = Crystal(
    (5.4631, 5.4631, 5.4631, 90, 90, 90), "F m -3 m",
    (Site("Ca", (0, 0, 0)), Site("F", (0.25, 0.25, 0.25))),
)  # fmt: skip
SILICON = Crystal((5.43102,) * 3 + (90.0,) * 3, "F d -3 m:2", (Site("Si", (0.125,) * 3),))
PYRITE = Crystal(
    (5.4179, 5.4179, 5.4179, 90, 90, 90), "P a -3",
    (Site("Fe", (0, 0, 0)), Site("S", (0.3851, 0.3851, 0.3851))),
)  # fmt: skip


@pytest.mark.parametrize(
    ("crystal", "composition", "formula", "density"),
    [
        # atoms per conventional cell by hand; densities: Deer, Howie & Zussman; CRC Handbook
        (CORUNDUM, {"Al": 12, "O": 18}, "Al2O3", 3.99),
        (QUARTZ, {"Si": 3, "O": 6}, "SiO2", 2.65),
        (FLUORITE, {"Ca": 4, "F": 8}, "CaF2", 3.18),
        (SILICON, {"Si": 8}, "Si", 2.329),
        (PYRITE, {"Fe": 4, "S": 8}, "FeS2", 5.01),
    ],
)
def test_composition_formula_and_density(crystal, composition, formula, density):
    assert crystal.composition == pytest.approx(composition)
    assert crystal.formula == formula
    assert crystal.elements == set(composition)
    # handbooks give two or three digits
    assert crystal.density_g_cm3 == pytest.approx(density, rel=0.005)


@pytest.mark.parametrize(
    ("symbol", "number", "system"),
    [
        ("P -1", 2, "triclinic"),
        ("P 1 21/c 1", 14, "monoclinic"),
        ("P n m a", 62, "orthorhombic"),
        ("P 42/m n m", 136, "tetragonal"),
        ("R -3 c:H", 167, "trigonal"),
        ("P 63/m m c", 194, "hexagonal"),
        ("F d -3 m:2", 227, "cubic"),
    ],
)
def test_space_group_number_and_system(symbol, number, system):
    crystal = Crystal((5, 5, 5, 90, 90, 90), symbol, ())
    assert (crystal.space_group_number, crystal.crystal_system) == (number, system)


def test_an_unknown_space_group_is_refused_with_an_example():
    with pytest.raises(ValueError, match="R -3 c:H"):
        _ = Crystal((5, 5, 5, 90, 90, 90), "P 99", ()).crystal_system


def test_a_special_position_written_with_few_digits_is_still_one_atom():
    # 0.3333 instead of 1/3 puts three images 0.0004 angstrom apart
    zinc = Crystal(
        (3.2498, 3.2498, 5.2066, 90, 90, 120), "P 63 m c",
        (Site("Zn", (0.3333, 0.6667, 0.0)), Site("O", (0.3333, 0.6667, 0.3819))),
    )  # fmt: skip
    assert zinc.composition == {"Zn": 2.0, "O": 2.0}
    # their mean is the special position itself; 1e-9 is rounding
    first = zinc.expand().positions[0]
    assert np.sort(first[:2]) == pytest.approx([1 / 3, 2 / 3], abs=1e-9)


def test_a_site_next_to_the_origin_is_not_split_across_the_cell_edge():
    iron = Crystal((2.8665,) * 3 + (90.0,) * 3, "I m -3 m", (Site("Fe", (0.9999, 0, 1e-5)),))
    assert iron.composition == {"Fe": 2.0}


def test_both_origins_of_the_diamond_structure_are_the_same_crystal():
    def from_first_atom(crystal: Crystal, sign: int) -> set[tuple[float, ...]]:
        positions = crystal.expand().positions
        moved = np.round(sign * (positions - positions[0]), 6) % 1.0
        return {tuple(row) for row in moved.tolist()}

    first = Crystal(SILICON.cell, "F d -3 m:1", (Site("Si", (0, 0, 0)),))
    # atoms of the two sublattices see each other inverted
    both = from_first_atom(SILICON, 1), from_first_atom(SILICON, -1)
    assert from_first_atom(first, 1) in both


def test_partial_occupancy_and_two_species_on_one_site():
    brass = Crystal(
        (3.68,) * 3 + (90.0,) * 3, "F m -3 m",
        (Site("Cu", (0, 0, 0), 0.7), Site("Zn", (0, 0, 0), 0.3)),
    )  # fmt: skip
    assert brass.composition == pytest.approx({"Cu": 2.8, "Zn": 1.2})
    assert brass.mass_amu == pytest.approx(2.8 * 63.546 + 1.2 * 65.38, rel=1e-4)


def test_deuterium_counts_as_hydrogen():
    ice = Crystal((4, 4, 4, 90, 90, 90), "P 1", (Site("D", (0, 0, 0)), Site("O", (0.2, 0.2, 0))))
    assert ice.elements == {"H", "O"}


@pytest.mark.parametrize(
    ("symbol", "order"),
    # rotations of the Laue class without inversion: International Tables A, table 10.1.4.2
    [("P 1", 1), ("P 1 21/c 1", 2), ("P n m a", 4), ("P 42/m n m", 8), ("R -3 c:H", 6),
     ("P 63/m m c", 12), ("P a -3", 12), ("F m -3 m", 24), ("F -4 3 m", 24), ("P 63 m c", 12)],
)  # fmt: skip
def test_number_of_laue_rotations(symbol, order):
    rotations = laue_rotations(symbol)
    assert len(rotations) == order
    assert np.linalg.det(rotations) == pytest.approx(np.ones(order))
