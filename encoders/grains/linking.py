"""Regions of points that belong together: linked, too small, renumbered, joined."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.grains.map_cleanup import fill_holes
from xtalfuse.physics.grains.crystal_map import CrystalMap


def pair_angles(crystal_map: CrystalMap, orientation: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Disorientation (m,) of pairs of points, rad; NaN unless both are of one phase.

    In a phase without orientation it is 0.
    """
    from xtalfuse.physics.orientation.disorientation import disorientation_angle

    one, other = crystal_map.phase[pairs]
    angle = np.full(pairs.shape[1], np.nan)
    for number, phase in enumerate(crystal_map.phases):
        inside = np.flatnonzero((one == number) & (other == number))
        if phase.laue is None:
            angle[inside] = 0.0
        elif len(inside):
            a, b = orientation[pairs[:, inside]]
            angle[inside] = disorientation_angle(a, b, phase.laue)
    return angle


def components(links: np.ndarray, size: int) -> np.ndarray:
    """(size,) number of the connected component of each node, given (2, m) links."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(links.shape[1], np.int8), tuple(links)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1])


def joined(label: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Labels (p,) in which the two of each of the (2, m) links have become one, renumbered."""
    new = components(links, int(label.max(initial=-1)) + 1)
    return renumbered(np.where(label >= 0, new[label], -1)) if len(new) else label


def bridged(
    crystal_map: CrystalMap,
    orientation: np.ndarray,
    label: np.ndarray,
    pairs: np.ndarray,
    depth: int,
    threshold: float,
) -> np.ndarray:
    """Labels (p,) with holes filled, in which what then touches below the threshold is one.

    A point that is filled stands for the measured point that it takes its label from: across a
    hole, these are compared as neighbours are elsewhere.

    Parameters
    ----------
    crystal_map : the points
    orientation : (p, 4) to compare
    label : (p,) int, negative: none
    pairs : (2, m) int, neighbouring points
    depth : as of `fill_holes`
    threshold : rad
    """
    part, source = fill_holes(label, pairs, depth)
    one, other = part[pairs]
    touching = pairs[:, (one != other) & (one >= 0) & (other >= 0)]
    near = pair_angles(crystal_map, orientation, source[touching]) < threshold
    return joined(part, part[touching[:, near]])


def without_small(label: np.ndarray, least: int) -> tuple[np.ndarray, int]:
    """Labels from 0, ``-1`` where a grain was too small; and how many were."""
    points = np.bincount(label[label >= 0]) if (label >= 0).any() else np.zeros(0, int)
    large = points >= max(least, 1)
    kept = np.where((label >= 0) & large[label], label, -1) if len(points) else label
    return renumbered(kept), int(((points > 0) & ~large).sum())


def renumbered(label: np.ndarray) -> np.ndarray:
    """The same regions, numbered from 0 in the order in which they begin."""
    names, first, where = np.unique(label, return_index=True, return_inverse=True)
    first = np.where(names < 0, -1, first)
    rank = np.argsort(np.argsort(first))
    return rank[where] - int(names[0] < 0)
