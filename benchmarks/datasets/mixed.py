"""Real and simulated records as one dataset, from the command line as a user has it."""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
from typer.testing import CliRunner

from benchmarks.real import real_folder
from xtalfuse.cli import app
from xtalfuse.datasets.records.dataset import Dataset

RECIPE = """
seed: {seed}
sets:
  - {{kind: powder, count: 1150}}
  - {{kind: specimen, count: 200}}
  - {{kind: rings, count: 60}}
  - {{kind: eels, count: 130}}
  - {{kind: eds, count: 130}}
  - {{kind: map, count: 40}}
  - {{kind: volume, count: 60}}
"""


def measure(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Built, simulated, merged, split, verified, exported and read back; CPU of all processes."""
    real, steps = real_folder(), {}

    def do(*words: object, codes: tuple[int, ...] = (0,)) -> None:
        begun = _cpu()
        done = CliRunner().invoke(app, ["dataset", *map(str, words)])
        if done.exit_code not in codes:
            raise RuntimeError(f"{words}: {done.output}")
        steps[str(words[0])] = steps.get(str(words[0]), 0.0) + _cpu() - begun

    do("template", real, "-o", folder / "listed.csv")
    manifest = _completed(folder / "listed.csv", real)
    (folder / "recipe.yaml").write_text(RECIPE.format(seed=given.seed))
    built, made, mixed = (folder / name for name in ("real", "simulated", "mixed"))
    do("build", manifest, "--root", real, "-o", built, "--workers", 1, codes=(0, 3))
    do("simulate", folder / "recipe.yaml", "-o", made, "--workers", 1)
    do("merge", built, made, "-o", mixed)
    do("split", mixed, "--by", "group")
    do("verify", mixed)
    do("export", mixed, "-o", folder / "mixed.parquet")
    do("card", mixed)
    begun = _cpu()
    dataset = Dataset(mixed)
    parts = dataset.split("group")
    shared = set(parts["train"].groups) & set(parts["test"].groups)
    kinds: dict[str, int] = {}
    for record in dataset:
        for measurement in record.measurements:
            kinds[measurement.modality] = kinds.get(measurement.modality, 0) + 1
    steps["read back"] = _cpu() - begun
    exported = pd.read_parquet(folder / "mixed.parquet")
    return {
        "records": len(dataset), "of real files": len(Dataset(built)),
        "refused": dataset.built["refused"], "measurements": kinds,
        "parts": {name: len(part) for name, part in parts.items()},
        "groups in both parts": len(shared),
        "exported rows": len(exported), "labels": len(dataset.labels),
        "MB": sum(f.stat().st_size for f in mixed.rglob("*") if f.is_file()) / 1e6,
        "CPU seconds": steps,
    }  # fmt: skip


def _cpu() -> float:
    """Seconds of CPU of this process and of those that it waited for."""
    return sum(os.times()[:4])


def _completed(listed: Path, real: Path) -> Path:
    """What a person adds in a spreadsheet: wavelengths, volumes of a file, weighed fractions."""
    truth = {
        f"xrd/{row['file']}": row["wt"]
        for row in json.loads((real / "xrd" / "truth.json").read_text(encoding="utf-8"))
        if "wt" in row
    }
    rows = []
    for row in csv.DictReader(listed.open(newline="", encoding="utf-8")):
        path = row["path"]
        if path.startswith("tables/") or path.endswith("truth.json"):
            continue
        if path.endswith("nanoporous_gold.npz"):
            rows += [
                {**row, "id": f"{row['id']}-{k}", "path": f"{path}#{k}"} for k in range(0, 300, 10)
            ]
            continue
        wavelength = "CuKa" if path.endswith((".prn", ".xy", "001_019.csv")) else ""
        weights = truth.get(path, {})
        total = sum(weights.values())
        labels = {f"target:weight_fraction_{n}": w / total for n, w in weights.items()}
        labels = {f"{name}[]": round(value, 6) for name, value in labels.items()}
        rows.append({**row, "wavelength": wavelength, "phases": "; ".join(weights), **labels})
    place = listed.with_name("manifest.csv")
    pd.DataFrame(rows).to_csv(place, index=False)
    return place
