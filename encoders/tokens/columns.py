"""Columns of the table that are known beforehand: process, temperature, grain size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from xtalfuse.encoders.tokens.base import NOWHERE, Item, Settings, TokenEncoder, Tokens


def fit(items: Iterable[Item]) -> dict[str, Any]:
    """Mean and deviation of each column of numbers, the texts of each column of texts."""
    found: dict[str, list[float | str]] = {}
    for item in items:
        for name, value in item.columns.items():
            found.setdefault(name, []).append(value)
    numbers, texts = {}, {}
    for name in sorted(found):
        if any(isinstance(value, str) for value in found[name]):
            texts[name] = sorted({str(value) for value in found[name]})
        else:
            values = np.array(found[name], float)
            numbers[name] = [float(values.mean()), float(values.std()) or 1.0]
    return {"numbers": numbers, "texts": texts}


def encode(item: Item, settings: Settings) -> Tokens | None:
    """A token for each column that the record has; a number enters as itself and bounded."""
    numbers, texts = settings["numbers"], settings["texts"]
    slots = [(name, "") for name in numbers] + [(n, t) for n, all_ in texts.items() for t in all_]
    content, scaled = [], np.zeros(len(numbers))
    chosen = np.zeros(len(slots) - len(numbers))
    known = np.zeros(len(numbers) + len(texts))
    for k, name in enumerate([*numbers, *texts]):
        if name not in item.columns:
            continue
        known[k] = 1.0
        row = np.zeros(2 + len(known) + len(slots))
        row[2 + k] = 1.0
        if name in numbers:
            mean, spread = numbers[name]
            scaled[k] = (float(item.columns[name]) - mean) / spread
            row[:2] = scaled[k], np.tanh(scaled[k])
        elif (name, str(item.columns[name])) in slots:
            place = slots.index((name, str(item.columns[name])))
            row[2 + len(known) + place] = chosen[place - len(numbers)] = 1.0
        content.append(row)
    if not content:
        return None
    where = np.tile([0.0, NOWHERE], (len(content), 1))
    plain = np.concatenate([scaled, chosen, known])
    return Tokens(*(np.asarray(a, np.float32) for a in (content, where, plain)))


def unseen(item: Item, settings: Settings) -> list[str]:
    """Texts that no training record has in that column."""
    return [
        f"{name} {item.columns[name]}"
        for name, texts in settings["texts"].items()
        if name in item.columns and str(item.columns[name]) not in texts
    ]


TOKENS = TokenEncoder(
    "columns", "numbers and texts of the table that are known beforehand", encode, fit, unseen
)
