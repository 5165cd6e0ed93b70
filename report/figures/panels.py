"""Small figures of what the other instruments saw: spectra with their edges, ring profiles."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np

from xtalfuse.encoders.rings.profile import RingProfile
from xtalfuse.loaders.record import Measurement, Modality, Record
from xtalfuse.physics.spectroscopy import XrayLine, edges_between, xray_lines
from xtalfuse.tasks.identify.answer import Answer, Panel

MOST_MARKS = 24  # more labels than this cannot be read in a small figure
LEAST_WEIGHT = 0.05  # X-ray lines weaker than this part of their family are not marked


def likely_elements(answer: Answer) -> set[str]:
    """Elements of the phases found, and those that are more likely there than not."""
    found = {
        symbol
        for symbol, value in answer.elements.items()
        if isinstance(value, dict) and (value.get("probability") or 0.0) >= 0.5
    }
    return found.union(*(re.findall(r"[A-Z][a-z]?", phase.formula) for phase in answer.phases))


def spectrum_panels(record: Record, symbols: Collection[str]) -> tuple[Panel, ...]:
    """A figure of every EELS and EDS spectrum, with the edges or lines of these elements."""
    return tuple(
        spectrum_panel(measurement, symbols)
        for measurement in record.of(Modality.EELS, Modality.EDS)
    )


def spectrum_panel(measurement: Measurement, symbols: Collection[str]) -> Panel:
    """A spectrum as a figure; a map of spectra is summed over its positions.

    Intensity is drawn as its square root: counting noise then has the same size everywhere.

    Raises
    ------
    KeyError
        If the measurement has no energy axis.
    """
    energy = measurement.axis("energy")
    index = [axis.name for axis in measurement.axes].index("energy")
    others = tuple(i for i in range(measurement.values.ndim) if i != index)
    counts = np.sum(np.asarray(measurement.values, float), axis=others)
    marks = _edge_marks if measurement.modality is Modality.EELS else _line_marks
    name = Path(measurement.provenance.path).name
    loss = measurement.modality is Modality.EELS
    return Panel(
        title=f"{name}: {'energy loss' if loss else 'X-ray emission'}",
        x=energy if loss else energy / 1000.0,
        y=np.sqrt(np.maximum(counts, 0.0)),
        x_label="energy loss (eV)" if loss else "energy (keV)",
        y_label="√intensity",
        marks=marks(float(energy[0]), float(energy[-1]), symbols)[:MOST_MARKS],
    )


def _edge_marks(low: float, high: float, symbols: Collection[str]) -> tuple[tuple[str, float], ...]:
    edges = edges_between(low, high, major_only=True)
    return tuple((edge.name, edge.onset_ev) for edge in edges if edge.element in symbols)


def _line_marks(low: float, high: float, symbols: Collection[str]) -> tuple[tuple[str, float], ...]:
    """The strongest line of each family of each element, at its energy in keV."""
    families: dict[tuple[str, str], XrayLine] = {}
    for line in xray_lines():
        if line.element not in symbols or not low <= line.energy_ev <= high:
            continue
        key = (line.element, line.family)
        if line.weight > max(LEAST_WEIGHT, families[key].weight if key in families else 0.0):
            families[key] = line
    return tuple((f"{e} {family}", line.energy_ev / 1e3) for (e, family), line in families.items())


def ring_panel(profile: RingProfile, name: str) -> Panel:
    """A radial profile without its background; rings carry d, or their ratio without a scale."""
    scale = profile.scale
    x = profile.radius_px if scale is None else profile.radius_px * scale
    net = profile.intensity - profile.background
    seen = np.isfinite(net)
    if scale is None:
        marks = [
            (f"{ratio:.3f}", ring.radius_px)
            for ring, ratio in zip(profile.sharp, profile.ratios, strict=True)
        ]
    else:
        marks = [(f"{1 / ring.g:.3f} Å", ring.g) for ring in profile.sharp if ring.g]
    return Panel(
        title=f"{name}: {profile.pattern}",
        x=x[seen],
        y=net[seen],
        x_label="radius (px), ratios to the strongest ring" if scale is None else "1/d (1/Å)",
        y_label="intensity",
        marks=tuple(marks[:MOST_MARKS]),
    )
