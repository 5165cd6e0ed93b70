"""Electron diffraction rings: image -> centre, distortion, radial profile and ring list."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xtalfuse.encoders.rings.geometry import (
    Geometry,
    contrast_with_decoys,
    defects,
    find_geometry,
    shadow,
)
from xtalfuse.encoders.rings.peaks import DETECTION_SIGMA, Curve, Peaks, radial_profile
from xtalfuse.encoders.rings.sectors import SectorFit, fit_sectors, polar, refine
from xtalfuse.encoders.rings.shape import Beam
from xtalfuse.encoders.rings.spots import Spots, find_spots
from xtalfuse.loaders.record import Calibration, Measurement, Modality

CALIBRATION_SU = 0.015  # relative; camera constants drift by 1-2 % between calibrations
TO_INVERSE_ANGSTROM = {
    "1/angstrom": 1.0,
    "1/å": 1.0,
    "1/a": 1.0,
    "å^-1": 1.0,
    "1/nm": 0.1,
    "nm^-1": 0.1,
    "1/pm": 100.0,
}
NO_SCALE = "camera constant unknown: only ratios of ring radii carry information"
LENGTHS = {"nm", "um", "µm", "angstrom", "å", "pm", "mm", "m"}
WEAK_SECTOR_SIGMA = 3.0  # for further rings once the pattern is known to have rings
DECOY_RATIO = 2.0  # pictures with texture reach 1.2, ring patterns 6 and more
CONTINUOUS_COVERAGE = 0.6
LEAST_RADII = 20  # samples of the profile; fewer where the centre is far outside the image
DIFFUSE_WIDTH = 1.8  # times the width of the strong rings, that of the beam apart
# width over radius, without that of the beam, if the pattern holds nothing sharper
HALO_RELATIVE_WIDTH = 0.12
HALO_PX = 6.0
SECTOR_SIGMA = 5.0  # least agreement of a ring's sectors, in standard errors of their mean


class NotRingsError(ValueError):
    """The image is not a diffraction pattern: the message says what was found instead."""


@dataclass(frozen=True)
class Ring:
    """One ring. Radii are of the undistorted circle (geometric mean of the semi-axes)."""

    radius_px: float
    radius_su_px: float
    intensity: float  # of the whole circle, strongest ring = 1
    fwhm_px: float
    significance: float  # height over its standard uncertainty
    coverage: float  # share of the visible circle that carries intensity, 0-1
    diffuse: bool  # much broader than the other rings: amorphous support or halo
    g: float | None = None  # 1/d in 1/angstrom; None without a calibration
    g_su: float | None = None  # with the calibration's own uncertainty


@dataclass(frozen=True)
class RingProfile:
    """What one ring pattern says, before any crystal is assumed.

    Parameters
    ----------
    pattern : ``"rings"``, ``"spotty rings"`` (few grains) or ``"spots"`` (single crystal)
    geometry, center_su_px : centre, ellipse; standard uncertainty of the centre in x and y
    good : (ny, nx) pixels used: not dead, hot, saturated or behind the beam stop
    radius_px, intensity, sigma, background : (n,) azimuthal mean, its standard error and the
        smooth part under the rings; NaN where no pixel is seen
    rings : by radius
    calibration : ``UNKNOWN`` leaves only ratios of radii
    scale, scale_relative_su : 1/angstrom per pixel, or None
    image : (ny, nx) the pattern, for figures
    warnings : what a reader of the result must know
    """

    pattern: str
    geometry: Geometry
    center_su_px: tuple[float, float]
    ellipticity_su: float
    good: np.ndarray
    radius_px: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    background: np.ndarray
    rings: tuple[Ring, ...]
    calibration: Calibration
    scale: float | None
    scale_relative_su: float | None
    image: np.ndarray
    warnings: tuple[str, ...] = ()

    @property
    def sharp(self) -> tuple[Ring, ...]:
        """Rings of a crystal: all but the diffuse ones."""
        return tuple(ring for ring in self.rings if not ring.diffuse)

    @property
    def ratios(self) -> np.ndarray:
        """(n,) radii of the sharp rings over that of the strongest ring."""
        if not self.sharp:
            return np.empty(0)
        radii = np.array([ring.radius_px for ring in self.sharp])
        strongest = int(np.argmax([ring.intensity for ring in self.sharp]))
        return radii / radii[strongest]

    @property
    def visible_px(self) -> tuple[float, float]:
        """Smallest and largest radius at which a typical ring of the pattern would be seen.

        In the glare of the direct beam the noise hides what would be plain further out.
        """
        seen = np.isfinite(self.background)
        radius, sigma = self.radius_px[seen], self.sigma[seen]
        inner, outer = float(radius[0]), float(radius[-1])
        if self.sharp:
            places = [ring.radius_px for ring in self.sharp]
            heights = np.interp(places, radius, (self.intensity - self.background)[seen])
            hidden = (DETECTION_SIGMA * sigma > np.median(heights)) & (radius < 0.95 * min(places))
            inner = float(radius[hidden].max()) if hidden.any() else inner
        return inner, outer


def ring_profile(measurement: Measurement) -> RingProfile:
    """Centre, distortion, radial profile and rings of an electron diffraction pattern.

    Parameters
    ----------
    measurement : (ny, nx) image. Its axes carry 1/angstrom or 1/nm where the camera is
        calibrated; any other unit leaves the scale unknown.

    Raises
    ------
    NotRingsError
        If the array is not one image, is in real space, or shows neither rings nor the
        inversion-symmetric spots of a crystal.
    """
    name = measurement.provenance.path
    image = _checked_image(measurement)
    bad = defects(image)
    image = np.where(np.isfinite(image), image, np.nanmedian(image))
    geometry = find_geometry(image, ~bad)
    good = ~bad & ~shadow(image, ~bad, geometry)
    if good.sum() < (~bad).sum():
        geometry = find_geometry(image, good, geometry)
    found = None
    if geometry.near(image.shape) and contrast_with_decoys(image, good, geometry) > DECOY_RATIO:
        found = _from_rings(image, good, geometry)
    if found is None or found.pattern != "rings":
        spots = find_spots(image, good)
        found = _from_spots(image, good, spots) if spots.lattice else found
    if found is None:
        raise NotRingsError(
            f"{name}: no sharp ring is common to the sectors of the image and no lattice of spots "
            "is symmetric about a centre, so it is not a diffraction pattern that can be used "
            "(broad halos of an amorphous specimen are not enough). If there are rings, crop the "
            "image so that they fill it"
        )
    scale, relative = _scale(measurement)
    profile = RingProfile(
        pattern=found.pattern,
        geometry=found.geometry,
        center_su_px=found.center_su_px,
        ellipticity_su=found.ellipticity_su,
        good=good,
        radius_px=found.curve.radius_px,
        intensity=found.curve.intensity,
        sigma=found.curve.sigma,
        background=found.curve.background,
        rings=found.rings,
        calibration=Calibration.UNKNOWN,
        scale=None,
        scale_relative_su=None,
        image=image,
        warnings=_warnings(found),
    )
    if scale is None or relative is None:
        return replace(profile, warnings=(NO_SCALE, *profile.warnings))
    return calibrated(profile, scale, relative, measurement.calibration)


def calibrated(
    profile: RingProfile,
    scale: float,
    relative_su: float = CALIBRATION_SU,
    calibration: Calibration = Calibration.KNOWN,
) -> RingProfile:
    """The profile with this scale, for example from a camera constant given by hand.

    Parameters
    ----------
    profile : any profile, calibrated or not
    scale : 1/angstrom per pixel
    relative_su : relative standard uncertainty of the scale

    Raises
    ------
    ValueError
        If the scale or its uncertainty is not positive.
    """
    if not (scale > 0 and relative_su > 0):
        raise ValueError(f"scale {scale} and its uncertainty {relative_su} must be positive")
    return replace(
        profile,
        rings=tuple(_calibrated(ring, scale, relative_su) for ring in profile.rings),
        calibration=calibration,
        scale=scale,
        scale_relative_su=relative_su,
        warnings=tuple(warning for warning in profile.warnings if warning != NO_SCALE),
    )


@dataclass(frozen=True)
class _Found:
    """A pattern in pixels, before calibration."""

    pattern: str
    geometry: Geometry
    curve: Curve
    rings: tuple[Ring, ...]
    center_su_px: tuple[float, float]
    ellipticity_su: float


def _checked_image(measurement: Measurement) -> np.ndarray:
    name, image = measurement.provenance.path, np.squeeze(np.asarray(measurement.values, float))
    if measurement.modality in (Modality.XRD, Modality.EELS, Modality.EDS):
        raise NotRingsError(f"{name}: a {measurement.modality} record, not a diffraction image")
    if image.ndim != 2 or min(image.shape) < 64:
        raise NotRingsError(
            f"{name}: found an array of shape {image.shape}; a ring pattern is one image of at "
            "least 64 x 64 pixels. Extract or sum the frames first"
        )
    units = {axis.unit.strip().lower() for axis in measurement.axes}
    if units & LENGTHS:
        raise NotRingsError(
            f"{name}: the axes are lengths ({', '.join(sorted(units & LENGTHS))}): this is an "
            "image of the specimen, not a diffraction pattern"
        )
    finite = image[np.isfinite(image)]
    if finite.size < 0.2 * image.size or np.ptp(finite) == 0:
        raise NotRingsError(f"{name}: the image is empty (constant or not finite)")
    return image


def _scale(measurement: Measurement) -> tuple[float | None, float | None]:
    """1/angstrom per pixel and its relative standard uncertainty, None where not known."""
    steps = []
    for axis in measurement.axes[-2:]:
        factor = TO_INVERSE_ANGSTROM.get(axis.unit.strip().lower().replace(" ", ""))
        if factor is None or measurement.calibration is Calibration.UNKNOWN:
            return None, None
        steps.append(abs(float(np.mean(np.diff(axis.values)))) * factor)
    stated = measurement.instrument.scale_relative_su
    relative = float(stated) if stated is not None else CALIBRATION_SU
    if measurement.calibration is Calibration.ASSUMED:
        relative = max(relative, 0.05)
    return float(np.sqrt(np.prod(steps))), relative


def _from_rings(image: np.ndarray, good: np.ndarray, geometry: Geometry) -> _Found | None:
    """Rings of the pattern, with the geometry improved on them until it stands still."""
    beam: Beam | None = None
    again = False
    for turn in range(8):
        sectors = polar(image, good, geometry)
        if np.isfinite(sectors.mean()[1]).sum() < LEAST_RADII:
            return None
        curve, peaks, beam = radial_profile(sectors, beam, settled=turn > 1 and not again)
        fit = fit_sectors(sectors, curve.background, peaks.center, peaks.fwhm)
        moved = refine(geometry, fit, SECTOR_SIGMA)
        shift = np.hypot(moved.x - geometry.x, moved.y - geometry.y)
        bent = np.hypot(moved.e1 - geometry.e1, moved.e2 - geometry.e2)
        still = shift < 0.01 and bent < 2e-4
        if still and (again or not _paired(peaks)):
            break
        # a beam found while the ellipse was wrong may be too small: one ring is then two
        geometry, again = (geometry if still else moved), still
    kept = (fit.agreement > WEAK_SECTOR_SIGMA) & (peaks.soft < 0.5 * peaks.center)
    evidence = float(np.sum(np.minimum(fit.agreement[kept], 10.0) ** 2))
    several = kept.sum() >= 2 and evidence > 2.0 * SECTOR_SIGMA**2
    if not several and not np.any(fit.agreement[kept] > SECTOR_SIGMA):
        return None
    pattern = "rings" if np.median(fit.coverage[kept]) > CONTINUOUS_COVERAGE else "spotty rings"
    rings = _rings(peaks.kept(kept), fit.coverage[kept], _scatter(fit, kept))
    return _Found(pattern, geometry, curve, rings, fit.center_su_px, fit.ellipticity_su)


def _paired(peaks: Peaks) -> bool:
    """Whether two rings are so near that no dip parts them: a wider beam may make them one."""
    apart = np.diff(np.sort(peaks.center))
    return bool(len(apart)) and bool((apart < 0.85 * np.median(peaks.fwhm)).any())


def _rings(peaks: Peaks, coverage: np.ndarray, scatter: np.ndarray) -> tuple[Ring, ...]:
    area = peaks.area * peaks.center
    width = float(np.sum(peaks.soft * peaks.height) / np.sum(peaks.height))
    relative = float(np.sum(peaks.soft / peaks.center * peaks.height) / np.sum(peaks.height))
    halos = relative > HALO_RELATIVE_WIDTH and width > HALO_PX
    return tuple(
        Ring(
            radius_px=float(peaks.center[k]),
            radius_su_px=float(np.hypot(peaks.center_su[k], scatter[k])),
            intensity=float(area[k] / area.max()),
            fwhm_px=float(peaks.fwhm[k]),
            significance=float(peaks.significance[k]),
            coverage=float(coverage[k]),
            diffuse=bool(halos or peaks.soft[k] > max(DIFFUSE_WIDTH * width, HALO_PX)),
        )
        for k in range(len(area))
    )


def _scatter(fit: SectorFit, kept: np.ndarray) -> np.ndarray:
    """(n,) standard error of each radius from the scatter of its sectors."""
    error = []
    for k in np.flatnonzero(kept):
        shifts = fit.shift_px[k, fit.seen[k] & np.isfinite(fit.shift_su_px[k])]
        spread = 1.4826 * np.median(np.abs(shifts - np.median(shifts))) if len(shifts) > 2 else 1.0
        error.append(spread / np.sqrt(max(1, len(shifts))))
    return np.array(error)


def _from_spots(image: np.ndarray, good: np.ndarray, spots: Spots) -> _Found:
    """Radii of a single-crystal pattern: one "ring" for each length of the spots' lattice."""
    geometry = Geometry(*spots.center)
    curve, _, _ = radial_profile(polar(image, good, geometry))
    radii = np.hypot(spots.x - geometry.x, spots.y - geometry.y)
    order = np.argsort(radii)
    groups = np.split(order, np.flatnonzero(np.diff(radii[order]) > 0.01 * radii[order][1:]) + 1)
    sums = np.array([spots.height[group].sum() for group in groups])
    rings = tuple(
        Ring(
            radius_px=float(radii[group].mean()),
            radius_su_px=float(np.hypot(0.3, radii[group].std()) / np.sqrt(len(group))),
            intensity=float(total / sums.max()),
            fwhm_px=3.0,
            significance=float(spots.significance[group].max()),
            coverage=len(group) / 48.0,
            diffuse=False,
        )
        for group, total in zip(groups, sums, strict=True)
        if radii[group].mean() > 3.0
    )
    su = 0.3 / np.sqrt(len(radii))  # a spot is placed to about 0.3 pixel
    return _Found("spots", geometry, curve, rings, (su, su), float("nan"))


def _calibrated(ring: Ring, scale: float, relative: float) -> Ring:
    g = ring.radius_px * scale
    return replace(
        ring, g=g, g_su=g * float(np.hypot(ring.radius_su_px / ring.radius_px, relative))
    )


def _warnings(found: _Found) -> tuple[str, ...]:
    pattern, rings, geometry = found.pattern, found.rings, found.geometry
    said = []
    if pattern == "spots":
        said.append(
            "spots of a single crystal, not rings: spots that are missing say nothing, and the "
            "elliptical distortion cannot be measured"
        )
    if pattern == "spotty rings":
        said.append("spotty rings: few grains, so ring intensities are not statistical")
    if rings and all(ring.diffuse for ring in rings):
        said.append("only broad halos: the specimen is amorphous or its grains are under 1-2 nm")
    elif any(ring.diffuse for ring in rings):
        said.append("diffuse halos (amorphous support?) are listed but not used as rings")
    if geometry.ellipticity > 0.05:
        said.append(
            f"elliptical distortion of {100 * geometry.ellipticity:.1f} % is unusually large"
        )
    return tuple(said)
