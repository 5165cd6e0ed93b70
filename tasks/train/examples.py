"""Records of a dataset as examples: their tokens, their labels, and what must stay together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.splits.split import (
    fractions,
    label_values,
    read_split,
    sets_of,
    stored_splits,
)
from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.encoders.tokens.base import Item, Settings, Tokens
from xtalfuse.fusion.heads import Head
from xtalfuse.tasks.train.config import ConfigError

if TYPE_CHECKING:
    from xtalfuse.datasets.records.dataset import Dataset
    from xtalfuse.loaders.record import Measurement
    from xtalfuse.tasks.train.config import Config

KEPT_BYTES = 256 * 1024**2  # of tokens in memory, however many records there are


def items_of(dataset: Dataset, columns: Sequence[str]) -> list[Item]:
    """The records of a dataset; none is read before its measurements are asked for.

    Raises
    ------
    KeyError
        If no record has one of the columns.
    """
    values = {name: label_values(dataset.table, name) for name in columns}
    return [
        Item(
            str(row["id"]),
            partial(_measurements, dataset, number) if row["modalities"] else tuple,
            fractions(str(row["composition"])),
            {
                name: column.iloc[number]
                if column.dtype.kind != "f"
                else float(column.iloc[number])
                for name, column in values.items()
                if column.notna().iloc[number]
            },
        )
        for number, row in enumerate(dataset.table.to_dict("records"))
    ]


def _measurements(dataset: Dataset, number: int) -> tuple[Measurement, ...]:
    return dataset[number].measurements


def _plain(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


class Encoded:
    """Tokens of each item by input; those used last are kept, up to `KEPT_BYTES`.

    Parameters
    ----------
    items : specimens
    settings : of each input, as its encoder fitted them
    """

    def __init__(self, items: Sequence[Item], settings: Mapping[str, Settings]) -> None:
        self.items, self.settings = items, settings
        self._kept: OrderedDict[int, dict[str, Tokens]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[dict[str, Tokens]]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, number: int) -> dict[str, Tokens]:
        """
        Raises
        ------
        ValueError
            If a record gives what is no finite number; the message names it.
        """
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        item = replace(self.items[number])  # what it reads is forgotten with it
        row = encoded(item, self.settings)
        self._kept[number] = row
        self._bytes += _size(row)
        while self._bytes > KEPT_BYTES and len(self._kept) > 1:
            self._bytes -= _size(self._kept.popitem(last=False)[1])
        return row


def _size(row: Mapping[str, Tokens]) -> int:
    return sum(t.content.nbytes + t.place.nbytes + t.plain.nbytes for t in row.values())


def encoded(item: Item, settings: Mapping[str, Settings]) -> dict[str, Tokens]:
    """Tokens of the inputs that a specimen has.

    Raises
    ------
    ValueError
        If one is not finite: one such record would spoil the whole model.
    """
    row = {}
    for name, given in settings.items():
        tokens = TOKEN_ENCODERS[name].encode(item, given)
        if tokens is None:
            continue
        arrays = (tokens.content, tokens.place, tokens.plain)
        if not all(np.isfinite(array).all() for array in arrays):
            raise ValueError(
                f"record {item.id!r}: its {name} holds what is no finite number; look at the file "
                "(xtalfuse read), and leave it out or correct it"
            )
        row[name] = tokens
    return row


def pattern_of(row: Mapping[str, Tokens]) -> str:
    """Which inputs a specimen has: ``columns+composition``; ``none``."""
    return "+".join(sorted(row)) or "none"


@dataclass(frozen=True)
class Examples:
    """What is learned from.

    Parameters
    ----------
    ids : of the records, sorted: the order in which they are stored changes nothing
    groups : what must not be in two folds, of each record
    items : of each record
    labels : target -> (n,) values in the unit, places of classes; NaN where there is none
    heads : of each target; their scale is that of the values here
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    items: tuple[Item, ...]
    labels: Mapping[str, np.ndarray]
    heads: tuple[Head, ...]


def examples_of(dataset: Dataset, config: Config, heads: Sequence[Head] = ()) -> Examples:
    """Records with at least one label of the targets.

    Parameters
    ----------
    dataset : records of one part of a split
    heads : of a trained model; made from the labels where none are given

    Raises
    ------
    ConfigError
        If a target is absent, has another unit, or cannot be learned; all such are told.
    """
    order = np.argsort(np.array(dataset.ids, str), kind="stable")
    dataset = dataset.take(order)
    labels: dict[str, np.ndarray] = {}
    made, wrong = [], []
    known = {head.name: head for head in heads}
    for name in config.targets:
        try:
            head, labels[name] = _label(dataset, name, config, known.get(name))
            made.append(head)
        except (KeyError, ValueError) as error:
            wrong.append(f"target {name!r}: {error.args[0]}")
    try:
        items = items_of(dataset, config.columns)
    except (KeyError, ValueError) as error:
        wrong.append(str(error.args[0]))
    if wrong:
        raise ConfigError("\n".join(wrong))
    groups = sets_of(dataset.table, _key(dataset, config.split))
    used = np.flatnonzero(np.any([np.isfinite(v) for v in labels.values()], axis=0))
    return Examples(
        tuple(dataset.ids[k] for k in used),
        tuple(groups[k] or dataset.ids[k] for k in used),
        tuple(items[k] for k in used),
        {name: values[used] for name, values in labels.items()},
        tuple(made),
    )


def _key(dataset: Dataset, split: str) -> str:
    """What the parts of a stored split do not share; folds and bootstraps do not either.

    Of another dataset than that of the training, which has no such split, the group.
    """
    if split not in stored_splits(dataset.folder):
        return "group"
    return read_split(dataset.folder, split, dataset.build_sha256).by


def _label(
    dataset: Dataset, name: str, config: Config, known: Head | None
) -> tuple[Head, np.ndarray]:
    """(head, values) of one target."""
    asked = config.targets[name]
    values = label_values(dataset.table, name)
    unit = str(values.name).rpartition("[")[2].rstrip("]")
    text = values.dtype.kind != "f"
    if text != (asked.kind == "class"):
        kind = "texts: kind: class" if text else "numbers: kind: number"
        raise ValueError(f"its values are {kind}")
    if not text and unit != asked.unit:
        raise ValueError(
            f"in the dataset it is in {unit!r}, not {asked.unit!r}; write unit: {unit}"
        )
    if text:
        classes = known.classes if known else tuple(sorted(set(values.dropna())))
        places = {value: float(k) for k, value in enumerate(classes)}
        return _classes(name, classes, values, known), values.map(places).to_numpy(float)
    numbers = values.to_numpy(float)
    if known:
        return known, numbers
    bare = Head(name, "number", unit, asked.scale, asked.low, asked.high)
    learned = bare.learned(numbers)
    learned = learned[np.isfinite(learned)]
    if len(learned) < 2 or not np.ptp(learned) > 0.0:
        raise ValueError(f"{len(learned)} records have it and all have one value; leave it out")
    return replace(bare, centre=float(learned.mean()), spread=float(learned.std())), numbers


def _classes(name: str, classes: tuple[str, ...], values: Any, known: Head | None) -> Head:
    if known:
        return known
    counts = values.value_counts()
    if len(classes) < 2:
        raise ValueError(f"all records are {classes[0] if classes else 'without it'}; leave it out")
    if counts.min() < 2:
        raise ValueError(
            f"class {counts.idxmin()!r} has one record, which cannot be learned and tested; add "
            "records or give it a broader name"
        )
    return Head(name, "class", classes=classes)


def fitted(items: Iterable[Item], inputs: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings of the inputs, fitted on training records."""
    every = list(items)
    return {name: TOKEN_ENCODERS[name].fit(every) for name in inputs}


def shapes(
    rows: Iterable[Mapping[str, Tokens]], inputs: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """Input -> (numbers of a token, of the summary), from the records that have it.

    Raises
    ------
    ConfigError
        If no record has one.
    """
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        for name, tokens in row.items():
            found.setdefault(name, (tokens.content.shape[1], tokens.plain.shape[0]))
        if len(found) == len(inputs):
            break
    lacking = [name for name in inputs if name not in found]
    if lacking:
        raise ConfigError(f"no training record has the input {lacking[0]!r}; take it off the list")
    return {name: found[name] for name in inputs}
