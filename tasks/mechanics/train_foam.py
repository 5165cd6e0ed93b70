"""Fit the surrogate for porous metals to foams that the full homogenization has labelled.

    python -m xtalfuse.tasks.mechanics.train_foam --labels foams.npz --out porous_gold.safetensors

Labels are made once and kept in the file that ``--labels`` names; a labelling that was stopped
goes on. Fitting takes seconds.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.simulate.wave_foam import WaveFoamSpec, wave_foam
from xtalfuse.encoders.networks.foam import PorousConfig, PorousSurrogate
from xtalfuse.encoders.networks.weights import save_weights
from xtalfuse.physics.mechanics.elasticity import mandel_from_voigt
from xtalfuse.physics.mechanics.homogenization import homogenize

logger = logging.getLogger(__name__)

SEED = 2026
FOAMS = WaveFoamSpec(size=48, squared_waves=(6, 9, 14), fraction=(0.25, 0.45))
GOLD_GPA = (192.9, 163.8, 41.5)  # C11, C12, C44
SOFTEST_GPA = 1.0  # foams softer than half a per cent of the metal hang by a neck or by none
LABEL_TOLERANCE = 1e-2  # the stiffness of 48^3 foams is then too high by 0.2 to 0.6 %


def gold() -> Tensor:
    """(6, 6) stiffness of a gold crystal whose axes lie along the volume's, Mandel, GPa."""
    c11, c12, c44 = GOLD_GPA
    voigt = torch.zeros(6, 6, dtype=torch.float64)
    voigt[:3, :3] = c12
    voigt.diagonal()[:] = torch.tensor([c11] * 3 + [c44] * 3, dtype=torch.float64)
    return mandel_from_voigt(voigt)


def full_stiffness(solid: np.ndarray) -> np.ndarray:
    """(3, 3) stiffness to strain along the axes of a porous volume, GPa, by the rotated scheme.

    Parameters
    ----------
    solid : (X, Y, Z) 1 in the metal, 0 elsewhere
    """
    metal = gold().float()
    found = homogenize(
        torch.from_numpy(solid.astype(np.int64)),
        torch.stack([torch.zeros_like(metal), metal]),
        loads=torch.eye(6)[:3],
        scheme="rotated",
        tolerance=LABEL_TOLERANCE,
    )
    return found.stiffness.numpy()


def label_foams(count: int, path: Path) -> tuple[Tensor, Tensor]:
    """Foams (count, X, Y, Z) uint8 and their C11, C22, C33 (count, 3), GPa; labels in `path`."""
    known = (
        np.load(path, allow_pickle=False)["stiffness_gpa"] if path.exists() else np.empty((0, 3))
    )
    foams = np.stack([wave_foam(SEED, index, FOAMS) for index in range(count)])
    for index in range(len(known), count):
        known = np.concatenate([known, full_stiffness(foams[index]).diagonal()[None]])
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, stiffness_gpa=known)
        logger.info("foam %d of %d: %s GPa", index + 1, count, np.round(known[-1], 3))
    return torch.from_numpy(foams), torch.from_numpy(known[:count])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--foams", type=int, default=150)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    foams, stiffness = label_foams(arguments.foams, arguments.labels)
    if arguments.out is None:
        return
    solid = tuple(tuple(row) for row in gold().tolist())
    spans = (stiffness > SOFTEST_GPA).all(dim=1)
    model = PorousSurrogate(PorousConfig(solid)).fit(foams[spans], stiffness[spans])
    typical = torch.tensor([1.0, 4.0, 8.0], dtype=torch.float64)
    logger.info("uncertainty of 1, 4, 8 GPa: %s", model.uncertainty(typical).tolist())
    config = {
        "surrogate": model.config.to_dict(),
        "seed": SEED,
        "foams": {
            "made": arguments.foams,
            "fitted": int(spans.sum()),
            "size": FOAMS.size,
            "squared_waves": list(FOAMS.squared_waves),
            "fraction": list(FOAMS.fraction),
        },
        "labels": f"homogenize, rotated scheme, tolerance {LABEL_TOLERANCE}",
        "command": "python -m xtalfuse.tasks.mechanics.train_foam "
        f"--labels {arguments.labels.name} --foams {arguments.foams} --out {arguments.out.name}",
    }
    save_weights(arguments.out, model.state_dict(), config)


if __name__ == "__main__":
    main()
