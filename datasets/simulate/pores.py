"""Pores in a labelled volume: round, within grains or where three grains meet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import ndimage


class PorePlace(StrEnum):
    """Where pores sit."""

    GRAIN = "grain"  # wholly within one grain, where there is room
    TRIPLE_LINE = "triple_line"  # centred where three or more grains meet


@dataclass(frozen=True)
class PoreSpec:
    """Pores of a polycrystal.

    Parameters
    ----------
    fraction : of the volume, 0-0.5; met to the voxel
    radius : voxels
    place : where they sit
    """

    fraction: float
    radius: float = 2.5
    place: PorePlace = PorePlace.GRAIN


def add_pores(labels: np.ndarray, spec: PoreSpec, rng: np.random.Generator) -> np.ndarray:
    """Labels with spherical pores, numbered after the grains; opposite faces of the box meet.

    A voxel that two pores claim belongs to the first. The last pore is as small as the wanted
    volume needs. A grain may vanish if a pore covers it.

    Parameters
    ----------
    labels : (X, Y, Z) int, the grains

    Raises
    ------
    ValueError
        If no place is left: the fraction is too large for pores of this size and place.
    """
    if not 0.0 <= spec.fraction <= 0.5 or spec.radius <= 0:
        raise ValueError(f"pore fraction {spec.fraction} and radius {spec.radius}: 0-0.5 and > 0")
    labels = labels.copy()
    ball = _ball(spec.radius)
    candidates = np.flatnonzero(_candidates(labels, spec))
    left = round(spec.fraction * labels.size)
    first = number = int(labels.max()) + 1
    for place in rng.permutation(candidates):
        if left <= 0:
            return labels
        centre = np.unravel_index(place, labels.shape)
        where = tuple(((ball + centre) % labels.shape).T)
        if labels[tuple(c[:1] for c in where)] >= first:  # the centre itself is taken
            continue
        free = np.flatnonzero(labels[where] < first)[:left]
        if spec.place is PorePlace.GRAIN and len(free) < min(left, len(ball)):
            continue
        labels[tuple(axis[free] for axis in where)] = number
        left -= len(free)
        number += 1
    if left > 0:
        raise ValueError(
            f"{left} voxels of pores found no place ({spec.place}); take smaller pores or fewer"
        )
    return labels


def _ball(radius: float) -> np.ndarray:
    """(m, 3) offsets of the voxels of a ball, the centre first, then outwards."""
    reach = int(radius)
    axis = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    distance = (offsets**2).sum(axis=1)
    inside = distance <= radius**2
    return offsets[inside][np.argsort(distance[inside], kind="stable")]


def _candidates(labels: np.ndarray, spec: PoreSpec) -> np.ndarray:
    """(X, Y, Z) bool: voxels that may be the centre of a pore."""
    if spec.place is PorePlace.GRAIN:
        reach = 2 * int(spec.radius) + 1
        least = ndimage.minimum_filter(labels, size=reach, mode="wrap")
        return least == ndimage.maximum_filter(labels, size=reach, mode="wrap")
    corner = [(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)]
    around = np.stack([np.roll(labels, (-i, -j, -k), (0, 1, 2)) for i, j, k in corner])
    around.sort(axis=0)
    return (np.diff(around, axis=0) != 0).sum(axis=0) >= 2
