"""Values are written the way a journal wants them."""

from __future__ import annotations

import pytest

from xtalfuse.report.notation import cell_text, chance, free_parameters, percent, with_uncertainty
from xtalfuse.tasks.identify.answer import Cell


@pytest.mark.parametrize(
    ("value", "su", "text"),
    [
        (5.430940, 0.00023, "5.4309(2)"),
        (5.430940, 0.00015, "5.43094(15)"),
        (5.430940, 0.000194, "5.43094(19)"),
        (5.430940, 0.000196, "5.4309(2)"),  # 19.6 rounds to 20, which is written as 2
        (5.430940, 0.000099, "5.43094(10)"),
        (12.99231, 0.0095, "12.992(10)"),  # 9.5 is past the break: 0.010 has two digits
        (30.8, 0.4, "30.8(4)"),
        (30.8, 12.0, "31(12)"),
        (2340.0, 150.0, "2340(150)"),
        (2340.0, 30.0, "2340(30)"),
        (-0.0123, 0.003, "-0.012(3)"),
        (4.758, None, "4.7580"),
        (4.758, 0.0, "4.7580"),
        (4.758, float("nan"), "4.7580"),
        (None, 0.1, "not observable"),
        (float("nan"), 0.1, "not observable"),
    ],
)
def test_the_uncertainty_has_two_to_nineteen_units_of_the_last_digit(value, su, text):
    assert with_uncertainty(value, su) == text


def test_percent():
    assert percent(0.308, 0.004) == "30.8(4)"
    assert percent(0.308) == "30.8"
    assert percent(None) == "-"


def test_no_probability_is_a_certainty():
    assert [chance(p) for p in (0.0, 0.004, 0.42, 0.994, 0.996, 1.0)] == [
        "< 1 %",
        "< 1 %",
        "42 %",
        "99 %",
        "> 99 %",
        "> 99 %",
    ]


CUBIC = Cell(5.43, 5.43, 5.43, 90.0, 90.0, 90.0)
NOTHING = Cell(None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("number", "cell", "names"),
    [
        (2, CUBIC, ("a", "b", "c", "alpha", "beta", "gamma")),
        (14, Cell(5.0, 6.0, 7.0, 90.0, 101.0, 90.0), ("a", "b", "c", "beta")),
        (14, Cell(5.0, 6.0, 7.0, 90.0, 90.0, 101.0), ("a", "b", "c", "gamma")),
        (62, CUBIC, ("a", "b", "c")),
        (141, CUBIC, ("a", "c")),
        (167, Cell(4.76, 4.76, 12.99, 90.0, 90.0, 120.0), ("a", "c")),
        (167, Cell(5.13, 5.13, 5.13, 55.3, 55.3, 55.3), ("a", "alpha")),
        (194, CUBIC, ("a", "c")),
        (227, CUBIC, ("a",)),
        (166, NOTHING, ("a", "c")),
    ],
)
def test_only_the_free_parameters_are_written(number, cell, names):
    assert free_parameters(number, cell) == names


def test_a_parameter_that_cannot_be_seen_is_said_to_be_so():
    cell = Cell(4.546, 4.546, None, 90.0, 90.0, 120.0)
    su = Cell(0.003, 0.003, None, None, None, None)
    assert cell_text(cell, su, 166) == ("a = 4.546(3) Å", "c not observable")
