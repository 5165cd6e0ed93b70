"""``xtalfuse library``: build a reference library, look into it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse.terminal import (
    JsonOption,
    LibraryOption,
    cores,
    opened,
    print_json,
    progress_bar,
    remark,
    say,
    telling,
)

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import BuildReport, Library

app = typer.Typer(help="The reference library: build your own, look into it.", no_args_is_help=True)
MOST_LISTED = 20  # left-out files and matches that a terminal shows


@app.command()
def build(
    paths: Annotated[list[Path], typer.Argument(metavar="CIF_OR_FOLDER")],
    out: Annotated[Path, typer.Option(help="The library file to write, such as mylib.h5.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Files read at once.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Build a library from CIF files; one that was stopped goes on where it was.

    [bold]Example[/bold]

    xtalfuse library build my-cifs/ more.cif --out mylib.h5
    """
    from xtalfuse.options import UsageError

    with telling():
        from xtalfuse.batch import not_written
        from xtalfuse.datasets.library.build import build as build_library

        try:
            with progress_bar("building") as tell:
                report = build_library(paths, out, workers=jobs or cores(), progress=tell)
        except FileNotFoundError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(not_written(error, out)) from None
    if as_json:
        from dataclasses import asdict

        print_json(asdict(report))
    else:
        _show_build(report)
    raise typer.Exit(3 if report.left_out else 0)


def _show_build(report: BuildReport) -> None:
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    console = consoles()[0]
    for where, reason in report.left_out[:MOST_LISTED]:
        console.print(Text(f"left out: {shown(where)}: {shown(reason)}", style="yellow"))
    more = len(report.left_out) - MOST_LISTED
    if more > 0:
        console.print(Text(f"and {more} more left out; --json lists all", style="yellow"))
    alike = sum(len(ids) for ids in report.classes)
    say(
        f"{report.out}: {len(report.kept)} entries, {len(report.left_out)} left out, "
        f"{len({entry for entry, _ in report.warned})} with warnings; {alike} entries in "
        f"{len(report.classes)} classes of look-alikes; {report.seconds:.1f} s"
    )


@app.command()
def info(
    path: Annotated[
        Path | None, typer.Argument(metavar="[LIB.h5]", help="Write --library LIB.h5.", hidden=True)
    ] = None,
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a library holds.

    [bold]Example[/bold]

    xtalfuse library info --library mylib.h5
    """
    from xtalfuse.options import UsageError

    with telling():
        if path is not None:
            if library is not None:
                raise UsageError(f"{path} and --library {library} are two libraries; give one")
            remark(f"the library is named by --library now: xtalfuse library info --library {path}")
        content = opened(library or path).info()
    if as_json:
        print_json(content)
        return
    from rich.text import Text

    from xtalfuse.display import consoles, facts, shown

    table = facts()
    for name, value in content.items():
        text = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
        table.add_row(name.replace("_", " "), Text(shown(text)))
    consoles()[0].print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Id, name or formula of a phase.")],
    library: LibraryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one phase: structure, source, look-alikes, strongest lines.

    [bold]Example[/bold]

    xtalfuse library show corundum
    """
    from xtalfuse.options import UsageError

    with telling():
        chosen = opened(library)
        index, others = _match(chosen, name)
        if index is None:
            raise UsageError(f"{name!r}: {others[0] if others else 'no such phase'}")
    entry = chosen.entries[index]
    equivalents = chosen.equivalents(index)
    lines = strongest_lines(chosen, index)
    if as_json:
        print_json(_document(entry, equivalents, lines))
        return
    from rich.text import Text

    from xtalfuse.display import consoles, entry_view, shown

    console = consoles()[0]
    console.print(entry_view(entry, equivalents, lines))
    if others:
        console.print(Text(f"\nalso found: {shown(', '.join(others))}", style="dim"))


def _match(library: Library, name: str) -> tuple[int | None, list[str]]:
    """(index of the best match, ids of the others), or (None, [what may have been meant])."""
    found = library.find(name)
    if found:
        return found[0], [library.entries[i].id for i in found[1:MOST_LISTED]]
    try:
        return library.index(name), []
    except KeyError as error:
        return None, [str(error.args[0])]


def strongest_lines(
    library: Library, index: int, count: int = 10
) -> list[tuple[tuple[int, ...], float, float, float]]:
    """(hkl, d in angstrom, 2-theta in degrees, intensity in % of the strongest) for Cu K-alpha.

    Intensity has the Lorentz-polarisation factor of an instrument without monochromator.
    """
    import numpy as np

    from xtalfuse.physics.crystal.profile import lorentz_polarisation
    from xtalfuse.physics.units import radiation, two_theta

    copper = radiation("CuKa")
    cell = library.entries[index].crystal.cell
    lines = library.reflections(index)
    d = lines.d_spacings(cell)
    angle = two_theta(d, copper.primary_angstrom)
    power = lines.intensities(cell, copper.mean_angstrom) * lorentz_polarisation(angle)
    power = np.nan_to_num(power)  # beyond 180 degrees there is no angle
    strongest = [i for i in np.argsort(-power)[:count] if power[i] > 0]
    return [
        (
            tuple(map(int, lines.hkl[i])),
            float(d[i]),
            float(angle[i]),
            100.0 * float(power[i] / power[strongest[0]]),
        )
        for i in strongest
    ]


def _document(entry: Any, equivalents: tuple[str, ...], lines: list[Any]) -> dict[str, Any]:
    from dataclasses import asdict

    keys = ("hkl", "d_angstrom", "two_theta_cu_deg", "intensity")
    return {
        **asdict(entry),
        "equivalents": equivalents,
        "strongest": [dict(zip(keys, line, strict=True)) for line in lines],
    }
