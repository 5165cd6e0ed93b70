"""Patterns in a JSON object: ``.json``."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan
from xtalfuse.loaders.xrd.tables.pattern import NUMBERS, Table, is_axis, pattern_of


def sniff(head: FileHead) -> Certainty:
    """Whether an object speaks of an angle theta at its beginning."""
    start = head.text[:200].lower()
    known = start.startswith("{") and re.search(r"theta|\"(q|d|tth|2th)\b", start)
    return Certainty.LIKELY if known else Certainty.NONE


def read(path: Path) -> Scan:
    """Pattern of a JSON object that holds a list of angles and a list of intensities.

    Raises
    ------
    UnreadableFileError
        If the file is no such object.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(f"{path.name}: damaged JSON ({error}); export it again") from None
    content = content if isinstance(content, dict) else {}
    lists = {k: v for k, v in content.items() if isinstance(v, list) and len(v) > 1}
    rest = {k: v for k, v in content.items() if k not in lists}
    usual = max((len(v) for v in lists.values()), default=0)
    columns = {_with_unit(k, rest): v for k, v in lists.items() if len(v) == usual}
    if len(columns) < 2 or not any(map(is_axis, columns)):
        raise UnreadableFileError(
            f"{path.name}: no two lists of equal length for 2theta and intensity; export it as .xy"
        )
    try:
        values = np.array(list(columns.values()), float).T
    except (TypeError, ValueError):
        raise refused(path.name, "the lists hold more than numbers", "export .xy") from None
    words = json.dumps(rest, ensure_ascii=False).replace("\\", "")
    return pattern_of(path, Table(values, tuple(columns), words, ()), "json table")


def _with_unit(key: str, rest: dict[str, Any]) -> str:
    """Name of a list with the unit that stands beside it or in an object ``units``."""
    units = rest.get("units")
    unit = rest.get(f"{key}_unit", rest.get(f"{key}_units"))
    if unit is None and isinstance(units, dict):
        unit = units.get(key)
    return f"{key} ({unit})" if isinstance(unit, str) else key


READERS = powder_reader(
    "json",
    "JSON object with lists of 2theta and intensity",
    (".json",),
    sniff,
    read,
    numbers=NUMBERS,
)
