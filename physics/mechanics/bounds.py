"""Stiffness tensors between Reuss's and Voigt's averages, by construction.

With V and R the averages and D = V - R, every symmetric stiffness between them, in the sense
that V - C and C - R have no negative eigenvalue, is ``C = R + D^1/2 S D^1/2`` with a symmetric S
whose eigenvalues lie in [0, 1]: its place between the bounds. Hill's average is S = 1/2. S is
near the same for strong and weak anisotropy, which makes it the coordinate in which to
correct, to be uncertain and to draw samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

RELATIVE = 1e-9  # gaps below this share of the stiffness are rounding


def gap_root(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """D^1/2 and its pseudoinverse, (..., 6, 6), for bounds (..., 6, 6) with D = high - low."""
    gap = 0.5 * ((high - low) + (high - low).mT)
    values, vectors = torch.linalg.eigh(gap)
    scale = high.diagonal(dim1=-2, dim2=-1).mean(dim=-1, keepdim=True)
    open_ = values > RELATIVE * scale
    root = torch.where(open_, values, 0.0).sqrt()
    inverse = torch.where(open_, 1.0 / torch.where(open_, root, 1.0), 0.0)
    backward = vectors.mT
    return (vectors * root[..., None, :]) @ backward, (vectors * inverse[..., None, :]) @ backward


def place_between(stiffness: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """S (..., 6, 6) of a stiffness; zero along directions in which the bounds meet."""
    _, inverse = gap_root(low, high)
    place = inverse @ (0.5 * (stiffness + stiffness.mT) - low) @ inverse
    return 0.5 * (place + place.mT)


def at_place(place: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Stiffness (..., 6, 6) at S (..., 6, 6), whose eigenvalues are first cut to [0, 1]."""
    values, vectors = torch.linalg.eigh(0.5 * (place + place.mT))
    inside = (vectors * values.clamp(0.0, 1.0)[..., None, :]) @ vectors.mT
    root, _ = gap_root(low, high)
    stiffness = low + root @ inside @ root
    return 0.5 * (stiffness + stiffness.mT)


def entry_scale(low: Tensor, high: Tensor) -> Tensor:
    """(..., 6, 6) standard deviation of each entry of C per one of S.

    For an S whose error is isotropic: independent entries, those off the diagonal with the
    standard deviation 1 / sqrt 2 of those on it.
    """
    gap = high - low
    diagonal = gap.diagonal(dim1=-2, dim2=-1).clamp(min=0.0)
    return ((diagonal[..., :, None] * diagonal[..., None, :] + gap**2) / 2.0).sqrt()


def draw_places(place: Tensor, shift: float, entries: float, count: int, seed: int) -> Tensor:
    """(count, 6, 6) places around S.

    Parameters
    ----------
    place : (6, 6)
    shift : standard deviation of what is added to S along all directions alike
    entries : standard deviation of independent entries on the diagonal
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 6, 6, generator=generator, dtype=torch.float64)
    common = torch.randn(count, 1, 1, generator=generator, dtype=torch.float64)
    one = torch.eye(6, dtype=torch.float64)
    return place + shift * common * one + 0.5 * entries * (noise + noise.mT)
