"""Which part of a volume is specimen: what lies outside it is no pore.

Two things lie outside: a rim of one exact value beyond the field of view of a reconstruction,
and air around a specimen that is smaller than the volume. Both lie outside a convex body.
"""

from __future__ import annotations

from itertools import product

import numpy as np

LEAST_SHARE = 0.005  # of the volume; less makes no difference to what is reported
BY_CHANCE = 1e-6  # probability that what seems outside is pores that happen to lie there
FEW_VALUES = 16  # fewer are labels of phases, of which one may lie at the corners
DUST = 0.01  # of the largest body; less beside the specimen is not of it


def convex_hull(mask: np.ndarray) -> np.ndarray:
    """(Z, Y, X) bool: voxels whose centre lies in the convex hull of the voxels of a mask."""
    from scipy.spatial import ConvexHull, QhullError

    whole = np.zeros(mask.shape, bool)
    rows = np.argwhere(mask.any(axis=2))
    if not len(rows):
        return whole
    along = mask[tuple(rows.T)]
    first, last = along.argmax(axis=1), mask.shape[2] - 1 - along[:, ::-1].argmax(axis=1)
    points = np.concatenate([np.column_stack([rows, ends]) for ends in (first, last)])
    try:
        facets = np.unique(ConvexHull(points).equations.round(9), axis=0)
    except QhullError:  # flat: all of it
        return ~whole
    z, y = np.indices(mask.shape[:2], dtype=float)
    low, high = np.full(z.shape, -0.5), np.full(z.shape, mask.shape[2] - 0.5)
    for nz, ny, nx, away in facets:
        rest = nz * z + ny * y + away - 1e-6  # nx * x + rest <= 0 inside
        if abs(nx) < 1e-9:
            high[rest > 0.0] = -1.0
        elif nx > 0:
            np.minimum(high, -rest / nx, out=high)
        else:
            np.maximum(low, -rest / nx, out=low)
    x = np.arange(mask.shape[2])
    return np.asarray((x >= low[..., None]) & (x <= high[..., None]))


def field_of_view(values: np.ndarray) -> np.ndarray | None:
    """(Z, Y, X) bool: all but a rim of one exact value that lies at corners of the volume.

    None where there is no such rim, or where that value is no rim: where it reaches into the
    convex hull of all other values, as pores that were clipped to 0 do.
    """
    corners = [values[place] for place in product((0, -1), repeat=3)]
    found, count = np.unique(corners, return_counts=True)
    padding = found[count.argmax()]
    if count.max() < 4:  # a cylinder along an axis, cut anywhere, leaves four edges
        return None
    if len(np.unique(values[:: max(1, len(values) // 16)])) <= FEW_VALUES:  # no noise: phases
        return None
    inside = convex_hull(values != padding)
    outside = 1.0 - inside.mean()
    stray = np.count_nonzero(inside & (values == padding)) / values.size
    # what has that value by chance, inside, is no rim
    return inside if outside >= LEAST_SHARE and stray < 0.1 * outside else None


def in_air(solid: np.ndarray, within: np.ndarray | None = None) -> np.ndarray | None:
    """(Z, Y, X) bool: the convex hull of a specimen in air; None if it fills the volume.

    Parameters
    ----------
    solid : (Z, Y, X) bool
    within : (Z, Y, X) bool, the field of view; None for all

    Notes
    -----
    A porous body that fills the volume leaves empty corners too. What is outside the hull is as
    many independent places as the cube of the mean chord of pores goes into it; in a body like
    that inside, each is empty with the share of pores there. Only where all of them are by a
    chance of less than `BY_CHANCE` is it air.
    """
    import cc3d

    bodies = cc3d.connected_components(np.ascontiguousarray(solid, np.uint8), connectivity=26)
    sizes = np.bincount(bodies.ravel())
    sizes[0] = 0
    if not sizes.any():
        return None
    inside = convex_hull((sizes >= DUST * sizes.max())[bodies])
    if within is not None:
        inside &= within
    possible = solid.size if within is None else np.count_nonzero(within)
    count = np.count_nonzero(inside)
    outside = possible - count
    if outside < LEAST_SHARE * possible or not count:
        return None
    pore = inside & ~solid
    share = np.count_nonzero(pore) / count
    if share == 0.0:
        return inside
    chord = 3.0 * np.count_nonzero(pore) / max(_crossings(pore, inside), 1)
    chance = min(share, 1.0 - 1e-9) ** (outside / max(chord, 1.0) ** 3)
    return inside if chance < BY_CHANCE else None


def _crossings(pore: np.ndarray, inside: np.ndarray) -> int:
    """How often lines along the axes enter a pore, inside."""
    found = 0
    for axis in range(3):
        p, i = np.moveaxis(pore, axis, 0), np.moveaxis(inside, axis, 0)
        found += int(np.count_nonzero(p[1:] & ~p[:-1] & i[:-1]))
    return found


def largest_box(inside: np.ndarray) -> tuple[slice, slice, slice]:
    """A large box of voxels that all lie inside: the worst face is cut off until they do."""
    places = [np.flatnonzero(inside.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3)]
    low = [int(p[0]) if len(p) else 0 for p in places]
    high = [int(p[-1]) + 1 if len(p) else 0 for p in places]
    while True:
        box = inside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        if not box.size:
            break
        worst = max(
            (1.0 - float(box.take(end, axis).mean()), axis, end)
            for axis in range(3)
            for end in (0, -1)
        )
        if worst[0] == 0.0:
            if box.all():
                break
            worst = (1.0, int(np.argmax(box.shape)), 0)  # a hole inside: none is convex
        if worst[2] == 0:
            low[worst[1]] += 1
        else:
            high[worst[1]] -= 1
    z, y, x = (slice(a, b) for a, b in zip(low, high, strict=True))
    return z, y, x
