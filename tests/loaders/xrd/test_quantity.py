"""A number of a header is read whole, with sign, exponent and unit, or not at all."""

from __future__ import annotations

import pytest

from xtalfuse.loaders.xrd.quantity import number, number_in, wavelengths_in


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1.5", 1.5),
        ("\u22121,5e-2", -0.015),
        ("\u201317", -17.0),
        ("+.5", 0.5),
        ("1.0D+03", 1000.0),
        ("0,500", 0.5),  # no thousands begin with zero
        ("1,234", None),
        ("1.2.3", None),
        ("1.5406 A", None),
        ("5e", None),
        ("", None),
    ],
)
def test_a_text_is_a_number_or_it_is_not(written, value):
    assert number(written) == value


def test_the_number_at_the_beginning_is_whole_or_none():
    assert number_in("1.5406 A") == 1.5406
    assert number_in(" 1,5406") == 1.5406
    assert number_in("\u22122.5e1 deg") == -25.0
    assert number_in("1,234.5") is None
    assert number_in("1,234 counts") is None
    assert number_in(None) is None


@pytest.mark.parametrize(
    ("written", "angstrom"),
    [
        ("Wavelength: 4.133000e-11 m", 0.4133),
        ("Wavelength (nm) = 0.15406", 1.5406),
        ("wavelength = 41.33 pm", 0.4133),
        ("lambda/\u00c5 1.54", 1.54),
        ("\u03bb = 0.4959 \u00c5", 0.4959),
        ("X-ray wavelength [A]: 0.4", 0.4),
        ("Wavelength used: 1.54056 Angstrom", 1.54056),
        ("Wavelength 0,45827 A", 0.45827),
        ('"wavelength": 0.7093', 0.7093),
        ("lambda_1: 1.5406", 1.5406),
        ("wavelength1 = 1.5406", 1.5406),
        ("wavelength (keV) 30", 0.413281),
        ("lambda=1.540598E+00A", 1.540598),
        ("Wavelength: -1.54 A", -1.54),  # refused by what comes after
        ("wavelength 0.15406", None),  # copper in nm, or 80 keV in angstrom
        ("Wavelength=4.133e-11", None),  # no unit, and no wavelength in angstrom
        ("Wavelength: 0.4133 x 10^-10 m", None),
        ("Wavelength [1e-10 m] 1.5406", None),
    ],
)
def test_a_wavelength_comes_with_its_unit(written, angstrom):
    [(found, said)] = wavelengths_in(f"# sample\n# {written}\n# 20 degrees")
    assert said
    assert found is None if angstrom is None else found == pytest.approx(angstrom)


@pytest.mark.parametrize("written", ["wavelength 12.3.4", "wavelength: unknown, 2 rows"])
def test_what_is_no_wavelength_is_none(written):
    assert list(wavelengths_in(written)) == []
