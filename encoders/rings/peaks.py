"""Radial profile of a ring pattern: background and fitted peaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, optimize, signal

from xtalfuse.encoders.background import Ends, clipped, flattened, restored
from xtalfuse.encoders.rings.sectors import Polar

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
    """Fitted peaks of the radial profile, arrays (n,)."""

    center: np.ndarray
    center_su: np.ndarray
    height: np.ndarray
    fwhm: np.ndarray
    significance: np.ndarray

    def kept(self, keep: np.ndarray) -> Peaks:
        return Peaks(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def radial_profile(sectors: Polar) -> tuple[Curve, Peaks]:
    """Azimuthal mean, background and fitted peaks."""
    radius, mean, sigma = sectors.mean()
    seen = np.isfinite(mean)
    span = np.flatnonzero(seen)
    inner, outer = span[0], span[-1] + 1
    filled = np.interp(radius[inner:outer], radius[seen], mean[seen])
    scatter = np.interp(radius[inner:outer], radius[seen], sigma[seen])
    reach = max(10.0, 0.07 * (outer - inner) * sectors.step_px) / sectors.step_px
    base = snip(ndimage.gaussian_filter1d(filled, 1.0 / sectors.step_px), int(reach))
    background = np.full_like(mean, np.nan)
    background[inner:outer] = base
    net = filled - base
    peaks = _fit_peaks(radius[inner:outer], net, scatter, sectors.step_px, int(reach))
    return Curve(radius, mean, sigma, background), peaks


def snip(values: np.ndarray, reach: int) -> np.ndarray:
    """(n,) background under peaks narrower than 2 * `reach` samples, see `encoders.background`."""
    low = float(values.min())
    level = clipped(flattened(values - low, root=True), range(reach, 0, -1), Ends.MIRROR)
    return restored(level, root=True) + low


def _fit_peaks(
    radius: np.ndarray, net: np.ndarray, sigma: np.ndarray, step: float, widest: int
) -> Peaks:
    """Detect peaks in a net profile and fit them together, overlapping ones too."""
    width = 1.2 / step
    smooth = ndimage.gaussian_filter1d(net, width)
    noise = ndimage.gaussian_filter1d(sigma, width) / np.sqrt(2.0 * np.sqrt(np.pi) * width)
    least = DETECTION_SIGMA * noise
    index, _ = signal.find_peaks(smooth, height=least, prominence=least)
    fwhm = np.maximum(signal.peak_widths(smooth, index, rel_height=0.5)[0], 1.5)
    # what is wider than the background's own window is a remainder of the background
    kept = (index > 2) & (index < len(net) - 3) & (fwhm < widest)
    index, fwhm = index[kept], fwhm[kept]
    if not len(index):
        return Peaks(*(np.empty(0) for _ in range(5)))
    index, fwhm = _with_shoulders(net, sigma, index, fwhm, float(fwhm[np.argmax(smooth[index])]))
    fwhm = fwhm * step
    return _joint_fit(radius, net, 0.3 * sigma.mean() + sigma, radius[index], smooth[index], fwhm)


def _with_shoulders(
    net: np.ndarray, sigma: np.ndarray, index: np.ndarray, fwhm: np.ndarray, typical: float
) -> tuple[np.ndarray, np.ndarray]:
    """Peaks that only bend the flank of a neighbour, from the second derivative."""
    width = max(0.35 * typical, 1.0)
    bend = -ndimage.gaussian_filter1d(net, width, order=2)
    noise = ndimage.gaussian_filter1d(sigma, width) * np.sqrt(
        3.0 / (8.0 * np.sqrt(np.pi) * width**5)
    )
    more, _ = signal.find_peaks(bend, height=DETECTION_SIGMA * noise, prominence=3.0 * noise)
    more = more[(more > 2) & (more < len(net) - 3)]
    apart = np.abs(more[:, None] - index[None, :]).min(1)
    more = more[(apart > 0.6 * typical) & (net[more] > 3.0 * sigma[more])]
    both = np.concatenate([index, more])
    widths = np.concatenate([fwhm, np.full(len(more), typical)])
    order = np.argsort(both)
    return both[order], widths[order]


def _joint_fit(
    radius: np.ndarray,
    net: np.ndarray,
    sigma: np.ndarray,
    center: np.ndarray,
    height: np.ndarray,
    fwhm: np.ndarray,
) -> Peaks:
    """Pseudo-Voigt peaks (one common mixing) on a line for each group that overlaps."""
    results: list[tuple[float, ...]] = []
    edges = np.flatnonzero(np.diff(center) > 2.0 * (fwhm[:-1] + fwhm[1:])) + 1
    for group in np.split(np.arange(len(center)), edges):
        reach = 2.0 * fwhm[group].max()
        part = (radius > center[group[0]] - reach) & (radius < center[group[-1]] + reach)
        r, y, s = radius[part], net[part], sigma[part]
        n = len(group)
        middle = r.mean()

        def model(
            p: np.ndarray, r: np.ndarray = r, n: int = n, middle: float = middle
        ) -> np.ndarray:
            u = 2.0 * (r[:, None] - p[:n]) / np.abs(p[n : 2 * n])
            shape = (1.0 - p[-3]) * np.exp(-np.log(2.0) * u**2) + p[-3] / (1.0 + u**2)
            return shape @ p[2 * n : 3 * n] + p[-2] + p[-1] * (r - middle)

        start = np.concatenate([center[group], fwhm[group], height[group], [0.3, 0.0, 0.0]])
        low = np.concatenate(
            [center[group] - fwhm[group], 0.3 * fwhm[group], np.zeros(n), [0.0, -np.inf, -np.inf]]
        )
        high = np.concatenate(
            [
                center[group] + fwhm[group],
                3.0 * fwhm[group],
                np.full(n, np.inf),
                [1.0, np.inf, np.inf],
            ]
        )
        start = np.clip(start, low + 1e-9, np.where(np.isfinite(high), high - 1e-9, start + 1.0))
        fit = optimize.least_squares(
            lambda p, y=y, s=s, model=model: (model(p) - y) / s,
            start,
            bounds=(low, high),
            x_scale="jac",
            max_nfev=40,
        )
        spread = max(1.0, 2.0 * fit.cost / max(1, len(r) - len(start)))
        covariance = spread * np.linalg.pinv(fit.jac.T @ fit.jac)
        su = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        for k in range(n):
            results.append(
                (
                    fit.x[k],
                    su[k],
                    fit.x[2 * n + k],
                    abs(fit.x[n + k]),
                    fit.x[2 * n + k] / su[2 * n + k],
                )
            )
    peaks = Peaks(*np.array(results).T)
    return peaks.kept(peaks.significance > 3.0)
