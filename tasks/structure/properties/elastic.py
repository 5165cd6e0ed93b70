"""What follows from the effective stiffness: moduli, anisotropy, spread of stress."""

from __future__ import annotations

from functools import partial

import numpy as np

from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.mechanics.elasticity import (
    hill_moduli,
    universal_anisotropy,
    voigt_from_mandel,
    youngs_modulus,
)
from xtalfuse.tasks.structure.properties.base import ALL, MAPS, VOLUMES, PropertyRule, Structure

# isotropic moduli and their units
MODULI = {
    "bulk_modulus": "GPa",
    "shear_modulus": "GPa",
    "youngs_modulus": "GPa",
    "poisson_ratio": "",
}
AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def mean_modulus(name: str, stiffness: np.ndarray) -> float:
    """One of `MODULI` of the mean over all directions of an anisotropic body, Hill's of bounds."""
    return float(dict(zip(MODULI, hill_moduli(stiffness), strict=True))[name])


def modulus_along(axis: str, stiffness: np.ndarray) -> float:
    """Young's modulus along ``"x"``, ``"y"`` or ``"z"``; 0 where a body carries nothing there.

    Rows of zeros in the stiffness (6, 6) are stresses that the body cannot bear.
    """
    borne: list[int] = np.flatnonzero(np.diagonal(stiffness)).tolist()
    place = list(AXES).index(axis)
    if place not in borne:
        return 0.0
    if len(borne) == len(stiffness):
        return float(youngs_modulus(stiffness, np.array(AXES[axis])))
    compliance = np.linalg.inv(stiffness[np.ix_(borne, borne)])
    return 1.0 / float(np.diagonal(compliance)[borne.index(place)])


def elastic_properties(stiffness: Estimate) -> list[Estimate]:
    """Stiffness, Young's modulus along the axes of the specimen, isotropic moduli, anisotropy."""
    found = [stiffness.derived("stiffness_voigt", voigt_from_mandel, "GPa")]
    for axis in AXES:
        found.append(stiffness.derived("youngs_modulus", partial(modulus_along, axis), "GPa", axis))
    if not np.diagonal(stiffness.value).all():  # along an axis nothing is carried
        return found
    for name, unit in MODULI.items():
        found.append(stiffness.derived(name, partial(mean_modulus, name), unit))
    return [*found, stiffness.derived("universal_anisotropy", universal_anisotropy, "")]


def _elastic(structure: Structure) -> list[Estimate]:
    return [] if structure.stiffness is None else elastic_properties(structure.stiffness)


def _stress_spread(structure: Structure) -> list[Estimate]:
    found, size = structure.stress, structure.crystals.size
    if found is None:
        return []
    mean = np.average(found.value, weights=size)
    spread = float(np.sqrt(np.average((found.value - mean) ** 2, weights=size)))
    return [
        Estimate(
            "grain_stress_spread", spread, None, "", found.method, found.assumptions,
            found.validity, direction="x",
        )
    ]  # fmt: skip


def _longitudinal(structure: Structure) -> list[Estimate]:
    """Stress over strain along an axis, without strain across."""
    stiffness = structure.stiffness
    if stiffness is None:
        return list(structure.moduli)
    return [
        stiffness.derived("longitudinal_modulus", partial(_diagonal, i), "GPa", axis)
        for i, axis in enumerate(AXES)
    ]


def _diagonal(place: int, stiffness: np.ndarray) -> float:
    return float(stiffness[place, place])


RULES = (
    PropertyRule(
        "elastic",
        {
            "stiffness_voigt": "Stiffness",
            "youngs_modulus": "Young's modulus",
            "bulk_modulus": "Bulk modulus K",
            "shear_modulus": "Shear modulus G",
            "poisson_ratio": "Poisson's ratio",
            "universal_anisotropy": "Universal anisotropy",
        },
        ALL,
        _elastic,
        frozenset(("stiffness",)),
    ),
    PropertyRule(
        "longitudinal_modulus",
        {"longitudinal_modulus": "Longitudinal modulus"},
        VOLUMES,
        _longitudinal,
    ),
    PropertyRule(
        "grain_stress_spread",
        {"grain_stress_spread": "Spread of the stress in grains under tension"},
        MAPS,
        _stress_spread,
        frozenset(("stress",)),
    ),
)
