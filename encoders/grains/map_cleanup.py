"""Cleaning of orientation maps: average over neighbours, holes filled from around.

Everything works on pairs of neighbouring points, so that square, hexagonal and ragged maps and
stacks of sections are all the same.
"""

from __future__ import annotations

import numpy as np


def fill_holes(label: np.ndarray, pairs: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Give points without a grain to the grain that most of their neighbours belong to.

    The filling goes inwards, layer by layer; a neighbour has two votes, a neighbour of a
    neighbour one for each way to it. What a disc of `depth` points around fits into is no gap
    in the data but a hole in the specimen, or matter that gave no pattern: it stays.

    Parameters
    ----------
    label : (p,) int, grain of each point, negative: none
    pairs : (2, m) int, neighbouring points
    depth : the deepest point that is filled, counted from the rim of its hole

    Returns
    -------
    label : (p,) int, negative where the hole was too deep
    source : (p,) int, the labelled point nearby that each filled one takes its grain from; of
        all others the point itself
    """
    empty = label < 0
    fillable = empty & ~_opened(empty, pairs, depth)
    label, source = label.copy(), np.arange(len(label))
    point, other, votes = _ballots(np.flatnonzero(fillable), pairs, len(label))
    grains = int(label.max(initial=0)) + 1
    while (reached := (label < 0) & fillable & _beside(label >= 0, pairs)).any():
        voting = reached[point] & (label[other] >= 0)
        ballot = point[voting].astype(np.int64) * grains + label[other[voting]]
        names, which = np.unique(ballot, return_inverse=True)
        voter, grain = np.divmod(names, grains)
        total = np.bincount(which, votes[voting])
        order = np.lexsort((-grain, total, voter))  # of equal votes the lower number wins
        last = np.append(voter[order][1:] != voter[order][:-1], True)
        winner = order[last]
        label[voter[winner]] = grain[winner]
        # of the voters for the winner the one with most votes, a neighbour before others
        voted, told, weight = point[voting], other[voting], votes[voting]
        chosen = np.flatnonzero(label[told] == label[voted])
        chosen = chosen[np.argsort(weight[chosen], kind="stable")]
        source[voted[chosen]] = source[told[chosen]]
    return label, source


def _ballots(
    points: np.ndarray, pairs: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For some points, (k,) each: the point, who votes on it, and with how many votes."""
    from scipy.sparse import coo_array

    both = np.concatenate([pairs, pairs[::-1]], axis=1)
    near = coo_array((np.ones(both.shape[1]), (both[0], both[1])), shape=(size, size)).tocsr()
    direct = near[points]
    votes = (2.0 * direct + direct @ near).tocoo()
    return points[votes.row], votes.col, votes.data


def _opened(mask: np.ndarray, pairs: np.ndarray, depth: int) -> np.ndarray:
    """Points of a mask within reach of one that is deeper in it than `depth` points."""
    core = mask.copy()
    for _ in range(depth):
        outside = ~core
        core = core & ~_beside(outside, pairs)
    for _ in range(depth):
        core |= mask & _beside(core, pairs)
    return core


def _beside(mask: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(p,) bool: points that have a neighbour in the mask."""
    found = np.zeros_like(mask)
    found[pairs[0][mask[pairs[1]]]] = True
    found[pairs[1][mask[pairs[0]]]] = True
    return found


def smoothed(
    orientation: np.ndarray,
    phase: np.ndarray,
    laue: tuple[str | None, ...],
    pairs: np.ndarray,
    threshold: float,
) -> np.ndarray:
    """Orientations averaged with those of the neighbours that are like them.

    Parameters
    ----------
    orientation : (p, 4) unit quaternions
    phase : (p,) int, position in `laue`, negative: not indexed
    laue : Laue group of each phase
    pairs : (2, m) int, neighbouring points
    threshold : disorientation up to which two points are alike, rad
    """
    from xtalfuse.physics.orientation.disorientation import conjugate, laue_operators, multiply

    result = orientation.copy()
    one, other = pairs
    for number, group in enumerate(laue):
        inside = (phase[one] == number) & (phase[other] == number)
        if group is None or not inside.any():
            continue
        a, b = one[inside], other[inside]
        operators = laue_operators(group)
        relative = multiply(orientation[b], conjugate(orientation[a]))
        scalar = np.abs(relative @ conjugate(operators).T)  # [m, operators]
        best = scalar.argmax(axis=1)
        alike = 2.0 * np.arccos(np.minimum(scalar.max(axis=1), 1.0)) < threshold
        a, b, operator = a[alike], b[alike], operators[best[alike]]
        total = orientation.copy()
        for point, neighbour in (
            (a, multiply(operator, orientation[b])),
            (b, multiply(conjugate(operator), orientation[a])),
        ):
            own = orientation[point]
            sign = np.where((own * neighbour).sum(axis=1, keepdims=True) < 0, -1.0, 1.0)
            for component in range(4):
                total[:, component] += np.bincount(
                    point, sign[:, 0] * neighbour[:, component], len(phase)
                )
        here = phase == number
        result[here] = total[here] / np.linalg.norm(total[here], axis=1, keepdims=True)
    return result
