"""Densities on the sphere: normalised, in the right place, the same for equivalent crystals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from xtalfuse.physics.orientation.laue import laue_operators
from xtalfuse.physics.orientation.pole_density import (
    PoleDensity,
    from_disc,
    inverse_pole_figure,
    plane_families,
    pole_figure,
    to_disc,
)
from xtalfuse.physics.orientation.quaternion import conjugate, multiply, random, rotate


def disc(size: int) -> np.ndarray:
    x, y = np.meshgrid(*[(np.arange(size) + 0.5) * 2 / size - 1] * 2, indexing="ij")
    inside = x**2 + y**2 < 1
    return np.stack([x[inside], y[inside]], axis=-1)


def test_the_projection_keeps_areas_and_comes_back() -> None:
    xy = disc(40)
    assert_allclose(to_disc(from_disc(xy)), xy, atol=1e-12)
    assert_allclose(np.linalg.norm(from_disc(xy), axis=1), 1.0)
    # equal areas of the disc are equal areas of the sphere: the mean of z is 1/2
    assert_allclose(from_disc(disc(400))[:, 2].mean(), 0.5, atol=1e-3)
    v = np.array([[0.0, 0.6, -0.8], [0.0, -0.6, 0.8]])
    assert_allclose(to_disc(v)[0], to_disc(v)[1])


def test_density_has_the_mean_one() -> None:
    rng = np.random.default_rng(0)
    axes = rng.normal(size=(50, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    # bins of one degree: the mean over the disc is exact to about 1e-3
    assert_allclose(PoleDensity(axes)(from_disc(disc(120))).mean(), 1.0, atol=2e-3)
    uniform = random(20000, rng)
    figure = pole_figure(uniform, plane_families("m-3m")[0][1])
    assert_allclose(figure(from_disc(disc(30))), 1.0, atol=0.1)  # 20 counts in a kernel: 0.03


def test_the_kernel_falls_to_a_half_at_its_half_width() -> None:
    density = PoleDensity(np.array([[0.0, 0.0, 1.0]]), half_width_deg=10.0)
    angle = np.radians([0.0, 10.0])
    top, half = density(np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1))
    assert_allclose(half / top, 0.5, atol=0.02)  # the bin is one degree wide


@pytest.mark.parametrize(
    ("laue", "numbers"), [("m-3m", (3, 6, 4)), ("6/mmm", (1, 3, 3)), ("4/mmm", (1, 2, 2))]
)
def test_families_have_their_planes(laue: str, numbers: tuple[int, ...]) -> None:
    families = plane_families(laue)
    assert tuple(len(normals) for _, normals in families) == numbers
    for _, normals in families:
        assert_allclose(np.linalg.norm(normals, axis=1), 1.0)


def test_poles_of_one_crystal_are_where_its_planes_are() -> None:
    q = random(1, np.random.default_rng(3))
    normals = plane_families("m-3m")[2][1]
    figure = pole_figure(q, normals)
    there = rotate(conjugate(q), normals)
    # one of four kernels of height 46; the poles lie anywhere in bins of one degree
    assert_allclose(figure(there), 46.0 / 4, rtol=0.02)
    nodes = rotate(q, np.array([[0.0, 0.0, 1.0]]))
    assert inverse_pole_figure(q, np.array([0, 0, 1.0]), "m-3m", nodes)[0] > 1.5


def test_equivalent_crystals_give_the_same_figures() -> None:
    rng = np.random.default_rng(4)
    q = random(30, rng)
    operators = laue_operators("6/mmm")
    other = multiply(operators[rng.integers(len(operators), size=30)], q)
    nodes = from_disc(disc(12))
    for _, normals in plane_families("6/mmm"):
        one, two = pole_figure(q, normals)(nodes), pole_figure(other, normals)(nodes)
        assert_allclose(two, one, atol=0.15)  # poles on the rim fall into bins of either side
    z = np.array([0.0, 0.0, 1.0])
    assert_allclose(
        inverse_pole_figure(other, z, "6/mmm", nodes),
        inverse_pole_figure(q, z, "6/mmm", nodes),
        atol=0.1,  # as above
    )
