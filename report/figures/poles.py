"""Pole figures and inverse pole figures of an orientation map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.report.figures.colour_key import draw_outline, triangle_grid
from xtalfuse.report.figures.pattern import INK, STYLE, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS = 101  # along the diameter of a pole figure
TRIANGLE_STEP = 5  # of the pixels of a colour key one in so many gets a density, to save time
COLOURS = "magma_r"


def pole_figures(segmentation: Segmentation, phase: int) -> Figure:
    """Density of three families of planes of one phase, upper half, equal area.

    Raises
    ------
    ValueError
        If the phase has no orientation or the map no point of it.
    """
    from xtalfuse.physics.orientation.pole_density import from_disc, plane_families, pole_figure

    orientation, laue = _points_of(segmentation, phase)
    side = (np.arange(PIXELS) + 0.5) * 2.0 / PIXELS - 1.0
    xy = np.stack(np.meshgrid(side, side), axis=-1)
    inside = (xy**2).sum(axis=-1) < 1.0
    panels = []
    for name, normals in plane_families(laue):
        image = np.ma.array(np.zeros(inside.shape), mask=~inside)
        image[inside] = pole_figure(orientation, normals)(from_disc(xy[inside]))
        panels.append((name, image, None))
    return _three(_title(segmentation, phase), panels, (-1, 1, -1, 1), _draw_rim, 3.5)


def inverse_pole_figures(segmentation: Segmentation, phase: int) -> Figure:
    """Density of the crystal directions that lie along x, y and z of the specimen.

    Raises
    ------
    ValueError
        If the phase has no orientation or the map no point of it.
    """
    from xtalfuse.physics.orientation.pole_density import inverse_pole_figure

    orientation, laue = _points_of(segmentation, phase)
    directions, inside, extent = triangle_grid(laue, TRIANGLE_STEP)
    flat, panels = directions.reshape(-1, 3), []
    for name, direction in zip("xyz", np.eye(3), strict=True):
        density = inverse_pole_figure(orientation, direction, laue, flat).reshape(inside.shape)
        panels.append((f"∥ {name}", density, float(density[inside].max())))
    outline = partial(draw_outline, laue=laue)
    return _three(_title(segmentation, phase), panels, extent, outline, 3.2)


def _three(
    title: str,
    panels: Sequence[tuple[str, Any, float | None]],
    extent: Any,
    outline: Callable[[Axes], None],
    height: float,
) -> Figure:
    """Three densities beside each other, each in its outline: (name, image, highest value)."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, height), layout="constrained")
        for axes, (name, image, top) in zip(figure.subplots(1, 3), panels, strict=True):
            shown = axes.imshow(
                image, extent=extent, origin="lower", cmap=COLOURS, vmin=0.0, vmax=top,
                interpolation="bilinear",
            )  # fmt: skip
            outline(axes)
            shown.set_clip_path(axes.patches[0])
            rim = outline is _draw_rim  # its letters stand where the title would
            axes.set_title(name, fontsize=10.5, pad=16 if rim else None)
            bar = figure.colorbar(shown, ax=axes, shrink=0.75, pad=0.02 if rim else 0.12)
            bar.outline.set_visible(False)
        figure.suptitle(title, fontsize=10, color=INK)
    return figure


def _points_of(segmentation: Segmentation, phase: int) -> tuple[np.ndarray, str]:
    """Orientations of the points of a phase, and its Laue group."""
    points = segmentation.crystal_map
    laue = points.phases[phase].laue
    inside = points.phase == phase
    if laue is None or not inside.any():
        raise ValueError(f"no orientations of {points.phases[phase].name}: there is no pole figure")
    return points.orientation[inside], laue


def _title(segmentation: Segmentation, phase: int) -> str:
    grains = int((segmentation.graph.phase == phase).sum())
    name = plain(segmentation.crystal_map.phases[phase].name)
    return f"{name}: multiples of a uniform distribution, {grains} grains"


def _draw_rim(axes: Axes) -> None:
    """Circle with the specimen axes x to the right and y up; z points at the reader."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0.0, 0.0), 1.0, fill=False, edgecolor=INK, lw=1.0, clip_on=False))
    axes.set_axis_off()
    axes.text(1.05, 0.0, "x", va="center", fontsize=9)
    axes.text(0.0, 1.05, "y", ha="center", fontsize=9)
