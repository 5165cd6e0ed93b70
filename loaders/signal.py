"""A HyperSpy signal in memory -> Measurement."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Calibration,
    Instrument,
    Measurement,
    Modality,
    Provenance,
)
from xtalfuse.loaders.tem.read import most_informative
from xtalfuse.loaders.tem.signals import RawAxis, RawSignal, text
from xtalfuse.loaders.tem.vendor import instrument_of
from xtalfuse.physics.given import check_given
from xtalfuse.physics.units import Radiation


def from_hyperspy(signal: Any) -> Measurement:
    """The measurement in a HyperSpy signal.

    A signal that `Measurement.to_hyperspy` made comes back as it was. Of any other one, units,
    modality and instrument are found out and checked as of a file of an electron microscope.

    Parameters
    ----------
    signal : `hyperspy.signals.BaseSignal`, lazy ones too (they are computed)

    Raises
    ------
    UnreadableFileError
        If the signal is empty, constant, not finite, or of a kind that no measurement has.

    Examples
    --------
    >>> import numpy as np
    >>> import xtalfuse
    >>> from hyperspy.api import signals
    >>> axis = {"name": "Energy loss", "units": "eV", "offset": 400.0, "scale": 0.5, "size": 64}
    >>> signal = signals.Signal1D(np.linspace(90.0, 40.0, 64), axes=[axis])
    >>> signal.set_signal_type("EELS")
    >>> xtalfuse.from_hyperspy(signal).axis("energy")[:3]
    array([400. , 400.5, 401. ])
    """
    if not hasattr(signal, "axes_manager"):
        check_given(signal, type("BaseSignal", (), {}), "from_hyperspy", "of HyperSpy")
    manager = signal.axes_manager
    # HyperSpy counts axes from the last of the array
    described = [*manager.navigation_axes[::-1], *manager.signal_axes[::-1]]
    data = np.asarray(signal.data)  # computes a lazy one
    metadata = signal.metadata.as_dictionary()
    if "xtalfuse" in metadata:
        return _restored(metadata["xtalfuse"], data, described)
    title = text(str(signal.metadata.get_item("General.title", ""))) or "signal"
    raw = RawSignal(
        data,
        tuple(RawAxis(_word(a.name), _word(a.units), a.axis, bool(a.navigate)) for a in described),
        signal_type=text(str(signal.metadata.get_item("Signal.signal_type", ""))) or "",
        metadata=instrument_of(metadata, signal.original_metadata.as_dictionary()),
    )
    sha256 = hashlib.sha256(np.ascontiguousarray(data).tobytes()).hexdigest()
    return most_informative([raw], Provenance(title, sha256, "hyperspy"), title)


def _word(value: Any) -> str:
    """A name or unit; HyperSpy writes a value of its own where there is none."""
    return value if isinstance(value, str) else ""


def _restored(kept: dict[str, Any], data: np.ndarray, described: list[Any]) -> Measurement:
    axes = tuple(
        Axis(
            _word(axis.name),
            _word(axis.units),
            np.asarray(axis.axis, float),
            None if state is None else Calibration(state),
            bool(axis.navigate),
        )
        for axis, state in zip(described, kept["calibrations"], strict=True)
    )
    beam = kept["beam"]
    if beam is not None:
        lines = beam["radiation"]
        if lines is not None:
            waves, weights = (tuple(lines[k]) for k in ("wavelengths_angstrom", "weights"))
            lines = Radiation(lines["name"], waves, weights, bool(lines.get("nominal")))
        beam = Beam(beam["kind"], lines, beam["energy_kev"])
    source = kept["provenance"]
    return Measurement(
        modality=Modality(kept["modality"]),
        values=data,
        axes=axes,
        value_unit=kept["value_unit"],
        provenance=Provenance(**{**source, "warnings": tuple(source["warnings"])}),
        beam=beam,
        sigma=kept["sigma"],
        instrument=Instrument(**kept["instrument"]),
        sampled=kept["sampled"],
    )
