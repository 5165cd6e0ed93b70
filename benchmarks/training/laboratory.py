"""A simulated laboratory: specimens of which each instrument sees a part of what makes them hard.

Heats of Fe-Cr-Ni that were annealed. The share of ferrite follows composition and temperature, the
grain size follows the temperature; hardness is made of solid solution, ferrite and grain size. No
table holds the composition: the EDS spectrum shows it; the powder pattern shows the share of
ferrite and, by its cells, some of the composition; the image the grains; the table the furnace.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from xtalfuse.datasets.manifest.table import Target
from xtalfuse.datasets.sets.base import Recipe, SampleKind, SetOptions
from xtalfuse.datasets.simulate.spectra import eds_spectrum
from xtalfuse.loaders.record import Axis, Beam, Measurement, Modality, Provenance, Record
from xtalfuse.physics.units import radiation

MISSING = 0.4  # of each of the four
WRONG = 0.02  # of the labels: those of another specimen
OF_HEAT = 6
ANODES = ("CuKa", "CoKa", "CuKa")  # of three diffractometers
NM_OF_PIXEL = (20.0, 35.0, 50.0)  # of three microscopes
FCC = ((1, 1, 1), (2, 0, 0), (2, 2, 0), (3, 1, 1))
BCC = ((1, 1, 0), (2, 0, 0), (2, 1, 1), (2, 2, 0))
STRENGTHS = (1.0, 0.4, 0.3, 0.3)


class Truth:
    """What is true of one specimen of a heat."""

    def __init__(self, heat: np.random.Generator, own: np.random.Generator) -> None:
        self.chromium, self.nickel = heat.uniform(0.05, 0.3), heat.uniform(0.0, 0.2)
        self.celsius = own.uniform(700.0, 1200.0)
        wanted = 12.0 * (self.chromium - 0.9 * self.nickel - 0.1) - (self.celsius - 950.0) / 300.0
        self.ferrite = 1.0 / (1.0 + np.exp(-wanted))
        self.grain_um = float(np.exp(own.normal(0.0, 0.3) + (self.celsius - 950.0) / 200.0))
        self.hardness = (
            1.2
            + 4.0 * self.chromium
            + 2.0 * self.nickel
            + 0.9 * self.ferrite
            + 0.8 / np.sqrt(self.grain_um)
        )  # GPa
        self.stiffness = 195.0 + 18.0 * self.ferrite + 40.0 * self.chromium  # GPa
        limits = np.searchsorted([0.3, 0.7], self.ferrite)
        self.kind = ("austenitic", "duplex", "ferritic")[int(limits)]


class Laboratory(SampleKind[Record]):
    """Specimens with an X-ray pattern, an EDS spectrum, an image and a row of the furnace."""

    name = "laboratory"
    about = "specimens of a simulated laboratory"
    sample = Record
    options = SetOptions

    def simulate(self, recipe: Recipe, index: int) -> Record:
        seed = recipe.values["seed"]
        heat = np.random.default_rng((seed, recipe.values["heat"]))
        own = np.random.default_rng((seed, recipe.values["heat"], index))
        truth = Truth(heat, own)
        has = own.random(4) > MISSING
        if not has.any():
            has[int(own.integers(4))] = True
        makers = (_pattern, _eds, _image)
        made = [_signed(m(truth, own)) for m, there in zip(makers, has, strict=False) if there]
        told = truth
        if own.random() < WRONG:
            told = Truth(own, own)
        targets: dict[str, Any] = {
            "hardness": Target(told.hardness * float(own.lognormal(0.0, 0.03)), "GPa"),
            "stiffness": Target(told.stiffness * float(own.lognormal(0.0, 0.01)), "GPa"),
            "class": Target(told.kind),
        }
        if has[3]:
            targets["furnace"] = Target(truth.celsius + own.normal(0.0, 10.0), "K")
            targets["line"] = Target(("A", "B")[int(truth.celsius > 1000.0)])
        return Record("", recipe.group, tuple(made), targets=targets)


def recipes(heats: int, seed: int) -> list[Recipe]:
    """Of the heats of a laboratory; `OF_HEAT` specimens are made of each."""
    return [Recipe(f"heat{k:03}", {"seed": seed, "heat": k}) for k in range(heats)]


def _measurement(modality: Modality, values: np.ndarray, *axes: Axis) -> Measurement:
    provenance = Provenance(f"simulated.{modality}", "00" * 32, "simulation")
    return Measurement(modality, values, axes, "counts", provenance)


def _signed(made: Measurement) -> Measurement:
    """With the sha256 of its values, by which copies are known."""
    sha256 = hashlib.sha256(np.ascontiguousarray(made.values).tobytes()).hexdigest()
    return replace(made, provenance=replace(made.provenance, sha256=sha256))


def _pattern(truth: Truth, rng: np.random.Generator) -> Measurement:
    anode = int(rng.integers(3))
    source = radiation(ANODES[anode])
    angle = np.arange(25.0, 110.0, 0.04)
    total = np.full(angle.shape, 40.0 + 60.0 * (anode == 2))
    zero = rng.normal(0.0, 0.03)
    scale = 1.0 + 0.1 * truth.chromium - 0.05 * truth.nickel
    cells = ((FCC, 3.59 * scale, 1.0 - truth.ferrite), (BCC, 2.866 * scale, truth.ferrite))
    for planes, edge, share in cells:
        for plane, strength in zip(planes, STRENGTHS, strict=True):
            sine = source.primary_angstrom * np.linalg.norm(plane) / (2.0 * edge)
            if sine < 0.95:
                at = 2.0 * np.degrees(np.arcsin(sine)) + zero
                height = 1500.0 * share * strength * float(rng.lognormal(0.0, 0.3))  # texture
                total += height * np.exp(-0.5 * ((angle - at) / 0.12) ** 2)
    made = _measurement(
        Modality.XRD, rng.poisson(total).astype(float), Axis("two_theta", "deg", angle)
    )
    return replace(made, beam=Beam("x-ray", source))


def _eds(truth: Truth, rng: np.random.Generator) -> Measurement:
    dose = float(rng.lognormal(np.log(30_000.0), 0.5))
    shares = {"Cr": truth.chromium, "Ni": truth.nickel}
    shares["Fe"] = 1.0 - sum(shares.values())
    return eds_spectrum({e: dose * x for e, x in shares.items()}, int(rng.integers(2**31)))


def _image(truth: Truth, rng: np.random.Generator) -> Measurement:
    step = NM_OF_PIXEL[int(rng.integers(3))]
    size = truth.grain_um * 1000.0 / step / 6.0  # a wave of the field is about six deviations
    field = gaussian_filter(rng.normal(size=(128, 128)), min(size, 60.0), mode="wrap")
    grey = 100.0 + 40.0 * np.sign(field) + rng.normal(0.0, 15.0, field.shape)
    axes = [Axis(name, "nm", step * np.arange(128.0)) for name in "yx"]
    return _measurement(Modality.IMAGE, grey.astype(np.float32), *axes)


LABORATORY = Laboratory()
