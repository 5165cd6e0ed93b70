"""What a reader declares of itself, and what a person may say of a file beside it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

import numpy as np

from xtalfuse.loaders.record import Measurement, Modality
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.safe.spool import Spool, Spooled
from xtalfuse.loaders.tem.signals import standard_unit
from xtalfuse.physics.units import radiation

BEAM_KEV = (0.1, 5000.0)  # the lowest SEM and the highest TEM
STEP_UM = (1e-5, 1e5)  # a voxel, or a distance of sections, of 0.01 nm to 10 cm


class Certainty(IntEnum):
    """How sure a reader is that a file is its own; the surest reader gets it."""

    NONE = 0
    ON_REQUEST = 1  # only where a person says what it is
    TABLE = 2  # numbers that any program could have written
    CONTAINER = 3  # a general container (HDF5, TIFF, a workbook): another may know what is in it
    LIKELY = 4  # by its name, or by something in it that others may have too
    SURE = 5  # by a mark that nothing else has


@dataclass(frozen=True)
class ReadOptions:
    """What a person says of a file beside it; each wins over what the file says.

    Parameters
    ----------
    wavelength : X-ray radiation: ``"CuKa"``, ``"CoKa1"``, 1.5406 (angstrom)
    camera_length_mm : of an electron diffraction pattern
    voxel_size_um : z, y, x of a volume
    section_step_um : distance of serial sections
    part : which of several volumes of a file, what stands behind ``#``
    scan : number of one of several scans of a file, from 1 as they stand in it
    labels : whether the values of a volume are labels; None to judge by the values
    modality : what kind of record the file is
    beam_energy_kev : of the electrons
    scale, unit, offset : of a picture's pixel or a spectrum's channel, and of the first
    spool : where a large array may be written; None to keep it in memory
    largest_gb : the largest file to read; None for what the format allows

    Raises
    ------
    ValueError
        If one of them cannot be; TypeError if there is no such option.
    """

    wavelength: str | float | None = None
    camera_length_mm: float | None = None
    voxel_size_um: tuple[float, float, float] | None = None
    section_step_um: float | None = None
    part: str | None = None
    scan: int | None = None
    labels: bool | None = None
    modality: Modality | None = None
    beam_energy_kev: float | None = None
    scale: float | None = None
    unit: str | None = None
    offset: float | None = None
    spool: Spool | None = None
    largest_gb: float | None = None

    def __post_init__(self) -> None:
        if self.wavelength is not None:
            radiation(self.wavelength)
        if self.scan is not None and self.scan < 1:
            raise ValueError(f"scan {self.scan}: the scans of a file are numbered from 1")
        if self.modality is not None:
            object.__setattr__(self, "modality", stated_modality(self.modality))
        low, high = BEAM_KEV
        if self.beam_energy_kev is not None and not low <= self.beam_energy_kev <= high:
            raise ValueError(
                f"beam energy {self.beam_energy_kev:g}: give keV, between {low:g} and {high:g}"
            )
        _check_scale(self.scale, self.unit, self.offset)
        for name in ("camera_length_mm", "section_step_um"):
            value = getattr(self, name)
            if value is not None and not 0 < value < STEP_UM[1]:
                what, unit = name.replace("_", " ").rsplit(" ", 1)
                full = {"mm": "millimetres", "um": "micrometres"}[unit]
                raise ValueError(f"{what} {value!r}: give {full}, more than zero")
        object.__setattr__(self, "voxel_size_um", voxel_size(self.voxel_size_um))

    @property
    def means_volume(self) -> bool:
        """Whether a person means a volume, whatever the file looks like."""
        stated = any(said is not None for said in (self.part, self.voxel_size_um, self.labels))
        return (stated and self.modality is None) or self.modality is Modality.CT


def _check_scale(scale: float | None, unit: str | None, offset: float | None) -> None:
    if scale is None and unit is None and offset is None:
        return
    if scale is None or unit is None:
        raise ValueError("scale, units: give both, such as 0.02 and 1/nm, or none")
    if not (np.isfinite(scale) and scale > 0.0 and np.isfinite(offset or 0.0)):
        raise ValueError(f"scale {scale!r}, offset {offset!r}: give numbers, the scale above zero")
    if standard_unit(unit) is None:
        raise ValueError(
            f"units {unit!r} are not known; give one of nm, um, angstrom, 1/nm, 1/angstrom, mrad, "
            "eV, keV"
        )


def stated_modality(value: str) -> Modality:
    """The kind of record that a person names.

    Raises
    ------
    ValueError
        If it is none; the message says which there are.
    """
    known = [str(kind) for kind in Modality if kind is not Modality.OTHER]
    word = str(value).strip().lower()
    if word not in known:
        close = difflib.get_close_matches(word, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"give one of {', '.join(known)}"
        raise ValueError(f"{value!r} is no modality; {hint}")
    return Modality(word)


def voxel_size(value: float | tuple[float, ...] | None) -> tuple[float, float, float] | None:
    """z, y, x in micrometre from one number or three.

    Raises
    ------
    ValueError
        If it is not positive, or neither one number nor three.
    """
    if value is None:
        return None
    step = np.asarray(value, float)
    if step.shape not in ((), (3,)) or not ((step > STEP_UM[0]) & (step < STEP_UM[1])).all():
        raise ValueError(
            f"voxel size {value!r}: give one number, or three as z, y, x, in micrometre"
        )
    dz, dy, dx = (float(s) for s in np.broadcast_to(step, 3))
    return dz, dy, dx


def split_part(path: str | Path) -> tuple[Path, str | None]:
    """(file or folder, what stands behind ``#``); a file that has the name as it is wins."""
    path = Path(path)
    before, mark, part = str(path).partition("#")
    if not mark or path.exists() or not Path(before).exists():
        return path, None
    return Path(before), part


def never(head: FileHead) -> Certainty:
    """The `sniff` of a reader of folders, which knows no file."""
    return Certainty.NONE


def no_files(place: Path | FileHead) -> tuple[Path, ...]:
    """Nothing: most files stand alone, and most readers read no folder."""
    return ()


@dataclass(frozen=True)
class Number:
    """Whence one number comes that answers rest on, in files of one format.

    Parameters
    ----------
    name : what it is, one of `NUMBERS_OF` its modality, or another
    row : the row, column or field where it stands, in the words of the format
    unit : where its unit comes from: the field's name, a header, fixed by the format
    sign : where sign, decimal mark and direction come from, and what stands for "missing"
    """

    name: str
    row: str
    unit: str
    sign: str = ""


# What a reader says of the numbers of each kind of record, at least.
NUMBERS_OF: dict[Modality, tuple[str, ...]] = {
    Modality.XRD: ("two_theta", "intensity", "wavelength"),
    Modality.EELS: ("energy", "counts"),
    Modality.EDS: ("energy", "counts"),
    Modality.DIFFRACTION: ("scale", "intensity"),
    Modality.IMAGE: ("scale", "intensity"),
    Modality.EBSD: ("position", "orientation", "phase", "not indexed", "symmetry"),
    Modality.CT: ("voxel", "value", "order of axes"),
}


MEMORY_GB = 4.0  # of a reader: what it reads whole is no larger

# Size of the largest files of each kind: text of some million points (patterns) or of some ten
# million (maps), what memory holds, or no limit where a file is read in parts.
LARGEST_GB: dict[Modality, float] = dict.fromkeys(Modality, MEMORY_GB) | {
    Modality.XRD: 0.2,
    Modality.EBSD: 1.0,
    Modality.CT: math.inf,
}


@dataclass(frozen=True)
class Reader:
    """One format: how a file of it is known, how it is read, and what is known to fail.

    A module of a room of readers declares it under the name ``READERS``; a package of your
    own, in its entry points ``xtalfuse.readers``. Nothing else has to be told about it.

    Parameters
    ----------
    name : a word, unique: ``"stoe-raw"``
    about : maker or program, and what is in the file, for people
    modalities : what may come out
    read : the measurement in a file (or in the folder, see `folder`); raises
        UnreadableFileError, with the remedy, where it cannot be trusted. It runs in a guarded
        child process.
    suffixes : usual suffixes, for people: files are known by their content
    sniff : how sure the reader is that a file is its own, from its head
    companions : files beside a file of this format that are read together with it
    folder : the files of a folder that together are one measurement; none if it is not one
    limits : what is known to fail, or not to have been tried, one sentence each
    numbers : whence the numbers come that answers rest on, at least those of `NUMBERS_OF`
    slow : whether `sniff` imports a large library: then it is asked only where no other
        reader knows the file
    largest_gb : files above this size are refused unread; None for that of its modalities in
        `LARGEST_GB`
    """

    name: str
    about: str
    modalities: tuple[Modality, ...]
    read: Callable[[Path, ReadOptions], Measurement | Spooled] = field(repr=False)
    suffixes: tuple[str, ...] = ()
    sniff: Callable[[FileHead], Certainty] = field(default=never, repr=False)
    companions: Callable[[FileHead], tuple[Path, ...]] = field(default=no_files, repr=False)
    folder: Callable[[Path], tuple[Path, ...]] = field(default=no_files, repr=False)
    limits: tuple[str, ...] = ()
    numbers: tuple[Number, ...] = ()
    slow: bool = False
    largest_gb: float | None = None

    @property
    def largest(self) -> float:
        """Size in GB above which a file is refused unread."""
        if self.largest_gb is not None:
            return self.largest_gb
        return max((LARGEST_GB[kind] for kind in self.modalities), default=MEMORY_GB)
