"""Forward model of an electron ring pattern: what a camera records of a polycrystal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RingScene:
    """Everything about a simulated ring pattern that is not the crystal.

    Lengths are in pixels, intensities in counts. ``ellipticity`` is (major - minor) / mean
    axis; ``ellipse_angle_deg`` the direction of the major axis from x towards y.
    """

    shape: tuple[int, int] = (512, 512)
    center_px: tuple[float, float] = (256.0, 256.0)  # x, y
    ellipticity: float = 0.0
    ellipse_angle_deg: float = 0.0
    fwhm_px: float = 4.0
    peak_counts: float = 300.0  # of the strongest ring
    background_counts: float = 150.0  # inelastic halo where the central disc ends
    central_counts: float = 4000.0  # direct beam
    saturation_counts: float | None = None
    stop_width_px: float = 0.0  # bar from the top edge to just past the centre
    grains: int | None = None  # spots per ring of unit multiplicity; None: continuous
    arc: float = 0.0  # 0: full rings; towards 1: two opposite arcs only
    hot_pixels: int = 0
    dark_counts: float = 10.0
    seed: int = 0


def stretch(ellipticity: float, angle_deg: float) -> np.ndarray:
    """Area-preserving symmetric matrix (2, 2) that takes a circle to the distorted ring."""
    half, double = ellipticity / 2.0, np.radians(2.0 * angle_deg)
    generator = half * np.array(
        [[np.cos(double), np.sin(double)], [np.sin(double), -np.cos(double)]]
    )
    # exp of a traceless symmetric matrix whose square is half**2 times the identity
    slope = np.sinh(half) / half if half else 1.0
    return np.cosh(half) * np.eye(2) + slope * generator


def ring_image(radii_px: np.ndarray, intensities: np.ndarray, scene: RingScene) -> np.ndarray:
    """Camera image of rings over an inelastic background, with Poisson noise.

    Parameters
    ----------
    radii_px : (n,) radii of the undistorted rings, pixels
    intensities : (n,) intensity of each whole ring, any unit; the peak height of a ring is
        proportional to intensity / radius
    scene : geometry, noise and defects

    Returns
    -------
    (ny, nx) counts, float
    """
    rng = np.random.default_rng(scene.seed)
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]].astype(float)
    offset = np.stack([x - scene.center_px[0], y - scene.center_px[1]])
    inverse = np.linalg.inv(stretch(scene.ellipticity, scene.ellipse_angle_deg))
    u, v = np.tensordot(inverse, offset, axes=1)
    radius, angle = np.hypot(u, v), np.arctan2(v, u)
    heights = np.asarray(intensities, float) / np.asarray(radii_px, float)
    heights = scene.peak_counts * heights / heights.max()
    width = scene.fwhm_px / 2.3548
    reach = max(scene.shape) / 4.0
    expected = scene.dark_counts + scene.background_counts * np.exp(-radius / reach)
    expected += scene.central_counts * np.exp(-0.5 * (radius / (2.0 * scene.fwhm_px)) ** 2)
    for ring, height in zip(np.asarray(radii_px, float), heights, strict=True):
        near = np.abs(radius - ring) < 6.0 * width
        shape = height * np.exp(-0.5 * ((radius[near] - ring) / width) ** 2)
        expected[near] += shape * _azimuthal(angle[near], ring, width, scene, rng)
    if scene.stop_width_px:
        bar = np.abs(x - scene.center_px[0] - 0.2 * scene.stop_width_px) < scene.stop_width_px / 2
        bar &= y < scene.center_px[1] + 0.6 * scene.stop_width_px
        expected[bar] = scene.dark_counts
    counts = rng.poisson(expected).astype(float)
    if scene.hot_pixels:
        hot = rng.integers(0, counts.size, scene.hot_pixels)
        counts.flat[hot] = 10.0 * (scene.peak_counts + scene.central_counts)
    if scene.saturation_counts is not None:
        counts = np.minimum(counts, scene.saturation_counts)
    return counts


def _azimuthal(
    angle: np.ndarray, ring: float, width: float, scene: RingScene, rng: np.random.Generator
) -> np.ndarray:
    """Relative intensity along one ring, with mean about one over the full circle."""
    along = np.ones_like(angle)
    if scene.arc:
        along = np.cos(angle - 0.6) ** 2 ** (1.0 + 4.0 * scene.arc)
        along /= max(float(along.mean()), 1e-9)
    if scene.grains is None:
        return along
    spots = rng.uniform(-np.pi, np.pi, scene.grains)
    weights = rng.exponential(1.0, scene.grains)
    spread = 1.5 * width / ring
    total = np.zeros_like(angle)
    for spot, weight in zip(spots, weights, strict=True):
        apart = np.abs((angle - spot + np.pi) % (2.0 * np.pi) - np.pi)
        total += weight * np.exp(-0.5 * (apart / spread) ** 2)
    return along * total * np.sqrt(2.0 * np.pi) / (scene.grains * spread)
