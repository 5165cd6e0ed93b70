"""The lowest versions that pyproject.toml allows are those that `make test-minimum` installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RANGE = re.compile(r"^([\w-]+)>=([\d.]+)(?:,<[\d.]+)?$")


def lowest(requirements: list[str]) -> dict[str, str]:
    """Package -> the lowest version that its range admits; a package without one is left out."""
    matches = [RANGE.match(each) for each in requirements]
    return {m[1]: m[2] for m in matches if m}


def pins(path: Path) -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text().splitlines()]
    return dict(line.split("==") for line in lines if line)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_dependency_has_a_lowest_version():
    needed = project()["dependencies"]
    assert len(lowest(needed)) == len(needed)


def test_the_minimum_job_installs_the_lowest_versions():
    extra = project()["optional-dependencies"]["dev"]
    stated = lowest([*project()["dependencies"], *extra])
    assert pins(ROOT / "constraints-minimum.txt") == stated


def test_what_is_tested_together_is_in_the_ranges():
    tested = pins(ROOT / "constraints.txt")
    for name, least in lowest(project()["dependencies"]).items():
        numbers = [tuple(int(n) for n in v.split(".")) for v in (tested[name], least)]
        assert numbers[0] >= numbers[1], name


def test_a_range_that_says_nothing_is_seen():
    assert lowest(["a>=1.0", "b", "c==2", "d>=3,<4"]) == {"a": "1.0", "d": "3"}
