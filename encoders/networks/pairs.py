"""Pairs of grains that strain each other: what the grain network reads.

Near pairs, those with a common boundary or with centroids close to each other, are described
in full, and the network learns how they interact. Far pairs interact like spheres, which is
summed here. On a periodic specimen every image of a grain counts as a grain. Lengths are in
units of the mean grain diameter, so that the unit and the scale of a map do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.physics.grains.graph import GrainGraph

if TYPE_CHECKING:
    import torch
    from torch_geometric.data import Data

NEAR = 1.75  # largest distance of the centroids of a pair over the sum of the grains' radii
FAR = 4.0  # largest distance of any pair, mean grain diameters
PAIRS = 500_000  # of a large graph at most, roughly: FAR shrinks until it holds
DIGITS = 2.0**-22  # of the largest stiffness: see `grain_stiffness`


def grain_stiffness(graph: GrainGraph, constants: Sequence[np.ndarray]) -> torch.Tensor:
    """(n, 6, 6) stiffness of every grain in the specimen frame, Mandel, GPa, float64.

    Parameters
    ----------
    graph : its orientations are specimen -> crystal
    constants : (6, 6) stiffness of each phase in the crystal frame, Mandel, GPa

    Notes
    -----
    Equivalent orientations of a crystal give the same stiffness but for the rounding of
    floats, some 1e-16. The result is rounded to 2e-7 of the largest entry, far below what is
    known of any constant, so that they give the same bits, and so does all that is computed
    from it. (A value may by chance lie within 1e-16 of where rounding changes: one grain in
    more than a million.)

    Raises
    ------
    ValueError
        If there is not one stiffness for each phase.
    """
    import torch

    from xtalfuse.physics.mechanics.elasticity import rotate_stiffness

    if len(constants) != len(graph.phases):
        names = ", ".join(phase.name for phase in graph.phases)
        raise ValueError(f"{len(constants)} stiffnesses for the phases {names}; give one of each")
    own = torch.as_tensor(np.stack([np.asarray(c, float) for c in constants]))[graph.phase]
    turned = rotate_stiffness(own, torch.as_tensor(graph.orientation, dtype=torch.float64))
    largest = float(own.abs().max())
    grid = 2.0 ** np.ceil(np.log2(largest)) * DIGITS if largest > 0 else 1.0
    return torch.round(turned / grid) * grid + 0.0  # + 0.0: no negative zeros


def pair_data(graph: GrainGraph, stiffness: torch.Tensor) -> Data:
    """Grains and pairs as tensors, float64; the unit of length is the mean grain diameter.

    Parameters
    ----------
    graph : of a volume
    stiffness : (n, 6, 6) of the grains in the specimen frame, GPa

    Returns
    -------
    Data with ``stiffness`` (n, 6, 6) GPa, ``volume`` (n,), ``shape`` (n, 3, 3); near pairs,
    each once: ``edge_index`` (2, m), ``edge_vector`` (m, 3) from the first to the second,
    ``edge_area`` (m,) and ``edge_normal`` (m, 3, 3) of their boundary, zero where there is
    none; far pairs, each once: ``far_index`` (2, f), ``far_tensor`` (f, 15), which times the
    volume of one grain is its B on the other (:mod:`xtalfuse.physics.mechanics.interaction`).
    """
    import torch
    from torch_geometric.data import Data

    unit = float(np.mean(np.cbrt(6.0 * graph.size / np.pi)))
    pairs, vector = _pairs(graph, unit)
    radii = np.cbrt(graph.size * (3.0 / (4.0 * np.pi)))[pairs].sum(axis=0)
    near = np.linalg.norm(vector, axis=1) <= NEAR * radii
    boundary = _is_boundary(graph, pairs, vector, unit)
    new, far = near & ~boundary, ~near & ~boundary
    index = np.concatenate([graph.edges, pairs[:, new]], axis=1)
    vectors = np.concatenate([graph.vectors(), vector[new]]) / unit
    volume = torch.as_tensor(graph.size / unit**3, dtype=torch.float64)
    far_index, far_tensor = _far(pairs[:, far], vector[far] / unit, volume)
    without = np.zeros(int(new.sum()))

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.asarray(array, float))

    return Data(
        stiffness=stiffness,
        volume=volume,
        shape=tensor(graph.shape / unit**2),
        edge_index=torch.as_tensor(index, dtype=torch.long),
        edge_vector=tensor(vectors),
        edge_area=tensor(np.concatenate([graph.area / unit**2, without])),
        edge_normal=tensor(np.concatenate([graph.normal, np.zeros((len(without), 3, 3))])),
        far_index=far_index,
        far_tensor=far_tensor,
        num_nodes=len(graph),
    )


def _pairs(graph: GrainGraph, unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (2, m) of grains and images of grains within reach, each once, and (m, 3) vectors."""
    from scipy.spatial import cKDTree

    reach = unit * min(FAR, np.cbrt(PAIRS / (4.0 * max(len(graph), 1))))
    period = np.zeros(3) if graph.period is None else np.asarray(graph.period, float)
    times = [int(reach // p) + 1 if p > 0 else 0 for p in period]
    shifts = np.array(list(product(*(range(-k, k + 1) for k in times))), float) * period
    places = (np.asarray(graph.centroid, float) + shifts[:, None]).reshape(-1, 3)
    found = cKDTree(graph.centroid).query_ball_tree(cKDTree(places), reach)
    first = np.repeat(np.arange(len(graph)), [len(f) for f in found])
    image = np.array([k for f in found for k in f], int)
    second = image % max(len(graph), 1)
    vector = places[image] - graph.centroid[first]
    x, y, z = vector.T
    upper = (x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))
    once = (first < second) | ((first == second) & upper)
    return np.stack([first, second])[:, once], vector[once]


def _is_boundary(
    graph: GrainGraph, pairs: np.ndarray, vector: np.ndarray, unit: float
) -> np.ndarray:
    """(m,) whether a pair is that of a boundary, in the same image."""
    key, edges = pairs[0] * len(graph) + pairs[1], graph.edges[0] * len(graph) + graph.edges[1]
    if not len(edges):
        return np.zeros(len(key), bool)
    place = np.minimum(np.searchsorted(edges, key), len(edges) - 1)
    same = np.linalg.norm(vector - graph.vectors()[place], axis=1) < 1e-5 * unit
    return (edges[place] == key) & same


def _far(
    pairs: np.ndarray, vector: np.ndarray, volume: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs and sums over their images of the interaction of spheres, per volume."""
    import torch

    from xtalfuse.physics.mechanics.interaction import two_spheres

    apart = torch.as_tensor(vector)
    first, second = torch.as_tensor(pairs)
    radius = torch.pow(volume * (3.0 / (4.0 * np.pi)), 1.0 / 3.0)
    each = two_spheres(apart, radius[first], radius[second])
    each = each / torch.linalg.vector_norm(apart, dim=-1, keepdim=True) ** 3
    index, place = torch.unique(torch.as_tensor(pairs), dim=1, return_inverse=True)
    return index, each.new_zeros(index.shape[1], 15).index_add_(0, place, each)
