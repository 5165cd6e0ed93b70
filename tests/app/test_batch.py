"""Many specimens: each is found, has its own folder, and costs no other when it fails."""

from __future__ import annotations

import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from xtalfuse.batch import (
    DIED,
    Options,
    Status,
    exit_code,
    find_specimens,
    plan,
    status_of,
    work,
    work_on_all,
)
from xtalfuse.loaders.record import FileReport
from xtalfuse.options import UsageError
from xtalfuse.report.run import RESULT, one_run


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_folder_with_files_is_one_specimen_and_a_folder_of_folders_several(tmp_path: Path):
    touch(tmp_path / "many" / "a" / "scan.xy")
    touch(tmp_path / "many" / "a" / "edge.msa")
    touch(tmp_path / "many" / "b" / "scan.xy")
    touch(tmp_path / "many" / ".hidden" / "scan.xy")
    touch(tmp_path / "many" / "results" / "a" / "result.json")
    single = touch(tmp_path / "single.xy")
    out = tmp_path / "many" / "results"
    found = find_specimens([tmp_path / "many", single, single], out)
    assert found == [tmp_path / "many" / "a", tmp_path / "many" / "b", single]


def test_a_path_that_holds_nothing_is_a_usage_error(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no files"):
        find_specimens([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(UsageError, match="no such file or folder"):
        find_specimens([tmp_path / "absent"], tmp_path / "out")


def test_every_specimen_has_a_folder_of_its_own(tmp_path: Path):
    names = ["x/scan.xy", "x/scan.raw", "y/scan.xy", "y/SCAN.xy", "z/...", "z/ä b;$(rm).xy"]
    paths = [touch(tmp_path / name) for name in names]
    folders = [job.folder for job in plan(paths, tmp_path / "out", Options())]
    assert len({str(folder).lower() for folder in folders}) == len(paths)
    assert all(folder.parent == tmp_path / "out" for folder in folders)
    assert all(folder.name.strip(".") for folder in folders)
    assert folders[0].name == "scan"
    assert folders[1].name == "scan.raw"
    assert folders[5].name == "ä_b_rm"


def test_a_specimen_never_takes_the_results_of_another(tmp_path: Path):
    out = tmp_path / "out"
    with one_run(out / "scan", RESULT, {}, "scan.xrdml"):
        pass
    paths = [touch(tmp_path / name) for name in ("scan.xy", "scan.xrdml")]
    touch(out / "specimen" / "measured.xy")  # what was measured, not results
    paths.append(out / "specimen")
    for some in (paths, paths[::-1], paths[:1]):  # whatever is worked on with it
        folders = {job.path.name: job.folder.name for job in plan(some, out, Options())}
        known = {"scan.xy": "scan.xy", "scan.xrdml": "scan", "specimen": "specimen-2"}
        assert folders == {path.name: known[path.name] for path in some}


def test_a_folder_that_may_not_be_read_costs_no_other(tmp_path: Path, monkeypatch):
    locked, good = tmp_path / "all" / "locked", touch(tmp_path / "all" / "good" / "scan.xy")
    touch(locked / "scan.xy")
    look = Path.iterdir

    def iterdir(path: Path):
        if path == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return look(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    found = find_specimens([tmp_path / "all"], tmp_path / "out")
    assert found == [good.parent, locked]
    outcome = work(plan([locked], tmp_path / "out", Options())[0])
    assert outcome.status is Status.UNUSABLE
    assert "locked: the folder cannot be read (Permission denied)" in outcome.error


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([Status.ANSWERED, Status.ANSWERED], 0),
        ([Status.ANSWERED, Status.PARTLY], 3),
        ([Status.ANSWERED, Status.UNUSABLE], 3),
        ([Status.UNUSABLE, Status.UNUSABLE], 4),
        ([Status.UNUSABLE, Status.CRASHED], 1),
        ([Status.ANSWERED, Status.UNWRITTEN], 2),
    ],
)
def test_exit_codes(statuses, code):
    assert exit_code(statuses) == code


def test_a_file_that_was_read_but_had_no_say_is_not_refused(answer):
    used = FileReport("a.xy", "0", "xrd", "rietx", True, "")
    unused = FileReport("b.tif", "0", "image", "hyperspy/tiff", False, "images have no say")
    refused = FileReport("c.raw", "0", None, None, False, "c.raw: a rocking curve")
    assert status_of(replace(answer, files=(used,))) is Status.ANSWERED
    assert status_of(replace(answer, files=(used, unused))) is Status.ANSWERED
    assert status_of(replace(answer, files=(used, refused))) is Status.PARTLY
    assert status_of(replace(answer, files=(refused,))) is Status.UNUSABLE
    described = FileReport("specimen.yaml", "0", None, "specimen.yaml", True, "")
    assert status_of(replace(answer, files=(used, described))) is Status.ANSWERED
    assert status_of(replace(answer, files=(refused, described))) is Status.UNUSABLE


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a POSIX signal")
def test_a_process_that_dies_costs_only_its_own_specimen():
    # The task sends its job as a signal to its own process: 0 does nothing, 9 kills it.
    outcomes = list(work_on_all([0, 9, 0, 0], processes=2, task=signal.raise_signal))
    died = [outcome for outcome in outcomes if outcome is not None]
    assert len(outcomes) == 4
    assert [(outcome.job, outcome.status, outcome.error) for outcome in died] == [
        (9, Status.CRASHED, DIED)
    ]
