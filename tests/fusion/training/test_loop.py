"""Training is a function of its seed, can be stopped anywhere, and runs in many processes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from xtalfuse.fusion.training.checkpoint import CheckpointError
from xtalfuse.fusion.training.device import World, choose_device, world
from xtalfuse.fusion.training.loop import TrainConfig, batch_indices, learning_rate, train

CONFIG = TrainConfig(steps=30, batch=4, learning_rate=1e-2, warmup=5, save_every=7)
X = torch.linspace(-2.0, 2.0, 22)[:, None]
Y = 2.0 * X + 1.0


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Dropout(0.1), nn.Linear(16, 1))


def loss(network: nn.Module, numbers: Sequence[int]) -> Tensor:
    return ((network(X[numbers]) - Y[numbers]) ** 2).mean()


def bits(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())


def test_every_epoch_holds_every_example_once():
    count, batch = 22, 4  # 11 batches are two epochs; the sixth runs over the end of the first
    numbers = [n for step in range(11) for n in batch_indices(5, step, count, batch)]
    assert Counter(numbers[:22]) == Counter(range(22)) == Counter(numbers[22:])
    assert numbers[:22] != numbers[22:]
    assert batch_indices(5, 8, count, batch) == batch_indices(5, 8, count, batch)
    assert batch_indices(6, 8, count, batch) != batch_indices(5, 8, count, batch)


def test_more_examples_in_a_batch_than_there_are():
    assert Counter(batch_indices(0, 0, 3, 7)).most_common(1)[0][1] == 3


def test_the_learning_rate_rises_and_falls_to_zero():
    rates = [learning_rate(CONFIG, step) for step in range(CONFIG.steps)]
    assert max(rates) == rates[5] == CONFIG.learning_rate
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert learning_rate(CONFIG, CONFIG.steps) < 1e-15


@pytest.mark.parametrize("stop", [1, 7, 18])
def test_a_resumed_training_ends_in_the_same_bits(tmp_path: Path, stop: int):
    whole = model()
    history = train(whole, loss, len(X), CONFIG)
    checkpoint = tmp_path / "a.ckpt"
    train(model(), loss, len(X), CONFIG, checkpoint=checkpoint, stop_after=stop)
    resumed = model()
    torch.manual_seed(99)  # the dropout must come from the checkpoint
    again = train(resumed, loss, len(X), CONFIG, checkpoint=checkpoint)
    assert again.loss == history.loss
    assert all(map(torch.equal, bits(whole), bits(resumed)))
    assert sum(history.loss[-5:]) < 0.5 * sum(history.loss[:5])


def test_a_killed_training_goes_on_from_its_last_checkpoint(tmp_path: Path):
    whole, checkpoint = model(), tmp_path / "a.ckpt"
    train(whole, loss, len(X), CONFIG)

    calls = iter(range(100))

    def killed(network: nn.Module, numbers: Sequence[int]) -> Tensor:
        if next(calls) == 17:
            raise KeyboardInterrupt
        return loss(network, numbers)

    with pytest.raises(KeyboardInterrupt):
        train(model(), killed, len(X), CONFIG, checkpoint=checkpoint)
    resumed = model()
    train(resumed, loss, len(X), CONFIG, checkpoint=checkpoint)
    assert all(map(torch.equal, bits(whole), bits(resumed)))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path):
    checkpoint = tmp_path / "a.ckpt"
    train(model(), loss, len(X), CONFIG, checkpoint=checkpoint, stop_after=2)
    with pytest.raises(CheckpointError, match=r"seed 0 -> 1"):
        train(model(), loss, len(X), replace(CONFIG, seed=1), checkpoint=checkpoint)


def test_a_loss_that_is_not_finite_names_its_examples():
    def broken(network: nn.Module, numbers: Sequence[int]) -> Tensor:
        return loss(network, numbers) * float("nan")

    with pytest.raises(FloatingPointError, match=r"step 0: the loss of the examples \[.*\] is nan"):
        train(model(), broken, len(X), CONFIG)


def test_every_process_needs_an_example():
    with pytest.raises(ValueError, match="for 8 processes"):
        train(model(), loss, len(X), CONFIG, world=World(torch.device("cpu"), 0, 8))


def test_devices_are_what_is_there():
    assert choose_device("cpu") == torch.device("cpu")
    there = torch.accelerator.current_accelerator(check_available=True)
    assert choose_device("auto") == (there or torch.device("cpu"))
    with pytest.raises(ValueError, match="no device"):
        choose_device("toaster")
    if there is None:
        with pytest.raises(ValueError, match="no cuda on this machine"):
            choose_device("cuda")
    with world("cpu") as alone:
        assert (alone.rank, alone.size, alone.first) == (0, 1, True)


TWO = """
import sys, torch
from torch import nn
from xtalfuse.fusion.training.device import world
from xtalfuse.fusion.training.loop import TrainConfig, train
torch.set_num_threads(1)
X = torch.linspace(-2.0, 2.0, 22)[:, None]
Y = 2.0 * X + 1.0
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
config = TrainConfig(steps=12, batch=3, learning_rate=1e-2, warmup=5)
with world("cpu") as here:
    train(model, lambda net, k: ((net(X[k]) - Y[k]) ** 2).mean(), 22, config, world=here)
    if here.first:
        torch.save([here.size, *(p.detach() for p in model.parameters())], sys.argv[1])
"""


def test_two_processes_find_what_one_finds(tmp_path: Path):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    found = []
    for start in (
        [sys.executable],
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    ):
        place = tmp_path / f"{len(start)}.pt"
        subprocess.run([*start, str(script), str(place)], check=True, timeout=120)
        found.append(torch.load(place))
    (one, *alone), (two, *shared) = found
    assert (one, two) == (1, 2)
    # the sums are taken in another order: float32, twelve steps
    assert all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(alone, shared, strict=True)
    )
