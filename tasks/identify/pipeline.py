"""The whole pipeline: the records of one specimen -> its phases, with what each record said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.library.build import Library, builtin
from xtalfuse.fusion.conflict import conflict
from xtalfuse.fusion.evidence import Prior
from xtalfuse.loaders.description import check_elements
from xtalfuse.loaders.record import FileReport, Measurement, Modality, Record
from xtalfuse.physics.given import check_given
from xtalfuse.tasks.base import package_version
from xtalfuse.tasks.identify.answer import Answer, Unknown
from xtalfuse.tasks.identify.panels import likely_elements, panels_of
from xtalfuse.tasks.identify.powder.answer import conclude_from_pattern
from xtalfuse.tasks.identify.powder.phase import PatternAnswer, analyse_pattern
from xtalfuse.tasks.identify.powder.quantities.asked import Asked, answer_asked, parse_standard
from xtalfuse.tasks.identify.rings.answer import conclude_from_rings, read_rings
from xtalfuse.tasks.identify.rings.settings import DEFAULT as RING_DEFAULT
from xtalfuse.tasks.identify.spectra import read_spectra
from xtalfuse.tasks.identify.stages import Conclusion, RingsSaid, SpectraSaid

_EVIDENCE = {Modality.XRD, Modality.EELS, Modality.EDS, Modality.DIFFRACTION}
# In measurements of the microstructure no phase is looked for.
_STRUCTURE = {Modality.EBSD: "an orientation map", Modality.CT: "a volume"}


def identify(
    record: Record,
    library: Library | None = None,
    *,
    elements: str | Iterable[str] | None = None,
    refine: bool = True,
    standard: str | tuple[str, float] | None = None,
    is_there: str | None = None,
    prior: Prior | str = Prior.USUAL,
) -> Answer:
    """Say which phases a specimen holds, from whatever records there are.

    Parameters
    ----------
    record : from `xtalfuse.load_specimen`
    library : references to look among; the built-in ones by default
    elements : the only elements that may be there, ``["Al", "O"]`` or ``"Al,O"``; they replace
        those of the record
    refine : whether a Rietveld refinement gives the final numbers
    standard : internal standard with its wt% in what was measured, ``"corundum=20"``, for the
        amorphous part
    is_there : name of a phase whose fraction, or its upper limit, is asked for
    prior : whether how often an element is met in the materials that are measured counts where a
        powder pattern cannot tell two phases apart

    Returns
    -------
    Answer; its phases are empty, and `unknown.probability` is 1, where nothing can be said.

    Raises
    ------
    TypeError, ValueError
        If an argument is something else, or no element; the message says what came.
    """
    begin = time.perf_counter()
    _check_given(record, library)
    if prior not in tuple(Prior):
        raise ValueError(f"prior is {prior!r}; it may be {' or '.join(Prior)}")
    asked = Asked(None if standard is None else parse_standard(standard), is_there)
    given = check_elements(elements) if elements is not None else record.elements
    library = builtin() if library is None else library
    spectra = read_spectra(record, given)
    rings = read_rings(record, library, spectra.belief)
    if record.of(Modality.XRD):
        said = _from_patterns(
            record, library, spectra, rings, asked, refine=refine, prior=Prior(prior)
        )
    elif rings.readings:
        said = conclude_from_rings(rings, library)
    else:
        said = _without_diffraction(spectra)
    known = spectra.belief.to_dict()
    stages = (spectra, rings, said)
    seconds = {step: spent for stage in stages for step, spent in stage.seconds.items()}
    reasons = {path: why for stage in stages for path, why in stage.reasons.items()}
    warnings = (*said.urgent, *spectra.warnings, *rings.warnings, *said.warnings)
    return Answer(
        specimen=record.specimen,
        files=_files(record, reasons),
        elements=known,
        phases=said.phases,
        unknown=said.unknown,
        crystalline=said.crystalline,
        amorphous=said.amorphous,
        asked=said.asked,
        warnings=tuple(dict.fromkeys(warnings)),
        fit=said.fit,
        seconds=_rounded({**seconds, "total": time.perf_counter() - begin}),
        version=package_version(),
        curves=said.curves,
        panels=panels_of(record, spectra, rings, likely_elements(known, said.phases)),
        notes=record.notes,
        group=record.group,
    )


def _check_given(record: Any, library: Any) -> None:
    check_given(record, Record, "identify", "from xtalfuse.load_specimen(path)")
    if library is not None:
        check_given(library, Library, "identify", "as library: from xtalfuse.Library.load(path)")


def _from_patterns(
    record: Record,
    library: Library,
    spectra: SpectraSaid,
    rings: RingsSaid,
    asked: Asked,
    *,
    refine: bool,
    prior: Prior,
) -> Conclusion:
    """Phases from the best powder pattern, with the records that contradict them."""
    pattern, reasons = _choose(list(record.of(Modality.XRD)))
    begin = time.perf_counter()
    given = spectra.belief.given
    entries = None if given is None else library.select(set(given))
    found = analyse_pattern(pattern, library, entries, belief=spectra.belief, prior=prior)
    seconds = {"search": time.perf_counter() - begin}
    said = conclude_from_pattern(pattern, library, found, (spectra, rings), refine=refine)
    said = answer_asked(said, pattern, library, found, asked)
    return replace(
        said,
        urgent=(*said.urgent, *_contradictions(library, found, spectra, rings)),
        reasons=reasons,
        seconds={**seconds, **said.seconds},
    )


def _choose(patterns: list[Measurement]) -> tuple[Measurement, dict[str, str]]:
    """The pattern with the most counts over the widest range; why the others have no say."""

    def worth(m: Measurement) -> float:
        angle = m.axis("two_theta")
        return float(np.log(max(np.sum(m.values), 1.0)) + np.log(max(np.ptp(angle), 1e-3)))

    best = max(patterns, key=worth)
    why = (
        f"{Path(best.provenance.path).name} is the better powder pattern of this specimen; give "
        "this file alone to have it analysed"
    )
    return best, {other.provenance.path: why for other in patterns if other is not best}


def _contradictions(
    library: Library, found: PatternAnswer, spectra: SpectraSaid, rings: RingsSaid
) -> tuple[str, ...]:
    """Name the records that do not belong to the phases which the pattern shows."""
    entries = [library.entries[p.entry] for p in found.phases]
    elements = {e for entry in entries for e in entry.crystal.elements}
    if not elements:
        return ()
    said = []
    for spectrum in spectra.readings:
        verdict = conflict(spectrum.evidence, elements)
        if verdict.flagged:
            said.append(f"conflict: {spectrum.name}: {verdict.message}")
    ids = {entry.id for entry in entries}
    for ring in rings.readings:
        tied, likelihoods = ring.evidence.tied, ring.evidence.log_likelihoods
        if len(ring.profile.sharp) < 3 or not tied or ids & set(tied):
            continue
        here = max((likelihoods.get(entry, -np.inf) for entry in ids), default=-np.inf)
        if here < max(likelihoods.values()) - RING_DEFAULT.rings_differ:
            said.append(
                f"conflict: {ring.name}: its rings are not those of the phases of the pattern"
            )
    return tuple(reversed(said))


def _without_diffraction(spectra: SpectraSaid) -> Conclusion:
    if spectra.readings:
        told = "no diffraction record: elements alone cannot tell phases; add a powder pattern"
    else:
        told = "no record of this specimen says anything about its phases"
    return Conclusion(phases=(), unknown=Unknown(1.0), urgent=(told,))


def _files(record: Record, said: Mapping[str, str]) -> tuple[FileReport, ...]:
    """File reports of the record, with the files that turned out to have nothing to say."""
    reasons = dict(said)
    for f in record.files:
        name = Path(f.path).name
        if f.used and f.modality in _STRUCTURE:
            what = _STRUCTURE[Modality(f.modality)]
            reasons[f.path] = f"{name}: {what}, for `xtalfuse microstructure`"
        elif f.used and f.modality and f.modality not in _EVIDENCE:
            reasons[f.path] = f"{name}: no phase is looked for in a record of {f.modality}"
    return tuple(
        replace(f, used=False, reason=reasons[f.path]) if f.path in reasons else f
        for f in record.files
    )


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {step: round(spent, 3) for step, spent in seconds.items()}
