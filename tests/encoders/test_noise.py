"""The noise of a powder pattern is what was simulated, whatever was done to the curve since."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from xtalfuse.encoders.noise import channel_noise

GRID = np.arange(15.0, 90.0, 0.02)
WIDTH = 0.1  # full width of the lines, deg: five channels


def curves(level: float = 100.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Background, mean counts with forty lines upon it, and counts."""
    rng = np.random.default_rng(3)
    position, height = rng.uniform(18.0, 88.0, 40), 3000.0 * rng.uniform(0.02, 1.0, 40)
    background = level * (1.0 + 1.5 * np.exp(-(GRID - 15.0) / 10.0))
    z = (GRID[:, None] - position) / WIDTH
    mean = background + (height * np.exp(-4.0 * np.log(2.0) * z**2)).sum(axis=1)
    return background, mean, np.random.default_rng(4).poisson(mean).astype(float)


def smooth(counts: np.ndarray) -> np.ndarray:
    from scipy.signal import savgol_filter

    return np.asarray(savgol_filter(counts, 7, 2))


# what was done: (counts, background) -> curve; the factor that noise is multiplied with; how far
# the estimate may be off in the flat parts, as a factor
DONE: dict[str, tuple[Callable[[np.ndarray, np.ndarray], np.ndarray], float, float]] = {
    "counts": (lambda y, _: y, 1.0, 1.1),
    "counts per second": (lambda y, _: y / 7.3, 1 / 7.3, 1.15),
    "counts per second, rounded": (lambda y, _: np.round(y / 7.3), 1 / 7.3, 1.25),
    "per cent of the strongest": (lambda y, _: 100.0 * y / y.max(), 0.0, 1.15),
    "scaled by 1e-3": (lambda y, _: 1e-3 * y, 1e-3, 1.15),
    "scaled by 1e-9": (lambda y, _: 1e-9 * y, 1e-9, 1.15),
    "smoothed over seven": (lambda y, _: smooth(y), 1.0, 1.5),
    "mean of three": (lambda y, _: np.convolve(y, np.ones(3) / 3.0, "same"), 1.0, 1.5),
    "subtracted": (lambda y, b: y - b, 1.0, 1.5),
    "subtracted, not all": (lambda y, b: y - 0.9 * b, 1.0, 1.5),
    "subtracted, scaled by 1e-3": (lambda y, b: 1e-3 * (y - b), 1e-3, 1.5),
    "subtracted, smoothed": (lambda y, b: smooth(y) - b, 1.0, 2.5),
    "subtracted, clipped": (lambda y, b: np.maximum(y - b, 0.0), 1.0, 2.0),
    "subtracted, clipped, rounded": (lambda y, b: np.round(np.maximum(y - b, 0.0)), 1.0, 2.0),
}


@pytest.mark.parametrize("name", DONE)
def test_noise_is_that_of_the_counts(name):
    process, scale, tolerance = DONE[name]
    background, mean, counts = curves()
    curve = process(counts, background)
    scale = scale or 100.0 / counts.max()
    found = channel_noise(curve, None, [slice(0, len(GRID))], block=5) / (mean * scale**2)
    flat = mean < 1.05 * background
    assert 1.0 / tolerance < np.median(found[flat]) < tolerance
    # nowhere does a channel get a weight that is beyond all others: the median estimate of the
    # scatter over some hundred channels is good to a factor of two
    assert found[flat].min() > 0.2
    # curvature of lines only five channels wide adds to their scatter, never takes from it
    assert 0.5 < np.median(found[mean > 3.0 * background]) < 30.0


def test_a_sum_of_scans_has_the_noise_of_counts():
    _, mean, _ = curves(25.0)
    scans = np.random.default_rng(5).poisson(mean, size=(4, len(mean)))
    for curve, factor in ((scans.sum(axis=0), 4.0), (scans.mean(axis=0), 0.25)):
        found = channel_noise(curve.astype(float), None, [slice(0, len(GRID))], block=5)
        # five channels of 100 counts are known to 5 %
        assert np.median(found / (mean * factor)) == pytest.approx(1.0, abs=0.1)


def test_few_counts_are_counts():
    # most channels hold nothing; their zeros were not clipped
    counts = np.random.default_rng(6).poisson(0.3, 4000).astype(float)
    found = channel_noise(counts, None, [slice(0, 4000)], block=5)
    assert found.mean() == pytest.approx(0.3, rel=0.3)


def test_each_section_has_its_own_counting_time():
    rng = np.random.default_rng(7)
    parts = [rng.poisson(100.0 * t, 400) / t for t in (1.0, 25.0)]
    found = channel_noise(np.concatenate(parts), None, [slice(0, 400), slice(400, 800)])
    # the scatter of 240 channels gives a variance to some 15 %
    assert np.median(found[:400]) == pytest.approx(100.0, rel=0.4)
    assert np.median(found[400:]) == pytest.approx(4.0, rel=0.4)


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0], ids=["too small", "right", "too large"])
def test_uncertainties_of_a_file_are_held_against_the_scatter(factor):
    _, mean, counts = curves()
    sigma = factor * np.sqrt(mean)
    found = channel_noise(counts, sigma, [slice(0, len(GRID))], block=5)
    assert np.median(found / mean) == pytest.approx(1.0, abs=0.15)
