"""The radial shape of a ring: a circle smeared by the direct beam.

Each crystal throws an image of the direct beam, which is a disc where the illumination is
convergent or defocused. A ring is the circle, convolved with that disc and with a soft edge (the
camera, the size of the grains). All rings of a pattern share the disc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

_NODES = 24  # of the quadrature over the disc; finer than its edge for discs up to 24 edges
_SEEN_BEAM = 8.0  # pixels from the centre within which the beam must be seen, at least


@dataclass(frozen=True)
class Beam:
    """Disc with a soft edge.

    Parameters
    ----------
    disc : radius, pixels
    edge : standard deviation of its Gaussian edge, pixels
    tails : share of the edge that is Lorentzian, of the same width at half height
    """

    disc: float
    edge: float
    tails: float = 0.0

    @property
    def fwhm(self) -> float:
        """Full width of a ring at half height, pixels (exact for a disc, and for an edge)."""
        chord = np.sqrt(3.0) * self.disc  # a semicircle is half as high there
        return float(np.hypot(chord, 2.3548 * self.edge))

    def profile(self, offset: np.ndarray) -> np.ndarray:
        """Height at these distances from the circle, pixels; 1 / pixel, its area is one."""
        angle = np.arange(1, _NODES + 1) * np.pi / (_NODES + 1)
        nodes = self.disc * np.cos(angle)  # Gauss-Chebyshev of the second kind: chords of a disc
        weights = 2.0 / (_NODES + 1) * np.sin(angle) ** 2
        apart = (np.asarray(offset, float)[..., None] - nodes) / self.edge
        soft = np.exp(-0.5 * apart**2) / np.sqrt(2.0 * np.pi)
        if self.tails:
            half = np.sqrt(2.0 * np.log(2.0))
            soft = (1.0 - self.tails) * soft + self.tails / (
                np.pi * half * (1.0 + (apart / half) ** 2)
            )
        return np.asarray(soft @ weights / self.edge)

    def rings(self, radius: np.ndarray, centers: np.ndarray) -> np.ndarray:
        """(n, k) azimuthal mean at each radius of circles of these radii.

        A smeared circle lies a little outside its radius R, and its intensity is spread over
        2 pi r: to first order in the variance v across R that is v / (2 R) and R / r.
        """
        variance = 0.25 * self.disc**2 + self.edge**2
        reach = 1.5 * self.disc + (30.0 if self.tails else 6.0) * self.edge
        grid = np.linspace(-reach, reach, int(np.clip(16.0 * reach / self.edge, 200, 2000)))
        table = self.profile(grid)
        apart = radius[:, None] - centers - 0.5 * variance / np.maximum(centers, self.fwhm)
        found = np.interp(apart, grid, table, left=0.0, right=0.0)
        return np.asarray(found * centers / np.maximum(radius, 1.0)[:, None])


def direct_beam(radius: np.ndarray, mean: np.ndarray) -> Beam | None:
    """Shape of the direct beam from the azimuthal mean about the centre; None if it is hidden.

    Parameters
    ----------
    radius : (n,) pixels, from zero
    mean : (n,) counts; NaN where no pixel is seen
    """
    near = radius <= _SEEN_BEAM
    if not np.isfinite(mean[near & (radius >= 2.0)]).all():
        return None
    filled = np.where(np.isfinite(mean), mean, np.nanmax(mean[near]))
    top = float(np.median(filled[:3]))
    below = np.flatnonzero(filled < 0.5 * top)
    if not len(below) or top < 2.0 * filled[near | (radius < 4.0 * radius[below[0]])].min():
        return None
    half = float(max(radius[below[0]], 0.5))
    part = radius < 2.0 * half + 4.0
    r, y = radius[part], filled[part] / top

    share = np.sqrt((np.arange(_NODES) + 0.5) / _NODES)  # radii of rings of equal area in a disc

    def misfit(p: np.ndarray) -> np.ndarray:
        edge, rings = half * p[0], half * p[1] * share
        soft = np.exp(-0.5 * ((r[:, None] - rings) / edge) ** 2)
        model = (soft * special.i0e(r[:, None] * rings / edge**2)).sum(1)
        return np.asarray(p[2] * model / model[0] + p[3] - y)

    bounds = ([0.1, 0.0, 0.2, 0.0], [2.0, 1.5, 3.0, 1.0])
    fit = optimize.least_squares(misfit, [0.4, 0.8, 1.0, 0.05], bounds=bounds)
    return Beam(half * float(fit.x[1]), half * float(fit.x[0]))
