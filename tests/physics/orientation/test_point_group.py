"""Names of point groups in files, and the Laue group they belong to."""

from __future__ import annotations

import gemmi
import pytest

from xtalfuse.physics.orientation.point_group import LAUE_GROUPS, laue_of, standard_laue


@pytest.mark.parametrize("number", range(1, 231))
def test_space_group_numbers_agree_with_gemmi(number):
    laue = standard_laue(laue_of(number))
    assert laue == gemmi.SpaceGroup(number).laue_str()


def test_every_point_group_symbol_agrees_with_gemmi():
    for entry in gemmi.spacegroup_table():
        assert standard_laue(laue_of(entry.point_group_hm())) == entry.laue_str()


@pytest.mark.parametrize(
    ("symbol", "laue"),
    [
        ("4/m -3 2/m", "m-3m"), ("m3m", "m-3m"), ("Oh", "m-3m"), ("OH", "m-3m"),
        ("6/m 2/m 2/m", "6/mmm"), ("D6h", "6/mmm"), ("-3 2/m", "-3m"), ("S6", "-3"),
        ("F d -3 m", "m-3m"), ("P 63/m m c", "6/mmm"), ("R -3 c:H", "-3m"), ("Cs", "2/m"),
    ],
)  # fmt: skip
def test_common_spellings(symbol, laue):
    assert laue_of(symbol) == laue


@pytest.mark.parametrize(
    ("code", "laue"),
    [
        (43, "m-3m"), (23, "m-3"), (62, "6/mmm"), (6, "6/m"), (42, "4/mmm"), (4, "4/m"),
        (32, "-3m"), (3, "-3"), (22, "mmm"), (20, "2/m"), (2, "2/m"), (1, "-1"),
    ],
)  # fmt: skip
def test_edax_codes(code, laue):
    assert laue_of(code, "edax") == laue_of(str(code)) == laue


def test_oxford_numbers_are_the_laue_groups_in_order():
    assert tuple(laue_of(n, "oxford") for n in range(1, 12)) == LAUE_GROUPS


@pytest.mark.parametrize(
    ("symbol", "setting"),
    [("P 1 1 2/m", "112/m"), ("2/m11", "2/m11"), (162, "-31m"), ("312", "-31m"), (166, "-3m")],
)
def test_settings_with_axes_elsewhere_are_told_apart(symbol, setting):
    assert laue_of(symbol) == setting


def test_a_monoclinic_cell_tells_its_axis():
    assert laue_of("2", cell=(5.1, 5.2, 5.3, 90, 99.2, 90)) == "2/m"
    assert laue_of("2", cell=(5.1, 5.3, 5.2, 90, 90, 99.2)) == "112/m"
    assert laue_of(2, "oxford", cell=(5.2, 5.1, 5.3, 99.2, 90, 90)) == "2/m11"
    assert laue_of("2", cell=(5.1, 5.2, 5.3, 90, 90, 90)) == "2/m"
    assert laue_of("3", cell=(5.0, 5.0, 5.0, 90, 90, 120)) == "-3"


@pytest.mark.parametrize(
    ("symbol", "numbering"),
    [("7", "edax"), ("cubic", "space group"), (0, "space group"), (231, "space group"),
     (12, "oxford"), ("", "edax")],
)  # fmt: skip
def test_what_is_no_group_is_refused(symbol, numbering):
    with pytest.raises(ValueError, match="group"):
        laue_of(symbol, numbering)
