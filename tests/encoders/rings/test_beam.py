"""Rings as wide as the direct beam are rings; the shape of the beam parts those that overlap."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.encoders.rings.ring_fit import RingFit
from xtalfuse.encoders.rings.shape import Beam, direct_beam

RADIUS = np.arange(15.0, 120.0, 0.5)


def profile(centers, heights, beam, counts=400.0, seed=0):
    """Azimuthal mean of smeared circles on a falling background, and its standard error."""
    rng = np.random.default_rng(seed)
    top = beam.profile(np.zeros(1))[0]
    model = beam.rings(RADIUS, np.array(centers)) @ (counts * np.array(heights) / top)
    model = model + 0.6 * counts * np.exp(-RADIUS / 30.0) + 5.0
    sigma = np.sqrt(model / (np.pi * RADIUS))
    return model + rng.normal(0.0, sigma), sigma


@pytest.mark.parametrize("disc", [0.0, 2.0, 4.0, 5.5])
def test_overlapping_rings_are_parted_by_the_shape_of_the_beam(disc):
    true = [41.9, 48.4, 68.4, 80.3, 105.5]  # face-centred cubic: 111 and 200 overlap
    mean, sigma = profile(true, [1.0, 0.45, 0.25, 0.25, 0.1], Beam(disc, 1.2))
    start = np.array([42.0, 69.0, 80.0])
    fit = RingFit.of(RADIUS, mean, sigma, Beam(max(disc, 0.5), 1.0), start, None)
    for radius in true[:4]:
        assert np.abs(fit.centers / radius - 1.0).min() < 0.003
    assert np.abs(fit.centers[:, None] / np.array(true) - 1.0).min(1).max() < 0.03  # no others


@pytest.mark.parametrize(("disc", "edge"), [(0.0, 1.0), (3.0, 0.8), (8.0, 1.0)])
def test_the_direct_beam_is_measured_where_it_shows(disc, edge):
    radius = np.arange(0.0, 60.0, 0.5)
    points = np.random.default_rng(2).uniform(-1.0, 1.0, (400_000, 2))
    points = disc * points[np.hypot(*points.T) < 1.0]
    points += np.random.default_rng(3).normal(0.0, edge, points.shape)
    place = np.hypot(*points.T) / 0.5
    mean = np.bincount(np.rint(place).astype(int), minlength=200)[: len(radius)]
    mean = mean / np.maximum(2.0 * np.pi * radius * 0.5, np.pi * 0.25**2)
    beam = direct_beam(radius, 1000.0 * mean / mean[0] + 1.0)
    assert beam is not None
    assert beam.fwhm == pytest.approx(Beam(disc, edge).fwhm, rel=0.15)


def test_a_beam_behind_a_stop_is_not_measured():
    mean = np.where(np.arange(60) < 8, np.nan, 10.0)
    assert direct_beam(np.arange(60.0), mean) is None


def test_a_ring_of_a_large_disc_has_the_area_of_its_circle():
    beam, fine = Beam(6.0, 1.0, 0.2), np.arange(-400.0, 400.0, 0.05)
    assert 0.05 * beam.profile(fine).sum() == pytest.approx(1.0, abs=0.01)
    # circle of radius 40 smeared by a disc: mean of its intensity by simulation
    rng = np.random.default_rng(5)
    turn = rng.uniform(0.0, 2.0 * np.pi, 300_000)
    blur = Beam(6.0, 1.0)
    smear = (
        6.0
        * np.sqrt(rng.uniform(size=turn.size))
        * np.exp(2j * np.pi * rng.uniform(size=turn.size))
    )
    soft = rng.normal(size=turn.size) + 1j * rng.normal(size=turn.size)
    place = np.abs(40.0 * np.exp(1j * turn) + smear + soft)
    radius = np.arange(30.0, 51.0)
    mean = np.histogram(place, np.arange(29.5, 51.0))[0] / radius
    model = blur.rings(radius, np.array([40.0]))[:, 0]
    assert mean / mean.sum() == pytest.approx(model / model.sum(), abs=0.003)
