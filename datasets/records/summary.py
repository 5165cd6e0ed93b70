"""What a dataset holds, in numbers."""

from __future__ import annotations

from collections import Counter
from typing import Any

from xtalfuse.datasets.records.dataset import Dataset


def summary(dataset: Dataset) -> dict[str, Any]:
    """Counts of records, of what exists together, of labels with their ranges, of refusals."""
    table, refused = dataset.table, dataset.refused
    labels = {}
    for name in dataset.labels:
        for column in (c for c in map(str, table) if c.startswith(f"target:{name}[")):
            usable = table[column][table[f"fault:{name}"] == ""].dropna()
            faults = int((table[f"fault:{name}"] != "").sum())
            text = f"{len(usable)} usable, {faults} with a fault"
            if len(usable) and usable.dtype.kind == "f":
                unit = column.rpartition("[")[2].rstrip("]")
                low, mid, high = usable.quantile([0.0, 0.5, 1.0])
                text += f", {low:.4g} to {high:.4g} {unit}".rstrip() + f", median {mid:.4g}"
            labels[name] = text
    return {
        "name": dataset.built["name"],
        "records": len(dataset),
        "groups": len(set(dataset.groups)),
        "refused": dataset.built["refused"],
        "shards": len(dataset.built["shards"]),
        "modalities": dict(Counter(table["modalities"].replace("", "none")).most_common()),
        "labels": labels,
        "near duplicates": int((table["near"] != "").sum()),
        "reasons": dict(Counter(refused["code"]).most_common()),
        "built with": dataset.built["versions"],
    }
