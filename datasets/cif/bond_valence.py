"""Bond-valence sums: how strongly each atom is bonded, from distances alone.

A wrong origin choice or a mistyped coordinate can leave every distance possible and still
give titanium a valence of 2.5; the sum rule sees it.

References
----------
O'Keeffe, M. & Brese, N. E. (1991). J. Am. Chem. Soc. 113, 3226 (any pair, from two numbers
for each element). Brese, N. E. & O'Keeffe, M. (1991). Acta Cryst. B47, 192 (cation-oxygen
and cation-fluorine). Brown, I. D. (2009). Chem. Rev. 109, 6858 (the global instability index).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

from xtalfuse.physics.crystal.cell import Crystal

SOFTNESS_ANGSTROM = 0.37  # b of exp((R - d) / b), Brown & Altermatt (1985) Acta Cryst. B41, 244
REACH_ANGSTROM = 4.3  # Cs-I bonds are 3.95 angstrom long

# O'Keeffe & Brese (1991), table 1: element -> (c, r)
_ELEMENT: dict[str, tuple[float, float]] = {
    "Ag": (1.42, 1.12), "Al": (1.47, 1.13), "As": (2.23, 1.21), "B": (1.60, 0.79),
    "Ba": (0.97, 1.88), "Be": (1.47, 0.81), "Bi": (1.67, 1.54), "Br": (2.58, 1.13),
    "C": (2.00, 0.78), "Ca": (1.04, 1.50), "Cd": (1.46, 1.28), "Ce": (1.08, 1.68),
    "Cl": (2.74, 0.99), "Co": (1.70, 1.09), "Cr": (1.56, 1.16), "Cs": (0.86, 2.05),
    "Cu": (1.75, 0.87), "Dy": (1.10, 1.54), "Er": (1.11, 1.51), "Eu": (1.01, 1.62),
    "F": (3.98, 0.58), "Fe": (1.64, 1.16), "Ga": (1.82, 1.14), "Gd": (1.11, 1.58),
    "Ge": (1.51, 1.21), "H": (0.89, 0.38), "Hf": (1.23, 1.42), "Hg": (1.44, 1.32),
    "Ho": (1.10, 1.53), "I": (2.38, 1.33), "In": (1.49, 1.34), "Ir": (1.55, 1.37),
    "K": (0.91, 1.73), "La": (1.08, 1.71), "Li": (0.97, 1.00), "Lu": (1.14, 1.47),
    "Mg": (1.23, 1.21), "Mn": (1.60, 1.17), "Mo": (1.30, 1.37), "N": (2.61, 0.72),
    "Na": (1.01, 1.36), "Nb": (1.23, 1.40), "Nd": (1.07, 1.64), "Ni": (1.75, 1.04),
    "O": (3.15, 0.63), "P": (1.96, 1.09), "Pb": (1.55, 1.53), "Pd": (1.35, 1.11),
    "Pr": (1.07, 1.66), "Rb": (0.89, 1.84), "Re": (1.46, 1.37), "Rh": (1.54, 1.18),
    "Ru": (1.42, 1.21), "S": (2.35, 1.03), "Sb": (1.72, 1.41), "Sc": (1.20, 1.34),
    "Se": (2.51, 1.18), "Si": (1.58, 1.12), "Sm": (1.07, 1.61), "Sn": (1.72, 1.37),
    "Sr": (0.99, 1.66), "Ta": (1.33, 1.39), "Tb": (1.10, 1.56), "Te": (2.72, 1.40),
    "Th": (1.11, 1.70), "Ti": (1.32, 1.27), "Tl": (1.44, 1.62), "Tm": (1.11, 1.50),
    "U": (1.22, 1.59), "V": (1.45, 1.21), "W": (1.40, 1.38), "Y": (1.11, 1.52),
    "Yb": (1.06, 1.49), "Zn": (1.66, 1.07), "Zr": (1.22, 1.43),
}  # fmt: skip

# Brese & O'Keeffe (1991), table 2: R of the bond to oxygen for the usual oxidation states
_OXYGEN: dict[str, float] = {
    "Li": 1.466, "Na": 1.80, "K": 2.13, "Rb": 2.26, "Cs": 2.42, "Be": 1.381, "Mg": 1.693,
    "Ca": 1.967, "Sr": 2.118, "Ba": 2.29, "B": 1.371, "Al": 1.651, "Ga": 1.73, "In": 1.902,
    "C": 1.39, "Si": 1.624, "Ge": 1.748, "Sn": 1.905, "Pb": 2.112, "N": 1.432, "P": 1.604,
    "As": 1.767, "Sb": 1.942, "Bi": 2.09, "S": 1.624, "Se": 1.811, "Te": 1.977, "Sc": 1.849,
    "Ti": 1.815, "V": 1.803, "Cr": 1.724, "Mn": 1.76, "Fe": 1.745, "Co": 1.692, "Ni": 1.654,
    "Cu": 1.679, "Zn": 1.704, "Y": 2.014, "Zr": 1.937, "Nb": 1.911, "Mo": 1.907, "Ag": 1.805,
    "Cd": 1.904, "Hg": 1.93, "La": 2.172, "Ce": 2.09, "Pr": 2.138, "Nd": 2.117, "Sm": 2.088,
    "Eu": 2.076, "Gd": 2.065, "Tb": 2.049, "Dy": 2.036, "Ho": 2.023, "Er": 2.01, "Tm": 2.0,
    "Yb": 1.985, "Lu": 1.971, "Hf": 1.923, "Ta": 1.92, "W": 1.921, "Th": 2.167, "U": 2.075,
    "H": 0.95,
}  # fmt: skip
_FLUORINE: dict[str, float] = {
    "Li": 1.36, "Na": 1.677, "K": 1.992, "Rb": 2.16, "Cs": 2.33, "Mg": 1.581, "Ca": 1.842,
    "Sr": 2.019, "Ba": 2.19, "Al": 1.545, "Si": 1.58, "Ti": 1.76, "Cr": 1.657, "Mn": 1.698,
    "Fe": 1.67, "Co": 1.64, "Ni": 1.596, "Cu": 1.594, "Zn": 1.62, "Y": 1.904, "Zr": 1.854,
    "Nb": 1.87, "La": 2.09, "Pb": 2.03, "P": 1.521,
}  # fmt: skip


@lru_cache(maxsize=8192)
def bond_length(cation: str, anion: str) -> float:
    """Length R of a bond of valence one, angstrom; NaN where neither table has the pair."""
    table = {"O": _OXYGEN, "F": _FLUORINE}.get(anion, {})
    cation = "H" if cation == "D" else cation
    if cation in table:
        return table[cation]
    if cation not in _ELEMENT or anion not in _ELEMENT:
        return float("nan")
    (c1, r1), (c2, r2) = _ELEMENT[cation], _ELEMENT[anion]
    return r1 + r2 - r1 * r2 * (c1**0.5 - c2**0.5) ** 2 / (c1 * r1 + c2 * r2)


@dataclass(frozen=True)
class Neighbours:
    """Pairs of a site of the asymmetric unit and an atom near it (periodic images apart)."""

    site: np.ndarray  # (n,) index into crystal.sites
    atom: np.ndarray  # (n,) index into crystal.expand()
    distance: np.ndarray  # (n,) angstrom; 0 < distance, the site itself left out


def neighbours(crystal: Crystal, reach_angstrom: float = REACH_ANGSTROM) -> Neighbours:
    """All atoms within reach of each site of the asymmetric unit, in any direction.

    An atom that sits on the very point of the site (a solid solution) has distance 0 and is
    kept, except the site itself.
    """
    atoms = crystal.expand()
    unit = gemmi.UnitCell(*crystal.cell)
    orth = np.array(unit.orth.mat.tolist())
    star = np.array([unit.reciprocal().a, unit.reciprocal().b, unit.reciprocal().c])
    spans = np.ceil(reach_angstrom * star + 0.5).astype(int)
    shifts = np.stack(np.meshgrid(*[np.arange(-s, s + 1) for s in spans], indexing="ij"), -1)
    vectors = shifts.reshape(-1, 3) @ orth.T  # [n_shifts, 3]
    rows = []
    for index, site in enumerate(crystal.sites):
        delta = atoms.positions - np.array(site.position)
        delta -= np.rint(delta)
        distance = np.linalg.norm((delta @ orth.T)[:, None, :] + vectors[None], axis=-1)
        atom, _ = np.nonzero(distance < reach_angstrom)
        found = distance[distance < reach_angstrom]
        rows.append((np.full(len(atom), index), atom, found))
    owner, near, distance = (np.concatenate(column) for column in zip(*rows, strict=True))
    numbers = np.array([gemmi.Element(s.species).atomic_number for s in crystal.sites])
    itself = (distance < 0.05) & (numbers[owner] == atoms.numbers[near])
    return Neighbours(owner[~itself], near[~itself], distance[~itself])


def valence_sums(
    crystal: Crystal, near: Neighbours, anions: frozenset[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of bond valences of each site, and how many neighbours it is firmly bonded to.

    Bonds run between `anions` and all other elements; each counts by the occupancy of the
    neighbour. X-rays place hydrogen too near its neighbour: a bond to it counts 0.8 at most,
    the rest being its hydrogen bond.

    Parameters
    ----------
    crystal : the structure
    near : its neighbours
    anions : elements at the other end of every bond

    Returns
    -------
    sums (n_sites,), cations and anions both positive, NaN where a needed pair is in no table;
    coordination (n_sites,), occupancy of the neighbours bonded by more than 0.15 valence units
    """
    atoms = crystal.expand()
    names = {int(z): gemmi.Element(int(z)).name for z in np.unique(atoms.numbers)}
    own = ["H" if site.species == "D" else site.species for site in crystal.sites]
    lengths = np.array([[_pair_length(a, b, anions) for b in names.values()] for a in own])
    column = np.searchsorted(list(names), atoms.numbers[near.atom])
    length = lengths[near.site, column]
    bonded = length != 0.0
    valence = np.zeros(len(length))
    valence[bonded] = np.exp((length[bonded] - near.distance[bonded]) / SOFTNESS_ANGSTROM)
    hydrogen_site = np.array([name == "H" for name in own])[near.site]
    hydrogen_atom = atoms.numbers[near.atom] == 1
    valence[hydrogen_site | hydrogen_atom] = np.minimum(valence[hydrogen_site | hydrogen_atom], 0.8)
    weight = valence * atoms.occupancies[near.atom]
    firm = np.where(valence > 0.15, atoms.occupancies[near.atom], 0.0)
    n = len(own)
    return np.bincount(near.site, weight, n), np.bincount(near.site, firm, n)


def _pair_length(first: str, second: str, anions: frozenset[str]) -> float:
    """Bond length R of a pair; 0 where the two do not bond (both cations or both anions)."""
    if (first in anions) == (second in anions):
        return 0.0
    return bond_length(second, first) if first in anions else bond_length(first, second)
