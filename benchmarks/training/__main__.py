"""Predictors trained on stored records, against plain models on the same splits.

    python -m benchmarks.training [--section alloys|laboratory] [--seeds 1,2] [--json FILE]

``alloys``: hardness and yield strength of multi-principal-element alloys, split by source (needs
the real files). ``laboratory``: simulated specimens of which each instrument is missing for 40 %.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.figures import told
from benchmarks.training.laboratory import LABORATORY, OF_HEAT, Laboratory, recipes
from xtalfuse.datasets.manifest.template import table_template
from xtalfuse.datasets.records.build import build
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.base import generate
from xtalfuse.datasets.splits.split import split, write_split
from xtalfuse.tasks.train.config import Config
from xtalfuse.tasks.train.evaluate import Evaluation, evaluate, unlearned
from xtalfuse.tasks.train.fit import fit, prepare
from xtalfuse.tasks.train.init import first_config

REAL = Path(os.environ.get("XTALFUSE_REAL") or "../shared/real")
LABELS = {
    "hardness[HV]": "PROPERTY: HV",
    "yield_strength[MPa]": "PROPERTY: YS (MPa)",
    "processing": "PROPERTY: Processing method",
    "test": "PROPERTY: Type of test",
    "temperature[degC]": "PROPERTY: Test temperature ($^\\circ$C)",
}
COLUMNS = ("processing", "test", "temperature")


def alloys(folder: Path) -> Dataset:
    """The table of alloys as a dataset."""
    import pandas as pd

    columns = {"composition": "FORMULA", "source": "REFERENCE: doi"}
    rows = table_template(REAL / "tables" / "mpea.csv", columns, LABELS)
    pd.DataFrame(rows).to_csv(folder / "mpea.csv", index=False)
    build(folder / "mpea.csv", folder / "mpea")
    return Dataset(folder / "mpea")


def laboratory(folder: Path, heats: int, seed: int) -> Dataset:
    """Simulated specimens."""
    SAMPLE_SETS.add(Laboratory.name, "benchmarks.training.laboratory:LABORATORY")
    generate(LABORATORY, folder / "laboratory", recipes(heats, seed), OF_HEAT)
    return Dataset(folder / "laboratory")


def trained(
    dataset: Dataset, by: str, seed: int, columns: Sequence[str], targets: Sequence[str],
    steps: int, out: Path,
) -> tuple[list[Evaluation], float]:  # fmt: skip
    """(what is found on the fifth that was not learned from, CPU seconds of the training)."""
    name = f"{by}-{seed}"
    made = split(dataset, {"train": 0.8, "test": 0.2}, by, seed)
    write_split(dataset.folder, name, made, dataset.build_sha256)
    content = first_config(dataset, targets, columns)
    content |= {"split": name}
    content["training"] |= {"seed": seed} | ({"steps": steps} if steps else {})
    start = time.process_time()
    model = fit(prepare(Config.model_validate(content)), out)
    return evaluate(model, unlearned(model)), time.process_time() - start


def row(found: Evaluation, seed: int, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    scores = {score.who: score for score in found.scores}
    alone = {who: s.score for who, s in scores.items() if who.endswith("alone")}
    best = max(alone, key=lambda who: alone[who], default="")
    _, low, high = found.gain
    return {
        "seed": seed,
        "target": found.target,
        "records": scores["answer"].records,
        "groups": found.groups,
        "by": found.by,
        "answer": scores["answer"].score,
        "network": scores["network"].score,
        "baseline chosen": scores[found.rival].score,
        "best of one input": alone.get(best, float("nan")),
        "which": best.partition(", ")[2],
        "answer - baseline, loss": found.gain[0],
        "95 %": f"{low:+.3f} to {high:+.3f}",
        "covered": scores["answer"].covered,
        "CPU s": seconds,
    }


def patterns(found: Evaluation, seed: int) -> list[dict[str, Any]]:
    """The answer for each set of inputs."""
    return [
        {"seed": seed, "target": found.target, "inputs": name, "records": score.records,
         "score": score.score, "covered": score.covered}
        for name, score in found.patterns.items()
    ]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--section", choices=("alloys", "laboratory"))
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--steps", type=int, default=0, help="of a network; 0 as --init")
    parser.add_argument("--heats", type=int, default=100)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures: dict[str, Any] = {}
    for section in (given.section,) if given.section else ("alloys", "laboratory"):
        rows, parts = [], []
        for seed in map(int, given.seeds.split(",")):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                if section == "alloys":
                    data, by, columns = alloys(folder), "source", COLUMNS
                    targets = ("hardness", "yield_strength")
                else:
                    data, by, columns = (
                        laboratory(folder, given.heats, seed),
                        "group",
                        ("furnace", "line"),
                    )
                    targets = ("hardness", "stiffness", "class")
                found, seconds = trained(
                    data, by, seed, columns, targets, given.steps, folder / "model"
                )
            rows += [row(each, seed, seconds) for each in found]
            parts += [each for one in found for each in patterns(one, seed)]
        figures |= {section: rows, f"{section}, by what there is": parts}
        covered = [r["covered"] * r["records"] for r in rows]
        figures[f"{section}, covered"] = float(np.sum(covered) / sum(r["records"] for r in rows))
    told(figures, given.json)


if __name__ == "__main__":
    main()
