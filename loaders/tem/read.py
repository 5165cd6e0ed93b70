"""Files of electron microscopes: spectra (EELS, EDS), diffraction patterns and images.

`read` opens one file, converts energies to eV, lengths to nm and reciprocal lengths to
1/angstrom, says what kind of record it is, and refuses what cannot be trusted. Where a file
holds several signals it returns the most informative one and lists the others.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import (
    Axis,
    Calibration,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import check_array, sha256_of
from xtalfuse.loaders.tem import emsa as spectrum
from xtalfuse.loaders.tem import kinds as tem
from xtalfuse.loaders.tem import recognise
from xtalfuse.loaders.tem.signals import (
    RawAxis,
    RawSignal,
    electron_wavelength_angstrom,
    standard_unit,
    tidy,
)

_HEAD_BYTES = 4096
_AGAIN = "export the file again from the instrument"
# An element shows in a spectrum, a structure in a pattern; a picture comes last.
_RANK = {
    Modality.EELS: 3,
    Modality.EDS: 3,
    Modality.DIFFRACTION: 2,
    Modality.IMAGE: 1,
    Modality.OTHER: 0,
}
_ENERGY_STEP_EV = (1e-4, 1e3)
_ENERGY_RANGE_EV = (-2e4, 1e6)
_PIXEL_NM = (1e-4, 1e6)
_WIDEST_G = 60.0  # 1/angstrom over a whole detector: beyond any microscope
_WRAPPED = 0.99  # share of negative values in a picture that no camera and no dark frame makes
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def sniff(path: Path, head: bytes) -> bool:
    """Whether this reader should be tried on a file that begins with `head`."""
    path = Path(path)
    return spectrum.sniff(path, head) or tem.identify(path, head) is not None


def companions(path: Path) -> tuple[Path, ...]:
    """Files beside `path` that are read together with it (``.ser``, ``.raw``, ``.hdr``)."""
    path = Path(path)
    with path.open("rb") as file:
        return tem.companions(path, file.read(_HEAD_BYTES))


def read(path: Path) -> Measurement:
    """The measurement in a file of an electron microscope.

    Parameters
    ----------
    path : EMSA/MAS or column text, DigitalMicrograph, TIA, EMD (Velox, NCEM, py4DSTEM),
        HyperSpy, NeXus, block file, TVIPS, Merlin, MRC, Bruker, EDAX, JEOL, Ripple, Semper,
        Topspin, TIFF, ...; recognised by content

    Returns
    -------
    Measurement: a spectrum is (n,) or (positions..., n), float, with an ``energy`` axis in eV;
    a diffraction pattern is (..., ny, nx) with ``ky``, ``kx`` in 1/angstrom; an image is
    (..., ny, nx) with ``y``, ``x`` in nm; pictures keep the number type of the file. Axes
    without a calibration count pixels (``px``).

    Raises
    ------
    UnreadableFileError
        If the format is unknown, a companion file is missing, or the data are damaged, cut,
        empty, constant, padded with zeros, or of a kind that no measurement has.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if spectrum.sniff(path, head):
            reader, signals = "xtalfuse/emsa", [spectrum.read(path)]
        else:
            kind, signals = tem.read(path, head)
            reader = f"rosettasciio/{kind}"
        sha256 = sha256_of(path)
    except UnreadableFileError:
        raise
    except MemoryError:
        raise UnreadableFileError(
            f"{path.name}: asks for more memory than there is; crop it, or {_AGAIN}"
        ) from None
    except Exception as error:  # a damaged file makes readers raise anything
        raise _worded(path, error) from error
    provenance = Provenance(str(path), sha256, reader)
    return _most_informative(signals, provenance, path.name)


def _worded(path: Path, error: Exception) -> UnreadableFileError:
    cause = " ".join(str(error).split())[:200] or type(error).__name__
    package = getattr(error, "name", None) if isinstance(error, ImportError) else None
    needed = re.search(r"requires the '(\w+)'", cause)
    if package or needed:
        package = package or needed.group(1)  # type: ignore[union-attr]
        return UnreadableFileError(
            f"{path.name}: its compression needs the package {package}; "
            f"install {package}, or save the file without compression"
        )
    return UnreadableFileError(
        f"{path.name}: damaged or incomplete ({type(error).__name__}: {cause}); {_AGAIN}"
    )


def _most_informative(signals: list[RawSignal], provenance: Provenance, name: str) -> Measurement:
    good: list[tuple[tuple[float, ...], int, Measurement]] = []
    refused: list[str] = []
    for index, raw in enumerate(signals):
        try:
            measurement = _measurement(raw, provenance, name)
        except UnreadableFileError as error:
            refused.append(str(error))
            continue
        good.append((_information(measurement), -index, measurement))
    if not good:
        raise UnreadableFileError(refused[0] if refused else f"{name}: no signal in it; {_AGAIN}")
    good.sort(key=lambda entry: entry[:2], reverse=True)
    best = good[0][2]
    metadata, warned = dict(best.provenance.metadata), best.provenance.warnings
    if len(good) > 1:
        metadata["other_signals"] = [_listing(other) for _, _, other in good[1:]]
    warned += tuple(f"another signal was left out: {reason}" for reason in refused[:5])
    return replace(best, provenance=replace(best.provenance, metadata=metadata, warnings=warned))


def _information(measurement: Measurement) -> tuple[float, ...]:
    """Sort key: kind first, core loss before low loss, then counts; images by their size."""
    rank = _RANK[measurement.modality]
    if rank < 3:
        return rank, 0, measurement.values.size
    core = not measurement.provenance.metadata.get("zero_loss_in_range", False)
    return rank, core, float(np.abs(measurement.values).sum())


def _listing(measurement: Measurement) -> dict[str, Any]:
    return {
        "title": measurement.provenance.metadata.get("title", ""),
        "modality": measurement.modality.value,
        "shape": list(measurement.values.shape),
    }


def _measurement(raw: RawSignal, provenance: Provenance, name: str) -> Measurement:
    """One signal in standard units, checked.

    Raises
    ------
    UnreadableFileError
        If it is not real numbers, or fails a check.
    """
    data, warned = _real_numbers(raw, name)
    count = 1 if _is_spectrum(raw) else 2
    order = _signal_last(raw, count)
    stored, data = data, np.transpose(data, order)
    described = [raw.axes[i] for i in order]
    if count == 1:
        described, data, kind, calibration, notes = _spectrum(raw, described, data, name)
    else:
        described, kind, calibration, notes = _picture(raw, described, data)
    axes = _named(described, count, kind)
    notes += _check(data, stored, axes, kind, name)
    metadata = dict(raw.metadata)
    metadata["signal_type"] = raw.signal_type
    if kind is Modality.EELS:
        metadata["zero_loss_in_range"] = bool(axes[-1].values[0] < 0.0 < axes[-1].values[-1])
    return Measurement(
        modality=kind,
        values=np.ascontiguousarray(data, float if count == 1 else None),
        axes=tuple(axes),
        value_unit=_value_unit(data),
        calibration=calibration,
        provenance=replace(
            provenance, metadata=tidy(metadata), warnings=(*raw.warnings, *warned, *notes)
        ),
    )


def _real_numbers(raw: RawSignal, name: str) -> tuple[np.ndarray, list[str]]:
    data, warned = raw.data, []
    if data.dtype.names and {"R", "G", "B"} <= set(data.dtype.names):
        colours = np.stack([data[channel].astype(float) for channel in "RGB"], axis=-1)
        data = colours @ _LUMINANCE
        warned.append("a colour picture: its luminance is used")
    if data.size < 2:
        raise UnreadableFileError(
            f"{name}: the signal is empty: {data.size} values, shape {data.shape}; {_AGAIN}"
        )
    if data.dtype.kind == "c":
        raise UnreadableFileError(
            f"{name}: the values are complex (a wave or a Fourier transform), not a measured "
            "intensity; save the modulus or the original picture"
        )
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
        warned.append("true/false values: a mask rather than a measurement")
    if data.dtype.kind not in "iuf":
        raise UnreadableFileError(f"{name}: the values are no numbers ({data.dtype}); {_AGAIN}")
    if data.dtype.kind == "i" and data.ndim > 1 and np.mean(data < 0) > _WRAPPED:
        data = np.ascontiguousarray(data).view(data.dtype.str.replace("i", "u"))
        warned.append("all values were negative: signed integers read as the unsigned they were")
    return data.astype(data.dtype.newbyteorder("="), copy=False), warned


def _is_spectrum(raw: RawSignal) -> bool:
    if raw.data.ndim == 1:
        return True
    energies = [axis for axis in raw.axes if _is_energy(axis)]
    if energies:
        return True
    return sum(not axis.navigate for axis in raw.axes) == 1


def _is_energy(axis: RawAxis) -> bool:
    known = standard_unit(axis.unit)
    return known is not None and known[0] == "eV"


def _signal_last(raw: RawSignal, count: int) -> list[int]:
    """Order of axes that puts the spectrum's or picture's own axes last."""
    indices = range(raw.data.ndim)
    if count == 1:
        energies = [i for i in indices if _is_energy(raw.axes[i])]
        own = energies[-1:] or [i for i in indices if not raw.axes[i].navigate][-1:]
        own = own or [raw.data.ndim - 1]
    else:
        own = [i for i in indices if not raw.axes[i].navigate]
        if len(own) != 2:
            own = list(indices)[-2:]
    return [i for i in indices if i not in own] + own


def _spectrum(
    raw: RawSignal, described: list[RawAxis], data: np.ndarray, name: str
) -> tuple[list[RawAxis], np.ndarray, Modality, Calibration, list[str]]:
    own = described[-1]
    unit, values, calibration, notes = own.unit, own.values, Calibration.UNKNOWN, []
    known = standard_unit(unit)
    if known is None and re.search("energy", own.name, re.IGNORECASE) and own.values.size > 1:
        known = ("eV", 1e3 if "EDS" in raw.signal_type and own.values.max() < 100 else 1.0)
        calibration = Calibration.ASSUMED
        notes.append(f"the energy unit is not given: taken for {'k' * (known[1] > 1)}eV")
    elif known is not None:
        calibration = Calibration.ASSUMED if raw.assumed else Calibration.KNOWN
    if known is not None and known[0] == "eV":
        unit, values = "eV", values * known[1]
        if values.size > 1 and values[0] > values[-1]:
            values, data = values[::-1], data[..., ::-1]
        _check_energy(values, name)
    elif known is not None:
        unit, values = known[0], values * known[1]
    kind = recognise.spectrum_kind(raw, values if unit == "eV" else None)
    if kind is Modality.OTHER and raw.signal_type and unit != "eV":
        notes.append(f"declared as {raw.signal_type}, but its axis is no energy ({own.unit!r})")
    if values.size < 32:
        notes.append(f"only {values.size} channels")
    return [*described[:-1], replace(own, unit=unit, values=values)], data, kind, calibration, notes


def _check_energy(values: np.ndarray, name: str) -> None:
    steps = np.abs(np.diff(values))
    if values.size < 2:
        raise UnreadableFileError(f"{name}: a single channel is no spectrum; {_AGAIN}")
    low, high = _ENERGY_STEP_EV
    if not (
        np.isfinite(values).all()
        and low <= np.median(steps) <= high
        and _ENERGY_RANGE_EV[0] <= values.min() <= values.max() <= _ENERGY_RANGE_EV[1]
    ):
        raise UnreadableFileError(
            f"{name}: energies from {values.min():g} to {values.max():g} eV in steps of "
            f"{np.median(steps):g} eV are not those of a spectrum; {_AGAIN}"
        )


def _picture(
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
        if axis.unit == "nm" and step and not _PIXEL_NM[0] <= step <= _PIXEL_NM[1]:
            return False
        if axis.unit == "1/angstrom" and step * axis.values.size > _WIDEST_G:
            return False
        if axis.unit in ("eV", "rad"):
            return False
    return True


def _named(described: list[RawAxis], count: int, kind: Modality) -> list[Axis]:
    """Axes under the names of `record.Axis`."""
    own: tuple[str, ...] = ("ky", "kx") if kind is Modality.DIFFRACTION else ("y", "x")
    if count == 1:
        first = described[-1]
        own = ("energy" if first.unit == "eV" else first.name.lower() or "channel",)
    axes: list[Axis] = []
    for axis in described[:-count]:
        name = axis.name.lower().removeprefix("r_").removeprefix("r")
        taken = {*own, *(a.name for a in axes)}
        if name not in ("x", "y") or name in taken:
            others = sum(a.name.startswith("navigation") for a in axes)
            name = f"navigation{others + 1}" if others else "navigation"
        axes.append(_navigation(axis, name))
    for axis, name in zip(described[-count:], own, strict=True):
        axes.append(Axis(name, axis.unit, axis.values))
    return axes


def _navigation(axis: RawAxis, name: str) -> Axis:
    known = standard_unit(axis.unit)
    values, unit = axis.values, axis.unit
    if known is not None:
        unit, values = known[0], values * known[1]
    steps = np.diff(values)
    impossible = unit == "nm" and steps.size > 0 and abs(steps[0]) > _PIXEL_NM[1]
    if impossible or not np.isfinite(values).all() or (steps.size > 0 and not steps.all()):
        return Axis(name, "px", np.arange(values.size, dtype=float))
    return Axis(name, unit, values)


def _check(
    data: np.ndarray, stored: np.ndarray, axes: list[Axis], kind: Modality, name: str
) -> list[str]:
    along = axes[-1].values if len(axes[-1].values) > 1 else None
    warned = check_array(data, name=name, axis=along)
    cut = recognise.filled_up(stored, kind)
    if cut:
        raise UnreadableFileError(f"{name}: {cut}; copy the file again from the instrument")
    return list(warned)


def _value_unit(data: np.ndarray) -> str:
    if data.dtype.kind == "u":
        return "counts"
    whole = data.dtype.kind == "i" or bool((data == np.round(data)).all())
    return "counts" if whole and data.min() >= 0 else "arbitrary"
