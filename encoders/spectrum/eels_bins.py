"""A core-loss spectrum made ready for the search: bins, noise and ways of the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEARBY = 0.2  # of the energy either way: the lines of an edge and the background before it
# Misfit that no template describes: share of the range of the spectrum (over its background)
# within so many eV. Fine structure near an edge, slow oscillations further above it.
MISFIT = ((0.04, 15.0), (0.02, 60.0))
FINEST_EV = 0.5  # half of the resolution and lifetime width of the sharpest lines
PART = 0.35  # of log E: three times the reach of the near-edge structure at 500 eV
PART_SPREAD = 0.3  # of the level of the background there
BEND = 4.0  # standard deviations of noise: a bend that bins must follow


@dataclass(frozen=True)
class Binned:
    """A spectrum made ready: bins narrow where it bends, largest intensity near one."""

    energy: np.ndarray  # (n,) eV, mean of the channels in each bin
    limits: np.ndarray  # (n, 2) eV, first and last energy of each bin
    intensity: np.ndarray  # (n,)
    variance: np.ndarray  # (n,) of noise and of what no template describes
    scale: float  # intensity = measured / scale


def bin_spectrum(energy: np.ndarray, intensity: np.ndarray, bins: int = 240) -> Binned:
    """Median intensity in bins of 0.5 eV or wider, narrow where the spectrum bends.

    Medians drop spikes from X-rays and dead pixels. The variance is the scatter about the line
    through both neighbours plus a floor for gain variation and for the limits of the templates.

    Parameters
    ----------
    energy, intensity : (n,) energies, eV, and intensities in any unit
    bins : the most that are made
    """
    order = np.argsort(energy)
    energy, intensity = energy[order], intensity[order]
    width = max(FINEST_EV, float(np.median(np.diff(energy))))
    energy, intensity, counts = _grouped(energy, intensity, (energy - energy[0]) / width)
    if energy.size > bins:
        place = np.cumsum(1.0 / wanted_widths(intensity, energy.size / (0.5 * bins)))
        place *= min(1.0, (bins - 1) / place[-1])
        energy, intensity, counts = _grouped(energy, intensity, place)
    half = 0.5 * width * counts
    scale = float(np.percentile(np.abs(intensity), 98)) or 1.0
    medians = intensity / scale
    noise = _scatter(energy, medians, counts)
    # Gain and templates are good to a share of what the detector saw nearby, not of the whole
    # range: a background falls by three orders of magnitude from 150 eV to 3 keV.
    span = _local_range(medians, np.abs(np.log(energy[:, None] / energy)) < NEARBY)
    # Counts scatter as their root; the least stands for read-out and for what was subtracted.
    level = np.abs(medians) / max(float(np.median(np.abs(medians))), 1e-9)
    variance = noise**2 * np.maximum(level, 0.2) / counts
    net = medians - _lower_hull(energy, medians)
    floor = 0.003**2 * medians**2 + 0.003**2 * span**2
    for share, distance in MISFIT:
        reach = np.maximum(distance, 2.5 * half)
        local = _local_range(net, np.abs(energy[:, None] - energy) < reach[:, None])
        floor = floor + (share * local) ** 2
    limits = np.stack([energy - half, energy + half], axis=-1)
    return Binned(energy, limits, medians, variance + floor, scale)


def _grouped(
    energy: np.ndarray, intensity: np.ndarray, place: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean energy, median intensity and number of the channels that share a whole number."""
    starts = np.unique(np.floor(place + 1e-9).astype(int), return_index=True)[1]
    groups = np.split(np.arange(energy.size), starts[1:])
    centres = np.array([energy[g].mean() for g in groups])
    medians = np.array([np.median(intensity[g]) for g in groups])
    return centres, medians, np.array([g.size for g in groups], float)


def wanted_widths(intensity: np.ndarray, widest: float) -> np.ndarray:
    """(n,) channels that may share a bin: those over which the spectrum is a straight line.

    Means over 1, 2, 4, ... channels are compared with those either side; where they bend by
    more than `BEND` standard deviations of their noise, a bin is no wider than that.

    Parameters
    ----------
    intensity : (n,) of uniform channels
    widest : channels in a bin where nothing bends
    """
    total = np.concatenate([[0.0], np.cumsum(intensity)])
    level = np.sqrt(np.maximum(np.abs(intensity) / (np.median(np.abs(intensity)) + 1e-30), 0.2))
    bends = np.diff(intensity, 2) / level[1:-1]
    noise = 1.4826 * float(np.median(np.abs(bends))) / np.sqrt(6.0) * level
    widths = np.full(intensity.size, widest)
    scale = 2 ** int(np.log2(max(widest, 1.0)))
    while scale >= 1:
        means = (total[scale:] - total[:-scale]) / scale
        bend = means[2 * scale :] - 2.0 * means[scale:-scale] + means[: -2 * scale]
        first = np.flatnonzero(
            np.abs(bend) > BEND * noise[scale : scale + bend.size] * np.sqrt(6.0 / scale)
        )
        marked = np.zeros(intensity.size + 1)
        np.add.at(marked, first, 1.0)
        np.add.at(marked, np.minimum(first + 3 * scale, intensity.size), -1.0)
        widths[np.cumsum(marked)[:-1] > 0.0] = scale
        scale //= 2
    return widths


def _scatter(energy: np.ndarray, medians: np.ndarray, counts: np.ndarray) -> float:
    """Noise of one channel: what is left of a bin beside the line through its neighbours."""
    if energy.size < 3:
        return 0.01
    share = (energy[1:-1] - energy[:-2]) / (energy[2:] - energy[:-2])
    left = medians[1:-1] - (1.0 - share) * medians[:-2] - share * medians[2:]
    weight = 1.0 / counts[1:-1] + (1.0 - share) ** 2 / counts[:-2] + share**2 / counts[2:]
    return 1.4826 * float(np.median(np.abs(left) / np.sqrt(weight)))


def _local_range(values: np.ndarray, near: np.ndarray) -> np.ndarray:
    """(n,) largest less least of the values (n,) within a neighbourhood, (n, n) bool."""
    return np.where(near, values, -np.inf).max(1) - np.where(near, values, np.inf).min(1)


def falls_at_the_end(energy: np.ndarray, intensity: np.ndarray, last: int) -> np.ndarray:
    """(n,) bool channels at the end of the range that the detector or a filter let fall.

    They lie below the line through the logarithms of the 40 eV before them by four standard
    deviations and 2 %, up to the last channel; 6 eV at most, a few widths of the resolution.
    """
    falls = np.zeros(energy.size, bool)
    before = (energy < energy[last] - 6.0) & (energy > energy[last] - 46.0) & (intensity > 0.0)
    if before.sum() < 10:
        return falls
    line = np.polynomial.Polynomial.fit(energy[before], np.log(intensity[before]), 1)
    scatter = float(np.std(np.log(intensity[before]) - line(energy[before])))
    floor = np.exp(line(energy) - 4.0 * scatter) * 0.98
    for k in range(last, -1, -1):
        if energy[k] <= energy[last] - 6.0 or intensity[k] >= floor[k]:
            break
        falls[k] = True
    return falls


def _lower_hull(energy: np.ndarray, intensity: np.ndarray) -> np.ndarray:
    """(n,) lower convex hull of a curve: a background that falls ever more slowly."""
    kept: list[int] = []
    for k in range(energy.size):
        while len(kept) > 1:
            i, j = kept[-2], kept[-1]
            across = (energy[j] - energy[i]) * (intensity[k] - intensity[i])
            if across > (energy[k] - energy[i]) * (intensity[j] - intensity[i]):
                break
            kept.pop()
        kept.append(k)
    return np.interp(energy, energy[kept], intensity[kept])


def background_columns(spectrum: Binned) -> np.ndarray:
    """(n, m) one standard deviation of each way the background may go.

    A (E/E0)^-3 with free amplitude, its exponent by +-1.5 and by how that changes with energy
    (terms of its series, which matter over wide ranges), a constant, and slow drifts of 1.5 %
    (gain, tails of edges below the window). Over wide ranges also its level by itself in each
    part of `PART` in log E: no power law holds over an octave (Egerton 2011, section 4.4).
    """
    energy, intensity = spectrum.energy, spectrum.intensity
    start = float(np.median(np.abs(intensity[: max(5, intensity.size // 20)]))) + 0.05
    fall = (energy / energy[0]) ** -3.0
    logarithm = np.log(energy / energy[0])
    position = 2.0 * (energy - energy[0]) / np.ptp(energy) - 1.0
    drifts = [0.015 * np.cos(np.pi * k * (position + 1.0) / 2.0) for k in (1, 2, 3)]
    columns = [
        3.0 * fall,
        1.5 * start * fall * logarithm,
        0.7 * start * fall * logarithm**2,
        0.25 * start * fall * logarithm**3,
        0.08 * start * fall * logarithm**4,
        0.3 * start * np.ones_like(energy),
        *[drift * (start + 0.2) for drift in drifts],
        0.03 * position,
    ]
    if logarithm[-1] > 2.0 * PART:
        level = np.abs(_lower_hull(energy, intensity))
        knots = np.linspace(0.0, logarithm[-1], round(logarithm[-1] / PART) + 1)
        hats = np.maximum(1.0 - np.abs(logarithm[:, None] - knots) / (knots[1] - knots[0]), 0.0)
        columns += [PART_SPREAD * level * hat for hat in hats.T]
    return np.stack(columns, axis=-1)
