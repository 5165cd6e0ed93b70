"""Library entries that a powder pattern cannot tell apart.

Two entries are alike when their patterns are, once a cell change that a specimen may well
have is allowed for. Patterns are compared as square roots of intensity, where counting noise
is the same everywhere, on ln(1/d), where an isotropic cell change is a shift. Classes are
complete: every member is like every other, so no chain of small steps joins what differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xtalfuse.physics.crystal.cell import Crystal
from xtalfuse.physics.crystal.diffraction import Reflections
from xtalfuse.physics.units import ANODES

WAVELENGTH_ANGSTROM = ANODES["Cu"][0]
TWO_THETA_DEG = (10.0, 120.0)
STEP = 0.001  # of ln(1/d); 0.05 degrees 2-theta at 50 degrees
WIDTH = 0.0015  # standard deviation of a line in ln(1/d): a good laboratory diffractometer
MAX_STRAIN = 0.010  # what solid solution, thermal expansion and miscalibration can hide
# Of other elements than these, a phase would have to miss its own cell: alignment and zero
# shift of a laboratory diffractometer hide no more than this.
MAX_STRAIN_OTHER_ELEMENTS = 0.003
MAIN_ELEMENT = 0.05  # atomic fraction, hydrogen apart
COARSE = 12  # fine channels in one channel of the first, fast comparison
COARSE_LIKENESS = 0.70  # alike patterns reach 0.75 when a line leaves the range
BACKGROUND = 0.05  # of the strongest line: lines far below it drown in its noise
# Cosines. Ordering, vacancies and substitution within the same elements change intensities by
# about what texture does: magnetite and maghemite 0.958-0.98, while wollastonite polytypes
# (0.945) do differ. Phases of other elements must agree as duplicates of one phase do.
ALIKE_SAME_ELEMENTS = 0.955
ALIKE = 0.985
SAME_STRUCTURE_CELL = 0.005
SAME_STRUCTURE_LIKENESS = 0.90

_D_MAX = WAVELENGTH_ANGSTROM / (2.0 * np.sin(np.radians(TWO_THETA_DEG[0] / 2.0)))
_D_MIN = WAVELENGTH_ANGSTROM / (2.0 * np.sin(np.radians(TWO_THETA_DEG[1] / 2.0)))
_CHANNELS = COARSE * int(np.ceil(np.log(_D_MAX / _D_MIN) / STEP / COARSE))
_SHIFT = round(MAX_STRAIN / STEP)


def fingerprint(
    reflections: Reflections, crystal: Crystal, cell: tuple[float, ...] | None = None
) -> np.ndarray:
    """(n_channels + 2 * shift,) square root of the Cu K-alpha1 pattern over ln(1/d).

    A little longer on both ends than what is compared, so that a shifted one is whole.

    Parameters
    ----------
    cell : draw the lines where this cell has them, with the intensities of the crystal

    Lorentz-polarisation factor after Warren, B. E. (1969). X-ray Diffraction, eq. 4.13.
    """
    d = reflections.d_spacings(crystal.cell)
    intensity = reflections.intensities(crystal.cell, WAVELENGTH_ANGSTROM)
    sine = np.minimum(WAVELENGTH_ANGSTROM / (2.0 * d), 0.999)
    theta = np.arcsin(sine)
    intensity = intensity * (1.0 + np.cos(2.0 * theta) ** 2) / (sine**2 * np.cos(theta))
    if cell is not None:
        d = reflections.d_spacings(cell)
    position = np.log(_D_MAX / d) / STEP + _SHIFT
    length = _CHANNELS + 2 * _SHIFT
    inside = (position > -_SHIFT) & (position < length + _SHIFT)
    grid = np.zeros(length)
    reach = int(np.ceil(4.0 * WIDTH / STEP))
    base = np.rint(position[inside]).astype(int)
    for offset in range(-reach, reach + 1):
        channel = base + offset
        height = np.exp(-0.5 * ((channel - position[inside]) * STEP / WIDTH) ** 2)
        valid = (channel >= 0) & (channel < length)
        np.add.at(grid, channel[valid], (height * intensity[inside])[valid])
    floor = BACKGROUND * grid.max()
    grid = np.sqrt(grid + floor) - np.sqrt(floor)  # equal counting noise everywhere
    return grid.astype(np.float32)


def centre(fingerprints: np.ndarray) -> np.ndarray:
    """(..., n_channels) the compared part of fingerprints, of unit length."""
    part = fingerprints[..., _SHIFT:-_SHIFT]
    norm = np.linalg.norm(part, axis=-1, keepdims=True)
    return part / np.where(norm > 0, norm, 1.0)


def likeness(first: np.ndarray, others: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """(m,) cosine of one fingerprint with each of `others`, after the best shift.

    Parameters
    ----------
    first : (n_channels + 2 * shift,) a fingerprint
    others : (m, n_channels) centres of fingerprints
    shifts : (m,) largest shift allowed for each, in channels
    """
    windows = np.lib.stride_tricks.sliding_window_view(first, _CHANNELS)  # [2 shift + 1, n]
    norms = np.linalg.norm(windows, axis=1)
    cosines = others @ windows.T / np.where(norms > 0, norms, 1.0)
    allowed = np.abs(np.arange(-_SHIFT, _SHIFT + 1))[None, :] <= shifts[:, None]
    return np.max(np.where(allowed, cosines, -1.0), axis=1)


@dataclass(frozen=True)
class LookAlikes:
    """Which entries look alike.

    Parameters
    ----------
    class_ids : (n,) class of each entry; the members of a class are all alike
    pairs : (m, 2) indices i < j of every alike pair, whether in one class or not
    """

    class_ids: np.ndarray
    pairs: np.ndarray


def look_alikes(
    crystals: Sequence[Crystal],
    lines: Sequence[Reflections],
    compositions: Sequence[Mapping[str, float]] | None = None,
) -> LookAlikes:
    """Pairs and classes of entries with the same powder pattern.

    Parameters
    ----------
    crystals, lines : structure and reflections of each entry
    compositions : amounts of the elements in any unit, where they are known already: to count
        the atoms of ten thousand cells takes longer than all else
    """
    if not crystals:
        return LookAlikes(np.empty(0, int), np.empty((0, 2), int))
    whole = np.stack([fingerprint(r, c) for r, c in zip(lines, crystals, strict=True)])
    fine = centre(whole)
    fractions = [_fractions(c) for c in compositions or [x.composition for x in crystals]]
    kinds = [frozenset(el for el, x in part.items() if x >= MAIN_ELEMENT) for part in fractions]
    ranked: list[tuple[bool, float, int, int]] = []
    for i, candidates in _candidates(fine):
        same = np.array([kinds[i] == kinds[j] for j in candidates])
        strains = np.where(same, MAX_STRAIN, MAX_STRAIN_OTHER_ELEMENTS)
        limits = np.where(same, ALIKE_SAME_ELEMENTS, ALIKE)
        scores = likeness(whole[i], fine[candidates], np.rint(strains / STEP))
        for j, score, strain, limit in zip(
            candidates.tolist(), scores.tolist(), strains, limits, strict=True
        ):
            if score < limit:
                same_atoms = _same_fractions(fractions[i], fractions[j])
                pair = (crystals[i], crystals[j])
                score = _in_one_cell(score, fine[i], pair, lines[j], strain, same_atoms)
            if score >= limit:
                ranked.append((kinds[i] != kinds[j], -score, i, j))
    ranked.sort()
    pairs = [(i, j) for _, _, i, j in ranked]
    return LookAlikes(_complete_linkage(len(crystals), pairs), np.array(pairs, int).reshape(-1, 2))


def _fractions(composition: Mapping[str, float]) -> dict[str, float]:
    """Atomic fractions without hydrogen, which X-rays hardly see."""
    counts = {el: n for el, n in composition.items() if el not in ("H", "D")}
    total = sum(counts.values()) or 1.0
    return {el: n / total for el, n in counts.items()}


def _same_fractions(first: Mapping[str, float], second: Mapping[str, float]) -> bool:
    return all(abs(first.get(el, 0.0) - second.get(el, 0.0)) < 0.02 for el in {*first, *second})


def _candidates(fine: np.ndarray, block: int = 512) -> Iterator[tuple[int, np.ndarray]]:
    """Each index with the later ones that a coarse comparison cannot rule out."""
    coarse = np.sqrt((fine.reshape(len(fine), -1, COARSE) ** 2).sum(axis=2))
    spread = coarse.copy()
    spread[:, 1:] = np.maximum(spread[:, 1:], coarse[:, :-1])
    spread[:, :-1] = np.maximum(spread[:, :-1], coarse[:, 1:])
    for start in range(0, len(fine), block):
        # how much of one pattern lies where the other has lines, both ways
        one = coarse[start : start + block] @ spread.T
        other = spread[start : start + block] @ coarse.T
        for row, hits in enumerate(np.minimum(one, other) > COARSE_LIKENESS):
            found = np.flatnonzero(hits)
            found = found[found > start + row]
            if len(found):
                yield start + row, found


def _in_one_cell(
    score: float,
    centre_first: np.ndarray,
    crystals: tuple[Crystal, Crystal],
    lines_second: Reflections,
    strain: float,
    same_atoms: bool,
) -> float:
    """Likeness once both are drawn in the cell of the first, where they are of one kind.

    The same composition in the same group and cell is the same structure, even where the
    positions of one of them are poor.
    """
    first, second = crystals
    if first.space_group != second.space_group:
        return score
    change = float(np.abs(np.array(second.cell) / np.array(first.cell) - 1.0).max())
    if change > strain:
        return score
    moved = centre(fingerprint(lines_second, second, first.cell))
    score = max(score, float(centre_first @ moved))
    same = same_atoms and change < SAME_STRUCTURE_CELL and score > SAME_STRUCTURE_LIKENESS
    return max(score, ALIKE) if same else score


def _complete_linkage(n: int, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Classes in which all members are pairs; the pairs that come first are joined first."""
    alike = set(pairs)
    members: dict[int, list[int]] = {i: [i] for i in range(n)}
    home = np.arange(n)
    for i, j in pairs:
        a, b = int(home[i]), int(home[j])
        if a == b:
            continue
        if all((min(p, q), max(p, q)) in alike for p in members[a] for q in members[b]):
            keep, gone = min(a, b), max(a, b)
            home[members[gone]] = keep
            members[keep] += members.pop(gone)
    return np.unique(home, return_inverse=True)[1]
