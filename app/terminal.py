"""What all commands share: options, errors told in one line, JSON, progress."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library

LibraryOption = Annotated[
    Path | None, typer.Option("--library", help="Library file; the built-in one if not given.")
]
WavelengthOption = Annotated[
    str | None,
    typer.Option(
        "--wavelength", help="Radiation where the file does not say: CuKa, CoKa1 or 1.5406."
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

INTERRUPTED = 130  # exit code after Ctrl-C, 128 + SIGINT, as shells have it


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
    from rich.text import Text

    from xtalfuse.display import consoles, shown

    text = "\n".join(shown(line) for line in message.splitlines())
    consoles()[1].print(Text(f"error: {text}", style="red"), soft_wrap=True)


def print_json(content: Any) -> None:
    """One JSON document on stdout; what is not finite becomes null."""
    from xtalfuse.report.page import finite

    sys.stdout.write(json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr, told (done, in all, what is going on); it appears with the first news."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from xtalfuse.display import consoles

    columns = (TextColumn("{task.description}", markup=False), BarColumn(30))
    notes = consoles()[1]
    bar = Progress(
        *columns,
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )
    task = bar.add_task(title, total=None)

    def tell(done: int, total: int, text: str) -> None:
        bar.start()
        bar.update(task, completed=done, total=total, description=f"{title}: {text}")

    try:
        yield tell
    finally:
        if bar.live.is_started:
            bar.stop()


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
