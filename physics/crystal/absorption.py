"""How crystals absorb X-rays, and what grains that absorb unlike do to weight fractions."""

from __future__ import annotations

import gemmi
import numpy as np

from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import anomalous

CLASSICAL_RADIUS_ANGSTROM = 2.8179403262e-5
SPHERE = 1.45  # first coefficient of ln(tau) in (mu - mean) R, Taylor & Matulis


def absorption_per_cm(crystal: Crystal, wavelength_angstrom: float) -> float:
    """Linear photoelectric absorption coefficient of a crystal, 1/cm.

    The optical theorem gives each atom the cross-section ``2 r_e lambda f''``; scattering,
    which is left out, matters for light elements only.
    """
    total = 0.0
    for element, amount in crystal.composition.items():
        number = gemmi.Element(element).atomic_number
        imaginary = anomalous(number, wavelength_angstrom).imag
        total += amount * 2.0 * CLASSICAL_RADIUS_ANGSTROM * wavelength_angstrom * imaginary
    return 1e8 * total / crystal.volume


def contrasts(
    fractions: np.ndarray, absorption: np.ndarray, density: np.ndarray, grain_um: float
) -> np.ndarray:
    """(p,) (mu - mean) * diameter of the grains of each phase, the mean by volume.

    Parameters
    ----------
    fractions, absorption, density : (p,) by weight; mu, 1/cm; g/cm^3
    grain_um : diameter of the grains
    """
    volume = np.maximum(fractions / density, 1e-12)
    mean = float(np.average(absorption, weights=volume))
    return np.asarray((absorption - mean) * grain_um * 1e-4)


def microabsorption(
    apparent: np.ndarray, absorption: np.ndarray, density: np.ndarray, grain_um: float
) -> np.ndarray:
    """(p,) weight fractions freed of the microabsorption of grains of one diameter.

    A grain that absorbs more than its surroundings hides part of itself: its phase looks like
    ``tau`` times its amount, ``tau = exp(-1.45 (mu - mean) R)`` for spheres of radius R (Brindley,
    1945, Philos. Mag. 36, 347; Taylor & Matulis, 1991, J. Appl. Cryst. 24, 14).

    Parameters
    ----------
    apparent, absorption, density : (p,) fractions by weight as seen; mu, 1/cm; g/cm^3
    grain_um : diameter of the grains
    """
    fractions = apparent / max(float(apparent.sum()), 1e-300)
    for _ in range(8):  # the mean follows the fractions; it settles in three or four rounds
        exponent = SPHERE * contrasts(fractions, absorption, density, grain_um) / 2.0
        fractions = apparent * np.exp(np.clip(exponent, -3.0, 3.0))
        fractions = fractions / max(float(fractions.sum()), 1e-300)
    return fractions
