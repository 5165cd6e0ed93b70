"""Composition: one token for each element, with its amount and what the element is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from xtalfuse.encoders.tokens.base import NOWHERE, Item, Settings, TokenEncoder, Tokens

# Of pure elements, as pymatgen lists them: what size, bonding, packing and stiffness depend on.
PROPERTIES = (
    "X", "Atomic radius", "Atomic mass", "Mendeleev no", "Melting point", "Molar volume",
    "Bulk modulus", "Rigidity modulus", "row", "group",
)  # fmt: skip


@cache
def element_properties() -> dict[str, np.ndarray]:
    """Element -> (10,) `PROPERTIES`, each with mean 0 and deviation 1 over the elements.

    What is not known of an element has the mean.
    """
    from pymatgen.core import Element

    def value(element: Element, name: str) -> float:
        found = getattr(element, name) if name in ("row", "group") else element.data.get(name)
        try:
            return float(str(found).split()[0])
        except (ValueError, IndexError):
            return float("nan")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of properties that are not known
        elements = [e for e in Element if e.Z <= 103]
        table = np.array([[value(e, name) for name in PROPERTIES] for e in elements])
    table = (table - np.nanmean(table, axis=0)) / np.nanstd(table, axis=0)
    return dict(zip((e.symbol for e in elements), np.nan_to_num(table), strict=True))


def fit(items: Iterable[Item]) -> dict[str, Any]:
    """The elements of the training records."""
    return {"elements": sorted({element for item in items for element in item.composition})}


def encode(item: Item, settings: Settings) -> Tokens | None:
    """A token for each element; the summary is Ward's: fractions, means and deviations.

    References
    ----------
    Ward, L. et al. (2016). npj Comput. Mater. 2, 16028.
    """
    known = element_properties()
    elements = sorted(e for e in item.composition if e in known)
    if not elements:
        return None
    amount = np.array([item.composition[e] for e in elements])
    amount = amount / amount.sum()
    of = np.stack([known[e] for e in elements])
    one_hot = np.array([[e == name for name in settings["elements"]] for e in elements], float)
    one_hot = one_hot.reshape(len(elements), -1)
    content = np.concatenate([one_hot, amount[:, None], np.sqrt(amount)[:, None], of], axis=1)
    place = np.stack([np.zeros(len(elements)), np.full(len(elements), NOWHERE)], axis=1)
    mean = amount @ of
    spread = np.sqrt(amount @ (of - mean) ** 2)
    mixing = -(amount * np.log(amount)).sum()  # ideal entropy of mixing, in gas constants
    plain = np.concatenate([amount @ one_hot, mean, spread, [mixing]])
    return Tokens(content.astype(np.float32), place.astype(np.float32), plain.astype(np.float32))


def unseen(item: Item, settings: Settings) -> list[str]:
    """Elements that no training record has."""
    return [f"element {e}" for e in sorted(item.composition) if e not in settings["elements"]]


TOKENS = TokenEncoder(
    "composition", "atomic fractions of the elements, with what each element is", encode, fit,
    unseen,
)  # fmt: skip
