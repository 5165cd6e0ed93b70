"""Data of the small figures: spectra with their edges, profiles with their rings.

`xtalfuse.report.figures.pattern.panel_figure` draws them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import numpy as np

from xtalfuse.encoders.spectrum.elements import SpectrumCurve, summed_spectrum
from xtalfuse.fusion.evidence import ElementReport
from xtalfuse.loaders.record import Measurement, Modality, Record
from xtalfuse.physics.spectroscopy import XrayLine, edges_between, xray_lines
from xtalfuse.tasks.identify.answer import Panel, PhaseAnswer
from xtalfuse.tasks.identify.stages import RingReading, RingsSaid, SpectraSaid

logger = logging.getLogger(__name__)

MOST_MARKS = 24  # more labels than this cannot be read in a small figure
LEAST_WEIGHT = 0.05  # X-ray lines weaker than this part of their family are not marked


def panels_of(
    record: Record, spectra: SpectraSaid, rings: RingsSaid, symbols: Collection[str]
) -> tuple[Panel, ...]:
    """A figure of every spectrum and of every ring pattern.

    Parameters
    ----------
    record : of the specimen
    spectra, rings : what they say
    symbols : elements whose edges and lines are marked, beside those that a spectrum shows
    """
    curves = {reading.path: reading.evidence.curve for reading in spectra.readings}
    found = []
    for measurement in record.of(Modality.EELS, Modality.EDS):
        try:
            curve = curves.get(measurement.provenance.path)
            found.append(spectrum_panel(measurement, symbols, curve))
        except (ValueError, KeyError) as error:  # its file report says why it had no say
            logger.info("no figure of %s: %s", measurement.provenance.path, error)
    return (*found, *(ring_panel(reading) for reading in rings.readings))


def likely_elements(
    elements: Mapping[str, ElementReport], phases: Iterable[PhaseAnswer]
) -> set[str]:
    """Elements of the phases found, and those that are more likely there than not."""
    likely = {symbol for symbol, told in elements.items() if told["probability"] >= 0.5}
    return likely.union(*(re.findall(r"[A-Z][a-z]?", phase.formula) for phase in phases))


def spectrum_panel(
    measurement: Measurement, symbols: Collection[str], curve: SpectrumCurve | None = None
) -> Panel:
    """A spectrum as a figure; a map of spectra is summed over its positions.

    Intensity is drawn as its square root: counting noise then has the same size everywhere.

    Parameters
    ----------
    measurement : EELS or EDS
    symbols : elements whose edges or lines are marked where the tables have them
    curve : what was fitted to it, with the edges and lines that it shows; they take the place
        of those of the tables

    Raises
    ------
    KeyError
        If the measurement has no energy axis.
    ValueError
        If that axis is not in eV or keV, or nothing on it is finite.
    """
    loss = measurement.modality is Modality.EELS
    unit = 1.0 if loss else 1000.0
    lines: tuple[tuple[str, np.ndarray], ...] = ()
    if curve is None:
        energy, intensity = summed_spectrum(measurement)
        shown = {}
    else:
        energy, intensity, shown = curve.energy, curve.observed, curve.markers
        fitted = (("model", curve.model), ("background", curve.background))
        lines = tuple((name, _root(values)) for name, values in fitted)
    if not energy.size:
        raise ValueError("no finite channel")
    marks = [(label, at / unit) for own in shown.values() for label, at in own]
    marks = [mark for mark in marks if energy[0] / unit <= mark[1] <= energy[-1] / unit]
    tabled = _edge_marks if loss else _line_marks
    marks += tabled(float(energy[0]), float(energy[-1]), set(symbols) - set(shown))
    name = Path(measurement.provenance.path).name
    return Panel(
        title=f"{name}: {'energy loss' if loss else 'X-ray emission'}",
        x=energy / unit,
        y=_root(intensity),
        x_label="energy loss (eV)" if loss else "energy (keV)",
        y_label="√intensity",
        marks=tuple(marks[:MOST_MARKS]),
        lines=lines,
    )


def _root(intensity: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(intensity, 0.0))


def _edge_marks(low: float, high: float, symbols: Collection[str]) -> list[tuple[str, float]]:
    edges = edges_between(low, high, major_only=True)
    return [(edge.name, edge.onset_ev) for edge in edges if edge.element in symbols]


def _line_marks(low: float, high: float, symbols: Collection[str]) -> list[tuple[str, float]]:
    """The strongest line of each family of each element, at its energy in keV."""
    families: dict[tuple[str, str], XrayLine] = {}
    for line in xray_lines():
        if line.element not in symbols or not low <= line.energy_ev <= high:
            continue
        key = (line.element, line.family)
        if line.weight > max(LEAST_WEIGHT, families[key].weight if key in families else 0.0):
            families[key] = line
    return [(f"{e} {family}", line.energy_ev / 1e3) for (e, family), line in families.items()]


def ring_panel(reading: RingReading) -> Panel:
    """A radial profile without its background.

    A ring carries the indices that the best candidate gives it, else its d, or without a scale
    the ratio of its radius to that of the strongest ring.
    """
    profile, evidence = reading.profile, reading.evidence
    indices: dict[float, str] = {}
    if evidence.tied:
        matches = evidence.of(evidence.tied[0]).matches
        indices = {m.radius_px: " ".join(map(str, m.hkl[0])) for m in matches if m.hkl}
    scale = profile.scale or 1.0
    marks = []
    for ring, ratio in zip(profile.sharp, profile.ratios, strict=True):
        bare = f"{ratio:.3f}" if profile.scale is None else f"{1 / (scale * ring.radius_px):.3f} Å"
        marks.append((indices.get(ring.radius_px, bare), scale * ring.radius_px))
    net = profile.intensity - profile.background
    seen = np.isfinite(net)
    return Panel(
        title=f"{reading.name}: {profile.pattern}",
        x=scale * profile.radius_px[seen],
        y=net[seen],
        x_label="radius (px)" if profile.scale is None else "1/d (1/Å)",
        y_label="intensity above background",
        marks=tuple(marks[:MOST_MARKS]),
    )
