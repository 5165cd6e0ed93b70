"""``xtalfuse identify``: the phases of one or many specimens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse import log
from xtalfuse.start import code_of
from xtalfuse.terminal import (
    JsonOption,
    LibraryOption,
    ModalityOption,
    OutOption,
    RefineOption,
    ScanOption,
    WavelengthOption,
    bar,
    complain,
    cores,
    opened,
    print_json,
    say,
    telling,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from xtalfuse.batch import Job, Outcome


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
    scan: ScanOption = None,
    modality: ModalityOption = None,
    out: OutOption = Path("xtalfuse-results"),
    refine: RefineOption = True,
    standard: Annotated[
        str | None,
        typer.Option(help="Internal standard and its wt% in what was measured: corundum=20."),
    ] = None,
    is_there: Annotated[
        str | None, typer.Option(help="A phase asked for: its fraction, or the limit of it.")
    ] = None,
    prior: Annotated[
        str,
        typer.Option(help="none: how often an element is met does not count; usual: it does."),
    ] = "usual",
    as_json: JsonOption = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Specimens worked on at once; all cores if not given.")
    ] = None,
) -> None:
    """Identify the phases of one or many specimens.

    [bold]Examples[/bold]

    xtalfuse identify scan.xrdml

    xtalfuse identify scan.xy --wavelength CuKa --elements Al,Zn,O,Ca,F

    xtalfuse identify scan.xy --standard corundum=20 --is-there quartz

    xtalfuse identify specimen-7/          (its pattern, spectra and rings together)

    xtalfuse identify specimens/ --jobs 4  (a folder of specimen folders)
    """
    from xtalfuse import batch
    from xtalfuse.display import consoles, outcome_view
    from xtalfuse.options import (
        make_folder,
        parse_elements,
        parse_modality,
        parse_prior,
        parse_standard,
        parse_wavelength,
    )

    with telling():
        options = batch.Options(
            library,
            parse_elements(elements),
            parse_wavelength(wavelength),
            refine,
            scan,
            parse_modality(modality, paths),
            parse_standard(standard),
            is_there,
            parse_prior(prior),
        )
        planned = batch.plan(batch.find_specimens(paths, out), out, options)
        make_folder(out)
        opened(library)  # a wrong library is told before any work

    def show(outcome: Outcome) -> None:
        if as_json:
            return
        if not log.is_quiet():
            consoles()[0].print(outcome_view(outcome))
        elif outcome.report is None:
            complain(f"{outcome.job.path}: {outcome.error}")
        else:
            say(outcome.report)

    outcomes, stopped = run(planned, jobs or min(len(planned), cores()), show)
    if as_json:
        documents = [_as_document(outcome) for outcome in outcomes]
        print_json(documents[0] if len(planned) == 1 and documents else documents)
    if stopped:
        complain(f"stopped; {len(outcomes)} of {len(planned)} specimens are done, see {out}")
        raise typer.Exit(stopped)
    raise typer.Exit(batch.exit_code(outcome.status for outcome in outcomes))


def run(
    jobs: list[Job], processes: int, show: Callable[[Outcome], None] = lambda outcome: None
) -> tuple[list[Outcome], int]:
    """(outcomes in the order of the jobs, exit code if a signal such as Ctrl-C ended it, or 0).

    Each outcome is given to `show` as soon as it is there.
    """
    from xtalfuse.batch import work_on_all
    from xtalfuse.display import shown

    outcomes: list[Outcome] = []
    stopped = 0
    with bar(spinner=True) as progress:
        name = shown(jobs[0].path) if len(jobs) == 1 else "specimens"
        task = progress.add_task(name, total=len(jobs))
        try:
            for outcome in work_on_all(jobs, processes):
                outcomes.append(outcome)
                progress.advance(task)
                # stdout and the bar on stderr may share one terminal
                progress.stop()
                show(outcome)
                progress.start()
        except KeyboardInterrupt as stop:
            stopped = code_of(stop)
    place = {job: number for number, job in enumerate(jobs)}
    return sorted(outcomes, key=lambda outcome: place[outcome.job]), stopped


def _as_document(outcome: Outcome) -> dict[str, Any]:
    """``result.json`` of an outcome, with where its files are or what went wrong."""
    if outcome.answer is None:
        return {"specimen": str(outcome.job.path), "error": outcome.error}
    return {**outcome.answer.to_dict(), "report": str(outcome.report)}
