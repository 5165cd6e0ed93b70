"""Orientations of crystals: equivalents, disorientation, means.

An orientation q turns the specimen frame into the crystal frame; ``s q`` describes the same
crystal for every rotation s of its Laue group, and so does ``-q``. The misorientation from a to
b is ``b conj(a)``. Every function takes numpy arrays or torch tensors and returns the kind it
was given.

References
----------
Morawiec, A. (2004). Orientations and Rotations, Springer. Grimmer, H. (1974). Acta Cryst. A 30,
685 (the closed form for cubic crystals).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import cos, pi, sin, sqrt
from typing import Any

import torch
from torch import Tensor

from xtalfuse.physics.orientation.ipf import ipf_colour
from xtalfuse.physics.orientation.laue import A_STAR_TO_A, laue_operators, reduce_direction
from xtalfuse.physics.orientation.point_group import (
    LAUE_GROUPS,
    LaueGroup,
    group,
    laue_of,
    standard_laue,
)
from xtalfuse.physics.orientation.quaternion import (
    conjugate,
    either,
    from_axis_angle,
    from_euler,
    from_matrix,
    multiply,
    normalize,
    random,
    rotate,
    to_euler,
    to_matrix,
)

__all__ = [
    "A_STAR_TO_A", "LAUE_GROUPS", "conjugate", "disorientation", "disorientation_angle",
    "from_axis_angle", "from_euler", "from_matrix", "ipf_colour", "laue_of", "laue_operators",
    "mean_orientation", "multiply", "normalize", "random", "reduce", "reduce_direction", "rotate",
    "standard_laue", "to_euler", "to_matrix",
]  # fmt: skip

ROWS_AT_ONCE = 8192  # their intermediate arrays stay in the cache of a core
NO_ROTATION = 1e-12  # of the vector part; below it the axis is rounding noise
TIE = 1e-9  # scalar parts this near belong to rotations of one angle, if precision allows
MEAN_STEPS = 20


@either
def disorientation_angle(a: Tensor, b: Tensor, laue: str, laue_b: str | None = None) -> Tensor:
    """Smallest angle (...) between crystals of orientations a and b (..., 4), radian.

    Parameters
    ----------
    a, b : (..., 4) unit quaternions, broadcast against each other
    laue : Laue group of `a`, and of `b` unless `laue_b` is given
    laue_b : Laue group of `b`

    Notes
    -----
    The angle comes from the length of the vector part and the scalar part, so that it has all
    its digits at 1e-9 rad and at 60 degrees alike. For one group it is a closed form: rotations
    about the main axis act on the pairs (w, z) and (x, y) alone, and cubic groups on the sorted
    components.
    """
    laue_b = laue if laue_b is None else laue_b
    if len(laue_operators(laue_b)) > len(laue_operators(laue)):
        a, b, laue, laue_b = b, a, laue_b, laue  # the larger group has fewer cosets
    a, b = torch.broadcast_tensors(a, b)
    about, left = group(laue), _cosets(laue, laue_b)
    rows = (q.reshape(-1, 4).split(ROWS_AT_ONCE) for q in (a, b))
    angles = [_angle(part_a, part_b, about, left) for part_a, part_b in zip(*rows, strict=True)]
    return torch.cat(angles).reshape(a.shape[:-1])


def _angle(a: Tensor, b: Tensor, about: LaueGroup, left: Tensor | None) -> Tensor:
    """Angles (n,) of rows: the closed form of one group, after each rotation left to try."""
    parts = _cubic_parts if about.cubic else _axial_parts
    m = _relative(a, b)
    if left is None:
        scalar, vector2 = parts(m, about)
    else:
        every = (left.to(a) @ torch.stack(m)).unbind(1)  # four of [rotations, n]
        scalar, vector2 = parts(every, about)
        scalar, vector2 = scalar.amax(dim=0), vector2.amin(dim=0)
    return torch.atan2(vector2.sqrt(), scalar).mul_(2.0)


def _relative(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
    """Components of ``b conj(a)``, added up in place: this is where the time goes."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)

    def total(first: Tensor, *pairs: tuple[Tensor, Tensor, int]) -> Tensor:
        for u, v, sign in pairs:
            first.addcmul_(u, v, value=sign)
        return first

    return (
        total(bw * aw, (bx, ax, 1), (by, ay, 1), (bz, az, 1)),
        total(bx * aw, (bw, ax, -1), (by, az, -1), (bz, ay, 1)),
        total(by * aw, (bw, ay, -1), (bz, ax, -1), (bx, az, 1)),
        total(bz * aw, (bw, az, -1), (bx, ay, -1), (by, ax, 1)),
    )


def _cubic_parts(m: tuple[Tensor, ...], about: LaueGroup) -> tuple[Tensor, Tensor]:
    """Scalar part and squared vector part of the smallest equivalent, from sorted components."""
    w, x, y, z = (part.abs() for part in m)
    high, low = torch.maximum(w, x), torch.minimum(w, x)
    high2, low2 = torch.maximum(y, z), torch.minimum(y, z)
    a, d = torch.maximum(high, high2), torch.minimum(low, low2)
    inner, inner2 = torch.minimum(high, high2), torch.maximum(low, low2)
    b, c = torch.maximum(inner, inner2), torch.minimum(inner, inner2)
    large, small, rest = a + b, c + d, torch.addcmul(c * c, d, d)
    half = 0.5 * (a - b) ** 2
    # three kinds of equivalents: (a, b, c, d), (a+b, a-b, c+d, c-d) / sqrt 2 and (a+b+c+d, ...) / 2
    scalar = torch.maximum(a, 0.5 * (large + small))
    third = half + 0.5 * (c - d) ** 2 + 0.25 * (large - small) ** 2
    vector2 = torch.minimum(torch.addcmul(rest, b, b), third)
    if about.fold == 4:
        scalar = torch.maximum(scalar, sqrt(0.5) * large)
        vector2 = torch.minimum(vector2, half + rest)
    return scalar, vector2


def _axial_parts(m: tuple[Tensor, ...], about: LaueGroup) -> tuple[Tensor, Tensor]:
    """The same for groups with one main axis, whose rotations act on two planes apart."""
    w, *vector = m
    main = vector.pop(about.axis)
    first, second = reversed(vector) if about.start else vector
    near, off = _fold(w, main, about.fold)
    across = torch.addcmul(first * first, second, second)
    if not about.dihedral:
        return near, across.addcmul_(off, off)
    near2, off2 = _fold(first, second, about.fold)
    along = torch.addcmul(w * w, main, main)
    vector2 = torch.minimum(across.addcmul_(off, off), along.addcmul_(off2, off2))
    return torch.maximum(near, near2), vector2


def _fold(u: Tensor, v: Tensor, fold: int) -> tuple[Tensor, Tensor]:
    """Sizes of (u, v) along and off the nearest of the lines at multiples of pi / fold."""
    u, v = u.abs(), v.abs()
    if fold % 2 == 0:
        u, v = torch.maximum(u, v), torch.minimum(u, v)
    if fold < 3:
        return u, v
    c, s = cos(pi / fold), sin(pi / fold)
    along, off = torch.add(c * u, v, alpha=s), torch.sub(c * v, u, alpha=s)
    return torch.maximum(u, along), torch.minimum(v, off.abs())


@lru_cache(maxsize=256)
def _cosets(laue: str, laue_b: str) -> Tensor | None:
    """Rotations of `laue_b`, one of each coset of `laue`, as matrices (k, 4, 4) that multiply from
    the left; None if they all lie in `laue`.

    The scalar part of ``s_b m s_a`` is that of ``m s_a s_b``; the closed form of `laue` tries
    every s_a, so that of the s_b that differ by an s_a only one is needed.
    """
    if laue == laue_b:
        return None
    operators, others = (torch.from_numpy(laue_operators(g)) for g in (laue, laue_b))
    left: list[Tensor] = []
    for rotation in others:
        if all(_outside(multiply(rotation, conjugate(known)), operators) for known in left):
            left.append(rotation)
    if len(left) == 1:
        return None
    basis = torch.eye(4, dtype=torch.float64)
    return multiply(torch.stack(left)[:, None], basis).transpose(1, 2).contiguous()


def _outside(rotation: Tensor, operators: Tensor) -> bool:
    return bool(((operators @ rotation).abs() < 1.0 - 1e-9).all())


def _in_rows(function: Callable[[Tensor], Any], q: Tensor) -> Any:
    """Apply a function of (n, 4) to (..., 4), a bounded number of rows at a time."""
    rows = q.reshape(-1, q.shape[-1])
    parts = [function(part) for part in rows.split(ROWS_AT_ONCE)]
    shape = q.shape[:-1]
    if not isinstance(parts[0], tuple):
        return torch.cat(parts).reshape(*shape, *parts[0].shape[1:])
    joined = (torch.cat(piece) for piece in zip(*parts, strict=True))
    return tuple(piece.reshape(*shape, *piece.shape[1:]) for piece in joined)


@either
def disorientation(
    a: Tensor, b: Tensor, laue: str, laue_b: str | None = None
) -> tuple[Tensor, Tensor]:
    """Disorientation angle (...), radian, and axis (..., 3) in the fundamental zone.

    For one Laue group the axis lies in its standard triangle (`reduce_direction`): both
    symmetries and the switch of a and b leave it as it is. Where rotations of one angle but
    different axes describe the boundary (45 degrees about <100> of cubic crystals and the rest
    of the surface of the zone) the axis with the largest z, then y, then x is taken; without
    a rotation it is z. For two groups the equivalent with the largest z, y, x is taken, and
    a and b are not switched.
    """
    m = multiply(b, conjugate(a))
    other = laue if laue_b is None else laue_b
    same = other == laue
    after = laue_operators(other, m)
    before = torch.eye(4, dtype=m.dtype, device=m.device)[:1] if same else laue_operators(laue, m)
    triangle = laue if same else None
    return _in_rows(lambda rows: _smallest(rows, after, before, triangle), m)


def _smallest(
    m: Tensor, after: Tensor, before: Tensor, triangle: str | None
) -> tuple[Tensor, Tensor]:
    every = multiply(multiply(after[:, None], m[:, None, None]), before).flatten(1, 2)
    every = torch.where(every[..., :1] < 0.0, -every, every)  # [n, equivalents, 4]
    scalar = every[..., 0]
    best = scalar.max(dim=-1, keepdim=True)
    tied = scalar > best.values - _tie(every)
    chosen = every.gather(1, best.indices[..., None].expand(-1, -1, 4))[:, 0]
    vector = chosen[:, 1:]
    length = torch.linalg.vector_norm(vector, dim=-1)
    axis = _in_triangle(vector, triangle)
    many = (tied.sum(dim=-1) > 1).nonzero()[:, 0]
    if len(many):
        others = _in_triangle(every[many][..., 1:], triangle)
        axis[many] = _first(others, tied[many])
    return 2.0 * torch.atan2(length, chosen[:, 0]), axis


def _tie(like: Tensor) -> float:
    """How near the scalar parts of rotations of one angle come in this precision."""
    return max(TIE, 16.0 * torch.finfo(like.dtype).eps)


def _in_triangle(vector: Tensor, laue: str | None) -> Tensor:
    """Unit axes of vector parts; z where there is no rotation."""
    length = torch.linalg.vector_norm(vector, dim=-1, keepdim=True)
    pole = vector.new_tensor([0.0, 0.0, 1.0])
    axis = torch.where(length > NO_ROTATION, vector / length.clamp_min(NO_ROTATION), pole)
    return axis if laue is None else reduce_direction(axis, laue)


def _first(vectors: Tensor, allowed: Tensor) -> Tensor:
    """Of the allowed vectors (n, k, c) of each row that with the largest last, ... component."""
    for component in reversed(range(vectors.shape[-1])):
        value = vectors[..., component].masked_fill(~allowed, -torch.inf)
        allowed = allowed & (value > value.max(dim=-1, keepdim=True).values - 1e-6)
    index = allowed.double().argmax(dim=-1)[:, None, None].expand(-1, 1, vectors.shape[-1])
    return vectors.gather(1, index)[:, 0]


@either
def reduce(q: Tensor, laue: str) -> Tensor:
    """The equivalent (..., 4) of each orientation in the fundamental zone: smallest angle, w >= 0.

    On the surface of the zone the equivalent with the largest z, then y, then x is taken, so
    that every equivalent of an orientation gives the same.
    """
    operators = laue_operators(laue, q)
    return _in_rows(lambda rows: _reduced(rows, operators), q)


def _reduced(q: Tensor, operators: Tensor) -> Tensor:
    every = multiply(operators, q[:, None])  # [n, m, 4]
    every = torch.where(every[..., :1] < 0.0, -every, every)
    best = every[..., 0].max(dim=-1, keepdim=True)
    chosen = every.gather(1, best.indices[..., None].expand(-1, -1, 4))[:, 0]
    tied = every[..., 0] > best.values - _tie(every)
    many = (tied.sum(dim=-1) > 1).nonzero()[:, 0]
    if len(many):
        chosen[many] = _first(every[many], tied[many])
    return chosen


@either
def mean_orientation(
    q: Tensor, laue: str, weights: Tensor | None = None, group: Tensor | None = None
) -> Tensor:
    """Mean orientation (4,) of a crystal, or (k, 4) of every one of k groups of points.

    Parameters
    ----------
    q : (n, 4) orientations
    laue : Laue group
    weights : (n,) how much each counts; all the same if left out
    group : (n,) int, the group of each point, 0 to k - 1

    Raises
    ------
    ValueError
        If a group from 0 to k - 1 has no point, or none of positive weight.

    Notes
    -----
    Every orientation is replaced by its equivalent nearest to the present mean, and the mean by
    the largest eigenvector of ``sum w q q^T``, until no equivalent changes. The start is the
    heaviest point of each group.

    References
    ----------
    Markley, F. L. et al. (2007). J. Guidance, Control and Dynamics 30, 1193.
    """
    index = (
        torch.zeros(len(q), dtype=torch.long, device=q.device) if group is None else group.long()
    )
    weights = torch.ones_like(q[:, 0]) if weights is None else weights.to(q)
    mean = q[_heaviest(index, weights)]
    operators = laue_operators(laue, q)
    opposite = conjugate(operators).T
    last = None
    for _ in range(MEAN_STEPS):
        relative = multiply(q, conjugate(mean[index]))
        nearest = _in_rows(lambda rows: (rows @ opposite).abs().argmax(dim=-1), relative)
        if last is not None and torch.equal(nearest, last):
            break
        last = nearest
        aligned = multiply(operators[nearest], q)
        outer = weights[:, None, None] * aligned[:, :, None] * aligned[:, None, :]
        total = outer.new_zeros(len(mean), 4, 4).index_add_(0, index, outer)
        mean = torch.linalg.eigh(total).eigenvectors[..., -1]
    mean = reduce(mean, laue)
    return mean[0] if group is None else mean


def _heaviest(index: Tensor, weights: Tensor) -> Tensor:
    """The heaviest point of each group (the first of equals)."""
    count = torch.bincount(index)
    order = torch.sort(weights, descending=True, stable=True).indices
    order = order[torch.sort(index[order], stable=True).indices]
    if not len(count) or not count.all():
        raise ValueError("a mean needs at least one orientation in every group from 0 up")
    heaviest = order[torch.cumsum(count, 0) - count]
    if not (weights[heaviest] > 0.0).all():
        raise ValueError("a mean needs an orientation of positive weight in every group")
    return heaviest
