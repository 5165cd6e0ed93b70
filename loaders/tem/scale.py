"""The scale of a picture: nm in an image, 1/angstrom in a diffraction pattern, or none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
_WIDEST_G = 60.0  # 1/angstrom over a whole detector: beyond any microscope


def with_camera_length(raw: RawSignal, camera_length_mm: float) -> RawSignal:
    """The signal with a camera length by hand; reciprocal axes of the file follow it.

    The file's own scale is that of its nominal camera length: g = x / (L wavelength).
    """
    nominal = number(raw.metadata.get("camera_length_mm"))
    axes = raw.axes
    said = f"camera length {camera_length_mm:g} mm given by hand"
    if any((standard_unit(a.unit) or ("",))[0] == "1/angstrom" for a in axes):
        if nominal is None:
            said += ": not used, the file has its own scale and does not say for which length"
        else:
            factor = nominal / camera_length_mm
            axes = tuple(
                replace(a, values=a.values * factor)
                if (standard_unit(a.unit) or ("",))[0] == "1/angstrom"
                else a
                for a in axes
            )
    metadata = {**raw.metadata, "camera_length_mm": camera_length_mm}
    return replace(raw, axes=axes, metadata=metadata, warnings=(*raw.warnings, said))


def scaled_picture(
    raw: RawSignal, described: list[RawAxis], data: np.ndarray
) -> tuple[list[RawAxis], Modality, Calibration, list[str]]:
    pair = described[-2:]
    units = {standard_unit(axis.unit) for axis in pair}
    known = units.pop() if len(units) == 1 else None
    kind, notes = recognise.picture_kind(raw, known, data)
    calibration = Calibration.KNOWN
    scaled = None
    if known is not None:
        scaled = [replace(a, unit=known[0], values=a.values * known[1]) for a in pair]
        if kind is Modality.DIFFRACTION and known[0] in ("nm", "rad"):
            scaled, calibration = _to_reciprocal(scaled, raw), Calibration.ASSUMED
        if scaled is not None and not _plausible(scaled):
            notes.append(f"a pixel of {_step(pair[-1]):g} {pair[-1].unit} is impossible: not used")
            scaled = None
        elif scaled is not None and calibration is Calibration.ASSUMED:
            notes.append("1/angstrom from the nominal camera length or angle, and the beam energy")
    elif _step(pair[-1]) not in (0.0, 1.0):
        notes.append(
            f"a scale of {_step(pair[-1]):g} without a unit (perhaps a binning factor): not used"
        )
    if scaled is None:
        calibration = Calibration.UNKNOWN
        scaled = [replace(a, unit="px", values=np.arange(a.values.size, dtype=float)) for a in pair]
    return [*described[:-2], *scaled], kind, calibration, notes


def _to_reciprocal(pair: list[RawAxis], raw: RawSignal) -> list[RawAxis] | None:
    """g = angle / wavelength; for lengths on the detector, angle = length / camera length."""
    energy = raw.metadata.get("beam_energy_keV")
    camera_mm = raw.metadata.get("camera_length_mm")
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
