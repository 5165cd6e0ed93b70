"""A grain graph comes back from disk as it was, or not at all; its tables say their units."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from xtalfuse.datasets.records.store import StoreError, read_arrays, write_arrays
from xtalfuse.datasets.sets.graphs import (
    boundary_table,
    grain_table,
    load_graph,
    save_graph,
    write_table,
)
from xtalfuse.physics.grains.crystal_map import MapPhase
from xtalfuse.physics.grains.graph import GrainGraph, from_labels
from xtalfuse.physics.orientation.quaternion import random

PHASES = (
    MapPhase("copper", "m-3m", (3.61, 3.61, 3.61, 90.0, 90.0, 90.0), "Cu"),
    MapPhase("pore", None, pore=True),
)


def graph(size: int = 8, *, flat: bool = False, periodic: bool = True) -> GrainGraph:
    blocks = np.arange(8).reshape(2, 2, 2).repeat(size // 2, 0).repeat(size // 2, 1)
    labels = blocks[:, :, :1] // 2 if flat else blocks.repeat(size // 2, 2)
    count = int(labels.max()) + 1
    q = random(count, np.random.default_rng(0))
    return from_labels(labels, q, np.arange(count) % 2, PHASES, 0.5, periodic)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("periodic", [False, True])
def test_a_graph_comes_back_bit_for_bit(tmp_path: Path, flat: bool, periodic: bool) -> None:
    before = graph(flat=flat, periodic=periodic)
    save_graph(tmp_path / "grains.h5", before)
    after = load_graph(tmp_path / "grains.h5")
    for field in fields(GrainGraph):
        one, other = getattr(before, field.name), getattr(after, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, field.name
            assert_array_equal(one, other, err_msg=field.name)
        else:
            assert one == other, field.name


def test_one_grain_alone_comes_back(tmp_path: Path) -> None:
    alone = from_labels(np.zeros((2, 2, 2), int), np.eye(4)[:1], np.zeros(1, int), PHASES)
    save_graph(tmp_path / "grain.h5", alone)
    assert load_graph(tmp_path / "grain.h5").edges.shape == (2, 0)


def test_a_torn_or_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grains.h5"
    save_graph(path, graph())
    whole = path.read_bytes()
    for cut in (0, 100, len(whole) // 2, len(whole) - 8):
        path.write_bytes(whole[:cut])
        with pytest.raises(StoreError, match=r"grains\.h5"):
            load_graph(path)
    middle = whole.index(graph().size.tobytes())
    path.write_bytes(whole[: middle + 3] + bytes([whole[middle + 3] ^ 1]) + whole[middle + 4 :])
    with pytest.raises(StoreError, match="sha256"):
        load_graph(path)
    with pytest.raises(StoreError, match="no such file"):
        load_graph(tmp_path / "absent.h5")


def test_other_files_and_later_versions_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "grains.h5"
    save_graph(path, graph())
    arrays, attributes, _ = read_arrays(path)
    arrays = {name: np.array(array) for name, array in arrays.items()}
    for change, message in (
        ({"kind": "library"}, "no grain graph"),
        ({"schema": 2}, "form 2"),
        ({"phases": []}, "a phase is out of range"),
        ({"phases": [{"colour": 1}]}, "description"),
        ({"dimension": 4}, "dimension"),
    ):
        write_arrays(path, arrays, {**attributes, **change})
        with pytest.raises(StoreError, match=message):
            load_graph(path)
    for name, array, message in (
        ("edges", arrays["edges"] + 100, "a boundary"),
        ("area", arrays["area"][:-1], "expected"),
        ("orientation", arrays["orientation"].astype(int), "orientation is int"),
    ):
        write_arrays(path, {**arrays, name: array}, attributes)
        with pytest.raises(StoreError, match=message):
            load_graph(path)
    write_arrays(path, {k: v for k, v in arrays.items() if k != "axis"}, attributes)
    with pytest.raises(StoreError, match="axis"):
        load_graph(path)


def test_the_grain_table_has_its_units_in_its_names(tmp_path: Path) -> None:
    grains = graph(periodic=False)
    table = grain_table(grains, {"gos_deg": np.arange(8.0)})
    assert {"volume_um3", "equivalent_diameter_um", "x_um", "phi1_deg", "gos_deg"} <= set(table)
    assert "area_um2" in grain_table(graph(flat=True))
    assert table["phase"].tolist() == ["copper", "pore"] * 4
    assert table["phi1_deg"].isna().tolist() == [False, True] * 4  # a pore has no orientation
    assert (table["neighbours"] == 3).all()
    assert_allclose(table["aspect_ratio"], 1.0)
    write_table(tmp_path / "grains.csv", table)
    back = pd.read_csv(tmp_path / "grains.csv")
    assert_allclose(back["volume_um3"], grains.size)
    assert list(back) == list(table)


def test_the_long_axis_of_a_grain() -> None:
    bar = np.full((12, 4, 4), -1)
    bar[:, 1:3, 1:3] = 0
    table = grain_table(from_labels(bar, np.eye(4)[:1], np.zeros(1, int), PHASES))
    assert_allclose(table["aspect_ratio"], 6.0)
    assert_allclose(np.abs(table[["long_axis_x", "long_axis_y", "long_axis_z"]]), [[1, 0, 0]])


def test_the_boundary_table() -> None:
    grains = graph(periodic=False)
    table = boundary_table(grains, {"sigma": np.full(12, "")})
    assert len(table) == 12
    assert_allclose(table["area_um2"], 4.0)  # 4 x 4 faces of 0.5 um
    trace = table[["normal_xx", "normal_yy", "normal_zz"]].sum(axis=1)
    assert_allclose(trace, 1.0)
    both = (table["phase_a"] == "copper") & (table["phase_b"] == "copper")
    assert_array_equal(table["misorientation_deg"].notna(), both)
    assert "length_um" in boundary_table(replace(grains, dimension=2))
