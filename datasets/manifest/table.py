"""The table of a dataset: which files belong to which specimen, and what is known of it.

One row is a file or a specimen; rows with one ``id`` are one specimen. All problems of a table
are told at once, each with row, column, value, cause and remedy.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xtalfuse.datasets.manifest.rows import read_rows
from xtalfuse.datasets.manifest.units import UnitError, to_standard
from xtalfuse.loaders.description import FileStatement, check_elements
from xtalfuse.loaders.record import Reason, UnreadableFileError

COLUMNS = {
    "id": "name of the specimen; rows with the same are one specimen",
    "path": "file, folder or pattern such as scans/a-*.xrdml, from the folder of the manifest",
    "group": "what must not be split between training and test; the id where it is empty",
    "elements": "known to be there: Al O",
    "composition": "formula or mass fractions of the whole: Al2O3, Fe0.7Ni0.3",
    "phases": "what the label says is in it, separated by ;",
    "prototype": "structure type, for splits",
    "source": "DOI or laboratory that the record comes from",
    "instrument": "that recorded it, for splits",
    "time": "of recording, 2026-01-31T12:00, for splits",
    "label_source": "where the targets come from",
    "licence": "of the record: CC-BY-4.0",
    "notes": "for people",
    "decision": "reject, where a person found the label wrong; keep",
    "decided_by": "who decided",
    "decided_at": "when",
}
STATEMENTS = tuple(FileStatement.model_fields)
OF_FILE = ("path", *STATEMENTS)
_NONE = {"n/a", "na", "nan", "none", "null", "-", "--", "?"}  # what stands where nothing is known
_TARGET = re.compile(r"target:\s*(?P<name>[^\[\]]+?)\s*(?:\[(?P<unit>[^\]]*)\])?$")


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a manifest.

    Parameters
    ----------
    row : number of the row below the header, from 1; 0 of the table itself
    column, value : where, and what stands there
    cause, remedy : what is wrong, and what to do
    fatal : whether nothing can be built; else the row or the target is left out
    """

    row: int
    column: str
    value: str
    cause: str
    remedy: str
    fatal: bool = False

    def __str__(self) -> str:
        where = f"row {self.row}, " if self.row else ""
        return f"{where}column {self.column!r}: {self.value!r}: {self.cause}; {self.remedy}"


class ManifestError(UnreadableFileError):
    """A manifest that nothing can be built from; `problems` lists all that is wrong."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{name}: {problem}" for problem in self.problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (str(self), self.problems)


def _remade(text: str, problems: tuple[Problem, ...]) -> ManifestError:
    error = ManifestError("", problems)
    error.args = (text,)
    return error


@dataclass(frozen=True)
class Target:
    """One labelled property of a specimen.

    Parameters
    ----------
    value : a number in `unit`, or a text
    unit : of the dataset's units; "" of pure numbers and texts
    fault : why it must not be used; "" where nothing speaks against it
    code : of the fault
    """

    value: float | str
    unit: str = ""
    fault: str = ""
    code: Reason | None = None

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against using it."""
        return not self.fault


@dataclass(frozen=True)
class FileRow:
    """The files of one row, and what it says of them."""

    row: int
    path: str
    stated: FileStatement


@dataclass(frozen=True)
class Specimen:
    """What a manifest says of one specimen.

    Parameters
    ----------
    id, group : as in the manifest
    files : rows with paths; none of a row of a table that has no files
    targets : by name
    about : the other columns, by name, as they stand
    problems : of its rows, which are left out
    """

    id: str
    group: str
    files: tuple[FileRow, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def sha256(self) -> str:
        """Of all that the manifest says of it: another statement is another record."""
        content = asdict(self)
        for row, files in zip(content["files"], self.files, strict=True):
            row["stated"] = files.stated.model_dump(exclude_none=True)
            del row["row"]  # other rows before it change nothing
        content["problems"] = [replace(p, row=0).__dict__ for p in self.problems]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Manifest:
    """A table that something can be built from.

    Parameters
    ----------
    path : of the file; paths in it start from its folder
    specimens : sorted by id
    """

    path: Path
    specimens: tuple[Specimen, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of single rows and labels, which are left out."""
        return tuple(problem for each in self.specimens for problem in each.problems)


def read_manifest(path: str | Path) -> Manifest:
    """A manifest as CSV, JSON lines or Parquet.

    Raises
    ------
    ManifestError
        If nothing can be built from it; it lists all problems.
    UnreadableFileError
        If the file cannot be read.
    """
    path = Path(path)
    rows, columns = _named(*read_rows(path))
    problems = _check_columns(columns)
    specimens: list[Specimen] = []
    members: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for number, row in enumerate(rows, 1):
        if not row.get("id"):
            problems.append(Problem(number, "id", "", "no id", "name the specimen", fatal=True))
        else:
            members.setdefault(row["id"], []).append((number, row))
    if not rows:
        problems.append(Problem(0, "id", "", "the table has no rows", "add some", fatal=True))
    for name in sorted(members):
        told: list[Problem] = []
        found = _specimen(name, members[name], told)
        specimens.append(replace(found, problems=tuple(p for p in told if not p.fatal)))
        problems += told
    if any(problem.fatal for problem in problems):
        raise ManifestError(path.name, sorted(problems, key=lambda p: (not p.fatal, p.row)))
    return Manifest(path.absolute(), tuple(specimens))


def _named(
    rows: list[dict[str, str]], columns: list[str]
) -> tuple[list[dict[str, str]], list[str]]:
    """The same with known columns in their usual spelling: ``Label source`` is ``label_source``."""
    known = {*COLUMNS, *STATEMENTS}
    plain = {name: "_".join(name.lower().split()) for name in columns}
    usual = {n: p for n, p in plain.items() if p in known and list(plain.values()).count(p) == 1}
    renamed = [{usual.get(name, name): value for name, value in row.items()} for row in rows]
    return renamed, [usual.get(name, name) for name in columns]


def _check_columns(columns: list[str]) -> list[Problem]:
    known = [*COLUMNS, *STATEMENTS]
    problems = []
    for column in columns:
        if column in known:
            continue
        target = _TARGET.match(column)
        if target:
            try:
                to_standard(1.0, target["unit"] or "")
            except UnitError as error:
                problems.append(Problem(0, column, "", str(error), error.remedy, fatal=True))
            continue
        close = difflib.get_close_matches(column, known, n=1)
        hint = "write target:NAME[UNIT] for a label, or take it out"
        hint = f"did you mean {close[0]!r}?" if close else hint
        problems.append(Problem(0, column, "", "no such column", hint, fatal=True))
    if "id" not in columns:
        problems.append(Problem(0, "id", "", "the column is not there", "add it", fatal=True))
    return problems


def _specimen(
    name: str, rows: list[tuple[int, dict[str, str]]], problems: list[Problem]
) -> Specimen:
    """One specimen from its rows, which must not contradict each other."""
    about: dict[str, str] = {}
    said_in: dict[str, int] = {}
    files: list[FileRow] = []
    for number, row in rows:
        for column, value in row.items():
            if column in OF_FILE or column == "id":
                continue
            if about.setdefault(column, value) != value:
                problems.append(Problem(
                    number, column, value, f"{name!r} has {about[column]!r} in row "
                    f"{said_in[column]}", "give it once, or another id", fatal=True,
                ))  # fmt: skip
            said_in.setdefault(column, number)
        if "path" in row:
            files += _file_row(number, row, problems)
    where = [(file.path, file.stated) for file in files]
    if len(set(map(str, where))) < len(where) or (len(rows) > 1 and len(files) < len(rows)):
        number = rows[-1][0]
        problems.append(
            Problem(number, "id", name, "a second row of the same id", "rename one", fatal=True)
        )
    targets = _targets(rows[0][0], about, problems)
    plain = {key: value for key, value in about.items() if not key.startswith("target:")}
    if "elements" in plain:
        try:
            plain["elements"] = " ".join(check_elements(plain["elements"]))
        except (ValueError, TypeError) as error:
            problems.append(
                Problem(rows[0][0], "elements", plain.pop("elements"), str(error), "correct it")
            )
    return Specimen(name, plain.pop("group", name), tuple(files), targets, plain)


def _file_row(number: int, row: Mapping[str, str], problems: list[Problem]) -> list[FileRow]:
    said = {key: row[key] for key in STATEMENTS if key in row}
    try:
        return [FileRow(number, row["path"], FileStatement.model_validate(said))]
    except ValidationError as error:
        for one in error.errors():
            column = str(one["loc"][0]) if one["loc"] else next(iter(said), "path")
            cause = str(one["msg"]).removeprefix("Value error, ")
            problems.append(
                Problem(number, column, row.get(column, ""), cause, "correct the value")
            )
    return []


def _targets(number: int, about: Mapping[str, str], problems: list[Problem]) -> dict[str, Target]:
    """The labels of a specimen in standard units; one that is no number is kept as a fault."""
    found = {}
    for column, value in about.items():
        target = _TARGET.match(column)
        if target is None:
            continue
        name, unit = target["name"], target["unit"]
        if unit is None:
            found[name] = Target(value)
            continue
        if value.lower() in _NONE:
            continue
        try:
            amount = _number(value)
            found[name] = Target(*to_standard(amount, unit))
        except UnitError:
            continue  # told of the column
        except ValueError as error:
            cause = str(error)
            problems.append(Problem(number, column, value, cause, "give a number or leave it out"))
            found[name] = Target(math.nan, unit, f"{value!r}: {cause}", Reason.LABEL)
    return found


def _number(text: str) -> float:
    """Raises ValueError where it is none that can be used."""
    try:
        amount = float(text)
    except ValueError:
        raise ValueError("it is not a number") from None
    if not math.isfinite(amount):
        raise ValueError("it is not finite")
    return amount


def with_decisions(
    path: str | Path, decisions: Mapping[str, Mapping[str, str]], by: str
) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows) of a manifest with what a person decided about its specimens.

    Parameters
    ----------
    decisions : id -> ``{"decision": "reject", "at": "2026-01-31T12:00:00Z"}``
    by : who decided

    Raises
    ------
    ValueError
        If a decision is about a specimen that is not in the manifest, or is none.
    """
    rows, columns = _named(*read_rows(Path(path)))
    unknown = sorted(set(decisions) - {row.get("id", "") for row in rows})
    if unknown:
        raise ValueError(
            f"no {', '.join(unknown[:5])} in {Path(path).name}; give its own decisions"
        )
    for row in rows:
        made = decisions.get(row.get("id", ""))
        if made is None:
            continue
        if made.get("decision") not in ("keep", "reject"):
            raise ValueError(f"{row['id']}: decision {made.get('decision')!r}; give keep or reject")
        row |= {"decision": made["decision"], "decided_by": by, "decided_at": made.get("at", "")}
    return list(dict.fromkeys([*columns, "decision", "decided_by", "decided_at"])), rows
