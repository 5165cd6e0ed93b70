"""What is said first, with how many digits, and what a number rests on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.physics.mechanics.elasticity import rotate_stiffness, youngs_modulus
from xtalfuse.physics.orientation.disorientation import from_axis_angle, multiply, random
from xtalfuse.report.structure import headline, in_words, title
from xtalfuse.tasks.structure.analyse import analyse
from xtalfuse.tasks.structure.properties.elastic import elastic_properties, modulus_along
from xtalfuse.tasks.structure.result import Microstructure
from xtalfuse.tasks.structure.volume_stiffness import coarsened

NICKEL = MapPhase("Nickel", "m-3m", (3.52, 3.52, 3.52, 90.0, 90.0, 90.0))


def analysed(orientation: np.ndarray, shape: tuple[int, int], **options: bool) -> Microstructure:
    """Of a map of these orientations (rows * columns, 4)."""
    index = np.indices((1, *shape)).reshape(3, -1).T
    points = CrystalMap(
        orientation, np.zeros(len(index), int), index, (NICKEL,), GridKind.SQUARE, (1.0, 1.0, 0.0)
    )
    axes = (Axis("point", "", np.arange(float(len(index)))), Axis("component", "", np.arange(4.0)))
    source = Provenance("map.ang", "00" * 32, "made")
    found = Measurement(Modality.EBSD, orientation, axes, "", source, crystal_map=points)
    return analyse(found, **options)


@pytest.fixture(scope="module")
def bent() -> Microstructure:
    """A crystal that is bent by 60 degrees about z."""
    turn = np.radians(np.tile(np.arange(0.0, 60.0, 1.5), 8))
    along = from_axis_angle(np.tile([0.0, 0.0, 1.0], (len(turn), 1)), turn)
    return analysed(along, (8, 40))


def test_a_bent_crystal_is_as_stiff_as_its_points(bent):
    crystal = torch.as_tensor(elastic_constants("nickel").stiffness.copy())
    q = torch.as_tensor(bent.measurement.values, dtype=torch.float64)
    each = rotate_stiffness(crystal.expand(len(q), 6, 6), q)
    hill = 0.5 * (each.mean(0) + torch.linalg.inv(torch.linalg.inv(each).mean(0)))
    for axis, direction in zip("xyz", np.eye(3), strict=True):
        value = bent.property_named(f"youngs_modulus_{axis}").value
        assert_allclose(value, float(youngs_modulus(hill, direction)), rtol=1e-4)
    assert any("bent, by up to 15 degrees" in text for text in bent.warnings)


def test_the_headline_is_directional_where_direction_matters(bent):
    assert "along x" in headline(bent)
    assert "along z" in headline(bent)
    young = bent.property_named("youngs_modulus")
    assert "isotropic" in title(young)


def test_ratios_carry_the_uncertainty_of_constants(bent):
    relative = elastic_constants("nickel").relative_uncertainty
    for name in ("poisson_ratio", "universal_anisotropy", "youngs_modulus_x"):
        item = bent.property_named(name)
        assert 0.1 * relative * item.value < item.uncertainty < 10 * relative * item.value


def test_twins_change_nothing_but_the_count():
    rng = np.random.default_rng(2)
    parent = random(4, rng)
    twin = multiply(from_axis_angle(np.full((4, 3), 1.0), np.full(4, np.pi / 3)), parent)
    both = np.stack([parent, twin], axis=1).reshape(8, 4)
    label = np.kron(
        np.repeat([[0, 1, 0, 2, 3, 2], [4, 5, 4, 6, 7, 6]], 12, axis=0), np.ones((1, 6))
    )
    orientation = both[label.astype(int).ravel()]
    apart = analysed(orientation, label.shape)
    merged = analysed(orientation, label.shape, twins=True)
    assert len(merged.graph) == 4 < len(apart.graph)
    kept = [
        p.name for p in apart.properties if p.name.startswith(("youngs", "taylor", "univ", "poi"))
    ]
    assert len(kept) == 9
    for name in kept:
        one, other = apart.property_named(name), merged.property_named(name)
        assert (one.value, one.uncertainty) == (other.value, other.uncertainty)
    assert all(len(values) == 4 for values in merged.grain_columns.values())
    assert np.isfinite(merged.grain_columns["taylor_factor_x"]).all()


def test_nothing_is_carried_along_an_axis_that_no_solid_reaches_through():
    values = np.zeros((16, 8, 8), np.uint8)
    values[2:6], values[10:14] = 1, 1  # plates across z
    axes = tuple(
        Axis(n, "px", np.arange(float(k))) for n, k in zip("zyx", values.shape, strict=True)
    )
    made = Measurement(Modality.CT, values, axes, "label", Provenance("v.npy", "00" * 32, "made"))
    found = analyse(made, ("pore", "aluminium"), specimen="whole")
    assert found.property_named("youngs_modulus_z").value == 0.0
    assert found.property_named("longitudinal_modulus_z").value == 0.0
    assert found.property_named("youngs_modulus") is None
    # plates in plane stress: half of the volume, E of aluminium is 70
    assert found.property_named("youngs_modulus_x").value == pytest.approx(35.2, abs=0.5)
    assert "along z: nothing is carried" in " ".join(found.warnings)
    assert "0.000 GPa along z" in headline(found)
    negative = [p.name for p in found.properties if np.any(np.asarray(p.value) < -1e-9)]
    assert not negative


def test_no_digit_beyond_the_uncertainty():
    item = Estimate("body_diameter", 13.9420913638336934, 3e-16, "voxel", "")
    assert in_words(item) == "13.94 voxel"
    assert in_words(replace(item, uncertainty=0.2)) == "13.9(2) voxel"


def test_joining_voxels_does_not_depend_on_how_phases_are_numbered():
    rng = np.random.default_rng(0)
    phase = (rng.random((64, 64, 64)) < 0.5).astype(np.uint8)
    assert np.array_equal(coarsened(phase, 2), 1 - coarsened(1 - phase, 2))


def test_a_singular_stiffness_has_moduli_where_it_bears():
    stiffness = np.zeros((6, 6))
    stiffness[:2, :2] = [[40.0, 10.0], [10.0, 40.0]]
    assert modulus_along("z", stiffness) == 0.0
    assert modulus_along("x", stiffness) == pytest.approx(40.0 - 100.0 / 40.0)
    found = elastic_properties(Estimate("stiffness", stiffness, None, "GPa", ""))
    assert [item.name for item in found][-1] == "youngs_modulus_z"
