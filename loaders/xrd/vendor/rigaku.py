"""What Rigaku's ``.ras`` and ``.rasx`` say beyond the points that rietx hands on."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.safe.head import refused
from xtalfuse.loaders.xrd.quantity import DEGREES, angstrom, number_in
from xtalfuse.loaders.xrd.vendor.facts import (
    RESOLVING,
    Facts,
    check_widths,
    factor_of,
    local,
    member,
    xml,
)

ABSENT = ("", "None", "No_unit", "IPS_adaptor", "Open")
SAME_STEP = 0.1  # of a step: rounding of printed angles


def of_ras(path: Path) -> list[Facts]:
    """Facts of each block of points of a ``.ras``, from the header above it."""
    blocks = path.read_text("latin-1").split("*RAS_INT_START")
    found = []
    for before, after in itertools.pairwise(blocks):
        header = before.rpartition("*RAS_HEADER_START")[2]
        keys = dict(re.findall(r'(?m)^\*(\S+)\s+"(.*?)"\s*$', header))
        rows = [line.split() for line in after.partition("*RAS_INT_END")[0].splitlines()]
        found.append(_facts(path.name, keys, rows, {}, ""))
    return found


def of_rasx(path: Path) -> list[Facts]:
    """Facts of each group of a ``.rasx``, in the order of its list of contents."""
    found = []
    for group in xml(path, member(path, "root.xml")):
        names = [e.get("Name") or "" for e in group if local(e) == "ContentHashList"]
        profile = next((n for n in names if n.lower().endswith(".txt")), None)
        if not re.fullmatch(r"Data\d+", local(group)) or profile is None:
            continue
        text = member(path, f"{local(group)}/{profile}").decode("utf-8-sig", "replace")
        rows = [line.split() for line in text.splitlines()]
        told = next((n for n in names if "onditions" in n and n.lower().endswith(".xml")), None)
        keys: dict[str, str] = {}
        metadata: dict[str, Any] = {}
        crystal = ""
        if told is not None:
            root = xml(path, member(path, f"{local(group)}/{told}"))
            scan = next((e for e in root.iter() if local(e) == "ScanInformation"), root)
            leaves = [e for part in (scan, root) for e in part.iter() if e.text and e.text.strip()]
            for element in reversed(leaves):
                keys[NAMES.get(local(element), local(element))] = (element.text or "").strip()
            metadata, crystal = _optics(root)
        found.append(_facts(path.name, keys, rows, metadata, crystal))
    return found


# Names in a .rasx -> those of a .ras, which say the same.
NAMES = {
    "DataCount": "MEAS_DATA_COUNT", "Start": "MEAS_SCAN_START", "Stop": "MEAS_SCAN_STOP",
    "Step": "MEAS_SCAN_STEP", "PositionUnit": "MEAS_SCAN_UNIT_X",
    "WaveType": "MEAS_COND_XG_WAVE_TYPE", "WavelengthKalpha1": "HW_XG_WAVE_LENGTH_ALPHA1",
    "WavelengthKalpha2": "HW_XG_WAVE_LENGTH_ALPHA2", "WavelengthKbeta": "HW_XG_WAVE_LENGTH_BETA",
    "WavelengthUnit": "HW_XG_WAVE_LENGTH_UNIT",
}  # fmt: skip


def _facts(
    name: str, keys: dict[str, str], rows: list[list[str]], metadata: dict[str, Any], crystal: str
) -> Facts:
    rows = [row for row in rows if row]
    check_widths(name, rows)
    declared = number_in(keys.get("MEAS_DATA_COUNT"))
    if declared and int(declared) != len(rows):
        raise refused(name, f"{len(rows)} points where {declared:g} are declared")
    said = []
    start, step = (number_in(keys.get(f"MEAS_SCAN_{key}")) for key in ("START", "STEP"))
    if start is not None and step and len(rows) > 1:
        first, second = (number_in(row[0]) or 0.0 for row in rows[:2])
        if max(abs(first - start), abs(abs(second - first) - abs(step))) > SAME_STEP * abs(step):
            said.append(
                f"the header says {start:g} degrees in steps of {step:g}, the points begin at "
                f"{first:g} in steps of {second - first:g}: the points were read"
            )
    factors = None
    if rows and len(rows[0]) > 2:
        factors = np.array([number_in(row[2]) or 0.0 for row in rows])
    radiation = _radiation(keys)
    if crystal:
        radiation["only_ka1"] = True
    return Facts(
        radiation,
        crystal,
        metadata,
        factors=factors if factors is not None and np.all(factors > 0) else None,
        points=len(rows),
        degrees=factor_of(name, DEGREES, keys.get("MEAS_SCAN_UNIT_X"), "angles"),
        said=tuple(said),
    )


def _radiation(keys: dict[str, str]) -> dict[str, Any]:
    """The lines by the wave type; ``Ka1`` is the one that d refers to, without a crystal too."""
    unit = keys.get("HW_XG_WAVE_LENGTH_UNIT") or "angstrom"
    waves = {}
    for key in ("ALPHA1", "ALPHA2", "BETA"):
        value = number_in(keys.get(f"HW_XG_WAVE_LENGTH_{key}"))
        waves[key] = None if value is None else angstrom(value, unit)
    kind = re.sub(r"\W|_", "", keys.get("MEAS_COND_XG_WAVE_TYPE", "")).lower()
    if kind.startswith(("kb", "kβ")):
        return {"ka1": waves["BETA"], "ka2": None, "beta": True}
    if waves["ALPHA1"] is None:
        return {}
    return {"ka1": waves["ALPHA1"], "ka2": waves["ALPHA2"]}


def _optics(root: Any) -> tuple[dict[str, Any], str]:
    """Monochromators, filters and detector, and the crystal that parts the K-alpha lines."""
    units = {
        element.get("Name") or "": element.get("SelectedUnit") or element.get("Position") or ""
        for element in root.iter()
        if local(element) in ("Category", "Axis")
    }
    found: dict[str, Any] = {}
    for part, beam in (
        ("IncidentMonochromator", "incident"),
        ("DetectorMonochromator", "diffracted"),
    ):
        if units.get(part, "") not in ABSENT:
            found.setdefault("monochromator", units[part])
            found.setdefault("monochromator_beam", beam)
    for part, key in (
        ("ReceivingOptics1", "receiving_optics"),
        ("Filter1", "filter"),
        ("Detector", "detector"),
    ):
        if units.get(part, "") not in ABSENT:
            found[key] = units[part]
    incident = units.get("IncidentMonochromator", "")
    resolving = incident not in ABSENT and RESOLVING.search(incident)
    return found, incident if resolving else ""
