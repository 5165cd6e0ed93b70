"""Cleaning of orientation maps: average over neighbours, holes filled from around.

Everything works on pairs of neighbouring points, so that square, hexagonal and ragged maps and
stacks of sections are all the same.
"""

from __future__ import annotations

import numpy as np


def fill_holes(label: np.ndarray, pairs: np.ndarray, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Give points without a grain to the grain that most of their neighbours belong to.

    The filling goes inwards, layer by layer. What a disc of `depth` points around fits into is
    no gap in the data but a hole in the specimen, or matter that gave no pattern: it stays.

    Parameters
    ----------
    label : (p,) int, grain of each point, negative: none
    pairs : (2, m) int, neighbouring points
    depth : the deepest point that is filled, counted from the rim of its hole

    Returns
    -------
    label : (p,) int, negative where the hole was too deep
    filled : (p,) bool, the points that were given a grain
    """
    empty = label < 0
    fillable = empty & ~_opened(empty, pairs, depth)
    label = label.copy()
    both = np.concatenate([pairs, pairs[::-1]], axis=1)
    both = both[:, fillable[both[0]]]
    grains = int(label.max(initial=0)) + 1
    while both.shape[1]:
        voting = label[both[1]] >= 0
        if not voting.any():
            break
        point, vote = both[0, voting], label[both[1, voting]]
        ballot, votes = np.unique(point.astype(np.int64) * grains + vote, return_counts=True)
        point, vote = np.divmod(ballot, grains)
        order = np.lexsort((-vote, votes, point))  # of equal votes the lower number wins
        last = np.append(point[order][1:] != point[order][:-1], True)
        winner = order[last]
        label[point[winner]] = vote[winner]
        both = both[:, label[both[0]] < 0]
    return label, fillable & (label >= 0)


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
    from xtalfuse.physics.orientation import conjugate, laue_operators, multiply

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
