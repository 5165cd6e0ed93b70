"""Normal equations of least squares, scaled so that parameters of any size can stand together."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

MOST_BOUNDS = 4  # rounds in which more values reach a bound; each is held from then on


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


def within(normal: np.ndarray, right: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Solution of normal equations whose last values stay within bounds.

    A value that would leave is held at its bound and the others are solved again: cut off alone
    they would overshoot, and the step would be of no use.

    Parameters
    ----------
    normal : (m, m) positive definite
    right : (m,)
    room : (2, k) least and largest of the last k values; those before are free
    """
    solution = np.asarray(cho_solve(cho_factor(normal), right))
    free = len(right) - room.shape[1]
    held = np.zeros(len(right), bool)
    for _ in range(MOST_BOUNDS):
        inside = np.clip(solution[free:], room[0], room[1])
        beyond = inside != solution[free:]
        if not beyond.any():
            break
        solution[free:] = inside
        held[free:] |= beyond
        left = ~held
        rest = right[left] - normal[np.ix_(left, held)] @ solution[held]
        solution[left] = cho_solve(cho_factor(normal[np.ix_(left, left)]), rest)
    solution[free:] = np.clip(solution[free:], room[0], room[1])
    return solution


def near(room: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """(2, k) how far down and up values go in one step: no farther than their prior is wide.

    Where lines move by more than a width, or their shape turns over, derivatives lead astray.

    Parameters
    ----------
    room : (2, k) that bounds leave
    sigma : (k,) standard deviations of the priors
    """
    return np.clip(room, -sigma, sigma)
