"""Labelled polycrystals: right, reproducible, and never lost or half there."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace

import numpy as np
import pytest

from xtalfuse.datasets.sets import mechanics_set
from xtalfuse.datasets.sets.mechanics_sample import SingleCrystal, Variety, draw_spec, simulate
from xtalfuse.datasets.sets.mechanics_set import MANIFEST, MechanicsSet, generate
from xtalfuse.datasets.sets.store import StoreError
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
    samples = MechanicsSet(folder)
    assert samples.materials == ("Cu",) * 5 + ("Zn",) * 5
    read = samples[8]
    made = simulate(ZINC, SMALL, 3)
    assert (read.material, read.index) == ("Zn", 3)
    for name in ("stress", "stiffness", "coarse_stress", "coarse_stiffness", "coarse_voxels"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    for field in fields(made.graph):
        ours, theirs = getattr(read.graph, field.name), getattr(made.graph, field.name)
        if isinstance(theirs, np.ndarray):
            # stored in single precision
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
        elif field.name != "phases":
            assert ours == theirs
    assert read.graph.phases[0].laue == "6/mmm"


def test_stresses_and_stiffness_belong_together(folder):
    for sample in MechanicsSet(folder):
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
    generate(tmp_path, [COPPER, ZINC], 5, SMALL, shard_size=3, jobs=2)
    one, two = (json.loads((f / MANIFEST).read_text()) for f in (folder, tmp_path))
    assert len(one["shards"]) == 4
    assert one == two  # with the sha256 of their content


def test_a_set_can_grow_and_makes_only_what_is_missing(tmp_path, monkeypatch):
    made = []
    simulate_one = mechanics_set.simulate
    monkeypatch.setattr(
        mechanics_set, "simulate", lambda *a: (made.append(a[2]), simulate_one(*a))[1]
    )
    generate(tmp_path, [COPPER], 4, SMALL, shard_size=2)
    (tmp_path / "Cu-000002.h5").unlink()
    (tmp_path / MANIFEST).unlink()  # killed before it was written
    told = []
    generate(tmp_path, [COPPER], 5, SMALL, shard_size=2, progress=told.append)
    assert made == [0, 1, 2, 3, 2, 3, 4]
    assert sum(told) == 5
    generate(tmp_path, [COPPER], 6, SMALL, shard_size=2)
    assert made[7:] == [4, 5]
    generate(tmp_path, [COPPER], 3, SMALL, shard_size=2)
    assert [s.index for s in MechanicsSet(tmp_path)] == [0, 1, 2, 3, 4, 5]


def test_other_settings_need_another_folder(folder):
    with pytest.raises(StoreError, match="another folder"):
        generate(folder, [COPPER], 5, replace(SMALL, seed=5), shard_size=3)
    with pytest.raises(StoreError, match="another folder"):
        generate(folder, [COPPER], 5, SMALL, shard_size=4)


def test_damage_is_found(tmp_path):
    generate(tmp_path, [COPPER], 2, SMALL, shard_size=2)
    path = tmp_path / "Cu-000000.h5"
    samples = MechanicsSet(tmp_path)
    content = bytearray(path.read_bytes())
    content[content.index(np.float32(samples[1].stress[3, 2, 3]).tobytes())] ^= 1
    samples = MechanicsSet(tmp_path)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"Cu-000000\.h5"):
        samples[0]
    with pytest.raises(StoreError, match="check the path"):
        MechanicsSet(tmp_path / "elsewhere")


def test_a_set_goes_to_other_processes(folder):
    samples = MechanicsSet(folder)
    before = samples[1]
    sent = pickle.dumps(samples)
    assert len(sent) < 5000  # no arrays inside
    np.testing.assert_array_equal(pickle.loads(sent)[1].stress, before.stress)


LOOP = """
import sys
from tests_material import COPPER, SMALL
from xtalfuse.datasets.sets.mechanics_set import generate
generate(sys.argv[1], [COPPER], 400, SMALL, shard_size=2, progress=lambda n: print(n, flush=True))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_run_loses_nothing_it_told_of(tmp_path):
    source = f"from xtalfuse.datasets.sets.mechanics_sample import *\nCOPPER = {COPPER!r}\n"
    (tmp_path / "tests_material.py").write_text(source + f"SMALL = {SMALL!r}\n")
    command = [sys.executable, "-c", LOOP, str(tmp_path / "set")]
    for acknowledged in (2, 5):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
            for _ in range(acknowledged):
                assert process.stdout.readline().strip() == b"2"
            time.sleep(0.01 * acknowledged)
            process.kill()
        samples = MechanicsSet(tmp_path / "set")
        assert len(samples) >= 2 * acknowledged
        assert [sample.index for sample in samples] == list(range(len(samples)))


def test_the_command_makes_a_set(tmp_path):
    wanted = "--metals Cu,Zn --count 2 --grid 8 --grains 6:9 --cv voronoi --texture rolled"
    mechanics_set.main(["--out", str(tmp_path), *wanted.split()])
    samples = MechanicsSet(tmp_path)
    assert samples.materials == ("Cu", "Cu", "Zn", "Zn")
    assert {len(sample.graph) for sample in samples} <= {6, 7, 8, 9}
