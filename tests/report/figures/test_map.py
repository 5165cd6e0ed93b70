"""Figures of orientation maps: every grid drawn as it lies, every key in its colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from xtalfuse.encoders.grains.map import Segmentation, segment
from xtalfuse.encoders.grains.size import grain_size
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.orientation.point_group import LAUE_GROUPS
from xtalfuse.physics.orientation.quaternion import random
from xtalfuse.report.figures.colour_key import (
    from_stereographic,
    outline,
    stereographic,
    triangle_grid,
)
from xtalfuse.report.figures.map import (
    bending_figure,
    boundary_figure,
    direction_figure,
    grain_colours,
    grain_figure,
    phase_figure,
    size_figure,
)
from xtalfuse.report.figures.map_picture import MapPicture, bar_length, boundary_lines
from xtalfuse.report.figures.pattern import png_bytes
from xtalfuse.report.figures.poles import inverse_pole_figures, pole_figures

PHASES = (MapPhase("nickel $1", "m-3m"), MapPhase("zinc", "6/mmm"), MapPhase("glass", None))
FIGURES = (direction_figure, phase_figure, grain_figure, boundary_figure, bending_figure)


def tiles(kind: GridKind = GridKind.SQUARE, sections: int = 1) -> CrystalMap:
    """Nine grains of three phases, a corner of one row missing, one point not indexed."""
    index = np.indices((sections, 18, 18)).reshape(3, -1).T
    index = index[~((index[:, 1] == 17) & (index[:, 2] > 12))]
    grain = 3 * (index[:, 1] // 6) + index[:, 2] // 6
    phase = np.array([0, 1, 0, 1, 0, 2, 0, 1, 0])[grain]
    q = random(9, np.random.default_rng(0))[grain]
    q[phase == 2] = [1.0, 0.0, 0.0, 0.0]
    phase[40] = -1
    high = 1.0 if kind is GridKind.SQUARE else np.sqrt(0.75)
    quality = {"band_contrast": np.arange(len(index), dtype=float)}
    step = (0.5, 0.5 * high, 0.5 if sections > 1 else 0.0)
    return CrystalMap(q, phase, index, PHASES, kind, step, quality)


@pytest.fixture(scope="module")
def segmentation() -> Segmentation:
    return segment(tiles())


@pytest.mark.parametrize("figure", FIGURES, ids=lambda f: f.__name__)
def test_figures_draw_square_hexagonal_and_stacked_maps(figure: object) -> None:
    for points in (tiles(), tiles(GridKind.HEXAGONAL), tiles(sections=3)):
        assert png_bytes(figure(segment(points)), dpi=40).startswith(b"\x89PNG")  # type: ignore[operator]


def test_figures_draw_what_is_not_there(segmentation: Segmentation) -> None:
    alone = tiles()
    one = replace(
        alone,
        orientation=np.tile([1.0, 0, 0, 0], (len(alone.phase), 1)),
        phase=np.zeros(len(alone.phase), int),
        quality={},
    )
    found = segment(one)  # one grain, nothing whole, no boundary, no quality
    for figure in FIGURES:
        assert png_bytes(figure(found), dpi=40).startswith(b"\x89PNG")
    assert png_bytes(size_figure(found, grain_size(found)), dpi=40).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no pole figure"):
        pole_figures(segmentation, 2)
    with pytest.raises(ValueError, match="section 1 of a map of 1"):
        phase_figure(segmentation, section=1)


def test_size_and_pole_figures(segmentation: Segmentation) -> None:
    assert png_bytes(size_figure(segmentation, grain_size(segmentation)), dpi=40)
    for phase in (0, 1):
        assert png_bytes(pole_figures(segmentation, phase), dpi=40)
        assert png_bytes(inverse_pole_figures(segmentation, phase), dpi=40)


def test_pixels_of_a_hexagonal_map_show_the_nearest_point() -> None:
    points = tiles(GridKind.HEXAGONAL)
    picture = MapPicture.of(points)
    rows, columns = picture.point.shape
    x = (np.arange(columns) + 0.5) / columns * picture.width
    y = (np.arange(rows) + 0.5) / rows * picture.height
    centre = points.position[:, :2] + 0.5 * np.array(points.step[:2])
    for i, j in [(3, 5), (20, 9), (71, 100), (50, 143), (rows - 2, 4)]:
        away = np.linalg.norm(centre - [x[j], y[i]], axis=1)
        found = picture.point[i, j]
        # a picture is a whole number of pixels high: half a pixel may round either way
        assert away[found] - away.min() < picture.width / columns
    assert (picture.point >= 0).mean() > 0.93  # the rim beside shifted rows is empty
    counts = np.bincount(picture.point[picture.point >= 0], minlength=len(centre))
    inner = counts[(points.index[:, 1] > 0) & (points.index[:, 1] < 16)]
    assert inner.min() > 0.8 * inner.max()  # every point has a hexagon of the same size


@pytest.mark.parametrize("kind", list(GridKind))
def test_boundary_lines_lie_between_their_points(kind: GridKind) -> None:
    points = tiles(kind)
    pairs = points.pairs()
    lines = boundary_lines(points, pairs, 0)
    assert len(lines) == pairs.shape[1]
    centre = points.position[:, :2] + 0.5 * np.array(points.step[:2])
    for end in (0, 1):
        to_first, to_second = (np.linalg.norm(lines[:, end] - centre[p], axis=1) for p in pairs)
        assert_allclose(to_first, to_second, atol=1e-9)
    side = 0.5 if kind is GridKind.SQUARE else 0.5 / np.sqrt(3)
    assert_allclose(np.linalg.norm(lines[:, 0] - lines[:, 1], axis=1), side)


def test_grains_that_touch_differ_in_colour(segmentation: Segmentation) -> None:
    graph = segmentation.graph
    colours = grain_colours(graph.edges, len(graph))
    one, other = colours[graph.edges]
    assert (np.linalg.norm(one - other, axis=1) > 0.4).all()
    assert_array_equal(colours, grain_colours(graph.edges, len(graph)))


@pytest.mark.parametrize("laue", LAUE_GROUPS)
def test_the_key_of_each_laue_group_fills_its_triangle(laue: str) -> None:
    from xtalfuse.physics.orientation.ipf import sector
    from xtalfuse.physics.orientation.laue import laue_operators, reduce_direction

    directions, inside, extent = triangle_grid(laue, 4)
    assert inside.any()
    assert extent[0] < extent[1]
    chosen = directions[inside]
    within = chosen[(chosen @ sector(laue).edges.T > 1e-6).all(axis=1)]  # the rim has equivalents
    assert_allclose(reduce_direction(within, laue), within, atol=1e-6)
    assert_allclose(from_stereographic(stereographic(chosen)), chosen, atol=1e-12)
    # a triangle holds its share of the half sphere: 1 / (2 x rotations) of the sphere
    weight = 4.0 / (1.0 + (stereographic(chosen) ** 2).sum(axis=-1)) ** 2
    pixel = (extent[1] - extent[0]) / inside.shape[1] * (extent[3] - extent[2]) / inside.shape[0]
    share = 4.0 * np.pi / (2 * len(laue_operators(laue)))
    assert_allclose(weight.sum() * pixel, share, rtol=0.06)  # pixels on the rim: 60 across
    assert np.allclose(outline(laue)[0], outline(laue)[-1])


def test_the_scale_bar_is_a_round_number() -> None:
    assert [bar_length(w) for w in (43.1, 175.5, 8.0, 0.09)] == pytest.approx([10, 20, 2, 0.02])


def test_maps_of_instruments_draw(real: Path) -> None:
    from xtalfuse.loaders import load

    folder = real / "ebsd"
    nickel = segment(load(folder / "nickel_superalloy" / "testDataEBSD.crc").crystal_map)
    assert len(png_bytes(boundary_figure(nickel), dpi=60)) > 20_000
    copper = segment(load(folder / "copper_hexagonal_grid" / "EBSD.ang").crystal_map)
    assert len(png_bytes(grain_figure(copper), dpi=60)) > 5_000
