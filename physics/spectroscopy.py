"""Core-loss edges and X-ray lines of the elements, and the shapes they leave in a spectrum.

Energies come at run time from the tables that eXSpy ships (edges: EELS Atlas; lines:
Deslattes et al. (2003) Rev. Mod. Phys. 75, 35). What those tables lack is here: which shape
an edge has, how strong its white lines are, how far its maximum is delayed, and how strong
the edges of one element are beside each other.

References
----------
Ahn, C. C. & Krivanek, O. L. (1983). EELS Atlas. Gatan.
Egerton, R. F. (2011). Electron Energy-Loss Spectroscopy in the Electron Microscope, 3rd ed.
Thole, B. T. et al. (1985). Phys. Rev. B 32, 5107 (M4,5 of the lanthanides).
Leapman, R. D., Grunes, L. A. & Fejes, P. L. (1982). Phys. Rev. B 26, 614 (L2,3 of 3d metals).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np


class EdgeShape(StrEnum):
    """How the intensity sets in above the threshold."""

    STEP = "step"  # sawtooth: K and L1 edges
    WHITE = "white"  # sharp lines into narrow d or f bands, on a small step
    DELAYED = "delayed"  # centrifugal barrier: slow rise to a broad maximum
    RESONANCE = "resonance"  # one broad peak some eV above threshold: M2,3 of 3d, N4,5, O4,5


@dataclass(frozen=True)
class Edge:
    """One core-loss edge, with its spin-orbit partner where there is one.

    Parameters
    ----------
    element : chemical symbol
    shell : ``"K"``, ``"L23"``, ``"M45"``, ...
    onset_ev : tabulated threshold of the first (lower) subshell
    shape : class of its profile
    strength : jump for one atom, in units of an O K jump (photoelectron count / onset squared)
    splitting_ev : distance to the partner; 0 without one
    ratio : height of the partner's white line over the first one
    white : height of the first white line over the continuum step
    delay_ev : distance from threshold to the broad maximum
    major : strong enough to test for an element; minor edges only support
    """

    element: str
    shell: str
    onset_ev: float
    shape: EdgeShape
    strength: float
    splitting_ev: float = 0.0
    ratio: float = 0.0
    white: float = 0.0
    delay_ev: float = 0.0
    major: bool = True

    @property
    def name(self) -> str:
        """What a person writes: ``"O K"``, ``"Mn L2,3"``."""
        shell = self.shell if len(self.shell) < 3 else f"{self.shell[:2]},{self.shell[2]}"
        return f"{self.element} {shell}"


@dataclass(frozen=True)
class XrayLine:
    """One characteristic X-ray line; `weight` is relative within its family (K, L or M)."""

    element: str
    name: str
    family: str
    energy_ev: float
    weight: float


# White lines of 3d metals: height over the step at about 1 eV resolution, and L2/L3 ratio
# of heights (Leapman et al. 1982; Egerton 2011, section 3.8).
_WHITE_L23: dict[str, tuple[float, float]] = {
    "K": (4.0, 0.9), "Ca": (5.0, 0.95), "Sc": (5.0, 1.0), "Ti": (5.0, 1.0),
    "V": (5.0, 0.85), "Cr": (5.0, 0.65), "Mn": (5.0, 0.45), "Fe": (4.0, 0.4),
    "Co": (3.5, 0.4), "Ni": (3.0, 0.4), "Cu": (1.5, 0.45),
}  # fmt: skip
# M5 and M4 of Cs..Yb: the 4f band fills, M4 vanishes (Thole et al. 1985).
_WHITE_M45: dict[str, tuple[float, float]] = {
    "Cs": (3.0, 0.9), "Ba": (5.0, 1.0), "La": (6.0, 1.15), "Ce": (6.0, 1.1),
    "Pr": (6.0, 0.85), "Nd": (6.0, 0.75), "Pm": (6.0, 0.65), "Sm": (5.5, 0.6),
    "Eu": (5.0, 0.5), "Gd": (5.0, 0.42), "Tb": (4.5, 0.35), "Dy": (4.0, 0.3),
    "Ho": (3.5, 0.25), "Er": (3.0, 0.18), "Tm": (2.5, 0.1), "Yb": (2.0, 0.05),
}  # fmt: skip
# M3 and M2 of the early 4d metals show white lines although the edges are minor.
_WHITE_M23 = ("Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd")
# Onsets of edges that the run-time table lacks (Egerton 2011, appendix D), eV.
_SUPPLEMENT: dict[str, dict[str, float]] = {
    "S": {"K": 2472.0}, "Cl": {"K": 2822.0}, "Ar": {"K": 3203.0}, "K": {"K": 3608.0},
    "Ru": {"L23": 2838.0}, "Rh": {"L23": 3004.0}, "Pd": {"L23": 3173.0}, "Ag": {"L23": 3351.0},
    "Se": {"M45": 57.0}, "Br": {"M45": 69.0}, "As": {"M45": 41.0},
    "Hf": {"N45": 214.0}, "Ta": {"N45": 229.0}, "W": {"N45": 245.0}, "Re": {"N45": 262.0},
    "Os": {"N45": 275.0}, "Ir": {"N45": 297.0}, "Pt": {"N45": 315.0}, "Au": {"N45": 335.0},
    "Pb": {"N45": 412.0, "N67": 138.0}, "Bi": {"N45": 440.0, "N67": 159.0},
}  # fmt: skip
# M-zeta (M5-N3), eV, of elements of which the run-time table has no M line: atomic number,
# energy (Bearden (1967) Rev. Mod. Phys. 39, 78).
_M_ZETA = ((41, 42, 44, 45, 47, 50, 56), (172.0, 193.0, 237.0, 260.0, 312.0, 397.0, 602.0))
_ELECTRONS = {"K": 1.0, "L1": 0.4, "L23": 3.5, "M1": 0.3, "M23": 1.5, "M45": 7.0}
_OUTER_ELECTRONS = 9.0  # N4,5, N6,7, O4,5: near-edge share of the shell
_O_K = 532.0

GRID_ARTEFACTS = ("Cu", "Ni", "Mo", "Au")  # support grids and holders (EDS)
WEAK_ARTEFACTS = {
    "C": "support film or contamination", "Si": "detector dead layer", "Fe": "pole piece",
    "Co": "pole piece", "Ga": "ion-beam preparation", "Zr": "collimator of the detector",
}  # fmt: skip


@contextmanager
def _quiet_import() -> Iterator[None]:
    """HyperSpy announces a missing numba once for each decorated function."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@cache
def _element_table() -> dict[str, tuple[int, dict[str, dict], dict[str, dict]]]:
    """Element -> atomic number, binding energies, X-ray lines; Li to U, no Po..Pa."""
    import warnings

    with _quiet_import(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from exspy.material import elements
    table = {}
    for symbol, _ in elements:
        entry = elements[symbol].as_dictionary()
        number = entry["General_properties"]["Z"]
        if 3 <= number <= 83 or number in (90, 92):
            atomic = entry["Atomic_properties"]
            table[symbol] = (
                number,
                atomic.get("Binding_energies") or {},
                atomic.get("Xray_lines") or {},
            )
    return table


def _onsets(symbol: str) -> dict[str, tuple[float, float, bool]]:
    """Shell -> onset, spin-orbit splitting (eV), major; subshells joined in pairs."""
    _, binding, _ = _element_table()[symbol]
    found: dict[str, list[tuple[float, bool]]] = {}
    for subshell, entry in binding.items():
        if subshell.endswith("a"):  # the table repeats C K and K L1 under second names
            continue
        shell = subshell.replace(",", "")
        if len(shell) == 2 and shell[1] in "234567" and shell[0] in "LMNO":
            first = int(shell[1]) - int(shell[1]) % 2
            shell = f"{shell[0]}{first}{first + 1}"
        onset = (float(entry["onset_energy (eV)"]), entry["relevance"] == "Major")
        found.setdefault(shell, []).append(onset)
    result = {}
    for shell, members in found.items():
        energies = [energy for energy, _ in members]
        result[shell] = (min(energies), max(energies) - min(energies), any(m for _, m in members))
    for shell, energy in _SUPPLEMENT.get(symbol, {}).items():
        result.setdefault(shell, (energy, 0.0, shell in ("K", "L23", "M45")))
    return result


def _make_edge(symbol: str, shell: str, onset: float, splitting: float, major: bool) -> Edge:
    number = _element_table()[symbol][0]
    strength = _ELECTRONS.get(shell, _OUTER_ELECTRONS) * (_O_K / max(onset, 20.0)) ** 2
    if shell in ("K", "L1", "M1", "N1"):
        return Edge(symbol, shell, onset, EdgeShape.STEP, strength, major=major and shell == "K")
    if shell == "L23" and symbol in _WHITE_L23:
        white, ratio = _WHITE_L23[symbol]
        shape, delay = EdgeShape.WHITE, 0.0
    elif shell == "M45" and symbol in _WHITE_M45:
        white, ratio = _WHITE_M45[symbol]
        shape, delay = EdgeShape.WHITE, 0.0
    elif shell == "M23" and symbol in _WHITE_M23:
        white, ratio, shape, delay = 2.0, 0.6, EdgeShape.WHITE, 0.0
    elif shell == "L23" and 38 <= number <= 46:
        white, ratio, shape, delay = 2.0, 0.5, EdgeShape.WHITE, 0.0
    elif shell in ("M23", "N45", "N67", "O23", "O45", "N23"):
        white, ratio, shape = 0.0, 0.0, EdgeShape.RESONANCE
        delay = 5.0 if shell in ("M23", "O23", "N23") else 14.0
    else:
        white, ratio, shape = 0.0, 0.0, EdgeShape.DELAYED
        # The barrier is highest where the shell above starts to fill: M4,5 of Y-Mo peak
        # some 60 eV above threshold, those of Sn-I 30 eV, L2,3 of Si-Cl and Ga-Br 15-20 eV.
        delay = float(np.interp(number, [33, 37, 42, 50, 54], [40, 60, 60, 32, 25]))
        if shell == "L23":
            delay = 15.0 if number <= 18 else 20.0
        elif number > 71:
            delay = 35.0
    return Edge(symbol, shell, onset, shape, strength, splitting, ratio, white, delay, major)


@cache
def edges() -> tuple[Edge, ...]:
    """All core-loss edges of Li..U between 20 eV and 4 keV, by onset energy."""
    found = []
    for symbol in _element_table():
        for shell, (onset, splitting, major) in _onsets(symbol).items():
            if 20.0 <= onset <= 4000.0:
                found.append(_make_edge(symbol, shell, onset, splitting, major))
    return tuple(sorted(found, key=lambda edge: (edge.onset_ev, edge.element)))


def edges_between(low_ev: float, high_ev: float, *, major_only: bool = False) -> tuple[Edge, ...]:
    """Edges whose tabulated onset lies in [low_ev, high_ev]."""
    return tuple(
        edge
        for edge in edges()
        if low_ev <= edge.onset_ev <= high_ev and (edge.major or not major_only)
    )


@cache
def xray_lines() -> tuple[XrayLine, ...]:
    """All X-ray lines of Li..U below 40 keV, by energy."""
    found = []
    for symbol, (_, _, lines) in _element_table().items():
        for name, entry in lines.items():
            energy = 1000.0 * float(entry["energy (keV)"])
            if energy <= 40_000.0:
                weight = float(entry["weight"])
                if name == "Mz" and "Ma" in lines:
                    weight = (
                        0.06  # entries scatter from 0.01 to 0.8; Bhalla (1970) J. Phys. B 3, 916
                    )
                found.append(XrayLine(symbol, name, name[0], energy, weight))
        if _M_ZETA[0][0] <= atomic_number(symbol) <= _M_ZETA[0][-1]:
            energy = float(np.interp(atomic_number(symbol), *_M_ZETA))
            found.append(XrayLine(symbol, "Mz", "M", energy, 1.0))
    return tuple(sorted(found, key=lambda line: (line.energy_ev, line.element)))


def atomic_number(symbol: str) -> int:
    """Atomic number of an element of the tables; KeyError for another text."""
    return _element_table()[symbol][0]


def power_law(energy_ev: np.ndarray, amplitude: float, exponent: float) -> np.ndarray:
    """Background before an edge, A (E / E_mean)^-r (Egerton 2011, eq. 4.51)."""
    energy = np.asarray(energy_ev, float)
    return amplitude * (energy / energy.mean()) ** -exponent


def continuum(edge: Edge, energy_ev: np.ndarray, decay: float = 3.0) -> np.ndarray:
    """Continuum part of an edge at its tabulated energy; one at its highest point.

    Parameters
    ----------
    edge : the edge
    energy_ev : (...) energies, already moved by any offset of the axis
    decay : exponent s of the fall (E / E_onset)^-s far above threshold

    Returns
    -------
    (...) intensity: a sawtooth, a delayed rise 1 - exp(-(x/d)^1.5), or a resonance peak
    """
    above = np.asarray(energy_ev, float) - edge.onset_ev
    fall = np.clip(1.0 + np.maximum(above, 0.0) / edge.onset_ev, 1.0, None) ** -decay
    if edge.shape is EdgeShape.DELAYED:
        rise = 1.0 - np.exp(-((np.maximum(above, 0.0) / (0.6 * edge.delay_ev)) ** 1.5))
        return rise * fall
    if edge.shape is EdgeShape.RESONANCE:
        width = 0.6 * edge.delay_ev
        peak = np.exp(-0.5 * ((above - edge.delay_ev) / width) ** 2)
        return (0.8 * peak + 0.2) * fall / (1.0 + np.exp(-np.clip(above, -60.0, 60.0)))
    first = _onset(above)
    if edge.splitting_ev > 0.0:
        second = _onset(above - edge.splitting_ev)
        first = (2.0 * first + second) / 3.0  # 2j+1 statistics of the partners
    return first * fall


def _onset(above_ev: np.ndarray, width_ev: float = 0.8) -> np.ndarray:
    """Threshold broadened by resolution and lifetime."""
    return 1.0 / (1.0 + np.exp(-np.clip((above_ev - 1.0) / width_ev, -60.0, 60.0)))


def white_lines(edge: Edge, energy_ev: np.ndarray, fwhm_ev: float = 3.0) -> np.ndarray:
    """White lines of an edge: the first has height one; zero where the edge has none."""
    energy = np.asarray(energy_ev, float)
    if edge.white == 0.0:
        return np.zeros_like(energy)
    sigma = fwhm_ev / 2.3548
    above = energy - edge.onset_ev - 2.0  # the maximum stands about 2 eV above threshold
    lines = np.exp(-0.5 * (above / sigma) ** 2)
    return lines + edge.ratio * np.exp(-0.5 * ((above - edge.splitting_ev) / sigma) ** 2)


def edge_profile(edge: Edge, energy_ev: np.ndarray, resolution_ev: float = 1.0) -> np.ndarray:
    """Whole edge of one atom: continuum step of height `strength` plus white lines."""
    fwhm = float(np.hypot(2.5, resolution_ev))
    lines = edge.white * white_lines(edge, energy_ev, fwhm)
    return edge.strength * (continuum(edge, energy_ev) + lines)


def detector_fwhm_ev(energy_ev: np.ndarray, fwhm_mn_ka_ev: float) -> np.ndarray:
    """Width of a line in a silicon detector from its width at Mn K-alpha.

    FWHM^2 = FWHM_Mn^2 + 2.5 (E - 5895), the Fano term of silicon (Fiori & Newbury 1978).
    """
    return np.sqrt(np.maximum(fwhm_mn_ka_ev**2 + 2.5 * (np.asarray(energy_ev) - 5895.0), 25.0**2))
