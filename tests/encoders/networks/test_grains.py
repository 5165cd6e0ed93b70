"""The grain network keeps what physics and geometry demand, whatever its weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from xtalfuse.datasets.simulate.polycrystal import PolycrystalSpec, polycrystal
from xtalfuse.encoders.networks import pairs as grain_pairs
from xtalfuse.encoders.networks.grains import GrainNetwork, GrainNetworkConfig
from xtalfuse.encoders.networks.pairs import grain_stiffness, pair_data
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.physics.mechanics.elasticity import isotropic_stiffness

COPPER = isotropic_stiffness(torch.tensor(137.0), torch.tensor(23.5)).double()
COPPER[3:, 3:] *= 75.4 / 23.5
COPPER = COPPER.numpy()


def any_network(seed: int = 0) -> GrainNetwork:
    """A network whose learned part is there but weak, so that its rounds converge."""
    torch.manual_seed(seed)
    network = GrainNetwork(GrainNetworkConfig(hidden=8, rounds=6)).double()
    for each in network.parameters():
        torch.nn.init.normal_(each, std=0.1)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def graph() -> GrainGraph:
    return polycrystal(3, 0, PolycrystalSpec((16,) * 3, grains=24, cv=0.3)).graph()


@pytest.fixture(scope="module")
def data(graph: GrainGraph) -> Data:
    return pair_data(graph, grain_stiffness(graph, [COPPER]))


def test_every_boundary_is_one_near_pair(graph: GrainGraph, data: Data):
    edges = len(graph.area)
    assert torch.equal(data.edge_index[:, :edges], torch.as_tensor(graph.edges))
    assert (data.edge_area[:edges] > 0).all()
    assert (data.edge_area[edges:] == 0).all()
    named = {(*pair, *np.round(vector, 6)) for pair, vector in zip(
        data.edge_index.T.tolist(), data.edge_vector.numpy(), strict=True)}  # fmt: skip
    assert len(named) == data.edge_index.shape[1]


def test_pairs_are_all_images_within_reach(graph: GrainGraph, monkeypatch: pytest.MonkeyPatch):
    """Counted one by one, in units of the mean diameter."""
    monkeypatch.setattr(grain_pairs, "FAR", 2.0)
    unit = np.cbrt(6.0 * graph.size / np.pi).mean()
    pairs, vectors = grain_pairs._pairs(graph, unit)
    shifts = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3), axis=-1).reshape(-1, 3) * graph.period
    away = graph.centroid[None, :, None] - graph.centroid[:, None, None] + shifts
    inside = np.linalg.norm(away, axis=-1) <= 2.0 * unit
    assert 2 * pairs.shape[1] == inside.sum() - len(graph)  # each pair once, no grain with itself
    assert np.linalg.norm(vectors, axis=1).max() <= 2.0 * unit


def test_the_unit_of_length_does_not_matter(graph: GrainGraph, data: Data):
    scaled = replace(
        graph, size=graph.size * 8e9, centroid=graph.centroid * 2e3, shape=graph.shape * 4e6,
        area=graph.area * 4e6, period=graph.period * 2e3,
    )  # fmt: skip
    other = pair_data(scaled, data.stiffness)
    for name, value in data.to_dict().items():
        if torch.is_tensor(value):
            assert torch.allclose(value, other[name], rtol=1e-9), name


def test_grains_that_are_all_alike_are_strained_alike(data: Data):
    same = data.clone()
    same.stiffness = data.stiffness[:1].expand(len(data.stiffness), 6, 6)
    strain = any_network()(same).concentration
    assert strain.numpy() == pytest.approx(np.tile(np.eye(6), (len(strain), 1, 1)), abs=1e-9)


def test_the_mean_strain_is_the_given_one(data: Data):
    share = data.volume / data.volume.sum()
    mean = torch.einsum("n,nab->ab", share, any_network()(data).concentration)
    assert mean.numpy() == pytest.approx(np.eye(6), abs=1e-9)


def test_the_order_of_grains_does_not_matter(graph: GrainGraph, data: Data):
    order = np.random.default_rng(0).permutation(len(graph))
    shuffled = graph.permuted(order)
    network = any_network()
    first = network(data).concentration[torch.as_tensor(order)]
    second = network(pair_data(shuffled, grain_stiffness(shuffled, [COPPER]))).concentration
    assert torch.allclose(first, second, atol=1e-9)


def test_a_batch_is_its_graphs(data: Data):
    other = polycrystal(3, 1, PolycrystalSpec((16,) * 3, grains=12, cv=0.3)).graph()
    other_data = pair_data(other, grain_stiffness(other, [0.2 * COPPER]))
    network = any_network()
    both = network(Batch.from_data_list([data, other_data]))
    for name in ("concentration", "exchanged", "contrast"):
        alone = torch.cat([getattr(network(each), name) for each in (data, other_data)])
        assert torch.allclose(getattr(both, name), alone, rtol=1e-9, atol=1e-9), name


def test_rounds_solve_the_equations(data: Data):
    """More rounds change nothing: they are steps to the solution, not layers."""
    few, many = any_network(), any_network()
    many.config = replace(many.config, rounds=40)
    found = few(data)
    assert torch.allclose(found.concentration, many(data).concentration, atol=2e-3)
    assert found.residual < 2e-3
    assert many(data).residual < 1e-12


def test_a_grain_alone_and_grains_that_do_not_touch(graph: GrainGraph):
    one = replace(
        graph, **{n: getattr(graph, n)[:1] for n in ("orientation", "phase", "size", "centroid",
                                                     "shape", "on_border")},
        edges=np.empty((2, 0), int), area=np.empty(0), normal=np.empty((0, 3, 3)),
        misorientation=np.empty(0), axis=np.empty((0, 3)), period=None,
    )  # fmt: skip
    found = any_network()(pair_data(one, grain_stiffness(one, [COPPER])))
    assert found.concentration[0].numpy() == pytest.approx(np.eye(6), abs=1e-9)


def test_a_phase_without_constants_is_told(graph: GrainGraph):
    with pytest.raises(ValueError, match="2 stiffnesses for the phases cubic metal"):
        grain_stiffness(graph, [COPPER, COPPER])


def test_the_network_is_small_and_starts_with_physics(data: Data):
    network = GrainNetwork().double().requires_grad_(False)
    assert sum(each.numel() for each in network.parameters()) < 20_000
    assert network.pair.weigh[-1].weight.abs().max() == 0.0
    assert torch.isfinite(network(data).concentration).all()
