"""Points that are not indexed, and phase numbers, as different programs write them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from xtalfuse.loaders import registry
from xtalfuse.loaders.ebsd.numbering import has_solution, numbered
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED

# Per program: what it writes in a row that it could not index, and how it counts phases.
# Columns: phi1, Phi, phi2, x, y, iq, ci, phase, sem, fit.
ANG = {
    "EDAX: 4 pi, -1, phase 0": ({0: 12.56637, 1: 12.56637, 2: 12.56637, 6: -1.0, 7: 0}, 1),
    "EDAX: confidence -1 beside angles": ({6: -1.0}, 1),
    "PyEBSDIndex: fit 180, phase -1": ({0: 0.0, 1: 0.0, 2: 0.0, 7: -1, 9: 180.0}, 0),
    "MTEX, from Channel 5: a row of zeros": ({k: 0.0 for k in (0, 1, 2, 5, 6, 7, 8, 9)}, 1),
    "a row of zeros with the phase kept": ({k: 0.0 for k in (0, 1, 2, 5, 6, 9)}, 1),
    "confidence 0 and no angles, quality kept": ({0: 0.0, 1: 0.0, 2: 0.0, 6: 0.0}, 1),
    "phase -1, counted from 1": ({0: 0.0, 1: 0.0, 2: 0.0, 7: -1}, 1),
    "phase -1, counted from 0": ({7: -1}, 0),
    "phase 0 beside angles": ({7: 0}, 1),
}  # fmt: skip


def ang_with(made, points, row, first, phases=2):
    """An ``.ang`` whose points of phase 0 have `row`; phases in it count from `first`."""
    lines = made.ang(points, phases=phases).splitlines()
    start = next(i for i, line in enumerate(lines) if line[0] != "#")
    for i, phase in enumerate(points.phase, start=start):
        parts = lines[i].split()
        if phase:
            parts[7] = str(phase - 1 + first if phases > 1 else first)
        else:
            parts[:3], parts[6], parts[7] = ["1.0", "0.5", "0.2"], "0.8", "0"
            for column, value in row.items():
                parts[column] = f"{value:g}"
        lines[i] = " ".join(parts)
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("who", ANG)
@pytest.mark.parametrize("phases", [1, 2])
def test_ang_of_each_program(made, points, tmp_path, who, phases):
    row, first = ANG[who]
    if phases == 1:
        points.phase[points.phase == 2] = 1
        if who == "phase 0 beside angles":
            pytest.skip("of a single phase 0 is its number")
    content = ang_with(made, points, row, first, phases)
    found = registry.read(made.write(tmp_path, "map.ang", content))
    assert np.array_equal(found.crystal_map.phase, np.where(points.phase > 0, points.phase - 1, -1))
    told = " ".join(found.provenance.warnings)
    assert ("counted from 0" in told) is (phases == 2 and first == 0)


def test_a_crystal_along_the_axes_is_indexed(made, points, tmp_path):
    points.euler[:] = 0.0
    points.phase[:] = 1
    found = registry.read(made.write(tmp_path, "map.ang", made.ang(points))).crystal_map
    assert (found.phase == 0).all()


@pytest.mark.parametrize(
    ("row", "warned"),
    [
        (
            {0: "1", 3: "0", 4: "3", 5: "0", 6: "0", 7: "0", 8: "0"},
            False,
        ),  # phase kept, no solution
        ({0: "1", 3: "0", 4: "0", 5: "0", 6: "0", 7: "0", 8: "0"}, False),  # nothing told of it
        ({0: "-1", 3: "0", 4: "3"}, False),
        ({0: "0", 3: "5", 4: "4", 5: "10", 6: "20", 7: "30", 8: "2.5"}, False),  # MAD too high
        ({0: "1", 3: "0", 4: "3", 5: "10", 6: "20", 7: "30", 8: "0"}, True),  # cleaned up
    ],
)
def test_ctf_of_each_program(made, points, tmp_path, row, warned):
    lines = made.ctf(points).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Phase\t")) + 1
    for i in np.flatnonzero(points.phase == 0):
        parts = lines[start + i].split("\t")
        for column, value in row.items():
            parts[column] = value
        lines[start + i] = "\t".join(parts)
    found = registry.read(made.write(tmp_path, "map.ctf", "\n".join(lines) + "\n"))
    assert bool((found.crystal_map.phase != NOT_INDEXED).all()) is warned
    assert ("clean-up" in " ".join(found.provenance.warnings)) is warned


@pytest.mark.parametrize("header", [0, 1])
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("missing", ["-1", "confidence", "fit"])
def test_edax_hdf5_of_each_program(made, points, tmp_path, header, first, missing):
    import h5py

    path = made.write_edax(tmp_path, points)
    lost = points.phase == 0
    with h5py.File(path, "r+") as file:
        data, phases = file["Scan 1/EBSD/Data"], file["Scan 1/EBSD/Header/Phase"]
        if header == 0:
            phases.move("1", "0")
            phases.move("2", "1")
        number = points.phase - 1 + first
        number[lost] = -1 if missing == "-1" else first
        data["Phase"][()] = number
        for key, values in zip(("Phi1", "Phi", "Phi2"), points.euler.T, strict=True):
            data[key][()] = values
        data["CI"][()] = np.where(lost & (missing == "confidence"), -1.0, 0.8)
        data["Fit"] = np.where(lost & (missing == "fit"), 180.0, 0.5)
    found = registry.read(path).crystal_map
    assert np.array_equal(found.phase, np.where(lost, -1, points.phase - 1))


@pytest.mark.parametrize("order", [True, False])
def test_points_without_a_position(made, points, tmp_path, order):
    import h5py

    path = made.write_edax(tmp_path, points)
    with h5py.File(path, "r+") as file:
        data = file["Scan 1/EBSD/Data"]
        for axis in "XY":
            values = data[f"{axis} Position"][()]
            if not order:  # rows from below: what is missing cannot be placed by its order
                values = values.max() - values
            values[[20, 40]] = -1111111.0
            data[f"{axis} Position"][()] = values
    found = registry.read(path)
    assert len(found.crystal_map.phase) == len(points) - 2 * (not order)
    told = "placed by their order" if order else "left out"
    assert any("2 points without a position" in t and told in t for t in found.provenance.warnings)
    if order:
        assert (found.crystal_map.phase[[20, 40]] == NOT_INDEXED).all()
        assert np.allclose(found.crystal_map.position[20], [points.x[20], points.y[20], 0.0])


def test_maps_lie_deeper_in_the_files_of_kikuchipy(points, tmp_path):
    crystal_map = pytest.importorskip("orix.crystal_map")
    import h5py
    from orix import io
    from orix.quaternion import Rotation

    theirs = crystal_map.CrystalMap(
        rotations=Rotation.from_euler(points.euler), phase_id=points.phase - 1, x=points.x,
        y=points.y, phase_list=crystal_map.PhaseList(
            [crystal_map.Phase(n, space_group=g) for n, g in (("Cu", 225), ("X", 151))]
        ), scan_unit="um",
    )  # fmt: skip
    io.save(str(tmp_path / "flat.h5"), theirs)
    shutil.copy(tmp_path / "flat.h5", tmp_path / "deep.h5")
    with h5py.File(tmp_path / "deep.h5", "r+") as file:
        file["Scan 1/EBSD/Data/patterns"] = np.zeros((len(points), 4, 4), "u1")
        for name in ("crystal_map", "manufacturer", "version"):
            file.move(name, f"Scan 1/EBSD/CrystalMap/{name}")
    flat, deep = (registry.read(tmp_path / f"{name}.h5").crystal_map for name in ("flat", "deep"))
    assert np.array_equal(deep.phase, flat.phase)
    assert np.array_equal(deep.phase, points.phase - 1)
    assert [phase.laue for phase in deep.phases] == ["m-3m", "-31m"]
    assert deep.phases[0].cell is None  # a cell of 1 angstrom is none


@pytest.mark.parametrize(
    ("described", "points", "expected"),
    [
        ([1, 2], [0, 1, 1], [1, 2, 2]),
        ([1, 2], [0, 1, 2], [-1, 1, 2]),
        ([1, 2], [-1, 0, 0], [-1, 1, 1]),
        ([0, 1], [1, 2, 2], [0, 1, 1]),
        ([0, 1], [0, 1, -1], [0, 1, -1]),
        ([1], [0, 0, 0], [1, 1, 1]),
        ([1], [0, 1, 1], [-1, 1, 1]),
        ([0], [0, 1, 1], [0, 1, 1]),  # contradicts itself: refused later
    ],
)
def test_counting_from_zero_or_from_one(described, points, expected):
    number, indexed, _ = numbered(np.array(points), np.ones(3, bool), described)
    assert np.where(indexed, number, -1).tolist() == expected


def test_zeros_alone_are_an_orientation():
    euler = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]])
    assert has_solution(euler, {}).all()
    assert has_solution(euler, {"ci": np.zeros(3)}).all()  # a program that has none
    assert has_solution(euler, {"ci": np.array([0.0, 0.5, 0.4])}).tolist() == [False, True, True]


SETTINGS = [
    ("2", (9.8, 8.9, 5.3, 90, 90, 110), "112/m"),
    ("20", (9.8, 8.9, 5.3, 90, 110, 90), "2/m"),
    ("20", (9.8, 8.9, 5.3, 105, 90, 90), "2/m11"),
]


@pytest.mark.parametrize(("symbol", "cell", "laue"), SETTINGS)
def test_the_cell_tells_the_unique_axis(made, points, tmp_path, symbol, cell, laue):
    content = made.ang(points, phases=1).replace("43\n", f"{symbol}\n")
    numbers = " ".join(f"{x:.3f}" for x in made.CUBIC)
    content = content.replace(numbers, " ".join(map(str, cell)))
    assert (
        registry.read(made.write(tmp_path, "map.ang", content)).crystal_map.phases[0].laue == laue
    )


@pytest.mark.parametrize(
    ("group", "laue"), [(149, "-31m"), (151, "-31m"), (152, "-3m"), (162, "-31m"), (167, "-3m")]
)
def test_the_space_group_parts_312_from_321(made, points, tmp_path, group, laue):
    content = made.ctf(points).replace("Titanium\t9\t194", f"Titanium\t7\t{group}")
    assert (
        registry.read(made.write(tmp_path, "map.ctf", content)).crystal_map.phases[1].laue == laue
    )
    pair = made.write_crc(tmp_path, points)
    text = pair.with_suffix(".cpr").read_text()
    text = text.replace("LaueGroup=9", f"LaueGroup=7\nSpaceGroup={group}")
    pair.with_suffix(".cpr").write_text(text)
    assert registry.read(pair).crystal_map.phases[1].laue == laue


def test_the_next_version_of_dream3d(made, points, tmp_path):
    import h5py

    old = registry.read(made.write_dream3d(tmp_path, points, sections=2)).crystal_map
    path = tmp_path / "nx.dream3d"
    with h5py.File(tmp_path / "map.dream3d") as file, h5py.File(path, "w") as new:
        source = file["DataContainers/ImageDataContainer"]
        group = new.create_group("DataStructure/Small IN100")
        group.attrs["_DIMENSIONS"] = source["_SIMPL_GEOMETRY/DIMENSIONS"][()]
        group.attrs["_SPACING"] = source["_SIMPL_GEOMETRY/SPACING"][()]
        file.copy(source["CellData"], group, "Cell Data")
        file.copy(source["CellEnsembleData"], group, "Cell Ensemble Data")
    found = registry.read(path).crystal_map
    assert np.array_equal(found.orientation, old.orientation)
    assert np.array_equal(found.phase, old.phase)
    assert found.step == old.step
