"""CT volumes -> phases, pores, particles."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Modality

ENCODER = Encoder[Any](
    "volume",
    "CT volume -> phases, pores, particles and the graph of them",
    frozenset({Modality.CT}),
    "xtalfuse.encoders.volume.segment:encode_volume",
)
