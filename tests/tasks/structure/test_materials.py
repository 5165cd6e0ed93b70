"""Which material a phase is: by name, by choice, and when neither tells."""

from __future__ import annotations

import pytest

from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.tasks.structure.materials import materials_of

COPPER = MapPhase("Copper", "m-3m", (3.61, 3.61, 3.61, 90.0, 90.0, 90.0))
SECRET = MapPhase("phase 7", "m-3m")
TITANIUM = MapPhase("Titanium (Alpha)", "6/mmm", (2.95, 2.95, 4.683, 90.0, 90.0, 120.0))


def test_a_phase_is_found_by_its_name():
    (material,) = materials_of([COPPER])
    assert material.elastic is not None
    assert material.elastic.id == "copper"
    assert material.strength is not None
    assert material.slip_family == "fcc"


def test_a_part_of_a_name_will_do_and_the_axial_ratio_is_the_files():
    (material,) = materials_of([TITANIUM])
    assert material.elastic is not None
    assert material.elastic.formula == "Ti"
    assert material.slip_family == "hcp"
    assert material.slip is not None
    assert len(material.slip) == 24  # 3 basal, 3 prismatic, 6 pyramidal a, 12 pyramidal c+a


def test_a_name_that_tells_nothing_is_said_so():
    (material,) = materials_of([SECRET])
    assert material.elastic is None
    assert material.slip is None
    assert "no elastic constants" in material.found_by


def test_materials_are_chosen_in_order_or_by_name():
    in_order = materials_of([SECRET, COPPER], ["nickel"])
    by_name = materials_of([SECRET, COPPER], {"phase 7": "nickel"})
    for first, second in (in_order, by_name):
        assert first.elastic is not None
        assert first.elastic.id == "nickel"
        assert second.elastic is not None
        assert second.elastic.id == "copper"


def test_a_choice_with_another_symmetry_is_refused():
    with pytest.raises(ValueError, match="Laue group m-3m"):
        materials_of([SECRET], ["zinc"])


def test_a_pore_is_empty_and_has_no_orientation():
    (material,) = materials_of([MapPhase("dark", None)], ["pore"])
    assert material.phase.pore
    assert material.elastic is None


def test_rock_salt_slips_otherwise_than_fcc_metals():
    (material,) = materials_of([MapPhase("Halite", "m-3m")])
    assert material.elastic is not None
    assert material.slip_family is None


def test_another_setting_is_not_turned_silently():
    (material,) = materials_of([MapPhase("Zirconia", "112/m")])
    assert material.elastic is None
    assert "other axes" in material.found_by


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["copper", "nickel"], "2 materials, but the phases are 'phase 7'"),
        ({"iron": "copper"}, "no phase 'iron'; there are 'phase 7'"),
        (["nikel"], "did you mean"),
    ],
)
def test_a_wrong_choice_names_the_remedy(chosen, told):
    with pytest.raises(ValueError, match=told):
        materials_of([SECRET], chosen)


@pytest.mark.parametrize("name", ["(Ti,Al)N", "(Fe,Cr)23C6", "Cr(C,N)", "M[C] (Fe, Al)"])
def test_elements_of_a_formula_are_not_the_material(name):
    (found,) = materials_of([MapPhase(name, "m-3m")])
    assert found.elastic is None
