"""A folder of results is one run, whole or absent, and never that of another specimen."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.report.run import RESULT, is_free, one_run, run_in


def write(folder: Path, *figures: str, value: int = 1, fault: type[BaseException] | None = None):
    with one_run(folder, RESULT, {"value": value}, "scan.xy") as pending:
        for name in figures:
            pending.write(name, pending.id.encode())
        if fault is not None:
            raise fault


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_an_earlier_run_wrote_goes_and_the_rest_has_one_id(tmp_path: Path):
    folder = tmp_path / "out" / "scan"
    write(folder, "a.png", "b.png")
    first = run_in(folder, RESULT)
    (folder / "crash.txt").touch()
    write(folder, "b.png", value=2)
    assert names(tmp_path / "out") == ["scan"]
    assert names(folder) == ["b.png", RESULT]
    run = run_in(folder, RESULT)
    assert run.files == {"b.png": sha256_of(folder / "b.png")}
    assert (folder / "b.png").read_text() == run.id != first.id
    assert json.loads((folder / RESULT).read_text())["value"] == 2


@pytest.mark.parametrize("inside", [False, True])
def test_files_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool):
    write(tmp_path, "a.png")
    if inside:
        monkeypatch.chdir(tmp_path)
    else:
        (tmp_path / "raw").mkdir()
        (tmp_path / "notes.txt").touch()
    write(Path() if inside else tmp_path, "b.png")
    assert names(tmp_path) == sorted(["b.png", RESULT, *([] if inside else ["notes.txt", "raw"])])


def test_a_run_that_fails_leaves_the_earlier_one(tmp_path: Path):
    write(tmp_path / "scan", "a.png")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "scan", "b.png", fault=KeyboardInterrupt)
    assert names(tmp_path / "scan") == ["a.png", RESULT]
    assert names(tmp_path) == ["scan"]


@pytest.mark.skipif(sys.platform == "win32", reason="a limit of POSIX stands for a full disk")
def test_a_full_disk_leaves_nothing(tmp_path: Path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))  # the id fits, the document not
    try:
        with pytest.raises(OSError, match="large"):
            write(tmp_path / "scan", "a.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert names(tmp_path) == []


def test_a_folder_of_something_else_is_not_free(tmp_path: Path):
    folder = tmp_path / "scan"
    assert is_free(folder, RESULT, "scan.xy")
    folder.mkdir()
    (folder / "crash.txt").touch()
    assert is_free(folder, RESULT, "scan.xy")
    write(folder)
    assert is_free(folder, RESULT, "scan.xy")
    assert not is_free(folder, RESULT, "scan.xrdml")
    assert not is_free(folder, "properties.json", "scan.xy")
    os.replace(folder / RESULT, folder / "measured.xy")
    assert not is_free(folder, RESULT, "scan.xy")
