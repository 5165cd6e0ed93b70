"""Properties of grains: bounds, uncertainties that hold, units."""

from __future__ import annotations

import json
import types
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.simulate.map import MapSpec, simulate_map
from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.mechanics.elasticity import (
    polycrystal_bounds,
    rotate_stiffness,
    youngs_modulus,
)
from xtalfuse.physics.orientation.quaternion import random
from xtalfuse.report.structure import write_microstructure
from xtalfuse.tasks.structure.analyse import analyse
from xtalfuse.tasks.structure.properties import PROPERTIES, title_of
from xtalfuse.tasks.structure.properties.base import resampled_mean
from xtalfuse.tasks.structure.properties.elastic import elastic_properties
from xtalfuse.tasks.structure.stiffness import hill_estimate

COPPER = elastic_constants("copper").stiffness.copy()


def grains(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    stiffness = np.asarray(rotate_stiffness(COPPER, random(count, rng)))
    return stiffness, rng.lognormal(0.0, 0.6, count)


def estimate_of(count: int, seed: int) -> Estimate:
    middle, samples = hill_estimate(*grains(count, seed))
    return Estimate("stiffness", middle, samples.std(axis=0), "GPa", "Hill", samples=samples)


def test_one_crystal_has_its_own_stiffness_and_no_spread_of_grains():
    middle, samples = hill_estimate(COPPER[None], np.ones(1))
    assert middle == pytest.approx(COPPER, rel=1e-12)
    assert np.ptp(samples, axis=0).max() == pytest.approx(0.0, abs=1e-9)


def test_the_standard_uncertainty_covers_the_material():
    """Of 60 specimens of one untextured metal, as many lie within one standard uncertainty of
    the material as the normal law says: 68 %, binomial spread 6 %."""
    known = float(polycrystal_bounds(COPPER).hill.young)
    along_x = partial(youngs_modulus, direction=np.array([1.0, 0.0, 0.0]))
    inside = 0
    for seed in range(60):
        x = estimate_of(80, seed).derived("youngs_modulus", along_x, "GPa", "x")
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


def test_the_name_in_the_file_is_made_of_quantity_direction_and_phase():
    whole = Estimate("porosity", 0.1, None, "", "")
    assert whole.name == "porosity"
    assert replace(whole, direction="x", phase="Fe[3]").name == "porosity_x[Fe[3]]"


def test_what_follows_from_an_estimate_has_the_spread_of_what_follows_from_its_samples():
    samples = np.array([1.0, 3.0])
    squared = Estimate("edge", 2.0, 1.0, "um", "", samples=samples).derived(
        "area", lambda x: x**2, "um2"
    )
    assert (squared.value, squared.uncertainty, squared.unit) == (4.0, 4.0, "um2")


def test_two_rules_never_give_one_quantity():
    quantities = [name for rule in PROPERTIES.values() for name in rule.titles]
    assert len(quantities) == len(set(quantities)) > 10
    assert title_of("youngs_modulus") == "Young's modulus"


def test_the_new_property_of_the_contributors_guide(monkeypatch, tmp_path):
    """The example of CONTRIBUTING, word for word, is all that a new property takes."""
    guide = (Path(__file__).parents[3] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = guide.split("## A new property")[1].split("\n## ")[0]
    example = types.ModuleType("example")
    exec(section.split("```python")[1].split("```")[0], example.__dict__)
    list(PROPERTIES)  # collect the others first
    monkeypatch.setattr(PROPERTIES, "_items", dict(PROPERTIES._items))
    for rule in example.RULES:
        PROPERTIES.add(rule.name, rule)
    copper = PhaseSpec(MapPhase("Copper", "m-3m"))
    points = simulate_map(
        5,
        0,
        MapSpec(PolycrystalSpec(shape=(32, 32, 8), grains=30, phases=(copper,)), noise_deg=0.3),
    ).crystal_map
    axes = (Axis("point", "", np.arange(len(points.phase))), Axis("component", "", np.arange(4)))
    source = Provenance("map.ang", "00" * 32, "simulation")
    found = analyse(
        Measurement(
            Modality.EBSD, points.orientation, axes, "", source,
            crystal_map=points,
        )
    )  # fmt: skip
    density = found.property_named("boundary_density")
    # Cauchy: lines cross boundaries 2 / pi times their length over area, so that the mean
    # intercept is pi / 2 over it; few grains, and lines along the axes only: 25 %
    intercept = found.property_named("lineal_intercept[Copper]").value
    assert density.value == pytest.approx(np.pi / 2 / intercept, rel=0.25)
    page = write_microstructure(found, tmp_path).read_text(encoding="utf-8")
    assert "Grain boundaries by size" in page
    written = json.loads((tmp_path / "properties.json").read_text(encoding="utf-8"))
    assert written["properties"]["boundary_density"]["value"] == pytest.approx(density.value)
