"""The wheel holds every module and data file of every room, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")


TOP = ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md")
MORE = ("tests", "docs", "benchmarks", ".ci")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a wheel of a copy (a stale build folder must not help), its sdist, and its wheel.

    The wheel of the tree is in ``tree/``, that of the source distribution in ``sdist/``.
    """
    source = tmp_path_factory.mktemp("source")
    skip = shutil.ignore_patterns("__pycache__", ".[!c]*", "site")
    for folder in (*ROOMS, *MORE):
        shutil.copytree(ROOT / folder, source / folder, ignore=skip)
    for path in [ROOT / "Makefile", *(ROOT / name for name in TOP), *ROOT.glob("constraints*.txt")]:
        shutil.copy(path, source / path.name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
    for command in ([*build, "tree", "--wheel", "."], [*build, "sdist", "."]):
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        shutil.rmtree(source / "build", ignore_errors=True)
    return source


def contents(folder: Path) -> dict[str, bytes]:
    """What is in the wheel of a folder."""
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def wheel_names(built: Path) -> set[str]:
    return set(contents(built / "tree"))


def test_the_source_distribution_makes_the_same_wheel(built: Path):
    tree, again = contents(built / "tree"), contents(built / "sdist")
    assert set(tree) == set(again)
    assert [name for name in tree if tree[name] != again[name]] == []


def test_the_source_distribution_holds_what_a_packager_needs(built: Path):
    (sdist,) = (built / "sdist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = [
        path.relative_to(built).as_posix()
        for top in (*ROOMS, *MORE, *TOP, "Makefile", "constraints.txt")
        for path in [built / top, *(built / top).rglob("*")]
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert len(needed) > 300
    assert [name for name in needed if name not in names] == []


def packages_on_disk(root: Path) -> set[str]:
    """Every folder of a room that holds an ``__init__.py``, as the package that it becomes."""
    folders = [path.parent for room in ROOMS for path in (root / room).rglob("__init__.py")]
    dotted = [".".join(folder.relative_to(root).parts) for folder in folders]
    return {("xtalfuse." + name).replace("xtalfuse.app", "xtalfuse") for name in dotted}


def test_the_list_of_packages_is_what_is_on_the_disk():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    assert sorted(set(listed)) == sorted(listed)
    assert set(listed) == packages_on_disk(ROOT)
    loose = {
        str(path.parent.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert loose == set(), "a folder without __init__.py is no package"


def test_a_folder_that_is_not_listed_is_seen(tmp_path: Path):
    for folder in ("app", "app/commands", "physics/new"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()
    found = {"xtalfuse", "xtalfuse.commands", "xtalfuse.physics.new"}
    assert packages_on_disk(tmp_path) == found


def test_the_readme_has_no_link_that_only_works_in_the_repository():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    broken = [link for link in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in link]
    assert broken == [], "PyPI shows the README without its files"


def in_wheel(path: Path) -> str:
    """Where a file of a room belongs inside the wheel: `app` is the package itself."""
    room, *rest = path.relative_to(ROOT).parts
    return "/".join(["xtalfuse", *([] if room == "app" else [room]), *rest])


@pytest.mark.parametrize("room", ROOMS)
def test_every_file_of_the_room_is_in_the_wheel(room: str, wheel_names: set[str]):
    files = [
        path
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]
    assert any(path.name == "__init__.py" for path in files)
    missing = [str(path.relative_to(ROOT)) for path in files if in_wheel(path) not in wheel_names]
    assert not missing, f"not in the wheel: {missing}; see [tool.setuptools] in pyproject.toml"


def test_nothing_but_xtalfuse_is_installed(wheel_names: set[str]):
    # A top-level `datasets` or `tests` would overwrite another package of that name.
    top = {name.split("/")[0] for name in wheel_names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"xtalfuse"}


def test_the_licence_travels_with_the_wheel(wheel_names: set[str]):
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
