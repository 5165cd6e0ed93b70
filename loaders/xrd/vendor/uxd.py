"""Bruker and Siemens text: ``.uxd``.

Header lines ``_KEY=value`` hold for the range that follows, and for later ones until they are
written again. A marker opens the numbers and says what they are: ``_COUNTS`` or ``_CPS`` from
``_START`` in steps of ``_STEPSIZE``, any number on a line; with ``_2THETA`` before it each
value has its angle, with ``TIME`` after it its counting time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.loaders.xrd.quantity import angstrom, number_in
from xtalfuse.loaders.xrd.ranges import check_count, joined
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation

MARKER = re.compile(r"^_(2THETA)?(COUNTS|CPS)(TIME)?$")
PEAKS = re.compile(r"^_(D-I|2THETA-I)\b")
# Drives that turn or move something else than the detector against the beam.
OTHER_DRIVE = re.compile(r"theta|omega|phi|k?hi|chi|psi|[xyz]", re.IGNORECASE)


def sniff(head: FileHead) -> Certainty:
    """By the first key, past comments."""
    lines = (line.strip() for line in head.text.splitlines())
    first = next((line for line in lines if line and not line.startswith(";")), "")
    return Certainty.SURE if first.startswith("_FILEVERSION") else Certainty.NONE


@dataclass
class _Range:
    """Marker, header as it stood there, and rows of numbers of one range."""

    marker: re.Match[str]
    keys: dict[str, str]
    rows: list[list[float]]


def read(path: Path, choice: int | None = None) -> Scan:
    """Powder pattern of a ``.uxd`` file.

    Raises
    ------
    UnreadableFileError
        If a range has another number of values than it declares or its rows should have, scans
        another axis, or there is none.
    """
    ranges = _ranges(path)
    check_count(path.name, len(ranges), choice)
    scans, refusals = {}, {}
    for number, found in enumerate(ranges, start=1):
        drive = found.keys.get("DRIVE", "")
        if OTHER_DRIVE.fullmatch(drive):
            refusals[number] = (
                f"{path.name}: _DRIVE is {drive!r}, not a powder pattern over 2theta; export the "
                "coupled range"
            )
        elif choice in (None, number):
            scans[number] = _scan(path.name, found)
    return joined(path.name, scans, refusals, choice)


def _ranges(path: Path) -> list[_Range]:
    keys: dict[str, str] = {}
    found: list[_Range] = []
    for number, raw in enumerate(path.read_text("latin-1").splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(";"):
            continue
        key = re.match(r"_([\w+-]+)\s*=\s*(.*)$", line)
        if marker := MARKER.match(line):
            found.append(_Range(marker, dict(keys), []))
        elif PEAKS.match(line):
            raise UnreadableFileError(
                f"{path.name}: {line} opens a list of peaks, no pattern; export the ranges"
            )
        elif key:
            keys[key[1].upper()] = key[2].strip().strip("'\"")
        else:
            try:
                found[-1].rows.append([float(v) for v in re.split(r"[\s,]+", line) if v])
            except (ValueError, IndexError):
                raise refused(
                    path.name, f"line {number} is no row of numbers of a range: {line[:40]!r}"
                ) from None
    if not found:
        raise refused(path.name, "no range of counts in it")
    return found


def _scan(name: str, found: _Range) -> Scan:
    angled, unit, timed = found.marker.groups()
    width = 1 + bool(angled) + bool(timed)
    values = np.array([value for row in found.rows for value in row])
    _check_rows(name, found, values.size, width)
    keys = {key: number_in(value) for key, value in found.keys.items()}
    table = values.reshape(-1, width)
    start, step = keys.get("START"), keys.get("STEPSIZE")
    said: tuple[str, ...] = ()
    if angled:
        angles = table[:, 0]
        if len(table) > 1 and start is not None and step:
            seen = abs(float(np.median(np.diff(angles))))
            if max(abs(seen - abs(step)), abs(angles[0] - start)) > 0.5 * abs(step):
                said = (
                    f"the header says {start:g} degrees in steps of {step:g}, the points begin at "
                    f"{angles[0]:g} in steps of {seen:g}: the points were read",
                )
    elif start is None or not step:
        raise refused(name, "counts without angles, and no usable _START and _STEPSIZE")
    else:
        angles = start + step * np.arange(len(table))
        fixed = keys.get("2THETA")
        if fixed is not None and abs(fixed - start) > abs(step):
            raise refused(name, f"_START is {start:g} and _2THETA {fixed:g}: where does it begin?")
    lines = [keys.get(f"WL{i}") for i in (1, 2)]
    unit_of_length = found.keys.get("WL_UNIT") or "angstrom"
    ka1, ka2 = (None if v is None else angstrom(v, unit_of_length) for v in lines)
    radiation = stated_radiation(
        name, anode=found.keys.get("ANODE"), ka1=ka1, ka2=ka2, ratio=keys.get("WLRATIO")
    )
    seconds = table[:, -1] if timed else keys.get("STEPTIME") or None
    metadata = {
        "sample": found.keys.get("SAMPLE"),
        "anode": found.keys.get("ANODE"),
        "scan_axis": found.keys.get("DRIVE"),
        "counting_time_s": None if timed else keys.get("STEPTIME"),
        "goniometer_radius_mm": keys.get("GONIOMETER_RADIUS"),
    }
    return Scan(
        angles, table[:, int(bool(angled))], "uxd", "counts" if unit == "COUNTS" else "counts/s",
        radiation=radiation, metadata={k: v for k, v in metadata.items() if v}, warnings=said,
        seconds=seconds,
    )  # fmt: skip


def _check_rows(name: str, found: _Range, size: int, width: int) -> None:
    """See that as many values are there as are declared, and as the rows should have."""
    declared = number_in(found.keys.get("STEPCOUNT"))
    if size == 0 or size % width:
        raise refused(name, f"{size} values in rows of {width}: the last point is cut")
    if declared and size != width * int(declared):
        raise refused(name, f"{size // width} points where {declared:g} are declared")
    longest = max(len(row) for row in found.rows)
    short = next((i for i, row in enumerate(found.rows[:-1]) if len(row) != longest), None)
    if short is not None and not declared:
        raise refused(
            name,
            f"row {short + 1} of a range has {len(found.rows[short])} values, others {longest}",
        )


_FROM = "_START and _STEPSIZE, or the first column of a _2THETA block"
READERS = powder_reader(
    "uxd",
    "Bruker, Siemens, text",
    (".uxd",),
    sniff,
    scans=read,
    limits=("ranges of one file are joined, repeats added up",),
    numbers=(
        Number("two_theta", _FROM, "degrees, fixed by the format", "_DRIVE must move 2theta"),
        Number("intensity", "all values after the marker, checked against _STEPCOUNT and the rows",
               "the marker: _COUNTS or _CPS; counts of unlike times are divided by them"),
        Number("wavelength", "_WL1 and _WL2, with _ANODE", "_WL_UNIT, angstrom by default"),
        Number("counting time", "_STEPTIME, or the column of a TIME block", "seconds, fixed"),
    ),
)  # fmt: skip
