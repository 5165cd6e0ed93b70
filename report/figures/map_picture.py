"""Points of an orientation map as a picture: every grid drawn as it lies in the specimen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.physics.grains.boundary import cell_faces
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind
from xtalfuse.report.figures.pattern import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NOTHING = (0.93, 0.93, 0.93)  # where there is no point, or nothing to show
MOST_PIXELS = 1600  # along a side, of a hexagonal grid
FINEST = 8  # pixels for a step of a hexagonal grid
BAR_SHARE = 0.25  # of the width, which the scale bar is at most


@dataclass(frozen=True)
class MapPicture:
    """Which point of a map each pixel of a section shows.

    Parameters
    ----------
    point : (H, W) int, ``-1`` where there is none
    width, height : um
    section : which of a stack
    """

    point: np.ndarray
    width: float
    height: float
    section: int

    @classmethod
    def of(cls, crystal_map: CrystalMap, section: int | None = None) -> MapPicture:
        """The picture of one section; the middle one if none is named.

        Raises
        ------
        ValueError
            If there is no such section.
        """
        sections, rows, columns = crystal_map.shape
        section = sections // 2 if section is None else section
        if not 0 <= section < sections:
            raise ValueError(f"section {section} of a map of {sections}; count from 0")
        where = crystal_map.lookup()[section]
        dx, dy, _ = crystal_map.step
        if crystal_map.grid is GridKind.SQUARE:
            return cls(where, columns * dx, rows * dy, section)
        return cls(_hexagons(where, dx, dy), (columns + 0.5) * dx, rows * dy, section)

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the picture, um; y goes down as in the map."""
        return 0.0, self.width, self.height, 0.0

    def paint(self, values: np.ndarray) -> np.ndarray:
        """(H, W, 3) colours of points (p, 3); what is NaN or has no point is left blank."""
        image = values[np.maximum(self.point, 0)]
        blank = (self.point < 0) | ~np.isfinite(image).all(axis=-1)
        return np.where(blank[..., None], NOTHING, image)

    def spread(self, values: np.ndarray) -> np.ma.MaskedArray:
        """(H, W) numbers of points (p,), masked where there is none."""
        image = values[np.maximum(self.point, 0)].astype(float)
        return np.ma.array(image, mask=(self.point < 0) | ~np.isfinite(image))


def _hexagons(where: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Point whose hexagon holds each pixel, of a grid whose odd rows are shifted by half a step."""
    rows, columns = where.shape
    fine = max(2, min(FINEST, MOST_PIXELS // max(columns, rows)))
    x = (np.arange(int((columns + 0.5) * fine)) + 0.5) / fine - 0.5  # in steps, first point at 0
    y = (np.arange(max(1, round(rows * fine * dy / dx))) + 0.5) / (fine * dy / dx) - 0.5
    found = np.full((len(y), len(x)), -1)
    nearest = np.full(found.shape, np.inf)
    for row in (np.floor(y).astype(int), np.floor(y).astype(int) + 1):
        shift = 0.5 * (row % 2)
        column = np.rint(x[None] - shift[:, None]).astype(int)
        distance = (x[None] - shift[:, None] - column) ** 2 + ((y - row) * dy / dx)[:, None] ** 2
        inside = (row >= 0)[:, None] & (row < rows)[:, None] & (column >= 0) & (column < columns)
        point = where[np.clip(row, 0, rows - 1)[:, None], np.clip(column, 0, columns - 1)]
        better = distance < nearest  # beyond the edge lie hexagons without a point
        found[better], nearest[better] = np.where(inside, point, -1)[better], distance[better]
    return found


def boundary_lines(crystal_map: CrystalMap, pairs: np.ndarray, section: int) -> np.ndarray:
    """(k, 2, 2) ends, in um, of the sides that pairs of points (2, m) of a section share."""
    index = crystal_map.index
    pairs = pairs[:, (index[pairs, 0] == section).all(axis=0)]
    dx, dy, _ = crystal_map.step
    position = crystal_map.position[:, :2]
    first, second = position[pairs]
    sides = cell_faces(crystal_map.grid, (dx, dy, 0.0))[:-2, :2]
    units = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    side = sides[np.argmax((second - first) @ units.T, axis=1)]
    along = 0.5 * np.stack([-side[:, 1], side[:, 0]], axis=1)
    middle = 0.5 * (first + second) + 0.5 * np.array([dx, dy])
    return np.stack([middle - along, middle + along], axis=1)


def draw_image(axes: Axes, picture: MapPicture, image: np.ndarray, **options: Any) -> Any:
    """Show a picture without axes, with a scale bar below; returns what matplotlib made."""
    shown = axes.imshow(
        image, extent=picture.extent, interpolation="nearest", aspect="equal", **options
    )
    axes.set_axis_off()
    _scale_bar(axes, picture.width)
    return shown


def bar_length(width: float) -> float:
    """1, 2 or 5 times a power of ten, at most a quarter of the width."""
    power = 10.0 ** np.floor(np.log10(BAR_SHARE * width))
    return float(max(step * power for step in (1, 2, 5) if step * power <= BAR_SHARE * width))


def _scale_bar(axes: Axes, width: float) -> None:
    length = bar_length(width)
    under = axes.get_xaxis_transform()
    axes.plot(
        [0.0, length], [-0.03, -0.03], transform=under, color=INK, lw=2.5, clip_on=False,
        solid_capstyle="butt",
    )  # fmt: skip
    axes.text(
        length + 0.015 * width, -0.03, f"{length:g} µm", transform=under, va="center", fontsize=9
    )
