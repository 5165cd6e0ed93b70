"""Unit quaternions (w, x, y, z): the algebra, Euler angles, matrices, random rotations.

A quaternion turns vectors by ``v' = q v conj(q)``. An orientation turns the specimen frame into
the crystal frame (Bunge's convention, as EBSD instruments and orix write it). Every function
takes numpy arrays or torch tensors of shape (..., 4) and returns the kind it was given; numbers
without a precision become float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from math import pi
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xtalfuse.physics.orientation import arrays

POLE = 1e-12  # below this sin or cos of Phi/2 only the sum or difference of phi1, phi2 is known


def either(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of tensors also take numpy arrays, and return numpy for them.

    Numbers, lists and tuples of numbers follow the tensors they are given with. Integers become
    float64; with a tensor among the arguments the rest take its precision and device.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        like = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), None)
        result = function(
            *(_as_tensor(a, like) for a in args),
            **{name: _as_tensor(a, like) for name, a in kwargs.items()},
        )
        if like is not None:
            return result
        if isinstance(result, tuple):
            return tuple(part.numpy() for part in result)
        return result.numpy()

    return wrapper


def _as_tensor(argument: Any, like: Tensor | None) -> Any:
    if isinstance(argument, Tensor):
        return argument if argument.is_floating_point() else argument.double()
    if not isinstance(argument, np.ndarray | list | tuple):
        return argument
    array = np.asarray(argument)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(float)
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = array.copy()
    tensor = torch.from_numpy(np.asarray(array, array.dtype.newbyteorder("=")))
    return tensor if like is None else tensor.to(like if like.is_floating_point() else tensor)


@either
def multiply(a: Tensor, b: Tensor) -> Tensor:
    """Product a b of quaternions: first b turns, then a."""
    return arrays.multiply(a, b, torch)


@either
def conjugate(q: Tensor) -> Tensor:
    """The opposite rotation: (w, -x, -y, -z)."""
    return q * q.new_tensor([1.0, -1.0, -1.0, -1.0])


@either
def normalize(q: Tensor) -> Tensor:
    """The same rotation with unit length."""
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)


@either
def rotate(q: Tensor, v: Tensor) -> Tensor:
    """Vectors (..., 3) turned by unit quaternions (..., 4): ``q v conj(q)``."""
    w, u = q[..., :1], q[..., 1:]
    u, v = torch.broadcast_tensors(u, v)
    twice = 2.0 * torch.linalg.cross(u, v)
    return v + w * twice + torch.linalg.cross(u, twice)


@either
def from_axis_angle(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation by `angle` (...), radian, about `axis` (..., 3), of any length but zero."""
    half = 0.5 * torch.as_tensor(angle, dtype=axis.dtype, device=axis.device)[..., None]
    unit = axis / torch.linalg.vector_norm(axis, dim=-1, keepdim=True)
    vector = torch.sin(half) * unit
    return torch.cat([torch.cos(half).expand(*vector.shape[:-1], 1), vector], dim=-1)


@either
def from_euler(euler: Tensor) -> Tensor:
    """Orientations (..., 4) of Bunge Euler angles phi1, Phi, phi2 (..., 3), radian; w >= 0.

    References
    ----------
    Bunge, H.-J. (1982). Texture Analysis in Materials Science, chapter 2; Rowenhorst, D. et al.
    (2015). Modelling Simul. Mater. Sci. Eng. 23, 083501, appendix A.
    """
    return arrays.from_euler(euler, torch)


@either
def to_euler(q: Tensor) -> Tensor:
    """Bunge Euler angles (..., 3) of orientations: phi1 and phi2 in [0, 2 pi), Phi in [0, pi].

    Where Phi is 0 or pi, phi2 is 0.
    """
    w, x, y, z = q.unbind(-1)
    cos, sin = torch.hypot(w, z), torch.hypot(x, y)
    total, difference = torch.atan2(-z, w), torch.atan2(-y, -x)
    total, difference = (
        torch.where(cos < POLE, difference, total),
        torch.where(sin < POLE, total, difference),
    )
    turns = torch.stack([total + difference, total - difference], dim=-1) % (2.0 * pi)
    turns = torch.where(turns >= 2.0 * pi, torch.zeros_like(turns), turns)
    return torch.stack([turns[..., 0], 2.0 * torch.atan2(sin, cos), turns[..., 1]], dim=-1)


@either
def to_matrix(q: Tensor) -> Tensor:
    """Matrices (..., 3, 3) with ``v' = matrix @ v`` equal to ``q v conj(q)``."""
    w, x, y, z = q.unbind(-1)
    rows = [
        [w * w + x * x - y * y - z * z, 2.0 * (x * y - w * z), 2.0 * (x * z + w * y)],
        [2.0 * (x * y + w * z), w * w - x * x + y * y - z * z, 2.0 * (y * z - w * x)],
        [2.0 * (x * z - w * y), 2.0 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


@either
def from_matrix(matrix: Tensor) -> Tensor:
    """Unit quaternions (..., 4), w >= 0, of proper rotation matrices (..., 3, 3).

    The largest of the four components is found first, so that no division loses digits.

    References
    ----------
    Shepperd, S. W. (1978). J. Guidance and Control 1, 223.
    """
    m = [[matrix[..., i, j] for j in range(3)] for i in range(3)]
    xy, xz, yz = m[0][1] + m[1][0], m[0][2] + m[2][0], m[1][2] + m[2][1]
    wx, wy, wz = m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]
    squares = [
        1.0 + m[0][0] + m[1][1] + m[2][2],
        1.0 + m[0][0] - m[1][1] - m[2][2],
        1.0 - m[0][0] + m[1][1] - m[2][2],
        1.0 - m[0][0] - m[1][1] + m[2][2],
    ]
    rows = [
        [squares[0], wx, wy, wz],
        [wx, squares[1], xy, xz],
        [wy, xy, squares[2], yz],
        [wz, xz, yz, squares[3]],
    ]
    outer = torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # 4 q q^T
    largest = torch.stack(squares, dim=-1).argmax(dim=-1)
    index = largest[..., None, None].expand(*largest.shape, 1, 4)
    q = normalize(torch.gather(outer, -2, index).squeeze(-2))
    return torch.where(q[..., :1] < 0.0, -q, q)


def random(n: int, generator: np.random.Generator | torch.Generator) -> Any:
    """Rotations (n, 4) drawn uniformly; numpy or torch, as the generator is.

    A vector of four normal numbers has no preferred direction (Muller, 1959, Comm. ACM 2, 19).
    """
    if isinstance(generator, torch.Generator):
        return normalize(torch.randn(n, 4, generator=generator, dtype=torch.float64))
    return normalize(generator.standard_normal((n, 4)))
