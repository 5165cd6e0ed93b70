"""What the pipeline answers: the typed form of ``result.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, NotRequired

import numpy as np

# pydantic, which makes the schema, takes only this TypedDict before Python 3.12; it brings it
from typing_extensions import TypedDict

from xtalfuse.fusion.evidence import ElementReport
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.tasks.base import Beside, Result

if TYPE_CHECKING:
    from pandas import DataFrame
    from pymatgen.core import Structure

CELL_NAMES = ("a", "b", "c", "alpha", "beta", "gamma")
LIKELY_UNKNOWN = 0.5  # from here on the unknown part stands before everything else


@dataclass(frozen=True)
class Cell:
    """Unit cell: lengths in angstrom, angles in degrees; None where not observable."""

    a: float | None
    b: float | None
    c: float | None
    alpha: float | None
    beta: float | None
    gamma: float | None


class PowderReport(TypedDict):
    """What the powder pattern says about one phase; `powder.support.PhaseEvidence` in numbers."""

    gain: float
    margin: float
    strain: float
    support: float
    lines: float
    broadening: float
    height: float
    candidates: float
    unexplained: float
    misfit: float
    best_rival: NotRequired[str]  # entry that would do best in its place


class RingClassReport(TypedDict):
    """What rings say about the class of a specimen of which nothing else is known."""

    log_likelihood: float  # over that of "none of the library"
    tied: int  # candidates that the rings cannot tell apart
    class_probability: float  # posterior that the phase is one of them
    posterior: dict[str, float]  # of the likeliest of them, by entry
    observable: dict[str, str]  # cell parameter -> "observed", or why not
    explained: float  # share of the ring intensity
    families: list[str]  # lattices with these ratios of radii


class EvidenceReport(TypedDict, total=False):
    """What each modality says about one phase; one that could not tell is absent."""

    xrd: PowderReport
    elements: dict[str, float]  # probability of each of its elements, from the spectra
    rings: dict[str, float] | RingClassReport  # log likelihood over "none", by file


class FitReport(TypedDict):
    """How well the calculated pattern fits; null where there is none."""

    r_wp: float | None
    gof: float | None


class UncertaintyParts(TypedDict):
    """A standard uncertainty by what it comes from; it is the root of their sum of squares."""

    fit: float  # counting noise, with the misfit and correlation of the residuals
    model: float  # structures, graininess, texture, microabsorption
    instrument: float  # alignment and profile of the instrument


@dataclass(frozen=True)
class Crystallites:
    """What the widths of the lines of a phase tell; None where they tell nothing."""

    size_nm: float | None  # Scherrer, K = 0.9
    size_nm_su: float | None
    microstrain: float | None  # FWHM of d over d, divided by 2
    microstrain_su: float | None
    apparent: bool = True  # the width that the instrument itself gives is not taken off


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
    # calibrated probability that this class is present; from rings alone, that it is this entry
    confidence: float
    evidence: EvidenceReport
    crystal: Beside[Crystal | None] = None  # of the library entry, with its atoms
    # of weight_fraction, a, b, c, alpha, beta, gamma, where it is known
    uncertainty: dict[str, UncertaintyParts] = field(default_factory=dict)
    crystallites: Crystallites | None = None

    def structure(self) -> Structure:
        """The phase as a pymatgen structure: atoms of the reference in the measured cell.

        A cell parameter that the data cannot show, or that symmetry fixes, is that of the
        reference. `structure.properties` says which: ``cell_measured`` and ``cell_of_reference``
        list the parameters, ``entry`` names the reference.

        Raises
        ------
        ValueError
            If the phase was made without the crystal of its reference, as from JSON.
        """
        if self.crystal is None:
            raise ValueError(
                f"{self.name}: no atoms are known of it; ask the answer of identify itself, a "
                "result.json holds none"
            )
        from xtalfuse.datasets.library.pymatgen import structure_of

        reference = dict(zip(CELL_NAMES, self.crystal.cell, strict=True))
        measured = {n: v for n in CELL_NAMES if (v := getattr(self.cell, n)) is not None}
        for name in "abc":  # an axis that symmetry makes as long as a measured one is measured
            same = [n for n in "abc" if n in measured and reference[n] == reference[name]]
            if same:
                measured.setdefault(name, measured[same[0]])
        a, b, c, alpha, beta, gamma = (measured.get(n, reference[n]) for n in CELL_NAMES)
        structure = structure_of(replace(self.crystal, cell=(a, b, c, alpha, beta, gamma)))
        seen = [name for name in CELL_NAMES if name in measured]
        structure.properties.update(
            entry=self.entry,
            cell_measured=seen,
            cell_of_reference=[name for name in CELL_NAMES if name not in seen],
        )
        return structure

    def __repr__(self) -> str:
        share, su = self.weight_fraction, self.weight_fraction_su
        text = "" if share is None else f" {100 * share:.1f}"
        text += f" ± {100 * su:.1f}" if text and su else ""
        return f"{self.name}{text and text + ' wt%'}, confidence {self.confidence:.0%}"


@dataclass(frozen=True)
class UnexplainedPeak:
    """An observed peak that no phase of the answer accounts for."""

    d_angstrom: float
    two_theta_deg: float | None
    relative_intensity: float  # of the strongest observed peak
    significance: float  # height over its standard uncertainty


@dataclass(frozen=True)
class OneMoreElement:
    """A phase that would explain lines that are left over, if its elements may be there."""

    elements: tuple[str, ...]  # that were not named
    name: str
    formula: str
    entry: str


@dataclass(frozen=True)
class Unknown:
    """The part of the specimen that the library does not hold."""

    probability: float
    unexplained_peaks: tuple[UnexplainedPeak, ...] = ()
    one_more_element: tuple[OneMoreElement, ...] = ()


@dataclass(frozen=True)
class Amorphous:
    """What is amorphous or unseen of the specimen without its internal standard.

    Below zero by more than its uncertainty, another part is wrong: what was weighed, or grains.
    """

    fraction: float
    fraction_su: float
    standard: str  # entry
    weighed: float  # weight fraction of the standard in what was measured
    weight_fractions: dict[str, float]  # entry -> of the specimen without its standard
    weight_fractions_su: dict[str, float]


@dataclass(frozen=True)
class AskedPhase:
    """A phase that was asked for, found or not."""

    asked: str
    entry: str
    found: bool
    weight_fraction: float  # as fitted, of what is explained
    weight_fraction_su: float
    upper_limit: float  # three standard uncertainties above

    def __str__(self) -> str:
        if self.found:
            share, su = 100 * self.weight_fraction, 100 * self.weight_fraction_su
            return f"{self.asked}: {share:.2g} +- {su:.1g} wt%"
        return f"{self.asked}: not seen; less than {100 * self.upper_limit:.2g} wt% (3 sigma)"


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

    def unexplained_share(self, peaks: Iterable[UnexplainedPeak]) -> float | None:
        """Share of the intensity above background that lies in unexplained peaks.

        Each peak is followed down both sides until observed and calculated curve meet. None
        without peaks at known positions.
        """
        positions = [peak.two_theta_deg for peak in peaks if peak.two_theta_deg is not None]
        if not positions:
            return None
        excess = self.observed - self.calculated
        # a running mean over five steps: single noisy steps do not end a peak
        smooth = np.convolve(excess, np.full(5, 0.2), mode="same")
        inside = np.zeros(excess.shape, bool)
        for position in positions:
            start = int(np.argmin(np.abs(self.two_theta_deg - position)))
            for step in (-1, 1):
                index = start
                while 0 <= index < len(smooth) and smooth[index] > 0:
                    inside[index] = True
                    index += step
        total = float(np.sum(self.observed - self.background))
        return float(np.sum(excess[inside])) / total if total > 0 else None


@dataclass(frozen=True)
class Panel:
    """A small figure of the evidence: a spectrum with its edges, a profile with its rings."""

    title: str
    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str = ""
    marks: tuple[tuple[str, float], ...] = ()  # label and position on x
    lines: tuple[tuple[str, np.ndarray], ...] = ()  # name and further curves over x: a model


@dataclass(frozen=True, kw_only=True)
class Answer(Result):
    """Everything that is said about one specimen.

    Parameters
    ----------
    elements : what is known of each, and from where
    phases : that it holds
    unknown : what the library does not hold
    crystalline : whether any diffraction line is seen; None where none was looked for
    amorphous : by the internal standard that was named
    asked : the phase that was asked for
    fit : of the powder pattern
    curves, panels : behind the figures
    notes, group : of the specimen, as ``specimen.yaml`` has them
    """

    elements: dict[str, ElementReport]
    phases: tuple[PhaseAnswer, ...]
    unknown: Unknown
    fit: FitReport
    crystalline: bool | None = None
    amorphous: Amorphous | None = None
    asked: AskedPhase | None = None
    curves: Beside[Curves | None] = None
    panels: Beside[tuple[Panel, ...]] = ()
    notes: str = ""
    group: str = ""

    @property
    def fractions_of(self) -> str:
        """What the weight fractions sum up to: ``"crystalline"`` or only ``"explained"``."""
        return "explained" if self.unknown.probability > LIKELY_UNKNOWN else "crystalline"

    def __repr__(self) -> str:
        lines = [repr(phase) for phase in self.phases]
        lines.append(
            "nothing crystalline is seen"
            if self.crystalline is False
            else f"unknown: {self.unknown.probability:.0%}"
        )
        return "\n  ".join([f"Answer for {self.specimen!r}:", *lines])

    def to_pandas(self, table: Literal["phases", "unexplained", "files"] = "phases") -> DataFrame:
        """A table of pandas: the phases, the unexplained peaks, or the files.

        A cell parameter ``a`` stands in column ``a`` and its standard uncertainty in ``a_su``,
        angstrom and degrees.
        """
        import pandas as pd

        if table == "phases":
            return pd.DataFrame([_row(phase) for phase in self.phases])
        if table == "unexplained":
            names = [peak_field.name for peak_field in fields(UnexplainedPeak)]
            peaks = self.unknown.unexplained_peaks
            return pd.DataFrame([vars(peak) for peak in peaks], columns=names)
        if table == "files":
            return pd.DataFrame([vars(file) for file in self.files])
        raise ValueError(f"no table {table!r}; there are phases, unexplained and files")


def _row(phase: PhaseAnswer) -> dict[str, Any]:
    """A phase without its evidence and atoms, its cell in columns."""
    row = {name: value for name, value in vars(phase).items() if name not in _IN_COLUMNS}
    for field_of_cell in fields(Cell):
        row[field_of_cell.name] = getattr(phase.cell, field_of_cell.name)
        row[f"{field_of_cell.name}_su"] = getattr(phase.cell_su, field_of_cell.name)
    widths = phase.crystallites or Crystallites(None, None, None, None)
    row.update({name: value for name, value in vars(widths).items() if name != "apparent"})
    return row


_IN_COLUMNS = ("cell", "cell_su", "evidence", "crystal", "uncertainty", "crystallites")
