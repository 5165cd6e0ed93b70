"""Rings of simulated and real patterns; pictures that are not patterns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from xtalfuse.encoders.rings.geometry import Geometry
from xtalfuse.encoders.rings.peaks import snip
from xtalfuse.encoders.rings.profile import CALIBRATION_SU, NotRingsError, calibrated, ring_profile
from xtalfuse.loaders.record import Axis, Calibration, Measurement, Modality, Provenance
from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image, stretch

RADII = 40.0 * np.sqrt([3.0, 4.0, 8.0, 11.0, 12.0, 16.0, 19.0, 20.0])  # face-centred cubic
INTENSITIES = np.array([1.0, 0.5, 0.35, 0.4, 0.12, 0.06, 0.15, 0.14])
SCENE = RingScene(
    center_px=(231.3, 270.8),
    ellipticity=0.02,
    ellipse_angle_deg=30.0,
    stop_width_px=30.0,
    hot_pixels=20,
    saturation_counts=2000.0,
)


def measured(
    image: np.ndarray, unit: str = "px", step: float = 1.0, **changes: object
) -> Measurement:
    axes = tuple(
        Axis(name, unit, step * np.arange(n)) for name, n in zip("yx", image.shape, strict=False)
    )
    provenance = Provenance("test.dm3", "", "simulation")
    plain = Measurement(Modality.DIFFRACTION, image, axes, "counts", provenance)
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def profile():
    return ring_profile(measured(ring_image(RADII, INTENSITIES, SCENE)))


def test_center_behind_the_beam_stop_is_found_to_a_tenth_of_a_pixel(profile):
    # rings of 4 px width and thousands of pixels: 0.1 px is generous, a centroid is off by 20
    assert profile.geometry.x == pytest.approx(231.3, abs=0.1)
    assert profile.geometry.y == pytest.approx(270.8, abs=0.1)


def test_a_camera_constant_by_hand_calibrates_a_profile(profile):
    scaled = calibrated(profile, 0.005, 0.01)
    assert scaled.calibration is Calibration.KNOWN
    assert scaled.sharp[0].g == pytest.approx(0.005 * profile.sharp[0].radius_px)
    assert not any("unknown" in warning for warning in scaled.warnings)
    with pytest.raises(ValueError, match="positive"):
        calibrated(profile, -1.0)


def test_elliptical_distortion_is_measured(profile):
    # 2 % at a radius of 180 px is 1.8 px, a fifth of a pixel is 0.2 %
    assert profile.geometry.ellipticity == pytest.approx(0.02, abs=0.002)
    assert profile.geometry.angle_deg == pytest.approx(30.0, abs=4.0)


def test_every_ring_is_found_within_a_fifth_of_a_percent(profile):
    found = np.array([ring.radius_px for ring in profile.sharp])
    assert len(found) == len(RADII)
    assert np.abs(found / RADII - 1.0).max() < 0.002
    assert profile.pattern == "rings"


def test_stated_uncertainties_cover_the_errors(profile):
    errors = [
        abs(ring.radius_px - true) / ring.radius_su_px
        for ring, true in zip(profile.sharp, RADII, strict=True)
    ]
    assert max(errors) < 5.0
    assert all(ring.radius_su_px < 0.5 for ring in profile.sharp)


def test_beam_stop_and_hot_pixels_are_masked(profile):
    assert not profile.good[:200, 225:245].any()
    assert profile.good[300:, :].mean() > 0.99


def test_without_calibration_there_are_only_ratios(profile):
    assert profile.calibration is Calibration.UNKNOWN
    assert profile.scale is None
    assert all(ring.g is None for ring in profile.rings)
    assert any("unknown" in warning for warning in profile.warnings)
    assert profile.ratios == pytest.approx(RADII / RADII[0], rel=0.002)


@pytest.mark.parametrize(("unit", "step"), [("1/nm", 0.05), ("1/angstrom", 0.005)])
def test_calibrated_rings_have_g_with_the_calibration_uncertainty(unit, step):
    found = ring_profile(measured(ring_image(RADII, INTENSITIES, SCENE), unit, step))
    first = found.sharp[0]
    assert found.scale == pytest.approx(0.005)
    assert first.g == pytest.approx(RADII[0] * 0.005, rel=0.002)
    assert first.g_su == pytest.approx(first.g * CALIBRATION_SU, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "least"),
    [
        ({"peak_counts": 30.0}, 4),
        ({"arc": 0.5}, 6),
        ({"center_px": (60.2, 420.4)}, 6),
        ({"grains": 60, "seed": 2}, 5),
    ],
    ids=["weak", "arcs", "corner", "spotty"],
)
def test_incomplete_patterns_keep_their_radii(changes, least):
    scene = replace(SCENE, **changes)
    found = ring_profile(measured(ring_image(RADII, INTENSITIES, scene)))
    assert found.geometry.x == pytest.approx(scene.center_px[0], abs=0.3)
    assert found.geometry.y == pytest.approx(scene.center_px[1], abs=0.3)
    radii = np.array([ring.radius_px for ring in found.sharp])
    off = np.abs(radii[:, None] / RADII[None, :] - 1.0).min(0)
    assert np.sum(off < 0.002) >= least


def test_few_grains_are_said_to_be_few():
    scene = replace(SCENE, grains=20, seed=5)
    found = ring_profile(measured(ring_image(RADII, INTENSITIES, scene)))
    assert found.pattern == "spotty rings"
    assert any("few grains" in warning for warning in found.warnings)


def crystal_spots(basis: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Zone-axis pattern of one crystal, with Friedel pairs alike."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:384, :384]
    image = 20.0 + 200.0 * np.exp(-np.hypot(x - center[0], y - center[1]) / 60.0)
    for h in range(-6, 7):
        for k in range(-6, 7):
            if (h, k) < (0, 0):
                continue
            strength = 3000.0 * rng.uniform(0.1, 1.0)
            for sign in (1, -1):
                place = center + sign * np.array([h, k]) @ basis
                strength_here = strength * np.exp(-(np.sum((place - center) ** 2)) / 2 / 110.0**2)
                image += strength_here * np.exp(
                    -0.5 * ((x - place[0]) ** 2 + (y - place[1]) ** 2) / 2.5**2
                )
    return rng.poisson(image).astype(float)


def test_spots_of_one_crystal_are_recognised_and_their_radii_kept():
    basis = np.array([[38.0, 9.0], [-9.0, 38.0]])
    found = ring_profile(measured(crystal_spots(basis, np.array([190.3, 196.6]))))
    assert found.pattern == "spots"
    assert any("single crystal" in warning for warning in found.warnings)
    assert found.geometry.x == pytest.approx(190.3, abs=0.5)
    side = np.hypot(38.0, 9.0)
    radii = np.array([ring.radius_px for ring in found.rings])
    for ratio in np.sqrt([1.0, 2.0, 4.0, 5.0]):
        assert np.abs(radii / (side * ratio) - 1.0).min() < 0.01


def pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:256, :256]
    noise = rng.normal(100.0, 10.0, (256, 256))
    blobs = sum(
        (np.hypot(x - a, y - b) < r) * 50.0
        for a, b, r in rng.uniform(5.0, 250.0, (40, 3)) / [1, 1, 12]
    )
    fringes = 100.0 + 30.0 * np.cos(0.5 * x + 0.12 * y)
    lattice = fringes + 30.0 * np.cos(-0.06 * x + 0.44 * y)
    return {
        "noise": noise,
        "texture": 1000.0 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 3.0),
        "particles": rng.poisson(100.0 + blobs).astype(float),
        "fringes": rng.poisson(fringes).astype(float),
        "lattice": rng.poisson(lattice).astype(float),
        "slope": rng.poisson(100.0 + 0.3 * x).astype(float),
        "direct beam": rng.poisson(10.0 + 3000.0 * np.exp(-np.hypot(x - 99, y - 120) / 30)) * 1.0,
    }


@pytest.mark.parametrize("name", list(pictures()))
def test_a_picture_that_is_no_pattern_is_refused(name):
    with pytest.raises(NotRingsError, match=r"test\.dm3: .*not a diffraction pattern that"):
        ring_profile(measured(pictures()[name]))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda: measured(np.zeros((128, 128))), "empty"),
        (lambda: measured(np.zeros((4, 128, 128))), "one image"),
        (lambda: measured(np.zeros((128, 128)) + np.nan), "empty"),
        (lambda: measured(pictures()["noise"], "nm"), "lengths"),
        (lambda: measured(pictures()["noise"], modality=Modality.EELS), "eels"),
    ],
)
def test_what_cannot_be_a_pattern_is_refused_with_the_reason(wrong, reason):
    with pytest.raises(NotRingsError, match=reason):
        ring_profile(wrong())


def test_halos_of_an_amorphous_film_are_not_rings():
    scene = RingScene(shape=(320, 320), center_px=(160.0, 160.0), fwhm_px=30.0, central_counts=0.0)
    with pytest.raises(NotRingsError, match="amorphous"):
        ring_profile(measured(ring_image(np.array([60.0, 110.0]), np.array([1.0, 0.5]), scene)))


def test_background_follows_a_slope_and_passes_under_a_peak():
    r = np.arange(300.0)
    slope = 500.0 * np.exp(-r / 60.0) + 20.0
    peak = 80.0 * np.exp(-0.5 * ((r - 120.0) / 3.0) ** 2)
    base = snip(slope + peak, 20)
    # a slope that halves over the window of 20 loses up to a tenth of the peak's height
    assert np.abs(base - slope)[20:280].max() < 10.0


def test_distortion_matrix_is_the_one_that_is_simulated():
    angle, amount = 30.0, 0.02
    e1, e2 = 0.5 * amount * np.cos(np.radians(60.0)), 0.5 * amount * np.sin(np.radians(60.0))
    geometry = Geometry(0.0, 0.0, e1, e2)
    assert geometry.matrix() == pytest.approx(stretch(amount, angle))
    assert np.linalg.det(geometry.matrix()) == pytest.approx(1.0)
    assert geometry.angle_deg == pytest.approx(angle)


@pytest.mark.parametrize("name", ["bismuth.dm3", "bismuth.dm4"])
def test_real_bismuth_rings_are_those_of_a_hexagonal_net(real: Path, name: str):
    from xtalfuse.loaders import load

    path = real / "tem" / "diffraction" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = ring_profile(load(path))
    assert found.calibration is Calibration.UNKNOWN
    for wanted in np.sqrt([1.0, 3.0, 4.0, 7.0]):  # the bar is 0.5 %
        assert np.abs(found.ratios / wanted - 1.0).min() < 0.005
    assert not found.good[60:120, 96:104].any()  # the beam stop
