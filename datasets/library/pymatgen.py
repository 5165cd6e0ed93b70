"""Crystals of pymatgen become ours, and ours become pymatgen's: no CIF between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import gemmi
import numpy as np

from xtalfuse.datasets.cif.block import B_RANGE, check_cell
from xtalfuse.datasets.cif.read import CifStructure, limit_atoms
from xtalfuse.datasets.cif.species import DEFAULT_B
from xtalfuse.datasets.cif.symmetry import same_points, standardised
from xtalfuse.datasets.library.compile import Compiled, compile_structure, with_unique_ids
from xtalfuse.physics.crystal.cell import Crystal, Site

if TYPE_CHECKING:
    from pymatgen.core import PeriodicSite, Structure

MOST_REFUSALS_TOLD = 5
_PER_U = 8.0 * math.pi**2  # B = 8 pi^2 <u^2>
_DISPLACEMENT = {"biso": 1.0, "bisoorequiv": 1.0, "uiso": _PER_U, "uisoorequiv": _PER_U}


def crystal_of(structure: Structure) -> tuple[Crystal, tuple[str, ...]]:
    """The crystal of a pymatgen structure, in the standard setting of the group spglib finds.

    Occupancies are kept, oxidation states are left out, deuterium counts as hydrogen. A site
    property ``b_iso`` or ``u_iso`` (angstrom^2) is its displacement parameter; a typical value
    of the element stands where there is none.

    Returns
    -------
    the crystal, and notes of what was assumed

    Raises
    ------
    ValueError
        If cell, species or occupancies are those of no crystal.
    """
    a, b, c, alpha, beta, gamma = (float(value) for value in structure.lattice.parameters)
    check_cell((a, b, c, alpha, beta, gamma))
    if not len(structure):
        raise ValueError("no atom sites; give a structure with atoms")
    limit_atoms(len(structure))
    assumed: set[str] = set()
    sites = [site for each in structure for site in _sites(each, assumed)]
    crystal = standardised(Crystal((a, b, c, alpha, beta, gamma), "P 1", tuple(sites)))
    notes = [f"symmetry {crystal.space_group} was found"]
    if assumed:
        notes.append(f"displacement parameters assumed for {', '.join(sorted(assumed))}")
    return crystal, tuple(notes)


def _sites(site: PeriodicSite, assumed: set[str]) -> Iterable[Site]:
    """One site for each element of a pymatgen site; `assumed` collects those without a B."""
    position = tuple(float(x) for x in site.frac_coords)
    if not np.isfinite(position).all():
        raise ValueError(f"site {site.label} has coordinates {position}; give finite numbers")
    amounts: dict[str, float] = {}
    for species, amount in site.species.items():
        known = gemmi.Element(species.symbol).atomic_number
        if not known:
            raise ValueError(f"site {site.label} holds {species}, which is no element; name one")
        symbol = gemmi.Element(known).name  # Fe2+ and Fe3+ of one site are its iron
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount)
    given = _displacement(site.properties)
    for symbol, amount in amounts.items():
        if not 0.0 < amount <= 1.02:
            raise ValueError(
                f"site {site.label} has occupancy {amount:g} of {symbol}; it must lie within "
                "0 and 1"
            )
        if math.isnan(given):
            assumed.add(symbol)
        b_iso = DEFAULT_B.get(symbol, 0.5) if math.isnan(given) else round(given, 4)
        x, y, z = position
        yield Site(symbol, (x, y, z), min(1.0, amount), b_iso)


def _displacement(properties: dict[str, Any]) -> float:
    """B in angstrom^2 from the properties of a site; NaN where they hold none that can be."""
    for name, value in properties.items():
        factor = _DISPLACEMENT.get(name.lower().replace("_", ""))
        if factor and isinstance(value, (int, float)):
            b_iso = factor * float(value)
            return b_iso if B_RANGE[0] <= b_iso <= B_RANGE[1] else math.nan
    return math.nan


def structure_of(crystal: Crystal) -> Structure:
    """The conventional cell of a crystal as a pymatgen structure.

    Elements that share a point are one disordered site. The site property ``b_iso`` is the
    displacement parameter in angstrom^2, the mean over the atoms of a point.
    """
    from pymatgen.core import Lattice, Structure

    atoms = crystal.expand()
    orth = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    owner = same_points(atoms.positions, orth)
    points = np.unique(owner)
    species: list[dict[str, float]] = []
    b_iso = []
    for point in points:
        here = np.flatnonzero(owner == point)
        amounts: dict[str, float] = {}
        for atom in here:
            symbol = gemmi.Element(int(atoms.numbers[atom])).name
            amounts[symbol] = amounts.get(symbol, 0.0) + float(atoms.occupancies[atom])
        species.append(amounts)
        b_iso.append(float(np.average(atoms.b_iso[here], weights=atoms.occupancies[here])))
    return Structure(
        Lattice.from_parameters(*crystal.cell),
        species,
        atoms.positions[points],
        site_properties={"b_iso": b_iso},
    )


def compile_structures(
    structures: Sequence[Structure], names: Sequence[str] | None = None
) -> list[Compiled]:
    """Library entries of pymatgen structures, checked like those of CIF files.

    Parameters
    ----------
    structures : of any cell and setting
    names : of the entries; their formulas by default. A name that occurs again gets a number

    Raises
    ------
    ValueError
        If there is none, the names are not as many, or a structure cannot be one: the message
        names each that is refused, and why.
    """
    if not structures:
        raise ValueError("no structures were given; a library needs at least one")
    named = [None] * len(structures) if names is None else list(names)
    if len(named) != len(structures):
        raise ValueError(f"{len(structures)} structures and {len(named)} names; give one for each")
    compiled, refused = [], []
    for number, (structure, name) in enumerate(zip(structures, named, strict=True)):
        try:
            crystal, notes = crystal_of(structure)
            identifier = name or crystal.formula
            read = CifStructure("", identifier, crystal, "", "", notes)
            entry, reason = compile_structure(read, identifier, "pymatgen")
        except (ValueError, ArithmeticError) as error:
            entry, reason = None, str(error)
        if entry is None:
            refused.append(f"structures[{number}] ({name or structure.reduced_formula}): {reason}")
        else:
            compiled.append(entry)
    if refused:
        more = len(refused) - MOST_REFUSALS_TOLD
        told = refused[:MOST_REFUSALS_TOLD] + ([f"and {more} more"] if more > 0 else [])
        raise ValueError(f"{'; '.join(told)}. Correct them, or leave them out")
    return with_unique_ids(compiled)
