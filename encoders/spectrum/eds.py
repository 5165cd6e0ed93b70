"""Which elements an X-ray (EDS) spectrum shows: non-negative fit of line families.

Counts are a smooth background plus Gaussian lines of the K, L and M families. Elements enter
one by one while the weighted sum of squares falls by more than their cost; the families of one
element are tied so that soft lines cannot stand without the hard ones that must go with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls
from scipy.special import logit, logsumexp

from xtalfuse.encoders.background import Ends, clipped, flattened, restored
from xtalfuse.encoders.spectrum.eds_lines import (
    EdsAxis,
    LineEquations,
    element_columns,
    families_between,
    hard_first,
    hard_shares,
    lines_profile,
    model_error,
)
from xtalfuse.encoders.spectrum.eels_templates import prior_probability
from xtalfuse.physics.spectroscopy import XrayLine, detector_fwhm_ev

BACKGROUND_MISFIT = 0.03  # of a stripped background, over the width of a line
BACKGROUND_DRIFT = 0.2  # of it, over octaves of energy
SOFT_MISFIT = 0.2  # more of it where windows and contamination absorb, falling in 300 eV
OCTAVES = np.arange(7.0, 17.0)  # log2 of eV
TAILS_EV = (40.0, 120.0)
TAIL = 0.05  # share of a soft line in each
RIVALS = 6  # that fit best in the place of an element
# Log-likelihood ratio for one unit of half the sum of squares: what is left of a wrong detector
# shape, neighbouring channels long, brings up to 40 and does not convince.
SLOPE = 0.25
HOPEFUL = 16  # elements that fit what is left best alone, tried in full
CHANNEL_EV = 10.0  # a fifth of the narrowest line; finer channels are joined
ESCAPE_EV = 1739.8  # silicon K-alpha leaves the detector


@dataclass(frozen=True)
class EdsFit:
    """Line families fitted to one spectrum.

    Parameters
    ----------
    counts : element -> counts in all its lines
    gain : element -> fall of the weighted sum of squares (halved) that it brings, where the
        lines of the others may stand and weigh otherwise than tabulated
    rivals : element -> gains of others in its place
    families : element -> families that carry counts, e.g. ``("K", "L")``
    limits : testable element -> counts that would have stood out by three sigma
    axis : calibration found
    energy, observed, model, background : (n,)
    """

    counts: dict[str, float]
    gain: dict[str, float]
    rivals: dict[str, dict[str, float]]
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
    # Where few counts scatter about a level, a clip would find the lowest of them: the mean over
    # a line's width stands for them (after Ryan et al., see `encoders.background`).
    total = np.concatenate([[0.0], np.cumsum(counts)])
    place, wide = np.arange(counts.size), half_widths.astype(int)
    first, last = np.maximum(place - wide, 0), np.minimum(place + wide + 1, counts.size)
    mean = (total[last] - total[first]) / (last - first)
    smooth = np.where(np.abs(smooth - mean) < 3.0 * np.sqrt(mean / box.size), mean, smooth)
    level = flattened(np.maximum(smooth, 0.0), root=True)
    distances = range(int(half_widths.max()), 0, -1)
    return restored(clipped(level, distances, Ends.REPEAT, half_widths), root=True)


def _greedy(
    problem: LineEquations, cost: float, loosened: Callable[[list[str]], None]
) -> list[str]:
    """Add the element that helps most, by its prior, while it pays its cost."""
    chosen: list[str] = []
    current = problem.solve(chosen)[0]
    hopeful = {e: 2.0 / SLOPE * np.log(prior_probability(e)) for e in problem.slices}
    while hopeful and len(chosen) < 25:
        alone = problem.alone(chosen)
        likely = sorted(hopeful, key=lambda e: -alone[e])[:HOPEFUL]
        trials = {element: problem.solve([*chosen, element])[0] for element in likely}
        paid = [e for e in likely if current - trials[e] > 2.0 * cost]
        if not paid:
            break
        best = min(paid, key=lambda e: trials[e] - hopeful[e])
        del hopeful[best]
        if problem.breaks_tie([*chosen, best], best):
            continue
        chosen.append(best)
        loosened(chosen)
        current = problem.solve(chosen)[0]
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
        return np.concatenate([matrix @ solution - net / root, parameters * 3.0])

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


def _drifts(
    energy: np.ndarray, counts: np.ndarray, background: np.ndarray, lower: np.ndarray
) -> np.ndarray:
    """(n, m) one standard deviation of what a detector and a background may add or take.

    By octaves of energy the level of the background, and half of the way to that of a wider
    clip (it goes further below humps: where the two differ neither is certain). Also the
    exponential tails that lines have where charge is lost, softer lines the more (Campbell,
    J. L. et al. (1985). X-Ray Spectrom. 14, 118).
    """
    hats = np.maximum(1.0 - np.abs(np.log2(energy)[:, None] - OCTAVES), 0.0)
    hats = hats[:, hats.any(0)].T
    columns = [*(BACKGROUND_DRIFT * background * hats), *(0.5 * (background - lower) * hats)]
    step = energy[1] - energy[0]
    for length in TAILS_EV:
        kernel = np.exp(-np.arange(0.0, 5.0 * length, step) / length) * step / length
        lost = np.convolve(counts * np.exp(-energy / 3000.0), kernel[::-1], mode="full")
        columns.append(TAIL * lost[kernel.size - 1 :])
    return np.stack(columns, axis=-1)


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
    joined = max(1, int(CHANNEL_EV / np.median(np.diff(energy))))
    whole = joined * (int(keep.sum()) // joined)
    energy = energy[keep][:whole].reshape(-1, joined).mean(1)
    counts = counts[keep][:whole].reshape(-1, joined).sum(1)
    families = families_between(energy[0] + 30.0, energy[-1] - 100.0, beam_ev)
    shares = {e: hard_shares(f, beam_ev) for e, f in families.items()}
    step = float(np.median(np.diff(energy)))
    axis = EdsAxis()
    chosen: list[str] = []
    for attempt in range(3):
        widths = 1.4 * detector_fwhm_ev(energy, axis.fwhm_mn_ka_ev) / step
        background = peak_stripped(counts, np.ceil(widths))
        lower = np.minimum(peak_stripped(counts, np.ceil(2.0 * widths)), background)
        share = BACKGROUND_MISFIT + SOFT_MISFIT * np.exp(-energy / 300.0)
        uncertain = np.hypot(share * background, 0.15 * (background - lower))
        net = np.maximum(counts - background, 0.0)
        tail = np.exp(-energy / 300.0) * background.max()
        fixed = [background + 1e-3, tail, *_instrument(energy, net, axis.offset_ev)]
        columns = {e: element_columns(f, energy, axis, shares[e]) for e, f in families.items()}
        width = max(axis.fwhm_mn_ka_ev / step, 1.0)
        problem = LineEquations(
            columns,
            shares,
            np.stack(fixed, axis=-1),
            counts,
            uncertain,
            width,
            _drifts(energy, net, background, lower),
        )

        def loosened(
            elements: list[str], problem: LineEquations = problem, axis: EdsAxis = axis
        ) -> None:
            amounts = problem.amounts(elements)
            errors = model_error(amounts, families, energy, axis)
            problem.reweigh(problem.model(elements), errors)

        chosen = _greedy(problem, cost, loosened)
        if attempt < 2 and chosen:
            axis = _calibrate(chosen, families, energy, counts - background, counts, axis)
    return _summary(problem, chosen, cost, families, axis, energy, background)


def _paid(problem: LineEquations, chosen: list[str], cost: float) -> dict[str, dict[str, float]]:
    """Element that stays -> gain of it, and of others in its place, over those beside it.

    Those beside it alone have lines that may differ; the weakest that does not pay leaves first.
    """
    found: dict[str, dict[str, float]] = {}
    while chosen:
        found = {e: _gains(problem, [c for c in chosen if c != e], [e]) for e in chosen}
        weakest = min(chosen, key=lambda e: found[e].get(e, 0.0))
        if found[weakest].get(weakest, 0.0) >= cost:
            break
        chosen = [e for e in chosen if e != weakest]
    for element in chosen:
        rest = [c for c in chosen if c != element]
        problem.loosen(rest)
        alone = problem.alone(rest)
        others = sorted(set(alone) - set(chosen), key=lambda e: -alone[e])[:RIVALS]
        found[element] |= _gains(problem, rest, others)
    return {e: found[e] for e in chosen}


def _gains(problem: LineEquations, rest: list[str], elements: list[str]) -> dict[str, float]:
    """Fall of half the sum of squares that each element brings, if its hard lines allow it."""
    problem.loosen(rest)
    without = problem.solve(rest)[0]
    return {
        e: 0.5 * (without - problem.solve([*rest, e])[0])
        for e in elements
        if not problem.breaks_tie([*rest, e], e)
    }


def _summary(
    problem: LineEquations,
    chosen: list[str],
    cost: float,
    families: dict[str, dict[str, list[XrayLine]]],
    axis: EdsAxis,
    energy: np.ndarray,
    background: np.ndarray,
) -> EdsFit:
    gains = _paid(problem, chosen, cost)
    chosen = list(gains)
    problem.loosen(chosen)
    full, coefficients, index = problem.solve(chosen)
    excess = max(1.0, full / max(energy.size - len(index), 1))
    # Rivals are named by the element in whose place they stand.
    rivals = {e: {o: g / excess for o, g in own.items() if o != e} for e, own in gains.items()}
    sharpest = {e: np.diag(problem.gram)[place].max() for e, place in problem.slices.items()}
    return EdsFit(
        counts={e: float(own.sum()) for e, own in problem.amounts(chosen).items()},
        gain={e: own[e] / excess for e, own in gains.items()},
        rivals=rivals,
        families={e: tuple(hard_first(families[e])) for e in chosen},
        limits={e: 3.0 / float(np.sqrt(max(own, 1e-12))) for e, own in sharpest.items()},
        axis=axis,
        energy=energy,
        observed=problem.counts,
        model=problem.design[:, index] @ coefficients,
        background=background,
    )


def line_ratios(fit: EdsFit, strongest: float) -> dict[str, float]:
    """Log-likelihood ratios of the elements whose lines were fitted, and of their rivals.

    "Not this one" means none, or another in its place, each by its prior.
    """
    ratios: dict[str, float] = {}
    for symbol, gain in fit.gain.items():
        share = fit.counts[symbol] / max(strongest, 1.0)
        trace = 2.0 * min(np.log10(max(share, 1e-6) / 0.02), 0.0)
        scores = {e: SLOPE * g - 2.0 for e, g in {symbol: gain, **fit.rivals[symbol]}.items()}
        scores[symbol] += trace
        held = {e: score + float(logit(prior_probability(e))) for e, score in scores.items()}
        for element, score in scores.items():
            others = [0.0, *(value for e, value in held.items() if e != element)]
            ratio = float(score - logsumexp(others))
            if element == symbol or ratio > max(ratios.get(element, 0.0), 0.0):
                ratios[element] = ratio
    return ratios


def absence_ratio(limit: float, compared: float) -> float:
    """Log-likelihood ratio of an element without lines; 0 where it could not be told.

    Amounts from 0.1 % to the strongest element are equally likely on a log scale.
    """
    visible = np.log10(max(compared, 1.0) / max(limit, 1e-3 * compared, 1e-9)) / 3.0
    return float(np.log(np.clip(1.0 - visible, 0.02, 1.0)))
