"""Powder scans of Rigaku as text: ``.asc`` (``*TYPE = Raw``, groups of ``*COUNT`` values)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty, Number
from xtalfuse.loaders.record import Instrument, UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, refused
from xtalfuse.loaders.xrd.quantity import DEGREES, number_in
from xtalfuse.loaders.xrd.ranges import check_count, joined
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, unit_of

AXES = re.compile(r"2theta(/?theta|/?omega)?|theta/?2theta|omega/?2theta")


def sniff(head: FileHead) -> Certainty:
    """By its first key and its class."""
    known = head.text.startswith("*TYPE") and "*CLASS" in head.text
    return Certainty.SURE if known else Certainty.NONE


def read(path: Path, choice: int | None = None) -> Scan:
    """Powder scan of a Rigaku ``.asc`` file (``*TYPE = Raw``, groups of ``*COUNT`` values).

    Raises
    ------
    UnreadableFileError
        If the file is cut, scans another axis, or a group holds another number of values
        than it declares.
    """
    text = path.read_bytes().decode("latin-1")
    head, *groups = re.split(r"(?m)^\*BEGIN\b", text)
    general = dict(_keys(head))
    if not groups:
        raise UnreadableFileError(f"{path.name}: no *BEGIN with data; {EXPORT_AGAIN}")
    check_count(path.name, len(groups), choice)
    scans: dict[int, Scan] = {}
    refusals: dict[int, str] = {}
    for number, group in enumerate(groups, start=1):
        found = _group(path, general, group)
        if isinstance(found, str):
            refusals[number] = found
        else:
            scans[number] = found
    return joined(path.name, scans, refusals, choice)


def _keys(text: str) -> list[tuple[str, str]]:
    pairs = re.findall(r"(?m)^(\*[A-Z0-9_]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text)
    return [(key, value) for key, value in pairs]


def _group(path: Path, general: dict[str, str], group: str) -> Scan | str:
    """One ``*BEGIN`` ... ``*END`` group, or why it is no powder scan."""
    found = re.search(r"(?m)^\*COUNT[ \t]*=[ \t]*(\d+)[ \t\r]*$", group)
    if found is None or "*END" not in group:
        raise UnreadableFileError(f"{path.name}: a group ends before its *END; {EXPORT_AGAIN}")
    keys = {**general, **dict(_keys(group[: found.start()]))}
    axis = keys.get("*SCAN_MODE") or keys.get("*SCAN_AXIS") or ""
    if not AXES.fullmatch(re.sub(r"[\s_-]", "", axis).lower()):
        return (
            f"{path.name}: a scan over {axis or 'an unnamed axis'}, not a powder pattern; "
            "export the 2theta/theta scan"
        )
    if DEGREES.get(keys.get("*XUNIT", "").strip().lower()) != 1.0:
        raise UnreadableFileError(f"{path.name}: angles in {keys['*XUNIT']!r}; export degrees")
    body = group[found.end() : group.index("*END")]
    try:
        values = np.array([float(v) for v in re.split(r"[,\s]+", body.strip()) if v])
    except ValueError:
        raise refused(path.name, "something among the intensities is not a number") from None
    declared = int(found[1])
    start, stop, step = (number_in(keys.get(k)) for k in ("*START", "*STOP", "*STEP"))
    if start is None or step is None or not step > 0:
        raise UnreadableFileError(f"{path.name}: no usable *START and *STEP; {EXPORT_AGAIN}")
    angles = start + step * np.arange(declared)
    if values.size != declared or (stop is not None and abs(angles[-1] - stop) > 1.5 * step):
        raise refused(
            path.name, f"{values.size} values where {declared} up to {stop} degrees are declared"
        )
    return _scan(path, keys, angles, values, step)


def _scan(
    path: Path, keys: dict[str, str], angles: np.ndarray, values: np.ndarray, step: float
) -> Scan:
    monochromator = keys.get("*I_MONOCHRO", "")
    radiation = stated_radiation(
        path.name,
        ka1=number_in(keys.get("*WAVE_LENGTH1")),
        ka2=number_in(keys.get("*WAVE_LENGTH2")),
        only_ka1=bool(re.search(r"\b(Ge|Si)\b", monochromator)),
    )
    metadata = {
        "sample": keys.get("*SAMPLE"),
        "geometry": keys.get("*GONIO"),
        "monochromator": monochromator or keys.get("*C_MONOCHRO"),
        "filter": keys.get("*FILTER"),
        "scan_axis": keys.get("*SCAN_AXIS"),
        "speed": f"{keys.get('*SPEED', '')} {keys.get('*SPEED_DIM', '')}".strip(),
    }
    metadata = {key: value for key, value in metadata.items() if value}
    speed, unit = number_in(keys.get("*SPEED")), keys.get("*SPEED_DIM", "").lower()
    minute = {"deg./min.": 60.0, "deg/min": 60.0, "deg./sec.": 1.0, "deg/sec": 1.0}.get(unit)
    seconds = step / speed * minute if speed and minute else None
    if speed and unit.startswith("sec"):
        seconds = speed
    return Scan(
        angles, values, "rigaku asc", unit_of(values, keys.get("*YUNIT")), None, radiation,
        metadata, (), Instrument(metadata.get("monochromator")), seconds,
    )  # fmt: skip


READERS = powder_reader(
    "rigaku-asc",
    "Rigaku, text",
    (".asc",),
    sniff,
    scans=read,
    limits=("groups of one file are joined, repeats added up",),
    numbers=(
        Number("two_theta", "*START and *STEP, checked against *STOP and *COUNT",
               "*XUNIT, degrees", "*SCAN_MODE or *SCAN_AXIS must be 2theta or coupled to it"),
        Number("intensity", "all values between *COUNT and *END, as many as *COUNT says",
               "*YUNIT, unless the numbers contradict it"),
        Number("wavelength", "*WAVE_LENGTH1 and *WAVE_LENGTH2", "angstrom, fixed by the format"),
        Number("counting time", "*STEP and *SPEED", "*SPEED_DIM; unused where it is another"),
    ),
)  # fmt: skip
