"""Scattering of fast electrons: form factors and kinematic ring intensities."""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np

from xtalfuse.physics.crystal.diffraction import Reflections, quadratic_form, reciprocal_metric


@lru_cache(maxsize=128)
def _peng(number: int) -> tuple[np.ndarray, np.ndarray]:
    coefficients = gemmi.Element(number).c4322
    return np.array(coefficients.a), np.array(coefficients.b)


def electron_form_factor(number: int, s2: np.ndarray) -> np.ndarray:
    """(n,) electron form factor, angstrom, at s^2 = (sin(theta)/lambda)^2 in 1/angstrom^2.

    International Tables for Crystallography C, table 4.3.2.2 (s up to 2 / angstrom);
    Peng, L.-M., Ren, G., Dudarev, S. L. & Whelan, M. J. (1996). Acta Cryst. A52, 257.
    """
    a, b = _peng(number)
    return np.exp(-np.outer(s2, b)) @ a


def electron_strengths(reflections: Reflections, cell: tuple[float, ...]) -> np.ndarray:
    """(n,) |F|^2 of each reflection for electrons, kinematic, angstrom^2."""
    s2 = 0.25 * (quadratic_form(reflections.hkl) @ reciprocal_metric(cell))
    factors = np.stack([electron_form_factor(int(z), s2) for z in reflections.elements], axis=1)
    return np.abs(np.sum(factors * reflections.geometric, axis=1)) ** 2


def ring_intensities(reflections: Reflections, cell: tuple[float, ...]) -> np.ndarray:
    """(n,) intensity of each whole ring of a random polycrystal, arbitrary unit.

    multiplicity * |F|^2 * d: the flat Ewald sphere cuts the sphere of radius g, on which the
    reciprocal-lattice points of all grains lie, in a circle, a share ~ 1/g of its area.
    Vainshtein, B. K. (1964). Structure Analysis by Electron Diffraction, Pergamon.
    """
    d = reflections.d_spacings(cell)
    return reflections.multiplicity * electron_strengths(reflections, cell) * d
