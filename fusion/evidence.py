"""Joins what the records of one specimen say about its elements.

An element that no record could have shown is absent from the belief: "not measured" and "not
seen" are different things.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

# pydantic, which makes the schema, takes only this TypedDict before Python 3.12; it brings it
from typing_extensions import TypedDict

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.spectrum.elements import ElementEvidence, prior_probability

RULED_OUT = 0.03  # an element less probable than this is not looked for,
SUBSTANTIAL = 0.5 * np.log(10.0)  # log likelihood ratio, if the records made it so: Jeffreys


class Prior(StrEnum):
    """Whether it counts how often an element is met in the materials that are measured."""

    USUAL = "usual"
    NONE = "none"


class ElementReport(TypedDict):
    """One element in ``result.json``."""

    probability: float
    sources: list[str]  # what spoke for or against it; "given" when it was named by hand


@dataclass(frozen=True)
class ElementBelief:
    """Which elements the specimen holds, from all records that had a say.

    Parameters
    ----------
    probability : of each element that some record could show
    given : elements named by hand: nothing else is there; None when nobody named any
    sources : for each element, what spoke for or against it
    """

    probability: dict[str, float] = field(default_factory=dict)
    given: frozenset[str] | None = None
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def allows(self, elements: Iterable[str]) -> bool:
        """Whether a phase of these elements is worth looking for."""
        if self.given is not None:
            return self.given.issuperset(elements)
        return not any(self.rules_out(e) for e in elements)

    def rules_out(self, element: str) -> bool:
        """Whether the records speak against an element, and so much that it need not be tried.

        An element that is rare before anybody looked is not ruled out by a record that says
        nothing about it: its probability must have fallen.
        """
        probability = self.probability.get(element)
        if probability is None or probability >= RULED_OUT:
            return False
        said = _log_odds(probability) - _log_odds(prior_probability(element))
        return bool(said < -SUBSTANTIAL)

    def cost(self, element: str, prior: Prior = Prior.USUAL) -> float:
        """Minus twice the log odds that an element is there, at least 0.

        Parameters
        ----------
        element : symbol; one that no record could show has the odds it had before anybody looked
        prior : whether that counts at all beside what the records say
        """
        if self.given is not None:
            return 0.0
        before = prior_probability(element)
        odds = _log_odds(self.probability.get(element, before))
        said = odds - _log_odds(before)
        if abs(said) < SUBSTANTIAL:
            said = 0.0  # a record that says next to nothing changes nothing
        return max(0.0, -2.0 * (said + (0.0 if prior is Prior.NONE else _log_odds(before))))

    def candidates(self, library: Library) -> np.ndarray:
        """(m,) indices of the library entries that are worth looking for."""
        if self.given is not None:
            return library.select(set(self.given))
        return np.array(
            [i for i, e in enumerate(library.entries) if self.allows(e.crystal.elements)], int
        )

    def to_dict(self) -> dict[str, ElementReport]:
        """Plain values for ``result.json``."""
        if self.given is not None:
            return {e: {"probability": 1.0, "sources": ["given"]} for e in sorted(self.given)}
        return {
            e: {"probability": round(p, 4), "sources": list(self.sources.get(e, ()))}
            for e, p in sorted(self.probability.items())
        }


def join_elements(
    spectra: Iterable[tuple[str, ElementEvidence]], given: Iterable[str] | None = None
) -> ElementBelief:
    """Join the spectra of one specimen, each with the name of its file.

    Independent records multiply their likelihoods. A spectrum sees a small volume, so that an
    element it does not show may still be in the specimen: its likelihood is bounded. A feature
    that may be an artefact (grid, film, holder) neither adds an element nor rules it out.
    """
    ratio: dict[str, float] = {}
    sources: dict[str, tuple[str, ...]] = {}
    for name, evidence in spectra:
        for element, finding in evidence.elements.items():
            text = f"{name}: {', '.join(finding.features) or 'nothing seen'}"
            if finding.artefact:
                text += f" (may be {finding.artefact})"
            sources[element] = (*sources.get(element, ()), text)
            value = 0.0 if finding.artefact else float(finding.log_likelihood_ratio)
            ratio[element] = ratio.get(element, 0.0) + float(np.clip(value, -5.0, 30.0))
    probability = {}
    for element, value in ratio.items():
        odds = value + _log_odds(prior_probability(element))
        probability[element] = float(1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0))))
    return ElementBelief(probability, None if given is None else frozenset(given), sources)


def _log_odds(probability: float) -> float:
    return float(np.log(probability) - np.log1p(-probability))
