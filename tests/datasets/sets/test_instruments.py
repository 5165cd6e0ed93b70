"""Simulated records are what they say, and depend on seed and number alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.recipe import simulate
from xtalfuse.loaders.record import Modality, Record

RECIPE = """
seed: 8
shard: 3
sets:
  - {kind: powder, count: 6, phases: [corundum, fluorite], most: 2, strain: 0, zero_deg: 0}
  - {kind: rings, count: 2, phases: [gold], ellipticity: 0, side: 256}
  - {kind: eels, count: 2, phases: [rutile], from_ev: [380, 400]}
  - {kind: eds, count: 2, phases: [rutile]}
  - {kind: specimen, count: 4, phases: [halite], instruments: {powder: {step: 0.05}, eds: {}}}
  - {kind: map, count: 2, side: 32, grains: [20, 40]}
  - {kind: volume, count: 2, side: 24}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "recipe.yaml").write_text(RECIPE)
    simulate(folder / "recipe.yaml", folder / "out")
    return Dataset(folder / "out")


def of(dataset: Dataset, name: str) -> list[Record]:
    return [dataset[k] for k, one in enumerate(dataset.ids) if one.startswith(name)]


def test_every_kind_is_a_function_of_seed_and_number(dataset: Dataset, tmp_path: Path):
    # the second half of each set alone, in another order: the same records
    lines = RECIPE.strip().splitlines()
    (tmp_path / "recipe.yaml").write_text("\n".join([*lines[:3], *reversed(lines[3:])]))
    simulate(tmp_path / "recipe.yaml", tmp_path / "out")
    again = Dataset(tmp_path / "out")
    assert again.built["shards"] == dataset.built["shards"]
    assert dataset.verify() == []
    sums = [r.measurements[0].provenance.sha256 for r in dataset]
    assert len(set(sums)) == len(sums) == 20
    assert {name for name in SAMPLE_SETS if name in RECIPE} == set(SAMPLE_SETS) - {"mechanics"}


STRONGEST = {"fluorite": 47.0, "corundum": 35.15}  # (220) and (104), Cu K-alpha1, degrees


def test_a_pattern_has_the_lines_of_its_phases_by_their_weights(dataset: Dataset):
    heights = {phase: {} for phase in STRONGEST}
    for record in of(dataset, "powder"):
        (measured,) = record.measurements
        angle = measured.axis("two_theta")
        for phase, at in STRONGEST.items():
            near = np.abs(angle - at) < 0.2
            beside = (np.abs(angle - at) > 0.7) & (np.abs(angle - at) < 1.2)
            height = measured.values[near].mean() / np.median(measured.values[beside]) - 1.0
            weight = record.targets.get(f"weight_fraction_{phase}")
            heights[phase][0.0 if weight is None else weight.value] = height
        assert sum(target.value for target in record.targets.values()) == pytest.approx(1.0)
    for phase, seen in heights.items():
        assert seen[0.0] < 0.2 < max(seen.values()), phase
    table = dataset.table.set_index("id")
    assert set(table.loc[[one.startswith("p") for one in table.index], "phases"]) == {
        "corundum", "fluorite", "corundum;fluorite"}  # fmt: skip
    assert set(table["source"]) == {"simulated"}


def test_spectra_rings_and_specimens_are_of_their_phase(dataset: Dataset):
    for record in of(dataset, "rings"):
        (image,) = record.measurements
        y, x = (image.axis(name) for name in ("ky", "kx"))
        middle = np.argwhere(image.values > 0.9 * image.values.max()).mean(axis=0) * (y[1] - y[0])
        radius = np.hypot(y[:, None] - middle[0], x - middle[1])
        profile = [image.values[np.abs(radius - g) < 0.01].mean() for g in (0.35, 0.425, 0.58)]
        beside = np.sqrt(profile[0] * profile[2])  # an exponential halo
        assert profile[1] > 1.1 * beside  # (111) of gold, 1/2.355 per angstrom
    for record in of(dataset, "eels"):
        (spectrum,) = record.measurements
        energy, counts = spectrum.axis("energy"), spectrum.values
        rise = [counts[(energy > a) & (energy < b)].mean() for a, b in ((440, 452), (456, 468))]
        assert rise[1] > rise[0]  # Ti L3 at 456 eV; else it falls by a tenth
        assert record.elements == ("O", "Ti")
    for record in of(dataset, "eds"):
        (spectrum,) = record.measurements
        energy, counts = spectrum.axis("energy"), spectrum.values
        at = (energy > 4000) & (energy < 5000)
        assert energy[at][counts[at].argmax()] == pytest.approx(4510.0, abs=30.0)  # Ti K-alpha
    seen = [{m.modality for m in record.measurements} for record in of(dataset, "specimen")]
    assert set().union(*seen) == {Modality.XRD, Modality.EDS}
    assert all(seen)


def test_microstructures_are_labelled_with_the_truth(dataset: Dataset):
    for record in of(dataset, "map"):
        points = record.measurements[0].crystal_map
        assert points.index.shape == (1024, 3)
        grains = 32 * 32 * 12 / (np.pi / 6.0 * record.targets["grain_size"].value ** 3)
        assert 15 < grains < 80  # the mean of the cubes is above the cube of the mean
    for record in of(dataset, "volume"):
        grey = record.measurements[0].values
        assert (grey < 110.0).mean() == pytest.approx(record.targets["porosity"].value, abs=0.08)
    groups = [record.group for record in of(dataset, "map")]
    assert len(set(groups)) == len(groups)
