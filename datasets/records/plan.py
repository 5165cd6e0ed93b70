"""From a manifest to work: which files each specimen has, and which specimens share a shard."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from xtalfuse.datasets.manifest.table import STATEMENTS, Manifest, Specimen
from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Reason

FORMAT = 1  # of what is written; another one is another dataset
MOST_FILES = 1000  # of one specimen


@dataclass(frozen=True)
class Refusal:
    """Something of a manifest that is not in the dataset, or not to be used.

    Parameters
    ----------
    id : of the specimen
    path : of the file, as in the manifest; "" where it is about the specimen
    target : the label that must not be used; "" where it is about a file or the specimen
    whole : whether the specimen is left out
    code, cause, remedy : why, and what to do
    """

    id: str
    path: str
    target: str
    whole: bool
    code: Reason
    cause: str
    remedy: str


@dataclass(frozen=True)
class Member:
    """One specimen of a shard, with its files as they were found.

    Parameters
    ----------
    files : path -> what is known of it by hand
    names : path -> how it is called in the dataset: from the folder of the manifest
    """

    specimen: Specimen
    files: Mapping[Path, ReadOptions] = field(default_factory=dict)
    names: Mapping[Path, str] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()


class Making(Protocol):
    """Something else than files that becomes a record: a simulation."""

    def entry(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what is stored of it as JSON, its arrays, which stand under this name)."""


@dataclass(frozen=True)
class ShardPlan:
    """Specimens that are stored in one file.

    Parameters
    ----------
    key : sha256 of what the manifest or the recipe says of them: the name of the file
    """

    members: tuple[Member | Making, ...]
    key: str

    @property
    def name(self) -> str:
        """Of the file; another plan has another, so that a new build never spoils an old one."""
        return f"{self.key[:24]}.h5"


@dataclass(frozen=True)
class BuildSettings:
    """How a dataset is cut into files.

    Parameters
    ----------
    shard_records : specimens of one shard, at most
    shard_mb : megabytes of instrument files after which a shard is full
    """

    shard_records: int = 64
    shard_mb: float = 64.0


def plan(manifest: Manifest, root: Path, settings: BuildSettings) -> list[ShardPlan]:
    """The shards of a manifest: a function of it and of the files alone.

    Parameters
    ----------
    root : folder of the data; nothing outside is read
    """
    root = root.resolve()
    shards: list[ShardPlan] = []
    members: list[Member] = []
    size = 0
    for specimen in manifest.specimens:
        member = found(specimen, root)
        own = sum(file.stat().st_size for file in member.files if file.is_file())
        full = len(members) >= settings.shard_records or size + own > settings.shard_mb * 1e6
        if members and full:
            shards.append(_shard(members))
            members, size = [], 0
        members.append(member)
        size += own
    return [*shards, _shard(members)]


def _shard(members: list[Member]) -> ShardPlan:
    digest = hashlib.sha256(str(FORMAT).encode())
    for member in members:
        digest.update(member.specimen.sha256.encode())
        digest.update("\n".join(sorted(member.names.values())).encode())
    return ShardPlan(tuple(members), digest.hexdigest())


def found(specimen: Specimen, root: Path) -> Member:
    """The files of a specimen. What leads out of the root, or nowhere, is refused."""
    files: dict[Path, ReadOptions] = {}
    names: dict[Path, str] = {}
    refusals = [
        Refusal(specimen.id, "", "", p.column in STATEMENTS and not specimen.files, Reason.LABEL,
                f"{p.column}: {p.cause}", p.remedy)
        for p in specimen.problems
        if not p.column.startswith("target:")  # told with the label itself
    ]  # fmt: skip

    def refuse(path: str, code: Reason, cause: str, remedy: str) -> None:
        refusals.append(Refusal(specimen.id, path, "", False, code, cause, remedy))

    for row in specimen.files:
        options = row.stated.over(ReadOptions())
        written = row.path
        if "\\" in written and not (root / written).exists():  # as Windows has it
            written = written.replace("\\", "/")
        path, _, part = written.rpartition("#")  # one of several volumes of a file
        if path and not (root / written).exists():
            options = replace(options, part=part)
        else:
            path = written
        places = _matches(path, root)
        if places is None:
            refuse(row.path, Reason.OUTSIDE, "leads out of the folder of the data", "move it there")
            continue
        if not places:
            wild = any(mark in row.path for mark in "*?[")
            code, cause = (Reason.NOTHING, "no file matches") if wild else (
                Reason.MISSING, "no such file")  # fmt: skip
            refuse(row.path, code, cause, f"check the path, which starts from {root.name}")
        for place in places[:MOST_FILES]:
            files[place] = options
            names[place] = place.relative_to(root).as_posix()
        if len(places) > MOST_FILES:
            refuse(row.path, Reason.TOO_LARGE, f"{len(places)} files", "one specimen a row")
    return Member(specimen, files, names, tuple(refusals))


def _matches(pattern: str, root: Path) -> list[Path] | None:
    """Files of a path or pattern; the content of a folder; None outside the root."""
    given = Path(pattern)
    if given.is_absolute() or ".." in given.parts or "\0" in pattern:
        return None
    try:
        exact = root / given
        wild = not exact.exists() and any(mark in pattern for mark in "*?[")
        places = sorted(root.glob(pattern)) if wild else [exact]
        places = [p for p in places if p.exists() or p.is_symlink()]
        inside = [file for place in places if place.is_dir() for file in place.rglob("*")]
        if any(not p.resolve().is_relative_to(root) for p in (*places, *inside)):
            return None
    except (OSError, ValueError, RuntimeError):
        return []
    return places
