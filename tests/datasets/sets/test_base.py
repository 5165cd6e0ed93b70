"""A training set of one file: stored, read, split, and the worked example of CONTRIBUTING."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.__main__ import main
from xtalfuse.datasets.sets.base import MANIFEST, Recipe, SampleSet, generate
from xtalfuse.datasets.sets.store import StoreError

CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"


@pytest.fixture(scope="module")
def peaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module of the worked example, where other processes can import it too."""
    text = CONTRIBUTING.read_text(encoding="utf-8").split("## A new training set")[1]
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    folder = tmp_path_factory.mktemp("example")
    (folder / "worked_example_peaks.py").write_text(code.group(1), encoding="utf-8")
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("worked_example_peaks")
    finally:
        sys.path.remove(str(folder))
        del sys.modules["worked_example_peaks"]


@pytest.fixture(scope="module")
def folder(peaks: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of the worked example, made by the command with two processes."""
    path = tmp_path_factory.mktemp("set")
    SAMPLE_SETS.add("peaks", peaks.KIND)
    try:
        main(["peaks", "--out", str(path), "--count", "4", "--shard", "2", "--jobs", "2"])
    finally:
        del SAMPLE_SETS._items["peaks"]
    return path


def test_the_worked_example_gives_back_what_it_simulates(peaks, folder):
    samples = SampleSet(peaks.KIND, folder)
    assert samples.groups == ("width2",) * 4 + ("width4",) * 4 + ("width6",) * 4
    made = peaks.KIND.simulate(Recipe("width4", {"width": 4.0, "seed": 0}), 3)
    assert np.array_equal(samples[7].curve, made.curve)
    assert samples[7].curve.dtype == made.curve.dtype
    assert samples[7].centre == made.centre
    for one, other in zip(samples[2:5], list(samples)[2:5], strict=True):
        assert np.array_equal(one.curve, other.curve)


def test_any_number_of_processes_writes_the_same_bits(peaks, folder, tmp_path):
    recipes = [Recipe(f"width{w:g}", {"width": w, "seed": 0}) for w in (2.0, 4.0, 6.0)]
    generate(peaks.KIND, tmp_path, recipes, 4, shard_size=2)
    one, two = (json.loads((f / MANIFEST).read_text()) for f in (folder, tmp_path))
    assert one == two  # with the sha256 of each shard


def test_a_killed_run_goes_on_where_it_was(peaks, tmp_path):
    recipe = Recipe("width2", {"width": 2.0, "seed": 0})

    class Killed(type(peaks.KIND)):  # type: ignore[misc]
        def simulate(self, recipe, index):
            if index == 4:
                raise KeyboardInterrupt
            return super().simulate(recipe, index)

    with pytest.raises(KeyboardInterrupt):
        generate(Killed(), tmp_path, [recipe], 6, shard_size=2)
    assert len(SampleSet(peaks.KIND, tmp_path)) == 4  # the manifest tells of what is whole
    told: list[int] = []
    generate(peaks.KIND, tmp_path, [recipe], 6, shard_size=2, progress=told.append)
    assert told == [2, 2, 2]
    assert len(SampleSet(peaks.KIND, tmp_path)) == 6
    with pytest.raises(StoreError, match="another folder"):
        generate(
            peaks.KIND, tmp_path, [Recipe("width2", {"width": 3.0, "seed": 0})], 6, shard_size=2
        )


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_cut(peaks, folder, seed):
    samples = SampleSet(peaks.KIND, folder)
    parts = samples.split({"train": 0.7, "test": 0.3}, seed)
    groups = {name: set(part.groups) for name, part in parts.items()}
    assert groups["train"].isdisjoint(groups["test"])
    assert {name: len(part) for name, part in parts.items()} == {"train": 8, "test": 4}
    again = samples.split({"train": 0.7, "test": 0.3}, seed)
    assert {name: part.groups for name, part in again.items()} == {
        name: part.groups for name, part in parts.items()
    }


def test_other_seeds_give_other_parts_and_samples_may_be_split_too(peaks, folder):
    samples = SampleSet(peaks.KIND, folder)
    shares = {"train": 0.7, "test": 0.3}
    assert len({samples.split(shares, seed)["test"].groups for seed in range(20)}) == 3
    loose = samples.split({"a": 0.5, "b": 0.5}, seed=1, by="sample")
    assert set(loose["a"].groups) & set(loose["b"].groups)  # the violation that groups prevent
    centres = sorted(float(s.centre) for part in loose.values() for s in part)
    assert centres == sorted(float(s.centre) for s in samples)


@pytest.mark.parametrize(
    ("shares", "by", "message"),
    [
        ({"train": 0.7, "test": 0.2}, "group", "add up to 1"),
        ({"train": 1.5, "test": -0.5}, "group", "positive"),
        ({"train": 0.99, "test": 0.01}, "group", "3 groups are too few"),
        ({"train": 0.5, "test": 0.5}, "colour", "'group' or 'sample'"),
    ],
)
def test_what_cannot_be_split_is_said(peaks, folder, shares, by, message):
    with pytest.raises(ValueError, match=message):
        SampleSet(peaks.KIND, folder).split(shares, by=by)


def test_a_wrong_name_is_answered_with_a_near_one(capsys):
    with pytest.raises(SystemExit):
        main(["mechanic", "--out", "x"])
    assert "did you mean 'mechanics'?" in capsys.readouterr().err


def test_a_set_that_says_material_still_reads(peaks, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / MANIFEST).read_text().replace('"group"', '"material"')
    (tmp_path / MANIFEST).write_text(text)
    assert SampleSet(peaks.KIND, tmp_path).groups == SampleSet(peaks.KIND, folder).groups
