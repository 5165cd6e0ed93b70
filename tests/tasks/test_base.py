"""The list of tasks, and what every result keeps to."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from xtalfuse.physics.registry import UnknownNameError
from xtalfuse.tasks import TASKS
from xtalfuse.tasks.base import Beside, Result, package_version
from xtalfuse.tasks.identify.answer import Cell, PhaseAnswer

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schema"


@dataclass(frozen=True)
class Part:
    size: float
    name: str = "part"


@dataclass(frozen=True, kw_only=True)
class Small(Result):
    parts: tuple[Part, ...]
    count: int = 0
    array: Beside[np.ndarray] = field(default_factory=lambda: np.arange(3))


@pytest.fixture
def small() -> Small:
    about = {"specimen": "s", "files": (), "warnings": ("w",), "seconds": {"all": 1.0}}
    return Small(**about, version="1", parts=(Part(2.0),))


def test_what_stands_beside_is_neither_written_nor_in_the_schema(small: Small):
    written = small.to_dict()
    assert written["parts"] == [{"size": 2.0, "name": "part"}]
    assert "array" not in written
    schema = small.schema()
    assert set(schema["properties"]) == set(written)
    # a field with a default is always written, so the schema promises it
    assert set(schema["required"]) == set(written)
    assert set(schema["$defs"]["Part"]["required"]) == {"size", "name"}
    json.dumps(written)


def test_a_result_is_frozen(small: Small):
    with pytest.raises(FrozenInstanceError):
        small.specimen = "another"


def test_results_know_no_figure():
    code = (
        "import sys; from xtalfuse.tasks import TASKS\n"
        "assert all(task.result for task in TASKS.values())\n"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_tasks_are_declared_and_nothing_is_imported_to_list_them():
    assert {"identify", "microstructure"} <= set(TASKS)
    code = (
        "import sys; from xtalfuse.tasks import TASKS\n"
        "assert len(TASKS) >= 2\n"
        "sys.exit(any(m in sys.modules for m in ('pydantic', 'torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with pytest.raises(UnknownNameError, match="did you mean 'identify'"):
        TASKS["identfy"]


def test_every_task_runs_a_function_of_its_own():
    assert len({TASKS[name].run for name in TASKS}) == len(TASKS)


@pytest.mark.parametrize("name", TASKS)
def test_the_schema_in_the_documentation_is_that_of_the_code(name: str):
    page = SCHEMAS / f"{name}.json"
    remedy = f"run: xtalfuse schema {name} > docs/schema/{name}.json"
    assert page.is_file(), remedy
    assert json.loads(page.read_text(encoding="utf-8")) == TASKS[name].result.schema(), remedy


def test_an_answer_can_be_pickled(answer):
    copy = pickle.loads(pickle.dumps(answer))
    assert copy.to_dict() == answer.to_dict()
    np.testing.assert_array_equal(copy.curves.observed, answer.curves.observed)
    assert copy.panels[0].marks == answer.panels[0].marks


def test_the_version_is_the_installed_one():
    import xtalfuse

    assert package_version() == xtalfuse.__version__


def test_a_structure_keeps_the_symmetry_of_a_cell_that_was_measured_in_part(references):
    crystal = references.entries[references.index("corundum")].crystal
    none = Cell(None, None, None, None, None, None)
    phase = PhaseAnswer(
        "Corundum", "Al2O3", 167, "corundum", (), None, None,
        replace(none, a=4.80), none, 0.9, {}, crystal,
    )  # fmt: skip
    structure = phase.structure()
    assert structure.lattice.abc == pytest.approx((4.80, 4.80, crystal.cell[2]))
    assert structure.properties["cell_measured"] == ["a", "b"]
    assert structure.properties["cell_of_reference"] == ["c", "alpha", "beta", "gamma"]
