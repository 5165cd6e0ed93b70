"""Elastic stiffness: notation, rotation, averages over grains, bounds.

Stiffness is a (..., 6, 6) matrix in Mandel notation, order 11, 22, 33, 23, 13, 12 with the
shear components times sqrt(2): a rotation is then an orthogonal matrix and a double contraction
a matrix product. Voigt's notation is for tables and reports. Arrays are accepted wherever
tensors are; tensors are returned.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xtalfuse.physics.orientation.quaternion import to_matrix

ROOT2 = math.sqrt(2.0)


class Moduli(NamedTuple):
    """Isotropic moduli: bulk, shear, Young's in the unit of the stiffness, Poisson's ratio."""

    bulk: Tensor
    shear: Tensor
    young: Tensor
    poisson: Tensor


class PolycrystalBounds(NamedTuple):
    """What a polycrystal of random orientations can have; bounds of K and of G apart."""

    reuss: Moduli
    lower: Moduli  # Hashin and Shtrikman
    hill: Moduli
    upper: Moduli
    voigt: Moduli


def moduli_of(bulk: Any, shear: Any) -> Moduli:
    """All moduli of an isotropic medium; Young's modulus of a void is zero."""
    bulk, shear = torch.as_tensor(bulk), torch.as_tensor(shear)
    total = 3.0 * bulk + shear
    safe = torch.where(total > 0, total, 1.0)
    return Moduli(bulk, shear, 9.0 * bulk * shear / safe, (1.5 * bulk - shear) / safe)


def mandel_from_voigt(matrix: Any, *, compliance: bool = False) -> Tensor:
    """(..., 6, 6) stiffness (or compliance) from Voigt's to Mandel's notation."""
    matrix = torch.as_tensor(matrix)
    return matrix * _voigt_factors(matrix, compliance)


def voigt_from_mandel(matrix: Any, *, compliance: bool = False) -> Tensor:
    """(..., 6, 6) stiffness (or compliance) from Mandel's to Voigt's notation."""
    matrix = torch.as_tensor(matrix)
    return matrix / _voigt_factors(matrix, compliance)


def _voigt_factors(like: Tensor, compliance: bool) -> Tensor:
    shear = 1.0 / ROOT2 if compliance else ROOT2
    factor = like.new_tensor([1.0, 1.0, 1.0, shear, shear, shear])
    return factor[:, None] * factor


def mandel_vector(tensor: Any) -> Tensor:
    """(..., 6) Mandel vector of a symmetric tensor (..., 3, 3), stress or strain."""
    return torch.einsum("aij,...ij->...a", _basis(torch.as_tensor(tensor)), torch.as_tensor(tensor))


def _basis(like: Tensor) -> Tensor:
    """(6, 3, 3) orthonormal symmetric tensors that Mandel's components count."""
    basis = like.new_zeros(6, 3, 3)
    for component, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        basis[component, i, j] = basis[component, j, i] = 1.0 if i == j else 1.0 / ROOT2
    return basis


def mandel_rotation(matrix: Any) -> Tensor:
    """(..., 6, 6) orthogonal matrix that turns Mandel vectors as R (..., 3, 3) turns vectors."""
    matrix = torch.as_tensor(matrix)
    basis = _basis(matrix)
    turned = torch.einsum("...ik,bkl,...jl->...bij", matrix, basis, matrix)
    return torch.einsum("aij,...bij->...ab", basis, turned)


def rotate_stiffness(stiffness: Any, orientation: Any) -> Tensor:
    """Stiffness (or compliance) of a crystal in the specimen frame.

    Parameters
    ----------
    stiffness : (..., 6, 6) in the crystal frame, Mandel
    orientation : (..., 4) unit quaternion, specimen -> crystal (Bunge)

    Returns
    -------
    (..., 6, 6) in the specimen frame, Mandel; q and -q give the same bits
    """
    orientation = torch.as_tensor(orientation)
    stiffness = torch.as_tensor(stiffness, device=orientation.device)
    dtype = torch.promote_types(stiffness.dtype, orientation.dtype)
    turn = mandel_rotation(to_matrix(orientation.to(dtype)))
    return turn.mT @ stiffness.to(dtype) @ turn


def _shares(weights: Any | None, stiffness: Tensor) -> Tensor:
    """(..., n) weights that sum to one."""
    if weights is None:
        return stiffness.new_full(stiffness.shape[:-2], 1.0 / stiffness.shape[-3])
    weights = torch.as_tensor(weights).to(stiffness)
    if (weights < 0).any() or (weights.sum(dim=-1) <= 0).any():
        raise ValueError("weights must not be negative and must not all be zero")
    return weights / weights.sum(dim=-1, keepdim=True)


def _inverse(matrix: Tensor) -> Tensor:
    inverse, failed = torch.linalg.inv_ex(matrix)
    if failed.any():
        raise ValueError(
            "a stiffness cannot be inverted: a void has none; leave voids out, or ask for the "
            "Voigt average or an FFT homogenization"
        )
    return 0.5 * (inverse + inverse.mT)


def voigt(stiffness: Any, weights: Any | None = None) -> Tensor:
    """Mean stiffness, the stiffest that grains can be together (Voigt 1889).

    Parameters
    ----------
    stiffness : (..., n, 6, 6) of the grains, in the specimen frame
    weights : (..., n) grain volumes, any unit; equal if not given

    Returns
    -------
    (..., 6, 6)

    Raises
    ------
    ValueError
        If a weight is negative or all are zero.
    """
    stiffness = torch.as_tensor(stiffness)
    return torch.einsum("...n,...nij->...ij", _shares(weights, stiffness), stiffness)


def reuss(stiffness: Any, weights: Any | None = None) -> Tensor:
    """Inverse of the mean compliance, the least stiff that grains can be (Reuss 1929).

    Parameters and errors are those of :func:`voigt`; a stiffness without inverse, that of a
    void, is a ValueError.
    """
    return _inverse(voigt(_inverse(torch.as_tensor(stiffness)), weights))


def hill(stiffness: Any, weights: Any | None = None) -> Tensor:
    """Mean of Voigt's and Reuss's averages; parameters as :func:`reuss`.

    References
    ----------
    Hill, R. (1952). Proc. Phys. Soc. A 65, 349. doi:10.1088/0370-1298/65/5/307
    """
    return 0.5 * (voigt(stiffness, weights) + reuss(stiffness, weights))


def isotropic_moduli(stiffness: Any) -> Moduli:
    """Moduli (...,) of the isotropic part of a stiffness (..., 6, 6): Voigt's of its rotations."""
    stiffness = torch.as_tensor(stiffness)
    volumetric = stiffness[..., :3, :3].sum(dim=(-1, -2)) / 3.0
    trace = stiffness.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return moduli_of(volumetric / 3.0, (trace - volumetric) / 10.0)


def isotropic_stiffness(bulk: Any, shear: Any) -> Tensor:
    """(..., 6, 6) Mandel stiffness of isotropic media."""
    bulk, shear = torch.as_tensor(bulk), torch.as_tensor(shear)
    volumetric = torch.zeros(6, 6, dtype=torch.promote_types(bulk.dtype, shear.dtype))
    volumetric[:3, :3] = 1.0 / 3.0
    volumetric = volumetric.to(bulk.device)
    deviatoric = torch.eye(6, dtype=volumetric.dtype, device=bulk.device) - volumetric
    return 3.0 * bulk[..., None, None] * volumetric + 2.0 * shear[..., None, None] * deviatoric


def youngs_modulus(stiffness: Any, direction: Any) -> Tensor:
    """Young's modulus (...,) along directions.

    Parameters
    ----------
    stiffness : (..., 6, 6) Mandel
    direction : (..., 3) any length but zero; leading axes broadcast with those of `stiffness`
    """
    compliance = _inverse(torch.as_tensor(stiffness))
    direction = torch.nn.functional.normalize(torch.as_tensor(direction).to(compliance), dim=-1)
    strain = mandel_vector(direction[..., :, None] * direction[..., None, :])
    return 1.0 / torch.einsum("...i,...ij,...j->...", strain, compliance, strain)


def universal_anisotropy(stiffness: Any) -> Tensor:
    """A_U = 5 G_V / G_R + K_V / K_R - 6 of (..., 6, 6); zero of an isotropic medium.

    References
    ----------
    Ranganathan, S. I. & Ostoja-Starzewski, M. (2008). Phys. Rev. Lett. 101, 055504.
    doi:10.1103/PhysRevLett.101.055504
    """
    stiffness = torch.as_tensor(stiffness)
    high, low = isotropic_moduli(stiffness), _random_reuss(stiffness)
    return 5.0 * high.shear / low.shear + high.bulk / low.bulk - 6.0


def _random_reuss(stiffness: Tensor) -> Moduli:
    soft = isotropic_moduli(_inverse(stiffness))
    return moduli_of(1.0 / (9.0 * soft.bulk), 1.0 / (4.0 * soft.shear))


def hill_moduli(stiffness: Any) -> Moduli:
    """Hill's moduli (...,) of a polycrystal without texture, of (..., 6, 6) of its crystal."""
    stiffness = torch.as_tensor(stiffness)
    high, low = isotropic_moduli(stiffness), _random_reuss(stiffness)
    return moduli_of(0.5 * (high.bulk + low.bulk), 0.5 * (high.shear + low.shear))


def polycrystal_bounds(stiffness: Any) -> PolycrystalBounds:
    """Moduli of a polycrystal of one phase without texture, and their bounds.

    Parameters
    ----------
    stiffness : (6, 6) of the single crystal, any symmetry, Mandel

    References
    ----------
    Hill, R. (1952). Proc. Phys. Soc. A 65, 349. doi:10.1088/0370-1298/65/5/307
    """
    stiffness = torch.as_tensor(stiffness)
    high, low = isotropic_moduli(stiffness), _random_reuss(stiffness)
    lower, upper = hashin_shtrikman(stiffness)
    return PolycrystalBounds(low, lower, hill_moduli(stiffness), upper, high)


def hashin_shtrikman(stiffness: Any, points: int = 4001) -> tuple[Moduli, Moduli]:
    """Lower and upper bound of K and G of a polycrystal without texture.

    The comparison medium must be nowhere stiffer (softer) than the crystal. For each shear
    modulus that allows one, the stiffest (softest) bulk modulus is known in closed form; the
    best bounds over all shear moduli are taken, for K and for G apart. For cubic crystals this
    is the closed result of 1962.

    Parameters
    ----------
    stiffness : (6, 6) of the single crystal, any symmetry, Mandel
    points : shear moduli that are tried

    References
    ----------
    Hashin, Z. & Shtrikman, S. (1962). J. Mech. Phys. Solids 10, 343.
    doi:10.1016/0022-5096(62)90005-4
    Watt, J. P. & Peselnick, L. (1980). J. Appl. Phys. 51, 1525. doi:10.1063/1.327804
    """
    given = torch.as_tensor(stiffness)
    check_stiffness(given)
    parts = _volumetric_split(given.detach().double().cpu())
    low = parts.shears[0] * torch.linspace(0.0, 1.0, points, dtype=torch.float64)
    high = parts.shears[-1] / torch.linspace(1.0, 1e-3, points, dtype=torch.float64)
    k_low, g_low = _mean_moduli(parts, low)
    k_high, g_high = _mean_moduli(parts, high)
    lower = moduli_of(k_low.max().to(given), g_low.max().to(given))
    return lower, moduli_of(k_high.min().to(given), g_high.min().to(given))


class _Split(NamedTuple):
    """A stiffness seen from pressure: its matrix, stiffness to volume, coupling, shears."""

    matrix: Tensor  # (6, 6)
    volumetric: Tensor  # () v C v, v the unit volumetric strain
    coupling: Tensor  # (5,) squared coupling of v to each deviatoric eigenvector
    shears: Tensor  # (5,) half the deviatoric eigenvalues, rising


def _volumetric_split(stiffness: Tensor) -> _Split:
    volume = stiffness.new_tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) / math.sqrt(3.0)
    start = torch.eye(6, dtype=stiffness.dtype)
    start[:, 0] = volume
    start = torch.eye(6, dtype=stiffness.dtype)
    start[:, 0] = volume
    basis = torch.linalg.qr(start).Q[:, 1:]
    eigenvalues, vectors = torch.linalg.eigh(basis.T @ stiffness @ basis)
    coupling = (vectors.T @ basis.T @ stiffness @ volume) ** 2
    return _Split(stiffness, volume @ stiffness @ volume, coupling, eigenvalues / 2.0)


def _mean_moduli(parts: _Split, shear: Tensor) -> tuple[Tensor, Tensor]:
    """K and G (n,) of a polycrystal in comparison media at the edge of what is allowed."""
    gap = 2.0 * (parts.shears - shear[:, None])  # (n, 5)
    coupled = parts.coupling > 1e-20 * parts.volumetric**2
    drop = torch.where(coupled, parts.coupling / gap, 0.0).sum(dim=1)
    bulk = ((parts.volumetric - drop) / 3.0).clamp(min=0.0)
    bulk, shear = bulk[torch.isfinite(drop)], shear[torch.isfinite(drop)]
    bulk_star, shear_star = _constraint(bulk, shear)
    # <(C + C*)^-1>^-1 - C* over all rotations: the isotropic part of the inverse is enough
    star = isotropic_stiffness(bulk_star, shear_star)
    soft = isotropic_moduli(torch.linalg.inv(parts.matrix + star))
    return 1.0 / (9.0 * soft.bulk) - bulk_star, 1.0 / (4.0 * soft.shear) - shear_star


def _constraint(bulk: Tensor, shear: Tensor) -> tuple[Tensor, Tensor]:
    """Moduli of what an isotropic medium opposes to a sphere in it (Hill 1965); 0 of a void."""
    soft = bulk + 2.0 * shear
    factor = (9.0 * bulk + 8.0 * shear) / torch.where(soft > 0, soft, 1.0)
    return 4.0 / 3.0 * shear, shear * factor / 6.0


def composite_bounds(bulk: Any, shear: Any, fractions: Any) -> tuple[Moduli, Moduli]:
    """Lower and upper bound of K and G of an isotropic mixture of isotropic phases.

    Parameters
    ----------
    bulk, shear : (..., n) moduli of the phases, 0 for pores
    fractions : (..., n) volume fractions, any scale

    Returns
    -------
    moduli (...,) of the lower and of the upper bound

    References
    ----------
    Hashin, Z. & Shtrikman, S. (1963). J. Mech. Phys. Solids 11, 127.
    doi:10.1016/0022-5096(63)90060-7
    Walpole, L. J. (1966). J. Mech. Phys. Solids 14, 151. doi:10.1016/0022-5096(66)90035-4
    """
    bulk, shear = torch.as_tensor(bulk), torch.as_tensor(shear)
    share = torch.as_tensor(fractions).to(bulk)
    share = share / share.sum(dim=-1, keepdim=True)
    bounds = []
    for edge in (torch.amin, torch.amax):
        star = _constraint(edge(bulk, dim=-1, keepdim=True), edge(shear, dim=-1, keepdim=True))
        means = [
            _harmonic(value + extra, share) - extra[..., 0]
            for value, extra in zip((bulk, shear), star, strict=True)
        ]
        bounds.append(moduli_of(*means))
    return bounds[0], bounds[1]


def _harmonic(values: Tensor, shares: Tensor) -> Tensor:
    """Weighted harmonic mean over the last axis; zero where a phase that is there has zero."""
    zero = (values <= 0) & (shares > 0)
    total = (shares / torch.where(values > 0, values, 1.0)).sum(dim=-1)
    return torch.where(zero.any(dim=-1), 0.0, 1.0 / total)


def check_stiffness(stiffness: Any, laue: str | None = None, tolerance: float = 1e-3) -> None:
    """Refuse a stiffness that no crystal can have.

    Parameters
    ----------
    stiffness : (6, 6) in the crystal frame, Mandel
    laue : Laue group that it must have, ``"m-3m"``, ``"6/mmm"``, ...; not checked if None
    tolerance : largest departure from symmetry, relative to the largest component

    Raises
    ------
    ValueError
        If it is not finite, symmetric and positive definite, or lacks a rotation of `laue`.
    """
    stiffness = torch.as_tensor(stiffness)
    if stiffness.shape[-2:] != (6, 6) or not torch.isfinite(stiffness).all():
        raise ValueError("a stiffness is a (6, 6) matrix of finite numbers")
    size = tolerance * stiffness.abs().max()
    if (stiffness - stiffness.mT).abs().max() > size:
        raise ValueError("the stiffness is not symmetric: C_ij and C_ji differ")
    lowest = float(torch.linalg.eigvalsh(stiffness).min())
    if lowest <= 0:
        raise ValueError(
            f"the stiffness is not positive definite (lowest eigenvalue {lowest:.3g}): such a "
            "crystal would deform on its own; check signs, order and notation of the constants"
        )
    if laue is not None and (departure := _asymmetry(stiffness, laue)) > size:
        raise ValueError(
            f"the stiffness lacks the symmetry {laue}: a rotation of that group changes it by "
            f"{float(departure):.3g}; check the setting of the axes"
        )


def _asymmetry(stiffness: Tensor, laue: str) -> Tensor:
    """Largest change of a component under the proper rotations of a Laue group."""
    from xtalfuse.physics.orientation.disorientation import laue_operators

    operators = torch.as_tensor(laue_operators(laue)).to(stiffness)
    return (rotate_stiffness(stiffness, operators) - stiffness).abs().max()
