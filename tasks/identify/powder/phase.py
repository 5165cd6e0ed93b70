"""One powder pattern -> phases with fractions, cells, confidence, and what stays unexplained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import savgol_filter

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.pattern import ObservedPeaks, PatternSignal, encode_pattern, find_peaks_of
from xtalfuse.fusion.calibrate import ConfidenceModel, default_calibration
from xtalfuse.fusion.evidence import ElementBelief, Prior
from xtalfuse.loaders.record import Measurement
from xtalfuse.physics.crystal.powder import TAIL, NoReflectionError, PhaseModel, phase_model
from xtalfuse.physics.units import Radiation
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.graininess import free_intensities, suggest_texture
from xtalfuse.tasks.identify.powder.fitting.priors import Chemistry
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.fitting.tube import other_lines
from xtalfuse.tasks.identify.powder.residual import unexplained_peaks, unknown_features
from xtalfuse.tasks.identify.powder.search import PhaseSearch, Rival, SearchResult
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings
from xtalfuse.tasks.identify.powder.support import PhaseEvidence, phase_evidence

SEARCH_POINTS = 2.5  # points in a peak width while searching
FINAL_POINTS = 5.0  # and in the fit that is reported
# Scherrer: domains of 3 nm, some ten cells across, with copper radiation at low angles
HALO_DEG = 3.0
LEAST_TAIL = 3e-4  # of a line: thirty widths away it is no longer a tail but a background


@dataclass(frozen=True)
class FoundPhase:
    """One phase of a pattern, as a library index with what speaks for it."""

    entry: int
    probability: float
    evidence: PhaseEvidence
    rivals: tuple[Rival, ...]
    of_class: float = 0.0  # probability that it, or one of `tied`, is there
    tied: tuple[int, ...] = ()  # entries that explain its lines about as well


@dataclass(frozen=True)
class PatternAnswer:
    """What one powder pattern says.

    Parameters
    ----------
    phases : accepted, in the order of `fit.phases`
    doubtful : proposed by the search but less probable than not, its rivals included
    unexplained : peaks of the residual
    unknown_probability : that a phase is present which the library lacks
    crystalline : whether any line stands out of the background
    """

    signal: PatternSignal
    fit: PatternFit
    fitter: PatternFitter
    phases: tuple[FoundPhase, ...]
    doubtful: tuple[FoundPhase, ...]
    unexplained: ObservedPeaks
    unknown_probability: float
    unknown_features: np.ndarray
    crystalline: bool = True


def library_models(
    library: Library,
    entries: Sequence[int] | np.ndarray,
    signal: PatternSignal,
    monochromator: float = 1.0,
) -> dict[int, PhaseModel]:
    """Models of the entries that have a reflection in the range of a pattern."""
    # tails are drawn to where they drown in the noise: of very many counts, farther
    noise = np.sqrt(np.median(signal.variance)) / max(float(signal.net.max(initial=0.0)), 1e-300)
    tail = float(np.clip(noise, LEAST_TAIL, TAIL))
    models = {}
    for entry in entries:
        try:
            models[int(entry)] = phase_model(
                library.entries[entry].crystal,
                library.reflections(int(entry)),
                signal.radiation,
                signal.range_deg,
                monochromator=monochromator,
                tail=tail,
            )
        except NoReflectionError:
            continue
    return models


def analyse_pattern(
    measurement: Measurement,
    library: Library,
    entries: Sequence[int] | np.ndarray | None = None,
    *,
    calibration: ConfidenceModel | None = None,
    settings: SearchSettings = DEFAULT,
    belief: ElementBelief | None = None,
    prior: Prior = Prior.USUAL,
) -> PatternAnswer:
    """Find the phases of a powder pattern among library entries.

    Parameters
    ----------
    entries : indices of the candidates; the whole library by default
    calibration : of the confidence; the shipped one by default
    settings : numbers that decide the search
    belief : what is known of the elements; it is a prior in the score of the one search, so that
        a spectrum, which sees a small place or another specimen, never costs the answer
    prior : whether how often an element is met in materials counts as well

    Raises
    ------
    ValueError
        If the measurement has no wavelength or too few points.
    """
    calibration = calibration or default_calibration()
    signal = encode_pattern(measurement, SEARCH_POINTS)
    chosen = range(len(library)) if entries is None else entries
    fine = encode_pattern(measurement, FINAL_POINTS)
    if not lines_stand_out(signal, settings):
        return _nothing(fine, settings)
    search, result = search_phases(measurement, signal, library, chosen, settings, belief, prior)
    fine = replace(fine, radiation=search.signal.radiation)
    found = [
        _found(search, result, index, evidence, calibration)
        for index, evidence in enumerate(phase_evidence(result))
    ]
    answer = _conclude(search, result, found, fine, calibration, settings.accepted)
    if answer.unknown_probability >= settings.accepted_beside_unknown:
        # a phase that is less probable than that another is missing may well stand in for it
        answer = _conclude(
            search, result, found, fine, calibration, settings.accepted_beside_unknown
        )
    return answer


def search_phases(
    measurement: Measurement,
    signal: PatternSignal,
    library: Library,
    entries: Sequence[int] | np.ndarray,
    settings: SearchSettings = DEFAULT,
    belief: ElementBelief | None = None,
    prior: Prior = Prior.USUAL,
) -> tuple[PhaseSearch, SearchResult]:
    """Search with the lines of the tube that the pattern shows, which may not be those stated.

    Parameters
    ----------
    measurement, signal : the pattern, and on the grid of the search
    library, entries : candidates
    settings, belief, prior : as in `analyse_pattern`

    Returns
    -------
    The search, whose `signal` has the lines that were taken, and its result.
    """
    classes = [entry.class_id for entry in library.entries]
    held = {int(i): frozenset(library.entries[i].crystal.elements) for i in entries}
    every, known = frozenset().union(*held.values()), belief or ElementBelief()
    chemistry = Chemistry(held, {e: known.cost(e, prior) for e in every})
    crystal = monochromator_factor(measurement)

    def first(signal: PatternSignal) -> tuple[PhaseSearch, PatternFit]:
        models = library_models(library, entries, signal, crystal)
        search = PhaseSearch(
            signal, models, lambda a, b: classes[a] == classes[b], settings, chemistry
        )
        return search, search.first()

    search, fit = first(signal)
    if (seen := _lines_seen(search, fit, library, crystal)) is not None:
        again, other = first(replace(signal, radiation=seen))
        # the phases that were found first may have stood in for lines of others
        if search.gain(fit, other) > settings.min_gain:
            search, fit = again, other
    return search, search.run(fit)


def _lines_seen(
    search: PhaseSearch, fit: PatternFit, library: Library, monochromator: float
) -> Radiation | None:
    """The tube with K-alpha2 or without, where that is not as stated and fits much better.

    All phases together are asked, and the highest alone: beside it others may stand in for lines
    that it lacks.
    """
    other = other_lines(search.signal.radiation)
    if other is None or not fit.phases:
        return None
    signal = replace(search.signal, radiation=other)
    models = library_models(library, [p.entry for p in fit.phases], signal, monochromator)
    fitter = PatternFitter(signal, search.fitter.instrument, search.settings)
    # the other tube may reach another number of reflections
    stated = tuple(replace(p, state=replace(p.state, adjust=None)) for p in fit.phases)
    seen = tuple(replace(p, model=models.get(p.entry, p.model)) for p in stated)
    height = [p.scale * search.fitter.columns(p, fit.instrument).profile.max() for p in stated]
    top = int(np.argmax(height))
    for part in (slice(None), slice(top, top + 1)):
        trials = [
            free_intensities(f, f.fit(phases[part], fit.instrument))
            for f, phases in ((search.fitter, stated), (fitter, seen))
        ]
        if search.gain(*trials) > search.settings.min_gain:
            return other
    return None


def lines_stand_out(signal: PatternSignal, settings: SearchSettings = DEFAULT) -> bool:
    """Whether a pattern has a line that neither noise nor a halo of amorphous matter makes.

    A halo is what coherent domains of few cells make: lines wider than `HALO_DEG`.

    Parameters
    ----------
    signal : the pattern
    settings : of the search
    """
    smooth = np.empty_like(signal.intensity)
    for part in signal.sections:
        x, y = signal.two_theta_deg[part], signal.intensity[part]
        # a cubic follows a halo over two thirds of its width; a line it cannot follow
        points = 2 * int(HALO_DEG / max(float(np.median(np.diff(x))), 1e-6)) + 1
        points = min(max(points, 7), (len(y) - 1) // 2 * 2 + 1)
        smooth[part] = savgol_filter(y, points, 3) if points > 4 else y
    peaks = find_peaks_of(
        signal.two_theta_deg, signal.intensity - smooth, signal.variance, signal.fwhm_deg
    )
    sharp = (peaks.significance > settings.unexplained_sigma) & (peaks.fwhm_deg < HALO_DEG)
    return bool(sharp.any())


def line_limit(signal: PatternSignal, settings: SearchSettings = DEFAULT) -> float:
    """Height of a line that would just stand out, over the background.

    Parameters
    ----------
    signal : the pattern
    settings : of the search
    """
    points = 1.5 * signal.fwhm_deg / signal.step_deg  # under a Gaussian filter as wide as a line
    error = np.sqrt(np.median(signal.variance) / max(points, 1.0))
    return float(settings.unexplained_sigma * error / max(np.median(signal.intensity), 1e-300))


def _clear_lines(signal: PatternSignal) -> int:
    """Number of observed lines that are neither noise nor ripples beside a stronger one."""
    peaks = signal.peaks
    clear = peaks.significance > 10.0
    return int((clear & (peaks.height > 0.02 * peaks.height.max(initial=0.0))).sum())


def _nothing(signal: PatternSignal, settings: SearchSettings) -> PatternAnswer:
    """The answer where no line is: no phase is seen, and none is missing from the library."""
    fitter = PatternFitter(signal, None, settings)
    fit, none = fitter.fit((), iterations=0), ObservedPeaks(*np.empty((4, 0)))
    features = unknown_features(signal, fit, none, (), (), settings=settings)
    return PatternAnswer(signal, fit, fitter, (), (), none, 0.0, features, crystalline=False)


def _found(
    search: PhaseSearch,
    result: SearchResult,
    index: int,
    evidence: PhaseEvidence,
    calibration: ConfidenceModel,
) -> FoundPhase:
    """A phase of the search with its probability, alone and with the rivals that it has.

    Its rivals share its probability; that *one* of them is there is judged by what would be left
    over without any. One line cannot tell a phase by itself: all whose lines would be there too
    are as probable.
    """
    phase, rivals = result.fit.phases[index], result.rivals[index]
    own = calibration.phase(evidence.features())
    any_of = calibration.phase(replace(evidence, margin=evidence.gain).features())
    tied = [
        r.entry
        for r in rivals
        if r.entry is not None
        and (
            r.loss < search.settings.min_gain
            or calibration.phase(replace(evidence, margin=r.loss).features()) < 0.5 <= any_of
        )
    ]
    if min(evidence.lines, _clear_lines(search.signal)) <= 1:
        evidence = replace(evidence, lines=min(evidence.lines, 1))
        tied = search.alike(result.fit, index)
        own = min(own, 1.0 / (1.0 + len(tied)))
    return FoundPhase(phase.entry, own, evidence, rivals, max(own, any_of), tuple(tied))


def _conclude(
    search: PhaseSearch,
    result: SearchResult,
    found: list[FoundPhase],
    signal: PatternSignal,
    calibration: ConfidenceModel,
    threshold: float,
) -> PatternAnswer:
    """The answer with the phases that are more probable than a threshold."""
    kept = [i for i, phase in enumerate(found) if phase.of_class >= threshold]
    settings = search.settings
    kept_fit = _keep(search, result, kept)
    fitter, fit = finish(signal, kept_fit, settings, search.fitter.error.scale)
    unexplained = unexplained_peaks(signal, fit, settings)
    accepted = tuple(found[i] for i in kept)
    doubtful = tuple(f for i, f in enumerate(found) if i not in kept)
    features = unknown_features(signal, fit, unexplained, accepted, doubtful, settings=settings)
    unknown = max([calibration.unknown(features), *(_by_chance(f) for f in accepted)])
    return PatternAnswer(
        signal,
        fit,
        fitter,
        accepted,
        doubtful,
        unexplained,
        unknown,
        features,
    )


def _by_chance(phase: FoundPhase) -> float:
    """Least probability of "unknown" beside a phase of one line that others have as well.

    Where unlike phases have a line there by chance, that the library holds one says nothing: for
    many of them, "none of these" is as probable as not.
    """
    many = len(phase.tied) if phase.evidence.lines <= 1 else 0
    return 0.5 * many / (1.0 + many)


def monochromator_factor(measurement: Measurement) -> float:
    """K of the polarisation factor: cos^2 of the monochromator's 2-theta, 1 without one."""
    named = (measurement.instrument.monochromator or "").lower()
    spacing = {"graphite": 3.354, "germanium": 3.266, "ge": 3.266, "silicon": 3.135}
    if measurement.radiation is None:
        return 1.0
    for crystal, d in spacing.items():
        if crystal in named:
            sine = measurement.radiation.mean_angstrom / (2.0 * d)
            return float(np.cos(2.0 * np.arcsin(sine)) ** 2)
    return 1.0


def _keep(search: PhaseSearch, result: SearchResult, kept: list[int]) -> PatternFit:
    """The fit with the accepted phases only."""
    if len(kept) == len(result.fit.phases):
        return result.fit
    phases = tuple(result.fit.phases[i] for i in kept)
    return search.polish(replace(result.fit, phases=phases), 4)


def finish(
    signal: PatternSignal,
    fit: PatternFit,
    settings: SearchSettings = DEFAULT,
    error_scale: float = 1.0,
) -> tuple[PatternFitter, PatternFit]:
    """Fit the accepted phases once more on a finer grid, with texture where it shows.

    The fit starts both from the freed intensities and from the calculated ones: the first
    survives grainy powders, the second tells a trend with angle from graininess.

    Parameters
    ----------
    signal : the pattern on the finer grid
    fit : of the search
    settings : of the search
    error_scale : error of the model that the search found, over what is usual
    """
    start = replace(fit.instrument, zero=0.0, displacement=0.0)
    fitter = PatternFitter(signal, start, settings, error_scale)
    if not fit.phases:
        return fitter, fitter.fit((), iterations=0)
    freed = fitter.fit(fit.phases, fit.instrument, iterations=6)
    freed = free_intensities(fitter, freed)
    textured = tuple(suggest_texture(p, freed.instrument, settings) for p in freed.phases)
    tied = tuple(replace(p, state=replace(p.state, adjust=None)) for p in textured)
    tied_fit = fitter.fit(tied, freed.instrument, iterations=10)
    tied_fit = free_intensities(fitter, tied_fit)
    misfit = min(tied_fit.misfit, freed.misfit)
    best = tied_fit if tied_fit.score(misfit) < freed.score(misfit) else freed
    best = fitter.fit(best.phases, best.instrument, iterations=4)
    return fitter, free_intensities(fitter, best)
