"""The command that turns maps and volumes into grains, graphs and properties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse import log
from xtalfuse.terminal import (
    INTERRUPTED,
    JsonOption,
    OutOption,
    SectionStepOption,
    VoxelSizeOption,
    complain,
    print_json,
    progress_bar,
    say_path,
    telling,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xtalfuse.batch import Status
    from xtalfuse.tasks.structure.result import Microstructure

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
            "as pore,gold; or by name: 'Ni-superalloy=nickel'. Also pore, unknown."
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
    section_step: SectionStepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Grains, boundaries, pores and mechanical properties of maps and volumes.

    [bold]Examples[/bold]

    xtalfuse microstructure map.ang

    xtalfuse microstructure map.crc --phases nickel --merge-twins

    xtalfuse microstructure sections/ --section-step 0.5   (a stack of maps)

    xtalfuse microstructure foam.tif --phases pore,gold --voxel-size 0.65
    """
    from xtalfuse.options import (
        UsageError,
        check_section_step,
        make_folder,
        parse_materials,
        parse_voxel_size,
    )

    with telling():
        if not 0.0 < threshold < 90.0:
            raise UsageError(f"--threshold: {threshold:g} degrees; give a number such as 5")
        check_section_step(section_step)
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
    raise typer.Exit(_work_on_all(folders, settings, out, as_json))


def _work_on_all(folders: dict[Path, Path], settings: Settings, out: Path, as_json: bool) -> int:
    """Work on each path and show it as soon as it is done; the exit code."""
    from xtalfuse.batch import exit_code
    from xtalfuse.display import consoles

    statuses: list[Status] = []
    documents: list[dict[str, Any]] = []
    interrupted = False
    try:
        for path, folder in folders.items():
            with progress_bar(path.name) as tell:
                found, status, error = _work(path, folder, settings, tell)
            if found is None:
                complain(error)
            elif log.is_quiet() and not as_json:
                say_path(folder / "report.html")
            elif not as_json:
                consoles()[0].print(_view(found, folder))
            documents.append(_document(found, path, folder, error) if as_json else {})
            statuses.append(status)
    except KeyboardInterrupt:
        interrupted = True
    if as_json:
        print_json(documents[0] if len(folders) == 1 and documents else documents)
    if interrupted:
        complain(f"stopped; {len(statuses)} of {len(folders)} are done, see {out}")
        return INTERRUPTED
    return exit_code(statuses)


def _folders(paths: list[Path], out: Path) -> dict[Path, Path]:
    """A folder for the results of each path, named after it."""
    from xtalfuse.loaders.reader import split_part
    from xtalfuse.options import UsageError

    folders: dict[Path, Path] = {}
    measured = {path.resolve() for path in paths}
    for path in {path.resolve(): path for path in paths}.values():  # each once
        if not split_part(path)[0].exists():
            raise UsageError(f"{path}: no such file or folder")
        stem = path.resolve().name.replace("#", "-")
        name, number = stem, 1
        # never among what was measured: the folder of sections beside their results
        while out / name in folders.values() or (out / name).resolve() in measured:
            number += 1
            name = f"{stem}-{number}"
        folders[path] = out / name
    return folders


def _work(
    path: Path, folder: Path, settings: Settings, tell: Callable[[int, int, str], None]
) -> tuple[Microstructure | None, Status, str]:
    """What a path shows, written to its folder; or None and why not. Never raises."""
    from xtalfuse.batch import Status, keep_traceback
    from xtalfuse.loaders import load
    from xtalfuse.loaders.record import UnreadableFileError
    from xtalfuse.report.structure import write_microstructure
    from xtalfuse.tasks.structure.analyse import analyse

    try:
        tell(0, 3, "reading")
        measurement = load(
            path,
            voxel_size_um=settings.voxel_size_um,
            section_step_um=settings.section_step_um,
        )
        tell(1, 3, "grains and properties")
        found = analyse(measurement, settings.phases, **settings.map_options)
        tell(2, 3, "report")
        write_microstructure(found, folder)
    except (UnreadableFileError, ValueError) as error:
        text = str(error)
        told = text if path.name in text else f"{path.name}: {text}"
        return None, Status.UNUSABLE, told
    except OSError as error:
        told = f"{folder}: cannot be written ({error.strerror or error})"
        return None, Status.UNUSABLE, told
    except MemoryError:
        return None, Status.UNUSABLE, f"{path.name}: not enough memory; cut a part out of it"
    except Exception as error:
        place = keep_traceback(folder / "crash.txt")
        told = f"{path.name}: {type(error).__name__}: {error}; our fault, see {place}"
        return None, Status.CRASHED, told
    (folder / "crash.txt").unlink(missing_ok=True)  # of an earlier run
    return found, Status.ANSWERED, ""


def _document(found: Microstructure | None, path: Path, folder: Path, error: str) -> dict[str, Any]:
    """``properties.json`` with where the report is, or what went wrong."""
    if found is None:
        return {"specimen": str(path), "error": error}
    return {**found.to_dict(), "report": str(folder / "report.html")}


def _view(found: Microstructure, folder: Path) -> RenderableType:
    """What a terminal shows of a microstructure."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import shown
    from xtalfuse.report.structure import headline, in_words, title

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for item in found.properties:
        if item.name not in LEFT_OUT:
            table.add_row(Text(shown(title(item))), Text(in_words(item)))
    return Group(
        Text(f"\n{shown(found.specimen)}", style="bold", no_wrap=True, overflow="ignore"),
        Text(shown(headline(found))),
        table,
        *(Text(f"warning: {shown(text)}", style="yellow") for text in found.warnings),
        Text(f"report: {folder / 'report.html'}", style="dim", no_wrap=True, overflow="ignore"),
    )
