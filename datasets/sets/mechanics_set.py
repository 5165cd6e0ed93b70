"""Sets of labelled polycrystals, for the networks of mechanics.

python -m xtalfuse.datasets.sets mechanics --out DIR --metals Cu,Zn,Ti --count 400
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xtalfuse.datasets.sets.base import MANIFEST, Arrays, Recipe, SampleKind, SampleSet
from xtalfuse.datasets.sets.base import generate as generate_set
from xtalfuse.datasets.sets.mechanics_sample import (
    TEXTURES,
    MechanicsSample,
    SingleCrystal,
    Variety,
    pack,
    simulate,
    unpack,
)

__all__ = ["MANIFEST", "MECHANICS", "MechanicsSet", "generate", "main", "recipe_of"]


class Mechanics(SampleKind[MechanicsSample]):
    """Polycrystals of one phase with their grain stresses; a group is a material."""

    name = "mechanics"
    about = "polycrystals, their grain stresses and effective stiffness"
    sample = MechanicsSample

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Metals, and what their polycrystals have in common."""
        parser.add_argument("--metals", required=True, help="names, as in Cu,Zn,Ti")
        parser.add_argument("--grid", type=int, default=32, help="voxels along an edge")
        parser.add_argument(
            "--grains", type=_range(int), default=(100, 100), help="number, or 20:150"
        )
        parser.add_argument(
            "--cv", type=_spread, default=(0.3, 0.3), help="of diameters: 0.3, 0.2:0.6 or voronoi"
        )
        parser.add_argument(
            "--aspect", type=_range(float), default=(1.0, 1.0), help="as 1 or 0.5:2"
        )
        parser.add_argument("--texture", choices=TEXTURES, default="random")

    def recipes(self, options: Namespace) -> Sequence[Recipe]:
        """One group for each metal."""
        o = options
        variety = Variety(o.grid, o.grains, o.cv, o.aspect, o.texture, o.seed)
        return [recipe_of(material, variety) for material in single_crystals(o.metals.split(","))]

    def simulate(self, recipe: Recipe, index: int) -> MechanicsSample:
        """Make and solve one polycrystal."""
        return simulate(_material(recipe), _variety(recipe), index)

    def pack(self, samples: Iterable[MechanicsSample]) -> Arrays:
        """Flat arrays; grains and boundaries stand one after the other."""
        return pack(samples)

    def unpack(self, arrays: Arrays, number: int, recipe: Recipe) -> MechanicsSample:
        """One sample of a shard.

        Parameters
        ----------
        arrays : of one shard
        number : of the sample in it
        recipe : of its material
        """
        return unpack(arrays, number, _material(recipe))


MECHANICS = Mechanics()


class MechanicsSet(SampleSet[MechanicsSample]):
    """The polycrystals of one or more folders; see `SampleSet`."""

    def __init__(self, *folders: str | Path) -> None:
        super().__init__(MECHANICS, *folders)

    @property
    def materials(self) -> tuple[str, ...]:
        """The material of each sample."""
        return self.groups


def recipe_of(material: SingleCrystal, variety: Variety) -> Recipe:
    """What the polycrystals of a material are made from."""
    values = {"material": asdict(material), "variety": asdict(variety)}
    return Recipe(material.name, json.loads(json.dumps(values)))


def _material(recipe: Recipe) -> SingleCrystal:
    given = recipe.values["material"]
    return SingleCrystal(**{**given, "stiffness": tuple(tuple(row) for row in given["stiffness"])})


def _variety(recipe: Recipe) -> Variety:
    given: dict[str, Any] = recipe.values["variety"]
    whole: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    return Variety(**whole)


def generate(
    folder: str | Path,
    materials: Iterable[SingleCrystal],
    count: int,
    variety: Variety | None = None,
    **options: Any,
) -> Path:
    """Write a set of polycrystals, or what is missing of it; see `base.generate`.

    Parameters
    ----------
    folder : of the set; made if it is not there
    materials : each gets `count` samples
    count : samples of each material
    variety : what the polycrystals have in common
    options : ``shard_size``, ``jobs`` and ``progress``
    """
    recipes = [recipe_of(material, variety or Variety()) for material in materials]
    return generate_set(MECHANICS, folder, recipes, count, **options)


def _range(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, Any]]:
    def read(text: str) -> tuple[Any, Any]:
        least, _, most = text.partition(":")
        return kind(least), kind(most or least)

    return read


def _spread(text: str) -> tuple[float, float] | None:
    return None if text == "voronoi" else _range(float)(text)


def single_crystals(names: Iterable[str]) -> list[SingleCrystal]:
    """Metals by name, with the constants that the library has of them."""
    from xtalfuse.datasets.constants.elastic import elastic_constants

    found = []
    for name in names:
        record = elastic_constants(name)
        rows = tuple(tuple(float(value) for value in row) for row in record.stiffness)
        found.append(SingleCrystal(name, record.laue, rows, record.citation))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The old name of ``python -m xtalfuse.datasets.sets mechanics``."""
    import sys

    from xtalfuse.datasets.sets.__main__ import main as command

    command(["mechanics", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    main()
