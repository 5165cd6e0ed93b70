"""One specimen: a file, or a folder with the files of all its instruments."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from xtalfuse.loaders import registry
from xtalfuse.loaders.description import (
    DESCRIPTIONS,
    Description,
    FileStatement,
    check_elements,
    read_description,
)
from xtalfuse.loaders.file import load_with
from xtalfuse.loaders.reader import ReadOptions, stated_modality
from xtalfuse.loaders.record import (
    FileReport,
    Measurement,
    Modality,
    Reason,
    Record,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.guard import guarded
from xtalfuse.loaders.safe.head import sha256_of
from xtalfuse.physics.given import as_path

MOST_FILES = 1000
_HASHED_FIRST = 100_000_000  # bytes: a tenth of a second


@dataclass
class _Findings:
    """What was read so far of one specimen."""

    measurements: list[Measurement] = field(default_factory=list)
    reports: dict[Path, FileReport] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Stated:
    """What a person says of all files, and of some.

    Parameters
    ----------
    options : of all files
    files : of single ones, by name
    by_hand : whether a wavelength was given beside the folder: it wins over that of a file
    """

    options: ReadOptions
    files: dict[str, FileStatement]
    by_hand: bool

    def of(self, file: Path) -> ReadOptions:
        said = self.files.get(file.name)
        if said is None:
            return self.options
        found = said.over(self.options)
        return replace(found, wavelength=self.options.wavelength) if self.by_hand else found


def load_specimen(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    elements: str | Iterable[str] | None = None,
    scan: int | None = None,
    modality: Modality | str | None = None,
) -> Record:
    """Everything that instruments wrote about one specimen.

    Parameters
    ----------
    path : one instrument file, or the folder of one specimen. Hidden files are ignored; a
        folder of TIFF slices is one volume; an optional ``specimen.yaml`` has the keys
        ``wavelength``, ``elements``, ``camera_length`` (mm), ``notes``, ``group``, and ``files``
        with what is known of single files.
    wavelength : X-ray radiation by hand; wins over ``specimen.yaml`` and over the files
    elements : symbols of the elements known to be there; wins over ``specimen.yaml``
    scan : number of the scan to read of powder files with several, from 1
    modality : what kind of record a single file is; in a folder ``specimen.yaml`` says it

    Returns
    -------
    Record with one FileReport for each file. A file that cannot be read or trusted is
    reported with its reason and costs none of the others.

    Raises
    ------
    UnreadableFileError
        If there is nothing at `path`, or its ``specimen.yaml`` is wrong.
    ValueError
        If `wavelength`, `elements`, `scan` or `modality` are wrong.
    """
    path = as_path(path, "load_specimen")
    options = _options(path, wavelength, scan, modality)  # a wrong one is the caller's mistake
    by_hand = None if elements is None else check_elements(elements)
    if not path.exists():
        raise UnreadableFileError(f"{path.name}: no such file or folder; check the path {path}")
    said = Description()
    findings = _Findings()
    files = [path]
    if path.is_dir() and not _is_volume(path):
        said, files = _inside(path, findings)
    options = replace(
        options,
        wavelength=said.wavelength if wavelength is None else wavelength,
        camera_length_mm=said.camera_length,
    )
    _read_all(files, _Stated(options, said.files, wavelength is not None).of, findings)
    name = path.resolve().name if path.is_dir() else path.stem
    return Record(
        specimen=name,
        group=said.group or name,
        measurements=tuple(findings.measurements),
        files=tuple(findings.reports[file] for file in sorted(findings.reports)),
        elements=said.elements if by_hand is None else by_hand,
        notes=said.notes,
    )


def read_files(
    files: Mapping[Path, ReadOptions],
) -> tuple[tuple[Measurement, ...], tuple[FileReport, ...]]:
    """What the instruments of one specimen wrote into these files, wherever they lie.

    Parameters
    ----------
    files : each file, or folder that is one measurement, with what is known of it by hand

    Returns
    -------
    The measurements and a report of each file, in the order of their paths; a file that cannot
    be read or trusted is reported with its reason and costs none of the others.
    """
    findings = _Findings()
    _read_all(sorted(files), files.__getitem__, findings)
    return tuple(findings.measurements), tuple(findings.reports[f] for f in sorted(files))


def _options(
    path: Path, wavelength: str | float | None, scan: int | None, modality: Modality | str | None
) -> ReadOptions:
    """What is said beside the path; a modality of one file only."""
    kind = None if modality is None else stated_modality(modality)
    if kind is not None and path.is_dir() and not _is_volume(path):
        raise ValueError(
            f"modality {kind}: of one file, and {path.name} is a folder; say it in its "
            f"specimen.yaml, as files: {{NAME: {{modality: {kind}}}}}"
        )
    return ReadOptions(wavelength=wavelength, scan=scan, modality=kind)


def _is_volume(folder: Path) -> bool:
    """Whether a folder holds one volume; one of orientation maps holds several measurements."""
    found = registry.folder_reader(folder)
    return found is not None and Modality.CT in registry.READERS[found[0]].modalities


def _why_no_volume(folder: Path) -> str:
    """Why a folder inside that of a specimen cannot be used; empty where it is a volume."""
    try:
        volume = _is_volume(folder)
    except UnreadableFileError as error:
        return str(error)
    return "" if volume else f"{folder.name}: a folder; give it as a specimen of its own"


def _inside(folder: Path, findings: _Findings) -> tuple[Description, list[Path]]:
    """Description and instrument files of a folder; what is neither is reported."""
    said = Description()
    files = []
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if len(entries) > MOST_FILES:
        raise UnreadableFileError(
            f"{folder.name}: {len(entries)} files; a specimen is one folder with its own files"
        )
    for entry in entries:
        if entry.name.lower() in DESCRIPTIONS:
            said = read_description(entry)
            findings.reports[entry] = FileReport(
                str(entry), sha256_of(entry), None, "specimen.yaml", True, ""
            )
        elif entry.is_dir() and (reason := _why_no_volume(entry)):
            findings.reports[entry] = FileReport(str(entry), None, None, None, False, reason)
        else:
            files.append(entry)
    for name in said.files:
        if name not in [file.name for file in files]:
            close = difflib.get_close_matches(name, [file.name for file in files], n=1)
            raise UnreadableFileError(
                f"{DESCRIPTIONS[0]}: files: there is no {name!r} in {folder.name}; "
                + (f"did you mean {close[0]!r}?" if close else "give the name of a file there")
            )
    return said, files


def _read_all(
    files: list[Path], options: Callable[[Path], ReadOptions], findings: _Findings
) -> None:
    owners = _owners(files)
    for file in files:
        if file not in owners:
            findings.reports[file] = _read_one(file, options(file), findings)
    for file, owner in owners.items():
        of_owner = findings.reports.get(owner)
        if of_owner is not None and of_owner.used:
            findings.reports[file] = replace(of_owner, path=str(file), sha256=_hash(file))
        else:  # its owner failed: perhaps it can be read alone
            findings.reports[file] = _read_one(file, options(file), findings)


def _owners(files: list[Path]) -> dict[Path, Path]:
    """Companion file -> the file that it is read together with."""
    if len(files) < 2:
        return {}
    owners: dict[Path, Path] = {}
    for file in files:
        try:
            beside = guarded(registry.companions, file, seconds=20.0)
        except UnreadableFileError:
            continue  # reading it will say why
        for name in beside:
            companion = file.parent / Path(name).name
            if companion in files and companion != file and file not in owners:
                owners[companion] = file
    return owners


def _read_one(file: Path, options: ReadOptions, findings: _Findings) -> FileReport:
    sha256 = None
    try:
        sha256 = _hash(file)
        if sha256 in findings.by_content:
            return _twin(file, sha256, findings)
        measurement = load_with(file, options)
    except UnreadableFileError as error:
        return FileReport(str(file), sha256, None, None, False, str(error), error.reason)
    except OSError as error:
        why = f"{file.name}: {error}"
        return FileReport(str(file), sha256, None, None, False, why, Reason.NOT_PERMITTED)
    reader = measurement.provenance.reader
    if measurement.modality is Modality.OTHER:
        reason = f"{file.name}: readable, but of a kind that nothing here uses"
        kind = measurement.modality.value
        return FileReport(str(file), sha256, kind, reader, False, reason, Reason.UNUSED)
    sha256 = measurement.provenance.sha256
    if sha256 in findings.by_content:
        return _twin(file, sha256, findings)
    findings.by_content[sha256] = file.name
    findings.measurements.append(measurement)
    return FileReport(str(file), sha256, measurement.modality.value, reader, True, "")


def _hash(file: Path) -> str | None:
    """Its sha256 before it is read; None of a large one, which its reader hashes if it reads it."""
    small = file.is_file() and file.stat().st_size <= _HASHED_FIRST
    return sha256_of(file) if small else None


def _twin(file: Path, sha256: str, findings: _Findings) -> FileReport:
    reason = f"{file.name}: the same content as {findings.by_content[sha256]}"
    return FileReport(str(file), sha256, None, None, False, reason, Reason.DUPLICATE)
