"""Datasets are joined, compared and handed on; what a fault forbids is blank."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.card import write_card, write_leakage
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.merge import Change, diff, export_table, merge
from xtalfuse.datasets.records.store import StoreError
from xtalfuse.datasets.splits.leakage import leakage
from xtalfuse.datasets.splits.split import split, write_split

ROWS = [
    {"id": "p", "composition": "Fe", "licence": "CC0-1.0", "target:E[GPa]": "200"},
    {"id": "q", "composition": "Al", "target:E[GPa]": "70000"},
]


@pytest.fixture
def two(five, write, tmp_path: Path) -> tuple[Dataset, Dataset]:
    build(five, tmp_path / "one")
    build(write(ROWS, "second.csv"), tmp_path / "two")
    return Dataset(tmp_path / "one"), Dataset(tmp_path / "two")


def test_a_merged_dataset_holds_the_records_of_both(two, tmp_path: Path):
    first, second = two
    both = merge([first.folder, second.folder], tmp_path / "both")
    assert both.ids == ("a", "b", "d", "p", "q")
    assert both.verify() == []
    assert both[1].measurements[0].values.tolist() == first[1].measurements[0].values.tolist()
    assert both[3].targets["E"].value == 200.0
    assert list(both.table["near"]) == ["a", "a", "", "", ""]
    assert len(both.refused) == len(first.refused) + len(second.refused)
    assert set(both.labels) == {"E", "hardness"}


def test_copies_are_found_over_all_of_them(two, five, write, tmp_path: Path):
    build(write([{"id": "z", "path": "a.xy", "wavelength": "CuKa"}], "z.csv"), tmp_path / "z")
    both = merge([two[0].folder, tmp_path / "z"], tmp_path / "both")
    assert both.ids == ("a", "b", "d")
    assert ("z", "duplicate-conflict") in set(
        zip(both.refused["id"], both.refused["code"], strict=True)
    )


def test_one_id_in_two_datasets_is_refused_with_both_named(two, write, tmp_path: Path):
    build(write([{"id": "q", "composition": "Cu"}], "third.csv"), tmp_path / "three")
    with pytest.raises(StoreError) as told:
        merge([two[1].folder, tmp_path / "three"], tmp_path / "both")
    for part in ("'q'", str(tmp_path / "two"), str(tmp_path / "three"), "rename"):
        assert part in str(told.value)
    assert not (tmp_path / "both").exists()
    with pytest.raises(StoreError, match="not empty"):
        merge([two[1].folder], tmp_path / "one")


def test_two_builds_are_told_apart_by_record_and_reason(five, tmp_path: Path):
    build(five, tmp_path / "old")
    text = five.read_text().replace(",120", ",125").replace("d.xy", "gone.xy")
    (tmp_path / "b.xy").write_text((tmp_path / "b.xy").read_text().replace("20.00", "20.01", 1))
    five.write_text(text)
    build(five, tmp_path / "new")
    changes = diff(Dataset(tmp_path / "old"), Dataset(tmp_path / "new"))
    told = {(change.id, change.what): change for change in changes}
    gone, new = ("d", "refused"), ("e", "only new")  # e was the copy of d
    assert set(told) == {("a", "target:hardness[GPa]"), ("b", "inputs"), gone, new}
    assert "missing: no such file" in told["d", "refused"].new
    hardness = told["a", "target:hardness[GPa]"]
    assert float(hardness.new) / float(hardness.old) == pytest.approx(125 / 120)
    assert diff(Dataset(tmp_path / "new"), Dataset(tmp_path / "new")) == []
    backwards = diff(Dataset(tmp_path / "new"), Dataset(tmp_path / "old"))
    assert Change("d", "only new") in backwards


def test_what_a_fault_forbids_is_blank_in_the_exported_table(alloys, two):
    table = export_table(two[1])
    assert table["target:E[GPa]"].isna().tolist() == [False, True]  # aluminium of 70000 GPa
    assert not [c for c in table if c.startswith("fault:")]
    write_split(alloys.folder, "s", split(alloys, {"x": 0.5, "y": 0.5}), alloys.build_sha256)
    write_split(alloys.folder, "old", split(alloys, {"x": 0.5, "y": 0.5}), "another build")
    table = export_table(alloys)
    assert set(table["split:s"]) == {"x", "y"}
    assert "split:old" not in table


def test_the_card_says_what_there_is_and_what_it_teaches(alloys, two):
    text = write_card(two[0])[0].read_text()
    for part in (
        "- records: 3",
        "- xrd: 3",
        "GPa",
        "duplicate: 1",
        "not stated for 3",
        "Not tested",
    ):
        assert part in text
    assert "licences: CC0-1.0, not stated for 1 records" in write_card(two[1])[0].read_text()
    write_leakage(alloys, leakage(alloys, "E", ["source"], seeds=1))
    text = write_card(alloys, {"licence": "CC-BY-4.0"})[0].read_text()
    assert "report what is split by source" in text
    assert "| source | 12 |" in text
    assert "licences: CC-BY-4.0" in text


def test_croissant_names_every_file_with_its_hash(two):
    from xtalfuse.loaders.safe.head import sha256_of

    content = json.loads(write_card(two[0])[1].read_text())
    files = {one["contentUrl"]: one["sha256"] for one in content["distribution"]}
    built = [*two[0].folder.glob("shards/*.h5"), *two[0].folder.glob("*.parquet")]
    assert files == {str(f.relative_to(two[0].folder)): sha256_of(f) for f in built}
    assert [f["name"] for f in content["recordSet"][0]["field"]] == list(two[0].table)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what mlcroissant calls
def test_croissant_is_valid_and_reads_the_table(alloys, two):
    croissant = pytest.importorskip("mlcroissant")
    for dataset in (alloys, two[0]):
        about = {"cite": "none", "url": "https://example.org", "creator": "A"}
        read = croissant.Dataset(str(write_card(dataset, about)[1]))
        assert not read.metadata.issues.errors
        assert not read.metadata.issues.warnings
        first = next(iter(read.records("records")))
        column = list(dataset.table).index("id")
        assert first[f"records/{column:03d}"] == dataset.ids[0].encode()
