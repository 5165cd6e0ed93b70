"""``xtalfuse dataset simulate``: the recipe of a simulated dataset, read and carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from xtalfuse.datasets.records.build import BuildReport, store
from xtalfuse.datasets.records.plan import ShardPlan
from xtalfuse.datasets.sets import SAMPLE_SETS
from xtalfuse.datasets.sets.base import checked, planned
from xtalfuse.loaders.description import read_yaml
from xtalfuse.loaders.record import UnreadableFileError
from xtalfuse.loaders.safe.head import sha256_of


class SimulatedDataset(BaseModel):
    """Content of a recipe; each of `sets` is checked by its kind."""

    model_config = ConfigDict(extra="forbid")

    seed: int = Field(0, ge=0)
    shard: int = Field(64, ge=1, description="samples of one file, at most")
    sets: list[dict[str, Any]] = Field(min_length=1)


def read_recipe(path: str | Path) -> list[ShardPlan]:
    """The shards that a recipe (YAML) asks for.

    Raises
    ------
    UnreadableFileError
        If it cannot be read, or asks for what is not there; it lists all that is wrong.
    """
    path = Path(path)
    shards: list[ShardPlan] = []
    problems: list[str] = []
    names: set[str] = set()
    try:
        recipe = checked(SimulatedDataset, read_yaml(path))
    except ValueError as error:
        raise UnreadableFileError(f"{path.name}: {error}") from None
    for number, given in enumerate(recipe.sets, 1):
        try:
            kind = SAMPLE_SETS[str(given.get("kind", "of which kind?"))]
            wanted = checked(kind.options, given)
            name = wanted.name or wanted.kind
            if name in names:
                raise ValueError(f"a second set called {name!r}; give it another name")
            names.add(name)
            recipes = kind.recipes(wanted, recipe.seed)
            shards += planned(name, kind, recipes, wanted.count, recipe.shard)
        except (KeyError, ValueError) as error:
            problems.append(f"{path.name}: set {number}: {error.args[0]}")
    if problems:
        raise UnreadableFileError("\n".join(problems))
    return shards


def simulate(path: str | Path, out: str | Path, **options: Any) -> BuildReport:
    """The dataset of a recipe, or what is missing of it.

    Parameters
    ----------
    path : of the recipe
    out : folder of the dataset; an older one there stays whole until the new one is
    options : ``workers``, ``executor``, ``part`` and ``progress`` of `store`
    """
    return store(read_recipe(path), out, Path(path).stem, sha256_of(Path(path)), **options)
