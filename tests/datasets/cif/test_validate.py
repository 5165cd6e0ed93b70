"""Wrong structures are found, right ones are left in peace."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.datasets.cif.bond_valence import bond_length, neighbours, valence_sums
from xtalfuse.datasets.cif.oxidation import anions_of
from xtalfuse.datasets.cif.symmetry import found_group, standardised
from xtalfuse.datasets.cif.validate import validate
from xtalfuse.physics.crystal.cell import Crystal, Site

KNOWN = (
    "rutile", "anatase", "corundum", "calcite", "quartz", "halite", "fluorite", "iron",
    "zincite", "pyrite",
)  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_right_structures_pass(known: dict[str, Crystal], name: str) -> None:
    verdict = validate(known[name])
    assert verdict.errors == []
    assert verdict.warnings == []


def test_bond_valence_sums_of_rutile(known: dict[str, Crystal]) -> None:
    """Six bonds of 1.949 and 1.980 angstrom give titanium its charge of four."""
    crystal = known["rutile"]
    near = neighbours(crystal)
    sums, coordination = valence_sums(crystal, near, frozenset({"O"}))
    expected = 4 * np.exp((1.815 - 1.9487) / 0.37) + 2 * np.exp((1.815 - 1.9834) / 0.37)
    # beyond these six bonds come eight contacts of 3.5 angstrom with 1 % of a valence each
    assert sums[0] == pytest.approx(expected, abs=0.12)
    assert sums[0] == pytest.approx(2 * sums[1], rel=1e-6)  # charges balance in any geometry
    assert coordination.tolist() == [6.0, 3.0]


def test_general_bond_lengths_follow_their_formula() -> None:
    # O'Keeffe & Brese (1991), eq. 3, by hand for zinc and sulfur
    (c1, r1), (c2, r2) = (1.66, 1.07), (2.35, 1.03)
    by_hand = r1 + r2 - r1 * r2 * (c1**0.5 - c2**0.5) ** 2 / (c1 * r1 + c2 * r2)
    assert bond_length("Zn", "S") == pytest.approx(by_hand)
    assert np.isnan(bond_length("Po", "S"))


def test_wrong_origin_is_found_by_bond_valence(known: dict[str, Crystal]) -> None:
    """Anatase with z taken from the other origin: every distance is possible."""
    right = known["anatase"]
    wrong = replace(right, sites=(right.sites[0], Site("O", (0.0, 0.0, 0.3331))))
    verdict = validate(wrong)
    assert any("bond-valence sum" in doubt and "Ti" in doubt for doubt in verdict.doubts)
    assert not verdict.sound
    assert not any("distance" in error for error in verdict.errors)


def test_wrong_origin_of_high_cristobalite(known: dict[str, Crystal]) -> None:
    cell = (7.166, 7.166, 7.166, 90.0, 90.0, 90.0)
    silicon = Site("Si", (0.125, 0.125, 0.125))
    right = Crystal(cell, "F d -3 m:2", (silicon, Site("O", (0.0, 0.0, 0.0))))
    wrong = Crystal(cell, "F d -3 m:2", (silicon, Site("O", (0.5, 0.5, 0.5))))
    assert validate(right).errors == []
    assert any("neighbours" in error for error in validate(wrong).errors)


@pytest.mark.parametrize(("element", "a"), [("Si", 5.4310), ("Ge", 5.6575)])
def test_wrong_origin_of_the_diamond_structure(element: str, a: float) -> None:
    """At the other origin there are 16 atoms, 0.35 a apart: silicon at 1.92 angstrom."""
    cell, site = (a, a, a, 90.0, 90.0, 90.0), (Site(element, (0.0, 0.0, 0.0)),)
    assert validate(Crystal(cell, "F d -3 m:1", site)).errors == []
    assert validate(Crystal(cell, "F d -3 m:2", site)).errors


def test_lost_centring_is_found(known: dict[str, Crystal]) -> None:
    """Half the atoms of body-centred anatase: distances can only grow."""
    atoms = known["anatase"].expand()
    lower = atoms.positions[:, 2] < 0.499
    names = {8: "O", 22: "Ti"}
    sites = tuple(
        Site(names[int(z)], tuple(float(v) for v in p))
        for z, p in zip(atoms.numbers[lower], atoms.positions[lower], strict=True)
    )
    verdict = validate(Crystal(known["anatase"].cell, "P 1", sites))
    assert verdict.errors


def test_wrong_cation_in_a_cell_is_found() -> None:
    """Calcium in a cell made for magnesium (periclase 4.211, lime 4.811 angstrom)."""
    sites = (Site("Ca", (0, 0, 0)), Site("O", (0.5, 0.5, 0.5)))
    assert not validate(Crystal((4.811,) * 3 + (90.0,) * 3, "F m -3 m", sites)).errors
    verdict = validate(Crystal((4.15,) * 3 + (90.0,) * 3, "F m -3 m", sites))
    assert any("bond-valence" in text for text in verdict.errors + verdict.warnings)


def test_oxygen_bonds_in_a_plain_oxide_are_found() -> None:
    """Silica with the pairs of pyrite: O-O 1.47 angstrom, though Si4+ and O2- balance."""
    sites = (Site("Si", (0, 0, 0)), Site("O", (0.415, 0.415, 0.415)))
    verdict = validate(Crystal((5.0,) * 3 + (90.0,) * 3, "P a -3", sites))
    assert any("O bonds to itself" in error for error in verdict.errors)


@pytest.mark.parametrize(
    ("sites", "group", "cell", "cause"),
    [
        ((Site("Fe", (0, 0, 0)), Site("Fe", (0.05, 0, 0))), "P 1", 5.0, "impossible distance"),
        ((Site("Fe", (0, 0, 0), 0.7), Site("Ni", (0, 0, 0), 0.6)), "P m -3 m", 2.9, "add up"),
        ((Site("Fe", (0, 0, 0)), Site("Fe", (0.5, 0.5, 0.5))), "P 1", 1.7, "denser"),
        ((Site("Fe", (0, 0, 0)),), "P 1", 9.0, "emptier"),
        ((Site("Os", (0, 0, 0)),), "P m -3 m", 2.2, "g/cm3"),
    ],
)
def test_impossible_structures(
    sites: tuple[Site, ...], group: str, cell: float, cause: str
) -> None:
    verdict = validate(Crystal((cell,) * 3 + (90.0,) * 3, group, sites))
    assert any(cause in error for error in verdict.errors), verdict


def test_alternatives_of_one_place_may_overlap() -> None:
    """Two half-filled sites 0.6 angstrom apart are never filled together."""
    cell = (5.6402,) * 3 + (90.0,) * 3
    split = (Site("Na", (0.05, 0, 0), 1 / 6), Site("Cl", (0.5, 0.5, 0.5)))
    verdict = validate(Crystal(cell, "F m -3 m", split))
    assert not any("distance" in error for error in verdict.errors)


def test_misplaced_hydrogen_never_costs_an_entry() -> None:
    """X-rays see hydrogen badly: portlandite with O-H 0.5 angstrom is kept with a warning."""
    cell = (3.589, 3.589, 4.911, 90.0, 90.0, 120.0)
    third = (1 / 3, 2 / 3)
    sites = (Site("Ca", (0, 0, 0)), Site("O", (*third, 0.234)), Site("H", (*third, 0.336)))
    verdict = validate(Crystal(cell, "P -3 m 1", sites))
    assert verdict.errors == []
    assert any("H" in warning for warning in verdict.warnings)


def test_higher_symmetry_is_a_note(known: dict[str, Crystal]) -> None:
    lower = replace(known["halite"], space_group="F m -3")
    verdict = validate(lower)
    assert verdict.errors == []
    assert any("F m -3 m (225) fits too" in note for note in verdict.notes)


@pytest.mark.parametrize("name", KNOWN)
def test_symmetry_is_found_from_atoms_alone(known: dict[str, Crystal], name: str) -> None:
    from gemmi import Element

    crystal = known[name]
    atoms = crystal.expand()
    sites = tuple(
        Site(Element(int(z)).name, tuple(float(v) for v in p))
        for z, p in zip(atoms.numbers, atoms.positions, strict=True)
    )
    listed = Crystal(crystal.cell, "P 1", sites)
    assert found_group(listed) == crystal.space_group_number
    again = standardised(listed)
    assert again.space_group_number == crystal.space_group_number
    assert again.volume == pytest.approx(crystal.volume, rel=1e-6)
    assert again.composition == pytest.approx(crystal.composition)


def test_anions(known: dict[str, Crystal]) -> None:
    def anions(name: str) -> set[str]:
        return set(anions_of(known[name], neighbours(known[name])))

    assert anions("calcite") == {"O"}
    assert anions("pyrite") == {"S"}
    barite_like = Crystal(
        (8.884, 5.4559, 7.157, 90, 90, 90),
        "P n m a",
        (
            Site("Ba", (0.1845, 0.25, 0.1585)),
            Site("S", (0.4370, 0.75, 0.1914)),
            Site("O", (0.5870, 0.75, 0.1060)),
            Site("O", (0.3176, 0.75, 0.0498)),
            Site("O", (0.4194, 0.9704, 0.3119)),
        ),
    )
    near = neighbours(barite_like)
    assert anions_of(barite_like, near) == {"O"}  # sulfur of a sulfate is a cation
    assert validate(barite_like).errors == []


def test_real_structures_that_are_wrong_are_found(real) -> None:
    """A lost centring (albite, talc) and a cation in another's cell (calcium langbeinite)."""
    from xtalfuse.datasets.cif.read import read_cif

    folder = real / "cif" / "profex"
    for name in ("Albite", "Talc", "Langbeinite_Ca"):
        for structure in read_cif(folder / f"{name}.cif").structures:
            assert not validate(structure.crystal).sound, name
    for name in ("Fluorite", "Zincite", "Dolomite", "Zoisite", "Mullite32", "Hydroxyapatite"):
        for structure in read_cif(folder / f"{name}.cif").structures:
            assert validate(structure.crystal).sound, name
