"""Simulated energy-loss spectra: photoelectric cross-sections, white lines, fine structure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import xraylib
import xraylib_np

from benchmarks.synthetic_spectra import SEEN, Simulated, parse, signal_to_noise

_PAIRS = (("K",), ("L1",), ("L3", "L2"), ("M1",), ("M3", "M2"), ("M5", "M4"),
          ("N1",), ("N3", "N2"), ("N5", "N4"), ("N7", "N6"), ("O3", "O2"),
          ("O5", "O4"))  # fmt: skip
# Empty states that sharp lines lead into, by the shell: first and last atomic number, states
# at the first, and eV of continuum that one line is worth with all of them empty.
_HOLES = (("L3", 19, 29, 10.0, 18.0), ("L3", 37, 46, 10.0, 7.0), ("M3", 37, 46, 10.0, 10.0),
          ("M5", 55, 70, 14.0, 22.0), ("M5", 90, 92, 14.0, 15.0))  # fmt: skip
_MISFIT = 0.01  # of any model of an edge, in 3 eV


@dataclass(frozen=True)
class _Edge:
    """One edge: energies in eV, its single scattering (n,) for one atom, and its kind."""

    onset: float
    kind: str
    profile: np.ndarray


def _lorentz(x: np.ndarray, centre: float, gamma: float) -> np.ndarray:
    return 1.0 / (1.0 + ((x - centre) / gamma) ** 2)


def _threshold(symbol: str, subshell: str) -> float:
    number, shell = xraylib.SymbolToAtomicNumber(symbol), getattr(xraylib, f"{subshell}_SHELL")
    try:
        return 1000.0 * float(xraylib.EdgeEnergy(number, shell))
    except ValueError:
        return 0.0


def _partial(symbol: str, subshell: str, energy: np.ndarray) -> np.ndarray:
    """(n,) photoelectric cross-section of one subshell; ValueError where there is no table."""
    number = np.array([xraylib.SymbolToAtomicNumber(symbol)])
    shell = np.array([getattr(xraylib, f"{subshell}_SHELL")])
    return xraylib_np.CSb_Photo_Partial(number, shell, energy / 1000.0).ravel()


@cache
def _late(symbol: str, subshell: str) -> float:
    """By how many eV the calculated threshold of a cross-section lies above the measured one.

    Between the two, xraylib goes on along a straight line of logarithms: 5 to 15 eV in which
    there would be white lines without a continuum.
    """
    energy = _threshold(symbol, subshell) * np.exp(np.linspace(1e-6, 0.4, 3000))
    bends = np.abs(np.diff(np.log(_partial(symbol, subshell, energy)), 2)) > 1e-9
    return float(energy[int(np.argmax(bends)) + 1] - energy[0])


def _cross_section(symbol: str, subshell: str, energy: np.ndarray) -> np.ndarray:
    """Dipole limit: photoelectric cross-section over energy loss; the table is thinned out."""
    onset = _threshold(symbol, subshell)
    knots = onset + np.concatenate([[0.5], np.geomspace(2.0, max(energy[-1] - onset, 3.0), 60)])
    try:
        table = _partial(symbol, subshell, knots + _late(symbol, subshell))
    except ValueError:
        return np.zeros_like(energy)
    return np.interp(energy, knots, table, left=0.0) / energy


def _white(symbol: str, subshell: str) -> tuple[float, float]:
    """Strength of the lines in eV of continuum, and the share of the first of the two."""
    number = xraylib.SymbolToAtomicNumber(symbol)
    for shell, first, last, states, worth in _HOLES:
        if shell == subshell and first <= number <= last:
            filled = (number - first) / (last - first)
            holes = 1.0 - filled * (1.0 - 0.5 / states)
            share = 0.45 + 0.33 * np.sin(np.pi * min(filled, 0.6) / 1.2)
            if subshell == "M5":  # the second line vanishes as the f band fills
                share = 0.42 + 0.55 * filled
            return worth * holes, float(share)
    return 0.0, 1.0


def _bonding(x: np.ndarray, rng: np.random.Generator, height: float) -> np.ndarray:
    """Peaks of the empty bands, sharp and low lying, or broad and high."""
    total = np.zeros_like(x)
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform(0.5, 24.0)
        gamma = rng.uniform(0.5, 1.5) + 0.12 * centre
        total += height * rng.lognormal(-0.4, 0.7) * _lorentz(x, centre, gamma)
    return total


def _edge(
    symbol: str, pair: tuple[str, ...], energy: np.ndarray, rng: np.random.Generator
) -> _Edge | None:
    """An edge with its partner; None where there is none below the end of the axis."""
    onsets = [_threshold(symbol, shell) for shell in pair]
    if not 20.0 < onsets[0] < energy[-1]:
        return None
    shift = rng.normal(1.0, 1.3)
    total = np.zeros_like(energy)
    strength, share = _white(symbol, pair[0])
    strength *= rng.lognormal(0.0, 0.35)
    gamma, splitting = rng.uniform(0.4, 1.6), rng.uniform(1.2, 2.4) if rng.random() < 0.4 else 0.0
    level = 0.0
    for place, (shell, onset) in enumerate(zip(pair, onsets, strict=True)):
        x = energy - onset - shift
        over = np.maximum(x, 0.0)
        bare = _cross_section(symbol, shell, energy - shift)
        level = max(level, float(bare.max()))
        wave = np.sqrt(0.2625 * over)  # photoelectron wave number, 1/angstrom
        swing = rng.uniform(0.02, 0.2) * np.exp(-over / rng.uniform(40.0, 120.0))
        swing = swing * np.sin(2.0 * wave * rng.uniform(1.6, 2.8) + rng.uniform(0.0, 6.28))
        step = (0.5 + np.arctan(x / rng.uniform(0.2, 0.8)) / np.pi) * (x > -6.0)
        own = bare * (1.0 + swing) * np.where(x < 8.0, step, 1.0)
        if shell == "K" or (shell in ("L3", "L2") and onset < 300.0):
            own += _bonding(x, rng, 0.9 if shell == "K" else 0.3) * step * bare.max()
        if strength:
            area = strength * (share, 1.0 - share)[place]
            width = gamma * (1.0, 1.3)[place]
            second = rng.uniform(0.2, 0.6) if splitting else 0.0
            line = (1.0 - second) * _lorentz(x, 1.8, width)
            line += second * _lorentz(x, 1.8 - splitting, 0.8 * width)
            own += level * area * line / (np.pi * width)
        total += own
    sharp = "white" if strength else ("step" if pair[0] in ("K", "L1", "M1", "N1") else "delayed")
    return _Edge(onsets[0], f"{''.join(dict.fromkeys(pair[0][0]))} {sharp}", total)


def _scattered(profile: np.ndarray, step_ev: float, low_loss: dict[str, float]) -> np.ndarray:
    """Convolution with the low loss: plasmons of a Poisson distribution, then resolution."""
    loss = np.arange(0.0, 4.0 * low_loss["plasmon"], step_ev)
    single = _lorentz(loss, low_loss["plasmon"], low_loss["width"])
    single /= single.sum()
    once = np.convolve(profile, single)[: profile.size]
    twice = np.convolve(once, single)[: profile.size]
    mixed = profile + low_loss["thickness"] * (once + low_loss["thickness"] / 2.0 * twice)
    sigma = low_loss["resolution"] / step_ev
    half = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.convolve(mixed, kernel / kernel.sum(), mode="same")


def _window(atoms: dict[str, float], rng: np.random.Generator) -> tuple[float, float]:
    """A recorded range about one edge of the compound: 40 to 600 eV, one in five up to 3 keV."""
    main = {"K", "L3", "M5", "N5"}
    own = [_threshold(e, pair[0]) for e in atoms for pair in _PAIRS if pair[0] in main]
    onsets = np.array([onset for onset in own if 65.0 < onset < 1900.0])
    weights = 1.0 / (1.0 + (onsets / 900.0) ** 2)
    onset = float(rng.choice(onsets, p=weights / weights.sum()))
    if rng.random() < 0.2:
        low = max(rng.uniform(0.3, 0.9) * onset, 60.0)
        return low, low + rng.uniform(900.0, 3000.0)
    width = min(float(np.exp(rng.uniform(np.log(40.0), np.log(600.0)))), 1.5 * onset)
    low = max(onset - rng.uniform(0.15, 0.45) * width, 48.0)
    return low, low + width


def simulate(
    formula: str, rng: np.random.Generator, window: tuple[float, float] | None = None
) -> Simulated:
    """A spectrum of a compound: random range, thickness, dose, detector and axis offset."""
    atoms = parse(formula)
    low, high = window or _window(atoms, rng)
    fine = high - low
    step = float(rng.choice([0.1, 0.2, 0.3, 0.5] if fine < 200 else [0.5] if fine < 700 else [1.0]))
    energy = np.arange(max(low - 60.0, 12.0), high + 30.0, step)
    low_loss = {"plasmon": rng.uniform(12.0, 26.0), "width": rng.uniform(2.0, 9.0),
                "thickness": rng.uniform(0.05, 0.9),
                "resolution": rng.uniform(0.2, 0.8)}  # fmt: skip
    keep = (energy >= low) & (energy <= high)
    edges: dict[str, list[_Edge]] = {}
    for symbol, number in atoms.items():
        for pair in _PAIRS:
            edge = _edge(symbol, pair, energy, rng)
            if edge is not None:
                signal = _scattered(number * edge.profile, step, low_loss)[keep]
                edges.setdefault(symbol, []).append(_Edge(edge.onset, edge.kind, signal))
    energy = energy[keep]
    inside = [e for many in edges.values() for e in many if low + 2.0 < e.onset < high - 8.0]
    total = np.sum([e.profile for many in edges.values() for e in many], axis=0)
    tallest = max([float(np.ptp(e.profile)) for e in inside] or [float(total.max())])
    background = (energy / low) ** -rng.uniform(2.0, 4.2)
    at = inside[int(rng.integers(len(inside)))].onset if inside else 0.5 * (low + high)
    background *= tallest / rng.lognormal(-0.5, 0.7) / np.interp(at, energy, background)
    total = total + background
    dose = np.exp(rng.uniform(4.5, 11.0)) / np.median(total)
    signals = {s: [dose * e.profile for e in many] for s, many in edges.items()}
    misfit = _MISFIT * float(np.sqrt(3.0 / step))
    found = signal_to_noise(signals, dose * background, dose * total, misfit)
    kinds = {}
    for symbol, many in edges.items():
        own = [e for e in many if low + 2.0 < e.onset < high - 8.0]
        if own:
            kinds[symbol] = max(own, key=lambda e: float(np.ptp(e.profile))).kind
    measured = _recorded(dose * total, dose * background, rng)
    offset = float(rng.uniform(-10.0, 10.0))
    seen = frozenset(symbol for symbol in kinds if found[symbol] >= SEEN)
    return Simulated(formula, energy + offset, measured, offset, seen, kinds, 200.0)


def _recorded(mean: np.ndarray, background: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Counts of a detector with uneven gain; a part has its background taken off."""
    gain = 1.0 + 0.003 * rng.standard_normal(mean.size)
    if rng.random() < 0.3:  # two halves of a detector
        gain[int(rng.integers(mean.size)) :] *= 1.0 + 0.005 * rng.standard_normal()
    counts = rng.poisson(mean).astype(float) * gain
    if rng.random() < 0.2:
        counts = counts - background * rng.uniform(0.97, 1.01)
    if rng.random() < 0.3:
        kernel = np.ones(3) / 3.0
        counts = np.convolve(np.pad(counts, 1, mode="edge"), kernel, mode="valid")
    return counts
