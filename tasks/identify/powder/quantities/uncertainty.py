"""Standard uncertainties of a full-pattern fit, from its normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter, normal_matrix
from xtalfuse.tasks.identify.powder.fitting.normal import unit_diagonal
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit
from xtalfuse.tasks.identify.powder.measures import weight_fractions


@dataclass(frozen=True)
class FitUncertainty:
    """Standard uncertainties of the phases of a fit, in its order."""

    weight_fraction: np.ndarray  # (p,)
    cell: tuple[tuple[float | None, ...], ...]  # a, b, c, alpha, beta, gamma; None where fixed


def fit_uncertainty(fitter: PatternFitter, fit: PatternFit) -> FitUncertainty:
    """Propagate the covariance of scales and strains to fractions and cells.

    The weights of the fit hold counting noise, model error and the correlation of neighbouring
    residuals, so that the covariance needs only the remaining misfit as a factor.
    """
    if not fit.phases:
        return FitUncertainty(np.empty(0), ())
    normal, scale_at, strain_at = normal_matrix(fitter, fit)
    scaled, size = unit_diagonal(normal)
    covariance = np.linalg.pinv(scaled, rcond=1e-12, hermitian=True) * size[:, None] * size
    covariance = covariance * fit.misfit
    weights = np.array([p.model.weight for p in fit.phases])
    mass = weights * np.array([p.scale for p in fit.phases])
    fractions, total = weight_fractions(fit), max(mass.sum(), 1e-300)
    by_scale = (np.eye(len(mass)) - fractions[:, None]) * weights / total
    spread = by_scale @ covariance[np.ix_(scale_at, scale_at)] @ by_scale.T
    cells = tuple(
        _cell_su(p, covariance[np.ix_(at, at)]) for p, at in zip(fit.phases, strain_at, strict=True)
    )
    return FitUncertainty(np.sqrt(np.maximum(np.diag(spread), 0.0)), cells)


def _cell_su(phase: PhaseFit, covariance: np.ndarray) -> tuple[float | None, ...]:
    """Uncertainty of each cell parameter; None for those that symmetry fixes."""
    step = 1e-6
    base = np.array(phase.model.cell(phase.state))
    jacobian = np.empty((6, len(covariance)))
    for column in range(len(covariance)):
        change = np.zeros(len(covariance) + 2 + (phase.state.axis is not None))
        change[column] = step
        jacobian[:, column] = (np.array(phase.model.cell(phase.state.moved(change))) - base) / step
    fixed = np.all(np.abs(jacobian) < 1e-6 * np.maximum(base, 1.0)[:, None], axis=1)
    su = np.sqrt(np.maximum(np.diag(jacobian @ covariance @ jacobian.T), 0.0))
    return tuple(None if f else float(s) for f, s in zip(fixed, su, strict=True))
