"""What each element may add to an energy-loss spectrum: a mean shape and its variations.

An edge of a real solid is its atomic shape times fine structure that depends on bonding,
thickness and calibration. Here the atomic shape is the mean and the rest is a Gaussian
variation around it whose size scales with the edge: a weak edge cannot borrow the freedom
of a strong one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xtalfuse.encoders.spectrum.eels_bins import Binned
from xtalfuse.physics.spectroscopy import Edge, EdgeShape, continuum, edges, white_lines

NEAR = 0.8  # height of fine structure of K edges over the step
FAR = 0.15  # height of plasmon replicas over the step
FINE_EV = 0.5  # axis of the shapes: a sixth of the narrowest line
_PRIOR_DEFAULT = 0.02
# How often an element is met in the materials that are measured, roughly: share of compounds
# in inorganic crystal collections that hold it, with the films and polymers of microscopy.
_FREQUENCY: dict[str, float] = {
    "O": 0.60, "C": 0.15, "N": 0.12, "Si": 0.12, "Al": 0.12, "Fe": 0.12, "Ti": 0.12,
    "Mn": 0.10, "S": 0.08, "P": 0.06, "B": 0.06, "F": 0.06, "Cl": 0.05, "Ca": 0.08,
    "Na": 0.06, "K": 0.05, "Mg": 0.08, "Li": 0.08, "Ni": 0.09, "Co": 0.09, "Cu": 0.08,
    "Cr": 0.07, "V": 0.06, "Zn": 0.06, "Ga": 0.04, "Sr": 0.06, "La": 0.06, "Ba": 0.05,
    "Y": 0.04, "Zr": 0.04, "Nb": 0.03, "Mo": 0.03, "Sn": 0.03, "Ce": 0.03, "Be": 0.01,
    "Ne": 0.0005, "Ar": 0.002, "Kr": 0.0005, "Xe": 0.0005, "Tc": 0.0002, "Pm": 0.0002,
    "Th": 0.004, "U": 0.006, "Tl": 0.006, "Hg": 0.006, "Os": 0.005, "Re": 0.005,
    "Rb": 0.008, "Cs": 0.01, "Rh": 0.008, "Ir": 0.008, "Lu": 0.008, "Tm": 0.005, "Sc": 0.01,
}  # fmt: skip


def prior_probability(symbol: str) -> float:
    """Chance that a measured material holds this element, before looking."""
    return _FREQUENCY.get(symbol, _PRIOR_DEFAULT)


@dataclass(frozen=True)
class Placed:
    """One element's edges at one shift of the axis, with their products under the noise alone.

    The products are the same for every set that the element may join.
    """

    mean: np.ndarray  # (n,) the primary edge has a continuum step of one
    variation: np.ndarray  # (n, m) one standard deviation of each way in which it may differ
    gram: np.ndarray  # (m, m) of the variations
    mixed: np.ndarray  # (m,) variations with the mean
    square: float  # mean with itself


class Template:
    """One element's contribution at any shift of the energy axis, averaged over bins.

    Shapes are made once on a fine axis and summed up: the mean over a bin, however wide, at
    any shift is then a difference of two sums.

    Parameters
    ----------
    edges : of one element, the primary first
    spectrum : whose bins are filled
    shifts_ev : (s,) measured minus tabulated energy
    """

    def __init__(self, edges: tuple[Edge, ...], spectrum: Binned, shifts_ev: np.ndarray):
        self.edges = edges
        self.element = edges[0].element
        self.strength = edges[0].strength  # jump per atom of the primary edge, O K jumps
        low, high = spectrum.limits[0, 0] - shifts_ev[-1], spectrum.limits[-1, 1] - shifts_ev[0]
        step = FINE_EV if high - low < 2000.0 else 2.0 * FINE_EV
        self._axis = np.arange(low - step, high + 2.0 * step, step)
        self._limits, self._variance = spectrum.limits, spectrum.variance
        self._shifts = shifts_ev
        self._shares = np.array([edge.strength / edges[0].strength for edge in edges])
        reach = np.array([edge.onset_ev + edge.splitting_ev + 3.0 for edge in edges])
        self._visible = reach + shifts_ev[:, None] > spectrum.energy[0]  # [s, edge]
        shapes = [mean_shape(edge, self._axis) for edge in edges]
        self._shapes = _summed(np.stack(shapes, axis=-1) * self._shares)
        self.means = np.stack(
            [
                self._binned(self._shapes, place) @ self._visible[place]
                for place in range(shifts_ev.size)
            ]
        )  # (s, n)
        self.squares = (self.means**2 / spectrum.variance).sum(1)
        self._placed: dict[int, Placed] = {}

    def _binned(self, summed: np.ndarray, place: int) -> np.ndarray:
        """(n, m) means over the bins at one shift of what is summed along the fine axis."""
        step = self._axis[1] - self._axis[0]
        at = (self._limits - self._shifts[place] - self._axis[0]) / step + 0.5
        whole = np.floor(at).astype(int)
        part = (at - whole)[..., None]
        sums = summed[whole] * (1.0 - part) + summed[whole + 1] * part  # [n, 2, m]
        return (sums[:, 1] - sums[:, 0]) / (at[:, 1] - at[:, 0])[:, None]

    @cached_property
    def _columns(self) -> tuple[np.ndarray, np.ndarray]:
        """Summed variations and the edge that each is of."""
        columns, owners = [], []
        for k, edge in enumerate(self.edges):
            if edge.major or edge.white or edge.shell == "L1":
                varied = edge_variations(edge, self._axis)
                columns += [self._shares[k] * column for column in varied]
                owners += [k] * len(varied)
        return _summed(np.stack(columns, axis=-1)), np.array(owners)

    def at(self, place: int) -> Placed:
        """Mean, variations and their products at one of the shifts."""
        if place not in self._placed:
            summed, owners = self._columns
            variation = self._binned(summed, place) * self._visible[place, owners]
            # Tabulated ratios of strength are good to a factor of two.
            others = 0.5 * self._binned(self._shapes, place)[:, 1:] * self._visible[place, 1:]
            variation = np.concatenate([variation, others], axis=1)
            variation = variation[:, np.abs(variation).max(0) > 1e-4]
            weighted = variation.T / self._variance
            mean = self.means[place]
            self._placed[place] = Placed(
                mean, variation, weighted @ variation, weighted @ mean, float(self.squares[place])
            )
        return self._placed[place]


def _summed(columns: np.ndarray) -> np.ndarray:
    """Running sums (n + 1, m) of columns (n, m)."""
    return np.concatenate([np.zeros((1, columns.shape[1])), np.cumsum(columns, axis=0)])


def candidates(low_ev: float, high_ev: float) -> dict[str, tuple[Edge, ...]]:
    """Elements with a major edge inside a window, each with all its edges there."""
    reach: dict[str, list[Edge]] = {}
    for edge in edges():
        if low_ev <= edge.onset_ev <= high_ev:
            reach.setdefault(edge.element, []).append(edge)
    return {
        symbol: tuple(sorted(found, key=lambda e: (not e.major, -e.strength)))
        for symbol, found in reach.items()
        if any(edge.major for edge in found)
    }


def _bump(above: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((above - centre) / sigma) ** 2)


def mean_shape(edge: Edge, energy: np.ndarray) -> np.ndarray:
    """(n,) mean shape of an edge, its continuum step one."""
    above = energy - edge.onset_ev
    if edge.shape is EdgeShape.WHITE:
        return continuum(edge, energy) + edge.white * white_lines(edge, energy)
    if edge.shape is EdgeShape.STEP:
        return continuum(edge, energy) + 0.7 * _started(above) * _bump(above, 7.0, 5.0)
    return continuum(edge, energy)


def _started(above: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(above, -60.0, 60.0)))


def edge_variations(edge: Edge, energy: np.ndarray) -> list[np.ndarray]:
    """One standard deviation, (n,), of each way in which an edge may differ from its mean."""
    above = energy - edge.onset_ev
    base = continuum(edge, energy)
    started = _started(above)
    relative = np.log1p(np.maximum(above, 0.0) / edge.onset_ev)
    columns = [
        0.5 * base,  # peaks without a step, or the reverse
        2.0 * base * relative,  # exponent of the fall
        0.3 * (1.0 - _bump(np.maximum(above, 0.0), 0.0, 25.0)),  # plural scattering
    ]
    # Plasmon replicas of the lines and slow oscillations, 15-80 eV above threshold.
    replica = FAR * (1.0 + 0.5 * edge.white)
    columns += [replica * started * _bump(above, c, 6.0) for c in (16.0, 26.0, 36.0, 48.0, 62.0)]
    if edge.shape is EdgeShape.WHITE:
        partner = max(edge.ratio, 0.15)
        for centre in (-2.0, 0.0, 2.0, 4.0, 6.0, 9.0):
            spread = 0.3 if centre in (0.0, 2.0, 4.0) else 0.12
            columns.append(spread * edge.white * _bump(above, centre, 1.3))
            second = _bump(above, centre + edge.splitting_ev, 1.3)
            columns.append(spread * edge.white * partner * second)
        columns.append(0.4 * edge.white * white_lines(edge, energy))
        return columns
    near = {EdgeShape.STEP: NEAR, EdgeShape.DELAYED: 0.12, EdgeShape.RESONANCE: 0.15}[edge.shape]
    if edge.shape is EdgeShape.DELAYED and edge.shell == "L23" and edge.onset_ev < 300.0:
        near = 0.6
    centres = np.arange(0.0, 26.0, 2.5)
    for centre in centres:
        spread = near * np.exp(-centre / 18.0)
        columns.append(spread * _bump(above, centre, 1.7))
    return columns
