"""X-ray files of instrument makers, through rietx, and what else they say of themselves.

`rietx` decodes the points, applies attenuators and refuses scans about other axes. Here all
scans of a file are looked at, and the radiation is settled: the wavelength that a file
*intends* (``K-Alpha 1``) names the line that d-spacings refer to; only a crystal monochromator
in the incident beam removes K-alpha2.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Reader
from xtalfuse.loaders.record import Instrument, UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead, refused
from xtalfuse.loaders.xrd.quantity import number_in
from xtalfuse.loaders.xrd.ranges import NARROW_DEG, check_count, joined
from xtalfuse.loaders.xrd.read import powder_reader
from xtalfuse.loaders.xrd.scan import Scan, stated_radiation, unit_of
from xtalfuse.loaders.xrd.vendor import facts, rigaku, whence
from xtalfuse.loaders.xrd.vendor.facts import Facts

REMEDY = "export one coupled theta-2theta scan"
KEPT = {
    "sample": "sample", "title": "title", "anode": "anode", "scan_axis": "scan_axis",
    "count_time_s": "counting_time_s", "temperature_k": "temperature_k",
    "goniometer_radius_mm": "goniometer_radius_mm",
}  # fmt: skip
# Coupled scans with an offset of omega: epitaxial films and single crystals as a rule.
OMEGA_COUPLED = re.compile(r"2theta-omega|omega-2theta|twothetaomega", re.IGNORECASE)
FACTS = {**facts.OF, "ras": rigaku.of_ras, "rasx": rigaku.of_rasx}
# How rietx says that a scan is about another axis: others of the file may be powder scans.
ANOTHER_AXIS = re.compile(r"not a powder pattern|no diffraction angle|is TwoTheta")


def _form(head: FileHead) -> str | None:
    """Name of the rietx format that claims the file, except those that are read here."""
    from rietx.io.readers import identify_format

    try:
        name = identify_format(head.path).name
    except ValueError:
        return None
    return None if name in ("xy", "pdcif", "uxd", "raw_unclaimed") else str(name)


def read(path: Path, choice: int | None = None) -> Scan:
    """The powder pattern of an instrument file: of all its scans, or of one of them.

    Raises
    ------
    UnreadableFileError
        If the file is damaged, holds no scan over 2theta, or holds a map.
    """
    from rietx.io.readers import identify_format

    form = identify_format(path)
    told = _facts(path, form)
    check_count(path.name, len(told), choice)
    scans: dict[int, Scan] = {}
    refused: dict[int, str] = {}
    for number, said in enumerate(told, start=1):
        if choice in (None, number):
            try:
                scans[number] = _scan(path, form, number - 1, said)
            except _AnotherAxisError as error:
                refused[number] = str(error)
    return joined(path.name, scans, refused, choice)


class _AnotherAxisError(UnreadableFileError):
    """A scan that is not over 2theta; others of the same file may be."""


def _facts(path: Path, form: Any) -> list[Facts]:
    """What each scan of the file says of itself; one of nothing where the format says nothing."""
    if form.name in FACTS:
        return FACTS[form.name](path) or [Facts()]
    if form.scans is None:
        return [Facts()]
    try:
        return [Facts()] * len(form.scans(path))
    except (ValueError, KeyError, OSError) as error:
        raise UnreadableFileError(_as_refusal(path, str(error))) from None


def _scan(path: Path, form: Any, index: int, said: Facts) -> Scan:
    """One scan of a file, with what it says of itself."""
    from rietx.io.readers import read_pattern

    diagnostics: list[Any] = []
    options = {} if form.scans is None else {"scan": index}
    try:
        pattern = read_pattern(path, diagnostics=diagnostics, **options)
    except (ValueError, KeyError, OSError) as error:
        kind = _AnotherAxisError if ANOTHER_AXIS.search(str(error)) else UnreadableFileError
        raise kind(_as_refusal(path, str(error))) from None
    if pattern.axis != "two_theta":
        raise refused(path.name, "a time-of-flight neutron pattern, not X-ray 2theta", REMEDY)
    codes = {d.code for d in diagnostics}
    told = pattern.metadata
    angles, intensity = pattern.tt() * said.degrees, pattern.y()
    sigma = None if pattern.sigma is None else np.asarray(pattern.sigma, float)
    if said.points not in (None, angles.size) and "PATTERN_DUPLICATE_POINTS" not in codes:
        raise UnreadableFileError(
            f"{path.name}: {angles.size} points read of {said.points}; copy the file again"
        )
    metadata = {new: told[old] for old, new in KEPT.items() if told.get(old)}
    for key in ("counting_time_s", "goniometer_radius_mm", "temperature_k"):
        if key in metadata:
            metadata[key] = float(metadata[key])
    metadata.update(said.metadata)
    turned = slice(None, None, -1 if "PATTERN_SCAN_REVERSED" in codes else 1)
    seconds = metadata.get("counting_time_s") if said.seconds is None else said.seconds
    seconds = seconds[turned] if isinstance(seconds, np.ndarray) else seconds
    notes = [_note(path, d.message) for d in diagnostics if _worth_saying(d.code)]
    factors = None if said.factors is None else said.factors[turned]
    intensity, unit, more = _scaled(form.name, intensity, sigma, factors, told)
    notes = [*said.said, *notes, *more]
    if doubts := _doubts(told.get("scan_axis", ""), angles, said.high_resolution):
        notes += doubts
        metadata["powder_doubtful"] = True
    if form.name == "ras" and b"*RAS_DATA_END" not in path.read_bytes()[-200:]:
        notes.append("the file does not end with *RAS_DATA_END: it may be cut")
    return Scan(
        angles, intensity, f"rietx/{form.name}", unit, sigma, _radiation(path, said, told),
        metadata, tuple(notes),
        Instrument(metadata.get("monochromator"), powder_doubtful=bool(doubts)), seconds,
    )  # fmt: skip


def _radiation(path: Path, said: Facts, told: dict[str, str]) -> Any:
    """Radiation as the scan says it, or as rietx hands it on."""
    stated = dict(said.radiation)
    beta = stated.pop("beta", False)
    if "ka1" not in stated:
        stated["ka1"] = number_in(told.get("wavelength"))
        stated["ka2"] = number_in(told.get("wavelength_alpha2"))
    # a filter that passes K-beta: without its wavelength, the anode alone names another line
    anode = None if beta and stated["ka1"] is None else told.get("anode")
    return stated_radiation(path.name, anode=anode, **stated)


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


def _scaled(
    form: str,
    intensity: np.ndarray,
    sigma: np.ndarray | None,
    factors: np.ndarray | None,
    told: dict[str, str],
) -> tuple[np.ndarray, str, list[str]]:
    """Intensities with attenuator factors applied, and their unit."""
    declared = told.get("intensity_unit")
    if factors is not None and factors.size == intensity.size and np.ptp(factors) > 0:
        if _smoother(intensity * factors, intensity, factors):
            said = f"attenuator factors up to {factors.max():g} were applied"
            return intensity * factors, unit_of(intensity, declared), [said]
        said = "the attenuator factors are already contained in the intensities"
        return intensity, unit_of(intensity, declared), [said]
    if form in ("ras", "rasx", "bruker_raw") and sigma is not None:
        return intensity, "counts/s", []  # whole counts after multiplying by the time
    if form in ("xrdml", "brml") and (declared or "").lower() == "counts":
        return intensity, "counts", []
    return intensity, unit_of(intensity, declared), []


def _smoother(candidate: np.ndarray, other: np.ndarray, factors: np.ndarray) -> bool:
    """True if `candidate` runs on more evenly than `other` where the factor changes."""
    at = np.flatnonzero(np.diff(factors) != 0)
    jumps = [np.abs(np.diff(np.log(np.maximum(y, 1.0))))[at].sum() for y in (candidate, other)]
    return bool(jumps[0] < jumps[1])


def _doubts(axis: str, angles: np.ndarray, high_resolution: str) -> list[str]:
    """What speaks against a powder although the scan runs over 2theta."""
    coupled = bool(OMEGA_COUPLED.search(axis))
    width = float(np.ptp(angles))
    reasons = []
    if coupled and high_resolution:
        reasons.append(f"high-resolution optics ({high_resolution})")
    if coupled and width < NARROW_DEG:
        reasons.append(f"a range of {width:.3g} degrees only")
    if not reasons:
        return []
    return [
        f"{axis} scan with {' and '.join(reasons)}: as measured on epitaxial films and single "
        "crystals; missing lines and fractions mean nothing there"
    ]


def _reader(form: str, about: str, *suffixes: str, **declared: Any) -> Reader:
    def sniff(head: FileHead) -> Certainty:
        return Certainty.SURE if head.once(_form) == form else Certainty.NONE

    name = form.replace("_", "-")
    return powder_reader(name, about, suffixes, sniff, scans=read, slow=True, **declared)


_SCANS = (
    "ranges of one file are joined, repeats added up; meshes, maps and series are refused unless "
    "one scan is chosen",
)
_PEAKS = ("a list of peaks, no measured profile: always refused",)

# Under the names that rietx gives them.
READERS = (
    _reader("xrdml", "Malvern Panalytical", ".xrdml", limits=_SCANS, numbers=whence.XRDML),
    _reader("udf", "Panalytical, text", ".udf", numbers=whence.UDF),
    _reader("philips_rd", "Philips PC-APD", ".rd", ".sd", numbers=whence.PHILIPS),
    _reader("brml", "Bruker DIFFRAC.MEASUREMENT", ".brml", limits=_SCANS, numbers=whence.BRML),
    _reader("bruker_raw", "Bruker, Siemens DIFFRAC (RAW4, RAW1.01)", ".raw", limits=_SCANS,
            numbers=whence.BRUKER),
    _reader("rasx", "Rigaku SmartLab Studio II", ".rasx", limits=_SCANS, numbers=whence.RIGAKU),
    _reader("ras", "Rigaku SmartLab, MiniFlex, text", ".ras", limits=_SCANS,
            numbers=whence.RIGAKU),
    _reader("gsas", "GSAS raw data, synchrotrons", ".fxye", ".gsas", ".gda", ".xra",
            limits=("neutron patterns are refused",), numbers=whence.GSAS),
    _reader("dif_peaklist", "list of peaks (DIFFRAC-AT, RRUFF)", ".dif", limits=_PEAKS,
            numbers=whence.PEAKS),
    _reader("peak_list", "list of peaks (Stoe, Panalytical)", ".pks", ".udi", limits=_PEAKS,
            numbers=whence.PEAKS),
)  # fmt: skip
