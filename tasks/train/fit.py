"""From a configuration to a trained model: folds, networks, baselines, who answers, intervals."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.datasets.splits.partition import partition
from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.fusion.conformal import conformal, difference
from xtalfuse.fusion.heads import answered
from xtalfuse.fusion.model import FusionConfig, FusionModel, collate, shifted, without
from xtalfuse.fusion.training.device import World
from xtalfuse.fusion.training.loop import TrainConfig, train
from xtalfuse.tasks.train.baselines import BASELINES, matrix, predicted
from xtalfuse.tasks.train.config import Config, ConfigError
from xtalfuse.tasks.train.distance import measured
from xtalfuse.tasks.train.examples import Encoded, Examples, examples_of, fitted, pattern_of, shapes
from xtalfuse.tasks.train.predictor import (
    MODEL,
    NETWORK,
    WITNESSES,
    Predictor,
    Rule,
    ensemble,
    load,
    losses,
    scores,
)

logger = logging.getLogger(__name__)

WORK = "work"
RUN = "run.json"
SAVE_EVERY = 100  # steps
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the network, that are tried
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Prepared:
    """Everything that a training needs.

    Parameters
    ----------
    examples, rows : of the part that is learned from, and their tokens
    folds : (n,) fold of each
    network : shape of each network
    key : sha256 of all that the result depends on
    """

    config: Config
    examples: Examples
    rows: Encoded
    folds: np.ndarray
    network: FusionConfig
    key: str

    @property
    def learned(self) -> dict[str, np.ndarray]:
        """Target -> (n,) labels on the learned scale."""
        return {h.name: h.learned(self.examples.labels[h.name]) for h in self.examples.heads}


def prepare(config: Config) -> Prepared:
    """Read the table, fit what inputs need, cut the folds; no array is read but to know shapes.

    Raises
    ------
    ConfigError
        If the configuration does not fit the dataset; StoreError if that cannot be read.
    """
    dataset = Dataset(config.dataset)
    parts = dataset.split(config.split)
    if config.learn not in parts:
        raise ConfigError(f"learn: no part {config.learn!r}; there are {', '.join(parts)}")
    examples = examples_of(parts[config.learn], config)
    settings = fitted(examples.items, config.inputs)
    rows = Encoded(examples.items, settings)
    names = [f"fold {k}" for k in range(config.folds)]
    try:
        folds = partition(
            list(examples.groups), dict.fromkeys(names, 1.0 / config.folds), config.training.seed
        )
    except ValueError as error:
        raise ConfigError(f"folds: {error}; take fewer folds") from None
    size = config.network
    network = FusionConfig(
        shapes(rows, config.inputs), {h.name: h.outputs for h in examples.heads}, config.absent,
        size.width, size.layers, size.heads, size.latents, size.dropout,
    )  # fmt: skip
    return Prepared(config, examples, rows, folds, network, config.sha256(dataset.build_sha256))


def fit(
    made: Prepared,
    out: Path,
    world: World | None = None,
    tell: Tell = lambda done, of, text: None,
) -> Predictor:
    """Train, or go on with what was stopped; nothing of `out` is a model before `save`.

    Each network learns from all folds but one and is judged, as the baselines are, on that one.

    Parameters
    ----------
    out : folder, for checkpoints of the networks

    Raises
    ------
    ConfigError
        If `out` holds another training, or there are too few records for the intervals.
    ValueError
        If a record cannot be used; FloatingPointError if a loss is not finite.
    """
    world = world or World(torch.device("cpu"))
    _begin(made, out, world)
    states, history = [], []
    for fold in range(made.config.folds):
        state, loss = _member(made, fold, out, world, partial(_told, tell, made.config, fold))
        states.append(state)
        history.append(loss)
    _told(tell, made.config, made.config.folds, 0)
    rules, results = _judged(made, states)
    x = matrix(made.rows, made.network.inputs)
    about = {
        "key": made.key,
        "records": len(made.rows),
        "groups": len(set(made.examples.groups)),
        "patterns": _counts([pattern_of(row) for row in made.rows]),
        "unseen_folds": results,
        "parameters": sum(t.numel() for t in states[0].values()),
        "versions": {n: version(n) for n in ("xtalfuse", "torch", "scikit-learn", "numpy")},
    }
    if world.first:
        _write_history(out, history)
    return Predictor(
        made.config, made.network, tuple(states), made.examples.heads, made.rows.settings, rules,
        x, made.learned, measured(x, made.examples.groups, made.network.inputs), about,
    )  # fmt: skip


def _told(tell: Tell, config: Config, fold: int, step: int) -> None:
    steps, last = config.training.steps, fold == config.folds
    name = "baselines" if last else f"network {fold + 1} of {config.folds}"
    tell(fold * steps + step, config.folds * steps, name)


def _begin(made: Prepared, out: Path, world: World) -> None:
    """Claim a folder, or see that it holds this training."""
    note = out / RUN
    if not world.first:
        return
    if note.is_file():
        if json.loads(note.read_text(encoding="utf-8"))["key"] != made.key:
            raise ConfigError(
                f"{out}: of another configuration or build of the dataset; give a new folder"
            )
    elif out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out}: holds something else; give an empty or a new folder")
    else:
        (out / WORK).mkdir(parents=True, exist_ok=True)
        with replacing(note) as temporary:
            temporary.write_text(json.dumps({"key": made.key}), encoding="utf-8")


def _member(
    made: Prepared, fold: int, out: Path, world: World, tell: Callable[[int], None]
) -> tuple[dict[str, Tensor], list[float]]:
    """(weights, losses) of the network that does not see one fold."""
    told = made.config.training
    checkpoint = out / WORK / f"network-{fold}.checkpoint"
    chosen = np.flatnonzero(made.folds != fold)
    settings = TrainConfig(
        told.steps, told.batch, told.learning_rate, min(50, told.steps // 10), told.weight_decay,
        seed=told.seed + fold, save_every=SAVE_EVERY,
    )  # fmt: skip
    if world.first:
        (out / WORK).mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(told.seed + fold)
        model = FusionModel(made.network)
        history = train(
            model, step_loss(made, chosen, world.device, tell), len(chosen), settings, world=world,
            checkpoint=checkpoint,
        )  # fmt: skip
    state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
    return state, history.loss


def step_loss(
    made: Prepared, chosen: np.ndarray, device: torch.device, tell: Callable[[int], None]
) -> Callable[[nn.Module, Sequence[int]], Tensor]:
    """Mean loss of all targets; draws come from torch's generator, which checkpoints keep."""
    labels = {name: torch.from_numpy(v[chosen]).float() for name, v in made.learned.items()}
    jitter = {name: TOKEN_ENCODERS[name].jitter for name in made.config.inputs}
    done = 0

    def loss(model: nn.Module, numbers: Sequence[int]) -> Tensor:
        nonlocal done
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        rows = [
            shifted(without(made.rows[int(chosen[k])], made.network.absent, rng), jitter, rng)
            for k in numbers
        ]
        batch = {n: b.to(device) for n, b in collate(rows, made.network.inputs).items()}
        outputs = model(batch)
        done += 1
        tell(done)
        each = [
            head.loss(outputs[head.name], labels[head.name][list(numbers)].to(device))
            for head in made.examples.heads
        ]
        total = torch.stack(each).mean()
        if not torch.isfinite(total):
            names = ", ".join(made.examples.ids[int(chosen[k])] for k in numbers)
            raise FloatingPointError(
                f"the loss of the records {names} is {float(total)}; look for labels that cannot "
                "be, or lower training.learning_rate"
            )
        return total

    return loss


def unseen_folds(
    made: Prepared, states: Sequence[Mapping[str, Tensor]]
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Target -> who -> (answer, sigma) of each record by models that did not learn from it.

    Sigma is that of the network, for the baselines too: it only spreads the intervals.

    Parameters
    ----------
    states : weights of the network of each fold; none for the baselines alone
    """
    x = matrix(made.rows, made.network.inputs)
    found: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for head in made.examples.heads:
        shape = (len(x),) if head.kind == "number" else (len(x), len(head.classes))
        each = {who: np.zeros(shape) for who in ((NETWORK, *BASELINES) if states else BASELINES)}
        sigma = np.ones(len(x))
        learned = made.learned[head.name]
        for fold in range(made.config.folds):
            out, kept = np.flatnonzero(made.folds == fold), made.folds != fold
            for who in BASELINES:
                each[who][out] = predicted(who, head, x[kept], learned[kept], x[out])
            if states:
                said = ensemble(made.network, [states[fold]], (made.rows[int(k)] for k in out))[0]
                each[NETWORK][out], sigma[out] = answered(head, [said[head.name]])
        found[head.name] = {who: (answer, sigma) for who, answer in each.items()}
    return found


def unseen_losses(
    made: Prepared, states: Sequence[Mapping[str, Tensor]] = ()
) -> dict[str, dict[str, float]]:
    """Target -> who -> mean loss on unseen folds: squared, in deviations, or logarithmic."""
    found = unseen_folds(made, states)
    return {
        head.name: {
            who: float(np.nanmean(losses(head, answer, made.learned[head.name])))
            for who, (answer, _) in found[head.name].items()
        }
        for head in made.examples.heads
    }


def finished(made: Prepared, out: Path) -> Predictor | None:
    """The model of this training, where it is there already."""
    if not (out / MODEL).is_file():
        return None
    _begin(made, out, World(torch.device("cpu")))
    return load(out)


def tidy(out: Path) -> None:
    """Remove checkpoints, now that the model is there."""
    shutil.rmtree(out / WORK, ignore_errors=True)


def _judged(
    made: Prepared, states: Sequence[Mapping[str, Tensor]]
) -> tuple[dict[str, Rule], dict[str, Any]]:
    """(who answers each target, mean loss of each on unseen folds).

    The network has a share only where the answer is then better than the best baseline by an
    interval, drawn over groups, that does not hold zero.
    """
    patterns = [pattern_of(row) for row in made.rows]
    x = matrix(made.rows, made.network.inputs)
    judged = unseen_folds(made, states)
    rules, results = {}, {}
    for head in made.examples.heads:
        truth = made.learned[head.name]
        known = np.isfinite(truth)
        groups = [g for g, k in zip(made.examples.groups, known, strict=True) if k]
        said = judged[head.name]
        mean = {w: float(losses(head, a, truth)[known].mean()) for w, (a, _) in said.items()}
        best = min(BASELINES, key=lambda who: mean[who])
        (network, sigma), (plain, _) = said[NETWORK], said[best]
        mixtures = {share: share * network + (1.0 - share) * plain for share in (0.0, *SHARES)}
        each = {share: losses(head, m, truth)[known] for share, m in mixtures.items()}
        share = min(SHARES, key=lambda s: float(each[s].mean()))
        gain = difference(each[share], each[0.0], groups)
        if gain[2] >= 0.0:
            share = 0.0
        try:
            level = conformal(
                scores(head, mixtures[share], sigma, truth), patterns, made.config.coverage
            )
        except ValueError as error:
            raise ConfigError(f"target {head.name!r}: {error}") from None
        witness = predicted(best, head, x, truth, x[:WITNESSES])
        rules[head.name] = Rule(best, share, level, tuple(float(w) for w in witness.ravel()))
        results[head.name] = {"loss": mean, "best_baseline": best, "share": share, "gain": gain}
    return rules, results


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in sorted(set(names))}


def _write_history(out: Path, history: Sequence[Sequence[float]]) -> None:
    """``history.csv``: the loss of each network at each step."""
    lines = ["step," + ",".join(f"network_{k + 1}" for k in range(len(history)))]
    for step, row in enumerate(zip(*history, strict=True), 1):
        lines.append(f"{step}," + ",".join(f"{value:.6g}" for value in row))
    with replacing(out / "history.csv") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
