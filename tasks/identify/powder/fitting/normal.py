"""Normal equations of least squares, scaled so that parameters of any size can stand together."""

from __future__ import annotations

import numpy as np


def unit_diagonal(normal: np.ndarray, ridge: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A normal matrix N brought to D N D with unit diagonal, for the numbers' sake.

    Parameters
    ----------
    normal : (m, m) symmetric, positive semidefinite
    ridge : added to the unit diagonal, so that parameters which nothing determines stay put

    Returns
    -------
    scaled : (m, m)
    scale : (m,) diagonal of D; ``x = scale * y`` where ``scaled y = scale * right``, and the
        covariance is ``inverse(scaled) * scale[:, None] * scale``
    """
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    scaled = normal * scale[:, None] * scale
    if ridge:
        scaled[np.diag_indices_from(scaled)] += ridge
    return scaled, scale
