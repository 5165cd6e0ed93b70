"""Diffraction spots: is this image the pattern of one crystal?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import ndimage

SPOT_SIGMA = 8.0
INDEX_TOLERANCE = 0.12  # of a lattice vector; a random point passes with (2 * 0.12)**2 = 6 %
MOST_SPOTS = 150


@dataclass(frozen=True)
class Spots:
    """Compact bright points, arrays (n,), and whether they form one lattice.

    ``lattice`` is True when most spots are integer combinations of two vectors about
    ``center`` and their heights differ as reflections do (lattice fringes are all alike).
    """

    x: np.ndarray
    y: np.ndarray
    height: np.ndarray
    significance: np.ndarray
    center: tuple[float, float]
    lattice: bool


def find_spots(image: np.ndarray, good: np.ndarray) -> Spots:
    """Spots of an image and the lattice they lie on, if any."""
    x, y, height, significance = _maxima(image, good)
    none = Spots(x, y, height, significance, (np.nan, np.nan), False)
    if len(x) < 6:
        return none
    points = np.stack([x, y], 1)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for center in _inversion_points(points, height):
        found = _lattice(points - center)
        if found is not None and (best is None or found[0] > best[0] + 0.1):
            best = (found[0], center, found[1])
    if best is None or best[0] < 0.75 or height.std() < 0.5 * height.mean():
        return none
    center, index = _refined_center(points, best[1], best[2])
    kept = (np.abs(index - np.rint(index)).max(1) < INDEX_TOLERANCE) & np.any(
        np.rint(index) != 0, axis=1
    )
    place = (float(center[0]), float(center[1]))
    return Spots(x[kept], y[kept], height[kept], significance[kept], place, True)


def _maxima(image: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, ...]:
    level = np.where(good, image, np.median(image[good]))
    smooth = ndimage.gaussian_filter(level, 1.0)
    reach = max(9, 2 * (max(image.shape) // 64) + 1)
    factor = max(1, max(image.shape) // 256)
    coarse = ndimage.median_filter(smooth[::factor, ::factor], max(5, reach // factor))
    base = ndimage.zoom(coarse, np.array(image.shape) / coarse.shape, order=1)
    excess = smooth - base
    noise = 1.4826 * float(np.median(np.abs(excess[good]))) + 1e-12
    local = noise * np.sqrt(np.maximum(base - base.min(), 0.0) / (np.ptp(base) + 1e-12) * 4 + 1.0)
    top = ndimage.maximum_filter(excess, 7) == excess
    top &= (excess > SPOT_SIGMA * local) & ndimage.binary_erosion(good, iterations=2)
    y, x = np.nonzero(top)
    rank = np.argsort(-excess[y, x])[:MOST_SPOTS]
    y, x = y[rank], x[rank]
    exact = np.array(
        [_centroid(excess, int(i), int(j)) for i, j in zip(y, x, strict=True)]
    ).reshape(-1, 2)
    return exact[:, 0], exact[:, 1], excess[y, x], (excess / local)[y, x]


def _centroid(excess: np.ndarray, i: int, j: int) -> tuple[float, float]:
    rows = slice(max(0, i - 2), i + 3)
    columns = slice(max(0, j - 2), j + 3)
    weight = np.maximum(excess[rows, columns] - 0.3 * excess[i, j], 0.0)
    yy, xx = np.mgrid[rows, columns][:, : weight.shape[0], : weight.shape[1]]
    return float((weight * xx).sum() / weight.sum()), float((weight * yy).sum() / weight.sum())


def _inversion_points(points: np.ndarray, height: np.ndarray, keep: int = 5) -> list[np.ndarray]:
    """Midpoints that the most pairs of equally strong spots share (Friedel's law), best first."""
    first, second = np.triu_indices(len(points), 1)
    middle = 0.5 * (points[first] + points[second])
    alike = np.exp(-((np.log(height[first] / height[second]) / 0.3) ** 2))
    alike *= np.sqrt(height[first] * height[second])
    _, place = np.unique(np.round(middle / 2.0), axis=0, return_inverse=True)
    place = place.ravel()
    votes = np.bincount(place, alike)
    best = np.argsort(-votes)[:keep]
    return [np.average(middle[place == k], axis=0, weights=alike[place == k] + 1e-9) for k in best]


def _lattice(vectors: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Share of the vectors that two of the shortest ones index, and that basis (2, 2)."""
    length = np.linalg.norm(vectors, axis=1)
    outside = vectors[length > 6.0]
    if len(outside) < 6:
        return None
    short = outside[np.argsort(np.linalg.norm(outside, axis=1))[:14]]
    best: tuple[float, np.ndarray] | None = None
    for first, second in combinations(short, 2):
        basis = np.stack([first, second])
        area = abs(np.linalg.det(basis))
        if area < 0.3 * np.linalg.norm(first) * np.linalg.norm(second):
            continue
        index = outside @ np.linalg.inv(basis)
        off = np.abs(index - np.rint(index)).max(1)
        share = float(np.mean(off < INDEX_TOLERANCE))
        if best is None or share > best[0] + 0.02:
            best = (share, basis)
    return best


def _refined_center(
    points: np.ndarray, center: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Centre by least squares over the indexed spots, and the indices (n, 2), not rounded."""
    for _ in range(3):
        index = (points - center) @ np.linalg.inv(basis)
        whole = np.rint(index)
        use = np.abs(index - whole).max(1) < INDEX_TOLERANCE
        design = np.column_stack([np.ones(use.sum()), whole[use]])
        answer, _, rank, _ = np.linalg.lstsq(design, points[use], rcond=None)
        if rank < 3:
            break
        center, basis = answer[0], answer[1:]
    return center, (points - center) @ np.linalg.inv(basis)
