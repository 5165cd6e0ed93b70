"""A map of crystal orientations: points on a grid, each with a phase and an orientation.

Orientations are unit quaternions (w, x, y, z) that turn the specimen frame into the crystal
frame, ``v_crystal = q v_specimen conj(q)``: Bunge's convention, in which Euler angles are
written by every EBSD instrument.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

NOT_INDEXED = -1


class GridKind(StrEnum):
    """How the points of a map lie."""

    SQUARE = "square"  # 4 neighbours in a section
    HEXAGONAL = "hexagonal"  # 6 neighbours in a section; odd rows are shifted by half a step


@dataclass(frozen=True)
class MapPhase:
    """One phase of a map.

    Parameters
    ----------
    name : as the file gives it
    laue : Hermann-Mauguin symbol of the Laue group, ``"m-3m"``, ``"6/mmm"``, ...; None for
        matter without orientation (a pore, a glass)
    cell : a, b, c in angstrom, alpha, beta, gamma in degrees, where known
    formula : where known
    pore : whether it is empty space
    """

    name: str
    laue: str | None
    cell: tuple[float, float, float, float, float, float] | None = None
    formula: str | None = None
    pore: bool = False


@dataclass(frozen=True)
class CrystalMap:
    """Orientations and phases at n points of a section, or of a stack of sections.

    Parameters
    ----------
    orientation : (n, 4) unit quaternions, specimen -> crystal; (1, 0, 0, 0) where not indexed
    phase : (n,) int, position in `phases`; ``NOT_INDEXED`` where no phase was found
    index : (n, 3) int, section, row and column of each point; a row need not be full
    phases : the phases
    grid : how the points of a section lie
    step : distance of columns, rows and sections, micrometre: (x, y, z); z is 0 of one section
    quality : maps of quality by their name in the file (confidence index, band contrast), (n,)
    """

    orientation: np.ndarray
    phase: np.ndarray
    index: np.ndarray
    phases: tuple[MapPhase, ...]
    grid: GridKind
    step: tuple[float, float, float]
    quality: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of sections, rows and columns (of the longest row)."""
        if not len(self.index):
            return (0, 0, 0)
        sections, rows, columns = self.index.max(axis=0) + 1
        return int(sections), int(rows), int(columns)

    @property
    def position(self) -> np.ndarray:
        """(n, 3) x, y, z of each point, micrometre."""
        section, row, column = self.index.T
        shift = 0.5 * (row % 2) if self.grid is GridKind.HEXAGONAL else 0.0
        dx, dy, dz = self.step
        return np.stack([(column + shift) * dx, row * dy, section * dz], axis=1)

    def lookup(self) -> np.ndarray:
        """(sections, rows, columns) int: which point lies there, -1 where none does."""
        where = np.full(self.shape, -1)
        where[tuple(self.index.T)] = np.arange(len(self.index))
        return where

    def completed(self) -> tuple[CrystalMap, np.ndarray]:
        """The map with all points of its grid, and (p,) bool: which of them it had.

        The grid reaches, in every section, from the first to the last row, and in every row from
        the first to the last column (of the rows like it on a hexagonal grid). What is added is
        not indexed and has the lowest quality.
        """
        there = self.lookup() >= 0
        full = np.zeros_like(there)
        alike = 2 if self.grid is GridKind.HEXAGONAL else 1
        for first in range(alike):
            used = np.flatnonzero(there[:, first::alike].any(axis=(0, 1)))
            if len(used):
                full[:, first::alike, used[0] : used[-1] + 1] = True
        added = np.argwhere(full & ~there)
        had = np.arange(len(self.index) + len(added)) < len(self.index)
        if not len(added):
            return self, had
        plain = np.tile([1.0, 0.0, 0.0, 0.0], (len(added), 1))
        quality = {
            name: np.append(values, np.full(len(added), values.min()))
            for name, values in self.quality.items()
        }
        found = replace(
            self,
            orientation=np.concatenate([self.orientation, plain]),
            phase=np.append(self.phase, np.full(len(added), NOT_INDEXED)),
            index=np.concatenate([self.index, added]),
            quality=quality,
        )
        return found, had

    def pairs(self) -> np.ndarray:
        """(2, m) int: the pairs of points that are neighbours, each pair once."""
        where = self.lookup()
        found = [_both(where[:, :, :-1], where[:, :, 1:]), _both(where[:-1], where[1:])]
        if self.grid is GridKind.SQUARE:
            found.append(_both(where[:, :-1], where[:, 1:]))
        else:
            found += _between_hexagonal_rows(where)
        return np.concatenate(found, axis=1)


def _both(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(2, m) the pairs at the same place of two views of a lookup in which both exist."""
    there = (first >= 0) & (second >= 0)
    return np.stack([first[there], second[there]])


def _between_hexagonal_rows(where: np.ndarray) -> list[np.ndarray]:
    """Pairs between each row and the next, in which odd rows are shifted to the right."""
    even, odd = where[:, 0::2], where[:, 1::2]
    below_even = even[:, : odd.shape[1]]
    above_even = even[:, 1:]
    under_odd = odd[:, : above_even.shape[1]]
    return [
        _both(below_even, odd),
        _both(below_even[:, :, 1:], odd[:, :, :-1]),
        _both(under_odd, above_even),
        _both(under_odd[:, :, :-1], above_even[:, :, 1:]),
    ]
