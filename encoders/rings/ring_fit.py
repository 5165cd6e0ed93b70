"""Rings of one beam on a smooth background, fitted together to an azimuthal mean.

Rings are added one by one where they explain most of what is left (orthogonal matching pursuit),
each time fitted anew together with the shape of the beam. So two rings that overlap are parted by
the shape that those standing alone show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import interpolate

from xtalfuse.encoders.rings.shape import Beam

MOST_RINGS = 40
SHAPE = 3  # numbers of a beam: disc, edge, tails
MODEL_ERROR = 0.01  # of the height of the rings: no beam is quite a disc
LEAST_RELATIVE = 0.004  # of the highest ring: below it an error of the model passes for a ring
LEAST_FLANK = 0.08  # of a ring near by, likewise; it falls off as tails do
ADDED_SIGMA = 5.0  # by which a further ring must lessen the misfit


@dataclass(frozen=True)
class RingFit:
    """Rings fitted to an azimuthal mean, arrays (n,) unless said otherwise.

    Parameters
    ----------
    radius, mean, sigma : the azimuthal mean; its standard error with that of the model
    smooth : (n, b) smooth functions that the background is made of
    beam : shape of all rings
    centers : (k,) radii of the rings
    areas : (k + b,) areas of the rings, then coefficients of the background
    su : (2 k,) standard uncertainties of the radii, then of the areas
    chi2 : of the fit
    seen : the direct beam, where it shows: no ring is made by a larger disc
    """

    radius: np.ndarray
    mean: np.ndarray
    sigma: np.ndarray
    smooth: np.ndarray
    beam: Beam
    centers: np.ndarray
    areas: np.ndarray
    su: np.ndarray
    chi2: float
    seen: Beam | None

    @classmethod
    def of(
        cls,
        radius: np.ndarray,
        mean: np.ndarray,
        sigma: np.ndarray,
        beam: Beam,
        centers: np.ndarray,
        seen: Beam | None,
    ) -> RingFit:
        """The rings of an azimuthal mean, starting from a shape of the beam.

        Parameters
        ----------
        radius, mean, sigma : (n,) pixels; counts and their standard error
        beam : shape to begin with
        centers : (k,) radii of the rings that stand out
        seen : the direct beam, where it shows: no ring is made by a larger disc
        """
        smooth = _smooth_functions(radius, beam)
        none = np.empty(0)
        start = cls(radius, mean, sigma, smooth, beam, np.sort(centers), none, none, np.inf, seen)
        # first with this very beam: one that grows swallows neighbours before they are found
        fit = start._solved()._refined(6, shape=False)._pruned(shape=False)._extended(shape=False)
        fit = fit._refined(12)._pruned()
        return fit._extended()._refined(12)._pruned()

    @property
    def model(self) -> np.ndarray:
        return self._design() @ self.areas

    @property
    def background(self) -> np.ndarray:
        return self.smooth @ self.areas[len(self.centers) :]

    @property
    def cost(self) -> float:
        """Misfit, with the price of each ring (Schwarz): two numbers, and three of the beam."""
        return self.chi2 + 2.0 * len(self.centers) * float(np.log(len(self.radius)))

    @property
    def excess(self) -> float:
        """Chi squared of the median point: above one where the model or the noise is wrong."""
        off = np.abs(self.mean - self.model) / self.sigma
        return max(1.0, (1.4826 * float(np.median(off))) ** 2)

    def heights(self) -> np.ndarray:
        """(k,) of the rings, counts."""
        top = self.beam.profile(np.zeros(1))[0]
        return self.areas[: len(self.centers)] * top

    def model_error(self) -> np.ndarray:
        """(k,) pixels by which an error of the model moves each ring.

        What is left about a ring beyond its noise, and `MODEL_ERROR` of all that stands there,
        over its slope, which is its height over its width.
        """
        left = (self.mean - self.model) ** 2 - self.sigma**2
        near = np.abs(self.radius[:, None] - self.centers) < self.beam.fwhm
        beyond = np.maximum(left @ near / np.maximum(near.sum(0), 1), 0.0)
        standing = np.interp(self.centers, self.radius, self.model - self.background)
        error = np.sqrt(beyond + (MODEL_ERROR * standing) ** 2)
        return np.asarray(self.beam.fwhm * error / np.maximum(self.heights(), 1e-300))

    def merged(self) -> list[np.ndarray]:
        """Rings by number, those together of which four or more run into each other.

        No powder has so many lines at such even distances: it is one, wider than the beam.
        """
        k = len(self.centers)
        places = np.sort(np.append(self.centers, 0.5 * (self.centers[1:] + self.centers[:-1])))
        total = self.beam.rings(places, self.centers) @ self.areas[:k]
        dips = total[1:-1:2] < 0.85 * np.minimum(total[:-2:2], total[2::2])
        chains = np.split(np.arange(k), np.flatnonzero(dips) + 1)
        return [
            part
            for chain in chains
            for part in (
                [chain]
                if _one(self.centers[chain], self.areas[chain])
                else np.split(chain, len(chain))
            )
        ]

    def _design(self) -> np.ndarray:
        return np.hstack([self.beam.rings(self.radius, self.centers), self.smooth])

    def _solved(self) -> RingFit:
        """Best areas and background for these radii and this beam."""
        design = self._design()
        weight = 1.0 / self.sigma
        areas = np.linalg.lstsq(design * weight[:, None], self.mean * weight, rcond=1e-10)[0]
        chi2 = float(np.sum(((self.mean - design @ areas) * weight) ** 2))
        return replace(self, areas=areas, chi2=chi2)

    def _next(self) -> float | None:
        """Radius where one more ring lessens the misfit most; None if it is not worth it."""
        weight = 1.0 / self.sigma
        basis, _ = np.linalg.qr(self._design() * weight[:, None])
        places = np.arange(self.radius[0], self.radius[-1], min(1.0, 0.25 * self.beam.fwhm))
        template = self.beam.rings(self.radius, places) * weight[:, None]
        template = template - basis @ (basis.T @ template)
        left = (self.mean - self.model) * weight
        size = np.sqrt((template**2).sum(0)) + 1e-12
        score = template.T @ left / size  # in standard deviations
        ends = 0.5 * self.beam.fwhm
        score[(places < self.radius[0] + ends) | (places > self.radius[-1] - ends)] = 0.0
        area = score / size
        if len(self.centers):
            known = self.areas[: len(self.centers)]
            apart = np.abs(places[:, None] - self.centers) / self.beam.fwhm
            least = LEAST_RELATIVE + LEAST_FLANK / (1.0 + (0.5 * apart) ** 2)
            flank = least * np.maximum(known, 0.0)
            score[(area < flank.max(1)) | (apart.min(1) < 0.25)] = 0.0
        best = int(np.argmax(score))
        return float(places[best]) if score[best] > ADDED_SIGMA * np.sqrt(self.excess) else None

    def _extended(self, *, shape: bool = True) -> RingFit:
        """With further rings, as long as one is worth its price."""
        fit = self
        for _ in range(MOST_RINGS):
            place = fit._next()
            if place is None or len(fit.centers) >= MOST_RINGS:
                break
            more = replace(fit, centers=np.sort(np.append(fit.centers, place)))._solved()
            more = more._refined(4, shape=shape)._pruned(shape=shape)
            if more.cost > fit.cost - 1.0:
                break
            fit = more
        return fit

    def _refined(self, steps: int, *, shape: bool = True) -> RingFit:
        """Radii, and the shape of the beam, by least squares (Levenberg and Marquardt)."""
        fit, damping, k = self, 1e-3, len(self.centers)
        for _ in range(steps):
            normal, gradient = fit._normal(shape=shape)
            for _ in range(4):
                move = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient)
                tried = fit._moved(move[: k + SHAPE])
                if tried.chi2 < fit.chi2:
                    break
                damping *= 10.0
            else:
                break
            gain, fit, damping = fit.chi2 - tried.chi2, tried, 0.2 * damping
            if gain < 0.01 * fit.excess:
                break
        covariance = np.linalg.inv(fit._normal(shape=shape)[0])
        su = np.sqrt(np.maximum(np.diag(covariance), 0.0) * fit.excess)
        return replace(fit, su=np.concatenate([su[:k], su[k + SHAPE : 2 * k + SHAPE]]))

    def _normal(self, *, shape: bool) -> tuple[np.ndarray, np.ndarray]:
        """Normal matrix and gradient in radii, the three of the beam, areas, background."""
        k, weight = len(self.centers), 1.0 / self.sigma
        rings, beam, h = self.areas[:k], self.beam, 0.05
        up, down = (beam.rings(self.radius, self.centers + s * h) for s in (1, -1))
        here = self._design()
        plain = here[:, :k] @ rings
        grown = [
            replace(beam, disc=beam.disc + h).rings(self.radius, self.centers) @ rings - plain,
            replace(beam, edge=beam.edge + h).rings(self.radius, self.centers) @ rings - plain,
            replace(beam, tails=beam.tails + h).rings(self.radius, self.centers) @ rings - plain,
        ]
        design = np.hstack([(up - down) / (2.0 * h) * rings, np.stack(grown, 1) / h, here])
        design *= weight[:, None]
        normal = design.T @ design
        # what nothing depends on (the disc of a pattern without one) stays where it is
        normal += np.diag(1e-9 * np.diag(normal) + 1e-12 * np.diag(normal).max())
        if not shape:
            normal[range(k, k + SHAPE), range(k, k + SHAPE)] *= 1e12
        return normal, design.T @ ((self.mean - self.model) * weight)

    def _moved(self, move: np.ndarray) -> RingFit:
        k, width = len(self.centers), self.beam.fwhm
        centers = self.centers + np.clip(move[:k], -0.3 * width, 0.3 * width)
        disc, edge = self.beam.disc + np.clip(move[k], -2.0, 2.0), self.beam.edge
        edge += float(np.clip(move[k + 1], -0.3 * edge, 0.5 * edge))
        largest = self.radius[-1] / 8.0 if self.seen is None else 1.1 * self.seen.disc + 0.5
        disc = float(np.clip(disc, 0.0, largest))
        tails = float(np.clip(self.beam.tails + np.clip(move[k + 2], -0.2, 0.2), 0.0, 1.0))
        beam = Beam(disc, float(max(edge, 0.4, disc / 20.0)), tails)
        return replace(self, centers=centers, beam=beam)._solved()

    def _pruned(self, *, shape: bool = True) -> RingFit:
        """Without rings that vanished, fell together or say nothing; refined where some did."""
        k = len(self.centers)
        sure = self.areas[:k] / np.maximum(self.su[k:], 1e-300)
        keep = (self.centers > self.radius[0]) & (self.centers < self.radius[-1])
        keep &= sure > 0.6 * ADDED_SIGMA
        for i in np.flatnonzero(np.diff(self.centers) < 0.25 * self.beam.fwhm):
            keep[i + int(sure[i + 1] < sure[i])] = False
        if keep.all():
            return self
        if (keep | (sure <= sure[~keep].min())).all():
            fewer = replace(self, centers=self.centers[keep])
        else:  # one at a time: what is left may be surer without it
            worst = int(np.argmin(np.where(keep, np.inf, sure)))
            fewer = replace(self, centers=np.delete(self.centers, worst))
        return fewer._solved()._refined(6, shape=shape)._pruned(shape=shape)


def _one(centers: np.ndarray, areas: np.ndarray) -> bool:
    """Whether these are a ring wider than the beam: four of one size, or an even row with a top."""
    if int((areas > 0.3 * areas.max()).sum()) >= 4:
        return True
    steps, top = np.diff(centers), int(np.argmax(areas))
    if not 0 < top < len(areas) - 1:
        return False
    single = (np.diff(areas[: top + 1]) > 0).all() and (np.diff(areas[top:]) < 0).all()
    return bool(single and steps.max() < 1.3 * steps.min())


def _smooth_functions(radius: np.ndarray, beam: Beam) -> np.ndarray:
    """(n, b) functions too smooth for a ring: falling away from the centre, and splines.

    Their knots stand so near that a halo of three widths of a ring is followed; what a stiffer
    background leaves of it is taken up by rings of too small a beam.
    """
    span = float(np.ptp(radius))
    pieces = int(np.clip(span / (1.8 * beam.fwhm), 2, 40))
    knots = np.linspace(radius[0], radius[-1] + 1e-6, pieces + 1)
    padded = np.concatenate([[knots[0]] * 3, knots, [knots[-1]] * 3])
    splines = interpolate.BSpline.design_matrix(radius, padded, 3).toarray()
    falls = [np.exp(-(radius - radius[0]) / (span * share)) for share in (0.02, 0.05, 0.12)]
    return np.hstack([splines, np.stack(falls, 1)])
