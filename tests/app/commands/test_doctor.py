"""`xtalfuse doctor` finds what is broken and says what to do."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from xtalfuse import cli
from xtalfuse.commands import doctor
from xtalfuse.commands.doctor import Check, State

run = CliRunner()


def test_what_is_missing_old_or_damaged_is_told_with_a_remedy(monkeypatch, tmp_path):
    (tmp_path / "damaged_package.py").write_text("raise OSError('no such library')")
    monkeypatch.syspath_prepend(str(tmp_path))
    missing = doctor._dependency("no-such-package", ">=1", {})
    old = doctor._dependency("numpy", ">=99", {"numpy": "numpy"})
    damaged = doctor._dependency("numpy", ">=1", {"numpy": "damaged_package"})
    assert {check.state for check in (missing, old, damaged)} == {State.BROKEN}
    assert "pip install 'numpy>=99'" in old.remedy
    assert "no such library" in damaged.found
    assert doctor._dependency("numpy", ">=1", {"numpy": "numpy"}).state is State.FINE


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    assert doctor._writable("cache", tmp_path / "new", "x").state is State.FINE
    refused = doctor._writable("cache", tmp_path / "file" / "cache", "set XDG_CACHE_HOME")
    assert (refused.state, refused.remedy) == (State.NOTE, "set XDG_CACHE_HOME")


def test_every_dependency_is_looked_at(monkeypatch):
    monkeypatch.setattr(doctor, "_dependency", lambda name, *_: Check(name, State.FINE, "1"))
    names = {check.name for check in doctor._dependencies()}
    assert {"numpy", "torch", "pymatgen"} <= names
    assert not {"pytest", "ruff"} & names  # of developers only


@pytest.mark.parametrize(("state", "code"), [(State.FINE, 0), (State.NOTE, 0), (State.BROKEN, 1)])
def test_the_exit_code_says_whether_it_works(monkeypatch, state, code):
    monkeypatch.setattr(doctor, "examine", lambda: iter([Check("torch", state, "none", "do so")]))
    shown = run.invoke(cli.app, ["doctor"])
    assert shown.exit_code == code
    assert "do so" in shown.stdout
    said = json.loads(run.invoke(cli.app, ["doctor", "--json"]).stdout)
    assert said["ok"] is (code == 0)
    assert said["checks"][0]["remedy"] == "do so"
