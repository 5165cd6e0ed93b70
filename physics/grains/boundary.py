"""Area and normals of the boundaries between labelled cells of a regular grid.

The faces between voxels overstate the area of an inclined boundary by up to the square root
of three, and know only three normals. Here each face counts with its projection on the local
normal of its boundary, ``dA = f . n``: for a plane this is exact, since the faces that a plane
is made of sum to its own area vector. The local normal is the direction of the sum of the
faces of the same boundary within a few cells, weighted binomially; faces that point exactly
the other way are left out of it, so that the two sides of a thin lamella do not cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind

BLOCK = 2  # cells along the edge of the blocks in which the faces of a boundary are summed


@dataclass(frozen=True)
class Faces:
    """The faces at which two different grains touch.

    Parameters
    ----------
    grains : (2, f) int, the grain on either side
    direction : (f,) int, row of `vectors`: how the face is seen from the first grain
    vectors : (k, 3) area vectors that a face can have, um or um^2; row ``i ^ 1`` is minus row i
    cells : (2, 3, f) int, index of the cell on either side along x, y, z
    shape : number of cells along x, y, z
    periodic : along x, y, z
    """

    grains: np.ndarray
    direction: np.ndarray
    vectors: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int, int]
    periodic: tuple[bool, bool, bool]


def cell_faces(grid: GridKind, step: tuple[float, float, float]) -> np.ndarray:
    """(k, 3) outward area vectors of the cell around a point; row ``i ^ 1`` is minus row i.

    The cell holds what is nearer to the point than to any other. The last two rows are the
    faces towards the sections below and above. Where there is one section (a step of 0) the
    vectors of the others are lengths, um.
    """
    dx, dy, dz = step
    if grid is GridKind.SQUARE:
        sides = [(dy, 0.0), (0.0, dx)]
    else:
        # corners of the hexagon: centres of the circles through three neighbouring points
        half = (dy**2 - dx**2 / 4.0) / (2.0 * dy)
        sides = [(2.0 * half, 0.0), (dy - 2.0 * half, dx / 2.0), (2.0 * half - dy, dx / 2.0)]
    high = dz or 1.0
    whole = [(x * high, y * high, 0.0) for x, y in sides] + [(0.0, 0.0, dx * dy)]
    return np.array([sign * np.array(face) for face in whole for sign in (1.0, -1.0)])


def voxel_faces(labels: np.ndarray, steps: np.ndarray, repeats: np.ndarray) -> Faces:
    """Faces between voxels of different grains."""
    sides = np.where(steps > 0, steps, 1.0)
    vectors = np.array(
        [sign * np.eye(3)[a] * np.prod(np.delete(sides, a)) for a in range(3) for sign in (1, -1)]
    )
    grains, direction, cells = [], [], []
    for axis in range(3):
        along = np.moveaxis(labels, axis, 0)
        pieces = [(along[:-1], along[1:], 0)]
        if repeats[axis]:
            pieces.append((along[-1:], along[:1], len(along) - 1))
        for one, other, begin in pieces:
            where = list(np.nonzero((one != other) & (one >= 0) & (other >= 0)))
            grains.append(np.stack([one[tuple(where)], other[tuple(where)]]))
            where[0] = where[0] + begin
            beyond = [(where[0] + 1) % len(along), *where[1:]]
            to_xyz = np.argsort([axis, *(a for a in range(3) if a != axis)])
            cells.append(np.array([[side[k] for k in to_xyz] for side in (where, beyond)]))
            direction.append(np.full(len(where[0]), 2 * axis))
    return Faces(
        np.concatenate(grains, axis=1),
        np.concatenate(direction),
        vectors,
        np.concatenate(cells, axis=2),
        labels.shape,
        tuple(bool(r) for r in repeats),  # type: ignore[arg-type]
    )


def point_faces(
    crystal_map: CrystalMap, labels: np.ndarray, pairs: np.ndarray, vectors: np.ndarray
) -> Faces:
    """Faces between the cells of neighbouring points of different grains."""
    one, other = labels[pairs]
    pairs = pairs[:, (one != other) & (one >= 0) & (other >= 0)]
    position = crystal_map.position
    away = position[pairs[1]] - position[pairs[0]]
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    sections, rows, columns = crystal_map.shape
    return Faces(
        labels[pairs],
        np.argmax(away @ units.T, axis=1),
        vectors,
        crystal_map.index[pairs][:, :, ::-1].transpose(0, 2, 1),
        (columns, rows, sections),
        (False, False, False),
    )


def boundaries(faces: Faces) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Area and mean normal tensor of each boundary.

    Parameters
    ----------
    faces : of all boundaries, in any order

    Returns
    -------
    edges : (2, m) int, i < j, sorted, each pair of touching grains once
    area : (m,) um (of a section) or um^2
    normal : (m, 3, 3) area-weighted mean of n (x) n; its trace is 1

    Notes
    -----
    Measured: the area of spheres of 5 cells radius and more is within 2 %; the boundaries of a
    Voronoi tessellation that are wider than 10 cells are within 5 % (root mean square), since
    their rim of half a cell is uncertain, and their sum within 1 %.

    References
    ----------
    Coeurjolly, D., Flin, F., Teytaud, O. & Tougne, L. (2003). Multigrid convergence and surface
    area estimation. LNCS 2616, 101: the area as the sum of faces projected on estimated
    normals converges, counting faces does not.
    """
    first, second = faces.grains
    swap = first > second
    low, high = np.where(swap, second, first), np.where(swap, first, second)
    direction = faces.direction ^ swap
    grains = int(high.max()) + 1 if len(high) else 0

    blocks = tuple(-(-size // BLOCK) for size in faces.shape)
    total = int(np.prod(blocks))
    pair = (low.astype(np.int64) * grains + high) * total
    key = np.concatenate([pair + _block(cells, blocks) for cells in faces.cells])
    patches, where = np.unique(key, return_inverse=True)

    kinds = len(faces.vectors)
    own = np.bincount(
        where * kinds + np.tile(direction, 2), minlength=len(patches) * kinds
    ).reshape(-1, kinds)
    around = _smoothed(own.astype(np.int32), patches, blocks, faces.periodic)

    names, boundary = np.unique(patches // total, return_inverse=True)
    area, normal = np.zeros(len(names)), np.zeros((len(names), 9))
    net = around @ faces.vectors  # (p, 3)
    for kind, vector in enumerate(faces.vectors):
        there = np.flatnonzero(own[:, kind])
        local = net[there] + np.multiply.outer(around[there, kind ^ 1], vector)
        local /= np.linalg.norm(local, axis=1, keepdims=True)
        # each face is in the patch of either cell, with half of it
        part = 0.5 * own[there, kind] * np.maximum(local @ vector, 0.0)
        area += np.bincount(boundary[there], part, len(names))
        for entry, (a, b) in enumerate(product(range(3), repeat=2)):
            square = part * local[:, a] * local[:, b]
            normal[:, entry] += np.bincount(boundary[there], square, len(names))
    edges = np.stack(np.divmod(names, max(grains, 1)))
    return edges, area, normal.reshape(-1, 3, 3) / area[:, None, None]


def _block(cells: np.ndarray, blocks: tuple[int, ...]) -> np.ndarray:
    """(f,) number of the block that each cell is in."""
    x, y, z = (along // BLOCK for along in cells)
    return (x * blocks[1] + y) * blocks[2] + z


def _smoothed(
    own: np.ndarray, patches: np.ndarray, blocks: tuple[int, ...], periodic: tuple[bool, ...]
) -> np.ndarray:
    """(p, k) binomial sums (1, 2, 1) over the patches of one boundary in blocks that touch."""
    total = int(np.prod(blocks))
    block = patches % total
    place = np.unravel_index(block, blocks)
    around = 8 * own
    for shift in product((-1, 0, 1), repeat=3):
        # each pair of patches once: the sum is symmetric
        if shift <= (0, 0, 0) or any(s and b == 1 for s, b in zip(shift, blocks, strict=True)):
            continue
        key, inside = patches.copy(), np.ones(len(patches), bool)
        for axis, step in enumerate(shift):
            if not step:
                continue
            stride = int(np.prod(blocks[axis + 1 :]))
            over = place[axis] == (blocks[axis] - 1 if step > 0 else 0)
            key += step * stride
            if periodic[axis]:
                key[over] -= step * stride * blocks[axis]
            else:
                inside &= ~over
        to = np.minimum(np.searchsorted(patches, key), len(patches) - 1)
        one = np.flatnonzero(inside & (patches[to] == key))
        other = to[one]
        weight = 8 >> np.count_nonzero(shift)
        around[one] += weight * own[other]
        around[other] += weight * own[one]
    return around
