"""What each scan of a file says of itself beyond the points that rietx hands on.

Counting times of every point, whether the scan was finished, which line is intended, in what
unit the angles are, how many points there should be.
"""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.loaders.xrd.quantity import DEGREES, angstrom, number_in, wavelengths_in
from xtalfuse.loaders.xrd.scan import refuse_neutrons

MOST_XML_BYTES = 200_000_000
# Crystals that separate the K-alpha lines; graphite and graded multilayers do not.
RESOLVING = re.compile(r"\b(Ge|Si|quartz)\b|Johansson|K-?alpha ?1", re.IGNORECASE)
SECONDS = {"": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3}
SECONDS |= {"min": 60.0, "minutes": 60.0, "milliseconds": 1e-3}


@dataclass(frozen=True)
class Facts:
    """What one scan says of itself.

    Parameters
    ----------
    radiation : arguments for `stated_radiation`, where the format says more than rietx tells
    high_resolution : the crystal of an incident beam that is made for films; "" without one
    metadata : optics, in plain values
    seconds : counting time, one number or one a point in the order of the file
    factors : attenuator factor of each point, where it is not settled if it was applied
    points : number of points that the file declares
    degrees : what one unit of its angles is in degrees
    said : warnings
    """

    radiation: dict[str, Any] = field(default_factory=dict)
    high_resolution: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    seconds: float | np.ndarray | None = None
    factors: np.ndarray | None = None
    points: int | None = None
    degrees: float = 1.0
    said: tuple[str, ...] = ()


def factor_of(name: str, units: dict[str, float], unit: str | None, what: str) -> float:
    """What one unit is in the usual one; refuses a unit that it does not know."""
    factor = units.get((unit or "").strip().lower())
    if factor is None:
        raise refused(name, f"{what} in {unit!r}, which is no known unit of it")
    return factor


def local(element: ET.Element) -> str:
    """Name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def _find(root: ET.Element | None, *names: str) -> ET.Element | None:
    for name in names:
        if root is None:
            return None
        root = next((child for child in root if local(child) == name), None)
    return root


def member(path: Path, name: str) -> bytes:
    """One file of an archive, not more than `MOST_XML_BYTES` of it.

    Raises
    ------
    UnreadableFileError
        If it is not there, or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            return file.read(MOST_XML_BYTES)
    except (KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise refused(path.name, f"its part {name} is missing or damaged ({error})") from None


def xml(path: Path, data: bytes) -> ET.Element:
    """Root of an XML document.

    Raises
    ------
    UnreadableFileError
        If it is damaged.
    """
    try:
        return ET.fromstring(data.decode("utf-8-sig", "replace") if data[:1] != b"<" else data)
    except ET.ParseError as error:
        raise refused(path.name, f"damaged XML ({error})") from None


def of_xrdml(path: Path) -> list[Facts]:
    """Facts of each scan of a Panalytical ``.xrdml``, in the order of the file."""
    root = xml(path, path.read_bytes())
    found = []
    for measurement in (m for m in root if local(m) == "xrdMeasurement"):
        radiation = _xrdml_radiation(_find(measurement, "usedWavelength"))
        metadata, crystal = _xrdml_optics(measurement)
        if crystal:
            radiation["only_ka1"] = True
        status = measurement.get("status")
        for scan in (s for s in measurement if local(s) == "scan"):
            points = _find(scan, "dataPoints")
            seconds, degrees, said = _xrdml_points(path.name, points, scan.get("status") or status)
            found.append(Facts(radiation, crystal, metadata, seconds, degrees=degrees, said=said))
    return found


def _xrdml_radiation(used: ET.Element | None) -> dict[str, Any]:
    """The line that is intended; K-alpha 1 is the default of the program, and says nothing."""
    waves = {}
    for element in used if used is not None else ():
        value = number_in(element.text)
        if value is not None:
            waves[local(element)] = angstrom(value, element.get("unit") or "angstrom")
    intended = "" if used is None else re.sub(r"\W", "", used.get("intended") or "").lower()
    if intended == "kbeta":  # without its wavelength there is none
        return {"ka1": waves.get("kBeta"), "ka2": None, "beta": True}
    if intended == "kalpha2":
        return {"ka1": waves.get("kAlpha2"), "ka2": None, "only_ka1": True}
    found = {"ka1": waves.get("kAlpha1") or waves.get("kAlpha2"), "ka2": waves.get("kAlpha2")}
    ratio = None if used is None else number_in(_text(_find(used, "ratioKAlpha2KAlpha1")))
    return found | {"ratio": ratio}


def _text(element: ET.Element | None) -> str | None:
    return None if element is None else element.text


def _xrdml_optics(measurement: ET.Element) -> tuple[dict[str, Any], str]:
    metadata: dict[str, Any] = {}
    resolving = ""
    if mode := measurement.get("sampleMode"):
        metadata["geometry"] = mode.lower()
    for beam in ("incidentBeamPath", "diffractedBeamPath"):
        for part in _find(measurement, beam) or ():
            kind, name = local(part), part.get("name") or ""
            if kind not in ("monochromator", "xRayMirror", "filter", "detector"):
                continue
            metadata.setdefault("mirror" if kind == "xRayMirror" else kind, name)
            if kind == "monochromator":
                metadata.setdefault("monochromator_beam", beam.removesuffix("BeamPath"))
                text = f"{name} {_text(_find(part, 'crystal')) or ''}"
                if beam[0] == "i" and RESOLVING.search(text):
                    resolving = name
    return metadata, resolving


def _xrdml_points(
    name: str, points: ET.Element | None, status: str | None
) -> tuple[float | np.ndarray | None, float, tuple[str, ...]]:
    """Counting times, unit of the angles, and what to say of a scan that was not finished."""
    seconds: float | np.ndarray | None = None
    for kind in ("commonCountingTime", "countingTimes"):
        if (element := _find(points, kind)) is not None:
            unit = factor_of(name, SECONDS, element.get("unit"), "counting times")
            values = _numbers(name, element.text, kind) * unit
            seconds = float(values[0]) if values.size == 1 else values
    angles = next((p for p in points or () if p.get("axis") == "2Theta"), None)
    degrees = factor_of(name, DEGREES, None if angles is None else angles.get("unit"), "angles")
    ends = [_text(_find(angles, f"{end}Position")) for end in ("start", "end")]
    _check_coupling(name, points, ends)
    if (status or "completed").lower() == "completed":
        return seconds, degrees, ()
    what = f"the scan was not finished (status {status!r})"
    if ends[1] is not None:
        what += (
            f"; its counts are laid over {ends[0]} to {ends[1]} degrees, and every angle is wrong "
            "if that is the range that was planned: export the points that were measured as .xy"
        )
    return seconds, degrees, (what,)


def _check_coupling(name: str, points: ET.Element | None, ends: list[str | None]) -> None:
    """Refuse a scan in which the specimen turns and the detector not twice as far."""
    tilt = next((p for p in points or () if p.get("axis") == "Omega"), None)
    tilts = [_text(_find(tilt, f"{end}Position")) for end in ("start", "end")]
    both = [number_in(value) for value in (*ends, *tilts)]
    if None in both or not (tilts[0] != tilts[1] and ends[0] != ends[1]):
        return
    low, high, first, last = (float(value or 0.0) for value in both)
    if abs((high - low) - 2.0 * (last - first)) > 0.02 * abs(high - low):
        raise refused(
            name, f"2Theta runs {low:g} to {high:g} while Omega runs {first:g} to {last:g}: one of "
            "them is wrong"
        )  # fmt: skip


def _numbers(name: str, text: str | None, what: str) -> np.ndarray:
    try:
        return np.array((text or "").replace(",", " ").split(), float)
    except ValueError:
        raise refused(name, f"{what} that are no numbers") from None


def of_brml(path: Path) -> list[Facts]:
    """Facts of each scan of a Bruker ``.brml``, in the order of its list of contents."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    listed = next((n for n in names if n.endswith("DataContainer.xml")), None)
    if listed is None:
        return []
    contents = xml(path, member(path, listed)).iter()
    lists = [group for group in contents if local(group) == "RawDataReferenceList"]
    references = [(entry.text or "").strip() for group in lists for entry in group]
    return [_brml_scan(path, xml(path, member(path, name))) for name in references if name]


def _brml_scan(path: Path, root: ET.Element) -> Facts:
    waves, unit, setup, status, planned = {}, None, "", "", None
    for element in root.iter():
        name, value = local(element), number_in(element.get("Value"))
        if name.startswith("WaveLength") and value is not None and name not in waves:
            known = name == "WaveLengthRatio"
            waves[name] = value if known else angstrom(value, element.get("Unit") or "angstrom")
        elif name == "ScanInformation":
            setup = setup or element.get("ClassTypeName") or ""
        elif name == "ScanAxisInfo" and element.get("AxisId") == "TwoTheta":
            unit = unit or element.get("Unit")
        elif name == "MeasurementStatus":
            status = (element.text or "").strip()
        elif name == "MeasurementPoints":
            planned = number_in(element.text)
    rows, seconds = _brml_times(path.name, root)
    said = []
    if (planned is not None and rows < planned) or status.lower() not in ("", "measured"):
        said.append(f"the scan was not finished: {rows} of {planned or 0:g} points, {status}")
    used = waves.get("WaveLength")  # where it is stated, the line that was measured with
    beta = waves.get("WaveLengthBeta")
    if used and beta and abs(used / beta - 1.0) < 1e-3:
        radiation: dict[str, Any] = {"ka1": used, "ka2": None, "beta": True}
    else:
        radiation = {
            "ka1": waves.get("WaveLengthAlpha1") or used,
            "ka2": waves.get("WaveLengthAlpha2"),
            "ratio": waves.get("WaveLengthRatio"),
        }
        if radiation["ka1"] is None:
            radiation = {}
    return Facts(
        radiation,
        "set up as high-resolution scan" if "Hrxrd" in setup else "",
        seconds=seconds,
        points=rows,
        degrees=factor_of(path.name, DEGREES, unit, "angles"),
        said=tuple(said),
    )


def _brml_times(name: str, root: ET.Element) -> tuple[int, np.ndarray | None]:
    """Number of points of the measured route, and the time of each where it has that column."""
    routes = [e for e in root.iter() if local(e) == "DataRoute"]
    measured = [r for r in routes if r.get("RouteFlag") == "Measured"] or routes
    if not measured:
        return 0, None
    rows = [(e.text or "").split(",") for e in measured[0].iter() if local(e) == "Datum"]
    check_widths(name, rows)
    views = [e for e in measured[0].iter() if local(e) == "RawDataView"]
    view = next((v for v in views if v.get("LogicName") == "MeasuredTime"), None)
    if view is None or not rows:
        return len(rows), None
    unit = factor_of(name, SECONDS, view.get("Unit"), "counting times")
    column = [row[int(number_in(view.get("Start")) or 0)] for row in rows]
    return len(rows), unit * _numbers(name, " ".join(column), "counting times")


def check_widths(name: str, rows: list[list[str]]) -> None:
    """Refuse rows of points that differ in their number of values.

    Raises
    ------
    UnreadableFileError
        If they do.
    """
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        at = next(i for i, row in enumerate(rows) if len(row) != len(rows[0]))
        raise refused(
            name, f"row {at + 1} of the points has {len(rows[at])} values, others {len(rows[0])}"
        )


def of_gsas(path: Path) -> list[Facts]:
    """Facts of a GSAS file: its title, and the number of records of its bank.

    Raises
    ------
    UnreadableFileError
        If its title speaks of neutrons, or the bank has another number of records.
    """
    lines = path.read_text("latin-1").splitlines()
    starts = [i for i, line in enumerate(lines) if re.match(r"#?[ \t]*BANK\s", line)]
    if not starts:
        return [Facts()]
    head = "\n".join(lines[: starts[0]])
    refuse_neutrons(path.name, head)
    end = next((i for i in starts[1:]), len(lines))
    body = [
        line for line in itertools.takewhile(
            lambda line: not line.startswith("TIME_MAP"), lines[starts[0] + 1 : end]
        ) if line.strip() and not line.startswith("#")
    ]  # fmt: skip
    record = lines[starts[0]].split()
    channels = int(number_in(record[2]) or 0) if len(record) > 2 else 0
    declared = int(number_in(record[3]) or 0) if len(record) > 3 else 0
    each = {"ESD": 5, "FXYE": 1}.get(record[-1].upper(), 10)  # points of a record
    more = each == 1  # files of 11-BM hold the last point beyond the count
    if declared and not declared <= len(body) <= declared + more:
        raise refused(path.name, f"{len(body)} records where {declared} are declared")
    if channels and not each * (len(body) - 1) - more < channels <= each * len(body):
        raise UnreadableFileError(
            f"{path.name}: {channels} points are declared, and {len(body)} records of {each} stand "
            f"there; {EXPORT_AGAIN}"
        )
    stated = [value for value, _ in wavelengths_in(head) if value is not None]
    over = f"{len(body)} records, and another number declared: 11-BM leaves out the last"
    said = (over,) if more and {channels, declared} - {0, len(body)} else ()
    return [Facts({"ka1": stated[0], "ka2": None, "only_ka1": True} if stated else {}, said=said)]


OF: dict[str, Callable[[Path], list[Facts]]] = {"xrdml": of_xrdml, "brml": of_brml, "gsas": of_gsas}
