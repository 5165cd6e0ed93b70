"""Observed against calculated intensity of single reflections.

A powder of few grains, or a textured one, scatters single reflections too strongly or too
weakly. Freed with a heavy-tailed prior, such outliers are absorbed one by one: they neither pull
the scale of their phase nor leave a residual that another phase could explain.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.physics.crystal.powder import InstrumentState
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.normal import unit_diagonal
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings

# Plane normals of the usual habits and cleavages; (1 0 4) is that of the calcite structure.
TEXTURE_AXES = (
    (0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1), (1, 0, 4),
)  # fmt: skip
TEXTURE_R = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.15, 1.3, 1.5, 1.8)


@dataclass(frozen=True)
class _Groups:
    member: np.ndarray  # (n,) group of each reflection, -1 when it stays tied
    columns: np.ndarray  # (points, groups) unit-scale profiles, before adjustment


def free_intensities(
    fitter: PatternFitter,
    fit: PatternFit,
    rounds: int = 3,
    only: tuple[int, ...] | None = None,
) -> PatternFit:
    """Free the intensities of the reflections that the pattern can see singly.

    Parameters
    ----------
    fit : a fit of the phases; its cells, widths and instrument are kept
    rounds : reweightings of the heavy-tailed prior
    only : phases whose reflections are freed; the others keep what they have

    Returns
    -------
    The fit with `adjust` set in each phase, and its scales and background solved again.
    """
    freed = set(range(len(fit.phases)) if only is None else only)
    if not freed:
        return fit
    bare = tuple(
        replace(p, state=replace(p.state, adjust=None))
        if i in freed and p.state.adjust is not None
        else p
        for i, p in enumerate(fit.phases)
    )
    columns = [fitter.columns(p, fit.instrument).profile for p in bare]
    groups = [_observable(fitter, p, fit, i in freed) for i, p in enumerate(bare)]
    owner = np.repeat(np.arange(len(bare)), [g.columns.shape[1] for g in groups])
    freedom = np.column_stack([g.columns for g in groups])
    start = np.array([max(p.scale, 1e-12) for p in fit.phases])
    scales, delta = _solve_freed(
        fitter, fit, np.column_stack(columns), freedom, owner, start, rounds
    )
    phases = []
    for index, (phase, group) in enumerate(zip(bare, groups, strict=True)):
        if index not in freed:
            phases.append(replace(phase, scale=float(scales[index])))
            continue
        adjust = np.ones(len(phase.model.hkl))
        own = np.append(1.0 + delta[owner == index], 1.0)
        adjust *= own[group.member]
        phases.append(
            replace(phase, state=replace(phase.state, adjust=adjust), scale=float(scales[index]))
        )
    return fitter.fit(tuple(phases), fit.instrument, iterations=0)


def _observable(fitter: PatternFitter, phase: PhaseFit, fit: PatternFit, freed: bool) -> _Groups:
    """Groups of reflections, nearer than a peak width, that rise above noise and neighbours.

    However weak they are calculated: as differences of nearly equal amplitudes weak ones are known
    the least, and held fast they would hold the scale that the strong ones ask for.
    """
    model, state = phase.model, phase.state
    if not freed:
        return _Groups(np.full(len(model.hkl), -1), np.empty((len(fitter.signal.intensity), 0)))
    position = model.positions(state, fit.instrument)
    grid = fitter.signal.two_theta_deg
    strength = model.seen_strength(state, fit.instrument)
    inside = fitter.signal.measured(position)
    order = np.flatnonzero(inside)
    order = order[np.argsort(position[order])]
    width = 0.7 * max(fitter.signal.fwhm_deg, fit.instrument.gauss)
    breaks = np.diff(position[order], prepend=-1e9) > width
    label = np.cumsum(breaks) - 1
    n = int(label.max(initial=-1)) + 1
    total = np.bincount(label, strength[order], minlength=n)
    # error of the height of a peak of unit area, roughly: noise of the points under it
    sigma = np.sqrt(np.interp(position[order], grid, fitter.signal.variance))
    noise = np.bincount(label, sigma, minlength=n) / np.maximum(np.bincount(label, minlength=n), 1)
    height = phase.scale * total / (1.06 * fitter.signal.fwhm_deg)
    good = np.flatnonzero(height > 3.0 * noise)
    good = good[np.argsort(-total[good])][: fitter.settings.grain_groups]
    number = np.full(n + 1, -1)
    number[good] = np.arange(len(good))
    member = np.full(len(model.hkl), -1)
    member[order] = number[label]
    columns = model.reflection_columns(grid, state, fit.instrument, member, len(good))
    return _Groups(member, columns)


def _solve_freed(
    fitter: PatternFitter,
    fit: PatternFit,
    profiles: np.ndarray,
    freedom: np.ndarray,
    owner: np.ndarray,
    scales: np.ndarray,
    rounds: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Scales of the phases and relative deviation of each freed group.

    First every group is nearly free; the scale of a phase is then the one on which most of its
    groups agree. From there the heavy-tailed prior is reweighted.
    """
    n_background = fitter.background_columns.shape[1]
    n_fixed = n_background + profiles.shape[1]
    design = np.column_stack([fitter.background_columns, profiles, freedom])
    weight = 1.0 / fitter.variance(fit.calculated - fit.background)
    normal = design.T @ (design * weight[:, None])
    right = design.T @ (weight * fitter.signal.intensity)
    ridge = np.zeros(len(normal))
    ridge[n_fixed:] = 1.0 / scales[owner] ** 2
    loose = _solve(normal, ridge, right)
    # a group that other phases cover tells nothing: its ratio stays where the prior put it
    told = np.clip(1.0 - ridge * _variances(normal, ridge), 0.0, 1.0)[n_fixed:]
    first = np.maximum(loose[n_background:n_fixed], 1e-12)
    ratio = np.maximum(1.0 + loose[n_fixed:] / first[owner], 0.0)
    areas = freedom.sum(axis=0)
    agreed = scales.copy()
    for index in range(len(scales)):
        own = owner == index
        if own.sum() >= 3:
            common = _consensus(ratio[own], areas[own] * told[own] ** 2)
            agreed[index] = first[index] * max(common, 1e-3)
    scales = agreed
    usual, freedom_t = fitter.settings.grain_spread, fitter.settings.grain_freedom
    largest = fitter.settings.grain_largest
    delta = np.clip(ratio * first[owner] / scales[owner] - 1.0, -0.9, largest)
    for _ in range(rounds):
        spread = usual**2 * (freedom_t + (delta / usual) ** 2)
        ridge[n_fixed:] = (freedom_t + 1.0) / spread / scales[owner] ** 2
        solution = _solve(normal, ridge, right)
        scales = np.clip(solution[n_background:n_fixed], 0.5 * agreed, 2.0 * agreed)
        delta = np.clip(solution[n_fixed:] / scales[owner], -0.9, largest)
    return scales, delta


def suggest_texture(
    phase: PhaseFit, instrument: InstrumentState, settings: SearchSettings = DEFAULT
) -> PhaseFit:
    """Give a phase a preferred orientation if that explains its freed intensities.

    A March-Dollase axis and r are fitted to the ratios of observed to calculated intensity;
    they are taken when no more than `settings.texture_taken` of the spread is left.

    Parameters
    ----------
    phase : with its intensities freed
    instrument : of the fit
    settings : of the search
    """
    adjust = phase.state.adjust
    if adjust is None or phase.state.axis is not None:
        return phase
    strength = phase.model.seen_strength(replace(phase.state, adjust=None), instrument)
    freed = np.flatnonzero(adjust != 1.0)
    if len(freed) < 6:
        return phase
    log_ratio, weight = np.log(adjust[freed]), np.sqrt(strength[freed])
    best_spread, best = _spread(log_ratio, weight), None
    limit = settings.texture_taken * best_spread
    for axis in TEXTURE_AXES:
        for r in TEXTURE_R:
            factor = phase.model.texture_factor(phase.state, axis, r)[freed]
            spread = _spread(log_ratio - np.log(factor), weight)
            if spread < min(limit, best_spread):
                best_spread, best = spread, (axis, r)
    if best is None:
        return phase
    return replace(phase, state=replace(phase.state, axis=best[0], texture=best[1]))


def _spread(log_ratio: np.ndarray, weight: np.ndarray) -> float:
    """Mean absolute deviation from the median; outliers count at most 1."""
    order = np.argsort(log_ratio)
    cumulative = np.cumsum(weight[order])
    middle = log_ratio[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])]
    return float(np.average(np.minimum(np.abs(log_ratio - middle), 1.0), weights=weight))


def _consensus(ratio: np.ndarray, area: np.ndarray) -> float:
    """Median of observed over calculated intensity, strong reflections counting more."""
    order = np.argsort(ratio)
    cumulative = np.cumsum(np.sqrt(area[order]))
    return float(ratio[order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])


def _solve(normal: np.ndarray, ridge: np.ndarray, right: np.ndarray) -> np.ndarray:
    scaled, scale = unit_diagonal(normal + np.diag(ridge), ridge=1e-9)
    return scale * np.linalg.solve(scaled, scale * right)


def _variances(normal: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    scaled, scale = unit_diagonal(normal + np.diag(ridge), ridge=1e-9)
    return scale**2 * np.diag(np.linalg.inv(scaled))
