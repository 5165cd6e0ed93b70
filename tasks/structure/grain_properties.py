"""Stiffness, Taylor factors and strength of the grains of a map or volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from xtalfuse.datasets.constants.strength import yield_by_hall_petch
from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.grains.size import grain_size
from xtalfuse.encoders.networks.pairs import grain_stiffness
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.physics.mechanics.plasticity import tabor_hardness, taylor_factor
from xtalfuse.physics.orientation.quaternion import from_axis_angle, multiply
from xtalfuse.tasks.mechanics.grains import predict_stiffness
from xtalfuse.tasks.structure.materials import Material, how_to_say
from xtalfuse.tasks.structure.properties import (
    PLACE_SPREAD,
    Property,
    StiffnessEstimate,
    hill_estimate,
    resampled_mean,
)
from xtalfuse.tasks.structure.stress import MapSolution, solve

FRAME = "x, y, z are the specimen axes of the file's Euler angles"
SECTION = "section: texture assumed uniform in depth"
TURNS = 20  # of each grain, to see how its Taylor factor depends on its orientation
FAIR = "the volume is a fair sample of the material"
UPPER = "model: equal strain in all grains, an upper bound; never a measured yield stress"


def graph_stiffness(
    segmentation: Segmentation, materials: Sequence[Material]
) -> tuple[StiffnessEstimate | None, MapSolution | None, list[str]]:
    """Effective stiffness of the grains, the fields behind it, and what is missing for it.

    A stack of sections on a square grid is homogenized voxel by voxel; of one too large for that,
    or on hexagons, the grain network says it. Of a section, Hill's average is taken: its fields
    are those of columns.
    """
    graph = segmentation.graph
    used = [material for k, material in enumerate(materials) if (graph.phase == k).any()]
    missing = missing_constants(used)
    if not missing and any(material.phase.pore for material in used):
        missing = ["no elastic properties: the average over grains does not hold with pores"]
    if missing:
        return None, None, missing
    none = np.zeros((6, 6))
    constants = [none if m.elastic is None else m.elastic.stiffness for m in materials]
    stiffness = grain_stiffness(graph, constants).numpy()
    flat = graph.dimension == 2
    place = PLACE_SPREAD if flat else 0.0
    middle, samples = hill_estimate(stiffness, graph.size, place=place)
    samples = scattered(samples, used)
    solution = solve(segmentation, stiffness, middle)
    basis = (*constants_used(used), FRAME)
    if flat:
        hill = "Voigt-Reuss-Hill average over the grains"
        return StiffnessEstimate(middle, samples, hill, basis, SECTION), solution, []
    around = samples - samples.mean(axis=0)
    if solution is None:
        return _predicted(graph, constants, around, basis), None, []
    found = np.asarray(solution.homogenized.stiffness, float)
    basis = (*basis, "the volume is repeated periodically")
    method = "FFT homogenization of the voxels"
    return StiffnessEstimate(found, found + around, method, basis, FAIR), solution, []


def _predicted(
    graph: GrainGraph, constants: Sequence[np.ndarray], around: np.ndarray, basis: tuple[str, ...]
) -> StiffnessEstimate:
    """What the grain network says of a graph, with the spread `around` of its grains added."""
    found = predict_stiffness(graph, constants)
    drawn = around + (found.value if found.samples is None else found.samples[: len(around)])
    return StiffnessEstimate(
        found.value, drawn, found.method, (*basis, *found.assumptions), f"{FAIR}; {found.validity}"
    )


def missing_constants(materials: Sequence[Material]) -> list[str]:
    """What to say of each phase whose elastic constants are not known."""
    return [
        f"no elastic properties: {material.phase.name}: {material.found_by}; "
        f"{how_to_say(material.phase)}"
        for material in materials
        if material.elastic is None and not material.phase.pore
    ]


def constants_used(materials: Sequence[Material]) -> list[str]:
    """Whose elastic constants stand for each phase, with the citation."""
    return [
        f"{material.phase.name}: constants of {material.elastic.name} ({material.elastic.citation})"
        for material in materials
        if material.elastic is not None
    ]


def scattered(samples: np.ndarray, used: Sequence[Material], seed: int = 1) -> np.ndarray:
    """Samples with the uncertainty of the single-crystal constants, one factor for all."""
    relative = max(m.elastic.relative_uncertainty for m in used if m.elastic is not None)
    factor = np.random.default_rng(seed).normal(1.0, relative, len(samples))
    return samples * factor[:, None, None]


def taylor_factors(graph: GrainGraph, materials: Sequence[Material], axis: str) -> np.ndarray:
    """(n,) Taylor factor of each grain for tension along an axis; NaN where slip is not known."""
    factor = np.full(len(graph), np.nan)
    for number, material in enumerate(materials):
        inside = graph.phase == number
        if material.slip is not None and inside.any():
            factor[inside] = taylor_factor(graph.orientation[inside], axis, material.slip)
    return factor


def taylor_spread(
    segmentation: Segmentation, materials: Sequence[Material], axis: str, seed: int = 0
) -> np.ndarray:
    """(n,) standard uncertainty of the Taylor factor of each grain from how bent the grain is.

    The grain is turned about random axes by its orientation spread.
    """
    graph = segmentation.graph
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(TURNS):
        about = rng.normal(size=(len(graph), 3))
        turn = from_axis_angle(about, segmentation.gos * rng.normal(size=len(graph)))
        turned = replace(graph, orientation=multiply(turn, graph.orientation))
        drawn.append(taylor_factors(turned, materials, axis))
    return np.std(drawn, axis=0)


def plastic_properties(graph: GrainGraph, materials: Sequence[Material]) -> list[Property]:
    """Mean Taylor factor of each metal for tension along the axes of the specimen."""
    factors = {axis: taylor_factors(graph, materials, axis) for axis in "xyz"}
    properties = []
    for number, material in enumerate(materials):
        inside = graph.phase == number
        if material.slip is None or not inside.any():
            continue
        for axis, factor in factors.items():
            mean, spread = resampled_mean(factor[inside], graph.size[inside])
            properties.append(
                Property(
                    f"taylor_factor_{axis}[{material.phase.name}]",
                    mean,
                    spread,
                    "",
                    f"Bishop and Hill's corners, {material.slip_family} slip",
                    ("full constraints", "one critical stress for all systems"),
                    UPPER if graph.dimension == 3 else f"{UPPER}; {SECTION}",
                )
            )
    return properties


def strength_properties(
    segmentation: Segmentation, materials: Sequence[Material]
) -> list[Property]:
    """Yield by Hall and Petch, and hardness by Tabor, of a specimen of one metal."""
    graph = segmentation.graph
    present = [k for k in range(len(materials)) if (graph.phase == k).any()]
    record = materials[present[0]].strength if len(present) == 1 else None
    intercept = grain_size(segmentation, present[0]).intercept if record is not None else None
    if record is None or intercept is None:
        return []
    found = yield_by_hall_petch(record, intercept.value)
    law = f"sigma_0 + k / sqrt(d), {record.citation}"
    limits = "an empirical law of annealed metal: alloying, cold work and precipitates are not in"
    return [
        Property(
            "yield_stress", found.value_mpa, found.uncertainty_mpa, "MPa", law,
            found.assumptions, limits,
        ),
        Property(
            "hardness", float(tabor_hardness(found.value_mpa)),
            float(tabor_hardness(found.uncertainty_mpa)), "MPa", "Tabor: 3 times the yield stress",
            (*found.assumptions, "no hardening under the indenter"), limits,
        ),
    ]  # fmt: skip
