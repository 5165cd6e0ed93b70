"""X-ray lines as a detector shows them, in columns, and their weighted normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from xtalfuse.physics.spectroscopy import XrayLine, detector_fwhm_ev, xray_lines

LOWEST_LINE_EV = 160.0
SOFT_OVER_HARD = 6.0  # a soft family is at most so much stronger than its hard one,
FREE_OVERVOLTAGE = 3.0  # where the beam has this many times the energy of the hard lines
OVERVOLTAGE = 1.4  # below it no line is expected
TIE_BROKEN = 9.0  # fall of the sum of squares (three sigma) without the hard lines that are due
SHAPE_MISFIT = 0.01  # of a detector's line shape; it extends over the width of a line


@dataclass(frozen=True)
class EdsAxis:
    """Energy axis of a detector: true = (recorded - offset) / (1 + gain)."""

    offset_ev: float = 0.0
    gain: float = 0.0
    fwhm_mn_ka_ev: float = 132.0


def families_between(
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
            if too_hard or not any(line.name[1:] in ("a", "z") for line in families[family]):
                del families[family]
        if [line.name for lines in families.values() for line in lines] == ["Mz"]:
            families.clear()  # too weak to stand for an element alone
    return {element: families for element, families in found.items() if families}


def lines_profile(lines: list[XrayLine], energy: np.ndarray, axis: EdsAxis) -> np.ndarray:
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


def hard_first(families: dict[str, list[XrayLine]]) -> list[str]:
    return [family for family in "KLM" if family in families]


def _least_hard(families: dict[str, list[XrayLine]], beam_ev: float) -> float:
    """Counts in the hardest family for one in a softer one, at least.

    Absorption weakens soft lines, nothing but a beam of hardly more than their energy weakens
    the hard ones below 20 keV alone: (U - 1)^1.67, Green & Cosslett (1961) Proc. Phys. Soc.
    78, 1206.
    """
    hard = max(families[hard_first(families)[0]], key=lambda line: line.weight)
    excess = max(beam_ev / hard.energy_ev - 1.0, 0.0) / (FREE_OVERVOLTAGE - 1.0)
    # Share that 0.45 mm of silicon stop: 4.4 cm2/g at 20 keV (NIST), falling as E^-2.9.
    stopped = 1.0 - np.exp(-0.105 * 4.4 * (hard.energy_ev / 20_000.0) ** -2.9)
    return float(stopped * min(excess, 1.0) ** 1.67 / SOFT_OVER_HARD)


def hard_shares(families: dict[str, list[XrayLine]], beam_ev: float) -> np.ndarray:
    """(n_family,) hard counts that go with one count of each family at least; 0 for itself."""
    share = _least_hard(families, beam_ev)
    # M-zeta alone, of the lighter elements, is a tenth as bright as other soft families.
    alone = [10.0 if [n.name for n in families[f]] == ["Mz"] else 1.0 for f in hard_first(families)]
    return np.array([0.0, *(share * np.array(alone[1:]))])


def element_columns(
    families: dict[str, list[XrayLine]], energy: np.ndarray, axis: EdsAxis, shares: np.ndarray
) -> np.ndarray:
    """(n, n_family) columns whose non-negative sums keep soft lines tied to hard ones."""
    profiles = [lines_profile(families[f], energy, axis) for f in hard_first(families)]
    return np.stack([p + s * profiles[0] for p, s in zip(profiles, shares, strict=True)], axis=-1)


class LineEquations:
    """Weighted normal equations of all candidate columns, reused for every subset."""

    def __init__(
        self,
        columns: dict[str, np.ndarray],
        shares: dict[str, np.ndarray],
        fixed: np.ndarray,
        counts: np.ndarray,
        uncertain: np.ndarray,
        width: float,
    ):
        self.shares, self.uncertain, self.width = shares, uncertain, width
        self.slices: dict[str, slice] = {}
        start = fixed.shape[1]
        for element, block in columns.items():
            self.slices[element] = slice(start, start + block.shape[1])
            start += block.shape[1]
        self.fixed = list(range(fixed.shape[1]))
        tied = [element for element, block in columns.items() if block.shape[1] > 1]
        self.less_hard = {element: start + k for k, element in enumerate(tied)}
        negative = [-columns[element][:, :1] for element in tied]
        self.design = np.concatenate([fixed, *columns.values(), *negative], axis=1)
        self.counts = counts
        self.reweigh(np.convolve(counts, np.ones(5) / 5.0, mode="same"))

    def reweigh(self, expected: np.ndarray) -> None:
        """Poisson weights from expected counts, with what neither shape nor background tell.

        An error that is the same over the `width` channels of a line weighs as much as
        independent ones of that many times its variance.
        """
        misfit = (SHAPE_MISFIT * expected) ** 2 + self.uncertain**2
        self.variance = variance = np.maximum(expected, 1.0) + self.width * misfit
        weighted = self.design / variance[:, None]
        self.gram = self.design.T @ weighted
        self.moment = weighted.T @ self.counts
        self.square = float(self.counts @ (self.counts / variance))

    def breaks_tie(self, elements: list[str], element: str) -> bool:
        """Whether most of the hard lines that go with the soft ones of an element are missing,
        where they should be seen."""
        if element not in self.less_hard:
            return False
        freed, coefficients, index = self.solve(elements, [self.less_hard[element]])
        found = dict(zip(index, coefficients, strict=True))
        own = np.array([found[c] for c in range(*self.slices[element].indices(10**6))])
        surplus = own[0] - found[self.less_hard[element]]
        due = float(own @ self.shares[element])
        hard = self.slices[element].start
        seen = float((due + surplus) * np.sqrt(self.gram[hard, hard]))  # standard deviations
        missing = surplus < -0.5 * due and seen < 5.0
        return bool(missing) and self.solve(elements)[0] - freed > TIE_BROKEN

    def solve(
        self,
        elements: list[str],
        extra: list[int] | None = None,
        looser: list[np.ndarray] | None = None,
    ) -> tuple[float, np.ndarray, list[int]]:
        """Weighted sum of squares, coefficients and their columns for a set of elements.

        Parameters
        ----------
        elements : whose columns are used, beside those that always are
        extra : more columns
        looser : (n,) shapes of either sign and about unit amount, whose own squares count
        """
        index = [*self.fixed, *(extra or ())]
        for element in elements:
            index += range(self.slices[element].start, self.slices[element].stop)
        gram, moment = self.gram[np.ix_(index, index)], self.moment[index]
        if looser:
            either = np.stack([*looser, *(-column for column in looser)], axis=-1)
            weighted = either / self.variance[:, None]
            across = self.design[:, index].T @ weighted
            own = either.T @ weighted + np.eye(either.shape[1])
            gram = np.block([[gram, across], [across.T, own]])
            moment = np.concatenate([moment, weighted.T @ self.counts])
        gram = gram + 1e-9 * np.diag(np.diag(gram) + 1e-12)
        factor = np.linalg.cholesky(gram)
        target = np.linalg.solve(factor, moment)
        coefficients, residual = nnls(factor.T, target, maxiter=50 * len(moment))
        return self.square - float(target @ target) + residual**2, coefficients[: len(index)], index

    def alone(self, elements: list[str]) -> dict[str, float]:
        """Element -> fall of the sum of squares by its best column, all else staying."""
        _, coefficients, index = self.solve(elements)
        left = np.maximum(self.moment - self.gram[:, index] @ coefficients, 0.0)
        gains = left**2 / np.maximum(np.diag(self.gram), 1e-12)
        return {element: float(gains[place].max()) for element, place in self.slices.items()}

    def model(self, elements: list[str]) -> np.ndarray:
        """(n,) counts expected from a set of elements and the background."""
        _, coefficients, index = self.solve(elements)
        return self.design[:, index] @ coefficients
