"""HDF5 of Oxford Instruments, EDAX, Bruker, EMsoft and orix."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, registry
from xtalfuse.loaders.record import Calibration, Modality
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, GridKind
from xtalfuse.physics.orientation.arrays import from_euler

VENDORS = ("write_h5oina", "write_edax", "write_bruker")
ONE_PHASE = ("write_emsoft",)


@pytest.mark.parametrize("writer", VENDORS)
def test_points_and_phases_come_back(made, points, tmp_path, writer):
    found = registry.read(getattr(made, writer)(tmp_path, points))
    assert found.modality is Modality.EBSD
    crystal_map = found.crystal_map
    assert np.array_equal(crystal_map.phase, points.phase - 1)
    assert np.allclose(crystal_map.position[:, :2], np.stack([points.x, points.y], 1), atol=1e-6)
    names = [(p.name, p.laue) for p in crystal_map.phases]
    assert names == [("Copper", "m-3m"), ("Titanium", "6/mmm")]
    assert np.allclose(crystal_map.phases[1].cell, made.HEXAGONAL, atol=1e-4)
    copper = points.phase == 1
    same = np.abs(np.sum(from_euler(points.euler[copper]) * crystal_map.orientation[copper], 1))
    assert same.min() > 1 - 1e-9  # angles in single precision
    assert crystal_map.quality


@pytest.mark.parametrize("refined", [False, True])
def test_emsoft_gives_the_best_match_or_the_refined_angles(made, points, tmp_path, refined):
    found = registry.read(made.write_emsoft(tmp_path, points, refined))
    expected = from_euler(points.euler + (0.01 if refined else 0.0))
    same = np.abs(np.sum(expected * found.values, axis=1))
    assert same.min() > 1 - 1e-12
    assert found.crystal_map.shape == (1, 7, 9)
    assert found.crystal_map.phases[0].laue == "m-3m"
    assert ("refined" in found.provenance.metadata["orientations"]) is refined


def test_a_hexagonal_grid_of_edax(made, tmp_path):
    points = made.Points(hexagonal=True)
    found = registry.read(made.write_edax(tmp_path, points)).crystal_map
    assert found.grid is GridKind.HEXAGONAL
    assert np.allclose(found.position[:, :2], np.stack([points.x, points.y], 1), atol=1e-6)


def test_points_outside_the_measured_area_are_left_out_and_told(made, points, tmp_path):
    outside = np.hypot(points.x - 2, points.y - 1.5) > 1.8
    found = registry.read(made.write_h5oina(tmp_path, points, outside))
    assert len(found.values) == (~outside).sum()
    places = np.stack([points.x, points.y], 1)[~outside]
    assert np.allclose(found.crystal_map.position[:, :2], places)
    assert found.provenance.warnings == (f"{outside.sum()} points of the grid were not measured",)


def test_an_irregular_area_of_bruker_keeps_its_places(made, points, tmp_path):
    keep = np.hypot(points.x - 2, points.y - 1.5) < 1.6
    found = registry.read(made.write_bruker(tmp_path, points, keep)).crystal_map
    places = np.stack([points.x, points.y], 1)[keep]
    assert np.allclose(found.position[:, :2], places - places.min(axis=0))
    assert np.array_equal(found.phase, points.phase[keep] - 1)


def test_bruker_does_not_tell_its_crystal_axes(made, points, tmp_path):
    said = registry.read(made.write_bruker(tmp_path, points)).provenance.warnings
    assert said
    assert said[0].startswith("Titanium: crystal axes are not told")


@pytest.mark.parametrize("unit", ["um", "nm", "px"])
def test_orix_gives_the_unit_of_length(points, tmp_path, unit):
    crystal_map = pytest.importorskip("orix.crystal_map")
    from orix import io
    from orix.quaternion import Rotation

    theirs = crystal_map.CrystalMap(
        rotations=Rotation.from_euler(points.euler),
        phase_id=points.phase - 1,
        x=points.x,
        y=points.y,
        phase_list=crystal_map.PhaseList(
            [crystal_map.Phase("Cu", space_group=225), crystal_map.Phase("Ti", space_group=194)]
        ),
        prop={"iq": points.x},
        scan_unit=unit,
    )
    path = tmp_path / "orix.h5"
    io.save(str(path), theirs)
    ours = registry.read(path)
    assert np.array_equal(ours.crystal_map.phase, points.phase - 1)
    assert [p.laue for p in ours.crystal_map.phases] == ["m-3m", "6/mmm"]
    indexed = ours.crystal_map.phase != NOT_INDEXED
    same = np.abs(np.sum(theirs.rotations.data * ours.values, axis=1))[indexed]
    assert same.min() > 1 - 1e-12
    assert ours.calibration is (Calibration.UNKNOWN if unit == "px" else Calibration.KNOWN)
    assert ours.crystal_map.step[0] == pytest.approx(0.5 * {"nm": 1e-3}.get(unit, 1.0))


def test_a_volume_of_dream3d(made, points, tmp_path):
    found = registry.read(made.write_dream3d(tmp_path, points))
    crystal_map = found.crystal_map
    assert crystal_map.shape == (3, 7, 9)
    assert crystal_map.step == pytest.approx((0.5, 0.5, 0.25))
    assert np.array_equal(crystal_map.phase, np.tile(points.phase - 1, 3))
    assert np.allclose(crystal_map.position[63:126, :2], np.stack([points.x, points.y], 1))
    second = from_euler(points.euler + np.array([0.1, 0, 0]))[points.phase > 0]
    ours = found.values[63:126][points.phase > 0]
    assert np.abs(np.sum(second * ours, axis=1)).min() > 1 - 1e-9
    assert [(p.name, p.laue) for p in crystal_map.phases] == [
        ("Copper", "m-3m"), ("Titanium", "6/mmm"),
    ]  # fmt: skip
    assert found.calibration is Calibration.ASSUMED
    assert any("Titanium: crystal axes" in text for text in found.provenance.warnings)


def _set(path, where, value):
    with h5py.File(path, "r+") as file:
        del file[where]
        if value is not None:
            file[where] = value


WRONG = {
    "fewer phases than points": ("write_h5oina", "1/EBSD/Data/Phase", np.ones((60, 1), "u1")),
    "more columns": ("write_h5oina", "1/EBSD/Header/X Cells", [10]),
    "no step": ("write_h5oina", "1/EBSD/Header/X Step", None),
    "a step of zero": ("write_h5oina", "1/EBSD/Header/X Step", [0.0]),
    "an unknown Laue group": ("write_h5oina", "1/EBSD/Header/Phases/2/Laue Group", [15]),
    "a phase too many": ("write_h5oina", "1/EBSD/Data/Phase", np.full((63, 1), 3, "u1")),
    "angles that are no numbers": ("write_h5oina", "1/EBSD/Data/Euler", np.full((63, 3), np.nan)),
    "fewer rows": ("write_edax", "Scan 1/EBSD/Header/nRows", [6]),
    "one angle short": ("write_edax", "Scan 1/EBSD/Data/Phi2", np.zeros(60)),
    "no symmetry": ("write_edax", "Scan 1/EBSD/Header/Phase/1", None),
    "another number of points": ("write_bruker", "Scan/EBSD/Header/NPoints", 62),
    "another grid": ("write_bruker", "Scan/EBSD/Header/Grid Type", b"hexagonal"),
    "voxels missing": (
        "write_dream3d", "DataContainers/ImageDataContainer/CellData/Phases", np.ones((2, 7, 9, 1)),
    ),
    "matches outside": ("write_emsoft", "Scan 1/EBSD/Data/TopMatchIndices", np.full((63, 3), 99)),
    "matches missing": ("write_emsoft", "Scan 1/EBSD/Data/TopMatchIndices", np.ones((50, 3))),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_trusted_is_refused(made, points, tmp_path, wrong):
    writer, where, value = WRONG[wrong]
    path = getattr(made, writer)(tmp_path, points)
    _set(path, where, value)
    with pytest.raises(UnreadableFileError, match=r"map\.\w+: .+; .+"):
        registry.read(path)


def test_points_that_are_not_stored_row_by_row_are_refused(made, points, tmp_path):
    path = made.write_h5oina(tmp_path, points)
    with h5py.File(path, "r+") as file:
        file["1/EBSD/Data/X"][...] = points.x[::-1]
    with pytest.raises(UnreadableFileError, match="not stored row by row"):
        registry.read(path)


def test_a_second_map_is_told(made, points, tmp_path):
    path = made.write_edax(tmp_path, points)
    with h5py.File(path, "r+") as file:
        file.copy("Scan 1", "Scan 2")
    assert "also holds /Scan 2, not read" in registry.read(path).provenance.warnings


def test_other_hdf5_is_left_to_other_readers(tmp_path):
    path = tmp_path / "image.h5"
    with h5py.File(path, "w") as file:
        file["image/data"] = np.zeros((8, 8))
    with FileHead.of(path) as head:
        assert Modality.EBSD not in registry.choose(head).modalities
