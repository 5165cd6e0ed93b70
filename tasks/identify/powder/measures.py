"""What fits of one pattern are compared and judged by."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.tasks.identify.powder.fitting.state import PatternFit
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings


def gain(poor: PatternFit, rich: PatternFit, settings: SearchSettings = DEFAULT) -> float:
    """Fall of minus twice the log posterior from one fit to another, per unit misfit.

    Parameters
    ----------
    poor, rich : fits of one pattern
    settings : of the search
    """
    misfit = min(rich.misfit, settings.most_misfit)
    return (poor.score(misfit) - rich.score(misfit)) / misfit


def repeats(fit: PatternFit, signal: PatternSignal, settings: SearchSettings = DEFAULT) -> bool:
    """Whether the last phase has hardly a line of its own beside those of the earlier ones.

    So it is with an isotype of nearly the same cell, and with a lattice whose lines are all
    among those of a larger one. A line of another phase covers those within a third of a peak
    width that are at most twice as strong, and those within a whole width that are weaker than
    the error of its own calculated profile.

    Parameters
    ----------
    fit : of the pattern
    signal : the pattern
    settings : of the search
    """
    lines = [
        (
            p.model.positions(p.state, fit.instrument),
            p.scale * p.model.seen_strength(p.state, fit.instrument),
        )
        for p in fit.phases
    ]
    position, strength = lines[-1]
    inside = signal.measured(position)
    inside &= strength > 0.01 * strength.max(initial=0.0)
    position, strength = position[inside], strength[inside]
    own = np.ones(len(position), bool)
    for other, height in lines[:-1]:
        distance = np.abs(position[:, None] - other) / signal.fwhm_deg
        covered = (distance < 0.33) & (height >= 0.5 * strength[:, None])
        covered |= (distance < 1.0) & (settings.error_at_peaks * height >= strength[:, None])
        own &= ~covered.any(axis=1)
    weight = np.sqrt(strength)
    return float(weight[own].sum()) < settings.own_lines * max(float(weight.sum()), 1e-300)


def common_strain(fit: PatternFit, settings: SearchSettings = DEFAULT) -> float:
    """Isotropic strain that all major phases share, 0 if they do not agree.

    One phase may be a solid solution; that unrelated phases all differ from their references
    by the same strain points to the angle axis, the wavelength or the temperature.
    """
    height = np.array([p.scale for p in fit.phases])
    strain = np.array([p.state.strain[0] / np.sqrt(3.0) for p in fit.phases])
    major = height > settings.major_height * height.max(initial=0.0)
    if major.sum() < 2:
        return 0.0
    strain, weight = strain[major], np.sqrt(height[major])
    near = np.abs(strain[:, None] - strain) < settings.strain_agreement
    together = near & (near.sum(axis=1) >= 2)[:, None]
    best = int(np.argmax(together @ weight))
    agree = together[best]
    if weight[agree].sum() < settings.agreeing_share * weight.sum():
        return 0.0
    return float(np.average(strain[agree], weights=weight[agree]))


def unexplained_share(signal: PatternSignal, fit: PatternFit) -> float:
    """Intensity more than two standard deviations above the fit, over all above background."""
    residual = signal.intensity - fit.calculated
    beyond = np.maximum(residual - 2.0 * np.sqrt(fit.variance), 0.0)
    net = np.maximum(signal.intensity - fit.background, 0.0)
    return float(beyond.sum() / max(float(net.sum()), 1e-12))


def weight_fractions(fit: PatternFit) -> np.ndarray:
    """(p,) mass fractions: scale times mass and volume of the cell (Hill & Howard, 1987,
    J. Appl. Cryst. 20, 467)."""
    mass = np.array([p.scale * p.model.weight for p in fit.phases])
    total = mass.sum()
    return mass / total if total > 0 else mass
