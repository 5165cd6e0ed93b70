"""The full-pattern fit: it recovers what made a pattern, and no more."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from xtalfuse.physics.crystal.powder import InstrumentState
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter, normal_matrix
from xtalfuse.tasks.identify.powder.measures import weight_fractions
from xtalfuse.tasks.identify.powder.settings import DEFAULT

TRUE = {"corundum": 0.5, "fluorite": 0.2, "zincite": 0.3}
STRAIN = {"corundum": -0.002, "zincite": 0.004}


@pytest.fixture(scope="module")
def mixture(powder):
    return powder(TRUE, strain=STRAIN)


@pytest.fixture(scope="module")
def fitted(mixture, fitting):
    fitter, phases = fitting(mixture, *TRUE)
    return fitter, fitter.fit(phases, iterations=12)


def test_fractions_and_cells_come_back(fitted):
    _, fit = fitted
    # 5000 counts in the strongest line: fractions are good to some tenths of a percent
    assert weight_fractions(fit) == pytest.approx(list(TRUE.values()), abs=0.01)
    for phase, name in zip(fit.phases, TRUE, strict=True):
        strain = phase.state.strain[0] / np.sqrt(3.0)
        # a hundredth of a width of 0.1 deg at 60 deg is a strain of 2e-5; zero and displacement
        # are free beside it, which costs a factor of ten
        assert strain == pytest.approx(STRAIN.get(name, 0.0), abs=2e-4)


def test_the_misfit_of_a_perfect_model_is_one(fitted):
    fitter, fit = fitted
    # 670 independent points: chi^2 over their number has an su of 0.055
    assert fit.misfit < 1.15
    residual = fitter.signal.intensity - fit.calculated
    gof = np.sqrt(np.mean(residual**2 / fitter.signal.variance))
    # 1800 points: the su of this figure is 0.02; widths of the maker are not quite those fitted
    assert gof == pytest.approx(1.0, abs=0.15)


def test_the_instrument_comes_back(fitted):
    _, fit = fitted
    # a fifth of a width; its standard uncertainty is 0.005
    assert fit.instrument.zero + fit.instrument.displacement == pytest.approx(0.0, abs=0.02)
    # a smaller specimen than the beam, sin(theta) < 0.05, lies outside of this range
    assert fit.instrument.gauss == pytest.approx(0.09, abs=0.03)


def test_parts_add_up(fitted):
    fitter, fit = fitted
    peaks = sum(p.scale * fitter.columns(p, fit.instrument).profile for p in fit.phases)
    assert fit.background + peaks == pytest.approx(fit.calculated)
    assert fit.objective == fit.chi2 + fit.freedom + fit.penalty


def test_more_iterations_never_fit_worse(mixture, fitting):
    fitter, phases = fitting(mixture, *TRUE)
    objectives = [fitter.fit(phases, iterations=n).objective for n in (0, 3, 6, 12)]
    # the model error follows the peaks: a thousandth may go the other way at the optimum
    assert all(b <= a * 1.001 for a, b in pairwise(objectives))
    assert objectives[-1] < 0.5 * objectives[0]


def test_a_phase_that_is_not_there_gets_no_share_and_no_gain(fitted, fitting, mixture, references):
    fitter, fit = fitted
    _, (foreign,) = fitting(mixture, "periclase")
    more = fitter.fit((*fit.phases, foreign), fit.instrument)
    assert weight_fractions(more)[-1] < 0.005
    assert all(phase.scale >= 0.0 for phase in more.phases)
    assert fit.objective - more.objective < DEFAULT.min_gain
    # nothing in the pattern tells its cell: the prior keeps it where the reference is
    assert np.abs(more.phases[-1].state.strain).max() < 0.01


def test_a_phase_that_is_there_is_missed(fitted):
    fitter, fit = fitted
    for index in range(3):
        left = tuple(p for i, p in enumerate(fit.phases) if i != index)
        assert fitter.fit(left, fit.instrument).objective > fit.objective + 10 * DEFAULT.min_gain


def test_without_phases_there_is_only_background(mixture, fitting):
    fitter, _ = fitting(mixture)
    fit = fitter.fit((), iterations=0)
    assert fit.phases == ()
    assert np.array_equal(fit.calculated, fit.background)


def test_what_is_not_active_holds_still(fitted):
    fitter, fit = fitted
    moved = tuple(replace(p, state=p.model.start(0.001)) for p in fit.phases)
    again = fitter.fit(moved, fit.instrument, active=(1,), shared=False)
    assert again.instrument == fit.instrument
    assert again.phases[0].state is moved[0].state
    assert again.phases[2].state is moved[2].state
    assert not np.array_equal(again.phases[1].state.strain, moved[1].state.strain)


def test_the_unit_of_intensity_does_not_matter(mixture, fitting):
    # counts per second of a scan of 20 s a step: the noise is measured, not assumed
    rate = replace(mixture, values=mixture.values / 20.0, value_unit="counts/s")
    results = []
    for measurement in (mixture, rate):
        fitter, phases = fitting(measurement, *TRUE)
        results.append(weight_fractions(fitter.fit(phases, iterations=15)))
    # the measured noise is good to 10 %, which moves no fraction by more than its su of 0.004
    assert results[0] == pytest.approx(results[1], abs=0.006)


def test_the_order_of_phases_does_not_matter(mixture, fitting):
    fitter, phases = fitting(mixture, *TRUE)
    one = weight_fractions(fitter.fit(phases, iterations=15))
    two = weight_fractions(fitter.fit(phases[::-1], iterations=15))
    # the same equations in another order: rounding, and where the last step stops
    assert one == pytest.approx(two[::-1], abs=1e-4)


def test_a_solid_far_from_its_reference_stops_at_the_limit(powder, fitting):
    fitter, phases = fitting(powder({"silicon": 1.0}, strain={"silicon": 0.04}), "silicon")
    fit = fitter.fit(phases, iterations=15)
    assert abs(fit.phases[0].state.strain[0]) <= 0.02 * np.sqrt(3.0) + 1e-12


def test_the_normal_matrix_is_symmetric_and_knows_its_rows(fitted):
    fitter, fit = fitted
    normal, scales, strains = normal_matrix(fitter, fit)
    assert normal == pytest.approx(normal.T, rel=1e-9)
    assert len(scales) == 3
    assert [len(rows) for rows in strains] == [2, 1, 2]  # trigonal, cubic, hexagonal
    size = 1.0 / np.sqrt(np.diag(normal))
    assert np.linalg.eigvalsh(normal * size[:, None] * size).min() > 0.0
    # the curvature to a scale is its profile weighted with the variance
    profile = fitter.columns(fit.phases[0], fit.instrument).profile
    expected = np.sum(profile**2 / fit.variance)
    assert normal[scales[0], scales[0]] == pytest.approx(expected, rel=1e-6)


def test_columns_are_kept_but_never_mixed_up(mixture, fitting):
    fitter, (first, second) = fitting(mixture, "corundum", "fluorite")
    instrument = InstrumentState()
    one = fitter.columns(first, instrument).profile
    for strain in np.linspace(0.0, 0.01, 60):  # more than are kept
        fitter.columns(replace(second, state=second.model.start(strain)), instrument)
    assert np.array_equal(fitter.columns(first, instrument).profile, one)
    fresh = PatternFitter(fitter.signal).columns(second, instrument).profile
    assert np.array_equal(fitter.columns(second, instrument).profile, fresh)
