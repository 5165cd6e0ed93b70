"""The whole pipeline: the records of one specimen -> its phases, with what each record said."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.library.build import Library, builtin
from xtalfuse.datasets.library.shelf import Entry
from xtalfuse.encoders.pattern import peak_d
from xtalfuse.encoders.rings.profile import NotRingsError, RingProfile, ring_profile
from xtalfuse.encoders.spectrum.elements import ElementEvidence, conflict, element_evidence
from xtalfuse.fusion.evidence import ElementBelief, join_elements
from xtalfuse.loaders.record import FileReport, Measurement, Modality, Record
from xtalfuse.tasks.base import package_version
from xtalfuse.tasks.identify.answer import (
    Answer,
    Cell,
    Curves,
    EvidenceReport,
    PhaseAnswer,
    UnexplainedPeak,
    Unknown,
)
from xtalfuse.tasks.identify.powder.cautions import cautions
from xtalfuse.tasks.identify.powder.phase import FoundPhase, PatternAnswer, analyse_pattern
from xtalfuse.tasks.identify.powder.search import gain, weight_fractions
from xtalfuse.tasks.identify.powder.uncertainty import fit_uncertainty
from xtalfuse.tasks.identify.rings.answer import ring_answer, ring_panel
from xtalfuse.tasks.identify.rings.match import RingEvidence, library_candidates, ring_evidence

FREE_GAIN = 10.0  # from here on the pattern overrules the elements that spectra gave
RINGS_DIFFER = 15.0  # log-likelihood by which other references fit the rings better
# In measurements of the microstructure no phase is looked for.
_STRUCTURE = {Modality.EBSD: "an orientation map", Modality.CT: "a volume"}


@dataclass
class _Work:
    """What is known so far about one specimen."""

    record: Record
    library: Library
    belief: ElementBelief
    spectra: list[tuple[str, ElementEvidence]] = field(default_factory=list)
    rings: list[tuple[str, RingProfile, RingEvidence]] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)  # path -> why a file had no say
    warnings: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def identify(
    record: Record,
    library: Library | None = None,
    *,
    elements: Iterable[str] | None = None,
    refine: bool = True,
) -> Answer:
    """Say which phases a specimen holds, from whatever records there are.

    Parameters
    ----------
    record : from `xtalfuse.load_specimen`
    library : references to look among; the built-in ones by default
    elements : the only elements that may be there; they replace those of the record
    refine : whether a Rietveld refinement gives the final numbers

    Returns
    -------
    Answer; where nothing can be said, its phases are empty and `unknown.probability` is 1.
    """
    begin = time.perf_counter()
    given = tuple(elements) if elements is not None else record.elements
    library = builtin() if library is None else library
    work = _Work(record, library, ElementBelief())
    _read_spectra(work)
    work.belief = join_elements(work.spectra, given)
    work.seconds["spectra"] = time.perf_counter() - begin
    _read_rings(work)
    patterns = list(record.of(Modality.XRD))
    if patterns:
        answer = _from_pattern(work, _choose(work, patterns), refine)
    elif work.rings:
        answer = _from_rings(work)
    else:
        answer = _without_diffraction(work)
    work.seconds["total"] = time.perf_counter() - begin
    return replace(
        answer,
        files=_files(work),
        seconds={key: round(value, 3) for key, value in work.seconds.items()},
    )


def _read_spectra(work: _Work) -> None:
    """Element evidence of each spectrum; one that says nothing costs only itself."""
    for measurement in work.record.of(Modality.EELS, Modality.EDS):
        name = _name(measurement)
        try:
            evidence = element_evidence(measurement)
        except (ValueError, KeyError) as error:
            work.reasons[measurement.provenance.path] = str(error)
            continue
        if not evidence.elements:
            work.reasons[measurement.provenance.path] = "; ".join(evidence.warnings) or (
                "no element has an edge or a line in its range"
            )
            continue
        work.spectra.append((name, evidence))
        work.warnings += [f"{name}: {text}" for text in evidence.warnings]


def _read_rings(work: _Work) -> None:
    """Rings of each diffraction pattern, held against the whole library."""
    begin = time.perf_counter()
    for measurement in work.record.of(Modality.DIFFRACTION):
        name = _name(measurement)
        try:
            profile = ring_profile(measurement)
        except (NotRingsError, ValueError) as error:
            work.reasons[measurement.provenance.path] = str(error)
            continue
        entries = work.belief.candidates(work.library)
        evidence = ring_evidence(profile, library_candidates(work.library, entries))
        work.rings.append((name, profile, evidence))
        work.warnings += [f"{name}: {text}" for text in profile.warnings]
    if work.rings:
        work.seconds["rings"] = time.perf_counter() - begin


def _choose(work: _Work, patterns: list[Measurement]) -> Measurement:
    """The powder pattern to analyse: the one with the most counts over the widest range."""

    def worth(m: Measurement) -> float:
        angle = m.axis("two_theta")
        return float(np.log(max(np.sum(m.values), 1.0)) + np.log(max(np.ptp(angle), 1e-3)))

    best = max(patterns, key=worth)
    for other in patterns:
        if other is not best:
            work.reasons[other.provenance.path] = (
                f"{_name(best)} is the better powder pattern of this specimen; give this file "
                "alone to have it analysed"
            )
    return best


def _from_pattern(work: _Work, measurement: Measurement, refine: bool) -> Answer:
    """Phases from the powder pattern, with the other records as evidence beside it."""
    begin = time.perf_counter()
    found = analyse_pattern(measurement, work.library, work.belief.candidates(work.library))
    found = _second_look(work, measurement, found)
    work.seconds["search"] = time.perf_counter() - begin
    work.warnings += cautions(found, work.library)
    if measurement.provenance.metadata.get("powder_doubtful"):
        work.warnings.append(
            f"{_name(measurement)}: its optics or scan speak against a powder; textured films "
            "give wrong fractions"
        )
    work.warnings += [f"{_name(measurement)}: {text}" for text in measurement.provenance.warnings]
    _contradictions(work, found)
    numbers = _numbers(work, measurement, found, refine)
    phases = [_phase_answer(work, found, index, numbers) for index in range(len(found.phases))]
    phases.sort(key=lambda p: -(p.weight_fraction or 0.0))
    unknown = found.unknown_probability if found.phases else 1.0
    return _answer(
        work,
        phases=tuple(phases),
        unknown=Unknown(round(unknown, 4), _unexplained(found)),
        fit={"r_wp": numbers.r_wp, "gof": numbers.gof},
        curves=_curves(work, found),
    )


def _second_look(work: _Work, measurement: Measurement, found: PatternAnswer) -> PatternAnswer:
    """Search without the elements that spectra gave, and keep that if the pattern asks for it.

    A spectrum sees a small place, or another specimen; it must not cost the answer of the
    powder pattern. Elements named by hand are not questioned.
    """
    if work.belief.given is not None:
        return found
    if len(work.belief.candidates(work.library)) == len(work.library):
        return found
    free = analyse_pattern(measurement, work.library)
    return free if gain(found.fit, free.fit) > FREE_GAIN else found


def _contradictions(work: _Work, found: PatternAnswer) -> None:
    """Name the records that do not belong to the phases which the pattern shows."""
    elements = {e for p in found.phases for e in work.library.entries[p.entry].crystal.elements}
    if not elements:
        return
    for name, evidence in work.spectra:
        verdict = conflict(evidence, elements)
        if verdict.flagged:
            work.warnings.insert(0, f"conflict: {name}: {verdict.message}")
    entries = {work.library.entries[p.entry].id for p in found.phases}
    for name, profile, rings in work.rings:
        if len(profile.sharp) >= 3 and rings.tied and not entries & set(rings.tied):
            likelihoods = rings.log_likelihoods
            here = max((likelihoods.get(e, -np.inf) for e in entries), default=-np.inf)
            if here < max(likelihoods.values()) - RINGS_DIFFER:
                work.warnings.insert(
                    0, f"conflict: {name}: its rings are not those of the phases of the pattern"
                )


@dataclass(frozen=True)
class _Numbers:
    """Fractions and cells that are reported, in the order of the phases of the fit."""

    fractions: np.ndarray
    fractions_su: np.ndarray
    cells: list[tuple[float, ...]]
    cells_su: list[tuple[float | None, ...]]
    r_wp: float | None
    gof: float | None


def _numbers(work: _Work, measurement: Measurement, found: PatternAnswer, refine: bool) -> _Numbers:
    """Numbers of the fast fit, or of the refinement where that is the better one."""
    fit = found.fit
    spread = fit_uncertainty(found.fitter, fit)
    residual = found.signal.intensity - fit.calculated
    weight = 1.0 / found.signal.variance
    r_wp = np.sqrt(np.sum(weight * residual**2) / np.sum(weight * found.signal.intensity**2))
    numbers = _Numbers(
        weight_fractions(fit),
        spread.weight_fraction,
        [p.model.cell(p.state) for p in fit.phases],
        list(spread.cell),
        round(float(r_wp), 4),
        round(float(np.sqrt(np.mean(weight * residual**2))), 3),
    )
    if not (refine and fit.phases):
        return numbers
    begin = time.perf_counter()
    refined = _refined(work, measurement, found, numbers)
    work.seconds["refinement"] = time.perf_counter() - begin
    return refined


def _refined(
    work: _Work, measurement: Measurement, found: PatternAnswer, fast: _Numbers
) -> _Numbers:
    from xtalfuse.tasks.identify.powder.refine import refine

    entries = [work.library.entries[p.entry] for p in found.phases]
    outcome = refine(
        measurement, [e.crystal for e in entries], found.fit, names=[e.name for e in entries]
    )
    work.warnings += list(outcome.warnings)
    if outcome.status == "failed":
        return fast
    use = outcome.use_fractions
    su = np.array(
        [np.nan if p.weight_fraction_su is None else p.weight_fraction_su for p in outcome.phases]
    )
    return _Numbers(
        np.array([p.weight_fraction for p in outcome.phases]) if use else fast.fractions,
        np.where(np.isnan(su), fast.fractions_su, su) if use else fast.fractions_su,
        [p.cell for p in outcome.phases],
        [p.cell_su for p in outcome.phases],
        None if outcome.r_wp is None else round(outcome.r_wp, 4),
        None if outcome.gof is None else round(outcome.gof, 3),
    )


def _phase_answer(work: _Work, found: PatternAnswer, index: int, numbers: _Numbers) -> PhaseAnswer:
    phase = found.phases[index]
    entry = work.library.entries[phase.entry]
    su = float(numbers.fractions_su[index]) if len(found.phases) > 1 else 0.0
    return PhaseAnswer(
        name=entry.name,
        formula=entry.formula,
        space_group_number=entry.crystal.space_group_number,
        entry=entry.id,
        equivalents=work.library.equivalents(phase.entry),
        weight_fraction=round(float(numbers.fractions[index]), 6),
        weight_fraction_su=round(su, 6),
        cell=Cell(*(float(v) for v in numbers.cells[index])),
        cell_su=Cell(*(None if v is None else float(v) for v in numbers.cells_su[index])),
        confidence=round(phase.probability, 4),
        evidence=_evidence(work, phase, entry),
    )


def _evidence(work: _Work, phase: FoundPhase, entry: Entry) -> EvidenceReport:
    """What each record said about one phase; a record that could not tell is left out."""
    said: EvidenceReport = {"xrd": phase.evidence.to_dict()}
    rivals = [r.entry for r in phase.rivals if r.entry is not None]
    if rivals:
        said["xrd"]["best_rival"] = work.library.entries[rivals[0]].id
    if work.belief.given is None:
        tested = {
            e: round(work.belief.probability[e], 4)
            for e in sorted(entry.crystal.elements)
            if e in work.belief.probability
        }
        if tested:
            said["elements"] = tested
    rings = {
        name: round(evidence.log_likelihoods[entry.id], 2)
        for name, profile, evidence in work.rings
        if profile.sharp and entry.id in evidence.log_likelihoods
    }
    if rings:
        said["rings"] = rings
    return said


def _unexplained(found: PatternAnswer) -> tuple[UnexplainedPeak, ...]:
    tallest = max(float(found.signal.net.max(initial=0.0)), 1e-12)
    peaks = found.unexplained
    d = peak_d(peaks, found.signal.radiation)
    return tuple(
        UnexplainedPeak(
            round(float(d[i]), 4),
            round(float(peaks.two_theta_deg[i]), 3),
            round(float(peaks.height[i]) / tallest, 4),
            round(float(peaks.significance[i]), 1),
        )
        for i in range(min(len(d), 40))
    )


def _curves(work: _Work, found: PatternAnswer) -> Curves:
    """Arrays behind the figure: profile, ticks and missing lines of each phase."""
    fit, signal = found.fit, found.signal
    ticks, parts, missing = {}, {}, {}
    low, high = signal.range_deg
    for phase in fit.phases:
        name = work.library.entries[phase.entry].id
        position = phase.model.positions(phase.state, fit.instrument)
        strength = phase.model.seen_strength(phase.state, fit.instrument)
        drawn = (position > low) & (position < high) & (strength > 2e-3 * strength.max())
        ticks[name] = position[drawn]
        parts[name] = phase.scale * found.fitter.columns(phase, fit.instrument).profile
        if phase.state.adjust is not None:
            bare = replace(phase.state, adjust=None)
            expected = phase.model.seen_strength(bare, fit.instrument)
            weak = drawn & (phase.state.adjust < 0.25) & (expected > 0.1 * expected.max())
            missing[name] = position[weak]
    return Curves(
        signal.two_theta_deg,
        signal.intensity,
        fit.calculated,
        fit.background,
        ticks,
        parts,
        missing,
        signal.radiation.primary_angstrom,
    )


def _from_rings(work: _Work) -> Answer:
    """A specimen of which only electron diffraction is known: a class of tied candidates."""
    name, profile, evidence = max(work.rings, key=lambda item: len(item[1].sharp))
    work.warnings.insert(0, f"{name}: {evidence.statement}")
    phase, belongs = ring_answer(profile, evidence, work.library)
    return _answer(
        work,
        phases=() if phase is None else (phase,),
        unknown=Unknown(round(1.0 - belongs, 4)),
        panels=tuple(ring_panel(n, p, e) for n, p, e in work.rings),
    )


def _without_diffraction(work: _Work) -> Answer:
    if work.spectra:
        work.warnings.insert(
            0, "no diffraction record: elements alone cannot tell phases; add a powder pattern"
        )
    else:
        work.warnings.insert(0, "no record of this specimen says anything about its phases")
    return _answer(work, phases=(), unknown=Unknown(1.0))


def _answer(work: _Work, **parts: Any) -> Answer:
    return Answer(
        specimen=work.record.specimen,
        files=(),
        elements=work.belief.to_dict(),
        warnings=tuple(dict.fromkeys(work.warnings)),
        seconds={},
        version=package_version(),
        **{"fit": {"r_wp": None, "gof": None}, **parts},
    )


def _files(work: _Work) -> tuple[FileReport, ...]:
    """File reports of the record, with the files that turned out to have nothing to say."""
    reasons = dict(work.reasons)
    for f in work.record.files:
        if f.used and f.modality in _STRUCTURE:
            what = _STRUCTURE[Modality(f.modality)]
            reasons[f.path] = f"{Path(f.path).name}: {what}, for `xtalfuse microstructure`"
    return tuple(
        replace(f, used=False, reason=reasons[f.path]) if f.path in reasons else f
        for f in work.record.files
    )


def _name(measurement: Measurement) -> str:
    return Path(measurement.provenance.path).name
