"""Phases of a volume: from grey values to one small integer for each voxel.

The histogram is taken where the volume is calm, away from boundaries, where a voxel holds one
phase. Its peaks tell how many phases there are, and Otsu's criterion where to cut. Blurred
boundaries between the darkest and the brightest of three phases pass through the grey of the
third; such films are given back to the phases that they lie between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MOST_PHASES = 4
BINS = 256
_CALM = 0.25  # share of voxels whose local range is surely that of noise ...
_CALM_SPREAD = 2.0  # ... and how many times it noise may be: 97 % of it, if it is Gaussian
_SMOOTH = 0.02  # width of the histogram's smoothing, share of its range
_VALLEY = 0.7  # a peak counts if the lowest point towards a higher one is below this share
_LEAST_SHARE = 2e-4  # of the calm voxels in a peak; fewer are dust
_LEAST_COUNT = 50  # calm voxels in a peak; with fewer, a valley of 0.7 may be chance
_NOISE_SHARE = 2.0  # noise variance below which a difference is taken for noise
_SLAB = 8  # slices worked on at once: what they need stays in the processor's cache


@dataclass(frozen=True)
class Thresholds:
    """Where the histogram of a volume is cut.

    Parameters
    ----------
    cuts : (k - 1,) grey values between the phases, rising
    means : (k,) mean grey value of each phase in the calm parts
    fractions : (k,) share of the calm voxels
    edges, counts : histogram of the calm voxels, for a figure
    criterion : how the number of phases was chosen, for a person
    """

    cuts: np.ndarray
    means: np.ndarray
    fractions: np.ndarray
    edges: np.ndarray
    counts: np.ndarray
    criterion: str

    def __len__(self) -> int:
        """Number of phases."""
        return len(self.means)


def slabs(count: int, size: int = _SLAB) -> Iterator[slice]:
    """Slices that cover ``range(count)``."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def denoise(
    volume: np.ndarray,
    method: str = "wiener",
    periodic: bool = False,
    inside: np.ndarray | None = None,
) -> np.ndarray:
    """The volume with less noise.

    Parameters
    ----------
    volume : (Z, Y, X)
    method : ``"wiener"``: the mean of the neighbours where the volume is as calm as its noise,
        the voxel itself at edges (Lee 1980); ``"median"``: a running median of three along each
        axis in turn; ``"nlm"``: non-local means, about 30 times slower; ``"none"``
    periodic : whether opposite faces meet
    inside : (Z, Y, X) bool, where there is noise; None for everywhere

    Returns
    -------
    (Z, Y, X) of the same type; whole numbers are rounded

    Raises
    ------
    ValueError
        If there is no such method.

    References
    ----------
    Lee, J.-S. (1980). IEEE Trans. Pattern Anal. Mach. Intell. 2, 165-168, eq. 7; its
    coefficients are averaged over the cube, as He, Sun & Tang do (2013,
    IEEE Trans. Pattern Anal. Mach. Intell. 35, 1397, eq. 8).
    """
    if method == "none":
        return volume
    if method == "wiener":
        return _wiener(volume, periodic, noise_level(volume, inside))
    if method == "nlm":
        return _non_local_means(volume)
    if method != "median":
        raise ValueError(f"no method {method!r}; choose wiener, median, nlm or none")
    for axis in range(3):
        volume = _running_median(volume, axis, periodic)
    return volume


def _wiener(volume: np.ndarray, periodic: bool, level: float) -> np.ndarray:
    """``mean + a (grey - mean)`` with ``a = 1 - noise / local variance``, over cubes of three."""
    from scipy.ndimage import uniform_filter

    mode = "wrap" if periodic else "nearest"
    noise = np.float32(_NOISE_SHARE * level**2)
    found = np.empty_like(volume)
    reach, depth = 2, len(volume)  # two filters of three, one after the other
    for part in slabs(depth, 4 * _SLAB):
        planes = np.arange(part.start - reach, part.stop + reach)
        planes = planes % depth if periodic else planes.clip(0, depth - 1)
        block = volume[planes].astype(np.float32)
        mean = uniform_filter(block, 3, mode=mode)
        variance = uniform_filter(block * block, 3, mode=mode) - mean * mean
        weight = np.maximum(variance - noise, 0.0) / np.maximum(variance, 1e-12)
        mean *= 1.0 - weight
        smooth = uniform_filter(weight, 3, mode=mode) * block + uniform_filter(mean, 3, mode=mode)
        own = smooth[reach:-reach]
        found[part] = np.rint(own) if found.dtype.kind in "iu" else own
    return found


def _running_median(volume: np.ndarray, axis: int, periodic: bool) -> np.ndarray:
    """Median of three along an axis; at the faces of the volume the voxel itself."""
    found = volume.copy()
    across = 1 if axis == 0 else 0
    for part in slabs(volume.shape[across]):
        where = (slice(None), part) if across else (part,)
        v, out = np.moveaxis(volume[where], axis, 0), np.moveaxis(found[where], axis, 0)
        triples = [(v[:-2], v[1:-1], v[2:], out[1:-1])]
        if periodic:
            triples += [(v[-1:], v[:1], v[1:2], out[:1]), (v[-2:-1], v[-1:], v[:1], out[-1:])]
        for a, b, c, into in triples:
            low, high = np.minimum(a, b), np.maximum(a, b)
            np.maximum(low, np.minimum(high, c, out=high), out=into)
    return found


def _non_local_means(volume: np.ndarray) -> np.ndarray:
    """Buades, A., Coll, B. & Morel, J.-M. (2005). CVPR 2, 60-65; as scikit-image does it."""
    from skimage.restoration import denoise_nl_means

    sigma = noise_level(volume)
    smooth = denoise_nl_means(
        volume.astype(np.float32), patch_size=3, patch_distance=3, h=0.8 * sigma, sigma=sigma,
        fast_mode=True, preserve_range=True,
    )  # fmt: skip
    return (np.rint(smooth) if volume.dtype.kind in "iu" else smooth).astype(volume.dtype)


def noise_level(volume: np.ndarray, inside: np.ndarray | None = None) -> float:
    """Standard deviation of white noise, from second differences along x.

    Their median size is not moved by boundaries, as long as these are in few voxels.
    """
    every = max(1, len(volume) // 32)
    some = volume[::every].astype(np.float32)
    second = some[..., 1:-1] - 0.5 * (some[..., :-2] + some[..., 2:])
    if inside is not None:
        second = second[inside[::every, :, 1:-1]]
    return float(np.median(np.abs(second)) / 0.6745 / np.sqrt(1.5))


def thresholds(
    volume: np.ndarray, phases: int | None = None, inside: np.ndarray | None = None
) -> Thresholds:
    """Cuts between the phases of a volume.

    Parameters
    ----------
    volume : (Z, Y, X), best after `denoise`
    phases : their number, 1-4; None to take the number of peaks that the histogram of the calm
        voxels has (at most 4)
    inside : (Z, Y, X) bool, the voxels that count; None for all

    Raises
    ------
    ValueError
        If `phases` is not 1-4, or the volume is constant.

    Notes
    -----
    The cuts are those of Otsu's criterion, the least variance within the phases: the best near
    the valleys between the peaks, so that a phase of 1 % is not lost to half a large one; the
    best of all where the number is given and there are not as many peaks. A cut half-way
    between two phases leaves a plane where it was and moves the surface of a ball of radius r
    inwards by s^2/r, with s^2 the variance of all blurring along one axis (voxels; `denoise`
    adds up to 0.7).

    References
    ----------
    Otsu, N. (1979). IEEE Trans. Syst. Man Cybern. 9, 62-66.
    """
    if phases is not None and not 1 <= phases <= MOST_PHASES:
        raise ValueError(f"{phases} phases: give 1 to {MOST_PHASES}, or None to let them be found")
    edges, counts = _calm_histogram(volume, inside)
    middle = 0.5 * (edges[1:] + edges[:-1])
    valleys, peaks = _valleys(counts)
    if phases is None:
        criterion = f"{peaks} peaks in the histogram of the calm voxels"
        if peaks > MOST_PHASES:
            criterion += f", {MOST_PHASES} are kept"
        cuts = _refined(counts, middle, valleys)
    else:
        criterion = "number given"
        near = len(valleys) == phases - 1
        cuts = _refined(counts, middle, valleys if near else _best_cuts(counts, phases))
    group = np.searchsorted(cuts, middle, side="right")
    weight = np.bincount(group, counts, len(cuts) + 1)
    means = np.bincount(group, counts * middle, len(cuts) + 1) / np.maximum(weight, 1.0)
    return Thresholds(cuts, means, weight / weight.sum(), edges, counts, criterion)


def _calm_histogram(volume: np.ndarray, inside: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts of the grey values of voxels that differ little from their neighbours."""
    low, high = _range(volume, inside)
    if not high > low:
        raise ValueError(f"all grey values are {low:g}: there are no phases to tell apart")
    edges = np.linspace(low, high, BINS + 1)
    # joint histogram of grey value and local range, in one pass over the volume
    scale = np.float32((BINS - 1e-3) / (high - low))
    joint = np.zeros((BINS, BINS), np.int64)
    for part in slabs(len(volume)):
        around = slice(max(part.start - 1, 0), min(part.stop + 1, len(volume)))
        block = volume[around].astype(np.float32)
        spread = _local_range(block)[part.start - around.start :][: part.stop - part.start]
        own = block[part.start - around.start :][: part.stop - part.start]
        grey = np.clip((own - np.float32(low)) * scale, 0, BINS - 1).astype(np.int32)
        change = np.clip(spread * scale, 0, BINS - 1).astype(np.int32)
        place = grey * BINS + change
        place = place.ravel() if inside is None else place[inside[part]]
        joint += np.bincount(place, minlength=BINS**2).reshape(BINS, BINS)
    total = joint.sum(axis=0).cumsum()
    limit = int(_CALM_SPREAD * np.searchsorted(total, _CALM * total[-1])) + 1
    return edges, joint[:, :limit].sum(axis=1).astype(float)


def _range(volume: np.ndarray, inside: np.ndarray | None) -> tuple[float, float]:
    """The range without the extreme thousandth of a percent at either end (zingers, padding)."""
    every = max(1, len(volume) // 64)
    some = volume[::every] if inside is None else volume[::every][inside[::every]]
    low, high = np.percentile(some, [0.001, 99.999])
    return float(low), float(high)


def _local_range(block: np.ndarray) -> np.ndarray:
    """Highest minus lowest of a voxel and its neighbours ahead and behind along each axis."""
    low, high = block.copy(), block.copy()
    for axis in range(3):
        b = np.moveaxis(block, axis, 0)
        lo, hi = np.moveaxis(low, axis, 0), np.moveaxis(high, axis, 0)
        for here, there in ((slice(1, None), slice(-1)), (slice(-1), slice(1, None))):
            np.minimum(lo[here], b[there], out=lo[here])
            np.maximum(hi[here], b[there], out=hi[here])
    return high - low


def _valleys(counts: np.ndarray) -> tuple[np.ndarray, int]:
    """(bins at which the histogram is cut, number of peaks that stand out).

    A peak stands out if the histogram falls below 0.7 of it before it rises to a higher one.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import argrelmax

    width = _SMOOTH * BINS
    smooth = gaussian_filter1d(counts, width, mode="constant")
    peaks = [int(p) for p in argrelmax(np.concatenate([[0.0], smooth, [0.0]]))[0] - 1]
    least = max(_LEAST_COUNT, _LEAST_SHARE * counts.sum()) / (np.sqrt(2.0 * np.pi) * width)
    peaks = [p for p in peaks if smooth[p] >= least] or [int(np.argmax(smooth))]
    while len(peaks) > 1:
        between = [smooth[a : b + 1].min() for a, b in pairwise(peaks)]
        lower = [min(smooth[a], smooth[b]) for a, b in pairwise(peaks)]
        depth = np.array(between) / np.array(lower)
        worst = int(np.argmax(depth))
        if depth[worst] < _VALLEY:
            break
        pair = peaks[worst : worst + 2]
        peaks.remove(min(pair, key=lambda p: smooth[p]))
    found = len(peaks)
    while len(peaks) > MOST_PHASES:
        peaks.remove(min(peaks, key=lambda p: smooth[p]))
    cuts = [a + int(np.argmin(smooth[a : b + 1])) for a, b in pairwise(peaks)]
    return np.array(cuts, int), found


def _best_cuts(counts: np.ndarray, phases: int) -> np.ndarray:
    """Bins after which Otsu's criterion cuts into `phases` classes, the best of all."""
    if phases == 1:
        return np.array([], int)
    weight = np.concatenate([[0.0], counts.cumsum()])
    moment = np.concatenate([[0.0], (counts * np.arange(BINS)).cumsum()])
    # between-class variance of every stretch of bins [i, j), then the best chain of stretches
    mass = weight[None, :] - weight[:, None]
    first = moment[None, :] - moment[:, None]
    gain = np.where(mass > 0, first**2 / np.where(mass > 0, mass, 1.0), 0.0)
    gain[np.tril_indices(BINS + 1)] = -np.inf
    best, back = gain[0], []
    for _ in range(phases - 1):
        chains = best[:, None] + gain
        back.append(np.argmax(chains, axis=0))
        best = chains.max(axis=0)
    cuts, end = [], BINS
    for step in reversed(back):
        end = int(step[end])
        cuts.append(end)
    return np.array(cuts[::-1], int) - 1


def _refined(counts: np.ndarray, middle: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Grey values of cuts that satisfy Otsu's criterion near the bins `cuts`.

    At its optimum each cut lies half-way between the means of its two classes.
    """
    values = middle[cuts]
    for _ in range(50):
        group = np.searchsorted(values, middle, side="right")
        weight = np.bincount(group, counts, len(values) + 1)
        means = np.bincount(group, counts * middle, len(values) + 1) / np.maximum(weight, 1e-9)
        moved = 0.5 * (means[1:] + means[:-1])
        if np.allclose(moved, values, rtol=0, atol=1e-3 * (middle[1] - middle[0])):
            break
        values = moved
    return values


def phase_map(volume: np.ndarray, cut: Thresholds) -> np.ndarray:
    """(Z, Y, X) uint8: which phase each voxel is, 0 the darkest."""
    found = np.empty(volume.shape, np.uint8)
    for part in slabs(len(volume)):
        found[part] = np.searchsorted(cut.cuts, volume[part].ravel(), side="right").reshape(
            volume[part].shape
        )
    if len(cut) > 2:
        _give_back_films(found, volume, cut)
    return found


def _give_back_films(phase: np.ndarray, volume: np.ndarray, cut: Thresholds) -> None:
    """Give films of an in-between phase to the darker or brighter phase that they lie between.

    A film has no room for a cube of three voxels: it is what an opening removes.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    for middle in range(1, len(cut) - 1):
        own = (phase == middle).view(np.uint8)
        body = maximum_filter(minimum_filter(own, 3), 3)
        film = np.flatnonzero(own > body)
        # half-way between the grey of its neighbours, not between those of the phases
        level = 0.5 * (cut.means[middle - 1] + cut.means[middle + 1])
        brighter = volume.ravel()[film] >= level
        phase.ravel()[film] = np.where(brighter, middle + 1, middle - 1)


def without_specks(phase: np.ndarray, least_voxels: int) -> np.ndarray:
    """A map of phases in which specks have the phase of most of their neighbours.

    Parameters
    ----------
    phase : (Z, Y, X) uint8; changed in place and returned
    least_voxels : a body of fewer voxels, connected through faces, is a speck
    """
    import cc3d

    bodies = cc3d.connected_components(phase + np.uint8(1), connectivity=6, out_dtype=np.uint32)
    count = int(bodies.max())
    small = np.bincount(bodies.ravel(), minlength=count + 1) < least_voxels
    specks = np.flatnonzero(small[bodies])
    del bodies
    if len(specks) == phase.size:  # nothing else is there
        return phase
    place = np.stack(np.unravel_index(specks, phase.shape))
    known = np.ones(phase.shape, bool)
    known[tuple(place)] = False
    while place.shape[1]:
        votes = np.zeros((place.shape[1], int(phase.max()) + 1), int)
        for axis in range(3):
            for step in (-1, 1):
                beside = place.copy()
                beside[axis] += step
                inside = np.flatnonzero((beside[axis] >= 0) & (beside[axis] < phase.shape[axis]))
                where = tuple(beside[:, inside])
                told = known[where]
                votes[inside[told], phase[where][told]] += 1
        decided = votes.any(axis=1)
        where = tuple(place[:, decided])
        phase[where] = votes[decided].argmax(axis=1)
        known[where] = True
        place = place[:, ~decided]
    return phase
