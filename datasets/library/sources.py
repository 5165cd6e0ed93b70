"""What the built-in library is made of: phases typed from the literature, AFLOW prototypes."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import gemmi
import numpy as np

from xtalfuse.datasets.cif.read import CifStructure
from xtalfuse.datasets.cif.species import DEFAULT_B
from xtalfuse.datasets.cif.symmetry import obeying_cell, settings_of, snapped, standardised
from xtalfuse.datasets.library.compile import Compiled, compile_structure
from xtalfuse.physics.crystal.cell import Crystal, Site

PHASES = Path(__file__).parents[1] / "phases"
AFLOW_CITATION = (
    "Mehl, M. J. et al. (2017). Comput. Mater. Sci. 136, S1; "
    "Hicks, D. et al. (2019). Comput. Mater. Sci. 161, S1."
)


@dataclass(frozen=True)
class TypedPhase:
    """One entry of the phase files."""

    id: str
    name: str
    formula: str
    crystal: Crystal
    citation: str
    strongest: tuple[float, ...]  # d in angstrom of the strongest lines in the powder literature
    source: str  # the phase file


def typed_phases(folder: Path = PHASES) -> tuple[list[TypedPhase], list[str]]:
    """All phases of the ``*.toml`` files of a folder, and what is wrong with the others."""
    phases: dict[str, TypedPhase] = {}
    problems = []
    for path in sorted(folder.glob("*.toml")):
        try:
            rows = tomllib.loads(path.read_text(encoding="utf-8")).get("phase", [])
        except tomllib.TOMLDecodeError as error:
            problems.append(f"{path.name}: not valid TOML ({error}); correct that line")
            continue
        for row in rows:
            try:
                phase = _typed(row, path.stem)
            except (KeyError, TypeError, ValueError) as error:
                problems.append(f"{path.name}: phase {row.get('id')!r}: {error!r}")
                continue
            if phase.id in phases:
                problems.append(f"{path.name}: phase {phase.id!r} is there twice; remove one")
            phases.setdefault(phase.id, phase)
    return list(phases.values()), problems


def _typed(row: dict[str, Any], theme: str) -> TypedPhase:
    settings = settings_of(row["space_group"], row["cell"][5])
    if len(settings) != 1:
        names = ", ".join(group.xhm() for group in settings) or "none known"
        raise ValueError(f"space group {row['space_group']!r} must be one setting ({names})")
    symbol = settings[0].xhm()
    cell, _ = obeying_cell(tuple(float(v) for v in row["cell"]), symbol)
    sites = []
    for species, x, y, z, occupancy, b_iso in row["sites"]:
        if gemmi.Element(species).atomic_number == 0:
            raise ValueError(f"unknown element {species!r}")
        site = Site(species, (float(x), float(y), float(z)), float(occupancy), float(b_iso))
        sites.append(snapped(site, cell, symbol)[0])
    crystal = Crystal(cell, symbol, tuple(sites))
    strongest = tuple(float(d) for d in row.get("strongest", ()))
    return TypedPhase(
        row["id"], row["name"], row["formula"], crystal, row["citation"], strongest, theme
    )


def aflow_path() -> Path | None:
    """The prototypes that ship with pymatgen, found without importing it."""
    spec = importlib.util.find_spec("pymatgen")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(place) / "analysis" / "prototypes" / "aflow_prototypes.json.gz"
        if path.is_file():
            return path
    return None


def aflow_prototypes(path: Path) -> list[tuple[str, CifStructure]]:
    """Identifier and structure of each prototype, in the group that spglib finds."""
    rows = json.loads(gzip.decompress(path.read_bytes()))
    found = []
    for row in rows:
        lattice = np.array(row["snl"]["lattice"]["matrix"], float)
        sites = tuple(
            Site(
                part["element"],
                tuple(site["abc"]),
                part["occu"],
                DEFAULT_B.get(part["element"], 0.5),
            )
            for site in row["snl"]["sites"]
            for part in site["species"]
        )
        lengths = np.linalg.norm(lattice, axis=1)
        cosines = lattice @ lattice.T / np.outer(lengths, lengths)
        angles = np.degrees(np.arccos([cosines[1, 2], cosines[0, 2], cosines[0, 1]]))
        a, b, c, alpha, beta, gamma = (float(v) for v in (*lengths, *angles))
        crystal = standardised(Crystal((a, b, c, alpha, beta, gamma), "P 1", sites))
        tags = row["tags"]
        name = tags.get("mineral") or f"{crystal.formula} ({tags.get('strukturbericht')})"
        citation = _reference(row["snl"]["about"]["references"])
        identifier = f"aflow_{tags['aflow']}_{crystal.formula}"
        found.append((identifier, CifStructure(identifier, str(name), crystal, citation, "", ())))
    return found


def _reference(bibtex: str) -> str:
    """The first reference of a BibTeX text, in one line, and the prototype collection."""
    fields = dict(re.findall(r'(\w+)\s*=\s*["{]\s*(.*?)\s*["}]\s*,?\s*\n', bibtex.split("@", 2)[1]))
    authors = fields.get("author", "").replace(" and ", ", ")
    text = (
        f"{authors} ({fields.get('year', '')}). {fields.get('journal', '')} "
        f"{fields.get('volume', '')}, {fields.get('pages', '')}"
    )
    return f"{' '.join(text.split()).strip(' ,')}; {AFLOW_CITATION}"


@cache
def content_key(code_version: int) -> str:
    """Changes with the phase files, the prototypes and the code that reads them."""
    digest = hashlib.sha256(f"{code_version}".encode())
    aflow = aflow_path()
    for path in [*sorted(PHASES.glob("*.toml")), *([aflow] if aflow else [])]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def compile_all(
    progress: Callable[[int, int, str], None] | None = None,
) -> tuple[list[Compiled], list[tuple[str, str]]]:
    """Entries of the built-in library, and what was left out with the reason.

    A prototype that is also typed is left out: the typed one has the better cell.
    """
    phases, problems = typed_phases()
    typed = [
        (p.id, CifStructure(p.id, p.name, p.crystal, p.citation, p.formula, ()), p.source)
        for p in phases
    ]
    aflow = aflow_path()
    prototypes = aflow_prototypes(aflow) if aflow else []
    work = typed + [(identifier, structure, "AFLOW") for identifier, structure in prototypes]
    kept: list[Compiled] = []
    left_out = [("typed phases", problem) for problem in problems]
    typed_count = 0
    for done, (identifier, structure, source) in enumerate(work):
        if progress is not None:
            progress(done, len(work), identifier)
        twin = _twin(structure.crystal, kept[:typed_count]) if source == "AFLOW" else None
        if twin is not None:
            left_out.append((identifier, f"the same phase as {twin}"))
            continue
        entry, reason = compile_structure(structure, _free(identifier, kept), source, strict=True)
        if entry is None:
            left_out.append((identifier, reason))
            continue
        kept.append(entry)
        typed_count += source != "AFLOW"
    if progress is not None:
        progress(len(work), len(work), "comparing patterns")
    return kept, left_out


def _free(identifier: str, kept: list[Compiled]) -> str:
    taken = {entry.id for entry in kept}
    candidate, number = identifier, 2
    while candidate in taken:
        candidate, number = f"{identifier}_{number}", number + 1
    return candidate


def _twin(crystal: Crystal, others: list[Compiled]) -> str | None:
    """Id of an entry with the same group, composition and cell volume within 3 %."""
    atoms = sum(crystal.composition.values())
    fractions = {el: n / atoms for el, n in crystal.composition.items()}
    for other in others:
        if other.crystal.elements != crystal.elements:
            continue
        if other.crystal.space_group_number != crystal.space_group_number:
            continue
        count = sum(other.crystal.composition.values())
        close = abs(other.crystal.volume / crystal.volume - 1.0) < 0.03
        if close and all(
            abs(other.crystal.composition[el] / count - x) < 0.01 for el, x in fractions.items()
        ):
            return other.id
    return None
