"""Runs one RosettaSciIO reader and translates what it returns.

Each reader is imported alone: `hyperspy` itself would cost seconds. What its readers leave
undone is done here: instrument metadata in one place and one unit, offsets that were not
converted with their scale, axes that were dropped, and scales that are none.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.tem.signals import RawAxis, RawSignal, find, number, standard_unit, text, tidy

_OPTIONS: dict[str, dict[str, Any]] = {
    "nexus": {"nxdata_only": True},  # else every motor position counts as a signal
    "topspin": {"show_progressbar": False},
}


def read(path: Path, kind: str) -> list[RawSignal]:
    """Every signal of `path`, by the RosettaSciIO reader called `kind`.

    Raises
    ------
    UnreadableFileError
        If the reader filled up missing data with zeros.
    Exception
        Whatever the reader raises on a damaged file.
    """
    module = importlib.import_module(f"rsciio.{kind}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        entries = module.file_reader(str(path), **_OPTIONS.get(kind, {}))
    notes = [str(w.message) for w in caught if w.category in (UserWarning, RuntimeWarning)]
    if any(re.search(r"zero.padd", note, re.IGNORECASE) for note in notes):
        raise UnreadableFileError(
            f"{path.name}: shorter than it declares; copy the file again from the instrument"
        )
    for entry in entries:
        if kind in _REPAIR:
            _REPAIR[kind](entry)
    warned = tuple(dict.fromkeys(line for line in map(text, notes) if line))
    tube = tube_of(path) if kind == "bruker" and path.suffix.lower() == ".spx" else None
    if tube is not None:
        return [_fluorescence(_signal(entry, warned), tube) for entry in entries]
    return [_signal(entry, warned) for entry in entries]


def tube_of(path: Path) -> str | None:
    """The X-ray tube that a Bruker spectrum names as its source; None where electrons made it.

    RosettaSciIO (0.15) leaves the block out and calls the tube's voltage a beam energy.
    """
    start = path.read_bytes().decode("windows-1252", "replace")
    block = re.search(r'Type="TRTXrfHeader".*?</ClassInstance>', start, re.DOTALL)
    if block is None:
        return None
    said = dict(re.findall(r"<(TubeType|Anode|Voltage)>([^<]*)<", block.group()))
    anode = said.get("Anode", "")
    if anode.isdigit() and 0 < int(anode) < 119:
        from gemmi import Element

        return f"an X-ray tube of {Element(int(anode)).name}, {said.get('Voltage', '?')} kV"
    return f"an X-ray tube ({text(said.get('TubeType')) or 'of unknown anode'})"


def _fluorescence(signal: RawSignal, tube: str) -> RawSignal:
    metadata = {k: v for k, v in signal.metadata.items() if k != "beam_energy_keV"}
    return replace(
        signal,
        signal_type="XRF",
        metadata=metadata | {"source": tube},
        warnings=(*signal.warnings, f"X-ray fluorescence, excited by {tube}, and no EDS: "
                  "lines of the anode and their Compton peaks are the tube's"),
    )  # fmt: skip


def _signal(entry: dict[str, Any], warned: tuple[str, ...]) -> RawSignal:
    data = np.asarray(entry["data"])
    described = entry.get("axes") or []
    if len(described) != data.ndim:  # then no axis can be told from another
        described = [{} for _ in range(data.ndim)]
    metadata = entry.get("metadata") or {}
    original = entry.get("original_metadata") or {}
    _apply(metadata, original, entry.get("mapping") or {})
    declared = (metadata.get("Signal") or {}).get("signal_type")
    return RawSignal(
        data=data,
        axes=tuple(_axis(d, n) for d, n in zip(described, data.shape, strict=True)),
        signal_type=text(declared) or "",
        metadata=instrument_of(metadata, original),
        warnings=warned,
    )


def _axis(described: dict[str, Any], length: int) -> RawAxis:
    name = text(described.get("name")) or ""
    unit = text(described.get("units")) or ""
    unit = "" if unit in ("[]", "None", "<undefined>") else unit
    navigate = bool(described.get("navigate", False))
    if described.get("axis") is not None:
        values = np.asarray(described["axis"], float)
    else:
        scale, offset = (described.get(key) for key in ("scale", "offset"))
        unit = unit if scale is not None else ""  # an axis given as a formula is not evaluated
        scale = 1.0 if scale is None else float(scale)
        values = float(offset or 0.0) + scale * np.arange(length)
    return RawAxis(name, unit, values, navigate)


def _apply(metadata: dict[str, Any], original: Any, mapping: dict[str, Any]) -> None:
    """Bring vendor metadata to the places that the reader's own table names."""
    for source, (target, convert) in mapping.items():
        value: Any = original
        for key in source.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        try:
            value = value if convert is None else convert(value)
        except (TypeError, ValueError, KeyError, AttributeError):
            continue  # metadata of one field; the data do not hang on it
        place = metadata
        *path, last = target.split(".")
        for key in path:
            if not isinstance(place.get(key), dict):
                place[key] = {}
            place = place[key]
        place[last] = value


def instrument_of(metadata: dict[str, Any], original: Any) -> dict[str, Any]:
    """What HyperSpy metadata say of the instrument, under the names of `RawSignal.metadata`."""
    general = metadata.get("General") or {}
    sample = metadata.get("Sample") or {}
    instrument = metadata.get("Acquisition_instrument") or {}
    detectors = find(instrument, "Detector")
    branches = detectors if isinstance(detectors, dict) else {}
    return tidy(
        {
            "title": text(general.get("title")),
            "date": text(general.get("date")),
            "sample": text(sample.get("description")),
            "elements": _elements(sample.get("elements")),
            "beam_energy_keV": number(find(instrument, "beam_energy")),
            "convergence_angle_mrad": _convergence(instrument, original),
            "collection_angle_mrad": number(find(instrument, "collection_angle")),
            "camera_length_mm": number(find(instrument, "camera_length")),
            "magnification": number(find(instrument, "magnification")),
            "live_time_s": number(find(instrument, "live_time")),
            "microscope": text(find(instrument, "microscope")),
            "acquisition_mode": text(find(instrument, "acquisition_mode")),
            "imaging_mode": text(find(original, "Imaging Mode")),
            "detector": text(find(detectors, "detector_type"))
            or ",".join(str(key) for key, value in branches.items() if isinstance(value, dict)),
        }
    )


def _convergence(instrument: Any, original: Any) -> float | None:
    found = number(find(instrument, "convergence_angle"))
    velox_rad = number(find(find(original, "Optics"), "BeamConvergence"))
    return found if found is not None or velox_rad is None else velox_rad * 1e3


def _elements(value: Any) -> list[str]:
    if not isinstance(value, list | tuple | np.ndarray):
        return []
    from gemmi import Element

    names = [text(bytes(item) if isinstance(item, bytes) else str(item)) or "" for item in value]
    return [name for name in names if Element(name).atomic_number > 0 and name.isalpha()]


def _repair_tia(entry: dict[str, Any]) -> None:
    """The reader converts the scale of a position axis from metres, but not its offset, and
    looks for the high tension under a name that files do not use."""
    source = "ObjectInfo.ExperimentalDescription.High tension_kV"
    entry["mapping"] = {
        **entry["mapping"],
        source: ("Acquisition_instrument.TEM.beam_energy", None),
    }
    for axis in entry["axes"]:
        if standard_unit(axis.get("units")) == ("nm", 1.0):
            axis["offset"] = float(axis.get("offset") or 0.0) * 1e9
            # A pixel above a metre: the number is in 1/m, from a file whose .emi is absent.
            if abs(float(axis["scale"])) > 1e9 and not axis["navigate"]:
                axis["scale"] = float(axis["scale"]) * 1e-18
                axis["offset"] = axis["offset"] * 1e-18
                axis["units"] = "1/nm"
        elif standard_unit(axis.get("units")) == ("1/angstrom", 0.1):
            axis["offset"] = float(axis.get("offset") or 0.0) * 1e-9


def _repair_blockfile(entry: dict[str, Any]) -> None:
    """Put back the axes of length one, which the reader drops, and name the camera length."""
    header = entry["original_metadata"]["blockfile_header"]
    ny, nx, side = (int(header[key]) for key in ("NY", "NX", "DP_SZ"))
    pixel_cm = entry["axes"][-1]["scale"]
    entry["data"] = np.asarray(entry["data"]).reshape(ny, nx, side, side)
    entry["axes"] = [
        {"name": "y", "units": "nm", "scale": header["SY"], "navigate": True},
        {"name": "x", "units": "nm", "scale": header["SX"], "navigate": True},
        {"name": "ky", "units": "cm", "scale": pixel_cm},
        {"name": "kx", "units": "cm", "scale": pixel_cm},
    ]
    source = "blockfile_header.Camera_length"  # stored in tenths of a millimetre
    entry["mapping"] = {
        **entry["mapping"],
        source: ("Acquisition_instrument.TEM.camera_length", lambda tenths: float(tenths) / 10),
    }


def _repair_tvips(entry: dict[str, Any]) -> None:
    """Its "pixel size" is that of the camera, in whole nanometres: no scale of the picture."""
    for axis in entry["axes"][-2:]:
        axis["units"] = ""


_REPAIR: dict[str, Callable[[dict[str, Any]], None]] = {
    "tia": _repair_tia,
    "blockfile": _repair_blockfile,
    "tvips": _repair_tvips,
}
