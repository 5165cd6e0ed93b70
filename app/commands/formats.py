"""The command that lists what can be read, and the same list as tables for docs/formats.md.

``python -m xtalfuse.commands.formats docs/formats.md`` writes the tables there anew.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import JsonOption, print_json, telling

if TYPE_CHECKING:
    from xtalfuse.loaders.reader import Reader

BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"


def formats(
    modality: Annotated[
        str | None,
        typer.Option(help="Only this kind: xrd, eels, eds, diffraction, image, ebsd or ct."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the formats that can be read, and what is known to fail.

    [bold]Examples[/bold]

    xtalfuse formats

    xtalfuse formats --modality ebsd

    xtalfuse formats --json
    """
    from xtalfuse.options import UsageError

    with telling():
        from xtalfuse.loaders.record import Modality

        known = [str(kind) for kind in Modality]
        if modality is not None and modality not in known:
            raise UsageError(f"{modality!r} is no modality; give one of {', '.join(known)}")
    rows = [row for row in rows_of_all() if modality is None or modality in row["modalities"]]
    if as_json:
        print_json(rows)
    else:
        _show(rows)


def rows_of_all() -> list[dict[str, Any]]:
    """One row for each reader, by kind of record and name."""
    from xtalfuse.loaders.record import Modality
    from xtalfuse.loaders.registry import READERS

    order = list(Modality)

    def place(reader: Reader) -> tuple[int, str]:
        first = reader.modalities[0] if reader.modalities else Modality.OTHER
        return order.index(first), reader.name

    return [
        {
            "name": reader.name,
            "about": reader.about,
            "modalities": [str(kind) for kind in reader.modalities],
            "suffixes": list(reader.suffixes),
            "limits": list(reader.limits),
            "numbers": [asdict(number) for number in reader.numbers],
        }
        for reader in sorted(READERS.values(), key=place)
    ]


def _cells(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    return (
        row["name"],
        row["about"],
        ", ".join(row["modalities"]),
        " ".join(row["suffixes"]),
        "; ".join(row["limits"]),
    )


_HEADINGS = ("name", "maker, program, kind", "holds", "files", "known to fail")


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in _HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows:
        name, *rest = (shown(cell) for cell in _cells(row))
        table.add_row(Text(name, style="bold"), *map(Text, rest))
    consoles()[0].print(table)


def markdown() -> str:
    """The table of all formats."""
    return _table(_HEADINGS, [_cells(row) for row in rows_of_all()])


def markdown_of_numbers() -> str:
    """The table of the numbers that answers rest on; formats that say the same share a row."""
    formats_of: dict[tuple[str, ...], list[str]] = {}
    for row in rows_of_all():
        for number in row["numbers"]:
            formats_of.setdefault(tuple(number.values()), []).append(row["name"])
    rows = [(", ".join(names), *said) for said, names in formats_of.items()]
    return _table(("formats", "number", "row, column or field", "unit", "sign, missing"), rows)


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(text: str) -> str:
    """A page with the tables between their marks made anew."""
    for name, table in (("formats", markdown()), ("numbers", markdown_of_numbers())):
        before, _, rest = text.partition(BEGIN.format(name))
        _, _, after = rest.partition(END.format(name))
        text = f"{before}{BEGIN.format(name)}\n{table}\n{END.format(name)}{after}"
    return text


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
