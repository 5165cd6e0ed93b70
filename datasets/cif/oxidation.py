"""Which elements of a structure are anions, and what charge each cation should have."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np

from xtalfuse.datasets.cif.bond_valence import Neighbours
from xtalfuse.physics.crystal.cell import Crystal

ELECTRONEGATIVE = ("F", "O", "Cl", "N", "Br", "I", "S", "Se", "Te")  # strongest anion first

# Oxidation states met in inorganic solids; anions negative. Greenwood, N. N. & Earnshaw, A.
# (1997). Chemistry of the Elements, 2nd ed., and Shannon, R. D. (1976). Acta Cryst. A32, 751.
OXIDATION_STATES: dict[str, tuple[int, ...]] = {
    "H": (1, -1), "Li": (1,), "Be": (2,), "B": (3,), "C": (4, 2, 3, -4), "N": (5, 3, -3),
    "O": (-2,), "F": (-1,), "Na": (1,), "Mg": (2,), "Al": (3,), "Si": (4, -4), "P": (5, 3, -3),
    "S": (6, 4, -2), "Cl": (-1, 7, 5), "K": (1,), "Ca": (2,), "Sc": (3,), "Ti": (4, 3, 2),
    "V": (5, 4, 3, 2), "Cr": (3, 6, 2, 4, 5), "Mn": (2, 3, 4, 7, 6), "Fe": (3, 2), "Co": (2, 3, 4),
    "Ni": (2, 3, 4), "Cu": (2, 1, 3), "Zn": (2,), "Ga": (3,), "Ge": (4, 2), "As": (5, 3, -3),
    "Se": (6, 4, -2), "Br": (-1, 5), "Rb": (1,), "Sr": (2,), "Y": (3,), "Zr": (4,),
    "Nb": (5, 4, 3, 2), "Mo": (6, 4, 5, 3, 2), "Tc": (7, 4), "Ru": (4, 3, 5, 6), "Rh": (3, 4),
    "Pd": (2, 4), "Ag": (1, 2, 3), "Cd": (2,), "In": (3, 1), "Sn": (4, 2), "Sb": (3, 5, -3),
    "Te": (4, 6, -2), "I": (-1, 5, 7), "Cs": (1,), "Ba": (2,), "La": (3,), "Ce": (4, 3),
    "Pr": (3, 4), "Nd": (3,), "Sm": (3, 2), "Eu": (3, 2), "Gd": (3,), "Tb": (3, 4), "Dy": (3,),
    "Ho": (3,), "Er": (3,), "Tm": (3,), "Yb": (3, 2), "Lu": (3,), "Hf": (4,), "Ta": (5, 4),
    "W": (6, 4, 5), "Re": (7, 6, 4), "Os": (4, 8, 6), "Ir": (4, 3, 5), "Pt": (4, 2), "Au": (3, 1),
    "Hg": (2, 1), "Tl": (1, 3), "Pb": (2, 4), "Bi": (3, 5), "Th": (4,), "U": (6, 4, 5),
}  # fmt: skip


@dataclass(frozen=True)
class Charges:
    """Charges of an ionic structure, all counted positive."""

    anions: frozenset[str]
    possible: dict[str, tuple[float, float]]  # element -> lowest and highest common valence
    expected: dict[str, tuple[float, float]]  # the same, narrowed by neutrality
    balanced: bool  # some choice of common oxidation states gives a neutral cell
    certain: bool  # every cation has one common state: nothing was fitted to balance
    homopolar: frozenset[str]  # non-metals that share electrons with their own kind
    judge: np.ndarray  # (n_sites,) the site is occupied and held by one element
    disordered: np.ndarray  # (n_sites,) partly occupied, or with such neighbours


def charges_of(crystal: Crystal, near: Neighbours) -> Charges | None:
    """Charges, or None where the structure is not ionic: metals and suboxides."""
    anions = anions_of(crystal, near)
    amounts = {el: n for el, n in crystal.composition.items() if el not in anions}
    amounts["H"] = amounts.pop("D", 0.0) + amounts.get("H", 0.0)
    cations = {el: n for el, n in amounts.items() if n > 1e-6}
    if not anions or not cations:
        return None
    states = {el: tuple(s for s in OXIDATION_STATES.get(el, ()) if s > 0) for el in cations}
    if not all(states.values()):
        return None
    negative = {el: -min(OXIDATION_STATES[el]) for el in anions}
    needed = sum(negative[el] * crystal.composition[el] for el in anions)
    lowest = sum(min(states[el]) * n for el, n in cations.items())
    highest = sum(max(states[el]) * n for el, n in cations.items())
    if lowest > 1.15 * needed:  # electrons are left over: a metal or a suboxide
        return None
    balanced = lowest <= 1.03 * needed and highest >= 0.97 * needed
    possible = {el: (float(min(s)), float(max(s))) for el, s in states.items()}
    expected = _narrowed(possible, cations, needed) if balanced else dict(possible)
    for fixed in (possible, expected):
        fixed.update({el: (float(q), float(q)) for el, q in negative.items()})
        fixed.pop("H", None)
    certain = all(len(s) == 1 or el in ("C", "N", "P", "S", "H") for el, s in states.items())
    homopolar = _homopolar(crystal, near)
    judge, disordered = _order(crystal, near, anions)
    return Charges(anions, possible, expected, balanced, certain, homopolar, judge, disordered)


def _narrowed(
    possible: dict[str, tuple[float, float]], cations: dict[str, float], needed: float
) -> dict[str, tuple[float, float]]:
    """Range of each cation as far as the charges of the others leave it."""
    low = sum(possible[el][0] * n for el, n in cations.items())
    high = sum(possible[el][1] * n for el, n in cations.items())
    narrowed = {}
    for element, amount in cations.items():
        least, most = possible[element]
        upper = (needed - (low - least * amount)) / amount
        lower = (needed - (high - most * amount)) / amount
        bounds = float(np.clip(lower, least, most)), float(np.clip(upper, least, most))
        narrowed[element] = (min(bounds), max(bounds))
    return narrowed


def anions_of(crystal: Crystal, near: Neighbours) -> frozenset[str]:
    """Elements that act as anions: electronegative, and not bonded to a stronger anion.

    Sulfur is an anion in ZnS and a cation in CaSO4; nitrogen likewise.
    """
    atoms = crystal.expand()
    species = np.array([s.species for s in crystal.sites])
    anions: list[str] = []
    for element in (el for el in ELECTRONEGATIVE if el in set(species)):
        mine = np.isin(near.site, np.flatnonzero(species == element)) & (near.distance > 0.3)
        bonded = False
        for stronger in anions:
            other = gemmi.Element(stronger)
            reach = 1.2 * (gemmi.Element(element).covalent_r + other.covalent_r)
            # fluorine shares sites with oxygen and chlorine: only a true bond counts
            full = atoms.occupancies[near.atom] > 0.6
            pair = mine & full & (atoms.numbers[near.atom] == other.atomic_number)
            bonded |= stronger != "F" and bool((near.distance[pair] < reach).any())
        if not bonded:
            anions.append(element)
    return frozenset(anions)


def _homopolar(crystal: Crystal, near: Neighbours) -> frozenset[str]:
    """Non-metals bonded to their own kind: peroxide, pyrite, ethanoate; hydrogen left out."""
    atoms = crystal.expand()
    found = set()
    for index, site in enumerate(crystal.sites):
        own = gemmi.Element(site.species)
        if site.occupancy < 0.6 or own.is_metal or own.atomic_number == 1:
            continue
        same = (near.site == index) & (near.distance > 0.3)
        same &= atoms.numbers[near.atom] == own.atomic_number
        same &= site.occupancy + atoms.occupancies[near.atom] > 1.5
        if (near.distance[same] < 1.25 * 2 * own.covalent_r).any():
            found.add(own.name)
    return frozenset(found)


def _order(
    crystal: Crystal, near: Neighbours, anions: frozenset[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Sites that can be judged by their sum, and those whose surroundings are disordered."""
    atoms = crystal.expand()
    occupancies = np.array([s.occupancy for s in crystal.sites])
    point = near.distance < 0.05
    total = occupancies + np.bincount(
        near.site[point], atoms.occupancies[near.atom[point]], len(occupancies)
    )
    around = (near.distance > 0.05) & (near.distance < 2.6)
    places = np.bincount(near.site[around], minlength=len(occupancies)).astype(float)
    partial = around & (atoms.occupancies[near.atom] < 0.45)
    share = np.bincount(near.site[partial], minlength=len(occupancies)) / np.maximum(1, places)
    # anions of a mixed site (O with F) take the mean of two charges: not judged
    mixed = np.array([site.species in anions for site in crystal.sites]) & (occupancies < total)
    judge = (occupancies >= 0.5 * total) & (total > 0.6) & ~mixed
    return judge, (total < 0.9) | (share > 0.2)
