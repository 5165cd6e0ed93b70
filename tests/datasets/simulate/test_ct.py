"""Simulated tomography: what it promises about grey values, noise and repeatability."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.datasets.simulate.ct import ScanSpec, as_measurement, balls, foam, scan

HALVES = np.zeros((32, 32, 32), int)
HALVES[16:] = 1
SPEC = ScanSpec(noise=0.3, photons=200.0, rings=0.1, cupping=0.1)


def test_the_same_seed_and_index_give_the_same_volume():
    np.testing.assert_array_equal(scan(HALVES, SPEC, 1, 2), scan(HALVES, SPEC, 1, 2))
    assert (scan(HALVES, SPEC, 1, 2) != scan(HALVES, SPEC, 1, 3)).any()
    for make in (balls, foam):
        one, other = make(4, 5, (24, 26, 28)), make(4, 5, (24, 26, 28))
        np.testing.assert_array_equal(one[0], other[0])


def test_without_blur_and_noise_the_grey_values_are_those_given():
    seen = scan(HALVES, ScanSpec(grey=(10.0, 50.0), blur=0.0, noise=0.0))
    np.testing.assert_array_equal(seen, np.where(HALVES, 50.0, 10.0))


@pytest.mark.parametrize("length", [0.0, 0.5, 1.0])
def test_noise_is_as_strong_as_told(length):
    seen = scan(HALVES, ScanSpec(blur=0.0, noise=0.2, noise_length=length), 3)
    assert seen[:16].std() == pytest.approx(20.0, rel=0.05)  # 0.2 of 160 - 60


def test_photons_make_bright_phases_noisier():
    seen = scan(HALVES, ScanSpec((50.0, 200.0), blur=0.0, noise=0.0, photons=400.0), 3)
    # 400 counts at 200, 100 at 50: standard deviations 20 and 10 counts, half as much in grey
    assert seen[16:].std() == pytest.approx(10.0, rel=0.05)
    assert seen[:16].std() == pytest.approx(5.0, rel=0.05)


def test_an_edge_is_blurred_by_the_point_spread():
    seen = scan(HALVES, ScanSpec((0.0, 1.0), blur=1.5, noise=0.0))
    slope = np.diff(seen[:, 16, 16])
    assert slope.max() == pytest.approx(1.0 / (1.5 * np.sqrt(2.0 * np.pi)), rel=0.05)


def test_cupping_darkens_the_middle_and_rings_go_round():
    plain = scan(np.ones((33, 33, 8), int), ScanSpec(blur=0.0, noise=0.0, cupping=0.2))
    assert plain[16, 16, 4] == pytest.approx(0.8 * 160.0)
    assert plain[0, 0, 4] == pytest.approx(160.0)
    rings = scan(np.ones((33, 33, 8), int), ScanSpec(blur=0.0, noise=0.0, rings=0.5), 1)
    same_radius = [rings[16 + 10, 16, 3], rings[16, 16 - 10, 3], rings[16 - 10, 16, 3]]
    assert np.ptp(same_radius) == 0.0
    assert rings[16:, 16, 3].std() > 10.0


def test_balls_fill_what_was_asked_and_keep_their_distance():
    labels, radii = balls(1, 0, (64, 64, 64), fraction=0.25, radius=(5.0, 8.0), gap=2.0)
    assert (labels >= 0).mean() == pytest.approx(0.25, abs=0.03)
    volumes = np.bincount(labels[labels >= 0])
    np.testing.assert_allclose(volumes, 4.0 / 3.0 * np.pi * radii**3, rtol=0.03)
    assert foam(1, 0, fraction=0.3).mean() == pytest.approx(0.3, abs=1e-3)


def test_a_measurement_is_turned_to_z_y_x():
    volume = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    made = as_measurement(volume, 0.5)
    assert made.values.shape == (6, 5, 4)
    assert made.values[1, 2, 3] == volume[3, 2, 1]
    assert made.axis("z")[1] == 0.5
    assert as_measurement(volume, None).axes[0].unit == "px"


def test_a_phase_without_a_grey_value_is_refused():
    with pytest.raises(ValueError, match="grey values"):
        scan(HALVES + 1, ScanSpec())
