"""The examples in the docstrings say what happens."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")


def modules_with_examples() -> list[str]:
    """The modules whose source has a prompt; the others need not be imported."""
    paths = [p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py"))]
    found = [p.relative_to(ROOT) for p in paths if ">>> " in p.read_text(encoding="utf-8")]
    parts = [p.with_suffix("").parts for p in found]
    inside = [p[1:] if p[0] == "app" else p for p in parts]
    return [".".join(("xtalfuse", *(n for n in p if n != "__init__"))) for p in inside]


@pytest.mark.parametrize("name", modules_with_examples())
@pytest.mark.usefixtures("desk")
def test_examples_in_docstrings(name: str):
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0
