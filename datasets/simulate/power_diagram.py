"""Periodic power diagrams (Laguerre tessellations) on a grid, with cells of wanted volume.

A point x belongs to the seed with the least ``|x - x_i|^2 - w_i``. With a fourth coordinate
``h_i = sqrt(max w - w_i)`` of the seeds that is the nearest seed in four dimensions
(Aurenhammer, 1987, SIAM J. Comput. 16, 78), which a k-d tree finds exactly. For wanted volumes
there is one set of weights, and the volumes' derivatives by the weights are known: Newton's
method finds it (Kitagawa, Merigot & Thibert, 2019, J. Eur. Math. Soc. 21, 2603; for grains
Bourne, Kok, Roper & Spanjer, 2020, Phil. Mag. 100, 2677). Moving seeds to the centroids of
their cells between the steps makes the cells compact, as grains are.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

OFFERS = 4.0  # more: larger boxes to fill; less: more voxels to look up
PLACES_PER_SEED = 10  # random places of which the roomiest is taken
VOXELS_PER_CELL, VOXELS_OF_LEAST = 64, 4  # mean and smallest cell, on the grid of first steps
TRIALS = 12  # on each grid
ENOUGH, ENOUGH_OF_MEAN = 1.5, 0.01  # root mean square error of the volumes: voxels, or share
MOVES = 3  # seeds move to centroids in the first so many steps
LARGEST_CHANGE = 2.0  # factor by which one Newton step may change a volume


def place_seeds(radius: np.ndarray, box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of spheres in a periodic box: the largest first, each where it has most room.

    Parameters
    ----------
    radius : (n,) in the unit of `box`
    box : (3,) lengths of the periodic box

    Returns
    -------
    (n, 3) in [0, box)
    """
    order = np.argsort(-radius, kind="stable")
    places = rng.random((len(radius), PLACES_PER_SEED, 3)) * box
    seeds = np.empty((len(radius), 3))
    for rank, index in enumerate(order):
        room = np.zeros(PLACES_PER_SEED)
        if rank:
            apart = places[rank][:, None] - seeds[order[:rank]]
            apart -= box * np.rint(apart / box)
            distance = np.sqrt(np.einsum("pjx,pjx->pj", apart, apart))
            room = (distance - radius[order[:rank]]).min(axis=1)
        seeds[index] = places[rank, room.argmax()]
    return seeds


def _voxel_axes(shape: tuple[int, ...], box: np.ndarray) -> list[np.ndarray]:
    """Coordinates of the voxel centres along each axis."""
    return [(np.arange(n) + 0.5) * (length / n) for n, length in zip(shape, box, strict=True)]


def grid_points(shape: tuple[int, ...], box: np.ndarray) -> np.ndarray:
    """(voxels, 3) centres of the voxels of a box, in the order of ``labels.ravel()``."""
    return np.stack(np.meshgrid(*_voxel_axes(shape, box), indexing="ij"), axis=-1).reshape(-1, 3)


def nearest_cell(
    seeds: np.ndarray, weights: np.ndarray, points: np.ndarray, box: np.ndarray
) -> np.ndarray:
    """(m,) the cell of a periodic power diagram in which each point lies.

    Parameters
    ----------
    seeds : (n, 3) in [0, box)
    weights : (n,) unit of length squared; equal weights give the Voronoi diagram
    points : (m, 3)
    box : (3,) lengths of the periodic box
    """
    height = np.sqrt(weights.max() - weights)
    tree = cKDTree(np.column_stack([seeds, height]), boxsize=[*box, 0.0])  # 0: not periodic
    return tree.query(np.column_stack([points, np.zeros(len(points))]))[1]


def label_grid(
    seeds: np.ndarray, weights: np.ndarray, shape: tuple[int, ...], box: np.ndarray
) -> np.ndarray:
    """(X, Y, Z) int32 the cell of each voxel; the same as `nearest_cell`, but faster.

    Each seed offers itself to the voxels of the box around the ball ``|x - x_i|^2 <= w_i + T``.
    With one T for all seeds, a voxel whose best offer is below T cannot have a better seed
    further off. The few voxels that are left are looked up.

    Parameters
    ----------
    seeds : (n, 3) points
    weights : (n,) of the power distance, length squared
    shape : voxels along each axis
    box : (3,) edges of the periodic box, in the unit of the points
    """
    limit = _offer_limit(seeds, weights, float(np.prod(box)))
    best = np.full(shape, np.inf)
    labels = np.zeros(shape, np.int32)
    axes = _voxel_axes(shape, box)
    for number in np.flatnonzero(weights + limit > 0):
        near, square = [], []
        for x, centre, length in zip(axes, seeds[number], box, strict=True):
            apart = x - centre
            apart -= length * np.rint(apart / length)
            apart *= apart
            at = np.flatnonzero(apart <= weights[number] + limit)
            near.append(at)
            square.append(apart[at])
        where = np.ix_(*near)
        offer = np.add.outer(np.add.outer(square[0] - weights[number], square[1]), square[2])
        taken = offer < best[where]
        best[where] = np.where(taken, offer, best[where])
        labels[where] = np.where(taken, number, labels[where])
    unsure = best > limit
    if unsure.any():
        points = grid_points(shape, box)[unsure.ravel()]
        labels[unsure] = nearest_cell(seeds, weights, points, box)
    return labels


def _offer_limit(seeds: np.ndarray, weights: np.ndarray, volume: float) -> float:
    """T at which the balls of squared radius ``w_i + T`` together fill the box `OFFERS` times."""
    low = -float(weights.max())
    high = low + 4.0 * OFFERS * volume ** (2.0 / 3.0) + float(np.ptp(weights))
    for _ in range(40):
        middle = 0.5 * (low + high)
        balls = 4.0 * np.pi / 3.0 * (np.maximum(weights + middle, 0.0) ** 1.5).sum()
        low, high = (middle, high) if balls < OFFERS * volume else (low, middle)
    return high


def fit_cells(
    seeds: np.ndarray, volumes: np.ndarray, shape: tuple[int, int, int], box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Seeds and weights of a power diagram whose cells have the wanted volumes.

    Parameters
    ----------
    seeds : (n, 3) first places, in [0, box)
    volumes : (n,) wanted, with the volume of the box as their sum
    shape : grid on which the volumes are to be met, to about a hundredth of their mean
    box : (3,) lengths of the periodic box

    Returns
    -------
    (n, 3) seeds, (n,) weights
    """
    weights = (volumes * 3.0 / (4.0 * np.pi)) ** (2.0 / 3.0)
    if len(seeds) == 1:
        return seeds, weights
    needed = max(VOXELS_PER_CELL * len(seeds), VOXELS_OF_LEAST * volumes.sum() / volumes.min())
    few = min(1.0, float(needed / np.prod(shape))) ** (1.0 / 3.0)
    coarse = tuple(max(1, round(n * few)) for n in shape)
    seeds, weights = _fit_on(coarse, seeds, weights, volumes, box, MOVES)
    return _fit_on(shape, seeds, weights, volumes, box, 0)


def _fit_on(
    shape: tuple[int, ...],
    seeds: np.ndarray,
    weights: np.ndarray,
    wanted: np.ndarray,
    box: np.ndarray,
    moves: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method on one grid, after `moves` steps in which the seeds move.

    A step that leaves the volumes further off than they were is halved.
    """
    voxel = float(np.prod(box) / np.prod(shape))
    enough = max(ENOUGH * voxel, ENOUGH_OF_MEAN * float(wanted.mean())) * np.sqrt(len(seeds))
    change, share, least = np.zeros(len(seeds)), 1.0, np.inf
    for _ in range(TRIALS):
        labels = label_grid(seeds, weights + share * change, shape, box)
        volume = np.bincount(labels.ravel(), minlength=len(seeds)) * voxel
        error = float(np.linalg.norm(volume - wanted))
        if error > least:
            share *= 0.5
            continue
        weights = weights + share * change
        share, least = 1.0, error
        if moves:
            moves, least = moves - 1, np.inf
            seeds = _centroids(labels, seeds, box)
        elif error <= enough:
            break
        change = _newton_step(labels, seeds, weights, wanted, box)
    return seeds, weights


def _newton_step(
    labels: np.ndarray, seeds: np.ndarray, weights: np.ndarray, wanted: np.ndarray, box: np.ndarray
) -> np.ndarray:
    """(n,) change of the weights that brings the volumes to those wanted.

    dV_i/dw_j = -A_ij / (2 d_ij) with the area A of the common face and the distance d of the
    seeds. A cell without a voxel gets the weight with which it just holds its own seed.
    """
    voxel = float(np.prod(box)) / labels.size
    volume = np.bincount(labels.ravel(), minlength=len(seeds)) * voxel
    i, j, area = _faces(labels, box)
    apart = seeds[i] - seeds[j]
    apart -= box * np.rint(apart / box)
    slope = area / (2.0 * np.maximum(np.linalg.norm(apart, axis=1), 1e-6 * box.max()))
    rows, columns = np.concatenate([i, j]), np.concatenate([j, i])
    both = np.concatenate([slope, slope])
    diagonal = np.bincount(rows, both, len(seeds)).astype(float)  # integers where no faces are
    diagonal += 1e-9 * diagonal.max() + (diagonal == 0)
    matrix = sparse.csc_array((-both, (rows, columns)), (len(seeds),) * 2)
    missing = np.clip(wanted, volume / LARGEST_CHANGE, LARGEST_CHANGE * volume) - volume
    full, empty = np.flatnonzero(volume), np.flatnonzero(volume == 0)
    missing[full] -= missing[full].mean()  # only differences of weights have a meaning
    change = spsolve(matrix + sparse.diags_array(diagonal, format="csc"), missing)
    change[full] -= change[full].mean()
    if len(empty):
        change[empty] += _needed(seeds, weights, empty, box)
        change[empty] += (wanted[empty] * 3.0 / (4.0 * np.pi)) ** (2.0 / 3.0)
    return change


def _needed(
    seeds: np.ndarray, weights: np.ndarray, empty: np.ndarray, box: np.ndarray
) -> np.ndarray:
    """By how much the weights of empty cells must grow until they hold their own seeds."""
    owner = nearest_cell(seeds, weights, seeds[empty], box)
    apart = seeds[empty] - seeds[owner]
    apart -= box * np.rint(apart / box)
    return weights[owner] - weights[empty] - np.einsum("nx,nx->n", apart, apart)


def _faces(labels: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells i < j that touch, and the area of their common face.

    The steps of a face on the grid overstate its area, but their vector sum does not.
    """
    number = int(labels.max()) + 1
    size = box / labels.shape
    keys, vectors = [], []
    for axis in range(3):
        other = np.roll(labels, -1, axis)
        at = labels != other
        a, b = labels[at].astype(np.int64), other[at].astype(np.int64)
        vector = np.zeros((len(a), 3))
        vector[:, axis] = np.where(a < b, 1.0, -1.0) * np.prod(size) / size[axis]
        keys.append(np.minimum(a, b) * number + np.maximum(a, b))
        vectors.append(vector)
    key, where = np.unique(np.concatenate(keys), return_inverse=True)
    steps = np.concatenate(vectors)
    total = np.stack([np.bincount(where, steps[:, k], len(key)) for k in range(3)], axis=1)
    return key // number, key % number, np.linalg.norm(total, axis=1)


def _centroids(labels: np.ndarray, seeds: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(n, 3) centroids of the cells, in [0, box); the seed itself of an empty cell."""
    flat = labels.ravel()
    apart = grid_points(labels.shape, box) - seeds[flat]
    apart -= box * np.rint(apart / box)
    count = np.maximum(np.bincount(flat, minlength=len(seeds)), 1)
    mean = np.stack([np.bincount(flat, apart[:, k], len(seeds)) for k in range(3)], axis=1)
    moved = (seeds + mean / count[:, None]) % box
    return np.where(moved < box, moved, 0.0)  # rounding may give the length itself
