"""The 11 Laue groups: their rotations and their standard triangles.

How the axes of each group lie is told in `point_group`. A file that puts x along a* (Oxford
Instruments, of hexagonal and trigonal crystals) is brought to "X || a" by a turn of 30 degrees
about z before anything else: ``multiply(A_STAR_TO_A, q)``. (Its y lies along b.)
"""

from __future__ import annotations

from functools import lru_cache
from math import cos, pi, sin
from typing import Any

import torch
from torch import Tensor

from xtalfuse.physics.orientation.point_group import generators, group, wedge
from xtalfuse.physics.orientation.quaternion import either, multiply

A_STAR_TO_A = (cos(pi / 12), 0.0, 0.0, sin(pi / 12))  # a* lies at azimuth 30 degrees


@lru_cache(maxsize=64)
def _operators(laue: str) -> Tensor:
    """The group that the generators make, identity first."""
    found = [torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)]
    for element in found:  # grows while it is walked
        for generator in generators(laue):
            product = multiply(torch.tensor(generator, dtype=torch.float64), element)
            if all(abs(float(product @ known)) < 1.0 - 1e-6 for known in found):
                found.append(product)
    return _snapped(torch.stack(found))


def _snapped(operators: Tensor) -> Tensor:
    """Components put on 0, 1/2, 1/sqrt 2, sqrt 3/2 or 1; of q and -q the first nonzero positive."""
    exact = torch.sign(operators) * (torch.round(4.0 * operators**2) / 4.0).sqrt()
    first = exact.gather(1, (exact != 0).double().argmax(dim=1, keepdim=True))
    return exact * torch.sign(first) + 0.0


def laue_operators(laue: str, like: Tensor | None = None) -> Any:
    """Proper rotations (m, 4) of a Laue group, identity first.

    They act on the left: ``s q`` is as good a description of a crystal as the orientation ``q``.
    A float64 numpy array; with the tensor `like`, a tensor of its precision on its device.
    """
    operators = _operators(laue)
    return operators.numpy().copy() if like is None else operators.to(like)


@either
def reduce_direction(v: Tensor, laue: str) -> Tensor:
    """The equivalent of each direction (..., 3) in the standard triangle of the Laue group.

    z >= 0 everywhere. Azimuths: ``6/mmm`` 0-30 degrees, ``4/mmm`` 0-45, ``-3m`` -30 to 30,
    ``mmm`` 0-90, ``6/m`` 0-60, ``4/m`` 0-90, ``-3`` 0-120, ``2/m`` 0-180; ``m-3m``:
    z >= x >= y >= 0; ``m-3``: x, y >= 0, z not less than either. Length is kept.
    """
    about = group(laue)
    if about.cubic:
        return _cubic_triangle(v.abs(), full=about.fold == 4)
    v = torch.where(_is_below(v), -v, v)
    x, y, z = v.unbind(-1)
    fold, mirrored, start = wedge(about)
    radius, period = torch.hypot(x, y), 2.0 * pi / fold
    azimuth = (torch.atan2(y, x) - start) % period
    if mirrored:
        azimuth = torch.minimum(azimuth, period - azimuth)
    azimuth = azimuth + start
    return torch.stack([radius * torch.cos(azimuth), radius * torch.sin(azimuth), z], dim=-1)


def _is_below(v: Tensor) -> Tensor:
    """(..., 1) whether a direction lies on the half of the sphere that is left out."""
    x, y, z = v.unbind(-1)
    return ((z < 0) | ((z == 0) & ((y < 0) | ((y == 0) & (x < 0)))))[..., None]


def _cubic_triangle(size: Tensor, full: bool) -> Tensor:
    if full:
        smallest, middle, largest = size.sort(dim=-1).values.unbind(-1)
        return torch.stack([middle, smallest, largest], dim=-1)
    turns = (size.argmax(dim=-1, keepdim=True) + 1 + torch.arange(3, device=size.device)) % 3
    return size.gather(-1, turns)
