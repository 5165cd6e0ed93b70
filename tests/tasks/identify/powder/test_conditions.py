"""The same phases, however the pattern was measured: shifted, broad, on a hump, wrongly stated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.fusion.evidence import ElementBelief, Prior
from xtalfuse.loaders.record import Beam, FileReport, Measurement, Record
from xtalfuse.physics.units import radiation
from xtalfuse.tasks.identify.pipeline import identify
from xtalfuse.tasks.identify.powder import phase
from xtalfuse.tasks.identify.powder.fitting.fit import PatternFitter
from xtalfuse.tasks.identify.powder.fitting.graininess import free_intensities
from xtalfuse.tasks.identify.powder.fitting.normal import near
from xtalfuse.tasks.identify.powder.fitting.priors import Chemistry
from xtalfuse.tasks.identify.powder.fitting.state import PhaseFit
from xtalfuse.tasks.identify.powder.phase import SEARCH_POINTS, analyse_pattern, library_models
from xtalfuse.tasks.identify.powder.search import PhaseSearch

TWO = {"rutile": 0.5, "halite": 0.5}


def record(m: Measurement) -> Record:
    file = FileReport(m.provenance.path, m.provenance.sha256, m.modality.value, "", True, "")
    return Record("specimen", "group", (m,), (file,))


def shifted(pattern: Measurement, by: float) -> Measurement:
    axis = pattern.axes[0]
    return replace(pattern, axes=(replace(axis, values=np.asarray(axis.values) + by),))


def on_a_hump(pattern: Measurement) -> Measurement:
    angle = pattern.axis("two_theta")
    hump = 2500.0 * np.exp(-(((angle - 26.0) / 6.0) ** 2))
    noise = np.random.default_rng(5).poisson(hump)
    return replace(pattern, values=pattern.values + noise)


def stated(pattern: Measurement, lines: str) -> Measurement:
    return replace(pattern, beam=Beam("x-ray", radiation(lines)))


CASES = {
    "zero + 0.12": lambda powder: shifted(powder(TWO), 0.12),
    "zero - 0.12": lambda powder: shifted(powder(TWO), -0.12),
    "hump": lambda powder: on_a_hump(powder(TWO)),
    "broad": lambda powder: powder(TWO, width=0.8, two_theta=(15.0, 90.0, 0.03)),
    "one line, two said": lambda powder: stated(powder(TWO, lines="CuKa1"), "CuKa"),
    "the same, low": lambda powder: stated(
        powder(TWO, lines="CuKa1", two_theta=(20.0, 75.0, 0.03)), "CuKa"
    ),
    "two lines, one said": lambda powder: stated(powder(TWO), "CuKa1"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_phases_are_found_however_they_were_measured(powder, references, name):
    answer = analyse_pattern(CASES[name](powder), references)
    assert {references.entries[p.entry].id for p in answer.phases} == set(TWO)
    assert answer.unknown_probability < 0.5


def test_lines_that_are_not_as_stated_are_told(powder, references):
    answer = identify(record(stated(powder(TWO, lines="CuKa1"), "CuKa")), references, refine=False)
    assert "its lines are those of CuKa1, not of CuKa as stated" in answer.warnings[0]
    assert not any("as stated" in w for w in identify(record(powder(TWO)), references).warnings)


def test_other_lines_are_not_taken_unless_they_explain_more(powder, references, monkeypatch):
    monkeypatch.setattr(phase, "_lines_seen", lambda *_: radiation("CuKa1"))
    answer = analyse_pattern(powder(TWO), references)
    assert len(answer.signal.radiation.weights) == 2
    assert {references.entries[p.entry].id for p in answer.phases} == set(TWO)


def test_an_axis_that_was_guessed_roughly_is_sharpened(powder, references):
    signal = encode_pattern(powder(TWO, stretch=0.0165), SEARCH_POINTS)
    models = library_models(references, range(len(references)), signal)
    found = PhaseSearch(signal, models).grown(0.0125)
    assert found.instrument.stretch == pytest.approx(0.0165, abs=3e-4)
    assert {references.entries[p.entry].id for p in found.phases} == set(TWO)
    # what is left of it in the cells
    assert max(abs(p.state.strain[0]) for p in found.phases) < 5e-4


def test_no_step_goes_farther_than_a_prior_is_wide():
    room = np.array([[-1.0, -0.01], [2.0, 0.0]])
    assert near(room, np.array([0.3, 0.2])) == pytest.approx(np.array([[-0.3, -0.01], [0.3, 0.0]]))


@pytest.mark.parametrize("width", [0.09, 0.3, 0.9, 1.6])
def test_the_width_of_lines_is_seen_and_not_that_of_noise_on_their_backs(powder, width):
    pattern = powder({"silicon": 1.0}, width=width, two_theta=(15.0, 90.0, 0.02))
    # size and microstrain of the specimen add some six hundredths of a degree
    assert encode_pattern(pattern).fwhm_deg == pytest.approx(width + 0.06, rel=0.3)


def test_a_hump_is_background_to_its_top(powder):
    bare, high = (encode_pattern(p) for p in (powder(TWO), on_a_hump(powder(TWO))))
    top = 26.0
    rise = [float(np.interp(top, s.two_theta_deg, s.background)) / s.merged for s in (bare, high)]
    assert rise[1] - rise[0] == pytest.approx(2500.0, rel=0.05)


def test_weak_reflections_do_not_hold_the_scale_of_strong_ones(powder, references):
    # the weak ones of fluorite, differences of amplitudes, are half of what the reference says
    order = {"fluorite": (6, 0.3)}
    pattern = powder({"fluorite": 1.0}, background=5.0, adjust=order, two_theta=(15.0, 90.0, 0.02))
    signal = encode_pattern(pattern)
    entry = references.index("fluorite")
    model = library_models(references, [entry], signal)[entry]
    fitter = PatternFitter(signal)
    fit = fitter.fit((PhaseFit(entry, model, model.start(0.0, size=0.03, microstrain=0.05)),))
    freed = free_intensities(fitter, fit).phases[0]
    strength = model.seen_strength(replace(freed.state, adjust=None), fit.instrument)
    strong = strength > 0.2 * strength.max()
    assert freed.state.adjust[strong] == pytest.approx(1.0, abs=0.15)


def test_an_element_that_two_phases_share_costs_once():
    chemistry = Chemistry(
        {0: frozenset("OZ"), 1: frozenset({"O", "Mg"})}, {"O": 1.0, "Z": 2.0, "Mg": 4.0}
    )
    assert chemistry.of([0]) == 3.0
    assert chemistry.of([0, 1]) == 7.0
    assert Chemistry().of([0, 1]) == 0.0


def test_what_an_element_costs_follows_what_is_known():
    silent = ElementBelief()
    assert silent.cost("O") == 0.0  # in most of what is measured
    assert silent.cost("Os") > silent.cost("Fe") > 0.0
    assert silent.cost("Os", Prior.NONE) == 0.0
    seen, absent = ElementBelief({"Fe": 0.99}), ElementBelief({"Fe": 0.001})
    assert seen.cost("Fe") == 0.0
    assert absent.cost("Fe", Prior.NONE) > 5.0
    assert ElementBelief(given=frozenset({"Al"})).cost("Os") == 0.0


def test_a_prior_that_nobody_knows_is_refused(powder, references):
    with pytest.raises(ValueError, match="may be usual or none"):
        identify(record(powder(TWO)), references, prior="some")
