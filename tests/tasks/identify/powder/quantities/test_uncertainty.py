"""Standard uncertainties against the scatter of repeated measurements."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.tasks.identify.powder.measures import weight_fractions
from xtalfuse.tasks.identify.powder.quantities.uncertainty import fit_uncertainty

TRUE = {"corundum": 0.5, "fluorite": 0.2, "zincite": 0.3}
REPEATS = 16


def repeated(powder, fitting, counts):
    """Fractions, a-axes and their su of repeated noisy patterns of one specimen."""
    rows = []
    for seed in range(REPEATS):
        measurement = powder(TRUE, counts=counts, seed=seed, two_theta=(20.0, 70.0, 0.03))
        fitter, phases = fitting(measurement, *TRUE)
        fit = fitter.fit(phases, iterations=8)
        su = fit_uncertainty(fitter, fit)
        cells = [p.model.cell(p.state)[0] for p in fit.phases]
        rows.append((weight_fractions(fit), su.weight_fraction, cells, [c[0] for c in su.cell]))
    return [np.array(column) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def weak(powder, fitting):
    return repeated(powder, fitting, 400.0)


@pytest.fixture(scope="module")
def strong(powder, fitting):
    return repeated(powder, fitting, 20_000.0)


def test_counting_noise_scatters_as_the_su_says(weak):
    fractions, fraction_su, cells, cell_su = weak
    # The spread of 16 values has an su of 18 %. The fit takes three neighbouring points for one
    # and 4 % of each peak for model error, so that its su is larger than the noise alone asks
    # for, by the root of 3 where the noise is all.
    for values, su in ((fractions, fraction_su), (cells, cell_su)):
        ratio = su.mean(axis=0) / values.std(axis=0, ddof=1)
        assert np.all(ratio > 0.8)
        assert np.all(ratio < 3.5)


def test_the_mean_of_many_is_right_within_the_su(weak, strong):
    for fractions, fraction_su, *_ in (weak, strong):
        off = np.abs(fractions.mean(axis=0) - list(TRUE.values()))
        assert np.all(off < fraction_su.mean(axis=0))


def test_an_imperfect_model_bounds_the_su_from_below(weak, strong):
    # fifty times the counts would make a sevenfold smaller su if the model were perfect
    gain = weak[1].mean(axis=0) / strong[1].mean(axis=0)
    assert np.all(gain > 2.0)
    assert np.all(gain < np.sqrt(50.0))
    # and it stays above the scatter
    assert np.all(strong[1].mean(axis=0) > strong[0].std(axis=0, ddof=1))


def test_parameters_that_symmetry_fixes_have_no_su(powder, fitting):
    fitter, phases = fitting(powder(TRUE), *TRUE)
    corundum, fluorite, _ = fit_uncertainty(fitter, fitter.fit(phases)).cell
    assert corundum[3:] == (None, None, None)
    # a = b, and so are their su; c is another parameter
    assert corundum[0] == pytest.approx(corundum[1])
    assert corundum[2] != corundum[0]
    assert fluorite[0] == pytest.approx(fluorite[1]) == pytest.approx(fluorite[2])


def test_a_single_phase_is_all_of_it(powder, fitting):
    fitter, phases = fitting(powder({"corundum": 1.0}), "corundum")
    su = fit_uncertainty(fitter, fitter.fit(phases))
    assert su.weight_fraction == pytest.approx([0.0], abs=1e-12)


def test_two_fractions_share_one_su(powder, fitting):
    # their sum is one: what one gains the other loses
    fitter, phases = fitting(powder({"corundum": 0.7, "halite": 0.3}), "corundum", "halite")
    su = fit_uncertainty(fitter, fitter.fit(phases)).weight_fraction
    assert su[0] == pytest.approx(su[1], rel=1e-6)


def test_no_phases_have_no_uncertainties(powder, fitting):
    fitter, _ = fitting(powder(TRUE))
    su = fit_uncertainty(fitter, fitter.fit((), iterations=0))
    assert su.weight_fraction.size == 0
    assert su.cell == ()
