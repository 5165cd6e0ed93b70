"""Grain network: from the graph of a polycrystal to the strain of each of its grains.

The network is the physics of a polycrystal, with the one thing learned that a graph does not
tell: how strongly two neighbouring grains of irregular shape strain each other. The grains lie
in an isotropic medium C_0 of Hill's moduli; grain j under the strain e_j has the polarisation
``tau_j = (C_j - C_0) e_j``, and rounds of message passing solve

    e_i = E' - P_i (tau_i - <tau>) - sum_j Gamma_ij (tau_j - <tau>),   <e> = E

for six mean strains E at once. Gamma_ij is that of two spheres plus a sum of tensors, made of
the pair's vector, the normals of its boundary and the shapes of its grains, which a small
perceptron weighs by scalars of the same. So a turned specimen gives turned results, the unit
of length does not matter, and the weights hold no property of any metal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import scatter

from xtalfuse.physics.mechanics.elasticity import isotropic_moduli, isotropic_stiffness
from xtalfuse.physics.mechanics.interaction import (
    sphere,
    strain_operator,
    symmetric_product,
    traceless,
    two_spheres,
    with_trace,
)

LARGEST_WEIGHT = 3.0  # of a learned tensor; those of two spheres have 0.6 and 0.24
CONCENTRIC = 0.7  # of the distance of touching spheres: nearer grains lie around each other


@dataclass(frozen=True)
class GrainNetworkConfig:
    """Size of the network.

    Parameters
    ----------
    hidden : width of the perceptrons
    rounds : of message passing; each gains almost a digit in copper, half of one in lithium
    """

    hidden: int = 48
    rounds: int = 6


class PairTensor(nn.Module):
    """B of near pairs per volume of the acting grain, (m, 15); the same in both directions."""

    scalars, tensors = 14, 14

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weigh = _perceptron(self.scalars, hidden, self.tensors)

    def forward(self, data: Data) -> Tensor:
        i, j = data.edge_index
        radius, shape, _ = _outlines(data)
        apart = torch.linalg.vector_norm(data.edge_vector, dim=-1).clamp(min=1e-9)
        # spheres that would overlap are taken to touch
        touching = torch.maximum(apart, radius[i] + radius[j])
        n = data.edge_vector / apart[:, None]
        base = two_spheres(n * touching[:, None], radius[i], radius[j])
        weights = _bounded(self.weigh(self._scalars(data, n, apart)))
        learned = torch.einsum("mb,mbk->mk", weights, self._tensors(data, n, shape))
        # a grain around another has no direction from it
        fade = (apart / (CONCENTRIC * touching)).clamp(max=1.0) ** 2
        return (fade / touching**3)[:, None] * (base + learned)

    @staticmethod
    def _scalars(data: Data, n: Tensor, apart: Tensor) -> Tensor:
        """(m, 14) numbers that no rotation changes, the same for (i, j) and (j, i)."""
        i, j = data.edge_index
        radius, shape, excess = _outlines(data)
        one, other = radius[i], radius[j]
        gap = (apart / (one + other)).clamp(min=0.3)
        ratio = torch.log(one / other).abs()
        # of the surface of the smaller one
        area = (data.edge_area / (4.0 * math.pi * torch.minimum(one, other) ** 2)).clamp(max=1.5)
        long_one, long_other = _along(shape[i], n) - 1.0, _along(shape[j], n) - 1.0
        smaller = (long_one - long_other) * torch.tanh(torch.log(one / other))
        columns = [
            torch.log(gap), 1.0 / gap - 1.0, torch.tanh(ratio), torch.tanh(ratio) ** 2, area,
            area.sqrt(), long_one + long_other, long_one * long_other,
            (long_one - long_other) ** 2, smaller, _along(data.edge_normal, n),
            (data.edge_normal**2).sum(dim=(-1, -2)), excess[i] + excess[j], excess[i] * excess[j],
        ]  # fmt: skip
        return torch.stack(columns, dim=-1)

    @staticmethod
    def _tensors(data: Data, n: Tensor, shape: Tensor) -> Tensor:
        """(m, 14, 15) tensors that turn with the specimen, the same for (i, j) and (j, i)."""
        i, j = data.edge_index
        one, other, normal = shape[i], shape[j], data.edge_normal
        both = one + other
        line = n[:, :, None] * n[:, None, :]
        bent = both @ line
        bent = 0.5 * (bent + bent.mT)
        mixed = one @ other
        mixed = 0.5 * (mixed + mixed.mT)
        second = (line, both, bent, normal, mixed)
        fourth = (
            (line, line), (line, both), (line, bent), (both, both), (one, other),
            (line, normal), (normal, normal), (both, normal), (bent, bent),
        )  # fmt: skip
        return torch.stack(
            [with_trace(s) for s in second] + [traceless(symmetric_product(*f)) for f in fourth],
            dim=1,
        )


class SelfTensor(nn.Module):
    """B of every grain on itself, (n, 15): that of a sphere, and what its shape adds."""

    scalars, tensors = 4, 5

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.weigh = _perceptron(self.scalars, hidden, self.tensors)

    def forward(self, data: Data) -> Tensor:
        radius, shape, excess = _outlines(data)
        ends = torch.cat([data.edge_index[0], data.edge_index[1]])
        faces = (data.edge_area[:, None, None] * data.edge_normal).repeat(2, 1, 1)
        surface = scatter(faces, ends, 0, len(radius))
        total = _trace(surface)
        surface = surface * (3.0 / total.clamp(min=1e-12))[:, None, None]
        scalars = torch.stack(
            [
                excess, torch.log1p(total / (4.0 * math.pi * radius**2)).clamp(max=2.0),
                _trace(shape @ shape) / 3.0 - 1.0, _trace(shape @ surface) / 3.0 - 1.0,
            ],
            dim=-1,
        )  # fmt: skip
        tensors = [with_trace(each) for each in (shape, surface, shape @ shape)]
        tensors += [
            traceless(symmetric_product(shape, shape)),
            traceless(symmetric_product(surface, surface)),
        ]
        weights = _bounded(self.weigh(scalars))
        learned = torch.einsum("nb,nbk->nk", weights, torch.stack(tensors, dim=1))
        return sphere().to(shape) + learned


class Exchange(MessagePassing):
    """Strain that all other grains cause in each: the sum over j of Gamma_ij tau_j."""

    def __init__(self) -> None:
        super().__init__(aggr="add", node_dim=0)

    def forward(self, edge_index: Tensor, gamma: Tensor, tau: Tensor) -> Tensor:
        """Sum over its neighbours of what they do to each grain.

        Parameters
        ----------
        edge_index : (2, m) int, from which grain to which
        gamma : of each pair, a matrix
        tau : of each grain, what the matrix acts on
        """
        return self.propagate(edge_index, gamma=gamma, tau=tau)

    def message(self, gamma: Tensor, tau_j: Tensor) -> Tensor:
        return gamma @ tau_j


@dataclass(frozen=True)
class GrainStrain:
    """What the network says.

    Parameters
    ----------
    concentration : (n, 6, 6) mean strain of each grain [component, mean strain of 1 in ...]
    exchanged : (n, 6, 6) quadratic form in the mean strain, GPa^2: the sum over all other grains
        of the squared stress that each contributes; its root is the scale of possible errors
    contrast : (n,) departure of each grain from the medium, relative, largest over all strains
    residual : () relative change of the strains in the last round; large where rounds diverge
    """

    concentration: Tensor
    exchanged: Tensor
    contrast: Tensor
    residual: Tensor


class GrainNetwork(nn.Module):
    """Strain of all grains of one graph, or of a batch of graphs.

    Parameters
    ----------
    config : its size
    """

    def __init__(self, config: GrainNetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config or GrainNetworkConfig()
        self.pair = PairTensor(self.config.hidden)
        self.self_pair = SelfTensor(self.config.hidden)
        self.exchange = Exchange()

    def forward(self, data: Data) -> GrainStrain:
        """Strain of the grains of `data`, made by ``pair_data``, in its dtype."""
        graph = data.batch
        if graph is None:
            graph = data.edge_index.new_zeros(len(data.volume))
        medium = _Medium(data.stiffness, data.volume, graph)
        own = strain_operator(self.self_pair(data), *medium.moduli(graph))  # [n, 6, 6]
        edge_index, gamma = self._interactions(data, medium, graph)
        one = torch.eye(6).to(own)
        local = torch.linalg.inv(one + own @ medium.contrast)
        soft = torch.linalg.inv(medium.mean(local))
        strain = before = one.expand_as(local)
        for _ in range(self.config.rounds):
            tau = medium.contrast @ strain
            mean = medium.mean(tau)[graph]
            driven = local @ (own @ mean - self.exchange(edge_index, gamma, tau - mean))
            # the strain far away is such that the mean strain is the given one
            away = soft @ (one - medium.mean(driven))
            before, strain = strain, driven + local @ away[graph]
        arriving = gamma @ (medium.contrast @ strain)[edge_index[0]]
        squares = scatter(arriving.mT @ arriving, edge_index[1], 0, len(strain))
        exchanged = (2.0 * medium.shear[graph])[:, None, None] ** 2 * squares
        residual = torch.linalg.vector_norm(strain - before) / torch.linalg.vector_norm(strain)
        return GrainStrain(strain, exchanged, medium.relative_contrast(), residual.detach())

    def _interactions(self, data: Data, medium: _Medium, graph: Tensor) -> tuple[Tensor, Tensor]:
        """(2, p) directed pairs from the acting to the strained grain, and their Gamma."""
        index = torch.cat([data.edge_index, data.far_index], dim=1)
        each = torch.cat([self.pair(data), data.far_tensor])
        gamma = strain_operator(each, *medium.moduli(graph[index[0]]))
        both = torch.cat([index, index.flip(0)], dim=1)
        return both, gamma.repeat(2, 1, 1) * data.volume[both[0]][:, None, None]


class _Medium:
    """Isotropic medium of each graph: its moduli are those of Hill's average."""

    def __init__(self, stiffness: Tensor, volume: Tensor, graph: Tensor) -> None:
        self.graph, self.graphs = graph, int(graph.max()) + 1
        total = scatter(volume, graph, 0, self.graphs)
        self.share = (volume / total[graph])[:, None, None]
        high = self.mean(stiffness)
        low = torch.linalg.inv(self.mean(torch.linalg.inv(stiffness)))
        self.bulk, self.shear, *_ = isotropic_moduli(0.5 * (high + low))
        self.contrast = stiffness - isotropic_stiffness(self.bulk, self.shear)[graph]

    def mean(self, values: Tensor) -> Tensor:
        """(graphs, 6, 6) mean over the volume of (n, 6, 6)."""
        return scatter(self.share * values, self.graph, 0, self.graphs)

    def relative_contrast(self) -> Tensor:
        """(n,) largest eigenvalue of each grain's contrast, measured by the medium."""
        soft = isotropic_stiffness(1.0 / (9.0 * self.bulk), 1.0 / (4.0 * self.shear))[self.graph]
        # the medium's inverse times a symmetric matrix has the eigenvalues of a symmetric one
        root = torch.linalg.cholesky(soft)
        return torch.linalg.eigvalsh(root.mT @ self.contrast @ root).abs().amax(dim=-1)

    def moduli(self, graph: Tensor) -> tuple[Tensor, Tensor]:
        """Bulk and shear modulus of the medium of each graph number."""
        return self.bulk[graph], self.shear[graph]


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers; it starts at zero, that is with the physics of spheres alone."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
    )  # fmt: skip


def _bounded(weights: Tensor) -> Tensor:
    """Weights that no input drives out of reach: Gamma is a projection, its norm is bounded."""
    return LARGEST_WEIGHT * torch.tanh(weights / LARGEST_WEIGHT)


def _outlines(data: Data) -> tuple[Tensor, Tensor, Tensor]:
    """Radius (n,) of the sphere of the same volume; shape (n, 3, 3) of trace 3; excess (n,).

    The excess is the logarithm of the second moment over that of the sphere, at most 2.
    """
    radius = torch.pow(data.volume * (3.0 / (4.0 * math.pi)), 1.0 / 3.0)
    size = _trace(data.shape) / 3.0
    excess = torch.log(size / (0.2 * radius**2)).clamp(-1.0, 2.0)
    return radius, data.shape / size[:, None, None], excess


def _along(tensor: Tensor, n: Tensor) -> Tensor:
    return torch.einsum("mab,ma,mb->m", tensor, n, n)


def _trace(tensor: Tensor) -> Tensor:
    return tensor.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
