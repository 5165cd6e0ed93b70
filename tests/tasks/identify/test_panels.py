"""The small figures mark what the tables of edges and lines hold, at the right place."""

from __future__ import annotations

import numpy as np

from xtalfuse.encoders.spectrum.elements import SpectrumCurve
from xtalfuse.loaders.record import (
    Axis,
    Measurement,
    Modality,
    Provenance,
)
from xtalfuse.tasks.identify.panels import likely_elements, spectrum_panel


def spectrum(modality: Modality, energy: np.ndarray, values: np.ndarray, *others: Axis):
    source = Provenance("folder/edge.msa", "0", "stand-in")
    axes = (*others, Axis("energy", "eV", energy))
    return Measurement(modality, values, axes, "counts", source)


def test_edges_of_the_elements_are_marked():
    energy = np.linspace(400.0, 900.0, 1000)
    panel = spectrum_panel(spectrum(Modality.EELS, energy, np.ones(1000)), {"O", "Fe", "Al"})
    marks = dict(panel.marks)
    # Egerton (2011), appendix D: O K 532 eV, Fe L3 708 eV; Al has no edge in this range
    assert abs(marks["O K"] - 532.0) < 1.5
    assert abs(marks["Fe L2,3"] - 708.0) < 1.5
    assert not [label for label in marks if label.startswith("Al")]


def test_lines_are_marked_in_kev():
    energy = np.linspace(0.0, 20_000.0, 2000)
    panel = spectrum_panel(spectrum(Modality.EDS, energy, np.ones(2000)), {"Fe"})
    # Fe K-alpha, Deslattes et al. (2003): 6.40 keV
    assert abs(dict(panel.marks)["Fe K"] - 6.40) < 0.01


def test_a_map_of_spectra_is_summed_and_negative_counts_do_not_break_it():
    energy = np.linspace(400.0, 900.0, 50)
    values = np.full((3, 4, 50), 2.0)
    values[0, 0, 0] = -1000.0
    axes = (Axis("y", "nm", np.arange(3.0)), Axis("x", "nm", np.arange(4.0)))
    panel = spectrum_panel(spectrum(Modality.EELS, energy, values, *axes), set())
    assert panel.y.shape == (50,)
    assert panel.y[1] == np.sqrt(24.0)
    assert np.isfinite(panel.y).all()


def test_what_was_fitted_is_drawn_and_marks_what_the_spectrum_shows():
    energy = np.linspace(400.0, 900.0, 100)
    markers = {"O": (("O K", 534.0),)}  # where the fit puts it, 2 eV off the table
    curve = SpectrumCurve(energy, np.full(100, 9.0), np.full(100, 4.0), np.ones(100), markers)
    panel = spectrum_panel(spectrum(Modality.EELS, energy, np.ones(100)), {"O", "Fe"}, curve)
    assert dict(panel.marks)["O K"] == 534.0
    assert "Fe L2,3" in dict(panel.marks)
    lines = {name: float(values[0]) for name, values in panel.lines}
    assert (float(panel.y[0]), lines) == (3.0, {"model": 2.0, "background": 1.0})


def test_only_likely_elements_are_marked(answer):
    assert likely_elements(answer.elements, answer.phases) == {"Al", "O", "Ca", "F"}
