"""A file as it is seen before it is read: its name, its first bytes, its container.

All readers look at one `FileHead`, so that a file is opened once to find out what it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xtalfuse.loaders.record import UnreadableFileError

if TYPE_CHECKING:
    import h5py

HEAD_BYTES = 8192
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
EXPORT_AGAIN = "copy or export the file again from the instrument"
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


def refused(name: str, cause: str, remedy: str = EXPORT_AGAIN) -> UnreadableFileError:
    """The error of a file that cannot be trusted: name, cause and remedy in one line."""
    return UnreadableFileError(f"{name}: {cause}; {remedy}")


def damaged(name: str, error: Exception) -> UnreadableFileError:
    """The error of a file on which a library raised whatever it raises."""
    cause = " ".join(str(error).split())[:200] or "no message"
    return refused(name, f"damaged or incomplete ({type(error).__name__}: {cause})")
