"""A picture without a word beside it is proposed as a pattern with its certainty, or is none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from xtalfuse.loaders.tem.recognise import pattern_certainty

N = 192
Y, X = np.mgrid[:N, :N].astype(float)
R = np.hypot(X - 99.0, Y - 93.0)


def counts(image, level, seed=0):
    return np.random.default_rng(seed).poisson(level * image / image.max() + 2.0).astype(float)


def rings(disc, level):
    image = sum(
        height * np.exp(-0.5 * ((R - radius) / (1.0 + 0.6 * disc)) ** 2)
        for radius, height in ((34.0, 1.0), (39.3, 0.5), (55.5, 0.4), (65.1, 0.4))
    )
    image = image + 0.5 * np.exp(-R / 25.0)
    return counts(np.where(max(disc, 1.5) > R, 100.0, image), 100.0 * level)


@pytest.mark.parametrize("disc", [0.0, 3.0, 5.0])
@pytest.mark.parametrize("scale", [1.0, 1 / 300, 1e4])
def test_rings_about_a_compact_bright_centre_are_a_pattern_in_any_unit(disc, scale):
    assert pattern_certainty(scale * rings(disc, 20.0)) > 0.9


def test_spots_in_pairs_about_a_bright_centre_are_a_pattern():
    rng, image = np.random.default_rng(3), np.exp(-0.5 * (R / 1.5) ** 2) * 50.0
    for h in range(-3, 4):
        for k in range(0, 4):
            if (h, k) > (0, 0) or k > 0:
                height = np.exp(rng.normal(0.0, 0.8) - 0.1 * (h * h + k * k))
                for sign in (1, -1):
                    dx, dy = sign * (21.0 * h + 6.0 * k), sign * (20.0 * k - 3.0 * h)
                    image += height * np.exp(-0.5 * np.hypot(X - 99 - dx, Y - 93 - dy) ** 2 / 2.0)
    assert pattern_certainty(counts(image, 5000.0)) > 0.9


def particles(count, size, seed):
    rng, image = np.random.default_rng(seed), np.zeros((N, N))
    for x, y, s in rng.uniform([0, 0, 0.5 * size], [N, N, size], (count, 3)):
        image += np.hypot(X - x, Y - y) < s
    return image


GRAIN = np.random.default_rng(4).normal(size=(N, N))
REAL_SPACE = {
    "noise": np.random.default_rng(0).uniform(size=(N, N)),
    "grating": 1.0 + np.cos(X / 2.0),
    "vignetting": 2.0 - (R / N) ** 2,
    "blob": np.exp(-0.5 * (R / 8.0) ** 2),
    "bright central particle": 5.0 * (R < 9.0) + particles(40, 5.0, 1),
    "few particles": particles(8, 20.0, 2),
    "many particles": particles(80, 6.0, 3),
    "aperture": (R < 70.0) * (2.0 + 5.0 * ndimage.gaussian_filter(GRAIN, 3.0)),
    "core and shell": 1.0 * (R < 20.0) + 1.5 * ((R < 32.0) & (R > 25.0)),
    "texture": ndimage.gaussian_filter(np.random.default_rng(5).uniform(size=(N, N)), 4.0),
}


@pytest.mark.parametrize("name", REAL_SPACE)
@pytest.mark.parametrize("level", [20.0, 2000.0])
def test_pictures_of_objects_are_not_taken_for_patterns(name, level):
    image = REAL_SPACE[name]
    assert pattern_certainty(counts(image - image.min(), level)) <= 0.5
