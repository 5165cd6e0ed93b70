"""X-ray files of instrument makers, through rietx, and what else they say of the optics.

`rietx` decodes the points, applies attenuators and refuses scans about other axes. Here the
scan is chosen where a file holds several, and the radiation is settled: the wavelength a
file *intends* (``K-Alpha 1``) names the line that d-spacings refer to; only a crystal
monochromator in the incident beam removes K-alpha2.
"""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Reader
from xtalfuse.loaders.record import Instrument, UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.xrd.quantity import number_in
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, unit_of

NARROW_DEG = 15.0  # scans of one file that all are narrower map reciprocal space
MOST_SCANS = 10  # more in one file are a map or a series in time
MOST_XML_BYTES = 200_000_000
REMEDY = "export one coupled theta-2theta scan"
KEPT = {
    "sample": "sample",
    "title": "title",
    "anode": "anode",
    "scan_axis": "scan_axis",
    "count_time_s": "counting_time_s",
    "temperature_k": "temperature_k",
    "goniometer_radius_mm": "goniometer_radius_mm",
}
# Coupled scans with an offset of omega: epitaxial films and single crystals as a rule.
OMEGA_COUPLED = re.compile(r"2theta-omega|omega-2theta|twothetaomega", re.IGNORECASE)
# Crystals that separate the K-alpha lines; graphite and graded multilayers do not.
RESOLVING = re.compile(r"\b(Ge|Si|quartz)\b|Johansson|K-?alpha ?1", re.IGNORECASE)


def _form(head: FileHead) -> str | None:
    """Name of the rietx format that claims the file, except text tables and CIF."""
    from rietx.io.readers import identify_format

    try:
        name = identify_format(head.path).name
    except ValueError:
        return None
    return None if name in ("xy", "pdcif", "raw_unclaimed") else str(name)


def read(path: Path) -> Scan:
    """One powder scan of an instrument file.

    Raises
    ------
    UnreadableFileError
        If the file is damaged, holds no scan over 2theta, or holds a map.
    """
    from rietx.io.readers import identify_format, read_pattern

    form = identify_format(path)
    diagnostics: list[Any] = []
    options, notes = _choose_scan(path, form)
    try:
        pattern = read_pattern(path, diagnostics=diagnostics, **options)
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableFileError(_as_refusal(path, str(error))) from None
    if pattern.axis != "two_theta":
        raise UnreadableFileError(
            f"{path.name}: a time-of-flight neutron pattern, not X-ray 2theta; {REMEDY}"
        )
    told = pattern.metadata
    optics = _optics(path, form.name)
    metadata = {new: told[old] for old, new in KEPT.items() if told.get(old)}
    for key in ("counting_time_s", "goniometer_radius_mm", "temperature_k"):
        if key in metadata:
            metadata[key] = float(metadata[key])
    metadata.update(optics["metadata"])
    radiation = stated_radiation(
        path.name,
        anode=told.get("anode"),
        ka1=optics.get("ka1", number_in(told.get("wavelength"))),
        ka2=optics.get("ka2", number_in(told.get("wavelength_alpha2"))),
        ratio=optics.get("ratio"),
        only_ka1=optics.get("only_ka1", False),
    )
    angles, intensity = pattern.tt(), pattern.y()
    sigma = None if pattern.sigma is None else np.asarray(pattern.sigma, float)
    said = [*notes, *(_note(path, d.message) for d in diagnostics if _worth_saying(d.code))]
    intensity, unit, more = _scaled(path, form.name, options, intensity, sigma, told)
    said += more
    if doubts := _doubts(told.get("scan_axis", ""), angles, optics):
        said += doubts
        metadata["powder_doubtful"] = True
    instrument = Instrument(metadata.get("monochromator"), powder_doubtful=bool(doubts))
    if form.name == "ras" and b"*RAS_DATA_END" not in path.read_bytes()[-200:]:
        said.append("the file does not end with *RAS_DATA_END: it may be cut")
    return Scan(
        angles, intensity, f"rietx/{form.name}", unit, sigma, radiation, metadata, tuple(said),
        instrument,
    )  # fmt: skip


def _plain(message: str) -> str:
    return " ".join(message.split())


def _note(path: Path, message: str) -> str:
    return _plain(message).replace(f"{path.name}: ", "").replace(path.name, "the file")


def _worth_saying(code: str) -> bool:
    return code not in ("PATTERN_MULTISCAN_DEFAULTED", "RAS_ATTENUATOR_PRESENT")


def _as_refusal(path: Path, message: str) -> str:
    """A message of rietx in one line that begins with the file and ends with a remedy."""
    text = _plain(message)
    text = text.removeprefix(f"{path.name}: ").removeprefix(f"{path.name} ")
    if len(text) > 240:
        text = text[:240].rsplit(" ", 1)[0] + " ..."
    return f"{path.name}: {text}; {REMEDY} or copy the file again"


def _choose_scan(path: Path, form: Any) -> tuple[dict[str, int], list[str]]:
    """Which scan to read, and what to say of the others."""
    if form.scans is None:
        return {}, []
    try:
        scans = form.scans(path)
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableFileError(_as_refusal(path, str(error))) from None
    if len(scans) < 2:
        return {}, []
    widths = [scan.two_theta_range[1] - scan.two_theta_range[0] for scan in scans]
    if len(scans) > MOST_SCANS or (len(scans) > 3 and max(widths) < NARROW_DEG):
        raise UnreadableFileError(
            f"{path.name}: {len(scans)} scans of at most {max(widths):.3g} degrees, a mesh, "
            f"reciprocal-space map or series, not one powder pattern; {REMEDY}"
        )
    chosen = int(np.argmax(np.round(widths, 3)))
    others = "; ".join(_plain(s.label) for s in scans if s.index != scans[chosen].index)
    note = f"{len(scans)} scans; the widest was read, not: {others[:200]}"
    return {"scan": scans[chosen].index}, [note]


def _scaled(
    path: Path,
    form: str,
    options: dict[str, int],
    intensity: np.ndarray,
    sigma: np.ndarray | None,
    told: dict[str, str],
) -> tuple[np.ndarray, str, list[str]]:
    """Intensities with attenuator factors applied, and their unit."""
    declared = told.get("intensity_unit")
    if form in ("ras", "rasx"):
        factors = _rigaku_factors(path, form, options.get("scan", 0))
        if factors is not None and factors.size == intensity.size and np.ptp(factors) > 0:
            if _smoother(intensity * factors, intensity, factors):
                said = f"attenuator factors up to {factors.max():g} were applied"
                return intensity * factors, unit_of(intensity, declared), [said]
            said = "the attenuator factors are already contained in the intensities"
            return intensity, unit_of(intensity, declared), [said]
        if sigma is not None:  # rietx found whole counts after multiplying by the time
            return intensity, "counts/s", []
    if form == "uxd":
        _check_step_count(path, options.get("scan", 0), intensity.size)
    if form == "bruker_raw" and sigma is not None:
        return intensity, "counts/s", []
    if form in ("xrdml", "brml") and (declared or "").lower() == "counts":
        return intensity, "counts", []
    return intensity, unit_of(intensity, declared), []


def _check_step_count(path: Path, scan: int, points: int) -> None:
    """Refuse a range of a ``.uxd`` file that is shorter than its ``_STEPCOUNT``."""
    declared = re.findall(r"(?m)^_STEPCOUNT\s*=\s*(\d+)", path.read_text("latin-1"))
    if scan < len(declared) and int(declared[scan]) != points:
        raise UnreadableFileError(
            f"{path.name}: {points} points where {declared[scan]} are declared; copy the file again"
        )


def _smoother(candidate: np.ndarray, other: np.ndarray, factors: np.ndarray) -> bool:
    """True if `candidate` runs on more evenly than `other` where the factor changes."""
    at = np.flatnonzero(np.diff(factors) != 0)
    jumps = [np.abs(np.diff(np.log(np.maximum(y, 1.0))))[at].sum() for y in (candidate, other)]
    return bool(jumps[0] < jumps[1])


def _rigaku_factors(path: Path, form: str, scan: int) -> np.ndarray | None:
    """Third column of a Rigaku file: attenuator factor of each point."""
    if form == "rasx":
        with zipfile.ZipFile(path) as archive, archive.open(f"Data{scan}/Profile{scan}.txt") as f:
            text = f.read(MOST_XML_BYTES).decode("utf-8-sig", "replace")
    else:
        blocks = path.read_text("latin-1").split("*RAS_INT_START")
        text = blocks[scan + 1].split("*RAS_INT_END")[0]
    rows = [line.split() for line in text.splitlines() if line.strip()]
    if not rows or min(len(row) for row in rows) < 3:
        return None
    factors = np.array([float(row[2]) for row in rows])
    return factors if np.all(factors > 0) else None


def _doubts(axis: str, angles: np.ndarray, optics: dict[str, Any]) -> list[str]:
    """What speaks against a powder although the scan runs over 2theta."""
    coupled = bool(OMEGA_COUPLED.search(axis))
    width = float(np.ptp(angles))
    reasons = []
    if coupled and optics.get("high_resolution"):
        reasons.append(f"high-resolution optics ({optics['high_resolution']})")
    if coupled and width < NARROW_DEG:
        reasons.append(f"a range of {width:.3g} degrees only")
    if not reasons:
        return []
    return [
        f"{axis} scan with {' and '.join(reasons)}: as measured on epitaxial films and single "
        "crystals; missing lines and fractions mean nothing there"
    ]


def _optics(path: Path, form: str) -> dict[str, Any]:
    """Radiation and optics where the format states more than rietx hands on."""
    readers = {
        "xrdml": _xrdml_optics,
        "brml": _brml_optics,
        "rasx": _rasx_optics,
        "gsas": _gsas_optics,
    }
    reader = readers.get(form)
    return reader(path) if reader else {"metadata": {}}


def _gsas_optics(path: Path) -> dict[str, Any]:
    """Wavelength that a beamline wrote into the comments above the data."""
    found: dict[str, Any] = {"metadata": {}}
    with path.open(encoding="latin-1") as file:
        for line in itertools.islice(file, 60):
            if line.startswith("BANK"):
                break
            stated = re.search(r"wavelength\s*[=:]\s*(\d*\.\d+)", line, re.IGNORECASE)
            if stated:
                found |= {"ka1": float(stated.group(1)), "only_ka1": True}
    return found


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _find(root: ET.Element | None, *names: str) -> ET.Element | None:
    for name in names:
        if root is None:
            return None
        root = next((child for child in root if _local(child) == name), None)
    return root


def _value(element: ET.Element | None) -> float | None:
    return None if element is None else number_in(element.text)


def _xrdml_optics(path: Path) -> dict[str, Any]:
    measurement = _find(ET.parse(path).getroot(), "xrdMeasurement")
    used = _find(measurement, "usedWavelength")
    found: dict[str, Any] = {"metadata": {}}
    ratio = _value(_find(used, "ratioKAlpha2KAlpha1"))
    if ratio is not None:
        found["ratio"] = ratio
    if measurement is None:
        return found
    if mode := measurement.get("sampleMode"):
        found["metadata"]["geometry"] = mode.lower()
    for beam in ("incidentBeamPath", "diffractedBeamPath"):
        for part in _find(measurement, beam) or ():
            kind, name = _local(part), part.get("name") or ""
            if kind not in ("monochromator", "xRayMirror", "filter", "detector"):
                continue
            key = "mirror" if kind == "xRayMirror" else kind
            found["metadata"].setdefault(key, name)
            if kind == "monochromator":
                found["metadata"].setdefault("monochromator_beam", beam.removesuffix("BeamPath"))
            crystal = _find(part, "crystal")
            text = f"{name} {'' if crystal is None else crystal.text or ''}"
            if kind == "monochromator" and beam[0] == "i" and RESOLVING.search(text):
                found |= {"only_ka1": True, "high_resolution": name}
    return found


def _brml_optics(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {}}
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if re.search(r"RawData\d+\.xml$", n))
        if not names:
            return found
        with archive.open(names[0]) as member:
            root = ET.fromstring(member.read(MOST_XML_BYTES))
    wanted = {"WaveLengthAlpha1": "ka1", "WaveLengthAlpha2": "ka2", "WaveLengthRatio": "ratio"}
    for element in root.iter():
        name = _local(element)
        if name in wanted and wanted[name] not in found:
            number = number_in(element.get("Value"))
            if number is not None:
                found[wanted[name]] = number
        elif name == "ScanInformation" and "Hrxrd" in (element.get("ClassTypeName") or ""):
            found["high_resolution"] = "set up as high-resolution scan"
    return found


def _rasx_optics(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {}}
    with zipfile.ZipFile(path) as archive:
        names = sorted(n for n in archive.namelist() if "onditions" in n and n.endswith(".xml"))
        if not names:
            return found
        with archive.open(names[0]) as member:
            root = ET.fromstring(member.read(MOST_XML_BYTES).decode("utf-8-sig"))
    units = {
        element.get("Name") or "": element.get("SelectedUnit") or element.get("Position") or ""
        for element in root.iter()
        if _local(element) in ("Category", "Axis")
    }
    absent = ("", "None", "No_unit", "IPS_adaptor", "Open")
    for part, beam in (
        ("IncidentMonochromator", "incident"),
        ("DetectorMonochromator", "diffracted"),
    ):
        if units.get(part, "") not in absent:
            found["metadata"].setdefault("monochromator", units[part])
            found["metadata"].setdefault("monochromator_beam", beam)
    for part, key in (
        ("ReceivingOptics1", "receiving_optics"),
        ("Filter1", "filter"),
        ("Detector", "detector"),
    ):
        if units.get(part, "") not in absent:
            found["metadata"][key] = units[part]
    incident = units.get("IncidentMonochromator", "")
    if incident not in absent and RESOLVING.search(incident):
        found |= {"only_ka1": True, "high_resolution": incident}
    return found


def _reader(form: str, about: str, *suffixes: str, limits: tuple[str, ...] = ()) -> Reader:
    def sniff(head: FileHead) -> Certainty:
        return Certainty.SURE if head.once(_form) == form else Certainty.NONE

    name = form.replace("_", "-")
    return powder_reader(name, about, suffixes, sniff, read, limits=limits, slow=True)


_ONE_SCAN = ("of several scans the widest is read; meshes, maps and series are refused",)
_PEAKS = ("a list of peaks, no measured profile: always refused",)

# Under the names that rietx gives them.
READERS = (
    _reader("xrdml", "Malvern Panalytical", ".xrdml", limits=_ONE_SCAN),
    _reader("udf", "Panalytical, text", ".udf"),
    _reader("philips_rd", "Philips PC-APD", ".rd", ".sd"),
    _reader("brml", "Bruker DIFFRAC.MEASUREMENT", ".brml", limits=_ONE_SCAN),
    _reader("bruker_raw", "Bruker, Siemens DIFFRAC (RAW4, RAW1.01)", ".raw", limits=_ONE_SCAN),
    _reader("uxd", "Bruker, Siemens, text", ".uxd", limits=_ONE_SCAN),
    _reader("rasx", "Rigaku SmartLab Studio II", ".rasx", limits=_ONE_SCAN),
    _reader("ras", "Rigaku SmartLab, MiniFlex, text", ".ras", limits=_ONE_SCAN),
    _reader("gsas", "GSAS raw data, synchrotrons", ".fxye", ".gsas", ".gda", ".xra",
            limits=("time-of-flight neutron patterns are refused",)),
    _reader("chi", "FIT2D, pyFAI", ".chi"),
    _reader("dif_peaklist", "list of peaks (DIFFRAC-AT, RRUFF)", ".dif", limits=_PEAKS),
    _reader("peak_list", "list of peaks (Stoe, Panalytical)", ".pks", ".udi", limits=_PEAKS),
)  # fmt: skip
