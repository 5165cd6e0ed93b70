"""One specimen: a file, or a folder with the files of all its instruments."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
)

from xtalfuse.loaders import load, registry
from xtalfuse.loaders.ct import read as ct
from xtalfuse.loaders.record import (
    FileReport,
    Measurement,
    Modality,
    Record,
    UnreadableFileError,
)
from xtalfuse.loaders.safe.checks import sha256_of
from xtalfuse.loaders.safe.guard import guarded
from xtalfuse.physics.units import radiation

DESCRIPTIONS = ("specimen.yaml", "specimen.yml")
MOST_FILES = 1000
MOST_YAML_BYTES = 100_000


def check_elements(symbols: Iterable[str]) -> tuple[str, ...]:
    """Element symbols in their usual spelling, each once.

    Raises
    ------
    ValueError
        If one of them is no element.
    """
    import gemmi

    found = []
    for symbol in symbols:
        element = gemmi.Element(str(symbol).strip())
        if element.atomic_number == 0:
            raise ValueError(f"{symbol!r} is not a chemical element")
        found.append(element.name)
    return tuple(dict.fromkeys(found))


def _as_list(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


def _as_symbols(value: Any) -> Any:
    # YAML reads the symbols of nitrogen and yttrium, N and Y, as text but No and Yes not.
    items = _as_list(value)
    if isinstance(items, list) and any(isinstance(item, bool) for item in items):
        raise ValueError("an element symbol was read as true or false: put it in quotes")
    return items


class Description(BaseModel):
    """Content of ``specimen.yaml``: what the instruments could not know."""

    model_config = ConfigDict(extra="forbid")

    wavelength: Annotated[str | FiniteFloat | None, Field(description="CuKa or 1.5406")] = None
    elements: Annotated[tuple[str, ...] | None, BeforeValidator(_as_symbols)] = None
    camera_length: Annotated[FiniteFloat, Field(gt=0)] | None = None  # mm
    section_step: Annotated[FiniteFloat, Field(gt=0)] | None = None  # um, of serial sections
    notes: str = ""
    group: str | None = None

    @field_validator("wavelength")
    @classmethod
    def _radiation(cls, value: str | float | None) -> str | float | None:
        if value is not None:
            radiation(value)
        return value

    @field_validator("elements")
    @classmethod
    def _elements(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else check_elements(value)


def read_description(path: Path) -> Description:
    """Content of a ``specimen.yaml``.

    Raises
    ------
    UnreadableFileError
        If it is no YAML mapping, or a key is unknown or has a wrong value; the message names
        the key.
    """
    import yaml

    if path.stat().st_size > MOST_YAML_BYTES:
        raise UnreadableFileError(f"{path.name}: too long for a description; keep notes short")
    try:
        content = yaml.safe_load(path.read_text("utf-8-sig")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        cause = " ".join(str(error).split())[:160]
        raise UnreadableFileError(f"{path.name}: not YAML ({cause}); correct it") from None
    if not isinstance(content, dict):
        raise UnreadableFileError(f"{path.name}: not a list of 'key: value'; correct it")
    try:
        return Description.model_validate({str(key): value for key, value in content.items()})
    except ValidationError as error:
        first = error.errors()[0]
        raise UnreadableFileError(_explained(path, first)) from None


def _explained(path: Path, error: Any) -> str:
    key = str(error["loc"][0]) if error["loc"] else "content"
    known = list(Description.model_fields)
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(known)}"
        return f"{path.name}: unknown key {key!r}; {hint}"
    cause = str(error["msg"]).removeprefix("Value error, ")
    return f"{path.name}: {key}: {cause}; correct the value"


@dataclass
class _Findings:
    """What was read so far of one specimen."""

    measurements: list[Measurement] = field(default_factory=list)
    reports: dict[Path, FileReport] = field(default_factory=dict)
    by_content: dict[str, str] = field(default_factory=dict)


def load_specimen(
    path: str | Path,
    *,
    wavelength: str | float | None = None,
    elements: Iterable[str] | None = None,
) -> Record:
    """Everything that instruments wrote about one specimen.

    Parameters
    ----------
    path : one instrument file, or the folder of one specimen. Hidden files are ignored; a
        folder of TIFF slices is one volume; an optional ``specimen.yaml`` has the keys
        ``wavelength``, ``elements``, ``camera_length`` (mm), ``notes`` and ``group``.
    wavelength : X-ray radiation by hand; wins over ``specimen.yaml`` and over the files
    elements : symbols of the elements known to be there; wins over ``specimen.yaml``

    Returns
    -------
    Record with one FileReport for each file. A file that cannot be read or trusted is
    reported with its reason and costs none of the others.

    Raises
    ------
    UnreadableFileError
        If there is nothing at `path`, or its ``specimen.yaml`` is wrong.
    ValueError
        If `wavelength` or `elements` are wrong.
    """
    path = Path(path)
    if wavelength is not None:
        radiation(wavelength)
    by_hand = None if elements is None else check_elements(elements)
    if not path.exists():
        raise UnreadableFileError(f"{path.name}: no such file or folder; check the path {path}")
    said = Description()
    findings = _Findings()
    files = [path]
    if path.is_dir() and not ct.is_slices(path):
        said, files = _inside(path, findings)
    wanted = said.wavelength if wavelength is None else wavelength
    _read_all(files, wanted, findings)
    measurements = tuple(_with_camera(m, said.camera_length) for m in findings.measurements)
    name = path.resolve().name if path.is_dir() else path.stem
    return Record(
        specimen=name,
        group=said.group or name,
        measurements=measurements,
        files=tuple(findings.reports[file] for file in sorted(findings.reports)),
        elements=said.elements if by_hand is None else by_hand,
        notes=said.notes,
    )


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
        elif entry.is_dir() and not ct.is_slices(entry):
            reason = f"{entry.name}: a folder; give it as a specimen of its own"
            findings.reports[entry] = FileReport(str(entry), None, None, None, False, reason)
        else:
            files.append(entry)
    return said, files


def _read_all(files: list[Path], wavelength: str | float | None, findings: _Findings) -> None:
    owners = _owners(files)
    for file in files:
        if file not in owners:
            findings.reports[file] = _read_one(file, wavelength, findings)
    for file, owner in owners.items():
        of_owner = findings.reports.get(owner)
        if of_owner is not None and of_owner.used:
            sha256 = sha256_of(file)
            findings.reports[file] = replace(of_owner, path=str(file), sha256=sha256)
        else:  # its owner failed: perhaps it can be read alone
            findings.reports[file] = _read_one(file, wavelength, findings)


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


def _read_one(file: Path, wavelength: str | float | None, findings: _Findings) -> FileReport:
    sha256 = None
    try:
        if file.is_file():
            sha256 = sha256_of(file)
            if sha256 in findings.by_content:
                twin = findings.by_content[sha256]
                reason = f"{file.name}: the same content as {twin}"
                return FileReport(str(file), sha256, None, None, False, reason)
        measurement = load(file, wavelength=wavelength)
    except UnreadableFileError as error:
        return FileReport(str(file), sha256, None, None, False, str(error))
    except OSError as error:
        return FileReport(str(file), sha256, None, None, False, f"{file.name}: {error}")
    reader = measurement.provenance.reader
    if measurement.modality is Modality.OTHER:
        reason = f"{file.name}: readable, but of a kind that nothing here uses"
        return FileReport(str(file), sha256, measurement.modality.value, reader, False, reason)
    findings.by_content[str(sha256)] = file.name
    findings.measurements.append(measurement)
    return FileReport(str(file), sha256, measurement.modality.value, reader, True, "")


def _with_camera(measurement: Measurement, camera_length_mm: float | None) -> Measurement:
    """The measurement with the camera length of ``specimen.yaml`` where it is a pattern."""
    if camera_length_mm is None or measurement.modality is not Modality.DIFFRACTION:
        return measurement
    told = measurement.provenance
    metadata = {**told.metadata, "camera_length_mm": camera_length_mm}
    said = (*told.warnings, f"camera length {camera_length_mm:g} mm given by hand")
    return replace(measurement, provenance=replace(told, metadata=metadata, warnings=said))
