"""Sets of labelled polycrystals, for the networks of mechanics: `kind: mechanics` in a recipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from xtalfuse.datasets.records.build import BuildReport
from xtalfuse.datasets.sets.base import Recipe, SampleKind, SetOptions
from xtalfuse.datasets.sets.base import generate as generate_set
from xtalfuse.datasets.sets.mechanics_sample import (
    MechanicsSample,
    SingleCrystal,
    Variety,
    simulate,
)


class MechanicsOptions(SetOptions):
    """Metals, and what their polycrystals have in common, as in `Variety`."""

    metals: tuple[str, ...]
    grid: int = 32
    grains: tuple[int, int] = (100, 100)
    cv: tuple[float, float] | None = (0.3, 0.3)
    aspect: tuple[float, float] = (1.0, 1.0)
    texture: Literal["random", "fibre", "rolled", "any"] = "random"


class Mechanics(SampleKind[MechanicsSample]):
    """Polycrystals of one phase with their grain stresses; a group is a material."""

    name = "mechanics"
    about = "polycrystals, their grain stresses and effective stiffness"
    sample = MechanicsSample
    options = MechanicsOptions

    def recipes(self, options: MechanicsOptions, seed: int) -> Sequence[Recipe]:
        """One group for each metal."""
        o = options
        variety = Variety(o.grid, o.grains, o.cv, o.aspect, o.texture, seed)
        return [recipe_of(material, variety) for material in single_crystals(o.metals)]

    def simulate(self, recipe: Recipe, index: int) -> MechanicsSample:
        """Make and solve one polycrystal."""
        import torch

        given = recipe.values["material"]
        rows = tuple(tuple(row) for row in given["stiffness"])
        varied: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in recipe.values["variety"].items()
        }
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums in another order are other bits
        try:
            return simulate(SingleCrystal(**{**given, "stiffness": rows}), Variety(**varied), index)
        finally:
            torch.set_num_threads(threads)

    def columns(self, sample: MechanicsSample) -> dict[str, str]:
        """The material."""
        return {"phases": sample.material}


MECHANICS = Mechanics()


def recipe_of(material: SingleCrystal, variety: Variety) -> Recipe:
    """What the polycrystals of a material are made from."""
    values = {"material": asdict(material), "variety": asdict(variety)}
    return Recipe(material.name, json.loads(json.dumps(values)))


def generate(
    folder: str | Path,
    materials: Iterable[SingleCrystal],
    count: int,
    variety: Variety | None = None,
    **options: Any,
) -> BuildReport:
    """Write a dataset of polycrystals, or what is missing of it; see `base.generate`.

    Parameters
    ----------
    folder : of the dataset
    materials : each gets `count` samples, and is a group
    count : samples of each material
    variety : what the polycrystals have in common
    options : ``shard_size``, ``workers`` and ``progress``
    """
    recipes = [recipe_of(material, variety or Variety()) for material in materials]
    return generate_set(MECHANICS, folder, recipes, count, **options)


def single_crystals(names: Iterable[str]) -> list[SingleCrystal]:
    """Metals by name, with the constants that the library has of them."""
    from xtalfuse.datasets.constants.elastic import elastic_constants

    found = []
    for name in names:
        record = elastic_constants(name)
        rows = tuple(tuple(float(value) for value in row) for row in record.stiffness)
        found.append(SingleCrystal(name, record.laue, rows, record.citation))
    return found
