"""A training set of one file: stored, read, split, and the worked example of CONTRIBUTING."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from xtalfuse.datasets.records.build import read_index
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.base import Recipe, generate
from xtalfuse.datasets.sets.recipe import read_recipe, simulate
from xtalfuse.datasets.splits.split import split
from xtalfuse.loaders.record import UnreadableFileError

CONTRIBUTING = Path(__file__).resolve().parents[3] / "CONTRIBUTING.md"
RECIPE = "shard: 2\nsets: [{kind: peaks, count: 4}]\n"


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
        module = importlib.import_module("worked_example_peaks")
        SAMPLE_SETS.add("peaks", module.KIND)
        yield module
    finally:
        sys.path.remove(str(folder))
        del sys.modules["worked_example_peaks"], SAMPLE_SETS._items["peaks"]


@pytest.fixture(scope="module")
def folder(peaks: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of the worked example, made by two processes."""
    path = tmp_path_factory.mktemp("set")
    (path / "peaks.yaml").write_text(RECIPE)
    simulate(path / "peaks.yaml", path / "out", workers=2)
    return path / "out"


def test_the_worked_example_gives_back_what_it_simulates(peaks, folder):
    samples = Dataset(folder)
    assert samples.groups == ("width2",) * 4 + ("width4",) * 4 + ("width6",) * 4
    assert samples.ids[7] == "peaks-width4-000003"
    made = peaks.KIND.simulate(Recipe("width4", {"width": 4.0, "seed": 0}), 3)
    assert np.array_equal(samples[7].curve, made.curve)
    assert samples[7].curve.dtype == made.curve.dtype
    assert samples[7].centre == made.centre
    samples[7].curve[0] = -1.0  # a copy: what is stored stays
    assert samples[7].curve[0] == made.curve[0]


def test_any_number_of_processes_writes_the_same_bits(peaks, folder, tmp_path):
    recipes = [Recipe(f"width{w:g}", {"width": w, "seed": 0}) for w in (2.0, 4.0, 6.0)]
    generate(peaks.KIND, tmp_path, recipes, 4, shard_size=2)
    assert read_index(tmp_path)["shards"] == read_index(folder)["shards"]  # with their sha256


def test_a_killed_run_goes_on_where_it_was(peaks, tmp_path):
    recipe, made = Recipe("width2", {"width": 2.0, "seed": 0}), []

    class Killed(type(peaks.KIND)):  # type: ignore[misc]
        def simulate(self, recipe, index):
            if index == 3 and made.count(3) == 0:
                made.append(index)
                raise KeyboardInterrupt
            made.append(index)
            return super().simulate(recipe, index)

    with pytest.raises(KeyboardInterrupt):
        generate(Killed(), tmp_path, [recipe], 6, shard_size=2)
    assert generate(Killed(), tmp_path, [recipe], 6, shard_size=2).made == 2
    assert made == [0, 1, 2, 3, 3, 4, 5]  # none that was written down is made again
    more = generate(Killed(), tmp_path, [recipe], 8, shard_size=2)
    assert (more.made, len(Dataset(tmp_path)), made[7:]) == (1, 8, [6, 7])  # a set can grow
    other = Recipe("width2", {"width": 3.0, "seed": 0})
    assert generate(peaks.KIND, tmp_path, [other], 8, shard_size=2).made == 4


@pytest.mark.parametrize("seed", range(3))
def test_no_group_is_cut(peaks, folder, seed):
    samples = Dataset(folder)
    made = split(samples, {"train": 0.7, "test": 0.3}, "group", seed)
    parts = [{g for g, one in zip(samples.groups, samples.ids, strict=True) if made.parts[one] == p}
             for p in made.shares]  # fmt: skip
    assert parts[0].isdisjoint(parts[1])
    assert made.counts == {"train": 8, "test": 4}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("sets: [{kind: peak}]", "set 1: no kind of simulated set 'peak'; did you mean 'peaks'?"),
        ("sets: [{count: 3}]", "set 1: no kind"),
        ("seeds: 3\nsets: [{kind: peaks}]", "unknown key 'seeds'; did you mean 'seed'?"),
        ("sets: [{kind: peaks, counts: 3}]", "set 1: unknown key 'counts'; did you mean 'count'?"),
        ("sets: [{kind: peaks, count: 0}]", "set 1: count: "),
        ("sets: [{kind: peaks}, {kind: peaks}]", "set 2: a second set called 'peaks'"),
        ("sets: []", "sets: "),
        ("sets: peaks", "sets: "),
        ("- kind", "not a list of 'key: value'"),
        ("sets: [{kind: powder, phases: [corundom]}]", "did you mean corundum"),
        ("sets: [{kind: specimen, instruments: {xrd: {}}}]", "no instrument 'xrd'"),
        (
            "sets: [{kind: specimen, instruments: {eels: {x: 1}}}]",
            "unknown key 'x'; there are kind",
        ),
        ("sets: [{kind: powder, two_theta: [90, 10]}]", "two_theta: "),
        ("sets: [{kind: powder, counts: [0, 10]}]", "counts.0: "),
        ("sets: [{kind: powder, wavelength: CuKq}]", "wavelength: "),
        ("sets: [{kind: mechanics, metals: [Xx]}]", "Xx"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_said(peaks, tmp_path, text, told):
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(UnreadableFileError) as error:
        read_recipe(tmp_path / "r.yaml")
    assert told in str(error.value)
