"""Lines of an X-ray tube beside those that a pattern is described by: K-beta, satellites, tungsten.

A filter or a monochromator leaves some of them, which nobody can know beforehand. Where they
would put images of strong lines, a calculated pattern is that much less certain.
"""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.pattern import PatternSignal
from xtalfuse.loaders.xrd.scan import anode_of
from xtalfuse.physics.units import ANODES, Radiation, doublet, monochromatic

# angstrom, Deslattes et al. (2003), as in units
K_BETA = {
    "CuKa": 1.392234, "CoKa": 1.620826, "FeKa": 1.756604, "CrKa": 2.084887, "MoKa": 0.632303,
}  # fmt: skip
TUNGSTEN_LA = 1.476419  # of an aged copper tube
# K-alpha3,4 over K-alpha1 of copper, Berger (1986) X-Ray Spectrom. 15, 241; in energy satellites
# of other anodes lie as far off to some parts in ten thousand.
SATELLITE = 1.534753 / 1.540596
# of the line itself: filters leave a few percent of K-beta, worn tubes as much of tungsten;
# satellites are 1.6 % (Berger)
BETA_SHARE, TUNGSTEN_SHARE, SATELLITE_SHARE = 0.03, 0.01, 0.016


def tube_lines(radiation: Radiation) -> list[tuple[float, float]]:
    """Wavelength, and share of the main line, of what a tube may send beside it.

    A beam of one wavelength comes from a crystal that lets nothing else through.

    Parameters
    ----------
    radiation : of the pattern
    """
    if len(radiation.wavelengths_angstrom) < 2:
        return []
    lines = [(SATELLITE * radiation.primary_angstrom, SATELLITE_SHARE)]
    lines += [(w, BETA_SHARE) for name, w in K_BETA.items() if radiation.name.startswith(name)]
    if radiation.name.startswith("CuKa"):
        lines.append((TUNGSTEN_LA, TUNGSTEN_SHARE))
    return lines


def other_lines(radiation: Radiation) -> Radiation | None:
    """The same tube without K-alpha2 where it is said to be there, and with it where it is not.

    Parameters
    ----------
    radiation : of the pattern, as it is stated

    Returns
    -------
    None where it is of no tube
    """
    tube = anode_of(radiation.primary_angstrom)
    if tube is None or radiation.nominal or tube[1] == "ka2":
        return None
    first, second = ANODES[tube[0]]
    if len(radiation.wavelengths_angstrom) > 1:
        return monochromatic(first, f"{tube[0]}Ka1")
    return doublet(f"{tube[0]}Ka", first, second)


def image_of(angle_deg: np.ndarray, radiation: Radiation, wavelength: float) -> np.ndarray:
    """2-theta where the main line is diffracted by what diffracts another wavelength here.

    Parameters
    ----------
    angle_deg : (n,) 2-theta
    radiation : with the main line
    wavelength : of the other

    Returns
    -------
    (n,) deg; 180 where the main line is not diffracted
    """
    sine = np.sin(np.radians(angle_deg) / 2.0) * radiation.primary_angstrom / wavelength
    return np.asarray(np.degrees(2.0 * np.arcsin(np.minimum(sine, 1.0))))


def tube_images(signal: PatternSignal) -> list[tuple[np.ndarray, float]]:
    """For each line that the tube may send: whence each point would be an image, and its share."""
    return [
        (image_of(signal.two_theta_deg, signal.radiation, wavelength), share)
        for wavelength, share in tube_lines(signal.radiation)
    ]
