"""What all commands share: options, errors told in one line, JSON, progress."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xtalfuse import log

if TYPE_CHECKING:
    from rich.progress import Progress

    from xtalfuse.datasets.library.build import Library

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", metavar="LIB.h5", help="Library file, or builtin (the default)."),
]
WavelengthOption = Annotated[
    str | None,
    typer.Option(
        "--wavelength", help="Radiation where the file does not say: CuKa, CoKa1 or 1.5406."
    ),
]
ScanOption = Annotated[
    int | None,
    typer.Option("--scan", min=1, help="Of a powder file with several scans, read this one."),
]
ModalityOption = Annotated[
    str | None,
    typer.Option(
        "--modality",
        help="What the file is: diffraction, image, eels, eds, xrd, ebsd or ct; overrules guesses.",
    ),
]
VoxelSizeOption = Annotated[
    str | None,
    typer.Option("--voxel-size", help="Voxel of a volume in um: 0.65, or z,y,x as 1.3,0.65,0.65."),
]
SectionStepOption = Annotated[
    float | None, typer.Option("--section-step", help="Distance of serial sections, um.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
RefineOption = Annotated[
    bool, typer.Option("--refine/--no-refine", help="Rietveld refinement at the end.")
]

logger = logging.getLogger(__name__)


@contextmanager
def telling() -> Iterator[None]:
    """Turn an error that the user can mend into one line and its exit code."""
    from xtalfuse.loaders.record import UnreadableFileError
    from xtalfuse.options import UsageError

    try:
        yield
    except UsageError as error:
        complain(str(error))
        raise typer.Exit(2) from None
    except UnreadableFileError as error:
        complain(str(error))
        raise typer.Exit(4) from None


def complain(message: str) -> None:
    """One message on stderr, whole lines, so that a path in it can be copied."""
    _tell(f"error: {message}", "red")


def remark(message: str) -> None:
    """A note on stderr, for what works but will not for ever; none with --quiet."""
    if not log.is_quiet():
        _tell(f"note: {message}", "yellow")


def _tell(message: str, style: str) -> None:
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    text = "\n".join(shown(line) for line in message.splitlines())
    consoles()[1].print(Text(text, style=style), soft_wrap=True)


def print_json(content: Any) -> None:
    """One JSON document on stdout; what is not finite becomes null."""
    from xtalfuse.report.page import finite

    sys.stdout.write(json.dumps(finite(content), indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()  # a full disk is told here, not when the program has ended


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def say(text: object) -> None:
    """A line of stdout, whole: a path alone on it is one that a shell can take."""
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    consoles()[0].print(Text(shown(text)), soft_wrap=True)


def bar(spinner: bool = False) -> Progress:
    """A progress bar on stderr or in a notebook; none where steps are told or nothing is."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    from xtalfuse.display import consoles

    notes = consoles()[1]
    return Progress(
        *([SpinnerColumn()] if spinner else []),
        TextColumn("{task.description}", markup=False),
        BarColumn(30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=log.level() != log.USUAL or not (notes.is_terminal or notes.is_jupyter),
    )


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that is told (done, in all, what is going on); it appears with the first news.

    Examples
    --------
    >>> from xtalfuse import progress_bar
    >>> from xtalfuse.datasets.library.build import builtin
    >>> with progress_bar("library") as tell:
    ...     library = builtin(tell)
    """
    progress = bar()
    task = progress.add_task(title, total=None)

    def tell(done: int, total: int, text: str) -> None:
        logger.info("%s: %s (%d of %d)", title, text, done, total)
        progress.start()
        progress.update(task, completed=done, total=total, description=f"{title}: {text}")

    try:
        yield tell
    finally:
        if progress.live.is_started:
            progress.stop()


def opened(path: Path | None) -> Library:
    """The library of a command, with a bar for the one time that the built-in one is made.

    Raises
    ------
    UsageError
        If the file is missing or holds no library.
    """
    from xtalfuse.options import open_library

    with progress_bar("making the built-in library, once") as tell:
        return open_library(path, tell)
