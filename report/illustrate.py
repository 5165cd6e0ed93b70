"""Which figures there are of a microstructure, and what each shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

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
        drawn.append(_drawn("youngs_modulus", caption, modulus_figure, estimate))
    return drawn


def _drawn(name: str, caption: str, draw: Callable[..., Figure], *of: Any) -> Illustration:
    return Illustration(name, caption, partial(draw, *of))


def _of_map(source: Segmentation) -> list[Illustration]:
    """Figures of the map, or of the middle section of a stack."""
    graph = source.graph
    drawn = [
        _drawn("directions", "Crystal directions along the axes of the specimen; colours as in the "
               "triangle.", of_map.direction_figure, source),
        _drawn("grains", "Grains. Colours only tell neighbours apart.", of_map.grain_figure,
               source),
        _drawn("boundaries", "Boundaries by disorientation, twins and boundaries of phases.",
               of_map.boundary_figure, source),
        _drawn("bending", "Kernel average misorientation: where the lattice is bent.",
               of_map.bending_figure, source),
        _drawn("grain_size", "Diameters of grains that the edge does not cut.", of_map.size_figure,
               source, grain_size(source)),
    ]  # fmt: skip
    if len(graph.phases) > 1:
        drawn.insert(1, _drawn("phases", "Phases.", of_map.phase_figure, source))
    for number, phase in enumerate(graph.phases):
        if phase.laue is not None and (graph.phase == number).any():
            drawn += [
                _drawn(f"poles_{number}", f"Pole figures of {phase.name}: density of plane "
                       "normals, upper half, equal area.", pole_figures, source, number),
                _drawn(f"inverse_poles_{number}", f"Inverse pole figures of {phase.name}: density "
                       "of the crystal directions along the axes of the specimen.",
                       inverse_pole_figures, source, number),
            ]  # fmt: skip
    return drawn


def _of_grains(found: Microstructure, source: Segmentation) -> list[Illustration]:
    """Maps of what was calculated of each grain and each point."""
    drawn = []
    if (factor := found.grain_columns.get("taylor_factor_x")) is not None:
        caption = (
            "Taylor factor of each grain for tension along x, full constraints: a model, dark "
            "grains yield last."
        )
        drawn.append(_drawn("taylor", caption, of_map.taylor_figure, source, factor))
    if found.stress_field is not None:
        grains = "columns along z" if source.graph.dimension == 2 else "a periodic volume"
        caption = (
            "Stress along x under tension along x, relative to its mean: elastic, grains as "
            f"{grains}, specimen axes taken for those of the map."
        )
        drawn.append(_drawn("stress", caption, of_map.stress_figure, source, found.stress_field))
    return drawn


def _of_volume(source: VolumeSegmentation, grey: np.ndarray) -> list[Illustration]:
    caption = "Three slices through the middle: what was measured, and phases and bodies found."
    drawn = [_drawn("slices", caption, of_volume.slices_figure, source, grey)]
    if source.thresholds is not None:
        caption = "Grey values away from boundaries, and the cuts between the phases."
        drawn.append(_drawn("histogram", caption, of_volume.histogram_figure, source))
    for number, phase in enumerate(source.phases):
        if len(source.diameters(number)) > 1:
            caption = f"Sizes of the bodies of {phase.name}."
            drawn.append(_drawn(f"sizes_{number}", caption, of_volume.size_figure, source, number))
    return drawn
