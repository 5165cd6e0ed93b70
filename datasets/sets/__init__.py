"""Labelled samples on disk: stored whole, read lazily. This is the list of their kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xtalfuse.physics.registry import Registry

if TYPE_CHECKING:
    from xtalfuse.datasets.sets.base import SampleKind

SAMPLE_SETS: Registry[SampleKind[Any]] = Registry("sample set", "xtalfuse.sample_sets")
SAMPLE_SETS.add("mechanics", "xtalfuse.datasets.sets.mechanics_set:MECHANICS")
