"""How far the foam surrogate is from the FFT, on foams like and unlike those it was fitted to.

Foams of waves that fit the box are those of its training (other seed); foams of a Gaussian field,
of other shares of metal and with round pores are not, nor is an isotropic metal. Nothing is fitted
here; the FFT is that of the labels, with six loads. The difference is of C11, C22 and C33,
relative to the FFT.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from xtalfuse.datasets.constants.elastic import elastic_constants
from xtalfuse.datasets.simulate.ct import balls, foam
from xtalfuse.datasets.simulate.wave_foam import WaveFoamSpec, wave_foam
from xtalfuse.encoders.networks.foam import load_porous_surrogate
from xtalfuse.physics.mechanics.elasticity import hill_moduli, isotropic_stiffness
from xtalfuse.physics.mechanics.homogenization import homogenize
from xtalfuse.tasks.mechanics.train_foam import FOAMS, LABEL_TOLERANCE, gold
from xtalfuse.tasks.structure.fast_foam import longitudinal_scale

SEED = 7  # training has another
EDGE = 48


def _gaussian(share: float) -> Callable[[int], np.ndarray]:
    return lambda index: foam(SEED, index, (EDGE,) * 3, share, 16.0)


def _round_pores(index: int) -> np.ndarray:
    return balls(SEED, index, (EDGE,) * 3, fraction=0.3, radius=(5.0, 8.0))[0] < 0


def cases() -> Iterator[tuple[str, Callable[[int], np.ndarray], str | None]]:
    """Name, volumes by number, and the untextured metal; None for the crystal of gold."""
    crystal = None
    few = WaveFoamSpec(size=EDGE, squared_waves=(3, 5), fraction=FOAMS.fraction)
    yield "as in training", lambda index: wave_foam(SEED, index, FOAMS), crystal
    yield "waves longer than in training", lambda index: wave_foam(SEED, index, few), crystal
    for share in (0.3, 0.4, 0.55, 0.7):
        yield f"Gaussian field, {share:.0%} metal", _gaussian(share), crystal
    for metal in ("gold", "aluminium"):
        yield f"the same, 40 %, isotropic {metal}", _gaussian(0.4), metal
    yield "round pores, crystal", _round_pores, crystal


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--foams", type=int, default=4, help="of each kind")
    parser.add_argument("--only", default="", help="kinds whose name holds this")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    count = arguments.foams
    torch.set_num_threads(1)
    surrogate = load_porous_surrogate()
    print(f"{count} foams of {EDGE}^3 of each kind; difference to the FFT: mean, root mean square")
    figures: dict[str, dict[str, float]] = {}
    for name, volume, untextured in cases():
        if arguments.only not in name:
            continue
        metal, scale = gold().numpy(), surrogate.unit
        if untextured is not None:
            scale = longitudinal_scale(surrogate, elastic_constants(untextured).stiffness.copy())
            hill = hill_moduli(elastic_constants(untextured).stiffness.copy())
            metal = np.asarray(isotropic_stiffness(hill.bulk, hill.shear))
        differences, spent, share = [], np.zeros(2), []
        for index in range(count):
            solid = volume(index).astype(np.int64)
            share.append(solid.mean())
            start = time.process_time()
            moduli = np.stack([np.zeros((6, 6)), metal]).astype(np.float32)
            known = np.asarray(
                homogenize(
                    solid, moduli, scheme="rotated", tolerance=LABEL_TOLERANCE,
                ).stiffness
            ).diagonal()[:3]  # fmt: skip
            middle = time.process_time()
            told = surrogate(torch.from_numpy(solid)[None])[0].numpy() / surrogate.unit
            spent += (middle - start, time.process_time() - middle)
            differences.append(told * scale / known - 1.0)
        off = np.array(differences)
        figures[name] = {
            "share_of_metal": float(np.mean(share)),
            "mean_difference": float(off.mean()),
            "rms_difference": float(np.sqrt(np.mean(off**2))),
            "fft_s": spent[0] / count,
            "surrogate_s": spent[1] / count,
        }
    told({"foams": figures}, arguments.json)


if __name__ == "__main__":
    main()
