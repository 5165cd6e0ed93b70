"""Is a structure possible? Distances, occupancies, density, charges, bond valences, symmetry.

Errors are things that no crystal has; such an entry must stay out of a library, where one
wrong structure can turn a right answer into two wrong phases. Warnings are unusual but
possible; the entry is kept and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import gemmi
import numpy as np

from xtalfuse.datasets.cif.bond_valence import Neighbours, neighbours, valence_sums
from xtalfuse.datasets.cif.oxidation import Charges, charges_of
from xtalfuse.datasets.cif.symmetry import found_group
from xtalfuse.physics.crystal.cell import Crystal

OVERLAP = 0.62  # of the sum of covalent radii: the shortest real bonds (U=O, Mn=O) reach 0.68
CLOSE = 0.70
# Equal atoms of these elements, with no multiple bonds and no metal cores that interpenetrate
# under pressure, stay beyond 0.88 of twice the radius: the shortest are Ga-Ga 0.98, S-S 0.98.
OWN_KIND = 0.88
STIFF = frozenset(
    ["Al", "Si", "P", "S", "Cl", "Zn", "Ga", "Ge", "As", "Se", "Br", "Cd", "In", "Sn", "Sb", "Te"]
)
FULL = 1.03  # occupancies of one place add up to one, within printed decimals
VOLUME_PER_ATOM = (4.5, 125.0)  # angstrom^3: diamond has 5.7, caesium 115
DENSITY_G_CM3 = (0.08, 25.0)  # solid hydrogen 0.09, osmium 22.6
# Neighbouring anions keep the distance of their van der Waals contact or share an electron
# pair; between the two (peroxide O-O 1.5, polyhedron edge O-O 2.1 at the shortest) is nothing.
ANION_GAP: dict[str, tuple[float, float]] = {
    "O": (1.65, 1.95), "F": (1.50, 1.95), "Cl": (2.10, 2.60), "S": (2.30, 2.50),
}  # fmt: skip
# Tolerated deviation of a bond-valence sum, as a fraction of the charge: (below, above).
# Small, highly charged cations hold their polyhedra rigidly (5-10 % in good structures);
# large ones rattle in cavities and are squeezed in dense phases; parameters of the general
# table are good to about 10 %. A wrong setting or a lost centring gives 30-100 %.
RIGID = frozenset(["Al", "Si", "P", "S", "Ge", "As", "Ti", "V", "Nb", "Ta", "Mo", "W", "Zr"])
SOFT = frozenset(["Li", "Na", "K", "Rb", "Cs", "Ag", "Tl", "Mg", "Ca", "Sr", "Ba", "Pb", "Hg"])
TOLERANCE = {"rigid": (0.33, 0.45), "usual": (0.50, 0.60), "soft": (0.75, 1.10)}
# Fewest oxygen or fluorine neighbours of elements that never have fewer
LEAST_NEIGHBOURS = {"Al": 4, "Si": 4, "P": 4, "Ge": 4, "Ti": 4, "Zr": 6, "Nb": 4, "B": 3}
UNSTABLE = 0.6  # valence units; Brown (2009): above 0.2 a structure is usually unstable
IONIC = frozenset(["O", "F", "Cl", "Br", "I"])  # bonds of S, Se, Te and N are too covalent
ANION_TOLERANCE = (0.62, 0.48)


@dataclass
class Verdict:
    """What validation says of one structure.

    ``errors`` make its pattern wrong for certain: atoms missing or on top of each other.
    ``doubts`` make its intensities doubtful, while the cell may be right: it is worth keeping
    where nothing better is at hand, with a warning on every answer that rests on it.
    """

    errors: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    instability: float | None = None  # rms deviation of bond-valence sums, valence units

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the structure."""
        return not self.errors and not self.doubts


def validate(crystal: Crystal, *, symmetry: bool = True, hydrogen_missing: bool = False) -> Verdict:
    """Check a structure whose cell and sites have been read safely.

    Parameters
    ----------
    crystal : the structure
    symmetry : also compare the declared group with the one spglib finds
    hydrogen_missing : the formula has hydrogen that the sites have not: bond-valence sums of
        anions may then be low
    """
    verdict = Verdict()
    _check_density(crystal, verdict)
    near = neighbours(crystal)
    _check_distances(crystal, near, verdict)
    if verdict.errors:
        return verdict
    _check_valences(crystal, near, hydrogen_missing, verdict)
    if symmetry:
        found = found_group(crystal)
        if found == 0:
            verdict.warnings.append("spglib finds no symmetry group")
        elif found != crystal.space_group_number:
            _compare_groups(crystal, found, verdict)
    return verdict


def _compare_groups(crystal: Crystal, found: int, verdict: Verdict) -> None:
    declared = crystal.space_group_number
    if _order(found) < _order(declared):
        verdict.errors.append(
            f"the sites have only the symmetry of group {found}, less than the declared {declared}"
        )
    else:
        name = gemmi.find_spacegroup_by_number(found).hm
        verdict.notes.append(f"declared {crystal.space_group}, but {name} ({found}) fits too")


def _order(number: int) -> int:
    return len(gemmi.find_spacegroup_by_number(number).operations().sym_ops)


def _check_density(crystal: Crystal, verdict: Verdict) -> None:
    atoms = crystal.expand()
    per_atom = crystal.volume / max(1e-9, float(atoms.occupancies.sum()))
    heavy = float(atoms.occupancies[atoms.numbers > 1].sum())
    if not VOLUME_PER_ATOM[0] * (0.4 if heavy < atoms.occupancies.sum() else 1.0) <= per_atom:
        verdict.errors.append(
            f"{per_atom:.1f} angstrom^3 per atom is denser than any solid; "
            "the cell may be in nm or the setting wrong"
        )
    elif per_atom > VOLUME_PER_ATOM[1]:
        verdict.errors.append(
            f"{per_atom:.0f} angstrom^3 per atom is emptier than any solid; atoms are missing"
        )
    density = crystal.density_g_cm3
    if not DENSITY_G_CM3[0] <= density <= DENSITY_G_CM3[1]:
        verdict.errors.append(f"density {density:.2f} g/cm3 is that of no solid")


def _check_distances(crystal: Crystal, near: Neighbours, verdict: Verdict) -> None:
    atoms = crystal.expand()
    numbers = np.array([gemmi.Element(s.species).atomic_number for s in crystal.sites])
    occupancies = np.array([s.occupancy for s in crystal.sites])
    radii = {z: gemmi.Element(int(z)).covalent_r for z in np.unique(atoms.numbers)}
    own = np.array([radii[z] for z in numbers])[near.site]
    other = np.array([radii[z] for z in atoms.numbers[near.atom]])
    ratio = near.distance / (own + other)
    shared = occupancies[near.site] + atoms.occupancies[near.atom]
    same = near.distance < 0.05
    total = occupancies + np.bincount(
        near.site[same], atoms.occupancies[near.atom[same]], len(occupancies)
    )
    for index in np.flatnonzero(total > FULL)[:3]:
        verdict.errors.append(
            f"occupancies at {_where(crystal, index)} add up to {total[index]:.2f}"
        )
    # X-rays place hydrogen badly and hardly see it: never a reason to lose an entry
    light = (numbers[near.site] == 1) | (atoms.numbers[near.atom] == 1)
    clash = (ratio < OVERLAP) & (shared > FULL) & ~same & ~light
    for pair in _worst(ratio, clash):
        verdict.errors.append(_distance_text(crystal, near, pair, "impossible"))
    close = (ratio < CLOSE) & (shared > FULL) & ~same & ~clash
    for pair in _worst(ratio, close):
        verdict.warnings.append(_distance_text(crystal, near, pair, "unusual"))
    stiff = np.isin(numbers, [gemmi.Element(symbol).atomic_number for symbol in STIFF])
    equal = stiff[near.site] & (numbers[near.site] == atoms.numbers[near.atom]) & (shared > 1.8)
    for pair in _worst(ratio, equal & (ratio >= OVERLAP) & (ratio < OWN_KIND)):
        verdict.errors.append(_distance_text(crystal, near, pair, "impossible"))
    for symbol, (low, high) in ANION_GAP.items():
        z = gemmi.Element(symbol).atomic_number
        both = (numbers[near.site] == z) & (atoms.numbers[near.atom] == z) & (shared > FULL)
        gap = both & (near.distance > low) & (near.distance < high)
        for pair in _worst(near.distance, gap):
            verdict.errors.append(_distance_text(crystal, near, pair, "impossible"))


def _worst(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The two smallest of the chosen."""
    indices = np.flatnonzero(chosen)
    return indices[np.argsort(values[indices])][:2]


def _where(crystal: Crystal, index: int) -> str:
    site = crystal.sites[index]
    return (
        f"{site.species} ({site.position[0]:.4f}, {site.position[1]:.4f}, {site.position[2]:.4f})"
    )


def _distance_text(crystal: Crystal, near: Neighbours, pair: int, word: str) -> str:
    other = gemmi.Element(int(crystal.expand().numbers[near.atom[pair]])).name
    return (
        f"{word} distance {near.distance[pair]:.3f} angstrom between "
        f"{_where(crystal, int(near.site[pair]))} and {other}"
    )


def _check_valences(
    crystal: Crystal, near: Neighbours, hydrogen_missing: bool, verdict: Verdict
) -> None:
    """Compare bond-valence sums with charges, where the structure is ionic and ordered.

    Left alone: structures without an anion that balances the cations (metals, suboxides),
    homopolar bonds, minority species of a mixed site, sites that are mostly empty, hydrogen.
    """
    charges = charges_of(crystal, near)
    if charges is None or not charges.anions <= IONIC:
        verdict.notes.append("bond-valence sums do not apply")
        return
    if charges.homopolar & charges.anions and charges.balanced and charges.certain:
        verdict.errors.append(
            f"{', '.join(sorted(charges.homopolar & charges.anions))} bonds to itself although "
            f"the charges of {crystal.formula} balance without; a position or the setting is wrong"
        )
    if charges.homopolar:
        verdict.notes.append("bond-valence sums do not apply: bonds between equal atoms")
        return
    if not charges.balanced:
        verdict.notes.append(f"charges do not balance ({crystal.formula}); hydrogen may be missing")
    bonds = _bonds(crystal, near)
    sums, coordination = valence_sums(crystal, bonds, charges.anions)
    judged = []
    for index, site in enumerate(crystal.sites):
        if site.species in charges.possible and np.isfinite(sums[index]) and charges.judge[index]:
            excess = _excess(crystal, charges, index, float(sums[index]), hydrogen_missing)
            judged.append((excess, index))
            _check_coordination(crystal, charges, index, float(coordination[index]), verdict)
    deviations = [
        sums[i] - np.clip(sums[i], *charges.expected[crystal.sites[i].species]) for _, i in judged
    ]
    if deviations:
        verdict.instability = float(np.sqrt(np.mean(np.square(deviations))))
        trusted = charges.balanced and charges.certain and not verdict.errors
        if verdict.instability > UNSTABLE and trusted:
            verdict.warnings.append(
                f"bond-valence sums are off by {verdict.instability:.2f} in the mean"
            )
    for excess, index in sorted(judged, reverse=True)[:2]:
        low, high = charges.expected[crystal.sites[index].species]
        text = f"bond-valence sum {sums[index]:.2f} at {_where(crystal, index)}, expected " + (
            f"{low:.3g}" if high - low < 0.05 else f"{low:.3g} to {high:.3g}"
        )
        if excess > 1.0:
            verdict.doubts.append(text + "; a position, the setting or the cell is wrong")
        elif excess > 0.75:
            verdict.warnings.append(text)


def _check_coordination(
    crystal: Crystal, charges: Charges, index: int, neighbours_found: float, verdict: Verdict
) -> None:
    least = LEAST_NEIGHBOURS.get(crystal.sites[index].species, 0)
    if charges.disordered[index] or not charges.anions <= {"O", "F"}:
        return
    if neighbours_found < least - 0.6 and len(verdict.errors) < 3:
        verdict.errors.append(
            f"{_where(crystal, index)} has {neighbours_found:.1f} neighbours, at least {least} "
            "are expected; atoms or a lattice centring are missing"
        )


def _bonds(crystal: Crystal, near: Neighbours) -> Neighbours:
    """Neighbours without alternatives of the same place, which are never there together."""
    atoms = crystal.expand()
    radii = {int(z): gemmi.Element(int(z)).covalent_r for z in np.unique(atoms.numbers)}
    own = np.array([gemmi.Element(s.species).covalent_r for s in crystal.sites])[near.site]
    other = np.array([radii[int(z)] for z in atoms.numbers[near.atom]])
    shared = np.array([s.occupancy for s in crystal.sites])[near.site]
    shared = shared + atoms.occupancies[near.atom]
    real = (near.distance > OVERLAP * (own + other)) | ((shared > FULL) & (near.distance > 0.05))
    return Neighbours(near.site[real], near.atom[real], near.distance[real])


def _excess(
    crystal: Crystal, charges: Charges, index: int, found: float, hydrogen_missing: bool
) -> float:
    """Deviation over what is tolerated at this site: above one is an error."""
    element = crystal.sites[index].species
    kind = "rigid" if element in RIGID else "soft" if element in SOFT else "usual"
    low, high = charges.possible[element]
    if kind == "rigid":  # Mn or Fe may be low because nobody located the hydrogen
        low = charges.expected[element][0]
    below, above = TOLERANCE[kind]
    if element in charges.anions:
        below, above = ANION_TOLERANCE
        if hydrogen_missing or not charges.balanced or not charges.certain or element != "O":
            below = np.inf
        above = above if element == "O" else 1.0  # F and O cannot be told apart by X-rays
    widen = 2.0 if charges.disordered[index] else 1.0
    deviation = min(0.0, found / low - 1.0) + max(0.0, found / high - 1.0)
    return -deviation / (below * widen) if deviation < 0 else deviation / (above * widen)
