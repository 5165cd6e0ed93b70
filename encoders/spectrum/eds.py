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
from xtalfuse.physics.spectroscopy import XrayLine, detector_fwhm_ev, xray_lines

LOWEST_LINE_EV = 180.0
SOFT_OVER_HARD = 6.0  # a soft family is at most so much stronger than its hard one
ESCAPE_EV = 1739.8  # silicon K-alpha leaves the detector
OVERVOLTAGE = 1.4


@dataclass(frozen=True)
class EdsAxis:
    """Energy axis of a detector: true = (recorded - offset) / (1 + gain)."""

    offset_ev: float = 0.0
    gain: float = 0.0
    fwhm_mn_ka_ev: float = 132.0


@dataclass(frozen=True)
class EdsFit:
    """Line families fitted to one spectrum.

    Parameters
    ----------
    counts : element -> counts in all its lines
    gain : element -> fall of the weighted sum of squares (halved) that it brings
    families : element -> families that carry counts, e.g. ``("K", "L")``
    overlaps : element -> share of its hardest family that may be a line of a stronger element
    limits : testable element -> counts that would have stood out by three sigma
    axis : calibration found
    energy, observed, model, background : (n,)
    """

    counts: dict[str, float]
    gain: dict[str, float]
    families: dict[str, tuple[str, ...]]
    overlaps: dict[str, float]
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
    smooth = np.convolve(np.pad(counts, 3, mode="edge"), np.ones(7) / 7.0, mode="valid")
    level = flattened(np.maximum(smooth, 0.0), root=True)
    distances = range(int(half_widths.max()), 0, -1)
    return restored(clipped(level, distances, Ends.REPEAT, half_widths), root=True)


def _families(
    low_ev: float, high_ev: float, beam_ev: float
) -> dict[str, dict[str, list[XrayLine]]]:
    """Element -> family -> lines in range, for families whose main line is there."""
    found: dict[str, dict[str, list[XrayLine]]] = {}
    for line in xray_lines():
        if max(low_ev, LOWEST_LINE_EV) <= line.energy_ev <= high_ev:
            found.setdefault(line.element, {}).setdefault(line.family, []).append(line)
    for families in found.values():
        for family in list(families):
            main = max(families[family], key=lambda line: line.weight)
            too_hard = main.energy_ev * OVERVOLTAGE > beam_ev
            if too_hard or not any(line.name.endswith("a") for line in families[family]):
                del families[family]
    return {element: families for element, families in found.items() if families}


def _lines_profile(lines: list[XrayLine], energy: np.ndarray, axis: EdsAxis) -> np.ndarray:
    """Counts per channel of a family with unit total, on the recorded axis."""
    total = np.zeros_like(energy)
    step = float(np.median(np.diff(energy)))
    weight = sum(line.weight for line in lines)
    for line in lines:
        centre = line.energy_ev * (1.0 + axis.gain) + axis.offset_ev
        sigma = float(detector_fwhm_ev(np.array(line.energy_ev), axis.fwhm_mn_ka_ev)) / 2.3548
        near = np.abs(energy - centre) < 6.0 * sigma
        shape = np.exp(-0.5 * ((energy[near] - centre) / sigma) ** 2)
        total[near] += line.weight / weight * step / (sigma * np.sqrt(2.0 * np.pi)) * shape
    return total


def _hard_first(families: dict[str, list[XrayLine]]) -> list[str]:
    return [family for family in "KLM" if family in families]


def _columns(families: dict[str, list[XrayLine]], energy: np.ndarray, axis: EdsAxis) -> np.ndarray:
    """(n, n_family) columns whose non-negative sums keep soft lines tied to hard ones.

    Absorption weakens soft lines, nothing weakens hard ones below 20 keV alone.
    """
    profiles = [_lines_profile(families[f], energy, axis) for f in _hard_first(families)]
    columns = [profiles[0]]
    columns += [profiles[0] / SOFT_OVER_HARD + soft for soft in profiles[1:]]
    return np.stack(columns, axis=-1)


class _LineEquations:
    """Weighted normal equations of all candidate columns, reused for every subset."""

    def __init__(self, columns: dict[str, np.ndarray], fixed: np.ndarray, counts: np.ndarray):
        self.slices: dict[str, slice] = {}
        start = fixed.shape[1]
        for element, block in columns.items():
            self.slices[element] = slice(start, start + block.shape[1])
            start += block.shape[1]
        self.fixed = list(range(fixed.shape[1]))
        self.design = np.concatenate([fixed, *columns.values()], axis=1)
        self.counts = counts
        self.reweigh(np.convolve(counts, np.ones(5) / 5.0, mode="same"))

    def reweigh(self, expected: np.ndarray) -> None:
        """Poisson weights from expected counts, with 2 % for the shape of a real detector."""
        variance = np.maximum(expected, 1.0) + (0.02 * expected) ** 2
        weighted = self.design / variance[:, None]
        self.gram = self.design.T @ weighted
        self.moment = weighted.T @ self.counts
        self.square = float(self.counts @ (self.counts / variance))

    def solve(self, elements: list[str]) -> tuple[float, np.ndarray, list[int]]:
        """Weighted sum of squares, coefficients and their columns for a set of elements."""
        index = list(self.fixed)
        for element in elements:
            index += range(self.slices[element].start, self.slices[element].stop)
        gram = self.gram[np.ix_(index, index)] + 1e-9 * np.diag(np.diag(self.gram)[index] + 1e-12)
        factor = np.linalg.cholesky(gram)
        target = np.linalg.solve(factor, self.moment[index])
        coefficients, residual = nnls(factor.T, target, maxiter=50 * len(index))
        return self.square - float(target @ target) + residual**2, coefficients, index

    def model(self, elements: list[str]) -> np.ndarray:
        """(n,) counts expected from a set of elements and the background."""
        _, coefficients, index = self.solve(elements)
        return self.design[:, index] @ coefficients


def _greedy(problem: _LineEquations, cost: float) -> list[str]:
    """Add the element that helps most while it pays its cost; then drop those that do not."""
    chosen: list[str] = []
    current = problem.solve(chosen)[0]
    hopeful = list(problem.slices)
    while hopeful and len(chosen) < 25:
        trials = {element: problem.solve([*chosen, element])[0] for element in hopeful}
        best = min(trials, key=lambda element: trials[element])
        if current - trials[best] < 2.0 * cost:
            break
        chosen.append(best)
        problem.reweigh(problem.model(chosen))
        current = problem.solve(chosen)[0]
        hopeful.remove(best)
        # What helps least beside few elements will not come first beside more.
        hopeful = sorted(hopeful, key=lambda e: trials[e])[: max(25, len(hopeful) * 2 // 3)]
    for element in list(chosen[:-1]):
        rest = [e for e in chosen if e != element]
        without = problem.solve(rest)[0]
        if without - current < 2.0 * cost:
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
        design = [_lines_profile(families[e][f], energy, axis) for e in chosen for f in families[e]]
        matrix = np.stack(design, axis=-1) / root[:, None]
        solution, _ = nnls(matrix, net / root)
        return np.concatenate([(matrix @ solution - net / root), parameters * 3.0])

    initial = np.array([start.offset_ev / 20.0, start.gain / 2e-3, 0.0])
    bounds = ([-2.5, -3.0, -3.0], [2.5, 3.0, 6.0])
    found = least_squares(misfit, initial, bounds=bounds, diff_step=0.02, max_nfev=12).x
    return EdsAxis(20.0 * found[0], 2e-3 * found[1], 132.0 + 10.0 * found[2])


def _nuisance(energy: np.ndarray, strong: list[float], axis: EdsAxis) -> list[np.ndarray]:
    """Escape and sum peaks of the strongest lines."""
    places = [e - ESCAPE_EV for e in strong if e > ESCAPE_EV + 400.0]
    places += [a + b for i, a in enumerate(strong) for b in strong[i:]]
    lines = [XrayLine("", "", "", place, 1.0) for place in places if energy[0] < place < energy[-1]]
    return [_lines_profile([line], energy, axis) for line in lines]


def _misplaced(
    elements: list[str],
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    axis: EdsAxis,
) -> list[np.ndarray]:
    """What a strong family leaves where its lines stand some eV off, in either direction."""
    columns = []
    moved = EdsAxis(axis.offset_ev + 8.0, axis.gain, axis.fwhm_mn_ka_ev)
    for element in elements:
        for lines in families[element].values():
            change = _lines_profile(lines, energy, moved) - _lines_profile(lines, energy, axis)
            columns += [change, -change]
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
    families = _families(energy[0] + 30.0, energy[-1] - 100.0, beam_ev)
    step = float(np.median(np.diff(energy)))
    axis = EdsAxis()
    chosen: list[str] = []
    leading: list[str] = []
    strong: list[float] = []
    for attempt in range(3):
        widths = 1.4 * detector_fwhm_ev(energy, axis.fwhm_mn_ka_ev) / step
        background = peak_stripped(counts, np.ceil(widths))
        tail = np.exp(-energy / 300.0) * background.max()
        misplaced = _misplaced(leading, families, energy, axis)
        extra = [*_nuisance(energy, strong, axis), *misplaced]
        fixed = np.stack([background + 1e-3, tail, *extra], axis=-1)
        columns = {e: _columns(f, energy, axis) for e, f in families.items()}
        problem = _LineEquations(columns, fixed, counts)
        chosen = _greedy(problem, cost)
        if attempt < 2 and chosen:
            net = counts - background
            axis = _calibrate(chosen, families, energy, net, counts, axis)
            amounts = _amounts(problem, chosen)
            ranked = sorted(chosen, key=lambda e: -amounts[e])[:4]
            leading = [e for e in ranked if amounts[e] > 1000.0]
            mains = [max(f, key=lambda n: n.weight) for e in ranked for f in families[e].values()]
            strong = [line.energy_ev for line in mains if amounts[line.element] > 3000.0]
    return _summary(problem, chosen, families, axis, energy, background)


def _amounts(problem: _LineEquations, chosen: list[str]) -> dict[str, float]:
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


def _hard_counts(problem: _LineEquations, chosen: list[str], element: str) -> float:
    """Counts in the hardest family of an element."""
    _, coefficients, index = problem.solve(chosen)
    places = {column: k for k, column in enumerate(index)}
    block = problem.slices[element]
    hard = coefficients[places[block.start]]
    soft = sum(coefficients[places[c]] for c in range(block.start + 1, block.stop))
    return float(hard + soft / SOFT_OVER_HARD)


def _overlaps(
    problem: _LineEquations,
    chosen: list[str],
    families: dict[str, dict[str, list[XrayLine]]],
    axis: EdsAxis,
) -> dict[str, float]:
    """How far the lines of stronger elements could make the main line of each element.

    Branching ratios are good to some 30 %, so that share of an overlapping line is open.
    """
    hard = {e: _hard_counts(problem, chosen, e) for e in chosen}
    amounts = _amounts(problem, chosen)
    result = {}
    for element in chosen:
        lines = families[element][_hard_first(families[element])[0]]
        main = max(lines, key=lambda line: line.weight)
        reach = 0.6 * float(detector_fwhm_ev(np.array(main.energy_ev), axis.fwhm_mn_ka_ev))
        borrowed = 0.0
        for other in chosen:
            if amounts[other] <= 2.0 * amounts[element]:
                continue
            for family in families[other].values():
                weight = sum(line.weight for line in family)
                near = [n.weight for n in family if abs(n.energy_ev - main.energy_ev) < reach]
                borrowed += 0.3 * amounts[other] * sum(near) / weight
        result[element] = min(borrowed / max(hard[element], 1.0), 1.0)
    return result


def _summary(
    problem: _LineEquations,
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
            e: 0.5 * (problem.solve([c for c in chosen if c != e])[0] - full) / excess
            for e in chosen
        },
        families={e: tuple(_hard_first(families[e])) for e in chosen},
        overlaps=_overlaps(problem, chosen, families, axis),
        limits=limits,
        axis=axis,
        energy=energy,
        observed=problem.counts,
        model=model,
        background=background,
    )
