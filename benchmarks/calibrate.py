"""Fit the confidence of phases, and of "unknown", to mixtures whose phases are known.

    python -m benchmarks.calibrate --real ../shared/real --cache runs.jsonl

Every measured mixture is searched with and without its elements, and again with each of its major
phases taken out of the library. Beside them stand simulated mixtures of one to four entries of the
built-in library, drawn by chance, under the conditions of `benchmarks.conditions` (other seeds and
other combinations than its own), a third of them with a major phase taken out. The few weights of
two logistic models are fitted to that, those of "unknown" to the measured ones alone, and written
to ``fusion/confidence.json``; what is printed is cross-validated, mixture by mixture.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks import conditions
from benchmarks.mixtures import Judge, Specimen, benchmark_library, specimens
from xtalfuse.datasets.library.build import Library, builtin
from xtalfuse.encoders.pattern import encode_pattern
from xtalfuse.fusion.calibrate import SHIPPED, Logistic, fit_logistic
from xtalfuse.loaders.record import Measurement
from xtalfuse.loaders.safe.processes import process_pool
from xtalfuse.tasks.identify.powder.phase import (
    FINAL_POINTS,
    SEARCH_POINTS,
    FoundPhase,
    finish,
    search_phases,
)
from xtalfuse.tasks.identify.powder.residual import unexplained_peaks, unknown_features
from xtalfuse.tasks.identify.powder.support import FEATURES, PhaseEvidence, phase_evidence

# which way each feature may push the probability of a phase (0: either)
PHASE_SIGNS = np.array([1, 1, -1, 1, 1, -1, 1, -1, -1, -1])
# unexplained height, count, area, misfit, height of doubtful phases, least probable phase
UNKNOWN_SIGNS = np.array([1, 1, 1, 1, 1, -1])
MAJOR = 0.10
SIMULATED_FROM = 20_000  # first seed of simulated mixtures: no report uses it


@dataclass(frozen=True)
class Simulated:
    """A simulated mixture, told apart like a measured one.

    Parameters
    ----------
    run : of `benchmarks.conditions`
    """

    run: conditions.Run

    @property
    def path(self) -> Path:
        """A name for it."""
        return Path(f"{self.run.seed} {self.run.condition} {self.run.name}")

    @property
    def group(self) -> str:
        """Each is a mixture of its own."""
        return str(self.path)

    @property
    def weights(self) -> dict[str, float]:
        """Mass fractions of its entries."""
        return dict(self.run.parts)

    @property
    def scorable(self) -> list[str]:
        """Entries whose lines can be seen."""
        return self._drawn[2]

    @property
    def elements(self) -> frozenset[str]:
        """Of all its entries."""
        library = builtin()
        names = [library.index(entry) for entry, _ in self.run.parts]
        return frozenset(e for i in names for e in library.entries[i].crystal.elements)

    @property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, list[str]]:
        return conditions.simulated(self.run, conditions.CONDITIONS[self.run.condition])

    def measurement(self) -> Measurement:
        """Written and read again, as a user's file is."""
        from xtalfuse.loaders import load

        angle, intensity, _ = self._drawn
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "pattern.xy"
            np.savetxt(path, np.column_stack([angle, intensity]), fmt="%.8g")
            return load(path, wavelength=conditions.CONDITIONS[self.run.condition].told)


class SimulatedJudge:
    """Tells which entries of the built-in library are right answers for a simulated mixture."""

    def classes(self, entry: str) -> frozenset[int]:
        """Look-alike classes of an entry."""
        library = builtin()
        return frozenset({library.entries[library.index(entry)].class_id})

    def compound(self, specimen: Simulated, entry: int) -> str | None:
        """Which entry of the mixture an answer is, None if it is a false phase."""
        library = builtin()
        return next(
            (
                name
                for name in specimen.weights
                if conditions.same(library, name, library.entries[entry].id, ())
            ),
            None,
        )


def simulated_runs(count: int) -> list[Run]:
    """Searches of simulated mixtures: phases, amounts, condition and what is removed by chance."""
    entries, runs = [e.id for e in builtin().entries], []
    for seed in range(SIMULATED_FROM, SIMULATED_FROM + count):
        rng = np.random.default_rng(seed)
        few = rng.choice(entries, rng.integers(1, 5), replace=False)
        share = rng.dirichlet(np.full(len(few), 1.5))
        parts = tuple((str(e), float(w)) for e, w in zip(few, share, strict=True))
        condition = str(rng.choice(list(conditions.CONDITIONS)))
        mixture = Simulated(conditions.Run(" + ".join(few), parts, condition, seed))
        major = [e for e, w in parts if w > MAJOR]
        removed = str(rng.choice(major)) if rng.random() < 1 / 3 else None
        runs.append(Run(mixture, bool(rng.random() < 0.25), removed))
    return runs


@dataclass(frozen=True)
class Run:
    """One search to make."""

    specimen: Specimen | Simulated
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
    made = isinstance(run.specimen, Simulated)
    library = builtin() if made else _library(library_path)
    judge = SimulatedJudge() if made else Judge(library)
    entries = (
        library.select(run.specimen.elements) if run.elements_given else np.arange(len(library))
    )
    classes = np.array([e.class_id for e in library.entries])
    if run.removed:
        entries = entries[~np.isin(classes[entries], list(judge.classes(run.removed)))]
    measurement = run.specimen.measurement()
    signal = encode_pattern(measurement, SEARCH_POINTS)
    searcher, result = search_phases(measurement, signal, library, entries)
    evidence = phase_evidence(result)
    names = [judge.compound(run.specimen, p.entry) for p in result.fit.phases]
    fine = encode_pattern(measurement, FINAL_POINTS)
    fine = replace(fine, radiation=searcher.signal.radiation)
    # the pattern is concluded with the phases that are right, as a good gate would leave it
    rows = []
    for gate in ("right", "all"):
        kept = [i for i, n in enumerate(names) if n is not None or gate == "all"]
        phases = tuple(result.fit.phases[i] for i in kept)
        fit = searcher.polish(replace(result.fit, phases=phases), 4)
        _, fit = finish(fine, fit, error_scale=searcher.fitter.error.scale)
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
        # a phase of a simulated mixture that cannot be seen is not missed; one that no library
        # has is
        "complete": run.removed not in run.specimen.scorable
        and (made or set(run.specimen.weights) == set(run.specimen.scorable)),
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
        found = [PhaseEvidence(**e) for e in row["evidence"]]
        # that it, or one that is as good, is there: see `tasks.identify.powder.phase`
        values = np.array(
            [max(phase(e.features()), phase(replace(e, margin=e.gain).features())) for e in found]
        )
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


def is_made(groups: np.ndarray) -> np.ndarray:
    """(n,) whether each is a simulated mixture; their groups begin with a seed."""
    return np.char.isdigit(np.char.partition(groups, " ")[:, 0])


def report(what: str, p: np.ndarray, y: np.ndarray, made: np.ndarray) -> None:
    """Print how well probabilities hold, on measured and on simulated mixtures."""
    for name, part in (("measured", ~made), ("simulated", made)):
        if part.any():
            q, z = p[part], y[part]
            print(
                f"{what}, {name}: {len(z)}, {z.mean():.2f} true; cross-validated: "
                f"found {np.mean(q[z > 0.5] > 0.5):.3f}, false {np.mean(q[z < 0.5] > 0.5):.3f}, "
                f"calibration error {calibration_error(q, z):.3f}"
            )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--library", type=Path, help="built from real/cif by default")
    parser.add_argument("--cache", type=Path, default=Path("calibration.jsonl"))
    parser.add_argument("--simulated", type=int, default=1000, help="simulated mixtures")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    library = arguments.library or benchmark_library(arguments.real)
    runs = plan(arguments.real) + simulated_runs(arguments.simulated)
    rows = collect(runs, library, arguments.cache, arguments.workers)
    x, y, groups = phase_samples(rows)
    phase = fit_logistic(x, y, PHASE_SIGNS)
    p = cross_validated(x, y, groups, PHASE_SIGNS)
    report("phases", p, y, is_made(groups))
    for name, weight in zip(FEATURES, phase.weights, strict=True):
        print(f"  {name:12s} {weight:+.2f}")
    u, z, unknown_groups = unknown_samples(rows, phase)
    made = is_made(unknown_groups)
    # simulated patterns leave nothing over where all phases are known, measured ones always do
    unknown = fit_logistic(u[~made], z[~made], UNKNOWN_SIGNS)
    q = np.array([unknown(row) for row in u])
    q[~made] = cross_validated(u[~made], z[~made], unknown_groups[~made], UNKNOWN_SIGNS)
    q = np.maximum(q, 10.0 ** u[:, 2])  # as it is reported: at least the unexplained share
    report("unknown", q, z, made)
    print("  weights", np.round(unknown.weights, 2))
    whole = [
        set(r["scorable"]) <= set(r["names"]) and None not in r["names"]
        for r in rows
        if r["complete"] and is_made(np.array([r["group"]]))[0]
    ]
    print(f"simulated and complete: {sum(whole)} of {len(whole)} proposed whole, and nothing else")
    content = {"phase": phase.to_dict(), "unknown": unknown.to_dict(), "features": list(FEATURES)}
    arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
