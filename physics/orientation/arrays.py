"""The two turns of quaternions that readers of files need: here for arrays, without torch.

`quaternion` gives the same for tensors and arrays, through the functions here: they use nothing
but arithmetic and the functions of the module `xp`, numpy or torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def multiply(a: Any, b: Any, xp: Any = np) -> Any:
    """Product a b of quaternions (..., 4): first b turns, then a."""
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    return xp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        -1,
    )


def from_euler(euler: Any, xp: Any = np) -> Any:
    """Orientations (..., 4) of Bunge Euler angles phi1, Phi, phi2 (..., 3), radian; w >= 0.

    References
    ----------
    Bunge, H.-J. (1982). Texture Analysis in Materials Science, chapter 2; Rowenhorst, D. et al.
    (2015). Modelling Simul. Mater. Sci. Eng. 23, 083501, appendix A.
    """
    phi1, phi, phi2 = (euler[..., i] for i in range(3))
    total, difference = 0.5 * (phi1 + phi2), 0.5 * (phi1 - phi2)
    cos, sin = xp.cos(0.5 * phi), xp.sin(0.5 * phi)
    q = xp.stack(
        [
            cos * xp.cos(total),
            -sin * xp.cos(difference),
            -sin * xp.sin(difference),
            -cos * xp.sin(total),
        ],
        -1,
    )
    return xp.where(q[..., :1] < 0.0, -q, q)
