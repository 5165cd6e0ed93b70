"""What the reader makes of real orientation maps: right, refused, or silently wrong.

Run ``python -m benchmarks.readers.ebsd --help``. Facts of the files are held against what was
read: number of points, grid, step, phases, points that are not indexed, and, independent of
our reader, the angles of a map's text or of its twin in another format. The peer is orix.
Copies that were damaged in seven ways must be refused, or come back as they were, or say so.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.real import real_folder
from xtalfuse.loaders import Measurement, UnreadableFileError, load
from xtalfuse.physics.grains.crystal_map import CrystalMap

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".ang", ".ctf", ".crc", ".cpr", ".osc", ".oim")
TEXT = (".ang", ".ctf")
SEEDS = 3  # of flipped bits, for each file
DAMAGED_SECTIONS = 3  # of a stack: its sections are alike


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


@dataclass(frozen=True)
class Row:
    """One file: what came of it."""

    section: str
    file: str
    verdict: str
    points: int | None = None
    reason: str = ""  # of a refusal, or the warnings
    seconds: float = 0.0


def attempt(path: Path) -> tuple[Measurement | None, str, float]:
    """The map or the reason why not, and the time it took."""
    began = time.perf_counter()
    try:
        found = load(path)
        reason = "; ".join(found.provenance.warnings)
    except UnreadableFileError as error:
        found, reason = None, str(error)
    return found, reason, time.perf_counter() - began


def table_of(path: Path) -> np.ndarray | None:
    """(n, columns) numbers of a text map, without our reader; None of another format."""
    return np.loadtxt(path, comments="#") if path.suffix.lower() == ".ang" else None


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


def right_numbers(found: CrystalMap, table: np.ndarray | None) -> bool:
    """Whether positions and angles are those of the text, by matrices and not quaternions."""
    if table is None:
        return True
    places = table[:, 3:5] - table[:, 3:5].min(axis=0)
    if not np.allclose(found.position[:, :2], places, atol=5e-3 * found.step[0]):
        return False
    some = np.flatnonzero(found.phase >= 0)[::97]
    return all(
        np.allclose(_matrix(found.orientation[i]), _bunge(table[i, :3]), atol=1e-6) for i in some
    )


def _bunge(angles: np.ndarray) -> np.ndarray:
    """g = Z(phi2) X(Phi) Z(phi1), Bunge (1982), Texture Analysis, eq. 2.50."""
    (c1, c, c2), (s1, s, s2) = np.cos(angles), np.sin(angles)
    z1 = np.array([[c1, s1, 0], [-s1, c1, 0], [0, 0, 1]])
    x = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
    z2 = np.array([[c2, s2, 0], [-s2, c2, 0], [0, 0, 1]])
    return z2 @ x @ z1


def _matrix(q: np.ndarray) -> np.ndarray:
    w, x, y, z = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def maps_in(folder: Path) -> list[Path]:
    """Every file of the folder that holds a map."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def ours(folder: Path) -> list[Row]:
    """Every real file, the twins against each other, and the stack."""
    rows = []
    for path in maps_in(folder):
        name = str(path.relative_to(folder))
        found, reason, seconds = attempt(path)
        fact = FACTS.get(name)
        if fact is None:
            verdict = "refused" if found is None and name in FACTS else "unknown"
        else:
            right = (
                found is not None
                and found.crystal_map is not None
                and agrees(found.crystal_map, fact)
                and right_numbers(found.crystal_map, table_of(path))
            )
            verdict = "right" if right else "WRONG" if found else "REFUSED"
        points = None if found is None else len(found.values)
        rows.append(Row("ours", name, verdict, points, reason, seconds))
    return [*rows, _twins(folder), _stack(folder), _grains(folder)]


def _twins(folder: Path) -> Row:
    """The copper map as text and as binary, point by point."""
    began = time.perf_counter()
    text, binary = (
        load(folder / "copper_hexagonal_grid" / f"EBSD.{suffix}").crystal_map
        for suffix in ("ang", "osc")
    )
    assert text is not None
    assert binary is not None
    apart = 1.0 - np.abs(np.sum(text.orientation * binary.orientation, axis=1))
    same = np.array_equal(text.index, binary.index) and np.array_equal(text.phase, binary.phase)
    verdict = "right" if same and apart.max() < 1e-10 else "WRONG"
    seconds = time.perf_counter() - began
    reason = f"largest 1 - |q.q'| {apart.max():.1e}"
    return Row("ours", "EBSD.ang = EBSD.osc", verdict, len(text.phase), reason, seconds)


def _stack(folder: Path) -> Row:
    found, reason, seconds = attempt(folder / "steel_3d")
    crystal_map = None if found is None else found.crystal_map
    right = crystal_map is not None and crystal_map.shape == (59, 40, 35)
    points = None if found is None else len(found.values)
    verdict = "right" if right and "taken equal" in reason else "WRONG"
    return Row("ours", "steel_3d (59 sections)", verdict, points, reason, seconds)


def _grains(folder: Path) -> Row:
    """Neighbours within a grain of DefDAP differ by less than 5 degrees, across by more."""
    from xtalfuse.physics.orientation.disorientation import disorientation_angle

    place = folder / "nickel_superalloy"
    found = load(place / "testDataEBSD.crc").crystal_map
    assert found is not None
    began = time.perf_counter()
    grain = np.load(place / "ebsd_grains_5deg_10.npz")["grains"].ravel()
    i, j = found.pairs()
    inside = (grain[i] > 0) & (grain[j] > 0)
    i, j = i[inside], j[inside]
    angle = np.rad2deg(disorientation_angle(found.orientation[i], found.orientation[j], "m-3m"))
    same = grain[i] == grain[j]
    wrong = int((angle[same] > 5.0).sum() + (angle[~same] < 5.0).sum())
    reason = f"{wrong} of {len(same)} pairs of neighbours on the wrong side of 5 degrees"
    verdict = "right" if wrong == 0 else "WRONG"
    seconds = time.perf_counter() - began
    return Row("ours", "grains of DefDAP", verdict, len(grain), reason, seconds)


def orix_alone(folder: Path) -> list[Row]:
    """The peer: the same facts."""
    import contextlib
    import warnings

    from orix import io

    rows = []
    for path in maps_in(folder):
        name = str(path.relative_to(folder))
        fact = FACTS.get(name)
        began = time.perf_counter()
        try:
            with warnings.catch_warnings(), contextlib.redirect_stdout(None):
                warnings.simplefilter("ignore")
                found = io.load(str(path))
                shape = tuple(found.shape)
                points = found.size
            right = fact is not None and points == fact.points and shape == fact.shape[1:]
            verdict, reason = ("right" if right else "WRONG"), f"shape {shape}"
        except Exception as error:  # whatever it raises, it did not read the file
            verdict, points = "not read", None
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        seconds = time.perf_counter() - began
        rows.append(Row("orix", name, verdict, points, reason, seconds))
    return rows


def damages(content: bytes, suffix: str, seed: int) -> dict[str, bytes]:
    """Copies that were cut, had bits flipped, or parts replaced."""
    chance = random.Random(seed)
    flipped = bytearray(content)
    for _ in range(max(3, len(content) // 2000)):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    start = len(content) * 3 // 5
    length = len(content) // 10
    copies = {f"cut at {part:.0%}": content[: int(part * len(content))] for part in (0.1, 0.5, 0.9)}
    copies["bits flipped"] = bytes(flipped)
    copies["a tenth zeroed"] = content[:start] + bytes(length) + content[start + length :]
    copies["a tenth left out"] = content[:start] + content[start + length :]
    if suffix in TEXT:
        lines = content.splitlines(keepends=True)
        at = len(lines) - 20
        columns = lines[at].split()
        columns[1] = b"nan"
        copies["a NaN"] = b"".join([*lines[:at], b" ".join(columns) + b"\n", *lines[at + 1 :]])
    else:
        copies["a NaN"] = _with_nan(content, suffix)
    return copies


def _with_nan(content: bytes, suffix: str) -> bytes:
    """A binary map in which the first angle of every 50th point is a NaN."""
    size, offset = {".crc": (25, 1), ".osc": (40, 0)}[suffix]  # bytes of a point in these files
    copy = bytearray(content)
    for place in range(len(copy) - 50 * size, len(copy) // 2, -50 * size):
        copy[place + offset : place + offset + 4] = b"\x00\x00\xc0\x7f"
    return bytes(copy)


def damaged(folder: Path) -> list[Row]:
    """Damaged copies: refused, whole, told (with a warning), other values, or SHORTER."""
    rows = []
    files = [p for p in maps_in(folder) if p.suffix.lower() not in (".oim", ".cpr")]
    sections = [p for p in files if p.parent.name == "steel_3d"]
    for path in [p for p in files if p not in sections[DAMAGED_SECTIONS:]]:
        original = load(path)
        for seed in range(SEEDS):
            copies = damages(path.read_bytes(), path.suffix.lower(), seed)
            for kind, content in copies.items():
                if seed and kind != "bits flipped":
                    continue
                rows.append(_damaged(path, kind, content, original))
    return rows


def _damaged(path: Path, kind: str, content: bytes, original: Measurement) -> Row:
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, path.name)
        copy.write_bytes(content)
        header = path.with_suffix(".cpr")
        if path.suffix.lower() == ".crc":
            (copy.parent / header.name).write_bytes(header.read_bytes())
        found, reason, seconds = attempt(copy)
    points = None if found is None else len(found.values)
    verdict = survived(found, original)
    return Row("damaged", f"{path.name} {kind}", verdict, points, reason, seconds)


def survived(found: Measurement | None, original: Measurement) -> str:
    """Refused, whole, told, other values at the same points; SHORTER or WRONG places."""
    if found is None:
        return "refused"
    before, after = original.crystal_map, found.crystal_map
    if before is None or after is None:
        return "WRONG"
    if len(before.phase) != len(after.phase):
        return "SHORTER"
    if not np.array_equal(before.index, after.index) or before.step != after.step:
        return "WRONG"
    same = np.array_equal(before.orientation, after.orientation)
    if same and np.array_equal(before.phase, after.phase):
        return "whole"
    if set(found.provenance.warnings) - set(original.provenance.warnings):
        return "told"
    return "other values"


SECTIONS: dict[str, Callable[[Path], list[Row]]] = {
    "ours": ours,
    "orix": orix_alone,
    "damaged": damaged,
}


def show(rows: list[Row]) -> None:
    """Print what is not of the ordinary, and the rest in one line each."""
    for row in rows:
        points = "" if row.points is None else f"{row.points:7d} points"
        print(f"{row.verdict:12s} {row.file[-52:]:52s} {points:15s} {row.seconds:6.3f} s")
        if row.reason:
            print(f"{'':12s}   {row.reason[:150]}")


def main() -> None:
    """Measure the sections asked for and print, or also write, what came of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of real files")
    parser.add_argument("--section", choices=sorted(SECTIONS), action="append", default=None)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows to FILE")
    chosen = parser.parse_args()
    folder = chosen.real / "ebsd"
    if not folder.is_dir():
        parser.error(f"no orientation maps in {folder}; pass --real FOLDER")
    report: dict[str, Any] = {}
    for name in chosen.section or SECTIONS:
        rows = SECTIONS[name](folder)
        show(rows)
        counts = dict(Counter(row.verdict for row in rows))
        median = float(np.median([row.seconds for row in rows]))
        print(f"\n{name}: {counts}, median {1e3 * median:.1f} ms for a file\n")
        report[name] = {"rows": [asdict(row) for row in rows], "counts": counts}
    if chosen.json:
        text = json.dumps(report, indent=1, default=lambda number: number.item())
        chosen.json.write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
