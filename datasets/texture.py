"""Textures: how the crystals of a specimen are turned."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Texture(Protocol):
    """What draws orientations."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, specimen -> crystal."""
        ...


class RandomTexture:
    """Every orientation is equally likely."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 4) unit quaternions, uniform over all rotations."""
        q = rng.normal(size=(n, 4))
        return q / np.linalg.norm(q, axis=1, keepdims=True)
