"""Manifests of what others put together: archives of NOMAD, datasets with Croissant metadata."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xtalfuse.datasets.manifest.rows import FORMATS
from xtalfuse.loaders.record import Reason
from xtalfuse.loaders.safe.guard import check_file
from xtalfuse.loaders.safe.head import refused, sha256_of

MOST_JSON_MB = 256
Row = dict[str, str]
# of `results.properties.mechanical` in NOMAD, which is in SI units
_MODULI = {"bulk_modulus": "bulk_modulus", "shear_modulus": "shear_modulus"}
_AVERAGES = {
    "voigt_reuss_hill_average": "", "voigt_average": "_voigt", "reuss_average": "_reuss",
}  # fmt: skip


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises
    ------
    UnreadableFileError
        If it is none, or larger than `MOST_JSON_MB`.
    """
    if check_file(path).stat().st_size > MOST_JSON_MB * 1e6:
        raise refused(
            path.name, f"larger than {MOST_JSON_MB} MB", "part it", reason=Reason.TOO_LARGE
        )
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise refused(path.name, f"not JSON ({error})", "get it again") from None


def archived(path: Path, content: Any) -> list[Row] | None:
    """Rows of a JSON file that is an archive of NOMAD, or an answer of its API; None if not."""
    if isinstance(content, Mapping) and isinstance(content.get("data"), list):
        content = content["data"]  # of /entries/archive/query
    entries = content if isinstance(content, list) else [content]
    found = [e.get("archive", e) if isinstance(e, Mapping) else {} for e in entries]
    if not found or not all(_is_archive(one) for one in found):
        return None
    return [_nomad(path, number, one) for number, one in enumerate(found, 1)]


def _is_archive(content: Mapping[str, Any]) -> bool:
    parts = [content.get(key) for key in ("metadata", "results", "data")]
    return any(isinstance(part, Mapping) for part in parts) and (
        "entry_id" in _at(content, "metadata") or "material" in _at(content, "results")
        or "m_def" in _at(content, "data")
    )  # fmt: skip


def _at(content: Any, *keys: str) -> Any:
    """What stands below these keys; nothing where a key is absent."""
    for key in keys:
        content = content.get(key) if isinstance(content, Mapping) else None
    return {} if content is None else content


def _nomad(path: Path, number: int, archive: Mapping[str, Any]) -> Row:
    """One row; the file is that which the entry was made from, where it lies beside the archive."""
    about, data = _at(archive, "metadata"), _at(archive, "data")
    material = _at(archive, "results", "material")
    stem = path.name.removesuffix(".json").removesuffix(".archive")
    row: Row = {"id": str(about.get("entry_id") or f"{stem}-{number}")}
    named = (data.get("data_file"), about.get("mainfile"), data.get("auxiliary_file"))
    for name in (str(text) for text in named if text):
        if not name.endswith(".archive.json") and (path.parent / name).is_file():
            row["path"] = name
            break
    formula = material.get("chemical_formula_hill") or material.get("chemical_formula_reduced")
    datasets = about.get("datasets") or [{}]
    known = {
        "group": data.get("lab_id") or about.get("upload_id"),
        "composition": formula,
        "elements": " ".join(map(str, material.get("elements") or ())),
        "prototype": _at(material, "symmetry").get("prototype_name"),
        "source": _at(datasets[0]).get("doi") or about.get("upload_id"),
        "time": data.get("datetime"),
        "licence": about.get("license"),
        "label_source": "NOMAD",
    }
    row |= {name: str(text) for name, text in known.items() if text}
    for kind, label in _MODULI.items():
        for one in _at(archive, "results", "properties", "mechanical", kind) or ():
            average = _AVERAGES.get(str(_at(one).get("type")))
            if average is not None and isinstance(one.get("value"), (int, float)):
                row[f"target:{label}{average}[Pa]"] = repr(one["value"])
    return row


def is_croissant(content: Any) -> bool:
    """Whether a JSON file is metadata of a dataset in Croissant."""
    return isinstance(content, Mapping) and "mlcommons.org/croissant" in str(
        content.get("conformsTo", content.get("dct:conformsTo", ""))
    )


def croissant_files(path: Path, content: Mapping[str, Any]) -> Iterator[Path]:
    """The files of a dataset with Croissant metadata that lie beside it, as their sha256 says.

    Raises
    ------
    UnreadableFileError
        If a file is absent, is not the one that is described, or lies outside.
    """
    root = path.parent.resolve()
    for one in content.get("distribution", ()):
        kind, url = str(one.get("@type", "")), str(one.get("contentUrl", ""))
        if kind.endswith("FileSet"):
            wanted = one.get("includes") or []
            for pattern in [wanted] if isinstance(wanted, str) else wanted:
                places = sorted(root.glob(pattern.lstrip("/") or "*"))
                inside = (p for p in places if p.resolve().is_relative_to(root))
                yield from (p for p in inside if p.is_file())
        elif kind.endswith("FileObject") and not one.get("containedIn"):
            place = root / url
            if "://" in url or not place.is_file():
                raise refused(path.name, f"{url} is not here", "download it to this folder")
            if not place.resolve().is_relative_to(root):
                raise refused(path.name, f"{url} leads out of the folder", "do not trust this file")
            if one.get("sha256") not in (None, sha256_of(place)):
                raise refused(url, "its sha256 is not the one that is described", "get it again")
            yield place


def croissant_rows(path: Path, content: Mapping[str, Any]) -> tuple[list[Row], list[Path]]:
    """(a row for each instrument file, the tables) of a dataset with Croissant metadata."""
    from xtalfuse.datasets.manifest.template import of_instrument

    files = list(croissant_files(path, content))
    tables = [place for place in files if place.suffix.lower() in FORMATS]
    known = {"licence": content.get("license"), "source": content.get("url")}
    row = {name: str(text) for name, text in known.items() if isinstance(text, str)}
    names = [
        place.relative_to(path.parent.resolve()).as_posix()
        for place in files
        if place not in tables and of_instrument(place)
    ]
    return [{"id": name, "path": name, **row} for name in names], tables


def described_rows(path: Path, columns: Mapping[str, str], targets: Mapping[str, str]) -> list[Row]:
    """Rows of a file that describes specimens: a table, an archive of NOMAD, Croissant metadata.

    Parameters
    ----------
    columns, targets : of tables, as of `table_template`

    Raises
    ------
    UnreadableFileError
        If it is none of these, or what it names is not beside it.
    """
    from xtalfuse.datasets.manifest.template import table_template

    content: Any = read_json(path) if path.suffix.lower() == ".json" else None
    rows = archived(path, content)
    if rows is None and is_croissant(content):
        rows, tables = croissant_rows(path, content)
        if (columns or targets) and len(tables) == 1:
            return table_template(tables[0], columns, targets)
        if not rows:
            names = ", ".join(place.name for place in tables) or "nothing that can be read"
            remedy = "name the columns of its table, --target COL=NAME[UNIT], or give one table"
            raise refused(path.name, f"it holds no instrument file, and as tables {names}", remedy)
    return table_template(path, columns, targets) if rows is None else rows


def archive_rows(folder: Path) -> list[Row]:
    """Rows of the archives of NOMAD in a folder; none where there are none."""
    rows = []
    for file in sorted(folder.rglob("*archive.json")):
        for row in archived(file, read_json(file)) or ():
            if "path" in row:
                row["path"] = (file.parent.relative_to(folder) / row["path"]).as_posix()
            rows.append(row)
    return rows
