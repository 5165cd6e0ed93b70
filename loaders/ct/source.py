"""A volume as its file gives it, block by block, and what is checked on the way.

Every format becomes a `Source`; `collect` runs through its blocks once, so that a volume
larger than memory costs one block of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.loaders.safe.spool import Spool

BLOCK_BYTES = 16_000_000
MOST_EXPANSION = 1_000  # declared bytes for each stored byte
SHORTEST = 8  # voxels along each axis; fewer pages are pictures
_SAMPLE = 24  # slices from which labels are told from grey values ...
_SAMPLE_SIDE = 512  # ... and how much of each
_FEW_VALUES = 16
_PIECEWISE = 0.6  # share of equal neighbours in labels: grains of 5 voxels have about 0.7
_CLOSE = 2  # grey values beside each other differ by less in a smooth volume of few greys


@dataclass(frozen=True)
class Source:
    """A volume in a file, not yet read.

    Parameters
    ----------
    shape : z, y, x
    dtype : of the blocks
    blocks : gives (d, y, x) blocks in the order of z, whole volume once
    reader : for the provenance
    step_um : voxel size z, y, x in micrometre; None if the file does not say
    assumed : whether the unit of `step_um` is a convention of the format
    metadata, warnings : for the provenance
    label : whether the file says that its values are labels; None if it does not say
    files : the slices, where each is a file
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    blocks: Callable[[], Iterator[np.ndarray]]
    reader: str
    step_um: tuple[float, float, float] | None = None
    assumed: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    label: bool | None = None
    files: tuple[Path, ...] = ()

    @property
    def nbytes(self) -> int:
        """Size of the whole volume; Python integers cannot overflow."""
        z, y, x = (int(n) for n in self.shape)
        return z * y * x * int(self.dtype.itemsize)


@dataclass(frozen=True)
class Collected:
    """A volume that was read: `values` is None where it lies in the spool."""

    values: np.ndarray | None
    label: bool
    warnings: tuple[str, ...]


def depth(shape: tuple[int, ...], itemsize: int, at_least: int = 1) -> int:
    """Number of slices in one block of about ``BLOCK_BYTES``, a multiple of `at_least`."""
    slices = max(1, BLOCK_BYTES // max(1, int(shape[1]) * int(shape[2]) * itemsize))
    return max(at_least, slices // at_least * at_least)


def collect(source: Source, name: str, spool: Spool | None) -> Collected:
    """Read a volume into memory, or, if it is large, into the spool.

    Parameters
    ----------
    source : the volume
    name : file name for the messages
    spool : where a large volume may be written; None to keep it in memory

    Raises
    ------
    UnreadableFileError
        If it is no volume of real, finite numbers, is constant, or does not fit on the disk.
    """
    stored = _stored_type(source, name)
    voxels = source.nbytes // source.dtype.itemsize
    seen = _Seen(source, name)
    if spool is not None and spool.takes(voxels * stored.itemsize):
        spool.write(name, source.shape, stored, (block for _, block in seen.blocks()))
        return seen.collected(None)
    values = np.empty(source.shape, stored)
    for start, block in seen.blocks():
        values[start : start + len(block)] = block
    return seen.collected(values)


def _stored_type(source: Source, name: str) -> np.dtype:
    if len(source.shape) != 3 or min(source.shape) < 2:
        raise UnreadableFileError(
            f"{name}: {' x '.join(map(str, source.shape))} values are no volume; "
            "give a file with three dimensions"
        )
    kind = source.dtype.kind
    if kind not in "buif":
        raise UnreadableFileError(
            f"{name}: the values are no real numbers ({source.dtype}); save grey values or labels"
        )
    if kind == "b":
        return np.dtype(np.uint8)
    if source.dtype.itemsize == 2 and kind == "f":
        return np.dtype(np.float32)
    return source.dtype.newbyteorder("=")


class _Seen:
    """What one pass over the blocks shows: range, empty slices, a sample of slices."""

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name
        self.lowest, self.highest = np.inf, -np.inf
        self.empty: list[bool] = []
        self.zeros = 0
        self.sample: list[np.ndarray] = []

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        every = max(1, self.source.shape[0] // _SAMPLE)
        start = 0
        for block in self.source.blocks():
            if block.dtype.kind == "f" and not np.isfinite(block).all():
                raise UnreadableFileError(
                    f"{self.name}: values in slices {start} to {start + len(block) - 1} are not "
                    "finite; fill them (often the rim of a reconstruction), or " + EXPORT_AGAIN
                )
            self.lowest = min(self.lowest, float(block.min()))
            self.highest = max(self.highest, float(block.max()))
            flat = block.reshape(len(block), -1)
            filled = np.count_nonzero(flat, axis=1)
            self.empty += (filled == 0).tolist()
            self.zeros += int(flat.size - filled.sum())
            for i in range(-start % every, len(block), every):
                # a copy: a view would keep the whole block in memory
                self.sample.append(block[i, :_SAMPLE_SIDE, :_SAMPLE_SIDE].copy())
            yield start, block
            start += len(block)
        if start != self.source.shape[0]:
            raise refused(self.name, f"{start} slices of {self.source.shape[0]}")

    def collected(self, values: np.ndarray | None) -> Collected:
        if self.lowest == self.highest:
            raise refused(self.name, f"all values of the signal are {self.lowest:g}")
        warnings = list(self.source.warnings)
        label = self.source.label
        if label is None:
            label = piecewise_constant(self.sample)
            if label:
                warnings.append("taken for labels, not grey values: it is constant in pieces")
        tail = self.empty[::-1].index(False)
        slice_size = self.source.shape[1] * self.source.shape[2]
        rest = (len(self.empty) - tail) * slice_size
        if tail > 0 and self.zeros - tail * slice_size < 0.05 * rest:
            warnings.append(f"the last {tail} slices are exactly zero: the file may be cut")
        return Collected(values, label, tuple(warnings))


def piecewise_constant(slices: list[np.ndarray]) -> bool:
    """Whether slices hold labels rather than grey values.

    Labels are whole numbers of which few occur; or that are mostly equal to their neighbour
    and, where they are not, mostly far from it. Pairs with the most frequent value (often a
    background that was set to 0) do not count.

    Parameters
    ----------
    slices : (y, x) arrays
    """
    if not slices or slices[0].dtype.kind not in "bui":
        return False
    if slices[0].dtype.kind == "b":
        return True
    values, counts = np.unique(np.stack(slices), return_counts=True)
    if len(values) <= _FEW_VALUES:
        return True
    common = values[np.argmax(counts)]
    pairs = equal = close = 0
    for picture in slices:
        left, right = picture[:, :-1].astype(np.int64), picture[:, 1:].astype(np.int64)
        apart = np.abs(left - right)[(left != common) & (right != common)]
        pairs += apart.size
        equal += int((apart == 0).sum())
        close += int(((apart > 0) & (apart <= _CLOSE)).sum())
    return pairs > 0 and equal >= _PIECEWISE * pairs and close <= 0.5 * (pairs - equal)
