"""A trained model: a folder, and what it says of a specimen with whatever records it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xtalfuse.datasets.sets.atomic import replacing
from xtalfuse.encoders.networks.weights import WeightsError, load_weights, save_weights
from xtalfuse.encoders.tokens import TOKEN_ENCODERS
from xtalfuse.encoders.tokens.base import Item, Settings, Tokens
from xtalfuse.fusion.conformal import Conformal
from xtalfuse.fusion.heads import Head, answered
from xtalfuse.fusion.model import FusionConfig, FusionModel, collate
from xtalfuse.tasks.train.baselines import matrix, predicted
from xtalfuse.tasks.train.config import Config
from xtalfuse.tasks.train.distance import Distance
from xtalfuse.tasks.train.examples import encoded, pattern_of

MODEL, TRAINING = "model.safetensors", "training.safetensors"
BATCH = 64
NETWORK = "network"
SMALLEST = 0.05  # standard deviation on the learned scale that a score is divided by, at least
WITNESSES = 8  # training records of which the answer of a baseline is kept


@dataclass(frozen=True)
class Rule:
    """Who answers a target: the best baseline, alone or together with the network.

    Parameters
    ----------
    baseline : the best of them on records that it had not seen
    share : of the network in the answer
    conformal : of the scores on such records
    witness : what the baseline says of the first training records
    """

    baseline: str
    share: float
    conformal: Conformal
    witness: tuple[float, ...]

    @property
    def by(self) -> str:
        """In words."""
        if self.share == 0.0:
            return self.baseline
        return f"{self.share:.0%} {NETWORK}, {1 - self.share:.0%} {self.baseline}"


@dataclass(frozen=True)
class Said:
    """What is said of one target of B specimens.

    Parameters
    ----------
    value : (B,) in the unit; of classes the probability of the first
    low, high : (B,) interval in the unit; NaN of classes
    classes : of each specimen those that the wanted coverage needs, the first first
    learned : (B,) value on the learned scale, or (B, classes) probabilities
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    classes: tuple[tuple[str, ...], ...]
    learned: np.ndarray


@dataclass(frozen=True)
class Predictor:
    """Networks, baselines and intervals, and the training records that they rest on.

    Parameters
    ----------
    config : of the training
    network : shape of each network
    states : weights of each
    heads, settings, rules : of the targets, of the inputs, of the targets again
    features, learned : (n, P) of the training records; target -> (n,) on the learned scale
    distance : from the training records
    about : what is told of it: counts, versions, hashes, results on unseen folds
    """

    config: Config
    network: FusionConfig
    states: tuple[Mapping[str, Tensor], ...]
    heads: tuple[Head, ...]
    settings: Mapping[str, Settings]
    rules: Mapping[str, Rule]
    features: np.ndarray
    learned: Mapping[str, np.ndarray]
    distance: Distance
    about: Mapping[str, Any]

    def encode(self, item: Item) -> dict[str, Tokens]:
        """Tokens of a specimen."""
        return encoded(item, self.settings)

    def unseen(self, item: Item) -> list[str]:
        """What of a specimen no training record has."""
        return [w for n, s in self.settings.items() for w in TOKEN_ENCODERS[n].unseen(item, s)]

    def say(self, rows: Sequence[Mapping[str, Tokens]]) -> dict[str, Said]:
        """Answers for specimens by target."""
        asked = matrix(rows, self.network.inputs)
        outputs = ensemble(self.network, self.states, rows)
        patterns = [pattern_of(row) for row in rows]
        found = {}
        for head in self.heads:
            rule = self.rules[head.name]
            whole = np.concatenate([asked, self.features[:WITNESSES]])
            plain = predicted(rule.baseline, head, self.features, self.learned[head.name], whole)
            self._check(head, plain[len(rows) :])
            mean, sigma = answered(head, [o[head.name] for o in outputs])
            mixed = rule.share * mean + (1.0 - rule.share) * plain[: len(rows)]
            levels = np.array([rule.conformal(p) for p in patterns])
            found[head.name] = said(head, mixed, sigma, levels)
        return found

    def _check(self, head: Head, witness: np.ndarray) -> None:
        rule = self.rules[head.name]
        if not np.allclose(witness.ravel(), rule.witness, rtol=1e-6, atol=1e-6):
            made, there = self.about["versions"]["scikit-learn"], version("scikit-learn")
            raise WeightsError(
                f"{rule.baseline} of {head.name!r} answers its own training records otherwise than "
                f"when it was trained (scikit-learn {made}, here {there}); install "
                f"scikit-learn=={made} or train again"
            )


def said(head: Head, mixed: np.ndarray, sigma: np.ndarray, levels: np.ndarray) -> Said:
    """Values with their intervals, or classes with those that cannot be left out."""
    if head.kind == "number":
        half = levels * np.maximum(sigma, SMALLEST)
        edges = head.told(mixed - half), head.told(mixed + half)
        return Said(head.told(mixed), *edges, ((),) * len(mixed), mixed)
    sets = []
    for chances, level in zip(mixed, levels, strict=True):
        order = np.argsort(-chances, kind="stable")
        inside = [k for k in order if 1.0 - chances[k] <= level] or [int(order[0])]
        sets.append(tuple(head.classes[k] for k in inside))
    none = np.full(len(mixed), np.nan)
    return Said(mixed.max(axis=1), none, none, tuple(sets), mixed)


def scores(head: Head, mixed: np.ndarray, sigma: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) what an interval must reach to hold the truth; NaN without a label.

    Parameters
    ----------
    mixed, truth : on the learned scale
    """
    if head.kind == "number":
        return np.abs(truth - mixed) / np.maximum(sigma, SMALLEST)
    return 1.0 - true_chance(mixed, truth)


def true_chance(chances: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) probability that was given to the true class; NaN without a label."""
    known = np.isfinite(truth)
    found = np.full(len(truth), np.nan)
    found[known] = chances[known, truth[known].astype(int)]
    return found


def losses(head: Head, mixed: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(n,) squared error on the learned scale, or the logarithmic loss of classes."""
    if head.kind == "number":
        return (mixed - truth) ** 2
    return -np.log(np.clip(true_chance(mixed, truth), 1e-3, 1.0))


def ensemble(
    config: FusionConfig,
    states: Iterable[Mapping[str, Tensor]],
    rows: Iterable[Mapping[str, Tokens]],
) -> list[dict[str, Tensor]]:
    """What each network says of specimens, which are read once: target -> (B, outputs)."""
    models = []
    for state in states:
        models.append(FusionModel(config).eval())
        models[-1].load_state_dict(dict(state))
    parts: list[list[dict[str, Tensor]]] = [[] for _ in models]
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        batch = collate(some, config.inputs)
        with torch.no_grad():
            for part, model in zip(parts, models, strict=True):
                part.append(model(batch))
    return [{name: torch.cat([p[name] for p in part]) for name in config.heads} for part in parts]


def save(folder: Path, model: Predictor) -> None:
    """Write a model; its training records first, so that a folder with a model is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"learned.{k}": model.learned[h.name] for k, h in enumerate(model.heads)}
    arrays |= {"features": model.features}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}
    sha256 = save_weights(folder / TRAINING, tensors, {"records": len(model.features)})
    with replacing(folder / "README.md") as temporary:
        temporary.write_text(card(model), encoding="utf-8")
    weights = {f"{k}/{n}": t for k, state in enumerate(model.states) for n, t in state.items()}
    save_weights(folder / MODEL, weights, {
        "training_sha256": sha256,
        "config": model.config.model_dump(mode="json"),
        "network": asdict(model.network),
        "heads": [asdict(head) for head in model.heads],
        "settings": {name: dict(given) for name, given in model.settings.items()},
        "rules": {name: asdict(rule) for name, rule in model.rules.items()},
        "distance": asdict(model.distance),
        "about": dict(model.about),
    })  # fmt: skip


def card(model: Predictor) -> str:
    """What a person should know before using a model."""
    about, lines = model.about, []
    for head in model.heads:
        found, rule = about["unseen_folds"][head.name], model.rules[head.name]
        told = sorted(found["loss"].items(), key=lambda pair: pair[1])
        kind = "logarithmic loss" if head.kind == "class" else "squared error in deviations"
        unit = f"{head.unit}, learned as {head.scale}" if head.kind == "number" else "classes"
        lines += [f"## {head.name} ({unit})", "", f"Answered by: {rule.by}.", "",
                  f"| on folds that were not learned from | {kind} |", "|---|---|"]  # fmt: skip
        lines += [f"| {who} | {loss:.4f} |" for who, loss in told] + [""]
    patterns = ", ".join(f"{name} {count}" for name, count in about["patterns"].items())
    rates = ", ".join(f"{n} {r:g}" for n, r in model.network.absent.items()) or "none"
    return "\n".join([
        "# A predictor of " + ", ".join(head.name for head in model.heads), "",
        f"Learned from {about['records']} records of {about['groups']} groups ({patterns}).",
        f"{len(model.states)} networks of {about['parameters']} weights; inputs that were left out "
        f"in training, with their rates: {rates}.",
        f"Intervals cover {model.config.coverage:.0%} of new records like these, for each set of "
        "inputs that enough records have; see `distance` in predictions for those that are not.",
        f"The folder holds the summaries of its training records ({TRAINING}), from which the "
        "plain models are fitted anew at each use.", "", *lines,
    ])  # fmt: skip


def load(folder: str | Path) -> Predictor:
    """A model as `save` wrote it.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, or is of another model.
    """
    folder = Path(folder)
    if not (folder / MODEL).is_file():
        raise WeightsError(f"{folder}: no trained model; train one: xtalfuse train")
    weights, content = load_weights(folder / MODEL)
    arrays, _ = load_weights(folder / TRAINING)
    if hashlib.sha256((folder / TRAINING).read_bytes()).hexdigest() != content["training_sha256"]:
        raise WeightsError(f"{folder / TRAINING}: of another model; train again")
    network = content["network"]
    network["inputs"] = {name: tuple(shape) for name, shape in network["inputs"].items()}
    heads = tuple(Head(**{**h, "classes": tuple(h["classes"])}) for h in content["heads"])
    members = sorted({name.partition("/")[0] for name in weights}, key=int)
    states: list[dict[str, Tensor]] = [{} for _ in members]
    for name, tensor in weights.items():
        number, _, inner = name.partition("/")
        states[int(number)][inner] = tensor
    rules = {
        name: Rule(**{**rule, "conformal": Conformal(**rule["conformal"])})
        for name, rule in content["rules"].items()
    }
    return Predictor(
        Config.model_validate(content["config"]),
        FusionConfig(**network),
        tuple(states),
        heads,
        content["settings"],
        rules,
        arrays["features"].numpy(),
        {head.name: arrays[f"learned.{k}"].numpy() for k, head in enumerate(heads)},
        Distance(**content["distance"]),
        content["about"],
    )
