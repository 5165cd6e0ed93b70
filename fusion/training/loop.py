"""Training of any model on any device, that can be stopped and resumed at any step.

The examples of every step, and its learning rate, are pure functions of the seed and of the
number of the step; a checkpoint adds weights, moments of the optimizer and random generators.
On the CPU a resumed training therefore ends in the same bits as one that was never stopped.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn

from xtalfuse.fusion.training.checkpoint import (
    CheckpointError,
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
)
from xtalfuse.fusion.training.device import World

logger = logging.getLogger(__name__)

Loss = Callable[[nn.Module, Sequence[int]], Tensor]  # mean over the examples of these numbers


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Parameters
    ----------
    steps : number of updates
    batch : examples of an update, over all processes
    learning_rate : the largest; it rises over `warmup` steps and falls along a cosine
    warmup : steps
    weight_decay : of AdamW
    clip : largest norm of the gradient
    seed : of the order of examples
    save_every : steps between checkpoints
    """

    steps: int
    batch: int = 4
    learning_rate: float = 5e-3
    warmup: int = 50
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    save_every: int = 100


@dataclass
class History:
    """Loss of each step since the training began, checkpoints included."""

    loss: list[float] = field(default_factory=list)


def batch_indices(seed: int, step: int, count: int, batch: int) -> list[int]:
    """Numbers of the examples of one step: a pure function of its arguments.

    Each epoch is a permutation of all examples that depends on (seed, epoch) alone. A batch
    runs on into the next epoch where one ends.

    Parameters
    ----------
    seed : of the order
    step : number of the step, from 0
    count : of all examples
    batch : examples of one step
    """
    positions = range(step * batch, (step + 1) * batch)
    epochs = {position // count for position in positions}
    order = {epoch: np.random.default_rng([seed, epoch]).permutation(count) for epoch in epochs}
    return [int(order[position // count][position % count]) for position in positions]


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of a step."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / (config.warmup + 1)
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.learning_rate * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def train(
    model: nn.Module,
    loss: Loss,
    count: int,
    config: TrainConfig,
    *,
    world: World | None = None,
    checkpoint: str | Path | None = None,
    stop_after: int | None = None,
) -> History:
    """Train `model` in place.

    Parameters
    ----------
    model : is moved to the device of `world`
    loss : of (model, numbers of examples), the mean over them
    count : number of examples there are
    world : device and processes; one process on the CPU if not given
    checkpoint : file to write to and, where it exists, to resume from
    stop_after : last step of this call, for a training in instalments

    Raises
    ------
    ValueError
        If there are fewer examples in a batch than processes, or no examples.
    FloatingPointError
        If a loss is not finite; the message names the step and its examples.
    CheckpointError
        If `checkpoint` is damaged or of another configuration.
    """
    world = world or World(torch.device("cpu"))
    if count < 1 or config.batch < world.size:
        raise ValueError(
            f"{count} examples, batches of {config.batch} for {world.size} processes; every "
            "process needs an example at every step"
        )
    model.to(world.device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    history = History()
    if checkpoint is not None and Path(checkpoint).exists():
        _resume(Path(checkpoint), model, optimizer, history, config, count, world)
    shared = nn.parallel.DistributedDataParallel(model) if world.size > 1 else model
    begin, end = len(history.loss), min(config.steps, stop_after or config.steps)
    started = time.monotonic()
    for step in range(begin, end):
        examples = batch_indices(config.seed, step, count, config.batch)
        history.loss.append(_update(shared, optimizer, loss, examples, config, step, world))
        last = step + 1 == end
        if checkpoint is not None and world.first and (last or (step + 1) % config.save_every == 0):
            save_checkpoint(
                checkpoint, _state(model, optimizer, history, config, count, world.device)
            )
        if world.first and (last or (step + 1) % max(1, config.steps // 20) == 0):
            recent = float(np.mean(history.loss[-max(1, config.steps // 20) :]))
            spent = time.monotonic() - started
            logger.info("step %d/%d: loss %.5f, %.0f s", step + 1, config.steps, recent, spent)
    return history


def _update(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Loss,
    examples: Sequence[int],
    config: TrainConfig,
    step: int,
    world: World,
) -> float:
    """One step; the loss over the examples of all processes."""
    own = examples[world.rank :: world.size]
    # DDP averages the gradients of processes; weighted so, that is the mean over all examples
    value = loss(model, own) * (len(own) * world.size / len(examples))
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    total = value.detach().clone()
    if world.size > 1:
        distributed.all_reduce(total)
        total /= world.size
    if not torch.isfinite(total):
        raise FloatingPointError(
            f"step {step}: the loss of the examples {list(examples)} is {float(total)}; look "
            "for values that are not finite in them, or lower the learning rate"
        )
    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, step)
    optimizer.step()
    return float(total)


def _state(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    config: TrainConfig,
    count: int,
    device: torch.device,
) -> dict[str, Any]:
    return {
        "config": asdict(config),
        "count": count,
        "model": dict(model.state_dict()),
        "optimizer": optimizer.state_dict(),
        "random": random_state(device),
        "loss": list(history.loss),
    }


def _resume(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    config: TrainConfig,
    count: int,
    world: World,
) -> None:
    state = load_checkpoint(path)
    now = {**asdict(config), "count": count}
    then = {**state["config"], "count": state["count"]}
    changed = sorted(name for name in now if now[name] != then.get(name))
    if changed:
        told = ", ".join(f"{name} {then.get(name)} -> {now[name]}" for name in changed)
        raise CheckpointError(f"{path}: of another training ({told}); take another file")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    set_random_state(state["random"], world.device)
    history.loss.extend(state["loss"])
