"""From a manifest to a dataset: shards by many processes or machines, then one table.

What is written depends on the manifest and the files alone: not on the number of processes, on
their order, or on how often the build was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xtalfuse.datasets.manifest.table import Manifest, read_manifest
from xtalfuse.datasets.records.plan import FORMAT, BuildSettings, Refusal, ShardPlan, plan
from xtalfuse.datasets.records.shard import SHARDS, WORK, build_shard, written
from xtalfuse.datasets.records.store import StoreError, read_attributes
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.splits.alike import Kept, near_duplicates
from xtalfuse.loaders.record import Reason
from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.loaders.safe.processes import process_pool

if TYPE_CHECKING:
    import pandas as pd

INDEX = "dataset.json"
POLL_SECONDS = 0.5
REFUSALS = ["id", "path", "target", "whole", "code", "cause", "remedy"]


@dataclass(frozen=True)
class BuildReport:
    """What a build came to.

    Parameters
    ----------
    records : specimens in the dataset
    refused : specimens that are not
    reasons : how often each code stands in the table of what is not used
    shards, made : files of the dataset, and how many of them this run made
    complete : whether all shards are there: of an array job, the last run says yes
    """

    out: Path
    records: int
    refused: int
    reasons: dict[str, int]
    shards: int
    made: int
    complete: bool


def build(
    manifest: str | Path | Manifest,
    out: str | Path,
    *,
    root: str | Path | None = None,
    workers: int = 0,
    executor: Executor | None = None,
    part: tuple[int, int] = (1, 1),
    settings: BuildSettings | None = None,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> BuildReport:
    """Build a dataset, or what is missing of it.

    Parameters
    ----------
    manifest : table of the specimens, or its path
    out : folder of the dataset; an older dataset there stays whole until the new one is
    root : folder of the data, outside of which nothing is read; by default that of the manifest
    workers : processes; 0 to build in this one
    executor : another one than processes of this machine, such as that of a Dask client
    part : (i, n), from 1: of all shards every n-th, for array jobs
    settings : how the dataset is cut into files
    progress : told (specimens that no kill of a program can lose any more, specimens in all)

    Raises
    ------
    ManifestError
        If nothing can be built from the manifest.
    StoreError
        If `out` holds a dataset of another version of the format.
    OSError
        If `out` cannot be written or the disk is full.
    """
    if not isinstance(manifest, Manifest):
        manifest = read_manifest(manifest)
    _check_version(Path(out))
    shards = plan(manifest, Path(root or manifest.path.parent), settings or BuildSettings())
    named = manifest.path.stem, sha256_of(manifest.path)
    return store(
        shards, out, *named, workers=workers, executor=executor, part=part, progress=progress
    )


def store(
    shards: list[ShardPlan],
    out: str | Path,
    name: str,
    origin_sha256: str,
    *,
    workers: int = 0,
    executor: Executor | None = None,
    part: tuple[int, int] = (1, 1),
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> BuildReport:
    """Make these shards, or what is missing of them, and the dataset that they are.

    Parameters
    ----------
    shards : what is measured, or simulated
    name, origin_sha256 : of the manifest or the recipe
    out, workers, executor, part, progress : as of `build`

    Raises
    ------
    StoreError, OSError
        As `build` does.
    """
    out = Path(out).absolute()
    _check_version(out)
    for folder in (out, out / SHARDS, out / WORK):
        folder.mkdir(parents=True, exist_ok=True)
    mine = shards[part[0] - 1 :: part[1]]
    there = sum((out / SHARDS / shard.name).is_file() for shard in mine)
    total = sum(len(shard.members) for shard in mine)
    for done in _built(mine, out, workers, executor):
        progress(done, total)
    complete = all((out / SHARDS / shard.name).is_file() for shard in shards)
    names = [shard.name for shard in shards]
    counts = finish(out, names, name, origin_sha256) if complete else Counter()
    return BuildReport(
        out,
        counts.pop("records", 0),
        counts.pop("refused", 0),
        dict(counts),
        len(shards),
        len(mine) - there,
        complete,
    )


def _check_version(out: Path) -> None:
    index = out / INDEX
    if not index.exists():
        if out.is_dir() and any(p.name not in (SHARDS, WORK) for p in out.iterdir()):
            raise StoreError(f"{out}: holds something else; give an empty or a new folder")
        return
    found = read_index(out).get("format")
    if found != FORMAT:
        raise StoreError(
            f"{index}: a dataset of format {found}, and this program writes {FORMAT}; give "
            "another folder"
        )


def _built(
    shards: list[ShardPlan], out: Path, workers: int, executor: Executor | None
) -> Iterator[int]:
    """Number of specimens that are written down, ever more of them."""
    if executor is None:
        own: AbstractContextManager[Executor] = process_pool(workers) if workers else _Here()
    else:
        own = nullcontext(executor)  # which its owner closes
    with own as pool:
        running = {pool.submit(build_shard, shard, out): shard for shard in shards}
        done = 0
        while running:
            ended, _ = wait(running, timeout=POLL_SECONDS, return_when=FIRST_COMPLETED)
            for task in ended:
                task.result()
                done += len(running.pop(task).members)
            yield done + sum(written(out, shard) for shard in running.values())


class _Here(Executor):
    """Runs what it is given at once, in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


def finish(out: Path, shards: list[str], name: str, manifest_sha256: str) -> Counter[str]:
    """Write the tables and then the index, which makes the dataset what they say.

    Parameters
    ----------
    shards : names of the files, which are there
    name, manifest_sha256 : of what it was built from

    Returns
    -------
    How many records there are and specimens are refused, and how often for each code.
    """
    entries, hashes = [], {}
    for shard in shards:
        attributes, _ = read_attributes(out / SHARDS / shard)
        hashes[shard] = sha256_of(out / SHARDS / shard)
        entries += [Kept(shard, n, entry) for n, entry in enumerate(attributes["entries"])]
    refusals = [Refusal(**refusal) for row in entries for refusal in row.entry["refusals"]]
    kept = [row for row in entries if row.entry["kept"]]
    kept, doubled = _without_copies(kept)
    refusals += doubled
    table = _table(kept, near_duplicates(out, kept))
    files = {
        "records": _written(out, "records.parquet", table),
        "refused": _written(out, "refused.parquet", _refused_table(refusals)),
    }
    left_out = len({r.id for r in refusals if r.whole})
    index = {
        "format": FORMAT,
        "name": name,
        "manifest_sha256": manifest_sha256,
        "records": len(kept),
        "refused": left_out,
        "shards": hashes,
        "tables": files,
        "versions": {name: version(name) for name in ("xtalfuse", "rosettasciio", "rietx")},
    }
    text = json.dumps({**index, "sha256": _index_sha256(index)}, indent=1, sort_keys=True) + "\n"
    with replacing(out / INDEX) as temporary:
        temporary.write_text(text, encoding="utf-8")
    _tidy(out, {*hashes, *(name for name, _ in files.values())})
    return Counter(
        {str(code): n for code, n in sorted(Counter(r.code for r in refusals).items())}
        | {"records": len(kept), "refused": left_out}
    )


def _without_copies(kept: list[Kept]) -> tuple[list[Kept], list[Refusal]]:
    """Each measurement once: of specimens with the same files, the first by id."""
    first: dict[tuple[str, ...], dict[str, Any]] = {}
    single, doubled = [], []
    for row in kept:
        entry = row.entry
        key = tuple(entry["inputs"])
        if not key or key not in first:
            first.setdefault(key, entry)
            single.append(row)
            continue
        other = first[key]
        same = {k: t["value"] for k, t in other["targets"].items()} == {
            k: t["value"] for k, t in entry["targets"].items()
        }
        code = Reason.DUPLICATE if same else Reason.CONFLICT
        cause = f"the same measurements as {other['id']}" + ("" if same else ", labelled otherwise")
        doubled.append(Refusal(entry["id"], "", "", True, code, cause, "keep the right one"))
    return single, doubled


def _table(kept: list[Kept], near: dict[str, str]) -> pd.DataFrame:
    """One row a record; each label with its unit and whether it may be used."""
    import pandas as pd

    labels = sorted(
        {(name, target["unit"]) for row in kept for name, target in row.entry["targets"].items()
         if target["value"] is not None}
    )  # fmt: skip
    rows = []
    for shard, number, entry in kept:
        about = entry["about"]
        row = {"id": entry["id"], "group": entry["group"], "shard": shard, "place": number}
        row |= {"modalities": " ".join(entry["modalities"]), "near": near.get(entry["id"], "")}
        row |= {name: about.get(name, "") for name in sorted(ABOUT)}
        for name, unit in labels:
            target = entry["targets"].get(name)
            mine = target is not None and target["unit"] == unit
            row[label(name, unit)] = target["value"] if mine else None
            row[f"fault:{name}"] = row.get(f"fault:{name}") or (target["fault"] if target else "")
        rows.append(row)
    return pd.DataFrame(rows)


ABOUT = (
    "elements", "composition", "phases", "prototype", "source", "instrument", "time",
    "label_source", "licence",
)  # fmt: skip


def label(name: str, unit: str) -> str:
    """How a label is called in tables: ``target:yield_strength[GPa]``."""
    return f"target:{name}[{unit}]"


def _refused_table(refusals: list[Refusal]) -> pd.DataFrame:
    import pandas as pd

    rows = [{**asdict(refusal), "code": str(refusal.code)} for refusal in refusals]
    return pd.DataFrame(rows, columns=REFUSALS)


def _written(out: Path, name: str, table: pd.DataFrame) -> tuple[str, str]:
    """(name, sha256) of a table; the name holds its hash: an older one stays until the index."""
    with replacing(out / f".{name}") as temporary:
        table.to_parquet(temporary, index=False)
        sha256 = hashlib.sha256(temporary.read_bytes()).hexdigest()
    stem, _, suffix = name.partition(".")
    final = f"{stem}-{sha256[:12]}.{suffix}"
    (out / f".{name}").replace(out / final)
    return final, sha256


def _tidy(out: Path, used: set[str]) -> None:
    """Remove what an older build left, now that nothing names it."""
    shutil.rmtree(out / WORK, ignore_errors=True)
    for file in [*out.glob("*.parquet"), *(out / SHARDS).iterdir()]:
        if file.name not in used:
            file.unlink(missing_ok=True)


def read_index(folder: str | Path) -> dict[str, Any]:
    """What ``dataset.json`` says.

    Raises
    ------
    StoreError
        If it is absent or damaged.
    """
    path = Path(folder) / INDEX
    if not path.is_file():
        raise StoreError(f"{folder}: no {INDEX}; build the dataset, or check the path")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index.pop("sha256") != _index_sha256(index):
            raise ValueError("its content does not match its sha256")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise StoreError(f"{path}: damaged ({error}); build the dataset again") from None
    return dict(index)


def _index_sha256(index: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(index, sort_keys=True).encode()).hexdigest()
