"""One structure file -> library entries: read, validated, with reflections.

Runs in a guarded child process: a file that hangs or kills it costs only itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from xtalfuse.datasets.cif.read import CifStructure, read_cif
from xtalfuse.datasets.cif.validate import validate
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import Reflections, reflections

D_MIN_ANGSTROM = 0.7  # Cu K-alpha ends at 0.77, Mo and synchrotron patterns are rarely used below
MAX_REFLECTIONS = 3000  # of the largest d; below, every pattern of a large cell is a continuum


@dataclass(frozen=True)
class Compiled:
    """What a library keeps of one structure."""

    id: str
    name: str
    formula: str
    crystal: Crystal
    citation: str
    source: str
    warnings: tuple[str, ...]  # unusual, but possible
    notes: tuple[str, ...]  # assumed or corrected while reading
    reflections: Reflections


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    compiled: tuple[Compiled, ...]
    left_out: tuple[tuple[str, str], ...]  # (entry or file, reason)


def compile_file(path: str | Path, source: str = "") -> Outcome:
    """Entries of one CIF file.

    Raises
    ------
    CifError
        If the file holds no readable structure; the message names file, cause and remedy.
    """
    path = Path(path)
    reading = read_cif(path)
    own = f"{path.name}: "
    compiled, left_out = [], [(path.name, why.removeprefix(own)) for why in reading.refused]
    for structure in reading.structures:
        single = len(reading.structures) == 1
        identifier = path.stem if single else f"{path.stem}:{structure.block}"
        entry, reason = compile_structure(structure, identifier, source or path.name)
        if entry is None:
            left_out.append(
                (identifier, reason if single else f"block {structure.block}: {reason}")
            )
        else:
            compiled.append(entry)
    return Outcome(tuple(compiled), tuple(left_out))


def compile_structure(
    structure: CifStructure, identifier: str, source: str, *, strict: bool = False
) -> tuple[Compiled | None, str]:
    """The entry of a structure, or None and the reason why it must stay out.

    A doubtful structure stays out if `strict`; else it is kept with the doubt as a warning.

    Parameters
    ----------
    structure : as it was read
    identifier : of the entry
    source : where it comes from, for people
    strict : whether a doubt is enough to leave it out
    """
    hydrogen_missing = any(note.startswith("hydrogen is in") for note in structure.notes)
    verdict = validate(structure.crystal, hydrogen_missing=hydrogen_missing)
    if verdict.errors or (strict and verdict.doubts):
        against = "; ".join([*verdict.errors, *verdict.doubts])
        return None, f"{against}; compare it with its publication"
    crystal = replace(structure.crystal)  # without what was cached while checking
    return Compiled(
        identifier,
        structure.name,
        crystal.formula,
        crystal,
        structure.citation,
        source,
        (*verdict.doubts, *verdict.warnings),
        (*structure.notes, *verdict.notes),
        reflections(structure.crystal, D_MIN_ANGSTROM, MAX_REFLECTIONS),
    ), ""


def with_unique_ids(compiled: Iterable[Compiled]) -> list[Compiled]:
    """The same entries; an id that occurs again gets a number behind it."""
    taken: set[str] = set()
    unique = []
    for item in compiled:
        identifier, number = item.id, 2
        while identifier in taken:
            identifier, number = f"{item.id}_{number}", number + 1
        taken.add(identifier)
        unique.append(item if identifier == item.id else replace(item, id=identifier))
    return unique
