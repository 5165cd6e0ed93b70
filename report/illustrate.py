"""Which figures there are of a microstructure, and what each shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.grains.size import grain_size
from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.report.figures import map as of_map
from xtalfuse.report.figures import volume as of_volume
from xtalfuse.report.figures.poles import inverse_pole_figures, pole_figures
from xtalfuse.report.figures.stiffness import modulus_figure
from xtalfuse.tasks.structure.result import Microstructure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Illustration:
    """A figure that is drawn when it is asked for: ``name.png`` and its caption."""

    name: str
    caption: str
    draw: Callable[[], Figure]


def illustrations(found: Microstructure) -> list[Illustration]:
    """Every figure that a map or volume gives, the most telling first."""
    if isinstance(found.source, VolumeSegmentation):
        drawn = _of_volume(found.source, found.measurement.values)
    else:
        drawn = [*_of_map(found.source), *_of_grains(found, found.source)]
    estimate = found.stiffness
    # where nothing is carried along an axis, there is no modulus by direction
    if estimate is not None and estimate.value.diagonal().all():
        caption = f"Young's modulus by direction: {estimate.method}; {estimate.validity}."
        drawn.append(Illustration("youngs_modulus", caption, partial(modulus_figure, estimate)))
    return drawn


def _of_map(source: Segmentation) -> list[Illustration]:
    """Figures of the map, or of the middle section of a stack."""
    graph = source.graph
    drawn = [
        Illustration(
            "directions",
            "Crystal directions along the axes of the specimen; colours as in the triangle.",
            partial(of_map.direction_figure, source),
        ),
        Illustration(
            "grains",
            "Grains. Colours only tell neighbours apart.",
            partial(of_map.grain_figure, source),
        ),
        Illustration(
            "boundaries",
            "Boundaries by disorientation, twins and boundaries of phases.",
            partial(of_map.boundary_figure, source),
        ),
        Illustration(
            "bending",
            "Kernel average misorientation: where the lattice is bent.",
            partial(of_map.bending_figure, source),
        ),
        Illustration(
            "grain_size",
            "Diameters of grains that the edge does not cut.",
            partial(of_map.size_figure, source, grain_size(source)),
        ),
    ]
    if len(graph.phases) > 1:
        phases = Illustration("phases", "Phases.", partial(of_map.phase_figure, source))
        drawn.insert(1, phases)
    for number, phase in enumerate(graph.phases):
        if phase.laue is not None and (graph.phase == number).any():
            drawn += _of_texture(source, number, phase.name)
    return drawn


def _of_texture(source: Segmentation, number: int, name: str) -> list[Illustration]:
    return [
        Illustration(
            f"poles_{number}",
            f"Pole figures of {name}: density of plane normals, upper half, equal area.",
            partial(pole_figures, source, number),
        ),
        Illustration(
            f"inverse_poles_{number}",
            f"Inverse pole figures of {name}: density of the crystal directions along the axes of "
            "the specimen.",
            partial(inverse_pole_figures, source, number),
        ),
    ]


def _of_grains(found: Microstructure, source: Segmentation) -> list[Illustration]:
    """Maps of what was calculated of each grain and each point."""
    drawn = []
    if (factor := found.grain_columns.get("taylor_factor_x")) is not None:
        drawn.append(
            Illustration(
                "taylor",
                "Taylor factor of each grain for tension along x, full constraints: a model, dark "
                "grains yield last.",
                partial(of_map.taylor_figure, source, factor),
            )
        )
    if found.stress_field is not None:
        grains = "columns along z" if source.graph.dimension == 2 else "a periodic volume"
        drawn.append(
            Illustration(
                "stress",
                f"Stress along x under tension along x, relative to its mean: elastic, grains as "
                f"{grains}, specimen axes taken for those of the map.",
                partial(of_map.stress_figure, source, found.stress_field),
            )
        )
    return drawn


def _of_volume(source: VolumeSegmentation, grey: np.ndarray) -> list[Illustration]:
    drawn = [
        Illustration(
            "slices",
            "Three slices through the middle: what was measured, and phases and bodies found.",
            partial(of_volume.slices_figure, source, grey),
        )
    ]
    if source.thresholds is not None:
        drawn.append(
            Illustration(
                "histogram",
                "Grey values away from boundaries, and the cuts between the phases.",
                partial(of_volume.histogram_figure, source),
            )
        )
    return drawn + [
        Illustration(
            f"sizes_{number}",
            f"Sizes of the bodies of {phase.name}.",
            partial(of_volume.size_figure, source, number),
        )
        for number, phase in enumerate(source.phases)
        if len(source.diameters(number)) > 1
    ]
