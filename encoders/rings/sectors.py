"""Rings seen sector by sector: how round they are, how complete, and where the centre is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.rings.geometry import ELLIPSE_PRIOR, Geometry
from xtalfuse.physics.crystal.polar_bins import PolarBins

SECTORS = 48


@dataclass(frozen=True)
class Polar:
    """An image in polar coordinates of a geometry.

    Parameters
    ----------
    total, square, count : (sectors, n) sums of values, of squares, and pixels, in bins of
        radius ``step_px * k``; a pixel is shared between its two nearest bins
    angle : (sectors,) middle of each sector, radians
    """

    total: np.ndarray
    square: np.ndarray
    count: np.ndarray
    step_px: float
    angle: np.ndarray

    def mean(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Radius, azimuthal mean and its standard error, (n,); NaN where too little is seen."""
        count = self.count.sum(0)
        radius = self.step_px * np.arange(len(count))
        wanted = 2.0 * np.pi * radius * self.step_px
        seen = count > np.maximum(0.15 * wanted, 8.0)
        safe = np.where(seen, count, np.nan)
        mean = self.total.sum(0) / safe
        variance = np.maximum(self.square.sum(0) / safe - mean**2, 0.0)
        floor = 1e-3 * float(np.median(variance[seen])) + 1e-12 if seen.any() else 1.0
        return radius, mean, np.sqrt((variance + floor) / safe)

    def near_center(self) -> np.ndarray:
        """Azimuthal mean where half of the circle is seen, however few pixels that are."""
        count = self.count.sum(0)
        wanted = 2.0 * np.pi * self.step_px**2 * np.maximum(np.arange(len(count)), 0.25)
        return np.where(count > 0.5 * wanted, self.total.sum(0) / np.maximum(count, 1e-9), np.nan)


@dataclass(frozen=True)
class SectorFit:
    """Each ring in each sector: arrays (rings, sectors) unless said otherwise.

    ``agreement`` (rings,) is the mean of the sector heights over its standard error: the
    test that a ring is a ring, which a bump of a picture does not pass.
    """

    radius_px: np.ndarray  # (rings,)
    height: np.ndarray
    height_su: np.ndarray
    shift_px: np.ndarray  # how far outside the common radius the ring lies
    shift_su_px: np.ndarray
    seen: np.ndarray  # sectors with enough good pixels
    angle: np.ndarray  # (sectors,)
    agreement: np.ndarray  # (rings,)
    coverage: np.ndarray  # (rings,)
    center_su_px: tuple[float, float] = (np.nan, np.nan)
    ellipticity_su: float = np.nan

    def usable(self, least_agreement: float) -> np.ndarray:
        """(rings,) bool: rings that agree so well and are placed in five sectors or more."""
        placed = np.isfinite(self.shift_su_px).sum(1) >= 5
        return (self.agreement > least_agreement) & placed


def polar(image: np.ndarray, good: np.ndarray, geometry: Geometry) -> Polar:
    """Bin the good pixels by undistorted radius and angle.

    Parameters
    ----------
    image : (ny, nx) counts
    good : (ny, nx) bool, pixels that may be used
    geometry : centre and ellipse about which is binned
    """
    y, x = np.nonzero(good)
    values = image[good]
    u, v = geometry.undistort(x, y)
    step = 0.5 if max(image.shape) < 400 else 1.0
    bins = PolarBins.of(u, v, sectors=SECTORS, step=step)
    middle = (np.arange(SECTORS) + 0.5) / SECTORS * 2.0 * np.pi - np.pi
    level = float(np.median(values))
    total, count = bins.sums(values - level), bins.sums()
    square = bins.sums((values - level) ** 2) + 2.0 * level * total + level**2 * count
    return Polar(total + level * count, square, count, step, middle)


def fit_sectors(
    sectors: Polar, background: np.ndarray, center: np.ndarray, fwhm: np.ndarray
) -> SectorFit:
    """Height and radial shift of every ring in every sector.

    In each sector the ring is ``A T(r - shift) + b0 + b1 r`` with T the mean profile; to first
    order in the shift that is linear least squares in T, its slope, one and r.

    Parameters
    ----------
    sectors : the image by radius and angle
    background : (n,) smooth part of the mean profile
    center, fwhm : (k,) of the rings, pixels
    """
    radius, mean, _ = sectors.mean()
    net = np.nan_to_num(mean - background)
    shape = (len(center), SECTORS)
    height, shift = np.zeros(shape), np.zeros(shape)
    height_su, shift_su = np.full(shape, np.inf), np.full(shape, np.inf)
    seen = np.zeros(shape, bool)
    for k, (place, width) in enumerate(zip(center, fwhm, strict=True)):
        half = int(np.ceil(max(1.5 * width, 3.0) / sectors.step_px))
        middle = round(place / sectors.step_px)
        window = slice(max(0, middle - half), middle + half + 1)
        count = sectors.count[:, window]
        values = sectors.total[:, window] / np.maximum(count, 1e-9)
        template = net[window]
        slope = np.gradient(net, sectors.step_px)[window]
        u = np.linspace(-1.0, 1.0, count.shape[1])
        design = np.stack([template, -slope, np.ones_like(u), u], 1)
        expected = radius[window] * sectors.step_px * 2.0 * np.pi / SECTORS
        seen[k] = (count > 0.5 * expected).mean(1) > 0.7
        if count.shape[1] < 6 or template.max() <= 0:
            seen[k] = False
        for s in np.flatnonzero(seen[k]):
            normal = (design * count[s][:, None]).T @ design
            inverse = np.linalg.pinv(normal)
            answer = inverse @ ((design * count[s][:, None]).T @ values[s])
            residual = values[s] - design @ answer
            variance = (count[s] @ residual**2) / max(1, len(u) - 4)
            su = np.sqrt(np.maximum(variance * np.diag(inverse), 1e-18))
            height[k, s], height_su[k, s] = answer[0], su[0]
            if answer[0] > 3.0 * su[0]:
                shift[k, s] = np.clip(answer[1] / answer[0], -width, width)
                shift_su[k, s] = su[1] / answer[0] + 0.02 * width
    agreement, coverage = _agreement(height, height_su, seen)
    fit = SectorFit(
        center, height, height_su, shift, shift_su, seen, sectors.angle, agreement, coverage
    )
    steady = fit.usable(3.0)
    if not steady.any():
        return fit
    _, covariance = _solve(fit, steady)
    su = np.sqrt(np.diag(covariance)[:4])
    return replace(
        fit,
        center_su_px=(float(su[0]), float(su[1])),
        ellipticity_su=2.0 * float(np.hypot(su[2], su[3]) / np.sqrt(2.0)),
    )


def _agreement(
    height: np.ndarray, height_su: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over standard error of the sector heights, and the share that carries intensity."""
    rings = len(height)
    agreement, coverage = np.zeros(rings), np.zeros(rings)
    for k in range(rings):
        heights = height[k, seen[k]]
        if len(heights) < 5:
            continue
        error = heights.std(ddof=1) / np.sqrt(len(heights))
        agreement[k] = heights.mean() / max(float(error), 1e-12)
        noise = height_su[k, seen[k]]
        coverage[k] = float(np.mean(heights > np.maximum(0.3 * heights.mean(), 2.0 * noise)))
    return agreement, coverage


def _solve(fit: SectorFit, steady: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correction (dx, dy, e1, e2, radius of each ring) from the shifts, and its covariance.

    A ring with the wrong centre and ellipse lies outside its radius R by
    ``dx cos a + dy sin a + R (e1 cos 2a + e2 sin 2a)``. Tukey weights leave out sectors that
    disagree (neighbouring spots, edges of the beam stop).
    """
    rings = np.flatnonzero(steady)
    rows, targets, errors = [], [], []
    for column, k in enumerate(rings):
        use = np.flatnonzero(fit.seen[k] & np.isfinite(fit.shift_su_px[k]))
        angle = fit.angle[use]
        row = np.zeros((len(use), 4 + len(rings)))
        row[:, 0], row[:, 1] = np.cos(angle), np.sin(angle)
        row[:, 2] = fit.radius_px[k] * np.cos(2.0 * angle)
        row[:, 3] = fit.radius_px[k] * np.sin(2.0 * angle)
        row[:, 4 + column] = 1.0
        rows.append(row)
        targets.append(fit.shift_px[k, use])
        errors.append(fit.shift_su_px[k, use])
    design, target, error = np.vstack(rows), np.concatenate(targets), np.concatenate(errors)
    prior = np.zeros(design.shape[1])
    prior[2:4] = 1.0 / ELLIPSE_PRIOR**2
    prior[4:] = 1e-6
    prior[:2] = 1e-6
    weight = 1.0 / error**2
    answer: np.ndarray = np.zeros(design.shape[1])
    inverse: np.ndarray = np.eye(design.shape[1])
    for _ in range(8):
        inverse = np.linalg.inv((design * weight[:, None]).T @ design + np.diag(prior))
        answer = inverse @ ((design * weight[:, None]).T @ target)
        residual = (target - design @ answer) / error
        size = 1.4826 * float(np.median(np.abs(residual))) + 1e-9
        weight = np.maximum(1.0 - (residual / (4.7 * size)) ** 2, 0.0) ** 2 / (error * size) ** 2
        weight = np.maximum(weight, 1e-12)
    return answer, inverse


def refine(geometry: Geometry, fit: SectorFit, least_agreement: float) -> Geometry:
    """Geometry moved so that the rings whose sectors agree become circles about the centre.

    Parameters
    ----------
    geometry : in which the sectors were fitted
    fit : of the rings in their sectors
    least_agreement : of the sectors of a ring that is used, standard errors of their mean
    """
    steady = fit.usable(least_agreement)
    if not steady.any():
        return geometry
    answer, _ = _solve(fit, steady)
    dx, dy = geometry.matrix() @ answer[:2]
    return Geometry(
        geometry.x + float(dx),
        geometry.y + float(dy),
        geometry.e1 + float(answer[2]),
        geometry.e2 + float(answer[3]),
    )
