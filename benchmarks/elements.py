"""Which elements spectra show: exact sets and F1, on measured and on simulated spectra.

    python -m benchmarks.elements                       # measured spectra, offsets injected
    python -m benchmarks.elements --synthetic 97        # simulated spectra as well
    python -m benchmarks.elements --json elements.json

Truth for a measured core-loss spectrum: the elements of its formula with a major edge inside
the recorded range, and those whose edges its author declares. Beside the search stand two zero
models: the largest naive jump at tabulated energies, and the commonest elements in range.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.real import real_folder
from benchmarks.synthetic_spectra import COMPOUNDS, elements_in_range, parse, simulate
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import element_evidence, summed_spectrum
from xtalfuse.fusion.conflict import conflict
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance
from xtalfuse.physics.spectroscopy import edges

OFFSETS = (-10.0, -5.0, 0.0, 5.0, 10.0)


@dataclass
class Score:
    """Counts over spectra; adds up one prediction at a time."""

    exact: int = 0
    spectra: int = 0
    hits: int = 0
    false: int = 0
    missed: int = 0

    def add(self, found: frozenset[str], truth: frozenset[str]) -> None:
        """Count one spectrum."""
        self.spectra += 1
        self.exact += found == truth
        self.hits += len(found & truth)
        self.false += len(found - truth)
        self.missed += len(truth - found)

    def summary(self) -> dict[str, float]:
        """Exact-set rate and F1 over elements."""
        f1 = 2 * self.hits / max(2 * self.hits + self.false + self.missed, 1)
        exact = self.exact / max(self.spectra, 1)
        return {"exact": round(exact, 3), "f1": round(f1, 3), "spectra": self.spectra}


def shifted(measurement: Measurement, offset_ev: float) -> Measurement:
    """The same measurement with its energy axis moved."""
    axes = []
    for axis in measurement.axes:
        if axis.name == "energy":
            step = offset_ev if axis.unit == "eV" else offset_ev / 1000.0
            axis = Axis(axis.name, axis.unit, axis.values + step)
        axes.append(axis)
    return replace(measurement, axes=tuple(axes))


def as_measurement(energy: np.ndarray, intensity: np.ndarray, name: str) -> Measurement:
    """A simulated spectrum in the type that files are read into."""
    return Measurement(
        Modality.EELS,
        intensity,
        (Axis("energy", "eV", energy),),
        "counts",
        Provenance(name, "", "simulated"),
    )


def naive_jump(energy: np.ndarray, intensity: np.ndarray) -> frozenset[str]:
    """Zero model: elements with the largest jumps at tabulated energies, no offset."""
    jumps: dict[str, float] = {}
    for edge in edges():
        before = (energy > edge.onset_ev - 20.0) & (energy < edge.onset_ev - 2.0)
        after = (energy > edge.onset_ev) & (energy < edge.onset_ev + 12.0)
        if edge.major and before.sum() > 3 and after.sum() > 3:
            line = np.polynomial.Polynomial.fit(energy[before], intensity[before], 1)
            jump = float((intensity[after] - line(energy[after])).mean())
            jumps[edge.element] = max(jumps.get(edge.element, 0.0), jump)
    largest = max(jumps.values(), default=0.0)
    return frozenset(e for e, jump in jumps.items() if largest > 0.0 and jump > 0.5 * largest)


def commonest(energy: np.ndarray) -> frozenset[str]:
    """Zero model: elements testable in range that are common in materials."""
    symbols = {edge.element for edge in edges() if prior_probability(edge.element) >= 0.1}
    return elements_in_range(symbols, energy[0], energy[-1])


def measured(folder: Path) -> list[tuple[str, Measurement, frozenset[str]]]:
    """Name, measurement and true elements of every core-loss spectrum in the folder."""
    from xtalfuse.loaders import load

    found = []
    for path in sorted(folder.glob("tem/eelsdb/*/data.msa")):
        facts = json.loads((path.parent / "metadata.json").read_text(encoding="utf-8"))
        if facts["type"] == "Low Loss":
            continue
        measurement = load(path)
        energy, _ = summed_spectrum(measurement)
        truth = elements_in_range(set(facts["elements"]), energy[0], energy[-1])
        truth |= {edge.split("_")[0] for edge in facts.get("edges", [])}
        found.append((path.parent.name, measurement, frozenset(truth)))
    sto = folder / "tem" / "sto"
    if (sto / "EELS_STO.dm3").is_file():
        found.append(("EELS_STO", load(sto / "EELS_STO.dm3"), frozenset({"Ti", "O"})))
        found.append(("EDS-STO", load(sto / "EDS-STO.emd"), frozenset({"Sr", "Ti", "O"})))
    return found


def run_measured(folder: Path, verbose: bool) -> dict[str, dict[str, float]]:
    """Scores over measured spectra with every offset injected."""
    scores = {name: Score() for name in ("search", "naive jump", "commonest elements")}
    seconds = []
    for name, measurement, truth in measured(folder):
        for offset in OFFSETS:
            moved = shifted(measurement, offset)
            start = time.perf_counter()
            found = element_evidence(moved).present()
            seconds.append(time.perf_counter() - start)
            scores["search"].add(found, truth)
            if moved.modality is Modality.EELS:
                energy, intensity = summed_spectrum(moved)
                scores["naive jump"].add(naive_jump(energy, intensity), truth)
                scores["commonest elements"].add(commonest(energy), truth)
            if verbose or found != truth:
                mark = "right" if found == truth else "WRONG"
                print(f"  {mark} {name} {offset:+.0f} eV: {sorted(found)} for {sorted(truth)}")
    result = {name: score.summary() for name, score in scores.items()}
    result["seconds"] = {
        "median": round(float(np.median(seconds)), 3),
        "max": round(max(seconds), 2),
    }
    return result


def run_synthetic(number: int, seed: int) -> dict[str, dict[str, float]]:
    """Scores over simulated spectra, and how often a conflict with phases is seen."""
    names = ("search", "search above 140 eV", "naive jump", "commonest elements")
    scores = {name: Score() for name in names}
    right = wrong = spoken = 0
    for k in range(number):
        rng = np.random.default_rng([seed, k])
        simulated = simulate(COMPOUNDS[k % len(COMPOUNDS)], rng)
        energy, intensity = simulated.energy, simulated.intensity
        evidence = element_evidence(as_measurement(energy, intensity, simulated.formula))
        scores["search"].add(evidence.present(), simulated.elements)
        if energy[0] > 140.0:
            scores["search above 140 eV"].add(evidence.present(), simulated.elements)
        scores["naive jump"].add(naive_jump(energy, intensity), simulated.elements)
        scores["commonest elements"].add(commonest(energy), simulated.elements)
        right += conflict(evidence, parse(simulated.formula)).flagged
        other = set(parse(COMPOUNDS[int(rng.integers(len(COMPOUNDS)))]))
        if not simulated.elements <= other:
            spoken += 1
            wrong += conflict(evidence, other).flagged
    result = {name: score.summary() for name, score in scores.items()}
    result["conflict"] = {
        "flagged, own compound": round(right / number, 3),
        "flagged, compound without an element seen": round(wrong / max(spoken, 1), 3),
        "pairs": spoken,
    }
    return result


def main() -> None:
    """Run and print; exit quietly where there are no measured files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=real_folder(), help="folder of measured files")
    parser.add_argument("--synthetic", type=int, default=0, help="number of simulated spectra")
    parser.add_argument("--seed", type=int, default=1000, help="of the simulated spectra")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores here too")
    parser.add_argument("--verbose", action="store_true", help="print every spectrum")
    options = parser.parse_args()
    report: dict[str, dict] = {}
    if options.real.is_dir():
        report["measured"] = run_measured(options.real, options.verbose)
    else:
        print(f"no measured files in {options.real}; set XTALFUSE_REAL or pass --real")
    if options.synthetic:
        report["synthetic"] = run_synthetic(options.synthetic, options.seed)
    for part, scores in report.items():
        for name, score in scores.items():
            print(f"{part:10s} {name:20s} {score}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
