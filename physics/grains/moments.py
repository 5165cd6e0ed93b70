"""Size, centroid and second central moment of labelled grains, on open and periodic grids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

Chunk = tuple[np.ndarray, np.ndarray]  # (c,) labels, (3, c) positions in um


def _slabs(labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Labels (c,) and indices (3, c) of the voxels of grains, a few planes at a time."""
    planes = max(1, 2**19 // max(1, labels[0].size))
    for begin in range(0, len(labels), planes):
        part = labels[begin : begin + planes]
        where = np.array(np.nonzero(part >= 0))
        label = part[tuple(where)]
        where[0] += begin
        yield label, where


def voxels(labels: np.ndarray, steps: np.ndarray) -> Iterator[Chunk]:
    """Labels and positions of the voxels of grains."""
    for label, where in _slabs(labels):
        yield label, (where + 0.5) * steps[:, None]


def count_points(labels: np.ndarray, count: int) -> np.ndarray:
    """(count,) number of points of each grain; none may be empty."""
    points = np.bincount(labels[labels >= 0], minlength=count).astype(float)
    if (empty := np.flatnonzero(points == 0)).size:
        raise ValueError(f"no point has label {empty[0]}; number the grains 0 .. n-1 without gaps")
    return points


def moments(
    chunks: Iterable[Chunk], points: np.ndarray, middle: np.ndarray, period: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Centroid (n, 3) and second central moment (n, 3, 3) of the points of each grain.

    On a periodic grid the image of a point that is nearest to `middle` (n, 3) is taken.
    """
    count = len(points)
    first, second = np.zeros((3, count)), np.zeros((3, 3, count))
    for label, position in chunks:
        away = [nearest(position[a] - middle[label, a], period, a) for a in range(3)]
        for a in range(3):
            first[a] += np.bincount(label, away[a], count)
            for b in range(a, 3):
                second[a, b] += np.bincount(label, away[a] * away[b], count)
    first, second = first / points, second / points
    for a, b in ((0, 1), (0, 2), (1, 2)):
        second[b, a] = second[a, b]
    second -= first[:, None] * first[None]
    centroid = middle + first.T
    if period is not None:
        for axis in np.flatnonzero(period):
            centroid[:, axis] %= period[axis]
    return centroid, np.moveaxis(second, -1, 0)


def middle_of(
    labels: np.ndarray, steps: np.ndarray, points: np.ndarray, period: np.ndarray | None
) -> np.ndarray:
    """(n, 3) mean position of the voxels of each grain, circular along axes that repeat.

    References
    ----------
    Mardia, K. V. & Jupp, P. E. (2000). Directional Statistics, eq. 2.2.4.
    """
    count = len(points)
    axes = [(np.arange(size) + 0.5) * step for size, step in zip(labels.shape, steps, strict=True)]
    turn = np.zeros(3) if period is None else period
    parts = [
        np.array([np.cos(values * 2 * np.pi / length), np.sin(values * 2 * np.pi / length)])
        if length
        else values[None]
        for values, length in zip(axes, turn, strict=True)
    ]
    sums = [np.zeros((len(part), count)) for part in parts]
    for label, where in _slabs(labels):
        for a in range(3):
            for row, values in enumerate(parts[a]):
                sums[a][row] += np.bincount(label, values[where[a]], count)
    means = [
        np.arctan2(total[1], total[0]) * length / (2 * np.pi) if length else total[0] / points
        for total, length in zip(sums, turn, strict=True)
    ]
    return np.stack(means, axis=1)


def nearest(along: np.ndarray, period: np.ndarray | None, axis: int) -> np.ndarray:
    """The shortest of the distances along an axis that are the same on a periodic grid."""
    if period is None or not period[axis]:
        return along
    return along - period[axis] * np.rint(along / period[axis])
