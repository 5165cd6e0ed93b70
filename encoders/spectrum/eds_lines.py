"""X-ray lines as a detector shows them, in columns, and their weighted normal equations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from xtalfuse.physics.spectroscopy import XrayLine, detector_fwhm_ev, xray_lines

LOWEST_LINE_EV = 160.0
SOFT_OVER_HARD = 6.0  # a soft family is at most so much stronger than its hard one,
FREE_OVERVOLTAGE = 3.0  # where the beam has this many times the energy of the hard lines
OVERVOLTAGE = 1.05  # below it no line is expected
EDGE = {"K": 1.12, "L": 1.2, "M": 1.1}  # energy of the edge over that of the main line, about
TIE_BROKEN = 9.0  # fall of the sum of squares (three sigma) without the hard lines that are due
# Errors of tabulated lines: share of one in its family (K: Kb over Ka, chemistry and tables; L and
# M: yields, Coster-Kronig jumps and ionisation of subshells by electrons, Campbell (2003) At. Data
# Nucl. Data Tables 85, 291; Merlet & Llovet (2012) IOP Conf. Ser. 32, 012016), share of the family
# that a line may have besides (branches that tables give as zero), and eV.
RATIO_ERROR = {"K": 0.1, "L": 0.2, "M": 0.5}
UNLISTED = {"K": 0.002, "L": 0.005, "M": 0.05}
PLACE_ERROR = 5.0
LEAST_COUNTS = 20.0  # lines with fewer are lost in the noise of any spectrum
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
            too_hard = main.energy_ev * EDGE[family] * OVERVOLTAGE > beam_ev
            if too_hard or not any(line.name[1:] in ("a", "z") for line in families[family]):
                del families[family]
        if [line.name for lines in families.values() for line in lines] == ["Mz"]:
            families.clear()  # too weak to stand for an element alone
    return {element: families for element, families in found.items() if families}


def lines_profile(lines: list[XrayLine], energy: np.ndarray, axis: EdsAxis) -> np.ndarray:
    """Counts per channel of a family with unit total, on the recorded axis."""
    total = np.zeros_like(energy)
    step = energy[1] - energy[0]
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
    excess = max(beam_ev / (EDGE[hard.family] * hard.energy_ev) - 1.0, 0.0) / (
        FREE_OVERVOLTAGE - 1.0
    )
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


def model_error(
    amounts: dict[str, np.ndarray],
    families: dict[str, dict[str, list[XrayLine]]],
    energy: np.ndarray,
    axis: EdsAxis,
) -> dict[str, np.ndarray]:
    """Element -> (n, m) one standard deviation of each way in which its lines may differ.

    Each line on its own: its share of the family (`RATIO_ERROR`) and its place (`PLACE_ERROR`).

    Parameters
    ----------
    amounts : element -> (n_family,) counts in each family, the hardest first
    families, energy, axis : as for `element_columns`
    """
    moved = EdsAxis(axis.offset_ev + PLACE_ERROR, axis.gain, axis.fwhm_mn_ka_ev)
    errors = {}
    for element, own in amounts.items():
        columns = [np.zeros_like(energy)]
        for family, amount in zip(hard_first(families[element]), own, strict=True):
            lines = families[element][family]
            weight = sum(line.weight for line in lines)
            for line in lines:
                share = line.weight / weight
                error = float(np.hypot(share * RATIO_ERROR[family], UNLISTED[family]))
                if error * amount < LEAST_COUNTS:
                    continue
                here = lines_profile([replace(line, weight=1.0)], energy, axis)
                if line.weight:
                    columns.append(amount * share * (lines_profile([line], energy, moved) - here))
                if len(lines) > 1:
                    columns.append(amount * error * here)
                places = [line.energy_ev for line in lines]
            if UNLISTED[family] * amount > LEAST_COUNTS and max(places) > min(places):
                reach = 0.8 * float(detector_fwhm_ev(np.array(min(places)), axis.fwhm_mn_ka_ev))
                for place in np.arange(0.97 * min(places), 1.03 * max(places), reach):
                    line = replace(lines[0], weight=1.0, energy_ev=float(place))
                    columns.append(amount * UNLISTED[family] * lines_profile([line], energy, axis))
        errors[element] = np.stack(columns, axis=-1)
    return errors


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
        drift: np.ndarray,
    ):
        self.shares, self.uncertain, self.width, self.drift = shares, uncertain, width, drift
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
        self.reweigh(np.convolve(counts, np.ones(5) / 5.0, mode="same"), {})

    def reweigh(self, expected: np.ndarray, errors: dict[str, np.ndarray]) -> None:
        """Weights from expected counts, with what neither shape nor background nor tables tell.

        An error that is the same over the `width` channels of a line weighs as much as
        independent ones of that many times its variance.

        Parameters
        ----------
        expected : (n,) counts
        errors : element -> (n, m) its correlated errors, see `model_error`
        """
        misfit = (SHAPE_MISFIT * expected) ** 2 + self.uncertain**2
        variance = np.maximum(expected, 1.0) + self.width * misfit
        weighted = self.design / variance[:, None]
        square = float(self.counts @ (self.counts / variance))
        self._independent = self.design.T @ weighted, weighted.T @ self.counts, square
        errors = {"": self.drift, **errors}
        joined = np.concatenate(list(errors.values()), axis=1)
        loose = joined / variance[:, None]
        self._correlated = loose.T @ joined, loose.T @ self.design, loose.T @ self.counts
        self._owner = np.repeat(list(errors), [block.shape[1] for block in errors.values()])
        self.loosen(list(errors))

    def loosen(self, elements: list[str]) -> None:
        """Let the errors of these elements, and of no other, into the covariance of the data.

        Its inverse is taken by the Woodbury identity.
        """
        own = np.isin(self._owner, ["", *elements])
        overlap, across, along = self._correlated
        factor = np.linalg.cholesky(np.eye(int(own.sum())) + overlap[np.ix_(own, own)])
        across, along = np.linalg.solve(factor, across[own]), np.linalg.solve(factor, along[own])
        gram, moment, square = self._independent
        self.gram, self.moment = gram - across.T @ across, moment - across.T @ along
        self.square = square - float(along @ along)

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
        self, elements: list[str], extra: list[int] | None = None
    ) -> tuple[float, np.ndarray, list[int]]:
        """Weighted sum of squares, coefficients and their columns for a set of elements.

        Parameters
        ----------
        elements : whose columns are used, beside those that always are
        extra : more columns
        """
        index = [*self.fixed, *(extra or ())]
        for element in elements:
            index += range(self.slices[element].start, self.slices[element].stop)
        gram, moment = self.gram[np.ix_(index, index)], self.moment[index]
        gram = gram + 1e-9 * np.diag(np.diag(gram) + 1e-12)
        factor = np.linalg.cholesky(gram)
        target = np.linalg.solve(factor, moment)
        coefficients, residual = nnls(factor.T, target, maxiter=50 * len(moment))
        return self.square - float(target @ target) + residual**2, coefficients, index

    def amounts(self, elements: list[str]) -> dict[str, np.ndarray]:
        """Element -> (n_family,) counts in each of its families."""
        _, coefficients, index = self.solve(elements)
        found = dict(zip(index, coefficients, strict=True))
        result = {}
        for element in elements:
            place = self.slices[element]
            own = np.array([found[c] for c in range(place.start, place.stop)])
            own[0] += own @ self.shares[element]  # the hard counts that go with the soft ones
            result[element] = own
        return result

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
