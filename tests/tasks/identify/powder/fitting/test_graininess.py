"""Few grains and texture: single reflections that are too strong must not move a phase."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.tasks.identify.powder.fitting.graininess import free_intensities, suggest_texture
from xtalfuse.tasks.identify.powder.fitting.priors import graininess_penalty
from xtalfuse.tasks.identify.powder.measures import weight_fractions

TRUE = {"corundum": 0.6, "halite": 0.4}


def fitted(fitting, measurement):
    """As the search does it: intensities are freed before anything is refined."""
    fitter, phases = fitting(measurement, *TRUE)
    fit = free_intensities(fitter, fitter.fit(phases, iterations=0))
    return fitter, free_intensities(fitter, fitter.fit(fit.phases, fit.instrument))


@pytest.fixture(scope="module")
def even(powder, fitting):
    return fitted(fitting, powder(TRUE))


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_one_reflection_8_times_too_strong_leaves_the_scale_alone(powder, fitting, even, rank):
    grainy = powder(TRUE, adjust={"corundum": (rank, 8.0)}, counts=20_000)
    other = {n: p.scale for n, p in zip(TRUE, even[1].phases, strict=True)}
    _, fit = fitted(fitting, grainy)
    # halite is untouched: its scale tells by how much the whole pattern was scaled
    ratio = fit.phases[0].scale / fit.phases[1].scale * other["halite"] / other["corundum"]
    assert ratio == pytest.approx(1.0, abs=0.05)
    assert weight_fractions(fit)[0] == pytest.approx(0.6, abs=0.02)
    # and one reflection is named, with how much too strong it is
    adjust = fit.phases[0].state.adjust
    assert adjust.max() == pytest.approx(8.0, rel=0.15)
    assert np.sum(adjust > 3.0) == 1


def test_without_freeing_the_scale_would_be_wrong(powder, fitting):
    # the test above is not vacuous
    fitter, phases = fitting(powder(TRUE, adjust={"corundum": (1, 8.0)}), *TRUE)
    assert abs(weight_fractions(fitter.fit(phases))[0] - 0.6) > 0.05


def test_a_good_powder_stays_as_calculated(even):
    _, fit = even
    for phase in fit.phases:
        strength = phase.model.seen_strength(replace(phase.state, adjust=None), fit.instrument)
        strong = strength > 0.1 * strength.max()
        # lines of more than 500 counts above 100: noise of 3 % at most, pulled towards 1
        assert phase.state.adjust[strong] == pytest.approx(np.ones(strong.sum()), abs=0.1)


def test_only_the_phases_asked_for_are_freed(powder, fitting):
    fitter, phases = fitting(powder(TRUE), *TRUE)
    fit = fitter.fit(phases, iterations=4)
    freed = free_intensities(fitter, fit, only=(1,))
    assert freed.phases[0].state.adjust is None
    assert freed.phases[1].state.adjust is not None
    assert free_intensities(fitter, fit, only=()) is fit


def test_ratios_are_never_negative_nor_boundless(even):
    for phase in even[1].phases:
        assert phase.state.adjust.min() >= 0.1 - 1e-9
        assert phase.state.adjust.max() <= 13.0 + 1e-9


def test_the_penalty_has_a_heavy_tail(even):
    state = even[1].phases[0].state
    one, two, eight = (
        graininess_penalty(replace(state, adjust=np.where(np.arange(len(state.adjust)), 1.0, v)))
        for v in (1.12, 1.24, 8.0)
    )
    assert graininess_penalty(replace(state, adjust=None)) == 0.0
    # (nu + 1) log(1 + 1 / nu) at one spread, nu = 2
    assert one == pytest.approx(3.0 * np.log(1.5))
    assert one < two < eight
    # sixty spreads cost as much as a Gaussian asks for five
    assert eight < 30.0


@pytest.mark.parametrize("r", [0.6, 1.5])
def test_texture_is_recognised_from_the_freed_intensities(powder, fitting, r):
    measurement = powder(TRUE, texture={"corundum": ((0, 0, 1), r)}, counts=20_000)
    _, fit = fitted(fitting, measurement)
    found = suggest_texture(fit.phases[0], fit.instrument)
    assert found.state.axis == (0, 0, 1)
    # r is chosen among steps of 10 to 20 %
    assert found.state.texture == pytest.approx(r, rel=0.25)
    assert suggest_texture(fit.phases[1], fit.instrument).state.axis is None


def test_a_random_powder_keeps_its_fractions_whatever_texture_is_tried(even):
    # noise of some percent in ten ratios may look like a trend; r must then be near 1
    _, fit = even
    for phase in fit.phases:
        assert suggest_texture(phase, fit.instrument).state.texture == pytest.approx(1.0, abs=0.15)
