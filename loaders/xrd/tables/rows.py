"""Rows of text -> rows of numbers: the separator, the decimal sign, signs of thousands.

A field is a number as a whole or none. One decimal sign holds for a whole file; the other one
parts thousands where it stands before exactly three digits, and never in the first column: no
abscissa reaches a thousand. Where both readings are possible the table is refused.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.xrd.quantity import MINUS

EXPONENT = r"(?:[eEdD][-+]?\d+)?"
PLAIN = {
    ".": re.compile(rf"[-+]?(?:\d+\.?\d*|\.\d+){EXPONENT}"),
    ",": re.compile(rf"[-+]?(?:\d+,?\d*|,\d+){EXPONENT}"),
}
_SPACES = "'\u2019 \u00a0\u2009\u202f"
GROUPED = {
    ".": re.compile(rf"[-+]?[1-9]\d{{0,2}}([,{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:\.\d+)?"),
    ",": re.compile(rf"[-+]?[1-9]\d{{0,2}}([.{_SPACES}])\d{{3}}(?:\1\d{{3}})*(?:,\d+)?"),
}
_ONE_GROUP = re.compile(r"[-+]?\d{1,3}[.,]\d{3}")
_PARTS = re.compile(rf"[{_SPACES}]")


@dataclass(frozen=True)
class Style:
    """How the rows of a file are written.

    Parameters
    ----------
    separator : between fields; None for white space
    decimal : ``"."`` or ``","``
    """

    separator: str | None
    decimal: str

    def fields(self, line: str) -> list[str]:
        """Fields of a row without quotes and without empty ones at its end."""
        line = line.strip().translate(MINUS)
        if self.separator is None:
            fields = [field.strip("\"'") for field in line.split()]
        elif '"' in line:
            fields = next(csv.reader([line], delimiter=self.separator, skipinitialspace=True))
        else:
            fields = line.split(self.separator)
        fields = [field.strip() for field in fields]
        while fields and not fields[-1]:
            fields.pop()
        return fields

    def numbers(self, line: str) -> list[float] | None:
        """Leading numbers of a row; None if its first two fields are not numbers."""
        found: list[float] = []
        for field in self.fields(line):
            value = self.number(field, grouped=bool(found))
            if value is None:
                break
            found.append(value)
        return found if len(found) >= 2 else None

    def number(self, field: str, grouped: bool = True) -> float | None:
        """The number that a field is; None if it is anything else."""
        if not PLAIN[self.decimal].fullmatch(field):
            if not grouped or not GROUPED[self.decimal].fullmatch(field):
                return None
            field = _PARTS.sub("", field).replace("." if self.decimal == "," else ",", "")
        return float(field.replace(",", ".").replace("D", "e").replace("d", "e"))


# Of styles that fit as many rows the first is taken; the last one needs quotes.
STYLES = (
    *(Style(separator, ".") for separator in (None, ",", ";", "\t")),
    *(Style(separator, ",") for separator in (None, ";", "\t", ",")),
)
SHEET = (Style("\t", "."), Style("\t", ","))  # cells are numbers, or text of a country


def is_number(field: str) -> bool:
    """Whether a field can be a number in some style."""
    field = field.strip("\"' ").translate(MINUS)
    return any(PLAIN[d].fullmatch(field) or GROUPED[d].fullmatch(field) for d in ".,")


def style_of(name: str, sample: list[str], styles: Sequence[Style] = STYLES) -> Style:
    """The style that fits most rows of a sample.

    Raises
    ------
    UnreadableFileError
        If the numbers can be read in two ways.
    """
    fits = [sum(style.numbers(line) is not None for line in sample) for style in styles]
    style = styles[max(range(len(styles)), key=fits.__getitem__)]
    _refuse_ambiguous(name, style, sample)
    return style


def _refuse_ambiguous(name: str, style: Style, sample: list[str]) -> None:
    """Refuse a column of which every number has one sign before three digits.

    It parts thousands if it is not the decimal sign of the other columns, and if it were one
    it would be the other program's; a number without it, or with two, tells.
    """
    rows = [style.fields(line) for line in sample if style.numbers(line) is not None]
    width = min((len(row) for row in rows), default=0)
    for column in range(1, width):
        written = [row[column] for row in rows]
        other = "." if style.decimal == "," else ","
        if all(other in field and _ONE_GROUP.fullmatch(field) for field in written):
            raise UnreadableFileError(
                f"{name}: {written[0]!r} can be {written[0].replace(other, '')} or a decimal "
                "number written with another sign than the first column; export it with one "
                "decimal sign and no signs of thousands"
            )


def parted(name: str, rows: list[list[float]], lines: list[str]) -> list[list[float]] | None:
    """Rows of which decimal commas also part the fields (``20,02,85``); None if they do not.

    Then both numbers of the first are whole, and the first column, cut short, repeats itself.

    Raises
    ------
    UnreadableFileError
        If it cannot be told which commas are decimal signs.
    """
    fields = [line.strip().split(",") for line in lines]
    if len({row[0] for row in rows}) > 0.6 * len(rows) or not all(
        row[0].isdigit() and row[1].isdigit() for row in fields
    ):
        return None
    whole = [[float(f"{row[0]}.{row[1]}"), float(row[2])] for row in fields if len(row) == 3]
    steps = {round(b[0] - a[0], 9) for a, b in itertools.pairwise(whole)}
    if len(whole) < len(rows) or len(steps) != 1 or 0.0 in steps:
        raise UnreadableFileError(
            f"{name}: commas are decimal signs and part the fields; export it with semicolons"
        )
    return whole
