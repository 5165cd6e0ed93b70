"""What the readers make of real instrument files: right, refused, or silently wrong.

Run ``python -m benchmarks.readers --help``. Where facts about a file are known
(``tests/loaders/xrd/xrd_formats.toml``, ``tem/electron_formats.toml``) the verdict is *right*,
*refused as it should be*, or wrong; elsewhere it is what was read, for a person to judge.
The zero models are rietx alone, RosettaSciIO alone, by suffix, and orix. Damaged copies are those
of `benchmarks.readers.hostile`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.readers.ebsd import maps, orix_alone
from benchmarks.readers.rows import Row, attempt, row_of
from benchmarks.real import real_folder
from xtalfuse.loaders import Measurement, UnreadableFileError
from xtalfuse.loaders.safe.guard import guarded

ROOT = Path(__file__).resolve().parents[2]
FACTS = ROOT / "tests" / "loaders" / "xrd" / "xrd_formats.toml"
ELECTRON_FACTS = ROOT / "tests" / "loaders" / "tem" / "electron_formats.toml"
SUFFIX_READERS = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".blo": "blockfile",
    ".h5": "usid",
    ".hdf5": "hspy",
    ".nxs": "nexus",
    ".rpl": "ripple",
    ".unf": "semper",
    ".emi": "tia",
    ".ser": "tia",
    ".tif": "tiff",
    ".app5": "topspin",
    **{f".{name}": name for name in ("emd", "hspy", "tvips", "msa")},
}


def agrees(pattern: Measurement, fact: dict[str, Any]) -> bool:
    """Whether points, range, highest intensity, unit and wavelengths are as known."""
    angles = pattern.axis("two_theta")
    lines = pattern.radiation.wavelengths_angstrom if pattern.radiation else ()
    known = tuple(fact.get("wavelengths", lines))
    return bool(
        pattern.values.size == fact["points"]
        and np.allclose(angles[[0, -1]], fact["range"], atol=1e-3)
        and np.isclose(pattern.values.max(), fact["highest"], rtol=1e-6)
        and pattern.value_unit == fact["unit"]
        and len(lines) == len(known)
        and np.allclose(lines, known, atol=2e-6)
    )


def diffractometers(real: Path) -> list[Row]:
    """Every file of ``xrd/formats`` against the facts that are known of it."""
    facts = tomllib.loads(FACTS.read_text("utf-8"))
    folder = real / "xrd" / "formats"
    rows = []
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        name = str(path.relative_to(folder))
        known = facts["twins"].get(name, name)
        pattern, reason, seconds = attempt(path)
        verdict = "read" if pattern else "refused"
        if known in facts["naked"]:
            refused = pattern is None and "no wavelength" in reason
            pattern, _, _ = attempt(path, "CuKa")
            right = refused and pattern is not None and agrees(pattern, facts["naked"][known])
            verdict = "right" if right else "WRONG"
        elif known in facts["powder"]:
            right = pattern is not None and agrees(pattern, facts["powder"][known])
            verdict = "right" if right else "WRONG"
        elif known in facts["refused"]:
            verdict = "refused" if facts["refused"][known] in reason else "WRONG"
        rows.append(row_of("xrd", name, verdict, pattern, reason, seconds))
    return rows


def rietx_alone(real: Path) -> dict[str, int]:
    """The zero model: how many of the known files `rietx.read_pattern` reads like us."""
    import rietx

    facts = tomllib.loads(FACTS.read_text("utf-8"))
    counts: Counter[str] = Counter()
    for name, fact in {**facts["powder"], **facts["naked"], **facts["refused"]}.items():
        try:
            pattern = rietx.read_pattern(real / "xrd" / "formats" / name)
        except Exception:  # whatever it raises, it did not read the file
            counts["refused, rightly" if isinstance(fact, str) else "not read"] += 1
            continue
        good = (
            not isinstance(fact, str)
            and pattern.x().size == fact["points"]
            and np.isclose(pattern.y().max(), fact["highest"], rtol=1e-6)
        )
        counts["right" if good else "wrong without a word"] += 1
    return dict(counts)


def microscopes(real: Path) -> list[Row]:
    """Every file of ``tem`` against the facts that are known of it."""
    facts = tomllib.loads(ELECTRON_FACTS.read_text("utf-8"))
    folder = real / "tem"
    rows = []
    for path in _microscope_files(folder):
        name = str(path.relative_to(folder))
        found, reason, seconds = attempt(path)
        verdict = "read" if found else "refused"
        if name in facts["measurement"]:
            verdict = (
                "right" if found and _looks_like(found, facts["measurement"][name]) else "WRONG"
            )
        elif name in facts["refused"]:
            verdict = "refused" if facts["refused"][name] in reason else "WRONG"
        elif found is not None and fault(found.values):
            verdict = "WRONG"
        rows.append(row_of("electron", name, verdict, found, reason, seconds))
    return rows


def _microscope_files(folder: Path) -> list[Path]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".json", ""))
    return sorted(files)


def _looks_like(found: Measurement, fact: list[Any]) -> bool:
    seen = [found.modality, list(found.values.shape), found.axes[-1].unit, found.calibration]
    return seen == fact


def fault(values: np.ndarray) -> str:
    """Why an array is no measurement; nothing if it may be one."""
    if values.size < 2:
        return "empty"
    if values.dtype.kind not in "iuf":
        return "not real numbers"
    if not np.isfinite(values).all():
        return "not finite"
    return "constant" if values.max() == values.min() else ""


def rosettasciio_alone(real: Path) -> dict[str, int]:
    """The zero model: what the reader that the suffix names makes of the files in ``tem``."""
    here = importlib.import_module("benchmarks.readers.__main__")  # a child cannot find __main__
    outcomes: Counter[str] = Counter()
    for path in _microscope_files(real / "tem"):
        try:
            outcomes[guarded(here.read_by_suffix, path, seconds=20.0)] += 1
        except UnreadableFileError:
            outcomes["raises or crashes"] += 1
    return dict(outcomes)


def read_by_suffix(path: str) -> str:
    """In one phrase, what RosettaSciIO returns for a file."""
    reader = SUFFIX_READERS.get(Path(path).suffix)
    if reader is None:
        return "no reader"
    signals = importlib.import_module(f"rsciio.{reader}").file_reader(path)
    wrong = not signals or fault(np.asarray(signals[0]["data"]))
    return "no measurement, without a word" if wrong else "read"


# Each section measures one kind of instrument: a function from the folder of real files to rows.
SECTIONS: dict[str, Callable[[Path], list[Row]]] = {
    "xrd": diffractometers,
    "electron": microscopes,
    "maps": maps,
}
ZERO_MODELS = {
    "xrd": ("rietx", rietx_alone),
    "electron": ("RosettaSciIO", rosettasciio_alone),
    "maps": ("orix", orix_alone),
}


def show(rows: list[Row]) -> None:
    """Print the table."""
    for row in rows:
        size = ""
        if row.points is not None:
            size = f"{row.points:6d} points"
            size += "" if row.first is None else f" {row.first:9.4f} to {row.last:9.4f}"
            size += f"  {row.wavelength:.5f} A" if row.wavelength else ""
        print(f"{row.verdict:8s} {row.file[-58:]:58s} {size}")
        if row.reason:
            print(f"{'':8s}   {row.reason[:160]}")


def main() -> None:
    """Measure the sections asked for and print, or also write, what came of each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of real files")
    parser.add_argument("--section", choices=sorted(SECTIONS), action="append", default=None)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows to FILE")
    chosen = parser.parse_args()
    if not chosen.real.is_dir():
        parser.error(f"no real instrument files in {chosen.real}; pass --real FOLDER")
    report: dict[str, Any] = {}
    for name in chosen.section or SECTIONS:
        rows = SECTIONS[name](chosen.real)
        show(rows)
        counts = dict(Counter(row.verdict for row in rows))
        median = float(np.median([row.seconds for row in rows]))
        print(f"\n{name}: {counts}, median {1e3 * median:.1f} ms for a file")
        report[name] = {"rows": [asdict(row) for row in rows], "counts": counts}
        if name in ZERO_MODELS:
            peer, measure = ZERO_MODELS[name]
            report[name][f"{peer} alone"] = alone = measure(chosen.real)
            print(f"{peer} alone: {alone}")
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1), "utf-8")


if __name__ == "__main__":
    main()
