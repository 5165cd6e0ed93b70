"""Textures have the statistics that their kernels promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from xtalfuse.datasets.simulate.texture import (
    SHEET_COMPONENTS,
    Fibre,
    Ideal,
    Mixture,
    RandomTexture,
    kappa,
    miller,
    rolled_hexagonal,
    sheet,
    shortest_turn,
    spread,
)
from xtalfuse.physics.orientation.disorientation import disorientation_angle
from xtalfuse.physics.orientation.quaternion import conjugate, rotate

N = 20_000
ND, RD, TD = np.eye(3)[[2, 0, 1]]


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


def angle_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip((a * b).sum(axis=-1), -1.0, 1.0))


@pytest.mark.parametrize("half_width", [2.0, 10.0, 40.0])
def test_the_kernel_has_its_half_width_and_mean_angle(half_width):
    k = kappa(half_width)
    assert np.cos(np.radians(half_width) / 2) ** (2 * k) == pytest.approx(0.5)

    def density(angle: float) -> float:
        return np.sin(angle / 2) ** 2 * np.cos(angle / 2) ** (2 * k)

    whole = quad(density, 0, np.pi, points=[np.radians(half_width)])[0]
    mean = quad(lambda a: a * density(a), 0, np.pi, points=[np.radians(half_width)])[0] / whole
    angle = 2 * np.arccos(np.clip(spread(N, half_width, rng())[:, 0], -1, 1))
    # the angle scatters by less than half of its mean: 4 standard errors of N draws
    assert angle.mean() == pytest.approx(mean, rel=4 * 0.5 / np.sqrt(N))


def test_random_orientations_have_the_disorientations_of_mackenzie():
    q = RandomTexture().sample(2 * N, rng())
    angle = np.degrees(disorientation_angle(q[:N], q[N:], "m-3m"))
    # Mackenzie (1958), Biometrika 45, 229: mean 40.74 degrees; the distribution is 11.3 wide
    assert angle.mean() == pytest.approx(40.736, abs=4 * 11.3 / np.sqrt(N))
    assert angle.max() < 62.8
    assert np.degrees(disorientation_angle(q[:N], q[N:], "m-3m") < np.radians(15)).any()


@pytest.mark.parametrize("crystal", [(1.0, 1.0, 1.0), (0.0, 0.0, -1.0), (2.0, 0.0, 1.0)])
def test_a_fibre_tilts_as_the_kernel_says_and_turns_freely(crystal):
    fibre = Fibre(crystal, (0.0, 0.0, 1.0), 15.0)
    q = fibre.sample(N, rng())
    pole = rotate(q, np.tile(ND, (N, 1)))
    tilt = angle_between(pole, np.array(crystal) / np.linalg.norm(crystal))
    # integrating the kernel over turns about the pole leaves Beta(kappa + 1, 1) of cos^2(tilt/2)
    half = np.sin(tilt / 2) ** 2
    assert half.mean() == pytest.approx(1 / (kappa(15.0) + 2), rel=4 / np.sqrt(N))
    across = np.cross(crystal, [0.3, 0.5, 0.7])
    seen = rotate(conjugate(q), np.tile(across / np.linalg.norm(across), (N, 1)))
    azimuth = np.exp(1j * np.arctan2(seen[:, 1], seen[:, 0]))
    assert abs(azimuth.mean()) < 4 / np.sqrt(N)


@pytest.mark.parametrize("name", SHEET_COMPONENTS)
def test_sheet_components_lie_as_their_names_say(name):
    plane, direction = (np.array(v) / np.linalg.norm(v) for v in SHEET_COMPONENTS[name])
    q = np.array(miller(*SHEET_COMPONENTS[name]))
    np.testing.assert_allclose(rotate(q, ND), plane, atol=1e-12)
    np.testing.assert_allclose(rotate(q, RD), direction, atol=1e-12)
    drawn = sheet({name: 1.0}, 5.0).sample(400, rng())
    normal = np.abs(rotate(drawn, np.tile(ND, (400, 1))))
    family = np.sort(np.abs(plane))
    # images by the sheet keep the family of planes on the normal; 5 degrees is small
    assert np.degrees(angle_between(np.sort(normal, axis=1), family)).mean() < 8.0


def test_a_sheet_looks_the_same_after_half_a_turn():
    q = sheet({"s": 1.0}, 3.0).sample(N, rng())
    pole = rotate(conjugate(q), np.tile(np.array([1.0, 2.0, 3.0]) / np.sqrt(14), (N, 1)))
    # {123} planes of one variant would give a mean pole; the two signs of z balance it
    assert np.abs(pole.mean(axis=0)).max() < 4 / np.sqrt(N)


def test_weights_of_a_mixture_are_shares_of_grains():
    near = Ideal((1.0, 0.0, 0.0, 0.0), 2.0, sheet=False)
    q = Mixture(((3.0, near), (1.0, Fibre((1, 1, 1), (0, 0, 1), 2.0)))).sample(N, rng())
    share = (disorientation_angle(q, np.array([1.0, 0, 0, 0]), "m-3m") < np.radians(15)).mean()
    assert share == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / N))


@pytest.mark.parametrize(("towards", "tilt"), [("y", 35.0), ("x", 20.0)])
def test_the_basal_pole_of_a_rolled_sheet_is_split(towards, tilt):
    q = rolled_hexagonal(tilt, towards, 1.0).sample(2000, rng())
    c = rotate(conjugate(q), np.tile([0.0, 0.0, 1.0], (2000, 1)))
    c *= np.sign(c[:, 2:])
    along, across = (c[:, 1], c[:, 0]) if towards == "y" else (c[:, 0], c[:, 1])
    assert np.degrees(np.arctan2(np.abs(along), c[:, 2])).mean() == pytest.approx(tilt, abs=0.5)
    assert np.abs(across).mean() < 0.03
    assert (along > 0).mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2000))


def test_the_shortest_turn_also_turns_back():
    for end in ([0.0, 0.0, -1.0], [0.0, 0.0, 1.0], [1.0, 2.0, -0.5]):
        turned = rotate(shortest_turn((0, 0, 1), end), ND)
        np.testing.assert_allclose(turned, np.array(end) / np.linalg.norm(end), atol=1e-12)


def test_wrong_textures_are_refused():
    with pytest.raises(ValueError, match="there are"):
        sheet({"cubic": 1.0})
    with pytest.raises(ValueError, match="half-width"):
        kappa(0.0)
    with pytest.raises(ValueError, match="does not lie in the plane"):
        miller((0, 0, 1), (0, 1, 1))
    with pytest.raises(ValueError, match="tilt towards"):
        rolled_hexagonal(towards="z")
