"""Splits of a dataset that do not leak, and their files beside its index."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.records.store import StoreError
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.splits.partition import joined, partition

if TYPE_CHECKING:
    import pandas as pd

    from xtalfuse.datasets.records.dataset import Dataset

FOLDER = "splits"
BINS = 10  # of a numeric label in strata: deciles
_DIGITS = 3  # of atomic fractions: no method of chemical analysis tells 0.1 % of a whole apart
_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True)
class Split:
    """Which record is in which part.

    Parameters
    ----------
    by : what no two parts share, a name of `KEYS`
    shares : wanted share of each part
    stratify : label or column of which each part has its share of each value; "" for none
    parts : id -> part
    left_out : ids of which it is not known what `by` asks for: they might leak
    """

    by: str
    shares: Mapping[str, float]
    seed: int
    stratify: str
    parts: Mapping[str, str]
    left_out: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Records of each part."""
        of = Counter(self.parts.values())
        return {part: of[part] for part in self.shares}


def fractions(text: str) -> dict[str, float]:
    """Element -> atomic fraction of a formula; nothing of what is none."""
    from pymatgen.core import Composition

    try:
        whole = Composition(text).fractional_composition if text else Composition()
        return {str(e): round(float(x), 12) for e, x in sorted(whole.items(), key=str)}
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return {}


def _composition(table: pd.DataFrame) -> list[str]:
    """Atomic fractions: Al0.25CoFeNi and AlCo4Fe4Ni4 are one composition."""
    return [
        " ".join(f"{e}{x:.{_DIGITS}f}" for e, x in fractions(text).items())
        for text in table["composition"]
    ]


def _system(table: pd.DataFrame) -> list[str]:
    """The elements, of the composition or as they are stated."""
    rows = zip(table["composition"], table["elements"], strict=True)
    return ["-".join(sorted(fractions(c) or set(e.split()))) for c, e in rows]


def _text(name: str) -> Callable[[pd.DataFrame], list[str]]:
    """A column without differences of writing; a DOI without what may stand before it."""

    def of(table: pd.DataFrame) -> list[str]:
        plain = [" ".join(str(text).casefold().split()) for text in table[name]]
        return [re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", text) for text in plain]

    return of


def _time(table: pd.DataFrame) -> list[str]:
    """As ISO 8601 in UTC; a date that may be read in two ways is not known."""
    import pandas as pd

    times = pd.to_datetime(table["time"], format="ISO8601", utc=True, errors="coerce")
    return ["" if pd.isna(t) else t.isoformat() for t in times]


KEYS: Mapping[str, Callable[[pd.DataFrame], list[str]]] = {
    "id": lambda table: list(table["id"]), "group": lambda table: list(table["group"]),
    "composition": _composition, "system": _system, "prototype": _text("prototype"),
    "source": _text("source"), "instrument": _text("instrument"), "time": _time,
}  # fmt: skip


def keys_of(table: pd.DataFrame, by: str) -> list[str]:
    """What no two parts may share, of each record; "" where it is not known.

    Raises
    ------
    ValueError
        If there is no such key, or no record has it.
    """
    if by not in KEYS:
        raise ValueError(f"split by {by!r}; give one of {', '.join(KEYS)}")
    keys = KEYS[by](table)
    if not any(keys):
        raise ValueError(f"no record has a {by}; add the column to the manifest or split otherwise")
    return keys


def sets_of(table: pd.DataFrame, by: str) -> list[str]:
    """(n) name of the set of records that stay together; "" where the key is not known.

    Near duplicates stay together whatever the key is, and so do groups but for ``id``.
    """
    keys = keys_of(table, by)
    groups = [] if by == "id" else [list(table["group"])]
    numbers = joined(keys, list(table["near"]), *groups)
    first: dict[int, str] = {}
    for number, name in sorted(zip(numbers, table["id"], strict=True), key=lambda row: row[1]):
        first.setdefault(number, name)
    return [first[n] if key else "" for n, key in zip(numbers, keys, strict=True)]


def label_values(table: pd.DataFrame, name: str) -> pd.Series:
    """The usable values of a label; numbers or texts, and nothing where it has a fault.

    Raises
    ------
    KeyError
        If no record has it.
    ValueError
        If records have it in several units.
    """
    columns = [c for c in map(str, table) if c.startswith(f"target:{name}[")]
    if not columns:
        labels = [str(c).removeprefix("fault:") for c in table if str(c).startswith("fault:")]
        raise KeyError(f"no label {name!r}; there are {', '.join(labels) or 'none'}")
    usable = [table[c].where(table[f"fault:{name}"] == "").rename(c) for c in columns]
    usable = [values for values in usable if values.notna().any()] or usable[:1]
    if len(usable) > 1:
        listed = ", ".join(str(values.name).removeprefix("target:") for values in usable)
        raise ValueError(f"label {name!r} stands in several units ({listed}); correct the manifest")
    return usable[0]


def _strata(table: pd.DataFrame, name: str) -> list[int]:
    """Class of each record: a text, a tenth of the numbers, or that there is none."""
    import pandas as pd

    plain = name in table and name not in ("id", "shard", "place")
    values = table[name] if plain else label_values(table, name)
    if values.dtype.kind == "f":
        return list(pd.qcut(values, BINS, labels=False, duplicates="drop").fillna(-1).astype(int))
    return list(pd.factorize(values, sort=True)[0])


def split(
    dataset: Dataset,
    shares: Mapping[str, float],
    by: str = "group",
    seed: int = 0,
    stratify: str = "",
) -> Split:
    """Parts of a dataset that share nothing of a kind.

    Parameters
    ----------
    shares : share of each part; they add up to 1
    by : what they do not share, a name of `KEYS`. By ``time`` the earliest records are in the
        first part, and seed and strata play no part.
    stratify : label or column of which each part gets its share of each value

    Raises
    ------
    ValueError
        If no record has what `by` asks for, or there are too few groups for the shares.
    KeyError
        If there is no label to stratify by.
    """
    table = dataset.table
    sets = sets_of(table, by)
    known = np.array([bool(name) for name in sets])
    inside = table[known]
    keys = [name for name in sets if name]
    order = strata = None
    if by == "time":  # a set is as late as the last of it: nothing of the future in training
        last: dict[str, str] = {}
        for name, time in zip(keys, keys_of(inside, "time"), strict=True):
            last[name] = max(last.get(name, ""), time)
        order = sorted(last, key=lambda name: (last[name], name))
    elif stratify:
        strata = _strata(inside, stratify)
    try:
        parts = partition(keys, shares, seed, strata=strata, order=order)
    except ValueError as error:
        kinds, left = len(set(keys_of(inside, by))), len(set(keys))
        if left == kinds:
            raise
        raise ValueError(
            f"{error}; near duplicates and groups, which stay together, make {left} sets of "
            f"the {kinds} of {by}"
        ) from None
    names = list(shares)
    return Split(
        by,
        dict(shares),
        seed,
        stratify,
        {name: names[p] for name, p in zip(inside["id"], parts, strict=True)},
        tuple(table["id"][~known]),
    )


def split_path(folder: Path, name: str) -> Path:
    """Where a split is stored.

    Raises
    ------
    ValueError
        If it cannot be the name of a file.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"split name {name!r}: take letters, digits, '-', '_' and '.'")
    return folder / FOLDER / f"{name}.json"


def write_split(folder: Path, name: str, made: Split, index: str) -> Path:
    """Store a split whole or not at all.

    Parameters
    ----------
    folder : of the dataset
    index : sha256 of the index of the build that it belongs to
    """
    path = split_path(folder, name)
    path.parent.mkdir(exist_ok=True)
    content = {"index": index, **asdict(made)}
    with replacing(path) as temporary:
        text = json.dumps({**content, "sha256": _sha256(content)}, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8")
    return path


def read_split(folder: Path, name: str, index: str) -> Split:
    """A stored split.

    Raises
    ------
    StoreError
        If there is none, it is damaged, or it belongs to another build.
    """
    path = split_path(folder, name)
    if not path.is_file():
        there = ", ".join(stored_splits(folder)) or "none"
        raise StoreError(f"{path}: no such split; there are {there}: xtalfuse dataset split")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("sha256") != _sha256(content):
            raise ValueError("its content does not match its sha256")
        of = content.pop("index")
        made = Split(**{**content, "left_out": tuple(content["left_out"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{path}: damaged ({error}); split again") from None
    if of != index:
        raise StoreError(f"{path}: of another build of the dataset; split again")
    return made


def stored_splits(folder: Path) -> list[str]:
    """Names of the splits of a dataset."""
    return sorted(file.stem for file in (folder / FOLDER).glob("[!.]*.json"))


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
