"""The wheel holds every module and data file of every room, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report", "app")


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in a wheel that is built from a copy: a stale build folder must not help."""
    source = tmp_path_factory.mktemp("source")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__", ".*")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = (source / "out").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


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
