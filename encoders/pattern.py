"""Powder pattern -> the signal that phases are scored against.

A pattern is put on a grid as fine as its peaks need, its noise is measured, its slowly varying
background is estimated and its peaks are listed. `tasks.identify.powder` then scores a library.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
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
LEAST_POINTS = 2.5  # in the full width of a line, whatever the length of a scan
FIRST_LOOK = 24_000  # channels that are enough to see how wide lines are
DEEP = 0.3  # of its height, by which a peak stands out of its surroundings: a doublet does
GAP = 3.0  # steps without a point that are one; rounded angles make every other step twofold
NEW_STEP = 1.4  # ratio of two steps, means over ten, that rounding does not make
WIDEST = 4.0  # deg, of a line: crystals of two nanometres
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

    Only what was measured is in it: between its `sections` there are no points.

    Parameters
    ----------
    two_theta_deg : (n,) ascending
    intensity : (n,) in the unit of the file, summed over merged channels (where the step changes,
        over as many of the finest as `merged`)
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

    @cached_property
    def step_deg(self) -> float:
        """Median distance of two points."""
        return float(np.median(np.diff(self.two_theta_deg)))

    @cached_property
    def sections(self) -> tuple[slice, ...]:
        """Runs of points without a gap and of one step."""
        return sections_of(self.two_theta_deg)

    def measured(self, position_deg: np.ndarray) -> np.ndarray:
        """Which angles lie in a section; NaN lies in none."""
        ends = [self.two_theta_deg[[s.start, s.stop - 1]] for s in self.sections]
        return np.searchsorted(np.concatenate(ends), position_deg) % 2 == 1

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
    from xtalfuse.encoders.noise import channel_noise

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
    sine = min(1.0, measurement.radiation.primary_angstrom / (2.0 * D_MIN_ANGSTROM))
    longest = 2.0 * np.degrees(np.arcsin(sine))
    usable = (intensity > 0) & (angle > 1.0) & (angle < min(165.0, longest))
    span = np.flatnonzero(usable)  # not a detector that had not opened yet, or a dead end
    kept = slice(span[0], span[-1] + 1) if len(span) else slice(None)
    angle, intensity = angle[kept], intensity[kept]
    sigma = None if measurement.sigma is None else np.asarray(measurement.sigma, float)[kept]
    sections = sections_of(angle)
    variance = channel_noise(intensity, sigma, sections)
    width = _typical_width(angle, intensity, variance, sections)
    step = min(float(np.median(np.diff(angle[s]))) for s in sections)
    variance = channel_noise(intensity, sigma, sections, max(1, round(width / step)))
    # a very long file is merged further, while its lines are still seen as lines
    long = min(int(np.ceil(len(angle) / MAX_POINTS)), int(width / LEAST_POINTS / step))
    merge = max(1, int(width / points_per_width / step), long)
    angle, intensity, variance = merged(angle, intensity, variance, sections, merge, step)
    background = snip_background(angle, intensity, width)
    peaks = find_peaks_of(angle, intensity - background, variance, width)
    return PatternSignal(
        angle, intensity, variance, background, width, peaks, measurement.radiation, merge
    )


def sections_of(angle: np.ndarray) -> tuple[slice, ...]:
    """Runs of points without a gap and of one step, in order.

    Parameters
    ----------
    angle : (n,) ascending
    """
    from scipy.ndimage import median_filter

    steps = np.diff(angle)
    ends = np.flatnonzero(steps > GAP * median_filter(steps, min(11, len(steps)))) + 1
    bounds, found = [0, *ends, len(angle)], []
    todo = list(pairwise(bounds))[::-1]
    while todo:
        first, last = todo.pop()
        run = angle[first:last]
        if len(run) > 30:
            ten = (run[10:] - run[:-10]) / 10.0
            change = np.abs(np.log(ten[10:] / ten[:-10]))
            at = int(np.argmax(change))
            if change[at] > np.log(NEW_STEP):
                # where the change is: the middle of all that see it as clearly
                cut = first + 10 + round(float(np.flatnonzero(change > 0.99 * change[at]).mean()))
                todo += [(cut, last), (first, cut)]
                continue
        found.append(slice(first, last))
    return tuple(found)


def merged(
    angle: np.ndarray,
    intensity: np.ndarray,
    variance: np.ndarray,
    sections: tuple[slice, ...],
    count: int,
    step: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums over so many channels of the finest step, or over what is as wide; within sections.

    Parameters
    ----------
    angle, intensity, variance : (n,) of channels
    sections : runs of them
    count : channels of the finest step that make one point
    step : the finest
    """
    parts = []
    for s in sections:
        own = float(np.median(np.diff(angle[s]))) if s.stop - s.start > 1 else step
        here = max(1, min(round(count * step / own), s.stop - s.start))
        inside = slice(s.start, s.start + (s.stop - s.start) // here * here)
        x, y, v = (a[inside].reshape(-1, here) for a in (angle, intensity, variance))
        share = count / here
        parts.append((x.mean(axis=1), y.sum(axis=1) * share, v.sum(axis=1) * share**2))
    x, y, v = (np.concatenate(column) for column in zip(*parts, strict=True))
    return x, y, v


def _typical_width(
    angle: np.ndarray, intensity: np.ndarray, variance: np.ndarray, sections: tuple[slice, ...]
) -> float:
    """Full width at half maximum of the sharper ones of the strongest peaks, deg.

    A long scan is looked at coarsely, and more finely as long as its lines are hardly resolved.
    """
    step = min(float(np.median(np.diff(angle[s]))) for s in sections)
    merge = max(1, len(angle) // FIRST_LOOK)
    while True:
        x, y, v = merged(angle, intensity, variance, sections, merge, step)
        width = _width_of_peaks(x, y, v)
        if merge == 1 or width > 6.0 * merge * step:
            return width
        merge //= 2


def _width_of_peaks(angle: np.ndarray, intensity: np.ndarray, variance: np.ndarray) -> float:
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks, peak_widths

    floor = snip_background(angle, intensity, 0.3)
    sections = sections_of(angle)
    widths, heights, nets = [], [], []
    for s in sections:
        step = float(np.median(np.diff(angle[s])))
        smooth = gaussian_filter1d(intensity[s], float(np.clip(0.015 / step, 0.5, 2.0)))
        nets.append(smooth - floor[s])
    tall = float(np.percentile(np.concatenate(nets), 99.5)) * 0.3
    least = max(tall, 5.0 * float(np.sqrt(np.median(variance))))
    for s, net in zip(sections, nets, strict=True):
        step = float(np.median(np.diff(angle[s])))
        found, shape = find_peaks(
            net, height=least, distance=max(1, int(0.1 / step)), prominence=0.0
        )
        # on the broad back of a line noise has tops as high as the line, but of no depth
        clear = np.minimum(DEEP * net[found], 5.0 * np.sqrt(variance[s][found]))
        found = found[shape["prominences"] > clear]
        heights.append(net[found])
        widths.append(peak_widths(net, found, rel_height=0.5)[0] * step)
    if not sum(len(h) for h in heights):
        return 0.15
    step = float(np.median(np.diff(angle)))
    strongest = np.argsort(-np.concatenate(heights))[:20]
    widest = np.percentile(np.concatenate(widths)[strongest], 25, method="lower")
    return float(np.clip(widest, 3.0 * step, WIDEST))


def snip_background(angle: np.ndarray, intensity: np.ndarray, width_deg: float) -> np.ndarray:
    """Background of a powder pattern by peak clipping, see `encoders.background`.

    Parameters
    ----------
    angle, intensity : (n,) angles, deg, ascending, and intensities
    width_deg : full width of a peak, deg

    Returns
    -------
    (n,) in the unit of the intensity
    """
    from scipy.ndimage import gaussian_filter1d

    scale = max(float(np.median(np.abs(intensity))), 1e-12)
    parts = []
    for s in sections_of(angle):
        step = float(np.median(np.diff(angle[s]))) if s.stop - s.start > 1 else width_deg
        smooth = gaussian_filter1d(intensity[s], max(1.0, 0.25 * width_deg / step))
        low = min(float(smooth.min()), 0.0)  # no value below it has a logarithm
        level = flattened((smooth - low) / scale, root=False)
        widest = min(12.0 * width_deg, max(4.0, 3.0 * width_deg))
        reach = max(3, min(int(widest / step), len(smooth) // 2))
        level = clipped(level, range(reach, 0, -max(1, reach // 24)), Ends.KEEP, curved=True)
        floor = restored(level, root=False) * scale + low
        parts.append(gaussian_filter1d(np.minimum(floor, smooth), max(1.0, reach / 4.0)))
    return np.concatenate(parts)


def find_peaks_of(
    angle: np.ndarray, net: np.ndarray, variance: np.ndarray, width_deg: float
) -> ObservedPeaks:
    """Peaks of a background-free curve that stand 4 standard uncertainties above it.

    Parameters
    ----------
    angle, net, variance : (n,) angles, deg, ascending; intensities above background, and their
        variance
    width_deg : full width of a peak, deg; shapes are looked for on this scale
    """
    parts = [
        _peaks_of_section(angle[s], net[s], variance[s], width_deg)
        for s in sections_of(angle)
        if s.stop - s.start > 2
    ]
    empty = [np.empty((4, 0))]
    return ObservedPeaks(*np.concatenate(empty + parts, axis=1))


def _peaks_of_section(
    angle: np.ndarray, net: np.ndarray, variance: np.ndarray, width_deg: float
) -> np.ndarray:
    """(4, k) angle, height, significance and full width of the peaks of one section."""
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
    return np.array([angle[found], np.maximum(peak, smooth[found]), significance, width])


def peak_d(peaks: ObservedPeaks, radiation: Radiation) -> np.ndarray:
    """d in angstrom of observed peaks, for the strongest emission line."""
    return d_spacing(peaks.two_theta_deg, radiation.primary_angstrom)
