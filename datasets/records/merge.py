"""Datasets put together, and two builds of one compared."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtalfuse.datasets.records.build import finish
from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.records.shard import SHARDS
from xtalfuse.datasets.records.store import StoreError, read_attributes
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.loaders.safe.head import sha256_of

if TYPE_CHECKING:
    import pandas as pd

_OF_THE_BUILD = ("id", "shard", "place", "near")  # columns that say nothing of a record


def merge(folders: Sequence[str | Path], out: str | Path) -> Dataset:
    """A dataset of the records of several, in their order.

    The shards are the same files, linked where the disk can. Copies and near duplicates are found
    anew, over all; splits are not taken over, for they are of other sets of records.

    Parameters
    ----------
    out : a new folder

    Raises
    ------
    StoreError
        If two datasets have records of one id, one of them is damaged, or `out` is not new.
    OSError
        If it cannot be written.
    """
    parts = [Dataset(folder) for folder in folders]
    owner: dict[str, Path] = {}
    for part in parts:
        for name in part.ids:
            if name in owner:
                raise StoreError(
                    f"record {name!r} is in {owner[name]} and in {part.folder}; rename it in one "
                    "manifest and build that again"
                )
            owner[name] = part.folder
    out = Path(out).absolute()
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out}: not empty; give a new folder")
    (out / SHARDS).mkdir(parents=True, exist_ok=True)
    names = []
    for part in parts:
        for name in dict.fromkeys([*part.table["shard"], *part.built["shards"]]):  # as records are
            sha256 = part.built["shards"][name]
            source = part.folder / SHARDS / name
            if not source.is_file() or sha256_of(source) != sha256:
                raise StoreError(f"{source}: not the file that was built; build it again")
            if name not in names:
                _linked(source, out / SHARDS / name)
                names.append(name)
    digests = "".join(part.build_sha256 for part in parts)
    finish(out, names, out.name, hashlib.sha256(digests.encode()).hexdigest())
    return Dataset(out)


def _linked(source: Path, place: Path) -> None:
    """The same file at another place: stored shards never change."""
    try:
        os.link(source, place)
    except OSError:  # another disk, or one without links
        with replacing(place) as temporary:
            shutil.copyfile(source, temporary)


@dataclass(frozen=True)
class Change:
    """What is other in one of two datasets.

    Parameters
    ----------
    id : of the record
    what : ``only old``, ``only new``, ``refused``, ``inputs``, or the column that changed
    old, new : what stands there; of a record that is refused the reason
    """

    id: str
    what: str
    old: str = ""
    new: str = ""


def diff(old: Dataset, new: Dataset) -> list[Change]:
    """What changed from one build to another, record by record.

    Raises
    ------
    StoreError
        If a shard is damaged.
    """
    refused = {
        row["id"]: f"{row['code']}: {row['cause']}; {row['remedy']}"
        for row in new.refused.to_dict("records")
        if row["whole"]
    }
    rows = [_rows(dataset) for dataset in (old, new)]
    inputs = [_inputs(dataset) for dataset in (old, new)]
    changes = []
    for name in sorted(rows[0].keys() | rows[1].keys()):
        if name not in rows[1]:
            what = "refused" if name in refused else "only old"
            changes.append(Change(name, what, "", refused.get(name, "")))
        elif name not in rows[0]:
            changes.append(Change(name, "only new"))
        else:
            if inputs[0][name] != inputs[1][name]:
                hashes = (", ".join(h[:12] for h in found[name]) for found in inputs)
                changes.append(Change(name, "inputs", *hashes))
            changes += _changed(name, rows[0][name], rows[1][name])
    return changes


def _rows(dataset: Dataset) -> dict[str, dict[str, Any]]:
    rows: Any = dataset.table.to_dict("records")
    return {row["id"]: row for row in rows}


def _changed(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    for column in dict.fromkeys([*old, *new]):
        pair = [_text(row.get(column)) for row in (old, new)]
        if pair[0] != pair[1] and column not in _OF_THE_BUILD:
            yield Change(name, column, *pair)


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _inputs(dataset: Dataset) -> dict[str, list[str]]:
    """sha256 of the files of each record."""
    found = {}
    for shard in dataset.built["shards"]:
        for entry in read_attributes(dataset.folder / SHARDS / shard)[0]["entries"]:
            found[entry["id"]] = entry["inputs"]
    return found


def export_table(dataset: Dataset) -> pd.DataFrame:
    """One row a record: what is known of it, its usable labels, and its part in each split.

    A label with a fault is blank. Splits of another build are left out.
    """
    from xtalfuse.datasets.splits.split import read_split, stored_splits

    table = dataset.table.drop(columns=["shard", "place"]).copy()
    for name in dataset.labels:
        for column in [c for c in table if str(c).startswith(f"target:{name}[")]:
            table[column] = table[column].where(table[f"fault:{name}"] == "")
    table = table.drop(columns=[f"fault:{name}" for name in dataset.labels])
    for name in stored_splits(dataset.folder):
        try:
            made = read_split(dataset.folder, name, dataset.build_sha256)
        except StoreError:
            continue
        table[f"split:{name}"] = [made.parts.get(one, "") for one in table["id"]]
    return table
