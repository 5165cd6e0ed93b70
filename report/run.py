"""A folder of results is one run: written aside, swapped in whole, known by its id."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.loaders.safe.scratch import scratch_folder, swap_in
from xtalfuse.tasks.base import Run

RESULT, PROPERTIES = "result.json", "properties.json"  # of phases, of a microstructure
ASIDE = ".xtalfuse-tmp-"
CRASH = "crash.txt"  # stands in the folder of a specimen on which the program failed


@dataclass(frozen=True)
class Pending:
    """Results on their way: files are written to `folder`, with `id` where they can hold it."""

    folder: Path
    id: str

    def write(self, name: str, content: bytes) -> None:
        """One more file of the run."""
        from xtalfuse.report.page import write_file  # figures take long to import

        write_file(self.folder / name, content)


def run_in(folder: Path, document: str) -> Run | None:
    """The run that wrote a folder, as its document tells; None without one.

    Parameters
    ----------
    folder : of results
    document : `RESULT` or `PROPERTIES`
    """
    try:
        said = json.loads((folder / document).read_text(encoding="utf-8"))["run"]
        return Run(str(said["id"]), str(said["source"]), dict(said["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_free(folder: Path, document: str, source: str) -> bool:
    """Whether a specimen may have this folder: it is new, or holds an earlier run of the same.

    Parameters
    ----------
    folder : for results
    document : that the task writes, `RESULT` or `PROPERTIES`
    source : name of the file or folder that is worked on
    """
    names = _names(folder)
    if names <= {CRASH}:
        return not folder.exists() or folder.is_dir()
    earlier = run_in(folder, document)
    if earlier is None:  # without a run it was written before runs had an id
        return document in names
    return earlier.source == source


@contextmanager
def one_run(
    folder: Path, document: str, content: Mapping[str, Any], source: str
) -> Iterator[Pending]:
    """Write the results of one run; they take the place of an earlier run when the block ends.

    A folder that holds nothing else is swapped as a whole: it is that of the earlier run or that
    of this one at any time. Where it holds other files, which stay, and where it cannot be
    swapped, the document of the earlier run goes first and that of this one comes last.

    Parameters
    ----------
    folder : for the results
    document : `RESULT` or `PROPERTIES`: is written here, and names all others
    content : of the document; the id of the run is its hash
    source : name of the file or folder that was worked on

    Raises
    ------
    OSError
        If it cannot be written; what was there before stays as it was.
    """
    from xtalfuse.report.page import finite

    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    earlier = run_in(folder, document)
    ours = {document, CRASH, *(earlier.files if earlier else ())}
    whole = _names(folder) <= ours and _can_be_swapped(folder)
    if not whole:
        folder.mkdir(exist_ok=True)
    with scratch_folder(folder.parent if whole else folder, ASIDE) as scratch:
        new = scratch / "new"
        new.mkdir()
        if folder.exists():
            shutil.copymode(folder, new)
        number = hashlib.sha256(json.dumps(finite(content), sort_keys=True).encode()).hexdigest()
        pending = Pending(new, number[:32])
        yield pending
        files = {path.name: sha256_of(path) for path in sorted(new.iterdir())}
        said = {**content, "run": asdict(Run(pending.id, source, files))}
        text = json.dumps(finite(said), indent=2, allow_nan=False)
        pending.write(document, f"{text}\n".encode())
        if whole:
            swap_in(new, folder, scratch)
        else:
            _move_in(new, folder, document, ours)


def _move_in(new: Path, folder: Path, document: str, ours: set[str]) -> None:
    """Files of one run in the place of those of another, among files of others."""
    for name in sorted(ours, key=lambda name: name != document):
        if not (folder / name).is_dir():
            (folder / name).unlink(missing_ok=True)
    for path in sorted(new.iterdir(), key=lambda path: path.name == document):
        path.replace(folder / path.name)


def _can_be_swapped(folder: Path) -> bool:
    """Whether the folder may take another name: no mount, and nobody stands in it."""
    inside = Path.cwd().is_relative_to(folder)
    return os.access(folder.parent, os.W_OK) and not os.path.ismount(folder) and not inside


def _names(folder: Path) -> set[str]:
    """Names of all that is in a folder; what killed programs left there does not count."""
    if not folder.is_dir():
        return set()
    return {name for name in os.listdir(folder) if not name.startswith(ASIDE)}
