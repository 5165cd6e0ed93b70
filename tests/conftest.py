"""Shared fixtures: real instrument files, a small library, synthetic powders, an answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from xtalfuse.loaders.record import Axis, Beam, FileReport, Measurement, Modality, Provenance
from xtalfuse.tasks.identify.answer import (
    Answer,
    Cell,
    Curves,
    Panel,
    PhaseAnswer,
    UnexplainedPeak,
    Unknown,
)

if TYPE_CHECKING:
    from xtalfuse.datasets.library.build import Library

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("physics", "loaders", "datasets", "encoders", "fusion", "tasks", "report")


@pytest.fixture(scope="session")
def real() -> Path:
    """Folder of real instrument files; tests that need it skip where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("XTALFUSE_REAL") or beside)  # empty is unset, not "."
    if not folder.is_dir():
        pytest.skip(f"no real instrument files in {folder}; set XTALFUSE_REAL to their folder")
    return folder


# A small library: oxides, salts and metals; gold and silver, magnetite and magnesioferrite are
# look-alikes.
REFERENCES = (
    "anatase", "calcite", "copper", "corundum", "fluorite", "gold", "halite", "hematite",
    "iron_alpha", "magnesioferrite", "magnetite", "periclase", "quartz", "rutile", "silicon",
    "silver", "zincite",
)  # fmt: skip


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[dict[str, str], str], str]:
    """Runs code with a copy of the package that has more, or other, modules; see `_copied`."""

    def run(modules: dict[str, str], code: str) -> str:
        return _copied(tmp_path / "copy", modules, code)

    return run


def _copied(folder: Path, modules: dict[str, str], code: str) -> str:
    """What `code` prints where the package also holds these modules.

    Parameters
    ----------
    folder : of the copy; what is not written anew is a link to the package
    modules : text of each by its place in the repository: ``"loaders/xrd/new.py"``
    code : Python
    """
    for room in ("app", *ROOMS):
        target = folder / "xtalfuse" / ("" if room == "app" else room)
        for file in (ROOT / room).rglob("*"):
            place = target / file.relative_to(ROOT / room)
            if file.is_file() and file.suffix != ".pyc":
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(file)
    for name, text in modules.items():
        place = folder / "xtalfuse" / name
        place.unlink(missing_ok=True)
        place.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        capture_output=True, text=True, check=False, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def references() -> Library:
    """A library of 17 typed phases, in memory; nothing is read from or written to a cache."""
    from xtalfuse.datasets.library.compile import Compiled
    from xtalfuse.datasets.library.shelf import from_compiled
    from xtalfuse.datasets.library.sources import typed_phases
    from xtalfuse.physics.crystal.diffraction import reflections

    typed = {phase.id: phase for phase in typed_phases()[0]}
    return from_compiled(
        [
            Compiled(p.id, p.name, p.formula, p.crystal, p.citation, p.source, (), (),
                     reflections(p.crystal, 0.9, 600))
            for p in (typed[name] for name in REFERENCES)
        ]
    )  # fmt: skip


@pytest.fixture(scope="session")
def powder(references: Library) -> Callable[..., Measurement]:
    """Makes powder patterns with counting noise from weight fractions; see `_powder`."""

    def make(fractions: dict[str, float], **options: object) -> Measurement:
        return _powder(references, fractions, **options)  # type: ignore[arg-type]

    return make


def _powder(
    library: Library,
    fractions: dict[str, float],
    *,
    counts: float = 5000.0,
    background: float = 120.0,
    two_theta: tuple[float, float, float] = (15.0, 75.0, 0.03),
    strain: dict[str, float] | None = None,
    stretch: float = 0.0,
    width: float = 0.09,
    adjust: dict[str, tuple[int, float]] | None = None,
    texture: dict[str, tuple[tuple[int, int, int], float]] | None = None,
    lines: str = "CuKa",
    seed: int = 0,
    name: str = "powder.xy",
) -> Measurement:
    """A powder pattern of a mixture, with Poisson noise.

    Parameters
    ----------
    fractions : weight fraction of each library entry
    counts : in the highest channel, above background
    two_theta : first, last, step, deg
    strain : isotropic strain of the cell of an entry
    stretch : fraction by which all d appear longer
    width : Gaussian width of the instrument, deg
    adjust : for an entry, which of its reflections by strength is how many times too strong
    texture : for an entry, preferred plane normal and r of March and Dollase
    """
    from xtalfuse.physics.crystal.powder import InstrumentState, phase_model
    from xtalfuse.physics.units import radiation

    first, last, step = two_theta
    grid = np.arange(first, last, step)
    source = radiation(lines)
    instrument = InstrumentState(gauss=width, gauss_tan=0.02, stretch=stretch)
    total = np.zeros_like(grid)
    for entry, fraction in fractions.items():
        index = library.index(entry)
        crystal = library.entries[index].crystal
        model = phase_model(crystal, library.reflections(index), source, (first, last))
        state = model.start((strain or {}).get(entry, 0.0), size=0.03, microstrain=0.05)
        if texture and entry in texture:
            state = replace(state, axis=texture[entry][0], texture=texture[entry][1])
        if adjust and entry in adjust:
            amount = _grainy(model.seen_strength(state, instrument), *adjust[entry])
            state = replace(state, adjust=amount)
        total += fraction / model.weight * model.columns(grid, state, instrument).profile
    air = background * (0.6 + 0.8 * np.exp(-(grid - first) / 12.0))
    mean = air + counts * total / max(float(total.max()), 1e-300)
    values = np.random.default_rng(seed).poisson(mean).astype(float)
    return Measurement(
        Modality.XRD,
        values,
        (Axis("two_theta", "deg", grid),),
        "counts",
        Provenance(name, "00" * 32, "simulation"),
        beam=Beam("x-ray", source),
    )


def _grainy(strength: np.ndarray, rank: int, factor: float) -> np.ndarray:
    """How many times too strong each reflection is: the one of this rank by `factor`."""
    amount = np.ones(len(strength))
    amount[np.argsort(-strength)[rank]] = factor
    return amount


# 2-theta (deg, Cu K-alpha1) and relative intensity of a few lines; the names are what matters
LINES = {
    "corundum": [(25.58, 60), (35.15, 95), (37.78, 45), (43.35, 100), (52.55, 47), (57.50, 90)],
    "fluorite": [(28.27, 92), (47.00, 100), (55.76, 31), (68.67, 10)],
}


def _peaks(two_theta: np.ndarray, lines: list[tuple[float, float]]) -> np.ndarray:
    height = np.zeros_like(two_theta)
    for position, intensity in lines:
        height += 25.0 * intensity / (1.0 + ((two_theta - position) / 0.06) ** 2)
    return height


@pytest.fixture
def curves() -> Curves:
    """A pattern of two phases with one peak that no phase explains and one that is missing."""
    two_theta = np.arange(20.0, 80.0, 0.02)
    background = 120.0 + 60.0 * np.exp(-(two_theta - 20.0) / 15.0)
    parts = {name: _peaks(two_theta, lines) for name, lines in LINES.items()}
    parts["fluorite"] *= 0.15
    calculated = background + sum(parts.values())
    foreign = _peaks(two_theta, [(31.77, 12.0)])
    observed = np.random.default_rng(1).poisson(calculated + foreign).astype(float)
    return Curves(
        two_theta_deg=two_theta,
        observed=observed,
        calculated=calculated,
        background=background,
        ticks_deg={name: np.array([x for x, _ in lines]) for name, lines in LINES.items()},
        contributions=parts,
        missing_deg={"fluorite": np.array([68.67])},
    )


@pytest.fixture
def answer(curves: Curves) -> Answer:
    """An answer as a round-robin mixture would give it, with everything that can be said."""
    none = Cell(None, None, None, None, None, None)
    return Answer(
        specimen="mixture 7",
        files=(
            FileReport("mixture/scan.xy", "ab" * 32, "xrd", "rietx", True, ""),
            FileReport("mixture/edge.msa", "cd" * 32, "eels", "hyperspy/msa", True, ""),
            FileReport("mixture/broken.dm3", "ef" * 32, None, None, False, "broken.dm3: cut short"),
        ),
        elements={"Al": {"probability": 0.99, "seen_by": ["eels"]}, "O": {"probability": 0.97}},
        phases=(
            PhaseAnswer(
                name="Corundum",
                formula="Al2O3",
                space_group_number=167,
                entry="corundum",
                equivalents=("hematite-like",),
                weight_fraction=0.862,
                weight_fraction_su=0.0043,
                cell=Cell(4.75936, 4.75936, 12.9923, 90.0, 90.0, 120.0),
                cell_su=Cell(0.00008, 0.00008, 0.00015, None, None, None),
                confidence=0.98,
                evidence={"xrd": {"log_likelihood_gain": 812.4}, "eels": {"Al": 0.99}},
            ),
            PhaseAnswer(
                name="Fluorite",
                formula="CaF2",
                space_group_number=225,
                entry="fluorite",
                equivalents=(),
                weight_fraction=0.138,
                weight_fraction_su=0.0021,
                cell=Cell(5.4631, None, None, None, None, None),
                cell_su=none,
                confidence=0.71,
                evidence={"xrd": {"log_likelihood_gain": 77.1}},
            ),
        ),
        unknown=Unknown(0.31, (UnexplainedPeak(2.8143, 31.77, 0.115, 14.2),)),
        warnings=("fluorite rests on few peaks: its fraction is less certain than its su",),
        fit={"r_wp": 0.082, "gof": 1.31},
        seconds={"search": 0.8, "refine": 3.1},
        version="0.1.0",
        curves=curves,
        panels=(
            Panel(
                title="edge.msa",
                x=np.linspace(500.0, 700.0, 400),
                y=np.linspace(100.0, 40.0, 400) + 30.0 * (np.linspace(500, 700, 400) > 532),
                x_label="energy loss (eV)",
                marks=(("O K", 532.0),),
            ),
        ),
    )
