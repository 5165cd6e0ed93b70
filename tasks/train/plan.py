"""What a training would do, and how long it would take, without doing it."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import numpy as np
import torch

from xtalfuse.fusion.model import FusionModel
from xtalfuse.fusion.training.loop import TrainConfig, train
from xtalfuse.tasks.train.examples import pattern_of
from xtalfuse.tasks.train.fit import Prepared, step_loss

STEPS = 3  # that are measured; the first, which warms up, does not count
COPIES = 4  # of the weights in memory: themselves, gradient, two moments


def plan(made: Prepared) -> dict[str, Any]:
    """Counts, shapes, parameters, memory, and the time of all steps from a few.

    Encodes every record once, as the training would.
    """
    config, told = made.config, made.config.training
    patterns = Counter(pattern_of(row) for row in made.rows)
    longest = max(sum(len(t.content) for t in row.values()) for row in made.rows)
    with torch.random.fork_rng():
        torch.manual_seed(told.seed)
        model = FusionModel(made.network)
        chosen = np.flatnonzero(made.folds != 0)
        marks: list[float] = []
        loss = step_loss(
            made, chosen, torch.device("cpu"), lambda _: marks.append(time.monotonic())
        )
        settings = TrainConfig(STEPS, told.batch, told.learning_rate, 0)
        train(model, loss, len(chosen), settings)
    step = (marks[-1] - marks[0]) / (STEPS - 1)
    weights = sum(p.numel() for p in model.parameters())
    # of attention: a score of each head for each pair, in every layer, kept for the gradient
    keys = longest + len(config.inputs) + len(config.targets) + config.network.latents
    queries = config.network.latents + len(config.targets) if config.network.latents else keys
    scores = told.batch * config.network.heads * queries * keys * config.network.layers
    return {
        "records": len(made.rows),
        "groups": len(set(made.examples.groups)),
        "folds": dict(Counter(f"fold {k + 1}" for k in sorted(made.folds))),
        "targets": {
            h.name: f"{int(np.isfinite(made.learned[h.name]).sum())} records, {h.kind} {h.unit}"
            for h in made.examples.heads
        },
        "inputs": {
            n: f"{f} numbers a token, {p} in all" for n, (f, p) in made.network.inputs.items()
        },
        "presence patterns": dict(patterns.most_common()),
        "tokens of the largest": longest,
        "parameters": weights,
        "memory, MB": round(4e-6 * (COPIES * weights + 2 * scores)),
        "seconds a step": round(step, 4),
        "minutes in all": round(step * told.steps * config.folds / 60.0, 1),
    }
