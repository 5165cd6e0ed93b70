"""Weights come back with their configuration, or are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from xtalfuse.encoders.networks.weights import WEIGHTS, WeightsError, load_weights, save_weights

STATE = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}
CONFIG = {"seed": 3, "command": "train", "network": {"hidden": 4}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_weights(tmp_path / "net.safetensors", STATE, CONFIG)
    return tmp_path / "net.safetensors"


def test_there_and_back(path: Path):
    state, config = load_weights(path)
    assert config == CONFIG
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_one_wrong_bit_is_told(path: Path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.safetensors.*sha256"):
        load_weights(path)


def test_a_missing_or_broken_configuration_is_told(path: Path):
    beside = path.with_suffix(".json")
    beside.write_text(json.dumps({"seed": 1}))
    with pytest.raises(WeightsError, match=r"net\.json"):
        load_weights(path)
    beside.unlink()
    with pytest.raises(WeightsError, match="no such file"):
        load_weights(path)
    with pytest.raises(WeightsError, match="no such file"):
        load_weights("no-network-of-this-name")


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_what_is_shipped_is_whole_and_says_how_it_was_made(path: Path):
    state, config = load_weights(path.stem)
    assert all(torch.isfinite(each).all() for each in state.values())
    assert {"seed", "command"} <= config.keys()
