"""Labelled polycrystals: right, reproducible, and never lost or half there."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from xtalfuse.datasets.records.build import read_index
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets.mechanics_sample import SingleCrystal, Variety, draw_spec, simulate
from xtalfuse.datasets.sets.mechanics_set import MECHANICS, generate, recipe_of
from xtalfuse.datasets.sets.recipe import simulate as simulate_recipe
from xtalfuse.physics.mechanics.elasticity import mandel_from_voigt, reuss, rotate_stiffness, voigt

SMALL = Variety(grid=8, grains=(6, 12), cv=(0.2, 0.4), aspect=(0.7, 1.5), texture="any", seed=4)


def material(name: str, laue: str, c11, c12, c13, c33, c44, c66) -> SingleCrystal:
    rows = np.zeros((6, 6))
    rows[:3, :3] = [[c11, c12, c13], [c12, c11, c13], [c13, c13, c33]]
    rows[3:, 3:] = np.diag([c44, c44, c66])
    stiffness = mandel_from_voigt(rows)
    return SingleCrystal(name, laue, tuple(tuple(float(c) for c in row) for row in stiffness))


# GPa; Simmons & Wang (1971), Single Crystal Elastic Constants, rounded
COPPER = material("Cu", "m-3m", 168.4, 121.4, 121.4, 168.4, 75.4, 75.4)
ZINC = material("Zn", "6/mmm", 163.7, 36.4, 53.0, 63.5, 38.8, 63.65)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("set")
    generate(path, [COPPER, ZINC], 5, SMALL, shard_size=3)
    return path


def test_a_set_gives_back_what_was_simulated(folder):
    samples = Dataset(folder)
    assert samples.groups == ("Cu",) * 5 + ("Zn",) * 5
    read = samples[8]
    made = MECHANICS.simulate(recipe_of(ZINC, SMALL), 3)
    assert (read.material, read.index) == ("Zn", 3)
    for ours, theirs in ((read, made), (read.graph, made.graph)):
        for field in fields(theirs):
            one, other = getattr(ours, field.name), getattr(theirs, field.name)
            if isinstance(other, np.ndarray):
                np.testing.assert_array_equal(one, other, strict=True)
            elif field.name != "graph":
                assert one == other
    assert read.graph.size.dtype == np.float32  # as the sets of the shipped weights had it
    assert read.graph.orientation.dtype == np.float64


def test_stresses_and_stiffness_belong_together(folder):
    for sample in Dataset(folder):
        share = sample.graph.size / sample.graph.size.sum()
        mean = np.einsum("g,lgc->cl", share, sample.stress)
        # the mean of the stress is the stiffness times a unit strain; solved in single precision
        scale = np.abs(sample.stiffness).max()
        np.testing.assert_allclose(mean, sample.stiffness, atol=2e-4 * scale)
        turned = rotate_stiffness(sample.crystal_stiffness, sample.graph.orientation)
        for upper, lower in (
            (voigt(turned, share), sample.stiffness),
            (sample.stiffness, reuss(turned, share)),
        ):
            gap = np.linalg.eigvalsh(np.asarray(upper) - np.asarray(lower))
            assert gap.min() > -1e-4 * scale


def test_materials_and_indices_share_no_grains():
    first, second = draw_spec(COPPER, SMALL, 0), draw_spec(COPPER, SMALL, 1)
    assert (first.grains, first.cv, first.aspect) != (second.grains, second.cv, second.aspect)
    same = replace(SMALL, grains=(8, 8), texture="random")
    assert draw_spec(COPPER, replace(same, cv=None), 0).cv is None
    copper, zinc = simulate(COPPER, same, 0), simulate(ZINC, same, 0)
    assert not np.allclose(copper.graph.orientation, zinc.graph.orientation)


def test_two_processes_write_the_same_samples(folder, tmp_path):
    generate(tmp_path, [ZINC, COPPER], 5, SMALL, shard_size=3, workers=2)
    one, two = (read_index(f)["shards"] for f in (folder, tmp_path))
    assert len(one) == 4
    assert one == two  # with the sha256 of their content


def test_a_recipe_makes_a_set(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "sets: [{kind: mechanics, metals: [Zn, Cu], count: 2, grid: 8, grains: [6, 9], cv: null, "
        "texture: rolled}]"
    )
    simulate_recipe(tmp_path / "r.yaml", tmp_path / "out")
    samples = Dataset(tmp_path / "out")
    assert samples.groups == ("Cu", "Cu", "Zn", "Zn")
    assert {len(sample.graph) for sample in samples} <= {6, 7, 8, 9}
    assert samples.verify() == []
