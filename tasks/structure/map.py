"""Grains of an orientation map, and the properties that follow from them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation, segment
from xtalfuse.encoders.grains.twins import twin_notes
from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.crystal_map import CrystalMap
from xtalfuse.tasks.structure.materials import Material, distinct, materials_of
from xtalfuse.tasks.structure.properties.base import Structure
from xtalfuse.tasks.structure.properties.plastic import taylor_factors, taylor_spread
from xtalfuse.tasks.structure.result import Microstructure
from xtalfuse.tasks.structure.stiffness import grain_mechanics

FEW_GRAINS = 50


def analyse_map(
    measurement: Measurement, phases: Sequence[str] | Mapping[str, str] = (), **options: Any
) -> Microstructure:
    """Grains and properties of an orientation map or of a stack of its sections.

    Parameters
    ----------
    measurement : of modality EBSD
    phases : which material each phase is, as
        :func:`xtalfuse.tasks.structure.materials.materials_of` takes it; phases that are
        not given are looked up by their name in the file
    options : as for :func:`xtalfuse.encoders.grains.map.segment`

    Raises
    ------
    ValueError
        If the measurement is no map, no grain is found, or a material is not known.
    """
    crystal_map = measurement.crystal_map
    if measurement.modality is not Modality.EBSD or crystal_map is None:
        raise ValueError(f"{measurement.provenance.path}: {measurement.modality} is no map")
    crystal_map = _with_distinct_names(crystal_map)
    materials = materials_of(crystal_map.phases, phases)
    if not (crystal_map.phase >= 0).any():
        raise ValueError(
            f"{measurement.provenance.path}: no point is indexed; index its patterns again"
        )
    started = time.perf_counter()
    segmentation = segment(crystal_map, **options)
    segmented = time.perf_counter()
    mechanics = grain_mechanics(segmentation, materials)
    return Microstructure.of(
        measurement,
        Structure(
            segmentation, segmentation.graph, materials, mechanics.stiffness, mechanics.stress
        ),
        warnings=(*mechanics.warnings, *_cautions(segmentation)),
        times=(started, segmented),
        grain_columns=_of_each_grain(segmentation, materials, mechanics.stress),
        boundary_columns={"sigma": segmentation.sigma},
        stress_field=mechanics.field,
    )


def _with_distinct_names(crystal_map: CrystalMap) -> CrystalMap:
    """The map with names of phases that no two share."""
    names = distinct([phase.name for phase in crystal_map.phases])
    phases = zip(crystal_map.phases, names, strict=True)
    return replace(crystal_map, phases=tuple(replace(p, name=name) for p, name in phases))


def _of_each_grain(
    segmentation: Segmentation, materials: Sequence[Material], stress: Estimate | None
) -> dict[str, np.ndarray]:
    """Columns of the grain table."""
    columns = {"points": segmentation.points, "gos_deg": np.degrees(segmentation.gos)}
    of_grains = segmentation.of_grains
    factor = taylor_factors(segmentation.crystals, materials, "x")
    if np.isfinite(factor).any():
        columns["taylor_factor_x"] = of_grains(factor)
        columns["taylor_factor_x_su"] = of_grains(taylor_spread(segmentation, materials, "x"))
    if stress is not None:
        columns["stress_xx_relative"] = of_grains(stress.value)
        if stress.uncertainty is not None:
            columns["stress_xx_relative_su"] = of_grains(stress.uncertainty)
    return columns


def _cautions(segmentation: Segmentation) -> list[str]:
    told = []
    count = len(segmentation.graph)
    if count < FEW_GRAINS:
        grains = "grain" if count == 1 else "grains"
        told.append(f"only {count} {grains}: what is said of the material is said of no more")
    graph = segmentation.crystals
    if segmentation.twins_merged:
        told += twin_notes([p for k, p in enumerate(graph.phases) if (graph.phase == k).any()])
    clean = segmentation.clean_up
    points = len(segmentation.grain)
    repaired = clean.small_points + clean.not_indexed
    if repaired > 0.1 * points:
        told.append(
            f"{repaired / points:.0%} of the points were not indexed or lay in grains too small "
            "to count: look at the grain map"
        )
    spread = np.degrees(segmentation.gos)
    if bent := int((spread > segmentation.threshold_deg).sum()):
        told.append(
            f"grains that are bent, by up to {spread.max():.0f} degrees (GOS): {bent} of {count}; "
            "strained, or several in one; their stiffness is that of their points, what else is "
            "said of orientation is of their mean"
        )
    cut = int(segmentation.graph.on_border.sum())
    if cut == count:
        told.append("the edge of the map cuts every grain: they have no size")
    elif cut > 0.5 * count:
        told.append(
            f"the edge of the map cuts {cut} of {count} grains: "
            "grain sizes are of the others and too small"
        )
    return told
