"""Patterns in the sheets of an Excel workbook: ``.xlsx``."""

from __future__ import annotations

import zipfile
from pathlib import Path

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
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
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = [(sheet.title, list(sheet.iter_rows(values_only=True))) for sheet in book]
    except Exception as error:  # openpyxl raises whatever zip and XML parsers raise
        cause = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise UnreadableFileError(
            f"{path.name}: damaged workbook ({cause}); save it again"
        ) from None
    refusal = UnreadableFileError(f"{path.name}: no sheet holds numbers; save the pattern as .xy")
    for _, rows in sheets:
        lines = ["\t".join("" if cell is None else str(cell) for cell in row) for row in rows]
        try:
            return pattern_of(path, table_in(path, "\n".join(lines) + "\n", SHEET), "excel table")
        except UnreadableFileError as error:
            refusal = error
    raise refusal


READERS = powder_reader(
    "excel",
    "Excel workbook with a table of 2theta and intensity",
    (".xlsx",),
    sniff,
    read,
    limits=("only the first sheet that holds a pattern is read",),
    numbers=NUMBERS,
)
