"""Segmentation of orientation maps: what a grain is, what is filled, what is measured in it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import adjusted_rand_score

from xtalfuse.encoders.grains.map import segment
from xtalfuse.encoders.grains.size import grain_size, lineal_intercept, phase_fractions
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.orientation.disorientation import (
    from_axis_angle,
    laue_operators,
    multiply,
    random,
)

NICKEL, ZINC = MapPhase("nickel", "m-3m"), MapPhase("zinc", "6/mmm")


def about(axis: tuple[float, float, float], degrees: np.ndarray | float) -> np.ndarray:
    angle = np.radians(np.asarray(degrees, float))
    return from_axis_angle(np.broadcast_to(np.array(axis, float), (*angle.shape, 3)), angle)


def make_map(
    grain: np.ndarray, orientation: np.ndarray, phase: np.ndarray | None = None, **options: object
) -> CrystalMap:
    """Map of a picture (rows, columns) or stack of pictures of grain numbers, -1 not indexed."""
    grain = grain if grain.ndim == 3 else grain[None]
    index = np.indices(grain.shape).reshape(3, -1).T
    label = grain.ravel()
    phase = np.zeros(len(orientation), int) if phase is None else phase
    q = np.where((label >= 0)[:, None], orientation[label], [1.0, 0.0, 0.0, 0.0])
    depth = 1.0 if len(grain) > 1 else 0.0
    made = CrystalMap(
        q, np.where(label >= 0, phase[label], -1), index, (NICKEL, ZINC), GridKind.SQUARE,
        (1.0, 1.0, depth),
    )  # fmt: skip
    return replace(made, **options)  # type: ignore[arg-type]


def halves(rows: int = 12, columns: int = 20) -> np.ndarray:
    return np.repeat([[0] * (columns // 2) + [1] * (columns // 2)], rows, axis=0)


@pytest.mark.parametrize("kind", list(GridKind))
@pytest.mark.parametrize(("degrees", "grains"), [(4.9, 1), (5.1, 2)])
def test_the_threshold_parts_grains(kind: GridKind, degrees: float, grains: int) -> None:
    found = segment(make_map(halves(), about((1, 2, 3), np.array([0.0, degrees])), grid=kind))
    assert len(found.graph) == grains
    assert_allclose(np.degrees(found.graph.misorientation), [degrees] * (grains - 1), atol=1e-9)


def test_equivalent_orientations_are_the_same_crystal() -> None:
    rng = np.random.default_rng(0)
    q = random(2, rng)
    plain = make_map(halves(), q)
    operators = laue_operators("m-3m")
    drawn = operators[rng.integers(len(operators), size=len(plain.phase))]
    sign = rng.choice([-1.0, 1.0], size=(len(plain.phase), 1))
    one = segment(plain)
    other = segment(replace(plain, orientation=sign * multiply(drawn, plain.orientation)))
    assert_array_equal(one.grain, other.grain)
    assert_allclose(np.abs(np.sum(one.graph.orientation * other.graph.orientation, 1)), 1.0)
    assert_allclose(other.graph.misorientation, one.graph.misorientation, atol=1e-9)
    assert_allclose(other.grod, 0.0, atol=1e-7)


def test_phases_never_share_a_grain() -> None:
    same = np.tile([1.0, 0, 0, 0], (2, 1))
    found = segment(make_map(halves(), same, np.array([0, 1])))
    assert found.graph.phase.tolist() == [0, 1]
    assert np.isnan(found.graph.misorientation).all()
    assert found.graph.area.tolist() == [12.0]


def test_points_that_were_not_indexed_join_the_grain_around_them() -> None:
    grain = halves()
    grain[[2, 5, 8], [3, 12, 9]] = -1
    found = segment(make_map(grain, random(2, np.random.default_rng(1))))
    expected = halves()
    expected[8, 9] = 0  # three of its neighbours are left of the boundary
    assert_array_equal(found.grain, expected.ravel())
    assert found.clean_up.not_indexed == found.clean_up.filled == 3
    assert np.isnan(found.grod[grain.ravel() < 0]).all()
    kept = segment(make_map(grain, random(2, np.random.default_rng(1))), fill=False)
    assert kept.clean_up.left == 3


def test_a_wide_hole_stays_a_hole() -> None:
    grain = np.zeros((30, 30), int)
    grain[5:16, 5:16] = -1  # eleven wide: a pore
    grain[20:25, 3:28] = -1  # five wide: a badly polished scratch
    found = segment(make_map(grain, random(1, np.random.default_rng(1))))
    inside = found.grain.reshape(30, 30)
    assert (inside[20:25, 3:28] == 0).all()
    assert (inside[8:13, 8:13] == -1).all()
    # only the corners, into which the disc does not fit, are filled
    assert 80 < found.clean_up.left < 121
    assert found.clean_up.left == (found.grain < 0).sum()


def test_small_grains_dissolve_in_what_is_around() -> None:
    grain = halves()
    grain[3:5, 3:5] = 2
    orientation = random(3, np.random.default_rng(2))
    found = segment(make_map(grain, orientation), minimum_points=5)
    assert_array_equal(found.grain, halves().ravel())
    assert (found.clean_up.small_grains, found.clean_up.small_points) == (1, 4)
    assert len(segment(make_map(grain, orientation), minimum_points=4).graph) == 3
    assert_allclose(found.graph.size, 120.0)


def test_a_bent_grain_has_the_deviation_of_its_gradient() -> None:
    column = np.tile(np.arange(41), (10, 1))
    bent = make_map(column, about((1, 1, 1), 0.2 * np.arange(41)))
    found = segment(bent)
    assert len(found.graph) == 1
    # each point has two neighbours at 0.2 degrees and up to two at 0, at the edges one less
    inner = found.kam.reshape(10, 41)[1:-1, 1:-1]
    assert_allclose(np.degrees(inner), 0.1, atol=1e-9)
    assert_allclose(np.degrees(found.grod.reshape(10, 41)[0]), np.abs(np.arange(41) - 20) * 0.2,
                    atol=1e-6)  # fmt: skip
    assert_allclose(np.degrees(found.gos), 0.2 * 20 * 21 / 41, rtol=1e-6)


def test_twins_are_tagged_and_merge() -> None:
    twin = multiply(about((1, 1, 1), 60.0), np.array([0.8, 0.6, 0.0, 0.0]))
    third = random(1, np.random.default_rng(5))[0]
    picture = np.repeat([[0] * 8 + [1] * 4 + [2] * 8], 12, axis=0)
    points = make_map(picture, np.stack([[0.8, 0.6, 0.0, 0.0], twin, third]))
    apart = segment(points)
    assert apart.sigma[0] == "3"
    assert_allclose(np.degrees(apart.graph.misorientation[0]), 60.0, atol=1e-6)
    merged = segment(points, twins=True)
    assert len(merged.graph) == 2
    assert merged.points.tolist() == [144, 96]
    # the merged grain is described by its largest part, each part deviates from itself alone
    assert_allclose(merged.graph.orientation[0], apart.graph.orientation[0])
    assert_allclose(merged.grod, 0.0, atol=1e-7)


def test_averaging_with_neighbours_undoes_noise() -> None:
    rng = np.random.default_rng(7)
    grain = np.kron(np.arange(9).reshape(3, 3), np.ones((20, 20), int))
    points = make_map(grain, random(9, rng))
    turn = rng.normal(0.0, np.radians(3.5) / np.sqrt(3), (len(points.phase), 3))
    noisy = replace(
        points,
        orientation=multiply(
            from_axis_angle(turn, np.linalg.norm(turn, axis=1)), points.orientation
        ),
    )
    raw, smooth = segment(noisy), segment(noisy, smooth=2)
    assert smooth.clean_up.small_points < 0.5 * raw.clean_up.small_points
    assert adjusted_rand_score(grain.ravel(), smooth.grain) > 0.99
    # what is reported of a grain is measured, not smoothed: the noise is still there, with
    # the mean of a Maxwell distribution
    assert_allclose(np.degrees(smooth.gos), 3.5 * np.sqrt(8 / (3 * np.pi)), rtol=0.1)


def test_a_stack_of_sections_is_a_volume() -> None:
    cube = np.zeros((8, 10, 12), int)
    cube[:, :, 6:] = 1
    found = segment(make_map(cube, random(2, np.random.default_rng(3))))
    assert found.graph.dimension == 3
    assert_allclose(found.graph.size, 480.0)
    assert_allclose(found.graph.area, 80.0)
    assert_allclose(found.graph.normal[0], np.diag([1.0, 0, 0]), atol=1e-12)
    assert grain_size(found).astm_area is None


def test_mirroring_the_map_mirrors_the_grains() -> None:
    rng = np.random.default_rng(11)
    grain = np.kron(rng.permutation(16).reshape(4, 4), np.ones((9, 9), int))
    q = random(16, rng)
    one, other = segment(make_map(grain, q)), segment(make_map(grain[:, ::-1], q))
    mirrored = other.grain.reshape(36, 36)[:, ::-1].ravel()
    assert adjusted_rand_score(one.grain, mirrored) == 1.0
    assert_allclose(np.sort(other.graph.area), np.sort(one.graph.area))


def test_grain_size_of_a_chessboard() -> None:
    side = 16
    board = np.kron(np.arange(100).reshape(10, 10), np.ones((side, side), int))
    points = make_map(board, random(100, np.random.default_rng(4)), step=(2.0, 2.0, 0.0))
    found = grain_size(segment(points, 2.0))
    assert (found.grains, found.border_grains) == (64, 36)
    assert found.size is not None
    assert found.intercept is not None
    assert found.diameter is not None
    assert_allclose(found.size.value, 32.0**2)
    # 159 steps cross 9 boundaries in each row and column
    assert_allclose(found.intercept.value, 159 * 2.0 / 9)
    assert found.diameter.su is None  # all are alike: round-off is no uncertainty


def test_astm_numbers_of_the_standard() -> None:
    # E112: G = 1 is 15.50 grains per mm^2, each number twice as many; G = 0 is l = 0.32 mm
    side = round(1000 / np.sqrt(15.5 * 2**4))
    board = np.kron(np.arange(64).reshape(8, 8), np.ones((side, side), int))
    found = grain_size(segment(make_map(board, random(64, np.random.default_rng(6))), 2.0))
    assert found.astm_area is not None
    assert_allclose(found.astm_area.value, 5.0, atol=0.03)  # the side is rounded to 1 um
    strips = np.repeat(np.arange(30), 320)[None]
    alone = grain_size(segment(make_map(strips, random(30, np.random.default_rng(8))), 2.0))
    assert alone.astm_intercept is not None
    assert_allclose(alone.astm_intercept.value, 0.0, atol=0.12)  # E112 itself rounds 0.32


def test_intercepts_of_phases_share_the_lines() -> None:
    picture = np.repeat([([0] * 10 + [1] * 30) * 5], 4, axis=0)
    q = np.tile([1.0, 0, 0, 0], (2, 1))
    points = make_map(picture, q, np.array([0, 1]))
    found = segment(points)
    one, other = (lineal_intercept(found, phase) for phase in (0, 1))
    assert one is not None
    assert other is not None
    every = lineal_intercept(found)
    assert every is not None
    assert_allclose(every.value, 199 / 9)  # columns cross nothing and tell nothing
    assert one.value < every.value < other.value
    fractions = phase_fractions(found)
    assert_allclose([fractions["nickel"].value, fractions["zinc"].value], [0.25, 0.75])


def test_maps_without_grains_are_refused() -> None:
    points = make_map(halves(), random(2, np.random.default_rng(0)))
    with pytest.raises(ValueError, match="minimum_points"):
        segment(points, minimum_points=1000)
    with pytest.raises(ValueError, match="threshold"):
        segment(points, 0.0)
    with pytest.raises(ValueError, match="no grain"):
        segment(replace(points, phase=np.full(len(points.phase), -1)))


def test_nickel_superalloy_as_another_program_sees_it(real: Path) -> None:
    from xtalfuse.loaders import load

    folder = real / "ebsd" / "nickel_superalloy"
    points = load(folder / "testDataEBSD.crc").crystal_map
    truth = np.load(folder / "ebsd_grains_5deg_10.npz")["grains"].ravel()
    start = time.process_time()
    found = segment(points)
    assert time.process_time() - start < 1.0
    grains = truth > 0  # grains of 10 points and more
    assert adjusted_rand_score(truth[grains], found.grain[grains]) >= 0.98
    assert len(found.graph) == len(np.unique(truth[grains]))


def test_copper_map_keeps_its_hexagonal_grid(real: Path) -> None:
    from xtalfuse.loaders import load

    points = load(real / "ebsd" / "copper_hexagonal_grid" / "EBSD.ang").crystal_map
    found = segment(points)
    assert len(found.grain) == 23909
    assert found.graph.size.sum() == pytest.approx(
        (found.grain >= 0).sum() * 0.2 * 0.1732, rel=1e-3
    )


def test_steel_volume_has_its_grains(real: Path) -> None:
    from xtalfuse.loaders import load

    found = segment(load(real / "ebsd" / "steel_3d").crystal_map, minimum_points=20)
    assert found.graph.dimension == 3
    assert 175 <= len(found.graph) <= 195  # counted elsewhere: about 185
