"""Simulated samples of any kind as a dataset: what a kind is, and the records that it makes.

A sample is a function of its recipe and its number alone, so that any number of processes writes
the same bits. It is stored, found again after a kill, split and read like what was measured.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xtalfuse.datasets.records.build import BuildReport, store
from xtalfuse.datasets.records.codec import pack, pack_record
from xtalfuse.datasets.records.plan import FORMAT, ShardPlan
from xtalfuse.loaders.record import Record

S = TypeVar("S")
M = TypeVar("M", bound=BaseModel)


class SetOptions(BaseModel):
    """What a recipe may say of one set; each kind adds its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field("", description="the ids of its records begin with it; the kind by default")
    count: int = Field(100, ge=1, description="samples of each group")


def checked(model: type[M], content: Any) -> M:
    """What a person wrote, as its model.

    Raises
    ------
    ValueError
        If a key is unknown or a value wrong; it names all of them.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        told = []
        for one in error.errors():
            key = ".".join(map(str, one["loc"])) or "content"
            text = f"{key}: {one['msg'].removeprefix('Value error, ')}; correct the value"
            if one["type"] == "extra_forbidden":
                known = list(model.model_fields)
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
                text = f"unknown key {key!r}; {hint}"
            told.append(text)
        raise ValueError(". ".join(told)) from None


@dataclass(frozen=True)
class Recipe:
    """What the samples of one group are made from.

    Parameters
    ----------
    group : what must not be split between training and test (a material, a specimen)
    values : all that a sample depends on beside its number; plain JSON values
    """

    group: str
    values: Mapping[str, Any]


class SampleKind(ABC, Generic[S]):
    """One kind of sample: how it is made, and what the table of a dataset says of it.

    To add a training set, write one file: a frozen dataclass for the sample (or `Record`, where
    instruments could have measured it), and a subclass of this with `name`, `about`, `sample` and
    `simulate`. Declare it in `xtalfuse.datasets.sets`, or in another package under the entry
    points ``xtalfuse.sample_sets``.
    """

    name: str
    about: str
    sample: type[S]
    options: ClassVar[type[SetOptions]] = SetOptions

    def recipes(self, options: Any, seed: int) -> Sequence[Recipe]:
        """The groups of a set; one of all samples by default."""
        return [Recipe("", {"seed": seed, **options.model_dump(mode="json", exclude=set(_COMMON))})]

    @abstractmethod
    def simulate(self, recipe: Recipe, index: int) -> S:
        """Sample `index` of a group: a function of these two, with no other source of chance."""

    def columns(self, sample: S) -> dict[str, str]:
        """What the columns of the table say of a sample: ``phases``, ``composition``, ..."""
        return {}


_COMMON = tuple(SetOptions.model_fields)


@dataclass(frozen=True)
class Sample:
    """One sample that a shard is to hold."""

    kind: SampleKind[Any]
    name: str
    recipe: Recipe
    index: int

    def entry(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what is stored of it as JSON, its arrays, which stand under this name)."""
        made = self.kind.simulate(self.recipe, self.index)
        one = "-".join(filter(None, (self.name, self.recipe.group, f"{self.index:06d}")))
        about = {"source": "simulated", **self.kind.columns(made)}
        arrays: dict[str, Any] = {}
        entry = {
            "id": one, "group": self.recipe.group or self.name, "kept": True, "about": about,
            "targets": {}, "refusals": [], "inputs": [], "modalities": [], "kind": self.kind.name,
        }  # fmt: skip
        if isinstance(made, Record):
            entry["group"] = made.group
            entry["targets"] = {key: asdict(target) for key, target in made.targets.items()}
            entry["inputs"] = sorted({m.provenance.sha256 for m in made.measurements})
            entry["modalities"] = sorted({str(m.modality) for m in made.measurements})
            about.setdefault("elements", " ".join(made.elements or ()))
            entry["record"], arrays = pack_record(replace(made, specimen=one, targets={}), name)
        else:
            entry["record"] = pack(made, name, arrays)
        return entry, arrays


def planned(name: str, kind: SampleKind[Any], recipes: Iterable[Recipe], count: int,
            size: int) -> list[ShardPlan]:  # fmt: skip
    """The shards of one set, each of one group and at most `size` samples."""
    shards = []
    for recipe in sorted(recipes, key=lambda r: r.group):
        for start in range(0, count, size):
            indices = range(start, min(start + size, count))
            content = [FORMAT, kind.name, name, recipe.group, recipe.values, start, indices.stop]
            key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
            samples = tuple(Sample(kind, name, recipe, index) for index in indices)
            shards.append(ShardPlan(samples, key))
    return shards


def generate(
    kind: SampleKind[Any],
    folder: str | Path,
    recipes: Iterable[Recipe],
    count: int,
    *,
    shard_size: int = 25,
    **options: Any,
) -> BuildReport:
    """Write the dataset of one set, or what is missing of it.

    Parameters
    ----------
    kind : of the samples
    folder : of the dataset; what another recipe wrote there gives way to it
    recipes : each gets `count` samples
    count : samples of each group
    shard_size : samples of one file
    options : ``workers``, ``executor``, ``part`` and ``progress`` of `store`
    """
    shards = planned(kind.name, kind, recipes, count, shard_size)
    return store(shards, folder, kind.name, _sha256(shards), **options)


def _sha256(shards: Sequence[ShardPlan]) -> str:
    return hashlib.sha256("".join(shard.key for shard in shards).encode()).hexdigest()
