"""Electron diffraction images -> rings and spots."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Modality

ENCODER = Encoder[Any](
    "rings",
    "electron diffraction image -> centre, distortion, radial profile and rings",
    frozenset({Modality.DIFFRACTION}),
    "xtalfuse.encoders.rings.profile:ring_profile",
)
