"""How the grains yield: Taylor factors, yield stress, hardness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xtalfuse.datasets.constants.strength import yield_by_hall_petch
from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.grains.size import grain_size
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.physics.mechanics.plasticity import tabor_hardness, taylor_factor
from xtalfuse.physics.orientation.quaternion import from_axis_angle, multiply
from xtalfuse.tasks.structure.materials import Material
from xtalfuse.tasks.structure.properties.base import (
    MAPS,
    SECTION,
    PropertyRule,
    Structure,
    resampled_mean,
)

TURNS = 20  # of each grain, to see how its Taylor factor depends on its orientation
UPPER = "model: equal strain in all grains, an upper bound; never a measured yield stress"


def taylor_factors(graph: GrainGraph, materials: Sequence[Material], axis: str) -> np.ndarray:
    """Taylor factor of each grain for tension along an axis.

    Parameters
    ----------
    graph : of a map
    materials : of its phases
    axis : ``"x"``, ``"y"`` or ``"z"`` of the specimen

    Returns
    -------
    (n,), NaN where slip is not known
    """
    factor = np.full(len(graph), np.nan)
    for number, material in enumerate(materials):
        inside = graph.phase == number
        if material.slip is not None and inside.any():
            factor[inside] = taylor_factor(graph.orientation[inside], axis, material.slip)
    return factor


def taylor_spread(
    segmentation: Segmentation, materials: Sequence[Material], axis: str, seed: int = 0
) -> np.ndarray:
    """Standard uncertainty of the Taylor factor of each crystal from how bent it is.

    The crystal is turned about random axes by its orientation spread.

    Parameters
    ----------
    segmentation : of a map
    materials, axis : as of :func:`taylor_factors`
    seed : of the turns

    Returns
    -------
    (c,)
    """
    graph = segmentation.crystals
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(TURNS):
        about = rng.normal(size=(len(graph), 3))
        turn = from_axis_angle(about, segmentation.crystal_gos * rng.normal(size=len(graph)))
        turned = replace(graph, orientation=multiply(turn, graph.orientation))
        drawn.append(taylor_factors(turned, materials, axis))
    return np.std(drawn, axis=0)


def _taylor(structure: Structure) -> list[Estimate]:
    """Mean Taylor factor of each metal for tension along the axes of the specimen."""
    graph = structure.crystals
    factors = {axis: taylor_factors(graph, structure.materials, axis) for axis in "xyz"}
    found = []
    for number, material in structure.present:
        if material.slip is None:
            continue
        inside = graph.phase == number
        for axis, factor in factors.items():
            mean, spread = resampled_mean(factor[inside], graph.size[inside])
            found.append(
                Estimate(
                    "taylor_factor",
                    mean,
                    spread,
                    "",
                    f"Bishop and Hill's corners, {material.slip_family} slip",
                    ("full constraints", "one critical stress for all systems"),
                    UPPER if structure.kind == "stack" else f"{UPPER}; {SECTION}",
                    phase=material.phase.name,
                    direction=axis,
                )
            )
    return found


def _strength(structure: Structure) -> list[Estimate]:
    """Yield by Hall and Petch, and hardness by Tabor, of a specimen of one metal."""
    if len(structure.present) != 1:
        return []
    number, material = structure.present[0]
    intercept = grain_size(structure.map, number).intercept
    if material.strength is None or intercept is None:
        return []
    found = yield_by_hall_petch(material.strength, intercept.value)
    hardness = replace(
        found,
        quantity="hardness",
        value=float(tabor_hardness(found.value)),
        uncertainty=float(tabor_hardness(found.uncertainty)),
        method="Tabor: 3 times the yield stress",
        assumptions=(*found.assumptions, "no hardening under the indenter"),
    )
    return [found, hardness]


RULES = (
    PropertyRule(
        "taylor_factor", {"taylor_factor": "Taylor factor"}, MAPS, _taylor, frozenset(("slip",))
    ),
    PropertyRule(
        "strength",
        {"yield_stress": "Yield stress (Hall-Petch)", "hardness": "Hardness (Tabor)"},
        MAPS,
        _strength,
        frozenset(("strength",)),
    ),
)
