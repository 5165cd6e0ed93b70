"""From what a file says of each point to a `CrystalMap`: the step all EBSD readers share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xtalfuse.loaders.ebsd import symmetry as ebsd_symmetry
from xtalfuse.loaders.ebsd.grid import Declared, Placed, declared_places, place
from xtalfuse.loaders.ebsd.numbering import has_solution, numbered
from xtalfuse.loaders.ebsd.symmetry import Cell, CrystalFrame
from xtalfuse.loaders.record import Calibration, UnreadableFileError
from xtalfuse.loaders.safe.head import EXPORT_AGAIN, refused
from xtalfuse.physics.grains.crystal_map import NOT_INDEXED, CrystalMap, MapPhase
from xtalfuse.physics.orientation.arrays import from_euler, multiply

_FULL_TURN = 2.0 * np.pi
NO_POSITION_UM = -1e6  # a metre off: EDAX writes -1111111 where a point has no position
_ROUNDED = 0.02  # rad: printed angles may exceed a full turn by this much


@dataclass(frozen=True)
class RawMap:
    """One section, or a full stack of sections, as a file holds it.

    Parameters
    ----------
    euler : (n, 3) Bunge's angles, rad
    phase : (n,) number of the phase, a key of `phases` where indexed
    indexed : (n,) bool
    phases : the phases by their number in the file
    x, y : (n,) micrometre; None where points come row by row without positions
    declared : what the file says of its grid
    quality : further columns, (n,)
    metadata : plain values, for the provenance
    warnings : for the provenance
    calibration : of the length axes
    frame : crystal axes to which the orientations refer
    complete : whether the container itself makes sure that no point is missing
    measured : (n,) bool; False where a grid without positions was not measured
    sections : number of sections; of more than one, points come section by section, all alike
    section_step : micrometre, of more than one section
    name : of the file, for messages; `map_reader` gives it
    """

    euler: np.ndarray
    phase: np.ndarray
    indexed: np.ndarray
    phases: dict[int, MapPhase]
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    declared: Declared | None = None
    quality: dict[str, np.ndarray] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    calibration: Calibration = Calibration.KNOWN
    frame: CrystalFrame = CrystalFrame.OWN
    complete: bool = False
    measured: np.ndarray | None = None
    sections: int = 1
    section_step: float = 0.0
    name: str = ""


def number_of(what: str, text: str, remedy: str = EXPORT_AGAIN) -> float:
    """The finite number that a text is.

    Parameters
    ----------
    what : file and place in it, for the message
    text : as it stands there, with a decimal point
    remedy : what to do where it is none

    Raises
    ------
    UnreadableFileError
        If it is no finite number.
    """
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise UnreadableFileError(f"{what} is {text!r} where a number is needed; {remedy}")
    return value


def numbers_of(name: str, lines: list[str], width: int | None = None) -> np.ndarray:
    """(n, columns) numbers of the points of a text file, one line each; commas are decimal.

    Parameters
    ----------
    width : number of columns; of the first line if not given

    Raises
    ------
    UnreadableFileError
        If there is no point, or a line is no row of finite numbers.
    """
    rows = [line for line in lines if line.strip()]
    if not rows:
        raise UnreadableFileError(f"{name}: a header without points; {EXPORT_AGAIN}")
    if any("," in row for row in rows[:3]):
        rows = [row.replace(",", ".") for row in rows]
    width = width or len(rows[0].split())
    try:
        table = np.loadtxt(rows, comments=None, ndmin=2)
        if table.shape[1] != width:
            raise ValueError
    except ValueError:
        wrong = next((i for i, row in enumerate(rows) if not _is_row(row, width)), 0)
        raise UnreadableFileError(
            f"{name}: point {wrong + 1} of {len(rows)} is no row of {width} numbers "
            f"({rows[wrong].strip()[:60]!r}); {EXPORT_AGAIN}"
        ) from None
    bad = int((~np.isfinite(table)).any(axis=1).sum())
    if bad:
        raise refused(name, f"{bad} points hold values that are not finite")
    return table


def _is_row(line: str, width: int) -> bool:
    try:
        return len([float(part) for part in line.split()]) == width
    except ValueError:
        return False


def whole(name: str, values: np.ndarray, remedy: str = EXPORT_AGAIN) -> np.ndarray:
    """(n,) int: numbers of phases, which a file may hold as floats.

    Raises
    ------
    UnreadableFileError
        If one is not whole.
    """
    if not (values == np.rint(values)).all() or np.abs(values).max() > 1e6:
        raise UnreadableFileError(f"{name}: phase numbers that are not whole; {remedy}")
    return values.astype(np.int64)


def of_columns(
    name: str, column: dict[str, np.ndarray], phases: dict[int, MapPhase], remedy: str, **said: Any
) -> RawMap:
    """The map of columns as EDAX has them: ``phi1``, ``Phi``, ``phi2``, ``x``, ``y``, ``phase``.

    Points are not indexed where `has_solution` sees none, and where their phase is none as
    `numbered` counts.

    Parameters
    ----------
    column : (n,) values by name; what is none of the six is a quality
    phases : the phases by their number in the file
    remedy : what to do where numbers of phases are none
    said : further fields of `RawMap`
    """
    euler = np.stack([column.pop(angle) for angle in ("phi1", "Phi", "phi2")], axis=1)
    x, y = column.pop("x"), column.pop("y")
    phase = whole(name, column.pop("phase", np.zeros(len(x))), remedy)
    phase, indexed, notes = numbered(phase, has_solution(euler, column), phases)
    warnings = (*said.pop("warnings", ()), *notes)
    return RawMap(euler, phase, indexed, phases, x, y, quality=column, warnings=warnings, **said)


def phase_of(
    name: str,
    label: str,
    symbol: str | int,
    numbering: str,
    cell: Cell | None,
    *,
    space_group: str = "",
    formula: str = "",
    remedy: str = EXPORT_AGAIN,
) -> MapPhase:
    """A phase as a file describes it; a cell of 1 angstrom stands for none.

    Parameters
    ----------
    label : what the phase is called
    symbol, numbering : of its symmetry, see `symmetry.laue`
    cell : as it is written; None where it may be missing and is
    space_group : number, where there is one

    Raises
    ------
    UnreadableFileError
        If the symmetry is unknown, or the cell is that of no crystal.
    """
    known = cell if cell and cell[:3] != (1.0, 1.0, 1.0) else None
    number = int(space_group) if space_group.isdigit() else 0
    laue = ebsd_symmetry.laue(symbol, numbering, known, number)
    if laue is None or (known and not ebsd_symmetry.possible(known)):
        told = " ".join(f"{x:g}" for x in known or ()) or "of no constants"
        raise UnreadableFileError(
            f"{name}: phase {label!r} has the symmetry {symbol!r} and a cell {told}, which is no "
            f"crystal; {remedy}"
        )
    return MapPhase(label.strip(), laue, known, formula or None)


def crystal_map(raw: RawMap) -> tuple[CrystalMap, tuple[str, ...]]:
    """(the map, warnings) of what a file holds.

    Raises
    ------
    UnreadableFileError
        If columns differ in length, an indexed point has angles that are none or a phase that
        the file does not describe, or the points do not fill the grid they should.
    """
    count = len(raw.euler)
    _same_length(raw, count)
    placed, raw = _placed(raw, count // raw.sections)
    _check_angles(raw)
    phase, phases, notes = _phases(raw)
    orientation = np.zeros((count, 4))
    orientation[:, 0] = 1.0
    orientation[raw.indexed] = from_euler(raw.euler[raw.indexed])
    if raw.frame is CrystalFrame.OXFORD:
        orientation = _in_own_frame(orientation, phase, phases)
    places = [np.tile(part, raw.sections) for part in (placed.row, placed.column)]
    section = np.repeat(np.arange(raw.sections), count // raw.sections)
    index = np.stack([section, *places], axis=1)
    keep = slice(None) if raw.measured is None else raw.measured
    quality = {name: values[keep] for name, values in raw.quality.items()}
    step = (*placed.step, raw.section_step)
    found = CrystalMap(
        orientation[keep], phase[keep], index[keep], phases, placed.grid, step, quality
    )
    return found, (*raw.warnings, *placed.notes, *notes, *_frame_doubts(raw, phases))


def _same_length(raw: RawMap, count: int) -> None:
    columns = {"phase": raw.phase, "indexed": raw.indexed, "x": raw.x, "y": raw.y, **raw.quality}
    for column, values in columns.items():
        if values is not None and len(values) != count:
            raise refused(raw.name, f"{len(values)} values of {column!r} for {count} points")
    if not count or count % raw.sections:
        raise refused(raw.name, f"{count} points in {raw.sections} sections")


def _placed(raw: RawMap, count: int) -> tuple[Placed, RawMap]:
    """Rows and columns, and the map: points that have no position are not indexed."""
    if raw.x is not None and raw.y is not None:
        lost = (raw.x < NO_POSITION_UM) & (raw.y < NO_POSITION_UM)
        if lost.any() and not lost.all():
            return _without_position(raw, lost)
        return place(raw.name, raw.x, raw.y, raw.declared, raw.complete), raw
    if raw.declared is None:
        raise refused(raw.name, "neither positions nor a declared grid")
    return declared_places(raw.name, count, raw.declared), raw


def _without_position(raw: RawMap, lost: np.ndarray) -> tuple[Placed, RawMap]:
    """Places where some points lie nowhere: where their order tells, else they are left out."""
    assert raw.x is not None
    assert raw.y is not None
    told = f"{int(lost.sum())} points without a position (x = y = {raw.x[lost][0]:g})"
    there = ~lost
    placed = place(raw.name, raw.x[there], raw.y[there], raw.declared, complete=True)
    if raw.declared is not None and raw.declared.points == len(lost):
        order = declared_places(raw.name, len(lost), raw.declared)
        if np.array_equal(order.row[there], placed.row) and np.array_equal(
            order.column[there], placed.column
        ):
            notes = (f"{told} are placed by their order and not indexed",)
            return replace(order, notes=notes), replace(raw, indexed=raw.indexed & there)
    row, column = np.zeros((2, len(lost)), np.int64)
    row[there], column[there] = placed.row, placed.column
    placed = replace(placed, row=row, column=column, notes=(f"{told} are left out",))
    measured = there if raw.measured is None else raw.measured & there
    return placed, replace(raw, indexed=raw.indexed & there, measured=measured)


def _check_angles(raw: RawMap) -> None:
    angles = raw.euler[raw.indexed]
    most = np.array([_FULL_TURN, np.pi, _FULL_TURN]) + _ROUNDED
    inside = (np.abs(angles) <= most).all(axis=1)  # False for NaN
    outside = int((~inside).sum())
    if outside:
        raise UnreadableFileError(
            f"{raw.name}: {outside} of {len(angles)} indexed points have Euler angles that are "
            f"none (in radians up to 2 pi, pi, 2 pi); {EXPORT_AGAIN}"
        )


def _phases(raw: RawMap) -> tuple[np.ndarray, tuple[MapPhase, ...], tuple[str, ...]]:
    """Position of each point's phase in a tuple of phases, the tuple, and warnings."""
    numbers = sorted(raw.phases)
    unknown = sorted(set(np.unique(raw.phase[raw.indexed]).tolist()) - set(numbers))
    if unknown:
        raise UnreadableFileError(
            f"{raw.name}: points of phase {', '.join(map(str, unknown[:5]))}, which the file does "
            f"not describe (it describes {', '.join(map(str, numbers)) or 'none'}); {EXPORT_AGAIN}"
        )
    phase = np.full(len(raw.phase), NOT_INDEXED)
    phase[raw.indexed] = np.searchsorted(numbers, raw.phase[raw.indexed])
    return phase, tuple(raw.phases[number] for number in numbers), _doubts(raw.phases.values())


def _doubts(phases: Iterable[MapPhase]) -> tuple[str, ...]:
    return tuple(
        f"{phase.name}: a cell of {' '.join(f'{x:g}' for x in phase.cell)} cannot have the "
        f"symmetry {phase.laue}"
        for phase in phases
        if phase.laue and phase.cell and not ebsd_symmetry.fits(phase.laue, phase.cell)
    )


def _frame_doubts(raw: RawMap, phases: tuple[MapPhase, ...]) -> tuple[str, ...]:
    """A warning where the crystal frame matters and the file does not tell it."""
    if raw.frame is not CrystalFrame.UNKNOWN:
        return ()
    oblique = [p.name for p in phases if p.laue and not ebsd_symmetry.right_angled(p.laue)]
    if not oblique:
        return ()
    return (f"{', '.join(oblique)}: crystal axes are {raw.frame}",)


def _in_own_frame(
    orientation: np.ndarray, phase: np.ndarray, phases: tuple[MapPhase, ...]
) -> np.ndarray:
    """Orientations that refer to Oxford's crystal frame -> to that with x along a."""
    turned = orientation.copy()
    for number, described in enumerate(phases):
        if described.cell is None:
            continue
        turn = ebsd_symmetry.from_oxford_frame(described.cell)
        if turn[0] < 1.0 - 1e-12:
            own = phase == number
            turned[own] = multiply(turn, orientation[own])
    return turned
