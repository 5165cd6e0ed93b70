"""``xtalfuse read``: what is in a file or in the files of a folder, and how far it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import (
    JsonOption,
    ModalityOption,
    ScanOption,
    SectionStepOption,
    VoxelSizeOption,
    WavelengthOption,
    complain,
    print_json,
    progress_bar,
    telling,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from xtalfuse.loaders.record import Measurement, Record


def read(
    path: Annotated[Path, typer.Argument(metavar="FILE_OR_FOLDER")],
    wavelength: WavelengthOption = None,
    voxel_size: VoxelSizeOption = None,
    section_step: SectionStepOption = None,
    scan: ScanOption = None,
    modality: ModalityOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a file, or in each file of a folder, and whether it can be trusted.

    [bold]Examples[/bold]

    xtalfuse read scan.raw

    xtalfuse read specimens/               (a table, a file a row)

    xtalfuse read ranges.xrdml --scan 2    (one of several scans)

    xtalfuse read slices/ --voxel-size 0.65

    xtalfuse read volumes.npz#12           (one of several volumes)

    xtalfuse read sections/ --section-step 0.5
    """
    from xtalfuse.display import consoles
    from xtalfuse.options import (
        UsageError,
        check_section_step,
        parse_modality,
        parse_voxel_size,
        parse_wavelength,
    )

    with telling():
        check_section_step(section_step)
        radiation = parse_wavelength(wavelength)
        voxel = parse_voxel_size(voxel_size)
        kind = parse_modality(modality, [path])
        from xtalfuse.loaders import load
        from xtalfuse.loaders.reader import split_part

        if not split_part(path)[0].exists():
            raise UsageError(f"{path}: no such file or folder")
        if _holds_files(path) and voxel is None and section_step is None:
            raise typer.Exit(_read_folder(path, radiation, scan, as_json))
        measurement = load(
            path,
            wavelength=radiation,
            voxel_size_um=voxel,
            section_step_um=section_step,
            scan=scan,
            modality=kind,
        )
    if as_json:
        print_json(measurement_document(measurement))
    else:
        from xtalfuse.display import measurement_view

        consoles()[0].print(measurement_view(measurement))


def _holds_files(path: Path) -> bool:
    """Whether it is a folder of many records, and not itself one: slices, sections."""
    from xtalfuse.loaders.registry import folder_reader

    return path.is_dir() and folder_reader(path) is None


def _read_folder(folder: Path, wavelength: str | None, scan: int | None, as_json: bool) -> int:
    """Read every file below a folder, specimen by specimen; the exit code."""
    from xtalfuse.batch import Status, exit_code, find_specimens, status_of_files
    from xtalfuse.display import consoles
    from xtalfuse.loaders import load_specimen
    from xtalfuse.loaders.record import UnreadableFileError

    documents: list[dict[str, Any]] = []
    statuses: list[Status] = []
    specimens = find_specimens([folder], folder / "xtalfuse-results")
    with progress_bar("reading") as tell:
        for done, path in enumerate(specimens):
            tell(done, len(specimens), path.name)
            try:
                record = load_specimen(path, wavelength=wavelength, scan=scan)
            except UnreadableFileError as error:  # a wrong specimen.yaml
                complain(str(error))
                statuses.append(Status.UNUSABLE)
                continue
            documents.append(record_document(record))
            statuses.append(status_of_files(record.files))
    if as_json:
        print_json(documents)
    else:
        consoles()[0].print(_table(documents))
    return exit_code(statuses)


def record_document(record: Record) -> dict[str, Any]:
    """What is in the files of one specimen, as ``--json`` gives it for a folder."""
    from xtalfuse.display import doubts

    read = {
        Path(measurement.provenance.path).name: measurement for measurement in record.measurements
    }
    files = []
    for file in record.files:
        found = read.get(Path(file.path).name)
        why = file.reason if found is None else "; ".join(doubts(found))
        content = {} if found is None else measurement_document(found)
        trusted = file.used and not why
        files.append({**vars(file), **content, "trusted": trusted, "why_not": why})
    return {
        "specimen": record.specimen,
        "group": record.group,
        "notes": record.notes,
        "elements": record.elements,
        "files": files,
    }


def _table(documents: list[dict[str, Any]]) -> RenderableType:
    """A row for each file of each specimen."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import shown

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("file", "kind", "points", "range", "radiation", "reader"):
        table.add_column(heading, overflow="fold")
    table.add_column("trusted", overflow="fold", ratio=1)
    notes = []
    for document in documents:
        if len(documents) > 1:
            table.add_row(Text(shown(document["specimen"]), style="bold"))
        for file in document["files"]:
            words = (Path(file["path"]).name, *_cells(file))
            table.add_row(*(Text(shown(word)) for word in words), _trust(file))
        if document["notes"]:
            notes.append(Text(f"{shown(document['specimen'])}: {shown(document['notes'])}"))
    return Group(table, *notes)


def _cells(file: dict[str, Any]) -> tuple[str, ...]:
    """Kind, points, range, radiation and reader of a file, as far as they are known."""
    axes = file.get("axes", ())
    said = file.get("map")
    points = " x ".join(map(str, file.get("shape", ())))
    ranges = [f"{a['first']:.5g} to {a['last']:.5g} {a['unit']}" for a in axes]
    if said:
        points = " x ".join(
            str(said[side]) for side in ("sections", "rows", "columns") if said[side] > 1
        )
        ranges = [f"step {said['step_um'][0]:.4g} um"]
    waves = file.get("wavelengths_angstrom")
    energy = file.get("metadata", {}).get("beam_energy_keV")
    beam = f"{waves[0]:.5g} Å" if waves else f"{energy:g} keV" if energy else "-"
    return (
        file["modality"] or "-",
        points or "-",
        "\n".join(dict.fromkeys(ranges)) or "-",
        beam,
        file["reader"] or "-",
    )


def _trust(file: dict[str, Any]) -> Text:
    from rich.text import Text

    from xtalfuse.display import shown

    if file["trusted"]:
        return Text("yes", style="green")
    why = shown(file["why_not"]).removeprefix(f"{Path(file['path']).name}: ")
    style = "yellow" if file["used"] else "red"
    return Text(f"{'with care' if file['used'] else 'no'}: {why}", style=style)


def measurement_document(measurement: Measurement) -> dict[str, Any]:
    """What is in one file, as ``--json`` gives it."""
    from xtalfuse.map_view import map_document

    source = measurement.provenance
    radiation = measurement.radiation
    return {
        "path": source.path,
        "sha256": source.sha256,
        "modality": str(measurement.modality),
        "reader": source.reader,
        "shape": list(measurement.values.shape),
        "value_unit": measurement.value_unit,
        "axes": [
            {"name": a.name, "unit": a.unit, "first": a.values[0], "last": a.values[-1]}
            for a in measurement.axes
        ],
        "calibration": str(measurement.calibration),
        "wavelengths_angstrom": None if radiation is None else radiation.wavelengths_angstrom,
        "warnings": list(source.warnings),
        "metadata": source.metadata,
        **({"map": map_document(found)} if (found := measurement.crystal_map) else {}),
    }
