"""Effective stiffness of small volumes of one crystal whose stiffness is scaled voxel by voxel.

Many volumes at once, as a network needs them. With the stiffness s(x) C the strains that
Fourier space allows are made orthonormal in the energy of the crystal C, which leaves one
multiplication by s on the grid. Where s is the same everywhere no step is needed.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from xtalfuse.physics.mechanics.elasticity import mandel_vector
from xtalfuse.physics.mechanics.homogenization import Scheme, frequency_directions

NOISE = 1e-10


class ScaledMedium(nn.Module):
    """Effective stiffness of periodic volumes of stiffness s(x) C.

    Parameters
    ----------
    shape : voxels along x, y, z, of all volumes
    stiffness : (6, 6) of the crystal C in the specimen frame, Mandel
    loads : (m, 6) mean strains, Mandel; by default one along each axis
    scheme : of differentiation, as in :func:`~xtalfuse.physics.mechanics.homogenization.homogenize`
    steps : of conjugate gradients; the energy of the last strain is an upper bound
    """

    mean: Tensor
    synthesis: Tensor
    analysis: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        stiffness: Any,
        loads: Any = None,
        *,
        scheme: Scheme = "fourier",
        steps: int = 12,
    ) -> None:
        super().__init__()
        self.shape, self.steps = shape, steps
        stiffness = torch.as_tensor(stiffness).double()
        values, vectors = torch.linalg.eigh(stiffness)
        root = vectors @ torch.diag(values.sqrt()) @ vectors.T
        mean = torch.eye(6)[:3] if loads is None else torch.as_tensor(loads)
        basis = _basis(shape, root, scheme)  # [6, 3, X, Y, Z/2 + 1]
        weight = _weight(shape[2])
        buffers = {
            "mean": (root @ mean.double().T).T[..., None, None, None],  # [m, 6, 1, 1, 1]
            "synthesis": basis / weight,
            "analysis": basis * weight,
        }
        for name, buffer in buffers.items():
            self.register_buffer(name, buffer.float(), persistent=False)

    def forward(self, scale: Tensor) -> Tensor:
        """(B, m, steps + 1) energy of each load after each step: falls towards loads C_eff loads.

        Parameters
        ----------
        scale : (B, X, Y, Z) above zero
        """
        field = scale[:, None, None]
        uniform = self.mean.square().sum(dim=(1, 2, 3, 4))  # [m]
        energy = [scale.mean(dim=(1, 2, 3))[:, None] * uniform]
        residual = -self._imbalance(field * self.mean)
        search = residual
        square = first = _inner(residual, residual)
        for _ in range(self.steps):
            image = self._imbalance(field * self._fluctuation(search))
            live = square > NOISE * first  # what is left after convergence is rounding
            length = torch.where(live, square / torch.where(live, _inner(search, image), 1.0), 0.0)
            energy.append(energy[-1] - (length * square).flatten(1) / scale[0].numel())
            residual = residual - length * image
            before, square = square, _inner(residual, residual)
            ratio = torch.where(live, square / torch.where(live, before, 1.0), 0.0)
            search = residual + ratio * search
        return torch.stack(energy, dim=2)

    def _fluctuation(self, numbers: Tensor) -> Tensor:
        """(B, m, 6, X, Y, Z) of (B, m, 3, frequencies) numbers."""
        parts = (numbers[:, :, None] * self.synthesis).sum(dim=3)
        return torch.fft.irfftn(parts, s=self.shape, dim=(-3, -2, -1), norm="ortho")

    def _imbalance(self, stress: Tensor) -> Tensor:
        """(B, m, 3, frequencies) of (B, m, 6, X, Y, Z) stress over the root of stiffness."""
        parts = torch.fft.rfftn(stress, dim=(-3, -2, -1), norm="ortho")
        return (parts[:, :, :, None] * self.analysis).sum(dim=2)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """(B, m, 1, 1, 1, 1) inner products of (B, m, 3, frequencies), real part."""
    product = torch.view_as_real(a) * torch.view_as_real(b)
    return product.flatten(2).sum(dim=2)[..., None, None, None, None]


def _basis(shape: tuple[int, int, int], root: Tensor, scheme: Scheme) -> Tensor:
    """(6, 3, frequencies) orthonormal: strains sym(n v), times the root of the stiffness."""
    normal = frequency_directions(shape, (1.0, 1.0, 1.0), scheme, 2).movedim(0, -1)
    pairs = normal[..., None, :, None] * torch.eye(3, dtype=normal.dtype)[:, None, :]
    strains = mandel_vector(0.5 * (pairs + pairs.mT))  # [X, Y, Z/2 + 1, 3, 6]
    basis = torch.linalg.qr((strains @ root).mT).Q
    there = normal.square().sum(dim=-1) > 0
    return torch.where(there[..., None, None], basis, 0.0).movedim((-2, -1), (0, 1)).contiguous()


def _weight(count: int) -> Tensor:
    """(count/2 + 1,) root of 2 where a frequency stands for its conjugate as well."""
    half = torch.arange(count // 2 + 1)
    twice = (half > 0) & (2 * half != count)
    return torch.where(twice, math.sqrt(2.0), 1.0).double()
