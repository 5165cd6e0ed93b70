"""What a killed program leaves is swept; what a living one is using is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xtalfuse.loaders.safe.scratch import held, scratch_folder, swap_in, sweep

PREFIX = "xtalfuse-tmp-"


def left_behind(parent: Path) -> Path:
    """A scratch folder as a killed program leaves it: the system has let go of its lock."""
    handle, lock = held(parent, PREFIX, ".lock")
    os.close(handle)
    folder = lock.with_suffix("")
    folder.mkdir()
    (folder / "values.npy").write_bytes(b"2.7 GB")
    return folder


def test_only_what_nobody_uses_is_swept(tmp_path: Path):
    (tmp_path / "xtalfuse-tmp-results").mkdir()  # a folder of somebody, without a lock
    with scratch_folder(tmp_path, PREFIX) as living:
        stale = left_behind(tmp_path)
        sweep.cache_clear()  # the next program
        with scratch_folder(tmp_path, PREFIX) as mine:
            assert living.is_dir()
            assert mine.is_dir()
            assert not stale.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["xtalfuse-tmp-results"]


def test_a_swap_that_was_killed_half_way_is_undone(tmp_path: Path):
    stale = left_behind(tmp_path)
    (stale / "old" / "scan").mkdir(parents=True)  # "scan" had given way, nothing had followed
    (stale / "old" / "scan" / "result.json").write_text("old")
    sweep.cache_clear()
    sweep(tmp_path, PREFIX)
    assert (tmp_path / "scan" / "result.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]


def test_a_swap_that_fails_puts_the_old_back(tmp_path: Path):
    (tmp_path / "scan").mkdir()
    with scratch_folder(tmp_path, PREFIX) as scratch, pytest.raises(FileNotFoundError):
        swap_in(scratch / "absent", tmp_path / "scan", scratch)
    assert [path.name for path in tmp_path.iterdir()] == ["scan"]
