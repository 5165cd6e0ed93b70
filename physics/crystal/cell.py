"""Crystal structures: an asymmetric unit, a space group and a cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import gemmi
import numpy as np

AMU_PER_A3_TO_G_PER_CM3 = 1.66053906660
MERGE_DISTANCE_ANGSTROM = 0.05  # images of one site nearer than this are one atom


@dataclass(frozen=True)
class Site:
    """One site of the asymmetric unit.

    Parameters
    ----------
    species : element symbol
    position : fractional coordinates
    occupancy : 0-1
    b_iso : isotropic displacement parameter B = 8 pi^2 <u^2>, angstrom^2
    """

    species: str
    position: tuple[float, float, float]
    occupancy: float = 1.0
    b_iso: float = 0.5


@dataclass(frozen=True)
class Atoms:
    """All atoms of one conventional cell."""

    numbers: np.ndarray  # (n,) atomic numbers
    positions: np.ndarray  # (n, 3) fractional, in [0, 1)
    occupancies: np.ndarray  # (n,)
    b_iso: np.ndarray  # (n,) angstrom^2


@lru_cache(maxsize=1024)
def _group(symbol: str) -> gemmi.SpaceGroup:
    group = gemmi.find_spacegroup_by_name(symbol)
    if group is None:
        raise ValueError(f"unknown space group {symbol!r}; write it as 'R -3 c:H' or 'F d -3 m:2'")
    return group


@lru_cache(maxsize=1024)
def _operations(symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (m, 3, 3) and translations (m, 3) of a space group, centring included."""
    operations = list(_group(symbol).operations())
    rotations = np.array([op.rot for op in operations], float) / gemmi.Op.DEN
    translations = np.array([op.tran for op in operations], float) / gemmi.Op.DEN
    return rotations, translations


@lru_cache(maxsize=1024)
def laue_rotations(symbol: str) -> np.ndarray:
    """Point operations (m, 3, 3), int, that act on hkl as ``hkl @ R``; inversion left out."""
    rotations, _ = _operations(symbol)
    whole = np.unique(np.rint(rotations).astype(int).reshape(-1, 9), axis=0)
    proper = [r for r in whole.reshape(-1, 3, 3) if np.linalg.det(r) > 0]
    improper = [-r for r in whole.reshape(-1, 3, 3) if np.linalg.det(r) < 0]
    return np.unique(np.array(proper + improper).reshape(-1, 9), axis=0).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Crystal:
    """A crystal structure.

    Parameters
    ----------
    cell : a, b, c in angstrom, alpha, beta, gamma in degrees
    space_group : extended Hermann-Mauguin symbol, e.g. ``"R -3 c:H"``
    sites : asymmetric unit

    Raises
    ------
    ValueError
        From any property, if the space group symbol is not known.
    """

    cell: tuple[float, float, float, float, float, float]
    space_group: str
    sites: tuple[Site, ...]

    @property
    def space_group_number(self) -> int:
        """Number in International Tables A, 1-230."""
        return int(_group(self.space_group).number)

    @property
    def crystal_system(self) -> str:
        """``"cubic"``, ``"hexagonal"``, ``"trigonal"`` and so on."""
        return str(_group(self.space_group).crystal_system_str())

    @property
    def volume(self) -> float:
        """Volume of the conventional cell, angstrom^3."""
        return float(gemmi.UnitCell(*self.cell).volume)

    @cached_property
    def atoms(self) -> Atoms:
        """All atoms of the conventional cell; images of a special position appear once."""
        rotations, translations = _operations(self.space_group)
        orth = np.array(gemmi.UnitCell(*self.cell).orth.mat.tolist())
        numbers, positions, occupancies, b_iso = [], [], [], []
        for site in self.sites:
            images = (rotations @ np.array(site.position) + translations) % 1.0
            kept = _distinct(images, orth)
            numbers += [gemmi.Element(site.species).atomic_number] * len(kept)
            positions.append(kept)
            occupancies += [site.occupancy] * len(kept)
            b_iso += [site.b_iso] * len(kept)
        return Atoms(
            np.array(numbers, int),
            np.concatenate(positions) if positions else np.empty((0, 3)),
            np.array(occupancies, float),
            np.array(b_iso, float),
        )

    def expand(self) -> Atoms:
        """All atoms of the conventional cell."""
        return self.atoms

    @cached_property
    def composition(self) -> dict[str, float]:
        """Atoms of each element in the conventional cell."""
        counts: dict[str, float] = {}
        for number, occupancy in zip(self.atoms.numbers, self.atoms.occupancies, strict=True):
            symbol = gemmi.Element(int(number)).name
            counts[symbol] = counts.get(symbol, 0.0) + float(occupancy)
        return counts

    @property
    def elements(self) -> frozenset[str]:
        """Elements present, deuterium counted as hydrogen."""
        return frozenset("H" if site.species == "D" else site.species for site in self.sites)

    @cached_property
    def formula(self) -> str:
        """Reduced formula, e.g. ``"Al2O3"``; cations by electronegativity order of writing."""
        counts = {k: v for k, v in self.composition.items() if v > 1e-6}
        whole = {k: round(v) for k, v in counts.items()}
        near = all(abs(whole[k] - v) < 0.02 for k, v in counts.items())
        divisor = np.gcd.reduce(list(whole.values())) if near and all(whole.values()) else 0
        scale = divisor if divisor else min(counts.values())
        parts = []
        for symbol in sorted(counts, key=lambda s: (_writing_order(s), s)):
            amount = counts[symbol] / scale
            text = f"{amount:.0f}" if abs(amount - round(amount)) < 0.005 else f"{amount:.2f}"
            parts.append(
                symbol + ("" if text == "1" else text.rstrip("0") if "." in text else text)
            )
        return "".join(parts)

    @cached_property
    def mass_amu(self) -> float:
        """Mass of the conventional cell in atomic mass units."""
        return float(sum(gemmi.Element(el).weight * n for el, n in self.composition.items()))

    @property
    def density_g_cm3(self) -> float:
        """X-ray density."""
        return AMU_PER_A3_TO_G_PER_CM3 * self.mass_amu / self.volume


def _distinct(images: np.ndarray, orth: np.ndarray) -> np.ndarray:
    """Images (m, 3) of one site without repeats; near repeats are averaged onto one point."""
    delta = images[:, None, :] - images[None, :, :]
    delta -= np.rint(delta)
    near = np.linalg.norm(delta @ orth.T, axis=-1) < MERGE_DISTANCE_ANGSTROM
    first = np.unique(near.argmax(axis=1))
    means = [images[i] - delta[i][near[i]].mean(axis=0) for i in first]
    return np.array(means) % 1.0


@lru_cache(maxsize=128)
def _writing_order(symbol: str) -> float:
    """Electropositive elements first, then H, anions last, as formulas are written."""
    anions = ["B", "Si", "C", "As", "P", "N", "H", "Te", "Se", "S", "At", "I", "Br", "Cl", "O", "F"]
    return float(anions.index(symbol)) if symbol in anions else -1.0
