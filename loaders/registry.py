"""All readers, and the choice of the one that knows a file best."""

from __future__ import annotations

import errno
import logging
import math
import os
from collections.abc import Iterable
from pathlib import Path

from xtalfuse.loaders.reader import Certainty, Reader, ReadOptions
from xtalfuse.loaders.record import Measurement, Modality, Reason, UnreadableFileError
from xtalfuse.loaders.safe.checks import MOST_EXPANSION, check_objects
from xtalfuse.loaders.safe.guard import check_file
from xtalfuse.loaders.safe.head import FileHead, check_archive, missing_package, refused
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
_SCALED = (Modality.DIFFRACTION, Modality.IMAGE, Modality.EELS, Modality.EDS, Modality.OTHER)
_log = logging.getLogger(__name__)


def certainties(head: FileHead) -> dict[str, Certainty]:
    """How sure each reader is of a file; those that are not stand not in it.

    Slow readers are asked only where no quick one knows more than that it is a table.
    """
    check_archive(head)
    check_objects(head)
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
        if lacking := missing_package(type(error).__name__, str(error)):
            head.lacking.append(lacking)
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
    if options.modality is not None:
        return _of_kind(head, sure, options.modality)
    if options.means_volume:
        volumes = {n: c for n, c in sure.items() if Modality.CT in READERS[n].modalities}
        # a text map is none, whatever its voxel
        if volumes or options.part is not None or not _holds_map(sure):
            return _surest(head, volumes, _NO_VOLUME)
    known = {name: c for name, c in sure.items() if c > Certainty.ON_REQUEST}
    return _surest(head, known, _UNKNOWN)


def _of_kind(head: FileHead, sure: dict[str, Certainty], kind: Modality) -> Reader:
    """The surest reader that gives records of the kind that a person stated."""
    right = {n: c for n, c in sure.items() if kind in READERS[n].modalities}
    if right or not sure:
        return _surest(head, right, _UNKNOWN)
    other = READERS[max(sure, key=lambda name: sure[name])]
    holds = " or ".join(str(held) for held in other.modalities) or "nothing that can be read"
    raise UnreadableFileError(
        f"{head.path.name}: stated to be {kind}, but it is a file of {other.about}, which holds "
        f"{holds}; correct the modality",
        Reason.NOT_AS_STATED,
    )


def _holds_map(sure: dict[str, Certainty]) -> bool:
    return any(Modality.EBSD in READERS[name].modalities for name in sure)


def _surest(head: FileHead, sure: dict[str, Certainty], otherwise: str) -> Reader:
    if not sure:
        if head.lacking:
            raise refused(head.path.name, *head.lacking[0], reason=Reason.LACKING)
        raise UnreadableFileError(f"{head.path.name}: {otherwise}", Reason.UNKNOWN_FORMAT)
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
        try:
            reader = choose(head, options)
        except UnreadableFileError:
            for named in READERS.values():
                if head.suffix in named.suffixes:
                    _check_size(named, head, options.largest_gb)
            raise
        _check_size(reader, head, options.largest_gb)
    found = reader.read(Path(path), options)
    _hold_to(options, found, Path(path).name)
    return found


def _hold_to(options: ReadOptions, found: Measurement | Spooled, name: str) -> None:
    """Refuse a record that is not what a person stated, or a statement that it cannot use."""
    kind = found.measurement.modality if isinstance(found, Spooled) else found.modality
    if options.modality not in (None, kind):
        raise UnreadableFileError(
            f"{name}: stated to be {options.modality}, but what it holds is {kind}; correct the "
            "modality",
            Reason.NOT_AS_STATED,
        )
    if options.scale is not None and kind not in _SCALED:
        raise UnreadableFileError(
            f"{name}: scale and units are of pictures and spectra, and this is {kind}; take them "
            "away (a volume has a voxel size, a powder pattern its own axis)"
        )


def _check_size(reader: Reader, head: FileHead, by_hand: float | None) -> None:
    """Refuse a file, or one that is read with it, that is larger than its format allows.

    Or of which hardly anything is on the disk: a copy that was broken off leaves such a file.
    """
    most = reader.largest if by_hand is None else by_hand
    for path in (head.path, *reader.companions(head)):
        told = check_file(path).stat()
        size, stored = told.st_size / 1e9, 512 * getattr(told, "st_blocks", 0) / 1e9
        if size > max(0.1, MOST_EXPANSION * stored) and stored > 0 and size <= most:
            cause = f"{size:.3g} GB, of which {stored:.2g} GB are on the disk"
            raise refused(path.name, cause, reason=Reason.TOO_LARGE)
        if size > most:
            raise refused(
                path.name,
                f"{size:.3g} GB, where a file of the format {reader.name} has at most {most:g} GB",
                f"crop it, or raise the limit: --largest-gb {math.ceil(size)} "
                f"(Python: limits=Limits(largest_gb={math.ceil(size)}))",
                reason=Reason.TOO_LARGE,
            )


def folder_reader(folder: Path) -> tuple[str, tuple[Path, ...]] | None:
    """(name of the reader, files) of a folder that is one measurement; None if it is none.

    Raises
    ------
    UnreadableFileError
        If the folder may not be read.
    """
    try:
        if not os.access(folder, os.X_OK):  # its names can be listed, and nothing more
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
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
    found = READERS[name].read(Path(first).parent, options)
    _hold_to(options, found, Path(first).parent.name)
    return found


def companions(path: str | Path) -> list[str]:
    """Paths of the files beside `path` that are read together with it."""
    with FileHead.of(path) as head:
        check_archive(head)
        check_objects(head)
        return [
            str(beside)
            for reader in _by_speed(slow=False)
            if _sniffed(reader, head)
            for beside in reader.companions(head)
        ]
