"""One modality -> the evidence it carries, in a form that fusion can join. This is the list."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.loaders.record import Modality
from xtalfuse.physics.registry import Registry

ENCODERS: Registry[Encoder[Any]] = Registry("encoder", "xtalfuse.encoders")

for _encoder in (
    Encoder[Any](
        "pattern",
        "powder pattern -> noise, background and peaks on a grid as fine as its peaks need",
        frozenset({Modality.XRD}),
        "xtalfuse.encoders.pattern:encode_pattern",
    ),
    Encoder[Any](
        "elements",
        "energy-loss or X-ray spectrum -> for and against each element that its range can show",
        frozenset({Modality.EELS, Modality.EDS}),
        "xtalfuse.encoders.spectrum.elements:element_evidence",
    ),
    Encoder[Any](
        "rings",
        "electron diffraction image -> centre, distortion, radial profile and rings",
        frozenset({Modality.DIFFRACTION}),
        "xtalfuse.encoders.rings.profile:ring_profile",
    ),
    Encoder[Any](
        "grains",
        "orientation map -> grains, their boundaries and how bent they are",
        frozenset({Modality.EBSD}),
        "xtalfuse.encoders.grains.map:encode_map",
    ),
    Encoder[Any](
        "volume",
        "CT volume -> phases, pores, particles and the graph of them",
        frozenset({Modality.CT}),
        "xtalfuse.encoders.volume.segment:encode_volume",
    ),
):
    ENCODERS.add(_encoder.name, _encoder)
