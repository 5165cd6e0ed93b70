"""Space groups as files declare them: one tabulated setting, a cell and sites that obey it."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from functools import lru_cache
from typing import Any

import gemmi
import numpy as np

from xtalfuse.physics.crystal.cell import MERGE_DISTANCE_ANGSTROM, Crystal, Site, laue_rotations

SNAP_ANGSTROM = 0.1  # mates nearer than this cannot be two atoms, nor be told apart by X-rays
ROUNDING_ANGSTROM = 0.02  # what 2-4 printed decimals of a coordinate can be off by
LENGTH_TOLERANCE = 0.003  # relative: a cell further from its crystal system is another cell
ANGLE_TOLERANCE_DEG = 0.2
FOUND_SYMPREC_ANGSTROM = 0.01  # well above printed decimals, well below real distortions


@lru_cache(maxsize=1024)
def operations(symbol: str) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (m, 3, 3) and translations (m, 3) of a tabulated setting, with centring."""
    group = gemmi.find_spacegroup_by_name(symbol)
    if group is None:
        raise ValueError(f"unknown space group {symbol!r}; write it as 'R -3 c:H' or 'F d -3 m:2'")
    return _matrices(list(group.operations()))


def _matrices(ops: list[gemmi.Op]) -> tuple[np.ndarray, np.ndarray]:
    rotations = np.array([op.rot for op in ops], float) / gemmi.Op.DEN
    return rotations, np.array([op.tran for op in ops], float) / gemmi.Op.DEN


def tidy_symbol(text: str) -> tuple[str, str]:
    """A Hermann-Mauguin symbol as gemmi reads it, and its extension ("1", "2", "H", "R", "").

    ICSD writes the origin as S or Z, others as ``:1`` or ``O1``; screw axes come as ``4_1``
    and ``4(1)``.
    """
    symbol = re.sub(r"\((\d)\)", r"\1", text.strip().strip("'\"").replace("_", ""))
    symbol = re.sub(r"\s+O([12])$", r":\1", symbol)
    symbol, _, extension = symbol.partition(":")
    symbol, extension = symbol.strip(), extension.strip().upper()
    if not extension and len(symbol) > 2 and symbol[-1] in "SZHR" and symbol[0] in "PABCFIR":
        letter = symbol[-1]
        symbol, extension = symbol[:-1].strip(), {"S": "1", "Z": "2"}.get(letter, letter)
    return symbol, extension if extension in ("1", "2", "H", "R") else ""


def settings_of(text: str, gamma_deg: float) -> tuple[gemmi.SpaceGroup, ...]:
    """Tabulated settings that a symbol may mean; several where the origin is not stated."""
    symbol, extension = tidy_symbol(text)
    first = gemmi.find_spacegroup_by_name(symbol)
    if first is None:
        return ()
    settings = tuple(
        group
        for group in gemmi.spacegroup_table()
        if group.number == first.number and group.hm == first.hm
    )
    if extension:
        settings = tuple(group for group in settings if group.ext == extension) or settings
    elif any(group.ext in ("H", "R") for group in settings):
        wanted = "H" if abs(gamma_deg - 120.0) < 1.0 else "R"
        settings = tuple(group for group in settings if group.ext == wanted)
    return settings


def group_of_operators(triplets: list[str]) -> tuple[gemmi.SpaceGroup | None, list[gemmi.Op]]:
    """The tabulated setting with exactly these operators (None if not tabulated).

    Raises
    ------
    ValueError
        If a triplet cannot be read, or the operators do not form a group.
    """
    ops = []
    for triplet in triplets:
        try:
            ops.append(gemmi.Op(triplet.strip().strip("'\"")))
        except RuntimeError as error:
            raise ValueError(f"symmetry operator {triplet!r} cannot be read ({error})") from None
        if abs(abs(ops[-1].det_rot()) - gemmi.Op.DEN**3) > 0:
            raise ValueError(f"symmetry operator {triplet!r} does not preserve volume")
    whole = gemmi.GroupOps(ops)
    group = gemmi.find_spacegroup_by_ops(whole)
    distinct = {op.wrap().triplet() for op in ops}
    if group is not None:
        if len(distinct) != len(list(group.operations())):
            raise ValueError("the symmetry operators are an incomplete group")
        return group, ops
    for left in ops:
        if any((left * right).wrap().triplet() not in distinct for right in ops):
            raise ValueError("the symmetry operators do not form a group")
    return None, ops


def obeying_cell(
    cell: tuple[float, ...], symbol: str
) -> tuple[tuple[float, float, float, float, float, float], float]:
    """The cell averaged over the symmetry of a group, and how far it moved (relative).

    Raises
    ------
    ValueError
        If lengths move by over 0.3 % or angles by over 0.2 degrees: the cell contradicts the
        crystal system of the group.
    """
    matrix = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    metric = matrix.T @ matrix
    rotations = laue_rotations(symbol).astype(float)
    mean = np.mean(np.swapaxes(rotations, 1, 2) @ metric @ rotations, axis=0)
    lengths = np.sqrt(np.diag(mean))
    cosines = mean / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    moved = np.abs(lengths / np.array(cell[:3]) - 1.0).max()
    turned = np.abs(angles - np.array(cell[3:])).max()
    if moved > LENGTH_TOLERANCE or turned > ANGLE_TOLERANCE_DEG:
        raise ValueError(
            f"cell {' '.join(f'{v:g}' for v in cell)} contradicts space group {symbol}: "
            f"lengths differ by {moved:.2%}, angles by {turned:.2f} deg; correct cell or group"
        )
    if moved < 1e-7 and turned < 1e-5:
        a, b, c, alpha, beta, gamma = (float(v) for v in cell)
    else:
        a, b, c, alpha, beta, gamma = (round(float(v), 7) for v in (*lengths, *angles))
    return (a, b, c, alpha, beta, gamma), float(max(moved, np.radians(turned)))


def snapped(site: Site, cell: tuple[float, ...], symbol: str) -> tuple[Site, int, str]:
    """A site moved onto the special position it was meant for: 0.3333 becomes 1/3.

    Parameters
    ----------
    site : as it was read
    cell : a, b, c in angstrom, alpha, beta, gamma in degrees
    symbol : of the space group

    Returns
    -------
    The site, its multiplicity in the cell, and a note ("" if it did not move).

    A site that its own symmetry splits by 0.02-0.1 angstrom with occupancies that add up to
    one atom or less is one atom to X-rays: the occupancies are added.
    """
    rotations, translations = operations(symbol)
    orth = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    start = np.array(site.position, float)
    position, count, own = start, 1, 0
    for _ in range(4):
        delta = rotations @ position + translations - position
        delta -= np.rint(delta)
        apart = np.linalg.norm(delta @ orth.T, axis=1)
        near = apart < SNAP_ANGSTROM
        own = own or int((apart < ROUNDING_ANGSTROM).sum())
        count = int(near.sum())
        position = position + delta[near].mean(axis=0)
    shift = float(np.linalg.norm(orth @ (position - start)))
    occupancy, note = site.occupancy, ""
    if shift > ROUNDING_ANGSTROM and occupancy * count / own <= 1.02:
        occupancy = min(1.0, occupancy * count / own)
        note = f"split site {site.species} joined ({shift:.3f} angstrom from a special position)"
    elif shift > ROUNDING_ANGSTROM:
        note = f"site {site.species} moved {shift:.3f} angstrom onto a special position"
    x, y, z = (float(v) for v in _clean(position))
    return replace(site, position=(x, y, z), occupancy=occupancy), len(rotations) // count, note


def _clean(position: np.ndarray) -> np.ndarray:
    """Coordinates within 2e-7 of a multiple of 1/24 put exactly there, in [0, 1)."""
    wrapped = position % 1.0
    exact = np.round(wrapped * 24.0) / 24.0
    return np.where(np.abs(wrapped - exact) < 2e-7, exact, wrapped) % 1.0


Contents = tuple[tuple[int, float, float], ...]  # (number, occupancy, B) of what sits on a point


def coloured_atoms(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, tuple[Contents, ...]]:
    """Points of a cell, an integer for what sits on each, and what sits there.

    Species that share a point (solid solutions) are one colour, so that spglib sees them.

    Returns
    -------
    positions (n, 3), colours (n,), and for each point a tuple of (number, occupancy, B)
    """
    atoms = crystal.expand()
    orth = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    owner = same_points(atoms.positions, orth)
    points = np.unique(owner)
    contents: dict[int, list[tuple[int, float, float]]] = {int(p): [] for p in points}
    for index, point in enumerate(owner):
        content = (
            int(atoms.numbers[index]),
            round(float(atoms.occupancies[index]), 3),
            round(float(atoms.b_iso[index]), 4),
        )
        contents[int(point)].append(content)
    keys = tuple(tuple(sorted(contents[int(p)])) for p in points)
    chemical = [tuple((number, occupancy) for number, occupancy, _ in key) for key in keys]
    kinds = sorted(set(chemical))
    colours = np.array([kinds.index(kind) + 1 for kind in chemical])
    return atoms.positions[points], colours, keys


def same_points(positions: np.ndarray, orth: np.ndarray) -> np.ndarray:
    """(n,) index of the first atom at the same point, within 0.05 angstrom, periodic."""
    owner = np.empty(len(positions), int)
    step = max(1, 400_000 // max(1, len(positions)))
    for start in range(0, len(positions), step):
        delta = positions[start : start + step, None, :] - positions[None, :, :]
        delta -= np.rint(delta)
        near = np.linalg.norm(delta @ orth.T, axis=-1) < MERGE_DISTANCE_ANGSTROM
        owner[start : start + step] = near.argmax(axis=1)
    return owner


def found_group(crystal: Crystal) -> int:
    """Space group number that spglib finds in the expanded structure; 0 if it finds none.

    The cell must have been checked: spglib crashes the interpreter on non-finite cells.
    """
    positions, colours, _ = coloured_atoms(crystal)
    dataset = _spglib_dataset(crystal, positions, colours)
    return 0 if dataset is None else int(dataset.number)


def _spglib_dataset(crystal: Crystal, positions: np.ndarray, colours: np.ndarray) -> Any:
    """What spglib finds; None if nothing, whichever way its version says so."""
    import spglib

    orth = np.array(gemmi.UnitCell(*crystal.cell).orth.mat.tolist())
    cell: Any = (np.ascontiguousarray(orth.T), positions, colours)
    with warnings.catch_warnings():  # it announces that errors will be raised one day
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return spglib.get_symmetry_dataset(cell, symprec=FOUND_SYMPREC_ANGSTROM)
        except getattr(spglib, "SpglibError", RuntimeError):
            return None


def standardised(crystal: Crystal) -> Crystal:
    """The same structure in the standard setting of the group that spglib finds.

    For structures that list all atoms and declare no symmetry (P 1).

    Raises
    ------
    ValueError
        If spglib cannot analyse the structure.
    """
    positions, colours, contents = coloured_atoms(crystal)
    found = _spglib_dataset(crystal, positions, colours)
    if found is None:
        raise ValueError("no symmetry could be found; give the symmetry operators")
    given = dict(zip(found.mapping_to_primitive, contents, strict=True))
    standing = [given[atom] for atom in found.std_mapping_to_primitive]
    hall = gemmi.symops_from_hall(found.hall.replace("=", '"'))
    group = gemmi.find_spacegroup_by_ops(hall)
    cell, _ = obeying_cell(_parameters(found.std_lattice), group.xhm())
    sites = _representatives(found.std_positions, standing, group.xhm(), cell)
    return Crystal(cell, group.xhm(), sites)


def _parameters(rows: np.ndarray) -> tuple[float, ...]:
    """Cell parameters of a lattice given as row vectors."""
    lengths = np.linalg.norm(rows, axis=1)
    cosines = rows @ rows.T / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
    return tuple(float(v) for v in (*lengths, *angles))


def _representatives(
    positions: np.ndarray, contents: list[Contents], symbol: str, cell: tuple[float, ...]
) -> tuple[Site, ...]:
    """One site of each orbit of a fully listed structure, with what sits there.

    Parameters
    ----------
    positions : (n, 3) points of the standard cell
    contents : (number, occupancy, B) of everything on each point
    symbol : of the space group
    cell : a, b, c in angstrom, alpha, beta, gamma in degrees
    """
    rotations, translations = operations(symbol)
    orth = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    free = np.ones(len(positions), bool)
    sites = []
    for index, position in enumerate(positions):
        if not free[index]:
            continue
        images = rotations @ position + translations
        delta = positions[free][:, None, :] - images[None, :, :]
        delta -= np.rint(delta)
        reached = (np.linalg.norm(delta @ orth.T, axis=-1) < SNAP_ANGSTROM).any(axis=1)
        free[np.flatnonzero(free)[reached]] = False
        x, y, z = (float(v) for v in position)
        for number, occupancy, b_iso in contents[index]:
            site = Site(gemmi.Element(number).name, (x, y, z), occupancy, b_iso)
            sites.append(snapped(site, cell, symbol)[0])
    return tuple(sites)
