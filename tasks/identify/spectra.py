"""First stage: what the spectra of a specimen say about its elements."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from xtalfuse.encoders.spectrum.elements import element_evidence
from xtalfuse.fusion.evidence import join_elements
from xtalfuse.loaders.record import Modality, Record
from xtalfuse.tasks.identify.stages import SpectraSaid, SpectrumReading


def read_spectra(record: Record, given: Iterable[str] | None) -> SpectraSaid:
    """Element evidence of each spectrum, joined; one that says nothing costs only itself.

    Parameters
    ----------
    record : of the specimen
    given : the only elements that may be there, as known by hand; None if nobody named any
    """
    begin = time.perf_counter()
    readings: list[SpectrumReading] = []
    warnings: list[str] = []
    reasons: dict[str, str] = {}
    for measurement in record.of(Modality.EELS, Modality.EDS):
        path = measurement.provenance.path
        name = Path(path).name
        try:
            evidence = element_evidence(measurement)
        except (ValueError, KeyError) as error:
            reasons[path] = str(error)
            continue
        if not evidence.elements:
            reasons[path] = "; ".join(evidence.warnings) or (
                "no element has an edge or a line in its range"
            )
            continue
        readings.append(SpectrumReading(path, name, evidence))
        warnings += [f"{name}: {text}" for text in evidence.warnings]
    belief = join_elements(((r.name, r.evidence) for r in readings), given)
    seconds = {"spectra": time.perf_counter() - begin}
    return SpectraSaid(tuple(readings), belief, tuple(warnings), reasons, seconds)
