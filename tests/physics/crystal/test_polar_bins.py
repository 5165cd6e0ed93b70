"""Sums by radius and sector, and the point about which an image is even."""

from __future__ import annotations

import numpy as np

from xtalfuse.physics.crystal.polar_bins import PolarBins, turned_match


def test_every_pixel_counts_once_and_by_its_distance():
    y, x = np.indices((40, 50))
    u, v = (x - 21.3).ravel(), (y - 17.8).ravel()
    bins = PolarBins.of(u, v, sectors=12, step=0.5)
    assert np.isclose(bins.sums().sum(), u.size)
    # what is shared between two circles keeps its mean radius
    assert np.isclose(bins.sums().sum(0) @ (0.5 * np.arange(bins.circles)), np.hypot(u, v).sum())
    assert np.isclose(bins.whole().sums(u).sum(), u.sum())


def test_a_pixel_falls_into_its_circle_and_sector():
    bins = PolarBins.of(np.array([3.25, -3.0]), np.array([0.1, 0.1]), sectors=2)
    lower, upper = bins.sums()  # from -180 degrees to 0, and on to 180
    assert not lower.any()
    share = np.hypot(3.25, 0.1) - 3.0
    assert np.allclose(
        upper[3:5], [2.0 - share - (np.hypot(3, 0.1) - 3), share + np.hypot(3, 0.1) - 3]
    )
    assert bins.whole().sums()[1, 3] == 2.0


def test_an_even_image_matches_itself_about_its_centre():
    y, x = np.indices((60, 80))
    image = np.cos(0.8 * np.hypot(y - 25.5, x - 33.0)) * np.exp(
        -0.05 * np.hypot(y - 25.5, x - 33.0)
    )
    match = turned_match(image)
    assert match.shape == (120, 160)
    assert np.unravel_index(match.argmax(), match.shape) == (51, 66)
    both = image[:51, :67]  # what a turn about (25, 33) keeps inside the image
    assert np.isclose(match[50, 66], (both * both[::-1, ::-1]).sum())
