"""Moduli of a polycrystal without texture, in numpy alone: lists of crystals need no torch."""

from __future__ import annotations

import numpy as np

_BULK = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) / np.sqrt(3.0)


def isotropic_moduli(stiffness: np.ndarray) -> dict[str, float]:
    """Hill's moduli of a single crystal's stiffness, averaged over all directions.

    In Mandel's notation an isotropic stiffness has the eigenvalues 3K (once) and 2G (five times),
    so that Voigt's averages are those of the stiffness and Reuss' those of the compliance.

    Parameters
    ----------
    stiffness : (6, 6), Mandel, GPa

    Returns
    -------
    ``bulk_modulus``, ``shear_modulus``, ``youngs_modulus`` in GPa, ``poisson_ratio``.

    References
    ----------
    Hill, R. (1952). Proc. Phys. Soc. A 65, 349.
    """
    means = []
    for matrix, power in ((stiffness, 1.0), (np.linalg.inv(stiffness), -1.0)):
        once = _BULK @ matrix @ _BULK
        five = (np.trace(matrix) - once) / 5.0
        means.append((once**power / 3.0, five**power / 2.0))
    bulk, shear = (float(mean) for mean in np.mean(means, axis=0))
    return {
        "bulk_modulus": bulk,
        "shear_modulus": shear,
        "youngs_modulus": 9.0 * bulk * shear / (3.0 * bulk + shear),
        "poisson_ratio": (3.0 * bulk - 2.0 * shear) / (2.0 * (3.0 * bulk + shear)),
    }
