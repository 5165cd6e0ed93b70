"""What a calculated pattern may be wrong by, and steps that stay within bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.physics.units import two_theta
from xtalfuse.tasks.identify.powder.fitting.error import MOST_ERROR, ModelError
from xtalfuse.tasks.identify.powder.fitting.normal import within
from xtalfuse.tasks.identify.powder.fitting.tube import K_BETA
from xtalfuse.tasks.identify.powder.phase import library_models
from xtalfuse.tasks.identify.powder.search import PhaseSearch


@pytest.fixture(scope="module")
def bright(powder):
    return encode_pattern(powder({"corundum": 1.0}, counts=1e6))


@pytest.mark.parametrize("share", [0.08, 0.3])
def test_the_error_of_a_model_is_measured_where_it_outweighs_the_noise(bright, share):
    error = ModelError(bright, 0.04)
    usual = np.sqrt(error.variance(bright.net.clip(0.0)))
    off = np.random.default_rng(1).normal(0.0, share / 0.04, len(usual)) * usual
    changed = error.learn(bright.intensity - off, bright.background)
    # some hundred points tell a standard deviation to a twentieth; the largest count for less
    assert changed
    assert error.scale == pytest.approx(min(share / 0.04, MOST_ERROR), rel=0.25)


def test_a_model_without_error_keeps_what_is_usual(bright):
    error = ModelError(bright, 0.04)
    assert not error.learn(bright.intensity, bright.background)
    assert error.scale == 1.0


def test_noise_hides_the_error_of_a_model(powder):
    faint = encode_pattern(powder({"corundum": 1.0}, counts=100.0))
    error = ModelError(faint, 0.04)
    assert not error.learn(0.9 * faint.intensity, faint.background)


def test_what_the_tube_may_add_is_uncertain_and_nothing_beside_it(bright):
    peaks = np.zeros_like(bright.intensity)
    d = 2.0
    grid = bright.two_theta_deg
    peaks[np.argmin(np.abs(grid - two_theta(d, bright.radiation.primary_angstrom)))] = 1e6
    error = np.sqrt(ModelError(bright, 0.04).variance(peaks))
    ghost = two_theta(d, K_BETA["CuKa"])
    assert error[np.abs(grid - ghost) < 0.05].max() > 1e4  # 3 % of the line
    one = replace(bright, radiation=replace(bright.radiation, wavelengths_angstrom=(1.5406,)))
    monochromatic = np.sqrt(ModelError(one, 0.04).variance(peaks))
    # nothing beside it, and nothing there from a crystal, but the far tail of the line itself
    beside = np.abs(grid - ghost - 1.0) < 0.2
    assert error[beside] == pytest.approx(monochromatic[beside])
    assert monochromatic[np.abs(grid - ghost) < 0.05].max() < 10.0


def test_a_step_stays_within_bounds_and_is_the_best_there():
    normal = np.array([[2.0, 0.9, 0.3], [0.9, 1.0, 0.5], [0.3, 0.5, 1.5]])
    right = np.array([1.0, -2.0, 1.0])
    room = np.array([[-0.1, -np.inf], [np.inf, np.inf]])
    assert np.linalg.solve(normal, right)[1] < -0.1
    found = within(normal, right, room)
    assert found[1] == pytest.approx(-0.1)
    # the others are where they are best with it: their gradient vanishes
    assert (normal @ found - right)[[0, 2]] == pytest.approx([0.0, 0.0], abs=1e-12)


@pytest.mark.parametrize("counts", [2e3, 1e5])
def test_a_rival_with_a_moved_cell_gives_way_to_the_phase_itself(powder, references, counts):
    """Silicon has the lines of fluorite, 0.6 % away; more counts must not help it."""
    made = powder({"corundum": 0.6, "fluorite": 0.4}, counts=counts)
    signal = encode_pattern(made, 2.5)
    names = ("corundum", "fluorite", "silicon")
    entries = [references.index(name) for name in names]
    search = PhaseSearch(signal, library_models(references, entries, signal))
    wrong = search.fitter.fit((), iterations=0)
    for entry in (entries[0], entries[2]):
        wrong = search.settle(search.place(wrong, entry, 0.0, 1.0))
    right, _ = search.challenge(search.polish(wrong))
    assert {p.entry for p in right.phases} == set(entries[:2])
