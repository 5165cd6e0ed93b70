"""Inverse pole figure colours: corners, symmetry, and orix's key."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.physics.orientation.disorientation import (
    LAUE_GROUPS,
    laue_operators,
    multiply,
    random,
    reduce_direction,
    rotate,
)
from xtalfuse.physics.orientation.ipf import direction_colour, ipf_colour, sector

SETTINGS = (*LAUE_GROUPS, "112/m", "2/m11", "-31m")


def directions(n: int) -> np.ndarray:
    v = np.random.default_rng(3).normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


@pytest.mark.parametrize("laue", SETTINGS)
def test_corners_are_red_green_blue_and_the_centre_white(laue):
    about = sector(laue)
    # a little inside: without mirrors two corners are one direction
    inside = about.corners + 1e-6 * about.centre
    assert np.allclose(direction_colour(inside, laue), np.eye(3), atol=1e-4)
    assert np.allclose(direction_colour(about.centre, laue), 1.0, atol=1e-6)


def test_cubic_corners_are_001_101_111():
    colour = direction_colour([[0, 0, 3], [1, -1, 0], [1, 1, -1]], "m-3m")
    assert np.allclose(colour, np.eye(3), atol=1e-6)


@pytest.mark.parametrize("laue", SETTINGS)
def test_equivalent_directions_have_one_colour(laue):
    v = directions(100)
    equivalents = rotate(laue_operators(laue)[:, None], v)
    colour = direction_colour(v, laue)
    # at a corner hue turns fast: rounding of 1e-16 shows as 1e-12
    assert np.abs(direction_colour(equivalents, laue) - colour).max() < 1e-9
    assert np.abs(direction_colour(-equivalents, laue) - colour).max() < 1e-9
    assert colour.min() >= 0.0
    assert colour.max() <= 1.0


@pytest.mark.parametrize("laue", SETTINGS)
def test_reduced_directions_are_equivalents_inside_the_standard_triangle(laue):
    v = directions(200)
    reduced = reduce_direction(v, laue)
    assert (reduced @ sector(laue).edges.T).min() > -1e-12
    images = rotate(laue_operators(laue)[:, None], v)
    nearest = np.abs((images * reduced).sum(axis=-1)).max(axis=0)
    assert np.abs(nearest - 1.0).max() < 1e-12


@pytest.mark.parametrize("laue", SETTINGS)
def test_equivalent_orientations_have_one_colour(laue):
    q = random(50, np.random.default_rng(4))
    every = multiply(laue_operators(laue)[:, None], q)
    assert np.ptp(ipf_colour(every, (1, 2, 3), laue), axis=0).max() < 1e-9
    assert np.ptp(ipf_colour(-every, (1, 2, 3), laue), axis=0).max() < 1e-9


def test_direction_is_of_the_specimen():
    # a crystal turned by 90 degrees about x shows the specimen's z along its y
    q = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0])
    assert np.allclose(ipf_colour(q, (0, 0, 1), "mmm"), direction_colour([0, 1, 0], "mmm"))


@pytest.mark.parametrize("laue", [g for g in LAUE_GROUPS if g not in ("2/m", "m-3")])
def test_key_looks_like_that_of_orix(laue):
    # the same corners; the white point lies a little elsewhere. The triangle of m-3 and that of
    # 2/m (orix's axis is z) are coloured from other corners.
    symmetry = pytest.importorskip("orix.quaternion.symmetry")
    plot = pytest.importorskip("orix.plot")
    vector = pytest.importorskip("orix.vector").Vector3d
    group = next(g for g in symmetry._groups if g.name == laue)
    v = directions(1000)
    expected = plot.DirectionColorKeyTSL(group).direction2color(vector(v))
    assert np.abs(direction_colour(v, laue) - expected).mean() < 0.03
