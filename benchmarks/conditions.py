"""Whether the phases of a simulated pattern are found, however it was measured; no elements given.

    python -m benchmarks.conditions --seeds 5                    # 6 mixtures, every condition
    python -m benchmarks.conditions --only zero --only 3nm --set develop
    python -m benchmarks.conditions --section singles --count 300 --json singles.json

Lines come from pymatgen's `XRDCalculator` (no dispersion, no displacement parameters), shapes,
noise and backgrounds from here: only the structures are shared with the search. Mixtures `develop`
were in sight while the search was made; those of `report` were not, nor were seeds from 100 on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations, product
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from xtalfuse.datasets.library.build import Library, builtin
from xtalfuse.loaders.safe.processes import process_pool

MIXTURES: dict[str, dict[str, dict[str, float]]] = {
    "develop": {
        "corundum+fluorite": {"corundum": 0.6, "fluorite": 0.4},
        "rutile+halite": {"rutile": 0.5, "halite": 0.5},
        "silicon": {"silicon": 1.0},
        "ferrite+austenite": {"iron_alpha": 0.7, "austenite": 0.3},
        "four": {"calcite": 0.45, "quartz": 0.3, "hematite": 0.15, "anatase": 0.1},
        "trace": {"zincite": 0.97, "periclase": 0.03},
    },
    "report": {
        "cassiterite+sylvite": {"cassiterite": 0.35, "sylvite": 0.65},
        "ceria": {"ceria": 1.0},
        "copper+cuprite": {"copper": 0.8, "cuprite": 0.2},
        "barite+dolomite+spinel": {"barite": 0.2, "dolomite": 0.5, "spinel": 0.3},
        "forsterite+trace": {"forsterite": 0.97, "magnetite": 0.03},
        "four": {"gypsum": 0.4, "aragonite": 0.3, "brucite": 0.2, "pyrite": 0.1},
    },
}
WAVELENGTHS = {  # K-alpha1, K-alpha2, K-beta
    "Cu": (1.540593, 1.544427, 1.392234),
    "Co": (1.788996, 1.792835, 1.620826),
    "Mo": (0.709317, 0.713607, 0.632303),
    "0.6199": (0.6199, 0.6199, 0.6199),
}
FALSE_FROM = 0.03  # weight fraction
SEEN = 8.0  # standard deviations of the noise: a phase below cannot be asked for


@dataclass(frozen=True)
class Condition:
    """How a pattern was measured; angles and widths in degrees of 2-theta."""

    counts: float = 5000.0  # of the strongest line
    step: float = 0.02
    span: tuple[float, float] = (15.0, 90.0)
    tube: str = "Cu"
    doublet: bool = True
    told: str = "CuKa"
    beta: float = 0.0  # of the K-alpha1 line
    fwhm: float = 0.09
    eta: float = 0.5
    tail: float = 0.0  # by which the low side is wider, at 2-theta = 30
    size_nm: float = 0.0  # 0: no broadening
    zero: float = 0.0
    displaced: float = 0.0
    background: float = 0.03  # of the strongest line
    shape: str = "slope"  # slope, hump, rising
    write: str = "counts"  # counts, subtracted, one, hundred, rate
    only: str = "all"  # all, windows, gaps
    march: float = 1.0
    grains: float = 0.0  # standard deviation of the log of each intensity
    absorbed: float = 0.0  # the same of the intensity of each phase


PLAIN = Condition()
SHORT = {"Mo": (7.0, 42.0), "Co": (18.0, 105.0), "0.6199": (6.0, 36.0)}


def _other(tube: str, told: str, **values: object) -> Condition:
    return replace(PLAIN, tube=tube, told=told, span=SHORT[tube], **values)  # type: ignore[arg-type]


CONDITIONS: dict[str, Condition] = {
    "plain": PLAIN,
    "100 counts": replace(PLAIN, counts=100.0),
    "1,000 counts": replace(PLAIN, counts=1000.0),
    "100,000 counts": replace(PLAIN, counts=1e5),
    "1,000,000 counts": replace(PLAIN, counts=1e6),
    "step 0.005": replace(PLAIN, step=0.005),
    "step 0.05": replace(PLAIN, step=0.05),
    "40 degrees": replace(PLAIN, span=(20.0, 60.0)),
    "145 degrees": replace(PLAIN, span=(5.0, 150.0)),
    "windows": replace(PLAIN, only="windows"),
    "gaps": replace(PLAIN, only="gaps"),
    "no background": replace(PLAIN, background=0.0),
    "high background": replace(PLAIN, background=2.0),
    "hump": replace(PLAIN, background=0.3, shape="hump"),
    "fluorescence": replace(PLAIN, background=1.0, shape="rising"),
    "subtracted": replace(PLAIN, background=0.2, write="subtracted"),
    "scaled to 1": replace(PLAIN, write="one"),
    "scaled to 100": replace(PLAIN, write="hundred"),
    "rate": replace(PLAIN, write="rate"),
    "K-alpha1": replace(PLAIN, doublet=False, told="CuKa1"),
    "K-alpha1, doublet said": replace(PLAIN, doublet=False),
    "doublet, K-alpha1 said": replace(PLAIN, told="CuKa1"),
    "K-beta": replace(PLAIN, beta=0.03),
    "Mo": _other("Mo", "MoKa", fwhm=0.07, step=0.01),
    "Co": _other("Co", "CoKa"),
    "synchrotron": _other("0.6199", "0.6199", doublet=False, fwhm=0.012, step=0.003, counts=5e4),
    "Gaussian": replace(PLAIN, eta=0.0),
    "Lorentzian": replace(PLAIN, eta=1.0),
    "asymmetric": replace(PLAIN, tail=0.6),
    "ideal instrument": replace(PLAIN, fwhm=0.035, step=0.008),
    "10 nm": replace(PLAIN, size_nm=10.0),
    "3 nm": replace(PLAIN, size_nm=3.0),
    "zero +0.12": replace(PLAIN, zero=0.12),
    "zero -0.12": replace(PLAIN, zero=-0.12),
    "displacement": replace(PLAIN, displaced=0.15),
    "texture": replace(PLAIN, march=0.7),
    "graininess": replace(PLAIN, grains=0.25),
    "microabsorption": replace(PLAIN, absorbed=0.4),
}


@dataclass(frozen=True)
class Run:
    """One pattern to simulate and identify."""

    name: str
    parts: tuple[tuple[str, float], ...]  # entry and mass fraction
    condition: str
    seed: int
    library: str = ""  # a file; the built-in one otherwise


@lru_cache(maxsize=2)
def _library(path: str) -> Library:
    return Library.load(Path(path)) if path else builtin()


@lru_cache(maxsize=64)
def lines(
    path: str, entry: str, wavelength: float, low: float, high: float, march: float
) -> tuple[np.ndarray, np.ndarray]:
    """d and intensity for a unit of mass of all lines of an entry between two angles."""
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    from xtalfuse.datasets.library.pymatgen import structure_of

    library = _library(path)
    structure = structure_of(library.entries[library.index(entry)].crystal)
    calculator = XRDCalculator(wavelength, symprec=0)
    found = calculator.get_pattern(structure, scaled=False, two_theta_range=(low, high))
    intensity = np.array(found.y) / (float(structure.composition.weight) * structure.volume)
    if march != 1.0:
        reciprocal = structure.lattice.reciprocal_lattice_crystallographic
        axis = reciprocal.get_cartesian_coords([0, 0, 1])
        for i, kinds in enumerate(found.hkls):
            index = kinds[0]["hkl"]
            h, k, l = index if len(index) == 3 else (index[0], index[1], index[3])  # noqa: E741
            images = np.array([np.multiply(p, s) for p in permutations((h, k, l))
                               for s in product((1, -1), repeat=3)])  # fmt: skip
            g = reciprocal.get_cartesian_coords(images)
            length = np.linalg.norm(g, axis=1)
            same = np.abs(length * found.d_hkls[i] - 1.0) < 1e-4
            c2 = (g[same] @ axis / length[same] / np.linalg.norm(axis)) ** 2
            intensity[i] *= np.mean((march**2 * c2 + (1.0 - c2) / march) ** -1.5) if len(c2) else 1
    return np.array(found.d_hkls), intensity


def _profile(grid: np.ndarray, at: float, c: Condition, wavelength: float) -> np.ndarray:
    """A line of unit area: pseudo-Voigt with two halves."""
    theta = np.radians(at / 2.0)
    size = np.degrees(0.9 * wavelength / (10 * c.size_nm) / np.cos(theta)) if c.size_nm else 0.0
    width = np.hypot(c.fwhm, 0.4 * c.fwhm * np.tan(theta))
    eta = (c.eta * width + size) / (width + size)
    width = width + size
    low = 1.0 + c.tail * np.tan(np.radians(15.0)) / np.tan(theta)
    reach = slice(*np.searchsorted(grid, (at - 40 * width * low, at + 40 * width)))
    z = (grid[reach] - at) / np.where(grid[reach] < at, width * low, width)
    shape = (1 - eta) * np.exp(-4 * np.log(2) * z * z) * 0.9394 + eta * 0.6366 / (1 + 4 * z * z)
    drawn = np.zeros_like(grid)
    drawn[reach] = shape / (width * (1.0 + low) / 2.0)
    return drawn


def simulated(run: Run, c: Condition) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Angles and intensities of a pattern, and the entries of it that can be seen."""
    rng = np.random.default_rng([run.seed, *run.condition.encode(), *run.name.encode()])
    low, high = c.span
    true = np.arange(low, high + 1e-9, c.step)
    first, second, beta = WAVELENGTHS[c.tube]
    emitted = [(first, 1.0)] + [(second, 0.5)] * c.doublet + [(beta, c.beta)] * bool(c.beta)
    offset = rng.normal(0.0, 0.01)
    strong: list[float] = []
    drawn = []
    for entry, mass in run.parts:
        d, intensity = lines(run.library, entry, first, max(low - 3, 1), high + 3, c.march)
        intensity = intensity * np.exp(rng.normal(0.0, c.grains, len(d)) if c.grains else 0.0)
        part = np.zeros_like(true)
        for wavelength, share in emitted:
            sine = wavelength / 2.0 / d
            for s, height in zip(sine, intensity * share, strict=True):
                if s < 0.999 and height > 1e-4 * intensity.max():
                    theta = np.arcsin(s)
                    at = np.degrees(2 * theta) + c.zero + offset + c.displaced * np.cos(theta)
                    part += height * _profile(true, at, c, wavelength)
                    if height > 0.03 * intensity.max() and low < at < high:
                        strong.append(at)
        drawn.append(mass * np.exp(rng.normal(0.0, c.absorbed) if c.absorbed else 0.0) * part)
    unit = c.counts / max(float(np.sum(drawn, axis=0).max()), 1e-300)
    x = (true - low) / (high - low)
    hump = 2.0 * np.exp(-(((true - low - 0.15 * (high - low)) / 6.0) ** 2))
    floors = {"slope": 1.0 + 1.5 * np.exp(-6 * x), "rising": 1.0 + 0.5 * x, "hump": 0.3 + hump}
    base = c.counts * c.background * floors[c.shape]
    mean = unit * np.sum(drawn, axis=0) + base
    kept = np.ones(len(true), bool)
    if c.only == "windows":
        kept = np.any([np.abs(true - at) < 1.0 for at in strong], axis=0)
    elif c.only == "gaps":
        for at in rng.uniform(low + 5, high - 8, 3):
            kept &= (true < at) | (true > at + 3.0)
    y = rng.poisson(mean).astype(float)
    seen = [
        entry
        for (entry, _), p in zip(run.parts, drawn, strict=True)
        if np.sum((unit * p[kept]) ** 2 / np.maximum(mean[kept], 1.0)) > SEEN**2
    ]
    y = {"counts": y, "subtracted": y - base, "one": np.round(y / y.max(), 6),
         "hundred": np.round(100 * y / y.max(), 2), "rate": y / 3.7}[c.write]  # fmt: skip
    return true[kept], y[kept], seen


def same(library: Library, true: str, answer: str, named: tuple[str, ...]) -> bool:
    """Whether an answer is the true entry, a look-alike, or of one series with it."""
    a, b = (library.entries[library.index(e)] for e in (true, answer))
    alike = {*named, *library.equivalents(library.index(answer))}
    if a.class_id == b.class_id or true in alike:
        return True
    one, two = set(a.crystal.elements), set(b.crystal.elements)
    cells = np.array(b.crystal.cell) / np.array(a.crystal.cell)
    near = a.crystal.space_group_number == b.crystal.space_group_number
    return near and np.abs(cells - 1).max() < 0.02 and 2 * len(one & two) >= len(one | two)


def work(run: Run) -> dict[str, object]:
    """Simulate one pattern, identify it, hold the answer against what is in it."""
    from xtalfuse.loaders import load_specimen
    from xtalfuse.tasks.identify.pipeline import identify

    c = CONDITIONS[run.condition]
    x, y, seen = simulated(run, c)
    library = _library(run.library)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pattern.xy"
        np.savetxt(path, np.column_stack([x, y]), fmt="%.8g")
        record = load_specimen(path, wavelength=c.told)
        if not record.measurements:
            raise RuntimeError(f"not read: {record.files[0].reason}")
        begin, cpu = time.perf_counter(), time.process_time()
        answer = identify(record, library, refine=False)
        seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    found: dict[str, int] = defaultdict(int)
    false = []
    for p in answer.phases:
        right = [e for e, _ in run.parts if same(library, e, p.entry, p.equivalents)]
        if right:
            found[right[0]] += 1
        if not right or found[right[0]] > 1:
            false.append((p.entry, p.weight_fraction, p.confidence))
    missed = [e for e in seen if e not in found]
    wrong = [f for f in false if (f[1] or 0.0) > FALSE_FROM]
    return {
        "name": run.name,
        "condition": run.condition,
        "seed": run.seed,
        "right": not missed and not wrong and answer.unknown.probability < 0.5,
        "missed": missed,
        "false": false,
        "sure_and_wrong": any(f[2] > 0.8 for f in wrong),
        "unknown": answer.unknown.probability,
        "phases": [(p.entry, p.weight_fraction, p.confidence) for p in answer.phases],
        "seconds": seconds,
        "cpu": cpu,
    }


def plan(arguments: argparse.Namespace) -> list[Run]:
    """The runs that a command line asks for."""
    if arguments.section == "mixtures":
        chosen = [c for c in CONDITIONS if not arguments.only or c in arguments.only]
        return [
            Run(name, tuple(parts.items()), condition, seed)
            for seed in range(arguments.first, arguments.first + arguments.seeds)
            for name, parts in MIXTURES[arguments.set].items()
            for condition in chosen
        ]
    rng = np.random.default_rng(arguments.first)
    runs = []
    for path in ("", *map(str, arguments.library)):
        entries = [e.id for e in _library(path).entries]
        for i in range(arguments.count // (1 + len(arguments.library))):
            few = rng.choice(entries, 1 if arguments.section == "singles" else 2, replace=False)
            share = rng.uniform(0.2, 0.8)
            parts = zip(few, (share, 1 - share) if len(few) > 1 else (1.0,), strict=True)
            whole = tuple((str(e), float(w)) for e, w in parts)
            runs.append(Run(" + ".join(few), whole, "plain", arguments.first + i, path))
    return runs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--section", choices=("mixtures", "singles", "pairs"), default="mixtures")
    parser.add_argument("--set", choices=tuple(MIXTURES), default="report")
    parser.add_argument("--only", action="append", choices=tuple(CONDITIONS), metavar="CONDITION")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first", type=int, default=100, help="first seed")
    parser.add_argument("--count", type=int, default=300, help="singles or pairs")
    parser.add_argument("--library", type=Path, action="append", default=[], help="beside builtin")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows: list[dict] = []
    with process_pool(arguments.workers) as pool:
        futures = [pool.submit(work, run) for run in plan(arguments)]
        for count, future in enumerate(as_completed(futures), 1):
            row = future.result()
            rows.append(row)
            if not row["right"]:
                told = {k: row[k] for k in ("missed", "false", "phases")}
                print(f"{count} {row['condition']}, {row['name']}: {told} "
                      f"unknown {row['unknown']:.2f} {row['cpu']:.1f} s", flush=True)  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    groups = defaultdict(list)
    for row in rows:
        groups[row["condition"]].append(row)
    for name, part in [*groups.items(), ("all", rows)]:
        spent = np.array([row["cpu"] for row in part])
        print(f"{name:24s} {np.mean([r['right'] for r in part]):.3f} of {len(part):4d}; "
              f"sure and wrong {sum(r['sure_and_wrong'] for r in part):3d}; "
              f"median {np.median(spent):.1f} s, worst {spent.max():.1f} s of CPU")  # fmt: skip


if __name__ == "__main__":
    main()
