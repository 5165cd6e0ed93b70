"""The fields of one CIF data block: cell, space group, sites, names; each checked by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np

from xtalfuse.datasets.cif.species import DEFAULT_B, element_of
from xtalfuse.datasets.cif.symmetry import group_of_operators, settings_of
from xtalfuse.physics.crystal.cell import Site

MAX_ATOMS = 4000  # in the cell, and so rows of a list of sites
MAX_OPERATORS = 1000  # the largest group has 192; supercells in odd settings list multiples
_ANISO = ("_atom_site_aniso_label", "_atom_site_anisotrop.id")
B_RANGE = (0.02, 20.0)  # angstrom^2: outside, a displacement parameter is a mistake

_SYMBOL = (
    "_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full",
    "_space_group.name_H-M_alt", "_space_group.name_H-M_full", "_symmetry.space_group_name_H-M",
)  # fmt: skip
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
_MAGNETIC = (
    "_space_group_symop_magn_operation.xyz", "_space_group_symop_magn_operation_xyz",
    "_space_group_symop.magn_operation_xyz", "_space_group_magn.number_BNS",
    "_space_group_magn.name_BNS",
)  # fmt: skip
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


def values_of(block: gemmi.cif.Block, tags: Sequence[str]) -> list[str]:
    """The column or single value of the first tag that is there."""
    for tag in tags:
        column = block.find_values(tag)
        if column:
            return [gemmi.cif.as_string(value) for value in column]
    return []


def text_of(block: gemmi.cif.Block, tags: Sequence[str]) -> str:
    """The first value of the first tag that is there; "" if none is."""
    values = values_of(block, tags)
    return values[0].strip() if values else ""


def check_rows(count: int, most: int, what: str) -> None:
    """Refuse a list longer than that of any structure here; raises ValueError."""
    if count > most:
        raise ValueError(f"{count} {what}; structures up to {most} are handled")


def _number(text: str, what: str) -> float:
    """A CIF number such as ``4.7589(2)``; NaN for the CIF placeholders ? and . only."""
    if text in ("", "?", "."):
        return math.nan
    value = gemmi.cif.as_number(text)
    if not math.isfinite(value):
        raise ValueError(f"{what} is {text!r}, not a finite number; correct it")
    return value


def cell_of(block: gemmi.cif.Block) -> tuple[float, ...]:
    """The cell of a block, checked; raises ValueError with cause and remedy."""
    cell = tuple(
        _number(text_of(block, [f"_cell_{name}", f"_cell.{name}"]), f"_cell_{name}")
        for name in _CELL
    )
    if any(math.isnan(value) for value in cell[:3]):
        raise ValueError("cell lengths are missing; add _cell_length_a, _b and _c")
    if all(math.isnan(angle) for angle in cell[3:]):  # the CIF dictionary: 90 where absent
        cell = (*cell[:3], 90.0, 90.0, 90.0)
    if any(math.isnan(angle) for angle in cell[3:]):
        raise ValueError("one of the cell angles is missing; add all three")
    check_cell(cell)
    declared = _number(text_of(block, ["_cell_volume", "_cell.volume"]), "_cell_volume")
    volume = gemmi.UnitCell(*cell).volume
    if math.isfinite(declared) and abs(declared / volume - 1.0) > 0.005:
        raise ValueError(
            f"the cell encloses {volume:.2f} angstrom^3 but _cell_volume is {declared:g}; "
            "one of the two is wrong: correct it"
        )
    return cell


def check_cell(cell: tuple[float, ...]) -> None:
    """Refuse a cell (a, b, c in angstrom, angles in degrees) that no crystal has.

    Raises
    ------
    ValueError
        If a length is outside 1.5-200 angstrom, an angle outside 20-160 degrees, or the angles
        enclose no volume.
    """
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


@dataclass(frozen=True)
class DeclaredSymmetry:
    """What a block says of its space group."""

    candidates: tuple[gemmi.SpaceGroup, ...]
    operators: tuple[gemmi.Op, ...]  # only for a setting that is not tabulated
    notes: tuple[str, ...]


def symmetry_of(block: gemmi.cif.Block, gamma_deg: float) -> DeclaredSymmetry:
    """What symbol, Hall symbol, number and operators say together.

    Raises
    ------
    ValueError
        If there is none of them, or two of them disagree.
    """
    symbol = text_of(block, _SYMBOL).replace("?", "")
    number = _number(text_of(block, _NUMBER), "the space group number")
    triplets = values_of(block, _OPERATORS)
    check_rows(len(triplets), MAX_OPERATORS, "symmetry operators")
    hall = gemmi.find_spacegroup_by_ops(_hall_operations(text_of(block, _HALL)))
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
        return DeclaredSymmetry((group,), (), tuple(notes))
    if ops:
        return DeclaredSymmetry((), tuple(ops), (*notes, "operators of an untabulated setting"))
    if hall is not None:
        return DeclaredSymmetry((hall,), (), tuple(notes))
    if named:
        return DeclaredSymmetry(named, (), tuple(notes))
    if math.isfinite(number) and 1 <= number <= 230:
        reference = gemmi.find_spacegroup_by_number(int(number))
        settings = settings_of(reference.hm, gamma_deg)
        return DeclaredSymmetry(settings, (), (*notes, "standard setting assumed from the number"))
    if values_of(block, _MAGNETIC):
        raise ValueError(
            "a magnetic CIF: moments under a magnetic space group, which X-rays do not see; give a "
            "CIF of the crystal structure in its parent space group"
        )
    raise ValueError("no space group and no symmetry operators; add one of them")


def _hall_operations(hall: str) -> gemmi.GroupOps:
    if hall in ("", "?", "."):
        return gemmi.GroupOps([])
    try:
        return gemmi.symops_from_hall(hall)
    except RuntimeError as error:
        raise ValueError(f"Hall symbol {hall!r} cannot be read ({error}); correct it") from None


def _column(block: gemmi.cif.Block, name: str, length: int) -> list[str]:
    values = values_of(block, [f"_atom_site_{name}", f"_atom_site.{name}"])
    return values if len(values) == length else [""] * length


def sites_of(
    block: gemmi.cif.Block, cell: tuple[float, ...]
) -> tuple[list[Site], list[int | None], list[str]]:
    """Sites as written, the multiplicities that are declared, and notes."""
    xs = values_of(block, ["_atom_site_fract_x", "_atom_site.fract_x"])
    n = len(xs)
    check_rows(n, MAX_ATOMS, "atom sites")
    check_rows(len(values_of(block, _ANISO)), MAX_ATOMS, "anisotropic displacements")
    coordinates = [xs, _column(block, "fract_y", n), _column(block, "fract_z", n)]
    labels, types = _column(block, "label", n), _column(block, "type_symbol", n)
    occupancies = _column(block, "occupancy", n)
    multiplicities = _column(block, "symmetry_multiplicity", n)
    b_values = _displacements(block, labels, cell)
    formula = text_of(block, ["_chemical_formula_sum", "_chemical_formula.sum"])
    sites: list[Site] = []
    declared: list[int | None] = []
    assumed = set()
    flags = _column(block, "calc_flag", n)
    for i in (i for i in range(n) if flags[i] != "dum"):  # dummies mark centres, not atoms
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
    aniso_labels = values_of(block, _ANISO)
    for kind, factor in (("U", 8.0 * np.pi**2 / 3.0), ("B", 1.0 / 3.0), ("beta", 4.0 / 3.0)):
        columns = [
            values_of(block, [f"_atom_site_aniso_{kind}_{ij}"])
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


def name_of(block: gemmi.cif.Block, path: Path) -> str:
    """The mineral or chemical name, else the name of the file."""
    for tag in ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic"):
        text = text_of(block, [tag])
        if text not in ("", "?", "."):
            return " ".join(text.split())[:80]
    return path.stem


def citation_of(block: gemmi.cif.Block) -> str:
    """Authors (year). Journal volume, first page, as far as the file says."""
    year = text_of(block, ["_citation_year", "_journal_year"])
    journal = text_of(block, ["_citation_journal_full", "_journal_name_full"])
    volume = text_of(block, ["_citation_journal_volume", "_journal_volume"])
    page = text_of(block, ["_citation_page_first", "_journal_page_first"])
    authors = "; ".join(values_of(block, ["_citation_author_name", "_publ_author_name"])[:6])
    parts = [authors, f"({year})" if year.strip("?.") else "", f"{journal} {volume}", page]
    text = ", ".join(p.strip() for p in parts if p.strip(" ?."))
    code = text_of(block, ["_database_code_ICSD", "_cod_database_code", "_database_code_amcsd"])
    return text if not code.strip("?.") else f"{text}{' ' if text else ''}[database {code}]"
