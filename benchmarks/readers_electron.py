"""Electron-microscopy files: what becomes of each, whole and damaged.

    python benchmarks/readers_electron.py [--real FOLDER] [--out FILE]

Prints JSON. "Silent" is what must not happen: a signal that is empty, constant, not finite or
filled with zeros and yet returned as good. The zero model is RosettaSciIO alone, with the
reader that the suffix names.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders import load
from xtalfuse.loaders.electron import companions
from xtalfuse.loaders.guard import guarded
from xtalfuse.loaders.record import Calibration, Measurement, UnreadableFileError

CUTS = (0.1, 0.5, 0.9)
DAMAGED_FILES = 30
NOT_DATA = (".json", ".hdr", "")
SUFFIXES = {
    "dm3": "digitalmicrograph",
    "dm4": "digitalmicrograph",
    "emd": "emd",
    "blo": "blockfile",
    "h5": "usid",
    "hdf5": "hspy",
    "hspy": "hspy",
    "nxs": "nexus",
    "rpl": "ripple",
    "unf": "semper",
    "emi": "tia",
    "ser": "tia",
    "tif": "tiff",
    "app5": "topspin",
    "tvips": "tvips",
    "msa": "msa",
}


def faults(values: np.ndarray) -> str | None:
    """Why an array is no measurement; None if it may be one."""
    if values.size < 2:
        return "empty"
    if values.dtype.kind not in "iuf":
        return "not real numbers"
    if not np.isfinite(values).all():
        return "not finite"
    if values.max() == values.min():
        return "constant"
    return None


def whole(folder: Path) -> dict[str, Any]:
    """Every file of `folder`: read or refused, and how long it took."""
    modalities: Counter[str] = Counter()
    calibrations: Counter[str] = Counter()
    refused: dict[str, str] = {}
    silent, unworded, seconds = [], [], []
    for path in files_of(folder):
        name = str(path.relative_to(folder))
        began = time.perf_counter()
        try:
            measurement = load(path)
        except UnreadableFileError as error:
            refused[name] = str(error)
            if path.stem not in str(error) or ";" not in str(error):
                unworded.append(name)
            continue
        seconds.append(time.perf_counter() - began)
        modalities[measurement.modality.value] += 1
        calibrations[measurement.calibration.value] += 1
        if faults(measurement.values) or not_calibrated(measurement):
            silent.append(name)
    return {
        "files": sum(modalities.values()) + len(refused),
        "read": dict(modalities),
        "calibration": dict(calibrations),
        "refused": len(refused),
        "refused_without_reason_or_remedy": unworded,
        "silent": silent,
        "seconds_median": round(statistics.median(seconds), 4) if seconds else None,
        "seconds_max": round(max(seconds), 3) if seconds else None,
        "reasons": refused,
    }


def not_calibrated(measurement: Measurement) -> bool:
    """Whether an axis has a unit although the calibration is said to be unknown."""
    unit = measurement.axes[-1].unit
    return measurement.calibration is Calibration.UNKNOWN and unit in ("eV", "nm", "1/angstrom")


def files_of(folder: Path) -> list[Path]:
    """Data files under `folder`, in a fixed order."""
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in NOT_DATA]


def suffix_only(path: str) -> str:
    """Zero model: what RosettaSciIO returns by suffix alone, in one word."""
    reader = SUFFIXES.get(Path(path).suffix[1:])
    if reader is None:
        return "no reader"
    try:
        signals = importlib.import_module(f"rsciio.{reader}").file_reader(path)
    except Exception as error:
        return f"raises {type(error).__name__}"
    if not signals:
        return "silent: no signal"
    fault = faults(np.asarray(signals[0]["data"]))
    return f"silent: {fault}" if fault else "read"


def zero_model(paths: list[Path]) -> dict[str, int]:
    """Outcomes of `suffix_only` over `paths`, each in a guarded child."""
    by_name = importlib.import_module(Path(__file__).stem)  # a child cannot find __main__
    outcomes: Counter[str] = Counter()
    for path in paths:
        try:
            outcomes[
                guarded(by_name.suffix_only, path, seconds=20.0).split(" ")[0].rstrip(":")
            ] += 1
        except UnreadableFileError:
            outcomes["crash"] += 1
    return dict(outcomes)


def damaged(folder: Path, seed: int = 0) -> dict[str, Any]:
    """Copies of 30 files cut at 10, 50 and 90 %, and with one bit in 16,000 flipped."""
    rng = random.Random(seed)
    candidates = []
    for path in files_of(folder):
        try:
            candidates.append((path, load(path)))
        except UnreadableFileError:
            continue
    outcomes: Counter[str] = Counter()
    passed_bad, slowest = [], 0.0
    for path, original in rng.sample(candidates, min(DAMAGED_FILES, len(candidates))):
        raw = path.read_bytes()
        copies = {f"cut {cut:.0%}": raw[: int(len(raw) * cut)] for cut in CUTS}
        copies["bits flipped"] = flipped(raw, rng)
        with tempfile.TemporaryDirectory() as place:
            for beside in companions(path):
                Path(place, beside.name).write_bytes(beside.read_bytes())
            for kind, content in copies.items():
                copy = Path(place, path.name)
                copy.write_bytes(content)
                began = time.perf_counter()
                outcome = judged(copy, original)
                slowest = max(slowest, time.perf_counter() - began)
                outcomes[f"{kind}: {outcome}"] += 1
                if outcome in ("empty", "filled"):
                    passed_bad.append(f"{path.relative_to(folder)} ({kind})")
    return {
        "copies": sum(outcomes.values()),
        "outcomes": dict(sorted(outcomes.items())),
        "parent_crashes_or_hangs": 0,  # else this line would not have been reached
        "empty_or_zero_padded_passed": passed_bad,
        "slowest_seconds": round(slowest, 2),
    }


def flipped(raw: bytes, rng: random.Random) -> bytes:
    """`raw` with one bit in 16,000 turned, three at least."""
    copy = bytearray(raw)
    for _ in range(max(3, len(copy) // 2000)):
        copy[rng.randrange(len(copy))] ^= 1 << rng.randrange(8)
    return bytes(copy)


def judged(copy: Path, original: Measurement) -> str:
    """What became of a damaged copy: refused, same, shorter, other, empty or filled."""
    try:
        found = load(copy).values
    except UnreadableFileError:
        return "refused"
    if faults(found):
        return "empty"
    if found.shape == original.values.shape and np.array_equal(found, original.values):
        return "same"
    if np.mean(found == 0) > np.mean(original.values == 0) + 0.1:
        return "filled"
    return "shorter" if found.size < original.values.size else "other values"


def energy_ranges(folder: Path) -> dict[str, Any]:
    """EELSDB spectra: energies as read against those their authors declared."""
    right, wrong = 0, []
    for path in sorted(folder.glob("*/data.msa")):
        told = json.loads((path.parent / "metadata.json").read_text())
        declared = [told.get(key) for key in ("min_energy", "max_energy")]
        if None in declared:
            continue
        expected = [float(value.split()[0]) for value in declared]
        energy = load(path).axis("energy")
        if np.allclose([energy[0], energy[-1]], expected, atol=0.06):  # written with 1 decimal
            right += 1
        else:
            wrong.append(path.parent.name)
    return {"right": right, "wrong": wrong}


def main() -> None:
    """Run all parts and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    parser.add_argument("--real", type=Path, default=Path(os.environ.get("XTALFUSE_REAL", beside)))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    folder = options.real / "tem"
    began = time.perf_counter()
    result = {
        "whole": whole(folder),
        "zero_model": {"rosettasciio_by_suffix": zero_model(files_of(folder))},
        "eelsdb_energies": energy_ranges(folder / "eelsdb"),
        "damaged": damaged(folder),
        "seconds": round(time.perf_counter() - began, 1),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
