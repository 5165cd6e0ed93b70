"""The reference library: build one from CIF files, open one, or take the built-in one.

>>> from xtalfuse.datasets.library.build import Library, build, builtin
>>> report = build(["my-cifs/"], "mylib.h5")
>>> library = Library.load("mylib.h5")
>>> [entry.formula for entry in library.entries]
['NaCl']
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xtalfuse.datasets.cif.read import check_size
from xtalfuse.datasets.library.compile import (
    D_MIN_ANGSTROM,
    MAX_REFLECTIONS,
    Compiled,
    compile_file,
    with_unique_ids,
)
from xtalfuse.datasets.library.shelf import FORMAT, Entry, Library, from_compiled, pack, unpack
from xtalfuse.datasets.records.store import StoreError, read_arrays, write_arrays
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.guard import guarded
from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.physics.given import as_path

__all__ = ["BuildReport", "Entry", "Library", "build", "builtin"]

CODE_VERSION = 6  # raise when reading, validation or reflections change: parts are made anew
FILES_PER_PART = 32
SECONDS_PER_FILE = 60.0

Progress = Callable[[int, int, str], None]  # files done, files in all, what is going on
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildReport:
    """What became of every file that was given."""

    out: str
    sha256: str
    kept: tuple[str, ...]  # ids of the entries
    left_out: tuple[tuple[str, str], ...]  # (file, reason)
    warned: tuple[tuple[str, str], ...]  # (entry, what is unusual about it), kept nevertheless
    classes: tuple[tuple[str, ...], ...]  # look-alikes: ids of each class of two or more
    seconds: float
    resumed: int = 0  # files taken from an earlier build that was stopped
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """One file to build from."""

    path: Path
    order: int
    sha256: str

    @property
    def label(self) -> str:
        return f"{self.path.parent.name}/{self.path.name}"


def build(
    paths: str | Path | Iterable[str | Path],
    out: str | Path,
    *,
    workers: int = 2,
    progress: Progress | None = None,
) -> BuildReport:
    """Build a library file from CIF files and folders (searched through for ``*.cif``).

    Files are handled in parts, each in guarded child processes; a finished part is on disk
    beside `out` before it is counted as done, so a build that was stopped goes on from there.

    Parameters
    ----------
    paths : files and folders, or one of them
    out : the library file, replaced only when the new one is complete
    workers : files handled at the same time
    progress : called with (files done, files in all, text)

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or there is no CIF file in them.
    UnreadableFileError
        If no file holds a structure that may be kept.
    """
    began = time.perf_counter()
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    sources, left_out = _sources(paths)
    parts_folder = out.with_name(f".{out.name}.parts")
    parts_folder.mkdir(exist_ok=True)
    parts = _parts(sources)
    waiting = {key: part for key, part in parts.items() if not _is_done(parts_folder, key)}
    done = resumed = len(sources) - sum(len(part) for part in waiting.values())
    tell = progress or (lambda *_: None)
    tell(done, len(sources), "reading structures")
    stop = threading.Event()
    pool = ThreadPoolExecutor(max(1, workers))
    try:
        futures = {
            pool.submit(_make_part, parts_folder, key, part, stop): len(part)
            for key, part in waiting.items()
        }
        for future in as_completed(futures):
            future.result()
            done += futures[future]
            tell(done, len(sources), "reading structures")
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    read = time.perf_counter()
    compiled, reasons = _gather(parts_folder, parts)
    if not compiled:
        first = (left_out + reasons)[0]
        raise UnreadableFileError(f"no structure may be kept; {first[0]}: {first[1]}")
    tell(done, len(sources), "comparing patterns")
    library = from_compiled(compiled)
    sha256 = library.save(out)
    shutil.rmtree(parts_folder, ignore_errors=True)
    ended = time.perf_counter()
    timings = {"structures": read - began, "look_alikes_and_storage": ended - read}
    return _report(library, out, sha256, left_out + reasons, ended - began, resumed, timings)


def _report(
    library: Library,
    out: Path,
    sha256: str,
    left_out: list[tuple[str, str]],
    seconds: float,
    resumed: int,
    timings: dict[str, float],
) -> BuildReport:
    members: dict[int, list[str]] = {}
    for entry in library.entries:
        members.setdefault(entry.class_id, []).append(entry.id)
    return BuildReport(
        str(out),
        sha256,
        tuple(entry.id for entry in library.entries),
        tuple(sorted(left_out)),
        tuple((e.id, warning) for e in library.entries for warning in e.warnings),
        tuple(tuple(ids) for ids in members.values() if len(ids) > 1),
        seconds,
        resumed,
        timings,
    )


def _sources(
    paths: str | Path | Iterable[str | Path],
) -> tuple[list[_Source], list[tuple[str, str]]]:
    """CIF files in order, each content once, and what is left out already."""
    found: list[Path] = []
    left_out: list[tuple[str, str]] = []

    def cannot(error: OSError) -> None:
        left_out.append((str(error.filename), f"cannot be read: {error.strerror}"))

    several = isinstance(paths, Iterable) and not isinstance(paths, str | Path)
    given: Any = paths if several else [paths]
    for path in (as_path(path, "build") for path in given):
        if path.is_dir():
            walk = os.walk(path, onerror=cannot)
            files = (Path(root, name) for root, _, names in walk for name in names)
            found += sorted(file for file in files if file.suffix.lower() == ".cif")
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"{path}: no such file or folder; check the path")
    if not found:
        told = "".join(f"; {where} {reason}" for where, reason in left_out[:1])
        raise FileNotFoundError(
            f"there is no .cif file in what was given; give CIF files or folders{told}"
        )
    sources: dict[str, _Source] = {}
    for order, path in enumerate(dict.fromkeys(found)):
        try:
            source = _Source(path, order, sha256_of(check_size(path)))
        except (OSError, UnreadableFileError) as error:
            left_out.append((f"{path.parent.name}/{path.name}", f"cannot be read: {error}"))
            continue
        first = sources.setdefault(source.sha256, source)
        if first is not source:
            left_out.append((source.label, f"the same content as {first.label}"))
    return list(sources.values()), left_out


def _parts(sources: Sequence[_Source]) -> dict[str, list[_Source]]:
    """Files in parts that depend on their content only, so that one more file spoils no part."""
    count = 1
    while count * FILES_PER_PART < len(sources):
        count *= 2
    buckets: dict[int, list[_Source]] = {}
    for source in sources:
        buckets.setdefault(int(source.sha256[:8], 16) % count, []).append(source)
    parts = {}
    for bucket in buckets.values():
        recipe = [CODE_VERSION, D_MIN_ANGSTROM, MAX_REFLECTIONS]
        content = sorted((s.sha256, s.label) for s in bucket)
        key = hashlib.sha256(json.dumps([FORMAT, recipe, content]).encode()).hexdigest()[:32]
        parts[key] = bucket
    return parts


def _is_done(folder: Path, key: str) -> bool:
    try:
        read_arrays(folder / f"{key}.h5")
    except StoreError:
        return False
    return True


def _make_part(folder: Path, key: str, sources: Sequence[_Source], stop: threading.Event) -> None:
    """Compile some files and write what they gave, unless asked to stop."""
    compiled: list[Compiled] = []
    owners: list[str] = []
    left_out: list[tuple[str, str]] = []
    for source in sources:
        if stop.is_set():
            return
        try:
            outcome = guarded(compile_file, source.path, source.label, seconds=SECONDS_PER_FILE)
        except UnreadableFileError as error:
            left_out.append((source.label, str(error).removeprefix(f"{source.path.name}: ")))
            continue
        compiled += outcome.compiled
        owners += [source.sha256] * len(outcome.compiled)
        left_out += [(source.label, reason) for _, reason in outcome.left_out]
    content = {"format": FORMAT, "owners": owners, "left_out": left_out}
    write_arrays(folder / f"{key}.h5", pack(compiled), content)


def _gather(
    folder: Path, parts: dict[str, list[_Source]]
) -> tuple[list[Compiled], list[tuple[str, str]]]:
    """Entries of all parts in the order of the files, with ids that occur once."""
    ranked: list[tuple[int, Compiled]] = []
    left_out: list[tuple[str, str]] = []
    for key, sources in parts.items():
        arrays, content, _ = read_arrays(folder / f"{key}.h5")
        order = {source.sha256: source.order for source in sources}
        ranked += [
            (order[owner], item)
            for owner, item in zip(content["owners"], unpack(arrays), strict=True)
        ]
        left_out += [(where, reason) for where, reason in content["left_out"]]
    ranked.sort(key=lambda pair: pair[0])
    return with_unique_ids(item for _, item in ranked), left_out


def builtin(progress: Progress | None = None) -> Library:
    """The library that comes with the program: typed phases and AFLOW prototypes.

    Built once and kept in the user's cache folder (``XDG_CACHE_HOME``); where that cannot be
    written, it is built in memory each time. No network is used.
    """
    from xtalfuse.datasets.library import sources

    place = cache_folder() / f"builtin-{sources.content_key(CODE_VERSION)}.h5"
    try:
        return Library.load(place)
    except StoreError as error:
        if place.exists():
            logger.warning("%s; the built-in library is built again", error)
    compiled, left_out = sources.compile_all(progress)
    for where, reason in left_out:
        level = logging.INFO if where.startswith("aflow_") else logging.WARNING
        logger.log(level, "built-in phase left out: %s: %s", where, reason)
    library = from_compiled(compiled)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        library.save(place)
    except OSError as error:
        logger.info("the built-in library is not cached: %s", error)
        return library
    return Library.load(place)


def cache_folder() -> Path:
    """The user's cache folder on this platform."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "xtalfuse"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "xtalfuse" / "Cache"
    return Path(os.path.expanduser("~")) / ".cache" / "xtalfuse"
