"""Wavelengths, what people write for them, and Bragg's law."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.physics.units import ANODES, d_spacing, monochromatic, radiation, two_theta


@pytest.mark.parametrize("text", ["CuKa", "Cu", "cu k-alpha", "Cu Kα", "CuK", "Cu_Ka", "CuKa12"])
def test_spellings_of_the_copper_doublet(text):
    found = radiation(text)
    assert found.name == "CuKa"
    assert found.wavelengths_angstrom == ANODES["Cu"]
    assert sum(found.weights) == pytest.approx(1.0)
    # Hoelzer et al. (1997): lines 1.54059 and 1.54443 angstrom, weighted mean 1.5419
    assert found.primary_angstrom == pytest.approx(1.54059, abs=1e-5)
    assert found.mean_angstrom == pytest.approx(1.54187, abs=5e-5)


@pytest.mark.parametrize("anode", ANODES)
def test_alpha_1_is_one_line_and_the_stronger_shorter_one(anode):
    single, both = radiation(f"{anode}Ka1"), radiation(f"{anode}Ka")
    assert single.wavelengths_angstrom == (ANODES[anode][0],)
    assert both.weights[0] == pytest.approx(2.0 / 3.0)
    assert both.wavelengths_angstrom[0] < both.wavelengths_angstrom[1]
    # the splitting is a fraction of a percent for all anodes in use
    assert 1.001 < both.wavelengths_angstrom[1] / both.wavelengths_angstrom[0] < 1.01


def test_energies_of_the_lines():
    # K-alpha1: Cu 8047.8 eV, Mo 17479.4 eV (Deslattes et al., 2003)
    assert radiation("CuKa1").energy_ev == pytest.approx(8047.8, abs=0.5)
    assert radiation("MoKa1").energy_ev == pytest.approx(17479.4, abs=0.5)


@pytest.mark.parametrize("text", ["1.5406", 1.5406, " 0.4139 "])
def test_a_number_is_a_wavelength_in_angstrom(text):
    assert radiation(text).wavelengths_angstrom == (float(text),)


@pytest.mark.parametrize("text", ["", "unobtainium", "CuLa", "nan", "15.4", "0", "154.06", "-1.54"])
def test_nonsense_is_refused_with_a_remedy(text):
    with pytest.raises(ValueError, match="angstrom"):
        radiation(text)


def test_a_wavelength_in_nanometres_or_picometres_is_refused():
    for value in (0.0154, 154.06):
        with pytest.raises(ValueError, match=r"0\.05-5 angstrom"):
            monochromatic(value)


def test_bragg_law_and_back():
    # Si 111, a = 5.43102 angstrom: sin(theta) = 1.5405929 / (2 * 3.13560)
    d = 5.43102 / np.sqrt(3.0)
    assert two_theta(d, 1.5405929) == pytest.approx(28.442, abs=5e-4)
    angles = np.linspace(5.0, 170.0, 50)
    assert two_theta(d_spacing(angles, 1.5405929), 1.5405929) == pytest.approx(angles, abs=1e-9)


def test_what_no_angle_reaches_is_nan_and_not_an_angle():
    found = two_theta(np.array([0.7, 2.0]), 1.5405929)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])
