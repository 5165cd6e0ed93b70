"""What each element may add to an energy-loss spectrum: a mean shape and its variations.

An edge of a real solid is its atomic shape times fine structure that depends on bonding,
thickness and calibration. Here the atomic shape is the mean and the rest is a Gaussian
variation around it whose size scales with the edge: a weak edge cannot borrow the freedom
of a strong one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xtalfuse.physics.spectroscopy import Edge, EdgeShape, continuum, edges, white_lines

NEAR = 0.8  # height of fine structure of K edges over the step
FAR = 0.15  # height of plasmon replicas over the step
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
class Template:
    """One element's contribution for a set of shifts of the energy axis.

    Parameters
    ----------
    element : chemical symbol
    mean : (n_shift, n) atomic shape; the primary edge has a continuum step of one
    variation : (n_shift, n, m) one standard deviation of each way in which it may differ
    strength : jump per atom of the primary edge, in units of an O K jump
    edges : edges of the element within reach of the window, strongest first
    """

    element: str
    mean: np.ndarray
    variation: np.ndarray
    strength: float
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Whitened:
    """Products of one template with itself under the noise alone, at every offset.

    They are the same for every set that the element may join.
    """

    variation: np.ndarray  # (n_offset, m, n), transposed for products of matrices
    gram: np.ndarray  # (n_offset, m, m)
    mixed: np.ndarray  # (n_offset, m) variations with the mean
    square: np.ndarray  # (n_offset,) mean with itself

    @classmethod
    def of(cls, template: Template, variance: np.ndarray) -> Whitened:
        """Products of a template for noise of this variance, (n,)."""
        variation = np.ascontiguousarray(template.variation.swapaxes(1, 2))
        weighted = variation / variance
        gram = weighted @ template.variation
        mixed = (weighted @ template.mean[..., None])[..., 0]
        return cls(variation, gram, mixed, (template.mean**2 / variance).sum(1))


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


def make_template(
    symbol: str, members: tuple[Edge, ...], energy_ev: np.ndarray, shifts_ev: np.ndarray
) -> Template:
    """Mean and variations of one element at every shift of the axis.

    Parameters
    ----------
    symbol : element
    members : its edges, the primary first
    energy_ev : (n,) energies of the spectrum
    shifts_ev : (s,) measured minus tabulated energy
    """
    unshifted = energy_ev[None, :] - shifts_ev[:, None]  # [s, n]
    primary = members[0]
    mean = np.zeros_like(unshifted)
    columns = []
    for edge in members:
        share = edge.strength / primary.strength
        shape, varied = _edge_columns(edge, unshifted)
        visible = (edge.onset_ev + edge.splitting_ev + 3.0 + shifts_ev > energy_ev[0])[:, None]
        shape = np.where(visible, share * shape, 0.0)
        mean += shape
        if edge is not primary:
            columns.append(0.5 * shape)  # tabulated strength ratios are good to a factor of two
        if edge.major or edge.white or edge.shell == "L1":
            columns += [np.where(visible, share * column, 0.0) for column in varied]
    return Template(symbol, mean, np.stack(columns, axis=-1), primary.strength, members)


def _bump(above: np.ndarray, centre: float, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * ((above - centre) / sigma) ** 2)


def _edge_columns(edge: Edge, energy: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Mean shape of an edge (step one) and its variations, each (s, n)."""
    above = energy - edge.onset_ev
    base = continuum(edge, energy)
    started = 1.0 / (1.0 + np.exp(-np.clip(above, -60.0, 60.0)))
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
        lines = edge.white * white_lines(edge, energy)
        mean = base + lines
        partner = max(edge.ratio, 0.15)
        for centre in (-2.0, 0.0, 2.0, 4.0, 6.0, 9.0):
            spread = 0.3 if centre in (0.0, 2.0, 4.0) else 0.12
            columns.append(spread * edge.white * _bump(above, centre, 1.3))
            second = _bump(above, centre + edge.splitting_ev, 1.3)
            columns.append(spread * edge.white * partner * second)
        columns.append(0.4 * lines)
        return mean, columns
    near = {EdgeShape.STEP: NEAR, EdgeShape.DELAYED: 0.12, EdgeShape.RESONANCE: 0.15}[edge.shape]
    if edge.shape is EdgeShape.DELAYED and edge.shell == "L23" and edge.onset_ev < 300.0:
        near = 0.6
    mean = base
    if edge.shape is EdgeShape.STEP:
        mean = base + 0.7 * started * _bump(above, 7.0, 5.0)
    centres = np.arange(0.0, 26.0, 2.5)
    for centre in centres:
        spread = near * np.exp(-centre / 18.0)
        columns.append(spread * _bump(above, centre, 1.7))
    return mean, columns
