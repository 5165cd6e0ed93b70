"""Which crystals explain a set of electron diffraction rings, and what the rings cannot say."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.rings.profile import RingProfile
from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import Reflections
from xtalfuse.tasks.identify.rings.candidates import (
    RingHypothesis,
    Rings,
    best_hypothesis,
    null_likelihood,
)
from xtalfuse.tasks.identify.rings.lattice import forbidden_match, lattice_families, observability
from xtalfuse.tasks.identify.rings.settings import DEFAULT, RingSettings

logger = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """One library entry to be held against the rings."""

    id: str
    cell: tuple[float, ...]
    reflections: Reflections
    crystal: Crystal


def library_candidates(library: Library, indices: Iterable[int] | None = None) -> list[Candidate]:
    """Candidates of these library entries, or of all."""
    chosen = range(len(library)) if indices is None else indices
    entries = [(int(i), library.entries[int(i)]) for i in chosen]
    return [Candidate(e.id, e.crystal.cell, library.reflections(i), e.crystal) for i, e in entries]


@dataclass(frozen=True)
class RingMatch:
    """One observed ring and the reflections that explain it."""

    radius_px: float
    g: float  # 1/angstrom, at the candidate's best scale
    hkl: tuple[tuple[int, int, int], ...]  # strongest first
    relative_residual: float  # observed / expected - 1


@dataclass(frozen=True)
class MissingRing:
    """A strong ring that the candidate predicts and the image does not show."""

    hkl: tuple[int, int, int]
    g: float
    relative_intensity: float  # of the strongest expected ring


@dataclass(frozen=True)
class CandidateEvidence:
    """What the rings say about one candidate.

    ``log_likelihood`` is the log of the evidence: camera constant integrated out, and the
    texture (random, or a zone axis along the beam) taken at its best after its prior odds; so is
    a second phase beside it.
    """

    id: str
    log_likelihood: float
    scale: float  # 1/angstrom per pixel that fits best
    scale_relative_su: float
    zone: tuple[int, int, int] | None  # fibre axis along the beam; None: random grains
    matches: tuple[RingMatch, ...]
    unexplained_px: tuple[float, ...]
    missing: tuple[MissingRing, ...]
    double_diffraction_px: tuple[float, ...]  # unexplained, but where a forbidden hkl would be
    observable: dict[str, str]  # cell parameter -> "observed", or why not
    explained: float  # share of the ring intensity
    texture_log_odds: float = 0.0  # part of log_likelihood: prior of the texture over none


@dataclass(frozen=True)
class RingEvidence:
    """All candidates against one ring pattern, best first.

    ``tied`` is the answer: the candidates that these rings cannot tell apart. Films are often
    textured, so the prior odds against texture do not exclude anything from it. It is empty when
    none of the library explains the rings.
    """

    candidates: tuple[CandidateEvidence, ...]
    tied: tuple[str, ...]
    null_log_likelihood: float
    scale_known: bool
    families: tuple[str, ...]  # lattices and planar nets that have these ratios of radii
    statement: str

    def of(self, entry: str) -> CandidateEvidence:
        """Evidence for one candidate.

        Raises
        ------
        KeyError
            If there was no such candidate.
        """
        for candidate in self.candidates:
            if candidate.id == entry:
                return candidate
        raise KeyError(f"{entry!r} was not among the {len(self.candidates)} candidates")

    @property
    def log_likelihoods(self) -> dict[str, float]:
        """Log-likelihood of each candidate over that of "none of them"."""
        return {c.id: c.log_likelihood - self.null_log_likelihood for c in self.candidates}

    def posterior(self, in_library: float) -> dict[str, float]:
        """Probability of each candidate given the rings; what is missing from one is "unknown".

        Bayes over the candidates and "none of them", from likelihoods in which the uncertainties
        of radii and scale are. Before the rings are seen all candidates are alike.

        Parameters
        ----------
        in_library : probability, before the rings are seen, that it is one of the candidates
        """
        gains = self.log_likelihoods
        if not gains:
            return {}
        each = np.log(in_library / len(gains))
        weights = np.array([each + gain for gain in gains.values()])
        total = np.logaddexp(np.logaddexp.reduce(weights), np.log1p(-in_library))
        return dict(zip(gains, np.exp(weights - total).tolist(), strict=True))


def ring_evidence(
    profile: RingProfile,
    candidates: Iterable[Candidate | tuple[str, tuple[float, ...], Reflections, Crystal]],
    settings: RingSettings = DEFAULT,
) -> RingEvidence:
    """Likelihood of each candidate given the rings.

    Rings are a thinned point process: each expected ring is seen with a probability that
    grows with its kinematic intensity, displaced by the measuring error and by strain of the
    cell; other rings are clutter. A missing strong ring is therefore weak evidence (texture),
    and a candidate with very many reflections gains nothing from fitting everything.

    Parameters
    ----------
    profile : from `encoders.rings.ring_profile`
    candidates : (id, cell, reflections, crystal) of each
    settings : numbers that decide

    Raises
    ------
    ValueError
        If there are no candidates.
    """
    given = [Candidate(*candidate) for candidate in candidates]
    if not given:
        raise ValueError("no candidates: give at least one library entry")
    rings = Rings.of(profile, settings)
    if not rings.informative:
        return _uninformative(given, rings)
    null = null_likelihood(rings)
    found = []
    for candidate in given:
        hypothesis = best_hypothesis(
            rings, candidate.cell, candidate.reflections, candidate.crystal
        )
        if hypothesis is None:
            found.append(_nothing(candidate.id, null - settings.tie, rings))
        else:
            found.append(_evidence(candidate, hypothesis, rings))
    found = _with_partners(found, null)
    found.sort(key=lambda one: -one.log_likelihood)
    best = found[0]
    tied = tuple(
        one.id
        for one in found
        if one.log_likelihood - one.texture_log_odds
        > max(best.log_likelihood - settings.tie, null + settings.least_gain)
        and one.explained >= settings.least_explained * best.explained
    )
    if _explained_together(found, null, rings) < settings.least_explained:
        tied = ()
    families = lattice_families(rings.radius, rings.relative_su)
    statement = _statement(found, tied, rings.scale is not None, families)
    return RingEvidence(tuple(found), tied, null, rings.scale is not None, families, statement)


def _with_partners(found: list[CandidateEvidence], null: float) -> list[CandidateEvidence]:
    """Each candidate alone or in a mixture with its best partner, whichever is likelier.

    A partner brings the part of its own gain that is of rings which the candidate leaves, two or
    more, and costs the choice among all candidates. Without it one large cell that has a place
    for every ring of a mixture wins over the two phases that made them.
    """
    radii = [{match.radius_px for match in one.matches} for one in found]
    each = [
        (one.log_likelihood - null) / max(len(own), 1)
        for one, own in zip(found, radii, strict=True)
    ]
    choice = float(np.log(len(found)))
    mixed = []
    for one, own in zip(found, radii, strict=True):
        left = [(len(other - own), gain) for other, gain in zip(radii, each, strict=True)]
        more = max((count * gain for count, gain in left if count > 1), default=0.0) - choice
        mixed.append(replace(one, log_likelihood=one.log_likelihood + max(more, 0.0)))
    return mixed


def _explained_together(found: list[CandidateEvidence], null: float, rings: Rings) -> float:
    """Share of the ring intensity that the best candidate explains with those beside it.

    A specimen may be a mixture: up to `most_phases`, each surer than the best of as many
    candidates is by chance, and each with two rings or more that the others leave.
    """
    sure = null + rings.settings.least_gain + float(np.log(len(found)))
    known = {match.radius_px for match in found[0].matches}
    for _ in range(rings.settings.most_phases - 1):
        further = [
            {match.radius_px for match in one.matches} - known
            for one in found
            if one.log_likelihood > sure
        ]
        more = max((new for new in further if len(new) > 1), default=set(), key=len)
        known |= more
    weight = np.array([float(radius) in known for radius in rings.radius]) @ rings.intensity
    return float(weight / rings.intensity.sum())


def _evidence(candidate: Candidate, best: RingHypothesis, rings: Rings) -> CandidateEvidence:
    groups = best.groups
    matches, unexplained = [], []
    for k, group in enumerate(best.assigned):
        g = float(rings.radius[k] * best.scale)
        if group < 0:
            unexplained.append(float(rings.radius[k]))
            continue
        hkl = tuple(_indices(row) for row in groups.members(group))
        expected = float(np.exp(groups.log_g[group]))
        matches.append(RingMatch(float(rings.radius[k]), g, hkl, g / expected - 1.0))
    used = set(best.assigned)
    missing = tuple(
        MissingRing(
            _indices(groups.members(k)[0]),
            float(np.exp(groups.log_g[k])),
            float(groups.intensity[k] / best.strongest),
        )
        for k in best.in_view
        if k not in used and groups.intensity[k] > rings.settings.strong * best.strongest
    )
    doubled = tuple(
        radius
        for radius in unexplained
        if forbidden_match(radius * best.scale, candidate.cell, candidate.crystal.space_group)
    )
    weight = rings.intensity[best.assigned >= 0].sum() / rings.intensity.sum()
    return CandidateEvidence(
        id=candidate.id,
        log_likelihood=best.log_likelihood,
        scale=best.scale,
        scale_relative_su=best.scale_relative_su,
        zone=best.zone,
        matches=tuple(matches),
        unexplained_px=tuple(unexplained),
        missing=missing,
        double_diffraction_px=doubled,
        observable=observability(
            candidate.cell,
            candidate.crystal.crystal_system,
            [match.hkl for match in matches],
            scale_known=rings.scale is not None,
        ),
        explained=float(weight),
        texture_log_odds=best.texture_log_odds,
    )


def _indices(row: np.ndarray) -> tuple[int, int, int]:
    h, k, length = (int(value) for value in row)
    return h, k, length


def _nothing(entry: str, likelihood: float, rings: Rings) -> CandidateEvidence:
    """A candidate none of whose reflections can be in view."""
    radii = tuple(float(r) for r in rings.radius)
    return CandidateEvidence(
        entry, likelihood, float("nan"), float("nan"), None, (), radii, (), (), {}, 0.0
    )


def _uninformative(given: list[Candidate], rings: Rings) -> RingEvidence:
    """One ring without a camera constant fits everything equally."""
    found = tuple(_nothing(candidate.id, 0.0, rings) for candidate in given)
    return RingEvidence(
        found,
        (),
        0.0,
        rings.scale is not None,
        (),
        f"{len(rings.radius)} sharp ring(s) and no camera constant: the rings say nothing about "
        "the phase",
    )


def _statement(
    found: list[CandidateEvidence],
    tied: tuple[str, ...],
    scale_known: bool,
    families: tuple[str, ...],
) -> str:
    """The finding in words."""
    said = []
    if not tied:
        said.append("no candidate of the library explains these rings")
    elif len(tied) == 1:
        said.append(f"only {tied[0]} explains these rings within the evidence")
    else:
        shown = ", ".join(tied[:6]) + (f" and {len(tied) - 6} more" if len(tied) > 6 else "")
        said.append(f"{len(tied)} candidates explain these rings equally well: {shown}")
    if families:
        said.append("the ratios of radii are those of a " + " or ".join(families))
    if not scale_known:
        said.append("the camera constant is unknown, so no length is measured, only ratios")
    by_id = {one.id: one for one in found}
    hidden = sorted(
        {
            name
            for entry in tied
            for name, state in by_id[entry].observable.items()
            if state == "not observable"
        }
    )
    if hidden:
        said.append(", ".join(f"{name} not observable" for name in hidden))
    if any(by_id[entry].zone for entry in tied):
        zones = {by_id[entry].zone for entry in tied if by_id[entry].zone}
        said.append(
            f"grains are textured for {len(zones)} of the explanations (a zone along the beam)"
        )
    return "; ".join(said)
