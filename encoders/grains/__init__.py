"""Orientation maps -> grains and their sizes."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Modality

ENCODER = Encoder[Any](
    "grains",
    "orientation map -> grains, their boundaries and how bent they are",
    frozenset({Modality.EBSD}),
    "xtalfuse.encoders.grains.map:encode_map",
)
