"""Density of crystal directions on the sphere: pole figures and inverse pole figures.

Densities are in multiples of a uniform distribution. Lambert's equal-area projection shows
the upper half of the sphere as a disc of radius 1.
"""

from __future__ import annotations

from math import cos, log, pi, radians, sin

import numpy as np

HALF_WIDTH_DEG = 10.0
BINS = 181  # along the diameter of the disc: 1 degree

# Names and Cartesian normals of the plane families that are usually shown; x along a, z along c
_HEXAGONAL = (
    ("{0001}", (0.0, 0.0, 1.0)),
    (r"{10$\overline{1}$0}", (cos(pi / 6), sin(pi / 6), 0.0)),
    (r"{11$\overline{2}$0}", (0.5, cos(pi / 6), 0.0)),
)
_AXES = (("z", (0.0, 0.0, 1.0)), ("x", (1.0, 0.0, 0.0)), ("y", (0.0, 1.0, 0.0)))
_ORTHOGONAL = (("{001}", (0.0, 0.0, 1.0)), ("{100}", (1.0, 0.0, 0.0)), ("{010}", (0.0, 1.0, 0.0)))
_TETRAGONAL = (("{001}", (0.0, 0.0, 1.0)), ("{100}", (1.0, 0.0, 0.0)), ("{110}", (1.0, 1.0, 0.0)))
_CUBIC = (("{100}", (1.0, 0.0, 0.0)), ("{110}", (1.0, 1.0, 0.0)), ("{111}", (1.0, 1.0, 1.0)))
_FAMILIES = {
    "mmm": _ORTHOGONAL, "4/m": _TETRAGONAL, "4/mmm": _TETRAGONAL, "-3": _HEXAGONAL,
    "-3m": _HEXAGONAL, "6/m": _HEXAGONAL, "6/mmm": _HEXAGONAL, "m-3": _CUBIC, "m-3m": _CUBIC,
}  # fmt: skip


def plane_families(laue: str) -> tuple[tuple[str, np.ndarray], ...]:
    """Names of three plane families and the normals (k, 3) of their planes in the crystal frame.

    Of monoclinic and triclinic crystals, whose low planes depend on the cell, the Cartesian
    axes of the crystal frame.
    """
    from xtalfuse.physics.orientation.disorientation import laue_operators, rotate, standard_laue

    operators = laue_operators(laue)
    families = []
    for name, normal in _FAMILIES.get(standard_laue(laue), _AXES):
        unit = np.array(normal) / np.linalg.norm(normal)
        every = rotate(operators, np.broadcast_to(unit, (len(operators), 3)))
        every = np.where(_lower(every)[:, None], -every, every)
        families.append((name, np.unique(np.round(every, 9) + 0.0, axis=0)))
    return tuple(families)


def _lower(v: np.ndarray) -> np.ndarray:
    """Which of two opposite directions to leave out, so that every pair counts once."""
    x, y, z = np.moveaxis(np.round(v, 9), -1, 0)
    return (z < 0) | ((z == 0) & ((y < 0) | ((y == 0) & (x < 0))))


def to_disc(v: np.ndarray) -> np.ndarray:
    """Lambert's equal-area projection (..., 2) of axes (..., 3); v and -v are the same."""
    v = np.where(v[..., 2:] < 0.0, -v, v)
    radius = np.sqrt(np.maximum(1.0 - v[..., 2:], 0.0))
    across = np.linalg.norm(v[..., :2], axis=-1, keepdims=True)
    return v[..., :2] * np.divide(radius, across, out=np.zeros_like(radius), where=across > 0.0)


def from_disc(xy: np.ndarray) -> np.ndarray:
    """Unit direction (..., 3), z >= 0, of points (..., 2) of the disc; the rim is the equator."""
    squared = np.minimum((xy**2).sum(axis=-1, keepdims=True), 1.0)
    return np.concatenate([xy * np.sqrt(2.0 - squared), 1.0 - squared], axis=-1)


class PoleDensity:
    """Density of axes on the sphere, smoothed by the kernel of de la Vallee Poussin.

    Parameters
    ----------
    axes : (n, 3) unit vectors; v and -v are the same
    weights : (n,) how much each counts; all the same if left out
    half_width_deg : angle at which the kernel has fallen to one half

    References
    ----------
    Schaeben, H. (1997). phys. stat. sol. (b) 200, 367; on the sphere the kernel is
    ``(k + 1) cos(theta / 2)^(2 k)``.
    """

    def __init__(
        self,
        axes: np.ndarray,
        weights: np.ndarray | None = None,
        half_width_deg: float = HALF_WIDTH_DEG,
    ) -> None:
        cell = np.clip(((to_disc(axes) + 1.0) * 0.5 * BINS).astype(int), 0, BINS - 1)
        counts = np.bincount(cell[:, 0] * BINS + cell[:, 1], weights, BINS * BINS)
        full = np.flatnonzero(counts)
        middle = (np.stack(np.divmod(full, BINS), axis=1) + 0.5) * 2.0 / BINS - 1.0
        beyond = np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1.0)
        self._axes = from_disc(middle / beyond)
        self._share = counts[full] / counts.sum()
        self._power = log(0.5) / (2.0 * log(cos(radians(0.5 * half_width_deg))))

    def __call__(self, axes: np.ndarray) -> np.ndarray:
        """Density (m,) at unit vectors (m, 3), in multiples of a uniform distribution."""
        density = np.empty(len(axes))
        for begin in range(0, len(axes), 256):
            part = slice(begin, begin + 256)
            cosine = np.clip(axes[part] @ self._axes.T, -1.0, 1.0)
            kernel = (0.5 + 0.5 * cosine) ** self._power + (0.5 - 0.5 * cosine) ** self._power
            density[part] = 0.5 * (self._power + 1.0) * (kernel @ self._share)
        return density


def pole_figure(
    orientation: np.ndarray, normals: np.ndarray, weights: np.ndarray | None = None
) -> PoleDensity:
    """Density of plane normals in the specimen.

    Parameters
    ----------
    orientation : (n, 4) unit quaternions, specimen -> crystal
    normals : (k, 3) all normals of a family in the crystal frame
    weights : (n,) of the orientations
    """
    from xtalfuse.physics.orientation.disorientation import conjugate, rotate

    axes = rotate(conjugate(orientation)[:, None], normals[None]).reshape(-1, 3)
    repeated = None if weights is None else np.repeat(weights, len(normals))
    return PoleDensity(axes, repeated)


def inverse_pole_figure(
    orientation: np.ndarray,
    direction: np.ndarray,
    laue: str,
    nodes: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Density (m,) of a specimen direction at crystal directions `nodes` (m, 3)."""
    from xtalfuse.physics.orientation.disorientation import laue_operators, rotate

    found = PoleDensity(rotate(orientation, np.asarray(direction, float)[None]), weights)
    operators = laue_operators(laue)
    every = rotate(operators[:, None], nodes[None])
    return found(every.reshape(-1, 3)).reshape(len(operators), -1).mean(axis=0)
