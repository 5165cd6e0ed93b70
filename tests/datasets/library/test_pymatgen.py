"""Structures of pymatgen and our crystals are the same thing said twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from xtalfuse.datasets.library.build import Library
from xtalfuse.datasets.library.pymatgen import crystal_of, structure_of
from xtalfuse.datasets.library.sources import typed_phases
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import reflections

TYPED = {phase.id: phase.crystal for phase in typed_phases()[0]}
# zinc oxide with magnesium on the site of zinc, and some oxygen missing
MIXED = Crystal(
    (3.2495, 3.2495, 5.2069, 90.0, 90.0, 120.0),
    "P 63 m c",
    (
        Site("Zn", (1 / 3, 2 / 3, 0.0), 0.7, 0.6),
        Site("Mg", (1 / 3, 2 / 3, 0.0), 0.3, 0.6),
        Site("O", (1 / 3, 2 / 3, 0.3821), 0.95, 0.9),
    ),
)
CRYSTALS = {
    "cubic": TYPED["fluorite"], "hexagonal, partial occupancy": MIXED,
    "trigonal": TYPED["corundum"], "monoclinic": TYPED["gypsum"], "triclinic": TYPED["kyanite"],
}  # fmt: skip


def lines(crystal: Crystal) -> tuple[np.ndarray, np.ndarray]:
    """d (angstrom) and intensity, lines of one d together."""
    own = reflections(crystal, 1.2, 100_000)
    d, intensity = own.d_spacings(crystal.cell), own.intensities(crystal.cell, 1.5418)
    label = np.cumsum(np.diff(-d, prepend=-1e9) > 1e-5) - 1
    total = np.bincount(label, intensity)
    strong = total > 1e-4 * total.max()
    return d[np.unique(label, return_index=True)[1]][strong], total[strong]


def assert_same(found: Crystal, wanted: Crystal) -> None:
    assert found.space_group_number == wanted.space_group_number
    assert found.volume == pytest.approx(wanted.volume, rel=1e-6)
    for symbol, amount in wanted.composition.items():
        assert found.composition[symbol] == pytest.approx(amount, abs=1e-2)
    d, intensity = lines(found)
    true_d, true_intensity = lines(wanted)
    # positions of special sites are typed with four or five digits
    assert d == pytest.approx(true_d, rel=1e-5)
    assert intensity == pytest.approx(true_intensity, rel=2e-3, abs=1e-3 * true_intensity.max())


@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=CRYSTALS)
def test_there_and_back(crystal):
    back, notes = crystal_of(structure_of(crystal))
    assert_same(back, crystal)
    assert len(back.sites) == len(crystal.sites)
    # displacement parameters came along: none was assumed
    assert notes == (f"symmetry {back.space_group} was found",)
    assert sorted(s.b_iso for s in back.sites) == pytest.approx(
        sorted(s.b_iso for s in crystal.sites), abs=1e-4
    )


def test_sites_of_one_element_keep_their_own_displacement():
    crystal = TYPED["gypsum"]
    sites = tuple(replace(site, b_iso=0.4 + 0.1 * k) for k, site in enumerate(crystal.sites))
    back, _ = crystal_of(structure_of(replace(crystal, sites=sites)))
    given = sorted((site.species, round(site.b_iso, 3)) for site in sites)
    assert sorted((site.species, round(site.b_iso, 3)) for site in back.sites) == given


def test_a_primitive_cell_is_the_same_crystal():
    primitive = structure_of(TYPED["fluorite"]).get_primitive_structure()
    assert len(primitive) == 3
    assert_same(crystal_of(primitive)[0], TYPED["fluorite"])


def test_oxidation_states_are_left_out_and_their_amounts_added():
    cell = Lattice.cubic(8.3985)
    mixed = {"Fe2+": 0.5, "Fe3+": 0.5}
    places = [[5 / 8] * 3, [0.0, 0.0, 0.0], [0.3799] * 3]
    # magnetite, origin choice 1 of F d -3 m shifted by 1/8, as pymatgen has it
    magnetite = Structure.from_spacegroup(
        "Fd-3m", cell, ["Fe3+", mixed, "O2-"], np.array(places) - 1 / 8
    )
    crystal, notes = crystal_of(magnetite)
    assert crystal.elements == {"Fe", "O"}
    assert all(site.occupancy == 1.0 for site in crystal.sites)
    assert notes[-1] == "displacement parameters assumed for Fe, O"


def test_mean_square_displacements_are_read():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6402), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3],
        site_properties={"U_iso": [0.02, 0.01]},
    )  # fmt: skip
    found = {site.species: site.b_iso for site in crystal_of(salt)[0].sites}
    assert found == pytest.approx({"Na": 8 * np.pi**2 * 0.02, "Cl": 8 * np.pi**2 * 0.01}, abs=1e-4)


def rock_salt(a: float, cation: str = "Na", anion: str = "Cl") -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(a), [cation, anion], [[0, 0, 0], [0.5] * 3]
    )


def test_a_library_of_structures(tmp_path):
    structures = [rock_salt(5.6402), rock_salt(4.2117, "Mg", "O"), structure_of(TYPED["quartz"])]
    library = Library.from_structures(structures, names=["salt", "", "quartz"])
    assert [entry.id for entry in library.entries] == ["salt", "MgO", "quartz"]
    assert library.entries[0].crystal.space_group == "F m -3 m"
    assert len(library.reflections(2)) > 100
    stored = Library.from_structures(structures, out=tmp_path / "mine.h5")
    assert stored.path == tmp_path / "mine.h5"
    assert [entry.id for entry in stored.entries] == ["NaCl", "MgO", "SiO2"]
    twice = Library.from_structures([structures[0], structures[0]])
    assert [entry.id for entry in twice.entries] == ["NaCl", "NaCl_2"]


def test_what_cannot_be_a_crystal_is_refused_with_cause_and_remedy():
    good = rock_salt(5.6402)
    clash = Structure(Lattice.cubic(4.2), ["Ti", "O"], [[0, 0, 0], [0.1, 0.1, 0.0]])
    refusals = {
        "impossible distance": clash,
        "perhaps they are in nm": rock_salt(0.56402),
        "is no element": Structure(Lattice.cubic(4.2), [DummySpecies("X")], [[0, 0, 0]]),
        "give a structure with atoms": Structure(Lattice.cubic(4.2), [], []),
        "give finite numbers": Structure(Lattice.cubic(4.2), ["Cu"], [[np.nan, 0, 0]]),
    }
    for cause, structure in refusals.items():
        with pytest.raises(ValueError, match=rf"structures\[1\].*{cause}.*leave them out"):
            Library.from_structures([good, structure])
    with pytest.raises(ValueError, match="2 structures and 1 names"):
        Library.from_structures([good, good], names=["one"])
    with pytest.raises(ValueError, match="at least one"):
        Library.from_structures([])
