"""The pattern of a table: which columns, which abscissa in which unit, which radiation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xtalfuse.loaders.reader import Number
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.xrd.abscissa import nominal_radiation, sine_wavelength
from xtalfuse.loaders.xrd.quantity import is_line, wavelengths_in
from xtalfuse.loaders.xrd.scan import Scan, disputed, stated_radiation, taken_with, unit_of
from xtalfuse.loaders.xrd.tables import names as named
from xtalfuse.loaders.xrd.tables.names import Abscissa, UnclearNameError
from xtalfuse.physics.units import Radiation, two_theta_of_q

WIDEST_STEP_DEG = 0.25  # wider than any peak of a laboratory pattern
HKL = {"h", "k", "l"}
NOT_POWDER = re.compile(
    r"rocking|pole figure|\b(omega|phi|chi|psi)[ -]?scan|reflectivity"
    r"|scan[ _-]?(axis|type)\W{1,4}(omega|phi|chi|psi)\b",
    re.I,
)
X_UNIT = re.compile(r"\bx[ -]?(?:unit|axis|label|column)s?\b(?: is)?\W*(.+)", re.I)
ANODE = re.compile(r"anode(?: material)?\W{1,6}(Cu|Co|Cr|Fe|Mo|Ag)\b", re.I)
AS_TWO_THETA = Abscissa("two_theta", lambda x: x)
NUMBERS = (
    Number("two_theta", "column called 2theta, q, d, 1/d, sin(theta)/lambda; else the first",
           "behind its name; degrees for angles without one, q and d without one are refused",
           "one decimal sign for all; theta, energy, time and what is ambiguous are refused"),
    Number("intensity", "column called intensity, counts, ...; else the one behind the abscissa",
           "counts where all are whole, counts/s where said, else arbitrary",
           "signs of thousands taken out, logarithms and roots undone, where they are certain"),
    Number("wavelength", "words around the table, or columns of 2theta and d or q",
           "behind or before it; without one angstrom, if no other fits as well", "read whole"),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """Numbers of a file with the names over them and the words around them."""

    values: np.ndarray  # (rows, columns)
    names: tuple[str, ...]  # one for each column, or empty
    words: str  # comments and header lines
    warnings: tuple[str, ...]


def is_axis(name: str) -> bool:
    """Whether a name speaks of an abscissa, of whatever kind."""
    try:
        return named.abscissa_of(name) is not None
    except UnclearNameError:
        return True


def pattern_of(path: Path, table: Table, reader: str) -> Scan:
    """The pattern of a table: which columns, which unit, which radiation."""
    said = list(table.warnings)
    if found := NOT_POWDER.search(table.words):
        raise UnreadableFileError(
            f"{path.name}: its header says {found[0]!r}, not a powder pattern; export the "
            "theta-2theta scan"
        )
    x, y, s, notes = _columns(path, table)
    said += notes
    axis, notes = _abscissa(path, table, x)
    said += notes
    positions = axis.convert(table.values[:, x])
    intensity, sigma = table.values[:, y], None if s is None else table.values[:, s]
    over = table.names[y] if table.names else ""
    try:
        intensity, undone = named.undone(over, intensity)
    except UnclearNameError as error:
        raise UnreadableFileError(f"{path.name}: column {over!r} {error}") from None
    if undone:
        said.append(f"column {over!r}: {undone}")
        sigma = None
    _check_range(path, table, positions, axis.kind)
    if axis.kind == "two_theta" and positions.min() <= 0:
        said.append(f"{int((positions <= 0).sum())} point(s) at or below 0 degrees 2theta")
    if s is not None and sigma is not None:
        if table.names and named.is_variance(table.names[s]):
            sigma = np.sqrt(np.maximum(sigma, 0.0))
        if not _is_uncertainty(intensity, sigma):
            said.append("the third column is no uncertainty of the second and was left out")
            sigma = None
    metadata: dict[str, Any] = {}
    if table.names:
        metadata["columns"] = list(table.names)[: table.values.shape[1]]
    anode = ANODE.search(table.words)
    if anode:
        metadata["anode"] = anode[1]
    unit = unit_of(intensity, named.declared_unit(over, table.words))
    used, more = _radiation(path, table, positions, axis.kind, anode[1] if anode else None)
    return Scan(
        positions, intensity, reader, unit, sigma, used, metadata, (*said, *more),
        abscissa=axis.kind,
    )  # fmt: skip


def _abscissa(path: Path, table: Table, x: int) -> tuple[Abscissa, list[str]]:
    """What the column `x` holds, and what was assumed of it.

    A column without a name is an angle in degrees unless the words around the table say what
    x is, or its steps are those of the sine of an angle, as in q and 1/d.
    """
    over = table.names[x] if table.names else ""
    stated = [found[1].strip() for found in map(X_UNIT.search, table.words.splitlines()) if found]
    for name in (over, *stated):
        try:
            found = named.abscissa_of(name)
        except UnclearNameError as error:
            raise UnreadableFileError(f"{path.name}: column {name!r} {error}") from None
        if found:
            return found, []
    if any(re.fullmatch(r"\W*deg\w*\W*", name, re.I) for name in stated):
        return AS_TWO_THETA, []
    column = table.values[:, x]
    for kind, values in (("q", column), ("d", 1.0 / np.where(column, column, np.inf))):
        if sine_wavelength(values) is not None:
            raise UnreadableFileError(
                f"{path.name}: the steps of its first column are those of {kind}, not of 2theta; "
                f"write a line '# {kind} ({'1/' * (kind == 'q')}angstrom)  intensity' or "
                f"'# {kind} ({'1/' * (kind == 'q')}nm)  intensity' above the numbers"
            )
    return AS_TWO_THETA, [f"column {over!r} was taken for 2theta"] if over else []


def _check_range(path: Path, table: Table, positions: np.ndarray, kind: str) -> None:
    """Refuse positions that are none, and lists of peaks."""
    if kind == "q":
        if not (positions.min() >= 0.0 and positions.max() < 60.0):
            raise UnreadableFileError(
                f"{path.name}: its abscissa is q from {positions.min():g} to {positions.max():g} "
                "1/angstrom, which no diffractometer reaches; check its unit"
            )
        wavelength = nominal_radiation(positions).primary_angstrom
        angles = two_theta_of_q(positions, wavelength)
    else:
        angles = positions
    if not (angles.min() > -20.0 and angles.max() <= 180.0):
        raise UnreadableFileError(
            f"{path.name}: its first column runs {angles.min():g} to {angles.max():g}, which is "
            "no 2theta in degrees; export the pattern against 2theta"
        )
    spacing = float(np.median(np.abs(np.diff(angles))))
    if spacing > WIDEST_STEP_DEG or HKL.issubset(n.lower() for n in table.names):
        raise UnreadableFileError(
            f"{path.name}: a list of {angles.size} peaks, typically {spacing:.2g} degrees apart, "
            "not a measured pattern; give the scan itself"
        )


def _columns(path: Path, table: Table) -> tuple[int, int, int | None, list[str]]:
    """Columns of abscissa, intensity and uncertainty, and what was assumed."""
    width = table.values.shape[1]
    names = table.names[:width]
    if not names:
        if width > 3:
            raise UnreadableFileError(
                f"{path.name}: {width} columns without names; name them, or export 2theta and "
                "intensity only"
            )
        return 0, 1, 2 if width == 3 else None, []
    said = []
    axes = [i for i, name in enumerate(names) if is_axis(name)]
    x = next((i for i in axes if named.TWO_THETA.search(named.plain(names[i]))), None)
    x = min(axes, default=None) if x is None else x
    if x is None and width > 3:
        raise UnreadableFileError(
            f"{path.name}: no column is called 2theta (there are {', '.join(names[:8])}); export "
            "the pattern against 2theta"
        )
    x = 0 if x is None else x
    s = next((i for i, n in enumerate(names) if i != x and named.is_sigma(n)), None)
    rest = [i for i in range(width) if i not in (x, s) and i not in axes]
    rest = [i for i in rest if not named.is_other(names[i])]
    marked = [i for i in rest if named.is_intensity(names[i])]
    intensities = marked or [i for i in rest if i > x] or rest
    if not intensities:
        raise UnreadableFileError(
            f"{path.name}: no column of measured intensities (there are {', '.join(names[:8])}); "
            "export it as .xy"
        )
    if len(intensities) > 1:
        said.append(f"{len(intensities)} patterns side by side; {names[intensities[0]]!r} was read")
    return x, intensities[0], s, said


def _is_uncertainty(intensity: np.ndarray, sigma: np.ndarray) -> bool:
    """True if a column can be the standard uncertainty of another.

    It is positive, smaller than what it belongs to, and grows with it: larger above the
    median intensity than below.
    """
    bright = intensity > np.median(intensity)
    if not (np.all(sigma > 0) and bright.any() and np.ptp(sigma) > 0):
        return False
    level = max(float(np.median(intensity)), 1e-30)
    grows = np.median(sigma[bright]) >= np.median(sigma[~bright])
    return bool(grows and np.median(sigma) < 0.7 * max(level, float(np.mean(np.abs(intensity)))))


def _other_abscissa(name: str) -> tuple[Abscissa | None, bool]:
    """The q that a name says beside 2theta, in angstrom where it has no unit; whether it has."""
    for unit in ("", " (angstrom)", " (1/angstrom)"):
        try:
            found = named.abscissa_of(name + unit)
        except UnclearNameError:
            continue
        return (found if found and found.kind == "q" else None), not unit
    return None, False


def _radiation(
    path: Path, table: Table, positions: np.ndarray, kind: str, anode: str | None
) -> tuple[Radiation | None, tuple[str, ...]]:
    """Radiation from a second abscissa or the words around the table, and a warning."""
    if kind == "two_theta":
        sine = np.sin(np.radians(positions / 2.0))
        for name, column in zip(table.names, table.values.T, strict=False):
            other, sure = _other_abscissa(name)
            if other is None:
                continue
            waves = 4.0 * np.pi * sine / np.maximum(other.convert(column), 1e-12)
            if np.std(waves) < 1e-4 * np.mean(waves) and (sure or not is_line(10.0 * waves[0])):
                return stated_radiation(path.name, ka1=float(np.mean(waves))), ()
    stated = list(wavelengths_in("\n".join((table.words, *table.names))))
    if doubtful := [written for value, written in stated if value is None]:
        return disputed(f"the unit of {doubtful[0]!r} in its header is not clear"), ()
    found = [value for value, _ in stated if value is not None]
    if not found:
        return stated_radiation(path.name, anode=anode), ()
    ka2 = found[1] if len(found) > 1 else None
    used = stated_radiation(path.name, anode=anode, ka1=found[0], ka2=ka2)
    return used, taken_with(len(found), used)
