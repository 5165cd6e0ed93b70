"""The command that turns maps and volumes into grains, graphs and properties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import (
    JsonOption,
    OutOption,
    VoxelSizeOption,
    complain,
    print_json,
    progress_bar,
    telling,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xtalfuse.tasks.microstructure import Microstructure

LEFT_OUT = ("stiffness_voigt",)  # too wide for a terminal; the report and the JSON have it


@dataclass(frozen=True)
class Settings:
    """How every map and volume of one run is treated."""

    phases: tuple[str, ...] | dict[str, str]
    map_options: dict[str, Any]
    voxel_size_um: float | tuple[float, float, float] | None
    section_step_um: float | None


def microstructure(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="MAP_OR_VOLUME",
            help="Orientation map, folder of maps of serial sections, volume, folder of slices.",
        ),
    ],
    phases: Annotated[
        str | None,
        typer.Option(
            help="Materials in the order of the phases (of a volume from dark to bright), such "
            "as pore,gold; or by name: 'Ni-superalloy=nickel'."
        ),
    ] = None,
    out: OutOption = Path("xtalfuse-results"),
    threshold: Annotated[
        float, typer.Option(help="Least disorientation of a grain boundary, degrees.")
    ] = 5.0,
    minimum_points: Annotated[
        int, typer.Option(min=1, help="Grains of fewer points are dissolved.")
    ] = 10,
    smooth: Annotated[
        int, typer.Option(min=0, help="How often noisy orientations are averaged first.")
    ] = 0,
    twins: Annotated[
        bool, typer.Option("--merge-twins", help="Count grains across Sigma 3 boundaries as one.")
    ] = False,
    voxel_size: VoxelSizeOption = None,
    section_step: Annotated[
        float | None, typer.Option(help="Distance of serial sections, um.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Grains, boundaries, pores and mechanical properties of maps and volumes.

    [bold]Examples[/bold]

    xtalfuse microstructure map.ang

    xtalfuse microstructure map.crc --phases nickel --merge-twins

    xtalfuse microstructure sections/ --section-step 0.5   (a stack of maps)

    xtalfuse microstructure foam.tif --phases pore,gold --voxel-size 0.65
    """
    from xtalfuse.batch import Status, exit_code
    from xtalfuse.display import consoles
    from xtalfuse.options import UsageError, make_folder, parse_materials, parse_voxel_size

    with telling():
        if not 0.0 < threshold < 90.0:
            raise UsageError(f"--threshold: {threshold:g} degrees; give a number such as 5")
        if section_step is not None and not section_step > 0.0:
            raise UsageError(f"--section-step: {section_step:g} um; give a positive number")
        settings = Settings(
            parse_materials(phases),
            {
                "threshold_deg": threshold,
                "minimum_points": minimum_points,
                "smooth": smooth,
                "twins": twins,
            },
            parse_voxel_size(voxel_size),
            section_step,
        )
        folders = _folders(paths, out)
        make_folder(out)
    statuses, documents = [], []
    for path, folder in folders.items():
        with progress_bar(path.name) as tell:
            found, error = _work(path, folder, settings, tell)
        if found is None:
            complain(error)
            statuses.append(Status.UNUSABLE)
            continue
        statuses.append(Status.ANSWERED)
        if as_json:
            from xtalfuse.tasks.microstructure_report import to_dict

            documents.append(to_dict(found))
        else:
            consoles()[0].print(_view(found, folder))
    if as_json:
        print_json(documents[0] if len(paths) == 1 and documents else documents)
    raise typer.Exit(exit_code(statuses))


def _folders(paths: list[Path], out: Path) -> dict[Path, Path]:
    """A folder for the results of each path, named after it."""
    from xtalfuse.loaders.ct import chosen
    from xtalfuse.options import UsageError

    folders: dict[Path, Path] = {}
    for path in dict.fromkeys(paths):
        if not chosen(path)[0].exists():
            raise UsageError(f"{path}: no such file or folder")
        name, number = path.resolve().name.replace("#", "-"), 1
        while out / name in folders.values():
            number += 1
            name = f"{path.resolve().name}-{number}"
        folders[path] = out / name
    return folders


def _work(
    path: Path, folder: Path, settings: Settings, tell: Callable[[int, int, str], None]
) -> tuple[Microstructure | None, str]:
    """What a path shows, written to its folder; or None and why not."""
    from xtalfuse.loaders import load
    from xtalfuse.loaders.record import Modality, UnreadableFileError
    from xtalfuse.tasks.microstructure import analyse
    from xtalfuse.tasks.microstructure_report import write_microstructure

    try:
        tell(0, 3, "reading")
        measurement = load(
            path,
            voxel_size_um=settings.voxel_size_um,
            section_step_um=settings.section_step_um,
        )
        tell(1, 3, "grains and properties")
        options = settings.map_options if measurement.modality is Modality.EBSD else {}
        found = analyse(measurement, settings.phases, **options)
        tell(2, 3, "report")
        write_microstructure(found, folder)
    except (UnreadableFileError, ValueError) as error:
        text = str(error)
        return None, text if path.name in text else f"{path.name}: {text}"
    except OSError as error:
        return None, f"{folder}: cannot be written ({error.strerror or error})"
    return found, ""


def _view(found: Microstructure, folder: Path) -> RenderableType:
    """What a terminal shows of a microstructure."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import shown
    from xtalfuse.tasks.microstructure_report import headline, in_words, title

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for item in found.properties:
        if item.name not in LEFT_OUT:
            table.add_row(shown(title(item)), in_words(item))
    return Group(
        Text(f"\n{shown(found.specimen)}", style="bold", no_wrap=True, overflow="ignore"),
        Text(shown(headline(found))),
        table,
        *(Text(f"warning: {shown(text)}", style="yellow") for text in found.warnings),
        Text(f"report: {folder / 'report.html'}", style="dim", no_wrap=True, overflow="ignore"),
    )
