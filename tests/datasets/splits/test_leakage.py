"""A label that follows its source is seen to do so, and noise of replicates for what it is."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.datasets.manifest.template import table_template
from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.card import read_leakage, write_leakage
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.splits.leakage import leakage

MPEA = Path(__file__).parents[4] / "shared/real/tables/mpea.csv"


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr("xtalfuse.datasets.splits.leakage.TREES", 20)


def test_what_a_random_split_hides_is_shown(alloys):
    report = leakage(alloys, "E", ["source", "composition"], seeds=1)
    random, source, composition = report.tested
    assert random.r2 > 0.95
    assert source.r2 < 0.5
    assert source.r2 < composition.r2 < random.r2
    assert random.shared["composition"] > 0.95
    assert source.shared == {"near": 0.0, "composition": 0.0, "source": 0.0}
    assert composition.shared["composition"] == 0.0
    assert composition.shared["source"] > 0.5
    assert report.replicates == len(alloys)
    # 120 degrees of freedom: the standard deviation is known to 1 / sqrt(240), 6.5 %
    assert report.noise == pytest.approx(0.02, rel=0.2)
    assert report.best_r2 == pytest.approx(1.0 - 0.02**2 / np.var(_values(alloys)), abs=1e-3)
    assert "new source" in report.conclusion


def _values(alloys) -> np.ndarray:
    return alloys.table["target:E[GPa]"].to_numpy()


def test_without_leakage_none_is_told(alloys):
    rng = np.random.default_rng(0)
    alloys.table["target:E[GPa]"] = rng.normal(size=len(alloys))
    report = leakage(alloys, "E", ["composition"], seeds=3)
    assert "within the scatter" in report.conclusion
    assert report.best_r2 < 0.2


def test_what_cannot_be_tested_is_told(alloys):
    with pytest.raises(ValueError, match="is a text"):
        leakage(alloys, "route")
    with pytest.raises(KeyError, match="there are E, route"):
        leakage(alloys, "F")
    with pytest.raises(ValueError, match="12 records have 'E'"):
        leakage(alloys[:12], "E")


def test_patterns_are_features_where_there_is_no_composition(alloys, monkeypatch):
    places = {name: place for place, name in enumerate(alloys.ids)}
    alloys.table["composition"] = ""
    alloys.table["modalities"] = "xrd"

    def powder(self, number):
        line = np.exp(-(((np.arange(4096) - 2000 - 5 * places[self.ids[number]]) / 20) ** 2))
        return line[None]

    monkeypatch.setattr(Dataset, "powder", powder)
    report = leakage(alloys.take(range(0, len(alloys), 3)), "E", ["source"], seeds=1)
    assert report.features == "fingerprint of the powder pattern"
    assert report.tested[0].r2 > report.tested[1].r2


def test_a_report_is_kept_with_its_build(alloys, write):
    report = leakage(alloys, "E", ["source"], ["route"], seeds=1)
    write_leakage(alloys, report)
    assert read_leakage(alloys) == {"E": report}
    build(write([{"id": "x", "composition": "Fe"}]), alloys.folder)
    assert read_leakage(Dataset(alloys.folder)) == {}


@pytest.mark.skipif(not MPEA.is_file(), reason="no table of measured alloys beside the project")
def test_measured_alloys_leak_through_their_source(tmp_path: Path):
    rows = table_template(
        MPEA,
        {"composition": "FORMULA", "source": "REFERENCE: doi"},
        {"yield_strength[MPa]": "PROPERTY: YS (MPa)", "processing": "PROPERTY: Processing method",
         "temperature[degC]": r"PROPERTY: Test temperature ($^\circ$C)"},
    )  # fmt: skip
    with (tmp_path / "m.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    build(tmp_path / "m.csv", tmp_path / "out")
    report = leakage(
        Dataset(tmp_path / "out"), "yield_strength", ["source"], ["temperature", "processing"], 1
    )
    random, source = report.tested
    assert report.records == 1067
    assert random.r2 == pytest.approx(0.78, abs=0.05)  # five seeds scatter by 0.01, with 100 trees
    assert source.r2 == pytest.approx(0.53, abs=0.1)  # and by 0.02 to 0.05
