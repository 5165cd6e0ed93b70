"""What each stage of the identification hands to the next.

A stage takes what the earlier ones said and returns a value of these types; it changes nothing
that it was given. `reasons` are why a file had no say, by its path; `warnings` are for the
reader of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xtalfuse.encoders.rings.profile import RingProfile
from xtalfuse.encoders.spectrum.elements import ElementEvidence
from xtalfuse.fusion.evidence import ElementBelief
from xtalfuse.tasks.identify.answer import (
    Amorphous,
    AskedPhase,
    Curves,
    FitReport,
    PhaseAnswer,
    Unknown,
)
from xtalfuse.tasks.identify.rings.match import RingEvidence


@dataclass(frozen=True)
class SpectrumReading:
    """One spectrum that had a say about elements."""

    path: str
    name: str  # of its file
    evidence: ElementEvidence


@dataclass(frozen=True)
class SpectraSaid:
    """What all spectra say, and what follows for the elements of the specimen."""

    readings: tuple[SpectrumReading, ...]
    belief: ElementBelief
    warnings: tuple[str, ...]
    reasons: Mapping[str, str]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class RingReading:
    """One ring pattern, held against the library."""

    name: str  # of its file
    profile: RingProfile
    evidence: RingEvidence


@dataclass(frozen=True)
class RingsSaid:
    """What all ring patterns say."""

    readings: tuple[RingReading, ...]
    warnings: tuple[str, ...]
    reasons: Mapping[str, str]
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class Conclusion:
    """The phases, from the records that can tell them.

    Parameters
    ----------
    urgent : warnings that stand before all others
    crystalline : whether any line is seen; None where none was looked for
    """

    phases: tuple[PhaseAnswer, ...]
    unknown: Unknown
    crystalline: bool | None = None
    amorphous: Amorphous | None = None
    asked: AskedPhase | None = None
    fit: FitReport = field(default_factory=lambda: FitReport(r_wp=None, gof=None))
    curves: Curves | None = None
    urgent: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
