"""Patterns in plain tables: two or three columns of text, wide CSV.

Nothing is declared here, so everything is looked at: the separator, the decimal sign, which
column is 2theta, whether a third column can be an uncertainty, whether the end is cut.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, taken_with, unit_of
from xtalfuse.physics.units import Radiation

WIDEST_STEP_DEG = 0.25  # wider than any peak of a laboratory pattern
HKL = {"h", "k", "l"}
MOST_BYTES = 200_000_000
STYLES = ((None, "."), (",", "."), (";", "."), ("\t", "."), (None, ","), (";", ","), ("\t", ","))
MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
COMMENT = ("#", "!", "'", '"', "/", "*", "%", ";")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eEdD][-+]?\d+)?")
TWO_THETA = re.compile(
    r"2 ?-?(theta|th\b|θ)|two_?-? ?theta|\btth\b|°2th|2-?θ|^angle\b|^pos\.?\b", re.I
)
OTHER_AXIS = re.compile(
    r"\b(omega|phi|chi|psi|q|d|d-?spacing|energy|e?v|kev|time|tof|wavenumber|raman ?shift)\b", re.I
)
INTENSITY = re.compile(r"int|count|cps|\byobs\b|y_obs|signal|^i\b|^y\b", re.I)
SIGMA = re.compile(r"sig|esd|err|std|uncert|\bsu\b", re.I)
NOT_POWDER = re.compile(
    r"rocking|pole figure|\b(omega|phi|chi|psi)[ -]?scan|reflectivity"
    r"|scan[ _-]?(axis|type)\W{1,4}(omega|phi|chi|psi)\b",
    re.I,
)
WAVELENGTH = re.compile(r"(?:wave ?-?_?length|lambda|λ)[^\d\n]{0,24}?(\d?\.\d+)", re.I)
RATE = re.compile(r"\bcps\b|counts? ?(/|per) ?s", re.I)
ANODE = re.compile(r"anode(?: material)?\W{1,6}(Cu|Co|Cr|Fe|Mo|Ag)\b", re.I)


@dataclass(frozen=True)
class Table:
    """Numbers of a file with the names over them and the words around them."""

    values: np.ndarray  # (rows, columns)
    names: tuple[str, ...]  # one for each column, or empty
    words: str  # comments and header lines
    warnings: tuple[str, ...]


def sniff(head: FileHead) -> Certainty:
    """Whether the first bytes are text that holds rows of two or more numbers."""
    text = _decode(head.start)
    if text is None:
        return Certainty.NONE
    rows = 0
    for line in text.splitlines()[:-1] if len(head.start) >= 4096 else text.splitlines():
        fields = [f for f in re.split(r"[\s,;]+", line.strip()) if f]
        if len(fields) >= 2 and all(NUMBER.fullmatch(f) for f in fields[:2]):
            rows += 1
    return Certainty.TABLE if rows >= 2 else Certainty.NONE


def read(path: Path) -> Scan:
    """Pattern of a text table.

    Raises
    ------
    UnreadableFileError
        If there is no table of angles and intensities in the file.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UnreadableFileError(f"{path.name}: too large for a table; crop it first")
    raw = path.read_bytes()
    text = _decode(raw)
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
    if len(lines) < 3 or not all(NUMBER.fullmatch(f) for f in first[:3]) or len(first) < 3:
        return None
    start, step, end = (float(field) for field in first[:3])
    fields = [field for line in lines[1:] for field in line.split()]
    if not (0 < step < 1 and -20 < start < end <= 180 and len(lines[1].split()) > 3):
        return None
    if not all(NUMBER.fullmatch(field) for field in fields):
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


def _decode(raw: bytes) -> str | None:
    """Text of a file; None if it is binary."""
    for mark, codec in MARKS:
        if raw.startswith(mark):
            return raw.decode(codec, "replace")
    if b"\x00" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _fields(line: str, separator: str | None) -> list[str]:
    fields = [field.strip().strip('"') for field in line.strip().split(separator)]
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _numbers(line: str, separator: str | None, decimal: str) -> list[float] | None:
    """Leading numbers of a row; None if its first two fields are not numbers."""
    numbers = []
    for field in _fields(line, separator):
        field = field.replace(",", ".") if decimal == "," else field
        if not NUMBER.fullmatch(field):
            break
        numbers.append(float(field.replace("D", "e").replace("d", "e")))
    return numbers if len(numbers) >= 2 else None


def table_in(path: Path, text: str, styles: Any = STYLES) -> Table:
    """Split a text into its table and the words around it."""
    lines = text.splitlines()
    sample = [line for line in lines if line.strip()][:4000]
    scores = [sum(_numbers(line, *style) is not None for line in sample) for style in styles]
    style = styles[int(np.argmax(scores))]
    rows = [(i, n) for i, line in enumerate(lines) if (n := _numbers(line, *style)) is not None]
    if len(rows) < 3:
        raise UnreadableFileError(f"{path.name}: no rows of angle and intensity; export it as .xy")
    usual = Counter(len(n) for _, n in rows).most_common(1)[0][0]
    kept = [(i, n) for i, n in rows if len(n) == usual]
    start = kept[0][0]
    words = [line for line in lines[:start] if line.strip()]
    noted = [line for line in lines[start:] if line.strip().startswith(COMMENT)]
    strange = sum(1 for line in lines[start:] if line.strip()) - len(kept) - len(noted)
    kept, said = _trimmed(text, lines, kept, len(rows) > len(kept) and rows[-1] != kept[-1])
    if strange > max(3, 0.01 * len(kept)):
        raise UnreadableFileError(
            f"{path.name}: {strange} of {len(lines) - start} rows do not have the usual {usual} "
            "numbers; the file is damaged or holds several tables: export one pattern as .xy"
        )
    if strange and not said:
        said.append(f"{strange} row(s) without {usual} numbers were left out")
    names = _names(words, style[0], len(_fields(lines[start], style[0])))
    values = np.array([n for _, n in kept])
    return Table(values, names, "\n".join(words + noted), tuple(said))


def _trimmed(
    text: str, lines: list[str], kept: list[tuple[int, list[float]]], ragged_end: bool
) -> tuple[list[tuple[int, list[float]]], list[str]]:
    """Without a last row that looks cut, and the warning for it."""
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
    if shorter or (decimals[1] == len(before) and _decimals(last) != decimals[0]):
        return kept[:-1], [cut]
    return kept, ["the file ends without a line end: its last point may be cut"]


def _decimals(line: str) -> int:
    """Digits after the last decimal sign of a row."""
    tail = re.search(r"[.,](\d*)\D*$", line)
    return len(tail[1]) if tail else 0


def _names(words: list[str], separator: str | None, columns: int) -> tuple[str, ...]:
    """Names over the columns: in one of the last two lines before the numbers."""
    for line in reversed(words[-2:]):
        for split in (separator, "\t", ",", ";", None):
            fields = _fields(line.lstrip("#!%'/* "), split)
            if len(fields) == columns and not any(NUMBER.fullmatch(f) for f in fields):
                return () if "=" in line else tuple(fields)
    return ()


def pattern_of(path: Path, table: Table, reader: str) -> Scan:
    """The pattern of a table: which columns, which unit, which radiation."""
    said = list(table.warnings)
    if found := NOT_POWDER.search(table.words):
        raise UnreadableFileError(
            f"{path.name}: its header says {found[0]!r}, not a powder pattern; export the "
            "theta-2theta scan"
        )
    x, y, s, notes = _columns(path, table)
    said += notes
    angles, intensity = table.values[:, x], table.values[:, y]
    if not (angles.min() > -20.0 and angles.max() <= 180.0):
        raise UnreadableFileError(
            f"{path.name}: its first column runs {angles.min():g} to {angles.max():g}, which is "
            "no 2theta in degrees; export the pattern against 2theta"
        )
    spacing = float(np.median(np.abs(np.diff(angles))))
    if spacing > WIDEST_STEP_DEG or HKL.issubset(n.lower() for n in table.names):
        raise UnreadableFileError(
            f"{path.name}: a list of {angles.size} peaks, typically {spacing:.2g} degrees apart, "
            "not a measured pattern; give the scan itself"
        )
    if angles.min() <= 0:
        said.append(f"{int((angles <= 0).sum())} point(s) at or below 0 degrees 2theta")
    sigma = None
    if s is not None:
        sigma = table.values[:, s]
        if not _is_uncertainty(intensity, sigma):
            said.append("the third column is no uncertainty of the second and was left out")
            sigma = None
    over = table.names[y] if table.names else ""
    declared = "cps" if RATE.search(f"{over}\n{table.words}") else None
    metadata: dict[str, Any] = {}
    if table.names:
        metadata["columns"] = list(table.names)[: table.values.shape[1]]
    anode = ANODE.search(table.words)
    if anode:
        metadata["anode"] = anode[1]
    unit = unit_of(intensity, declared)
    used, more = _radiation(path, table, angles, anode[1] if anode else None)
    return Scan(angles, intensity, reader, unit, sigma, used, metadata, (*said, *more))


def _columns(path: Path, table: Table) -> tuple[int, int, int | None, list[str]]:
    """Columns of angle, intensity and uncertainty, and what was assumed."""
    width = table.values.shape[1]
    names = table.names[:width]
    if not names:
        if width > 3:
            raise UnreadableFileError(
                f"{path.name}: {width} columns without names; name them, or export 2theta and "
                "intensity only"
            )
        return 0, 1, 2 if width == 3 else None, []
    said = []
    x = next((i for i, n in enumerate(names) if TWO_THETA.search(n)), None)
    if x is None and (re.fullmatch(r"\W*(theta|θ|x|deg.*)\W*", names[0], re.I)):
        x = 0
        said.append(f"column {names[0]!r} was taken for 2theta")
    if x is None and (width > 3 or OTHER_AXIS.search(names[0])):
        raise UnreadableFileError(
            f"{path.name}: no column is called 2theta (there are {', '.join(names[:8])}); export "
            "the pattern against 2theta"
        )
    x = 0 if x is None else x
    s = next((i for i, n in enumerate(names) if i != x and SIGMA.search(n)), None)
    rest = [i for i in range(width) if i not in (x, s)]
    named = [i for i in rest if INTENSITY.search(names[i])]
    intensities = named or [i for i in rest if i > x] or rest
    if not intensities:
        raise UnreadableFileError(f"{path.name}: no column of intensities; export it as .xy")
    if len(intensities) > 1:
        said.append(f"{len(intensities)} patterns side by side; {names[intensities[0]]!r} was read")
    return x, intensities[0], s, said


def _is_uncertainty(intensity: np.ndarray, sigma: np.ndarray) -> bool:
    """True if a column can be the standard uncertainty of another.

    It is positive, smaller than what it belongs to, and grows with it: larger above the
    median intensity than below.
    """
    bright = intensity > np.median(intensity)
    if not (np.all(sigma > 0) and bright.any() and np.ptp(sigma) > 0):
        return False
    level = max(float(np.median(intensity)), 1e-30)
    grows = np.median(sigma[bright]) >= np.median(sigma[~bright])
    return bool(grows and np.median(sigma) < 0.7 * max(level, float(np.mean(np.abs(intensity)))))


def _radiation(
    path: Path, table: Table, angles: np.ndarray, anode: str | None
) -> tuple[Radiation | None, tuple[str, ...]]:
    """Radiation from a d-spacing column or the words around the table, and a warning."""
    spacing = next(
        (i for i, n in enumerate(table.names) if re.search(r"^d\b|d[_ -]?spac", n, re.I)), None
    )
    if spacing is not None and spacing < table.values.shape[1]:
        waves = 2.0 * table.values[:, spacing] * np.sin(np.radians(angles / 2.0))
        if np.std(waves) < 1e-4 * np.mean(waves):
            return stated_radiation(path.name, ka1=float(np.mean(waves))), ()
    found = [float(w) for w in WAVELENGTH.findall(table.words) if 0.05 <= float(w) <= 5.0]
    if not found:
        return stated_radiation(path.name, anode=anode), ()
    ka2 = found[1] if len(found) > 1 else None
    used = stated_radiation(path.name, anode=anode, ka1=found[0], ka2=ka2)
    return used, taken_with(len(found), used)


READERS = powder_reader(
    "table",
    "text in two or three columns, wide CSV, equal steps (FullProf)",
    (".xy", ".xye", ".dat", ".txt", ".csv", ".asc", ".prn"),
    sniff,
    read,
    limits=("lists of peaks, and tables of four or more columns without names, are refused",),
)
