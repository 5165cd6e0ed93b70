"""A result says itself what it is: in a line each, as a table of pandas, and in a notebook."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import xtalfuse
from xtalfuse.physics.registry import RENDERERS
from xtalfuse.tasks.identify.answer import Answer, Unknown
from xtalfuse.tasks.structure.result import Microstructure

MAP = """# TEM_PIXperUM 1.000000
# Phase 1
# MaterialName  Copper
# Formula Cu
# Symmetry 43
# LatticeConstants 3.615 3.615 3.615 90.000 90.000 90.000
# GRID: SqrGrid
# XSTEP: 0.5
# YSTEP: 0.5
# NCOLS_ODD: 12
# NCOLS_EVEN: 12
# NROWS: 12
"""


@pytest.fixture(scope="module")
def copper(tmp_path_factory: pytest.TempPathFactory) -> Microstructure:
    """Two grains, left and right."""
    lines = []
    for row in range(12):
        for column in range(12):
            angles = (0.3, 0.2, 0.1) if column < 6 else (1.1, 0.7, 0.4)
            numbers = (*angles, 0.5 * column, 0.5 * row, 100.0, 0.9, 1, 1)
            lines.append(" ".join(f"{number:.5f}" for number in numbers))
    path = tmp_path_factory.mktemp("map") / "map.ang"
    path.write_text(MAP + "\n".join(lines) + "\n")
    return xtalfuse.analyse(xtalfuse.load(path))


def test_an_answer_is_one_line_for_each_phase(answer: Answer):
    assert repr(answer).splitlines() == [
        "Answer for 'mixture 7':",
        "  Corundum 86.2 ± 0.4 wt%, confidence 98%",
        "  Fluorite 13.8 ± 0.2 wt%, confidence 71%",
        "  unknown: 31%",
    ]
    bare = replace(answer.phases[0], weight_fraction=None, weight_fraction_su=None)
    assert repr(bare) == "Corundum, confidence 98%"


def test_a_microstructure_is_one_line_for_each_number(copper: Microstructure):
    first, *rest = repr(copper).splitlines()
    assert first == "Microstructure of 'map.ang': 2 grains or bodies, 1 boundaries (Copper)"
    assert any(re.match(r"  youngs_modulus [\d.]+ ± [\d.]+ GPa$", line) for line in rest)


def test_phases_are_a_table(answer: Answer):
    table = answer.to_pandas()
    assert list(table["name"]) == ["Corundum", "Fluorite"]
    assert table["c_su"][0] == 0.00015
    assert list(answer.to_pandas("unexplained")["d_angstrom"]) == [2.8143]
    assert list(answer.to_pandas("files")["used"]) == [True, True, False]
    none = replace(answer, unknown=Unknown(0.1))
    assert list(none.to_pandas("unexplained").columns) == list(answer.to_pandas("unexplained"))
    with pytest.raises(ValueError, match="there are phases, unexplained and files"):
        answer.to_pandas("phase")  # type: ignore[arg-type]


def test_grains_boundaries_and_properties_are_tables(copper: Microstructure):
    assert len(copper.to_pandas("grains")) == 2
    assert len(copper.to_pandas("boundaries")) == 1
    assert "youngs_modulus" in set(copper.to_pandas()["name"])


def test_a_notebook_shows_table_figure_and_cautions(answer: Answer):
    html = answer._repr_html_()
    for text in ("Corundum", "86.2(4)", "98 %", "fluorite rests on few peaks", "data:image/png"):
        assert text in html
    bare = replace(answer, curves=None, panels=())
    assert "<img" not in bare._repr_html_()
    with pytest.raises(ValueError, match="can be drawn"):
        bare.plot()


def test_a_notebook_shows_a_microstructure(copper: Microstructure):
    html = copper._repr_html_()
    assert "Young&#39;s modulus" in html
    assert "data:image/png" in html
    assert copper.plot().axes


def test_names_from_outside_stay_text_in_a_notebook(answer: Answer):
    hostile = replace(answer, warnings=("<script>alert(1)</script>",), curves=None, panels=())
    assert "<script" not in hostile._repr_html_()


def test_the_renderers_are_known_wherever_a_result_comes_from(answer: Answer, tmp_path: Path):
    path = tmp_path / "answer.pickle"
    path.write_bytes(pickle.dumps(answer))
    ask = f"import pickle; print(len(pickle.load(open({str(path)!r}, 'rb'))._repr_html_()))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 1000
    assert set(RENDERERS) == {"html", "plot"}
