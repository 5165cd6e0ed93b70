"""Noise, background and peaks of powder patterns, in whatever unit they were recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.encoders.pattern import (
    encode_pattern,
    find_peaks_of,
    peak_d,
    sections_of,
    snip_background,
)
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance
from xtalfuse.physics.units import radiation

POSITIONS = np.array([25.0, 31.0, 40.0, 52.0, 61.0])
HEIGHTS = np.array([2000.0, 800.0, 3000.0, 150.0, 500.0])
SIGMA = 0.05  # 0.118 deg full width


def mean_counts(grid: np.ndarray) -> np.ndarray:
    peaks = HEIGHTS * np.exp(-0.5 * ((grid[:, None] - POSITIONS) / SIGMA) ** 2)
    return 100.0 + 150.0 * np.exp(-(grid - 15.0) / 10.0) + peaks.sum(axis=1)


def pattern(step: float = 0.03, factor: float = 1.0, sigma: bool = False, seed: int = 5):
    grid = np.arange(15.0, 70.0, step)
    mean = mean_counts(grid)
    counts = np.random.default_rng(seed).poisson(mean).astype(float)
    return Measurement(
        Modality.XRD,
        counts * factor,
        (Axis("two_theta", "deg", grid),),
        "counts" if factor == 1.0 else "counts/s",
        Provenance("scan.xy", "", "simulation"),
        beam=Beam("x-ray", radiation("CuKa")),
        sigma=np.sqrt(np.maximum(counts, 1.0)) * factor if sigma else None,
    )


@pytest.fixture(scope="module")
def signal():
    return encode_pattern(pattern())


@pytest.mark.parametrize(
    ("factor", "sigma"),
    [(1.0, False), (1.0 / 40.0, False), (1e-6, False), (25.0, False), (1.0, True), (0.1, True)],
    ids=["counts", "counts/s", "tiny unit", "scaled up", "counts with su", "rate with su"],
)
def test_noise_is_measured_in_any_unit(factor, sigma):
    measurement = pattern(factor=factor, sigma=sigma)
    found = encode_pattern(measurement, 1e9)  # nothing is merged
    expected = mean_counts(found.two_theta_deg) * factor**2
    ratio = found.variance / expected
    # The gain rests on a median over 1100 points with one degree of freedom each: 6 % su.
    # A file's own su is that of each count and scatters by itself.
    assert np.median(ratio) == pytest.approx(1.0, abs=0.2)
    # nowhere is it off by more than the smoothing over five channels of a peak explains
    assert ratio.min() > 0.3
    assert ratio.max() < 3.0


def test_counts_stay_poisson_without_a_fitted_factor(signal):
    # where the scatter fits counts, the variance is the level itself
    net = np.abs(signal.two_theta_deg - 67.0) < 2.0
    assert np.mean(signal.variance[net]) == pytest.approx(np.mean(signal.intensity[net]), rel=0.02)


def test_background_runs_under_the_peaks(signal):
    grid = signal.two_theta_deg
    true = (100.0 + 150.0 * np.exp(-(grid - 15.0) / 10.0)) * signal.merged
    inner = (grid > 16.0) & (grid < 69.0)
    # clipping follows the lower edge of the noise: 10 counts standard deviation of 100-250
    assert np.all(signal.background[inner] < 1.15 * true[inner])
    assert np.all(signal.background[inner] > 0.75 * true[inner])


def test_background_does_not_climb_a_broad_peak():
    grid = np.arange(15.0, 70.0, 0.03)
    curve = 100.0 + 1000.0 * np.exp(-0.5 * ((grid - 40.0) / 0.3) ** 2)
    floor = snip_background(grid, curve, 0.7)
    # at the crest, 10 % of the peak would halve a weak phase
    assert np.interp(40.0, grid, floor) < 200.0


def clear(signal) -> np.ndarray:
    """Peaks beyond doubt; a clipped background lies low, so that 4 sigma above it is often noise"""
    return np.flatnonzero(signal.peaks.significance > 10.0)


def test_peaks_are_found_where_they_are(signal):
    found, kept = signal.peaks, clear(signal)
    assert len(kept) == len(POSITIONS)
    # one step of the grid
    assert found.two_theta_deg[kept] == pytest.approx(POSITIONS, abs=0.035)
    order = np.argsort(-found.height[kept])
    assert np.array_equal(order, np.argsort(-HEIGHTS))
    # the strongest: 3000 counts, 1.8 % noise, sampled up to half a step off its crest
    assert found.height.max() == pytest.approx(3000.0 * signal.merged, rel=0.1)


def test_peaks_of_noise_are_rare():
    grid = np.arange(15.0, 70.0, 0.03)
    noise = np.random.default_rng(2).normal(scale=10.0, size=(10, len(grid)))
    found = sum(
        len(find_peaks_of(grid, row, np.full(len(grid), 100.0), 0.12).two_theta_deg)
        for row in noise
    )
    # 4 standard uncertainties, some 600 independent places in each of ten patterns: 0.2 expected
    assert found <= 2


def test_typical_width_is_that_of_the_peaks(signal):
    # a smoothing of half a typical width adds some 10 %
    assert signal.fwhm_deg == pytest.approx(2.3548 * SIGMA, rel=0.25)


@pytest.mark.parametrize("step", [0.005, 0.013, 0.03])
def test_merging_keeps_all_counts_but_a_last_incomplete_point(step):
    measurement = pattern(step)
    found = encode_pattern(measurement, 5.0)
    n = len(measurement.values) // found.merged * found.merged
    assert found.intensity.sum() == pytest.approx(measurement.values[:n].sum(), rel=1e-12)
    assert found.variance.sum() == pytest.approx(measurement.values[:n].sum(), rel=0.01)
    assert found.step_deg == pytest.approx(step * found.merged, rel=1e-6)
    # at least as many points in a peak as asked for
    assert found.fwhm_deg / found.step_deg >= min(5.0, found.fwhm_deg / step) - 1e-9


def test_a_very_long_file_becomes_a_pattern_of_bounded_length():
    found = encode_pattern(pattern(0.001))
    assert found.merged >= 7  # 55 000 channels
    assert len(found.intensity) <= 9000


def test_channels_before_the_detector_opened_are_left_out():
    measurement = pattern()
    values = measurement.values.copy()
    values[:50] = 0.0
    found = encode_pattern(replace(measurement, values=values))
    assert found.range_deg[0] >= measurement.axis("two_theta")[50]


def test_a_pattern_without_wavelength_is_refused():
    with pytest.raises(ValueError, match=r"scan\.xy: no wavelength; pass --wavelength"):
        encode_pattern(replace(pattern(), beam=None))


def test_a_handful_of_points_is_refused():
    short = pattern(1.0)
    with pytest.raises(ValueError, match="55 points are too few"):
        encode_pattern(short)


def test_d_of_the_peaks_is_that_of_the_strongest_line(signal):
    d = peak_d(signal.peaks, signal.radiation)[clear(signal)]
    expected = 1.5405929 / (2.0 * np.sin(np.radians(POSITIONS / 2.0)))
    # a step of 0.03 deg at 25 deg is 0.1 % of d
    assert d == pytest.approx(expected, rel=1.5e-3)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_flat_line_has_no_peaks(value):
    flat = replace(pattern(), values=np.full_like(pattern().values, value))
    found = encode_pattern(flat)
    assert len(found.peaks.two_theta_deg) == 0
    assert np.all(np.isfinite(found.background))
    assert np.all(found.variance > 0.0)


def cut(low_high: list[tuple[float, float]], steps: list[float]) -> Measurement:
    """The pattern where only windows were measured, each with its own step."""
    grid = np.concatenate([np.arange(a, b, s) for (a, b), s in zip(low_high, steps, strict=True)])
    counts = np.random.default_rng(8).poisson(mean_counts(grid)).astype(float)
    return replace(pattern(), values=counts, axes=(Axis("two_theta", "deg", grid),))


WINDOWS = [(24.0, 26.0), (30.0, 32.0), (39.0, 41.0), (51.0, 53.0), (60.0, 62.0)]
STEPS = [0.008, 0.01, 0.012, 0.016, 0.02]


def test_between_windows_nothing_was_measured():
    found = encode_pattern(cut(WINDOWS, STEPS), 5.0)
    assert len(found.sections) == len(WINDOWS)
    inside = found.measured(np.array([20.0, 25.0, 28.0, 40.0, 45.0, 61.0, 70.0, np.nan]))
    assert inside.tolist() == [False, True, False, True, False, True, False, False]
    kept = clear(found)
    assert found.peaks.two_theta_deg[kept] == pytest.approx(POSITIONS, abs=0.035)
    # whatever the step of its window, a line is as high as it is in counts for a step
    assert found.peaks.height[kept] == pytest.approx(HEIGHTS * found.merged, rel=0.25)
    for part, step in zip(found.sections, STEPS, strict=True):
        channels = max(1, round(found.merged * STEPS[0] / step))
        ratio = np.median(found.variance[part] / found.intensity[part])
        assert ratio == pytest.approx(found.merged / channels, rel=0.3)


def test_a_step_that_changes_parts_two_sections():
    found = encode_pattern(cut([(15.0, 40.0), (40.0, 70.0)], [0.01, 0.03]), 5.0)
    assert len(found.sections) == 2
    assert found.two_theta_deg[found.sections[1].start] == pytest.approx(40.0, abs=0.1)


@pytest.mark.parametrize("step", [0.0125, 0.015, 0.0167, 1.0 / 60.0])
def test_rounded_angles_are_no_gaps(step):
    grid = np.round(np.arange(15.0, 70.0, step), 2)
    grid = np.unique(grid)
    assert len(sections_of(grid)) == 1


def test_a_step_that_grows_evenly_is_one_section():
    q = np.linspace(0.8, 6.0, 3000)
    assert len(sections_of(2.0 * np.degrees(np.arcsin(q * 1.5406 / 4.0 / np.pi)))) == 1


def test_a_very_dense_scan_is_merged_to_what_its_lines_need():
    grid = np.linspace(15.0, 70.0, 300_000)
    lines = [np.exp(-0.5 * ((grid - x) / SIGMA) ** 2) for x in POSITIONS]
    mean = 1.0 + HEIGHTS @ np.array(lines) / 100.0
    dense = replace(
        pattern(),
        values=np.random.default_rng(9).poisson(mean).astype(float),
        axes=(Axis("two_theta", "deg", grid),),
    )
    found = encode_pattern(dense, 2.5)
    assert found.fwhm_deg == pytest.approx(2.3548 * SIGMA, rel=0.25)
    assert found.fwhm_deg / found.step_deg >= 2.5 - 1e-9
    assert len(found.intensity) < 2000
    assert found.variance == pytest.approx(found.intensity, rel=0.3)


def test_sharp_lines_of_a_long_scan_stay_resolved():
    # lines of 0.008 deg over 55 deg: 12 000 points would leave less than two to a line
    grid = np.arange(15.0, 70.0, 0.001)
    mean = 20.0 + sum(2000.0 * np.exp(-0.5 * ((grid - x) / 0.0034) ** 2) for x in POSITIONS)
    sharp = replace(
        pattern(),
        values=np.random.default_rng(10).poisson(mean).astype(float),
        axes=(Axis("two_theta", "deg", grid),),
    )
    found = encode_pattern(sharp, 5.0)
    assert found.fwhm_deg / found.step_deg >= 2.5 - 1e-9
