"""Several scans of one file -> one pattern: adjoining ranges joined, repeats added up.

Counts of different counting times are made comparable first: divided by their times.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.xrd.scan import Scan

NARROW_DEG = 15.0  # scans of one file that all are narrower map reciprocal space
MOST_SCANS = 10  # more in one file are a map or a series in time
CHOOSE = "choose one with --scan N, or export one coupled theta-2theta scan"
SAME_TIME = 1e-3  # relative: times that differ less are one time, printed
SAME_POINTS = 0.25  # of a step: two scans of one range, by goniometers that do not repeat exactly
FEW = 5  # points, whose median tells no level
SAME_LEVEL = 1.3  # ranges whose levels differ more were not counted alike
SAME_KELVIN = 5.0  # a room, over a day
SEAM_DEG = 1.0  # levels may be compared over no wider gap
# Two scans of one specimen differ by noise, and by the drift of tube and counter (some
# percent). 5 standard deviations have a chance of 6e-7 a point; a moved peak has many.
DRIFT, DEVIATIONS, DEVIANTS = 0.05, 5.0, 0.005


def per_second(name: str, scan: Scan) -> Scan:
    """The scan with its counts divided by the counting times, where these change on the way.

    Raises
    ------
    UnreadableFileError
        If the times are not those of its points.
    """
    if scan.seconds is None or np.ndim(scan.seconds) == 0:
        return scan
    times = np.asarray(scan.seconds, float)
    if times.shape != scan.intensity.shape or not (np.isfinite(times) & (times > 0)).all():
        raise UnreadableFileError(
            f"{name}: {times.size} counting times for {scan.intensity.size} points, or some that "
            "are not positive; export the scan again"
        )
    if np.ptp(times) <= SAME_TIME * times.max():
        return replace(scan, seconds=float(np.median(times)))
    span = f"the counting time changes from {times.min():g} to {times.max():g} s"
    if scan.unit == "counts":
        return _rate(scan, f"{span}: counts were divided by it")
    said = () if scan.unit == "counts/s" else (f"{span}; intensities were taken as they are",)
    return replace(scan, seconds=None, warnings=(*scan.warnings, *said))


def _rate(scan: Scan, said: str = "") -> Scan:
    """Counts of a known time as counts per second, with the noise of the counts."""
    if scan.unit != "counts" or scan.seconds is None:
        return scan
    sigma = np.sqrt(np.maximum(scan.intensity, 1.0)) if scan.sigma is None else scan.sigma
    return replace(
        scan,
        intensity=scan.intensity / scan.seconds,
        sigma=sigma / scan.seconds,
        unit="counts/s",
        seconds=None,
        metadata={k: v for k, v in scan.metadata.items() if k != "counting_time_s"},
        warnings=(*scan.warnings, said) if said else scan.warnings,
    )


def _noise(scan: Scan) -> np.ndarray | None:
    """Standard deviation of each point, where it is known; that of counts is."""
    if scan.sigma is None and scan.unit == "counts":
        return np.sqrt(np.maximum(scan.intensity, 1.0))
    return scan.sigma


def joined(
    name: str, scans: dict[int, Scan], refused: dict[int, str], choice: int | None = None
) -> Scan:
    """The pattern that the scans of one file are together, or the one that was chosen.

    Parameters
    ----------
    name : of the file
    scans : number, from 1 as they stand in the file -> scan over 2theta
    refused : number -> why it is none
    choice : number of the one that is wanted

    Raises
    ------
    UnreadableFileError
        If there is none, no such one, or they are a map or a series.
    """
    if choice in scans:
        return per_second(name, scans[choice])
    if not scans:
        raise UnreadableFileError(next(iter(refused.values())))
    scans = {number: _ascending(per_second(name, scan)) for number, scan in scans.items()}
    widths = {number: float(np.ptp(scan.two_theta)) for number, scan in scans.items()}
    check_count(name, len(scans), widest_deg=max(widths.values()))
    said = [f"scan {number} is not over 2theta" for number in refused]
    stacks: list[list[int]] = []
    for number, scan in scans.items():
        same = next((stack for stack in stacks if _repeats(scans[stack[0]], scan)), None)
        if same is None:
            stacks.append([number])
        else:
            same.append(number)
    added = {stack[0]: _added([scans[n] for n in stack], stack, said) for stack in stacks}
    first = max(added, key=lambda number: (round(widths[number], 3), -number))
    whole, parts = added[first], [first]
    if len({str(scan.seconds) + scan.unit for scan in added.values()}) > 1:
        added = {number: _rate(scan) for number, scan in added.items()}
        whole = added[first]
    for number in sorted(added, key=lambda n: abs(n - first)):
        if number == first:
            continue
        if why := _apart(whole, added[number]):
            said.append(f"scan {number} ({_span(scans[number])}) was left out: {why}; {CHOOSE}")
        else:
            whole, parts = _together(whole, added[number]), [*parts, number]
    if len(parts) > 1:
        spans = ", ".join(_span(added[number]) for number in sorted(parts))
        rate = " as counts per second" if whole.unit == "counts/s" else ""
        said.append(f"{len(parts)} ranges were joined{rate}: {spans}")
    return replace(whole, warnings=(*whole.warnings, *said))


def check_count(
    name: str, count: int, choice: int | None = None, widest_deg: float = np.inf
) -> None:
    """Refuse what is a mesh, a map or a series rather than parts of one pattern.

    Raises
    ------
    UnreadableFileError
        If there are too many, or several that all are narrow, and none was chosen; or the one
        that was chosen is not there.
    """
    if choice is not None:
        if choice > count:
            raise UnreadableFileError(
                f"{name}: no scan {choice}, it holds {count}; give another number to --scan"
            )
        return
    if count > MOST_SCANS or (count > 3 and widest_deg < NARROW_DEG):
        at_most = f" of at most {widest_deg:.3g} degrees" if np.isfinite(widest_deg) else ""
        raise UnreadableFileError(
            f"{name}: {count} scans{at_most}, a mesh, reciprocal-space map or series, not one "
            f"powder pattern; {CHOOSE}"
        )


def _ascending(scan: Scan) -> Scan:
    """The scan from low to high angles."""
    if scan.two_theta.size < 2 or np.median(np.diff(scan.two_theta)) > 0:
        return scan
    back = None if scan.sigma is None else scan.sigma[::-1]
    return replace(scan, two_theta=scan.two_theta[::-1], intensity=scan.intensity[::-1], sigma=back)


def _span(scan: Scan) -> str:
    return f"{scan.two_theta[0]:.4g} to {scan.two_theta[-1]:.4g} degrees"


def _repeats(a: Scan, b: Scan) -> bool:
    """Whether two scans have the same points."""
    if a.two_theta.size != b.two_theta.size or _unlike(a, b):
        return False
    step = abs(float(np.median(np.diff(a.two_theta))))
    return bool(np.abs(a.two_theta - b.two_theta).max() <= SAME_POINTS * step)


def _unlike(a: Scan, b: Scan) -> str:
    """What keeps two scans from being parts of one measurement; empty if nothing does."""
    if a.radiation != b.radiation:
        return "another radiation"
    if a.metadata.get("scan_axis") != b.metadata.get("scan_axis"):
        return "another axis"
    kelvin = [scan.metadata.get("temperature_k") for scan in (a, b)]
    if None not in kelvin and abs(float(kelvin[0] or 0) - float(kelvin[1] or 0)) > SAME_KELVIN:
        return f"{kelvin[1]} K, not {kelvin[0]} K"
    return ""


def _added(stack: list[Scan], numbers: list[int], said: list[str]) -> Scan:
    """The sum of repeated scans; the first alone where they differ by more than noise."""
    first, *others = stack
    if not others:
        return first
    listed = f"scans {', '.join(map(str, numbers))} are over the same range"
    if not all(_agree(first, other) for other in others):
        said.append(f"{listed} and differ (a series?): scan {numbers[0]} was read; {CHOOSE}")
        return first
    counts = all(scan.unit == "counts" for scan in stack)
    share = 1.0 if counts else 1.0 / len(stack)
    sigmas = [scan.sigma for scan in stack if scan.sigma is not None]
    variance = sum(s**2 for s in sigmas) if len(sigmas) == len(stack) else None
    times = [scan.seconds for scan in stack if scan.seconds is not None]
    said.append(f"{listed}: they were {'added up' if counts else 'averaged'}")
    return replace(
        first,
        intensity=share * np.sum([scan.intensity for scan in stack], axis=0),
        sigma=None if variance is None else share * np.sqrt(variance),
        seconds=sum(times) if len(times) == len(stack) else None,
        metadata={k: v for k, v in first.metadata.items() if k != "counting_time_s"},
    )


def _agree(a: Scan, b: Scan) -> bool:
    """Whether two scans with the same points differ by noise and drift only."""
    scale = 1.0
    if a.unit == b.unit == "counts" and a.seconds is not None and b.seconds is not None:
        scale = float(a.seconds) / float(b.seconds)
    first, second = a.intensity, scale * b.intensity
    noise = [
        np.maximum(scan.intensity, 1.0) if scan.sigma is None else scan.sigma**2 for scan in (a, b)
    ]
    mean = 0.5 * (first + second)
    spread = np.sqrt(noise[0] + scale**2 * noise[1] + (DRIFT * mean) ** 2)
    return bool((np.abs(first - second) > DEVIATIONS * spread).mean() <= DEVIANTS)


def _apart(a: Scan, b: Scan) -> str:
    """Why two ranges cannot be joined; empty if they can."""
    if why := _unlike(a, b):
        return why
    if a.unit != b.unit:
        return f"{b.unit} beside {a.unit}"
    low, high = max(a.two_theta[0], b.two_theta[0]), min(a.two_theta[-1], b.two_theta[-1])
    if low <= high:
        inside = [(s.two_theta >= low) & (s.two_theta <= high) for s in (a, b)]
    elif a.seconds is None and a.unit != "counts/s" and low - high < SEAM_DEG:
        below, above = (a, b) if a.two_theta[0] < b.two_theta[0] else (b, a)
        inside = [
            np.abs(s.two_theta - end) < SEAM_DEG
            for s, end in ((below, below.two_theta[-1]), (above, above.two_theta[0]))
        ]
        a, b = below, above
    else:
        return ""
    if min(int(i.sum()) for i in inside) < FEW:
        return ""
    levels = [float(np.median(s.intensity[i])) for s, i in zip((a, b), inside, strict=True)]
    if max(levels) <= SAME_LEVEL * min(levels):
        return ""
    return f"where they meet the levels are {levels[0]:.4g} and {levels[1]:.4g}"


def _together(a: Scan, b: Scan) -> Scan:
    """Both ranges in order of angle; points at one place get one angle, and are averaged later."""
    above = np.clip(np.searchsorted(a.two_theta, b.two_theta), 1, a.two_theta.size - 1)
    middle = 0.5 * (a.two_theta[above - 1] + a.two_theta[above])
    near = np.where(b.two_theta < middle, above - 1, above)
    step = abs(float(np.median(np.diff(a.two_theta))))
    same = np.abs(a.two_theta[near] - b.two_theta) <= SAME_POINTS * step
    angles = np.concatenate([a.two_theta, np.where(same, a.two_theta[near], b.two_theta)])
    order = np.argsort(angles, kind="stable")
    noise = [_noise(a), _noise(b)] if (a.sigma is not None or b.sigma is not None) else []
    sigmas = [sigma for sigma in noise if sigma is not None]
    return replace(
        a,
        two_theta=angles[order],
        intensity=np.concatenate([a.intensity, b.intensity])[order],
        sigma=np.concatenate(sigmas)[order] if len(sigmas) == 2 else None,
        warnings=(*a.warnings, *(w for w in b.warnings if w not in a.warnings)),
    )
