"""EELS and EDS spectra -> elements."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Modality

ENCODER = Encoder[Any](
    "elements",
    "energy-loss or X-ray spectrum -> for and against each element that its range can show",
    frozenset({Modality.EELS, Modality.EDS}),
    "xtalfuse.encoders.spectrum.elements:element_evidence",
)
