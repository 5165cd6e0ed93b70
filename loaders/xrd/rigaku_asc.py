"""Powder scans of Rigaku as text: ``.asc`` (``*TYPE = Raw``, groups of ``*COUNT`` values)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from xtalfuse.loaders.reader import Certainty
from xtalfuse.loaders.record import Instrument, UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead
from xtalfuse.loaders.xrd.quantity import number_in
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, unit_of


def sniff(head: FileHead) -> Certainty:
    """By its first key and its class."""
    known = head.text.startswith("*TYPE") and "*CLASS" in head.text
    return Certainty.SURE if known else Certainty.NONE


def read(path: Path) -> Scan:
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
    scans = [_group(path, general, group) for group in groups]
    chosen = max(scans, key=lambda scan: float(np.ptp(scan[0])))
    said = [f"{len(scans)} groups; the widest was read"] if len(scans) > 1 else []
    angles, intensity, keys = chosen
    monochromator = general.get("*I_MONOCHRO", "")
    radiation = stated_radiation(
        path.name,
        ka1=number_in(general.get("*WAVE_LENGTH1")),
        ka2=number_in(general.get("*WAVE_LENGTH2")),
        only_ka1=bool(re.search(r"\b(Ge|Si)\b", monochromator)),
    )
    metadata = {
        "sample": general.get("*SAMPLE"),
        "geometry": general.get("*GONIO"),
        "monochromator": monochromator or general.get("*C_MONOCHRO"),
        "filter": general.get("*FILTER"),
        "scan_axis": keys.get("*SCAN_AXIS", general.get("*SCAN_AXIS")),
        "speed": f"{keys.get('*SPEED', '')} {keys.get('*SPEED_DIM', '')}".strip(),
    }
    metadata = {key: value for key, value in metadata.items() if value}
    unit = unit_of(intensity, keys.get("*YUNIT"))
    instrument = Instrument(metadata.get("monochromator"))
    return Scan(
        angles, intensity, "rigaku asc", unit, None, radiation, metadata, tuple(said), instrument
    )


def _keys(text: str) -> list[tuple[str, str]]:
    pairs = re.findall(r"(?m)^(\*[A-Z0-9_]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text)
    return [(key, value) for key, value in pairs]


def _group(
    path: Path, general: dict[str, str], group: str
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Angles, intensities and keys of one ``*BEGIN`` ... ``*END`` group."""
    found = re.search(r"(?m)^\*COUNT[ \t]*=[ \t]*(\d+)[ \t\r]*$", group)
    if found is None or "*END" not in group:
        raise UnreadableFileError(f"{path.name}: a group ends before its *END; {EXPORT_AGAIN}")
    keys = {**general, **dict(_keys(group[: found.start()]))}
    axis = keys.get("*SCAN_MODE") or keys.get("*SCAN_AXIS") or ""
    if "2theta" not in axis.replace(" ", "").replace("-", "").lower():
        raise UnreadableFileError(
            f"{path.name}: a scan over {axis or 'an unnamed axis'}, not a powder pattern; "
            "export the 2theta/theta scan"
        )
    body = group[found.end() : group.index("*END")]
    try:
        values = np.array([float(v) for v in re.split(r"[,\s]+", body.strip()) if v])
    except ValueError:
        raise UnreadableFileError(
            f"{path.name}: something among the intensities is not a number; {EXPORT_AGAIN}"
        ) from None
    declared = int(found[1])
    start, stop, step = (number_in(keys.get(k)) for k in ("*START", "*STOP", "*STEP"))
    if start is None or step is None or not step > 0:
        raise UnreadableFileError(f"{path.name}: no usable *START and *STEP; {EXPORT_AGAIN}")
    angles = start + step * np.arange(declared)
    if values.size != declared or (stop is not None and abs(angles[-1] - stop) > 1.5 * step):
        raise UnreadableFileError(
            f"{path.name}: {values.size} values where {declared} up to {stop} degrees are "
            f"declared; {EXPORT_AGAIN}"
        )
    return angles, values, keys


READERS = powder_reader("rigaku-asc", "Rigaku, text", (".asc",), sniff, read)
