"""Radial profile of a ring pattern: background and fitted peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from xtalfuse.encoders.background import Ends, clipped, flattened, restored
from xtalfuse.encoders.rings.ring_fit import MOST_RINGS, RingFit
from xtalfuse.encoders.rings.sectors import Polar
from xtalfuse.encoders.rings.shape import Beam, direct_beam

DETECTION_SIGMA = 5.0


@dataclass(frozen=True)
class Curve:
    """Azimuthal mean against radius, arrays (n,); NaN where no pixel is seen."""

    radius_px: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Peaks:
    """Fitted peaks of the radial profile, arrays (n,).

    ``fwhm`` is their whole width, ``soft`` what of it is not the disc of the beam; both pixels.
    """

    center: np.ndarray
    center_su: np.ndarray
    height: np.ndarray
    fwhm: np.ndarray
    significance: np.ndarray
    soft: np.ndarray
    area: np.ndarray

    def kept(self, keep: np.ndarray) -> Peaks:
        return Peaks(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def radial_profile(
    sectors: Polar, beam: Beam | None = None, *, settled: bool = False
) -> tuple[Curve, Peaks, Beam]:
    """Azimuthal mean, background, fitted rings and the shape of the beam that they have.

    Parameters
    ----------
    sectors : the image by radius and angle
    beam : shape found before, of a worse centre perhaps
    settled : whether to begin with this shape alone
    """
    radius, mean, sigma = sectors.mean()
    seen = np.isfinite(mean)
    visible = direct_beam(radius, sectors.near_center())
    first, last = np.flatnonzero(seen)[[0, -1]]
    if visible is not None:
        outside = int(np.searchsorted(radius, 1.1 * visible.disc + 5.0 * visible.edge))
        first = min(max(first, outside), last - 10)
    part = slice(first, last + 1)
    r = radius[part]
    filled = np.interp(r, radius[seen], mean[seen])
    scatter = np.interp(r, radius[seen], sigma[seen])
    standing, widths = _standing_out(r, filled, scatter, sectors.step_px)
    starts = [] if beam is None else [beam]
    starts += [] if settled and beam else _starts(widths, visible)
    fits = [RingFit.of(r, filled, scatter, start, standing, visible) for start in starts]
    best = min(fits, key=lambda fit: fit.cost)
    background = np.full_like(mean, np.nan)
    background[part] = best.background
    return Curve(radius, mean, sigma, background), _peaks(best), best.beam


def _peaks(fit: RingFit) -> Peaks:
    """Rings of a fit that are more than their uncertainty."""
    k = len(fit.centers)
    if not k:
        return Peaks(*(np.empty(0) for _ in Peaks.__dataclass_fields__))
    areas, area_su = fit.areas[:k], fit.su[k:]
    center_su = np.hypot(fit.su[:k], fit.model_error())
    rows = []
    for part in fit.merged():
        area, place = areas[part].sum(), np.average(fit.centers[part], weights=areas[part])
        spread = np.sqrt(np.average((fit.centers[part] - place) ** 2, weights=areas[part]))
        soft = 2.3548 * float(np.hypot(fit.beam.edge, spread))
        width = float(np.hypot(fit.beam.fwhm, 2.3548 * spread))
        su = float(np.hypot(center_su[part].mean(), 0.1 * spread))
        height = fit.heights()[part].max()
        sure = area / np.sqrt(np.sum(area_su[part] ** 2))
        rows.append((place, su, height, width, sure, soft, area))
    peaks = Peaks(*np.array(rows).T)
    return peaks.kept(peaks.significance > 3.0)


def _standing_out(
    radius: np.ndarray, mean: np.ndarray, sigma: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Radii and widths (pixels) of the maxima of a profile, the highest first."""
    width = 1.2 / step
    base = snip(ndimage.gaussian_filter1d(mean, width), max(10, int(0.07 * len(mean))))
    smooth = ndimage.gaussian_filter1d(mean - base, width)
    index, _ = signal.find_peaks(smooth, prominence=DETECTION_SIGMA * sigma / np.sqrt(width))
    index = index[np.argsort(-smooth[index])][:MOST_RINGS]
    return radius[index], step * signal.peak_widths(smooth, index, rel_height=0.5)[0]


def _starts(widths: np.ndarray, visible: Beam | None) -> list[Beam]:
    """Shapes worth trying: that of the direct beam, and those of the peaks that stand out."""
    found = [] if visible is None else [visible]
    least, middle = np.quantile(widths[:5], [0.0, 0.5]) if len(widths) else (4.0, 4.0)
    for size in dict.fromkeys(max(round(float(size), 1), 2.0) for size in (least, middle)):
        found += [Beam(0.0, 0.42 * size), Beam(0.5 * size, 0.18 * size)]
    return found


def snip(values: np.ndarray, reach: int) -> np.ndarray:
    """(n,) background under peaks narrower than 2 * `reach` samples, see `encoders.background`."""
    low = float(values.min())
    level = clipped(flattened(values - low, root=True), range(reach, 0, -1), Ends.MIRROR)
    return restored(level, root=True) + low
