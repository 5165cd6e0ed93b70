"""How well phases are found, quantified and doubted on mixtures whose phases are known.

    python -m benchmarks.identify                             # all sections
    python -m benchmarks.identify --section cpd --section weighed
    python -m benchmarks.identify --json identify.json --cache runs.jsonl

The library is everything under ``real/cif``; it is built first. Beside each figure stands a zero
model: the same number of phases taken from the top of the line-by-line ranking, without any fit.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.calibrate import calibration_error
from benchmarks.mixtures import DOUBTFUL, Judge, Specimen, benchmark_library, specimens
from xtalfuse.datasets.library.build import Library
from xtalfuse.loaders.safe.processes import process_pool

MAJOR = 0.10


@dataclass(frozen=True)
class Run:
    """One specimen to identify under given conditions."""

    section: str
    specimen: Specimen
    elements_given: bool
    removed: str | None = None
    refine: bool = False

    @property
    def key(self) -> str:
        """Name in the cache."""
        mode = "elements" if self.elements_given else "all"
        return f"{self.section}|{self.specimen.path.name}|{mode}|{self.removed or ''}"


def plan(real: Path) -> list[Run]:
    """All runs of all sections."""
    runs = []
    for s in specimens(real):
        if len(s.weights) < 2:
            if s.path.stem == "corundum":
                runs.append(Run("cell", s, True, refine=True))
            continue
        long = "8min" in s.path.name or "12-min" in s.path.name or s.family == "cpd"
        section = {"cpd": "cpd", "mixtures_weighed": "weighed", "mixtures_equal": "equal"}[s.family]
        runs.append(Run(section, s, True, refine=section != "equal"))
        if section != "weighed":
            runs.append(Run(section, s, False))
        if long:
            runs += [
                Run("removed", s, True, name) for name in s.scorable if s.weights[name] > MAJOR
            ]
    return runs


@lru_cache(maxsize=1)
def _library(path: Path) -> tuple[Library, Judge]:
    library = Library.load(path)
    return library, Judge(library)


def work(run: Run, library_path: Path) -> dict:
    """Identify one specimen and hold the answer against the truth."""
    import resource

    from xtalfuse.loaders.record import Record
    from xtalfuse.tasks.identify.pipeline import identify

    library, judge = _library(library_path)
    if run.removed:
        gone = judge.classes(run.removed)
        library = library.subset(
            [i for i, e in enumerate(library.entries) if e.class_id not in gone]
        )
        judge = Judge(library)
    measurement = run.specimen.measurement()
    record = Record(run.specimen.path.stem, run.specimen.group, (measurement,))
    elements = sorted(run.specimen.elements) if run.elements_given else None
    begin = time.perf_counter()
    answer = identify(record, library, elements=elements, refine=run.refine)
    seconds = time.perf_counter() - begin
    rows = [
        {
            "entry": p.entry,
            "compound": judge.compound(run.specimen, library.index(p.entry)),
            "fraction": p.weight_fraction,
            "su": p.weight_fraction_su,
            "confidence": p.confidence,
            "a": p.cell.a,
            "c": p.cell.c,
            "a_su": p.cell_su.a,
        }
        for p in answer.phases
    ]
    return {
        "key": run.key,
        "section": run.section,
        "file": run.specimen.path.name,
        "elements_given": run.elements_given,
        "removed": run.removed,
        "truth": run.specimen.weights,
        "scorable": run.specimen.scorable,
        "phases": rows,
        "unknown": answer.unknown.probability,
        "warnings": list(answer.warnings),
        "fit": answer.fit,
        "seconds": seconds,
        "search_seconds": answer.seconds.get("search"),
        "zero": zero_model(run, library, judge, measurement, elements),
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }


def zero_model(run, library, judge, measurement, elements) -> list[str | None]:
    """As many phases as there are, from the top of the ranking of lines, one of each class."""
    from xtalfuse.encoders.pattern import encode_pattern
    from xtalfuse.tasks.identify.powder.phase import SEARCH_POINTS, library_models
    from xtalfuse.tasks.identify.powder.screen import Screen

    signal = encode_pattern(measurement, SEARCH_POINTS)
    entries = range(len(library)) if elements is None else library.select(set(elements))
    models = library_models(library, entries, signal)
    ranking = Screen(signal, list(models.values())).rank(signal.net, signal.variance)
    named: list[str | None] = []
    seen: set[int] = set()
    for row in np.argsort(-ranking.score):
        entry = list(models)[row]
        if library.entries[entry].class_id in seen:
            continue
        seen.add(library.entries[entry].class_id)
        named.append(judge.compound(run.specimen, entry))
        if len(named) == len(run.specimen.weights):
            break
    return named


def collect(runs: list[Run], library: Path, cache: Path | None, workers: int) -> list[dict]:
    """Rows of all runs; those in the cache are not made again."""
    rows: dict[str, dict] = {}
    if cache and cache.exists():
        for line in cache.read_text(encoding="utf-8").splitlines():
            rows[json.loads(line)["key"]] = json.loads(line)
    todo = [run for run in runs if run.key not in rows]
    with process_pool(workers) as pool:
        futures = [pool.submit(work, run, library) for run in todo]
        for count, future in enumerate(as_completed(futures), 1):
            row = future.result()
            rows[row["key"]] = row
            if cache:
                with cache.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
            print(f"{count}/{len(todo)} {row['key']} {row['seconds']:.1f} s", flush=True)
    return [rows[run.key] for run in runs]


def found(row: dict) -> tuple[int, int, int]:
    """Compounds found, compounds missed, false phases."""
    right = {p["compound"] for p in row["phases"]} & set(row["scorable"])
    false = sum(p["compound"] is None for p in row["phases"])
    return len(right), len(row["scorable"]) - len(right), false


def scores(rows: list[dict]) -> dict[str, float]:
    """Recall, precision, F1, mean error of the weight fractions, and their z-scores."""
    counts = np.array([found(row) for row in rows])
    hit, miss, false = counts.sum(axis=0)
    zero_hit = sum(len({n for n in row["zero"] if n}) for row in rows)
    zero_named = sum(len(row["zero"]) for row in rows)
    errors = [e for row in rows for e, _ in fraction_errors(row)]
    z = np.array([e / su for row in rows for e, su in fraction_errors(row) if su > 0.0])
    return {
        "patterns": len(rows),
        "phases": int(hit + miss),
        "found": int(hit),
        "false": int(false),
        "recall": hit / max(hit + miss, 1),
        "precision": hit / max(hit + false, 1),
        "f1": 2 * hit / max(2 * hit + miss + false, 1),
        "mean_error_wt_percent": float(100 * np.mean(np.abs(errors))) if errors else float("nan"),
        "z_deviation": float(np.sqrt(np.mean(z**2))) if len(z) else float("nan"),
        "z_largest": float(np.abs(z).max(initial=0.0)),
        "zero_model_recall": zero_hit / max(hit + miss, 1),
        "zero_model_precision": zero_hit / max(zero_named, 1),
        "median_seconds": float(np.median([row["seconds"] for row in rows])),
        "median_search_seconds": float(np.median([row["search_seconds"] for row in rows])),
        "most_seconds": float(max(row["seconds"] for row in rows)),
        "peak_memory_gb": max(row["peak_memory_gb"] for row in rows),
    }


def fraction_errors(row: dict) -> list[tuple[float, float]]:
    """Errors of the weight fractions of the declared compounds, with their uncertainties.

    A missed one is 0, and so is its uncertainty.
    """
    got: dict[str, float] = {}
    variance: dict[str, float] = {}
    for phase in row["phases"]:
        name = phase["compound"]
        if name in row["truth"]:
            got[name] = got.get(name, 0.0) + phase["fraction"]
            variance[name] = variance.get(name, 0.0) + (phase["su"] or 0.0) ** 2
    if set(row["scorable"]) != set(row["truth"]):
        return []
    return [
        (got.get(name, 0.0) - weight, variance.get(name, 0.0) ** 0.5)
        for name, weight in row["truth"].items()
    ]


def removed_scores(rows: list[dict]) -> dict[str, float]:
    """What happens when a true phase over 10 wt% is not in the library."""
    unknown = np.array([row["unknown"] >= 0.5 for row in rows])
    wrong = [
        max((p["fraction"] for p in row["phases"] if p["compound"] is None), default=0.0)
        for row in rows
    ]
    return {
        "cases": len(rows),
        "unknown": unknown.mean(),
        "wrong_phase": np.mean(np.array(wrong) > 0.0),
        "wrong_phase_over_5_wt": np.mean(np.array(wrong) > 0.05),
    }


def confidence(rows: list[dict]) -> dict[str, float]:
    """Calibration over every accepted phase, and over "unknown"."""
    pairs = [(p["confidence"], p["compound"] is not None) for row in rows for p in row["phases"]]
    p, y = np.array(pairs, float).T
    complete = [
        row["removed"] is None and set(row["scorable"]) == set(row["truth"]) for row in rows
    ]
    natural = [row["removed"] is None and set(row["scorable"]) != set(row["truth"]) for row in rows]
    u = np.array([row["unknown"] for row in rows])
    return {
        "accepted_phases": len(p),
        "expected_calibration_error": calibration_error(p, y),
        "unknown_calibration_error": calibration_error(u, 1.0 - np.array(complete, float)),
        "unknown_false_alarms": float(np.mean(u[np.array(complete)] >= 0.5)),
        "natural_unknowns_noticed": float(np.mean(u[np.array(natural)] >= 0.5)),
    }


def cell_scores(rows: list[dict]) -> dict[str, float]:
    """Corundum against the certificate of SRM 676a: a = 4.759355, c = 12.99231 angstrom."""
    phase = max(rows[0]["phases"], key=lambda p: p["fraction"])
    a, c = phase["a"], phase["c"]
    return {
        "a": a,
        "c": c,
        "a_ppm": 1e6 * (a / 4.759355 - 1.0),
        "c_over_a_ppm": 1e6 * ((c / a) / (12.99231 / 4.759355) - 1.0),
        "a_su": phase["a_su"],
        "a_z": (a - 4.759355) / (phase["a_su"] or float("nan")),
    }


def summary(rows: list[dict]) -> dict[str, dict]:
    """All figures by section."""

    def pick(section: str, keep: Callable[[dict], bool]) -> list[dict]:
        return [row for row in rows if row["section"] == section and keep(row)]

    parts = {
        "CPD 1a-1d, elements": pick("cpd", lambda r: r["elements_given"]),
        "CPD 1a-1d, no elements": pick("cpd", lambda r: not r["elements_given"]),
        "weighed, 8 min, elements": pick("weighed", lambda r: "8min" in r["file"]),
        "weighed, 2 min, elements": pick("weighed", lambda r: "2min" in r["file"]),
        "equal, elements": pick("equal", lambda r: r["elements_given"]),
        "equal, no elements": pick("equal", lambda r: not r["elements_given"]),
    }
    for name in [name for name in parts if name.startswith("weighed")]:
        sound = [row for row in parts[name] if not row["file"].startswith(DOUBTFUL)]
        parts[f"{name}, without doubtful specimens"] = sound
    figures: dict[str, dict] = {name: scores(part) for name, part in parts.items() if part}
    removed = pick("removed", lambda r: True)
    if removed:
        figures["true phase removed"] = removed_scores(removed)
    cell = pick("cell", lambda r: True)
    if cell:
        figures["corundum cell"] = cell_scores(cell)
    figures["confidence"] = confidence([row for row in rows if row["section"] != "cell"])
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--library", type=Path, help="built from real/cif by default")
    parser.add_argument("--section", action="append", help="cpd, weighed, equal, removed, cell")
    parser.add_argument("--cache", type=Path, help="keep finished runs here and go on from them")
    parser.add_argument("--json", type=Path, help="write all rows and figures here")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    library = arguments.library or benchmark_library(arguments.real)
    runs = [
        run
        for run in plan(arguments.real)
        if not arguments.section or run.section in arguments.section
    ]
    rows = collect(runs, library, arguments.cache, arguments.workers)
    figures = summary(rows)
    for name, values in figures.items():
        print(f"\n{name}")
        for key, value in values.items():
            print(
                f"  {key:28s} {value:.4g}" if isinstance(value, float) else f"  {key:28s} {value}"
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
