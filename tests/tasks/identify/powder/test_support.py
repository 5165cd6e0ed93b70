"""What speaks for a phase, in numbers: they move with what a person would look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.tasks.identify.powder.measures import unexplained_share
from xtalfuse.tasks.identify.powder.phase import SEARCH_POINTS, library_models
from xtalfuse.tasks.identify.powder.search import PhaseSearch
from xtalfuse.tasks.identify.powder.support import FEATURES, PhaseEvidence, phase_evidence

PAIR = {"corundum": 0.6, "halite": 0.4}


def search(powder, references, fractions, names=None, **options):
    signal = encode_pattern(powder(fractions, **options), SEARCH_POINTS)
    entries = [references.index(name) for name in names or fractions]
    return PhaseSearch(signal, library_models(references, entries, signal)).run()


def by_name(result, references) -> dict[str, PhaseEvidence]:
    names = [references.entries[p.entry].id for p in result.fit.phases]
    return dict(zip(names, phase_evidence(result), strict=True))


@pytest.fixture(scope="module")
def pair(powder, references):
    return search(powder, references, PAIR)


def test_a_perfect_pair_is_well_supported(pair, references):
    found = by_name(pair, references)
    assert set(found) == set(PAIR)
    for evidence in found.values():
        assert evidence.support > 0.9
        assert evidence.strain < 0.3  # of what the prior allows
        assert evidence.broadening < 0.5
        assert evidence.margin <= evidence.gain
        assert evidence.unexplained < 0.01
        assert evidence.misfit == pytest.approx(1.0, abs=0.2)


def test_height_is_that_of_the_strongest_line(pair, references):
    found = by_name(pair, references)
    # halite scatters more for its mass: it has the strongest line of the pattern
    assert found["halite"].height == pytest.approx(1.0, abs=0.1)
    assert found["corundum"].height < found["halite"].height


def test_a_trace_has_fewer_lines_and_less_gain(powder, references, pair):
    trace = by_name(search(powder, references, {"corundum": 0.03, "halite": 0.97}), references)
    full = by_name(pair, references)
    assert trace["corundum"].lines < full["corundum"].lines
    assert trace["corundum"].gain < full["corundum"].gain


def test_a_moved_cell_is_strain_and_the_right_phase_alone_has_no_rival(powder, references):
    moved = by_name(search(powder, references, {"halite": 1.0}, strain={"halite": 0.005}),
                    references)["halite"]  # fmt: skip
    assert moved.strain > 0.5
    assert moved.margin == moved.gain  # nothing competed
    assert moved.candidates == 1
    assert moved.broadening == 0.0  # nothing to compare with


def test_a_missing_phase_is_seen_in_what_is_left_over(powder, references, pair):
    lacking = search(powder, references, PAIR, names=["corundum"])
    signal = lacking.fitter.signal
    assert unexplained_share(signal, lacking.fit) > 0.2
    assert unexplained_share(pair.fitter.signal, pair.fit) < 0.01
    assert by_name(lacking, references)["corundum"].misfit > 1.5


def test_missing_lines_lower_the_support(pair, references):
    index = [references.entries[p.entry].id for p in pair.fit.phases].index("corundum")
    phase = pair.fit.phases[index]
    half = np.where(np.arange(len(phase.model.hkl)) % 2, 1.0, 0.05)
    spoiled = replace(phase, state=replace(phase.state, adjust=half))
    phases = tuple(spoiled if i == index else p for i, p in enumerate(pair.fit.phases))
    worse = phase_evidence(replace(pair, fit=replace(pair.fit, phases=phases)))[index]
    assert worse.support < 0.8
    assert worse.lines < phase_evidence(pair)[index].lines


def test_features_are_finite_and_of_order_one_whatever_the_numbers():
    wild = PhaseEvidence(
        gain=-1e9, margin=1e12, strain=1e6, support=0.0, lines=10**6, broadening=50.0,
        height=0.0, candidates=0, unexplained=0.0, misfit=1.0,
    )  # fmt: skip
    features = wild.features()
    assert len(features) == len(FEATURES)
    assert np.all(np.isfinite(features))
    assert np.abs(features).max() < 30.0
    assert tuple(wild.to_dict()) == FEATURES
