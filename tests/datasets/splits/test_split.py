"""No two parts of a split share what it is made by, and a stored one is of its build alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.store import StoreError
from xtalfuse.datasets.splits.alike import near_duplicates
from xtalfuse.datasets.splits.split import (
    KEYS,
    fractions,
    keys_of,
    sets_of,
    split,
    split_path,
    write_split,
)

SHARES = {"train": 0.8, "test": 0.2}


@pytest.mark.parametrize("by", [name for name in KEYS if name not in ("prototype", "instrument")])
def test_no_two_parts_share_the_key(alloys, by: str):
    if by == "system":
        with pytest.raises(ValueError, match="1 groups are too few"):
            split(alloys, SHARES, by)
        return
    made = split(alloys, SHARES, by, seed=1)
    assert set(made.parts) == set(alloys.ids)
    keys = keys_of(alloys.table, by)
    where = {(key, made.parts[name]) for key, name in zip(keys, alloys.ids, strict=True)}
    assert len(where) == len(set(keys))
    assert made.counts["test"] == pytest.approx(0.2 * len(alloys), abs=10)  # half a source


def test_the_earliest_are_in_training(alloys):
    made = split(alloys, SHARES, "time")
    times = dict(zip(alloys.ids, keys_of(alloys.table, "time"), strict=True))
    last = max(times[name] for name, part in made.parts.items() if part == "train")
    assert last < min(times[name] for name, part in made.parts.items() if part == "test")


def test_one_thing_written_in_two_ways_is_one(write, tmp_path):
    rows = [
        {"id": "a", "composition": "Al0.25CoFeNi", "source": "https://doi.org/10.1/AB", "time": ""},
        {"id": "b", "composition": "Al1 Co4 Fe4 Ni4", "source": "10.1/ab", "time": "03/04/2020"},
        {"id": "c", "composition": "CoFeNi", "source": "DOI: 10.1/ab", "time": "2020-04-03"},
        {"id": "d", "composition": "", "elements": "Fe Co Ni", "source": "", "time": "2019"},
    ]
    build(write(rows), tmp_path / "out")
    table = Dataset(tmp_path / "out").table
    a, b, c, d = keys_of(table, "composition")
    assert a == b != c
    assert d == ""
    assert keys_of(table, "system") == ["Al-Co-Fe-Ni"] * 2 + ["Co-Fe-Ni"] * 2
    assert sets_of(table, "source") == ["a", "a", "a", ""]  # one without source is in no part
    assert [bool(t) for t in keys_of(table, "time")] == [False, False, True, True]
    assert fractions("no formula") == {}
    with pytest.raises(ValueError, match="no record has a prototype"):
        keys_of(table, "prototype")
    with pytest.raises(ValueError, match="give one of id, group"):
        keys_of(table, "sauce")


def test_near_duplicates_and_groups_stay_together(alloys):
    alloys.table["near"] = np.where(alloys.table["id"].str.endswith("-0-0"), "one", "")
    made = split(alloys, SHARES, "composition")
    assert len({p for name, p in made.parts.items() if name.endswith("-0-0")}) == 1
    with pytest.raises(ValueError, match="make 1 sets of the 12 of source"):
        split(alloys, SHARES, "source")
    alloys.table["near"] = ""
    alloys.table["group"] = [name[:3] for name in alloys.ids]
    made = split(alloys, SHARES, "composition")
    assert len({(name[:3], part) for name, part in made.parts.items()}) == 12


def test_a_chain_of_near_duplicates_is_one(tmp_path, monkeypatch):
    """a is like b, and b like c, which is not like a: all three are one."""
    import xtalfuse.datasets.splits.alike as alike

    angles = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 2.0}  # cos 0.1 = 0.995, cos 0.2 = 0.980
    kept = [("s", k, {"id": name, "modalities": ["xrd"]}) for k, name in enumerate(angles)]
    arrays = {f"{k:04d}.powder.0": np.array([x]) for k, x in enumerate(angles.values())}
    monkeypatch.setattr(alike, "read_arrays", lambda path: (arrays, {}, ""))
    monkeypatch.setattr(alike, "fingerprint", lambda a: np.array([np.cos(a[0]), np.sin(a[0])]))
    for block in (1, 2, 1024):
        monkeypatch.setattr(alike, "_BLOCK", block)
        assert near_duplicates(tmp_path, kept) == {"a": "a", "b": "a", "c": "a"}


def test_every_part_gets_its_share_of_a_label(alloys):
    for label in ("E", "route"):
        made = split(alloys, SHARES, "id", stratify=label)
        part = np.array([made.parts[name] for name in alloys.ids])
        if label == "route":
            shares = [(part[alloys.table["target:route[]"] == r] == "test").mean() for r in "ab"]
        else:
            order = np.argsort(alloys.table["target:E[GPa]"])
            shares = [(part[tenth] == "test").mean() for tenth in np.array_split(order, 10)]
        np.testing.assert_allclose(shares, 0.2, atol=0.06)  # one of 18 is 0.056
    with pytest.raises(KeyError, match="there are E, route"):
        split(alloys, SHARES, "id", stratify="F")


def test_a_stored_split_is_of_its_build_alone(alloys, write):
    made = split(alloys, SHARES, "source", 2)
    path = write_split(alloys.folder, "s", made, alloys.build_sha256)
    parts = alloys.split("s")
    assert {name: len(part) for name, part in parts.items()} == made.counts
    assert set(parts["train"].table["source"]).isdisjoint(parts["test"].table["source"])
    assert len(alloys[:7].split("s")["train"]) + len(alloys[:7].split("s")["test"]) == 7
    assert alloys.verify() == []
    text = path.read_text()
    path.write_text(text.replace('"train"', '"test"', 1))
    with pytest.raises(StoreError, match="does not match its sha256"):
        alloys.split("s")
    (told,) = alloys.verify()
    assert str(path) in told
    path.write_text(text)
    build(write([{"id": "x", "composition": "Fe"}]), alloys.folder)
    with pytest.raises(StoreError, match="of another build"):
        Dataset(alloys.folder).split("s")
    with pytest.raises(StoreError, match="no such split; there are s"):
        Dataset(alloys.folder).split("t")
    with pytest.raises(ValueError, match="letters"):
        split_path(alloys.folder, "../t")
    assert json.loads(text)["seed"] == 2
