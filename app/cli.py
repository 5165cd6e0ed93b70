"""The command line: its commands, put together. Everything heavy is imported inside them."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from xtalfuse import log
from xtalfuse.commands import dataset_parts, library
from xtalfuse.commands.demo import demo
from xtalfuse.commands.doctor import doctor
from xtalfuse.commands.formats import formats
from xtalfuse.commands.identify import identify
from xtalfuse.commands.learn.predict import evaluate, predict
from xtalfuse.commands.learn.train import train
from xtalfuse.commands.materials import materials
from xtalfuse.commands.microstructure import microstructure
from xtalfuse.commands.read import read
from xtalfuse.commands.schema import schema
from xtalfuse.start import code_of
from xtalfuse.terminal import complain

ANYWHERE = ("--quiet", "-q", "--verbose", "-v")
LARGEST = "--largest-gb"  # the same, with a value


class Commands(TyperGroup):
    """All commands; what they have in common is done here."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Options of all commands may also stand behind the name of a command."""
        end = args.index("--") if "--" in args else len(args)
        common: list[str] = []
        rest: list[str] = []
        for before, word in zip(["", *args], args[:end], strict=False):
            moved = word in ANYWHERE or word.split("=")[0] == LARGEST or before == LARGEST
            (common if moved else rest).append(word)
        return super().parse_args(ctx, [*common, *rest, *args[end:]])

    def invoke(self, ctx: Any) -> Any:
        """Ctrl-C before a command has its own answer to it, as while torch is loaded."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            complain("stopped")
            raise typer.Exit(code_of(stop)) from None


app = typer.Typer(
    name="xtalfuse",
    cls=Commands,
    help="Phases, grains and properties of a specimen, from whatever its instruments recorded.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Exit codes: 0 all answered, 1 our fault, 2 usage or no room for the results, "
    "3 some files refused, 4 nothing usable, 130 Ctrl-C, 143 SIGTERM.",
)


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
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only where results are, and errors.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell each step on stderr as it is done.")
    ] = False,
    largest_gb: Annotated[
        float | None,
        typer.Option(
            LARGEST,
            metavar="GB",
            envvar="XTALFUSE_LARGEST_GB",
            help="Read files up to this size, whatever their format.",
        ),
    ] = None,
) -> None:
    """Options of all commands; typer shows the help text of the app instead of this."""
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose contradict each other; give one")
    if largest_gb is not None:
        if not 0.0 < largest_gb < math.inf:
            raise typer.BadParameter(f"{LARGEST} {largest_gb:g}: give a number above zero")
        os.environ["XTALFUSE_LARGEST_GB"] = str(largest_gb)  # the processes of a batch read it too
    log.set_level(log.QUIET if quiet else log.VERBOSE if verbose else log.USUAL)


for command in (
    identify, microstructure, train, evaluate, predict, read, formats, materials, demo, schema,
    doctor,
):  # fmt: skip
    app.command()(command)
app.add_typer(library.app, name="library")
app.add_typer(dataset_parts.app, name="dataset")


def main() -> None:
    """Run the command line; what nobody foresaw becomes one line and a file."""
    try:
        app()
    except Exception as error:
        from xtalfuse.batch import NO_ROOM, keep_traceback, not_written

        if isinstance(error, OSError) and error.errno in NO_ROOM:
            complain(not_written(error, Path("the output")))
            sys.exit(2)
        place = keep_traceback()
        complain(
            f"xtalfuse failed, and it is not your fault: {type(error).__name__}: {error}\n"
            f"The details are in {place}; please report them."
        )
        sys.exit(1)
