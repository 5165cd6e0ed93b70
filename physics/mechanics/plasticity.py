"""Plastic yield of polycrystals: Taylor and Schmid factors, Hall-Petch, Tabor.

Taylor's model gives every grain the strain of the whole: an upper bound of the yield stress for
given critical stresses of slip, not a measured yield. Sachs's gives every grain the stress of
the whole: a lower estimate. Bishop and Hill (1951) showed that Taylor's least work of slip is
the greatest work of the imposed strain over the stresses that no system forbids, so that the
corners of the yield polytope, found once, give the factors of any number of grains.

References
----------
Taylor, G. I. (1938). J. Inst. Met. 62, 307.
Bishop, J. F. W. & Hill, R. (1951). Phil. Mag. 42, 414 and 1298.
Kocks, U. F. (1970). Metall. Trans. 1, 1121.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from scipy.spatial import HalfspaceIntersection
from torch import Tensor

from xtalfuse.physics.mechanics.slip import SlipSystems, slip_systems
from xtalfuse.physics.orientation.quaternion import either, to_matrix

FAR = 1e4  # a corner this many critical stresses away means that the yield surface is open
OPEN = 1e-3  # share of the strain that may be left undone before a grain is said to be locked
SAME_CORNER = 1e-6  # of the critical stress: qhull gives a corner of many faces several times
SPAN = 1e-9  # singular values of Schmid tensors below this are none
ANYWHERE = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0])  # a direction across which no corner lies
CHUNK = 65_536  # grains x corners held at once, to stay in the cache


@dataclass(frozen=True)
class YieldSurface:
    """The stresses at which a crystal yields, as a polytope in the space of deviators.

    Parameters
    ----------
    corners : (v, 5) deviatoric stresses, components of `_deviators`, unit of the critical stress
    open_ways : (w, 5) directions in which the polytope has no end: strains along them cannot be
        carried by any slip
    symmetric : whether each corner has one opposite, that is, nothing twins
    """

    corners: np.ndarray
    open_ways: np.ndarray
    symmetric: bool

    @property
    def needed(self) -> np.ndarray:
        """One of each pair of opposite corners; all corners where something twins."""
        return self.corners[self.corners @ ANYWHERE > 0.0] if self.symmetric else self.corners


def axial_strain(direction: Any) -> np.ndarray:
    """(3, 3) strain of axisymmetric tension along `direction` without change of volume."""
    unit = np.asarray(direction, float)
    length = np.linalg.norm(unit)
    if unit.shape != (3,) or not np.isfinite(length) or length == 0.0:
        raise ValueError(f"a direction needs three numbers that are not all zero, not {direction}")
    unit = unit / length
    return 1.5 * np.outer(unit, unit) - 0.5 * np.eye(3)


def equivalent_strain(strain: Any) -> Tensor:
    """(...) von Mises' equivalent strain, sqrt(2/3 e:e), of tensors (..., 3, 3)."""
    strain = torch.as_tensor(strain)
    return torch.sqrt(2.0 / 3.0 * (strain * strain).sum(dim=(-2, -1)))


def taylor_factor(orientation: Any, strain: Any = "x", systems: str | SlipSystems = "fcc") -> Any:
    """Taylor factor of grains: plastic work per equivalent strain, by Bishop and Hill's corners.

    An upper-bound model, not a measured yield: every grain is given the same strain, all five
    components of it (full constraints), and yields at the critical stresses given, without
    rate, hardening, grain size or neighbours.

    Parameters
    ----------
    orientation : (..., 4) unit quaternions, specimen -> crystal, numpy or torch
    strain : (3, 3) imposed strain in the specimen frame, or one for each grain (..., 3, 3); or
        ``"x"``, ``"y"``, ``"z"`` for axisymmetric tension along an axis; symmetric, without
        change of volume, of any size
    systems : a family name of :func:`xtalfuse.physics.mechanics.slip.slip_systems` or the systems

    Returns
    -------
    (...) in the unit of the critical stresses; without unit where they are 1. ``inf`` for a
    grain whose systems cannot carry the strain: hexagonal slip along <a> alone leaves the length
    of the c axis as it is.

    Raises
    ------
    ValueError
        If a strain is not symmetric and deviatoric, or is zero.
    """
    if isinstance(systems, str):
        systems = slip_systems(systems)
    if isinstance(strain, str):
        strain = axial_strain(_axis(strain))
    return _taylor(orientation, strain, yield_surface(systems))


def _axis(name: str) -> np.ndarray:
    if name not in ("x", "y", "z"):
        raise ValueError(f"no axis {name!r}; give 'x', 'y', 'z' or a strain (3, 3)")
    return np.eye(3)["xyz".index(name)]


@either
def _taylor(orientation: Tensor, strain: Tensor, surface: YieldSurface) -> Tensor:
    strain = strain.to(orientation)
    size = equivalent_strain(strain)
    _check_strain(strain, size)
    vector = _strain_in_crystal(orientation, strain / size[..., None, None])  # (..., 5)
    corners = torch.as_tensor(surface.needed).to(vector)
    open_ways = torch.as_tensor(surface.open_ways).to(vector)
    flat = vector.reshape(-1, 5)
    step = max(1, CHUNK // len(corners))
    factor = torch.cat(
        [_greatest(corners @ part.T, surface.symmetric) for part in flat.split(step)]
    )
    if len(open_ways):
        locked = (flat @ open_ways.T).amax(dim=-1) > OPEN
        factor = torch.where(locked, torch.inf, factor)
    return factor.reshape(vector.shape[:-1])


def _greatest(work: Tensor, symmetric: bool) -> Tensor:
    """(n,) greatest work over corners (v, n); of either sign, if opposite corners are left out."""
    return (work.abs() if symmetric else work).amax(dim=0)


def _check_strain(strain: Tensor, size: Tensor) -> None:
    trace = strain.diagonal(dim1=-2, dim2=-1).sum(dim=-1).abs()
    skew = (strain - strain.mT).abs().amax(dim=(-2, -1))
    tolerance = 1e-4 if strain.dtype == torch.float32 else 1e-9
    if not bool((size > 0).all()) or bool(((trace > tolerance * size) | (skew > tolerance)).any()):
        raise ValueError(
            "a plastic strain must be symmetric, finite and not zero, with trace 0 (slip keeps "
            "the volume); subtract a third of the trace from its diagonal"
        )


def _strain_in_crystal(orientation: Tensor, strain: Tensor) -> Tensor:
    """(..., 5) deviatoric components of a specimen's strain in the crystal frame."""
    turn = to_matrix(orientation)
    turned = turn @ strain @ turn.mT
    basis = torch.as_tensor(_deviators()).to(turned)
    return turned.flatten(-2) @ basis.flatten(-2).T


@lru_cache(maxsize=1)
def _deviators() -> np.ndarray:
    """(5, 3, 3) orthonormal deviators: two of the diagonal, then 23, 13, 12."""
    basis = np.zeros((5, 3, 3))
    basis[0] = np.diag([1.0, -1.0, 0.0]) / np.sqrt(2.0)
    basis[1] = np.diag([-1.0, -1.0, 2.0]) / np.sqrt(6.0)
    for k, (i, j) in enumerate(((1, 2), (0, 2), (0, 1)), start=2):
        basis[k, i, j] = basis[k, j, i] = np.sqrt(0.5)
    return basis


@lru_cache(maxsize=64)
def yield_surface(systems: SlipSystems) -> YieldSurface:
    """Corners of a crystal's yield surface, |stress : Schmid tensor| <= critical stress.

    For {111}<110> slip with one critical stress these are the 56 stresses of Bishop and Hill
    (1951). Deviators that no system resolves, and those that resolve only against the sense of
    a twin, are `open_ways`.
    """
    schmid = np.einsum("mij,kij->mk", systems.schmid, _deviators())  # (m, 5)
    _, singular, rows = np.linalg.svd(schmid)
    rank = int((singular > SPAN).sum())
    span, closed = rows[:rank], rows[rank:]
    unit = float(systems.critical_stress.min())
    planes = (schmid @ span.T) / (systems.critical_stress / unit)[:, None]
    faces = np.concatenate([planes, -planes[~systems.twin]])
    box = np.concatenate([np.eye(rank), -np.eye(rank)]) / FAR
    halfspaces = np.concatenate([faces, box])
    halfspaces = np.column_stack([halfspaces, -np.ones(len(halfspaces))])
    corners = HalfspaceIntersection(halfspaces, np.zeros(rank)).intersections
    corners = corners[np.unique(np.rint(corners / SAME_CORNER) + 0.0, axis=0, return_index=True)[1]]
    far = abs(corners).max(axis=1) > 0.5 * FAR
    ways = corners[far] / np.linalg.norm(corners[far], axis=1, keepdims=True)
    return YieldSurface(
        unit * corners[~far] @ span,
        np.concatenate([ways @ span, closed, -closed]),
        symmetric=not systems.twin.any(),
    )


def schmid_factor(
    orientation: Any, direction: Any = "x", systems: str | SlipSystems = "fcc"
) -> Any:
    """Greatest Schmid factor of grains under tension along a direction, at most 0.5.

    Where the systems have different critical stresses, each is counted relative to the lowest.

    Parameters
    ----------
    orientation : (..., 4) unit quaternions, specimen -> crystal, numpy or torch
    direction : (3,) in the specimen frame, or ``"x"``, ``"y"``, ``"z"``
    systems : as for :func:`taylor_factor`

    Returns
    -------
    (...); its inverse, averaged over grains, is Sachs's factor (Sachs 1928)
    """
    if isinstance(systems, str):
        systems = slip_systems(systems)
    axis = _axis(direction) if isinstance(direction, str) else np.asarray(direction, float)
    return _schmid(orientation, axis / np.linalg.norm(axis), systems)


@either
def _schmid(orientation: Tensor, direction: Tensor, systems: SlipSystems) -> Tensor:
    along = torch.einsum("...ij,j->...i", to_matrix(orientation), direction.to(orientation))
    normal = torch.as_tensor(systems.normal).to(along)
    shear = torch.as_tensor(systems.direction).to(along)
    resolved = (along @ normal.T) * (along @ shear.T)
    twin = torch.as_tensor(systems.twin, device=resolved.device)
    resolved = torch.where(twin, resolved, resolved.abs())
    ease = systems.critical_stress.min() / systems.critical_stress
    return (resolved * torch.as_tensor(ease).to(resolved)).amax(dim=-1).clamp(min=0.0)


def hall_petch(grain_size_um: Any, friction_stress_mpa: float, slope_mpa_um05: float) -> Any:
    """Yield stress, MPa, by grain size: friction stress + slope / sqrt(grain size).

    An empirical law: constants belong to one metal, purity, temperature, strain and definition
    of grain size, and to the range of sizes in which they were measured.

    Parameters
    ----------
    grain_size_um : micrometre, greater than zero, number or array
    friction_stress_mpa : sigma_0, MPa
    slope_mpa_um05 : k, MPa um^0.5; 1 MPa m^0.5 is 1000 MPa um^0.5

    Raises
    ------
    ValueError
        If a grain size is not greater than zero.

    References
    ----------
    Hall, E. O. (1951). Proc. Phys. Soc. B 64, 747. Petch, N. J. (1953). J. Iron Steel Inst.
    174, 25.
    """
    if not np.all(np.asarray(grain_size_um) > 0.0):
        raise ValueError(f"grain sizes must be greater than 0 um, found {grain_size_um}")
    return friction_stress_mpa + slope_mpa_um05 / grain_size_um**0.5


def tabor_hardness(flow_stress: Any, constraint: float = 3.0) -> Any:
    """Hardness as a pressure, in the unit of the flow stress: H = 3 sigma.

    `flow_stress` is that at the strain of the indentation (about 8 % for Vickers), so that the
    yield stress of a metal that hardens gives too little. The constraint is 2.8 to 3.2 for
    metals that yield far below their Young's modulus, less for glasses and ceramics.

    References
    ----------
    Tabor, D. (1951). The Hardness of Metals. Oxford: Clarendon Press.
    """
    return constraint * flow_stress
