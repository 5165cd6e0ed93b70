"""One page that shows a dataset: what is in it, what goes together, what is not used and why."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.summary import summary
from xtalfuse.report.page import render_page

BARS = "▁▂▃▄▅▆▇█"
BINS = 32
MOST_LABELS = 60


def dataset_page(dataset: Dataset) -> str:
    """HTML of counts, modalities that occur together, labels, and reasons of refusal."""
    found = summary(dataset)
    refused = dataset.refused
    examples = {
        code: [
            f"{' '.join(filter(None, (row['id'], row['path'], row['target'])))}: {row['cause']}"
            for row in refused[refused["code"] == code].head(3).to_dict("records")
        ]
        for code in found["reasons"]
    }
    return render_page(
        "dataset.html.j2",
        specimen=found["name"],
        headline=f"{len(dataset)} records of {found['groups']} groups, {found['refused']} refused",
        warnings=(),
        files=(),
        seconds={},
        version=version("xtalfuse"),
        found=found,
        labels={name: [found["labels"].get(name, ""), *distribution(dataset, name)]
                for name in dataset.labels[:MOST_LABELS]},
        more=max(len(dataset.labels) - MOST_LABELS, 0),
        examples=examples,
    )  # fmt: skip


def distribution(dataset: Dataset, name: str) -> tuple[str, str]:
    """(curve in letters, what it runs over) of a label; its commonest values where it is a text."""
    table = dataset.labelled(name).table
    columns = [c for c in map(str, table) if c.startswith(f"target:{name}[")]
    values: Any = table[columns].bfill(axis=1).iloc[:, 0]
    if not len(values) or values.map(lambda value: isinstance(value, str)).any():
        return "", ", ".join(f"{v} {n}" for v, n in values.value_counts().head(8).items())
    numbers = values.to_numpy(float)
    counts, edges = np.histogram(numbers, BINS)
    heights = np.ceil(counts / max(counts.max(), 1) * (len(BARS) - 1)).astype(int)
    curve = "".join(BARS[height] for height in heights)
    return curve, f"{edges[0]:.4g} to {edges[-1]:.4g}"
