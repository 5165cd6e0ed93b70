"""Fit the confidence of phases, and of "unknown", to mixtures whose phases are known.

    python -m benchmarks.calibrate --real ../shared/real --cache runs.jsonl

Every mixture is searched with and without its elements, and again with each of its major phases
taken out of the library. The few weights of two logistic models are fitted to that and written
to ``fusion/confidence.json``; what is printed is cross-validated, mixture by mixture.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.mixtures import Judge, Specimen, benchmark_library, specimens
from xtalfuse.datasets.library.build import Library
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.fusion.calibrate import SHIPPED, Logistic, fit_logistic
from xtalfuse.loaders.safe.processes import process_pool
from xtalfuse.tasks.identify.powder.phase import (
    FINAL_POINTS,
    SEARCH_POINTS,
    FoundPhase,
    finish,
    library_models,
    monochromator_factor,
    unexplained_peaks,
    unknown_features,
)
from xtalfuse.tasks.identify.powder.search import PhaseSearch
from xtalfuse.tasks.identify.powder.support import FEATURES, PhaseEvidence, phase_evidence

# which way each feature may push the probability of a phase (0: either)
PHASE_SIGNS = np.array([1, 1, -1, 1, 1, -1, 1, -1, -1, -1])
# unexplained height, count, area, misfit, height of doubtful phases, least probable phase
UNKNOWN_SIGNS = np.array([1, 1, 1, 1, 1, -1])
MAJOR = 0.10


@dataclass(frozen=True)
class Run:
    """One search to make."""

    specimen: Specimen
    elements_given: bool
    removed: str | None

    @property
    def key(self) -> str:
        """Name in the cache."""
        mode = "elements" if self.elements_given else "all"
        return f"{self.specimen.path.name}|{mode}|{self.removed or ''}"


@lru_cache(maxsize=1)
def _library(path: Path) -> Library:
    return Library.load(path)


def search(run: Run, library_path: Path) -> dict:
    """Search one pattern; the row holds the evidence of each proposed phase."""
    library = _library(library_path)
    judge = Judge(library)
    entries = (
        library.select(run.specimen.elements) if run.elements_given else np.arange(len(library))
    )
    classes = np.array([e.class_id for e in library.entries])
    if run.removed:
        entries = entries[~np.isin(classes[entries], list(judge.classes(run.removed)))]
    measurement = run.specimen.measurement()
    signal = encode_pattern(measurement, SEARCH_POINTS)
    models = library_models(library, entries, signal, monochromator_factor(measurement))
    searcher = PhaseSearch(signal, models, lambda a, b: classes[a] == classes[b])
    result = searcher.run()
    evidence = phase_evidence(result)
    names = [judge.compound(run.specimen, p.entry) for p in result.fit.phases]
    fine = encode_pattern(measurement, FINAL_POINTS)
    # the pattern is concluded with the phases that are right, as a good gate would leave it
    rows = []
    for gate in ("right", "all"):
        kept = [i for i, n in enumerate(names) if n is not None or gate == "all"]
        phases = tuple(result.fit.phases[i] for i in kept)
        fit = searcher.polish(replace(result.fit, phases=phases), 4)
        _, fit = finish(fine, fit)
        rest = [
            FoundPhase(p.entry, 0.0, e, ())
            for i, (p, e) in enumerate(zip(result.fit.phases, evidence, strict=True))
            if i not in kept
        ]
        found = unexplained_peaks(fine, fit)
        rows.append(unknown_features(fine, fit, found, [], rest).tolist())
    return {
        "key": run.key,
        "group": run.specimen.group,
        "elements_given": run.elements_given,
        "removed": run.removed,
        "complete": run.removed is None
        and not (set(run.specimen.weights) - set(run.specimen.scorable)),
        "scorable": run.specimen.scorable,
        "names": names,
        "entries": [library.entries[p.entry].id for p in result.fit.phases],
        "evidence": [asdict(e) for e in evidence],
        "unknown_right": rows[0],
        "unknown_all": rows[1],
    }


def plan(real: Path) -> list[Run]:
    """Every search that the calibration needs."""
    runs = []
    for specimen in specimens(real):
        if len(specimen.weights) < 2:
            continue
        slow = "2-min" in specimen.path.name and ".12-" not in specimen.path.name
        runs.append(Run(specimen, True, None))
        if not (slow and specimen.family == "mixtures_equal") or len(runs) % 2:
            runs.append(Run(specimen, False, None))
        if "2min" not in specimen.path.name and not slow:
            runs += [
                Run(specimen, True, name)
                for name in specimen.scorable
                if specimen.weights[name] > MAJOR
            ]
    return runs


def collect(runs: list[Run], library: Path, cache: Path, workers: int) -> list[dict]:
    """Rows of all runs; finished ones are kept in the cache file and not made again."""
    rows: dict[str, dict] = {}
    if cache.exists():
        for line in cache.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[row["key"]] = row
    todo = [run for run in runs if run.key not in rows]
    with process_pool(workers) as pool, cache.open("a", encoding="utf-8") as file:
        futures = {pool.submit(search, run, library): run for run in todo}
        for count, future in enumerate(as_completed(futures), 1):
            row = future.result()
            rows[row["key"]] = row
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(f"{count}/{len(todo)} {row['key']}", flush=True)
    return [rows[run.key] for run in runs]


def phase_samples(rows: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and groups of every proposed phase."""
    features, labels, groups = [], [], []
    for row in rows:
        for name, evidence in zip(row["names"], row["evidence"], strict=True):
            features.append(PhaseEvidence(**evidence).features())
            labels.append(name is not None)
            groups.append(row["group"])
    return np.array(features), np.array(labels, float), np.array(groups)


def unknown_samples(rows: list[dict], phase: Logistic) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and groups of every pattern: is a phase missing from the library?

    Patterns of which the search missed a phase that the library does hold are left out: what
    they leave unexplained is neither.
    """
    features, labels, groups = [], [], []
    for row in rows:
        values = np.array([phase(PhaseEvidence(**e).features()) for e in row["evidence"]])
        accepted = {n for n, v in zip(row["names"], values, strict=True) if v >= 0.5}
        if row["complete"] and set(row["scorable"]) - accepted:
            continue
        wrong = [n is None for n in row["names"]]
        fooled = any(v >= 0.5 and w for v, w in zip(values, wrong, strict=True))
        x = np.array(row["unknown_all" if fooled else "unknown_right"])
        x[-1] = min((v for v in values if v >= 0.5), default=0.0)
        features.append(x)
        labels.append(not row["complete"])
        groups.append(row["group"])
    return np.array(features), np.array(labels, float), np.array(groups)


def cross_validated(x, y, groups, signs) -> np.ndarray:
    """Probability of each sample from a model that has not seen its mixture."""
    p = np.empty(len(y))
    for group in np.unique(groups):
        out = groups == group
        model = fit_logistic(x[~out], y[~out], signs)
        p[out] = [model(row) for row in x[out]]
    return p


def calibration_error(p: np.ndarray, y: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error with equal-width bins (Naeini et al., 2015, AAAI)."""
    index = np.minimum((p * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    return float(error)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--library", type=Path, help="built from real/cif by default")
    parser.add_argument("--cache", type=Path, default=Path("calibration.jsonl"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    library = arguments.library or benchmark_library(arguments.real)
    rows = collect(plan(arguments.real), library, arguments.cache, arguments.workers)
    x, y, groups = phase_samples(rows)
    phase = fit_logistic(x, y, PHASE_SIGNS)
    p = cross_validated(x, y, groups, PHASE_SIGNS)
    print(
        f"phases: {len(y)} proposed, {y.mean():.2f} right; cross-validated: "
        f"accuracy {np.mean((p > 0.5) == (y > 0.5)):.3f}, "
        f"calibration error {calibration_error(p, y):.3f}"
    )
    for name, weight in zip(FEATURES, phase.weights, strict=True):
        print(f"  {name:12s} {weight:+.2f}")
    u, z, unknown_groups = unknown_samples(rows, phase)
    unknown = fit_logistic(u, z, UNKNOWN_SIGNS)
    q = cross_validated(u, z, unknown_groups, UNKNOWN_SIGNS)
    print(
        f"unknown: {len(z)} patterns, {z.mean():.2f} lack a phase; cross-validated: "
        f"found {np.mean(q[z > 0.5] > 0.5):.3f}, false alarm {np.mean(q[z < 0.5] > 0.5):.3f}, "
        f"calibration error {calibration_error(q, z):.3f}"
    )
    print("  weights", np.round(unknown.weights, 2))
    content = {"phase": phase.to_dict(), "unknown": unknown.to_dict(), "features": list(FEATURES)}
    arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
