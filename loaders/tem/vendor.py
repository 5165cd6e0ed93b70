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
from xtalfuse.loaders.tem.mrc import mrc_header
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
    if kind == "image":
        return [picture(path)]
    module = importlib.import_module(f"rsciio.{kind}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        options = _OPTIONS.get(kind, {})
        if kind == "mrc":
            options = {"endianness": mrc_header(path).order}
        entries = module.file_reader(str(path), **options)
    notes = [str(w.message) for w in caught if w.category in (UserWarning, RuntimeWarning)]
    if any(re.search(r"zero.padd", note, re.IGNORECASE) for note in notes):
        raise UnreadableFileError(
            f"{path.name}: shorter than it declares; copy the file again from the instrument"
        )
    for entry in entries:
        if kind in _REPAIR:
            _REPAIR[kind](entry, path)
    warned = tuple(dict.fromkeys(line for line in map(text, notes) if line))
    tube = tube_of(path) if kind == "bruker" and path.suffix.lower() == ".spx" else None
    if tube is not None:
        return [_fluorescence(_signal(entry, warned), tube) for entry in entries]
    return [_signal(entry, warned) for entry in entries]


def picture(path: Path) -> RawSignal:
    """The picture in a PNG, JPEG or BMP file, without a scale; grey ones as one channel.

    RosettaSciIO (0.15) tells grey pictures from coloured ones by green and blue alone, and takes
    what Exif calls pixels in each unit of the focal plane for a field of view.
    """
    from PIL import Image

    with Image.open(path) as image:
        grey = len(image.getbands()) < 3 and image.mode not in ("P", "PA")
        data = np.asarray(image.getchannel(0) if image.mode == "LA" else
                          image if grey else image.convert("RGB"))  # fmt: skip
    if data.dtype.kind == "b":
        data = data.view(np.uint8)
    if not grey and all((data[..., 0] == data[..., other]).all() for other in (1, 2)):
        data = data[..., 0]
    elif not grey:
        data = np.ascontiguousarray(data).view([(channel, data.dtype) for channel in "RGB"])[..., 0]
    return RawSignal(data, tuple(RawAxis("", "", np.arange(n) * 1.0) for n in data.shape))


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
    sizes = [int(axis.get("size", 0)) for axis in described]
    if all(sizes) and sorted(sizes) != sorted(data.shape):
        warned += (f"the axes declare {sizes} values, and {list(data.shape)} are stored",)
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


def _repair_tia(entry: dict[str, Any], path: Path) -> None:
    """Units by the size of the SI numbers, offsets that the reader leaves in metres, a high
    tension that it looks for under another name, and the channel that an energy offset is of.

    The reader takes metres where the .emi is absent, and 1/m for any STEM picture of a camera;
    but no pixel is larger than a metre, and none smaller than 1/m.
    """
    source = "ObjectInfo.ExperimentalDescription.High tension_kV"
    entry["mapping"] = {
        **entry["mapping"],
        source: ("Acquisition_instrument.TEM.beam_energy", None),
    }
    said = entry["original_metadata"].get("ser_header_parameters") or {}
    for axis in entry["axes"]:
        unit = standard_unit(axis.get("units"))
        scale, offset = float(axis["scale"]), float(axis.get("offset") or 0.0)
        if unit == ("eV", 1.0):
            axis["offset"] = offset - scale * float(np.ravel(said.get("CalibrationElement", 0))[0])
        if unit not in (("nm", 1.0), ("1/angstrom", 0.1)):
            continue
        in_si = scale * (1e-9 if unit[0] == "nm" else 1e9)
        reciprocal = abs(in_si) > 1.0 and not axis["navigate"]
        axis["units"], factor = ("1/nm", 1e-9) if reciprocal else ("nm", 1e9)
        axis["scale"], axis["offset"] = in_si * factor, offset * factor


def _repair_mrc(entry: dict[str, Any], path: Path) -> None:
    """Sign and byte order of the numbers, and no scale of 1 nm or 0.1 nm that nobody set.

    The reader takes all files for little-endian, bytes for unsigned, and no grid for one of 1 nm.
    """
    header = mrc_header(path)
    entry["data"] = np.asarray(entry["data"]).view(header.dtype)
    if header.step_um is None and "fei_header" not in entry["original_metadata"]:
        for axis in entry["axes"]:
            axis["units"] = ""


def _exchange(one: dict[str, Any], other: dict[str, Any]) -> None:
    for key in ("scale", "offset", "units"):
        one[key], other[key] = other[key], one[key]


def _repair_topspin(entry: dict[str, Any], path: Path) -> None:
    """The reader gives the scale of X to the rows of a picture (and not to those of a map)."""
    if len(entry["axes"]) == 2 and not any(axis["navigate"] for axis in entry["axes"]):
        _exchange(*entry["axes"])


def _repair_tiff(entry: dict[str, Any], path: Path) -> None:
    """Width and height have their own scale, and ImageJ's unit is what it says.

    The reader gives the width to rows where a maker's tag names both, and knows micron alone.
    """
    tags = entry["original_metadata"]
    named = {axis["name"]: axis for axis in entry["axes"]}
    if not {"height", "width"} <= named.keys():
        return
    across, down = named["width"], named["height"]
    if {"fei_metadata", "Olympus_SIS_metadata"} & tags.keys() or "PixelSizeX" in (
        tags.get("TVIPS") or {}
    ):
        _exchange(across, down)
    said = str(tags.get("ImageDescription", ""))
    unit = re.search(r"(?m)^unit=(.+)$", said)
    if said.startswith("ImageJ=") and unit and "XResolution" in tags:
        other = re.search(r"(?m)^yunit=(.+)$", said) or unit
        across["units"], down["units"] = (
            found.group(1).strip().replace("\\u00B5", "u") for found in (unit, other)
        )


def _repair_ripple(entry: dict[str, Any], path: Path) -> None:
    """A depth that is given by electronvolts in each channel is an energy."""
    said = entry["original_metadata"]
    if "ev-per-chan" in said and not {"depth-scale", "depth-units"} & said.keys():
        for axis in entry["axes"]:
            if axis["name"] == said.get("depth-name", "depth"):
                axis["units"] = "eV"


def _repair_semper(entry: dict[str, Any], path: Path) -> None:
    """The reader gives what is of columns, rows, layers to layers, rows, columns."""
    for first, last in zip(
        entry["axes"][: len(entry["axes"]) // 2], entry["axes"][::-1], strict=False
    ):
        _exchange(first, last)
        first["name"], last["name"] = last["name"], first["name"]


def _repair_nexus(entry: dict[str, Any], path: Path) -> None:
    """The reader turns falling axes round, and not what is measured along them."""
    import h5py

    ends: dict[tuple[str, int, float], float] = {}

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.size > 1:
            first, last = (item[0], item[-1]) if item.dtype.kind in "iuf" else (0, 0)
            if first > last:
                ends[name.rpartition("/")[2], item.size, float(last)] = float(first)

    with h5py.File(path, "r") as file:
        file.visititems(look)
    for axis in entry["axes"]:
        first = ends.get((axis.get("name"), axis["size"], float(axis["offset"])))
        if first is not None:
            axis["offset"], axis["scale"] = first, -axis["scale"]


def _repair_blockfile(entry: dict[str, Any], path: Path) -> None:
    """Put back the axes of length one, which the reader drops, and name the camera length."""
    header = entry["original_metadata"]["blockfile_header"]
    ny, nx, side = (int(header[key]) for key in ("NY", "NX", "DP_SZ"))
    # without it the reader takes 1 cm
    pixel = {"scale": entry["axes"][-1]["scale"], "units": "cm" if header["SDP"] else ""}
    entry["data"] = np.asarray(entry["data"]).reshape(ny, nx, side, side)
    entry["axes"] = [
        {"name": "y", "units": "nm", "scale": header["SY"], "navigate": True},
        {"name": "x", "units": "nm", "scale": header["SX"], "navigate": True},
        {"name": "ky", **pixel},
        {"name": "kx", **pixel},
    ]
    source = "blockfile_header.Camera_length"  # stored in tenths of a millimetre
    entry["mapping"] = {
        **entry["mapping"],
        source: ("Acquisition_instrument.TEM.camera_length", lambda tenths: float(tenths) / 10),
    }


def _repair_tvips(entry: dict[str, Any], path: Path) -> None:
    """Its "pixel size" is that of the camera, in whole nanometres: no scale of the picture."""
    for axis in entry["axes"][-2:]:
        axis["units"] = ""


_REPAIR: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "mrc": _repair_mrc, "nexus": _repair_nexus, "ripple": _repair_ripple, "semper": _repair_semper,
    "tiff": _repair_tiff, "topspin": _repair_topspin, "tia": _repair_tia,
    "blockfile": _repair_blockfile, "tvips": _repair_tvips,
}  # fmt: skip
