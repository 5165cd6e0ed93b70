"""Files of electron microscopes: spectra (EELS, EDS), diffraction patterns and images.

`measured` converts energies to eV, lengths to nm and reciprocal lengths to 1/angstrom, says
what kind of record a signal is, and refuses what cannot be trusted. Where a file holds several
signals it returns the most informative one and lists the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    Instrument,
    Measurement,
    Modality,
    Provenance,
    UnreadableFileError,
    calibrated,
)
from xtalfuse.loaders.safe.checks import check_array, check_axis
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, FileHead, damaged, refused, sha256_of
from xtalfuse.loaders.tem import recognise
from xtalfuse.loaders.tem.scale import PIXEL_NM, scaled_picture, stated
from xtalfuse.loaders.tem.signals import RawAxis, RawSignal, number, standard_unit, tidy

# An element shows in a spectrum, a structure in a pattern; a picture comes last.
_RANK = {
    Modality.EELS: 3, Modality.EDS: 3, Modality.DIFFRACTION: 2, Modality.IMAGE: 1,
    Modality.OTHER: 0,
}  # fmt: skip
_ENERGY_STEP_EV = (1e-4, 1e3)
_ENERGY_RANGE_EV = (-2e4, 1e6)
_WRAPPED = 0.99  # share of negative values in a picture that no camera and no dark frame makes
# ITU-R BT.601
_LUMINANCE = {"R": np.float32(0.299), "G": np.float32(0.587), "B": np.float32(0.114)}


def signals_reader(
    name: str,
    about: str,
    modalities: tuple[Modality, ...],
    suffixes: tuple[str, ...],
    sniff: Callable[[FileHead], Certainty],
    signals: Callable[[Path], tuple[str, list[RawSignal]]],
    **declared: Any,
) -> Reader:
    """The reader of a format of electron microscopes; what all of them share is done here.

    Parameters
    ----------
    name : a word, unique: ``"digitalmicrograph"``
    about : maker or program
    modalities : what such files hold
    suffixes : usual suffixes
    sniff : how sure it is that a file is of this format
    signals : name for the provenance, and the signals of a file as it states them
    declared : further fields of `Reader`
    """

    def read(path: Path, options: ReadOptions) -> Measurement:
        return measured(path, signals, options)

    return Reader(name, about, modalities, read, suffixes, sniff, **declared)


def measured(
    path: Path, signals: Callable[[Path], tuple[str, list[RawSignal]]], options: ReadOptions
) -> Measurement:
    """The most informative measurement in a file of an electron microscope.

    Returns
    -------
    Measurement: a spectrum is (n,) or (positions..., n), float, with an ``energy`` axis in eV;
    a diffraction pattern is (..., ny, nx) with ``ky``, ``kx`` in 1/angstrom; an image is
    (..., ny, nx) with ``y``, ``x`` in nm; pictures keep the number type of the file. Axes
    without a calibration count pixels (``px``).

    Raises
    ------
    UnreadableFileError
        If a companion file is missing, or the data are damaged, cut, empty, constant, padded
        with zeros, or of a kind that no measurement has.
    """
    try:
        reader, found = signals(path)
        sha256 = sha256_of(path)
    except UnreadableFileError:
        raise
    except MemoryError:
        raise UnreadableFileError(
            f"{path.name}: asks for more memory than there is; crop it, or {EXPORT_AGAIN}"
        ) from None
    except Exception as error:  # a damaged file makes readers raise anything
        raise damaged(path.name, error) from error
    provenance = Provenance(str(path), sha256, reader)
    return most_informative(found, provenance, path.name, options)


def most_informative(
    signals: list[RawSignal], provenance: Provenance, name: str, options: ReadOptions | None = None
) -> Measurement:
    """The signal that tells most; the others are listed in its metadata.

    Parameters
    ----------
    signals : all signals of one file
    provenance : of the file
    name : for messages
    options : what a person says of the file; of a stated kind only such signals are taken

    Raises
    ------
    UnreadableFileError
        If none of them can be trusted.
    """
    good: list[tuple[tuple[float, ...], int, Measurement]] = []
    refused: list[str] = []
    options = options or ReadOptions()
    for index, raw in enumerate(signals):
        try:
            measurement = _measurement(stated(raw, options), provenance, name, options)
        except UnreadableFileError as error:
            refused.append(str(error))
            continue
        if options.modality not in (None, measurement.modality):
            refused.append(
                f"{name}: stated to be {options.modality}, but an array of shape "
                f"{measurement.values.shape} in it is {measurement.modality}; correct the modality"
            )
            continue
        good.append((_information(measurement), -index, measurement))
    if not good:
        raise UnreadableFileError(
            refused[0] if refused else f"{name}: no signal in it; {EXPORT_AGAIN}"
        )
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
    core = not measurement.instrument.zero_loss_in_range
    return rank, core, float(np.abs(measurement.values).sum())


def _listing(measurement: Measurement) -> dict[str, Any]:
    return {
        "title": measurement.provenance.metadata.get("title", ""),
        "modality": measurement.modality.value,
        "shape": list(measurement.values.shape),
    }


def _measurement(
    raw: RawSignal, provenance: Provenance, name: str, options: ReadOptions
) -> Measurement:
    """One signal in standard units, checked.

    It stands for a spot: a transmission specimen is a hundred nanometres of one place.

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
        described, kind, calibration, notes = scaled_picture(raw, described, data, options)
    axes = _named(described, count, kind)
    _check(data, stored, axes, kind, name)
    metadata = dict(raw.metadata)
    metadata["signal_type"] = raw.signal_type
    if kind is Modality.DIFFRACTION and options.camera_length_mm is not None:
        metadata["camera_length_mm"] = options.camera_length_mm
    instrument = Instrument(camera_length_mm=number(metadata.get("camera_length_mm")))
    if kind is Modality.EELS:
        zero = bool(axes[-1].values[0] < 0.0 < axes[-1].values[-1])
        metadata["zero_loss_in_range"] = zero
        instrument = replace(instrument, zero_loss_in_range=zero)
    return Measurement(
        modality=kind,
        values=np.ascontiguousarray(data, float if count == 1 else None),
        axes=calibrated(axes, calibration),
        value_unit=_value_unit(data),
        provenance=replace(
            provenance, metadata=tidy(metadata), warnings=(*raw.warnings, *warned, *notes)
        ),
        beam=Beam("electron", energy_kev=number(metadata.get("beam_energy_keV"))),
        instrument=instrument,
        sampled="spot",
    )


def _real_numbers(raw: RawSignal, name: str) -> tuple[np.ndarray, list[str]]:
    data, warned = raw.data, []
    if data.dtype.names and {"R", "G", "B"} <= set(data.dtype.names):
        luminance = np.zeros(data.shape, np.float32)
        for channel, share in _LUMINANCE.items():
            luminance += share * data[channel]
        data = luminance
        warned.append("a colour picture: its luminance is used")
    if data.size < 2:
        raise refused(name, f"the signal is empty: {data.size} values, shape {data.shape}")
    if data.dtype.kind == "c":
        raise UnreadableFileError(
            f"{name}: the values are complex (a wave or a Fourier transform), not a measured "
            "intensity; save the modulus or the original picture"
        )
    if data.dtype.kind == "b":
        data = data.astype(np.uint8)
        warned.append("true/false values: a mask rather than a measurement")
    if data.dtype.kind not in "iuf":
        raise refused(name, f"the values are no numbers ({data.dtype})")
    if data.dtype.kind == "i" and data.ndim > 1 and np.mean(data < 0) > _WRAPPED:
        data = np.ascontiguousarray(data).view(data.dtype.str.replace("i", "u"))
        warned.append("all values were negative: signed integers read as the unsigned they were")
    data = data.astype(data.dtype.newbyteorder("="), copy=False)
    return data, [*warned, *check_array(data, name=name)]


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
        raise UnreadableFileError(f"{name}: a single channel is no spectrum; {EXPORT_AGAIN}")
    low, high = _ENERGY_STEP_EV
    if not (
        np.isfinite(values).all()
        and low <= np.median(steps) <= high
        and _ENERGY_RANGE_EV[0] <= values.min() <= values.max() <= _ENERGY_RANGE_EV[1]
    ):
        raise UnreadableFileError(
            f"{name}: energies from {values.min():g} to {values.max():g} eV in steps of "
            f"{np.median(steps):g} eV are not those of a spectrum; {EXPORT_AGAIN}"
        )


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
    impossible = unit == "nm" and steps.size > 0 and abs(steps[0]) > PIXEL_NM[1]
    if impossible or not np.isfinite(values).all() or (steps.size > 0 and not steps.all()):
        return Axis(name, "px", np.arange(values.size, dtype=float), navigate=True)
    return Axis(name, unit, values, navigate=True)


def _check(
    data: np.ndarray, stored: np.ndarray, axes: list[Axis], kind: Modality, name: str
) -> None:
    if len(axes[-1].values) > 1:
        check_axis(axes[-1].values, data.shape[-1], name)
    cut = recognise.filled_up(stored, kind)
    if cut:
        raise UnreadableFileError(f"{name}: {cut}; copy the file again from the instrument")


def _value_unit(data: np.ndarray) -> str:
    if data.dtype.kind == "u":
        return "counts"
    whole = data.dtype.kind == "i" or bool((data == np.round(data)).all())
    return "counts" if whole and data.min() >= 0 else "arbitrary"
