"""Arrays too large for a pipe: the child process writes them to a file, the parent maps it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from xtalfuse.loaders.record import Measurement, UnreadableFileError
from xtalfuse.loaders.safe.scratch import NO_ROOM, scratch_folder

IN_MEMORY_BYTES = 512_000_000  # a larger array goes through a file
_FILE = "values.npy"


@dataclass(frozen=True)
class Spooled:
    """A measurement whose values lie in the spool that its reader was given."""

    measurement: Measurement


@dataclass(frozen=True)
class Spool:
    """A folder of the waiting process, in which a reader may leave one array."""

    folder: str

    def takes(self, nbytes: int) -> bool:
        """Whether an array of this size should go through the spool."""
        return nbytes > IN_MEMORY_BYTES

    def write(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype, blocks: Iterable[np.ndarray]
    ) -> None:
        """Write an array, block after block along its first axis.

        Parameters
        ----------
        name : file name for the messages
        shape : of the whole array
        dtype : of the stored values
        blocks : parts of the array in their order

        Raises
        ------
        UnreadableFileError
            If the disk has no room for it.
        """
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise UnreadableFileError(
                f"{name}: a volume of {needed / 1e9:.3g} GB, and {self.folder} has "
                f"{free / 1e9:.3g} GB free; crop it, or set TMPDIR to a larger disk"
            )
        try:
            with (Path(self.folder) / _FILE).open("wb") as file:
                header = {"descr": dtype.str, "fortran_order": False, "shape": tuple(shape)}
                np.lib.format.write_array_header_2_0(file, header)
                for block in blocks:
                    # not a memory map: its pages would count as memory of this process
                    file.write(np.ascontiguousarray(block, dtype).data)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise UnreadableFileError(
                f"{name}: {self.folder} has no room for {needed / 1e9:.3g} GB "
                f"({error.strerror}); crop it, or set TMPDIR to a larger disk"
            ) from None

    def collect(self, result: Measurement | Spooled) -> Measurement:
        """The measurement with its values, mapped read-only from the file where they lie there."""
        if isinstance(result, Measurement):
            return result
        values = np.load(Path(self.folder) / _FILE, mmap_mode="r", allow_pickle=False)
        return replace(result.measurement, values=values)


@contextmanager
def temporary_spool() -> Iterator[Spool]:
    """A spool that is gone afterwards, or, where this program is killed, when a file is next read.

    An array that is mapped from it stays; Windows keeps the file of such an array until then.
    """
    with scratch_folder(Path(tempfile.gettempdir()), "xtalfuse-tmp-") as folder:
        yield Spool(str(folder))
