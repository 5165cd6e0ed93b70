"""Serial sections, and what the rest of the package makes of orientation maps."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app
from xtalfuse.loaders import UnreadableFileError, load, load_specimen
from xtalfuse.loaders.ebsd.stack import series_of
from xtalfuse.loaders.record import Calibration, Modality
from xtalfuse.loaders.safe.checks import check_crystal_map
from xtalfuse.physics.grains.crystal_map import CrystalMap, GridKind, MapPhase
from xtalfuse.tasks.identify.pipeline import identify


@pytest.fixture
def stack(made, tmp_path):
    folder = tmp_path / "stack"
    folder.mkdir()
    for number in range(8, 13):
        made.write(folder, f"S{number}.ANG", made.ang(made.Points()))
    return folder


def test_sections_lie_in_the_order_of_their_numbers(stack):
    assert [number for number, _ in series_of(stack)] == [8, 9, 10, 11, 12]
    found = load(stack)
    assert found.crystal_map.shape == (5, 7, 9)
    assert np.array_equal(found.crystal_map.index[:63, 0], np.zeros(63))
    assert found.values.shape == (5 * 63, 4)


def test_a_distance_of_sections_is_never_silently_assumed(stack):
    found = load(stack)
    assert found.crystal_map.step == (0.5, 0.5, 0.5)
    assert found.calibration is Calibration.ASSUMED
    assert any("taken equal to the step in x" in text for text in found.provenance.warnings)


def test_the_distance_comes_from_the_description_or_by_hand(made, stack):
    made.write(stack, "specimen.yaml", "section_step: 0.25\n")
    found = load(stack)
    assert found.crystal_map.step[2] == 0.25
    assert found.calibration is Calibration.KNOWN
    assert load(stack, section_step_um=0.125).crystal_map.step[2] == 0.125
    with pytest.raises(ValueError, match="micrometres"):
        load(stack, section_step_um=-1.0)


def test_a_section_that_is_missing_stays_empty_and_is_told(stack):
    (stack / "S10.ANG").unlink()
    found = load(stack)
    assert found.crystal_map.shape == (5, 7, 9)
    assert set(found.crystal_map.index[:, 0]) == {0, 1, 3, 4}
    assert any("left out" in text for text in found.provenance.warnings)


@pytest.mark.parametrize("wrong", ["cut", "phases", "step"])
def test_one_section_that_does_not_fit_is_named(made, stack, wrong):
    path = stack / "S11.ANG"
    text = path.read_text()
    points = made.Points(step=(0.6, 0.6)) if wrong == "step" else made.Points()
    made.write(stack, "S11.ANG", made.ang(points, phases=1 if wrong == "phases" else 2))
    if wrong == "cut":
        path.write_text(text[:-300])
    with pytest.raises(UnreadableFileError, match=r"^S11\.ANG: .+; .+"):
        load(stack)


def test_two_series_are_no_stack(made, stack):
    made.write(stack, "T1.ANG", made.ang(made.Points()))
    assert series_of(stack) == ()


def test_the_real_sections_make_a_volume(real):
    found = load(real / "ebsd/steel_3d")
    assert found.crystal_map.shape == (59, 40, 35)
    assert len(found.crystal_map.phase) == 59 * 1400
    assert found.crystal_map.step == (0.4, 0.4, 0.4)


def test_identify_says_for_whom_a_map_is(made, points, references, tmp_path):
    folder = tmp_path / "specimen"
    folder.mkdir()
    made.write(folder, "map.ang", made.ang(points))
    made.write_crc(folder, points, "other")
    record = load_specimen(folder)
    assert [m.modality for m in record.measurements] == [Modality.EBSD, Modality.EBSD]
    answer = identify(record, references)
    assert answer.phases == ()
    assert len(answer.files) == 3
    for file in answer.files:
        assert not file.used
        assert file.modality == "ebsd"
        assert "for `xtalfuse microstructure`" in file.reason


def test_the_terminal_says_what_a_map_holds(made, points, tmp_path):
    path = made.write(tmp_path, "map.ang", made.ang(points))
    shown = CliRunner().invoke(app, ["read", str(path)]).stdout
    for text in ("63 on a square grid", "7 rows, 9 columns", "0.5 x 0.5 um", "Titanium", "6/mmm",
                 "not indexed", "4.8%", "ci, fit, iq, sem"):  # fmt: skip
        assert text in shown
    told = json.loads(CliRunner().invoke(app, ["read", "--json", str(path)]).stdout)["map"]
    assert told["points"] == 63
    assert sum(phase["fraction"] for phase in told["phases"]) + told["not_indexed"] == 1.0


GOOD = CrystalMap(
    orientation=np.tile([1.0, 0.0, 0.0, 0.0], (4, 1)),
    phase=np.array([0, 0, -1, 0]),
    index=np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]),
    phases=(MapPhase("Cu", "m-3m"),),
    grid=GridKind.SQUARE,
    step=(0.1, 0.1, 0.0),
    quality={"ci": np.ones(4)},
)
BAD = {
    "no unit quaternions": {"orientation": np.full((4, 4), 0.6)},
    "orientations are no": {"orientation": np.full((4, 4), np.nan)},
    "phases": {"phase": np.array([0, 0, 0, 1])},
    "two points at one place": {"index": np.zeros((4, 3), int)},
    "steps of": {"step": (0.1, 0.0, 0.0)},
    "columns of": {"quality": {"ci": np.ones(3)}},
    "without points": {
        "orientation": np.empty((0, 4)), "phase": np.empty(0, int), "index": np.empty((0, 3), int),
    },
    "scattered over": {"index": GOOD.index * (1, 3000, 3000)},
    "outside the map": {"index": GOOD.index - 1},
}  # fmt: skip


def test_a_good_map_has_no_warning():
    assert check_crystal_map(GOOD, name="map") == ()


@pytest.mark.parametrize("cause", BAD)
def test_a_map_that_none_can_have_measured_is_refused(cause):
    with pytest.raises(UnreadableFileError, match=cause):
        check_crystal_map(replace(GOOD, **BAD[cause]), name="map")


def test_a_map_without_an_indexed_point_is_a_warning():
    empty = replace(GOOD, phase=np.full(4, -1))
    assert check_crystal_map(empty, name="map") == ("no point of the map is indexed",)
