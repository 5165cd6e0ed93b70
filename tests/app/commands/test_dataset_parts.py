"""`xtalfuse dataset`: from a table to splits, a report and a card."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app

run = CliRunner()
COLUMNS = ["--composition", "Formula", "--source", "DOI", "--column", "year=time"]


def told(*args: object, code: int = 0) -> str:
    result = run.invoke(app, ["dataset", *map(str, args)])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Eight sources of five alloys each; the hardness follows the composition."""
    rows = [f"Fe{k + 1}Ni40,10.1/{k // 5},{2000 + k // 5},{100 + k}\n" for k in range(40)]
    path = tmp_path / "alloys.csv"
    path.write_text("Formula,DOI,year,HV = hardness\n" + "".join(rows))
    return path


@pytest.fixture
def built(table: Path, tmp_path: Path) -> Path:
    target = ["--target", "HV = hardness=hardness[HV]"]
    told("template", table, "-o", tmp_path / "m.csv", *COLUMNS, *target)
    told("build", tmp_path / "m.csv", "-o", tmp_path / "out", "--workers", 1)
    return tmp_path / "out"


def test_a_table_becomes_a_dataset_that_is_split_tested_and_handed_on(built: Path, monkeypatch):
    monkeypatch.setattr("xtalfuse.datasets.splits.leakage.TREES", 10)
    split = ["split", built, "--by", "source", "--shares", "train=0.75,test=0.25"]
    content = json.loads(told(*split, "--stratify", "hardness", "--name", "s", "--json"))
    assert content["counts"] == {"train": 30, "test": 10}
    assert "train 30, test 10" in told(*split)
    leakage = ["leakage", built, "--label", "hardness", "--by", "source", "--seeds", 2]
    report = json.loads(told(*leakage, "--json"))
    assert [row["by"] for row in report["tested"]] == ["random", "source"]
    assert report["unit"] == "GPa"
    assert "No two records have the same features" in told(*leakage)
    told("card", built, "--creator", "A. Smith")
    card = (built / "README.md").read_text()
    assert "by source, seed 0: train 30, test 10" in card
    assert report["conclusion"] in card
    for name in ("t.csv", "t.parquet"):
        told("export", built, "-o", built.parent / name)
    pd.testing.assert_frame_equal(
        pd.read_csv(built.parent / "t.csv")[["id", "target:hardness[GPa]", "split:s"]],
        pd.read_parquet(built.parent / "t.parquet")[["id", "target:hardness[GPa]", "split:s"]],
        check_dtype=False,
    )
    assert "the same records" in told("diff", built, built)
    assert "40 records" in told("merge", built, "-o", built.parent / "both")


@pytest.mark.parametrize(
    ("args", "cause"),
    [
        (["split", "--by", "prototype"], "no record has a prototype"),
        (["split", "--shares", "train=1"], "write it as train=0.8,test=0.2"),
        (["split", "--shares", "train=0.5,test=0.6"], "add up to 1"),
        (["split", "--name", "../x"], "take letters"),
        (["split", "--stratify", "E"], "there are hardness"),
        (["leakage", "--label", "E"], "there are hardness"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(built: Path, args, cause: str):
    output = told(args[0], built, *args[1:], code=2)
    assert cause in output
    assert len(output.splitlines()) == 1


def test_a_table_without_the_column_is_refused(table: Path, tmp_path: Path):
    output = told("template", table, "--target", "YS=yield[MPa]", "-o", tmp_path / "m", code=4)
    assert "no column 'YS'; there are Formula, DOI" in output
    told("export", tmp_path, "-o", "x.xlsx", code=2)
