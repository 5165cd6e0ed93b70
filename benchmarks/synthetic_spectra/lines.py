"""Simulated X-ray spectra: yields and branching, absorption, window, tail, escape and sums."""

from __future__ import annotations

from functools import cache

import numpy as np
import xraylib

from benchmarks.synthetic_spectra import SEEN, Simulated, parse, signal_to_noise

_SHELLS = {"K": ("K",), "L": ("L3", "L2", "L1"), "M": ("M5", "M4", "M3")}
_ELECTRONS = {"K": 2.0, "L3": 4.0, "L2": 2.0, "L1": 2.0, "M5": 6.0, "M4": 4.0, "M3": 4.0}
_YIELD_M5 = 0.005  # where the table has none (light lanthanides)
_MISFIT = 0.02  # of any model of a detector, in one channel
_NAMES = [n for n in dir(xraylib) if n.endswith("_LINE") and n[1:2].isalnum()]


@cache
def _lines(symbol: str, shell: str) -> tuple[tuple[float, float], ...]:
    """Energy (eV) and branching of the lines that fill a hole in a shell."""
    number, found = xraylib.SymbolToAtomicNumber(symbol), []
    for name in _NAMES:
        upper = name.removesuffix("_LINE").removeprefix(shell)
        if name.startswith(shell) and upper[:1].isalpha() and upper[1:].isdigit():
            line = getattr(xraylib, name)
            try:
                found.append((1000.0 * xraylib.LineEnergy(number, line),
                              xraylib.RadRate(number, line)))  # fmt: skip
            except ValueError:
                continue
    return tuple((energy, share) for energy, share in found if share > 1e-3)


def _produced(symbol: str, shell: str, beam_ev: float) -> float:
    """Photons for one atom: ionisation (Bethe) times fluorescence yield."""
    number, place = xraylib.SymbolToAtomicNumber(symbol), getattr(xraylib, f"{shell}_SHELL")
    try:
        edge = 1000.0 * xraylib.EdgeEnergy(number, place)
    except ValueError:
        return 0.0
    if edge <= 0.0 or beam_ev < 1.05 * edge:
        return 0.0
    try:
        bright = xraylib.FluorYield(number, place)
    except ValueError:
        bright = _YIELD_M5 if shell == "M5" else 0.0
    return float(_ELECTRONS[shell] * bright * np.log(beam_ev / edge) / edge / beam_ev)


def _absorption(atoms: dict[str, float], energy: np.ndarray) -> np.ndarray:
    """(n,) mass absorption of a compound, cm2/g."""
    weight = {
        e: n * xraylib.AtomicWeight(xraylib.SymbolToAtomicNumber(e)) for e, n in atoms.items()
    }
    total = sum(weight.values())
    knots = np.geomspace(100.0, 45_000.0, 400)
    table = np.zeros_like(knots)
    for symbol, mass in weight.items():
        number = xraylib.SymbolToAtomicNumber(symbol)
        table += mass / total * np.array([xraylib.CS_Photo(number, k / 1000.0) for k in knots])
    return np.exp(np.interp(energy, knots, np.log(table)))


class _Detector:
    """Window, resolution, tail and calibration of one instrument, drawn at random."""

    def __init__(self, rng: np.random.Generator):
        self.polymer = rng.random() < 0.85
        self.window = {"C": 1.0} if self.polymer else {"Be": 1.0}
        self.mass = rng.uniform(2e-5, 6e-5) if self.polymer else rng.uniform(1.5e-3, 2.5e-3)
        self.width = rng.uniform(122.0, 142.0)
        self.tail = rng.uniform(0.0, 0.08)
        self.escape = rng.uniform(0.003, 0.012)
        self.pile = rng.uniform(0.0, 3e-3)

    def efficiency(self, energy: np.ndarray) -> np.ndarray:
        """(n,) share of the photons that are counted; 30 nm dead layer, 0.5 mm of silicon."""
        silicon = _absorption({"Si": 1.0}, energy)
        passed = np.exp(-_absorption(self.window, energy) * self.mass - silicon * 2.33 * 3e-6)
        return passed * (1.0 - np.exp(-silicon * 2.33 * 0.05))

    def peak(self, energy: np.ndarray, centre: float) -> np.ndarray:
        """(n,) one line of one count, with its tail and its escape peak."""
        step = energy[1] - energy[0]
        # Statistics of charge in silicon: F = 0.115, 3.65 eV for each pair.
        square = self.width**2 + 5.545 * 0.115 * 3.65 * (centre - 5895.0)
        sigma = np.sqrt(max(square, 1600.0)) / 2.3548
        shape = np.exp(-0.5 * ((energy - centre) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        below = np.exp(np.minimum(energy - centre, 0.0) / 60.0) * (energy < centre) / 60.0
        tail = self.tail * np.exp(-centre / 2500.0)
        shape = (1.0 - tail) * shape + tail * below
        if centre > 1839.0:
            away = np.exp(-0.5 * ((energy - centre + 1740.0) / 40.0) ** 2) / (40.0 * 2.5066)
            shape = shape + self.escape * np.exp(-(centre - 1839.0) / 4000.0) * away
        return step * shape


def simulate(formula: str, rng: np.random.Generator) -> Simulated:
    """A spectrum of a compound: microscope, detector, absorption and dose at random."""
    atoms = parse(formula)
    atoms.pop("H", None)
    thin = rng.random() < 0.5
    beam_ev = float(rng.choice([80e3, 200e3, 300e3] if thin else [10e3, 15e3, 20e3, 30e3]))
    end = float(rng.choice([20e3, 40e3] if thin else [10e3, 20e3]))
    energy = np.arange(0.0, min(end, beam_ev), float(rng.choice([5.0, 10.0, 20.0])))
    detector = _Detector(rng)
    mean = float(np.average([xraylib.SymbolToAtomicNumber(e) for e in atoms]))
    # Kanaya & Okayama (1972) J. Phys. D 5, 43, for a bulk specimen; up to 1 um of a thin one.
    depth = rng.uniform(1e-5, 1e-4) if thin else 2.8e-5 * (beam_ev / 1e3) ** 1.67 / mean**0.9
    positive = np.maximum(energy, 100.0)
    path = _absorption(atoms, positive) * depth / np.sin(np.deg2rad(rng.uniform(20.0, 45.0)))
    leaves = -np.expm1(-path) / path * detector.efficiency(positive)
    signals: dict[str, list[np.ndarray]] = {}
    kinds: dict[str, tuple[float, str]] = {}
    grid = {"Cu": 0.3, "C": 0.5} if thin and rng.random() < 0.6 else {}
    scale = {e: n / sum(atoms.values()) for e, n in atoms.items()}
    for symbol, share in [*scale.items(), *grid.items()]:
        for family, shells in _SHELLS.items():
            total = np.zeros_like(energy)
            for shell in shells:
                made = share * rng.lognormal(0.0, 0.05) * _produced(symbol, shell, beam_ev)
                for line, branch in _lines(symbol, shell):
                    if 80.0 < line < energy[-1]:
                        passed = float(np.interp(line, energy, leaves))
                        total += made * branch * passed * detector.peak(energy, line)
            if total.any():
                signals.setdefault(symbol, []).append(total)
                height = float(total.max())
                kinds[symbol] = max(kinds.get(symbol, (0.0, "")), (height, family))
    lines = np.sum([s for many in signals.values() for s in many], axis=0)
    kramers = (np.maximum(beam_ev - positive, 0.0) / positive) * leaves * (energy > 60.0)
    kramers *= lines.sum() / kramers.sum() * rng.uniform(0.1, 0.5) * (0.5 if thin else 2.0)
    dose = np.exp(rng.uniform(np.log(2e4), np.log(3e6))) / (lines + kramers).sum()
    return _counted(formula, energy, dose, signals, kramers, detector, rng, beam_ev, kinds)


def _counted(
    formula: str, energy: np.ndarray, dose: float, signals: dict[str, list[np.ndarray]],
    smooth: np.ndarray, detector: _Detector, rng: np.random.Generator, beam_ev: float,
    kinds: dict[str, tuple[float, str]],
) -> Simulated:  # fmt: skip
    """Counts with sums of two photons, on an axis that is a little off."""
    total = dose * (np.sum([s for many in signals.values() for s in many], axis=0) + smooth)
    pairs = np.convolve(total, total)[: total.size] / total.sum()
    counts = rng.poisson(total + detector.pile * pairs).astype(float)
    scaled = {e: [dose * s for s in many] for e, many in signals.items()}
    found = signal_to_noise(scaled, dose * smooth + 1.0, total, _MISFIT)
    offset, gain = rng.uniform(-10.0, 10.0), rng.uniform(-0.001, 0.001)
    amounts = {e: sum(float(s.sum()) for s in many) for e, many in signals.items()}
    weak = {e for e, n in amounts.items() if n < 0.03 * max(amounts.values())}
    # What grid, film, detector and pole piece make too, no spectrum of a thin specimen tells.
    neutral = frozenset({"Cu", "C", *({"Si", "Fe", "Co", "Ga", "Ni", "Mo", "Au"} & weak)})
    neutral = neutral if beam_ev > 4e4 else frozenset()
    seen = frozenset(e for e, value in found.items() if value >= SEEN)
    recorded = energy * (1.0 + gain) + offset
    named = {e: kind for e, (_, kind) in kinds.items()}
    beam_kev = beam_ev / 1e3
    return Simulated(formula, recorded, counts, offset, seen - neutral, named, beam_kev, neutral)
