"""Peak shapes, with the derivatives that a full-pattern fit needs.

The shape is the pseudo-Voigt of Thompson, Cox & Hastings (1987) J. Appl. Cryst. 20, 79,
times the low-angle asymmetry of Berar & Baldinozzi (1993) J. Appl. Cryst. 26, 128.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LN2 = math.log(2.0)
GAUSS_PEAK = 2.0 * math.sqrt(LN2 / math.pi)  # height of a Gaussian of unit area and unit FWHM
LORENTZ_PEAK = 2.0 / math.pi


@dataclass(frozen=True)
class Shape:
    """Width and Lorentzian fraction of each peak, with derivatives to the two broadenings."""

    fwhm: np.ndarray
    eta: np.ndarray
    fwhm_by_gauss: np.ndarray
    fwhm_by_lorentz: np.ndarray
    eta_by_gauss: np.ndarray
    eta_by_lorentz: np.ndarray


def tch_shape(gauss: np.ndarray, lorentz: np.ndarray) -> Shape:
    """Pseudo-Voigt equivalent of a Gaussian (FWHM `gauss`) and a Lorentzian (FWHM `lorentz`).

    Thompson, Cox & Hastings (1987), equations 6 and 7. All arrays (n,), any one unit.
    """
    g, l = gauss, lorentz  # noqa: E741 - the symbols of the paper
    total = (
        g**5
        + 2.69269 * g**4 * l
        + 2.42843 * g**3 * l**2
        + 4.47163 * g**2 * l**3
        + 0.07842 * g * l**4
        + l**5
    )
    fwhm = total**0.2
    outer = 0.2 * fwhm / total
    by_g = outer * (
        5 * g**4
        + 4 * 2.69269 * g**3 * l
        + 3 * 2.42843 * g**2 * l**2
        + 2 * 4.47163 * g * l**3
        + 0.07842 * l**4
    )
    by_l = outer * (
        2.69269 * g**4
        + 2 * 2.42843 * g**3 * l
        + 3 * 4.47163 * g**2 * l**2
        + 4 * 0.07842 * g * l**3
        + 5 * l**4
    )
    q = l / fwhm
    eta = 1.36603 * q - 0.47719 * q**2 + 0.11116 * q**3
    slope = 1.36603 - 2 * 0.47719 * q + 3 * 0.11116 * q**2
    return Shape(
        fwhm,
        eta,
        by_g,
        by_l,
        slope * (-l / fwhm**2) * by_g,
        slope * (1.0 / fwhm - l / fwhm**2 * by_l),
    )


@dataclass(frozen=True)
class Stamps:
    """Peaks drawn onto a grid: one flat run of points for each peak, within its window.

    Most profiles are drawn to be looked at once; derivatives are made when they are asked for.

    Parameters
    ----------
    point : (m,) index into the grid
    start : (k + 1,) where the run of each peak begins
    z : (m,) float32, distance from the peak in full widths
    per_width, eta, amount : (m,) float32, 1/deg, Lorentzian fraction and skewness of its peak
    """

    point: np.ndarray
    start: np.ndarray
    z: np.ndarray
    per_width: np.ndarray
    eta: np.ndarray
    amount: np.ndarray

    @property
    def peak(self) -> np.ndarray:
        """(m,) index of the peak."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    @cached_property
    def _parts(self) -> tuple[np.ndarray, ...]:
        z2 = self.z * self.z
        gauss = GAUSS_PEAK * np.exp(-4.0 * LN2 * z2)
        denominator = 1.0 / (1.0 + 4.0 * z2)
        lorentz = LORENTZ_PEAK * denominator
        symmetric = gauss + self.eta * (lorentz - gauss)
        if not self.amount.any():
            return gauss, denominator, lorentz, symmetric, np.exp(-z2), np.ones_like(gauss)
        bell = np.exp(-z2)
        return gauss, denominator, lorentz, symmetric, bell, 1.0 + self.amount * 2.0 * self.z * bell

    @cached_property
    def value(self) -> np.ndarray:
        """(m,) float32, unit-area profile, 1/deg."""
        *_, symmetric, _, skew = self._parts
        return np.asarray(symmetric * skew * self.per_width)

    @cached_property
    def _by_z(self) -> np.ndarray:
        gauss, denominator, lorentz, symmetric, bell, skew = self._parts
        z, eta = self.z, self.eta
        by_z = -8.0 * z * (eta * lorentz * denominator + (1.0 - eta) * LN2 * gauss)
        skew_by_z = 2.0 * self.amount * bell * (1.0 - 2.0 * z * z)
        return np.asarray((by_z * skew + symmetric * skew_by_z) * self.per_width)

    @property
    def by_position(self) -> np.ndarray:
        """(m,) derivative to the peak position."""
        return -self._by_z * self.per_width

    @property
    def by_fwhm(self) -> np.ndarray:
        """(m,) derivative to the full width."""
        return -(self.value + self.z * self._by_z) * self.per_width

    @property
    def by_eta(self) -> np.ndarray:
        """(m,) derivative to the Lorentzian fraction."""
        gauss, _, lorentz, _, _, skew = self._parts
        return np.asarray((lorentz - gauss) * skew * self.per_width)

    @property
    def by_skewness(self) -> np.ndarray:
        """(m,) derivative to the skewness."""
        *_, symmetric, bell, _ = self._parts
        return np.asarray(symmetric * 2.0 * self.z * bell * self.per_width)


def stamp(
    grid_deg: np.ndarray,
    position_deg: np.ndarray,
    shape: Shape,
    skewness: np.ndarray,
    reach: np.ndarray,
) -> Stamps:
    """Unit-area peaks at the grid points within ``reach * fwhm``.

    The values are of single precision: the counts they are held against are known to 1e-4 at
    best, and twice as many fit into a processor's registers.

    Parameters
    ----------
    grid_deg : (n,) ascending 2-theta
    position_deg : (k,) peak positions
    shape : of the k peaks
    skewness : (k,) coefficient of the Berar-Baldinozzi term ``2 z exp(-z^2)``
    reach : (k,) half window in units of the full width
    """
    half = reach * shape.fwhm
    first = np.searchsorted(grid_deg, position_deg - half)
    count = np.searchsorted(grid_deg, position_deg + half) - first
    start = np.concatenate([[0], np.cumsum(count)])
    point = np.arange(start[-1]) + np.repeat(first - start[:-1], count)

    def spread(values: np.ndarray) -> np.ndarray:
        return np.repeat(values.astype(np.float32), count)

    per_width = spread(1.0 / shape.fwhm)
    z = (grid_deg[point] - np.repeat(position_deg, count)).astype(np.float32) * per_width
    # 2 z exp(-z^2) reaches 0.86: beyond 1 in absolute value the profile would turn negative
    amount = spread(np.clip(skewness, -1.0, 1.0))
    return Stamps(point, start, z, per_width, spread(shape.eta), amount)


def lorentz_polarisation(two_theta_deg: np.ndarray, monochromator: float = 1.0) -> np.ndarray:
    """Lorentz-polarisation factor of a Bragg-Brentano powder pattern.

    ``(1 + K cos^2 2theta) / ((1 + K) sin^2 theta cos theta)`` with ``K = cos^2 2theta_m`` of the
    monochromator, 1 without one (Azaroff, 1955, Acta Cryst. 8, 701).
    """
    theta = np.radians(two_theta_deg) / 2.0
    polarisation = (1.0 + monochromator * np.cos(2.0 * theta) ** 2) / (1.0 + monochromator)
    return polarisation / (np.sin(theta) ** 2 * np.cos(theta))


def march_dollase(
    hkl: np.ndarray, axis: np.ndarray, metric: np.ndarray, rotations: np.ndarray, r: float
) -> tuple[np.ndarray, np.ndarray]:
    """Texture factor of each reflection and its derivative to r.

    Mean over symmetry-equivalent reflections of
    ``(r^2 cos^2 a + sin^2 a / r)^(-3/2)`` (Dollase, 1986, J. Appl. Cryst. 19, 267), a the
    angle between a plane normal and the preferred axis.

    Parameters
    ----------
    hkl : (n, 3)
    axis : (3,) hkl of the preferred plane normal
    metric : (3, 3) reciprocal metric tensor
    rotations : (m, 3, 3) Laue rotations acting on hkl from the right
    r : 1 random, < 1 plates lying flat
    """
    images = np.einsum("nj,mjk->nmk", np.asarray(hkl, float), rotations)
    length = np.sqrt(np.einsum("nmj,jk,nmk->nm", images, metric, images))
    axis_length = np.sqrt(axis @ metric @ axis)
    cosine2 = np.clip((images @ metric @ axis / (length * axis_length)) ** 2, 0.0, 1.0)
    base = r * r * cosine2 + (1.0 - cosine2) / r
    factor = base**-1.5
    slope = -1.5 * base**-2.5 * (2.0 * r * cosine2 - (1.0 - cosine2) / (r * r))
    return factor.mean(axis=1), slope.mean(axis=1)
