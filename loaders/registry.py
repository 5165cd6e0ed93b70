"""Chooses the reader of a file by its content.

To add a format family, write a module with a `sniff` and a `read` and give it a line in
`READERS`; the first reader that recognises a file gets it, so the surest signs come first
and plain tables of numbers last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xtalfuse.loaders import ebsd, electron, xrd
from xtalfuse.loaders.record import Measurement, UnreadableFileError

HEAD_BYTES = 8192
TABLES = ("text", "json", "excel")  # kinds of X-ray file that any instrument could write


@dataclass(frozen=True)
class Reader:
    """One family of formats.

    Parameters
    ----------
    name : for messages
    sniff : whether this reader knows a file, from its path and its first 8 kB
    read : the measurement in a file, given its path and the wavelength given by hand;
        raises UnreadableFileError where the file cannot be trusted
    """

    name: str
    sniff: Callable[[Path, bytes], bool]
    read: Callable[[Path, str | float | None], Measurement]


READERS = (
    Reader("orientation map", ebsd.sniff, lambda path, wavelength: ebsd.read(path)),
    # Known by its first bytes alone; asking the X-ray reader first would import rietx, a second.
    Reader("electron microscope", electron.sniff, lambda path, wavelength: electron.read(path)),
    Reader(
        "X-ray diffractometer",
        lambda path, head: xrd.sniff(path, head) not in (None, *TABLES),
        xrd.read,
    ),
    Reader("table", lambda path, head: xrd.sniff(path, head) in TABLES, xrd.read),
)


def read(path: str | Path, wavelength: str | float | None = None) -> Measurement:
    """The measurement in a file of any known format; run it in a guarded child process.

    Raises
    ------
    UnreadableFileError
        If no reader knows the file, or the one that does cannot trust it.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    for reader in READERS:
        if reader.sniff(path, head):
            return reader.read(path, wavelength)
    raise UnreadableFileError(
        f"{path.name}: no known instrument format; export it as .xrdml, .xy, .msa or .emd"
    )


def companions(path: str | Path) -> list[str]:
    """Paths of the files beside `path` that are read together with it."""
    path = Path(path)
    return [str(beside) for beside in (*ebsd.companions(path), *electron.companions(path))]
