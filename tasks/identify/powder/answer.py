"""Third stage: the powder pattern, and the answer with the other records as evidence beside it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.datasets.library.shelf import Entry
from xtalfuse.encoders.pattern import peak_d
from xtalfuse.loaders.record import Beam, Measurement
from xtalfuse.tasks.identify.answer import (
    CELL_NAMES,
    LIKELY_UNKNOWN,
    Cell,
    Crystallites,
    Curves,
    EvidenceReport,
    FitReport,
    OneMoreElement,
    PhaseAnswer,
    UnexplainedPeak,
    Unknown,
)
from xtalfuse.tasks.identify.powder.beyond import one_more_element
from xtalfuse.tasks.identify.powder.cautions import cautions
from xtalfuse.tasks.identify.powder.measures import unexplained_share, weight_fractions
from xtalfuse.tasks.identify.powder.phase import (
    FoundPhase,
    PatternAnswer,
    line_limit,
)
from xtalfuse.tasks.identify.powder.quantities.amounts import Parts, amounts
from xtalfuse.tasks.identify.powder.quantities.uncertainty import fit_uncertainty
from xtalfuse.tasks.identify.stages import Conclusion, RingsSaid, SpectraSaid


def conclude_from_pattern(
    measurement: Measurement,
    library: Library,
    found: PatternAnswer,
    said: tuple[SpectraSaid, RingsSaid],
    *,
    refine: bool,
) -> Conclusion:
    """Phases of a powder pattern with the numbers that are reported.

    Parameters
    ----------
    measurement : the pattern
    found : of its search
    said : by spectra and rings, as evidence for each phase
    refine : whether a Rietveld refinement gives the numbers
    """
    name = Path(measurement.provenance.path).name
    warnings = cautions(found, library)
    if (stated := measurement.radiation) is not None and stated != found.signal.radiation:
        seen = found.signal.radiation
        warnings.insert(
            0,
            f"its lines are those of {seen.name}, not of {stated.name} as stated: all numbers are "
            f"for {seen.name}; --wavelength {seen.name} says it beforehand",
        )
        measurement = replace(measurement, beam=Beam("x-ray", seen))
    if measurement.instrument.powder_doubtful:
        warnings.append(
            f"{name}: its optics or scan speak against a powder; textured films give wrong "
            "fractions"
        )
    warnings += [f"{name}: {text}" for text in measurement.provenance.warnings]
    begin = time.perf_counter()
    numbers, told = _numbers(measurement, library, found, refine)
    warnings += told
    seconds = {"refinement": time.perf_counter() - begin} if refine and found.phases else {}
    phases = [
        _phase_answer(library, found, index, numbers, said) for index in range(len(found.phases))
    ]
    curves = _curves(library, found)
    unknown = _unknown(found, curves)
    more: tuple[OneMoreElement, ...] = ()
    if (given := said[0].belief.given) is not None:
        more = one_more_element(measurement, library, found, given)
    return Conclusion(
        phases=tuple(sorted(phases, key=lambda p: -(p.weight_fraction or 0.0))),
        unknown=Unknown(round(unknown, 4), _unexplained(found), more),
        crystalline=found.crystalline,
        urgent=_nothing_crystalline(found) + _beyond(more) + _part(unknown, len(phases)),
        fit=FitReport(r_wp=numbers.r_wp, gof=numbers.gof),
        curves=curves,
        warnings=tuple(warnings),
        seconds=seconds,
    )


def _unknown(found: PatternAnswer, curves: Curves) -> float:
    """Probability that the library lacks a phase: at least the share of lines it cannot explain."""
    if not found.phases:
        return 1.0 if found.crystalline else found.unknown_probability
    left = curves.unexplained_share(_unexplained(found)) or 0.0
    left = max(left, unexplained_share(found.signal, found.fit))
    return float(min(1.0, max(found.unknown_probability, left)))


def _part(unknown: float, phases: int) -> tuple[str, ...]:
    if unknown <= LIKELY_UNKNOWN or phases < 2:
        return ()
    return (
        "weight fractions are of what is explained: something is there that is in none of them",
    )


def _nothing_crystalline(found: PatternAnswer) -> tuple[str, ...]:
    if found.crystalline:
        return ()
    limit = 100 * line_limit(found.signal)
    return (
        f"nothing crystalline is seen: no line stands out; one of {limit:.2g} % of the background "
        "would have",
    )


def _beyond(more: tuple[OneMoreElement, ...]) -> tuple[str, ...]:
    if not more:
        return ()
    phases = ", ".join(f"{p.name} ({p.formula}) with {' and '.join(p.elements)}" for p in more)
    return (
        "lines are left over that a phase with one more element would explain: "
        f"{phases}; add the element to those named if it may be there",
    )


@dataclass(frozen=True)
class _Numbers:
    """Fractions and cells that are reported, in the order of the phases of the fit."""

    fractions: np.ndarray
    fractions_su: tuple[Parts, ...]
    cells: list[tuple[float, ...]]
    cells_su: list[tuple[Parts | None, ...]]
    crystallites: list[Crystallites | None]
    r_wp: float | None
    gof: float | None


def _numbers(
    measurement: Measurement, library: Library, found: PatternAnswer, refine: bool
) -> tuple[_Numbers, tuple[str, ...]]:
    """Numbers of the refinement, of the fast fit where that is the better one; warnings."""
    fit = found.fit
    entries = [library.entries[p.entry] for p in found.phases]
    crystals = [e.crystal for e in entries]
    spread = fit_uncertainty(found.fitter, fit)
    residual = found.signal.intensity - fit.calculated
    weight = 1.0 / found.signal.variance
    r_wp = np.sqrt(np.sum(weight * residual**2) / np.sum(weight * found.signal.intensity**2))
    fast, count = weight_fractions(fit), len(fit.phases)
    fractions, parts = amounts(fast, spread.weight_fraction, fit, crystals)
    numbers = _Numbers(
        fractions,
        parts,
        [p.model.cell(p.state) for p in fit.phases],
        [tuple(None if su is None else Parts(su) for su in row) for row in spread.cell],
        [None] * count,
        round(float(r_wp), 4),
        round(float(np.sqrt(np.mean(weight * residual**2))), 3),
    )
    if not refine or not count:
        return numbers, ()
    from xtalfuse.tasks.identify.powder.quantities.refine import refine as refined

    outcome = refined(measurement, crystals, fit, names=[e.name for e in entries])
    if outcome.status == "failed":
        return numbers, tuple(outcome.warnings)
    mine = np.array([p.weight_fraction for p in outcome.phases])
    if outcome.use_fractions:
        su = np.array([p.weight_fraction_su or np.nan for p in outcome.phases])
        su = np.where(np.isfinite(su), su, spread.weight_fraction)
        fractions, parts = amounts(mine, su, fit, crystals, fast)
    else:
        fractions, parts = amounts(fast, spread.weight_fraction, fit, crystals, mine)
    better = _Numbers(
        fractions,
        parts,
        [p.cell for p in outcome.phases],
        [  # those of the fast fit where the time ended before cells were refined
            tuple(new or old for new, old in zip(p.cell_parts, row, strict=True))
            for p, row in zip(outcome.phases, numbers.cells_su, strict=True)
        ],
        [p.crystallites for p in outcome.phases],
        None if outcome.r_wp is None else round(outcome.r_wp, 4),
        None if outcome.gof is None else round(outcome.gof, 3),
    )
    return better, tuple(outcome.warnings)


def _phase_answer(
    library: Library,
    found: PatternAnswer,
    index: int,
    numbers: _Numbers,
    said: tuple[SpectraSaid, RingsSaid],
) -> PhaseAnswer:
    phase = found.phases[index]
    entry = library.entries[phase.entry]
    su = numbers.fractions_su[index] if len(found.phases) > 1 else Parts(0.0)
    cell_su = numbers.cells_su[index]
    parts: dict[str, Parts | None] = {"weight_fraction": su}
    parts.update(zip(CELL_NAMES, cell_su, strict=True))
    return PhaseAnswer(
        name=entry.name,
        formula=entry.formula,
        space_group_number=entry.crystal.space_group_number,
        entry=entry.id,
        crystal=entry.crystal,
        equivalents=library.equivalents(phase.entry)
        + tuple(library.entries[i].id for i in phase.tied),
        weight_fraction=round(float(numbers.fractions[index]), 6),
        weight_fraction_su=round(su.total, 6),
        cell=Cell(*(float(v) for v in numbers.cells[index])),
        cell_su=Cell(*(None if part is None else part.total for part in cell_su)),
        confidence=round(phase.probability, 4),
        evidence=_evidence(library, phase, entry, said),
        uncertainty={name: part.to_dict() for name, part in parts.items() if part is not None},
        crystallites=numbers.crystallites[index],
    )


def _evidence(
    library: Library, phase: FoundPhase, entry: Entry, said: tuple[SpectraSaid, RingsSaid]
) -> EvidenceReport:
    """What each record said about one phase; a record that could not tell is left out."""
    spectra, rings = said
    report: EvidenceReport = {"xrd": phase.evidence.to_dict()}
    rivals = [r.entry for r in phase.rivals if r.entry is not None]
    if rivals:
        report["xrd"]["best_rival"] = library.entries[rivals[0]].id
    if spectra.belief.given is None:
        tested = {
            e: round(spectra.belief.probability[e], 4)
            for e in sorted(entry.crystal.elements)
            if e in spectra.belief.probability
        }
        if tested:
            report["elements"] = tested
    by_file = {
        r.name: round(r.evidence.log_likelihoods[entry.id], 2)
        for r in rings.readings
        if r.profile.sharp and entry.id in r.evidence.log_likelihoods
    }
    if by_file:
        report["rings"] = by_file
    return report


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


def _curves(library: Library, found: PatternAnswer) -> Curves:
    """Arrays behind the figure: profile, ticks and missing lines of each phase."""
    fit, signal = found.fit, found.signal
    ticks, parts, missing = {}, {}, {}
    for phase in fit.phases:
        name = library.entries[phase.entry].id
        position = phase.model.positions(phase.state, fit.instrument)
        strength = phase.model.seen_strength(phase.state, fit.instrument)
        drawn = signal.measured(position) & (strength > 2e-3 * strength.max())
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
