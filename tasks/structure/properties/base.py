"""What a property is computed from, and how one is declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from xtalfuse.encoders.grains.map import Segmentation
from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.physics.estimate import Estimate, known_spread
from xtalfuse.physics.grains.graph import GrainGraph
from xtalfuse.tasks.structure.materials import Material

Kind: TypeAlias = Literal["section", "stack", "volume"]
Need: TypeAlias = Literal["stiffness", "stress", "slip", "strength"]

RESAMPLES = 200
SECTION = "section: texture assumed uniform in depth"


@dataclass(frozen=True)
class Structure:
    """What is known of a map or volume before its properties are computed.

    Parameters
    ----------
    source : its segmentation
    graph : grains or bodies
    materials : of each phase of `graph`
    stiffness : (6, 6) effective stiffness, Mandel, GPa, with samples; None where not known
    stress : (c,) stress along x of each of `crystals` under tension along x, relative to its
        mean; None where not known
    moduli : longitudinal moduli that were told without a stiffness
    """

    source: Segmentation | VolumeSegmentation
    graph: GrainGraph
    materials: tuple[Material, ...]
    stiffness: Estimate | None = None
    stress: Estimate | None = None
    moduli: tuple[Estimate, ...] = ()

    @property
    def kind(self) -> Kind:
        """A section, a stack of sections, or a volume of grey values."""
        if isinstance(self.source, VolumeSegmentation):
            return "volume"
        return "section" if self.graph.dimension == 2 else "stack"

    @property
    def map(self) -> Segmentation:
        """The segmentation of a section or stack.

        Raises
        ------
        TypeError
            If it is a volume.
        """
        if isinstance(self.source, VolumeSegmentation):
            raise TypeError("a volume has no orientations: declare the property of maps only")
        return self.source

    @property
    def crystals(self) -> GrainGraph:
        """What properties of orientation are of: grains before twins were merged."""
        return self.graph if isinstance(self.source, VolumeSegmentation) else self.source.crystals

    @property
    def volume(self) -> VolumeSegmentation:
        """The segmentation of a volume.

        Raises
        ------
        TypeError
            If it is a section or stack.
        """
        if not isinstance(self.source, VolumeSegmentation):
            raise TypeError("a map has no bodies: declare the property of volumes only")
        return self.source

    @property
    def present(self) -> tuple[tuple[int, Material], ...]:
        """Phases that hold a grain, with their position."""
        return tuple(
            (k, found) for k, found in enumerate(self.materials) if (self.graph.phase == k).any()
        )

    def has(self, need: Need) -> bool:
        """Whether it is known."""
        if need == "stiffness":
            return self.stiffness is not None
        if need == "stress":
            return self.stress is not None
        return any(getattr(found, need) is not None for _, found in self.present)


@dataclass(frozen=True)
class PropertyRule:
    """How properties of one kind are computed: the only place that a property stands in.

    Parameters
    ----------
    name : of the rule
    titles : what a reader calls each quantity that it gives, by its name in ``properties.json``
    of : what it can be computed of
    compute : the estimates; an empty list where the structure does not tell
    needs : what must be known of the structure
    """

    name: str
    titles: Mapping[str, str]
    of: frozenset[Kind]
    compute: Callable[[Structure], list[Estimate]]
    needs: frozenset[Need] = frozenset()

    def applies_to(self, structure: Structure) -> bool:
        """Whether a structure is of its kind and has what it needs."""
        return structure.kind in self.of and all(structure.has(need) for need in self.needs)


MAPS: frozenset[Kind] = frozenset(("section", "stack"))
VOLUMES: frozenset[Kind] = frozenset(("volume",))
ALL: frozenset[Kind] = MAPS | VOLUMES


def resampled_mean(
    values: np.ndarray, weights: np.ndarray, *, seed: int = 0
) -> tuple[float, float | None]:
    """Weighted mean of a number per grain, and its standard uncertainty over drawn grains.

    Parameters
    ----------
    values, weights : (n,)
    seed : of the draws
    """
    rng = np.random.default_rng(seed)
    count = len(values)
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), RESAMPLES) * weights
    means = (drawn @ values) / drawn.sum(axis=1)
    mean = float(np.average(values, weights=weights))
    return mean, known_spread(mean, float(np.std(means)))
