"""A room imports only from rooms to its left, so that data flows one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def room_of(module: str) -> str:
    """The room that holds a module of xtalfuse; `xtalfuse` itself is the app."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "app"


def imported_rooms(source: str) -> list[tuple[int, str]]:
    """(line, room) of every import of xtalfuse, wherever in the file it stands.

    Relative imports are given as the room ``"(relative)"``.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append((node.lineno, "(relative)"))
                continue
            # `from xtalfuse import physics` names the room in the alias
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [(node.lineno, room_of(m)) for m in modules if m.split(".")[0] == "xtalfuse"]
    return found


def violations(room: str, source: str) -> list[tuple[int, str]]:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    return [(line, other) for line, other in imported_rooms(source) if other not in allowed]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_room_imports_only_from_its_left(path: Path):
    room = path.relative_to(ROOT).parts[0]
    found = violations(room, path.read_text(encoding="utf-8"))
    told = [f"line {line}: {room} imports {other}" for line, other in found]
    assert not told, f"{path.relative_to(ROOT)}: {told}; the order is {' <- '.join(ROOMS)}"


@pytest.mark.parametrize(
    ("room", "source", "bad"),
    [
        ("physics", "from xtalfuse.loaders.record import Record", True),
        ("loaders", "import xtalfuse.tasks.identify.answer", True),
        ("loaders", "def f():\n    from xtalfuse import tasks", True),
        ("tasks", "from xtalfuse import load", True),
        ("tasks", "from . import answer", True),
        ("tasks", "from xtalfuse.physics.units import radiation\nimport numpy", False),
        ("app", "from xtalfuse.tasks.identify.answer import Answer", False),
        ("datasets", "import datasets", False),
    ],
)
def test_the_check_sees_what_it_must(room: str, source: str, bad: bool):
    assert bool(violations(room, source)) is bad


def test_every_room_is_there():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)
