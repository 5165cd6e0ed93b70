"""All readers, and the choice of the one that knows a file best."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from xtalfuse.loaders.reader import Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import Measurement, Modality, UnreadableFileError
from xtalfuse.loaders.safe.head import FileHead
from xtalfuse.loaders.safe.spool import Spooled
from xtalfuse.physics.registry import Registry

# Of two readers that are equally sure the first gets the file.
READERS: Registry[Reader] = Registry(
    "reader",
    "xtalfuse.readers",
    rooms=(
        "xtalfuse.loaders.ebsd",
        "xtalfuse.loaders.ebsd.hdf5",
        "xtalfuse.loaders.ct",
        "xtalfuse.loaders.tem",
        "xtalfuse.loaders.xrd",
        "xtalfuse.loaders.xrd.vendor",
        "xtalfuse.loaders.xrd.tables",
        "xtalfuse.loaders",  # a single module, of an instrument that has no room yet
    ),
    attribute="READERS",
)

_NO_VOLUME = (
    "no known format of a volume; save it as a multipage .tif, .npy, .h5, or raw data with a "
    ".json beside it"
)
_UNKNOWN = "no known instrument format; export it as .xrdml, .xy, .msa or .emd"
_log = logging.getLogger(__name__)


def certainties(head: FileHead) -> dict[str, Certainty]:
    """How sure each reader is of a file; those that are not stand not in it.

    Slow readers are asked only where no quick one knows more than that it is a table.
    """
    quick = {r.name: sure for r in _by_speed(slow=False) if (sure := _sniffed(r, head))}
    if max(quick.values(), default=Certainty.NONE) > Certainty.TABLE:
        return quick
    return quick | {r.name: sure for r in _by_speed(slow=True) if (sure := _sniffed(r, head))}


def _by_speed(slow: bool) -> Iterable[Reader]:
    return (reader for reader in READERS.values() if reader.slow is slow)


def _sniffed(reader: Reader, head: FileHead) -> Certainty:
    try:
        return reader.sniff(head)
    except Exception as error:  # one bad reader must not cost the files of all others
        _log.warning("reader %s cannot look at %s: %r", reader.name, head.path.name, error)
        return Certainty.NONE


def choose(head: FileHead, options: ReadOptions | None = None) -> Reader:
    """The reader that is surest of a file; of several, the first.

    Raises
    ------
    UnreadableFileError
        If no reader knows the file.
    """
    options = options or ReadOptions()
    sure = certainties(head)
    if options.means_volume:
        volumes = {n: c for n, c in sure.items() if Modality.CT in READERS[n].modalities}
        # a text map is none, whatever its voxel
        if volumes or options.part is not None or not _holds_map(sure):
            return _surest(head, volumes, _NO_VOLUME)
    known = {name: c for name, c in sure.items() if c > Certainty.ON_REQUEST}
    return _surest(head, known, _UNKNOWN)


def _holds_map(sure: dict[str, Certainty]) -> bool:
    return any(Modality.EBSD in READERS[name].modalities for name in sure)


def _surest(head: FileHead, sure: dict[str, Certainty], otherwise: str) -> Reader:
    if not sure:
        raise UnreadableFileError(f"{head.path.name}: {otherwise}")
    return READERS[max(sure, key=lambda name: sure[name])]


def read(path: str | Path, options: ReadOptions | None = None) -> Measurement | Spooled:
    """The measurement in a file of any known format; run it in a guarded child process.

    Raises
    ------
    UnreadableFileError
        If no reader knows the file, or the one that does cannot trust it.
    """
    options = options or ReadOptions()
    with FileHead.of(path) as head:
        reader = choose(head, options)
    return reader.read(Path(path), options)


def folder_reader(folder: Path) -> tuple[str, tuple[Path, ...]] | None:
    """(name of the reader, files) of a folder that is one measurement; None if it is none.

    Raises
    ------
    UnreadableFileError
        If the folder may not be read.
    """
    try:
        for reader in READERS.values():
            if files := reader.folder(folder):
                return reader.name, files
    except OSError as error:
        raise UnreadableFileError(
            f"{folder.name}: the folder cannot be read ({error.strerror}); check its permissions"
        ) from None
    return None


def read_folder(first: str | Path, name: str, options: ReadOptions) -> Measurement | Spooled:
    """The measurement in the folder of the file `first`; run it in a guarded child process."""
    return READERS[name].read(Path(first).parent, options)


def companions(path: str | Path) -> list[str]:
    """Paths of the files beside `path` that are read together with it."""
    with FileHead.of(path) as head:
        return [
            str(beside)
            for reader in _by_speed(slow=False)
            if _sniffed(reader, head)
            for beside in reader.companions(head)
        ]
