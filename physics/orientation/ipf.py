"""Colours of crystal directions: the inverse pole figure key of every Laue group.

The corners of the standard triangle are red (001), green and blue; colours are saturated at its
edges and fade to white at its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import cos, pi, sin
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xtalfuse.physics.orientation.laue import reduce_direction
from xtalfuse.physics.orientation.point_group import group, wedge
from xtalfuse.physics.orientation.quaternion import either, rotate


@dataclass(frozen=True)
class Sector:
    """A standard triangle.

    Parameters
    ----------
    corners : (3, 3) unit directions that are red, green and blue
    centre : (3,) unit direction that is white
    edges : (k, 3) unit normals of its sides, inward
    """

    corners: np.ndarray
    centre: np.ndarray
    edges: np.ndarray


@lru_cache(maxsize=32)
def sector(laue: str) -> Sector:
    """The standard triangle of a Laue group, as `reduce_direction` fills it."""
    about = group(laue)
    if about.cubic:
        corners, edges = (_unit(vectors) for vectors in _CUBIC[about.fold])
        return Sector(corners, _unit(corners.sum(axis=0)), edges)
    fold, mirrored, start = wedge(about)
    width = (pi if mirrored else 2.0 * pi) / fold
    middle, end = start + 0.5 * width, start + width
    corners = np.array([_pole(), _equator(start), _equator(end)])
    edges = np.array([_pole(), _equator(start + pi / 2), _equator(end - pi / 2)])
    centre = _unit(_pole() + 2.0 * max(cos(0.5 * width), 0.5) * _equator(middle))
    if width > 1.5 * pi:  # the whole hemisphere: it has no corners, and one side
        corners = np.array([_equator(k * 2.0 * pi / 3.0) for k in range(3)])
        edges, centre = edges[:1], _pole()
    return Sector(corners, centre, edges)


def _unit(vectors: Any) -> np.ndarray:
    array = np.asarray(vectors, float)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def _pole() -> np.ndarray:
    return np.array([0.0, 0.0, 1.0])


def _equator(azimuth: float) -> np.ndarray:
    return np.array([cos(azimuth), sin(azimuth), 0.0])


_CUBIC = {
    4: ([[0, 0, 1], [1, 0, 1], [1, 1, 1]], [[0, 1, 0], [1, -1, 0], [-1, 0, 1]]),
    2: ([[0, 0, 1], [1, 0, 1], [0, 1, 1]], [[1, 0, 0], [0, 1, 0], [-1, 0, 1], [0, -1, 1]]),
}


@either
def direction_colour(v: Tensor, laue: str) -> Tensor:
    """Colours (..., 3), red, green, blue in 0-1, of crystal directions (..., 3).

    Notes
    -----
    Hue is the azimuth about the centre of the standard triangle, stretched so that the corners
    get the primary colours; whiteness falls from the centre to 0 at the edge along every great
    circle.

    References
    ----------
    Nolze, G. & Hielscher, R. (2016). J. Appl. Cryst. 49, 1786.
    """
    about = sector(laue)
    corners, centre, edges = (v.new_tensor(a) for a in (about.corners, about.centre, about.edges))
    red = _normalized(corners[0] - (corners[0] @ centre) * centre)
    green = torch.linalg.cross(centre, red)
    if corners[1] @ green < 0.0:
        green = -green
    v = reduce_direction(_normalized(v), laue)
    along_red, along_green = v @ red, v @ green
    across = torch.hypot(along_red, along_green)
    azimuth = torch.atan2(along_green, along_red) % (2.0 * pi)
    slope = torch.cos(azimuth)[..., None] * (edges @ red)
    slope = slope + torch.sin(azimuth)[..., None] * (edges @ green)
    reach = torch.atan2((edges @ centre).expand_as(slope), -slope)  # to each side, [..., k]
    distance = torch.atan2(across, v @ centre)
    fraction = (distance / reach.amin(dim=-1)).clamp(0.0, 1.0)
    turns = torch.atan2(corners @ green, corners @ red) % (2.0 * pi)
    hue = _hue(azimuth, float(turns[1]), float(turns[2]))
    return 1.0 - fraction[..., None] * (1.0 - hue)


def _normalized(v: Tensor) -> Tensor:
    return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)


def _hue(azimuth: Tensor, green: float, blue: float) -> Tensor:
    """Saturated colour (..., 3) of an azimuth: red at 0, then `green`, then `blue`."""
    third = torch.where(
        azimuth < green,
        azimuth / green,
        torch.where(
            azimuth < blue,
            1.0 + (azimuth - green) / (blue - green),
            2.0 + (azimuth - blue) / (2.0 * pi - blue),
        ),
    )
    centres = third.new_tensor([0.0, 1.0, 2.0])
    away = (third[..., None] - centres).abs()
    return (2.0 - 2.0 * torch.minimum(away, 3.0 - away)).clamp(0.0, 1.0)


@either
def ipf_colour(q: Tensor, direction: Tensor, laue: str) -> Tensor:
    """Colours (..., 3), red, green, blue in 0-1, of a specimen direction in crystals.

    Parameters
    ----------
    q : (..., 4) orientations, specimen -> crystal
    direction : (3,) or (..., 3) direction of the specimen, of any length
    laue : Laue group
    """
    return direction_colour(rotate(q, direction.to(q)), laue)
