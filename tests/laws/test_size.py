"""Nothing is larger than a reader takes in at once: functions, files and folders."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")
PLACES = (*ROOMS, "benchmarks", "tests")
FILES = sorted(
    path
    for place in PLACES
    for kind in ("*.py", "*.js", "*.j2")
    for path in (ROOT / place).rglob(kind)
)

FUNCTION_LINES = 60  # from `def` to the last line, with the docstring
FILE_LINES = 400  # tests and benchmarks too
FOLDER_FILES = 12


def long_functions(source: str) -> list[str]:
    """Names of the functions and methods that are too long."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES
    ]


def is_long(source: str) -> bool:
    return len(source.splitlines()) > FILE_LINES


def full_folders(files: list[str]) -> set[str]:
    """Folders that hold too many Python files; those of the folders inside do not count."""
    folders = [str(Path(file).parent) for file in files if file.endswith(".py")]
    return {folder for folder in folders if folders.count(folder) > FOLDER_FILES}


def reasons(page: str) -> dict[str, str]:
    """The long functions that the page lists, ``path: name``, each with its reason."""
    section = re.search(r"^### Long functions\n(.*?)(?=^#|\Z)", page, re.DOTALL | re.MULTILINE)
    items = section.group(1).split("\n- ")[1:] if section else []
    matches = [re.match(r"`(\S+)` `(\w+)`: (.{20,})", item, re.DOTALL) for item in items]
    assert all(matches), "an item is: - `path/file.py` `function`: the reason, in words"
    return {f"{m[1]}: {m[2]}": m[3] for m in matches if m}


def too_large() -> set[str]:
    read = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in FILES}
    python = [name for name in read if name.endswith(".py")]
    functions = {f"{name}: {each}" for name in python for each in long_functions(read[name])}
    return functions | {name for name in read if is_long(read[name])} | full_folders(python)


def test_what_is_large_is_listed_with_its_reason():
    found = too_large()
    given = reasons((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    new = found - set(given)
    assert not new, f"{new}: part it; a long function may have a reason in CONTRIBUTING.md"
    stale = set(given) - found
    assert not stale, f"{stale}: small enough now; take it off the list"


@pytest.mark.parametrize("lines", [60, 61])
def test_a_long_function_is_seen(lines: int):
    body = "\n".join(["        pass"] * (lines - 1))
    source = f"class C:\n    @staticmethod\n    def f():\n{body}\n\n\nx = 1\n"
    assert long_functions(source) == (["f"] if lines > 60 else [])


def test_a_long_file_and_a_full_folder_are_seen():
    assert not is_long("x\n" * 400)
    assert is_long("x\n" * 401)
    files = [f"room/{i}.py" for i in range(12)] + [f"room/inside/{i}.py" for i in range(13)]
    assert full_folders([*files, "room/page.html.j2"]) == {"room/inside"}


def test_reasons_are_read_and_an_empty_one_is_not_taken():
    page = "### Long functions\n\nText.\n\n- `a/b.py` `f`: one table, read from\n  top\n\n## B\n"
    assert reasons(page) == {"a/b.py: f": "one table, read from\n  top\n\n"}
    assert reasons("# nothing is listed\n") == {}
    with pytest.raises(AssertionError, match="the reason"):
        reasons(page.replace("one table, read from\n  top", "why"))
