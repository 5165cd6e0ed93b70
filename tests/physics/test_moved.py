"""What the pages of the last release imported still works, and says where it is now."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from xtalfuse.physics.moved import MOVED

# Every name of a module that a page or a command of release 0.1.0 showed, and its class or file.
SHOWN = [
    ("xtalfuse.datasets.elastic", "elastic_constants", "xtalfuse.datasets.constants.elastic"),
    ("xtalfuse.datasets.grains", "load_graph", "xtalfuse.datasets.sets.graphs"),
    ("xtalfuse.datasets.grains", "save_graph", "xtalfuse.datasets.sets.graphs"),
    ("xtalfuse.datasets.library", "Library", "xtalfuse.datasets.library.shelf"),
    ("xtalfuse.datasets.library", "builtin", "xtalfuse.datasets.library.build"),
    ("xtalfuse.tasks.answer", "Answer", "xtalfuse.tasks.identify.answer"),
    ("xtalfuse.tasks.identify", "identify", "xtalfuse.tasks.identify.pipeline"),
    ("xtalfuse.tasks.mechanics", "predict_stiffness", "xtalfuse.tasks.mechanics.grains"),
    ("xtalfuse.tasks.mechanics", "predict_stress", "xtalfuse.tasks.mechanics.grains"),
    ("xtalfuse.tasks.microstructure", "Microstructure", "xtalfuse.tasks.structure.result"),
    ("xtalfuse.tasks.microstructure", "analyse", "xtalfuse.tasks.structure.analyse"),
    ("xtalfuse.tasks.microstructure_report", "write_microstructure", "xtalfuse.report.structure"),
    ("xtalfuse.tasks.report", "write_report", "xtalfuse.report.phases"),
    ("xtalfuse.tasks.train_grains", "main", "xtalfuse.tasks.mechanics.train_grains"),
    ("xtalfuse.tasks.train_volume", "main", "xtalfuse.tasks.mechanics.train_foam"),
]


@pytest.mark.parametrize(("old", "name", "home"), SHOWN)
def test_a_name_that_moved_is_found_with_a_warning_that_names_the_new_place(old, name, home):
    there = getattr(importlib.import_module(home), name)
    module = importlib.import_module(old)
    with pytest.warns(DeprecationWarning, match=rf"{old}\.{name} is now xtalfuse\.") as told:
        found = getattr(module, name)
    assert found is there
    assert told[0].filename == __file__  # the line to mend, not one of ours


@pytest.mark.parametrize("old", MOVED)
def test_every_new_place_is_there_and_a_name_that_never_was_is_not(old):
    assert all(importlib.import_module(home) for home in MOVED[old])
    with pytest.raises(AttributeError, match=f"{old}.*never_was"):
        _ = importlib.import_module(old).never_was


def test_a_module_that_never_was_stays_unknown():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("xtalfuse.datasets.elastics")


def test_a_command_that_moved_runs_and_says_so_to_whoever_typed_it():
    command = [sys.executable, "-m", "xtalfuse.tasks.train_volume", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout
    assert "is now python -m xtalfuse.tasks.mechanics.train_foam" in done.stderr
