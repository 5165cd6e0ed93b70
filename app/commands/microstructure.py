"""The command that turns maps and volumes into grains, graphs and properties."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse import log
from xtalfuse.start import code_of
from xtalfuse.terminal import (
    JsonOption,
    ModalityOption,
    OutOption,
    SectionStepOption,
    VoxelSizeOption,
    complain,
    print_json,
    progress_bar,
    say,
    telling,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from xtalfuse.batch import Status
    from xtalfuse.tasks.structure.result import Microstructure

LEFT_OUT = ("stiffness_voigt",)  # too wide for a terminal; the report and the JSON have it
OF_MAPS = "Grains of maps"

PathsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="MAP_OR_VOLUME",
        help="Orientation map, folder of maps of serial sections, volume, folder of slices.",
    ),
]
PhasesOption = Annotated[
    str | None,
    typer.Option(
        help="Materials in the order of the phases (of a volume from dark to bright), such "
        "as pore,gold; or by name: 'Ni-superalloy=nickel'. Also pore, unknown."
    ),
]
ThresholdOption = Annotated[
    float,
    typer.Option(
        help="Least disorientation of a grain boundary, degrees.", rich_help_panel=OF_MAPS
    ),
]
MinimumPointsOption = Annotated[
    int, typer.Option(min=1, help="Grains of fewer points are dissolved.", rich_help_panel=OF_MAPS)
]
SmoothOption = Annotated[
    int,
    typer.Option(
        min=0, help="How often noisy orientations are averaged first.", rich_help_panel=OF_MAPS
    ),
]
TwinsOption = Annotated[
    bool,
    typer.Option(
        "--merge-twins",
        help="Count crystal and twin as one grain: Sigma 3, and the laws of hexagonal metals.",
        rich_help_panel=OF_MAPS,
    ),
]
FastOption = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="Foams in milliseconds by the surrogate: longitudinal moduli only, to some 20 %.",
        rich_help_panel="Volumes",
    ),
]
SpecimenOption = Annotated[
    str,
    typer.Option(
        metavar="whole|found|MASK",
        help="What of a volume is specimen: all; without the air around it and what lies beyond "
        "the field of view; or where a volume of the same size is not zero.",
        rich_help_panel="Volumes",
    ),
]
JobsOption = Annotated[
    int, typer.Option(min=1, help="Worked on at once; a large volume takes gigabytes.")
]


@dataclass(frozen=True)
class Settings:
    """How every map and volume of one run is treated: `analyse` with options, `load` as stated."""

    phases: tuple[str, ...] | dict[str, str]
    options: dict[str, Any]
    stated: dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One map or volume and the folder for its results."""

    path: Path
    folder: Path
    settings: Settings

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.folder / "report.html"


@dataclass(frozen=True)
class Summary:
    """What a terminal shows of a microstructure: small enough to come from another process."""

    specimen: str
    headline: str
    rows: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What a job came to: its summary and document, or the error."""

    job: Job
    status: Status
    error: str = ""
    summary: Summary | None = None
    document: dict[str, Any] | None = None


def microstructure(
    paths: PathsArgument,
    phases: PhasesOption = None,
    out: OutOption = Path("xtalfuse-results"),
    threshold: ThresholdOption = 5.0,
    minimum_points: MinimumPointsOption = 10,
    smooth: SmoothOption = 0,
    twins: TwinsOption = False,
    voxel_size: VoxelSizeOption = None,
    section_step: SectionStepOption = None,
    modality: ModalityOption = None,
    fast: FastOption = False,
    specimen: SpecimenOption = "found",
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Grains, boundaries, pores and mechanical properties of maps and volumes.

    [bold]Examples[/bold]

    xtalfuse microstructure map.ang

    xtalfuse microstructure map.crc --phases nickel --merge-twins

    xtalfuse microstructure a.ang b.ang c.ang --jobs 3

    xtalfuse microstructure sections/ --section-step 0.5   (a stack of maps)

    xtalfuse microstructure foam.tif --phases pore,gold --voxel-size 0.65
    """
    from xtalfuse.options import (
        UsageError,
        check_section_step,
        make_folder,
        parse_materials,
        parse_modality,
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
                "fast": fast,
                "specimen": specimen,
            },
            {
                "voxel_size_um": parse_voxel_size(voxel_size),
                "section_step_um": section_step,
                "modality": parse_modality(modality, paths),
            },
        )
        folders = _folders(paths, out)
        make_folder(out)
    planned = [Job(path, folder, settings) for path, folder in folders.items()]
    raise typer.Exit(_work_on_all(planned, jobs, out, as_json))


def _work_on_all(planned: list[Job], processes: int, out: Path, as_json: bool) -> int:
    """Work on each path and show it as soon as it is done; the exit code."""
    from xtalfuse.batch import exit_code

    outcomes: list[Outcome] = []
    stopped = 0
    try:
        for outcome in _outcomes(planned, processes):
            outcomes.append(outcome)
            _show(outcome, as_json)
    except KeyboardInterrupt as stop:
        stopped = code_of(stop)
    if as_json:
        outcomes.sort(key=lambda outcome: planned.index(outcome.job))
        documents = [_document(outcome) for outcome in outcomes]
        print_json(documents[0] if len(planned) == 1 and documents else documents)
    if stopped:
        complain(f"stopped; {len(outcomes)} of {len(planned)} are done, see {out}")
        return stopped
    return exit_code(outcome.status for outcome in outcomes)


def _outcomes(planned: list[Job], processes: int) -> Iterator[Outcome]:
    """One after the other, each with a bar of its own; or in as many processes."""
    from xtalfuse.batch import DIED, Status, in_processes

    if processes <= 1 or len(planned) <= 1:
        for job in planned:
            with progress_bar(job.path.name) as tell:
                outcome = _work(job, tell)
            yield outcome
        return

    def died(job: Job) -> Outcome:
        return Outcome(job, Status.CRASHED, f"{job.path.name}: {DIED}")

    yield from in_processes(planned, processes, _work, died)


def _show(outcome: Outcome, as_json: bool) -> None:
    from xtalfuse.display import consoles

    if outcome.summary is None:
        complain(outcome.error)
    elif log.is_quiet() and not as_json:
        say(outcome.job.report)
    elif not as_json:
        consoles()[0].print(_view(outcome.summary, outcome.job.report))


def _folders(paths: list[Path], out: Path) -> dict[Path, Path]:
    """A folder for the results of each path, named after it."""
    from xtalfuse.batch import folder_name
    from xtalfuse.loaders.reader import split_part
    from xtalfuse.options import UsageError
    from xtalfuse.report.run import PROPERTIES

    folders: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in {path.resolve(): path for path in paths}.values():  # each once
        if not split_part(path)[0].exists():
            raise UsageError(f"{path}: no such file or folder")
        source = path.resolve().name
        choices = (source.replace("#", "-"),)
        folders[path] = out / folder_name(choices, out, PROPERTIES, source, taken)
    return folders


def _nothing(done: int, total: int, what: str) -> None:
    """Nobody listens."""


def _work(job: Job, tell: Callable[[int, int, str], None] = _nothing) -> Outcome:
    """What a path shows, written to its folder; or why not. Never raises."""
    from xtalfuse.batch import NO_ROOM, Status, keep_traceback, not_written
    from xtalfuse.loaders import load
    from xtalfuse.loaders.record import UnreadableFileError
    from xtalfuse.report.run import CRASH, PROPERTIES, run_in
    from xtalfuse.report.structure import write_microstructure
    from xtalfuse.tasks.structure.analyse import analyse

    path, folder, settings = job.path, job.folder, job.settings
    try:
        tell(0, 3, "reading")
        measurement = load(path, **settings.stated)
        tell(1, 3, "grains and properties")
        options = settings.options
        if (mask := options["specimen"]) not in ("found", "whole"):
            options = {**options, "specimen": load(mask).values}
        found = analyse(measurement, settings.phases, **options)
        tell(2, 3, "report")
        try:
            write_microstructure(found, folder)
        except OSError as error:
            return Outcome(job, Status.UNWRITTEN, not_written(error, folder))
    except (UnreadableFileError, ValueError) as error:
        text = str(error)
        told = text if path.name in text else f"{path.name}: {text}"
        return Outcome(job, Status.UNUSABLE, told)
    except MemoryError:
        return Outcome(
            job, Status.UNUSABLE, f"{path.name}: not enough memory; cut a part out of it"
        )
    except Exception as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return Outcome(job, Status.UNWRITTEN, not_written(error, folder))
        place = keep_traceback(folder / CRASH)
        told = f"{path.name}: {type(error).__name__}: {error}; our fault, see {place}"
        return Outcome(job, Status.CRASHED, told)
    whole = replace(found, run=run_in(folder, PROPERTIES))
    return Outcome(job, Status.ANSWERED, summary=_summary(found), document=whole.to_dict())


def _document(outcome: Outcome) -> dict[str, Any]:
    """``properties.json`` with where the report is, or what went wrong."""
    if outcome.document is None:
        return {"specimen": str(outcome.job.path), "error": outcome.error}
    return {**outcome.document, "report": str(outcome.job.report)}


def _summary(found: Microstructure) -> Summary:
    from xtalfuse.report.structure import headline, in_words, title

    rows = ((title(item), in_words(item)) for item in found.properties if item.name not in LEFT_OUT)
    return Summary(found.specimen, headline(found), tuple(rows), found.warnings)


def _view(found: Summary, report: Path) -> RenderableType:
    """What a terminal shows of a microstructure."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from xtalfuse.display import shown

    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    for name, value in found.rows:
        table.add_row(Text(shown(name)), Text(value))
    return Group(
        Text(f"\n{shown(found.specimen)}", style="bold", no_wrap=True, overflow="ignore"),
        Text(shown(found.headline)),
        table,
        *(Text(f"warning: {shown(text)}", style="yellow") for text in found.warnings),
        Text(f"report: {report}", style="dim", no_wrap=True, overflow="ignore"),
    )
