"""What the pipeline answers: the typed form of ``result.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from xtalfuse.loaders.record import FileReport


@dataclass(frozen=True)
class Cell:
    """Unit cell: lengths in angstrom, angles in degrees; None where not observable."""

    a: float | None
    b: float | None
    c: float | None
    alpha: float | None
    beta: float | None
    gamma: float | None


@dataclass(frozen=True)
class PhaseAnswer:
    """One phase of the specimen (or one class of look-alikes)."""

    name: str
    formula: str
    space_group_number: int
    entry: str  # identifier in the library
    equivalents: tuple[str, ...]  # other entries that this pattern cannot tell apart from it
    weight_fraction: float | None
    weight_fraction_su: float | None
    cell: Cell
    cell_su: Cell
    confidence: float  # calibrated probability that this class is present
    evidence: dict[str, Any]  # one entry per modality that had a say


@dataclass(frozen=True)
class UnexplainedPeak:
    """An observed peak that no phase of the answer accounts for."""

    d_angstrom: float
    two_theta_deg: float | None
    relative_intensity: float  # of the strongest observed peak
    significance: float  # height over its standard uncertainty


@dataclass(frozen=True)
class Unknown:
    """The part of the specimen that the library does not hold."""

    probability: float
    unexplained_peaks: tuple[UnexplainedPeak, ...] = ()


@dataclass(frozen=True)
class Curves:
    """Arrays behind the figure; not written to ``result.json``."""

    two_theta_deg: np.ndarray
    observed: np.ndarray
    calculated: np.ndarray
    background: np.ndarray
    ticks_deg: dict[str, np.ndarray] = field(default_factory=dict)  # entry -> reflections
    contributions: dict[str, np.ndarray] = field(default_factory=dict)  # entry -> profile
    missing_deg: dict[str, np.ndarray] = field(default_factory=dict)  # expected, not seen
    wavelength_angstrom: float | None = None  # of the strongest line, to show d beside 2-theta


@dataclass(frozen=True)
class Panel:
    """A small figure of the evidence: a spectrum with its edges, a profile with its rings."""

    title: str
    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str = ""
    marks: tuple[tuple[str, float], ...] = ()  # label and position on x


@dataclass(frozen=True)
class Answer:
    """Everything that is said about one specimen."""

    specimen: str
    files: tuple[FileReport, ...]
    elements: dict[str, Any]
    phases: tuple[PhaseAnswer, ...]
    unknown: Unknown
    warnings: tuple[str, ...]
    fit: dict[str, float | None]  # r_wp, gof
    seconds: dict[str, float]
    version: str
    curves: Curves | None = None
    panels: tuple[Panel, ...] = ()  # small figures; not written to ``result.json``

    def to_dict(self) -> dict[str, Any]:
        """The content of ``result.json``: plain JSON values, no arrays."""
        plain = asdict(replace(self, curves=None, panels=()))
        del plain["curves"], plain["panels"]
        return plain


def package_version() -> str:
    """Version of xtalfuse that is installed, for the files it writes."""
    try:
        return version("xtalfuse")
    except PackageNotFoundError:
        return "unknown"
