"""The types that leave this room: one Measurement per file, one Record per specimen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Literal

import numpy as np

from xtalfuse.physics.grains.crystal_map import CrystalMap
from xtalfuse.physics.units import Radiation


class Modality(StrEnum):
    """What kind of record a file holds."""

    XRD = "xrd"  # powder pattern, intensity against two_theta
    EELS = "eels"  # electron energy loss (core or low loss), intensity against energy
    EDS = "eds"  # X-ray emission, counts against energy
    DIFFRACTION = "diffraction"  # 2-D electron diffraction (rings or spots)
    IMAGE = "image"  # real-space image
    EBSD = "ebsd"  # map of crystal orientations
    CT = "ct"  # volume of grey values or labels
    OTHER = "other"  # readable, but nothing in this package uses it yet


class Calibration(StrEnum):
    """Where an axis scale comes from. An assumption is never silent."""

    KNOWN = "known"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Axis:
    """One axis of a Measurement.

    Parameters
    ----------
    name : ``"two_theta"``, ``"energy"``, ``"x"``, ``"y"``, ``"kx"``, ``"ky"``, ``"navigation"``
    unit : ``"deg"``, ``"eV"``, ``"nm"``, ``"1/angstrom"``, ``"px"``, ``""``
    values : (n,) as long as that dimension of the array
    calibration : of this axis. Where it is not given, an axis with a unit is known, one that
        counts pixels is not, and one without a unit only numbers things: None.
    navigate : whether it runs over positions or time, and is no part of the signal itself
    """

    name: str
    unit: str
    values: np.ndarray
    calibration: Calibration | None = None
    navigate: bool = False

    def __post_init__(self) -> None:
        if self.calibration is None and self.unit:
            state = Calibration.UNKNOWN if self.unit == "px" else Calibration.KNOWN
            object.__setattr__(self, "calibration", state)


@dataclass(frozen=True)
class Beam:
    """What the specimen was lit with.

    Parameters
    ----------
    kind : ``"x-ray"`` or ``"electron"``
    radiation : the X-ray lines
    energy_kev : of the electrons; None where the file does not say
    """

    kind: Literal["x-ray", "electron"]
    radiation: Radiation | None = None
    energy_kev: float | None = None


@dataclass(frozen=True)
class Instrument:
    """Facts of the instrument that other rooms reckon with; None where they are not known.

    Parameters
    ----------
    monochromator : its crystal, in the words of the file
    powder_doubtful : whether the optics or the scan are those of films and single crystals
    zero_loss_in_range : whether an energy-loss spectrum holds its zero-loss peak
    camera_length_mm : of a diffraction pattern
    scale_relative_su : relative standard uncertainty of the scale of a pattern
    """

    monochromator: str | None = None
    powder_doubtful: bool = False
    zero_loss_in_range: bool | None = None
    camera_length_mm: float | None = None
    scale_relative_su: float | None = None


Sampled = Literal["bulk", "surface", "spot"]


def calibrated(axes: Iterable[Axis], calibration: Calibration) -> tuple[Axis, ...]:
    """The axes with one calibration for all that are part of the signal."""
    return tuple(a if a.navigate else replace(a, calibration=calibration) for a in axes)


@dataclass(frozen=True)
class Provenance:
    """Where the numbers come from: enough to find and to distrust them."""

    path: str
    sha256: str
    reader: str  # e.g. "rietx", "hyperspy/digitalmicrograph"
    metadata: dict[str, Any] = field(default_factory=dict)  # plain JSON values only
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One array with named axes, as one instrument recorded it.

    Parameters
    ----------
    modality : what kind of record it is
    values : array; for XRD (n,) intensities in ``value_unit``; for EBSD (n, 4) orientations
    axes : one Axis per array dimension, in order
    value_unit : ``"counts"``, ``"counts/s"`` or ``"arbitrary"``
    provenance : file, hash, reader, metadata for people, warnings
    beam : what the specimen was lit with, where it is known
    sigma : standard uncertainty of each value where the file gives one
    crystal_map : points, phases and orientations (EBSD only; `values` is its orientation)
    instrument : facts that other rooms reckon with
    sampled : ``"bulk"``, ``"surface"`` or ``"spot"``: what of the specimen the beam saw
    """

    modality: Modality
    values: np.ndarray
    axes: tuple[Axis, ...]
    value_unit: str
    provenance: Provenance
    beam: Beam | None = None
    sigma: np.ndarray | None = None
    crystal_map: CrystalMap | None = None
    instrument: Instrument = Instrument()
    sampled: Sampled | None = None

    @property
    def calibration(self) -> Calibration:
        """The worst of the axes of the signal: an assumption about one is one about it."""
        states = [a.calibration for a in self.axes if not a.navigate and a.calibration]
        return max(states, key=list(Calibration).index, default=Calibration.UNKNOWN)

    @property
    def radiation(self) -> Radiation | None:
        """The X-ray lines; None without X-rays, or where they are not known."""
        return None if self.beam is None else self.beam.radiation

    def to_hyperspy(self) -> Any:
        """A HyperSpy signal of the same values, axes and units.

        What HyperSpy has no place for (calibration, X-ray lines, provenance) stands in
        ``metadata.xtalfuse``, from where `xtalfuse.from_hyperspy` takes it back.

        Raises
        ------
        ValueError
            If it is a map of orientations: orix has a type for those.
        """
        if self.crystal_map is not None:
            raise ValueError(
                f"{self.provenance.path}: HyperSpy has no signal for a map of orientations; "
                "read the file with orix"
            )
        from hyperspy.api import signals

        own = sum(not axis.navigate for axis in self.axes)
        kinds = {1: signals.Signal1D, 2: signals.Signal2D}
        signal = kinds.get(own, signals.BaseSignal)(
            self.values, axes=[_hyperspy_axis(axis) for axis in self.axes]
        )
        signal.metadata.General.title = self.provenance.metadata.get("title", "")
        energy = None if self.beam is None else self.beam.energy_kev
        signal_type = {Modality.EELS: "EELS", Modality.EDS: "EDS_TEM"}.get(self.modality)
        if signal_type:
            signal.set_signal_type(signal_type)
        if energy is not None and self.beam is not None and self.beam.kind == "electron":
            signal.metadata.set_item("Acquisition_instrument.TEM.beam_energy", energy)
        signal.metadata.set_item("xtalfuse", asdict(replace(self, values=None, axes=())))  # type: ignore[arg-type]
        states = [axis.calibration and str(axis.calibration) for axis in self.axes]
        signal.metadata.set_item("xtalfuse.calibrations", states)
        return signal

    def to_xarray(self) -> Any:
        """An `xarray.DataArray` with the axes as coordinates, units among their attributes.

        Raises
        ------
        ImportError
            If xarray is not installed.
        """
        try:
            from xarray import DataArray
        except ImportError:
            raise ImportError("xarray is not installed; install it: pip install xarray") from None
        coordinates = {
            a.name: (a.name, a.values, {"units": a.unit, "calibration": str(a.calibration)})
            for a in self.axes
        }
        about = {"units": self.value_unit, "path": self.provenance.path}
        about |= {"sha256": self.provenance.sha256, "reader": self.provenance.reader}
        names = [axis.name for axis in self.axes]
        return DataArray(self.values, coordinates, names, str(self.modality), about)

    def axis(self, name: str) -> np.ndarray:
        """Values of the axis called `name`.

        Raises
        ------
        KeyError
            If there is no such axis; the message lists those there are.
        """
        for candidate in self.axes:
            if candidate.name == name:
                return candidate.values
        raise KeyError(f"no axis {name!r}; this measurement has {[a.name for a in self.axes]}")


def _hyperspy_axis(axis: Axis) -> dict[str, Any]:
    """An axis as HyperSpy describes it: by offset and scale where it is even."""
    described = {"name": axis.name, "units": axis.unit, "navigate": axis.navigate}
    values = np.asarray(axis.values, float)
    steps = np.diff(values)
    if values.size > 1 and np.ptp(steps) > 1e-6 * abs(steps.mean()):
        return {**described, "axis": values}
    scale = float(values[-1] - values[0]) / (values.size - 1) if values.size > 1 else 1.0
    return {**described, "size": values.size, "offset": float(values[0]), "scale": scale}


@dataclass(frozen=True)
class FileReport:
    """What became of one file of a specimen."""

    path: str
    sha256: str | None
    modality: str | None
    reader: str | None
    used: bool
    reason: str  # why it was not used; "" when it was
    code: Reason | None = None  # of that reason


@dataclass(frozen=True)
class Record:
    """One specimen: everything that instruments wrote about it.

    An absent modality is absent from `measurements`; it is never a placeholder.
    """

    specimen: str
    group: str  # specimens of one group are never split between training and test
    measurements: tuple[Measurement, ...]
    files: tuple[FileReport, ...] = ()
    elements: tuple[str, ...] | None = None  # known by hand or from specimen.yaml
    targets: dict[str, Any] = field(default_factory=dict)
    notes: str = ""

    def of(self, *modalities: Modality) -> tuple[Measurement, ...]:
        """The measurements of these modalities, in file order."""
        return tuple(m for m in self.measurements if m.modality in modalities)


class Reason(StrEnum):
    """Why something is not used: the codes that tables of refused files are sorted by."""

    MISSING = "missing"  # no such file
    NO_FILE = "not-a-file"  # a device, a pipe, a folder where a file is meant
    NOT_PERMITTED = "not-permitted"
    EMPTY = "empty"
    TOO_LARGE = "too-large"  # in the file, in memory, or in what it declares
    TOO_SLOW = "too-slow"
    CRASHED = "crashed"  # the process that read it died
    UNKNOWN_FORMAT = "unknown-format"
    NOT_AS_STATED = "not-as-stated"  # another kind of record than a person says
    LACKING = "package-lacking"  # a package that reads it is not installed
    DAMAGED = "damaged"  # a library gave up on it
    REFUSED = "refused"  # its reader read it and does not trust it
    UNUSED = "unused-kind"  # readable, and of a kind that nothing here uses
    OUTSIDE = "outside-root"  # a path that leads out of the folder of the data
    NOTHING = "nothing-found"  # a pattern that no file matches
    DOUBT = "doubt"  # read, with something put right or left out that should be looked at
    DUPLICATE = "duplicate"
    CONFLICT = "duplicate-conflict"  # the same measurement under two different labels
    LABEL = "label"  # a target that is no number, or has a wrong unit
    RANGE = "out-of-range"  # a target that no material can have
    PHYSICS = "physics"  # targets, cell or composition that contradict each other
    DISAGREES = "label-disagrees"  # the measurement cannot be of what the label says


class UnreadableFileError(Exception):
    """A file that cannot be trusted: the message names file, cause and remedy.

    Parameters
    ----------
    message : in one line
    reason : its code
    """

    def __init__(self, message: str = "", reason: Reason = Reason.REFUSED) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.reason)
