"""Checkpoints come back bit for bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from xtalfuse.datasets.sets import atomic
from xtalfuse.fusion.training.checkpoint import CheckpointError, load_checkpoint, save_checkpoint

STATE = {
    "step": 3, "rate": 0.1 + 0.2, "betas": (0.9, 0.999), "none": [None, True, "text"],
    "state": {0: {"step": torch.tensor(3.0)}, 1: {"average": torch.arange(6.0).reshape(2, 3).T}},
    "empty": {}, "bytes": torch.get_rng_state(),
}  # fmt: skip


def same(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_state_comes_back_with_types_and_bits(tmp_path: Path):
    save_checkpoint(tmp_path / "a.ckpt", STATE)
    assert same(STATE, load_checkpoint(tmp_path / "a.ckpt"))


@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_wrong_bit_is_told(tmp_path: Path, place: int):
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, STATE)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.ckpt.*sha256"):
        load_checkpoint(path)


def test_a_cut_or_absent_file_is_told(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_checkpoint(path)
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match=r"a\.ckpt"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.ckpt"
    save_checkpoint(path, STATE)

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(atomic.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, {})
    monkeypatch.undo()
    assert same(STATE, load_checkpoint(path))
    assert [each.name for each in tmp_path.iterdir()] == ["a.ckpt"]


def test_what_would_need_a_pickle_is_refused(tmp_path: Path):
    with pytest.raises(TypeError, match="object"):
        save_checkpoint(tmp_path / "a.ckpt", {"x": object()})
    assert not list(tmp_path.iterdir())
