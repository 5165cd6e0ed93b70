"""One X-ray scan as a file states it: points, radiation, and what had to be repaired."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xtalfuse.loaders.record import Instrument, UnreadableFileError
from xtalfuse.physics.units import ANODES, Radiation, doublet, monochromatic

LINE_TOLERANCE = 2e-3  # relative: the spellings of one emission line differ by less
RATIOS = (0.1, 1.0)  # of K-alpha2 to K-alpha1: 0.5 of a tube, less behind a monochromator
OVERLAP = 0.8  # two passes that share more of their range than this are repeats
LEVEL_RATIO = 1.3  # ranges whose levels differ more were not counted alike
MOST_MISPLACED = 3
NEUTRONS = re.compile(
    r"\bneutrons?\b(?![- _]*(irradiat|expos|activat|absor|damag|shield|flu(ence|x)))"
    r"|\btime[- _]of[- _]flight\b|\bTOF\b|\bspallation\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Scan:
    """What every reader of X-ray files hands on.

    Parameters
    ----------
    two_theta : (n,) degrees; q in 1/angstrom where `abscissa` says so
    intensity : (n,) in `unit`
    reader : e.g. ``"rietx/xrdml"``
    unit : ``"counts"``, ``"counts/s"`` or ``"arbitrary"``
    sigma : (n,) standard uncertainties where the file gives them
    radiation : where the file states it
    metadata : instrument, in plain JSON values
    warnings : what was repaired, assumed or left out
    instrument : facts that other rooms reckon with
    seconds : counting time of a point, one number or (n,); None where the file does not say
    abscissa : ``"two_theta"`` or ``"q"``
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    reader: str
    unit: str
    sigma: np.ndarray | None = None
    radiation: Radiation | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    instrument: Instrument = field(default_factory=Instrument)
    seconds: float | np.ndarray | None = None
    abscissa: str = "two_theta"


@dataclass(frozen=True)
class Disputed(Radiation):
    """What a file says of its radiation, where that cannot be; it is used for nothing."""

    why: str = ""


def disputed(why: str) -> Disputed:
    return Disputed("unknown", (1.0,), (1.0,), why=why)


def unit_of(intensity: np.ndarray, declared: str | None = None) -> str:
    """Unit of an intensity column: what is declared, unless the numbers contradict it.

    Counts are whole numbers; a column declared as counts that holds fractions has been
    scaled by something that the file does not name.
    """
    said = (declared or "").strip().lower()
    if said in ("cps", "counts/s", "counts per second", "count/sec", "counts/sec", "c/s"):
        return "counts/s"
    whole = bool(np.all(np.abs(intensity - np.round(intensity)) < 1e-3))
    if whole and said in ("", "counts", "count", "cts"):
        return "counts"
    return "arbitrary"


def anode_of(wavelength_angstrom: float) -> tuple[str, str] | None:
    """Anode and line (``"ka1"``, ``"ka2"`` or ``"mean"``) of a tube's wavelength, if it is one."""
    near = [
        (abs(wavelength_angstrom / value - 1.0), anode, line)
        for anode, (ka1, ka2) in ANODES.items()
        for line, value in (("ka1", ka1), ("ka2", ka2), ("mean", (2.0 * ka1 + ka2) / 3.0))
    ]
    distance, anode, line = min(near)
    return (anode, line) if distance < LINE_TOLERANCE else None


def stated_radiation(
    name: str,
    *,
    anode: str | None = None,
    ka1: float | None = None,
    ka2: float | None = None,
    ratio: float | None = None,
    only_ka1: bool = False,
) -> Radiation | None:
    """Radiation from what a file says of it.

    A tube emits both K-alpha lines; only one is taken where the optics or the file say that
    K-alpha2 is not there. The mean K-alpha wavelength stands for both.

    Parameters
    ----------
    name : file name for the messages
    anode : element symbol of the tube
    ka1, ka2 : wavelengths in angstrom; ``ka2 == 0`` says that the doublet was not used,
        None says nothing
    ratio : intensity ratio K-alpha2 / K-alpha1; zero says that K-alpha2 was not used
    only_ka1 : the optics let K-alpha1 pass only

    Returns
    -------
    None where the file says nothing; `Disputed` if the statements contradict each other or no
    instrument has such a wavelength.
    """
    ka1 = round(ka1, 7) if ka1 else None
    anode = anode.strip().capitalize() if anode else None
    anode = anode if anode in ANODES else None
    if ratio and not RATIOS[0] < ratio < RATIOS[1]:
        return disputed(f"states a ratio of {ratio:g} of its K-alpha lines, which no tube has")
    # converters write one wavelength twice where there is one line
    alone = only_ka1 or ka2 == 0.0 or ratio == 0.0 or (ka1 and ka2 and abs(ka2 / ka1 - 1) < 1e-5)
    if ka1 is None:
        if anode is None:
            return None
        lines = ANODES[anode]
        return monochromatic(lines[0], f"{anode}Ka1") if alone else doublet(f"{anode}Ka", *lines)
    if not (math.isfinite(ka1) and 0.05 <= ka1 <= 5.0):
        return disputed(f"states a wavelength of {ka1:g} angstrom, which no diffractometer has")
    found = anode_of(ka1)
    beta = anode is not None and _is_beta(ka1, anode)
    if anode is not None and (found is None or found[0] != anode) and not beta:
        return disputed(
            f"states anode {anode} and wavelength {ka1:g} angstrom, which contradict each other"
        )
    if beta:
        return monochromatic(ka1, f"{anode}Kb")
    pair = ka2 is not None and 1.0005 < ka2 / ka1 < 1.012
    if ka2 and not alone and not pair and (found is None or found[1] == "ka1"):
        return disputed(
            f"states lines of {ka1:g} and {ka2:g} angstrom, which no anode emits together"
        )
    if found is None:
        if ka2 is not None and pair and not alone:
            return doublet(f"{ka1:.6g} A", ka1, ka2)  # of an anode that is not in our table
        return monochromatic(ka1)
    anode, line = found
    if line != "ka1" and not only_ka1:
        return doublet(f"{anode}Ka", *ANODES[anode])
    if alone:
        return monochromatic(ka1, f"{anode}Ka{2 if line == 'ka2' else 1}")
    second = ANODES[anode][1]
    if ka2 is not None and anode_of(ka2) == (anode, "ka2"):
        second = round(ka2, 7)
    return doublet(f"{anode}Ka", ka1, second, ratio or 0.5)


def refuse_neutrons(name: str, words: str) -> None:
    """Refuse a file whose title or header speaks of a neutron experiment.

    Raises
    ------
    UnreadableFileError
        If it does; what neutrons were done to a specimen before is no such word.
    """
    found = NEUTRONS.search(words)
    if found:
        raise UnreadableFileError(
            f"{name}: {' '.join(found[0].split())!r} stands in its title: a neutron pattern, where "
            "an X-ray pattern is asked for; give the X-ray pattern"
        )


def _is_beta(wavelength_angstrom: float, anode: str) -> bool:
    """K-beta lies 7 to 13 % below K-alpha for all tube anodes."""
    return 0.87 < wavelength_angstrom / ANODES[anode][0] < 0.93


def may_be_cut(values: np.ndarray) -> bool:
    """Whether the last value may have lost digits: a cut makes it ten times smaller at least."""
    before = values[-11:-1]
    before = before[np.isfinite(before)]
    if not (before.size and np.isfinite(values[-1])):
        return True
    return bool(values[-1] < float(np.median(before)) / 3.0)


def taken_with(stated: int, used: Radiation | None) -> tuple[str, ...]:
    """The warning where one stated wavelength was taken for a doublet."""
    if used is None or stated != 1 or len(used.weights) == 1:
        return ()
    return (f"one wavelength of a tube is stated; both lines of {used.name} were taken",)


def ordered(
    name: str, two_theta: np.ndarray, intensity: np.ndarray, sigma: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Points in strictly ascending angle, and what was repaired to get there.

    A descending scan is turned round; a few misplaced points are dropped; adjoining ranges
    are merged where their levels agree; of several passes over one range the first is kept;
    points measured twice are averaged.

    Raises
    ------
    UnreadableFileError
        If the angles follow no such order, or overlapping ranges disagree.
    """
    columns = np.column_stack([two_theta, intensity] + ([] if sigma is None else [sigma]))
    said: list[str] = []
    steps = np.diff(columns[:, 0])
    if steps.size and np.median(steps) < 0:
        columns = columns[::-1]
        said.append("the angles descend; the scan was turned round")
    columns, dropped = _without_misplaced(name, columns)
    if dropped:
        said.append(f"{dropped} point(s) with an angle out of order were left out")
    columns, notes = _one_pass(name, columns)
    said += notes
    columns, repeated = _averaged(columns)
    if repeated:
        said.append(f"{repeated} angle(s) measured twice were averaged")
    steps = np.diff(columns[:, 0])
    if steps.size and steps.max() > 20.0 * np.median(steps):
        at = columns[int(steps.argmax()), 0]
        said.append(f"no points for {steps.max():.3g} degrees after {at:.4g} degrees")
    deviation = columns[:, 2] if sigma is not None else None
    return columns[:, 0], columns[:, 1], deviation, tuple(said)


def _without_misplaced(name: str, columns: np.ndarray) -> tuple[np.ndarray, int]:
    """Drop single points whose angle does not lie between that of their neighbours."""
    x = columns[:, 0]
    if x.size < 3:
        return columns, 0
    before, here, after = x[:-2], x[1:-1], x[2:]
    astray = np.zeros(x.size, bool)
    astray[1:-1] = (before < after) & ((here < before) | (here > after))
    found = int(astray.sum())
    if found > max(MOST_MISPLACED, 0.002 * x.size):
        raise UnreadableFileError(
            f"{name}: {found} of {x.size} angles are out of order; check which column is "
            "2theta and export the pattern again"
        )
    return columns[~astray], found


def _one_pass(name: str, columns: np.ndarray) -> tuple[np.ndarray, list[str]]:
    x = columns[:, 0]
    breaks = np.flatnonzero(np.diff(x) < 0) + 1
    if breaks.size == 0:
        return columns, []
    parts = np.split(columns, breaks)
    if min(len(part) for part in parts) < 3:
        raise UnreadableFileError(
            f"{name}: the angles jump back and forth; check which column is 2theta and export "
            "the pattern again"
        )
    first = parts[0]
    if all(_shared(first, part) > OVERLAP for part in parts[1:]):
        return first, [f"{len(parts)} passes over the same range; the first was used"]
    for left, right in itertools.pairwise(parts):
        _agree(name, left, right)
    merged = columns[np.argsort(x, kind="stable")]
    return merged, [f"{len(parts)} ranges were merged into one pattern"]


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two ranges as a fraction of the longer."""
    low, high = max(a[0, 0], b[0, 0]), min(a[-1, 0], b[-1, 0])
    longer = max(a[-1, 0] - a[0, 0], b[-1, 0] - b[0, 0])
    return float(max(high - low, 0.0) / longer) if longer > 0 else 0.0


def _agree(name: str, a: np.ndarray, b: np.ndarray) -> None:
    low, high = max(a[0, 0], b[0, 0]), min(a[-1, 0], b[-1, 0])
    levels = [np.median(p[(p[:, 0] >= low) & (p[:, 0] <= high), 1]) for p in (a, b) if low < high]
    if len(levels) == 2 and not max(levels) <= LEVEL_RATIO * min(levels):
        raise UnreadableFileError(
            f"{name}: two ranges overlap at {low:.4g}-{high:.4g} degrees with levels "
            f"{levels[0]:.4g} and {levels[1]:.4g}; export them as separate files"
        )


def _averaged(columns: np.ndarray) -> tuple[np.ndarray, int]:
    angles, where, times = np.unique(columns[:, 0], return_inverse=True, return_counts=True)
    if angles.size == len(columns):
        return columns, 0
    means = np.column_stack([np.bincount(where, column) / times for column in columns.T])
    means[:, 0] = angles
    if columns.shape[1] == 3:  # independent measurements: variances add
        means[:, 2] = np.sqrt(np.bincount(where, columns[:, 2] ** 2)) / times
    return means, int((times > 1).sum())
