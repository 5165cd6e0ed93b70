"""What public functions say of arguments of another kind, and of elements."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest

import xtalfuse
from xtalfuse.datasets.library.build import build
from xtalfuse.datasets.sets.graphs import harmless, write_table
from xtalfuse.loaders.description import check_elements
from xtalfuse.loaders.record import Record

EMPTY = Record("specimen", "specimen", (), ())


@pytest.mark.parametrize(
    "given", [["Al", "O"], "Al,O", "al o", ["al", "o"], ["Al, O"], ("Al", "O", "Al")]
)
def test_elements_are_taken_however_they_are_written(given):
    assert check_elements(given) == ("Al", "O")


def test_deuterium_is_hydrogen():
    assert check_elements("D,O") == ("H", "O")


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (["Xx"], ValueError, "'Xx' is not a chemical element"),
        ("Al2O3", ValueError, "'Al2O3' is not a chemical element"),
        ([], ValueError, "none is given"),
        (" , ", ValueError, "none is given"),
        ([13, 8], TypeError, r"elements \[13, 8\]: give symbols"),
        (13, TypeError, "elements 13: give symbols"),
    ],
)
def test_what_is_no_element_is_told_by_every_function(given, kind, said, tmp_path):
    for call in (
        lambda: xtalfuse.identify(EMPTY, elements=given),
        lambda: xtalfuse.load_specimen(tmp_path, elements=given),
    ):
        with pytest.raises(kind, match=said):
            call()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: xtalfuse.identify("a.xy"), r"wants a Record \(from .*load_specimen.*'a.xy'"),
        (lambda: xtalfuse.identify(EMPTY, "lib.h5"), r"wants a Library \(.*Library.load.*'lib.h5'"),
        (lambda: xtalfuse.analyse("map.ang"), r"analyse wants a Measurement \(from xtalfuse.load"),
        (lambda: xtalfuse.analyse(EMPTY), r"analyse wants a Measurement .*\(Record\)"),
        (lambda: xtalfuse.write_report("out", EMPTY), r"write_report wants an Answer"),
        (lambda: xtalfuse.write_microstructure("out", "x"), "wants a Microstructure"),
        (lambda: xtalfuse.from_hyperspy(np.ones(3)), "from_hyperspy wants a BaseSignal"),
        (lambda: xtalfuse.load(3), r"load wants a str \(or a pathlib.Path.*given 3 \(int\)"),
        (lambda: xtalfuse.load_specimen(["a", "b"]), "load_specimen wants a str"),
        (lambda: xtalfuse.Library.load(None), r"Library.load wants a str .*given None"),
        (lambda: build(3, "out.h5"), "build wants a str"),
    ],
)  # fmt: skip
def test_an_argument_of_another_kind_says_what_came_and_what_is_wanted(call, said):
    with pytest.raises(TypeError, match=said):
        call()


def test_one_path_may_be_given_to_build_as_text(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file"):
        build(str(tmp_path / "nowhere"), tmp_path / "lib.h5")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "\n", "＝"])
def test_no_text_of_a_table_is_a_formula(start, tmp_path):
    name = f'{start}HYPERLINK("http://x","y")'
    assert harmless(name) == f"'{name}"
    table = pd.DataFrame({name: [name, "iron"], "n": [-1.5, 2.0], "k": [-1, 2]})
    write_table(tmp_path / "t.csv", table)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        head, first, second = csv.reader(io.StringIO(file.read(), newline=""))
    assert head[0] == first[0] == f"'{name}"
    assert second[0] == "iron"
    assert first[1:] == ["-1.5", "-1"]


def test_numbers_and_plain_names_stay_as_they_are():
    for cell in (-1.5, None, "iron", "", "a=b", "1-2"):
        assert harmless(cell) == cell
