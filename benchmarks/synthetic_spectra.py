"""Simulated energy-loss spectra that do not share their shapes with the templates.

Edges are built from other functions than the search uses (arctangent thresholds, Lorentzian
lines with crystal-field splitting, extended oscillations, multiple plasmon scattering), with
random line strengths, chemical shifts, thickness, counts, background and axis offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from xtalfuse.physics.spectroscopy import Edge, EdgeShape, edges

_FORMULAE = (
    "Al2O3 MgO SiO2 TiO2 V2O5 Cr2O3 MnO Fe2O3 Fe3O4 Co3O4 NiO CuO ZnO ZrO2 SrTiO3 BaTiO3 "
    "CaTiO3 LaMnO3 La2NiO4 LaFeO3 NdNiO3 CeO2 Gd2O3 Y2O3 Y3Al5O12 YBa2Cu3O7 DyScO3 LaAlO3 "
    "PrCoO3 EuO Nb2O5 MoO3 HfO2 SnO2 In2O3 CdO LiFePO4 LiCoO2 LiMn2O4 MgAl2O4 Mg2SiO4 CaCO3 "
    "CaF2 LiF MgF2 BN AlN Si3N4 TiN VN CrN GaN C SiC TiC B4C TiB2 LaB6 MgB2 FeS2 MoS2 ZnS CdS "
    "NaCl KCl CaSO4 Ca5P3O13H Al Si Ti Fe Co Ni Cu Ag Sn CsI NiFe2O4 CoFe2O4 C2H4 C3N4 BiFeO3 "
    "KNbO3 TbMnO3 SmNiO3 CaMnO3 SrRuO3 ErAl2 Fe4N MnS GaAs GeO2 InN BaSnO3 Sr2FeO4 PbTiO3 C2F4"
)
COMPOUNDS = tuple(_FORMULAE.split())


@dataclass(frozen=True)
class Simulated:
    """One simulated spectrum and what is true of it."""

    formula: str
    energy: np.ndarray
    intensity: np.ndarray
    offset_ev: float
    elements: frozenset[str]  # those with a major edge well inside the window


def parse(formula: str) -> dict[str, float]:
    """Atoms of each element in a plain formula."""
    counts: dict[str, float] = {}
    for symbol, number in re.findall(r"([A-Z][a-z]?)([\d.]*)", formula):
        counts[symbol] = counts.get(symbol, 0.0) + float(number or 1)
    return counts


def elements_in_range(elements: set[str], low_ev: float, high_ev: float) -> frozenset[str]:
    """Elements with a major edge inside a window, 2 eV after its start, 8 eV before its end."""
    return frozenset(
        e.element
        for e in edges()
        if e.element in elements and e.major and low_ev + 2.0 <= e.onset_ev <= high_ev - 8.0
    )


def _lorentz(x: np.ndarray, centre: float, gamma: float) -> np.ndarray:
    return 1.0 / (1.0 + ((x - centre) / gamma) ** 2)


def _peaks(x: np.ndarray, rng: np.random.Generator, height: float) -> np.ndarray:
    """Bonding peaks of a K edge: sharp and low lying, or broad and high."""
    total = np.zeros_like(x)
    for _ in range(rng.integers(1, 5)):
        centre = rng.uniform(0.5, 24.0)
        gamma = rng.uniform(0.5, 1.5) + 0.12 * centre
        total += height * rng.lognormal(-0.4, 0.7) * _lorentz(x, centre, gamma)
    return total


def _edge(edge: Edge, energy: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Single-scattering profile of an edge, its step near one."""
    x = energy - edge.onset_ev - rng.normal(0.8, 1.3)
    over = np.maximum(x, 0.0)
    step = (0.5 + np.arctan(x / rng.uniform(0.2, 0.8)) / np.pi) * (x > -6.0)
    fall = (1.0 + over / edge.onset_ev) ** -rng.uniform(2.0, 4.5)
    wave = np.sqrt(0.2625 * over)  # photoelectron wave number, 1/angstrom
    exafs = rng.uniform(0.02, 0.2) * np.exp(-over / rng.uniform(40.0, 120.0))
    oscillation = 1.0 + exafs * np.sin(2.0 * wave * rng.uniform(1.6, 2.8) + rng.uniform(0, 6.28))
    light = edge.shell == "L23" and edge.onset_ev < 300.0 and edge.shape is EdgeShape.DELAYED
    if edge.shape is EdgeShape.STEP:
        return step * (fall * oscillation + _peaks(x, rng, 0.9 if edge.shell == "K" else 0.3))
    if edge.shape is EdgeShape.WHITE:
        gamma = rng.uniform(0.4, 1.6)
        first = edge.white * rng.lognormal(0.0, 0.35)
        second = first * edge.ratio * rng.lognormal(0.0, 0.2)
        field = rng.uniform(1.2, 2.4) if rng.random() < 0.4 else 0.0
        lines = np.zeros_like(x)
        for height, centre, width in (
            (first, 2.0, gamma),
            (second, 2.0 + edge.splitting_ev, 1.3 * gamma),
        ):
            lines += height * 0.7 * _lorentz(x, centre, width)
            lines += height * rng.uniform(0.2, 0.7) * _lorentz(x, centre - field, 0.8 * width)
        partner = 0.5 + np.arctan((x - edge.splitting_ev) / 0.5) / np.pi
        return step * (2.0 * fall + fall * partner) / 3.0 * oscillation + lines
    delay = edge.delay_ev * rng.lognormal(0.0, 0.25)
    if edge.shape is EdgeShape.DELAYED:
        rise = 1.0 - np.exp(-((over / (0.7 * delay)) ** rng.uniform(1.0, 2.2)))
        near = _peaks(x, rng, 0.6 if light else 0.08)
        return rise * fall + step * near
    return step * (0.25 * fall + 0.8 * _lorentz(x, delay, 0.7 * delay))


def _scattered(profile: np.ndarray, step_ev: float, rng: np.random.Generator) -> np.ndarray:
    """Convolution with the low loss: plasmons of a Poisson distribution, then resolution."""
    plasmon, width = rng.uniform(12.0, 26.0), rng.uniform(2.0, 9.0)
    thickness = rng.uniform(0.05, 0.9)
    loss = np.arange(0.0, 4.0 * plasmon, step_ev)
    single = _lorentz(loss, plasmon, width)
    single /= single.sum()
    once = np.convolve(profile, single)[: profile.size]
    twice = np.convolve(once, single)[: profile.size]
    mixed = profile + thickness * once + thickness**2 / 2.0 * twice
    sigma = rng.uniform(0.2, 0.8) / step_ev
    half = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    return np.convolve(mixed, kernel / kernel.sum(), mode="same")


def _window(atoms: dict[str, float], rng: np.random.Generator) -> tuple[float, float]:
    """A recorded range around one edge of the compound, 40 to 600 eV wide."""
    own = [e for e in edges() if e.element in atoms and e.major and 65.0 < e.onset_ev < 1900.0]
    weights = np.array([1.0 / (1.0 + (e.onset_ev / 900.0) ** 2) for e in own])
    main = own[int(rng.choice(len(own), p=weights / weights.sum()))]
    width = float(np.exp(rng.uniform(np.log(40.0), np.log(600.0))))
    width = min(width, 1.5 * main.onset_ev)
    low = max(main.onset_ev - rng.uniform(0.15, 0.45) * width, 48.0)
    return low, low + width


def simulate(
    formula: str, rng: np.random.Generator, window: tuple[float, float] | None = None
) -> Simulated:
    """A spectrum of a compound with a random window, thickness, dose and axis offset."""
    atoms = parse(formula)
    low, high = window or _window(atoms, rng)
    step = float(rng.choice([0.1, 0.2, 0.3, 0.5])) if high - low < 200 else 0.5
    energy = np.arange(low - 60.0, high + 30.0, step)
    total = np.zeros_like(energy)
    for edge in edges():
        if edge.element in atoms and low - 20.0 < edge.onset_ev < high + 20.0:
            jump = atoms[edge.element] * edge.strength * rng.lognormal(0.0, 0.35)
            total += jump * _edge(edge, energy, rng)
    total = _scattered(total, step, rng)
    keep = (energy >= low) & (energy <= high)
    energy, total = energy[keep], total[keep]
    background = (energy / low) ** -rng.uniform(1.8, 4.2)
    background *= np.percentile(total, 90) / rng.lognormal(-0.7, 0.7)
    counts = rng.uniform(4.5, 11.0)
    dose = np.exp(counts) / (total + background).max()
    measured = rng.poisson(dose * (total + background)).astype(float)
    measured *= 1.0 + 0.003 * rng.standard_normal(measured.size)
    if rng.random() < 0.25:
        measured = measured - dose * background * rng.uniform(0.97, 1.01)
    if rng.random() < 0.3:
        measured = np.convolve(measured, np.ones(3) / 3.0, mode="same")[1:-1]
        energy = energy[1:-1]
    offset = float(np.clip(rng.normal(0.0, 5.0), -10.0, 10.0))
    return Simulated(
        formula, energy + offset, measured, offset, elements_in_range(set(atoms), low, high)
    )
