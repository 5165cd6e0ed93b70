"""What instruments would see of mixtures of phases of the library.

Records as they are measured, with what is true of them as labels. Each is a function of its
recipe and its number; ranges are drawn from evenly, those of counts and sizes in the logarithm.
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Field, FiniteFloat, PositiveFloat

from xtalfuse.datasets.cif.species import formula_amounts
from xtalfuse.datasets.library.shelf import Entry, Library
from xtalfuse.datasets.manifest.table import Target
from xtalfuse.datasets.records.store import array_sha256
from xtalfuse.datasets.sets.base import Recipe, SampleKind, SetOptions, checked
from xtalfuse.loaders.record import (
    Axis,
    Beam,
    Instrument,
    Measurement,
    Modality,
    Provenance,
    Record,
)
from xtalfuse.physics.units import radiation

Mix = list[tuple[int, float]]


def _upwards(bounds: tuple[float, float]) -> tuple[float, float]:
    if not bounds[0] <= bounds[1]:
        raise ValueError("the least comes first, then the most")
    return bounds


def _radiation(text: str | float) -> str | float:
    radiation(text)
    return text


Range = Annotated[tuple[FiniteFloat, FiniteFloat], AfterValidator(_upwards)]
Amounts = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_upwards)]


class PhaseOptions(SetOptions):
    """Of what is made of phases."""

    phases: tuple[str, ...] = Field((), description="entries of the library; all by default")
    most: int = Field(3, ge=1, description="phases of a mixture")


class PowderOptions(PhaseOptions):
    """Of powder patterns."""

    wavelength: Annotated[str | float, AfterValidator(_radiation)] = "CuKa"
    two_theta: Amounts = (10.0, 90.0)
    step: float = Field(0.02, ge=1e-4, le=1.0)
    counts: Amounts = (300.0, 30_000.0)
    background: Range = (0.01, 0.2)
    size_nm: Amounts = (15.0, 300.0)
    strain: float = Field(0.003, ge=0.0, description="of the cells, at most")
    zero_deg: float = Field(0.05, ge=0.0, description="of the axis, at most")


class RingOptions(PhaseOptions):
    """Of electron ring patterns."""

    most: int = Field(1, ge=1)
    side: int = Field(256, ge=64, le=2048, description="pixels")
    counts: Amounts = (50.0, 1000.0)
    ellipticity: float = Field(0.02, ge=0.0, le=0.2, description="at most")


class EelsOptions(PhaseOptions):
    """Of energy-loss spectra."""

    most: int = Field(1, ge=1)
    from_ev: Amounts = (100.0, 500.0)
    length_ev: Amounts = (500.0, 1500.0)


class EdsOptions(PhaseOptions):
    """Of X-ray spectra."""

    most: int = Field(1, ge=1)
    counts: Amounts = (2_000.0, 200_000.0)


class SpecimenOptions(PhaseOptions):
    """Of specimens that several instruments saw."""

    instruments: dict[str, dict[str, Any]] = Field(
        {"powder": {}, "eels": {}, "eds": {}, "rings": {}}, min_length=1,
        description="each with options of its kind",
    )  # fmt: skip
    present: float = Field(0.6, ge=0.0, le=1.0, description="probability of each instrument")


@lru_cache(maxsize=1)
def _library() -> Library:
    from xtalfuse.datasets.library.build import builtin

    return builtin()


class Measured(SampleKind[Record]):
    """A kind whose samples are records of one measurement."""

    sample = Record

    def draw(self, recipe: Recipe, index: int) -> np.random.Generator:
        """The source of chance of one sample: no two kinds share it."""
        return np.random.default_rng([recipe.values["seed"], zlib.crc32(self.name.encode()), index])

    def record(self, measurements: Sequence[Measurement], group: str, **known: Any) -> Record:
        """The record of measurements, which are named after their content."""
        named = tuple(
            replace(
                m, provenance=Provenance(f"{m.modality}.sim", array_sha256(m.values), "simulation")
            )
            for m in measurements
        )
        return Record("", group, named, **known)


class OfPhases(Measured):
    """A kind whose samples are mixtures of phases of the built-in library."""

    def recipes(self, options: Any, seed: int) -> Sequence[Recipe]:
        """One, after all phases are found in the library."""
        for phase in options.phases:
            _library().index(phase)
        return super().recipes(options, seed)

    def mixture(self, recipe: Recipe, rng: np.random.Generator) -> Mix:
        """(entry of the library, weight fraction) of each phase."""
        library, values = _library(), recipe.values
        chosen = [library.index(p) for p in values["phases"]] or list(range(len(library)))
        count = int(rng.integers(1, min(values["most"], len(chosen)) + 1))
        entries = sorted(rng.choice(len(chosen), count, replace=False).tolist())
        weights = rng.dirichlet(np.full(count, 2.0)).tolist()
        return [(chosen[k], w) for k, w in zip(entries, weights, strict=True)]

    def simulate(self, recipe: Recipe, index: int) -> Record:
        """One mixture as it is measured, labelled with its weight fractions."""
        rng = self.draw(recipe, index)
        mixture = self.mixture(recipe, rng)
        measurements = self.measure(recipe.values, rng, mixture)
        entries = [_library().entries[k] for k, _ in mixture]
        names = [entry.id for entry in entries]
        targets = {
            f"weight_fraction_{n}": Target(w) for n, (_, w) in zip(names, mixture, strict=True)
        }
        elements = tuple(sorted({e for entry in entries for e in entry.crystal.elements}))
        return self.record(measurements, "+".join(names), elements=elements, targets=targets)

    @abstractmethod
    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """What the instrument sees of a mixture.

        Parameters
        ----------
        v : the options of the kind
        rng : source of chance
        mixture : entry of the library and weight fraction of each phase
        """

    def columns(self, sample: Record) -> dict[str, str]:
        """The phases, as a manifest has them."""
        return {"phases": sample.group.replace("+", ";")}


def log_uniform(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """A number between two, evenly distributed in its logarithm."""
    return float(np.exp(rng.uniform(*np.log(bounds))))


class Powder(OfPhases):
    """X-ray patterns; widths after Scherrer, counts after Poisson."""

    name, about, options = "powder", "X-ray powder patterns of mixtures", PowderOptions

    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """One pattern."""
        from xtalfuse.physics.crystal.powder import InstrumentState, NoReflectionError, phase_model

        library, lines = _library(), radiation(v["wavelength"])
        low, high = v["two_theta"]
        grid = np.arange(low, high + 0.5 * v["step"], v["step"])
        zero, displaced = rng.uniform(-v["zero_deg"], v["zero_deg"], 2)
        gauss, slope = rng.uniform((0.03, 0.0), (0.1, 0.04))
        instrument = InstrumentState(zero, displaced, slope, gauss)
        total = np.zeros(len(grid))
        for k, weight in mixture:
            strain, size = rng.uniform(-v["strain"], v["strain"]), log_uniform(rng, v["size_nm"])
            width = np.degrees(0.9 * lines.primary_angstrom / (10.0 * size))  # Scherrer (1918)
            try:
                model = phase_model(
                    library.entries[k].crystal, library.reflections(k), lines, (low, high)
                )
            except NoReflectionError:
                continue
            state = model.start(strain, size=float(width), microstrain=float(rng.uniform(0.0, 0.1)))
            total += weight / model.weight * model.columns(grid, state, instrument).profile
        total = np.maximum(total, 0.0) / max(float(total.max()), 1e-300)
        floor = rng.uniform(*v["background"]) * (1.0 + np.exp((low - grid) / 15.0))
        counts = rng.poisson(log_uniform(rng, v["counts"]) * (total + floor)).astype(float)
        axes = (Axis("two_theta", "deg", grid),)
        beam = Beam("x-ray", lines)
        return [Measurement(Modality.XRD, counts, axes, "counts", NOWHERE, beam, sampled="bulk")]


class Rings(OfPhases):
    """Electron diffraction of polycrystals, kinematic."""

    name, about, options = "rings", "electron ring patterns", RingOptions

    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """One pattern, 1.0 to 1.5 per angstrom to its edge."""
        from xtalfuse.physics.crystal.electron import ring_intensities
        from xtalfuse.physics.crystal.ring_pattern import RingScene, ring_image

        library, side = _library(), v["side"]
        scale = float(rng.uniform(1.0, 1.5)) / (0.48 * side)
        radii, heights = [], []
        for k, weight in mixture:
            crystal, own = library.entries[k].crystal, library.reflections(k)
            g = 1.0 / own.d_spacings(crystal.cell)
            # of a unit of mass, as for X-rays: of one cell, over its mass and volume
            strength = ring_intensities(own, crystal.cell) / (crystal.mass_amu * crystal.volume)
            kept = (strength > 0.01 * strength.max()) & (g < 0.5 * side * scale)
            radii.append(g[kept] / scale)
            heights.append(weight * strength[kept])
        peak, angle = log_uniform(rng, v["counts"]), float(rng.uniform(0.0, 180.0))
        x, y = (side * rng.uniform(0.47, 0.53, 2)).tolist()
        scene = RingScene(
            (side, side), (x, y),
            float(rng.uniform(0.0, v["ellipticity"])), angle, float(rng.uniform(2.5, 6.0)), peak,
            peak * float(rng.uniform(0.1, 1.0)), 10.0 * peak,
            grains=int(rng.integers(60, 150)) if rng.random() < 0.3 else None,
            seed=int(rng.integers(2**31)),
        )  # fmt: skip
        radius, height = np.concatenate(radii), np.concatenate(heights)
        # rings within half a pixel are one: they are five times as wide, and there are thousands
        _, ring = np.unique(np.rint(2.0 * radius), return_inverse=True)
        total = np.bincount(ring, height)
        image = ring_image(np.bincount(ring, height * radius) / total, total, scene)
        axes = tuple(Axis(name, "1/angstrom", scale * np.arange(side)) for name in ("ky", "kx"))
        beam = Beam("electron", energy_kev=200.0)
        kind = Modality.DIFFRACTION
        return [Measurement(kind, image, axes, "counts", NOWHERE, beam, sampled="spot")]


def _atoms(mixture: Mix) -> dict[str, float]:
    """Relative number of atoms of each element, each phase with its weight as its share."""
    atoms: dict[str, float] = {}
    for k, weight in mixture:
        entry: Entry = _library().entries[k]
        amounts = formula_amounts(entry.formula)
        for element, amount in amounts.items():
            atoms[element] = atoms.get(element, 0.0) + weight * amount / sum(amounts.values())
    return atoms


class Eels(OfPhases):
    """Energy-loss spectra: tabulated edges on a power law."""

    name, about, options = "eels", "energy-loss spectra", EelsOptions

    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """One spectrum."""
        from xtalfuse.datasets.simulate.spectra import eels_spectrum

        low, length = float(rng.uniform(*v["from_ev"])), float(rng.uniform(*v["length_ev"]))
        made = eels_spectrum(_atoms(mixture), low, low + length, int(rng.integers(2**31)))
        beam = Beam("electron", energy_kev=200.0)
        known = Instrument(zero_loss_in_range=False)
        return [replace(made, beam=beam, instrument=known, sampled="spot")]


class Eds(OfPhases):
    """X-ray spectra: tabulated lines on a continuum."""

    name, about, options = "eds", "X-ray emission spectra", EdsOptions

    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """One spectrum."""
        from xtalfuse.datasets.simulate.spectra import eds_spectrum

        counts = log_uniform(rng, v["counts"])
        lines = {element: counts * share for element, share in _atoms(mixture).items()}
        made = eds_spectrum(lines, int(rng.integers(2**31)))
        beam = Beam("electron", energy_kev=200.0)
        return [replace(made, beam=beam, sampled="spot")]


class Specimens(OfPhases):
    """Mixtures that several instruments saw, and not all of them each."""

    name, about, options = "specimen", "mixtures seen by several instruments", SpecimenOptions

    def recipes(self, options: SpecimenOptions, seed: int) -> Sequence[Recipe]:
        """One, after the options of each instrument are found right."""
        for name, given in options.instruments.items():
            if name not in _SEEING:
                raise ValueError(f"no instrument {name!r}; there are {', '.join(_SEEING)}")
            checked(_SEEING[name].options, {**given, "kind": name})
        return super().recipes(options, seed)

    def measure(
        self, v: Mapping[str, Any], rng: np.random.Generator, mixture: Mix
    ) -> list[Measurement]:
        """Each instrument, or not; one at least."""
        names = list(v["instruments"])
        seen = rng.random(len(names)) < v["present"]
        seen[rng.integers(len(names))] = True
        found = []
        for name, chance in zip(names, rng.spawn(len(names)), strict=True):
            if seen[names.index(name)]:
                kind = _SEEING[name]
                options = kind.options.model_validate({**v["instruments"][name], "kind": name})
                found += kind.measure(options.model_dump(mode="json"), chance, mixture)
        return found


NOWHERE = Provenance("", "", "simulation")
POWDER, RINGS, EELS, EDS = Powder(), Rings(), Eels(), Eds()
SPECIMEN = Specimens()
_SEEING: dict[str, OfPhases] = {kind.name: kind for kind in (POWDER, RINGS, EELS, EDS)}
