"""Sets of labelled polycrystals: written by many processes, read by many.

    python -m xtalfuse.datasets.sets.mechanics_set --out DIR --metals Cu,Zn,Ti --count 400

A set is a folder of immutable shards and a manifest with their sha256. A shard is there
completely or not at all, so that a killed run goes on where it was.
"""

from __future__ import annotations

import argparse
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.sets.mechanics_sample import (
    ARRAYS,
    TEXTURES,
    MechanicsSample,
    SingleCrystal,
    Variety,
    pack,
    simulate,
    unpack,
)
from xtalfuse.datasets.sets.store import StoreError, read_arrays, write_arrays

MANIFEST = "manifest.json"
SHARDS_OPEN = 256  # per process
ShardEntry = dict[str, Any]  # sha256, material, start, stop of one shard


@dataclass(frozen=True)
class Shard:
    """A run of samples of one material, in one file.

    Parameters
    ----------
    start, stop : of the indices of its samples
    size : samples of a full shard; the last of a material may be shorter
    """

    material: SingleCrystal
    variety: Variety
    start: int
    stop: int
    size: int

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.material.name}-{self.start:06d}.h5"

    @property
    def attributes(self) -> dict[str, Any]:
        """What the samples are made from, as it stands in the file."""
        return json.loads(json.dumps({"version": 1, **asdict(self)}))

    def entry(self, sha256: str) -> ShardEntry:
        """What the manifest says of it."""
        names = {"material": self.material.name, "start": self.start, "stop": self.stop}
        return {"sha256": sha256, **names}


class MechanicsSet(Sequence[MechanicsSample]):
    """The samples of one or more folders, read when they are asked for.

    It can be sent to other processes: each opens the shards itself.

    Parameters
    ----------
    folders : as `generate` writes them

    Raises
    ------
    StoreError
        If a folder holds no set; on reading, if a shard is absent or damaged.
    """

    def __init__(self, *folders: str | Path) -> None:
        self._shards: list[tuple[Path, ShardEntry]] = []
        for folder in map(Path, folders):
            if not (folder / MANIFEST).is_file():
                raise StoreError(f"{folder}: no {MANIFEST}; generate the set, or check the path")
            self._shards += [(folder / n, e) for n, e in sorted(_manifest(folder).items())]
        counts = [entry["stop"] - entry["start"] for _, entry in self._shards]
        self._ends = np.cumsum(counts, dtype=int)
        self.materials = tuple(
            entry["material"]
            for (_, entry), count in zip(self._shards, counts, strict=True)
            for _ in range(count)
        )
        self._open: OrderedDict[int, tuple[dict[str, np.ndarray], SingleCrystal]] = OrderedDict()
        self._checked: set[int] = set()

    def __len__(self) -> int:
        return len(self.materials)

    def __getitem__(self, number: int) -> MechanicsSample:  # type: ignore[override]
        """Sample by its place in the set; `materials` tells what lies where."""
        number = range(len(self))[number]
        shard = int(np.searchsorted(self._ends, number, side="right"))
        arrays, material = self._arrays(shard)
        start = int(self._ends[shard - 1]) if shard else 0
        return unpack(arrays, number - start, material)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}

    def _arrays(self, shard: int) -> tuple[dict[str, np.ndarray], SingleCrystal]:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        path, entry = self._shards[shard]
        unchecked = ARRAYS if shard in self._checked else ()
        arrays, attributes, sha256 = read_arrays(path, unchecked=unchecked)
        if sha256 != entry["sha256"]:
            raise StoreError(f"{path}: not the shard of the manifest; generate the set again")
        rows = tuple(tuple(row) for row in attributes["material"]["stiffness"])
        material = SingleCrystal(**{**attributes["material"], "stiffness": rows})
        self._checked.add(shard)
        self._open[shard] = arrays, material
        if len(self._open) > SHARDS_OPEN:
            self._open.popitem(last=False)
        return arrays, material


def _make(folder: str, shard: Shard) -> str:
    """Simulate and write one shard; the sha256 of its content."""
    indices = range(shard.start, shard.stop)
    arrays = pack(simulate(shard.material, shard.variety, index) for index in indices)
    return write_arrays(Path(folder) / shard.name, arrays, shard.attributes)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def generate(
    folder: str | Path,
    materials: Iterable[SingleCrystal],
    count: int,
    variety: Variety | None = None,
    *,
    shard_size: int = 25,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda samples: None,
) -> Path:
    """Write a set, or what is missing of it.

    Parameters
    ----------
    folder : of the set; made if it is not there
    materials : each gets `count` samples
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
    variety = variety or Variety()
    missing: list[Shard] = []
    entries = _manifest(folder)
    for material in materials:
        for start in range(0, count, shard_size):
            stop = min(start + shard_size, count)
            shard = Shard(material, variety, start, stop, shard_size)
            found = _found(folder, shard)
            if found is None:
                missing.append(shard)
            else:
                entries[shard.name] = found
                progress(stop - start)
    _write_manifest(folder, entries)
    for shard, sha256 in _made(folder, missing, jobs):
        entries[shard.name] = shard.entry(sha256)
        _write_manifest(folder, entries)
        progress(shard.stop - shard.start)
    return folder / MANIFEST


def _made(folder: Path, shards: list[Shard], jobs: int) -> Iterator[tuple[Shard, str]]:
    if jobs <= 1:
        for shard in shards:
            yield shard, _make(str(folder), shard)
        return
    context = get_context("spawn")  # torch does not survive a fork
    with ProcessPoolExecutor(jobs, context, _one_thread) as pool:
        running = {pool.submit(_make, str(folder), shard): shard for shard in shards}
        for done in as_completed(running):
            yield running[done], done.result()


def _found(folder: Path, shard: Shard) -> ShardEntry | None:
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


def _manifest(folder: Path) -> dict[str, ShardEntry]:
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        shards = json.loads(path.read_text(encoding="utf-8"))["shards"]
        return {
            str(name): {
                "sha256": str(entry["sha256"]),
                "material": str(entry["material"]),
                "start": int(entry["start"]),
                "stop": int(entry["stop"]),
            }
            for name, entry in shards.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            f"{path}: not a manifest ({error}); remove it and generate the set again"
        ) from None


def _write_manifest(folder: Path, entries: dict[str, ShardEntry]) -> None:
    """Replace the manifest; a killed program leaves the old one or the new one."""
    text = json.dumps({"version": 1, "shards": dict(sorted(entries.items()))}, indent=1) + "\n"
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _range(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, Any]]:
    def read(text: str) -> tuple[Any, Any]:
        least, _, most = text.partition(":")
        return kind(least), kind(most or least)

    return read


def _spread(text: str) -> tuple[float, float] | None:
    return None if text == "voronoi" else _range(float)(text)


def _materials(names: str) -> list[SingleCrystal]:
    from xtalfuse.datasets.constants.elastic import elastic_constants

    found = []
    for name in names.split(","):
        record = elastic_constants(name)
        rows = tuple(tuple(float(value) for value in row) for row in record.stiffness)
        found.append(SingleCrystal(name, record.laue, rows, record.citation))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate a set from the command line, with a progress bar."""
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    parser = argparse.ArgumentParser(description="Generate labelled polycrystals.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the set")
    parser.add_argument("--metals", required=True, help="names, as in Cu,Zn,Ti")
    parser.add_argument("--count", type=int, default=400, help="samples of each metal")
    parser.add_argument("--grid", type=int, default=32, help="voxels along an edge")
    parser.add_argument("--grains", type=_range(int), default=(100, 100), help="number, or 20:150")
    parser.add_argument(
        "--cv", type=_spread, default=(0.3, 0.3), help="of diameters, as 0.3, 0.2:0.6 or voronoi"
    )
    parser.add_argument("--aspect", type=_range(float), default=(1.0, 1.0), help="as 1 or 0.5:2")
    parser.add_argument("--texture", choices=TEXTURES, default="random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard", type=int, default=25, help="samples of one file")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args(arguments)
    materials = _materials(given.metals)
    variety = Variety(given.grid, given.grains, given.cv, given.aspect, given.texture, given.seed)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("polycrystals", total=given.count * len(materials))
        generate(
            given.out,
            materials,
            given.count,
            variety,
            shard_size=given.shard,
            jobs=given.jobs,
            progress=lambda samples: bar.advance(task, samples),
        )


if __name__ == "__main__":
    main()
