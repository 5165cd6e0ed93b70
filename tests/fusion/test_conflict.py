"""A spectrum that cannot be of the phases is named, and no other."""

from __future__ import annotations

from xtalfuse.datasets.simulate.spectra import eels_spectrum
from xtalfuse.encoders.spectrum.elements import ElementEvidence, Finding, element_evidence
from xtalfuse.fusion.conflict import conflict
from xtalfuse.loaders.record import Modality


def test_conflict_flags_another_material_only():
    evidence = element_evidence(eels_spectrum({"Ti": 1.0, "O": 3.0}, 400.0, 800.0))
    own = conflict(evidence, {"Sr", "Ti", "O"})
    assert not own.flagged
    assert own.message == ""
    other = conflict(evidence, {"Fe", "O"})
    assert other.flagged
    assert set(other.unexpected) == {"Ti"}
    assert set(other.missing) == {"Fe"}
    assert "Ti" in other.message


def test_an_artefact_is_no_conflict():
    grid = Finding(0.4, 5.0, ("Cu K",), 50.0, None, "the support grid")
    evidence = ElementEvidence(Modality.EDS, {"Cu": grid}, 0.0, 3.0)
    verdict = conflict(evidence, {"Al", "O"})
    assert verdict.log_odds == 0.0
    assert not verdict.flagged


def test_nothing_tested_is_no_conflict():
    evidence = ElementEvidence(Modality.EELS, {}, 0.0, 5.0)
    assert conflict(evidence, {"Al", "O"}).log_odds == 0.0
