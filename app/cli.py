"""The commands. Everything heavy is imported inside them, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.commands import library as library_cli
from xtalfuse.commands import materials as materials_cli
from xtalfuse.commands import microstructure as microstructure_cli
from xtalfuse.commands import schema as schema_cli
from xtalfuse.terminal import (
    INTERRUPTED,
    JsonOption,
    LibraryOption,
    OutOption,
    RefineOption,
    SectionStepOption,
    VoxelSizeOption,
    WavelengthOption,
    complain,
    cores,
    opened,
    print_json,
    telling,
)

if TYPE_CHECKING:
    from rich.console import Console

    from xtalfuse.batch import Job, Outcome

app = typer.Typer(
    name="xtalfuse",
    help="Phases, grains and properties of a specimen, from whatever its instruments recorded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 all answered, 1 our fault, 2 usage, 3 some files refused, "
    "4 nothing usable.",
)
app.add_typer(library_cli.app, name="library")


def _version(wanted: bool) -> None:
    if wanted:
        from xtalfuse import __version__

        typer.echo(f"xtalfuse {__version__}")
        raise typer.Exit()


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of all commands; typer shows the help text of the app instead of this."""


@app.command()
def identify(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH",
            help="A file, a folder that holds one specimen, or a folder of such folders.",
        ),
    ],
    library: LibraryOption = None,
    elements: Annotated[
        str | None, typer.Option(help="Elements that may be present, such as Al,O.")
    ] = None,
    wavelength: WavelengthOption = None,
    out: OutOption = Path("xtalfuse-results"),
    refine: RefineOption = True,
    as_json: JsonOption = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Specimens worked on at once; all cores if not given.")
    ] = None,
) -> None:
    """Identify the phases of one or many specimens.

    [bold]Examples[/bold]

    xtalfuse identify scan.xrdml

    xtalfuse identify scan.xy --wavelength CuKa --elements Al,Zn,O,Ca,F

    xtalfuse identify specimen-7/          (its pattern, spectra and rings together)

    xtalfuse identify specimens/ --jobs 4  (a folder of specimen folders)
    """
    from xtalfuse import batch
    from xtalfuse.options import make_folder, parse_elements, parse_wavelength

    with telling():
        options = batch.Options(
            library, parse_elements(elements), parse_wavelength(wavelength), refine
        )
        planned = batch.plan(batch.find_specimens(paths, out), out, options)
        make_folder(out)
        opened(library)  # a wrong library is told before any work
    processes = jobs or min(len(planned), cores())
    outcomes, interrupted = _run(planned, processes, quiet=as_json)
    if as_json:
        documents = [_as_document(outcome) for outcome in outcomes]
        print_json(documents[0] if len(planned) == 1 and documents else documents)
    if interrupted:
        complain(f"stopped; {len(outcomes)} of {len(planned)} specimens are done, see {out}")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(batch.exit_code(outcome.status for outcome in outcomes))


def _run(jobs: list[Job], processes: int, quiet: bool) -> tuple[list[Outcome], bool]:
    """(outcomes, whether Ctrl-C ended it); each is shown when it is there, unless `quiet`."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from xtalfuse.batch import work_on_all
    from xtalfuse.display import consoles, outcome_view, shown

    answers, notes = consoles()
    outcomes: list[Outcome] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(30))
    with Progress(
        *columns,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    ) as progress:
        name = shown(jobs[0].path) if len(jobs) == 1 else "specimens"
        task = progress.add_task(name, total=len(jobs))
        try:
            for outcome in work_on_all(jobs, processes):
                outcomes.append(outcome)
                progress.advance(task)
                if not quiet:
                    _show_above(progress, answers, outcome_view(outcome))
        except KeyboardInterrupt:
            return outcomes, True
    return outcomes, False


def _show_above(progress: Any, console: Console, view: Any) -> None:
    """Print on stdout while a progress bar moves on stderr: they may share one terminal."""
    progress.stop()
    console.print(view)
    progress.start()


def _as_document(outcome: Outcome) -> dict[str, Any]:
    """``result.json`` of an outcome, with where its files are or what went wrong."""
    if outcome.answer is None:
        return {"specimen": str(outcome.job.path), "error": outcome.error}
    return {**outcome.answer.to_dict(), "report": str(outcome.report)}


app.command()(microstructure_cli.microstructure)
app.command()(materials_cli.materials)
app.command()(schema_cli.schema)


@app.command()
def read(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    wavelength: WavelengthOption = None,
    voxel_size: VoxelSizeOption = None,
    section_step: SectionStepOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in a file, and whether it can be trusted.

    [bold]Examples[/bold]

    xtalfuse read scan.raw

    xtalfuse read slices/ --voxel-size 0.65

    xtalfuse read volumes.npz#12           (one of several volumes)

    xtalfuse read sections/ --section-step 0.5
    """
    from xtalfuse.display import consoles, measurement_view
    from xtalfuse.options import (
        UsageError,
        check_section_step,
        parse_voxel_size,
        parse_wavelength,
    )

    with telling():
        check_section_step(section_step)
        from xtalfuse.loaders import load
        from xtalfuse.loaders.ct.read import chosen

        if not chosen(file)[0].exists():
            raise UsageError(f"{file}: no such file")
        measurement = load(
            file,
            wavelength=parse_wavelength(wavelength),
            voxel_size_um=parse_voxel_size(voxel_size),
            section_step_um=section_step,
        )
    if as_json:
        print_json(_measurement_document(measurement))
    else:
        consoles()[0].print(measurement_view(measurement))


def _measurement_document(measurement: Any) -> dict[str, Any]:
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


@app.command()
def demo(
    out: OutOption = Path("xtalfuse-results"),
    refine: RefineOption = True,
) -> None:
    """Identify measured data that come with the dependencies."""
    from rich.text import Text

    from xtalfuse import batch
    from xtalfuse.demo import demo_jobs
    from xtalfuse.display import consoles, outcome_view, shown
    from xtalfuse.options import make_folder

    with telling():
        known = dict(demo_jobs(out / "demo", refine))
        make_folder(out)
    outcomes, interrupted = _run(list(known), 1, quiet=True)
    console = consoles()[0]
    for outcome in outcomes:
        console.print(outcome_view(outcome))
        console.print(Text(f"what is known: {known[outcome.job]}", style="dim"))
    console.print(Text("\nOpen a report in a browser:"))
    for outcome in outcomes:
        if outcome.report is not None:
            console.print(Text(f"  {shown(outcome.report.resolve())}"), soft_wrap=True)
    code = batch.exit_code(outcome.status for outcome in outcomes)
    raise typer.Exit(INTERRUPTED if interrupted else code)


def main() -> None:
    """Run the command line; what nobody foresaw becomes one line and a file."""
    try:
        app()
    except Exception as error:
        from xtalfuse.batch import keep_traceback

        place = keep_traceback()
        complain(
            f"xtalfuse failed, and it is not your fault: {type(error).__name__}: {error}\n"
            f"The details are in {place}; please report them."
        )
        sys.exit(1)
