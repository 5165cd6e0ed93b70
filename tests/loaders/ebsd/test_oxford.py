"""`.crc` with `.cpr`, and `.ctf`: angles, crystal axes, ragged and hexagonal maps."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, registry
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, GridKind
from xtalfuse.physics.orientation.arrays import from_euler

NICKEL = "ebsd/nickel_superalloy"


def test_another_program_sees_the_same_grains(real):
    """Inside each of DefDAP's grains neighbours differ by less than its threshold, across more."""
    orientation = pytest.importorskip("xtalfuse.physics.orientation.disorientation")
    found = registry.read(real / NICKEL / "testDataEBSD.crc").crystal_map
    grain = np.load(real / NICKEL / "ebsd_grains_5deg_10.npz")["grains"].ravel()
    assert found.shape == (1, 243, 359)
    assert len(found.phase) == grain.size == 87237
    i, j = found.pairs()
    within = (grain[i] > 0) & (grain[j] > 0)
    i, j = i[within], j[within]
    angle = orientation.disorientation_angle(found.orientation[i], found.orientation[j], "m-3m")
    same = grain[i] == grain[j]
    # neighbours of one grain may be joined around a larger step: none is
    assert np.rad2deg(angle[same]).max() < 5.0
    assert np.rad2deg(angle[~same]).min() > 5.0


def test_either_of_the_pair_may_be_given(made, points, tmp_path):
    path = made.write_crc(tmp_path, points)
    first, second = registry.read(path), registry.read(path.with_suffix(".cpr"))
    assert np.array_equal(first.values, second.values)
    assert registry.companions(path) == [str(path.with_suffix(".cpr"))]
    assert registry.companions(path.with_suffix(".cpr")) == []


def test_a_binary_map_comes_back(made, points, tmp_path):
    found = registry.read(made.write_crc(tmp_path, points)).crystal_map
    assert np.array_equal(found.phase, points.phase - 1)
    assert np.allclose(found.position[:, :2], np.stack([points.x, points.y], 1))
    assert {k: v[0] for k, v in found.quality.items() if k.startswith("band")} == {
        "band_contrast": 120, "band_slope": 200, "bands": 8,
    }  # fmt: skip
    copper = points.phase == 1
    expected = from_euler(points.euler[copper])
    assert np.allclose(np.abs(np.sum(expected * found.orientation[copper], 1)), 1, atol=1e-9)


@pytest.mark.parametrize("missing", [".crc", ".cpr"])
def test_one_of_the_pair_alone_is_refused(made, points, tmp_path, missing):
    path = made.write_crc(tmp_path, points)
    path.with_suffix(missing).unlink()
    other = path.with_suffix({".crc": ".cpr", ".cpr": ".crc"}[missing])
    with pytest.raises(UnreadableFileError, match=r"map\.c..: .+; .+"):
        registry.read(other)


def test_oxfords_hexagonal_crystal_axes_are_turned_to_x_along_a(made, points, tmp_path):
    """Oxford: x along a*, y along b. A crystal aligned with the specimen has a at -30 degrees."""
    points.euler[:], points.phase[:] = 0.0, 2
    found = registry.read(made.write_crc(tmp_path, points))
    # v_crystal = R(q) v_specimen: what lies along a is R(q)^T (1, 0, 0)
    w, x, y, z = found.crystal_map.orientation[0]
    along_a = np.array([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)])
    assert np.allclose(along_a, [np.cos(np.pi / 6), -np.sin(np.pi / 6), 0.0])
    assert "x along a" in found.provenance.metadata["crystal_frame"]


def test_the_turn_is_that_of_the_orientation_module(made):
    laue = pytest.importorskip("xtalfuse.physics.orientation.laue")
    from xtalfuse.loaders.ebsd.symmetry import from_oxford_frame

    assert np.allclose(from_oxford_frame(made.HEXAGONAL), laue.A_STAR_TO_A)
    assert np.allclose(from_oxford_frame(made.CUBIC), [1, 0, 0, 0])


def test_bunge_angles_are_those_of_the_orientation_module(points):
    orientation = pytest.importorskip("xtalfuse.physics.orientation.disorientation")
    theirs = orientation.from_euler(points.euler)
    same = np.abs(np.sum(theirs * from_euler(points.euler), axis=1))
    assert same.min() > 1.0 - 1e-14


@pytest.mark.parametrize("comma", [False, True])
def test_channel_text_with_points_or_commas(made, points, tmp_path, comma):
    found = registry.read(made.write(tmp_path, "map.ctf", made.ctf(points, comma=comma)))
    crystal_map = found.crystal_map
    assert np.array_equal(crystal_map.phase, points.phase - 1)
    assert crystal_map.shape == (1, 7, 9)
    assert crystal_map.phases[1].cell == made.HEXAGONAL
    copper = points.phase == 1
    same = np.abs(np.sum(from_euler(points.euler[copper]) * crystal_map.orientation[copper], 1))
    assert same.min() > 1 - 1e-9  # printed with four digits of a degree
    assert found.provenance.warnings == ()


def test_channel_text_is_as_orix_reads_it(made, points, tmp_path):
    io = pytest.importorskip("orix.io")
    points.phase[:] = np.where(points.phase == 2, 1, points.phase)  # cubic: same crystal axes
    path = made.write(tmp_path, "map.ctf", made.ctf(points))
    theirs, ours = io.load(str(path)), registry.read(path).crystal_map
    indexed = ours.phase != NOT_INDEXED
    assert np.array_equal(theirs.phase_id > 0, indexed)
    same = np.abs(np.sum(theirs.rotations.data * ours.orientation, axis=1))[indexed]
    assert same.min() > 1 - 1e-12


def test_a_ragged_map_keeps_its_points_and_says_so(made, points, tmp_path):
    keep = np.hypot(points.x - 2.0, points.y - 1.5) < 2.01
    assert points.y[keep].max() == points.y.max()
    assert points.x[keep].max() == points.x.max()
    found = registry.read(made.write(tmp_path, "map.ctf", made.ctf(points, keep=keep)))
    places = found.crystal_map.position[:, :2]
    assert np.allclose(places, np.stack([points.x, points.y], 1)[keep])
    assert f"{keep.sum()} of 63 points" in found.provenance.warnings[0]


def test_a_ragged_map_that_ends_early_is_refused(made, points, tmp_path):
    keep = (points.y < 2.4) & (points.x > 0.4)
    with pytest.raises(UnreadableFileError, match="63 are declared"):
        registry.read(made.write(tmp_path, "map.ctf", made.ctf(points, keep=keep)))


def test_points_on_no_grid_are_refused_not_put_on_one(made, points, tmp_path):
    scattered = np.random.default_rng(0)
    points.x, points.y = scattered.uniform(0, 4, (2, len(points)))
    with pytest.raises(UnreadableFileError, match="lie on no grid"):
        registry.read(made.write(tmp_path, "map.ctf", made.ctf(points)))


def test_channel_text_of_a_hexagonal_grid(made, tmp_path):
    points = made.Points(hexagonal=True)
    found = registry.read(made.write(tmp_path, "map.ctf", made.ctf(points))).crystal_map
    assert found.grid is GridKind.HEXAGONAL
    assert np.allclose(found.position[:, :2], np.stack([points.x, points.y], 1), atol=1e-4)


def test_crystal_axes_that_are_not_known_are_a_warning(made, points, tmp_path):
    content = made.ctf(points).replace("[Unknown]", "File created from ACOM RES results")
    said = registry.read(made.write(tmp_path, "map.ctf", content)).provenance.warnings
    assert said == (
        "Titanium: crystal axes are not told by the file; taken as x along a, z along c*",
    )


WRONG = {
    "Laue group": ("\t11\t225", "\t17\t999"),
    "cell": ("3.600;3.600;3.600", "3.600;3.600"),
    "angles of the cell": ("90.000;90.000;120.000", "90.000;90.000;190.000"),
    "number of phases": ("Phases\t2", "Phases\t3"),
    "columns": ("Euler3", "Euler2"),
    "declared rows": ("YCells\t7", "YCells\t9"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_header_is_refused(made, points, tmp_path, wrong):
    content = made.ctf(points).replace(*WRONG[wrong])
    assert content != made.ctf(points)
    with pytest.raises(UnreadableFileError, match=r"map\.ctf: .+; .+"):
        registry.read(made.write(tmp_path, "map.ctf", content))
