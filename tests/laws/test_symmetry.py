"""Law 3 for grains: equivalent crystals give the same bits, a turned specimen turned tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.simulate.polycrystal import PhaseSpec, PolycrystalSpec, polycrystal
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.physics.mechanics.elasticity import mandel_rotation
from xtalfuse.physics.orientation.laue import laue_operators
from xtalfuse.physics.orientation.quaternion import conjugate, multiply, to_matrix
from xtalfuse.tasks.mechanics.grains import NETWORK, predict_stiffness, predict_stress

# one metal of each Laue class that metals have; ruby for trigonal, rutile for tetragonal
CRYSTALS = ("Cu", "Zn", "Ti", "corundum", "rutile")
LOAD = np.array([0.1, 0.0, 0.3, 0.05, 0.0, -0.02])


def volume(laue: str, periodic: bool = True) -> GrainGraph:
    spec = PolycrystalSpec((16,) * 3, grains=16, phases=(PhaseSpec(MapPhase("x", laue)),))
    graph = polycrystal(5, 0, spec).graph()
    return graph if periodic else replace(graph, period=None)


def answers(graph: GrainGraph, stiffness: np.ndarray) -> list[np.ndarray]:
    stress, whole = predict_stress(graph, [stiffness], LOAD), predict_stiffness(graph, [stiffness])
    return [stress.value, stress.uncertainty, stress.zero_model,
            whole.value, whole.uncertainty, whole.zero_model, whole.samples]  # fmt: skip


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_equivalent_orientations_give_the_same_bits(crystal: str):
    record = elastic_constants(crystal)
    graph, operators = volume(record.laue), laue_operators(record.laue)
    rng = np.random.default_rng(0)
    expected = answers(graph, record.stiffness)
    for _ in range(3):
        chosen = operators[rng.integers(len(operators), size=len(graph))]
        sign = rng.choice([-1.0, 1.0], size=(len(graph), 1))
        orientation = sign * np.asarray(multiply(chosen, graph.orientation))
        found = answers(replace(graph, orientation=orientation), record.stiffness)
        assert all(map(np.array_equal, expected, found))


@pytest.mark.parametrize("crystal", ["Cu", "Zn"])
def test_the_network_answers_for_metals(crystal: str):
    """Else the law above would speak of the zero model alone."""
    record = elastic_constants(crystal)
    assert predict_stiffness(volume(record.laue), [record.stiffness]).method == NETWORK


def turned(graph: GrainGraph, q: np.ndarray) -> GrainGraph:
    """The same specimen in other axes: v' = R(q) v."""
    r = np.asarray(to_matrix(q))
    return replace(
        graph,
        orientation=np.asarray(multiply(graph.orientation, conjugate(q))),
        centroid=graph.centroid @ r.T,
        shape=r @ graph.shape @ r.T,
        normal=r @ graph.normal @ r.T,
    )


@pytest.mark.parametrize("crystal", ["Cu", "Zn"])
def test_a_turned_specimen_gives_turned_tensors(crystal: str):
    record = elastic_constants(crystal)
    graph = volume(record.laue, periodic=False)
    rng = np.random.default_rng(1)
    stress = predict_stress(graph, [record.stiffness], LOAD)
    whole = predict_stiffness(graph, [record.stiffness])
    for _ in range(3):
        q = rng.normal(size=4)
        q /= np.linalg.norm(q)
        m = mandel_rotation(torch.as_tensor(np.asarray(to_matrix(q)))).numpy()
        other = turned(graph, q)
        stress_ = predict_stress(other, [record.stiffness], m @ LOAD)
        whole_ = predict_stiffness(other, [record.stiffness])
        scale = np.abs(stress.value).max()
        assert stress_.value == pytest.approx(stress.value @ m.T, abs=1e-5 * scale)
        assert stress_.uncertainty == pytest.approx(stress.uncertainty, abs=1e-5 * scale)
        assert whole_.value == pytest.approx(m @ whole.value @ m.T, rel=1e-5, abs=1e-3)


def test_a_periodic_specimen_may_change_its_axes():
    """A period is kept along axes: only exchanges of axes can be tried on one."""
    record = elastic_constants("Cu")
    graph = volume(record.laue)
    q = np.array([0.5, 0.5, 0.5, 0.5])
    m = mandel_rotation(torch.as_tensor(np.asarray(to_matrix(q)))).numpy()
    one = predict_stress(graph, [record.stiffness], LOAD).value
    other = predict_stress(turned(graph, q), [record.stiffness], m @ LOAD).value
    assert other == pytest.approx(one @ m.T, abs=1e-6)


def test_shared_boundaries_do_matter():
    """Or all of this would hold for a model that sees no neighbours."""
    record = elastic_constants("Cu")
    graph = volume(record.laue)
    without = predict_stress(replace(graph, area=0.0 * graph.area), [record.stiffness], LOAD)
    assert (
        np.abs(without.value - predict_stress(graph, [record.stiffness], LOAD).value).max() > 1e-3
    )
