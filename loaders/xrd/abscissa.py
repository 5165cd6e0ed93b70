"""Patterns whose abscissa is q: to 2theta with the wavelength that is known, or a nominal one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.xrd.scan import anode_of
from xtalfuse.physics.units import ANODES, Radiation, doublet, monochromatic, two_theta_of_q

NOMINAL_ANGSTROM = 1.0  # between laboratory and synchrotron; angles of usual patterns are usual
NOMINAL_END_DEG = 140.0  # of a pattern that goes further in q
SINE_SPREAD = 2e-3  # relative; rounded numbers of real files stay below


def nominal_radiation(q: np.ndarray) -> Radiation:
    """The radiation of which q in equal steps of 2theta were reckoned, or a usual one.

    Parameters
    ----------
    q : (n,) 1/angstrom
    """
    reach = 4.0 * np.pi * np.sin(np.radians(NOMINAL_END_DEG / 2.0)) / float(np.max(q))
    found = sine_wavelength(q)
    tube = anode_of(found) if found else None
    if tube is not None:  # both lines of the tube are in q as they were in 2theta
        anode = tube[0]
        return replace(doublet(f"nominal {anode}Ka", *ANODES[anode]), nominal=True)
    wavelength = found if found and found < 5.0 else min(NOMINAL_ANGSTROM, reach)
    return monochromatic(max(wavelength, 0.05), f"nominal {wavelength:.4g} A", nominal=True)


def sine_wavelength(q: np.ndarray) -> float | None:
    """Wavelength of a scan in equal steps of 2theta, from its q; None if the steps are others.

    Of ``q = A sin(theta)`` with equal steps, ``q[i+k] + q[i-k] = 2 cos(k step) q[i]``: that gives
    the step, and the amplitude ``A = 4 pi / wavelength`` follows from each three points.

    Parameters
    ----------
    q : (n,) ascending or descending, in any inverse length

    Returns
    -------
    In the length of which q is the inverse.
    """
    n = len(q) // 3
    if n < 10:
        return None
    before, here, after = q[: len(q) - 2 * n], q[n : len(q) - n], q[2 * n :]
    cosine = float(((before + after) @ here) / (2.0 * here @ here))
    if not 0.0 < cosine < 0.9998:  # nearer to one, rounding hides the sine
        return None
    sine = np.sqrt(1.0 - cosine**2)
    amplitude = np.hypot(here, (after - before) / (2.0 * sine))
    mean = float(amplitude.mean())
    if np.std(amplitude) > SINE_SPREAD * mean or np.abs(q).max() >= mean:
        return None
    theta, index = np.arcsin(q / mean), np.arange(len(q))
    step, first = np.polyfit(index, theta, 1)
    even = np.abs(theta - first - step * index).max() < 0.5 * abs(step)
    return 4.0 * np.pi / mean if even else None


def in_two_theta(name: str, q: np.ndarray, radiation: Radiation) -> np.ndarray:
    """2theta in degrees of q in 1/angstrom.

    Raises
    ------
    UnreadableFileError
        If the radiation does not reach so far.
    """
    angles = two_theta_of_q(q, radiation.primary_angstrom)
    if np.isnan(angles).any():
        most = 4.0 * np.pi / radiation.primary_angstrom
        raise UnreadableFileError(
            f"{name}: its abscissa is q up to {np.max(q):.4g} 1/angstrom, and {radiation.name} "
            f"reaches {most:.4g}; pass the right --wavelength, or none where the file has none"
        )
    return angles
