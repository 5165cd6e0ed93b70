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
    ``center`` and their heights fall away from it, as they do in a diffraction pattern.
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
    if not 6 <= len(x) < MOST_SPOTS:
        return none
    points = np.stack([x, y], 1)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for center in _inversion_points(points):
        found = _lattice(points - center)
        if found is not None and (best is None or found[0] > best[0]):
            best = (found[0], center, found[1])
    if best is None or best[0] < 0.75:
        return none
    on_lattice = np.linalg.norm(points - best[1], axis=1) > 3.0
    center = _refined_center(points, best[1], best[2])
    falls = height.std() > 0.5 * height.mean()
    return Spots(
        x[on_lattice],
        y[on_lattice],
        height[on_lattice],
        significance[on_lattice],
        (float(center[0]), float(center[1])),
        bool(falls),
    )


def _maxima(image: np.ndarray, good: np.ndarray) -> tuple[np.ndarray, ...]:
    level = np.where(good, image, np.median(image[good]))
    smooth = ndimage.gaussian_filter(level, 1.0)
    reach = max(9, 2 * (max(image.shape) // 64) + 1)
    factor = max(1, max(image.shape) // 512)
    coarse = ndimage.median_filter(smooth[::factor, ::factor], max(5, reach // factor))
    base = ndimage.zoom(coarse, np.array(image.shape) / coarse.shape, order=1)
    excess = smooth - base
    noise = 1.4826 * float(np.median(np.abs(excess[good]))) + 1e-12
    local = noise * np.sqrt(np.maximum(base - base.min(), 0.0) / (np.ptp(base) + 1e-12) * 4 + 1.0)
    top = ndimage.maximum_filter(excess, 7) == excess
    top &= (excess > SPOT_SIGMA * local) & ndimage.binary_erosion(good, iterations=2)
    y, x = np.nonzero(top)
    rank = np.argsort(-excess[y, x])[: MOST_SPOTS + 1]
    y, x = y[rank], x[rank]
    exact = np.array([_centroid(excess, i, j) for i, j in zip(y, x, strict=True)]).reshape(-1, 2)
    return exact[:, 0], exact[:, 1], excess[y, x], (excess / local)[y, x]


def _centroid(excess: np.ndarray, i: int, j: int) -> tuple[float, float]:
    rows = slice(max(0, i - 2), i + 3)
    columns = slice(max(0, j - 2), j + 3)
    weight = np.maximum(excess[rows, columns] - 0.3 * excess[i, j], 0.0)
    yy, xx = np.mgrid[rows, columns][:, : weight.shape[0], : weight.shape[1]]
    return float((weight * xx).sum() / weight.sum()), float((weight * yy).sum() / weight.sum())


def _inversion_points(points: np.ndarray, keep: int = 4) -> list[np.ndarray]:
    """Midpoints that the most pairs of spots share."""
    first, second = np.triu_indices(len(points))
    middle = 0.5 * (points[first] + points[second])
    _, place, counts = np.unique(
        np.round(middle / 2.0), axis=0, return_inverse=True, return_counts=True
    )
    best = np.argsort(-counts)[:keep]
    return [middle[place.ravel() == k].mean(0) for k in best]


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


def _refined_center(points: np.ndarray, center: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Centre by least squares over the indexed spots: p = centre + index @ basis."""
    for _ in range(3):
        index = (points - center) @ np.linalg.inv(basis)
        whole = np.rint(index)
        use = np.abs(index - whole).max(1) < INDEX_TOLERANCE
        design = np.column_stack([np.ones(use.sum()), whole[use]])
        answer = np.linalg.lstsq(design, points[use], rcond=None)[0]
        center, basis = answer[0], answer[1:]
        if abs(np.linalg.det(basis)) < 1.0:
            break
    return center
