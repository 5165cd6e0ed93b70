"""Edges, lines and their shapes: facts of the literature."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.physics.spectroscopy import (
    EdgeShape,
    atomic_number,
    continuum,
    detector_fwhm_ev,
    edge_profile,
    edges,
    edges_between,
    power_law,
    white_lines,
    xray_lines,
)


def edge(element: str, shell: str):
    (found,) = [e for e in edges() if e.element == element and e.shell == shell]
    return found


@pytest.mark.parametrize(
    ("element", "shell", "onset_ev"),
    [
        ("C", "K", 284.0),
        ("N", "K", 401.0),
        ("O", "K", 532.0),
        ("Ti", "L23", 456.0),
        ("Mn", "L23", 640.0),
        ("Co", "L23", 779.0),
        ("Ni", "L23", 855.0),
        ("La", "M45", 832.0),
        ("Sr", "L23", 1940.0),
        ("Al", "L23", 73.0),
    ],
)
def test_onsets_of_the_eels_atlas(element, shell, onset_ev):
    assert edge(element, shell).onset_ev == onset_ev


def test_spin_orbit_splitting_tells_neighbours_apart():
    assert edge("Mn", "L23").splitting_ev == pytest.approx(11.0)
    assert edge("Fe", "L23").splitting_ev == pytest.approx(13.0)


def test_shapes_follow_the_filling_of_the_final_band():
    assert edge("O", "K").shape is EdgeShape.STEP
    assert edge("Fe", "L23").shape is EdgeShape.WHITE
    assert edge("Ce", "M45").shape is EdgeShape.WHITE
    assert edge("Sn", "M45").shape is EdgeShape.DELAYED
    assert edge("Ba", "N45").shape is EdgeShape.RESONANCE


def test_each_element_has_each_edge_once():
    names = [e.name for e in edges()]
    assert len(names) == len(set(names))


def test_every_common_element_has_a_major_edge_in_the_usual_range():
    reachable = {e.element for e in edges_between(40.0, 2700.0, major_only=True)}
    common = "Li B C N O F Na Mg Al Si P S Cl K Ca Ti V Cr Mn Fe Co Ni Cu Zn Sr Y Zr Ag Sn Ba La Pb"
    assert set(common.split()) <= reachable


def test_a_step_falls_like_a_power_law_and_starts_at_its_onset():
    energy = np.array([500.0, 600.0, 1200.0])
    values = continuum(edge("O", "K"), energy)
    assert values[0] < 1e-6
    # s = 3 by default: (1200/600)^3 = 8; the broadened threshold is over 60 eV higher up.
    assert values[1] / values[2] == pytest.approx(8.0, rel=1e-3)


def test_a_delayed_edge_has_its_maximum_well_above_threshold():
    tin = edge("Sn", "M45")
    energy = np.arange(480.0, 700.0)
    assert energy[np.argmax(continuum(tin, energy))] > tin.onset_ev + 15.0


def test_white_lines_stand_at_the_splitting_with_the_tabulated_ratio():
    manganese = edge("Mn", "L23")
    energy = manganese.onset_ev + 2.0 + np.array([0.0, manganese.splitting_ev])
    lines = white_lines(manganese, energy)
    # The tail of a Gaussian of 3 eV width is below 1e-12 at 11 eV.
    assert lines == pytest.approx([1.0, manganese.ratio], abs=1e-9)
    assert edge_profile(manganese, energy)[0] > manganese.strength * manganese.white


def test_power_law_halves_per_octave_for_exponent_one():
    energy = np.array([100.0, 200.0])
    background = power_law(energy, 3.0, 1.0)
    assert background[0] / background[1] == pytest.approx(2.0)


def test_xray_lines_known_to_every_microscopist():
    energies = {(line.element, line.name): line.energy_ev for line in xray_lines()}
    # Deslattes et al. (2003); tables round Ka to the mean of the doublet, hence 15 eV.
    for key, value in {
        ("Cu", "Ka"): 8047.8,
        ("Fe", "Ka"): 6403.9,
        ("O", "Ka"): 524.9,
        ("Sr", "La"): 1806.6,
        ("Pt", "Ma"): 2050.5,
    }.items():
        assert energies[key] == pytest.approx(value, abs=15.0)


def test_detector_width_is_its_nominal_value_at_manganese():
    assert detector_fwhm_ev(np.array(5895.0), 130.0) == pytest.approx(130.0)
    assert detector_fwhm_ev(np.array(500.0), 130.0) < 70.0


def test_atomic_number_of_an_unknown_symbol_raises():
    assert atomic_number("Fe") == 26
    with pytest.raises(KeyError):
        atomic_number("Xx")
