"""Reflections and structure factors of a crystal for X-rays.

The geometric part of the structure factor is kept for each element, so that wavelength,
anomalous dispersion and a moved cell need no new sum over atoms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np

from xtalfuse.physics.crystal.cell import Crystal, laue_rotations
from xtalfuse.physics.units import HC_EV_ANGSTROM


@dataclass(frozen=True)
class Reflections:
    """Symmetry-independent reflections of a crystal, largest d first.

    Parameters
    ----------
    hkl : (n, 3) Miller indices
    multiplicity : (n,) equivalents under the Laue group
    geometric : (n, n_elements) sum over the atoms of an element of
        ``occupancy * exp(-B s^2) * exp(2 pi i h.x)``, s = sin(theta)/lambda
    elements : (n_elements,) atomic numbers
    """

    hkl: np.ndarray
    multiplicity: np.ndarray
    geometric: np.ndarray
    elements: np.ndarray

    def __len__(self) -> int:
        return len(self.hkl)

    def d_spacings(self, cell: tuple[float, ...]) -> np.ndarray:
        """(n,) d in angstrom for a cell, which may differ from the one they were made for."""
        return 1.0 / np.sqrt(quadratic_form(self.hkl) @ reciprocal_metric(cell))

    def intensities(self, cell: tuple[float, ...], wavelength_angstrom: float) -> np.ndarray:
        """(n,) multiplicity * |F|^2 in electrons^2, mean of both Friedel mates.

        Without Lorentz-polarisation factor. Anomalous dispersion after Cromer & Liberman
        (1970) J. Chem. Phys. 53, 1891, as gemmi computes it.
        """
        s2 = 0.25 * (quadratic_form(self.hkl) @ reciprocal_metric(cell))
        factors = np.stack([form_factor(int(z), s2) for z in self.elements], axis=1)
        factors = factors + np.array(
            [anomalous(int(z), wavelength_angstrom) for z in self.elements]
        )
        plus = np.sum(factors * self.geometric, axis=1)
        minus = np.sum(factors * self.geometric.conj(), axis=1)
        return self.multiplicity * 0.5 * (np.abs(plus) ** 2 + np.abs(minus) ** 2)


def quadratic_form(hkl: np.ndarray) -> np.ndarray:
    """(n, 6) rows Hh with ``1/d^2 = Hh @ (g11, g22, g33, g23, g13, g12)``, g* reciprocal."""
    h, k, length = np.asarray(hkl, float).T
    return np.stack([h * h, k * k, length * length, 2 * k * length, 2 * h * length, 2 * h * k], 1)


def reciprocal_metric(cell: tuple[float, ...]) -> np.ndarray:
    """(6,) reciprocal metric tensor g11, g22, g33, g23, g13, g12 in 1/angstrom^2."""
    a, b, c = cell[:3]
    ca, cb, cg = np.cos(np.radians(cell[3:]))
    direct = np.array(
        [
            [a * a, a * b * cg, a * c * cb],
            [a * b * cg, b * b, b * c * ca],
            [a * c * cb, b * c * ca, c * c],
        ]
    )
    g = np.linalg.inv(direct)
    return np.array([g[0, 0], g[1, 1], g[2, 2], g[1, 2], g[0, 2], g[0, 1]])


def cell_from_metric(metric: np.ndarray) -> tuple[float, ...]:
    """Cell (a, b, c, alpha, beta, gamma) from a (6,) reciprocal metric tensor.

    Raises
    ------
    ValueError
        If the tensor is not positive definite.
    """
    g11, g22, g33, g23, g13, g12 = metric
    reciprocal = np.array([[g11, g12, g13], [g12, g22, g23], [g13, g23, g33]])
    if np.linalg.eigvalsh(reciprocal)[0] <= 0:
        raise ValueError("the reciprocal metric tensor is not positive definite")
    direct = np.linalg.inv(reciprocal)
    a, b, c = np.sqrt(np.diag(direct))
    cosines = direct[1, 2] / (b * c), direct[0, 2] / (a * c), direct[0, 1] / (a * b)
    angles = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return (float(a), float(b), float(c), *(float(angle) for angle in angles))


@lru_cache(maxsize=1024)
def metric_basis(space_group: str) -> np.ndarray:
    """(6, p) orthonormal basis of the reciprocal metric tensors that a space group allows.

    p is the number of free cell parameters: 1 cubic ... 6 triclinic, in any setting.
    """
    mean = np.zeros((6, 6))
    rotations = laue_rotations(space_group)
    index = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    for rotation in rotations:
        for column, (i, j) in enumerate(index):
            tensor = np.zeros((3, 3))
            tensor[i, j] = tensor[j, i] = 1.0
            moved = rotation @ tensor @ rotation.T
            mean[:, column] += [moved[p, q] for p, q in index]
    left, singular, _ = np.linalg.svd(mean / len(rotations))
    return left[:, singular > 0.5]


@lru_cache(maxsize=128)
def _it92(number: int) -> tuple[np.ndarray, np.ndarray, float]:
    coefficients = gemmi.Element(number).it92
    return np.array(coefficients.a), np.array(coefficients.b), float(coefficients.c)


def form_factor(number: int, s2: np.ndarray) -> np.ndarray:
    """(n,) atomic form factor f0 at s^2 = (sin(theta)/lambda)^2, electrons.

    International Tables for Crystallography C (1992), table 6.1.1.4.
    """
    a, b, c = _it92(number)
    return np.exp(-np.outer(s2, b)) @ a + c


@lru_cache(maxsize=4096)
def anomalous(number: int, wavelength_angstrom: float) -> complex:
    """Dispersion correction f' + i f'' of an element at a wavelength."""
    if number < 3:
        return 0j
    f1, f2 = gemmi.cromer_liberman(z=number, energy=HC_EV_ANGSTROM / wavelength_angstrom)
    return complex(f1, f2)


def _independent_hkl(crystal: Crystal, d_min: float) -> tuple[np.ndarray, np.ndarray]:
    """One hkl per Laue orbit with d >= d_min, and the size of its orbit."""
    metric = reciprocal_metric(crystal.cell)
    limits = [int(np.floor(length / d_min + 1e-9)) for length in crystal.cell[:3]]
    grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in limits], indexing="ij"), -1)
    hkl = grid.reshape(-1, 3)
    inverse_d2 = quadratic_form(hkl) @ metric
    hkl = hkl[(inverse_d2 > 1e-9) & (inverse_d2 <= 1.0 / d_min**2 * (1 + 1e-9))]
    span = 2 * max(limits) * 3 + 1  # symmetry can mix indices: h' = -h-k
    weights = np.array([span * span, span, 1])
    code = np.full(len(hkl), np.iinfo(np.int64).min)
    for rotation in laue_rotations(crystal.space_group):
        image = (hkl @ rotation) @ weights
        np.maximum(code, np.abs(image), out=code)
    own = hkl @ weights
    _, counts = np.unique(code, return_counts=True)
    chosen = np.flatnonzero(own == code)
    chosen = chosen[np.argsort(code[chosen])]
    return hkl[chosen], counts


def reflections(crystal: Crystal, d_min: float = 0.8, limit: int = 4000) -> Reflections:
    """Symmetry-independent, non-extinct reflections of a crystal.

    Parameters
    ----------
    crystal : the structure
    d_min : smallest d in angstrom
    limit : keep at most this many, those of largest d

    Raises
    ------
    ValueError
        If the structure has no atoms or `d_min` is not positive.
    """
    if d_min <= 0:
        raise ValueError(f"d_min must be positive, not {d_min}")
    atoms = crystal.atoms
    if not len(atoms.numbers):
        raise ValueError("the structure has no atoms")
    # a sphere of radius 1/d holds 4/3 pi V / d^3 lattice points: do not list far more than asked
    orbit = 2 * len(laue_rotations(crystal.space_group))
    d_limit = (4.2 * crystal.volume / (orbit * limit * 4.0)) ** (1 / 3)
    hkl, multiplicity = _independent_hkl(crystal, max(d_min, d_limit))
    d = 1.0 / np.sqrt(quadratic_form(hkl) @ reciprocal_metric(crystal.cell))
    order = np.argsort(-d, kind="stable")
    hkl, multiplicity, d = hkl[order], multiplicity[order], d[order]
    elements, group = np.unique(atoms.numbers, return_inverse=True)
    membership = np.zeros((len(atoms.numbers), len(elements)))
    membership[np.arange(len(group)), group] = atoms.occupancies
    geometric = np.empty((len(hkl), len(elements)), complex)
    step = max(1, 2_000_000 // len(atoms.numbers))
    for start in range(0, len(hkl), step):
        part = slice(start, start + step)
        waves = np.exp(2j * np.pi * (hkl[part] @ atoms.positions.T))
        waves *= np.exp(-np.outer(0.25 / d[part] ** 2, atoms.b_iso))
        geometric[part] = waves @ membership
    strength = np.abs(geometric) @ elements
    kept = np.flatnonzero(strength > 1e-4 * float(atoms.numbers @ atoms.occupancies))[:limit]
    return Reflections(
        hkl[kept].astype(np.int16),
        multiplicity[kept].astype(np.int16),
        geometric[kept].astype(np.complex64),
        elements.astype(np.int8),
    )


def strain_basis(crystal: Crystal) -> np.ndarray:
    """(6, p) change of the reciprocal metric by each symmetry-allowed unit strain.

    The strain tensors are orthonormal; the first is isotropic, so that ``strain[0] =
    sqrt(3) * e`` stretches every length by e.
    """
    g11, g22, g33, g23, g13, g12 = reciprocal_metric(crystal.cell)
    metric = np.array([[g11, g12, g13], [g12, g22, g23], [g13, g23, g33]])
    frame = np.linalg.cholesky(metric).T  # reciprocal basis: metric = frame.T @ frame
    inverse = np.linalg.inv(frame)
    tensors = [np.eye(3)]
    for column in metric_basis(crystal.space_group).T:
        a, b, c, d, e, f = column
        change = np.array([[a, f, e], [f, b, d], [e, d, c]])
        tensors.append(-0.5 * inverse.T @ change @ inverse)
    orthonormal: list[np.ndarray] = []
    for tensor in tensors:
        for earlier in orthonormal:
            tensor = tensor - float(np.sum(tensor * earlier)) * earlier
        norm = float(np.linalg.norm(tensor))
        if norm > 1e-6 * max(1.0, float(np.linalg.norm(tensors[0]))):
            orthonormal.append(tensor / norm)
    columns = []
    for tensor in orthonormal:
        m = -2.0 * frame.T @ tensor @ frame
        columns.append([m[0, 0], m[1, 1], m[2, 2], m[1, 2], m[0, 2], m[0, 1]])
    return np.array(columns).T
