"""Likelihood of one crystal given ring radii: scale, texture and assignment."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.rings.profile import RingProfile
from xtalfuse.physics.crystal.cell import Crystal, laue_rotations
from xtalfuse.physics.crystal.diffraction import Reflections
from xtalfuse.physics.crystal.diffraction import reflections as compute_reflections
from xtalfuse.physics.crystal.electron import ring_intensities
from xtalfuse.tasks.identify.rings.settings import DEFAULT, RingSettings

ZONES = np.array(
    [
        [0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1],
        [0, 1, 1], [0, 1, -1], [1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1], [2, 1, 0], [1, 2, 0],
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Rings:
    """The sharp rings of a profile as arrays (n,), by radius."""

    radius: np.ndarray  # pixels
    relative_su: np.ndarray  # of the radius, without the scale
    intensity: np.ndarray
    visible: tuple[float, float]  # radii between which a ring would be seen, pixels
    resolution: float  # rings nearer than this in log radius are one
    floor: float  # weakest ring seen, of the strongest
    missing_weight: float  # 1: a missing ring counts; 0: it says nothing (spots)
    scale: float | None
    scale_relative_su: float | None
    doubt: float  # probability given to a ring where no reflections were computed
    settings: RingSettings = DEFAULT

    @classmethod
    def of(cls, profile: RingProfile, settings: RingSettings = DEFAULT) -> Rings:
        """The part of a profile that candidates are compared with."""
        sharp = profile.sharp
        radius = np.array([ring.radius_px for ring in sharp])
        su = np.array([ring.radius_su_px for ring in sharp])
        intensity = np.array([ring.intensity for ring in sharp])
        width = float(np.median([ring.fwhm_px for ring in sharp])) if sharp else 1.0
        middle = float(np.median(radius)) if sharp else 1.0
        weights = {"rings": 1.0, "spotty rings": 0.5, "spots": 0.0}
        return cls(
            radius=radius,
            relative_su=su / radius,
            intensity=intensity,
            visible=profile.visible_px,
            resolution=float(np.clip(0.6 * width / middle, 0.004, 0.05)),
            floor=float(intensity.min() / intensity.max()) if sharp else 1.0,
            missing_weight=weights[profile.pattern],
            scale=profile.scale,
            scale_relative_su=profile.scale_relative_su,
            doubt=settings.beyond,
            settings=settings,
        )

    @property
    def informative(self) -> bool:
        """Two radii make a ratio; with a scale one is enough."""
        return len(self.radius) >= (2 if self.scale is None else 1)

    @property
    def error(self) -> np.ndarray:
        """(n,) standard deviation of log radius about the candidate's ring."""
        return np.hypot(self.relative_su, self.settings.cell_su)


@dataclass(frozen=True)
class Groups:
    """Expected rings: reflections that the image cannot separate are one, by log |g|."""

    log_g: np.ndarray  # (m,) intensity-weighted
    spread: np.ndarray  # (m,) standard deviation within the group
    intensity: np.ndarray  # (m,)
    hkl: np.ndarray  # (n, 3) all reflections
    label: np.ndarray  # (n,) group of each
    weight: np.ndarray  # (n,) intensity of each

    def members(self, group: int) -> np.ndarray:
        """(k, 3) hkl of a group, strongest first; those under 1 % of it are left out."""
        index = np.flatnonzero((self.label == group) & (self.weight > 0.0))
        index = index[np.argsort(-self.weight[index])]
        return self.hkl[index[self.weight[index] > 0.01 * self.weight[index[0]]]]


@dataclass(frozen=True)
class RingHypothesis:
    """One candidate at its best scale and texture."""

    log_likelihood: float
    log_scale: float
    scale_relative_su: float
    assigned: np.ndarray  # (rings,) group or -1
    in_view: np.ndarray  # groups that would be seen
    strongest: float  # intensity that the others are measured against
    groups: Groups
    beyond: bool  # some ring lies outside the last computed reflection
    zone: tuple[int, int, int] | None = None
    texture_log_odds: float = 0.0  # prior of this texture over random grains, in log_likelihood

    @property
    def scale(self) -> float:
        """1/angstrom per pixel."""
        return float(np.exp(self.log_scale))


def null_likelihood(rings: Rings) -> float:
    """Log-likelihood when every ring belongs to something else."""
    return float(len(rings.radius) * np.log(rings.settings.clutter))


def group_reflections(
    hkl: np.ndarray, g: np.ndarray, intensity: np.ndarray, resolution: float
) -> Groups:
    """Join reflections within `resolution` of the first of a group in log |g|."""
    order = np.argsort(g)
    order = order[intensity[order] > 1e-9 * intensity.max()]
    hkl, log_g, weight = hkl[order], np.log(g[order]), intensity[order]
    starts = [0]
    while (after := int(np.searchsorted(log_g, log_g[starts[-1]] + resolution))) < len(log_g):
        starts.append(max(after, starts[-1] + 1))
    label = np.searchsorted(np.array(starts), np.arange(len(log_g)), side="right") - 1
    total = np.bincount(label, weight)
    center = np.bincount(label, weight * log_g) / total
    variance = np.bincount(label, weight * (log_g - center[label]) ** 2) / total
    return Groups(center, np.sqrt(variance), total, hkl, label, weight)


def best_hypothesis(
    rings: Rings, cell: tuple[float, ...], known: Reflections, crystal: Crystal
) -> RingHypothesis | None:
    """Best scale and texture of one candidate; None if it has no reflection in reach.

    Rings beyond the last of the `known` reflections are first given the benefit of the doubt;
    if the best scale needs them, reflections are computed further out and all is tried again.
    """
    best = _best_of(rings, cell, known, crystal)
    if best is None or not best.beyond:
        return best
    outermost = best.scale * float(rings.radius[-1]) * 1.02
    further = compute_reflections(crystal, d_min=max(1.0 / outermost, rings.settings.smallest_d))
    return _best_of(replace(rings, doubt=0.0), cell, further, crystal)


def _best_of(
    rings: Rings, cell: tuple[float, ...], reflections: Reflections, crystal: Crystal
) -> RingHypothesis | None:
    settings = rings.settings
    g = 1.0 / reflections.d_spacings(cell)
    intensity = ring_intensities(reflections, cell)
    if rings.scale is not None and rings.scale_relative_su is not None:
        reach = rings.visible[1] * rings.scale * (1.0 + 5.0 * rings.scale_relative_su)
        near = g < reach
    else:
        near = np.argsort(np.argsort(g)) < settings.most_reflections
    g, intensity, hkl = g[near], intensity[near], reflections.hkl[near].astype(int)
    if not len(g):
        return None
    images = hkl @ laue_rotations(crystal.space_group)  # [operations, n, 3]
    in_zone = np.mean(images @ ZONES.T == 0, axis=0)  # [n, zones]: share of the family
    _, first = np.unique(in_zone > 0, axis=1, return_index=True)
    zones = [k for k in np.sort(first) if (in_zone[:, k] > 0).sum() >= 2]
    best = _at_best_scale(rings, group_reflections(hkl, g, intensity, rings.resolution))
    if best is not None:
        best = replace(best, log_likelihood=best.log_likelihood + float(np.log(settings.p_random)))
    for k in zones:
        kept = in_zone[:, k] > 0
        strength = intensity[kept] * in_zone[kept, k] * g[kept]
        found = _at_best_scale(
            rings, group_reflections(hkl[kept], g[kept], strength, rings.resolution)
        )
        if found is None:
            continue
        odds = float(np.log((1.0 - settings.p_random) / len(zones)))
        if best is None or found.log_likelihood + odds > best.log_likelihood:
            u, v, w = (int(i) for i in ZONES[k])
            best = replace(
                found,
                log_likelihood=found.log_likelihood + odds,
                zone=(u, v, w),
                texture_log_odds=odds - float(np.log(settings.p_random)),
            )
    if best is None or best.zone is None:
        return best
    in_plane = _in_zone(best.groups.hkl, crystal.space_group, np.array(best.zone))
    return replace(best, groups=replace(best.groups, hkl=in_plane))


def _in_zone(hkl: np.ndarray, space_group: str, zone: np.ndarray) -> np.ndarray:
    """(n, 3) hkl, each replaced by the equivalent in the zone with the largest indices."""
    images = (hkl @ laue_rotations(space_group)).transpose(1, 0, 2)  # [n, operations, 3]
    images = np.concatenate([images, -images], axis=1)
    rank = np.where(images @ zone == 0, images @ (10000, 100, 1), -(10**9))
    return images[np.arange(len(hkl)), rank.argmax(axis=1)]


def _at_best_scale(rings: Rings, groups: Groups) -> RingHypothesis | None:
    """Try every pairing of a strong ring with an expected ring as the scale; keep the best."""
    log_r = np.log(rings.radius)
    strong_rings = np.argsort(-rings.intensity)[:3]
    unknown = rings.scale is None
    keep = groups.log_g[: rings.settings.paired_groups] if unknown else groups.log_g
    scales = (keep[:, None] - log_r[strong_rings][None, :]).ravel()
    if rings.scale is not None and rings.scale_relative_su is not None:
        known = np.log(rings.scale)
        scales = scales[np.abs(scales - known) < 4.0 * rings.scale_relative_su]
        scales = np.append(scales, known)
    else:
        strongest = log_r[strong_rings[0]]
        low, high = (-np.log(d) - strongest for d in reversed(rings.settings.d_of_strongest))
        scales = scales[(scales > low) & (scales < high)]
    if not len(scales):
        return None
    for _ in range(2):
        likelihood, assigned, width = _likelihood(rings, groups, scales)
        top = np.argsort(-likelihood)[:8]
        scales = _improved(rings, groups, scales[top], assigned[top])
    likelihood, assigned, width = _likelihood(rings, groups, scales)
    k = int(np.argmax(likelihood))
    view = _in_view(rings, groups, scales[k : k + 1])[0]
    matched = assigned[k][assigned[k] >= 0]
    strongest_intensity = groups.intensity[matched].max() if len(matched) else 1.0
    return RingHypothesis(
        float(likelihood[k]),
        float(scales[k]),
        float(width[k]),
        assigned[k],
        np.flatnonzero(view),
        float(strongest_intensity),
        groups,
        bool(
            log_r.max() + scales[k]
            > groups.log_g[-1] + rings.settings.match_sigma * rings.settings.cell_su
        ),
    )


def _in_view(rings: Rings, groups: Groups, scales: np.ndarray) -> np.ndarray:
    """(scales, groups) bool: expected rings within the radii that the image shows."""
    place = groups.log_g[None, :] - scales[:, None]
    return (place > np.log(rings.visible[0])) & (place < np.log(rings.visible[1]))


def _improved(rings: Rings, groups: Groups, scales: np.ndarray, assigned: np.ndarray) -> np.ndarray:
    """Log scales after weighted least squares on the assigned rings and the prior."""
    used = assigned >= 0
    variance = rings.error**2 + groups.spread[np.maximum(assigned, 0)] ** 2
    weight = np.where(used, 1.0 / variance, 0.0)
    target = groups.log_g[np.maximum(assigned, 0)] - np.log(rings.radius)[None, :]
    total, moment = weight.sum(1), (weight * target).sum(1)
    if rings.scale is not None and rings.scale_relative_su is not None:
        prior = 1.0 / rings.scale_relative_su**2
        total, moment = total + prior, moment + prior * np.log(rings.scale)
    return np.where(total > 0, moment / np.maximum(total, 1e-12), scales)


def _alike(rings: Rings, expected: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Log density of each ring's intensity over that of anything else, (s, rings).

    Log-normal about the kinematic one, but for a common factor: texture and dynamical scattering
    move an intensity by a factor of three. Anything else is spread evenly over the decades seen.
    """
    sigma, span = np.log(rings.settings.intensity_factor), np.log(rings.settings.intensity_span)
    off = np.log(rings.intensity) - np.log(expected)
    off -= (off * use).sum(1, keepdims=True) / np.maximum(use.sum(1, keepdims=True), 1)
    density = -0.5 * (off / sigma) ** 2 - np.log(np.sqrt(2.0 * np.pi) * sigma / span)
    return np.where(use, density, 0.0)


def _likelihood(
    rings: Rings, groups: Groups, scales: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log evidence (s,), assignment (s, rings) and posterior width of log scale (s,)."""
    settings = rings.settings
    clutter = np.log(settings.clutter)
    place = np.log(rings.radius)[None, :] + scales[:, None]  # [s, rings]
    right = np.clip(np.searchsorted(groups.log_g, place), 1, max(1, len(groups.log_g) - 1))
    right = np.minimum(right, len(groups.log_g) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.abs(groups.log_g[right] - place) < np.abs(groups.log_g[left] - place)
    nearest = np.where(nearer, right, left)
    error = np.sqrt(rings.error**2 + groups.spread[nearest] ** 2)
    off = (place - groups.log_g[nearest]) / error
    close = np.abs(off) < settings.match_sigma
    matched_intensity = np.where(close, groups.intensity[nearest], 0.0)
    strongest = np.maximum(matched_intensity.max(1), 1e-300)  # [s]
    half = float(np.clip(2.0 * rings.floor, 0.01, 0.4))
    relative = groups.intensity[None, :] / strongest[:, None]  # [s, groups]
    seen = settings.seen_at_most * relative / (relative + half)
    gain = np.log(np.take_along_axis(seen, nearest, 1) + 1e-12)
    gain += -0.5 * off**2 - np.log(np.sqrt(2.0 * np.pi) * error)
    use = close & (gain > clutter)
    alike = rings.missing_weight * _alike(rings, groups.intensity[nearest], use)
    gain = np.where(use, np.maximum(gain + alike, clutter), gain)
    absent = rings.missing_weight * np.log1p(-seen) * _in_view(rings, groups, scales)
    cost = absent.sum(1) - (np.take_along_axis(absent, nearest, 1) * use).sum(1)
    beyond = ~use & (place > groups.log_g[-1] + settings.match_sigma * settings.cell_su)
    beyond &= 2 * beyond.sum(1, keepdims=True) <= len(rings.radius)
    doubt = np.log(rings.doubt + 1e-12) - np.log(np.sqrt(2.0 * np.pi) * rings.error)
    other = np.where(beyond, np.maximum(doubt, clutter), clutter)
    total = np.where(use, gain, other).sum(1) + cost
    information = np.where(use, 1.0 / error**2, 0.0).sum(1)
    if rings.scale is not None and rings.scale_relative_su is not None:
        prior = rings.scale_relative_su
        total -= 0.5 * ((scales - np.log(rings.scale)) / prior) ** 2 + np.log(prior)
        information = information + 1.0 / prior**2
    else:
        total += 0.5 * np.log(2.0 * np.pi) - np.log(settings.log_scale_range)
        information = np.maximum(information, 1.0 / settings.log_scale_range**2)
    width = 1.0 / np.sqrt(information)
    return total + np.log(width), np.where(use, nearest, -1), width
