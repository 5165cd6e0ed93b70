"""Tables of numbers as text, of which nothing is declared: separator, decimal sign, names, end."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.xrd.quantity import MINUS
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan
from xtalfuse.loaders.xrd.tables.pattern import NUMBERS, X_UNIT, Table, is_axis, pattern_of
from xtalfuse.loaders.xrd.tables.rows import STYLES, Style, is_number, parted, style_of

CUT_TO = 0.3  # a number that lost its last digit is a tenth of what it was
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
COMMENT = ("#", "!", "'", '"', "/", "*", "%", ";")
UNIT_ROW = re.compile(
    r"\W*(deg\w*|°\w*|m?rad\w*|(1/)?(nm|a|å|angstroms?)\W*1?|k?ev|cps|counts|cts|a\.?u\.?|arb\w*)?\W*",
    re.I,
)


def sniff(head: FileHead) -> Certainty:
    """Whether the first bytes are text that holds rows of two or more numbers."""
    text = decoded(head.start)
    if text is None:
        return Certainty.NONE
    rows = 0
    for line in text.splitlines()[:-1] if len(head.start) >= 4096 else text.splitlines():
        rows += is_row(line)
    return Certainty.TABLE if rows >= 2 else Certainty.NONE


def is_row(line: str) -> bool:
    """Whether a line begins with two numbers, however they are written."""
    fields = [f for f in re.split(r"[\s,;\"]+", line.translate(MINUS)) if f]
    return len(fields) >= 2 and all(is_number(f) for f in fields[:2])


def read(path: Path) -> Scan:
    """Pattern of a text table.

    Raises
    ------
    UnreadableFileError
        If there is no table of angles and intensities in the file.
    """
    raw = path.read_bytes()
    text = decoded(raw)
    if text is None:
        raise UnreadableFileError(f"{path.name}: not text and no known format; export it as .xy")
    stepped = _equal_steps(path, text)
    if stepped is not None:
        return pattern_of(path, stepped, "equal steps")
    return pattern_of(path, table_in(path, text), "text table")


def _equal_steps(path: Path, text: str) -> Table | None:
    """Table of a file that gives start, step and end, then intensities only.

    The free format of FullProf (``INSTRM = 0``) and its relatives; None if it is not that.
    """
    lines = [line for line in text.splitlines() if line.strip() and line[0] not in "#!"]
    first = lines[0].split() if lines else []
    if len(lines) < 3 or len(first) < 3 or not all(map(_is_plain, first[:3])):
        return None
    start, step, end = (float(field) for field in first[:3])
    fields = [field for line in lines[1:] for field in line.split()]
    if not (0 < step < 1 and -20 < start < end <= 180 and len(lines[1].split()) > 3):
        return None
    if not all(map(_is_plain, fields)):
        return None
    declared = round((end - start) / step) + 1
    if len(fields) != declared:
        raise UnreadableFileError(
            f"{path.name}: {len(fields)} intensities where {start:g}-{end:g} degrees in steps of "
            f"{step:g} need {declared}; copy the file again"
        )
    angles = start + step * np.arange(declared)
    values = np.column_stack([angles, np.array(fields, float)])
    return Table(values, ("2theta", "intensity"), " ".join(first[3:]), ())


def _is_plain(field: str) -> bool:
    return Style(None, ".").number(field, grouped=False) is not None


def decoded(raw: bytes) -> str | None:
    """Text of a file; None if it is binary."""
    for mark, codec in MARKS:
        if raw.startswith(mark):
            return raw.decode(codec, "replace")
    if b"\x00" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start > len(raw) - 4:  # the head of a file ends inside a letter
            return raw.decode("utf-8", "ignore")
        return raw.decode("latin-1")


def table_in(path: Path, text: str, styles: Sequence[Style] = STYLES) -> Table:
    """Split a text into its table and the words around it.

    Raises
    ------
    UnreadableFileError
        If there are no rows of numbers, too many that are not like the others, or the numbers
        can be read in two ways.
    """
    lines = text.splitlines()
    sample = [line for line in lines if line.strip()][:4000]
    style = style_of(path.name, sample, styles)
    rows = [(i, n) for i, line in enumerate(lines) if (n := style.numbers(line)) is not None]
    if len(rows) < 3:
        raise UnreadableFileError(
            f"{path.name}: no rows of angle and intensity (a line reads "
            f"{sample[len(sample) // 2].strip()[:40]!r}); export it as .xy with one decimal sign"
        )
    usual = Counter(len(n) for _, n in rows).most_common(1)[0][0]
    kept = [(i, n) for i, n in rows if len(n) == usual]
    if style == Style(",", ".") and usual > 2:
        whole = parted(path.name, [n for _, n in kept], [lines[i] for i, _ in kept])
        kept = kept if whole is None else [(i, n) for (i, _), n in zip(kept, whole, strict=True)]
    start = kept[0][0]
    words = [line for line in lines[:start] if line.strip()]
    inside = {i for i, _ in kept}
    others = [lines[i] for i in range(start, len(lines)) if i not in inside and lines[i].strip()]
    noted = [line for line in others if line.strip().startswith(COMMENT)]
    _refuse_strange(path.name, lines, rows, usual)
    strange = len(others) - len(noted)
    kept, said = _trimmed(text, lines, kept, len(rows) > len(kept) and rows[-1] != kept[-1])
    if strange > max(3, 0.01 * len(kept)):
        raise UnreadableFileError(
            f"{path.name}: {strange} of {len(lines) - start} rows do not have the usual {usual} "
            "numbers; the file is damaged or holds several tables: export one pattern as .xy"
        )
    if strange and not said:
        said.append(f"{strange} row(s) without {usual} numbers were left out")
    names = _names(words, style, len(style.fields(lines[start])), len(kept[0][1]))
    values = np.array([n for _, n in kept])
    return Table(values, names, "\n".join(words + noted), tuple(said))


def _refuse_strange(
    name: str, lines: list[str], rows: list[tuple[int, list[float]]], usual: int
) -> None:
    """Refuse a table some of whose rows hold more numbers: a sign in them parts fields."""
    longer = [i for i, n in rows if len(n) > usual]
    if longer and rows[0][0] < longer[0] and len(rows) > 3:
        raise UnreadableFileError(
            f"{name}: line {longer[0] + 1}, {lines[longer[0]].strip()[:40]!r}, has more than the "
            f"usual {usual} numbers; export it without signs of thousands, or copy the file again"
        )


def _trimmed(
    text: str, lines: list[str], kept: list[tuple[int, list[float]]], ragged_end: bool
) -> tuple[list[tuple[int, list[float]]], list[str]]:
    """Without a last row that looks cut, and the warning for it.

    Many programs end a file without a line end. The last number was cut if it has fewer digits
    after its decimal sign than all others, or is a tenth of those before it.
    """
    cut = "the last line is cut: the file may be incomplete"
    open_end = not text.endswith(("\n", "\r"))
    inside_line_end = text.endswith("\r") and "\n" in text
    if ragged_end or inside_line_end or (open_end and not lines[-1].strip()):
        return kept, [cut]
    last = lines[kept[-1][0]].strip()
    before = [lines[i].strip() for i, _ in kept[-51:-1]]
    if not open_end or not before:
        return kept, []
    if kept[-1][0] != len(lines) - 1:
        return kept, [cut]
    decimals = Counter(_decimals(line) for line in before).most_common(1)[0]
    shorter = len(last) < min(len(line) for line in before)
    fewer = decimals[1] == len(before) and _decimals(last) != decimals[0]
    level = float(np.median([abs(n[-1]) for _, n in kept[-11:-1]]))
    fell = level >= 10.0 and abs(kept[-1][1][-1]) < CUT_TO * level
    return (kept[:-1], [cut]) if shorter or fewer or fell else (kept, [])


def _decimals(line: str) -> int:
    """Digits after the last decimal sign of a row."""
    tail = re.search(r"[.,](\d*)\D*$", line)
    return len(tail[1]) if tail else 0


def _names(words: list[str], style: Style, columns: int, numbers: int) -> tuple[str, ...]:
    """Names over the columns: in one of the last lines before the numbers, units below them."""
    units: tuple[str, ...] = ()
    for line in reversed(words[-3:]):
        if X_UNIT.search(line):
            continue
        fields = _parts(line.strip().lstrip("#!%'/*; "), style, columns, numbers)
        if fields and not units and all(UNIT_ROW.fullmatch(field) for field in fields):
            units = fields
        elif fields:
            if "=" in line and "WL" not in line:
                return units
            pairs = zip(fields, units or ("",) * len(fields), strict=False)
            return tuple(f"{name} ({unit})" if unit else name for name, unit in pairs)
    return units


def _parts(line: str, style: Style, columns: int, numbers: int) -> tuple[str, ...]:
    """A line in as many fields as there are columns; nothing if it is none of names."""
    bracketed = re.sub(r"\s+(?=[(\[/])", "\0", line)
    # one space only between words: all that is not the name of the last column is the abscissa's
    at_end = line.rsplit(None, 1) if numbers == columns == 2 else []
    for fields in (
        style.fields(line),
        *([f.strip(" \"'") for f in line.split(sep)] for sep in "\t,;"),
        re.split(r"\s{2,}|\t", line),
        [field.replace("\0", " ") for field in bracketed.split()],
        at_end if at_end and is_axis(at_end[0]) else [],
    ):
        if len(fields) == columns and not any(is_number(f) for f in fields):
            return tuple(fields)
    return ()


READERS = powder_reader(
    "table",
    "text in two or three columns, wide CSV, equal steps (FullProf)",
    (".xy", ".xye", ".dat", ".txt", ".csv", ".asc", ".prn"),
    sniff,
    read,
    limits=("lists of peaks, and tables of four or more columns without names, are refused",),
    numbers=NUMBERS,
)
