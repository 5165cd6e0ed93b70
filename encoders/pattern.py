"""Powder pattern -> the signal that phases are scored against.

A pattern is put on a grid as fine as its peaks need, its noise is measured, its slowly varying
background is estimated and its peaks are listed. `tasks.identify.powder` then scores a library.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from xtalfuse.encoders.background import Ends, clipped, flattened, restored
from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.units import Radiation, d_spacing

ENCODER = Encoder[Any](
    "pattern",
    "powder pattern -> noise, background and peaks on a grid as fine as its peaks need",
    frozenset({Modality.XRD}),
    "xtalfuse.encoders.pattern:encode_pattern",
)
MAX_POINTS = 12_000
D_MIN_ANGSTROM = 0.7  # where the reflections of a library end


@dataclass(frozen=True)
class ObservedPeaks:
    """Local maxima that stand out of the noise, in order of angle."""

    two_theta_deg: np.ndarray
    height: np.ndarray  # above background, in the unit of the pattern
    significance: np.ndarray  # height over its standard uncertainty
    fwhm_deg: np.ndarray


@dataclass(frozen=True)
class PatternSignal:
    """A powder pattern made ready for scoring and fitting.

    Parameters
    ----------
    two_theta_deg : (n,) ascending
    intensity : (n,) in the unit of the file, summed over merged channels
    variance : (n,) of the counting noise
    background : (n,) estimate under the peaks
    fwhm_deg : typical full width of its peaks
    merged : how many channels of the file make one point
    """

    two_theta_deg: np.ndarray
    intensity: np.ndarray
    variance: np.ndarray
    background: np.ndarray
    fwhm_deg: float
    peaks: ObservedPeaks
    radiation: Radiation
    merged: int = 1

    @property
    def step_deg(self) -> float:
        """Median distance of two points."""
        return float(np.median(np.diff(self.two_theta_deg)))

    @property
    def net(self) -> np.ndarray:
        """(n,) intensity above background."""
        return self.intensity - self.background

    @property
    def range_deg(self) -> tuple[float, float]:
        """First and last angle."""
        return float(self.two_theta_deg[0]), float(self.two_theta_deg[-1])


def encode_pattern(measurement: Measurement, points_per_width: float = 5.0) -> PatternSignal:
    """Put a powder pattern on a fitting grid and describe its noise, background and peaks.

    Parameters
    ----------
    measurement : intensity against an axis "two_theta" in deg, with its radiation
    points_per_width : channels are merged while a peak keeps this many points in its full width

    Raises
    ------
    ValueError
        If the measurement has no radiation, fewer than 100 points, or a value that is no number.
    """
    if measurement.radiation is None:
        raise ValueError(f"{measurement.provenance.path}: no wavelength; pass --wavelength CuKa")
    angle = np.asarray(measurement.axis("two_theta"), float)
    intensity = np.asarray(measurement.values, float)
    if len(angle) < 100:
        raise ValueError(f"{measurement.provenance.path}: {len(angle)} points are too few to fit")
    if bad := int((~np.isfinite(intensity)).sum()):
        raise ValueError(
            f"{measurement.provenance.path}: {bad} of {len(angle)} intensities are no numbers; "
            "export the pattern again"
        )
    variance = _noise(intensity, measurement.sigma)
    sine = min(1.0, measurement.radiation.primary_angstrom / (2.0 * D_MIN_ANGSTROM))
    longest = 2.0 * np.degrees(np.arcsin(sine))
    usable = (intensity > 0) & (angle > 1.0) & (angle < min(165.0, longest))
    if usable.any():  # a detector that had not opened yet, or a dead end
        span = np.flatnonzero(usable)
        angle, intensity, variance = (
            values[span[0] : span[-1] + 1] for values in (angle, intensity, variance)
        )
    width = _typical_width(angle, intensity, variance)
    step = float(np.median(np.diff(angle)))
    merge = max(1, int(width / points_per_width / step), int(np.ceil(len(angle) / MAX_POINTS)))
    if merge > 1:
        n = len(angle) // merge * merge
        angle = angle[:n].reshape(-1, merge).mean(axis=1)
        intensity = intensity[:n].reshape(-1, merge).sum(axis=1)
        variance = variance[:n].reshape(-1, merge).sum(axis=1)
    background = snip_background(angle, intensity, width)
    peaks = find_peaks_of(angle, intensity - background, variance, width)
    return PatternSignal(
        angle, intensity, variance, background, width, peaks, measurement.radiation, merge
    )


def _noise(intensity: np.ndarray, sigma: np.ndarray | None) -> np.ndarray:
    """Variance of each channel; counts obey Poisson, other units are scaled to the scatter seen.

    The third difference of a smooth curve vanishes, so its scatter measures the noise alone.
    """
    from scipy.ndimage import uniform_filter1d

    level = np.maximum(uniform_filter1d(intensity, 5), 1e-12)
    third = np.convolve(intensity, [1.0, -3.0, 3.0, -1.0], mode="valid")
    seen = third**2 / 20.0
    expected = level[2:-1] if sigma is None else np.asarray(sigma, float)[2:-1] ** 2
    quiet = level[2:-1] < np.percentile(level, 60)
    quiet |= not quiet.any()  # a flat line has no quieter part
    # median of chi^2 with one degree of freedom is 0.455
    gain = float(np.median((seen / np.maximum(expected, 1e-12))[quiet])) / 0.455
    if sigma is not None:
        base = np.asarray(sigma, float) ** 2
        return np.maximum(base, np.median(base) * 1e-3) * max(1.0, min(gain, 100.0))
    if 0.6 < gain < 1.7 or gain <= 0.0:
        gain = 1.0
    return gain * np.maximum(level, max(float(np.percentile(level, 5)), 1e-12))


def _typical_width(angle: np.ndarray, intensity: np.ndarray, variance: np.ndarray) -> float:
    """Full width at half maximum of the sharper ones of the strongest peaks, deg."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks, peak_widths

    step = float(np.median(np.diff(angle)))
    smooth = gaussian_filter1d(intensity, float(np.clip(0.015 / step, 0.5, 2.0)))
    floor = snip_background(angle, smooth, 0.3)
    net = smooth - floor
    height = max(float(np.percentile(net, 99.5)) * 0.3, 5.0 * float(np.sqrt(np.median(variance))))
    found, _ = find_peaks(net, height=height, distance=max(1, int(0.1 / step)))
    if not len(found):
        return 0.15
    strongest = found[np.argsort(-net[found])][:20]
    widths = peak_widths(net, strongest, rel_height=0.5)[0] * step
    return float(np.clip(np.percentile(widths, 25), 3.0 * step, 2.0))


def snip_background(angle: np.ndarray, intensity: np.ndarray, width_deg: float) -> np.ndarray:
    """Background of a powder pattern by peak clipping, see `encoders.background`.

    Parameters
    ----------
    angle, intensity : (n,) angles, deg, uniform, and intensities
    width_deg : full width of a peak, deg

    Returns
    -------
    (n,) in the unit of the intensity
    """
    from scipy.ndimage import gaussian_filter1d

    step = float(np.median(np.diff(angle)))
    smooth = gaussian_filter1d(intensity, max(1.0, 0.25 * width_deg / step))
    scale = max(float(np.median(np.abs(smooth))), 1e-12)
    low = min(float(smooth.min()), 0.0)  # no value below it has a logarithm
    level = flattened((smooth - low) / scale, root=False)
    reach = max(3, int(min(12.0 * width_deg, 4.0) / step))
    level = clipped(level, range(reach, 0, -max(1, reach // 24)), Ends.KEEP)
    floor = restored(level, root=False) * scale + low
    return gaussian_filter1d(np.minimum(floor, smooth), max(1.0, reach / 4.0))


def find_peaks_of(
    angle: np.ndarray, net: np.ndarray, variance: np.ndarray, width_deg: float
) -> ObservedPeaks:
    """Peaks of a background-free curve that stand 4 standard uncertainties above it.

    Parameters
    ----------
    angle, net, variance : (n,) angles, deg, uniform; intensities above background, and their
        variance
    width_deg : full width of a peak, deg; shapes are looked for on this scale
    """
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d
    from scipy.signal import find_peaks, peak_widths

    step = float(np.median(np.diff(angle)))
    sigma = max(0.425 * width_deg / step, 0.7)
    smooth = gaussian_filter1d(net, sigma)
    # a Gaussian filter of s channels averages about 2 sqrt(pi) s of them
    error = np.sqrt(gaussian_filter1d(variance, sigma) / (2.0 * np.sqrt(np.pi) * sigma))
    found, _ = find_peaks(smooth / error, height=4.0, distance=max(1, int(0.7 * width_deg / step)))
    crest = smooth - minimum_filter1d(smooth, max(3, int(3.0 * width_deg / step)))
    found = found[crest[found] > 3.0 * error[found]]
    peak = maximum_filter1d(net, max(1, int(width_deg / step / 2)))[found]
    significance = smooth[found] / error[found]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a shoulder has no prominence; its width is then 0
        width = peak_widths(smooth, found, rel_height=0.5)[0] * step
    return ObservedPeaks(angle[found], np.maximum(peak, smooth[found]), significance, width)


def peak_d(peaks: ObservedPeaks, radiation: Radiation) -> np.ndarray:
    """d in angstrom of observed peaks, for the strongest emission line."""
    return d_spacing(peaks.two_theta_deg, radiation.primary_angstrom)
