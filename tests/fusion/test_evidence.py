"""What the spectra of one specimen say together about its elements."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import ElementEvidence, Finding
from xtalfuse.fusion.evidence import RULED_OUT, ElementBelief, join_elements
from xtalfuse.loaders.record import Modality


def spectrum(artefact: dict[str, str] | None = None, **ratios: float) -> ElementEvidence:
    findings = {
        element: Finding(
            0.5, ratio, (f"{element} K",) if ratio > 0 else (), 5.0, None,
            (artefact or {}).get(element, ""),
        )
        for element, ratio in ratios.items()
    }  # fmt: skip
    return ElementEvidence(Modality.EELS, findings, 0.0, 1.0)


def test_without_spectra_there_is_no_belief_and_nothing_is_ruled_out(references):
    belief = join_elements([])
    assert belief.probability == {}
    assert len(belief.candidates(references)) == len(references)
    assert belief.to_dict() == {}


def test_what_no_spectrum_could_show_is_absent():
    belief = join_elements([("a.msa", spectrum(Ti=8.0, O=5.0, Fe=-5.0))])
    assert set(belief.probability) == {"Ti", "O", "Fe"}
    assert belief.allows(["Ti", "O", "Na"])  # sodium was not testable
    assert not belief.allows(["Fe", "O"])


def test_probability_is_prior_odds_times_likelihood():
    belief = join_elements([("a.msa", spectrum(Ti=2.0))])
    odds = prior_probability("Ti") / (1.0 - prior_probability("Ti")) * np.exp(2.0)
    assert belief.probability["Ti"] == pytest.approx(odds / (1.0 + odds))


def test_independent_spectra_multiply_and_their_order_does_not_matter():
    a, b = ("a.msa", spectrum(Ti=2.0, O=1.0)), ("b.msa", spectrum(Ti=1.5, Fe=-2.0))
    one, two = join_elements([a, b]), join_elements([b, a])
    assert one.probability == pytest.approx(two.probability)
    assert one.probability["Ti"] == join_elements([("c", spectrum(Ti=3.5))]).probability["Ti"]
    assert set(one.sources["Ti"]) == set(two.sources["Ti"])


def test_one_spectrum_cannot_rule_out_beyond_a_bound():
    # it sees a small place: what is not there may be elsewhere in the specimen
    strong, bound = (join_elements([("a", spectrum(Fe=v))]).probability["Fe"] for v in (-50.0, -5))
    assert strong == bound > 0.0


def test_an_artefact_neither_adds_nor_rules_out():
    belief = join_elements([("a.msa", spectrum({"Cu": "the support grid"}, Cu=20.0))])
    assert belief.probability["Cu"] == pytest.approx(prior_probability("Cu"))
    assert belief.sources["Cu"] == ("a.msa: Cu K (may be the support grid)",)


def test_an_element_is_not_lost_where_another_spectrum_sees_it():
    belief = join_elements([("a.msa", spectrum(Fe=-5.0)), ("b.msa", spectrum(Fe=12.0))])
    assert belief.probability["Fe"] > 0.9


def test_elements_given_by_hand_are_not_questioned(references):
    belief = join_elements([("a.msa", spectrum(Ti=-20.0))], given=("Ti", "O"))
    names = {references.entries[i].id for i in belief.candidates(references)}
    assert names == {"rutile", "anatase"}
    assert belief.to_dict()["Ti"] == {"probability": 1.0, "sources": ["given"]}
    assert not belief.allows(["Ti", "O", "Fe"])


def test_no_element_given_is_not_the_same_as_nothing_given(references):
    assert join_elements([], given=()).candidates(references).size == 0
    assert ElementBelief().allows(["Fe"])


def test_candidates_leave_out_what_is_ruled_out(references):
    belief = join_elements([("a.msa", spectrum(Fe=-5.0, Ti=8.0))])
    names = {references.entries[i].id for i in belief.candidates(references)}
    assert not names & {"hematite", "magnetite", "iron_alpha", "magnesioferrite"}
    assert {"rutile", "corundum"} <= names


ELEMENTS = [gemmi.Element(z).name for z in range(1, 93)]


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_law_6_a_record_that_tests_and_sees_nothing_rules_nothing_out(symbol):
    silent = join_elements([("a.msa", spectrum(**{symbol: 0.0}))])
    assert silent.allows([symbol])
    assert silent.probability[symbol] == pytest.approx(prior_probability(symbol))
    grid = join_elements([("a.msa", spectrum({symbol: "the support grid"}, **{symbol: 20.0}))])
    assert grid.allows([symbol])
    # nor does either give back what another record took, or take what it gave
    for said in (-5.0, 5.0):
        told = [("b.msa", spectrum(**{symbol: said}))]
        alone = join_elements(told)
        for other in (spectrum(**{symbol: 0.0}), spectrum({symbol: "a film"}, **{symbol: 9.0})):
            both = join_elements([*told, ("a.msa", other)])
            assert both.allows([symbol]) == alone.allows([symbol])
            assert both.probability == alone.probability


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_evidence_against_an_element_rules_it_out_however_common_it_is(symbol):
    assert not join_elements([("a.msa", spectrum(**{symbol: -5.0}))]).allows([symbol])


def test_law_6_is_not_vacuous():
    # what the law forbids: to compare the probability of one element with a number alone
    silent = join_elements([("a.msa", spectrum(**dict.fromkeys(ELEMENTS, 0.0)))])
    assert sum(p < RULED_OUT for p in silent.probability.values()) > 30
