"""Data flows one way: no import goes up, and none goes round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")
FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

Imports = list[tuple[int, str, bool]]


def module_of(path: Path) -> str:
    """Dotted name of a file of a room: ``physics/units.py`` is ``xtalfuse.physics.units``."""
    room, *rest = path.relative_to(ROOT).with_suffix("").parts
    parts = ["xtalfuse", *([] if room == "app" else [room]), *rest]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """The room that holds a module of xtalfuse; `xtalfuse` itself is the app."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else "app"


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def imports(source: str, *, types: bool) -> Imports:
    """(line, what is imported, whether only when a function runs) of all imports of xtalfuse.

    What is imported is a module, or a name in one; a relative import is ``"(relative)"``. Imports
    for annotations alone (``if TYPE_CHECKING``) never run and count only where `types` is true.
    """

    def walk(node: ast.AST, lazy: bool) -> Iterator[tuple[int, str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((child.lineno, alias.name, lazy) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    yield child.lineno, "(relative)" if child.level else full, lazy
            elif types or not is_for_types_only(child):
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, lazy or inside)

    found = walk(ast.parse(source), False)
    return [each for each in found if each[1].split(".")[0] in {"xtalfuse", "(relative)"}]


def upward(room: str, source: str) -> list[tuple[int, str]]:
    """(line, room) of every import that does not go to the left, wherever in the file."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    found = [
        (line, name if name == "(relative)" else room_of(name))
        for line, name, _ in imports(source, types=True)
    ]
    return [(line, other) for line, other in found if other not in allowed]


def test_a_room_imports_only_from_its_left():
    found = {
        f"{path.relative_to(ROOT)} -> {other}"
        for path in FILES
        for _, other in upward(path.relative_to(ROOT).parts[0], path.read_text(encoding="utf-8"))
    }
    assert not found, f"the order is {' <- '.join(ROOMS)}"


@pytest.mark.parametrize(
    ("room", "source", "bad"),
    [
        ("physics", "from xtalfuse.loaders.record import Record", True),
        ("loaders", "import xtalfuse.tasks.identify.answer", True),
        ("loaders", "def f():\n    from xtalfuse import tasks", True),
        ("loaders", "if TYPE_CHECKING:\n    from xtalfuse.tasks.base import Result", True),
        ("tasks", "from xtalfuse import load", True),
        ("tasks", "from . import answer", True),
        ("tasks", "from xtalfuse.physics.units import radiation\nimport numpy", False),
        ("app", "from xtalfuse.tasks.identify.answer import Answer", False),
        ("datasets", "import datasets", False),
    ],
)
def test_an_arrow_that_goes_up_is_seen(room: str, source: str, bad: bool):
    assert bool(upward(room, source)) is bad


def test_every_room_is_there():
    assert {path.relative_to(ROOT).parts[0] for path in FILES} == set(ROOMS)


def graph(sources: Mapping[str, str], *, lazy: bool) -> dict[str, set[str]]:
    """Which modules each module imports: at once, or also when one of its functions runs."""
    edges: dict[str, set[str]] = {}
    for module, source in sources.items():
        names = [name for _, name, late in imports(source, types=False) if lazy or not late]
        # `from a.b import c` is the module a.b.c, or the name c in a.b
        homes = {name if name in sources else name.rpartition(".")[0] for name in names}
        edges[module] = {home for home in homes if home in sources}
    return edges


def circles(edges: Mapping[str, set[str]]) -> set[str]:
    """The groups of modules in which each one reaches all the others, and itself."""

    def reached_from(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = edges[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        return seen

    reach = {module: reached_from(module) for module in edges}
    return {
        " <-> ".join(sorted(other for other in reach[module] if module in reach[other]))
        for module in edges
        if module in reach[module]
    }


SOURCES = {module_of(path): path.read_text(encoding="utf-8") for path in FILES}


def test_no_module_imports_itself_round_a_circle():
    assert circles(graph(SOURCES, lazy=False)) == set()


def test_nor_does_it_when_imports_inside_functions_count():
    found = circles(graph(SOURCES, lazy=True))
    assert not found, "what both need belongs in a module of its own"


CIRCLES = [
    ({"a": "from xtalfuse import b", "b": "from xtalfuse.a import f"}, True, True),
    ({"a": "import xtalfuse.b", "b": "def f():\n    from xtalfuse import a"}, False, True),
    ({"a": "import xtalfuse.b", "b": "f = lambda: __import__\nimport xtalfuse.c",
      "c": "class C:\n    def f(self):\n        import xtalfuse.a"}, False, True),
    ({"a": "def f():\n    import xtalfuse.a"}, False, True),
    ({"a": "import xtalfuse.b", "b": "if TYPE_CHECKING:\n    import xtalfuse.a"}, False, False),
    ({"a": "import xtalfuse.b", "b": "import numpy"}, False, False),
]  # fmt: skip


@pytest.mark.parametrize(("sources", "at_once", "lazily"), CIRCLES)
def test_a_circle_is_seen(sources: dict[str, str], at_once: bool, lazily: bool):
    planted = {f"xtalfuse.{name}": source for name, source in sources.items()}
    assert bool(circles(graph(planted, lazy=False))) is at_once
    assert bool(circles(graph(planted, lazy=True))) is lazily
