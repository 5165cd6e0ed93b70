"""Elastic constants of single crystals: a table typed from the literature, found by phase.

Axes of the crystal frame: z along c, x along a. That is the frame of orientations here; it is
IEEE's for all crystals but monoclinic ones, whose published constants (z along c) are turned
when the table is read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from xtalfuse.physics.orientation.point_group import generators, laue_of

TABLE = Path(__file__).parent / "elastic.toml"
ROOM_TEMPERATURE_K = 298.0
SAME_AMOUNT = 0.02  # atomic fractions within this are one formula
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
# Groups that are mirror images of each other: their crystals have the same stiffness
MIRROR = {145: 144, 153: 151, 154: 152, 170: 169, 172: 171, 179: 178, 181: 180, 78: 76, 95: 91,
          96: 92, 213: 212}  # fmt: skip


class LibraryPhase(Protocol):
    """What a phase library keeps of a phase, as far as it is needed here."""

    id: str
    formula: str
    crystal: Any


@dataclass(frozen=True)
class MeasuredModuli:
    """Moduli that were measured on polycrystals, or under pressure; None where not."""

    bulk: float | None  # GPa
    shear: float | None  # GPa
    citation: str


@dataclass(frozen=True, eq=False)
class ElasticRecord:
    """Elastic constants of one crystal.

    Parameters
    ----------
    id : of the table
    name : in words
    formula : of the crystal measured
    laue : Laue group, ``"m-3m"``, ``"-3m"``, ...
    space_group : number
    stiffness : (6, 6) Mandel, GPa, crystal frame: z along c, x along a
    citation : where the constants are from
    temperature_k : of the measurement
    density_g_cm3 : of the crystal measured
    relative_uncertainty : of the larger constants, one standard deviation or the scatter between
        sources
    entries : ids of the built-in phase library that this is meant for
    aliases : other names
    note : what a user should know; may be empty
    polycrystal : moduli of other measurements, to compare Hill's average with
    """

    id: str
    name: str
    formula: str
    laue: str
    space_group: int
    stiffness: np.ndarray
    citation: str
    temperature_k: float
    density_g_cm3: float
    relative_uncertainty: float
    entries: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str = ""
    polycrystal: MeasuredModuli | None = None


@lru_cache(maxsize=4)
def elastic_records(path: Path = TABLE) -> tuple[ElasticRecord, ...]:
    """All crystals of a table.

    Raises
    ------
    ValueError
        If a row lacks a field, its constants are not those of its Laue group, the crystal is not
        stable (Born), or an id is there twice; the message names file, row and remedy.
    """
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["crystal"]
    records: dict[str, ElasticRecord] = {}
    for row in rows:
        where = f"{path.name}: crystal {row.get('id')!r}"
        try:
            record = _record(row)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}; correct that row") from error
        if record.id in records:
            raise ValueError(f"{where} is there twice; remove one")
        records[record.id] = record
    return tuple(records.values())


def _record(row: Mapping[str, Any]) -> ElasticRecord:
    laue = laue_of(row["space_group"])
    stiffness = stiffness_of(row["stiffness"], laue)
    if "beta_deg" in row:
        stiffness = _x_along_a(stiffness, float(row["beta_deg"]))
    elif laue == "2/m":
        raise ValueError("a monoclinic crystal needs beta_deg, the angle of its cell")
    stiffness.flags.writeable = False
    other = row.get("polycrystal")
    return ElasticRecord(
        id=row["id"],
        name=row["name"],
        formula=row["formula"],
        laue=laue,
        space_group=row["space_group"],
        stiffness=stiffness,
        citation=row["citation"],
        temperature_k=float(row.get("temperature_k", ROOM_TEMPERATURE_K)),
        density_g_cm3=float(row["density_g_cm3"]),
        relative_uncertainty=float(row["uncertainty"]),
        entries=tuple(row.get("entries", (row["id"],))),
        aliases=tuple(row.get("aliases", ())),
        note=row.get("note", ""),
        polycrystal=other
        and MeasuredModuli(other.get("bulk"), other.get("shear"), other["citation"]),
    )


def stiffness_of(constants: Mapping[str, float], laue: str) -> np.ndarray:
    """(6, 6) Mandel stiffness of the independent constants of a Laue group.

    The rotations of the group say what the other constants are: of all stiffnesses that they
    leave as they are, the one is taken that has the constants given.

    Parameters
    ----------
    constants : GPa in Voigt's notation by name, ``{"c11": 168.4, "c12": 121.4, "c44": 75.4}``
    laue : Laue group, axes as in :mod:`xtalfuse.physics.orientation.laue`

    Raises
    ------
    ValueError
        If the constants are too few, contradict the symmetry or each other, or the crystal would
        not be stable: the stiffness must be positive definite (Born & Huang 1954).
    """
    invariant = _invariant(laue)  # (21, n): each column a stiffness that the group leaves alone
    names = list(_names())
    unknown = [name for name in constants if name not in names]
    if unknown:
        raise ValueError(f"no elastic constant {unknown[0]!r}; names are c11, c12, ... c66")
    chosen = [names.index(name) for name in constants]
    values = np.array([float(value) for value in constants.values()])
    if np.linalg.matrix_rank(invariant[chosen], tol=1e-6) < invariant.shape[1]:
        raise ValueError(
            f"a crystal of Laue group {laue} has {invariant.shape[1]} independent constants; "
            f"{', '.join(constants)} do not determine them"
        )
    solution = np.linalg.lstsq(invariant[chosen], values, rcond=None)[0]
    if abs(invariant[chosen] @ solution - values).max() > 1e-6 * abs(values).max():
        raise ValueError(f"the constants contradict the symmetry of Laue group {laue}")
    whole = np.zeros((6, 6))
    for value, (i, j) in zip(invariant @ solution, _names().values(), strict=True):
        whole[i, j] = whole[j, i] = value
    factor = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    mandel = whole * factor[:, None] * factor
    if np.linalg.eigvalsh(mandel)[0] <= 0.0:
        raise ValueError("the stiffness is not positive definite: no stable crystal has it")
    return mandel


@lru_cache(maxsize=1)
def _names() -> dict[str, tuple[int, int]]:
    """The 21 constants and their places: c11, c12, ... c66."""
    return {f"c{i + 1}{j + 1}": (i, j) for i in range(6) for j in range(i, 6)}


@lru_cache(maxsize=16)
def _invariant(laue: str) -> np.ndarray:
    """(21, n) a basis, in Voigt's notation, of the stiffnesses that a Laue group leaves alone."""
    from scipy.spatial.transform import Rotation

    rotations = [
        Rotation.from_quat(np.roll(generator, -1)).as_matrix() for generator in generators(laue)
    ]
    places = np.array(list(_names().values()))
    trials = np.zeros((21, 6, 6))
    trials[np.arange(21), places[:, 0], places[:, 1]] = 1.0
    trials = np.maximum(trials, trials.swapaxes(1, 2))
    turned = [_turned(trials, rotation)[:, places[:, 0], places[:, 1]].T for rotation in rotations]
    # what the generators leave alone, all of the group does
    _, singular, vectors = np.linalg.svd(np.vstack([change - np.eye(21) for change in turned]))
    basis = vectors[int((singular > 1e-9).sum()) :].T.copy()
    basis[abs(basis) < 1e-12] = 0.0
    return basis


def _turned(voigt: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Stiffnesses (n, 6, 6), Voigt, in axes that `rotation` (3, 3) turns the old ones into."""
    full = _voigt_index()
    tensor = voigt[:, full[:, :, None, None], full[None, None, :, :]]
    turned = np.einsum(
        "ai,bj,ck,dl,nijkl->nabcd", rotation, rotation, rotation, rotation, tensor, optimize=True
    )
    i, j = np.array(VOIGT).T
    return turned[:, i[:, None], j[:, None], i[None, :], j[None, :]]


def _voigt_index() -> np.ndarray:
    """(3, 3) Voigt's number of each pair of axes."""
    index = np.empty((3, 3), int)
    for number, (i, j) in enumerate(VOIGT):
        index[i, j] = index[j, i] = number
    return index


def _x_along_a(stiffness: np.ndarray, beta_deg: float) -> np.ndarray:
    """A monoclinic Mandel stiffness of axes (a*, b, c), in axes (a, b, c*)."""
    sin, cos = np.sin(np.radians(beta_deg)), np.cos(np.radians(beta_deg))
    rotation = np.array([[sin, 0.0, cos], [0.0, 1.0, 0.0], [-cos, 0.0, sin]])
    factor = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
    scale = factor[:, None] * factor
    return _turned((stiffness / scale)[None], rotation)[0] * scale


def elastic_constants(
    query: str | LibraryPhase, *, laue: str | None = None, space_group: int | None = None
) -> ElasticRecord:
    """The elastic constants of a phase.

    Parameters
    ----------
    query : id, name, alias or formula (``"copper"``, ``"Al2O3"``), or an entry of the phase
        library, which is found by its id, else by formula and space group
    laue, space_group : tell polymorphs apart (TiO2, SiO2, ZnS); mirror-image groups are one

    Raises
    ------
    ValueError
        If no crystal, or more than one, answers; the message says which are near.
    """
    if not isinstance(query, str):
        return _of_entry(query)
    records = elastic_records()
    words = {_plain(part) for part in (query, *query.split("/"))}  # EBSD: "ferrite/ferrite"
    named = [r for r in records if words & {_plain(n) for n in (r.id, r.name, *r.aliases)}]
    named = named or [r for r in records if query in r.entries]
    named = named or [r for r in records if _same_formula(query, r.formula)]
    found = [r for r in named if _is_polymorph(r, laue, space_group)]
    if len(found) == 1:
        return found[0]
    raise ValueError(_why_not(query, named, found, laue, space_group))


def _of_entry(entry: LibraryPhase) -> ElasticRecord:
    for record in elastic_records():
        if entry.id in record.entries:
            return record
    return elastic_constants(entry.formula, space_group=entry.crystal.space_group_number)


def _is_polymorph(record: ElasticRecord, laue: str | None, space_group: int | None) -> bool:
    if laue is not None and laue != record.laue:
        return False
    ours = MIRROR.get(record.space_group, record.space_group)
    return space_group is None or MIRROR.get(space_group, space_group) == ours


def _why_not(
    query: str,
    named: list[ElasticRecord],
    found: list[ElasticRecord],
    laue: str | None,
    space_group: int | None,
) -> str:
    if found:
        which = ", ".join(f"{r.id} ({r.laue})" for r in found)
        return f"more than one crystal is called {query!r}: {which}; ask by id, or give laue="
    if named:
        which = ", ".join(f"{r.id} ({r.laue}, space group {r.space_group})" for r in named)
        wanted = f"Laue group {laue}" if space_group is None else f"space group {space_group}"
        return f"no elastic constants of {query!r} with {wanted}; there are {which}"
    names = {_plain(n): n for r in elastic_records() for n in (r.id, r.name, *r.aliases)}
    plain = _plain(query)
    within = [name for name in names if len(plain) > 2 and plain in name]
    near = within[:3] or get_close_matches(plain, names, 3, 0.6)
    hint = f"; did you mean {' or '.join(repr(names[n]) for n in near)}?" if near else "."
    return (
        f"no elastic constants of {query!r}{hint} `xtalfuse materials` lists the "
        f"{len(elastic_records())} crystals there are"
    )


def _plain(name: str) -> str:
    """A name without case, spaces, dashes and commas."""
    return re.sub(r"[\W_]+", "", name.casefold())


def _same_formula(one: str, other: str) -> bool:
    a, b = _fractions(one), _fractions(other)
    return bool(a) and a.keys() == b.keys() and all(abs(a[k] - b[k]) < SAME_AMOUNT for k in a)


@lru_cache(maxsize=4096)
def _fractions(formula: str) -> dict[str, float]:
    """Atomic fractions of a formula with brackets, ``"CaMg(CO3)2"``; empty if it is none."""
    text = re.sub(r"\s+", "", formula)
    if not re.fullmatch(r"(?:[A-Z][a-z]?|[\d.]+|[()])+", text):
        return {}
    while (bracket := re.search(r"\(([^()]*)\)([\d.]*)", text)) is not None:
        inner = _amounts(bracket[1], float(bracket[2] or 1.0))
        text = text[: bracket.start()] + inner + text[bracket.end() :]
    amounts: dict[str, float] = {}
    for symbol, amount in re.findall(r"([A-Z][a-z]?)([\d.]*)", text):
        amounts[symbol] = amounts.get(symbol, 0.0) + float(amount or 1.0)
    total = sum(amounts.values())
    return {symbol: amount / total for symbol, amount in amounts.items()}


def _amounts(formula: str, times: float) -> str:
    """A formula without brackets, all its amounts multiplied."""
    parts = re.findall(r"([A-Z][a-z]?)([\d.]*)", formula)
    return "".join(f"{symbol}{float(amount or 1.0) * times:g}" for symbol, amount in parts)
