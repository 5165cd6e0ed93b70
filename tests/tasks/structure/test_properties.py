"""Properties of grains: bounds, uncertainties that hold, units."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.physics.mechanics.elasticity import polycrystal_bounds, rotate_stiffness
from xtalfuse.physics.orientation.quaternion import random
from xtalfuse.tasks.structure.properties import (
    StiffnessEstimate,
    elastic_properties,
    hill_estimate,
    resampled_mean,
)

COPPER = elastic_constants("copper").stiffness.copy()


def grains(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    stiffness = np.asarray(rotate_stiffness(COPPER, random(count, rng)))
    return stiffness, rng.lognormal(0.0, 0.6, count)


def estimate_of(count: int, seed: int) -> StiffnessEstimate:
    middle, samples = hill_estimate(*grains(count, seed))
    return StiffnessEstimate(middle, samples, "Hill", (), "")


def test_one_crystal_has_its_own_stiffness_and_no_spread_of_grains():
    middle, samples = hill_estimate(COPPER[None], np.ones(1))
    assert middle == pytest.approx(COPPER, rel=1e-12)
    assert np.ptp(samples, axis=0).max() == pytest.approx(0.0, abs=1e-9)


def test_the_standard_uncertainty_covers_the_material():
    """Of 60 specimens of one untextured metal, as many lie within one standard uncertainty of
    the material as the normal law says: 68 %, binomial spread 6 %."""
    known = float(polycrystal_bounds(COPPER).hill.young)
    inside = 0
    for seed in range(60):
        found = {p.name: p for p in elastic_properties(estimate_of(80, seed))}
        x = found["youngs_modulus_x"]
        inside += abs(x.value - known) < x.uncertainty
    assert 0.50 < inside / 60 < 0.86


def test_more_grains_tell_more():
    few, many = (
        next(p for p in elastic_properties(estimate_of(n, 3)) if p.name == "youngs_modulus_x")
        for n in (20, 500)
    )
    assert many.uncertainty < 0.5 * few.uncertainty


def test_bulk_modulus_of_a_cubic_polycrystal_is_that_of_the_crystal():
    found = {p.name: p for p in elastic_properties(estimate_of(50, 1))}
    c11, c12 = COPPER[0, 0], COPPER[0, 1]
    assert found["bulk_modulus"].value == pytest.approx((c11 + 2 * c12) / 3, rel=1e-9)
    assert found["bulk_modulus"].unit == "GPa"
    assert found["poisson_ratio"].unit == ""


def test_moduli_belong_together():
    found = {p.name: p.value for p in elastic_properties(estimate_of(50, 2))}
    k, g = found["bulk_modulus"], found["shear_modulus"]
    assert found["youngs_modulus"] == pytest.approx(9 * k * g / (3 * k + g), rel=1e-12)
    assert np.array(found["stiffness_voigt"]) == pytest.approx(
        np.array(found["stiffness_voigt"]).T, rel=1e-9
    )


def test_a_mean_over_grains_counts_their_size():
    mean, spread = resampled_mean(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
    assert mean == pytest.approx(1.5)
    assert spread > 0.0
