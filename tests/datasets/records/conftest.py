"""Small measured specimens as files, and a manifest of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

ANGLES = np.arange(20.0, 60.0, 0.05)


def pattern(seed: int, lines: Sequence[float] = (28.0, 41.0, 52.0)) -> str:
    """A powder pattern as two columns of text."""
    rng = np.random.default_rng(seed)
    counts = 50.0 + sum(900.0 * np.exp(-(((ANGLES - line) / 0.1) ** 2)) for line in lines)
    rows = zip(ANGLES, rng.poisson(counts), strict=True)
    return "".join(f"{angle:.2f} {count}\n" for angle, count in rows)


@pytest.fixture
def write(tmp_path: Path):
    """write(rows, name) -> path of a manifest with these rows in the folder of the test."""

    def written(rows: Iterable[Mapping[str, object]], name: str = "manifest.csv") -> Path:
        rows = list(rows)
        columns = list(dict.fromkeys(key for row in rows for key in row))
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return written


@pytest.fixture
def five(tmp_path: Path, write):
    """A manifest of five patterns: a and b alike, c cut short, d the copy of e."""
    for name, seed in (("a", 1), ("b", 2), ("e", 5)):
        lines = (28.0, 41.0, 52.0) if name in "ab" else (24.0, 33.0, 47.0, 55.0)
        (tmp_path / f"{name}.xy").write_text(pattern(seed, lines))
    (tmp_path / "c.xy").write_text("20.0 5\n20.1")
    (tmp_path / "d.xy").write_bytes((tmp_path / "e.xy").read_bytes())
    return write(
        {"id": name, "path": f"{name}.xy", "wavelength": "CuKa",
         "group": "ab" if name in "ab" else "", "target:hardness[HV]": value}
        for name, value in zip("abcde", (120, 130, 140, 150, 150), strict=True)
    )  # fmt: skip
