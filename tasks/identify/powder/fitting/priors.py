"""Priors of the parameters of a full-pattern fit: normal, and heavy-tailed for graininess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from xtalfuse.physics.crystal.powder import SHARED, InstrumentState, PhaseState
from xtalfuse.tasks.identify.powder.settings import DEFAULT, SearchSettings


@dataclass(frozen=True)
class Chemistry:
    """What it costs that a specimen holds the elements of some phases.

    Parameters
    ----------
    elements : of each library entry
    cost : of each element, minus twice the log odds that it is there; 0 where it is likely
    """

    elements: Mapping[int, frozenset[str]] = field(default_factory=dict)
    cost: Mapping[str, float] = field(default_factory=dict)

    def of(self, entries: Iterable[int]) -> float:
        """Of all elements of these entries together: one that two phases share counts once."""
        held = frozenset().union(*(self.elements.get(e, frozenset()) for e in entries))
        return sum(self.cost.get(e, 0.0) for e in sorted(held))


USUAL_WIDTHS = (0.03, 0.05)  # size and microstrain of a well crystallised phase, deg


def phase_values(state: PhaseState) -> np.ndarray:
    """(k,) strain, size, microstrain and, with a texture, its r."""
    own = [state.size, state.microstrain] + ([state.texture] if state.axis is not None else [])
    return np.concatenate([state.strain, own])


def phase_prior(state: PhaseState, settings: SearchSettings) -> tuple[np.ndarray, np.ndarray]:
    """(k,) mean and (k,) standard deviation of the values of a phase.

    The data of a solid solution move its cell all the same, but between two isotypes the
    nearer cell is preferred.
    """
    p = len(state.strain)
    mean = np.concatenate([np.zeros(p), USUAL_WIDTHS])
    sigma = np.concatenate(
        [
            [settings.prior_strain * np.sqrt(3.0)],
            np.full(p - 1, settings.prior_deviatoric),
            [settings.prior_size, settings.prior_microstrain],
        ]
    )
    if state.axis is not None:
        mean, sigma = np.append(mean, 1.0), np.append(sigma, settings.prior_texture)
    return mean, sigma


def instrument_values(state: InstrumentState) -> np.ndarray:
    """(8,) in the order of `SHARED`."""
    return np.array([getattr(state, name) for name in SHARED])


def instrument_sigma(settings: SearchSettings) -> np.ndarray:
    """(8,) standard deviations about the instrument that a fit starts from."""
    return np.array([getattr(settings, f"prior_{name}") for name in SHARED])


def penalty(
    states: list[PhaseState],
    instrument: InstrumentState,
    start: InstrumentState,
    settings: SearchSettings,
) -> float:
    """Minus twice the log prior of all parameters, up to a constant.

    Parameters
    ----------
    states : of the phases
    instrument : that they share
    start : centre of its prior
    settings : widths of the priors
    """
    off = (instrument_values(instrument) - instrument_values(start)) / instrument_sigma(settings)
    value = sum(float(o) ** 2 for o in off)
    for state in states:
        mean, sigma = phase_prior(state, settings)
        value += float(np.sum(((phase_values(state) - mean) / sigma) ** 2))
        value += graininess_penalty(state, settings)
    return value


def graininess_penalty(state: PhaseState, settings: SearchSettings = DEFAULT) -> float:
    """Minus twice the log Student t prior of the freed intensities, one term for each group."""
    if state.adjust is None:
        return 0.0
    freedom = settings.grain_freedom
    delta = (np.unique(state.adjust) - 1.0) / settings.grain_spread
    return float((freedom + 1.0) * np.sum(np.log1p(delta**2 / freedom)))
