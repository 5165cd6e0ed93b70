"""Train the grain network on labelled polycrystals.

    python -m xtalfuse.tasks.mechanics.train_grains --data DIR [DIR ...] --out grains.safetensors

Runs on any device, alone or under ``torchrun``; goes on from its checkpoint when called again.
The weights that come with the package say in ``encoders/weights/grains.json`` how they were
trained, on the datasets of three recipes, ``xtalfuse dataset simulate varied.yaml -o sets/varied``:

    varied.yaml     seed: 11
                    sets: [{kind: mechanics, metals: [Cu, Ti, Li, Ni, Mg], count: 48,
                    grains: [20, 150], cv: [0.15, 0.6], aspect: [0.4, 2.5], texture: any}]
    random100.yaml  sets: [{kind: mechanics, metals: [Cu, Ti], count: 48}]
    random20.yaml   seed: 1
                    sets: [{kind: mechanics, count: 48, grains: [20, 20], metals: [Cu, Ti, Al, Ni,
                    Ag, Au, Fe, Nb, Mg, Zr, Co, Pd, W, Mo, Cd]}]

Zinc and lead are in none of them, so that they can show what the network does not know.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.utils import scatter

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets.mechanics_sample import MechanicsSample, SingleCrystal
from xtalfuse.encoders.networks.grains import GrainNetwork, GrainNetworkConfig
from xtalfuse.encoders.networks.pairs import grain_stiffness, pair_data
from xtalfuse.encoders.networks.weights import save_weights
from xtalfuse.fusion.training.device import world
from xtalfuse.fusion.training.loop import TrainConfig, train
from xtalfuse.tasks.mechanics.calibrate_grains import calibrate, open_example, with_truth
from xtalfuse.tasks.mechanics.grains import grain_kinds

logger = logging.getLogger(__name__)

OPEN_SEED, CALIBRATION_SEED = 1_000_000, 2_000_000  # of open volumes; no set holds them


def example(sample: MechanicsSample) -> Data:
    """What the network reads of a sample, and what it shall reproduce; float64.

    Besides ``pair_data``: ``stress`` (n, 6, 6), GPa, [grain, component, mean strain of 1 in
    this component]; ``share`` (n,) of the volume; ``spread`` (1,), the mean squared distance
    of ``stress`` from the effective stiffness, GPa^2; ``kind`` of each grain.
    """
    data = pair_data(sample.graph, grain_stiffness(sample.graph, [sample.crystal_stiffness]))
    stress = torch.as_tensor(sample.stress, dtype=torch.float64).permute(1, 2, 0)
    return with_truth(data, stress, grain_kinds(sample.graph))


def stress_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean squared error of the stress of the grains over the spread of the true stresses."""
    error = batch.stiffness @ model(batch).concentration - batch.stress
    each = scatter(batch.share[:, None, None] * error**2, batch.batch, 0, len(batch.spread))
    return (each.sum(dim=(-1, -2)) / batch.spread).mean()


def chosen_samples(
    folders: Sequence[Path], without: Sequence[str], begin: int, end: int
) -> Iterator[MechanicsSample]:
    """Samples number `begin` to `end` of each metal in each folder of a set."""
    for folder in folders:
        samples, seen = Dataset(folder), Counter[str]()
        for number, metal in enumerate(samples.groups):
            if metal not in without and begin <= seen[metal] < end:
                yield samples[number]
            seen[metal] += 1


def _single(data: Data) -> Data:
    return data.apply(lambda each: each.float() if each.is_floating_point() else each)


def crystal_of(sample: MechanicsSample) -> SingleCrystal:
    """The single crystal of a sample of one phase."""
    rows = tuple(tuple(row) for row in sample.crystal_stiffness.tolist())
    return SingleCrystal(sample.material, str(sample.graph.phases[0].laue), rows)


def _opened(crystals: dict[str, SingleCrystal], each: int, seed: int) -> list[Data]:
    """Open volumes of the crystals in turn."""
    order = [crystals[name] for name in sorted(crystals)]
    return [open_example(order[k % len(order)], k, seed=seed) for k in range(each * len(order))]


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, calibrate and write weights."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given.without = [name for name in given.without.split(",") if name]
    examples, metals = _training_examples(given)
    logger.info("%d examples: %s", len(examples), metals)
    size = GrainNetworkConfig(hidden=given.hidden)
    config = TrainConfig(given.steps, given.batch, given.learning_rate, seed=given.seed)
    torch.manual_seed(given.seed)
    model = GrainNetwork(size)
    with world(given.device) as here:

        def loss(network: nn.Module, numbers: Sequence[int]) -> Tensor:
            batch = Batch.from_data_list([examples[number] for number in numbers])
            return stress_loss(network, batch.to(here.device))

        history = train(model, loss, len(examples), config, world=here, checkpoint=given.checkpoint)
        if not here.first:
            return
    about = {
        "command": "python -m xtalfuse.tasks.mechanics.train_grains "
        + " ".join(map(str, arguments or sys.argv[1:])),
        "seed": given.seed,
        "network": asdict(size),
        "training": asdict(config),
        "examples": metals,
        "final_loss": sum(history.loss[-50:]) / len(history.loss[-50:]),
        "calibration": _calibration(model.cpu(), given),
    }
    save_weights(given.out, model.float().state_dict(), about)


def _training_examples(given: argparse.Namespace) -> tuple[list[Data], dict[str, int]]:
    """Periodic and open examples, float32, and how many there are of each metal."""
    counts, crystals, examples = Counter[str](), {}, []
    for sample in chosen_samples(given.data, given.without, 0, given.limit):
        counts[sample.material] += 1
        crystals[sample.material] = crystal_of(sample)
        examples.append(example(sample))
    opened = _opened(crystals, given.open, OPEN_SEED + given.seed)
    for data in (*examples, *opened):
        del data.kind
    return [_single(d) for d in (*examples, *opened)], {**counts, "open": len(opened)}


def _calibration(model: GrainNetwork, given: argparse.Namespace) -> dict[str, Any]:
    """Widths of intervals, from the examples that follow those of the training."""
    where, end = given.calibrate_on or given.data, given.limit + given.calibrate
    held = list(chosen_samples(where, given.without, given.limit, end))
    crystals = {sample.material: crystal_of(sample) for sample in held}
    opened = _opened(crystals, given.calibrate_open, CALIBRATION_SEED + given.seed)
    network = model.double().requires_grad_(False)
    return calibrate(network, [example(sample) for sample in held], opened)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train the grain network.")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sets")
    parser.add_argument("--out", type=Path, required=True, help="name.safetensors")
    parser.add_argument("--without", default="", help="metals to leave out, as in Zn,Pb")
    parser.add_argument("--limit", type=int, default=100, help="examples of each metal and set")
    parser.add_argument("--open", type=int, default=10, help="open volumes of each metal")
    parser.add_argument("--calibrate", type=int, default=20, help="the next ones, to calibrate on")
    parser.add_argument("--calibrate-open", type=int, default=3, help="open ones of each metal")
    parser.add_argument("--calibrate-on", type=Path, nargs="+", help="other sets to calibrate on")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--hidden", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps or xpu")
    parser.add_argument("--checkpoint", type=Path, help="to go on from, if it is there")
    return parser


if __name__ == "__main__":
    main()
