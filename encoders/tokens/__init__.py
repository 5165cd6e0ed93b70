"""One modality -> the tokens that a network is trained on. This is the list."""

from __future__ import annotations

from xtalfuse.encoders.tokens.base import TokenEncoder
from xtalfuse.physics.registry import Registry

# What modules of this room declare as `TOKENS`; other packages, under the entry points.
TOKEN_ENCODERS: Registry[TokenEncoder] = Registry(
    "input", "xtalfuse.token_encoders", rooms=("xtalfuse.encoders.tokens",), attribute="TOKENS"
)
