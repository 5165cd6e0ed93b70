"""Simulated samples as datasets. This is the list of their kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtalfuse.physics.registry import Registry

if TYPE_CHECKING:
    from xtalfuse.datasets.sets.base import SampleKind

SAMPLE_SETS: Registry[SampleKind[Any]] = Registry("kind of simulated set", "xtalfuse.sample_sets")
SAMPLE_SETS.add("mechanics", "xtalfuse.datasets.sets.mechanics_set:MECHANICS")
for _name in ("powder", "rings", "eels", "eds", "specimen"):
    SAMPLE_SETS.add(_name, f"xtalfuse.datasets.sets.instruments:{_name.upper()}")
for _name in ("map", "volume"):
    SAMPLE_SETS.add(_name, f"xtalfuse.datasets.sets.microstructures:{_name.upper()}")
