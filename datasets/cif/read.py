"""CIF file -> Crystal, with everything checked that a damaged file can get wrong.

Parsed with gemmi, which neither guesses a space group nor crashes on a bad cell. What a file
says twice (symbol, number and operators; cell and volume; multiplicity; formula) must agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np

from xtalfuse.datasets.cif.block import (
    MAX_ATOMS,
    cell_of,
    citation_of,
    name_of,
    sites_of,
    symmetry_of,
    text_of,
    values_of,
)
from xtalfuse.datasets.cif.species import formula_amounts
from xtalfuse.datasets.cif.symmetry import obeying_cell, operations, snapped, standardised
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.guard import check_file
from xtalfuse.physics.crystal.cell import Crystal, Site

MAX_BYTES = 20_000_000  # a structure for powder work fits in kilobytes; images in CIFs do not
MAX_BLOCKS = 1000


class CifError(UnreadableFileError):
    """A CIF that does not define one structure: the message names file, cause and remedy."""


@dataclass(frozen=True)
class CifStructure:
    """One data block of a CIF file."""

    block: str
    name: str
    crystal: Crystal
    citation: str
    declared_formula: str  # as the file writes it; "" where it does not
    notes: tuple[str, ...]  # what was assumed or corrected


@dataclass(frozen=True)
class CifReading:
    """What became of the data blocks of one file."""

    structures: tuple[CifStructure, ...]
    refused: tuple[str, ...]  # one message per block that holds no usable structure


def read_cif(path: str | Path) -> CifReading:
    """All structures of a CIF file; a bad block does not cost the others.

    Raises
    ------
    CifError
        If the file cannot be parsed, names a block twice, or no block is usable.
    """
    path = Path(path)
    document = _parse(path)
    structures, refused = [], []
    if len(document) > MAX_BLOCKS:
        raise CifError(
            f"{path.name}: {len(document)} data blocks; split it into files of up to {MAX_BLOCKS}"
        )
    for block in document:
        if not values_of(block, ["_atom_site_fract_x", "_atom_site.fract_x"]):
            continue
        try:
            structures.append(_structure(block, path))
        except (ValueError, RuntimeError, ArithmeticError) as error:
            refused.append(f"{path.name}: block {block.name}: {error}")
    if refused and not structures:
        raise CifError(refused[0] if len(refused) == 1 else "; ".join(refused))
    if not structures:
        raise CifError(
            f"{path.name}: no atom sites with fractional coordinates; give a CIF of a structure"
        )
    return CifReading(tuple(structures), tuple(refused))


def check_size(path: Path) -> Path:
    """The path, if there is a file that may hold crystal structures.

    Raises
    ------
    CifError
        If it is larger than any such file, absent, empty or no regular file (a pipe, a device,
        a folder).
    """
    try:
        size = check_file(path).stat().st_size
    except UnreadableFileError as error:
        raise CifError(str(error)) from None
    if size > MAX_BYTES:
        raise CifError(
            f"{path.name}: {size / 1e6:.0f} MB is no crystal structure (at most "
            f"{MAX_BYTES / 1e6:.0f} MB); export the structure alone"
        )
    return path


def _parse(path: Path) -> gemmi.cif.Document:
    raw = check_size(path).read_bytes()
    if b"\0" in raw:
        raise CifError(f"{path.name}: binary data, not CIF text; export it again as CIF")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    try:
        return gemmi.cif.read_string(text)
    except (RuntimeError, ValueError) as error:
        cause = " ".join(str(error).split())
        raise CifError(f"{path.name}: not valid CIF ({cause}); correct that line") from None


def _structure(block: gemmi.cif.Block, path: Path) -> CifStructure:
    cell = cell_of(block)
    symmetry = symmetry_of(block, cell[5])
    sites, declared, notes = sites_of(block, cell)
    notes += symmetry.notes
    if symmetry.operators:
        crystal = standardised(_listed(cell, sites, symmetry.operators))
        notes.append(f"brought to the standard setting {crystal.space_group}")
    else:
        crystal, more = _chosen_setting(cell, symmetry.candidates, sites, declared)
        notes += more
        if crystal.space_group == "P 1":
            crystal = standardised(crystal)
            if crystal.space_group != "P 1":
                notes.append(f"atoms listed in P 1; symmetry {crystal.space_group} was found")
    formula = text_of(block, ["_chemical_formula_sum", "_chemical_formula.sum"])
    notes += _compare_formula(formula, crystal)
    return CifStructure(
        block.name, name_of(block, path), crystal, citation_of(block), formula, tuple(notes)
    )


def _chosen_setting(
    cell: tuple[float, ...],
    candidates: tuple[gemmi.SpaceGroup, ...],
    sites: list[Site],
    declared: list[int | None],
) -> tuple[Crystal, list[str]]:
    """The one setting in which the sites make sense.

    A symbol without its origin (F d -3 m) means two settings; a wrong choice is a different
    structure. Declared multiplicities and interatomic distances decide; if they cannot, the
    file is refused.
    """
    fitting, reasons = [], []
    for group in candidates:
        try:
            crystal, notes = _in_setting(cell, group.xhm(), sites, declared)
        except ValueError as error:
            reasons.append(str(error))
            continue
        fitting.append((crystal, notes))
    if not fitting:
        raise ValueError(reasons[0])
    if len(fitting) > 1:
        from xtalfuse.datasets.cif.validate import validate

        verdicts = [validate(crystal, symmetry=False) for crystal, _ in fitting]
        fitting = [f for f, verdict in zip(fitting, verdicts, strict=True) if verdict.sound]
        if len(fitting) != 1:
            names = " or ".join(group.xhm() for group in candidates)
            raise ValueError(f"the setting may be {names}; add the symmetry operators")
    crystal, notes = fitting[0]
    if len(candidates) > 1:
        notes = [*notes, f"setting {crystal.space_group} chosen: the other is impossible"]
    return crystal, notes


def _in_setting(
    cell: tuple[float, ...], symbol: str, sites: list[Site], declared: list[int | None]
) -> tuple[Crystal, list[str]]:
    exact, moved = obeying_cell(cell, symbol)
    notes = [f"cell moved by {moved:.1e} to obey {symbol}"] if moved > 1e-4 else []
    order = len(operations(symbol)[0])
    placed = []
    for site, stated in zip(sites, declared, strict=True):
        new, multiplicity, note = snapped(site, exact, symbol)
        notes += [note] if note else []
        # older refinement programs write the order of the site symmetry in this column
        joined = new.occupancy != site.occupancy
        if not joined and stated not in (None, multiplicity, order // multiplicity):
            raise ValueError(
                f"site {site.species} at {_position(site)} has multiplicity {multiplicity} in "
                f"{symbol} but {stated} is declared; correct the position or the setting"
            )
        placed.append(new)
    crystal = Crystal(exact, symbol, tuple(placed))
    limit_atoms(len(crystal.expand().numbers))
    return crystal, notes


def limit_atoms(count: int) -> None:
    """Refuse a cell of more atoms than `MAX_ATOMS`; raises ValueError."""
    if count > MAX_ATOMS:
        raise ValueError(f"{count} atoms in the cell; structures up to {MAX_ATOMS} are handled")


def _listed(cell: tuple[float, ...], sites: list[Site], ops: tuple[gemmi.Op, ...]) -> Crystal:
    """All atoms under given operators, as a P 1 structure without repeats."""
    limit_atoms(len(sites) * len(ops) // 8)
    atoms: list[Site] = []
    orth = np.array(gemmi.UnitCell(*cell).orth.mat.tolist())
    for site in sites:
        images: list[np.ndarray] = []
        for op in ops:
            image = np.array(op.apply_to_xyz(list(site.position))) % 1.0
            delta = np.array([image - other for other in images]).reshape(-1, 3)
            delta -= np.rint(delta)
            if not (np.linalg.norm(delta @ orth.T, axis=1) < 0.1).any():
                images.append(image)
        for x, y, z in images:
            atoms.append(replace(site, position=(float(x), float(y), float(z))))
    a, b, c, alpha, beta, gamma = cell
    return Crystal((a, b, c, alpha, beta, gamma), "P 1", tuple(atoms))


def _position(site: Site) -> str:
    return "({:.4f}, {:.4f}, {:.4f})".format(*site.position)


def _compare_formula(formula: str, crystal: Crystal) -> list[str]:
    """Notes where the declared formula and the sites disagree.

    Raises
    ------
    ValueError
        If an element other than hydrogen is in one of them only.
    """
    declared = {
        symbol: amount
        for symbol, amount in formula_amounts(formula).items()
        if gemmi.Element(symbol).atomic_number
    }
    if not declared:
        return []
    found = {("H" if el == "D" else el): n for el, n in crystal.composition.items()}
    missing = set(declared) ^ set(found)
    if missing - {"H"}:
        raise ValueError(
            f"the formula {formula!r} and the sites {crystal.formula} differ in "
            f"{', '.join(sorted(missing))}; correct one of them"
        )
    notes = ["hydrogen is in the formula but not among the sites"] if "H" in missing else []
    common = sorted(set(declared) & set(found) - {"H"})
    ratio = np.array([declared[el] / found[el] for el in common])
    spread = ratio.max() / max(ratio.min(), 1e-9) - 1.0 if len(ratio) > 1 else 0.0
    if spread > 0.5:
        raise ValueError(
            f"the formula {formula!r} and the sites {crystal.formula} differ by {spread:.0%}; "
            "a site, an occupancy or the setting is wrong"
        )
    if spread > 0.05:
        notes.append(f"formula {formula!r} and sites {crystal.formula} differ by {spread:.0%}")
    return notes
