"""What is written on the command line is checked, and the message says what to write."""

from __future__ import annotations

import pytest

from xtalfuse.options import UsageError, element_symbols, parse_elements, parse_wavelength


def test_elements_are_read_as_people_write_them():
    assert parse_elements("Al,O") == parse_elements("Al O") == parse_elements("Al; O,Al")
    assert parse_elements("Al,O") == ("Al", "O")
    assert parse_elements(None) is None
    assert len(element_symbols()) == 118


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("al", "did you mean Al?"),
        ("AL,O", "did you mean Al?"),
        ("Al2O3", "did you mean Al,O?"),
        ("Fee", "did you mean Fe"),
        ("?", "write symbols such as Al,O"),
        (" , ", "write symbols such as Al,O"),
    ],
)
def test_an_unknown_element_is_answered_with_what_may_be_meant(text, remedy):
    with pytest.raises(UsageError, match=remedy.replace("?", r"\?")):
        parse_elements(text)


def test_a_wavelength_names_a_radiation():
    assert parse_wavelength("CuKa") == "CuKa"
    assert parse_wavelength("1.5406") == "1.5406"
    with pytest.raises(UsageError, match=r"--wavelength.*CuKa"):
        parse_wavelength("Xx")
