"""Objects in a volume: connected bodies, and particles that touch told apart.

Touching particles are the basins of the distance to the surface: from each voxel uphill to the
middle of its particle. Two basins are one particle unless the neck between them is narrow:
unless the way from one middle to the other leads down by more than a share of the smaller
one's radius (this is the dynamics of the h-maxima transform, with h relative to the size).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from xtalfuse.encoders.volume.phases import slabs

NOTHING = -1
HALF: tuple[tuple[int, int, int], ...] = tuple(
    (z, y, x) for z, y, x in product((-1, 0, 1), repeat=3) if (z, y, x) > (0, 0, 0)
)  # 13 of 26 neighbours
_LEAST_DEPTH = 1.0  # voxels: a neck less deep than this is the roughness of a digital surface
_SLAB = 2  # slices worked on at once: six arrays of them stay in the processor's cache
_STEPS, _BITS = 32.0, 18  # depths of passes in steps of 1/32 voxel, up to 8,192 voxels

Periodic = bool | tuple[bool, bool, bool]


def axes_that_repeat(periodic: Periodic) -> tuple[bool, bool, bool]:
    """One flag for each axis."""
    z, y, x = np.broadcast_to(np.asarray(periodic, bool), 3)
    return bool(z), bool(y), bool(x)


def components(
    mask: np.ndarray, periodic: Periodic = False, connectivity: int = 26
) -> tuple[np.ndarray, int]:
    """Connected bodies of a phase.

    Parameters
    ----------
    mask : (Z, Y, X) bool
    periodic : whether opposite faces meet, of all axes or of each
    connectivity : 6 (faces), 18 (and edges) or 26 (and corners)

    Returns
    -------
    labels : (Z, Y, X) int32, 0 .. n-1; ``NOTHING`` outside the mask
    n : number of bodies
    """
    import cc3d

    whole = np.ascontiguousarray(mask, np.uint8)
    labels = cc3d.connected_components(
        whole,
        connectivity=connectivity,
        out_dtype=np.uint32,  # type: ignore[call-overload]
    ).view(np.int32)
    labels -= 1
    count = int(labels.max(initial=NOTHING)) + 1
    pairs = _across_faces(labels, axes_that_repeat(periodic), connectivity)
    if not len(pairs):
        return labels, count
    return _merged(labels, count, pairs)


def _across_faces(
    labels: np.ndarray, repeats: tuple[bool, bool, bool], connectivity: int
) -> np.ndarray:
    """(m, 2) labels that touch through opposite faces of the volume."""
    reach = {6: 0, 18: 1, 26: 2}[connectivity]
    found = [np.empty((0, 2), np.int32)]
    for axis in range(3):
        if not repeats[axis]:
            continue
        last, first = labels.take(-1, axis), labels.take(0, axis)
        for shift in product((-1, 0, 1), repeat=2):
            if np.count_nonzero(shift) > reach:
                continue
            other = np.roll(first, shift, (0, 1))
            for i, (s, beside) in enumerate(
                zip(shift, [r for a, r in enumerate(repeats) if a != axis], strict=True)
            ):
                if s and not beside:  # what was rolled round an open edge touches nothing
                    other = other.copy()
                    np.moveaxis(other, i, 0)[0 if s > 0 else -1] = NOTHING
            both = (last >= 0) & (other >= 0)
            found.append(np.stack([last[both], other[both]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _merged(labels: np.ndarray, count: int, pairs: np.ndarray) -> tuple[np.ndarray, int]:
    """Labels in which the two of each pair have become one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs), bool)
    graph = coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    merged, new = connected_components(graph, directed=False)
    return relabelled(labels, new.astype(np.int32)), int(merged)


def relabelled(labels: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Labels with number ``new[k]`` in place of k; what is outside stays outside."""
    table = np.append(new, NOTHING).astype(np.int32)  # index -1 is the last
    for part in slabs(len(labels)):
        labels[part] = table[labels[part]]
    return labels


def sizes(labels: np.ndarray, count: int) -> np.ndarray:
    """(count,) voxels of each label."""
    total = np.zeros(count + 1, np.int64)
    for part in slabs(len(labels)):
        total += np.bincount(labels[part].ravel() + 1, minlength=count + 1)
    return total[1:]


def distance(mask: np.ndarray, periodic: Periodic = False) -> np.ndarray:
    """(Z, Y, X) float32: distance of each voxel of the mask to the nearest one outside, voxels.

    Faces of the volume that do not repeat are no surface.
    """
    repeats = axes_that_repeat(periodic)
    if not any(repeats):
        return _distance(mask)
    open_box = _distance(mask)
    # what is nearest may lie beyond a face, no farther off than the largest distance
    reach = int(np.ceil(min(open_box.max(), max(mask.shape))))
    width = [
        (min(reach, n),) * 2 if r else (0, 0) for r, n in zip(repeats, mask.shape, strict=True)
    ]
    found = _distance(np.pad(mask, width, mode="wrap"))
    return np.ascontiguousarray(
        found[tuple(slice(low, low + n) for (low, _), n in zip(width, mask.shape, strict=True))]
    )


def _distance(mask: np.ndarray) -> np.ndarray:
    if mask.all():  # no surface at all: everything is equally far from it
        return np.full(mask.shape, max(mask.shape), np.float32)
    import edt

    return edt.edt(mask, black_border=False, parallel=1)


def particles(
    mask: np.ndarray, neck: float = 0.8, periodic: Periodic = False
) -> tuple[np.ndarray, int]:
    """Bodies of a phase, cut where they are joined by a neck.

    Parameters
    ----------
    mask : (Z, Y, X) bool
    neck : two bodies joined by a neck of radius r are two if r is less than this share of the
        inscribed radius of the smaller
    periodic : whether opposite faces meet, of all axes or of each

    Returns
    -------
    labels : (Z, Y, X) int32, 0 .. n-1; ``NOTHING`` outside the mask
    n : number of particles

    Raises
    ------
    ValueError
        If `neck` is not between 0 and 1.

    References
    ----------
    Beucher, S. & Lantuejoul, C. (1979). Use of watersheds in contour detection; Grimaud, M.
    (1992). Proc. SPIE 1769, 292 (dynamics).
    """
    if not 0.0 <= neck <= 1.0:
        raise ValueError(f"neck {neck}: a share between 0 and 1")
    repeats = axes_that_repeat(periodic)
    depth = distance(mask, periodic)
    basin = _uphill(depth, repeats)
    tops, inverse = np.unique(basin[mask], return_inverse=True)
    labels = np.full(mask.shape, NOTHING, np.int32)
    labels[mask] = inverse
    del basin, inverse
    height = depth.ravel()[tops]
    pairs, saddle = _saddles(labels, depth, len(tops), repeats)
    return relabelled(labels, _joined(pairs, saddle, height, neck)), _count(labels)


def _count(labels: np.ndarray) -> int:
    return int(labels.max(initial=NOTHING)) + 1


def neighbours(
    shape: tuple[int, ...], offset: tuple[int, int, int], repeats: tuple[bool, bool, bool]
) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Pairs of views (here, there = here + offset) that cover all neighbours of an offset.

    Parameters
    ----------
    shape : of the volume, voxels
    offset : from a voxel to its neighbour, along each axis
    repeats : whether opposite faces meet, along each axis
    """
    ways: list[list[tuple[slice, slice]]] = []
    for n, o, repeat in zip(shape, offset, repeats, strict=True):
        if o == 0:
            ways.append([(slice(None), slice(None))])
            continue
        inner = (slice(0, n - 1), slice(1, n)) if o > 0 else (slice(1, n), slice(0, n - 1))
        round_it = (slice(n - 1, n), slice(0, 1)) if o > 0 else (slice(0, 1), slice(n - 1, n))
        ways.append([inner, round_it] if repeat and n > 1 else [inner])
    return [(tuple(h for h, _ in way), tuple(t for _, t in way)) for way in product(*ways)]


def _uphill(depth: np.ndarray, repeats: tuple[bool, bool, bool]) -> np.ndarray:
    """(Z, Y, X) int: index of the top that the steepest way up from each voxel leads to.

    On a plateau the way leads to the voxel of the highest index, so that none goes round.
    """
    kind = np.int32 if depth.size < 2**31 else np.int64
    index = np.arange(depth.size, dtype=kind).reshape(depth.shape)
    target, best = index.copy(), depth.copy()  # the slope to where a voxel points, as a height
    for offset in (*HALF, *((-z, -y, -x) for z, y, x in HALF)):
        share = np.float32(1.0 / np.sqrt(np.count_nonzero(offset)))  # of the rise, per length
        for here, there in neighbours(depth.shape, offset, repeats):
            _steeper(depth[here], depth[there], index[there], share, best[here], target[here])
    return _followed(target.ravel()).reshape(depth.shape)


def _steeper(
    own: np.ndarray, other: np.ndarray, index: np.ndarray, share: np.float32,
    best: np.ndarray, target: np.ndarray,
) -> None:  # fmt: skip
    """Point to the other voxel where the way up to it is steeper than the best so far."""
    for part in slabs(len(own), _SLAB):
        rise = other[part] - own[part]
        if share < 1.0:
            rise *= share
        rise += own[part]
        better = rise > best[part]
        flat = (rise == best[part]) & (index[part] > target[part])
        better |= flat
        np.copyto(best[part], rise, where=better)
        np.copyto(target[part], index[part], where=better)


def _followed(target: np.ndarray) -> np.ndarray:
    """Where each way ends: pointers to pointers until nothing changes."""
    while True:
        farther = target[target]
        if np.array_equal(farther, target):
            return target
        target = farther


def _saddles(
    labels: np.ndarray, depth: np.ndarray, count: int, repeats: tuple[bool, bool, bool]
) -> tuple[np.ndarray, np.ndarray]:
    """((m, 2) basins that touch, (m,) depth of the highest pass between them)."""
    found = [np.empty(0, np.int64)]  # pair of basins and depth in one number, quick to sort
    for offset in HALF:
        for here, there in neighbours(depth.shape, offset, repeats):
            for part in slabs(depth[here].shape[0], _SLAB):
                one, other = labels[here][part], labels[there][part]
                border = one != other
                border &= one >= 0
                border &= other >= 0
                # positions in small copies: numpy picks by a mask of three dimensions slowly
                at = np.flatnonzero(border)
                a, b = one.reshape(-1)[at].astype(np.int64), other.reshape(-1)[at]
                heights = [depth[side][part].reshape(-1)[at] for side in (here, there)]
                pair = np.minimum(a, b) * count + np.maximum(a, b)
                steps = np.rint(np.minimum(*heights) * _STEPS).astype(np.int64)
                found.append(pair << _BITS | steps)
    packed = np.sort(np.concatenate(found))
    key = packed >> _BITS
    highest = np.flatnonzero(np.append(key[1:] != key[:-1], [True] * (len(key) > 0)))
    height = (packed[highest] & ((1 << _BITS) - 1)) / _STEPS
    return np.stack(np.divmod(key[highest], max(count, 1)), axis=1), height


def _joined(pairs: np.ndarray, saddle: np.ndarray, height: np.ndarray, neck: float) -> np.ndarray:
    """(n,) particle of each basin, after joining across wide necks, widest first."""
    parent = np.arange(len(height))
    top = height.astype(float).copy()

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for k in np.argsort(-saddle, kind="stable"):
        a, b = root(int(pairs[k, 0])), root(int(pairs[k, 1]))
        if a == b:
            continue
        smaller = min(top[a], top[b])
        if saddle[k] >= neck * smaller or smaller - saddle[k] < _LEAST_DEPTH:
            if top[a] < top[b]:
                a, b = b, a
            parent[b] = a
    roots = np.array([root(i) for i in range(len(height))])
    return np.unique(roots, return_inverse=True)[1].astype(np.int32)
