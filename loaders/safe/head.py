"""A file as it is seen before it is read: its name, its first bytes, its container.

All readers look at one `FileHead`, so that a file is opened once to find out what it is.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xtalfuse.loaders.record import Reason, UnreadableFileError

if TYPE_CHECKING:
    import h5py

HEAD_BYTES = 8192
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
EXPORT_AGAIN = "copy or export the file again from the instrument"
MOST_MEMBER_BYTES = 100_000_000  # of XML or text: a sheet of Excel's 2**20 rows has 70 MB
_MOST_DIRECTORY = 10_000_000  # bytes of a zip archive's list of members: a hundred thousand
_ZIP_END = b"PK\x05\x06"
_BLANK = "\xef\xbb\xbf \r\n\t"  # a UTF-8 mark, read as latin-1, and white space

Answer = TypeVar("Answer")


class FileHead:
    """The first bytes of a file; use it in a ``with`` block, which closes what was opened.

    Parameters
    ----------
    path : the file
    start : its first ``HEAD_BYTES``

    Examples
    --------
    >>> head = FileHead(Path("scan.XY"), b"\\n10.00 120\\n")
    >>> head.suffix, head.text
    ('.xy', '10.00 120\\n')
    """

    def __init__(self, path: Path, start: bytes) -> None:
        self.path, self.start = path, start
        self._known: dict[Any, Any] = {}
        self.lacking: list[tuple[str, str]] = []  # packages that readers miss: cause, remedy

    @classmethod
    def of(cls, path: str | Path) -> FileHead:
        """Read the head of a file."""
        path = Path(path)
        with path.open("rb") as file:
            return cls(path, file.read(HEAD_BYTES))

    def __enter__(self) -> FileHead:
        return self

    def __exit__(self, *_: object) -> None:
        opened = self.__dict__.pop("hdf5", None)
        if opened is not None:
            opened.close()

    @property
    def suffix(self) -> str:
        """Suffix in small letters; a hint, never a proof."""
        return self.path.suffix.lower()

    @cached_property
    def text(self) -> str:
        """The first bytes as latin-1, without a byte-order mark and leading white space."""
        return self.start.decode("latin-1").lstrip(_BLANK)

    @property
    def is_hdf5(self) -> bool:
        return self.start.startswith(HDF5_MAGIC)

    @cached_property
    def hdf5(self) -> h5py.File | None:
        """The open file where it is HDF5; None if it is not, or damaged: reading says how."""
        if not self.is_hdf5:
            return None
        import h5py

        try:
            return h5py.File(self.path, "r")
        except (OSError, RuntimeError, ValueError):
            return None

    def once(self, question: Callable[[FileHead], Answer]) -> Answer:
        """``question(self)``; asked again, the answer of the first time."""
        if question not in self._known:
            self._known[question] = question(self)
        return self._known[question]


def check_archive(head: FileHead) -> None:
    """Refuse a zip archive that would fill the memory of whoever unpacks it.

    Python unpacks no more of a member than the archive declares for it, so that what is
    declared bounds it. Arrays (``.npy``) are bounded by their readers, which know their shapes.

    Raises
    ------
    UnreadableFileError
        If the list of members is absurdly long, or the other members are larger than any
        scan, together or alone.
    """
    if not head.start.startswith(b"PK"):
        return
    name = head.path.name
    with head.path.open("rb") as file:
        file.seek(max(0, head.path.stat().st_size - 65_557))  # the end with its longest comment
        tail = file.read()
    end = tail[tail.rfind(_ZIP_END) :] if _ZIP_END in tail else b""
    if int.from_bytes(end[12:16], "little") > _MOST_DIRECTORY:
        raise refused(name, "an archive of more than a hundred thousand members")
    try:
        with zipfile.ZipFile(head.path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # damaged: its reader says how
    texts = [member for member in members if not member.filename.endswith(".npy")]
    total = sum(member.file_size for member in texts)
    if total > MOST_MEMBER_BYTES:
        largest = max(texts, key=lambda member: member.file_size)
        raise refused(
            name,
            f"unpacks to {total / 1e6:.0f} MB, {largest.filename[:80]} alone to "
            f"{largest.file_size / 1e6:.0f} MB, and {MOST_MEMBER_BYTES / 1e6:.0f} MB are allowed",
            "export the scan alone, as text",
        )


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> str:
    """SHA-256 of the hashes of several files in their order."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(sha256_of(path).encode())
    return whole.hexdigest()


def refused(
    name: str, cause: str, remedy: str = EXPORT_AGAIN, *, reason: Reason = Reason.REFUSED
) -> UnreadableFileError:
    """The error of a file that cannot be trusted: name, cause and remedy in one line."""
    return UnreadableFileError(f"{name}: {cause}; {remedy}", reason)


def damaged(name: str, error: Exception) -> UnreadableFileError:
    """The error of a file on which a library raised whatever it raises."""
    cause = " ".join(str(error).split())[:200] or "no message"
    lacking = missing_package(type(error).__name__, cause)
    if lacking:
        return refused(name, *lacking, reason=Reason.LACKING)
    cause = f"damaged or incomplete ({type(error).__name__}: {cause})"
    return refused(name, cause, reason=Reason.DAMAGED)


# How Python, RosettaSciIO and tifffile say that a package is not there.
_NO_PACKAGE = re.compile(
    r"No module named '(\w+)|[Tt]he '([\w-]+)' (?:library|package) was not found"
    r"|requires? the '([\w-]+)' (?:package|library)"
)
# How HDF5 says that it cannot unpack: all its usual filters come with one package.
_NO_FILTER = re.compile(r"required filter|filter .*not registered|open directory .*plugin", re.I)
_PACKAGES = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def missing_package(kind: str, message: str) -> tuple[str, str] | None:
    """(cause, remedy) where an exception says that a package is absent; None if it does not.

    Parameters
    ----------
    kind : name of the exception's class
    message : what it says
    """
    found = _NO_PACKAGE.search(message)
    name = next(filter(None, found.groups())) if found else ""
    if not name and _NO_FILTER.search(message):
        name = "hdf5plugin"
    if name:
        name = _PACKAGES.get(name, name)
        return f"reading it needs the package {name}", f"install it: pip install {name}"
    if kind in ("ImportError", "ModuleNotFoundError"):
        return (
            f"a package that reads it cannot be imported ({message})",
            "install that package again; the file may be good",
        )
    return None
