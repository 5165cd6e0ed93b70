"""Ridge regression of the stress of grains: the models that a graph network must beat.

Each grain under a uniaxial load along l is described by the stiffness of its own crystal and by
averages of those of its neighbours, in a frame whose last axis is l. The target is the stress
component along l over the mean stress along l.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.physics.grains.graph import GrainGraph

UPPER = np.triu_indices(6)
LEVELS = ("own", "mean", "directional")
# exchanges of axes that bring x, y or z to the last place, as rotations
FRAMES = tuple(np.roll(np.eye(3), shift, axis=0) for shift in (2, 1, 0))


@dataclass(frozen=True)
class Ridge:
    """Linear model of standardized features."""

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: float

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n,) prediction for (n, k) features."""
        return (features - self.mean) / self.scale @ self.weights + self.bias


def fit_ridge(features: np.ndarray, target: np.ndarray, penalty: float = 1.0) -> Ridge:
    """Ridge regression of (n,) targets on (n, k) features."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(mean).max(initial=1.0), scale, 1.0)
    x = (features - mean) / scale
    gram = x.T @ x + penalty * np.eye(x.shape[1])
    bias = float(target.mean())
    return Ridge(mean, scale, np.linalg.solve(gram, x.T @ (target - bias)), bias)


def features(
    graph: GrainGraph, stiffness: np.ndarray, level: str, axis: int, order: np.ndarray | None = None
) -> np.ndarray:
    """(n, k) features of the grains of one graph under a load along one axis.

    Parameters
    ----------
    graph : boundaries with area and normal
    stiffness : (n, 6, 6) of the grains in the specimen frame, Mandel
    level : ``own``: stiffness and size; ``mean``: and the mean of the neighbours by area;
        ``directional``: and means over neighbours that lie along and across the load, and over
        the neighbours of neighbours in the same two ways
    axis : of the load, 0, 1 or 2
    order : (n,) a permutation: neighbours are replaced by the grains that it names
    """
    from xtalfuse.physics.mechanics.elasticity import mandel_rotation

    turn = np.asarray(mandel_rotation(FRAMES[axis]))
    own = (turn @ stiffness @ turn.T)[:, UPPER[0], UPPER[1]]
    size = np.log(graph.size / graph.size.mean())[:, None]
    columns = [own, size, size**2]
    other = own if order is None else own[order]
    if level == "mean":
        columns.append(_neighbours(graph, np.ones(len(graph.area)), other))
    elif level == "directional":
        along = graph.normal[:, axis, axis]
        first = [_neighbours(graph, weight, other) for weight in (along, 1.0 - along)]
        second = [
            _neighbours(graph, weight, each) for weight in (along, 1.0 - along) for each in first
        ]
        columns += first + second
    elif level != "own":
        raise ValueError(f"level {level!r} is none of {LEVELS}")
    return np.concatenate(columns, axis=1)


def _neighbours(graph: GrainGraph, weight: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n, k) sum over the neighbours of area x weight, over the area of the grain, of values."""
    i, j = graph.edges
    total = np.bincount(graph.edges.ravel(), np.tile(graph.area, 2), len(graph))
    part = (graph.area * weight)[:, None]
    result = np.zeros_like(values)
    np.add.at(result, i, part * values[j])
    np.add.at(result, j, part * values[i])
    return result / np.where(total > 0, total, 1.0)[:, None]
