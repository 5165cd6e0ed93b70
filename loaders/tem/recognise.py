"""What an electron-microscope signal is, where its file does not say so in so many words."""

from __future__ import annotations

import re

import numpy as np

from xtalfuse.loaders.record import Modality
from xtalfuse.loaders.tem.signals import RawSignal
from xtalfuse.physics.crystal.polar_bins import PolarBins, turned_match

_OTHER_SPECTRA = ("WDS", "AES", "PES", "XRF", "CL", "GAMMA", "CL_SEM")
_EDS_SPAN_EV = 5_000.0  # an X-ray spectrum covers 10, 20 or 40 keV ...
_EDS_STEP_EV = 1.5  # ... in channels of 2.5 to 20 eV; energy losses are finer or shorter
_SMALLEST_PATTERN = 64  # pixels a side below which rings cannot be told from chance
_SECTOR_AGREEMENT = 0.6  # photographs and lattice images stay below, rings with a stop above
_SPARSE = 0.15  # share of zeros outside long runs from which a run may be chance
_LAST_COUNTS = 5.0  # X-ray counts in a channel after which zeros are no chance
_BRIGHT = 2.0  # times all rings: no lens makes the direct beam fainter than what it scatters
_BAND_PX = 6.0  # radii after which the filtered profiles are independent
_MOST_CERTAIN = 0.95
_DISC_PX = 6  # radii that belong to the direct beam
# stretches of a projector that is aligned badly, in both directions (2 e is the ellipticity)
_STRETCHES = [(e, k * np.pi / 4.0) for e in (0.01, 0.02) for k in range(8)]


def spectrum_kind(raw: RawSignal, energy_ev: np.ndarray | None) -> Modality:
    """EELS, EDS or something else, from what the file declares, else from its energies.

    Without energies it is something else, whatever it is called: no edge can be placed.
    """
    declared = raw.signal_type.upper()
    if energy_ev is None or declared in _OTHER_SPECTRA:
        return Modality.OTHER
    if "EELS" in declared:
        return Modality.EELS
    if "EDS" in declared or "EDX" in declared:
        return Modality.EDS
    own = raw.axes[-1].name.lower()
    if "loss" in own:
        return Modality.EELS
    if re.search(r"x-?ray", own):
        return Modality.EDS
    span = energy_ev[-1] - energy_ev[0]
    step = span / (energy_ev.size - 1)
    return Modality.EDS if span >= _EDS_SPAN_EV and step >= _EDS_STEP_EV else Modality.EELS


def picture_kind(
    raw: RawSignal, unit: tuple[str, float] | None, data: np.ndarray, stated: Modality | None = None
) -> tuple[Modality, list[str]]:
    """DIFFRACTION or IMAGE, and a warning where only the picture itself tells.

    Parameters
    ----------
    unit : standard unit of both picture axes and its factor; None if they have none
    data : (..., ny, nx)
    stated : what a person says that it is
    """
    if stated in (Modality.DIFFRACTION, Modality.IMAGE):
        return Modality(stated), [f"{stated}: stated by hand"]
    coloured = raw.data.dtype.names is not None
    mode = str(raw.metadata.get("imaging_mode", ""))
    if "diffraction" in raw.signal_type.lower() or (unit and unit[0] == "1/angstrom"):
        return Modality.DIFFRACTION, []
    if unit and unit[0] == "rad":
        return Modality.DIFFRACTION, []
    if unit and unit[0] == "nm":
        return Modality.IMAGE, []
    if re.search("diffraction", mode, re.IGNORECASE):
        return Modality.DIFFRACTION, []
    camera, magnification = (raw.metadata.get(k) for k in ("camera_length_mm", "magnification"))
    if camera and not magnification and raw.metadata.get("acquisition_mode") != "STEM":
        return Modality.DIFFRACTION, ["taken for diffraction: a camera length, no magnification"]
    if coloured:
        return Modality.IMAGE, []
    sure = pattern_certainty(data.reshape(-1, *data.shape[-2:])[0])
    if sure <= 0.5:
        return Modality.IMAGE, []
    said = f"taken for diffraction: the picture shows rings or spots (certainty {sure:.2f})"
    return Modality.DIFFRACTION, [f"{said}; if it is none, say so: --modality image"]


def pattern_certainty(image: np.ndarray) -> float:
    """How sure it is that a picture is a diffraction pattern, from the picture alone; 0 to 0.95.

    About a bright compact centre, or a dark one behind a stop, the profiles of the sectors agree;
    or about a bright one spots lie in pairs. The certainty is that they do so by no chance; it is
    never above 0.95, for a picture of an object that is made of rings (a lens, a target) looks
    the same.

    Parameters
    ----------
    image : (ny, nx), any scale
    """
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtr

    if min(image.shape) < _SMALLEST_PATTERN:
        return 0.0
    small = _shrunk(image)
    quiet = np.quantile(small, 0.2)
    noise = 1.4826 * float(np.median(np.abs(small - gaussian_filter(small, 1.0))))
    # a counting camera may be dark nearly everywhere: then its mean tells what one count is
    scale = max(noise, 1e-3 * float(np.mean(np.abs(small - quiet))), 1e-300)
    level = np.log1p(np.clip(small - quiet, 0.0, None) / scale)
    band = gaussian_filter(level, 1.0) - gaussian_filter(level, 5.0)
    centre = _inversion_centre(np.clip(band, 0.0, np.quantile(band, 0.9)))
    reach = int(0.45 * min(small.shape))
    counts = _sector_profiles(small - quiet, centre, sectors=1)[0, :reach]
    stopped = counts[:3].max() < 0.5 * counts[3:].max()  # nothing but rings can tell
    below = np.flatnonzero(counts < 0.5 * counts[:2].max())
    if not stopped and (not len(below) or not counts[:2].max() > 0.0):
        return 0.0
    # of a particle the edge and its halo end there
    first = _DISC_PX if stopped else max(_DISC_PX, 3 * int(below[0]) + 3)
    sure = 0.0
    if stopped or (first < 0.5 * reach and counts[:2].max() > _BRIGHT * counts[first:].max()):
        together = _agreement(_sector_profiles(band, centre), first, reach)
        profiles = _sector_profiles(level, centre)[:, first:reach]
        samples = (reach - first) / _BAND_PX
        if together > _SECTOR_AGREEMENT and _stands_out(profiles) and samples > 4:
            sure = float(ndtr(np.arctanh(min(together, 0.999)) * np.sqrt(samples - 3.0)))
        if not stopped:
            sure = max(sure, _paired_spots(gaussian_filter(level, 1.0), centre, first))
    return min(sure, _MOST_CERTAIN)


def _stands_out(profiles: np.ndarray) -> bool:
    """Whether the mean of the sectors' profiles has a maximum that is more than their scatter.

    The highest and the lowest of some sixty values differ by five standard deviations by chance.
    """
    from scipy.signal import find_peaks

    mean = np.nanmedian(profiles, axis=0)
    scatter = np.nanmedian(np.abs(profiles - mean)) * 1.4826 / np.sqrt(len(profiles))
    return len(find_peaks(mean, prominence=8.0 * scatter)[0]) > 0


def _paired_spots(level: np.ndarray, centre: tuple[float, float], first: int) -> float:
    """Chance that the compact maxima about a centre do not lie in pairs by accident; 0 to 1.

    Of one crystal each spot has its Friedel partner; spots differ in height by their structure
    factors, where the dots of a lattice image are all alike.
    """
    from scipy.ndimage import maximum_filter, uniform_filter

    excess = level - uniform_filter(level, 15)
    noise = 1.4826 * float(np.median(np.abs(excess))) + 1e-12
    top = (maximum_filter(excess, 7) == excess) & (excess > 8.0 * noise)
    points = np.argwhere(top)
    points = points[np.hypot(*(points - centre).T) > first]
    height = level[tuple(points.T)] if len(points) else np.empty(0)
    order = np.argsort(-height)[:60]
    points, height = points[order], height[order]
    beam = level[tuple(np.rint(centre).astype(int))]
    # logarithms: the direct beam is brighter than twice any spot
    if len(points) < 8 or height.std() < 0.1 or beam < height.max() + np.log(_BRIGHT):
        return 0.0
    partner = 2.0 * np.array(centre) - points
    apart = np.abs(partner[:, None] - points[None]).max(2).min(1)
    inside = ((partner > 2) & (partner < np.array(level.shape) - 3)).all(1)
    paired = int((apart[inside] <= 2.0).sum())
    chance = len(points) * 25.0 / level.size  # that a point lies within two pixels of a place
    if paired < 8 or paired < 0.7 * inside.sum():
        return 0.0
    return float(1.0 - chance ** (paired / 2.0))


def _shrunk(image: np.ndarray) -> np.ndarray:
    """Means of blocks, to about 192 pixels a side."""
    factor = max(1, round(min(image.shape) / 192))
    ny, nx = (n // factor for n in image.shape)
    small = image[: ny * factor, : nx * factor].astype(float)
    return np.asarray(small.reshape(ny, factor, nx, factor).mean(axis=(1, 3)))


def _sector_profiles(
    image: np.ndarray, centre: tuple[float, float], sectors: int = 8
) -> np.ndarray:
    """Mean over each radius (whole pixels), sector by sector: (sectors, radii), NaN outside."""
    y, x = np.indices(image.shape)
    dy, dx = y - centre[0], x - centre[1]
    bins = PolarBins.of(dx.ravel(), dy.ravel(), sectors=sectors).whole()
    counted, total = bins.sums(), bins.sums(image.ravel())
    return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)


def _agreement(profiles: np.ndarray, first: int, reach: int) -> float:
    """Median over the sectors of how each agrees with the median of all others, at its best.

    Up to three of eight sectors may be spoilt by a beam stop. The optics may stretch a pattern by
    a few per cent, which moves rings by more than their width: small stretches are tried.

    Parameters
    ----------
    profiles : (sectors, radii)
    first, reach : radii between which they are compared
    """
    whole = np.arange(profiles.shape[1], dtype=float)
    turn = (np.arange(len(profiles)) + 0.5) / len(profiles) * 2.0 * np.pi
    best = _round_agreement(profiles[:, first:reach])
    for amount, angle in _STRETCHES:
        factors = 1.0 + amount * np.cos(2.0 * turn - angle)
        round_again = [
            np.interp(whole[first:reach] * factor, whole, own)
            for factor, own in zip(factors, profiles, strict=True)
        ]
        best = max(best, _round_agreement(np.stack(round_again)))
    return best


def _round_agreement(profiles: np.ndarray) -> float:
    found = []
    for i, own in enumerate(profiles):
        others = np.delete(profiles, i, axis=0)
        both = np.isfinite(own) & np.isfinite(others).any(axis=0)
        if both.sum() < max(8, profiles.shape[1] // 2):
            continue
        a, b = own[both], np.nanmedian(others[:, both], axis=0)
        a, b = a - a.mean(), b - b.mean()
        size = np.sqrt((a @ a) * (b @ b))
        found.append(float(a @ b / size) if size > 0 else 0.0)
    return float(np.median(found)) if found else 0.0


def _inversion_centre(image: np.ndarray) -> tuple[float, float]:
    """Centre (y, x) of the best agreement of `image` with itself turned by 180 degrees."""
    ny, nx = image.shape
    agreement = turned_match(image - image.mean())
    # No centre near the border, where little overlaps and chance decides.
    inner = agreement[ny // 2 : -ny // 2, nx // 2 : -nx // 2]
    top = np.unravel_index(np.argmax(inner), inner.shape)
    return (top[0] + ny // 2) / 2.0, (top[1] + nx // 2) / 2.0


def filled_up(data: np.ndarray, kind: Modality) -> str | None:
    """Why an array looks like a cut file that was filled with zeros; None if it does not.

    A filling is one long run of exact zeros (two, where pictures are stored upside down),
    beginning abruptly, in data that have hardly any elsewhere. The quiet end of an X-ray
    spectrum, beyond the beam energy, is such a run too, but counts fade towards it. Data that
    are sparse everywhere cannot be judged.

    Parameters
    ----------
    data : in the order of the file
    """
    flat = data.ravel()
    zero = np.concatenate(([False], flat == 0, [False]))
    edges = np.flatnonzero(zero[1:] != zero[:-1]).reshape(-1, 2)
    lengths = edges[:, 1] - edges[:, 0]
    long = edges[lengths >= max(16, flat.size // 50)]
    run = int((long[:, 1] - long[:, 0]).sum())
    least = 0.1 if data.ndim == 1 and kind is not Modality.EDS else 0.25
    elsewhere = (int(lengths.sum()) - run) / max(flat.size - run, 1)
    if run < least * flat.size or elsewhere > _SPARSE or len(long) > 2:
        return None
    counted = _LAST_COUNTS if kind is Modality.EDS else 0.0
    if not any(_beside(flat, *one) > counted for one in long):
        return None
    return f"{run} of {flat.size} values are one run of exact zeros: the file is cut or damaged"


def _beside(flat: np.ndarray, start: int, stop: int) -> float:
    """Mean size of the values beside a run of zeros; 0 where they are small for the data."""
    typical = np.median(np.abs(flat[flat != 0].astype(float)))
    sides = (flat[max(0, start - 8) : start], flat[stop : stop + 8])
    level = max(float(np.abs(side.astype(float)).mean()) for side in sides if side.size)
    return level if level > 0.1 * typical else 0.0
