"""Full-pattern fit of a set of phases: a maximum a posteriori estimate with its evidence.

Scales (non-negative) and background are solved exactly in every step; cell, widths, texture and
instrument parameters follow by damped Gauss-Newton with analytic derivatives and physical
priors, so that a trace phase cannot wander where a major phase is well determined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import nnls

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.powder import (
    SHARED,
    InstrumentState,
    PhaseColumns,
    PhaseModel,
    PhaseState,
)

# Standard deviations of the priors. A laboratory zero is good to some hundredths of a degree;
# references of one compound scatter by a tenth of a percent. The data of a solid solution move
# its cell all the same, but between two isotypes the nearer cell is preferred.
PRIOR_STRAIN = (0.002, 0.0015)  # isotropic, deviatoric
PRIOR_SIZE = 0.15
PRIOR_MICROSTRAIN = 0.25
PRIOR_TEXTURE = 0.25
PRIOR_SHARED = (0.03, 0.15, 0.05, 0.05, 0.02, 0.3, 0.3, 0.15)  # in the order of powder.SHARED
GRAIN_SPREAD = 0.12  # usual relative error of a calculated intensity
GRAIN_FREEDOM = 2.0  # degrees of freedom of its Student t prior
KEPT_COLUMNS = 48
MODEL_ERROR = 0.04  # of the calculated peak height: profile shape, graininess, texture


@dataclass(frozen=True)
class PhaseFit:
    """One phase inside a fit."""

    entry: int  # index in the library
    model: PhaseModel
    state: PhaseState
    scale: float = 0.0


@dataclass(frozen=True)
class PatternFit:
    """A fitted set of phases.

    Parameters
    ----------
    phases, instrument : states at the optimum
    background : (n,) fitted background
    calculated : (n,) background and all phases
    variance : (n,) counting noise plus model error
    chi2 : weighted sum of squared residuals
    penalty : minus twice the log prior of the parameters, up to a constant
    independent : number of independent points
    """

    phases: tuple[PhaseFit, ...]
    instrument: InstrumentState
    background: np.ndarray
    calculated: np.ndarray
    variance: np.ndarray
    chi2: float
    penalty: float
    independent: float

    @property
    def objective(self) -> float:
        """Quantity that the fit minimises."""
        return self.chi2 + self.penalty

    def score(self, misfit: float) -> float:
        """Objective in which priors weigh as much as data whose errors are `misfit` too small.

        Hypotheses are compared by it, all with the misfit of the best of them.
        """
        return self.chi2 + misfit * self.penalty

    @property
    def misfit(self) -> float:
        """Reduced chi^2 that model error and correlation leave over, at least 1.

        What no set of phases explains (peak shape, strain broadening) must not count as
        evidence for one more phase: differences of the objective are divided by this.
        """
        return max(1.0, self.chi2 / self.independent)


class PatternFitter:
    """Fits sets of phases to one pattern.

    Parameters
    ----------
    signal : the pattern
    instrument : starting instrument state, centre of the priors on widths
    correlation : number of neighbouring points that carry one independent residual
    """

    def __init__(
        self,
        signal: PatternSignal,
        instrument: InstrumentState | None = None,
        correlation: float = 3.0,
    ):
        self.signal = signal
        self.instrument = instrument or start_instrument(signal)
        self.correlation = correlation
        self.background_columns = background_basis(signal)
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

    def variance(self, peaks: np.ndarray) -> np.ndarray:
        """Counting noise and model error, with neighbouring residuals correlated."""
        return self.correlation * (self.signal.variance + (MODEL_ERROR * peaks) ** 2)

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
        active : which phases may move; all by default
        shared : whether the instrument may move
        """
        problem = _Problem(self, phases, instrument or self.instrument, active, shared)
        return problem.solve(iterations)


class _Problem:
    """State of one running fit."""

    def __init__(self, fitter, phases, instrument, active, shared):
        self.fitter = fitter
        self.signal = fitter.signal
        self.phases = list(phases)
        self.instrument = instrument
        self.active = tuple(range(len(phases))) if active is None else active
        self.shared = shared and bool(phases)
        self.columns = [fitter.columns(p, instrument) for p in self.phases]
        self.peaks = np.zeros(len(self.signal.intensity))

    def linear(self, columns: list[PhaseColumns], weight: np.ndarray) -> np.ndarray:
        """Background and scales that minimise the weighted residual, scales >= 0."""
        basis = self.fitter.background_columns
        root = np.sqrt(weight)
        target = self.signal.intensity * root
        weighted = basis * root[:, None]
        if not columns:
            return np.linalg.lstsq(weighted, target, rcond=None)[0]
        profiles = np.column_stack([c.profile for c in columns]) * root[:, None]
        q, r = np.linalg.qr(weighted)
        free = profiles - q @ (q.T @ profiles)
        rest = target - q @ (q.T @ target)
        norm = np.maximum(np.linalg.norm(free, axis=0), 1e-12)
        gram = (free / norm).T @ (free / norm)
        gram[np.diag_indices(len(norm))] += 1e-9
        upper = np.linalg.cholesky(gram).T
        scales = nnls(upper, np.linalg.solve(upper.T, (free / norm).T @ rest))[0] / norm
        coefficients = np.linalg.solve(r, q.T @ (target - profiles @ scales))
        return np.concatenate([coefficients, scales])

    def evaluate(self, columns, coefficients, weight, phases, instrument):
        """Residual, objective parts."""
        basis = self.fitter.background_columns
        nb = basis.shape[1]
        background = basis @ coefficients[:nb]
        peaks = np.zeros_like(background)
        for column, scale in zip(columns, coefficients[nb:], strict=True):
            peaks += scale * column.profile
        residual = self.signal.intensity - background - peaks
        chi2 = float(np.sum(weight * residual**2))
        return residual, background, peaks, chi2, self.penalty(phases, instrument)

    def penalty(self, phases, instrument) -> float:
        """Minus twice the log prior."""
        start = self.fitter.instrument
        value = sum(
            ((getattr(instrument, n) - getattr(start, n)) / s) ** 2
            for n, s in zip(SHARED, PRIOR_SHARED, strict=True)
        )
        for phase in phases:
            mean, sigma = _prior(phase)
            value += float(np.sum(((_values(phase.state) - mean) / sigma) ** 2))
            value += graininess_penalty(phase.state)
        return value

    def solve(self, iterations: int) -> PatternFit:
        """Damped Gauss-Newton with the linear parameters eliminated exactly."""
        # the model error needs a first idea of the peaks
        weight = 1.0 / self.fitter.variance(np.maximum(self.signal.net, 0.0))
        coefficients = self.linear(self.columns, weight)
        state = self.evaluate(self.columns, coefficients, weight, self.phases, self.instrument)
        damping = 1e-3
        for iteration in range(iterations):
            if iteration in (2, 4):
                weight = 1.0 / self.fitter.variance(state[2])
                coefficients = self.linear(self.columns, weight)
                state = self.evaluate(
                    self.columns, coefficients, weight, self.phases, self.instrument
                )
            step, _ = self.step(coefficients, weight, state[0], damping)
            moved = self.apply(step)
            trial_columns = self.redraw(*moved)
            trial_coefficients = self.linear(trial_columns, weight)
            trial = self.evaluate(trial_columns, trial_coefficients, weight, *moved)
            gain = state[3] + state[4] - trial[3] - trial[4]
            if gain <= 0:
                damping = max(damping * 30.0, 1e-2)
                if damping > 1e4:
                    break
                continue
            self.phases, self.instrument = moved
            self.columns, coefficients, state = trial_columns, trial_coefficients, trial
            damping = max(damping * 0.2, 1e-6)
            if gain < 1e-4 * (state[3] + state[4]):
                break
        return self.finish(coefficients, state)

    def step(self, coefficients, weight, residual, damping):
        """Gauss-Newton step of the free non-linear parameters and their normal matrix."""
        basis = self.fitter.background_columns
        nb = basis.shape[1]
        scales = coefficients[nb:]
        blocks = [basis] + [c.profile[:, None] for c in self.columns]
        n_linear = nb + len(self.columns)
        pull, stiffness = [], []
        for i in self.active:
            phase = self.phases[i]
            blocks.append(scales[i] * self.columns[i].by_own)
            mean, sigma = _prior(phase)
            pull.append((mean - _values(phase.state)) / sigma**2)
            stiffness.append(1.0 / sigma**2)
        if self.shared:
            blocks.append(sum(s * c.by_shared for s, c in zip(scales, self.columns, strict=True)))
            start = self.fitter.instrument
            sigma = np.array(PRIOR_SHARED)
            offset = [getattr(start, n) - getattr(self.instrument, n) for n in SHARED]
            pull.append(np.array(offset) / sigma**2)
            stiffness.append(1.0 / sigma**2)
        design = np.column_stack(blocks) * np.sqrt(weight)[:, None]
        normal = design.T @ design
        gradient = design.T @ (residual * np.sqrt(weight))
        normal[np.diag_indices(n_linear)] *= 1.0 + 1e-9
        normal[np.diag_indices(n_linear)] += 1e-12 * np.trace(normal[:n_linear, :n_linear])
        inner = normal[n_linear:, n_linear:]
        if pull:
            gradient[n_linear:] += np.concatenate(pull)
            inner[np.diag_indices_from(inner)] += np.concatenate(stiffness)
        undamped = normal.copy()
        inner[np.diag_indices_from(inner)] *= 1.0 + damping
        return _solve(normal, gradient)[n_linear:], undamped

    def apply(self, step):
        """Phases and instrument after a step."""
        phases, at = list(self.phases), 0
        for i in self.active:
            count = len(_values(phases[i].state))
            phases[i] = replace(phases[i], state=phases[i].state.moved(step[at : at + count]))
            at += count
        instrument = (
            self.instrument.moved(step[at : at + len(SHARED)]) if self.shared else self.instrument
        )
        return phases, instrument

    def redraw(self, phases, instrument):
        """Columns of the phases that moved."""
        if self.shared:
            return [self.fitter.columns(p, instrument) for p in phases]
        return [
            self.fitter.columns(p, instrument) if i in self.active else self.columns[i]
            for i, p in enumerate(phases)
        ]

    def finish(self, coefficients, state) -> PatternFit:
        """The fit with the model error of its own peaks."""
        _, background, peaks, _, penalty = state
        nb = self.fitter.background_columns.shape[1]
        phases = tuple(
            replace(p, scale=float(s)) for p, s in zip(self.phases, coefficients[nb:], strict=True)
        )
        variance = self.fitter.variance(peaks)
        residual = self.signal.intensity - background - peaks
        # both terms of the Gaussian log likelihood: a variance that the model sets itself costs
        chi2 = float(np.sum(residual**2 / variance))
        chi2 += float(np.sum(np.log(variance / self.fitter.variance(np.zeros(1))))) / (
            self.fitter.correlation
        )
        return PatternFit(
            phases,
            self.instrument,
            background,
            background + peaks,
            variance,
            chi2,
            penalty,
            len(residual) / self.fitter.correlation,
        )


def normal_matrix(
    fitter: PatternFitter, fit: PatternFit
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Normal matrix of all parameters of a fit, priors included, and where to find them.

    Returns
    -------
    normal : (m, m); rows of the scales; for each phase, rows of its strains
    """
    problem = _Problem(fitter, fit.phases, fit.instrument, None, True)
    nb, count = fitter.background_columns.shape[1], len(fit.phases)
    scales = np.array([p.scale for p in fit.phases])
    coefficients = np.concatenate([np.zeros(nb), scales])
    residual = fitter.signal.intensity - fit.calculated
    _, normal = problem.step(coefficients, 1.0 / fit.variance, residual, 0.0)
    at, rows = nb + count, []
    for phase in fit.phases:
        rows.append(at + np.arange(phase.model.n_strain))
        at += len(_values(phase.state))
    return normal, nb + np.arange(count), rows


def graininess_penalty(state: PhaseState) -> float:
    """Minus twice the log Student t prior of the freed intensities, one term for each group."""
    if state.adjust is None:
        return 0.0
    delta = (np.unique(state.adjust) - 1.0) / GRAIN_SPREAD
    return float((GRAIN_FREEDOM + 1.0) * np.sum(np.log1p(delta**2 / GRAIN_FREEDOM)))


def _values(state: PhaseState) -> np.ndarray:
    own = [state.size, state.microstrain] + ([state.texture] if state.axis is not None else [])
    return np.concatenate([state.strain, own])


def _prior(phase: PhaseFit) -> tuple[np.ndarray, np.ndarray]:
    p = phase.model.n_strain
    mean = np.concatenate([np.zeros(p), [0.03, 0.05]])
    sigma = np.concatenate(
        [
            [PRIOR_STRAIN[0] * np.sqrt(3.0)],
            np.full(p - 1, PRIOR_STRAIN[1]),
            [PRIOR_SIZE, PRIOR_MICROSTRAIN],
        ]
    )
    if phase.state.axis is not None:
        mean, sigma = np.append(mean, 1.0), np.append(sigma, PRIOR_TEXTURE)
    return mean, sigma


def _solve(normal: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Solve the symmetric normal equations with the columns scaled to unit length."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale[:, None] * scale
    scaled[np.diag_indices_from(scaled)] += 1e-10
    return scale * cho_solve(cho_factor(scaled), gradient * scale)


def background_basis(signal: PatternSignal) -> np.ndarray:
    """(n, k) Chebyshev polynomials and 1/2theta, which air scatter follows at low angle."""
    low, high = signal.range_deg
    x = 2.0 * (signal.two_theta_deg - low) / (high - low) - 1.0
    degree = int(np.clip(5 + (high - low) / 12.0, 5, 16))
    inverse = low / signal.two_theta_deg
    return np.column_stack([np.polynomial.chebyshev.chebvander(x, degree), inverse])


def start_instrument(signal: PatternSignal) -> InstrumentState:
    """Widths guessed from the sharper of the observed peaks."""
    strong = signal.peaks.significance > 10.0
    widths = signal.peaks.fwhm_deg[strong] if strong.any() else np.array([signal.fwhm_deg])
    sharp = float(np.clip(np.percentile(widths, 25), 0.3 * signal.fwhm_deg, 1.5 * signal.fwhm_deg))
    # a beam is chosen to fit the specimen at the lowest angle, roughly
    spill = float(np.clip(1.5 * np.sin(np.radians(signal.range_deg[0]) / 2.0), 0.02, 0.15))
    return InstrumentState(gauss=0.6 * sharp, gauss_tan=0.02, spill=spill)
