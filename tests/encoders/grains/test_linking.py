"""What touches below the threshold is one grain, whatever became of it on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from xtalfuse.encoders.grains.map import Segmentation, segment
from xtalfuse.encoders.grains.size import grain_size, lineal_intercept
from xtalfuse.encoders.grains.twins import hcp_turns, twin_boundaries, twin_notes
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.orientation.disorientation import (
    disorientation_angle,
    from_axis_angle,
    laue_operators,
    multiply,
    random,
)

NICKEL = MapPhase("nickel", "m-3m")
MAGNESIUM = MapPhase("magnesium", "6/mmm", (3.209, 3.209, 5.211, 90, 90, 120))


def about(axis: tuple[float, float, float], degrees: np.ndarray | float) -> np.ndarray:
    angle = np.radians(np.asarray(degrees, float))
    return from_axis_angle(np.broadcast_to(np.array(axis, float), (*angle.shape, 3)), angle)


def make_map(grain: np.ndarray, orientation: np.ndarray, **options: object) -> CrystalMap:
    """Map of a picture (rows, columns) or stack of pictures of grain numbers."""
    grain = grain if grain.ndim == 3 else grain[None]
    index = np.indices(grain.shape).reshape(3, -1).T
    step = (1.0, 1.0, 1.0 if len(grain) > 1 else 0.0)
    made = CrystalMap(
        orientation[grain.ravel()], np.zeros(grain.size, int), index, (NICKEL,), GridKind.SQUARE,
        step,
    )  # fmt: skip
    return replace(made, **options)  # type: ignore[arg-type]


def only(points: CrystalMap, kept: np.ndarray) -> CrystalMap:
    """The map without some of its points."""
    return replace(
        points,
        orientation=points.orientation[kept],
        phase=points.phase[kept],
        index=points.index[kept],
    )


def polycrystal(seed: int, grid: GridKind = GridKind.SQUARE, sections: int = 1) -> CrystalMap:
    """Grains of a Voronoi map, some of which differ little, bent by up to 6 degrees, with noise."""
    rng = np.random.default_rng(seed)
    place = np.indices((sections, 36, 40)).reshape(3, -1)
    seeds = rng.uniform(0, [[sections], [36], [40]], (3, 14))
    label = ((place[:, :, None] - seeds[:, None]) ** 2).sum(0).argmin(1)
    orientation = random(14, rng)
    near = from_axis_angle(rng.normal(size=(5, 3)), np.radians(rng.uniform(2.0, 9.0, 5)))
    orientation[9:] = multiply(near, orientation[:5])
    points = make_map(label.reshape(sections, 36, 40), orientation, grid=grid)
    bend = np.radians(6.0) * place[2] / 40 * rng.uniform(0, 1, 14)[label]
    noise = from_axis_angle(rng.normal(size=(len(label), 3)), rng.normal(0, 0.005, len(label)))
    turn = multiply(noise, from_axis_angle(np.tile([0.0, 0.6, 0.8], (len(label), 1)), bend))
    return replace(points, orientation=multiply(turn, points.orientation))


def worn(points: CrystalMap, how: str, rng: np.random.Generator) -> CrystalMap:
    """The same map as it may come from an instrument."""
    _, row, column = points.index.T
    lost = np.zeros(len(row), bool)
    if how == "scratch":
        lost = np.abs(row - 12 - 0.3 * column) < 1.5
    elif how == "wide scratches":
        lost = (column % 19 < 2) | (row % 23 < 3)
    elif how == "holes":
        lost = (row % 16 - 8) ** 2 + (column % 14 - 7) ** 2 < rng.uniform(2, 30)
    elif how in ("not indexed", "missing"):
        lost = rng.random(len(row)) < 0.3
    elif how == "half not indexed":
        lost = rng.random(len(row)) < 0.5
    elif how == "wrong":
        wrong = rng.random(len(row)) < 0.3
        return replace(
            points, orientation=np.where(wrong[:, None], random(len(row), rng), points.orientation)
        )
    if how == "missing":
        return only(points, ~lost)
    return replace(points, phase=np.where(lost, -1, points.phase))


WEAR = ("scratch", "wide scratches", "holes", "not indexed", "half not indexed", "missing", "wrong")


def lowest(found: Segmentation) -> float:
    """Degrees; the least disorientation of a boundary, in both graphs."""
    both = np.append(found.graph.misorientation, found.crystals.misorientation)
    return float(np.degrees(np.nanmin(np.append(both, np.inf))))


@pytest.mark.parametrize(
    ("how", "kind"),
    [(how, kind) for how in WEAR for kind in ("square", "hexagonal", "stack")]
    + [("not indexed", kind) for kind in ("smooth", "twins", "unfilled")],
)
def test_no_boundary_is_below_the_threshold(how: str, kind: str) -> None:
    seed = WEAR.index(how)
    grid = GridKind.HEXAGONAL if kind == "hexagonal" else GridKind.SQUARE
    points = polycrystal(seed, grid, 4 if kind == "stack" else 1)
    found = segment(
        worn(points, how, np.random.default_rng(seed)),
        smooth=int(kind == "smooth"),
        twins=kind == "twins",
        fill=kind != "unfilled",
    )
    assert lowest(found) >= 5.0


@pytest.mark.parametrize("how", WEAR[:-1])
def test_what_was_lost_parts_no_crystal(how: str) -> None:
    rng = np.random.default_rng(1)
    board = np.kron(np.arange(9).reshape(3, 3), np.ones((12, 14), int))[:48, :56]
    points = make_map(board, random(9, rng))
    whole, found = segment(points), segment(worn(points, how, rng))
    assert len(found.graph) == len(whole.graph) == 9
    assert found.graph.on_border.sum() == whole.graph.on_border.sum() == 8
    assert found.graph.size.sum() > 0.8 * whole.graph.size.sum()


def test_a_scratch_across_a_bent_crystal_links_what_faces_it() -> None:
    column = np.tile(np.arange(40), (12, 1))
    points = make_map(column, about((1, 1, 1), 0.7 * np.arange(40)))
    found = segment(replace(points, phase=np.where((column.ravel() // 2) == 10, -1, 0)))
    assert len(found.graph) == 1  # the means of the halves differ by 14 degrees, the rims by 2


def test_a_wall_of_subgrains_that_is_a_boundary_stays_one() -> None:
    halves = np.tile([0] * 10 + [1] * 10, (12, 1))
    points = make_map(halves, about((1, 2, 3), np.array([0.0, 5.5])))
    found = segment(replace(points, phase=np.where(np.abs(points.index[:, 2] - 9.5) < 1, -1, 0)))
    assert len(found.graph) == 2


@pytest.mark.parametrize("steps", [(2.0, 2.0), (2.0, 0.5), (1.0, 2.0), (4.0, 1.0)])
def test_the_intercept_does_not_depend_on_the_scan_step(steps: tuple[float, float]) -> None:
    dx, dy = steps
    y, x = (np.arange(n) * d + d / 2 for n, d in ((round(160 / dy), dy), (round(400 / dx), dx)))
    row = y // 10
    brick = (x[None] + 20 * (row[:, None] % 2)) // 40
    _, label = np.unique(row[:, None] * 100 + brick, return_inverse=True)
    label = label.reshape(len(y), len(x))
    points = make_map(label, random(label.max() + 1, np.random.default_rng(0)), step=(dx, dy, 0.0))
    found = lineal_intercept(segment(points))
    assert found is not None
    assert found.su is not None
    # 10 grains along x without the one at the edge of the map, 16 along y: 400/9.5 and 160/15
    assert_allclose(found.value, np.sqrt(400 / 9.5 * 160 / 15), rtol=0.02)
    assert abs(found.value - 20.0) < 2 * found.su


def test_missing_sections_are_neither_edge_nor_void() -> None:
    label = np.kron(np.arange(27).reshape(3, 3, 3), np.ones((6, 8, 8), int))
    points = make_map(label, random(27, np.random.default_rng(3)))
    gap = only(points, ~np.isin(points.index[:, 0], [3, 4, 8]))
    one, other = (grain_size(segment(each)) for each in (points, gap))
    assert (other.grains, other.border_grains) == (one.grains, one.border_grains) == (1, 26)
    assert one.intercept is not None
    assert other.intercept is not None
    assert_allclose(other.intercept.value, one.intercept.value, rtol=0.1)


def test_what_was_never_measured_cuts_the_grains_beside_it() -> None:
    label = np.kron(np.arange(9).reshape(3, 3), np.ones((20, 20), int))
    points = make_map(label, random(9, np.random.default_rng(3)))
    middle = np.all(np.abs(points.index[:, 1:] - 29.5) < 6, axis=1)
    unscanned = segment(only(points, ~middle))
    assert unscanned.graph.on_border.all()
    pore = segment(replace(points, phase=np.where(middle, -1, points.phase)))
    assert pore.graph.on_border.sum() == 8  # a pore is an end of the grain, no cut


@pytest.mark.parametrize(
    ("ratio", "angles"),  # Mg, Ti, Zn: {10-12}, {10-11}, {11-21}, {11-22}, degrees
    [(1.624, (86.3, 56.2, 34.2, 63.2)), (1.587, (85.0, 57.2, 34.9, 64.4)),
     (1.856, (86.0, 50.0, 30.2, 56.7))],
)  # fmt: skip
def test_twins_of_hexagonal_metals(ratio: float, angles: tuple[float, ...]) -> None:
    turns = hcp_turns(MapPhase("hcp", "6/mmm", (1.0, 1.0, ratio, 90, 90, 120)))
    plain = np.tile([1.0, 0, 0, 0], (len(turns), 1))
    found = np.degrees(disorientation_angle(plain, turns, "6/mmm"))
    assert len(turns) == 24  # six variants of each of four laws
    assert_allclose(np.unique(found.round(1)), np.sort(angles), atol=0.11)


def _lamellae(phase: MapPhase, twin: np.ndarray) -> CrystalMap:
    rng = np.random.default_rng(5)
    parent = random(2, rng)
    operators = laue_operators(phase.laue or "-1")
    equivalent = multiply(operators[5], multiply(twin, parent[0]))
    picture = np.repeat([[0] * 8 + [1] * 4 + [0] * 6 + [2] * 9], 12, axis=0)
    return make_map(picture, np.stack([parent[0], equivalent, parent[1]]), phases=(phase, phase))


@pytest.mark.parametrize(
    ("phase", "twin", "grains"),
    [
        (MapPhase("nickel", "m-3m"), about((1, 1, 1), 60.0), 2),
        (MAGNESIUM, about((1, 0, 0), 86.3), 2),  # <11-20> is a, along x
        (replace(MAGNESIUM, cell=None), about((1, 0, 0), 86.3), 4),
        (MapPhase("quartz", "-3m", (4.9, 4.9, 5.4, 90, 90, 120)), about((0, 0, 1), 60.0), 4),
    ],
)
def test_merged_twins_are_counted_as_one_and_stay_crystals(
    phase: MapPhase, twin: np.ndarray, grains: int
) -> None:
    points = _lamellae(phase, twin)
    found, apart = segment(points, twins=True), segment(points)
    assert len(found.graph) == grains
    assert len(apart.graph) == 4
    assert_allclose(found.crystals.orientation, apart.graph.orientation)
    assert found.crystal_gos.max() < 1e-6
    notes = twin_notes([phase])
    assert bool(notes) is (phase.laue != "m-3m")
    assert ("no twins were merged" in "".join(notes)) is (grains == 4)


def test_random_boundaries_are_rarely_twins() -> None:
    points = make_map(np.arange(400).reshape(20, 20), random(400, np.random.default_rng(0)),
                      phases=(MAGNESIUM, MAGNESIUM))  # fmt: skip
    graph = segment(points, minimum_points=1).crystals
    share = twin_boundaries(graph, np.full(graph.edges.shape[1], "")).mean()
    assert share < 0.03
