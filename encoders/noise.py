"""The noise of a powder pattern, measured from its own scatter.

Files hold counts, counts per second, per cent of the strongest line, sums or means of scans,
smoothed curves, and curves with their background taken off. So nothing is taken from the level
alone: the third difference of a smooth curve vanishes, and what it leaves is noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# of chi^2 with one degree of freedom: mean of its lowest three quarters, and its quartile
TRIMMED, QUARTILE = 0.3685, 0.1015
HALF_NORMAL_QUARTILE = 0.3186  # of |z|, z normal
COUNTS = (0.6, 1.7)  # scatter over level that counts may show: five channels are a noisy level
ALIKE = 1.3  # of first over third difference; a mean of three channels already has 1.67
SECTION_POINTS = 60  # from here on the noise of a section by itself is known to a third


def channel_noise(
    intensity: np.ndarray, sigma: np.ndarray | None, sections: Sequence[slice], block: int = 1
) -> np.ndarray:
    """Variance of each channel; the variance of a sum of channels is the sum of theirs.

    Counts that scatter as counts do have their level as variance. Where the scatter is another
    multiple of the level, so is the variance. Where it does not follow the level, a background
    was taken off: the variance is what the quiet parts show, and grows with the peaks.

    Parameters
    ----------
    intensity : (n,) in any unit
    sigma : (n,) standard uncertainties that the file gives; None where it gives none
    sections : runs of channels without a gap
    block : channels that make one point of the search; smoothing makes channels alike, which
        hides its noise on their own scale but not on this one

    Returns
    -------
    (n,) positive
    """
    from scipy.ndimage import uniform_filter1d

    level = np.concatenate([uniform_filter1d(intensity[s], 5) for s in sections])
    seen = np.concatenate([_scatter(intensity[s]) for s in sections])
    known = np.isfinite(seen)
    quiet = known & (level <= np.percentile(level, 60))
    least = max(_resolution(intensity) ** 2 / 12.0, 1e-300)
    if not quiet.any():
        return np.maximum(np.maximum(level, 0.0) if sigma is None else sigma**2, least)
    if sigma is None:
        floor = max(float(np.percentile(level, 5)), 0.2 * float(intensity[quiet].mean()), 1e-12)
        base = np.maximum(level, floor)
    else:
        base = np.asarray(sigma, float) ** 2
        base = np.maximum(base, max(float(np.median(base)) * 1e-3, 1e-300))
    clipped = _clipped(intensity[quiet], lowest=float(intensity.min()))
    gain = trimmed_variance(seen[quiet] / base[quiet])
    if sigma is not None:
        gain = min(gain * _smoothed(intensity, sections, seen, quiet, block), 100.0)
        variance = base * (1.0 if gain <= 0.0 or COUNTS[0] < gain < COUNTS[1] else gain)
    elif clipped:
        slope = _slope(level, seen, quiet, clipped)
        variance = clipped + (slope or 0.0) * np.maximum(level - float(level[quiet].mean()), 0.0)
    elif gain <= 0.0 or COUNTS[0] < gain < COUNTS[1]:
        variance = base
    else:
        variance = _by_level(level, seen, quiet, base, gain)
        variance *= _smoothed(intensity, sections, seen, quiet, block)
    for s in sections if len(sections) > 1 else ():  # each may have its own counting time
        here = np.flatnonzero(quiet[s]) + s.start
        own = trimmed_variance(seen[here] / variance[here]) if len(here) > SECTION_POINTS else 1.0
        if own > 0.0 and not 0.5 < own < 2.0:
            variance[s] *= own
    return np.maximum(variance, least)


def _by_level(
    level: np.ndarray, seen: np.ndarray, quiet: np.ndarray, base: np.ndarray, gain: float
) -> np.ndarray:
    """Variance in proportion to the level, if the scatter on peaks bears that out; else from a
    running quartile of the scatter, with what peaks add to it."""
    from scipy.ndimage import gaussian_filter1d, percentile_filter

    flat_level, flat = float(level[quiet].mean()), trimmed_variance(seen[quiet])
    slope = _slope(level, seen, quiet, flat)
    if flat_level > 0.0 and (slope is None or slope > COUNTS[0] * gain):
        return gain * base
    reach = max(101, len(level) // 20)
    thin = max(1, reach // 200)
    filled = np.where(np.isfinite(seen), seen, QUARTILE * flat)[::thin]
    running = percentile_filter(filled, 25, size=reach // thin) / QUARTILE
    running = gaussian_filter1d(np.repeat(running, thin)[: len(level)], reach / 4.0)
    on_peaks = min(slope or 0.0, gain) * np.maximum(level - flat_level, 0.0)
    return np.asarray(np.maximum(running, 0.1 * flat) + on_peaks)


def _slope(level: np.ndarray, seen: np.ndarray, quiet: np.ndarray, flat: float) -> float | None:
    """Growth of the variance with the level on peaks; None where there are none.

    Curvature adds to the scatter of sharp peaks; the lower quartile meets their straight parts.
    """
    above = level - float(level[quiet].mean())
    strong = np.isfinite(seen) & (above > 5.0 * np.sqrt(flat))
    if strong.sum() < 20:
        return None
    excess = np.maximum(seen[strong] - QUARTILE * flat, 0.0) / above[strong]
    return float(np.percentile(excess, 25)) / QUARTILE


def _clipped(quiet: np.ndarray, lowest: float) -> float:
    """Variance of quiet channels of which those below zero were set to it; 0 if none were.

    What is left of them is half a normal distribution. Few counts have zeros by chance, as many
    as their mean foretells.
    """
    left = quiet[quiet > lowest] - lowest
    chance = np.exp(-float(quiet.mean() - lowest) / max(_resolution(quiet), 1e-300))
    if not len(left) or 1.0 - len(left) / len(quiet) < max(0.2, 2.0 * chance):
        return 0.0
    return (float(np.percentile(left, 25)) / HALF_NORMAL_QUARTILE) ** 2


def _smoothed(
    intensity: np.ndarray,
    sections: Sequence[slice],
    seen: np.ndarray,
    quiet: np.ndarray,
    block: int,
) -> float:
    """Variance of sums of `block` quiet channels over that of as many independent ones.

    1 unless the first difference, too, says that neighbours are alike: of independent ones it
    shows the variance that the third shows.
    """
    flat = trimmed_variance(seen[quiet])
    steps = np.diff(intensity)[quiet[1:] & quiet[:-1]] ** 2 / 2.0
    if flat <= 0.0 or len(steps) < 20 or trimmed_variance(steps) < ALIKE * flat:
        return 1.0
    found = []
    for s in sections:
        n = (s.stop - s.start) // block
        inside = slice(s.start, s.start + n * block)
        scatter = _scatter(intensity[inside].reshape(n, block).sum(axis=1))
        calm = quiet[inside].reshape(n, block).mean(axis=1) > 0.9
        found.append(scatter[calm & np.isfinite(scatter)])
    blocks = np.concatenate(found)
    return max(1.0, trimmed_variance(blocks) / (block * flat)) if len(blocks) >= 20 else 1.0


def _scatter(values: np.ndarray) -> np.ndarray:
    """Variance that the third difference at each point shows; NaN at the ends."""
    seen = np.full(len(values), np.nan)
    if len(values) > 4:
        seen[2:-1] = np.convolve(values, [1.0, -3.0, 3.0, -1.0], mode="valid") ** 2 / 20.0
    return seen


def trimmed_variance(squares: np.ndarray) -> float:
    """Variance from squares of normal numbers, the largest quarter left out: it may be lines.

    Of few counts most differences are zero; then it is the mean.
    """
    kept = np.sort(squares)[: max(1, int(0.75 * len(squares)))]
    if kept[len(kept) // 2] == 0.0:
        return float(np.mean(squares))
    return float(kept.mean()) / TRIMMED


def _resolution(values: np.ndarray) -> float:
    """Smallest step between the values of a file: 1 for counts, what was rounded to elsewhere."""
    steps = np.diff(np.unique(values[:20_000]))
    steps = steps[steps > 1e-9 * np.abs(values).max()]
    return float(steps.min(initial=np.inf)) if len(steps) else 0.0
