"""Labels that the pattern contradicts are found, right ones are left alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.tasks.curate import check

LABELS = {"right": "Al2O3; halite; ZnO", "wrong": "quartz", "foreign": "unobtainium", "none": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dataset")


@pytest.fixture
def dataset(folder: Path, powder) -> Path:
    if not (folder / "out").exists():
        lines = ["id,path,wavelength,phases"]
        for number, (name, label) in enumerate(LABELS.items()):
            pattern = powder({"corundum": 0.5, "halite": 0.2, "zincite": 0.3}, seed=number)
            pairs = zip(pattern.axis("two_theta"), pattern.values, strict=True)
            (folder / f"{name}.xy").write_text("".join(f"{x:.2f} {y:.0f}\n" for x, y in pairs))
            lines.append(f"{name},{name}.xy,CuKa,{label}")
        (folder / "manifest.csv").write_text("\n".join(lines))
        command = ["dataset", "build", str(folder / "manifest.csv"), "-o", str(folder / "out")]
        assert CliRunner().invoke(app, [*command, "--workers", "1"]).exit_code == 0
    return folder / "out"


def test_a_label_that_the_pattern_contradicts_is_found(dataset: Path):
    (doubt,) = check(Dataset(dataset))
    assert (doubt.id, doubt.missing) == ("wrong", ("quartz",))
    assert doubt.certainty > 0.5  # surer wrong than right; how sure is for `identify` to say
    assert json.loads(json.dumps(doubt.to_dict()))["declared"] == ["quartz"]


def test_decisions_go_back_into_the_manifest(dataset: Path, folder: Path):
    (folder / "decisions.json").write_text(
        json.dumps({"wrong": {"decision": "reject", "at": "2026-01-31T12:00:00Z"}})
    )
    words = ["dataset", "decide", str(folder / "manifest.csv"), str(folder / "decisions.json")]
    done = CliRunner().invoke(app, [*words, "--by", "Ada", "-o", str(folder / "decided.csv")])
    assert done.exit_code == 0, done.output
    again = ["dataset", "build", str(folder / "decided.csv"), "-o", str(folder / "again")]
    assert CliRunner().invoke(app, [*again, "--workers", "1"]).exit_code == 3
    built = Dataset(folder / "again")
    assert "wrong" not in built.ids
    (row,) = built.refused.to_dict("records")
    assert row["code"] == "label-disagrees"
    assert row["cause"] == "rejected by Ada 2026-01-31T12:00:00Z"
    words[3] = str(folder / "manifest.csv")
    assert CliRunner().invoke(app, [*words, "--by", "A", "-o", "x.csv"]).exit_code == 2


def test_the_page_holds_each_doubt_and_one_script(dataset: Path):
    from xtalfuse.report.curation import curation_page

    doubts = check(Dataset(dataset)[-1:])
    page = curation_page("<set>", doubts)
    assert "&lt;set&gt;" in page
    assert page.count("<script>") == 1
    assert page.count('class="doubt"') == len(doubts) == 1
