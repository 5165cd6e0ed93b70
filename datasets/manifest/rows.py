"""Tables as people have them, as rows of texts: CSV of any country, Excel, JSON, Parquet."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xtalfuse.loaders.record import Reason, UnreadableFileError

_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?")


def read_rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows as texts without surrounding blanks, and the names of the columns.

    Raises
    ------
    UnreadableFileError
        If it is no table of a known format.
    """
    if path.suffix.lower() not in _READ:
        raise UnreadableFileError(
            f"{path.name}: a table is one of {' '.join(_READ)}; save it as one of these",
            Reason.UNKNOWN_FORMAT,
        )
    if not path.is_file():
        raise UnreadableFileError(f"{path.name}: no such file; check the path", Reason.MISSING)
    try:
        rows = _READ[path.suffix.lower()](path)
    except (
        ValueError, csv.Error, OSError, TypeError, AttributeError, KeyError, zipfile.BadZipFile
    ) as error:  # fmt: skip
        cause = " ".join(str(error).split())[:200]
        raise UnreadableFileError(f"{path.name}: {cause}; correct the table") from None
    columns = [key.strip() for key in dict.fromkeys(key for row in rows for key in row)]
    texts = [
        {key.strip(): _text(value) for key, value in row.items() if _text(value)} for row in rows
    ]
    if not any("" in row for row in texts):  # an empty column beside the table
        columns = [name for name in columns if name]
    return [row for row in texts if row], columns


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return str(value).strip()


def _from_csv(path: Path) -> list[dict[str, Any]]:
    """Separated by commas, semicolons or tabs, whichever the header has most of.

    Where it is no comma, a comma in a number is the decimal one.
    """
    content = path.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = content.decode("utf-16")  # "Unicode text" of Excel
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252")  # Windows of the western countries
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True))
    rows = [row for row in rows if any(map(str.strip, row))]
    if mark != ",":
        rows = [[v.replace(",", ".") if _DECIMAL_COMMA.fullmatch(v.strip()) else v for v in row]
                for row in rows]  # fmt: skip
    return _under_names(rows[0] if rows else [], rows[1:])


def _from_excel(path: Path) -> list[dict[str, Any]]:
    """The first sheet of a workbook; its first row names the columns."""
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    finally:
        book.close()
    rows = [row for row in rows if any(_text(value) for value in row)]
    return _under_names([_text(name) for name in rows[0]] if rows else [], rows[1:])


def _under_names(names: list[str], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    given = [name.strip() for name in names if name.strip()]
    if len(set(given)) < len(given):
        twice = next(name for name in given if given.count(name) > 1)
        raise ValueError(f"two columns are called {twice!r}")
    for number, row in enumerate(rows, 1):
        if any(_text(value) for value in row[len(names) :]):
            raise ValueError(f"row {number} has more fields than the header")
    return [
        {name: value for name, value in zip(names, row, strict=False) if name or _text(value)}
        for row in rows
    ]


def _from_jsonl(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8-sig") as file:
        return [json.loads(line) for line in file if line.strip()]


def _from_json(path: Path) -> list[dict[str, Any]]:
    """A list of rows, or columns and rows as pandas and matminer write them."""
    content = json.loads(path.read_text("utf-8-sig"))
    if isinstance(content, dict) and {"columns", "data"} <= set(content):
        return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("it is no table: give a list of rows, each with the names of its columns")
    return content


def _from_parquet(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    return [{str(k): v for k, v in row.items()} for row in pd.read_parquet(path).to_dict("records")]


_READ = {
    ".csv": _from_csv, ".tsv": _from_csv, ".xlsx": _from_excel, ".json": _from_json,
    ".jsonl": _from_jsonl, ".parquet": _from_parquet,
}  # fmt: skip
FORMATS = tuple(_READ)
