"""Powder patterns that are nearly the same: two scans of one specimen, or one scan twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xtalfuse.datasets.records.codec import POWDER_G
from xtalfuse.datasets.records.store import read_arrays
from xtalfuse.datasets.splits.partition import connected

ALIKE = 0.99  # correlation of two patterns without their backgrounds
_BINS = 512
_BLOCK = 1024


class Kept(NamedTuple):
    """A record of a dataset: its shard, its place in it, and what is known of it."""

    shard: str
    place: int
    entry: dict[str, Any]


def near_duplicates(out: Path, kept: Sequence[Kept]) -> dict[str, str]:
    """Id of each record whose pattern is nearly that of others -> the first id among them."""
    ids, prints = [], []
    arrays: dict[str, np.ndarray] = {}
    last = ""
    for shard, number, entry in kept:
        if "xrd" not in entry["modalities"]:
            continue
        if shard != last:
            arrays, last = read_arrays(out / "shards" / shard)[0], shard
        for name in sorted(n for n in arrays if n.startswith(f"{number:04d}.powder.")):
            ids.append(entry["id"])
            prints.append(fingerprint(arrays[name]))
    if not ids:
        return {}
    stacked = np.stack(prints)
    names = list(dict.fromkeys(ids))  # a record may have several patterns
    place = {name: k for k, name in enumerate(names)}
    record = np.array([place[name] for name in ids])
    first = np.arange(len(names))  # of those that each is joined to, directly or by others
    for start in range(0, len(ids), _BLOCK):
        rows, columns = np.nonzero(stacked[start : start + _BLOCK] @ stacked.T > ALIKE)
        alike = np.stack([record[rows + start], record[columns]], axis=1)
        known = np.stack([np.arange(len(names)), first], axis=1)
        _, starts, part = np.unique(
            connected(len(names), np.concatenate([known, alike])),
            return_index=True, return_inverse=True,
        )  # fmt: skip
        first = starts[part]
    alone = np.bincount(first, minlength=len(names))[first] == 1
    return {name: names[f] for name, f, one in zip(names, first, alone, strict=True) if not one}


def fingerprint(profile: np.ndarray) -> np.ndarray:
    """(512,) float32 of length 1: a pattern on `POWDER_G` without its background.

    The square root takes the weight from the strongest line; the background is the least of what
    lies within 5 % of |g|.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    filled = np.nan_to_num(np.asarray(profile, float), nan=0.0)
    coarse = np.sqrt(np.maximum(filled.reshape(_BINS, -1).mean(axis=1), 0.0))
    width = round(0.1 / np.log(POWDER_G[-1] / POWDER_G[0]) * _BINS)
    lines = coarse - uniform_filter1d(minimum_filter1d(coarse, width), width)
    lines -= lines.mean()
    return (lines / max(float(np.linalg.norm(lines)), 1e-12)).astype(np.float32)
