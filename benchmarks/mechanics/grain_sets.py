"""Labelled polycrystals for the mechanics benchmarks, made once and kept in a folder.

Seeds differ from those of all training sets, so that no volume was seen in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets.mechanics_sample import MechanicsSample, Variety
from xtalfuse.datasets.sets.mechanics_set import generate, single_crystals

FIT_SEED, TEST_SEED = 501, 502  # of volumes that ridges are fitted to, and of test volumes


def samples_of(
    folder: Path, name: str, metals: Sequence[str], count: int, variety: Variety
) -> dict[str, list[MechanicsSample]]:
    """`count` samples of each metal, generated where they are not there yet."""
    place = folder / f"{name}-{variety.seed}"
    generate(place, single_crystals(metals), count, variety, shard_size=10)
    samples = Dataset(place)
    found: dict[str, list[MechanicsSample]] = {metal: [] for metal in metals}
    for number, metal in enumerate(samples.groups):
        if metal in found and len(found[metal]) < count:
            found[metal].append(samples[number])
    return found
