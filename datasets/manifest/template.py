"""Manifests to begin with: of a folder, or of a table that people have.

Tables as of matminer, JARVIS or MPEA hold compositions and properties, and no files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from xtalfuse.datasets.manifest.rows import read_rows
from xtalfuse.loaders.description import DESCRIPTIONS
from xtalfuse.loaders.record import Reason, UnreadableFileError
from xtalfuse.loaders.safe.head import refused


def table_template(
    path: str | Path, columns: Mapping[str, str], targets: Mapping[str, str]
) -> list[dict[str, str]]:
    """Rows of a manifest without files, from a table.

    Parameters
    ----------
    path : CSV, JSON, JSON lines or Parquet
    columns : column of the manifest -> column of the table. Without ``id`` each row is a specimen
        of its own, named after the table.
    targets : label with its unit, ``yield_strength[MPa]`` -> column of the table

    Raises
    ------
    UnreadableFileError
        If the table cannot be read or lacks a column.
    """
    path = Path(path)
    rows, there = read_rows(path)
    if not rows:
        raise refused(path.name, "the table has no rows", "give one that has")
    taken = {**columns, **{f"target:{label}": column for label, column in targets.items()}}
    for column in taken.values():
        if column not in there:
            raise refused(path.name, f"no column {column!r}", f"there are {', '.join(there)}")
    digits = len(str(len(rows)))
    return [
        {"id": f"{path.stem}-{number:0{digits}d}"}
        | {name: row.get(column, "") for name, column in taken.items()}
        for number, row in enumerate(rows, 1)
    ]


def template(
    folder: str | Path, *, whole: bool = False
) -> tuple[list[dict[str, str]], Counter[str]]:
    """Rows for the specimens of a folder, and how many files of each ending are in none.

    A folder with files of several kinds, or with a ``specimen.yaml``, is one specimen; of files of
    one kind each is one, in a group of the name of the folder. Files of no instrument, such as
    crystal structures, are left out where they are not in the folder of a specimen.

    Parameters
    ----------
    whole : whether each folder with files in it is one specimen, whatever its files

    Raises
    ------
    UnreadableFileError
        If it is no folder, or holds nothing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UnreadableFileError(f"{folder}: no such folder; check the path", Reason.MISSING)
    left_out: Counter[str] = Counter()
    places = sorted(_specimens_in(folder, folder, whole, left_out))
    if not places:
        raise UnreadableFileError(f"{folder}: no files of instruments; give the folder of the data")
    names = [place.relative_to(folder) for place in places]
    ids = [name.with_suffix("").as_posix() for name in names]
    rows = [
        {"id": short if ids.count(short) == 1 else name.as_posix(),
         "path": name.as_posix(),
         "group": name.parent.as_posix() if len(name.parts) > 1 else ""}
        for short, name in zip(ids, names, strict=True)
    ]  # fmt: skip
    return rows, left_out


def _specimens_in(folder: Path, root: Path, whole: bool, left_out: Counter[str]) -> list[Path]:
    inside = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    there = [p for p in inside if p.is_file()]
    files = [p for p in there if p.name in DESCRIPTIONS or of_instrument(p)]
    left_out.update(p.suffix.lower() or p.name for p in there if p not in files)
    folders = [
        found for p in inside if p.is_dir() for found in _specimens_in(p, root, whole, left_out)
    ]
    mixed = len({p.suffix.lower() for p in files}) > (0 if whole else 1)
    described = any(p.name in DESCRIPTIONS for p in files)
    if folder != root and not folders and (described or mixed):
        return [folder]
    return [*files, *folders]


def of_instrument(path: Path) -> bool:
    """Whether a reader may know it by its ending; a CIF where it speaks of a powder pattern."""
    from xtalfuse.loaders.registry import READERS

    ending = path.suffix.lower()
    if ending == ".cif":
        return b"_pd_" in path.read_bytes()
    return any(ending in reader.suffixes for reader in READERS.values())
