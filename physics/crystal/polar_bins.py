"""Images of rings: sums by radius and sector, and the points about which an image is even."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PolarBins:
    """Circles and sectors about a point, and how n pixels fall among them.

    A pixel between two circles counts with both, by its nearness to each.

    Parameters
    ----------
    place : (n,) inner circle and sector of each pixel, as one number
    outer : (n,) share of each pixel that counts with the next circle outwards
    sectors, circles : how many there are
    """

    place: np.ndarray
    outer: np.ndarray
    sectors: int
    circles: int

    @classmethod
    def of(cls, u: np.ndarray, v: np.ndarray, *, sectors: int = 1, step: float = 1.0) -> PolarBins:
        """Circles of radius 0, step, 2 step, ... and sectors that begin at the negative u axis.

        Parameters
        ----------
        u, v : (n,) places of the pixels from the centre
        sectors : number of sectors
        step : distance of the circles, in the unit of u and v
        """
        radius = np.hypot(u, v)
        if step != 1.0:
            radius /= step
        inner = radius.astype(int)
        circles = int(inner.max()) + 2
        place = inner
        if sectors > 1:
            turn = np.arctan2(v, u) / (2.0 * np.pi) + 0.5
            place = (turn * sectors).astype(int) % sectors * circles + inner
        return cls(place, radius - inner, sectors, circles)

    def whole(self) -> PolarBins:
        """The same with each pixel counted with its inner circle alone."""
        return PolarBins(self.place, np.zeros_like(self.outer), self.sectors, self.circles)

    def sums(self, weights: np.ndarray | float = 1.0) -> np.ndarray:
        """Sum over the pixels of each circle in each sector: (sectors, circles).

        Parameters
        ----------
        weights : (n,) what is summed; 1 counts the pixels
        """
        length = self.sectors * self.circles
        total = np.bincount(self.place, weights * (1.0 - self.outer), minlength=length)
        total += np.bincount(self.place + 1, weights * self.outer, minlength=length)
        return total.reshape(self.sectors, self.circles)


def turned_match(image: np.ndarray) -> np.ndarray:
    """Sum of an image times itself turned by 180 degrees, for each point to turn it about.

    A diffraction pattern is even about its centre (Friedel's law), where the sum is greatest.

    Parameters
    ----------
    image : (ny, nx)

    Returns
    -------
    (2 ny, 2 nx), with the turn about the point (i / 2, j / 2) at [i, j]; near the border few
    pixels meet another, and the sum is of these few
    """
    shape = [2 * n for n in image.shape]
    return np.fft.irfft2(np.fft.rfft2(image, shape) ** 2, shape)
