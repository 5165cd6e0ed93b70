"""The smooth background under peaks, by clipping (SNIP), for every kind of curve.

A curve is taken to a scale on which strong peaks are flat, and each point is lowered to the mean
of two points at a distance on either side where that is less, for distances that shrink to one.
What is narrower than twice the widest distance goes; what is smooth stays.

References
----------
Ryan, C. G. et al. (1988). Nucl. Instrum. Methods B 34, 396. The window that shrinks:
Morhac, M. et al. (1997). Nucl. Instrum. Methods A 401, 113.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import numpy as np


class Ends(StrEnum):
    """What stands for the points beyond the ends of a curve."""

    KEEP = "keep"  # nothing: points within a distance of an end are left as they are
    REPEAT = "repeat"  # the last point
    MIRROR = "mirror"  # the curve, turned about its last point: a slope goes on


def flattened(values: np.ndarray, *, root: bool) -> np.ndarray:
    """Values >= -1 on the scale of clipping: log of log, of the square root where `root` is set."""
    inner = np.sqrt(values + 1.0) if root else values
    return np.asarray(np.log(np.log(inner + 1.0) + 1.0))


def restored(level: np.ndarray, *, root: bool) -> np.ndarray:
    """The inverse of `flattened`."""
    inner = np.exp(np.exp(level) - 1.0) - 1.0
    return np.asarray(inner**2 - 1.0 if root else inner)


def clipped(
    level: np.ndarray,
    distances: Iterable[int],
    ends: Ends,
    reach: np.ndarray | None = None,
    *,
    curved: bool = False,
) -> np.ndarray:
    """A curve lowered to the mean of its neighbours at each distance, one after the other.

    Parameters
    ----------
    level : (n,) on the scale of `flattened`
    distances : in points, the widest first
    ends : what stands beyond the ends
    reach : (n,) widest distance that may lower each point; None for all of them
    curved : whether the top of a broad hump stays, which clipping after clipping would take off:
        the parabola through two neighbours on either side counts where it is higher than their
        mean (Morhac & Matousek, 2008, Appl. Spectrosc. 62, 91); only with `Ends.KEEP`

    Returns
    -------
    (n,) on the same scale
    """
    index = np.arange(level.size)
    for distance in distances:
        if ends is Ends.MIRROR:
            padded = np.pad(level, distance, mode="reflect", reflect_type="odd")
            mean = 0.5 * (padded[: level.size] + padded[2 * distance :])
        elif ends is Ends.REPEAT:
            left = np.maximum(index - distance, 0)
            right = np.minimum(index + distance, level.size - 1)
            mean = 0.5 * (level[left] + level[right])
        else:
            mean = 0.5 * (np.roll(level, distance) + np.roll(level, -distance))
            if curved and (half := distance // 2):
                near = 0.5 * (np.roll(level, half) + np.roll(level, -half))
                mean = np.maximum(mean, (4.0 * near - mean) / 3.0)
            mean[:distance], mean[-distance:] = level[:distance], level[-distance:]
        lower = np.minimum(level, mean)
        level = lower if reach is None else np.where(distance <= reach, lower, level)
    return level
