"""`.ang`: right on real maps, refused where points are missing."""

from __future__ import annotations

import numpy as np
import pytest

from xtalfuse.loaders import UnreadableFileError, registry
from xtalfuse.loaders.record import Calibration
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, GridKind

STEEL = "ebsd/steel_ferrite_austenite/sdss_ferrite_austenite.ang"
COPPER = "ebsd/copper_hexagonal_grid/EBSD.ang"


def read(made, folder, content, name="map.ang"):
    return registry.read(made.write(folder, name, content))


def test_every_point_of_the_hexagonal_map_is_where_the_file_says(real):
    found = registry.read(real / COPPER).crystal_map
    table = np.loadtxt(real / COPPER)
    assert len(found.phase) == len(table) == 23909
    assert found.grid is GridKind.HEXAGONAL
    assert found.shape == (1, 231, 104)
    # positions are printed with five digits
    assert np.abs(found.position[:, :2] - table[:, 3:5]).max() < 2e-5
    assert set(np.bincount(found.index[:, 1])[0::2]) == {104}
    assert set(np.bincount(found.index[:, 1])[1::2]) == {103}
    assert (found.phase == NOT_INDEXED).sum() == (table[:, 0] > 12.5).sum() == 2945


def test_neighbours_on_the_hexagonal_map_are_one_step_apart(real):
    found = registry.read(real / COPPER).crystal_map
    i, j = found.pairs()
    apart = np.linalg.norm(found.position[i] - found.position[j], axis=1)
    assert np.abs(apart - 0.2).max() < 1e-6
    inside = np.bincount(np.concatenate([i, j]))[104 + 103 + 50]
    assert inside == 6


def test_a_square_map_is_as_orix_reads_it(real):
    io = pytest.importorskip("orix.io")
    theirs = io.load(str(real / STEEL))
    ours = registry.read(real / STEEL).crystal_map
    same = np.abs(np.sum(theirs.rotations.data.reshape(-1, 4) * ours.orientation, axis=1))
    assert same.min() > 1.0 - 1e-12
    assert np.array_equal(theirs.phase_id - 1, ours.phase)
    assert [p.laue for p in ours.phases] == ["m-3m", "m-3m"]
    assert ours.shape == (1, 100, 117)
    assert ours.step == (1.5, 1.5, 0.0)
    assert sorted(ours.quality) == ["dot_product", "iq"]


def test_positions_phases_and_unindexed_points_come_back(made, points, tmp_path):
    found = read(made, tmp_path, made.ang(points))
    map_ = found.crystal_map
    assert np.allclose(map_.position[:, :2], np.stack([points.x, points.y], 1), atol=1e-6)
    assert np.array_equal(map_.phase, points.phase - 1)
    assert [(p.name, p.laue) for p in map_.phases] == [("Copper", "m-3m"), ("Titanium", "6/mmm")]
    assert map_.phases[1].cell == made.HEXAGONAL
    assert (map_.orientation[map_.phase == NOT_INDEXED] == (1, 0, 0, 0)).all()
    assert found.calibration is Calibration.KNOWN
    assert found.provenance.warnings == ()
    assert set(map_.quality) == {"iq", "ci", "sem", "fit"}


@pytest.mark.parametrize("even_shifted", [False, True])
def test_either_rows_of_a_hexagonal_grid_may_be_shifted(made, tmp_path, even_shifted):
    points = made.Points(hexagonal=True, even_shifted=even_shifted)
    found = read(made, tmp_path, made.ang(points)).crystal_map
    assert found.grid is GridKind.HEXAGONAL
    moved = found.position[:, :2] - np.stack([points.x, points.y], 1)
    assert np.abs(moved - moved[0]).max() < 1e-5  # as a whole by half a step
    assert np.abs(moved[0]).max() <= points.step[0]
    i, j = found.pairs()
    apart = np.hypot(points.x[i] - points.x[j], points.y[i] - points.y[j])
    assert np.allclose(apart, points.step[0], atol=1e-6)
    assert np.bincount(np.concatenate([i, j])).max() == 6


def test_the_only_phase_may_be_numbered_zero(made, points, tmp_path):
    found = read(made, tmp_path, made.ang(points, phases=1)).crystal_map
    assert np.array_equal(found.phase == NOT_INDEXED, points.phase == 0)
    assert set(found.phase) == {0, NOT_INDEXED}


@pytest.mark.parametrize("columns", [7, 8, 10, 14])
def test_older_and_newer_files_have_other_columns(made, points, tmp_path, columns):
    phases = 1 if columns < 8 else 2
    found = read(made, tmp_path, made.ang(points, columns=columns, phases=phases)).crystal_map
    assert np.array_equal(found.phase == NOT_INDEXED, points.phase == 0)
    assert len(found.quality) == columns - 5 - (columns >= 8)


def test_named_columns_are_believed(made, points, tmp_path):
    named = "# COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit, PRIAS Bottom\n"
    found = read(made, tmp_path, made.ang(points, columns=11, header=named)).crystal_map
    assert "prias_bottom" in found.quality
    assert np.array_equal(found.phase, points.phase - 1)


def test_astar_writes_nanometres(made, points, tmp_path):
    content = "# File created from ACOM RES results\n" + made.ang(points, grid=False)
    assert read(made, tmp_path, content).crystal_map.step[0] == pytest.approx(0.5e-3)


@pytest.mark.parametrize("name", ["map.ANG", "map.txt", "map"])
def test_an_ang_is_known_by_its_content(made, points, tmp_path, name):
    assert read(made, tmp_path, made.ang(points, end="\r\n"), name).crystal_map is not None


def test_a_map_that_was_thinned_out_is_read_and_said(made, points, tmp_path):
    content = made.ang(points)
    for one, other in (("NCOLS_ODD: 9", "NCOLS_ODD: 27"), ("NCOLS_EVEN: 9", "NCOLS_EVEN: 27"),
                       ("NROWS: 7", "NROWS: 21"), ("XSTEP: 0.500000", "XSTEP: 0.166667"),
                       ("YSTEP: 0.500000", "YSTEP: 0.166667")):  # fmt: skip
        content = content.replace(one, other)
    found = read(made, tmp_path, content)
    assert found.crystal_map.shape == (1, 7, 9)
    assert "one of 3 x 3 was kept" in found.provenance.warnings[0]


WRONG = {
    "fewer rows than declared": lambda t: t.replace("NROWS: 7", "NROWS: 8"),
    "fewer columns than declared": lambda t: t.replace("NCOLS_ODD: 9", "NCOLS_ODD: 12"),
    "more rows than declared": lambda t: t.replace("NROWS: 7", "NROWS: 6"),
    "NaN": lambda t: t.replace("145.0", "  nan", 1),
    "a word": lambda t: t.replace("145.0", "1x5.0", 1),
    "a missing number": lambda t: t.replace("145.0", "", 1),
    "an unknown symmetry": lambda t: t.replace("Symmetry              43", "Symmetry     777"),
    "a phase that is not described": lambda t: t.replace("0.800  2", "0.800  5", 1),
    "no phases": lambda t: t.replace("# MaterialName", "# Name"),
    "an angle of 100": lambda t: t.replace("  4.2", "100.2", 1),
    "the last line twice": lambda t: t + t.splitlines()[-1] + "\n",
    "a point off the grid": lambda t: t.replace(
        "     0.50000      0.0", "     0.72000      0.0", 1
    ),
    "no points": lambda t: "\n".join(x for x in t.splitlines() if x.startswith("#")) + "\n",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_trusted_is_refused(made, points, tmp_path, wrong):
    content = made.ang(points)
    assert WRONG[wrong](content) != content
    with pytest.raises(UnreadableFileError, match=r"map\.ang: .+; .+"):
        read(made, tmp_path, WRONG[wrong](content))


def test_a_map_that_declares_nothing_and_lacks_the_end_of_its_last_row_is_refused(
    made, points, tmp_path
):
    lines = made.ang(points, grid=False).splitlines()
    assert read(made, tmp_path, "\n".join(lines)).crystal_map.shape == (1, 7, 9)
    with pytest.raises(UnreadableFileError, match="last row has 8 points where others have 9"):
        read(made, tmp_path, "\n".join(lines[:-1]))


def test_orix_writes_what_we_read(points, tmp_path):
    crystal_map = pytest.importorskip("orix.crystal_map")
    from orix import io
    from orix.quaternion import Rotation

    phases = crystal_map.PhaseList(
        [crystal_map.Phase("Cu", point_group="m-3m"), crystal_map.Phase("Ti", point_group="6/mmm")]
    )
    theirs = crystal_map.CrystalMap(
        rotations=Rotation.from_euler(points.euler),
        phase_id=points.phase - 1,
        x=points.x,
        y=points.y,
        phase_list=phases,
        prop={"iq": points.x, "ci": points.y, "detector_signal": points.x, "fit": points.x},
    )
    path = tmp_path / "orix.ang"
    io.save(str(path), theirs)
    ours = registry.read(path).crystal_map
    assert np.array_equal(ours.phase, points.phase - 1)
    indexed = points.phase > 0
    same = np.abs(np.sum(theirs.rotations.data * ours.orientation, axis=1))[indexed]
    assert same.min() > 1.0 - 1e-9  # printed with five digits
