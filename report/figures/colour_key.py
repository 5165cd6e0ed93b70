"""The standard triangle of a Laue group: its colour key, its outline, and what is drawn in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.report.figures.pattern import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIXELS = 240

_AXIAL = ("[0001]", r"[2$\overline{1}\overline{1}$0]")
_CORNERS = {
    "m-3m": ("[001]", "[101]", "[111]"),
    "m-3": ("[001]", "[101]", "[011]"),
    "6/mmm": (*_AXIAL, r"[10$\overline{1}$0]"),
    "6/m": (*_AXIAL, r"[11$\overline{2}$0]"),
    "-3m": ("[0001]", r"[1$\overline{1}$00]", r"[10$\overline{1}$0]"),
    "-3": (*_AXIAL, r"[$\overline{1}2\overline{1}$0]"),
    "4/mmm": ("[001]", "[100]", "[110]"),
    "4/m": ("[001]", "[100]", "[010]"),
    "mmm": ("[001]", "[100]", "[010]"),
}
"""Directions of the red, green and blue corner; of other groups the Cartesian axes are named."""


def stereographic(v: np.ndarray) -> np.ndarray:
    """Stereographic projection (..., 2) of unit directions (..., 3) with z >= 0."""
    return v[..., :2] / (1.0 + v[..., 2:])


def from_stereographic(xy: np.ndarray) -> np.ndarray:
    """Unit directions (..., 3) of projected points (..., 2)."""
    squared = (xy**2).sum(axis=-1, keepdims=True)
    return np.concatenate([2.0 * xy, 1.0 - squared], axis=-1) / (1.0 + squared)


def outline(laue: str) -> np.ndarray:
    """(k, 2) closed outline of the standard triangle, stereographic."""
    from xtalfuse.physics.orientation.ipf import sector

    edges = sector(laue).edges
    angle = np.linspace(0.0, 2.0 * np.pi, 721)
    rims = []
    for normal in [*edges, np.array([0.0, 0.0, 1.0])]:
        across = np.linalg.svd(normal[None])[2][1:]  # two directions in the plane of the side
        circle = np.cos(angle)[:, None] * across[0] + np.sin(angle)[:, None] * across[1]
        rims.append(circle[(circle @ edges.T > -1e-9).all(axis=1) & (circle[:, 2] > -1e-9)])
    points = stereographic(np.concatenate(rims))
    around = points - points.mean(axis=0)
    points = points[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]
    return np.concatenate([points, points[:1]])


def triangle_grid(
    laue: str, step: int = 1
) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
    """Directions (H, W, 3) of the pixels around the triangle, which are inside, and the extent.

    `step` makes pixels so many times as wide.
    """
    from xtalfuse.physics.orientation.ipf import sector

    rim = outline(laue)
    (left, bottom), (right, top) = rim.min(axis=0), rim.max(axis=0)
    scale = step * max(right - left, top - bottom) / PIXELS
    x = np.arange(left, right + scale, scale)
    y = np.arange(bottom, top + scale, scale)
    xy = np.stack(np.meshgrid(x, y), axis=-1)
    directions = from_stereographic(xy)
    inside = (directions @ sector(laue).edges.T > -1e-9).all(axis=-1) & (directions[..., 2] > -1e-9)
    half = 0.5 * scale
    return directions, inside, (x[0] - half, x[-1] + half, y[0] - half, y[-1] + half)


def draw_key(axes: Axes, laue: str, title: str) -> None:
    """The colour of every direction of the standard triangle."""
    from xtalfuse.physics.orientation.ipf import direction_colour

    directions, inside, extent = triangle_grid(laue)
    image = np.ones((*inside.shape, 4))
    image[inside, :3] = direction_colour(directions[inside], laue)
    image[~inside, 3] = 0.0
    axes.imshow(image, extent=extent, origin="lower", aspect="equal", interpolation="bilinear")
    draw_outline(axes, laue)
    axes.text(
        0.5, -0.2, title, transform=axes.transAxes, ha="center", va="top", fontsize=9, wrap=True
    )


def draw_outline(axes: Axes, laue: str) -> None:
    """Outline and corners of the standard triangle, without axes."""
    from matplotlib.patches import Polygon

    from xtalfuse.physics.orientation.disorientation import standard_laue
    from xtalfuse.physics.orientation.ipf import sector

    rim = outline(laue)
    axes.add_patch(Polygon(rim, fill=False, edgecolor=INK, lw=1.0, clip_on=False))
    axes.set_axis_off()
    names = _CORNERS.get(standard_laue(laue))
    corners = sector(laue).corners
    if names is None:
        names, corners = ("z", "x", "y"), np.array([[0, 0, 1.0], [1.0, 0, 0], [0, 1.0, 0]])
    centre = rim.mean(axis=0)
    for name, corner in zip(names, stereographic(corners), strict=True):
        away = corner - centre
        away = away / max(float(np.linalg.norm(away)), 1e-9)
        axes.annotate(
            name, corner, xytext=9.0 * away, textcoords="offset points", fontsize=8, color=INK,
            ha="left" if away[0] > 0.4 else "right" if away[0] < -0.4 else "center",
            va="bottom" if away[1] > 0.4 else "top" if away[1] < -0.4 else "center",
            annotation_clip=False,
        )  # fmt: skip
