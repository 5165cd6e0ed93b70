"""Patterns in the sheets of an Excel workbook: ``.xlsx``."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, damaged
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan
from xtalfuse.loaders.xrd.tables.pattern import NUMBERS, pattern_of
from xtalfuse.loaders.xrd.tables.rows import SHEET
from xtalfuse.loaders.xrd.tables.text import table_in


def sniff(head: FileHead) -> Certainty:
    """Whether a zip archive is a workbook; a damaged one by its suffix."""
    if not head.start.startswith(b"PK"):
        return Certainty.NONE
    try:
        with zipfile.ZipFile(head.path) as archive:
            known = "xl/workbook.xml" in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        known = head.suffix == ".xlsx"
    return Certainty.CONTAINER if known else Certainty.NONE


def read(path: Path) -> Scan:
    """Pattern of the first sheet of an Excel workbook that holds one.

    Raises
    ------
    UnreadableFileError
        If the workbook is damaged or no sheet holds a table of angles and intensities.
    """
    refusal = UnreadableFileError(f"{path.name}: no sheet holds numbers; save the pattern as .xy")
    try:
        sheets = list(_sheets(path))
    except Exception as error:  # openpyxl raises whatever zip and XML parsers raise
        raise damaged(path.name, error) from None
    for lines in sheets:
        try:
            return pattern_of(path, table_in(path, "\n".join(lines) + "\n", SHEET), "excel table")
        except UnreadableFileError as error:
            refusal = error
    raise refusal


def _sheets(path: Path) -> Iterator[list[str]]:
    """Rows of each sheet that is a table, with tabs between their cells."""
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what a writer says of them is often wrong: rows would be lost
        yield [
            "\t".join("" if cell is None else str(cell) for cell in row)
            for row in sheet.iter_rows(values_only=True)
        ]


READERS = powder_reader(
    "excel",
    "Excel workbook with a table of 2theta and intensity",
    (".xlsx",),
    sniff,
    read,
    limits=("only the first sheet that holds a pattern is read",),
    numbers=NUMBERS,
)
