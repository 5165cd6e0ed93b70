"""How an input of a trained network is declared, and what it gives of one specimen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from xtalfuse.loaders.record import Measurement, Modality

# Uncertainty of the place of what has none, in natural logarithms: no wave of a place embedding
# survives it, so the network sees the content alone.
NOWHERE = 1e3

Settings = Mapping[str, Any]  # plain JSON values, fitted on the training records


@dataclass(frozen=True)
class Tokens:
    """What one input says of one specimen.

    Parameters
    ----------
    content : (T, F) float32, of about unit size; F is the same for all specimens
    place : (T, 2) float32 coordinate of each token and its uncertainty; `NOWHERE` for none
    plain : (P,) float32 summary of fixed length, comparable by distance: for baselines, for
        "unlike anything it was trained on", and as one more token
    """

    content: np.ndarray
    place: np.ndarray
    plain: np.ndarray


@dataclass(frozen=True)
class Item:
    """One specimen as inputs see it; its measurements are read when they are asked for.

    Parameters
    ----------
    id : of the record
    read : gives its measurements
    composition : atomic fractions by element; empty where it is not known
    columns : labels that are known beforehand, such as the temperature of a test
    """

    id: str
    read: Callable[[], tuple[Measurement, ...]] = tuple
    composition: Mapping[str, float] = field(default_factory=dict)
    columns: Mapping[str, float | str] = field(default_factory=dict)

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        """All of them, in file order."""
        return self.read()

    def of(self, *modalities: Modality) -> list[Measurement]:
        """Those of some modalities."""
        return [m for m in self.measurements if m.modality in modalities]


def _nothing(items: Iterable[Item]) -> dict[str, Any]:
    return {}


def _all_seen(item: Item, settings: Settings) -> list[str]:
    return []


@dataclass(frozen=True)
class TokenEncoder:
    """From one specimen to the tokens of one input.

    To add one, write the functions in a file of this room and declare it there under the name
    ``TOKENS``; another package, under the entry points ``xtalfuse.token_encoders``. The laws of
    the house (tests/laws/test_training.py) ask of each in the list: the same bits twice; nothing
    of another record or modality in it; what is absent is None, not a placeholder; all finite.

    Parameters
    ----------
    name : what it is called in a configuration
    about : what it reads, in one line
    encode : (specimen, settings) -> tokens; None where the specimen has no such record
    fit : training specimens -> settings: vocabularies, means, in plain JSON values
    unseen : what of a specimen the settings do not know, in words
    jitter : standard deviation of a common shift of all places in training: cells are strained,
        energies are offset
    modalities : of the measurements that it reads; empty where it reads the table
    """

    name: str
    about: str
    encode: Callable[[Item, Settings], Tokens | None]
    fit: Callable[[Iterable[Item]], dict[str, Any]] = _nothing
    unseen: Callable[[Item, Settings], list[str]] = _all_seen
    jitter: float = 0.0
    modalities: frozenset[Modality] = frozenset()


def joined(parts: list[Tokens]) -> Tokens | None:
    """Tokens of several measurements of one input as one; their order does not matter."""
    if not parts:
        return None
    return Tokens(
        np.concatenate([p.content for p in parts]).astype(np.float32),
        np.concatenate([p.place for p in parts]).astype(np.float32),
        np.mean(np.sort(np.stack([p.plain for p in parts]), axis=0), axis=0).astype(np.float32),
    )
