"""Peak shapes: area, limits, and every derivative against finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.physics.crystal.cell import laue_rotations
from xtalfuse.physics.crystal.profile import (
    Shape,
    lorentz_polarisation,
    march_dollase,
    stamp,
    tch_shape,
)

GRID = np.arange(20.0, 40.0, 0.005)


def shape_of(fwhm: float, eta: float) -> Shape:
    zero = np.zeros(1)
    return Shape(np.array([fwhm]), np.array([eta]), zero, zero, zero, zero)


def drawn(position: float, fwhm: float, eta: float, skewness: float, reach: float = 30.0):
    return stamp(
        GRID, np.array([position]), shape_of(fwhm, eta), np.array([skewness]), np.array([reach])
    )


@pytest.mark.parametrize("skewness", [0.0, 0.5, -0.9])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_area_is_one_whatever_the_shape(eta, skewness):
    area = drawn(30.0, 0.2, eta, skewness).value.sum() * 0.005
    # a Lorentzian holds 1 / (30 pi) of its area beyond 30 full widths on both sides
    assert area == pytest.approx(1.0, abs=eta / (30.0 * np.pi) + 1e-4)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_half_of_the_height_is_one_width_apart(eta):
    value = drawn(30.0, 0.2, eta, 0.0, 5.0)
    level = np.interp([29.9, 30.0, 30.1], GRID[value.point], value.value)
    assert level[[0, 2]] / level[1] == pytest.approx([0.5, 0.5], rel=1e-4)


def test_asymmetry_moves_intensity_to_high_angle_and_never_below_zero():
    value = drawn(30.0, 0.2, 0.5, 5.0)  # far beyond what is physical: clipped
    assert value.value.min() >= 0.0
    assert np.average(GRID[value.point], weights=value.value) > 30.0


@pytest.mark.parametrize(
    ("name", "step"), [("position", 3e-4), ("fwhm", 3e-4), ("eta", 1e-2), ("skewness", 1e-2)]
)
@pytest.mark.parametrize("start", [(30.0013, 0.2, 0.4, 0.3), (25.0, 0.08, 0.9, -0.6)])
def test_derivatives_of_a_peak(name, step, start):
    values = dict(zip(("position", "fwhm", "eta", "skewness"), start, strict=True))
    # inside 6 widths and off the window's edge, so that both windows hold the same points
    central = drawn(**values, reach=6.0)
    inside = np.abs(GRID[central.point] - values["position"]) < 5.9 * values["fwhm"]
    dense = []
    for sign in (1, -1):
        moved = drawn(**{**values, name: values[name] + sign * step}, reach=6.5)
        row = np.zeros(len(GRID))
        row[moved.point] = moved.value
        dense.append(row)
    numeric = ((dense[0] - dense[1]) / (2 * step))[central.point][inside]
    analytic = getattr(central, f"by_{name}")[inside]
    # the third derivative leaves (3e-4 / 0.08)^2 = 1e-5 of itself, single precision
    # 1e-7 / (3e-4 / 0.08) = 3e-5
    assert analytic == pytest.approx(numeric, abs=1e-4 * float(np.abs(analytic).max()))


def test_windows_hold_the_points_within_reach_and_only_those():
    shape = tch_shape(np.array([0.1, 0.2]), np.array([0.05, 0.0]))
    found = stamp(GRID, np.array([20.05, 60.0]), shape, np.zeros(2), np.array([3.0, 3.0]))
    assert found.start[-1] == found.start[1]  # the second peak lies outside the pattern
    assert np.all(found.peak == 0)
    assert np.abs(GRID[found.point] - 20.05).max() <= 3.0 * shape.fwhm[0]
    assert found.point[0] == 0


def test_tch_limits_are_the_pure_shapes():
    width = np.array([0.1, 0.3])
    gauss = tch_shape(width, np.zeros(2))
    lorentz = tch_shape(np.full(2, 1e-9), width)
    assert gauss.fwhm == pytest.approx(width)
    assert gauss.eta == pytest.approx([0.0, 0.0])
    assert lorentz.fwhm == pytest.approx(width, rel=1e-6)
    # the three coefficients of Thompson, Cox & Hastings add up to 1.00000
    assert lorentz.eta == pytest.approx([1.0, 1.0], abs=1e-5)


def test_tch_is_near_the_exact_convolution():
    from scipy.special import voigt_profile

    g, length = 0.12, 0.09
    shape = tch_shape(np.array([g]), np.array([length]))
    peak = stamp(GRID, np.array([30.0]), shape, np.zeros(1), np.array([8.0]))
    exact = voigt_profile(GRID[peak.point] - 30.0, g / np.sqrt(8 * np.log(2)), length / 2)
    # a pseudo-Voigt is no Voigt: 1.3 % of the height is the error of the approximation itself
    assert peak.value == pytest.approx(exact, abs=0.014 * exact.max())


@pytest.mark.parametrize(("g", "length"), [(0.1, 0.05), (0.06, 0.2), (0.2, 0.001)])
def test_derivatives_of_the_shape(g, length):
    step = 1e-7

    def at(a: float, b: float) -> Shape:
        return tch_shape(np.array([a]), np.array([b]))

    here = at(g, length)
    for of in ("fwhm", "eta"):
        by_g = (getattr(at(g + step, length), of) - getattr(at(g - step, length), of)) / (2 * step)
        by_l = (getattr(at(g, length + step), of) - getattr(at(g, length - step), of)) / (2 * step)
        # rounding of 1e-16 over steps of 1e-7 leaves 1e-8
        assert getattr(here, f"{of}_by_gauss") == pytest.approx(by_g, rel=1e-5, abs=1e-6)
        assert getattr(here, f"{of}_by_lorentz") == pytest.approx(by_l, rel=1e-5, abs=1e-6)


def test_lorentz_polarisation_at_angles_where_it_is_known():
    # 2-theta = 90 deg: cos 2theta = 0, sin^2 theta = 1/2, cos theta = 1/sqrt 2
    assert lorentz_polarisation(90.0) == pytest.approx(0.5 * 2.0 * np.sqrt(2.0))
    # graphite, 2-theta_m = 26.6 deg for Cu: K = 0.80
    assert lorentz_polarisation(90.0, 0.8) == pytest.approx(2.0 * np.sqrt(2.0) / 1.8)
    angles = np.linspace(10.0, 90.0, 30)
    assert np.all(np.diff(lorentz_polarisation(angles)) < 0)


HEXAGONAL = np.array([[0.06, 0.03, 0.0], [0.03, 0.06, 0.0], [0.0, 0.0, 0.04]])
ROTATIONS = laue_rotations("P 63/m m c")


def test_march_dollase_is_one_for_a_random_powder():
    hkl = np.array([[0, 0, 2], [1, 0, 0], [1, 0, 1], [1, 1, 2]])
    factor, _ = march_dollase(hkl, np.array([0.0, 0, 1]), HEXAGONAL, ROTATIONS, 1.0)
    assert factor == pytest.approx(np.ones(4))


def test_plates_lying_flat_raise_the_basal_reflection_by_r_to_the_minus_three():
    hkl = np.array([[0, 0, 2], [1, 0, 0]])
    factor, _ = march_dollase(hkl, np.array([0.0, 0, 1]), HEXAGONAL, ROTATIONS, 0.6)
    # Dollase (1986): a = 0 gives (r^2)^-3/2, a = 90 deg gives (1/r)^-3/2
    assert factor == pytest.approx([0.6**-3, 0.6**1.5])


def test_texture_keeps_the_total_intensity():
    # over all directions its mean is 1 (Dollase, 1986): an integral over cos(a)
    cosine = np.linspace(0.0, 1.0, 20_001)
    for r in (0.5, 0.8, 1.4):
        factor = (r * r * cosine**2 + (1 - cosine**2) / r) ** -1.5
        assert np.trapezoid(factor, cosine) == pytest.approx(1.0, abs=1e-6)
    cubic = laue_rotations("F m -3 m")
    directions = np.random.default_rng(4).normal(size=(3000, 3))
    found, _ = march_dollase(directions, np.array([1.0, 1, 1]), np.eye(3), cubic, 0.6)
    # 3000 random directions with a spread of 0.5: 0.01 is one standard error
    assert found.mean() == pytest.approx(1.0, abs=0.04)


def test_equivalent_reflections_have_the_same_texture_factor():
    hkl = np.array([[1, 0, 2], [0, 1, 2], [-1, 1, -2], [-1, 0, 2]])
    factor, _ = march_dollase(hkl, np.array([1.0, 0, 1]), HEXAGONAL, ROTATIONS, 0.7)
    assert factor == pytest.approx(np.full(4, factor[0]))


@pytest.mark.parametrize("r", [0.5, 1.0, 1.7])
def test_derivative_of_the_texture_factor(r):
    hkl = np.array([[0, 0, 2], [1, 0, 0], [1, 0, 1], [2, 1, 3]])
    axis, step = np.array([0.0, 0, 1]), 1e-6
    _, slope = march_dollase(hkl, axis, HEXAGONAL, ROTATIONS, r)
    above, _ = march_dollase(hkl, axis, HEXAGONAL, ROTATIONS, r + step)
    below, _ = march_dollase(hkl, axis, HEXAGONAL, ROTATIONS, r - step)
    assert slope == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-6)


def test_shapes_of_many_peaks_are_independent():
    widths, lorentz = np.array([0.1, 0.2, 0.15]), np.array([0.05, 0.01, 0.3])
    together = tch_shape(widths, lorentz)
    alone = tch_shape(widths[1:2], lorentz[1:2])
    assert together.fwhm[1] == alone.fwhm[0]
    assert replace(together, fwhm=alone.fwhm).eta[1] == alone.eta[0]
