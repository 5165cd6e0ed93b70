"""Stress and stiffness from a grain graph: bounds, equilibrium, better than Hill, or it says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.simulate.polycrystal import (
    PhaseSpec,
    Polycrystal,
    PolycrystalSpec,
    polycrystal,
)
from xtalfuse.datasets.simulate.pores import PoreSpec
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.mechanics.elasticity import rotate_stiffness
from xtalfuse.physics.mechanics.homogenization import effective_stiffness
from xtalfuse.tasks.mechanics.grains import (
    HILL,
    NETWORK,
    SPHERES,
    predict_stiffness,
    predict_stress,
)

LEAD = elastic_constants("Pb").stiffness  # not among the metals that the network was trained on
LOAD = np.array([0.0, 0.0, 1.0, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def volume() -> Polycrystal:
    phases = (PhaseSpec(MapPhase("Pb", "m-3m")),)
    return polycrystal(21, 0, PolycrystalSpec((24,) * 3, grains=30, phases=phases))


@pytest.fixture(scope="module")
def solved(volume: Polycrystal) -> tuple[np.ndarray, np.ndarray]:
    turned = rotate_stiffness(torch.tensor(LEAD), torch.tensor(volume.orientation))
    stiffness, stress = effective_stiffness(volume.labels, turned.float())
    return stiffness.double().numpy(), stress.double().numpy()


def test_stress_is_nearer_to_the_solver_than_that_of_the_zero_model(volume, solved):
    truth = solved[1] @ np.linalg.solve(solved[0], LOAD)
    found = predict_stress(volume.graph(), [LEAD], LOAD)
    assert found.method == NETWORK
    error, zero = found.value - truth, found.zero_model - truth
    assert (error**2).sum() < 0.1 * (zero**2).sum()
    inside = np.abs(error) <= found.half_width
    # 180 values of 30 grains, which share their errors
    assert 0.75 < inside.mean() <= 1.0


def test_stiffness_is_nearer_to_the_solver_than_hill(volume, solved):
    found = predict_stiffness(volume.graph(), [LEAD])
    error, zero = found.value - solved[0], found.zero_model - solved[0]
    assert np.linalg.norm(error) < 0.25 * np.linalg.norm(zero)
    assert (np.abs(error) <= found.half_width).mean() > 0.7


def test_two_phases_although_it_was_trained_on_one():
    crystals = [elastic_constants(name) for name in ("Al", "Cu")]
    phases = tuple(PhaseSpec(MapPhase(c.name, c.laue)) for c in crystals)
    volume = polycrystal(22, 0, PolycrystalSpec((24,) * 3, grains=30, phases=phases))
    constants = [c.stiffness for c in crystals]
    own = torch.tensor(np.stack(constants))[volume.phase]
    turned = rotate_stiffness(own, torch.as_tensor(volume.orientation))
    whole, stress = effective_stiffness(volume.labels, turned.float())
    truth = stress.double().numpy() @ np.linalg.solve(whole.double().numpy(), LOAD)
    found = predict_stress(volume.graph(), constants, LOAD)
    error, zero = found.value - truth, found.zero_model - truth
    assert (error**2).sum() < 0.1 * (zero**2).sum()


@pytest.mark.parametrize("given", ["stress", "strain"])
def test_the_mean_of_the_grains_is_the_load(volume, given):
    graph = volume.graph()
    found = predict_stress(graph, [LEAD], LOAD, given=given).value
    mean = np.average(found, axis=0, weights=graph.size)
    if given == "stress":
        assert mean == pytest.approx(LOAD, abs=1e-9)
    else:
        # the same stiffness, but neither cut to the bounds nor made symmetric
        expected = predict_stiffness(graph, [LEAD]).value @ LOAD
        assert mean == pytest.approx(expected, abs=1e-2 * np.abs(expected).max())


def test_stiffness_and_samples_lie_between_the_bounds(volume):
    found = predict_stiffness(volume.graph(), [LEAD])
    turned = rotate_stiffness(torch.tensor(LEAD), torch.tensor(volume.orientation)).numpy()
    share = np.bincount(volume.labels.ravel()) / volume.labels.size
    high = np.einsum("n,nab->ab", share, turned)
    low = np.linalg.inv(np.einsum("n,nab->ab", share, np.linalg.inv(turned)))
    for each in (found.value, *found.samples):
        assert np.array_equal(each, each.T)
        slack = 1e-6 * high.max()
        assert np.linalg.eigvalsh(high - each).min() > -slack
        assert np.linalg.eigvalsh(each - low).min() > -slack
        assert np.linalg.eigvalsh(each).min() > 0.0
    spread = found.samples.std(axis=0)
    large = found.half_width > 0.1 * found.half_width.max()
    # 200 samples: a standard deviation to 5 %
    assert 1.645 * spread[large] == pytest.approx(found.half_width[large], rel=0.25)


def test_a_crystal_without_neighbours_has_its_own_stiffness(volume):
    same = replace(volume.graph(), orientation=np.tile([1.0, 0.0, 0.0, 0.0], (30, 1)))
    found = predict_stiffness(same, [LEAD])
    # stiffness is rounded to 2e-7 of its largest entry
    assert found.value == pytest.approx(LEAD, abs=2e-7 * LEAD.max())
    assert found.half_width.max() < 1e-4


def test_a_section_is_answered_by_hill(volume):
    labels = volume.labels[:, :, :1]
    kept, labels = np.unique(labels, return_inverse=True)
    from xtalfuse.physics.grains.graph import from_labels

    section = from_labels(
        labels.reshape(24, 24, 1), volume.orientation[kept], volume.phase[kept], volume.phases
    )
    whole, stress = predict_stiffness(section, [LEAD]), predict_stress(section, [LEAD], LOAD)
    assert (whole.method, stress.method) == (HILL, SPHERES)
    assert np.array_equal(whole.value, whole.zero_model) or whole.value == pytest.approx(
        whole.zero_model, rel=1e-9
    )
    assert "section" in whole.validity
    assert any("section" in told for told in whole.assumptions)
    assert np.isnan(stress.uncertainty).all()


def test_pores_carry_nothing_and_soften():
    phases = (PhaseSpec(MapPhase("Pb", "m-3m")),)
    spec = PolycrystalSpec((24,) * 3, grains=20, phases=phases, pores=PoreSpec(0.1))
    graph = polycrystal(3, 0, spec).graph()
    constants = [LEAD, np.zeros((6, 6))]
    whole, stress = predict_stiffness(graph, constants), predict_stress(graph, constants, LOAD)
    assert (whole.method, stress.method) == (HILL, SPHERES)
    assert "pores" in whole.validity
    pore = graph.phase == 1
    assert not stress.value[pore].any()
    assert not stress.uncertainty[pore].any()
    mean = (graph.size[:, None] * stress.value).sum(axis=0) / graph.size.sum()
    assert mean == pytest.approx(LOAD, abs=1e-9)
    dense = predict_stiffness(replace(graph, phase=0 * graph.phase), constants[:1] * 2)
    # a tenth of spherical pores takes about a fifth of the stiffness
    assert 0.7 < np.trace(whole.value) / np.trace(dense.value) < 0.88


def test_contrasts_beyond_those_tested_are_not_asked_of_the_network(volume):
    graph = replace(volume.graph(), phase=np.arange(30) % 2, phases=volume.phases * 2)
    found = predict_stiffness(graph, [LEAD, 40.0 * LEAD])
    assert found.method == HILL
    assert "differ" in found.validity


def test_an_open_volume_says_what_is_cut(volume):
    graph = replace(volume.graph(), period=None, on_border=np.arange(30) < 12)
    found = predict_stress(graph, [LEAD], LOAD)
    assert "12 of 30 grains are cut" in found.validity
    assert np.isfinite(found.half_width).all()


def test_what_does_not_fit_is_told(volume):
    with pytest.raises(ValueError, match="mean 'strain' or 'stress'"):
        predict_stress(volume.graph(), [LEAD], np.eye(3))
    with pytest.raises(ValueError, match="one of each"):
        predict_stiffness(volume.graph(), [LEAD, LEAD])
    with pytest.raises(ValueError, match="no grain has a stiffness"):
        predict_stiffness(volume.graph(), [np.zeros((6, 6))])
