"""The answer of a specimen of which only electron diffraction rings are known."""

from __future__ import annotations

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.rings.profile import RingProfile
from xtalfuse.tasks.identify.answer import Cell, Panel, PhaseAnswer
from xtalfuse.tasks.identify.rings.match import CandidateEvidence, RingEvidence

CELL_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
NO_CELL = Cell(None, None, None, None, None, None)
LIBRARY_HOLDS_IT = 0.95  # rings alone never make it more certain than this
EVIDENCE_NEEDED = 3.0  # natural log; chance agreement of a few ratios


def ring_answer(
    profile: RingProfile, evidence: RingEvidence, library: Library
) -> tuple[PhaseAnswer | None, float]:
    """The class of candidates that rings cannot tell apart, as one phase with equivalents.

    Returns
    -------
    phase : named after the first of the class; None when no candidate explains the rings
    belongs : probability that the specimen is one of the class
    """
    gain = max(evidence.log_likelihoods.values(), default=0.0)
    belongs = 1.0 / (1.0 + np.exp(-np.clip(gain - EVIDENCE_NEEDED, -30.0, 30.0)))
    belongs = min(float(belongs), LIBRARY_HOLDS_IT)
    if not evidence.tied:
        return None, 0.0
    best = evidence.of(evidence.tied[0])
    entry = library.entries[library.index(best.id)]
    cell, cell_su = _observed_cell(entry.crystal.cell, best, profile)
    phase = PhaseAnswer(
        name=entry.name,
        formula=entry.formula,
        space_group_number=entry.crystal.space_group_number,
        entry=entry.id,
        equivalents=tuple(evidence.tied[1:]),
        weight_fraction=None,
        weight_fraction_su=None,
        cell=cell,
        cell_su=cell_su,
        confidence=round(belongs / len(evidence.tied), 4),
        evidence={
            "rings": {
                "log_likelihood": round(gain, 2),
                "tied": len(evidence.tied),
                "observable": best.observable,
                "explained": round(best.explained, 3),
                "families": list(evidence.families),
            }
        },
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


def ring_panel(name: str, profile: RingProfile, evidence: RingEvidence) -> Panel:
    """Radial profile with the rings that the best candidate explains."""
    marks: tuple[tuple[str, float], ...] = ()
    if evidence.tied:
        matches = evidence.of(evidence.tied[0]).matches
        marks = tuple((" ".join(map(str, m.hkl[0])), m.radius_px) for m in matches if m.hkl)
    return Panel(
        f"{name}: rings",
        profile.radius_px,
        profile.intensity - profile.background,
        "radius (px)",
        "intensity above background",
        marks,
    )
