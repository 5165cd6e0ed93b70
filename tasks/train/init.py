"""A first configuration for a dataset: what is there, and sizes that fit it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import yaml

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.splits.split import label_values, split, stored_splits, write_split
from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.tasks.train.config import ConfigError

LEAST = 20  # records with a label
LEAST_OF_INPUT = 5  # records that have it; fewer are in no fold, or in one
LEAST_ABSENT = 0.1  # rate at which an input is left out in training, or as many as lack it
STEPS = 200, 4000  # the fewest and the most
WIDE = 10.0  # largest over smallest of a label that is learned as its logarithm
PASSES = 60  # over the records, in all steps
MOST_LATENT = 32
PREFERRED = ("source", "group", "id")  # what splits do not share, the strictest first


def first_config(
    dataset: Dataset, targets: Sequence[str] = (), columns: Sequence[str] = ()
) -> dict[str, Any]:
    """Plain values of a configuration; a split is made where the dataset has none.

    Parameters
    ----------
    targets : labels to learn; all that `LEAST` records have where none are given
    columns : labels that are known beforehand

    Raises
    ------
    ConfigError
        If there is nothing to learn, or nothing to learn from.
    """
    chosen = [
        name for name in targets or dataset.labels
        if name not in columns and (targets or _records(dataset, name) >= LEAST)
    ]  # fmt: skip
    if not chosen:
        raise ConfigError(f"{dataset.folder}: no label that {LEAST} records have; add labels")
    inputs = _inputs(dataset, columns)
    if not inputs:
        raise ConfigError(f"{dataset.folder}: no compositions, columns or files to learn from")
    name, count = _split(dataset)
    batch = int(min(32, max(4, count // 8)))
    steps = int(np.clip(PASSES * count / batch, *STEPS))
    many = {"image", "volume", "powder"} & set(inputs)
    rates = _absent(dataset, inputs, columns)
    content: dict[str, Any] = {
        "dataset": str(dataset.folder),
        "split": name,
        "targets": {target: _target(dataset, target) for target in chosen},
        "inputs": inputs,
        "folds": 5,
        "coverage": 0.9,
        "network": {"latents": MOST_LATENT if len(many) > 1 else 0},
        "training": {"steps": steps, "batch": batch, "seed": 0, "absent": rates},
    }
    if columns:
        content["columns"] = list(columns)
    return content


def as_yaml(content: dict[str, Any]) -> str:
    """The text of a configuration."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _records(dataset: Dataset, name: str) -> int:
    return int(label_values(dataset.table, name).notna().sum())


def _inputs(dataset: Dataset, columns: Sequence[str]) -> list[str]:
    has = [set(modalities.split()) for modalities in dataset.table["modalities"]]
    found = []
    for name in TOKEN_ENCODERS:
        reads = {str(modality) for modality in TOKEN_ENCODERS[name].modalities}
        if sum(bool(reads & each) for each in has) >= LEAST_OF_INPUT:
            found.append(name)
    if (dataset.table["composition"] != "").sum() >= LEAST_OF_INPUT:
        found.append("composition")
    return found + (["columns"] if columns else [])


def _absent(
    dataset: Dataset, inputs: Sequence[str], columns: Sequence[str]
) -> float | dict[str, float]:
    """Rate at which training leaves out each input: a model is safe up to that rate."""
    if len(inputs) < 2:
        return 0.0
    has = [set(modalities.split()) for modalities in dataset.table["modalities"]]
    unknown = [label_values(dataset.table, name).isna().to_numpy() for name in columns]
    lacking = {
        "composition": float((dataset.table["composition"] == "").mean()),
        "columns": float(np.all(unknown, axis=0).mean()) if columns else 0.0,
    }
    for name in set(inputs) - {"composition", "columns"}:
        reads = {str(modality) for modality in TOKEN_ENCODERS[name].modalities}
        lacking[name] = float(np.mean([not reads & each for each in has]))
    return {name: round(max(LEAST_ABSENT, lacking[name]), 2) for name in inputs}


def _target(dataset: Dataset, name: str) -> dict[str, Any]:
    values = label_values(dataset.table, name).dropna()
    if values.dtype.kind != "f":
        return {"kind": "class"}
    wide = float(values.min()) > 0.0 and float(values.max() / values.min()) > WIDE
    unit = str(values.name).rpartition("[")[2].rstrip("]")
    return {"unit": unit, "scale": "log" if wide else "linear"}


def _split(dataset: Dataset) -> tuple[str, int]:
    """(name of a stored split, records of its part ``train``); the strictest that can be made."""
    there = stored_splits(dataset.folder)
    for name in [*(p for p in PREFERRED if p in there), *there]:
        parts = dataset.split(name)
        if "train" in parts:
            return name, len(parts["train"])
    for by in PREFERRED:
        try:
            made = split(dataset, {"train": 0.8, "test": 0.2}, by)
        except ValueError:
            continue
        if len(made.left_out) > len(dataset) // 5:
            continue
        write_split(dataset.folder, by, made, dataset.build_sha256)
        return by, made.counts["train"]
    raise ConfigError(f"{dataset.folder}: too few groups to split; add records")
