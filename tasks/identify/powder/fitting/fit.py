"""Full-pattern fit of a set of phases: a maximum a posteriori estimate with its evidence.

Scales (non-negative) and background are solved exactly in every step; cell, widths, texture and
instrument parameters follow by damped Gauss-Newton with analytic derivatives and physical
priors, so that a trace phase cannot wander where a major phase is well determined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.powder import (
    SHARED,
    InstrumentState,
    PhaseColumns,
    PhaseState,
)
from xtalfuse.physics.crystal.powder_state import SHARED_BOUNDS
from xtalfuse.tasks.identify.powder.fitting.error import ModelError
from xtalfuse.tasks.identify.powder.fitting.normal import near, unit_diagonal, within
from xtalfuse.tasks.identify.powder.fitting.priors import (
    Chemistry,
    instrument_sigma,
    instrument_values,
    penalty,
    phase_prior,
    phase_values,
)
from xtalfuse.tasks.identify.powder.fitting.state import (
    PatternFit,
    PhaseFit,
    background_basis,
    start_instrument,
)
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings

KEPT_COLUMNS, KEPT_WEIGHTS = 48, 3  # weights: the first one, and those of the fit that goes on
REWEIGHTED = 2  # times that the weights follow the peaks


class PatternFitter:
    """Fits sets of phases to one pattern.

    Parameters
    ----------
    signal : the pattern
    instrument : starting instrument state, centre of the priors on widths
    settings : priors and model error
    error_scale : error of the model over what is usual; `learn_error` measures it
    chemistry : prior of the elements that the phases bring
    """

    def __init__(
        self,
        signal: PatternSignal,
        instrument: InstrumentState | None = None,
        settings: SearchSettings = DEFAULT,
        error_scale: float = 1.0,
        chemistry: Chemistry | None = None,
    ) -> None:
        self.signal = signal
        self.chemistry = chemistry or Chemistry()
        self.instrument = instrument or start_instrument(signal)
        self.settings = settings
        self.background_columns = background_basis(signal)
        self.error = ModelError(signal, settings.model_error, error_scale)
        self._under: dict[int, tuple[Any, ...]] = {}
        self._drawn: dict[
            tuple[int, int, int], tuple[PhaseState, InstrumentState, PhaseColumns]
        ] = {}

    def columns(self, phase: PhaseFit, instrument: InstrumentState) -> PhaseColumns:
        """Unit-scale profile and derivatives of a phase on the grid of the pattern.

        The last ones drawn are kept: most trials move one phase and leave the others.
        """
        key = (id(phase.model), id(phase.state), id(instrument))
        if key not in self._drawn:
            if len(self._drawn) >= KEPT_COLUMNS:
                del self._drawn[next(iter(self._drawn))]
            columns = phase.model.columns(self.signal.two_theta_deg, phase.state, instrument)
            # the states are kept with their columns, so that their ids stay taken
            self._drawn[key] = (phase.state, instrument, columns)
        return self._drawn[key][2]

    @cached_property
    def first_weight(self) -> np.ndarray:
        """(n,) before anything is known of the peaks: the model error of what stands there."""
        return np.asarray(1.0 / self.variance(np.maximum(self.signal.net, 0.0)))

    def background_under(self, weight: np.ndarray) -> tuple[np.ndarray, Any, np.ndarray]:
        """Weighted columns of the background, the Cholesky factor of their normal matrix, and
        its right side; kept for the last weights, which many trials share."""
        if id(weight) not in self._under:
            if len(self._under) >= KEPT_WEIGHTS:
                del self._under[next(iter(self._under))]
            weighted = self.background_columns * weight[:, None]
            normal = self.background_columns.T @ weighted
            normal[np.diag_indices_from(normal)] *= 1.0 + 1e-11
            own = weighted.T @ self.signal.intensity
            # the weight is kept, so that its id stays taken
            self._under[id(weight)] = (weight, weighted, cho_factor(normal), own)
        _, weighted, factor, own = self._under[id(weight)]
        return weighted, factor, own

    def variance(self, peaks: np.ndarray) -> np.ndarray:
        """Counting noise and model error, with neighbouring residuals correlated."""
        return self.settings.correlation * (self.signal.variance + self.error.variance(peaks))

    def penalty(self, phases: Sequence[PhaseFit], instrument: InstrumentState) -> float:
        """Minus twice the log prior of what phases are there, and of their parameters."""
        own = penalty([p.state for p in phases], instrument, self.instrument, self.settings)
        return own + self.chemistry.of(p.entry for p in phases)

    def learn_error(self, fit: PatternFit) -> bool:
        """Measure the error of the model on a fit; whether the weights changed by it."""
        changed = self.error.learn(fit.calculated, fit.background)
        if changed:
            self._under.clear()
            self.__dict__.pop("first_weight", None)
        return changed

    def fit(
        self,
        phases: tuple[PhaseFit, ...],
        instrument: InstrumentState | None = None,
        *,
        iterations: int = 8,
        active: tuple[int, ...] | None = None,
        shared: bool = True,
    ) -> PatternFit:
        """Refine a set of phases.

        Parameters
        ----------
        phases : where they start
        instrument : where it starts; the start of the fitter by default
        iterations : Gauss-Newton steps at most; 0 solves scales and background only
        active : which phases may move; all by default
        shared : whether the instrument may move
        """
        free = tuple(range(len(phases))) if active is None else active
        descent = _Descent(self, free, shared and bool(phases))
        return descent.run(phases, instrument or self.instrument, iterations)


@dataclass(frozen=True)
class _Point:
    """One point of a descent.

    Its linear parameters are the best ones for its non-linear ones; what is calculated is
    ``basis @ coefficients + sum_i scales[i] * columns[i].profile``.

    Parameters
    ----------
    phases, instrument : non-linear parameters
    columns : profile and derivatives of each phase there
    coefficients : (k,) of the background
    scales : (p,) of the phases
    background, peaks, residual : (n,); observed = background + peaks + residual
    chi2 : sum of weight * residual^2
    penalty : minus twice the log prior
    """

    phases: tuple[PhaseFit, ...]
    instrument: InstrumentState
    columns: tuple[PhaseColumns, ...]
    coefficients: np.ndarray
    scales: np.ndarray
    background: np.ndarray
    peaks: np.ndarray
    residual: np.ndarray
    chi2: float
    penalty: float

    @property
    def objective(self) -> float:
        return self.chi2 + self.penalty


@dataclass(frozen=True)
class _Descent:
    """Damped Gauss-Newton (Levenberg-Marquardt) with the linear parameters eliminated exactly.

    Minimises ``chi2 + penalty`` over the non-linear parameters of the phases `active` and, if
    `shared`, of the instrument.
    """

    fitter: PatternFitter
    active: tuple[int, ...]
    shared: bool

    def run(
        self, phases: tuple[PhaseFit, ...], instrument: InstrumentState, iterations: int
    ) -> PatternFit:
        """Go down from a start; the weights follow the peaks twice on the way."""
        fitter = self.fitter
        columns = tuple(fitter.columns(p, instrument) for p in phases)
        weight = fitter.first_weight
        here = self.at(phases, instrument, columns, weight)
        damping, settled, reweighted = 1e-3, False, 0
        for iteration in range(iterations):
            if reweighted < REWEIGHTED and (settled or iteration >= 2 * (reweighted + 1)):
                reweighted, settled = reweighted + 1, False
                weight = 1.0 / fitter.variance(here.peaks)
                here = self.at(here.phases, here.instrument, here.columns, weight)
            if settled:
                break
            trial = self.moved(here, self.step(here, weight, damping)[0], weight)
            gain = here.objective - trial.objective
            settled = abs(gain) < 1e-4 * here.objective
            if gain <= 0:
                damping = max(damping * 30.0, 1e-2)
            else:
                here, damping = trial, max(damping * 0.2, 1e-6)
        return self.finished(here)

    def at(
        self,
        phases: tuple[PhaseFit, ...],
        instrument: InstrumentState,
        columns: tuple[PhaseColumns, ...],
        weight: np.ndarray,
    ) -> _Point:
        """The point of these non-linear parameters, with its linear ones solved."""
        fitter, (coefficients, scales) = self.fitter, self.linear(columns, weight)
        background = fitter.background_columns @ coefficients
        peaks = np.zeros_like(background)
        for column, scale in zip(columns, scales, strict=True):
            peaks += scale * column.profile
        residual = fitter.signal.intensity - background - peaks
        return _Point(
            phases,
            instrument,
            columns,
            coefficients,
            scales,
            background,
            peaks,
            residual,
            chi2=float(np.sum(weight * residual**2)),
            penalty=fitter.penalty(phases, instrument),
        )

    def linear(
        self, columns: Sequence[PhaseColumns], weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Background and scales that minimise the weighted residual, scales >= 0.

        The background is projected out of the normal matrix (its Schur complement), and the
        scales s >= 0 are solved through the Cholesky factor of what is left.

        Returns
        -------
        coefficients : (k,) of the background
        scales : (p,)
        """
        weighted, factor, own = self.fitter.background_under(weight)
        if not columns:
            return cho_solve(factor, own), np.empty(0)
        profiles = np.column_stack([c.profile for c in columns])
        cross = weighted.T @ profiles
        heavy = profiles * weight[:, None]
        inner = cho_solve(factor, cross)
        gram = heavy.T @ profiles - cross.T @ inner
        right = heavy.T @ self.fitter.signal.intensity - inner.T @ own
        norm = np.sqrt(np.maximum(np.diag(gram), 1e-24))
        gram = gram / norm / norm[:, None]
        gram[np.diag_indices(len(norm))] += 1e-9
        upper = np.linalg.cholesky(gram).T
        scales = nnls(upper, np.linalg.solve(upper.T, right / norm))[0] / norm
        return cho_solve(factor, own - cross @ scales), scales

    def step(
        self, here: _Point, weight: np.ndarray, damping: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Gauss-Newton step with Marquardt's damping of the non-linear parameters.

        Solves ``(J^T W J + S^-2) x = J^T W r + S^-2 (m - v)``: J are background columns,
        profiles and derivatives, r the residual, and m, S mean and standard deviation of the
        priors of the non-linear values v. Returns the change of v within its bounds, and the
        undamped normal matrix with background and scales in front.
        """
        linear = [self.fitter.background_columns, *(c.profile[:, None] for c in here.columns)]
        n_linear = linear[0].shape[1] + len(here.columns)
        moves, pull, stiffness, room = self._non_linear(here)
        root = np.sqrt(weight)
        design = np.column_stack(linear + moves) * root[:, None]
        normal = design.T @ design
        gradient = design.T @ (here.residual * root)
        normal[np.diag_indices(n_linear)] *= 1.0 + 1e-9
        normal[np.diag_indices(n_linear)] += 1e-12 * np.trace(normal[:n_linear, :n_linear])
        inner = normal[n_linear:, n_linear:]  # a view: what is added to it is in `normal`
        if pull:
            gradient[n_linear:] += np.concatenate(pull)
            inner[np.diag_indices_from(inner)] += np.concatenate(stiffness)
        undamped = normal.copy()
        inner[np.diag_indices_from(inner)] *= 1.0 + damping
        scaled, scale = unit_diagonal(normal, ridge=1e-10)
        solution = within(scaled, gradient * scale, np.hstack([*room]) / scale[n_linear:])
        return (scale * solution)[n_linear:], undamped

    def _non_linear(
        self, here: _Point
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Derivatives, pull ``(m - v) / S^2`` and stiffness ``1 / S^2`` of the priors, and how
        far down and up each value may go, by block."""
        moves, pull, stiffness, room = [], [], [], [np.empty((2, 0))]
        for i in self.active:
            state = here.phases[i].state
            moves.append(here.scales[i] * here.columns[i].by_own)
            mean, sigma = phase_prior(state, self.fitter.settings)
            pull.append((mean - phase_values(state)) / sigma**2)
            stiffness.append(1.0 / sigma**2)
            room.append(near(state.bounds() - phase_values(state), sigma))
        if self.shared:
            drawn = zip(here.scales, here.columns, strict=True)
            moves.append(reduce(np.add, [s * c.by_shared for s, c in drawn]))
            sigma = instrument_sigma(self.fitter.settings)
            start, now = self.fitter.instrument, here.instrument
            pull.append((instrument_values(start) - instrument_values(now)) / sigma**2)
            stiffness.append(1.0 / sigma**2)
            room.append(near(SHARED_BOUNDS - instrument_values(now), sigma))
        return moves, pull, stiffness, room

    def moved(self, here: _Point, change: np.ndarray, weight: np.ndarray) -> _Point:
        """The point after a step; only phases that moved are drawn again."""
        phases, at = list(here.phases), 0
        for i in self.active:
            state = phases[i].state
            count = len(phase_values(state))
            phases[i] = replace(phases[i], state=state.moved(change[at : at + count]))
            at += count
        moved = change[at : at + len(SHARED)]
        instrument = here.instrument.moved(moved) if self.shared else here.instrument
        columns = tuple(
            self.fitter.columns(p, instrument)
            if self.shared or i in self.active
            else here.columns[i]
            for i, p in enumerate(phases)
        )
        return self.at(tuple(phases), instrument, columns, weight)

    def finished(self, here: _Point) -> PatternFit:
        """The fit with the model error of its own peaks."""
        variance, residual = self.fitter.variance(here.peaks), here.residual
        correlation = self.fitter.settings.correlation
        noise = correlation * self.fitter.signal.variance
        return PatternFit(
            phases=tuple(
                replace(p, scale=float(s)) for p, s in zip(here.phases, here.scales, strict=True)
            ),
            instrument=here.instrument,
            background=here.background,
            calculated=here.background + here.peaks,
            variance=variance,
            chi2=float(np.sum(residual**2 / variance)),
            freedom=float(np.sum(np.log(variance / noise))) / correlation,
            penalty=here.penalty,
            independent=len(residual) / correlation,
        )


def normal_matrix(
    fitter: PatternFitter, fit: PatternFit
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Normal matrix of all parameters of a fit, priors included, and where to find them.

    Returns
    -------
    normal : (m, m); rows of the scales; for each phase, rows of its strains
    """
    n_background, count = fitter.background_columns.shape[1], len(fit.phases)
    here = _Point(
        phases=fit.phases,
        instrument=fit.instrument,
        columns=tuple(fitter.columns(p, fit.instrument) for p in fit.phases),
        coefficients=np.zeros(n_background),
        scales=np.array([p.scale for p in fit.phases]),
        background=fit.background,
        peaks=fit.calculated - fit.background,
        residual=fitter.signal.intensity - fit.calculated,
        chi2=fit.chi2,
        penalty=fit.penalty,
    )
    every = _Descent(fitter, tuple(range(count)), shared=bool(fit.phases))
    normal = every.step(here, 1.0 / fit.variance, damping=0.0)[1]
    at, rows = n_background + count, []
    for phase in fit.phases:
        rows.append(at + np.arange(phase.model.n_strain))
        at += len(phase_values(phase.state))
    return normal, n_background + np.arange(count), rows
