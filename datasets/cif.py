"""CIF file -> Crystal, with everything checked that a damaged file can get wrong.

Parsed with gemmi, which neither guesses a space group nor crashes on a bad cell. What a file
says twice (symbol, number and operators; cell and volume; multiplicity; formula) must agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np

from xtalfuse.datasets.species import DEFAULT_B, element_of
from xtalfuse.datasets.symmetry import (
    group_of_operators,
    obeying_cell,
    operations,
    settings_of,
    snapped,
    standardised,
)
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.physics.crystal import Crystal, Site

MAX_BYTES = 20_000_000  # a structure for powder work fits in kilobytes; images in CIFs do not
MAX_ATOMS = 4000
B_RANGE = (0.02, 20.0)  # angstrom^2: outside, a displacement parameter is a mistake

_SYMBOL = (
    "_space_group_name_H-M_alt",
    "_symmetry_space_group_name_H-M",
    "_space_group_name_H-M_full",
    "_space_group.name_H-M_alt",
    "_space_group.name_H-M_full",
    "_symmetry.space_group_name_H-M",
)
_HALL = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall", "_space_group.name_Hall")
_NUMBER = (
    "_space_group_IT_number",
    "_symmetry_Int_Tables_number",
    "_space_group.IT_number",
    "_symmetry.Int_Tables_number",
)
_OPERATORS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
    "_symmetry_equiv.pos_as_xyz",
)
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


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
    for block in document:
        if not _values(block, ["_atom_site_fract_x", "_atom_site.fract_x"]):
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


def _parse(path: Path) -> gemmi.cif.Document:
    size = path.stat().st_size
    if size == 0 or size > MAX_BYTES:
        raise CifError(
            f"{path.name}: {size} bytes is no crystal structure (1 to {MAX_BYTES}); "
            "export the structure alone"
        )
    raw = path.read_bytes()
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


def _values(block: gemmi.cif.Block, tags: Sequence[str]) -> list[str]:
    """The column or single value of the first tag that is there."""
    for tag in tags:
        column = block.find_values(tag)
        if column:
            return [gemmi.cif.as_string(value) for value in column]
    return []


def _text(block: gemmi.cif.Block, tags: Sequence[str]) -> str:
    values = _values(block, tags)
    return values[0].strip() if values else ""


def _number(text: str, what: str) -> float:
    """A CIF number such as ``4.7589(2)``; NaN for the CIF placeholders ? and . only."""
    if text in ("", "?", "."):
        return math.nan
    value = gemmi.cif.as_number(text)
    if not math.isfinite(value):
        raise ValueError(f"{what} is {text!r}, not a finite number; correct it")
    return value


def _cell(block: gemmi.cif.Block) -> tuple[float, ...]:
    cell = tuple(
        _number(_text(block, [f"_cell_{name}", f"_cell.{name}"]), f"_cell_{name}") for name in _CELL
    )
    if any(math.isnan(value) for value in cell[:3]):
        raise ValueError("cell lengths are missing; add _cell_length_a, _b and _c")
    cell = cell[:3] + tuple(90.0 if math.isnan(angle) else angle for angle in cell[3:])
    if not all(1.5 <= length <= 200.0 for length in cell[:3]):
        hint = "nm" if max(cell[:3]) < 20 else "pm"
        raise ValueError(
            f"cell lengths {cell[0]:g}, {cell[1]:g}, {cell[2]:g} are outside 1.5-200 angstrom; "
            f"perhaps they are in {hint}: write them in angstrom"
        )
    if not all(20.0 <= angle <= 160.0 for angle in cell[3:]):
        raise ValueError(f"cell angles {cell[3:]} are outside 20-160 degrees; correct them")
    cosines = np.cos(np.radians(cell[3:]))
    if 1.0 - cosines @ cosines + 2.0 * cosines.prod() < 0.005:
        raise ValueError(f"cell angles {cell[3:]} enclose no volume; correct them")
    declared = _number(_text(block, ["_cell_volume", "_cell.volume"]), "_cell_volume")
    volume = gemmi.UnitCell(*cell).volume
    if math.isfinite(declared) and abs(declared / volume - 1.0) > 0.01:
        raise ValueError(
            f"the cell encloses {volume:.2f} angstrom^3 but _cell_volume is {declared:g}; "
            "one of the two is wrong: correct it"
        )
    return cell


@dataclass(frozen=True)
class _Symmetry:
    candidates: tuple[gemmi.SpaceGroup, ...]
    operators: tuple[gemmi.Op, ...]  # only for a setting that is not tabulated
    notes: tuple[str, ...]


def _symmetry(block: gemmi.cif.Block, gamma_deg: float) -> _Symmetry:
    """What symbol, Hall symbol, number and operators say together.

    Raises
    ------
    ValueError
        If there is none of them, or two of them disagree.
    """
    symbol = _text(block, _SYMBOL).replace("?", "")
    number = _number(_text(block, _NUMBER), "the space group number")
    triplets = _values(block, _OPERATORS)
    hall = gemmi.find_spacegroup_by_ops(_hall_operations(_text(block, _HALL)))
    named = settings_of(symbol, gamma_deg) if symbol else ()
    group, ops = group_of_operators(triplets) if triplets else (None, [])
    notes = []
    if symbol and not named:
        if len(ops) <= 1 and hall is None:
            raise ValueError(
                f"unknown space group {symbol!r} and no operators; write a standard "
                "Hermann-Mauguin symbol or list the symmetry operators"
            )
        notes.append(f"space group symbol {symbol!r} is not standard; operators were used")
    claims = {
        "symbol " + symbol: named[0].number if named else None,
        "number": int(number) if math.isfinite(number) else None,
        "Hall symbol": hall.number if hall else None,
        "operators": group.number if group else None,
    }
    stated = {what: value for what, value in claims.items() if value is not None}
    if len(set(stated.values())) > 1:
        raise ValueError(
            "the space group is declared in contradiction ("
            + ", ".join(f"{what}: {value}" for what, value in stated.items())
            + "); correct one"
        )
    if group is not None:
        return _Symmetry((group,), (), tuple(notes))
    if ops:
        return _Symmetry((), tuple(ops), (*notes, "operators of an untabulated setting"))
    if hall is not None:
        return _Symmetry((hall,), (), tuple(notes))
    if named:
        return _Symmetry(named, (), tuple(notes))
    if math.isfinite(number) and 1 <= number <= 230:
        reference = gemmi.find_spacegroup_by_number(int(number))
        settings = settings_of(reference.hm, gamma_deg)
        return _Symmetry(settings, (), (*notes, "standard setting assumed from the number"))
    raise ValueError("no space group and no symmetry operators; add one of them")


def _hall_operations(hall: str) -> gemmi.GroupOps:
    if hall in ("", "?", "."):
        return gemmi.GroupOps([])
    try:
        return gemmi.symops_from_hall(hall)
    except RuntimeError as error:
        raise ValueError(f"Hall symbol {hall!r} cannot be read ({error}); correct it") from None


def _structure(block: gemmi.cif.Block, path: Path) -> CifStructure:
    cell = _cell(block)
    symmetry = _symmetry(block, cell[5])
    sites, declared, notes = _sites(block, cell)
    notes += symmetry.notes
    if symmetry.operators:
        crystal = standardised(_listed(cell, sites, symmetry.operators))
        notes.append(f"brought to the standard setting {crystal.space_group}")
    else:
        crystal, more = _chosen_setting(cell, symmetry.candidates, sites, declared)
        notes += more
        if crystal.space_group == "P 1" and len(sites) > 1:
            crystal = standardised(crystal)
            if crystal.space_group != "P 1":
                notes.append(f"atoms listed in P 1; symmetry {crystal.space_group} was found")
    formula = _text(block, ["_chemical_formula_sum", "_chemical_formula.sum"])
    notes += _compare_formula(formula, crystal)
    return CifStructure(
        block.name, _name(block, path), crystal, _citation(block), formula, tuple(notes)
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
        from xtalfuse.datasets.validate import validate

        verdicts = [validate(crystal, symmetry=False) for crystal, _ in fitting]
        fitting = [f for f, verdict in zip(fitting, verdicts, strict=True) if not verdict.errors]
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
    _limit_atoms(len(crystal.expand().numbers))
    return crystal, notes


def _limit_atoms(count: int) -> None:
    if count > MAX_ATOMS:
        raise ValueError(f"{count} atoms in the cell; structures up to {MAX_ATOMS} are handled")


def _listed(cell: tuple[float, ...], sites: list[Site], ops: tuple[gemmi.Op, ...]) -> Crystal:
    """All atoms under given operators, as a P 1 structure without repeats."""
    _limit_atoms(len(sites) * len(ops) // 8)
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
        atoms += [replace(site, position=tuple(float(v) for v in image)) for image in images]
    a, b, c, alpha, beta, gamma = cell
    return Crystal((a, b, c, alpha, beta, gamma), "P 1", tuple(atoms))


def _position(site: Site) -> str:
    return "({:.4f}, {:.4f}, {:.4f})".format(*site.position)


def _column(block: gemmi.cif.Block, name: str, length: int) -> list[str]:
    values = _values(block, [f"_atom_site_{name}", f"_atom_site.{name}"])
    return values if len(values) == length else [""] * length


def _sites(
    block: gemmi.cif.Block, cell: tuple[float, ...]
) -> tuple[list[Site], list[int | None], list[str]]:
    """Sites as written, the multiplicities that are declared, and notes."""
    xs = _values(block, ["_atom_site_fract_x", "_atom_site.fract_x"])
    n = len(xs)
    coordinates = [xs, _column(block, "fract_y", n), _column(block, "fract_z", n)]
    labels, types = _column(block, "label", n), _column(block, "type_symbol", n)
    occupancies = _column(block, "occupancy", n)
    multiplicities = _column(block, "symmetry_multiplicity", n)
    b_values = _displacements(block, labels, cell)
    formula = _text(block, ["_chemical_formula_sum", "_chemical_formula.sum"])
    sites: list[Site] = []
    declared: list[int | None] = []
    assumed = set()
    for i in range(n):
        label = labels[i] or types[i]
        element = element_of(types[i], labels[i], formula)
        x, y, z = (_coordinate(column[i], label) for column in coordinates)
        occupancy = _occupancy(occupancies[i], label)
        b_iso = b_values[i]
        if not B_RANGE[0] <= b_iso <= B_RANGE[1]:
            b_iso = DEFAULT_B.get(element, 0.5)
            assumed.add(element)
        sites.append(Site(element, (x, y, z), occupancy, round(float(b_iso), 4)))
        stated = multiplicities[i]
        declared.append(int(stated) if stated.isdigit() and int(stated) > 0 else None)
    if not sites:
        raise ValueError("no atom sites; give a CIF of a structure")
    notes = [f"displacement parameters assumed for {', '.join(sorted(assumed))}"]
    return sites, declared, notes if assumed else []


def _coordinate(text: str, label: str) -> float:
    value = _number(text, f"a coordinate of site {label}")
    if math.isnan(value):
        raise ValueError(f"site {label} has no coordinates; give them or remove the site")
    if abs(value) > 3.0:
        raise ValueError(f"site {label} has coordinate {value:g}; give fractional coordinates")
    return value


def _occupancy(text: str, label: str) -> float:
    value = _number(text, f"the occupancy of site {label}")
    if math.isnan(value):
        return 1.0
    if not 0.0 < value <= 1.02:
        raise ValueError(f"site {label} has occupancy {value:g}; it must lie within 0 and 1")
    return min(1.0, value)


def _displacements(
    block: gemmi.cif.Block, labels: list[str], cell: tuple[float, ...]
) -> np.ndarray:
    """(n,) B in angstrom^2 from B, U or anisotropic B, U, beta; NaN where the file has none.

    B_eq = 8 pi^2 U_eq and U_eq = (1/3) sum U_ij a*_i a*_j (a_i . a_j): Fischer, R. X. &
    Tillmanns, E. (1988). Acta Cryst. C44, 775.
    """
    n = len(labels)
    b_iso = np.array([_plain(v) for v in _column(block, "B_iso_or_equiv", n)])
    u_iso = np.array([_plain(v) for v in _column(block, "U_iso_or_equiv", n)])
    values = np.where(b_iso > 0, b_iso, 8.0 * np.pi**2 * u_iso)
    unit = gemmi.UnitCell(*cell)
    orth = np.array(unit.orth.mat.tolist())
    metric = orth.T @ orth
    star = np.array([unit.reciprocal().a, unit.reciprocal().b, unit.reciprocal().c])
    aniso_labels = _values(block, ["_atom_site_aniso_label", "_atom_site_anisotrop.id"])
    for kind, factor in (("U", 8.0 * np.pi**2 / 3.0), ("B", 1.0 / 3.0), ("beta", 4.0 / 3.0)):
        columns = [
            _values(block, [f"_atom_site_aniso_{kind}_{ij}"])
            for ij in ("11", "22", "33", "23", "13", "12")
        ]
        if any(len(column) != len(aniso_labels) for column in columns) or not aniso_labels:
            continue
        for row, label in enumerate(aniso_labels):
            u11, u22, u33, u23, u13, u12 = (_plain(column[row]) for column in columns)
            tensor = np.array([[u11, u12, u13], [u12, u22, u23], [u13, u23, u33]])
            if kind != "beta":
                tensor = tensor * np.outer(star, star)
            if label in labels:
                index = labels.index(label)
                if not values[index] > 0:
                    values[index] = factor * float(np.sum(tensor * metric))
    return np.nan_to_num(values, nan=-1.0)


def _plain(text: str) -> float:
    return gemmi.cif.as_number(text) if text not in ("", "?", ".") else math.nan


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
    spread = ratio.max() / ratio.min() - 1.0 if len(ratio) > 1 else 0.0
    if spread > 0.5:
        raise ValueError(
            f"the formula {formula!r} and the sites {crystal.formula} differ by {spread:.0%}; "
            "a site, an occupancy or the setting is wrong"
        )
    if spread > 0.05:
        notes.append(f"formula {formula!r} and sites {crystal.formula} differ by {spread:.0%}")
    return notes


def formula_amounts(formula: str) -> dict[str, float]:
    """``"Al2 O3"`` -> {"Al": 2, "O": 3}; empty where it cannot be read."""
    import re

    amounts: dict[str, float] = {}
    for symbol, amount in re.findall(r"([A-Z][a-z]?)\s*(\d*\.?\d*)", formula):
        key = "H" if symbol == "D" else symbol
        amounts[key] = amounts.get(key, 0.0) + float(amount or 1.0)
    return amounts


def _name(block: gemmi.cif.Block, path: Path) -> str:
    for tag in ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic"):
        text = _text(block, [tag])
        if text not in ("", "?", "."):
            return " ".join(text.split())[:80]
    return path.stem


def _citation(block: gemmi.cif.Block) -> str:
    """Authors (year). Journal volume, first page, as far as the file says."""
    year = _text(block, ["_citation_year", "_journal_year"])
    journal = _text(block, ["_citation_journal_full", "_journal_name_full"])
    volume = _text(block, ["_citation_journal_volume", "_journal_volume"])
    page = _text(block, ["_citation_page_first", "_journal_page_first"])
    authors = "; ".join(_values(block, ["_citation_author_name", "_publ_author_name"])[:6])
    parts = [authors, f"({year})" if year.strip("?.") else "", f"{journal} {volume}", page]
    text = ", ".join(p.strip() for p in parts if p.strip(" ?."))
    code = _text(block, ["_database_code_ICSD", "_cod_database_code", "_database_code_amcsd"])
    return text if not code.strip("?.") else f"{text}{' ' if text else ''}[database {code}]"
