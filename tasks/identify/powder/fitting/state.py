"""What a full-pattern fit starts from and what it ends with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.physics.crystal.powder import InstrumentState, PhaseModel, PhaseState


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
    freedom : sum of the logs of variance over noise: what an error that the model gives itself
        costs, the other term of the Gaussian log likelihood
    penalty : minus twice the log prior of the parameters, up to a constant
    independent : number of independent points
    """

    phases: tuple[PhaseFit, ...]
    instrument: InstrumentState
    background: np.ndarray
    calculated: np.ndarray
    variance: np.ndarray
    chi2: float
    freedom: float
    penalty: float
    independent: float

    @property
    def objective(self) -> float:
        """Quantity that the fit minimises."""
        return self.chi2 + self.freedom + self.penalty

    def score(self, misfit: float) -> float:
        """Objective in which priors weigh as much as data whose errors are `misfit` too small.

        Hypotheses are compared by it, all with the misfit of the best of them.
        """
        return self.chi2 + self.freedom + misfit * self.penalty

    @property
    def misfit(self) -> float:
        """Reduced chi^2 that model error and correlation leave over, at least 1.

        What no set of phases explains (peak shape, strain broadening) must not count as
        evidence for one more phase: differences of the objective are divided by this.
        """
        return max(1.0, self.chi2 / self.independent)


def background_basis(signal: PatternSignal) -> np.ndarray:
    """(n, k) Chebyshev polynomials, 1/2theta, which air scatter follows at low angle, and what was
    seen under the peaks: halos of a holder or of amorphous matter that no polynomial follows."""
    low, high = signal.range_deg
    x = 2.0 * (signal.two_theta_deg - low) / (high - low) - 1.0
    degree = int(np.clip(5 + (high - low) / 12.0, 5, 16))
    inverse = low / signal.two_theta_deg
    seen = signal.background / max(float(np.abs(signal.background).max()), 1e-300)
    return np.column_stack([np.polynomial.chebyshev.chebvander(x, degree), inverse, seen])


def start_instrument(signal: PatternSignal) -> InstrumentState:
    """Widths guessed from the sharper of the observed peaks."""
    strong = signal.peaks.significance > 10.0
    widths = signal.peaks.fwhm_deg[strong] if strong.any() else np.array([signal.fwhm_deg])
    sharp = float(np.clip(np.percentile(widths, 25), 0.3 * signal.fwhm_deg, 1.5 * signal.fwhm_deg))
    # a beam is chosen to fit the specimen at the lowest angle, roughly
    spill = float(np.clip(1.5 * np.sin(np.radians(signal.range_deg[0]) / 2.0), 0.02, 0.15))
    return InstrumentState(gauss=0.6 * sharp, gauss_tan=0.02, spill=spill)
