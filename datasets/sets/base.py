"""Sets of simulated samples of any kind: written by many processes, read by many.

A set is a folder of immutable shards and a manifest with their sha256. A shard is there
completely or not at all, so that a killed run goes on where it was; a sample is a function of
its recipe and its number alone, so that any number of processes writes the same bits.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from argparse import ArgumentParser, Namespace
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.sets.store import StoreError, read_arrays, write_arrays
from xtalfuse.datasets.splits.partition import partition
from xtalfuse.loaders.safe.processes import process_pool

MANIFEST = "manifest.json"
SHARDS_OPEN = 256  # per process
S = TypeVar("S")
Arrays = dict[str, np.ndarray]


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
    """One kind of sample: how it is made, and how many of them become arrays.

    To add a training set, write one file: a frozen dataclass of arrays for the sample, and a
    subclass of this with `name`, `about`, `sample` and `simulate`. Declare it in
    `xtalfuse.datasets.sets`, or in another package under the entry points
    ``xtalfuse.sample_sets``. Where every sample has arrays of the same shapes nothing else is
    needed; ragged ones override `pack` and `unpack`.
    """

    name: str
    about: str
    sample: type[S]

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add options of this kind to the command ``python -m xtalfuse.datasets.sets NAME``."""

    def recipes(self, options: Namespace) -> Sequence[Recipe]:
        """The groups of a set, from the options of the command; one of all samples by default."""
        return [Recipe("all", {"seed": options.seed})]

    @abstractmethod
    def simulate(self, recipe: Recipe, index: int) -> S:
        """Sample `index` of a group: a function of these two, with no other source of chance."""

    def pack(self, samples: Iterable[S]) -> Arrays:
        """Samples as arrays: each field of the dataclass stacked."""
        listed = list(samples)
        names = [field.name for field in fields(self.sample)]  # type: ignore[arg-type]
        return {name: np.stack([getattr(each, name) for each in listed]) for name in names}

    def unpack(self, arrays: Arrays, number: int, recipe: Recipe) -> S:
        """Sample `number` of what `pack` made, in arrays of its own.

        Parameters
        ----------
        arrays : of one shard
        number : of the sample in it
        recipe : of its group
        """
        return self.sample(**{name: np.array(array[number]) for name, array in arrays.items()})


@dataclass(frozen=True)
class Shard:
    """A run of samples of one group, in one file.

    Parameters
    ----------
    start, stop : of the indices of its samples
    size : samples of a full shard; the last of a group may be shorter
    """

    recipe: Recipe
    start: int
    stop: int
    size: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.recipe.group}-{self.start:06d}.h5"

    @property
    def attributes(self) -> dict[str, Any]:
        """What the samples are made from, as it stands in the file."""
        own = {"version": 1, "start": self.start, "stop": self.stop, "size": self.size}
        return dict(json.loads(json.dumps({**own, **self.recipe.values})))

    def entry(self, sha256: str) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "sha256": sha256,
            "group": self.recipe.group,
            "start": self.start,
            "stop": self.stop,
        }


class SampleSet(Sequence[S]):
    """The samples of one or more folders, read when they are asked for.

    It can be sent to other processes: each opens the shards itself.

    Parameters
    ----------
    kind : of the samples
    folders : as `generate` writes them

    Raises
    ------
    StoreError
        If a folder holds no set; on reading, if a shard is absent or damaged.
    """

    def __init__(self, kind: SampleKind[S], *folders: str | Path) -> None:
        self.kind = kind
        self._shards: list[tuple[Path, dict[str, Any]]] = []
        for folder in map(Path, folders):
            if not (folder / MANIFEST).is_file():
                raise StoreError(f"{folder}: no {MANIFEST}; generate the set, or check the path")
            self._shards += [(folder / n, e) for n, e in sorted(read_manifest(folder).items())]
        counts = [entry["stop"] - entry["start"] for _, entry in self._shards]
        # [n, 2]: shard and place in it of each sample
        self._places = np.array(
            [(k, place) for k, count in enumerate(counts) for place in range(count)], int
        ).reshape(-1, 2)
        self._open: OrderedDict[int, tuple[Arrays, Recipe]] = OrderedDict()
        self._checked: dict[int, tuple[str, ...]] = {}

    @property
    def groups(self) -> tuple[str, ...]:
        """The group of each sample."""
        return tuple(self._shards[shard][1]["group"] for shard, _ in self._places)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, number: int) -> S: ...
    @overload
    def __getitem__(self, number: slice) -> SampleSet[S]: ...
    def __getitem__(self, number: int | slice) -> S | SampleSet[S]:
        """Sample by its place in the set; `groups` tells what lies where. A slice is a set."""
        if isinstance(number, slice):
            return self.subset(range(len(self))[number])
        shard, place = self._places[range(len(self))[number]]
        arrays, recipe = self._arrays(int(shard))
        return self.kind.unpack(arrays, int(place), recipe)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def subset(self, numbers: Iterable[int]) -> SampleSet[S]:
        """The set of these samples only, in this order."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__getstate__(), _places=self._places[list(numbers)])
        return other

    def split(
        self, shares: Mapping[str, float], seed: int = 0, by: str = "group"
    ) -> dict[str, SampleSet[S]]:
        """Parts of the set, as for training and test; no group is cut.

        See `partition` for how.

        Parameters
        ----------
        shares : share of each part; they add up to 1
        seed : of the order
        by : ``"group"``, or ``"sample"`` to let samples of one group fall into several parts

        Raises
        ------
        ValueError
            If the shares do not add up to 1, or a part would be left without a group.
        """
        if by not in ("group", "sample"):
            raise ValueError(f"split by {by!r}; give 'group' or 'sample'")
        keys = self.groups if by == "group" else [f"{k:09d}" for k in range(len(self))]
        part_of = partition(keys, shares, seed)
        return {part: self.subset(np.flatnonzero(part_of == k)) for k, part in enumerate(shares)}

    def _arrays(self, shard: int) -> tuple[Arrays, Recipe]:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        path, entry = self._shards[shard]
        arrays, attributes, sha256 = read_arrays(path, unchecked=self._checked.get(shard, ()))
        if sha256 != entry["sha256"]:
            raise StoreError(f"{path}: not the shard of the manifest; generate the set again")
        self._checked[shard] = tuple(arrays)
        self._open[shard] = arrays, Recipe(entry["group"], attributes)
        if len(self._open) > SHARDS_OPEN:
            self._open.popitem(last=False)
        return self._open[shard]


def generate(
    kind: SampleKind[Any],
    folder: str | Path,
    recipes: Iterable[Recipe],
    count: int,
    *,
    shard_size: int = 25,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda samples: None,
) -> Path:
    """Write a set, or what is missing of it.

    Parameters
    ----------
    kind : of the samples
    folder : of the set; made if it is not there
    recipes : each gets `count` samples
    count : samples of each group
    shard_size : samples of one file; what a killed process loses at most, for each process
    jobs : processes
    progress : told the number of samples of each shard as it is finished or found

    Returns
    -------
    The manifest.

    Raises
    ------
    StoreError
        If a shard in the folder is damaged or was made otherwise.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing: list[Shard] = []
    entries = read_manifest(folder)
    for recipe in recipes:
        for start in range(0, count, shard_size):
            shard = Shard(recipe, start, min(start + shard_size, count), shard_size)
            found = _found(folder, shard)
            if found is None:
                missing.append(shard)
            else:
                entries[shard.name] = found
                progress(shard.stop - start)
    _write_manifest(folder, entries)
    for shard, sha256 in _made(kind, folder, missing, jobs):
        entries[shard.name] = shard.entry(sha256)
        _write_manifest(folder, entries)
        progress(shard.stop - shard.start)
    return folder / MANIFEST


def _make(kind: SampleKind[Any], folder: str, shard: Shard) -> str:
    """Simulate and write one shard; the sha256 of its content."""
    indices = range(shard.start, shard.stop)
    arrays = kind.pack(kind.simulate(shard.recipe, index) for index in indices)
    return write_arrays(Path(folder) / shard.name, arrays, shard.attributes)


def _one_thread() -> None:
    """Processes share the machine; torch alone would take all of it for each."""
    import torch

    torch.set_num_threads(1)


def _made(
    kind: SampleKind[Any], folder: Path, shards: list[Shard], jobs: int
) -> Iterator[tuple[Shard, str]]:
    if jobs <= 1:
        for shard in shards:
            yield shard, _make(kind, str(folder), shard)
        return
    with process_pool(jobs, _one_thread) as pool:
        running = {pool.submit(_make, kind, str(folder), shard): shard for shard in shards}
        for done in as_completed(running):
            yield running[done], done.result()


def _found(folder: Path, shard: Shard) -> dict[str, Any] | None:
    """Entry of a shard that is there with at least the samples wanted; None if it must be made."""
    path = folder / shard.name
    if not path.exists():
        return None
    _, attributes, sha256 = read_arrays(path)
    stop = attributes.pop("stop", None)
    wanted = shard.attributes
    wanted.pop("stop")
    if attributes != wanted or not isinstance(stop, int):
        raise StoreError(f"{path}: made with other settings or constants; take another folder")
    return {**shard.entry(sha256), "stop": stop} if stop >= shard.stop else None


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """Name of each shard of a folder -> sha256, group, start, stop; empty without a manifest.

    Raises
    ------
    StoreError
        If the manifest is damaged.
    """
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        shards = json.loads(path.read_text(encoding="utf-8"))["shards"]
        return {
            str(name): {
                "sha256": str(entry["sha256"]),
                # sets of polycrystals once said "material"
                "group": str(entry["group"] if "group" in entry else entry["material"]),
                "start": int(entry["start"]),
                "stop": int(entry["stop"]),
            }
            for name, entry in shards.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}: not a manifest ({error}); remove it and generate the set again"
        ) from None


def _write_manifest(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the manifest; a killed program leaves the old one or the new one."""
    text = json.dumps({"version": 1, "shards": dict(sorted(entries.items()))}, indent=1) + "\n"
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(text, encoding="utf-8")
