"""Which elements an X-ray (EDS) spectrum shows: non-negative fit of line families.

Counts are a smooth background plus Gaussian lines of the K, L and M families. Elements enter
one by one while the weighted sum of squares falls by more than their cost; the families of one
element are tied so that soft lines cannot stand without the hard ones that must go with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls

from xtalfuse.encoders.background import Ends, clipped, flattened, restored
from xtalfuse.encoders.spectrum.eds_lines import (
    EdsAxis,
    LineEquations,
    element_columns,
    families_between,
    hard_first,
    hard_shares,
    lines_profile,
)
from xtalfuse.physics.spectroscopy import XrayLine, detector_fwhm_ev

BACKGROUND_MISFIT = 0.03  # of a stripped background, over the width of a line
SOFT_MISFIT = 0.2  # more of it where windows and contamination absorb, falling in 300 eV
# What is open of tabulated lines: share of the counts, and eV (with the detector's calibration).
LOOSE = {"K": (0.1, 5.0), "L": (0.2, 5.0), "M": (0.3, 10.0)}
HOPEFUL = 16  # elements that fit what is left best alone, tried in full
ESCAPE_EV = 1739.8  # silicon K-alpha leaves the detector


@dataclass(frozen=True)
class EdsFit:
    """Line families fitted to one spectrum.

    Parameters
    ----------
    counts : element -> counts in all its lines
    gain : element -> fall of the weighted sum of squares (halved) that it brings, where the
        lines of the others beside its own may stand and weigh otherwise than tabulated
    families : element -> families that carry counts, e.g. ``("K", "L")``
    limits : testable element -> counts that would have stood out by three sigma
    axis : calibration found
    energy, observed, model, background : (n,)
    """

    counts: dict[str, float]
    gain: dict[str, float]
    families: dict[str, tuple[str, ...]]
    limits: dict[str, float]
    axis: EdsAxis
    energy: np.ndarray
    observed: np.ndarray
    model: np.ndarray
    background: np.ndarray


def peak_stripped(counts: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Background under lines by peak clipping, see `encoders.background`.

    Parameters
    ----------
    counts : (n,) counts
    half_widths : (n,) half width of the widest structure to be stripped, in channels
    """
    reach = max(3, int(0.3 * half_widths.min()))  # clipping follows the dips of noise
    box = np.ones(2 * reach + 1) / (2 * reach + 1)
    smooth = np.convolve(np.pad(counts, reach, mode="edge"), box, mode="valid")
    level = flattened(np.maximum(smooth, 0.0), root=True)
    distances = range(int(half_widths.max()), 0, -1)
    return restored(clipped(level, distances, Ends.REPEAT, half_widths), root=True)


def _greedy(problem: LineEquations, cost: float) -> list[str]:
    """Add the element that helps most while it pays its cost; then drop those that do not."""
    chosen: list[str] = []
    current = problem.solve(chosen)[0]
    hopeful = list(problem.slices)
    while hopeful and len(chosen) < 25:
        alone = problem.alone(chosen)
        likely = sorted(hopeful, key=lambda e: -alone[e])[:HOPEFUL]
        trials = {element: problem.solve([*chosen, element])[0] for element in likely}
        best = min(trials, key=lambda element: trials[element])
        if current - trials[best] < 2.0 * cost:
            break
        if problem.breaks_tie([*chosen, best], best):
            hopeful.remove(best)
            continue
        chosen.append(best)
        problem.reweigh(problem.model(chosen))
        current = problem.solve(chosen)[0]
        hopeful.remove(best)
    for element in list(chosen[:-1]):
        rest = [e for e in chosen if e != element]
        without = problem.solve(rest)[0]
        if without - current < 2.0 * cost or problem.breaks_tie(chosen, element):
            chosen, current = rest, without
    return chosen


def _calibrate(
    chosen: list[str],
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    net: np.ndarray,
    counts: np.ndarray,
    start: EdsAxis,
) -> EdsAxis:
    """Offset, gain and width from the lines of the elements found."""
    root = np.sqrt(np.maximum(counts, 4.0))

    def misfit(parameters: np.ndarray) -> np.ndarray:
        axis = EdsAxis(20.0 * parameters[0], 2e-3 * parameters[1], 132.0 + 10.0 * parameters[2])
        design = [lines_profile(families[e][f], energy, axis) for e in chosen for f in families[e]]
        matrix = np.stack(design, axis=-1) / root[:, None]
        solution, _ = nnls(matrix, net / root)
        return np.concatenate([(matrix @ solution - net / root), parameters * 3.0])

    initial = np.array([start.offset_ev / 20.0, start.gain / 2e-3, 0.0])
    bounds = ([-2.5, -3.0, -3.0], [2.5, 3.0, 6.0])
    found = least_squares(misfit, initial, bounds=bounds, diff_step=0.02, max_nfev=12).x
    return EdsAxis(20.0 * found[0], 2e-3 * found[1], 132.0 + 10.0 * found[2])


def _instrument(energy: np.ndarray, counts: np.ndarray, offset_ev: float) -> list[np.ndarray]:
    """(n,) counts of photons that came two at once, and of those that silicon left with 1.7 keV.

    Each is the spectrum itself, folded or moved, so that all lines have theirs.
    """
    folded = np.convolve(counts, counts)[: 2 * counts.size] / max(counts.sum(), 1.0)
    places = 2.0 * energy[0] - offset_ev + (energy[1] - energy[0]) * np.arange(folded.size)
    above = energy + ESCAPE_EV
    left = np.interp(above, energy, counts, right=0.0) * (above > ESCAPE_EV + 100.0)
    return [np.interp(energy, places, folded, left=0.0, right=0.0),
            0.02 * left * np.exp(-above / 4000.0)]  # fmt: skip


def _misplaced(
    elements: list[str],
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    axis: EdsAxis,
) -> list[np.ndarray]:
    """What a strong family leaves where its lines stand some eV off, in either direction,
    and its weaker M lines each alone: tables differ by a factor about those."""
    columns = []
    moved = EdsAxis(axis.offset_ev + 8.0, axis.gain, axis.fwhm_mn_ka_ev)
    for element in elements:
        for lines in families[element].values():
            change = lines_profile(lines, energy, moved) - lines_profile(lines, energy, axis)
            columns += [change, -change]
            weaker = sorted(lines, key=lambda line: -line.weight)[1:]
            columns += [
                lines_profile([line], energy, axis)
                for line in weaker
                if line.family == "M" and 0.005 < line.weight < 0.2
            ]
    return columns


def fit_lines(energy: np.ndarray, counts: np.ndarray, beam_ev: float, cost: float = 12.0) -> EdsFit:
    """Fit all line families to a spectrum.

    Parameters
    ----------
    energy : (n,) recorded energies, eV, uniform
    counts : (n,) counts
    beam_ev : energy of the beam; lines that it cannot excite are left out
    cost : fall of half the weighted sum of squares that an element must bring
    """
    keep = (energy > 130.0) & (energy < 40_000.0)
    energy, counts = energy[keep], counts[keep]
    families = families_between(energy[0] + 30.0, energy[-1] - 100.0, beam_ev)
    shares = {e: hard_shares(f, beam_ev) for e, f in families.items()}
    step = float(np.median(np.diff(energy)))
    axis = EdsAxis()
    chosen: list[str] = []
    leading: list[str] = []
    for attempt in range(3):
        widths = 1.4 * detector_fwhm_ev(energy, axis.fwhm_mn_ka_ev) / step
        background = peak_stripped(counts, np.ceil(widths))
        # A wider clip goes further below humps: where the two differ neither is certain.
        lower = np.minimum(peak_stripped(counts, np.ceil(2.0 * widths)), background)
        share = BACKGROUND_MISFIT + SOFT_MISFIT * np.exp(-energy / 300.0)
        uncertain = np.hypot(share * background, 0.3 * (background - lower))
        tail = np.exp(-energy / 300.0) * background.max()
        misplaced = _misplaced(leading, families, energy, axis)
        extra = [*_instrument(energy, counts, axis.offset_ev), *misplaced]
        fixed = np.stack([background + 1e-3, tail, *extra], axis=-1)
        columns = {e: element_columns(f, energy, axis, shares[e]) for e, f in families.items()}
        width = max(axis.fwhm_mn_ka_ev / step, 1.0)
        problem = LineEquations(columns, shares, fixed, counts, uncertain, width)
        chosen = _greedy(problem, cost)
        if attempt < 2 and chosen:
            net = counts - background
            axis = _calibrate(chosen, families, energy, net, counts, axis)
            amounts = _amounts(problem, chosen)
            ranked = sorted(chosen, key=lambda e: -amounts[e])[:4]
            leading = [e for e in ranked if amounts[e] > 1000.0]
    return _summary(problem, chosen, families, axis, energy, background)


def _amounts(problem: LineEquations, chosen: list[str]) -> dict[str, float]:
    _, coefficients, index = problem.solve(chosen)
    places = {column: k for k, column in enumerate(index)}
    return {
        e: float(
            sum(
                coefficients[places[c]]
                for c in range(problem.slices[e].start, problem.slices[e].stop)
            )
        )
        for e in chosen
    }


def _looser(
    problem: LineEquations,
    rest: list[str],
    element: str,
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    axis: EdsAxis,
) -> list[np.ndarray]:
    """One standard deviation of each way in which lines beside those of an element may differ."""
    _, coefficients, index = problem.solve(rest)
    found = dict(zip(index, coefficients, strict=True))
    mains = [max(f, key=lambda line: line.weight).energy_ev for f in families[element].values()]
    columns = []
    for other in rest:
        own = np.array(
            [found[c] for c in range(problem.slices[other].start, problem.slices[other].stop)]
        )
        own[0] += own @ problem.shares[other]  # the hard counts that go with the soft ones
        for family, amount in zip(hard_first(families[other]), own, strict=True):
            lines = families[other][family]
            share, away = LOOSE[family]
            weight = sum(line.weight for line in lines)
            for line in lines if weight else ():
                if not line.weight:
                    continue
                reach = 0.8 * float(detector_fwhm_ev(np.array(line.energy_ev), axis.fwhm_mn_ka_ev))
                if min(abs(line.energy_ev - main) for main in mains) < reach:
                    counts = amount * line.weight / weight
                    here = counts * lines_profile([line], energy, axis)
                    moved = EdsAxis(axis.offset_ev + away, axis.gain, axis.fwhm_mn_ka_ev)
                    columns += [share * here, counts * lines_profile([line], energy, moved) - here]
    return columns


def _own_gain(
    problem: LineEquations,
    chosen: list[str],
    element: str,
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    axis: EdsAxis,
) -> float:
    """Fall of the weighted sum of squares that an element brings, see `EdsFit.gain`."""
    rest = [e for e in chosen if e != element]
    looser = _looser(problem, rest, element, families, energy, axis)
    return problem.solve(rest, looser=looser)[0] - problem.solve(chosen, looser=looser)[0]


def _summary(
    problem: LineEquations,
    chosen: list[str],
    families: dict[str, dict[str, list[XrayLine]]],
    axis: EdsAxis,
    energy: np.ndarray,
    background: np.ndarray,
) -> EdsFit:
    full, coefficients, index = problem.solve(chosen)
    model = problem.design[:, index] @ coefficients
    excess = max(1.0, full / max(energy.size - len(index), 1))
    limits = {}
    for element in families:
        column = problem.design[:, problem.slices[element].start]
        around = column > 0.1 * column.max()
        limits[element] = 3.0 * float(np.sqrt(np.maximum(model[around], 1.0).sum()))
    return EdsFit(
        counts=_amounts(problem, chosen),
        gain={
            e: 0.5 * _own_gain(problem, chosen, e, families, energy, axis) / excess for e in chosen
        },
        families={e: tuple(hard_first(families[e])) for e in chosen},
        limits=limits,
        axis=axis,
        energy=energy,
        observed=problem.counts,
        model=model,
        background=background,
    )
