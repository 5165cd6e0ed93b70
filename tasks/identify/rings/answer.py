"""Second stage: what rings say; and the answer where nothing else is known of a specimen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.rings.profile import NotRingsError, RingProfile, ring_profile
from xtalfuse.fusion.evidence import ElementBelief
from xtalfuse.loaders.record import Modality, Record
from xtalfuse.tasks.identify.answer import CELL_NAMES, Cell, PhaseAnswer, Unknown
from xtalfuse.tasks.identify.rings.match import (
    CandidateEvidence,
    RingEvidence,
    library_candidates,
    ring_evidence,
)
from xtalfuse.tasks.identify.rings.settings import DEFAULT, RingSettings
from xtalfuse.tasks.identify.stages import Conclusion, RingReading, RingsSaid

MOST_LISTED = 20  # candidates whose own probability is told
NO_CELL = Cell(None, None, None, None, None, None)


def read_rings(record: Record, library: Library, belief: ElementBelief) -> RingsSaid:
    """Rings of each diffraction pattern, held against the library.

    Parameters
    ----------
    record : of the specimen
    library : references to look among
    belief : about the elements; entries of elements that it rules out are not compared
    """
    begin = time.perf_counter()
    readings: list[RingReading] = []
    warnings: list[str] = []
    reasons: dict[str, str] = {}
    for measurement in record.of(Modality.DIFFRACTION):
        path = measurement.provenance.path
        name = Path(path).name
        try:
            profile = ring_profile(measurement)
        except (NotRingsError, ValueError) as error:
            reasons[path] = str(error)
            continue
        candidates = library_candidates(library, belief.candidates(library))
        readings.append(RingReading(name, profile, ring_evidence(profile, candidates)))
        warnings += [f"{name}: {text}" for text in profile.warnings]
    seconds = {"rings": time.perf_counter() - begin} if readings else {}
    return RingsSaid(tuple(readings), tuple(warnings), reasons, seconds)


def conclude_from_rings(rings: RingsSaid, library: Library) -> Conclusion:
    """A specimen of which only electron diffraction is known: a class of tied candidates."""
    best = max(rings.readings, key=lambda reading: len(reading.profile.sharp))
    phase, belongs = ring_answer(best.profile, best.evidence, library)
    return Conclusion(
        phases=() if phase is None else (phase,),
        unknown=Unknown(round(1.0 - belongs, 4)),
        urgent=(f"{best.name}: {best.evidence.statement}",),
    )


def ring_answer(
    profile: RingProfile,
    evidence: RingEvidence,
    library: Library,
    settings: RingSettings = DEFAULT,
) -> tuple[PhaseAnswer | None, float]:
    """The class of candidates that rings cannot tell apart, as one phase with equivalents.

    Parameters
    ----------
    profile : of the rings
    evidence : of the library against it
    library : that the candidates are of
    settings : numbers that decide

    Returns
    -------
    phase : named after the first of the class; None when no candidate explains the rings
    belongs : posterior probability of the class; the confidence of the phase is its own share
    """
    gain = max(evidence.log_likelihoods.values(), default=0.0)
    if not evidence.tied:
        return None, 0.0
    posterior = evidence.posterior(settings.in_library)
    belongs = float(sum(posterior[entry] for entry in evidence.tied))
    best = evidence.of(evidence.tied[0])
    entry = library.entries[library.index(best.id)]
    cell, cell_su = _observed_cell(entry.crystal.cell, best, profile)
    told: dict[str, Any] = {
        "log_likelihood": round(gain, 2),
        "tied": len(evidence.tied),
        "class_probability": round(belongs, 4),
        "posterior": {name: round(posterior[name], 4) for name in evidence.tied[:MOST_LISTED]},
        "observable": best.observable,
        "explained": round(best.explained, 3),
        "families": list(evidence.families),
    }
    phase = PhaseAnswer(
        name=entry.name,
        formula=entry.formula,
        space_group_number=entry.crystal.space_group_number,
        entry=entry.id,
        crystal=entry.crystal,
        equivalents=tuple(evidence.tied[1:]),
        weight_fraction=None,
        weight_fraction_su=None,
        cell=cell,
        cell_su=cell_su,
        confidence=round(posterior[best.id], 4),
        evidence={"rings": told},
    )
    return phase, belongs


def _observed_cell(
    reference: tuple[float, ...], best: CandidateEvidence, profile: RingProfile
) -> tuple[Cell, Cell]:
    """Lengths that rings of known scale show, with their uncertainty; None for all others."""
    if profile.scale is None or profile.scale_relative_su is None:
        return NO_CELL, NO_CELL
    stretch = best.scale / profile.scale  # the candidate's |g| over the measured one
    lengths = [value * stretch for value in reference[:3]] + list(reference[3:])
    seen = [best.observable.get(name) == "observed" for name in CELL_NAMES]
    su = [value * profile.scale_relative_su for value in lengths[:3]] + [None] * 3
    return (
        Cell(*(value if s else None for value, s in zip(lengths, seen, strict=True))),
        Cell(*(value if s else None for value, s in zip(su, seen, strict=True))),
    )
