"""What a benchmark found: printed as tables, and written as JSON where a file is given."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def told(figures: Mapping[str, Any], file: Path | None = None) -> None:
    """Print each section (a row, rows in a list, or rows by name) under its name; write all.

    A section that is None was not measured.
    """
    for name, section in figures.items():
        rows = section
        if isinstance(section, Mapping):
            by_name = all(isinstance(row, Mapping) for row in section.values())
            rows = [{"": key, **row} for key, row in section.items()] if by_name else [section]
        if isinstance(rows, list):
            cells = [{key: _cell(value) for key, value in row.items()} for row in rows]
            keys = list(dict.fromkeys(key for row in cells for key in row))
            table = [keys, *([row.get(key, "-") for key in keys] for row in cells)]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            print(f"\n{name}")
            for line in table:
                print("  " + "  ".join(map(str.ljust, line, widths)))
        elif rows is not None:
            print(f"{name}: {_cell(rows)}")
    if file is not None:
        file.write_text(json.dumps(figures, indent=1, default=float) + "\n", encoding="utf-8")


def by_figure(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A section for `told` with a row for each figure, of cases that have many figures each."""
    names = dict.fromkeys(name for column in columns.values() for name in column)
    return {
        "figures": {
            name: {case: column.get(name) for case, column in columns.items()} for name in names
        }
    }


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
