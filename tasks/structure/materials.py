"""Which material each phase of a map or volume is: its elastic constants, slip and strength."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xtalfuse.datasets.constants.elastic import ElasticRecord, elastic_constants, elastic_records
from xtalfuse.datasets.constants.strength import HallPetchRecord, hall_petch_constants, slip_family
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.mechanics.slip import SlipSystems, slip_systems
from xtalfuse.physics.orientation.point_group import standard_laue

PORE = "pore"
UNKNOWN = "unknown"  # a phase that is there, without constants


@dataclass(frozen=True)
class Material:
    """What is known of one phase.

    Parameters
    ----------
    phase : of the map or volume
    elastic : its elastic constants; None if none are known
    strength : its Hall-Petch constants; None if none are known
    found_by : how the constants were found, or why not
    """

    phase: MapPhase
    elastic: ElasticRecord | None
    strength: HallPetchRecord | None
    found_by: str

    @property
    def slip_family(self) -> str | None:
        """``"fcc"``, ``"bcc_pencil"`` or ``"hcp"``; None where slip is not known."""
        family = None if self.elastic is None else slip_family(self.elastic)
        return None if family == "hcp" and self.phase.cell is None else family

    @property
    def slip(self) -> SlipSystems | None:
        """Slip systems of a metal, all with one critical stress; None of anything else."""
        if self.slip_family is None:
            return None
        cell = self.phase.cell
        return slip_systems(self.slip_family, 1.0, cell[2] / cell[0] if cell else None)


def materials_of(
    phases: Sequence[MapPhase], chosen: Sequence[str] | Mapping[str, str] = ()
) -> tuple[Material, ...]:
    """The material of each phase.

    Parameters
    ----------
    phases : of a map or volume
    chosen : what the user says the phases are: names in the order of `phases`, or by the name
        of a phase; ``"pore"`` for empty space, ``"unknown"`` for what has no constants. Phases
        that are not chosen are looked up by their own name and formula.

    Raises
    ------
    ValueError
        If a name chosen is not known, there are more names than phases, or no phase has the
        name that one is chosen for.
    """
    by_name = _by_name([phase.name for phase in phases], chosen)
    return tuple(_material(phase, by_name.get(phase.name)) for phase in phases)


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, numbered where one comes again: ``("iron", "iron (2)")``."""
    found: list[str] = []
    for name in names:
        number, new = 1, name
        while new in found:
            number += 1
            new = f"{name} ({number})"
        found.append(new)
    return tuple(found)


def check_material(name: str) -> None:
    """See that a material can be named so.

    Raises
    ------
    ValueError
        If no crystal has this name in any Laue group, or it is ambiguous in all.
    """
    groups = {None, *(record.laue for record in elastic_records())}
    if name.lower() not in (PORE, UNKNOWN) and not any(_lookup(name, laue) for laue in groups):
        elastic_constants(name)  # says why not


def missing_constants(materials: Sequence[Material]) -> list[str]:
    """What to say of each phase whose elastic constants are not known."""
    return [
        f"no elastic properties: {material.phase.name}: {material.found_by}; "
        f"{how_to_say(material.phase)}"
        for material in materials
        if material.elastic is None and not material.phase.pore
    ]


def constants_used(materials: Sequence[Material]) -> list[str]:
    """Whose elastic constants stand for each phase, with the citation."""
    return [
        f"{material.phase.name}: constants of {material.elastic.name} ({material.elastic.citation})"
        for material in materials
        if material.elastic is not None
    ]


def how_to_say(phase: MapPhase) -> str:
    """How a person says on the command line which material a phase is."""
    if "," in phase.name:
        return "say what it is by --phases, in the order of the phases"
    return f"say what it is, as --phases {shlex.quote(f'{phase.name}=nickel')}"


def _by_name(names: list[str], chosen: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    there = ", ".join(repr(name) for name in names)
    if not isinstance(chosen, Mapping):
        if len(chosen) > len(names):
            raise ValueError(f"{len(chosen)} materials, but the phases are {there}")
        return dict(zip(names, chosen, strict=False))
    missing = [name for name in chosen if name not in names]
    if missing:
        raise ValueError(f"no phase {missing[0]!r}; there are {there}")
    return dict(chosen)


def _material(phase: MapPhase, chosen: str | None) -> Material:
    word = (chosen or "").lower()
    if word == PORE or (phase.pore and chosen is None):
        return Material(replace(phase, laue=None, pore=True), None, None, "empty space")
    phase = replace(phase, pore=False)
    if word == UNKNOWN:
        return Material(phase, None, None, "said to be unknown")
    laue = None if phase.laue is None else standard_laue(phase.laue)
    if laue != phase.laue:
        return Material(phase, None, None, f"elastic constants of {laue} in other axes only")
    if chosen is not None:
        try:
            record = elastic_constants(chosen, laue=laue)
        except ValueError as error:
            raise ValueError(f"phase {phase.name!r}: {error}") from None
        how = f"{record.name}, as chosen"
    else:
        found = next(filter(None, (_lookup(text, laue) for text in _names(phase))), None)
        if found is None:
            return Material(phase, None, None, "no elastic constants under this name")
        record, how = found, f"{found.name}, by name"
    return Material(phase, record, _strength(chosen or record.name, record), how)


def _names(phase: MapPhase) -> list[str]:
    """What a phase may be called: its name, the parts of it, its formula."""
    # "Iron bcc (old)" is iron, "(Ti,Al)N" is not aluminium: brackets of a formula part nothing
    parts = [part.strip(" )]") for part in re.split(r"[/;]|\s[(\[]", phase.name)]
    return list(dict.fromkeys(text for text in (phase.name, *parts, phase.formula) if text))


def _lookup(name: str, laue: str | None) -> ElasticRecord | None:
    try:
        return elastic_constants(name, laue=laue)
    except ValueError:
        return None


def _strength(name: str, record: ElasticRecord) -> HallPetchRecord | None:
    for query in (name, record.id):
        try:
            return hall_petch_constants(query, laue=record.laue)
        except ValueError:
            continue
    return None
