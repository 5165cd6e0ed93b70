"""Lattice parameters and weight fractions with standard uncertainties.

The fast fit says which phases are there; `refine` hands it to rietx for a Rietveld refinement and
holds the two answers against each other. Whatever goes wrong there, the fast answer stays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal, encode_pattern
from xtalfuse.loaders.record import Measurement
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.tasks.identify.answer import Crystallites
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit
from xtalfuse.tasks.identify.powder.measures import weight_fractions
from xtalfuse.tasks.identify.powder.quantities.amounts import Parts
from xtalfuse.tasks.identify.powder.quantities.lines import crystallites, shift_doubt
from xtalfuse.tasks.identify.powder.quantities.model import (
    CELL_LIMIT,
    CELL_NAMES,
    Freedom,
    Problem,
)
from xtalfuse.tasks.identify.powder.quantities.rietveld import Run, run

log = logging.getLogger(__name__)

POINTS_PER_WIDTH = 6.0
TRACE_FRACTION = 0.02  # a phase below has no widths of its own and at most one strain
COLLAPSE = 0.2  # of the fast fraction
GRAINY_FACTOR = 2.0  # observed over calculated intensity, either way
GRAINY_SHARE = 0.10  # of the intensity of a phase
CELL_DISAGREEMENT = 300e-6
FRACTION_DISAGREEMENT = 0.05
SIGNIFICANT = 3.0  # standard uncertainties
WORSE_AGREEMENT = 1.25  # R_wp against that of the fast fit, which also frees intensities


@dataclass(frozen=True)
class RefinedPhase:
    """One phase after the refinement.

    Parameters
    ----------
    cell : a, b, c in angstrom, alpha, beta, gamma in degrees
    cell_parts : parts of their uncertainty; None where symmetry fixes the value or it was held
    weight_fraction, weight_fraction_su : of all crystalline phases of the fit
    scale : as rietx defines it; that of the fast fit where the phase was not refined
    refined : False when the values of the fast fit stand
    crystallites : what its widths tell
    """

    cell: tuple[float, ...]
    cell_parts: tuple[Parts | None, ...]
    weight_fraction: float
    weight_fraction_su: float | None
    scale: float
    refined: bool = True
    crystallites: Crystallites | None = None

    @property
    def cell_su(self) -> tuple[float | None, ...]:
        """Standard uncertainties of the cell."""
        return tuple(None if part is None else part.total for part in self.cell_parts)


@dataclass(frozen=True)
class Refined:
    """Outcome of `refine`.

    Parameters
    ----------
    phases : one for each phase of the fast fit, in its order
    r_wp, gof : weighted profile R and goodness of fit; None without a refinement
    r_wp_fast : the same R of the fast fit
    calculated, background : on the grid of the measurement, in its unit
    status : ``"converged"``, ``"stopped"`` (the time was used up and the last whole stage
        stands) or ``"failed"`` (the values of the fast fit stand)
    use_fractions : whether the refined weight fractions are to be preferred to the fast ones
    """

    phases: tuple[RefinedPhase, ...]
    r_wp: float | None
    gof: float | None
    r_wp_fast: float
    calculated: np.ndarray
    background: np.ndarray
    status: str
    use_fractions: bool
    warnings: tuple[str, ...]
    seconds: float


def refine(
    measurement: Measurement,
    crystals: Sequence[Crystal],
    fit: PatternFit,
    *,
    seconds: float = 8.0,
    names: Sequence[str] | None = None,
) -> Refined:
    """Refine cells, fractions, widths and background of a fitted set of phases with rietx.

    Atoms stay where they are. Free are background, scales, cells, specimen displacement (zero
    shift for a capillary), peak widths and axial divergence, and one change of the displacement
    parameters of each phase, within 0.25 angstrom^2; texture only along the axis of the fast fit.
    Anomalous dispersion is in. A phase below 2 wt% has a scale and one strain.

    Standard uncertainties are those of the least squares, times the square root of the reduced
    chi^2, times the factor of Berar & Lelann (1991, J. Appl. Cryst. 24, 1) for residuals that
    neighbours share, both of the pattern as measured. Lengths carry in addition what is not known
    of the alignment. What structures, grains and absorption do to fractions is told by `amounts`.

    Intensities that the fast fit freed (few grains, texture) are evened out while cells and
    widths are refined; the fractions come from the pattern as measured. Where a phase has much of
    its intensity in reflections that are off by more than a factor of two, the fractions of the
    fast fit are preferred.

    Parameters
    ----------
    crystals : structure of each phase of `fit`
    seconds : of work, on a busy machine up to four times that; when they are used up, the last
        whole stage stands
    names : of the phases, for warnings; their formulas by default

    Raises
    ------
    ValueError
        If there are no phases, not as many crystals, or the measurement cannot be fitted.
    """
    if not fit.phases or len(crystals) != len(fit.phases):
        raise ValueError(f"{len(fit.phases)} phases and {len(crystals)} crystals: need one each")
    began = time.perf_counter()
    labels = tuple(names or (c.formula for c in crystals))
    signal = encode_pattern(measurement, POINTS_PER_WIDTH)
    fitter = PatternFitter(signal, fit.instrument)
    fast = fitter.fit(fit.phases, fit.instrument, iterations=0)
    grainy = [
        i
        for i, (phase, share) in enumerate(zip(fast.phases, weight_fractions(fast), strict=True))
        if share >= TRACE_FRACTION and grainy_share(phase, fast) > GRAINY_SHARE
    ]
    problem = Problem(
        signal=signal,
        fast=fast,
        crystals=tuple(crystals),
        freedom=_freedom(fast),
        even=even_intensities(fitter, fast),
    )
    try:
        outcome = run(problem, seconds - (time.perf_counter() - began))
        refined = _compare(problem, outcome, labels)
    except Exception as error:  # rietx meets data it was not made for; the fast answer must live
        log.warning("refinement of %s failed", measurement.provenance.path, exc_info=True)
        refined = _kept(fast, signal, f"no refinement: {type(error).__name__}: {error}")
    if grainy:
        listed = ", ".join(labels[i] for i in grainy)
        text = f"few grains or texture in {listed}: fractions of the fast fit are preferred"
        refined = replace(refined, use_fractions=False, warnings=(*refined.warnings, text))
    return replace(
        refined,
        calculated=_on_grid(measurement, signal, refined.calculated),
        background=_on_grid(measurement, signal, refined.background),
        seconds=time.perf_counter() - began,
    )


def grainy_share(phase: PhaseFit, fit: PatternFit) -> float:
    """Share of a phase's intensity in reflections scaled by more than a factor of two."""
    adjust = phase.state.adjust
    if adjust is None:
        return 0.0
    seen = phase.model.seen_strength(phase.state, fit.instrument)
    tied = phase.model.seen_strength(replace(phase.state, adjust=None), fit.instrument)
    off = np.abs(np.log(np.maximum(adjust, 1e-3))) > np.log(GRAINY_FACTOR)
    larger = np.maximum(seen, tied)
    return float(larger[off].sum() / max(larger.sum(), 1e-300))


def even_intensities(fitter: PatternFitter, fast: PatternFit) -> np.ndarray:
    """(n,) intensity without what single reflections have too much or too little."""
    tied = np.zeros_like(fast.calculated)
    for phase in fast.phases:
        bare = replace(phase, state=replace(phase.state, adjust=None))
        tied += phase.scale * fitter.columns(bare, fast.instrument).profile
    excess = fast.calculated - fast.background - tied
    return fitter.signal.intensity - excess


def _freedom(fast: PatternFit) -> tuple[Freedom, ...]:
    major = weight_fractions(fast) >= TRACE_FRACTION
    return tuple(
        Freedom(
            cell="free" if large else "isotropic",
            widths=bool(large),
            texture=phase.state.axis is not None,
        )
        for phase, large in zip(fast.phases, major, strict=True)
    )


def _compare(problem: Problem, outcome: Run, labels: tuple[str, ...]) -> Refined:
    """The refined numbers, each held against its fast value."""
    fractions = weight_fractions(problem.fast)
    warnings: list[str] = []
    if not outcome.finished:
        warnings.append("the time for the refinement was used up: widths or cells are not final")
    phases = []
    for i, label in enumerate(labels):
        phase, text = _phase(problem, outcome, i, float(fractions[i]))
        phases.append(phase)
        warnings += [f"{label}: {line}" for line in text]
    statistics = outcome.amounts.statistics
    r_wp_fast = _r_wp(problem.signal, problem.fast.calculated)
    agrees = float(statistics.rwp) <= WORSE_AGREEMENT * r_wp_fast
    if not agrees:
        warnings.append(
            f"refined R_wp {statistics.rwp:.3f} against {r_wp_fast:.3f} with freed intensities: "
            "the structures do not explain the intensities, and fractions of the fast fit stand"
        )
    calculated, background = (
        _curve(problem, outcome, getattr(outcome.amounts, name), fast)
        for name, fast in (
            ("y_calc", problem.fast.calculated),
            ("y_background", problem.fast.background),
        )
    )
    return Refined(
        phases=tuple(phases),
        r_wp=float(statistics.rwp),
        gof=float(statistics.gof),
        r_wp_fast=r_wp_fast,
        calculated=calculated,
        background=background,
        status="converged" if outcome.finished else "stopped",
        use_fractions=agrees
        and all(
            phase.refined or fraction < TRACE_FRACTION
            for phase, fraction in zip(phases, fractions, strict=True)
        ),
        warnings=tuple(warnings),
        seconds=0.0,
    )


def _phase(
    problem: Problem, outcome: Run, index: int, fast_fraction: float
) -> tuple[RefinedPhase, list[str]]:
    """One phase and what is to be said about it."""
    fast = problem.fast.phases[index]
    fast_cell = fast.model.cell(fast.state)
    rows = {row.path: row for row in outcome.cells.parameters}
    inflation, doubt = _inflation(outcome), shift_doubt(problem, outcome.cells, index)
    cell: list[float] = []
    su: list[Parts | None] = []
    for name, old in zip(CELL_NAMES, fast_cell, strict=True):
        row = rows.get(f"phases.{index}.cell.{name}")
        cell.append(old if row is None else float(row.value))
        if row is None or not row.stderr or not np.isfinite(row.stderr):
            su.append(None)
            continue
        common = doubt * cell[-1] if name in "abc" else 0.0
        uneven = row.stderr * np.sqrt(inflation**2 - 1.0)
        su.append(Parts(float(row.stderr), float(uneven), common))
    quantity = outcome.amounts.qpa.phases[index]
    fraction = float(quantity.weight_fraction or 0.0)
    moved = max(abs(new / old - 1.0) for new, old in zip(cell, fast_cell, strict=True))
    kept = RefinedPhase(fast_cell, (None,) * 6, fast_fraction, None, fast.scale, False)
    if moved > 0.99 * CELL_LIMIT:
        if fast_fraction < TRACE_FRACTION:
            kept = replace(kept, weight_fraction=fraction, scale=float(quantity.scale))
        return kept, [f"its cell moved by {100 * moved:.1f} % in the refinement: not used"]
    if fast_fraction >= TRACE_FRACTION and fraction < COLLAPSE * fast_fraction:
        return kept, [
            f"fell from {100 * fast_fraction:.1f} to {100 * fraction:.1f} wt% in the refinement: "
            "not used"
        ]
    fraction_su = quantity.weight_fraction_stderr
    refined = RefinedPhase(
        tuple(cell),
        tuple(su),
        fraction,
        fraction_su,
        float(quantity.scale),
        crystallites=crystallites(rows, index, fast.model.radiation.primary_angstrom),
    )
    return refined, _disagreements(refined, fast_cell, fast_fraction)


def _inflation(outcome: Run) -> float:
    """How much larger the misfit is before intensities are evened out than after."""
    before, after = (
        s.gof * (s.esd_inflation or 1.0)
        for s in (outcome.amounts.statistics, outcome.cells.statistics)
    )
    return max(1.0, before / after) if after > 0.0 else 1.0


def _disagreements(
    refined: RefinedPhase, fast_cell: tuple[float, ...], fast_fraction: float
) -> list[str]:
    """Where the refinement says something else than the fast fit."""
    found = []
    for name, new, su, old in zip(
        CELL_NAMES, refined.cell, refined.cell_su, fast_cell, strict=True
    ):
        if su and abs(new - old) > max(5.0 * su, CELL_DISAGREEMENT * old):
            found.append(f"{name} = {new:.5f} refined, {old:.5f} in the fast fit")
            break  # the other lengths follow; one line is enough to make somebody look
    fraction, su = refined.weight_fraction, refined.weight_fraction_su
    if abs(fraction - fast_fraction) > FRACTION_DISAGREEMENT:
        found.append(
            f"{100 * fraction:.1f} wt% refined, {100 * fast_fraction:.1f} wt% in the fast fit"
        )
    if su is not None and fraction < SIGNIFICANT * su:
        found.append(f"{100 * fraction:.2f}({100 * su:.2f}) wt% refined: not significant")
    return found


def _kept(fast: PatternFit, signal: PatternSignal, reason: str) -> Refined:
    """The fast answer, when there is no refinement."""
    phases = tuple(
        RefinedPhase(p.model.cell(p.state), (None,) * 6, float(x), None, p.scale, False)
        for p, x in zip(fast.phases, weight_fractions(fast), strict=True)
    )
    return Refined(
        phases=phases,
        r_wp=None,
        gof=None,
        r_wp_fast=_r_wp(signal, fast.calculated),
        calculated=fast.calculated,
        background=fast.background,
        status="failed",
        use_fractions=False,
        warnings=(reason,),
        seconds=0.0,
    )


def _curve(problem: Problem, outcome: Run, values: Sequence[float], fast: np.ndarray) -> np.ndarray:
    """A curve of rietx as the detector counted it; where it was not refined, the fast one."""
    grid, at = problem.signal.two_theta_deg, np.asarray(outcome.amounts.two_theta)
    curve = np.interp(grid, at, values) * problem.footprint
    return np.where((grid >= at[0]) & (grid <= at[-1]), curve, fast)


def _r_wp(signal: PatternSignal, calculated: np.ndarray) -> float:
    weight = 1.0 / signal.variance
    residual = signal.intensity - calculated
    return float(np.sqrt(np.sum(weight * residual**2) / np.sum(weight * signal.intensity**2)))


def _on_grid(measurement: Measurement, signal: PatternSignal, curve: np.ndarray) -> np.ndarray:
    """A curve on the grid of the file; merged channels carry the sum of theirs."""
    angle = np.asarray(measurement.axis("two_theta"), float)
    return np.interp(angle, signal.two_theta_deg, curve / signal.merged)
