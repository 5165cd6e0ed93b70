"""How a polarised grain strains itself and another grain, in an isotropic medium.

A grain that differs from the medium by dC and is strained by e acts on the others like a
medium with the polarisation stress tau = dC e in it. The mean strain that grain j so causes in
grain i is ``-Gamma_ij tau_j``. All of Gamma_ij follows from one totally symmetric tensor of
rank four, the mean over i of the fourth derivatives of the biharmonic potential of j,

    B_ij = mean over i of  d_a d_b d_c d_d  nabla^-4 chi_j,

and from its trace H_ij, the same of the harmonic potential: one geometry serves every medium.
B has 15 components, and only three parts that rotate among themselves: a tensor without any
trace (l = 4), its trace without trace (l = 2), and a scalar, which is zero between two grains
that do not overlap. For two spheres both parts are known in closed form.

References
----------
Mura, T. (1987). Micromechanics of Defects in Solids, 2nd ed., sections 11 and 32.
Berveiller, M., Fassi-Fehri, O. & Hihi, A. (1987). Int. J. Eng. Sci. 25, 691: grains that
interact pairwise.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import combinations_with_replacement, permutations, product

import torch
from torch import Tensor

from xtalfuse.physics.mechanics.elasticity import (
    hill,
    isotropic_moduli,
    isotropic_stiffness,
    mandel_vector,
)

INDICES = tuple(combinations_with_replacement(range(3), 4))  # of the 15 components


@lru_cache(maxsize=1)
def _place() -> dict[tuple[int, ...], int]:
    """Component of every (a, b, c, d)."""
    return {p: n for n, index in enumerate(INDICES) for p in permutations(index)}


@lru_cache(maxsize=1)
def multiplicity() -> Tensor:
    """(15,) how often each component stands in the full tensor."""
    return torch.tensor([len(set(permutations(i))) for i in INDICES], dtype=torch.float64)


@lru_cache(maxsize=1)
def _product_map() -> Tensor:
    """(9, 9, 15) symmetric part of the product of two tensors of rank two."""
    table = torch.zeros(3, 3, 3, 3, 15, dtype=torch.float64)
    for number, index in enumerate(INDICES):
        for order in permutations(index):
            table[order][number] += 1.0 / 24.0
    return table.reshape(9, 9, 15)


@lru_cache(maxsize=1)
def _trace_map() -> Tensor:
    """(15, 9) contraction of two indices."""
    table = torch.zeros(15, 3, 3, dtype=torch.float64)
    for a, b, c in product(range(3), repeat=3):
        table[_place()[a, b, c, c], a, b] += 1.0
    return table.reshape(15, 9)


@lru_cache(maxsize=1)
def _second_rank_map() -> Tensor:
    """(9, 15) the l = 2 tensor of rank four whose trace is the given deviator."""
    identity = torch.eye(3, dtype=torch.float64).reshape(9)
    return 6.0 / 7.0 * torch.einsum("a,abk->bk", identity, _product_map())


@lru_cache(maxsize=1)
def _fourth_rank_map() -> Tensor:
    """(15, 15) removes all traces."""
    identity = torch.eye(3, dtype=torch.float64).reshape(9)
    scalar = torch.einsum("a,b,abk->k", identity, identity, _product_map())
    twice = _trace_map() @ identity
    return (
        torch.eye(15, dtype=torch.float64)
        - _trace_map() @ _second_rank_map()
        + 3.0 / 35.0 * twice[:, None] * scalar
    )


@lru_cache(maxsize=1)
def _operator_maps() -> tuple[Tensor, Tensor]:
    """(15, 36) maps of B to G Gamma: that of the harmonic and of the biharmonic potential."""
    identity = torch.eye(3, dtype=torch.float64)
    trace = _trace_map().reshape(15, 3, 3)
    strain = torch.zeros(15, 3, 3, 3, 3, dtype=torch.float64)
    for pattern in ("ik,njl", "jk,nil", "il,njk", "jl,nik"):
        strain += 0.25 * torch.einsum(f"{pattern}->nijkl", identity, trace)
    full = torch.zeros(15, 3, 3, 3, 3, dtype=torch.float64)
    for index, number in _place().items():
        full[(number, *index)] = 1.0
    return _as_mandel(strain), _as_mandel(full)


def _as_mandel(tensor: Tensor) -> Tensor:
    """(15, 36) of (15, 3, 3, 3, 3)."""
    half = mandel_vector(tensor)  # [15, 3, 3, 6]
    return mandel_vector(half.permute(0, 3, 1, 2)).mT.reshape(15, 36)


def symmetric_product(a: Tensor, b: Tensor) -> Tensor:
    """(..., 15) symmetric part of a (x) b for symmetric tensors (..., 3, 3)."""
    return torch.einsum("...a,...b,abk->...k", a.flatten(-2), b.flatten(-2), _product_map().to(a))


def traceless(fourth: Tensor) -> Tensor:
    """(..., 15) the l = 4 part of a totally symmetric tensor."""
    return fourth @ _fourth_rank_map().to(fourth)


def with_trace(second: Tensor) -> Tensor:
    """(..., 15) the tensor without l = 4 part whose trace is the deviator of (..., 3, 3)."""
    return deviator(second).flatten(-2) @ _second_rank_map().to(second)


def deviator(second: Tensor) -> Tensor:
    """(..., 3, 3) without its trace."""
    mean = second.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
    return second - mean[..., None, None] * torch.eye(3).to(second)


def sphere() -> Tensor:
    """(15,) B of a sphere on itself: the mean of n n n n over all directions."""
    identity = torch.eye(3, dtype=torch.float64)
    return 0.2 * symmetric_product(identity, identity)


def two_spheres(vector: Tensor, radius_i: Tensor, radius_j: Tensor) -> Tensor:
    """(..., 15) B_ij times |vector|^3 / V_j of two spheres that do not overlap.

    Parameters
    ----------
    vector : (..., 3) between their centres
    radius_i, radius_j : (...,)

    Notes
    -----
    The potential ``-r / 8 pi`` of a point, averaged over both spheres, is
    ``-(r + (a_i^2 + a_j^2) / 5 r) / 8 pi`` because its second Laplacian is zero outside.
    """
    distance = torch.linalg.vector_norm(vector, dim=-1)
    n = vector / distance[..., None]
    nn = n[..., :, None] * n[..., None, :]
    size = (radius_i**2 + radius_j**2) / (5.0 * distance**2)
    four = (15.0 - 105.0 * size)[..., None] * traceless(symmetric_product(nn, nn))
    return (four - 6.0 * with_trace(nn)) / (8.0 * math.pi)


def strain_operator(fourth: Tensor, bulk: Tensor, shear: Tensor) -> Tensor:
    """Gamma (..., 6, 6), Mandel, 1/GPa, of B (..., 15) in an isotropic medium.

    Parameters
    ----------
    fourth : (..., 15)
    bulk, shear : (...,) moduli of the medium, GPa

    Notes
    -----
    From Kelvin's solution, Gamma = sym(delta_ik H_jl) / G - B / (2 G (1 - nu)).
    """
    harmonic, biharmonic = (table.to(fourth) for table in _operator_maps())
    # 1 / (2 (1 - nu)) = (3 K + G) / (3 K + 4 G)
    share = (3.0 * bulk + shear) / (3.0 * bulk + 4.0 * shear)
    gamma = fourth @ harmonic - share[..., None] * (fourth @ biharmonic)
    return (gamma / shear[..., None]).unflatten(-1, (6, 6))


def isolated_spheres(stiffness: Tensor, shares: Tensor) -> Tensor:
    """Strain of grains that see of each other no more than their mean: the zero model.

    Each grain is a sphere in the isotropic medium of Hill's moduli; the strains are scaled so
    that their mean is the mean strain.

    Parameters
    ----------
    stiffness : (n, 6, 6) of the grains, specimen frame, Mandel, GPa, positive definite
    shares : (n,) volumes, any unit

    Returns
    -------
    (n, 6, 6) strain of each grain [component, mean strain of 1 in ...]

    References
    ----------
    Eshelby, J. D. (1957). Proc. R. Soc. A 241, 376. doi:10.1098/rspa.1957.0133
    """
    medium = isotropic_moduli(hill(stiffness, shares))
    own = strain_operator(sphere().to(stiffness), medium.bulk, medium.shear)
    contrast = stiffness - isotropic_stiffness(medium.bulk, medium.shear)
    strain = torch.linalg.inv(torch.eye(6).to(stiffness) + own @ contrast)
    mean = torch.einsum("n,nab->ab", shares / shares.sum(), strain)
    return strain @ torch.linalg.inv(mean)
