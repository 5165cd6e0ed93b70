"""What an EELS or EDS spectrum says about which elements are in the specimen.

An element that the recorded range cannot show is absent from the answer: not tested and not
seen are different things. An element that could have been seen and was not gets a probability
from its detection limit, which is weaker evidence than a line or an edge that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, logsumexp

from xtalfuse.encoders.spectrum.eds import EdsFit, absence_ratio, fit_lines, line_ratios
from xtalfuse.encoders.spectrum.eels import (
    HEIGHTS,
    OFFSETS,
    EdgeSearch,
    ElementSet,
)
from xtalfuse.encoders.spectrum.eels_bins import bin_spectrum, falls_at_the_end
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.physics.spectroscopy import GRID_ARTEFACTS, WEAK_ARTEFACTS, xray_lines

LOWEST_CORE_LOSS_EV = 50.0  # plasmons and their multiples below
LOG_ODDS_LIMIT = 7.0  # no single spectrum makes anyone surer than 1 in 1,000
ARTEFACT_PROBABILITY = 0.4  # a peak that the holder may have made
TRACE = 0.003  # of the strongest element's counts: tables lack lines of that strength
PRESENT = 0.5
_SPEAKS = 0.5  # log-likelihood ratio below which a spectrum has said nothing


@dataclass(frozen=True)
class Finding:
    """What a spectrum says about one element that its range can show.

    Parameters
    ----------
    probability : that the specimen holds the element
    log_likelihood_ratio : natural log of p(spectrum | present) / p(spectrum | not present)
    features : edges or line families used
    significance : of the feature, in standard deviations; 0 where nothing is seen
    detection_limit : smallest amount that would have been seen, relative to the strongest
        element (EELS: atoms; EDS: counts); None where no element is there to compare with
    artefact : what other than the specimen may have made the feature; "" for nothing
    """

    probability: float
    log_likelihood_ratio: float
    features: tuple[str, ...]
    significance: float
    detection_limit: float | None
    artefact: str = ""


@dataclass(frozen=True)
class SpectrumCurve:
    """Arrays for a figure: energies in eV as recorded, the rest in recorded units."""

    energy: np.ndarray
    observed: np.ndarray
    model: np.ndarray
    background: np.ndarray
    markers: dict[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ElementEvidence:
    """Evidence of one spectrum for and against elements.

    Parameters
    ----------
    modality : EELS or EDS
    elements : only those that the recorded range can show
    offset_ev, offset_su_ev : recorded minus true energy, and its standard uncertainty
    artefacts : peaks that are not, or may not be, of the specimen
    warnings : what a reader must know before trusting this
    curve : arrays for a figure; None where nothing could be tested
    """

    modality: Modality
    elements: dict[str, Finding]
    offset_ev: float
    offset_su_ev: float
    artefacts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    curve: SpectrumCurve | None = None

    def present(self, threshold: float = PRESENT) -> frozenset[str]:
        """Elements more probable than a threshold, and made so by this spectrum.

        A common element that the spectrum could neither show nor exclude keeps its prior
        probability, which may be over one half; that is not being seen.
        """
        return frozenset(
            e
            for e, f in self.elements.items()
            if f.probability > threshold and f.log_likelihood_ratio > _SPEAKS
        )

    def possible(self) -> frozenset[str]:
        """Elements that this spectrum made likelier, but not likely: worth another look."""
        return frozenset(
            e
            for e, f in self.elements.items()
            if f.log_likelihood_ratio > _SPEAKS and not f.artefact and e not in self.present()
        )

    def statement(self, element: str) -> str:
        """One line a person can read about an element."""
        found = self.elements.get(element)
        if found is None:
            return f"{element}: not testable in this range"
        if element in self.present():
            return f"{element}: seen ({', '.join(found.features)}, {found.significance:.0f} sigma)"
        if found.artefact:
            return f"{element}: seen, but possibly {found.artefact}"
        if found.detection_limit is None:
            return f"{element}: not seen"
        unit = "atoms" if self.modality is Modality.EELS else "counts"
        limit = f"{100.0 * found.detection_limit:.2g} % of the {unit} of the strongest element"
        return f"{element}: not seen; below {limit}"


def element_evidence(measurement: Measurement) -> ElementEvidence:
    """Elements that an EELS or EDS measurement shows, with calibrated doubt.

    Parameters
    ----------
    measurement : with an axis called "energy" in eV; other axes are summed over

    Raises
    ------
    ValueError
        If the measurement is neither EELS nor EDS, or has fewer than 20 finite channels.
    """
    name = measurement.provenance.path
    if measurement.modality not in (Modality.EELS, Modality.EDS):
        raise ValueError(
            f"{name}: {measurement.modality} is no spectrum; elements come from EELS or EDS"
        )
    energy, intensity = summed_spectrum(measurement)
    if energy.size < 20:
        raise ValueError(
            f"{name}: {energy.size} finite channels; a spectrum needs 20. Export it again whole"
        )
    if measurement.modality is Modality.EDS:
        return _from_eds(energy, intensity, _beam_energy_ev(measurement, energy, intensity))
    return _from_eels(energy, intensity)


def summed_spectrum(measurement: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """Energy (n,) in eV and intensity (n,), summed over every axis but energy; finite only.

    Raises
    ------
    ValueError
        If the unit of the axis is neither eV nor keV.
    """
    energy = np.asarray(measurement.axis("energy"), float)
    place = [axis.name for axis in measurement.axes].index("energy")
    unit = measurement.axes[place].unit
    if unit.lower() not in ("ev", "kev"):
        raise ValueError(
            f"{measurement.provenance.path}: energy axis in {unit!r}; expected eV or keV"
        )
    if unit.lower() == "kev":
        energy = 1000.0 * energy
    values = np.moveaxis(np.asarray(measurement.values, float), place, -1)
    intensity = values.reshape(-1, max(values.shape[-1], 1)).sum(0)[: energy.size]
    good = np.isfinite(energy) & np.isfinite(intensity)
    energy, intensity = energy[good], intensity[good]
    energy, first = np.unique(
        energy, return_index=True
    )  # sorts; a channel written twice counts once
    return energy, intensity[first]


def _core_loss_range(
    energy: np.ndarray, intensity: np.ndarray
) -> tuple[np.ndarray, tuple[float, float] | None, list[str]]:
    """Channels to test, zero-loss offset where it is recorded, warnings."""
    filled = np.flatnonzero(intensity != 0.0)
    keep = np.zeros(energy.size, bool)
    if filled.size:
        keep[filled[0] : filled[-1] + 1] = True  # some files are padded with zeros
        keep &= ~falls_at_the_end(energy, intensity, filled[-1])
    zero_loss = None
    warnings = []
    if energy[0] < 40.0:
        warnings.append("low-loss spectrum: only edges above 50 eV are tested, with caution")
        keep &= energy >= LOWEST_CORE_LOSS_EV
        around = np.abs(energy) < 15.0
        if energy[0] < -1.0 and around.any():
            peak = float(energy[around][np.argmax(intensity[around])])
            zero_loss = (peak, 0.7)
    return keep, zero_loss, warnings


def _from_eels(energy: np.ndarray, intensity: np.ndarray) -> ElementEvidence:
    keep, zero_loss, warnings = _core_loss_range(energy, intensity)
    if keep.sum() < 20 or np.ptp(energy[keep]) < 25.0:
        text = f"no core edge in range: {energy[0]:.0f} to {energy[-1]:.0f} eV"
        return ElementEvidence(Modality.EELS, {}, 0.0, OFFSETS[-1] / 2, warnings=(*warnings, text))
    low_loss = bool(warnings)
    weight = 0.5 if low_loss else 1.0  # of what the spectrum says against the prior
    spectrum = bin_spectrum(energy[keep], intensity[keep])
    search = EdgeSearch(spectrum, zero_loss=zero_loss)
    hypotheses = search.run()
    weights = np.array([h.log_posterior for h in hypotheses])
    weights = np.exp(weights - logsumexp(weights))
    best = hypotheses[0]
    offset, offset_su = search.offset(best.members)
    first, last = spectrum.energy[0], spectrum.energy[-1]
    findings = {}
    for symbol, template in search.templates.items():
        holds = np.array([symbol in h.members for h in hypotheses])
        probability = float(weights[holds].sum())
        inside = [
            edge
            for edge in template.edges
            if first + 2.0 <= edge.onset_ev + offset <= last - 8.0 and (edge.major or edge.white)
        ]
        if not any(edge.major for edge in inside) and probability <= PRESENT:
            continue
        prior_odds = _log_odds(prior_probability(symbol))
        log_odds = weight * _bounded(_log_odds(probability), prior_odds)
        log_odds += (1.0 - weight) * prior_odds
        seen = symbol in best.members
        gain = max(2.0 * _gain(search, best.members, symbol), 0.0) if seen else 0.0
        limit = None if seen else _detection_limit(search, best, symbol)
        names = tuple(edge.name for edge in inside) or (template.edges[0].name,)
        findings[symbol] = Finding(
            float(expit(log_odds)),
            float(log_odds - prior_odds),
            names,
            float(np.sqrt(gain)),
            limit,
        )
    if not best.members:
        warnings.append("no core edge seen")
    elif not low_loss and abs(offset) > 3.0 * max(offset_su, 1.0):
        warnings.append(
            f"energy axis off by {offset:+.1f}({offset_su:.1f}) eV, as the edges fit best"
        )
    model, background = search.curves(best.members)
    scale = spectrum.scale
    curve = SpectrumCurve(
        spectrum.energy,
        spectrum.intensity * scale,
        model * scale,
        background * scale,
        _edge_markers(search, best),
    )
    return ElementEvidence(
        Modality.EELS, findings, offset, offset_su, warnings=tuple(warnings), curve=curve
    )


def _edge_markers(search: EdgeSearch, best: ElementSet) -> dict[str, tuple[tuple[str, float], ...]]:
    """Name and energy, eV as recorded, of the edges in range of each element that is seen."""
    first, last = search.spectrum.energy[0], search.spectrum.energy[-1]
    return {
        symbol: tuple(
            (edge.name, edge.onset_ev + float(OFFSETS[place]))
            for edge in search.templates[symbol].edges
            if first <= edge.onset_ev + OFFSETS[place] <= last and (edge.major or edge.white)
        )
        for symbol, (place, _) in best.members.items()
    }


def _log_odds(probability: float) -> float:
    edge = 1e-12  # a sum over sets of elements may be 0 or 1
    clipped = float(np.clip(probability, edge, 1.0 - edge))
    return float(np.log(clipped / (1.0 - clipped)))


def _bounded(log_odds: float, prior_odds: float) -> float:
    """Log odds that one spectrum may give: no surer than `LOG_ODDS_LIMIT`, nor than before.

    An element rarer than the limit stays as rare as it was; the limit is no evidence for it.
    """
    low, high = min(-LOG_ODDS_LIMIT, prior_odds), max(LOG_ODDS_LIMIT, prior_odds)
    return float(np.clip(log_odds, low, high))


def _gain(search: EdgeSearch, members: dict[str, tuple[int, int]], symbol: str) -> float:
    """Log-likelihood that a member brings, over the best fit without it."""
    place, height = members[symbol]
    rest = search.assemble({s: p for s, p in members.items() if s != symbol})
    return float(search.gains(rest, symbol, np.array([place]))[0, height])


def _detection_limit(search: EdgeSearch, best: ElementSet, symbol: str) -> float | None:
    """Atoms relative to the strongest element above which an edge would have been seen."""
    if not best.members:
        return None
    prior = search.place_weights(best.members)
    places = np.array([int(np.argmax(prior))])
    gain = search.temperature * search.gains(best, symbol, places)[0]
    impossible = np.flatnonzero(gain < -3.0)
    height = HEIGHTS[impossible[0]] if impossible.size else HEIGHTS[-1]
    amounts = [HEIGHTS[k] / search.templates[s].strength for s, (_, k) in best.members.items()]
    return float(height / search.templates[symbol].strength / max(amounts))


def _beam_energy_ev(measurement: Measurement, energy: np.ndarray, intensity: np.ndarray) -> float:
    """Beam energy of the file; else from the axis, which rarely ends below the beam."""
    stated = None if measurement.beam is None else measurement.beam.energy_kev
    if stated is not None and 1.0 <= stated <= 1500.0:
        return 1000.0 * stated
    return 200_000.0 if energy[-1] > 12_000.0 else float(energy[-1])


def _from_eds(energy: np.ndarray, counts: np.ndarray, beam_ev: float) -> ElementEvidence:
    fit = fit_lines(energy, counts, beam_ev)
    strongest = max(fit.counts.values(), default=0.0)
    transmission = beam_ev > 40_000.0
    suspects = {
        symbol: _eds_artefact(fit, symbol, strongest, transmission) for symbol in fit.limits
    }
    ratios = line_ratios(fit, strongest)
    # Beside the grid and the film alone there was no specimen in which to miss an element.
    specimen = any(ratios[e] > 0.0 and not suspects[e] for e in fit.counts)
    compared = strongest if specimen else 0.0
    findings, artefacts = {}, []
    for symbol, limit in fit.limits.items():
        prior_odds = _log_odds(prior_probability(symbol))
        ratio = ratios.get(symbol, absence_ratio(limit, compared))
        log_odds = _bounded(ratio + prior_odds, prior_odds)
        artefact = suspects[symbol]
        if artefact:
            artefacts.append(f"{symbol}: {artefact}")
            log_odds = min(
                log_odds, float(np.log(ARTEFACT_PROBABILITY / (1 - ARTEFACT_PROBABILITY)))
            )
        findings[symbol] = Finding(
            float(expit(log_odds)),
            log_odds - prior_odds,
            tuple(f"{symbol} {family}" for family in fit.families.get(symbol, ())),
            float(np.sqrt(2.0 * max(fit.gain.get(symbol, 0.0), 0.0))),
            limit / compared if compared and symbol not in fit.counts else None,
            artefact,
        )
    axis = fit.axis
    present = [e for e in fit.counts if findings[e].probability > PRESENT or findings[e].artefact]
    markers = {
        symbol: tuple(
            (f"{symbol} {line.name}", line.energy_ev * (1.0 + axis.gain) + axis.offset_ev)
            for line in xray_lines()
            if line.element == symbol and line.name in ("Ka", "Kb", "La", "Ma")
        )
        for symbol in present
    }
    curve = SpectrumCurve(fit.energy, fit.observed, fit.model, fit.background, markers)
    warnings = [] if fit.counts else ["no characteristic line seen"]
    if transmission and energy[-1] < 5000.0:
        warnings.append(f"lines above {energy[-1]:.0f} eV were not recorded")
    return ElementEvidence(
        Modality.EDS, findings, axis.offset_ev, 3.0, tuple(artefacts), tuple(warnings), curve
    )


def _eds_artefact(fit: EdsFit, symbol: str, strongest: float, transmission: bool) -> str:
    """What else than the specimen may have made the lines of an element."""
    if symbol not in fit.counts:
        return ""
    if fit.counts[symbol] < TRACE * strongest:
        return "a weak line, a sum or an escape of stronger elements"
    if transmission and symbol == "Cu":
        return "the support grid"
    if transmission and symbol == "C":
        return WEAK_ARTEFACTS["C"]
    if transmission and symbol in WEAK_ARTEFACTS and fit.counts[symbol] < 0.03 * strongest:
        return WEAK_ARTEFACTS[symbol]
    if transmission and symbol in GRID_ARTEFACTS and fit.counts[symbol] < 0.03 * strongest:
        return "the support grid or holder"
    return ""
