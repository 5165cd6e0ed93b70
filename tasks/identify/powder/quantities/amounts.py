"""Weight fractions as they are reported: freed of microabsorption, with all that is uncertain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from xtalfuse.physics.crystal.absorption import absorption_per_cm, microabsorption
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.tasks.identify.answer import UncertaintyParts
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit, PhaseFit

# Reagents and micronised powders have grains of 1 to 4 um. The phase that absorbs least is always
# seen too strong, so that a correction for 2 um is nearer than none; its size, half of what the
# coarser end would ask for in addition, is as uncertain as the grains.
GRAIN_UM = 2.0
# Relative error of the intensity of a phase that has none of the other reasons: positions of
# atoms, surface, damaged crystals. Chosen in sight of the weighed mixtures; docs/benchmarks.md.
STRUCTURE = 0.02


class Parts(NamedTuple):
    """A standard uncertainty by what it comes from; the parts are independent.

    Parameters
    ----------
    fit : counting noise, with the misfit and correlation of the residuals
    model : structures, graininess, texture, microabsorption
    instrument : alignment and profile of the instrument
    """

    fit: float
    model: float = 0.0
    instrument: float = 0.0

    @property
    def total(self) -> float:
        """Root of the sum of squares."""
        return float(np.sqrt(self.fit**2 + self.model**2 + self.instrument**2))

    def to_dict(self) -> UncertaintyParts:
        """Plain values, rounded for a report."""
        fit, model, instrument = (float(f"{value:.3g}") for value in self)
        return {"fit": fit, "model": model, "instrument": instrument}


def amounts(
    apparent: np.ndarray,
    su: np.ndarray,
    fit: PatternFit,
    crystals: Sequence[Crystal],
    other: np.ndarray | None = None,
) -> tuple[np.ndarray, tuple[Parts, ...]]:
    """(p,) weight fractions from how strong the phases look, and their uncertainties.

    Relative errors e of the phases are independent of each other, so that the fractions f have
    the errors ``f_i (e_i - sum_j f_j e_j)``.

    Parameters
    ----------
    apparent, su : (p,) weight fractions as fitted, and their uncertainty by the fit
    fit : of the phases, with their freed intensities
    crystals : of the phases
    other : (p,) fractions by another model of the same pattern, where there is one
    """
    if not fit.phases:
        return apparent, ()
    wavelength = fit.phases[0].model.radiation.mean_angstrom
    mu = np.array([absorption_per_cm(c, wavelength) for c in crystals])
    density = np.array([c.density_g_cm3 for c in crystals])
    fractions = microabsorption(apparent, mu, density, GRAIN_UM)
    hidden = np.log(np.maximum(fractions, 1e-12) / np.maximum(apparent, 1e-12))
    relative = np.array([intensity_error(phase, fit) for phase in fit.phases])
    if other is not None:
        # two models of one pattern differ by the root of 2 of the error of each
        apart = np.log(np.maximum(other, 1e-4) / np.maximum(apparent, 1e-4))
        relative = np.hypot(relative, np.clip(np.abs(apart), 0.0, 1.0) / np.sqrt(2.0))
    grow = np.diag(fractions) - np.outer(fractions, fractions)
    independent = (grow**2) @ (relative**2 + STRUCTURE**2)
    by_grains = grow @ hidden  # all grains are of one size: its error is common
    model = np.sqrt(independent + by_grains**2)
    return fractions, tuple(Parts(float(f), float(m)) for f, m in zip(su, model, strict=True))


def intensity_error(phase: PhaseFit, fit: PatternFit) -> float:
    """Relative error of the scale of a phase, from how its intensities scatter about the model.

    The scatter of the freed intensities over the root of the number of reflections that share
    the intensity: few grains and texture make single reflections too strong or too weak.
    """
    if phase.state.adjust is None:
        return 0.0
    bare = replace(phase.state, adjust=None)
    strength = np.nan_to_num(phase.model.seen_strength(bare, fit.instrument))
    share = strength / max(float(strength.sum()), 1e-300)
    excess = np.log(np.maximum(phase.state.adjust, 1e-2))
    scatter = np.average((excess - np.average(excess, weights=share)) ** 2, weights=share)
    return float(np.sqrt(scatter * np.sum(share**2)))
