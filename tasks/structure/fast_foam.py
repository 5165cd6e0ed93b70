"""The stiffness of a foam in milliseconds, where the surrogate for porous metals holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xtalfuse.encoders.volume.segment import VolumeSegmentation
from xtalfuse.physics.estimate import Estimate
from xtalfuse.physics.mechanics.elasticity import hill_moduli, isotropic_stiffness
from xtalfuse.tasks.structure.materials import Material, constants_used

if TYPE_CHECKING:
    from xtalfuse.encoders.networks.foam import PorousSurrogate

SHARES = (0.25, 0.45)  # of metal, in the foams that the surrogate was fitted to
ELSEWHERE = 0.18  # difference to the FFT, root mean square, on foams unlike those: benchmarks.md
METHOD = "surrogate for porous metals, fitted to homogenized foams of gold"
ANOTHER = "fitted to foams of waves with 25 to 45 % metal, of gold crystals"


def longitudinal_scale(surrogate: PorousSurrogate, crystal: np.ndarray) -> float:
    """GPa that the surrogate's relative moduli are multiplied by for an untextured metal.

    Walls of a foam bend (Gibson & Ashby): it is as stiff as the Young's modulus of its metal,
    not as C11, which may be twice as far from it in gold as in aluminium.

    Parameters
    ----------
    surrogate : fitted to a metal of its own
    crystal : (6, 6) stiffness of the metal's crystal, Mandel, GPa
    """
    fitted = hill_moduli(np.array(surrogate.config.solid))
    own = hill_moduli(crystal)
    whole = np.asarray(isotropic_stiffness(fitted.bulk, fitted.shear))
    return float(whole[0, 0] * own.young / fitted.young)


def fast_moduli(
    segmentation: VolumeSegmentation, materials: Sequence[Material]
) -> tuple[Estimate, ...] | str:
    """Longitudinal moduli along x, y and z, or why the surrogate does not hold.

    Parameters
    ----------
    segmentation : of a volume
    materials : of its phases
    """
    import torch

    from xtalfuse.encoders.networks.foam import load_porous_surrogate

    metals = [number for number, found in enumerate(materials) if not found.phase.pore]
    if len(materials) != 2 or len(metals) != 1:
        return "it knows one solid with pores"
    metal = materials[metals[0]]
    if metal.elastic is None:
        return "the elastic constants of the solid are not known"
    share = float(segmentation.fractions[metals[0]])
    if not SHARES[0] <= share <= SHARES[1]:
        return f"{share:.0%} is solid, and it knows {SHARES[0]:.0%} to {SHARES[1]:.0%}"
    if len(set(segmentation.core.shape)) != 1 or len(set(segmentation.step_um)) != 1:
        return "it knows cubes of cubic voxels"
    surrogate = load_porous_surrogate()
    edge = segmentation.core.shape[0] // surrogate.config.cells * surrogate.config.cells
    if not edge:
        return f"it needs {surrogate.config.cells} voxels along each edge"
    solid = np.ascontiguousarray(segmentation.core[:edge, :edge, :edge].transpose(2, 1, 0))
    told = surrogate(torch.from_numpy(solid == metals[0])[None])
    scale = longitudinal_scale(surrogate, metal.elastic.stiffness.copy()) / surrogate.unit
    fitted = (surrogate.uncertainty(told) / told)[0].numpy()
    spread = np.sqrt(fitted**2 + ELSEWHERE**2 + metal.elastic.relative_uncertainty**2)
    return tuple(
        Estimate(
            "longitudinal_modulus",
            scale * value,
            scale * value * float(relative),
            "GPa",
            METHOD,
            (*constants_used([metal]), "the volume is repeated periodically"),
            f"{ANOTHER}; elsewhere {ELSEWHERE:.0%} from the FFT; no other modulus is told",
            direction=axis,
        )
        for axis, value, relative in zip("xyz", told[0].tolist(), spread, strict=True)
    )
