"""Where the points of an orientation map lie: positions in micrometre -> rows and columns.

Files give a position for each point, a declared number of rows and columns, or both, and the
two need not agree: a map may be thinned out, ragged, or cut. The positions are believed where
they lie on a grid; what is declared tells whether all of them are there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.physics.grains.crystal_map import GridKind

_OFF_GRID = 0.2  # of a step: further away, a point belongs to no node; few digits print 0.15
_SAME_STEP = 0.02  # relative difference up to which two steps are one, printed with few digits


@dataclass(frozen=True)
class Declared:
    """What a file says of its grid.

    Parameters
    ----------
    grid : how the points lie
    rows : number of rows
    columns : points in the first row, and in every second row from there
    columns_even : points in the second row, the fourth, ...; `columns` on a square grid
    step : (x, y) micrometre, where given
    """

    grid: GridKind
    rows: int
    columns: int
    columns_even: int
    step: tuple[float, float] | None = None

    @property
    def points(self) -> int:
        """How many points a full map has."""
        return (self.rows + 1) // 2 * self.columns + self.rows // 2 * self.columns_even


@dataclass(frozen=True)
class Placed:
    """Rows and columns of the points of one section.

    Parameters
    ----------
    row, column : (n,) int
    grid : how the points lie
    step : (x, y) micrometre
    notes : warnings
    """

    row: np.ndarray
    column: np.ndarray
    grid: GridKind
    step: tuple[float, float]
    notes: tuple[str, ...] = ()


def declared_places(name: str, count: int, declared: Declared) -> Placed:
    """Places of points that come without positions: row by row, as declared.

    Raises
    ------
    UnreadableFileError
        If the number of points is not the declared one, or no step is known.
    """
    if count != declared.points:
        raise UnreadableFileError(
            f"{name}: {count} points where {declared.points} are declared "
            f"({declared.rows} rows of {declared.columns}); {EXPORT_AGAIN}"
        )
    step = declared.step or (0.0, 0.0)
    if declared.rows == 1 and step[1] == 0:  # a line
        step = (step[0], step[0])
    if not min(step) > 0:
        raise refused(name, "neither positions nor a step of the grid")
    lengths = np.where(np.arange(declared.rows) % 2, declared.columns_even, declared.columns)
    row = np.repeat(np.arange(declared.rows), lengths)
    column = np.arange(count) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return Placed(row, column, declared.grid, step)


def place(
    name: str, x: np.ndarray, y: np.ndarray, declared: Declared | None, complete: bool = False
) -> Placed:
    """Rows and columns of points from their positions, held against what is declared.

    Parameters
    ----------
    name : file name for messages
    x, y : (n,) micrometre
    declared : what the file says of its grid; None where it says nothing
    complete : whether it is known that no point is missing, however ragged the map

    Raises
    ------
    UnreadableFileError
        If positions are not finite or on no grid, two points share a place, or points are
        missing that the file declares or that a last row lacks.
    """
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise UnreadableFileError(f"{name}: positions that are no numbers; {EXPORT_AGAIN}")
    row, step_y = _nodes(name, "y", y, _step(np.unique(y)), _OFF_GRID)
    column, grid, step_x = _columns(name, x, row)
    if declared and declared.step:  # of a single row or column
        step_x, step_y = step_x or declared.step[0], step_y or declared.step[1]
    if grid is GridKind.SQUARE and declared and declared.grid is GridKind.HEXAGONAL and row.max():
        raise refused(name, "declared hexagonal, but its rows are not shifted by half a step")
    places = row.astype(np.int64) * (int(column.max()) + 1) + column
    doubled = int((np.diff(np.sort(places)) == 0).sum())
    if doubled:
        raise refused(name, f"{doubled} points lie where another lies")
    step = (_digits(step_x or step_y), _digits(step_y or step_x))
    placed = Placed(row, column, grid, step)
    notes = () if complete else _completeness(name, placed, declared)
    return Placed(row, column, grid, step, notes)


def _digits(step: float) -> float:
    """Seven digits: more than any file prints, fewer than the mean of printed steps carries."""
    return float(f"{step:.7g}")


def _step(levels: np.ndarray) -> float:
    """Distance of neighbours among sorted values; 0 where there is only one.

    Printed coordinates are rounded, so the mean of single steps is taken, not one of them.
    """
    gaps = np.diff(levels)
    gaps = gaps[gaps > 1e-4 * gaps.max(initial=0.0)]
    if not gaps.size:
        return 0.0
    return float(gaps[gaps < 1.5 * np.median(gaps)].mean())


def _step_in_rows(x: np.ndarray, row: np.ndarray) -> float:
    """Distance of neighbours in a row: rows of a hexagonal grid are shifted to each other."""
    order = np.lexsort((x, row))
    gaps = np.diff(x[order])[np.diff(row[order]) == 0]
    return _step(np.concatenate([[0.0], np.cumsum(gaps)]))


def _nodes(
    name: str, axis: str, values: np.ndarray, step: float, tolerance: float
) -> tuple[np.ndarray, float]:
    """(n,) int: which node of a regular axis each value is, from the lowest; the step, fitted.

    Nodes are counted from value to value, so that a step known to few digits does not matter
    at the far end.
    """
    if step <= 0:
        return np.zeros(values.shape, dtype=np.int64), 0.0
    levels, which = np.unique(values, return_inverse=True)
    nodes = np.concatenate([[0.0], np.cumsum(np.rint(np.diff(levels) / step))])
    if nodes[-1] > 0:
        step, first = (float(x) for x in np.polyfit(nodes, levels, 1))
        far = np.abs(levels - first - step * nodes) > tolerance * step
        if far.any():
            raise UnreadableFileError(
                f"{name}: {int(far[which].sum())} of {values.size} points lie on no grid of step "
                f"{step:.6g} um in {axis}; {EXPORT_AGAIN}, with the grid of the measurement"
            )
    return nodes.astype(np.int64)[which], step


def _columns(name: str, x: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, GridKind, float]:
    """Columns, kind of grid and step: hexagonal where every second row is shifted by half one.

    `CrystalMap` has odd rows shifted to the right; where a file shifts the even ones, these
    begin at column 1.
    """
    in_rows = _step_in_rows(x, row) or _step(np.unique(x))
    halves, half = _nodes(name, "x", x, in_rows / 2, 2 * _OFF_GRID)
    odd = row % 2 == 1
    shifted = halves % 2 == 1
    if not shifted.any():
        return halves // 2, GridKind.SQUARE, 2 * half
    if (shifted == odd).all():
        return halves // 2, GridKind.HEXAGONAL, 2 * half
    if (shifted != odd).all():
        return (halves + 1) // 2, GridKind.HEXAGONAL, 2 * half
    raise refused(name, "some rows are shifted by half a step, but not every second one")


def _completeness(name: str, placed: Placed, declared: Declared | None) -> tuple[str, ...]:
    """Warnings; an error where points are missing."""
    count = placed.row.size
    if declared is None:
        return _unfinished(name, placed)
    if count == declared.points or count == _hexagonal_points(placed, declared):
        return _as_declared(name, placed, declared)
    if _thinned(placed, declared):
        every = round(declared.columns / (int(placed.column.max()) + 1))
        return (
            f"{count} points of a grid of {declared.points}: one of {every} x {every} was kept",
        )
    if count < declared.points and _ragged(placed, declared):
        return (f"{count} of {declared.points} points of the grid: the others were not measured",)
    raise UnreadableFileError(
        f"{name}: {count} points where {declared.points} are declared ({declared.rows} rows of "
        f"{declared.columns}): the file is cut or its header is of another map; {EXPORT_AGAIN}, or "
        "correct the header if the measurement was stopped early"
    )


def _as_declared(name: str, placed: Placed, declared: Declared) -> tuple[str, ...]:
    """Warnings for a map of the declared number of points; an error where one lies outside."""
    rows, columns = int(placed.row.max()) + 1, int(placed.column.max()) + 1
    shifted = placed.grid is GridKind.HEXAGONAL  # the first row may begin at column 1
    if rows != declared.rows or not 0 <= columns - declared.columns <= shifted:
        told = f"the points fill {rows} rows of {columns} where {declared.rows} of "
        told += f"{declared.columns} are declared"
        if not _full(placed):
            raise UnreadableFileError(f"{name}: {told}; {EXPORT_AGAIN}")
        return (f"{told}: the points are believed",)
    if declared.step is None or _alike(placed.step, declared.step):
        return ()
    return (
        f"the points lie {placed.step[0]:.6g} x {placed.step[1]:.6g} um apart where the "
        f"header says {declared.step[0]:.6g} x {declared.step[1]:.6g}: the points are believed",
    )


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(abs(a - b) <= _SAME_STEP * abs(b) for a, b in zip(one, other, strict=True))


def _full(placed: Placed) -> bool:
    """Whether no place is empty, but for the end of every second row of a hexagonal grid."""
    rows, columns = int(placed.row.max()) + 1, int(placed.column.max()) + 1
    least = rows * columns - (rows + 1) // 2 * (placed.grid is GridKind.HEXAGONAL)
    return bool(least <= placed.row.size <= rows * columns)


def _thinned(placed: Placed, declared: Declared) -> bool:
    """Whether a full map covers the declared area with every k-th point of both directions."""
    if declared.step is None or declared.grid is not placed.grid or not _full(placed):
        return False
    every = (placed.step[0] / declared.step[0], placed.step[1] / declared.step[1])
    factor = round(every[0])
    columns, rows = int(placed.column.max()) + 1, int(placed.row.max()) + 1
    return (
        factor > 1
        and _alike(every, (factor, factor))
        and columns == -(-declared.columns // factor)
        and rows == -(-declared.rows // factor)
    )


def _hexagonal_points(placed: Placed, declared: Declared) -> int:
    """Points of a hexagonal grid in a format that can only declare rows and columns."""
    if placed.grid is GridKind.SQUARE or declared.grid is GridKind.HEXAGONAL:
        return -1
    return declared.rows * declared.columns - declared.rows // 2


def _ragged(placed: Placed, declared: Declared) -> bool:
    """Whether points are missing here and there, not at the end of the file.

    A file that was cut lacks whole rows, or has one row shorter than the others, the last.
    """
    lengths = np.bincount(placed.row)
    return (
        lengths.size == declared.rows
        and int(placed.column.max()) + 1 == max(declared.columns, declared.columns_even)
        and bool(lengths[-1] == declared.columns or (lengths[:-1] < declared.columns_even).any())
    )


def _unfinished(name: str, placed: Placed) -> tuple[str, ...]:
    """Nothing is declared: refuse a map whose last row alone is short, warn of a ragged one."""
    lengths = np.bincount(placed.row)
    last = lengths.size - 1
    alike = lengths[last - 2 :: -2] if last >= 2 else lengths[:last]
    if alike.size and (alike == alike[0]).all() and lengths[last] < alike[0]:
        raise UnreadableFileError(
            f"{name}: the last row has {lengths[last]} points where others have {alike[0]}: "
            f"the file is cut; {EXPORT_AGAIN}"
        )
    if not _full(placed):
        return ("the map has holes and does not say how many points it should have",)
    return ()
