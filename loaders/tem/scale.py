"""The scale of a picture: nm in an image, 1/angstrom in a diffraction pattern, or none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtalfuse.loaders.reader import ReadOptions
from xtalfuse.loaders.record import Calibration, Modality
from xtalfuse.loaders.tem import recognise
from xtalfuse.loaders.tem.signals import (
    RawAxis,
    RawSignal,
    electron_wavelength_angstrom,
    number,
    standard_unit,
)

PIXEL_NM = (1e-4, 1e6)
# what HyperSpy calls the kinds of signals, for a kind that a person states
_SIGNAL_TYPES = {
    Modality.DIFFRACTION: "electron_diffraction",
    Modality.EELS: "EELS",
    Modality.EDS: "EDS_TEM",
}
_WIDEST_G = 60.0  # 1/angstrom over a whole detector: beyond any microscope


def stated(raw: RawSignal, options: ReadOptions) -> RawSignal:
    """A signal with what a person says of it in place of what its file says.

    Parameters
    ----------
    raw : the signal as its file states it
    options : modality, beam energy, scale, unit and offset by hand, each where it is given
    """
    metadata = dict(raw.metadata)
    if options.beam_energy_kev is not None:
        metadata["beam_energy_keV"] = options.beam_energy_kev
    if options.modality is not None:
        raw = replace(raw, signal_type=_SIGNAL_TYPES.get(options.modality, ""))
    axes, assumed = raw.axes, raw.assumed
    if options.scale is not None and options.unit is not None:
        own = [k for k, axis in enumerate(axes) if not axis.navigate] or list(range(len(axes)))
        spectrum = (standard_unit(options.unit) or ("",))[0] == "eV"
        own, first = own[-1:] if spectrum else own[-2:], options.offset or 0.0
        axes = tuple(
            replace(a, unit=options.unit, values=first + options.scale * np.arange(a.values.size))
            if k in own
            else a
            for k, a in enumerate(axes)
        )
        assumed = False
    return replace(raw, axes=axes, metadata=metadata, assumed=assumed)


def scaled_picture(
    raw: RawSignal, described: list[RawAxis], data: np.ndarray, options: ReadOptions
) -> tuple[list[RawAxis], Modality, Calibration, list[str]]:
    """Axes in standard units, what the picture is, how its scale is known, and what to say.

    Parameters
    ----------
    raw : the signal as its file states it
    described : its axes, those of the picture last
    data : (..., ny, nx)
    options : what a person says; its camera length is used where the picture is a pattern
    """
    camera_length_mm = options.camera_length_mm
    pair = described[-2:]
    units = {standard_unit(axis.unit) for axis in pair}
    known = units.pop() if len(units) == 1 else None
    kind, notes = recognise.picture_kind(raw, known, data, options.modality)
    if options.scale is not None:
        notes.append(f"a scale of {options.scale:g} {options.unit} given by hand")
    calibration = Calibration.KNOWN
    scaled = None
    if kind is Modality.IMAGE and known is not None and known[0] != "nm":
        notes.append(f"a scale in {known[0]} is none of an image: not used")
    elif known is not None:
        scaled = [replace(a, unit=known[0], values=a.values * known[1]) for a in pair]
        if kind is Modality.DIFFRACTION and known[0] in ("nm", "rad"):
            scaled, calibration = _to_reciprocal(scaled, raw, camera_length_mm), Calibration.ASSUMED
        elif kind is Modality.DIFFRACTION and camera_length_mm is not None:
            scaled = _of_length(scaled, raw, camera_length_mm)
        if scaled is not None and not _plausible(scaled):
            notes.append(f"a pixel of {_step(pair[-1]):g} {pair[-1].unit} is impossible: not used")
            scaled = None
        elif scaled is not None and calibration is Calibration.ASSUMED:
            notes.append("1/angstrom from the nominal camera length or angle, and the beam energy")
    elif _step(pair[-1]) not in (0.0, 1.0):
        notes.append(
            f"a scale of {_step(pair[-1]):g} without a unit (perhaps a binning factor): not used"
        )
    if kind is Modality.DIFFRACTION and camera_length_mm is not None:
        notes.append(_told(pair, scaled, raw, camera_length_mm))
    if scaled is None:
        calibration = Calibration.UNKNOWN
        scaled = [replace(a, unit="px", values=np.arange(a.values.size, dtype=float)) for a in pair]
    return [*described[:-2], *scaled], kind, calibration, notes


def _of_length(pair: list[RawAxis], raw: RawSignal, camera_length_mm: float) -> list[RawAxis]:
    """Reciprocal axes of the file's camera length -> those of the one given by hand.

    g = x / (L wavelength), so g is inverse to the camera length L.
    """
    nominal = number(raw.metadata.get("camera_length_mm"))
    factor = 1.0 if nominal is None else nominal / camera_length_mm
    return [replace(axis, values=axis.values * factor) for axis in pair]


def _told(
    pair: list[RawAxis], scaled: list[RawAxis] | None, raw: RawSignal, camera_length_mm: float
) -> str:
    """What became of a camera length that was given by hand."""
    said = f"camera length {camera_length_mm:g} mm given by hand"
    known = standard_unit(pair[-1].unit)
    if scaled is None:
        return f"{said}: not used, the file lacks the size of a detector pixel or the beam energy"
    if known and known[0] == "rad":
        return f"{said}: not used, the axes of the file are angles"
    if known and known[0] == "1/angstrom" and not number(raw.metadata.get("camera_length_mm")):
        return f"{said}: not used, the file has a scale and does not say for which camera length"
    return said


def _to_reciprocal(
    pair: list[RawAxis], raw: RawSignal, camera_length_mm: float | None
) -> list[RawAxis] | None:
    """g = angle / wavelength; for lengths on the detector, angle = length / camera length."""
    energy = raw.metadata.get("beam_energy_keV")
    camera_mm = camera_length_mm or raw.metadata.get("camera_length_mm")
    if energy is None:
        return None
    factor = 1.0 / electron_wavelength_angstrom(energy)
    if pair[0].unit == "nm":
        if camera_mm is None:
            return None
        factor /= camera_mm * 1e6
    return [replace(axis, unit="1/angstrom", values=axis.values * factor) for axis in pair]


def _step(axis: RawAxis) -> float:
    return float(abs(axis.values[1] - axis.values[0])) if axis.values.size > 1 else 0.0


def _plausible(pair: list[RawAxis]) -> bool:
    for axis in pair:
        step = _step(axis)
        if axis.values.size > 1 and not (np.isfinite(axis.values).all() and step > 0):
            return False
        if axis.unit == "nm" and step and not PIXEL_NM[0] <= step <= PIXEL_NM[1]:
            return False
        if axis.unit == "1/angstrom" and step * axis.values.size > _WIDEST_G:
            return False
        if axis.unit in ("eV", "rad"):
            return False
    return True
