"""Real orientation maps against what is known of them without our reader; the peer is orix.

Facts of the files are held against what was read: number of points, grid, step, phases, points
that are not indexed, and the positions and angles of a map whose file is text.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.readers.rows import Row, attempt, row_of
from xtalfuse.physics.grains.crystal_map import CrystalMap

SUFFIXES = (".ang", ".ctf", ".crc", ".cpr", ".osc", ".oim")


@dataclass(frozen=True)
class Fact:
    """What is known of a file without our reader."""

    points: int
    shape: tuple[int, int, int]
    grid: str
    step: tuple[float, float]
    laue: tuple[str, ...]
    not_indexed: int


# Counted in the files by hand (grep, wc) and read in their headers; None: must be refused.
SECTION = Fact(1400, (1, 40, 35), "square", (0.4, 0.4), ("m-3m",), -1)
NICKEL = Fact(87237, (1, 243, 359), "square", (0.12, 0.12), ("m-3m",), 0)
COPPER = Fact(23909, (1, 231, 104), "hexagonal", (0.2, 0.173205), ("m-3m",), 2945)
FACTS: dict[str, Fact | None] = {
    "copper_hexagonal_grid/EBSD.ang": COPPER,
    "copper_hexagonal_grid/EBSD.osc": COPPER,
    "copper_hexagonal_grid/EBSD.oim": None,
    "nickel_superalloy/testDataEBSD.crc": NICKEL,
    "nickel_superalloy/testDataEBSD.cpr": NICKEL,
    "steel_ferrite_austenite/sdss_ferrite_austenite.ang": Fact(
        11700, (1, 100, 117), "square", (1.5, 1.5), ("m-3m", "m-3m"), 0
    ),
    **{f"steel_3d/S{number:02d}.ANG": SECTION for number in range(59)},
}


def agrees(found: CrystalMap, fact: Fact) -> bool:
    """Whether a map is what is known of its file."""
    not_indexed = int((found.phase < 0).sum())
    return bool(
        len(found.phase) == fact.points
        and found.shape == fact.shape
        and str(found.grid) == fact.grid
        and np.allclose(found.step[:2], fact.step, rtol=1e-4)
        and tuple(phase.laue for phase in found.phases) == fact.laue
        and fact.not_indexed in (-1, not_indexed)
    )


def right_numbers(found: CrystalMap, path: Path) -> bool:
    """Whether positions and angles are those of a text; another format has none to compare."""
    from scipy.spatial.transform import Rotation

    if path.suffix.lower() != ".ang":
        return True
    table = np.loadtxt(path, comments="#")
    places = table[:, 3:5] - table[:, 3:5].min(axis=0)
    if not np.allclose(found.position[:, :2], places, atol=5e-3 * found.step[0]):
        return False
    some = np.flatnonzero(found.phase >= 0)[::97]
    # Bunge (1982), Texture Analysis, eq. 2.50: the inverse of the turns in the order of the angles
    turned = Rotation.from_quat(found.orientation[some][:, [1, 2, 3, 0]])
    apart = turned * Rotation.from_euler("ZXZ", table[some, :3])
    return bool(apart.magnitude().max() < 1e-6)


def _maps_in(folder: Path) -> list[Path]:
    """Every file of the folder that holds a map."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def maps(real: Path) -> list[Row]:
    """Every file of ``ebsd`` against the facts that are known of it."""
    folder, rows = real / "ebsd", []
    for path in _maps_in(folder):
        name = str(path.relative_to(folder))
        found, reason, seconds = attempt(path)
        verdict, fact = "read" if found else "refused", FACTS.get(name)
        if fact is not None:
            points = found.crystal_map if found else None
            right = points is not None and agrees(points, fact) and right_numbers(points, path)
            verdict = "right" if right else "WRONG"
        elif name in FACTS and found:
            verdict = "WRONG"
        rows.append(row_of("maps", name, verdict, found, reason, seconds))
    return rows


def orix_alone(real: Path) -> dict[str, int]:
    """The peer: how many of the known files orix reads like us."""
    from orix import io

    counts: Counter[str] = Counter()
    for name, fact in FACTS.items():
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(None):
                warnings.simplefilter("ignore")
                found = io.load(str(real / "ebsd" / name))
        except Exception:  # whatever it raises, it did not read the file
            counts["not read"] += 1
            continue
        right = fact is not None and (found.size, tuple(found.shape)) == (
            fact.points, fact.shape[1:]
        )  # fmt: skip
        counts["right" if right else "wrong without a word"] += 1
    return dict(counts)
