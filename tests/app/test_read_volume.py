"""`xtalfuse read` says what is in a volume."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from xtalfuse.cli import app


@pytest.fixture
def pair(tmp_path) -> Path:
    volumes = np.random.default_rng(0).integers(0, 500, (2, 9, 10, 11)).astype(np.uint16)
    np.save(tmp_path / "pair.npy", volumes)
    return tmp_path / "pair.npy"


def test_a_volume_is_shown_with_its_voxel(pair):
    shown = CliRunner().invoke(app, ["read", f"{pair}#1", "--voxel-size", "2,1,0.5"]).stdout
    assert "volume of grey values or labels" in shown
    assert "0 to 16 um, 9 points, step 2" in shown
    assert "0 to 5 um, 11 points, step 0.5" in shown
    assert "how often each value occurs" in shown


def test_json_gives_shape_and_calibration(pair):
    said = json.loads(CliRunner().invoke(app, ["read", f"{pair}#0", "--json"]).stdout)
    assert (said["modality"], said["shape"], said["calibration"]) == ("ct", [9, 10, 11], "unknown")


def test_a_missing_choice_and_a_wrong_size_are_one_line(pair):
    runner = CliRunner()
    refused = runner.invoke(app, ["read", str(pair)])
    assert refused.exit_code == 4
    assert "a set of 2 volumes" in refused.stderr
    wrong = runner.invoke(app, ["read", f"{pair}#0", "--voxel-size", "two"])
    assert wrong.exit_code == 2
    assert "--voxel-size: 'two' is no size" in wrong.stderr
