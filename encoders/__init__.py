"""One modality -> the evidence it carries, in a form that fusion can join. This is the list."""

from __future__ import annotations

from typing import Any

from xtalfuse.encoders.base import Encoder
from xtalfuse.physics.registry import Registry

# What modules and rooms in this one declare as `ENCODER`.
ENCODERS: Registry[Encoder[Any]] = Registry(
    "encoder", "xtalfuse.encoders", rooms=("xtalfuse.encoders",), attribute="ENCODER"
)
