"""Which elements spectra show: exact sets and F1, on measured and on simulated spectra.

    python -m benchmarks.elements                       # measured spectra, offsets injected
    python -m benchmarks.elements --synthetic 300       # simulated spectra as well
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
from benchmarks.synthetic_spectra import Simulated, parse
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.encoders.spectrum.elements import element_evidence, summed_spectrum
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance
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


def as_measurement(made: Simulated, kind: Modality) -> Measurement:
    """A simulated spectrum in the type that files are read into."""
    return Measurement(
        kind,
        made.intensity,
        (Axis("energy", "eV", made.energy),),
        "counts",
        Provenance(made.formula, "", "simulated"),
        Beam("electron", energy_kev=made.beam_kev),
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


def elements_in_range(elements: set[str], low_ev: float, high_ev: float) -> frozenset[str]:
    """Elements with a major edge inside a window, 2 eV after its start, 8 eV before its end."""
    return frozenset(
        e.element
        for e in edges()
        if e.element in elements and e.major and low_ev + 2.0 <= e.onset_ev <= high_ev - 8.0
    )


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
            start = time.process_time()
            found = element_evidence(moved).present()
            seconds.append(time.process_time() - start)
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


def run_synthetic(number: int, seed: int, verbose: bool) -> dict[str, dict[str, float]]:
    """Scores over simulated spectra: two in three of energy losses, one of X-rays.

    An element that does not stand out of the noise of its simulation may be found or not; an
    exact set holds all that do, and none that is not in the compound. Spectra in which nothing
    stands out count for false elements only.
    """
    from benchmarks.synthetic_spectra import edges, formula_of, lines

    scores: dict[str, Score] = {}
    false: dict[str, list[bool]] = {}
    named: dict[str, list[bool]] = {}
    seconds = []
    for k in range(number):
        rng = np.random.default_rng([seed, k])
        kind = Modality.EDS if k % 3 == 2 else Modality.EELS
        made = (lines if k % 3 == 2 else edges).simulate(formula_of(k), rng)
        start = time.process_time()
        evidence = element_evidence(as_measurement(made, kind))
        seconds.append(time.process_time() - start)
        compound = frozenset(parse(made.formula)) | made.neutral
        found = evidence.present() - made.neutral
        rows = [kind.value.upper(), *{f"with {made.kinds[e]}" for e in made.elements}]
        false.setdefault(kind.value.upper(), []).append(bool(found - compound))
        if made.elements:
            for row in ("all", *rows):
                scores.setdefault(row, Score()).add(
                    found - (compound - made.elements), made.elements
                )
            if kind is Modality.EELS:
                zero = naive_jump(made.energy, made.intensity) - (compound - made.elements)
                scores.setdefault("EELS, naive jump", Score()).add(zero, made.elements)
        for element in made.elements:
            hit = element in found or element in evidence.possible()
            named.setdefault(made.kinds[element], []).append(hit)
        if verbose and (found - compound or made.elements - found):
            window = f"{made.energy[0]:.0f}-{made.energy[-1]:.0f} eV"
            print(f"  {k} {made.formula} {kind.value} {window} {made.offset_ev:+.0f} eV "
                  f"{seconds[-1]:.1f} s: {sorted(found)} for "
                  f"{[f'{e} {made.kinds[e]}' for e in sorted(made.elements)]}")  # fmt: skip
    result = {name: score.summary() for name, score in sorted(scores.items())}
    result["spectra with a false element"] = {k: round(np.mean(v), 3) for k, v in false.items()}
    result["seen or possible"] = {k: round(np.mean(v), 3) for k, v in sorted(named.items())}
    result["seconds"] = {"median": round(np.median(seconds), 3), "max": round(max(seconds), 2)}
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
        report["synthetic"] = run_synthetic(options.synthetic, options.seed, options.verbose)
    for part, scores in report.items():
        for name, score in scores.items():
            print(f"{part:10s} {name:20s} {score}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
