"""A built dataset, read lazily by any number of processes."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from xtalfuse.datasets.manifest.table import Target
from xtalfuse.datasets.records.build import INDEX, read_index
from xtalfuse.datasets.records.codec import unpack, unpack_record
from xtalfuse.datasets.records.shard import SHARDS
from xtalfuse.datasets.records.store import StoreError, read_arrays
from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.splits.split import read_split, stored_splits
from xtalfuse.loaders.record import Modality, Record
from xtalfuse.loaders.safe.head import sha256_of

if TYPE_CHECKING:
    import pandas as pd

SHARDS_OPEN = 64


class Dataset(Sequence[Any]):
    """The records of a dataset, or some of them; a map-style dataset for a torch `DataLoader`.

    It opens its files when they are asked for, in each process by itself, and compares each with
    its sha256 then. Records of an absent modality do not hold it.

    Parameters
    ----------
    folder : as `build` wrote it

    Raises
    ------
    StoreError
        If there is no dataset; on reading, if a file is absent or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self.built = read_index(self.folder)
        self.table: pd.DataFrame = self._read_table("records")
        self._open: OrderedDict[str, tuple[dict[str, np.ndarray], dict[str, Any]]] = OrderedDict()

    def _read_table(self, which: str) -> pd.DataFrame:
        import pandas as pd

        name, sha256 = self.built["tables"][which]
        path = self.folder / name
        if not path.is_file():
            raise StoreError(f"{path}: no such file; build the dataset again")
        if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise StoreError(f"{path}: not the table that was built; build the dataset again")
        return pd.read_parquet(path)

    @property
    def refused(self) -> pd.DataFrame:
        """What is not in the dataset or not to be used: id, path, target, code, cause, remedy."""
        return self._read_table("refused")

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the records, in their order."""
        return tuple(self.table["id"])

    @property
    def groups(self) -> tuple[str, ...]:
        """What must not be split between training and test, of each record."""
        return tuple(self.table["group"])

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"Dataset({self.built['name']}: {len(self)} records)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    @overload
    def __getitem__(self, number: int) -> Any: ...
    @overload
    def __getitem__(self, number: slice) -> Dataset: ...
    def __getitem__(self, number: int | slice) -> Any:
        """Record by its place, with its labels as `Target`; a slice is a dataset.

        Of a simulated set of another kind of sample it is that sample.
        """
        if isinstance(number, slice):
            return self.take(range(len(self))[number])
        row = self.table.iloc[range(len(self))[number]]
        arrays, attributes = self._shard(str(row["shard"]))
        entry = attributes["entries"][int(row["place"])]
        kind = SAMPLE_SETS[entry["kind"]].sample if "kind" in entry else Record
        if kind is not Record:
            own = f"{row['place']:04d}."
            copies = {name: np.array(arrays[name]) for name in arrays if name.startswith(own)}
            return unpack(kind, entry["record"], copies)
        targets = {name: Target(**target) for name, target in entry["targets"].items()}
        return replace(unpack_record(entry["record"], arrays), targets=targets)

    def powder(self, number: int) -> np.ndarray:
        """(k, 4096) float32 patterns of a record on the common axis `POWDER_G`, top at 1.

        It is not a number outside the range that was measured.
        """
        row = self.table.iloc[number]
        arrays, _ = self._shard(str(row["shard"]))
        names = sorted(n for n in arrays if n.startswith(f"{row['place']:04d}.powder."))
        return np.stack([arrays[n] for n in names]) if names else np.empty((0, 4096), np.float32)

    def _shard(self, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        if name not in self._open:
            path = self.folder / SHARDS / name
            if not path.is_file() or sha256_of(path) != self.built["shards"].get(name):
                raise StoreError(f"{path}: not the file that was built; build the dataset again")
            arrays, attributes, _ = read_arrays(path, checked=True)
            self._open[name] = arrays, attributes
            if len(self._open) > SHARDS_OPEN:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return self._open[name]

    def take(self, which: Iterable[int] | np.ndarray | pd.Series) -> Dataset:
        """The records at these places, or where a mask is true, in this order."""
        chosen = np.asarray(which if isinstance(which, np.ndarray) else list(which))
        other = object.__new__(type(self))
        places = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(int)
        other.__dict__.update(self.__getstate__(), table=self.table.iloc[places])
        return other

    def having(self, *modalities: Modality | str) -> Dataset:
        """The records that have all of these modalities."""
        wanted = {str(Modality(m)) for m in modalities}
        return self.take(
            np.array([wanted <= set(m.split()) for m in self.table["modalities"]], bool)
        )

    def labelled(self, name: str) -> Dataset:
        """The records with a usable label of this name.

        Raises
        ------
        KeyError
            If no record has it.
        """
        columns = [c for c in map(str, self.table) if c.startswith(f"target:{name}[")]
        if not columns:
            raise KeyError(f"no label {name!r}; there are {', '.join(self.labels)}")
        usable = self.table[columns].notna().any(axis=1) & (self.table[f"fault:{name}"] == "")
        return self.take(usable.to_numpy())

    @property
    def build_sha256(self) -> str:
        """Of the index: what splits and reports of this build, and of no other, name."""
        return sha256_of(self.folder / INDEX)

    def split(self, name: str) -> dict[str, Dataset]:
        """The parts of a stored split, as far as their records are here.

        Raises
        ------
        StoreError
            If there is none, or it was made of another build.
        """
        made = read_split(self.folder, name, self.build_sha256)
        part_of = [made.parts.get(one, "") for one in self.ids]
        return {part: self.take(np.array(part_of) == part) for part in made.shares}

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels."""
        return tuple(
            c.removeprefix("fault:") for c in map(str, self.table) if c.startswith("fault:")
        )

    def _same_as(self, other: Dataset) -> None:
        if self.built["shards"] != other.built["shards"]:
            raise ValueError("records of two datasets; merge them first: xtalfuse dataset merge")

    def __and__(self, other: Dataset) -> Dataset:
        """The records that are in both."""
        self._same_as(other)
        return self.take(self.table["id"].isin(other.ids).to_numpy())

    def __or__(self, other: Dataset) -> Dataset:
        """The records that are in one of the two, each once."""
        self._same_as(other)
        more = other.take(~other.table["id"].isin(self.ids).to_numpy())
        joined = self.take(range(len(self)))
        import pandas as pd

        joined.table = pd.concat([self.table, more.table])
        return joined

    def __sub__(self, other: Dataset) -> Dataset:
        """The records that are not in the other."""
        self._same_as(other)
        return self.take(~self.table["id"].isin(other.ids).to_numpy())

    def verify(self, progress: Callable[[int, int], None] = lambda done, of: None) -> list[str]:
        """What is damaged: a line for each file with a changed bit; nothing where all is well."""
        faults = []
        names = sorted(self.built["shards"])
        for done, name in enumerate(names, 1):
            try:
                self._open.pop(name, None)
                self._shard(name)
            except StoreError as error:
                faults.append(str(error))
            progress(done, len(names))
        for which in self.built["tables"]:
            try:
                self._read_table(which)
            except StoreError as error:
                faults.append(str(error))
        for name in stored_splits(self.folder):
            try:
                read_split(self.folder, name, self.build_sha256)
            except StoreError as error:
                faults.append(str(error))
        return faults


class Samples(Sequence[Any]):
    """What a training step reads: each record through a function with a generator of its own.

    What comes out depends on (seed, epoch, place) alone, not on the number of loading processes.

    Parameters
    ----------
    records : of a dataset
    function : (record, generator) -> sample; of a module, so that processes can import it
    seed : of all
    """

    def __init__(
        self,
        records: Sequence[Record],
        function: Callable[[Record, np.random.Generator], Any],
        seed: int = 0,
    ) -> None:
        self.records = records
        self.function = function
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, number: Any) -> Any:
        """Sample by its place."""
        place = range(len(self))[number]
        rng = np.random.default_rng((self.seed, self.epoch, place))
        return self.function(self.records[place], rng)


def crop(values: np.ndarray, size: int | Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A part of this size at a random place, in memory of its own.

    Raises
    ------
    ValueError
        If the array is smaller.
    """
    sizes = np.broadcast_to(size, values.ndim)
    room = np.array(values.shape) - sizes
    if (room < 0).any():
        raise ValueError(f"a crop of {tuple(sizes)} from an array of {values.shape}; take less")
    starts = rng.integers(0, room + 1)
    cut = tuple(slice(s, s + k) for s, k in zip(starts, sizes, strict=True))
    return np.array(values[cut])
