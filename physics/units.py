"""Radiation, wavelengths and the conversions between scattering axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HC_EV_ANGSTROM = 12398.419843320026  # h*c, CODATA 2018


@dataclass(frozen=True)
class Radiation:
    """A source of X-rays as the sample sees it.

    Parameters
    ----------
    name : what a person would write, e.g. ``"CuKa"``
    wavelengths_angstrom : one wavelength per emission line, strongest first
    weights : relative intensity of each line; they sum to one
    nominal : whether it only stands for a radiation that is not known: the pattern is one of
        q or d, and what depends on the angle itself means nothing
    """

    name: str
    wavelengths_angstrom: tuple[float, ...]
    weights: tuple[float, ...]
    nominal: bool = False

    @property
    def mean_angstrom(self) -> float:
        """Intensity-weighted mean wavelength."""
        return float(np.dot(self.wavelengths_angstrom, self.weights))

    @property
    def primary_angstrom(self) -> float:
        """Wavelength of the strongest line: the one peak positions are quoted for."""
        return self.wavelengths_angstrom[0]

    @property
    def energy_ev(self) -> float:
        """Photon energy at the mean wavelength."""
        return HC_EV_ANGSTROM / self.mean_angstrom


def monochromatic(
    wavelength_angstrom: float, name: str | None = None, *, nominal: bool = False
) -> Radiation:
    """Radiation of a single line.

    Parameters
    ----------
    wavelength_angstrom : of the line
    name : what a person would write; the wavelength by default
    nominal : whether it only stands for one that is not known

    Raises
    ------
    ValueError
        If the wavelength is outside 0.05-5 angstrom, where no powder pattern is recorded.
    """
    if not 0.05 <= wavelength_angstrom <= 5.0:
        raise ValueError(
            f"wavelength {wavelength_angstrom} is outside 0.05-5 angstrom; give it in angstrom"
        )
    name = name or f"{wavelength_angstrom:.6g} A"
    return Radiation(name, (float(wavelength_angstrom),), (1.0,), nominal)


def doublet(name: str, ka1_angstrom: float, ka2_angstrom: float, ratio: float = 0.5) -> Radiation:
    """K-alpha doublet with intensity ratio K-alpha2 / K-alpha1."""
    return Radiation(
        name, (ka1_angstrom, ka2_angstrom), (1.0 / (1.0 + ratio), ratio / (1.0 + ratio))
    )


# Hoelzer et al. (1997) Phys. Rev. A 56, 4554 for Cr..Cu; Deslattes et al. (2003)
# Rev. Mod. Phys. 75, 35 for Mo, Ag.
ANODES: dict[str, tuple[float, float]] = {
    "Cr": (2.289726, 2.293651), "Fe": (1.936041, 1.939973), "Co": (1.788996, 1.792835),
    "Cu": (1.5405929, 1.5444274), "Mo": (0.70931715, 0.713607), "Ag": (0.5594214, 0.563813),
}  # fmt: skip


def radiation(text: str | float) -> Radiation:
    """Radiation from what a person writes: ``CuKa``, ``CoKa1``, ``Mo`` or ``1.5406``.

    Raises
    ------
    ValueError
        If the text names neither a known anode nor a wavelength in angstrom.
    """
    written = str(text).strip()
    try:
        return monochromatic(float(written))
    except ValueError as error:
        if written.replace(".", "", 1).replace("-", "", 1).isdigit():
            raise ValueError(str(error)) from None
    compact = written.replace("-", "").replace("_", "").replace(" ", "").lower()
    compact = compact.replace("alpha", "a").replace("\N{GREEK SMALL LETTER ALPHA}", "a")
    for anode, (ka1, ka2) in ANODES.items():
        key = anode.lower()
        if compact in (key, f"{key}ka", f"{key}ka12", f"{key}k"):
            return doublet(f"{anode}Ka", ka1, ka2)
        if compact == f"{key}ka1":
            return monochromatic(ka1, f"{anode}Ka1")
        if compact == f"{key}ka2":
            return monochromatic(ka2, f"{anode}Ka2")
    raise ValueError(
        f"unknown radiation {written!r}; write an anode such as CuKa or CuKa1 "
        f"({', '.join(ANODES)}) or a wavelength in angstrom such as 1.5406"
    )


def d_spacing(two_theta_deg: np.ndarray, wavelength_angstrom: float) -> np.ndarray:
    """Bragg's law: d in angstrom from 2-theta in degrees."""
    return wavelength_angstrom / (2.0 * np.sin(np.radians(np.asarray(two_theta_deg)) / 2.0))


def two_theta(d_angstrom: np.ndarray, wavelength_angstrom: float) -> np.ndarray:
    """Bragg's law: 2-theta in degrees from d; NaN where d < wavelength / 2."""
    sine = wavelength_angstrom / (2.0 * np.asarray(d_angstrom, float))
    return np.degrees(2.0 * np.arcsin(np.where(sine <= 1.0, sine, np.nan)))


def two_theta_of_q(q: np.ndarray, wavelength_angstrom: float) -> np.ndarray:
    """2-theta in degrees from q = 4 pi sin(theta) / wavelength in 1/angstrom; NaN beyond reach."""
    sine = np.asarray(q, float) * wavelength_angstrom / (4.0 * np.pi)
    return np.degrees(2.0 * np.arcsin(np.where(np.abs(sine) <= 1.0, sine, np.nan)))
