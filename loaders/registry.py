"""Chooses the reader of a file by its content.

To add a format family, write a module with a `sniff` and a `read` and give it a line in
`READERS`; the first reader that recognises a file gets it, so the surest signs come first
and plain tables of numbers last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xtalfuse.loaders.ct import read as ct
from xtalfuse.loaders.ebsd import read as ebsd
from xtalfuse.loaders.record import Measurement, UnreadableFileError
from xtalfuse.loaders.tem import read as electron
from xtalfuse.loaders.xrd import read as xrd

HEAD_BYTES = 8192
TABLES = ("text", "json", "excel")  # kinds of X-ray file that any instrument could write


@dataclass(frozen=True)
class Reader:
    """One family of formats.

    Parameters
    ----------
    name : for messages
    sniff : whether this reader knows a file, from its path and its first 8 kB
    read : the measurement in a file, given its path, and the wavelength and what is said of
        a volume by hand; raises UnreadableFileError where the file cannot be trusted
    """

    name: str
    sniff: Callable[[Path, bytes], bool]
    read: Callable[[Path, str | float | None, ct.Wanted | None], Measurement | ct.Spooled]


READERS = (
    Reader("orientation map", ebsd.sniff, lambda path, *_: ebsd.read(path)),
    Reader("volume", ct.sniff, lambda path, wavelength, volume: ct.read(path, volume)),
    # Known by its first bytes alone; asking the X-ray reader first would import rietx, a second.
    Reader("electron microscope", electron.sniff, lambda path, *_: electron.read(path)),
    Reader(
        "X-ray diffractometer",
        lambda path, head: xrd.sniff(path, head) not in (None, *TABLES),
        lambda path, wavelength, _: xrd.read(path, wavelength),
    ),
    Reader(
        "table",
        lambda path, head: xrd.sniff(path, head) in TABLES,
        lambda path, wavelength, _: xrd.read(path, wavelength),
    ),
)


def read(
    path: str | Path, wavelength: str | float | None = None, volume: ct.Wanted | None = None
) -> Measurement | ct.Spooled:
    """The measurement in a file of any known format; run it in a guarded child process.

    Parameters
    ----------
    path : the file
    wavelength : X-ray radiation by hand
    volume : what a person says of it if it is a volume

    Raises
    ------
    UnreadableFileError
        If no reader knows the file, or the one that does cannot trust it.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if volume is not None and volume.asked and not (volume.part is None and _is_map(path, head)):
        return ct.read(path, volume)
    for reader in READERS:
        if reader.sniff(path, head):
            return reader.read(path, wavelength, volume)
    raise UnreadableFileError(
        f"{path.name}: no known instrument format; export it as .xrdml, .xy, .msa or .emd"
    )


def _is_map(path: Path, head: bytes) -> bool:
    """Whether a file is an orientation map and nothing else; HDF5 may hold a volume too."""
    return not head.startswith(b"\x89HDF") and ebsd.sniff(path, head)


def companions(path: str | Path) -> list[str]:
    """Paths of the files beside `path` that are read together with it."""
    path = Path(path)
    readers = (ebsd, electron, ct)
    return [str(beside) for reader in readers for beside in reader.companions(path)]
