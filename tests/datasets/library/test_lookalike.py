"""Entries are alike when, and only when, a powder pattern cannot tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xtalfuse.datasets.library.lookalike import (
    LookAlikes,
    centre,
    fingerprint,
    likeness,
    look_alikes,
)
from xtalfuse.physics.crystal.cell import Crystal, Site
from xtalfuse.physics.crystal.diffraction import reflections


def compare(crystals: Sequence[Crystal]) -> LookAlikes:
    return look_alikes(crystals, [reflections(c, 0.7, 3000) for c in crystals])


def fcc(element: str, a: float) -> Crystal:
    return Crystal((a, a, a, 90, 90, 90), "F m -3 m", (Site(element, (0, 0, 0)),))


def spinel(a: float, iron_at_octahedra: float = 1.0) -> Crystal:
    """Fe3O4 (Fleet 1981), or with vacancies on the octahedral site."""
    sites = (
        Site("Fe", (0.125, 0.125, 0.125)),
        Site("Fe", (0.5, 0.5, 0.5), iron_at_octahedra),
        Site("O", (0.2549, 0.2549, 0.2549)),
    )
    return Crystal((a, a, a, 90, 90, 90), "F d -3 m:2", sites)


def test_enantiomorphs_are_one_class(known: dict[str, Crystal]) -> None:
    right = known["quartz"]
    sites = (Site("Si", (0.4697, 0, 1 / 3)), Site("O", (0.4135, 0.2669, 1 - 0.7858)))
    left = Crystal(right.cell, "P 31 2 1", sites)
    assert compare([right, left]).class_ids.tolist() == [0, 0]


def test_another_setting_of_one_structure(known: dict[str, Crystal]) -> None:
    first = known["anatase"]
    sites = (Site("Ti", (0, 0.25, 0.375)), Site("O", (0, 0.25, 0.1669)))
    second = Crystal(first.cell, "I 41/a m d:2", sites)
    assert compare([first, second]).class_ids.tolist() == [0, 0]


def test_polymorphs_and_salts_are_told_apart(known: dict[str, Crystal]) -> None:
    crystals = list(known.values())
    result = compare(crystals)
    assert result.class_ids.tolist() == list(range(len(crystals)))
    assert len(result.pairs) == 0


def test_magnetite_and_maghemite_are_one_class() -> None:
    """0.57 % in the cell and vacancies: what oxidation does within one specimen."""
    result = compare([spinel(8.3958), spinel(8.3474, 5 / 6)])
    assert result.class_ids.tolist() == [0, 0]


def test_other_elements_must_share_the_cell() -> None:
    """Silver and gold (0.2 %) do, aluminium (0.9 % from silver) shows its own lines."""
    result = compare([fcc("Ag", 4.0862), fcc("Au", 4.0786), fcc("Al", 4.0495)])
    assert result.class_ids.tolist() == [0, 0, 1]


def test_small_steps_do_not_chain() -> None:
    """Each is like its neighbour (0.8 %), but the ends (2.4 %) are not alike."""
    crystals = [fcc("Ni", 3.50 * 1.008**i) for i in range(4)]
    result = compare(crystals)
    assert (0, 1) in {tuple(pair) for pair in result.pairs.tolist()}
    for i, j in ((0, 3), (0, 2), (1, 3)):
        assert result.class_ids[i] != result.class_ids[j]
    for k in set(result.class_ids.tolist()):
        members = np.flatnonzero(result.class_ids == k)
        pairs = {tuple(pair) for pair in result.pairs.tolist()}
        assert all((i, j) in pairs for i in members for j in members if i < j)


def test_poor_positions_of_the_same_structure(known: dict[str, Crystal]) -> None:
    """An old and a new refinement: same group, cell and composition, oxygen 0.05 A apart."""
    new = known["calcite"]
    moved = Site("O", (0.2668, 0.0, 0.25), 1.0, 1.5)
    old = replace(new, cell=(4.990, 4.990, 17.00, 90.0, 90.0, 120.0), sites=(*new.sites[:2], moved))
    assert compare([new, old]).class_ids.tolist() == [0, 0]


def test_fingerprint_shifts_with_the_cell(known: dict[str, Crystal]) -> None:
    """0.5 % in all axes is a shift by five channels of 0.1 %, whatever the structure."""
    crystal = known["corundum"]
    a, _, c = crystal.cell[:3]
    swollen = replace(crystal, cell=(a * 1.005, a * 1.005, c * 1.005, 90.0, 90.0, 120.0))
    first = fingerprint(reflections(crystal, 0.7, 3000), crystal)
    second = fingerprint(reflections(swollen, 0.7, 3000), swollen)
    unshifted, shifted = (
        likeness(first, centre(second[None]), np.array([limit]))[0] for limit in (0.0, 10.0)
    )
    assert unshifted < 0.8
    # the remainder is the Lorentz-polarisation factor and sampling within a channel
    assert shifted > 0.995


def test_nothing_to_compare() -> None:
    assert len(compare([]).class_ids) == 0


def test_order_of_entries_does_not_matter(known: dict[str, Crystal]) -> None:
    crystals = [fcc("Ag", 4.0862), *known.values(), fcc("Au", 4.0786), spinel(8.39), spinel(8.40)]
    order = np.random.default_rng(0).permutation(len(crystals))
    first = compare(crystals).class_ids
    second = compare([crystals[i] for i in order]).class_ids
    together = first[:, None] == first[None, :]
    np.testing.assert_array_equal(
        together[np.ix_(order, order)], second[:, None] == second[None, :]
    )
