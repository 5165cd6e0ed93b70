"""Coincidence site lattices of cubic crystals: the table of Sigma, and Brandon's criterion.

Nothing is typed in: a rotation whose quaternion is proportional to four whole numbers without a
common factor brings 1 of Sigma lattice points to coincidence, where Sigma is the sum of their
squares, halved until it is odd.

References
----------
Ranganathan, S. (1966). Acta Cryst. 21, 197. Grimmer, H. (1974). Acta Cryst. A 30, 685. Brandon,
D. G. (1966). Acta Metall. 14, 1479.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import atan2, gcd, isqrt, radians, sqrt

import torch
from torch import Tensor

from xtalfuse.physics.orientation.disorientation import disorientation, from_axis_angle
from xtalfuse.physics.orientation.laue import laue_operators
from xtalfuse.physics.orientation.quaternion import conjugate, either, multiply

CUBIC = "m-3m"
BRANDON_DEG = 15.0
SIGMA_MAX = 49
NO_CSL = -1

Whole = tuple[int, int, int, int]


@dataclass(frozen=True)
class Csl:
    """One coincidence site lattice.

    Parameters
    ----------
    sigma : 1 of so many lattice points coincides
    name : sigma, with a letter in the order of angles where it has several rotations, ``"13b"``
    angle : disorientation angle, radian
    axis : h >= k >= l of the disorientation axis
    """

    sigma: int
    name: str
    angle: float
    axis: tuple[int, int, int]


@lru_cache(maxsize=8)
def csl_table(sigma_max: int = SIGMA_MAX) -> tuple[Csl, ...]:
    """The coincidence site lattices from Sigma 3 to `sigma_max`, by sigma, then angle."""
    table: list[Csl] = []
    for sigma in range(3, sigma_max + 1, 2):
        found = sorted({_disorientation(q) for q in _whole_quaternions(sigma)}, key=_order)
        letters = "abcdefghijklmnopqrstuvwxyz" if len(found) > 1 else [""]
        table += [
            Csl(sigma, f"{sigma}{letter}", angle, axis)
            for letter, (angle, axis) in zip(letters, found, strict=False)
        ]
    return tuple(table)


def _order(rotation: tuple[float, tuple[int, int, int]]) -> tuple[float, int]:
    angle, axis = rotation
    return round(angle, 9), sum(h * h for h in axis)


def _whole_quaternions(norm: int) -> list[Whole]:
    """Whole numbers a >= b >= c >= d >= 0 without common factor whose squares add to `norm`.

    Sorted components stand for all: cubic symmetry and the switch of the two crystals permute
    them and change their signs.
    """
    sizes = range(isqrt(norm) + 1)
    return [
        (a, b, c, isqrt(rest))
        for a, b, c in product(sizes, repeat=3)
        if a >= b >= c and (rest := norm - a * a - b * b - c * c) >= 0
        if isqrt(rest) ** 2 == rest and isqrt(rest) <= c and gcd(a, b, c, isqrt(rest)) == 1
    ]


def _disorientation(q: Whole) -> tuple[float, tuple[int, int, int]]:
    """Angle and axis, h >= k >= l, of the smallest of the three kinds of equivalents."""
    a, b, c, d = q
    equivalents = [
        (a, b, c, d, 1),
        (a + b, a - b, c + d, c - d, 2),
        (a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d, 4),
    ]
    scalar, *vector, _ = max(equivalents, key=lambda e: e[0] ** 2 / e[4])
    axis = sorted((abs(v) for v in vector), reverse=True)
    factor = gcd(*axis)
    angle = 2.0 * atan2(sqrt(sum(h * h for h in axis)), scalar)
    return angle, (axis[0] // factor, axis[1] // factor, axis[2] // factor)


def brandon_limit(sigma: int, factor_deg: float = BRANDON_DEG) -> float:
    """Largest deviation, radian, from a coincidence site lattice: factor / sqrt(sigma)."""
    return radians(factor_deg) / sqrt(sigma)


@lru_cache(maxsize=256)
def _equivalents(csl: Csl, reach: float) -> Tensor:
    """Equivalents of a coincidence rotation, up to `reach` above its smallest angle, each once."""
    operators = laue_operators(CUBIC, torch.empty(0, dtype=torch.float64))
    largest, middle, least = csl.axis  # the standard triangle has z >= x >= y
    axis = torch.tensor([middle, least, largest], dtype=torch.float64)
    q = from_axis_angle(axis, csl.angle)
    both = torch.stack([q, conjugate(q)])
    every = multiply(multiply(operators[:, None, None], both[:, None]), operators).reshape(-1, 4)
    every = every[every[:, 0].abs() > torch.cos(torch.tensor(0.5 * (csl.angle + reach)))]
    same = (every @ every.T).abs() > 1.0 - 1e-12
    return every[same.double().argmax(dim=1) == torch.arange(len(every))]


@either
def csl_match(
    m: Tensor, sigma_max: int = SIGMA_MAX, factor_deg: float = BRANDON_DEG
) -> tuple[Tensor, Tensor]:
    """Which coincidence site lattice each misorientation of a cubic crystal is near.

    Parameters
    ----------
    m : (..., 4) misorientations ``b conj(a)``, any equivalent
    sigma_max : the largest sigma that counts
    factor_deg : Brandon's 15 degrees

    Returns
    -------
    (...) int, position in ``csl_table(sigma_max)``, `NO_CSL` where none is within Brandon's
    limit; where several are, that with the smallest part of its limit used up; and (...) the
    deviation from it, radian, nan where there is none
    """
    identity = m.new_tensor([1.0, 0.0, 0.0, 0.0])
    flat = m.reshape(-1, 4)
    angle, axis = disorientation(identity, flat, CUBIC)
    smallest = from_axis_angle(axis, angle)
    match = torch.full_like(angle, NO_CSL).long()
    deviation = torch.full_like(angle, torch.nan)
    used = torch.ones_like(angle)
    for position, csl in enumerate(csl_table(sigma_max)):
        limit = brandon_limit(csl.sigma, factor_deg)
        # two rotations no farther apart than the limit have angles no farther apart than that
        rows = ((angle - csl.angle).abs() <= limit).nonzero()[:, 0]
        if not len(rows):
            continue
        away = _nearest(smallest[rows], _equivalents(csl, 2.0 * limit).to(m))
        better = away <= limit * used[rows]
        rows, away = rows[better], away[better]
        match[rows], deviation[rows], used[rows] = position, away, away / limit
    return match.reshape(m.shape[:-1]), deviation.reshape(m.shape[:-1])


def _nearest(m: Tensor, rotations: Tensor) -> Tensor:
    """Angle (n,) between rotations (n, 4) and the nearest of others (k, 4)."""
    best = rotations[(m @ rotations.T).abs().argmax(dim=-1)]
    between = multiply(m, conjugate(best))
    return 2.0 * torch.atan2(torch.linalg.vector_norm(between[:, 1:], dim=-1), between[:, 0].abs())
