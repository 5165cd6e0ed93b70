"""A powder pattern together with a spectrum, of the same compound and of another.

    python -m benchmarks.fusion --json fusion.json

Patterns are measured (CPD pure phases and mixtures). Spectra of another
compound are measured (SrTiO3 core loss and EDS, La0.7Sr0.3MnO3); of the same compound, or of one
compound of a mixture, they are simulated, because no measured pair exists. The zero model is the
pattern alone.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.figures import told
from benchmarks.mixtures import Judge, Specimen, benchmark_library, specimens
from benchmarks.synthetic_spectra import COMPOUNDS
from benchmarks.synthetic_spectra.edges import simulate
from xtalfuse.datasets.library.build import Library
from xtalfuse.loaders import load
from xtalfuse.loaders.record import Axis, Measurement, Modality, Provenance, Record
from xtalfuse.tasks.identify.pipeline import identify

OTHERS = {
    "tem/sto/EELS_STO.dm3": {"Ti", "O"},
    "tem/sto/EDS-STO.emd": {"Sr", "Ti", "O"},
    "tem/eelsdb/02_la0-7sr0-3mno3srtio3-001-heterostructure/data.msa": {"Mn"},
}


def spectrum_of(formula: str, seed: int) -> Measurement:
    """A simulated energy-loss spectrum of a compound, 100-2000 eV."""
    rng = np.random.default_rng(seed)
    made = simulate(formula, rng, window=(100.0, 2000.0))
    return Measurement(
        Modality.EELS,
        made.intensity,
        (Axis("energy", "eV", made.energy),),
        "counts",
        Provenance(f"simulated {formula}", "", "simulated"),
    )


def judged(answer, specimen: Specimen, judge: Judge, library: Library) -> tuple[set, int]:
    """Compounds found and number of false phases."""
    names = [judge.compound(specimen, library.index(p.entry)) for p in answer.phases]
    return {n for n in names if n}, sum(n is None for n in names)


def flagged(answer) -> bool:
    """Whether a record was named as contradicting the others."""
    return any(text.startswith("conflict") for text in answer.warnings)


def run(specimen: Specimen, real: Path, library: Library, judge: Judge) -> list[dict]:
    """All combinations of one pattern."""
    pattern = specimen.measurement()
    compounds = {e for name in specimen.weights for e in _elements(name)}

    def ask(spectrum: Measurement | None, elements=None):
        parts = (pattern,) if spectrum is None else (pattern, spectrum)
        record = Record(specimen.path.stem, specimen.group, parts)
        return identify(record, library, elements=elements, refine=False)

    by_hand, by_hand_false = judged(ask(None, sorted(specimen.elements)), specimen, judge, library)
    alone, alone_false = judged(ask(None), specimen, judge, library)
    base = {
        "file": specimen.path.name,
        "by_hand": len(by_hand),
        "by_hand_false": by_hand_false,
        "alone": len(alone),
        "alone_false": alone_false,
    }
    spectra: list[tuple[str, bool, Measurement]] = [
        (f"simulated {formula}", True, spectrum_of(formula, 1))
        for formula in specimen.weights
        if formula in COMPOUNDS
    ]
    spectra += [
        (path, False, load(real / path))
        for path, elements in OTHERS.items()
        if not elements <= compounds
    ]
    rows = []
    for name, same, spectrum in spectra:
        answer = ask(spectrum)
        found, false = judged(answer, specimen, judge, library)
        seen = {"spectrum": name, "same": same, "flagged": flagged(answer)}
        rows.append({**base, **seen, "found": len(found), "false": false})
    return rows


def _elements(name: str) -> set[str]:
    return set(re.findall(r"[A-Z][a-z]?", name))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, default=Path("../shared/real"))
    parser.add_argument("--library", type=Path, help="built from real/cif by default")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    library = Library.load(arguments.library or benchmark_library(arguments.real))
    judge = Judge(library)
    rows: list[dict] = []
    for specimen in specimens(arguments.real):
        if specimen.family != "cpd":
            continue
        new = run(specimen, arguments.real, library, judge)
        rows += new
        for row in new:
            print(json.dumps(row), flush=True)
    same = [r for r in rows if r["same"]]
    other = [r for r in rows if not r["same"]]
    figures = {
        "same_compound_pairs": len(same),
        "same_compound_not_worse_than_by_hand": float(
            np.mean([r["found"] >= r["by_hand"] and r["false"] <= r["by_hand_false"] for r in same])
        ),
        "same_compound_flagged": float(np.mean([r["flagged"] for r in same])),
        "other_compound_pairs": len(other),
        "other_compound_flagged": float(np.mean([r["flagged"] for r in other])),
        "other_compound_answer_kept": float(np.mean([r["found"] >= r["alone"] for r in other])),
    }
    told({"figures": {name: {"value": value} for name, value in figures.items()}, "rows": rows},
         arguments.json)  # fmt: skip


if __name__ == "__main__":
    main()
