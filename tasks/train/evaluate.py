"""How good a trained model is on records that it never saw, beside plain baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xtalfuse.datasets.records.dataset import Dataset
from xtalfuse.encoders.tokens.base import Tokens
from xtalfuse.fusion.conformal import difference
from xtalfuse.fusion.heads import Head, answered
from xtalfuse.tasks.train.baselines import BASELINES, matrix, predicted
from xtalfuse.tasks.train.config import ConfigError
from xtalfuse.tasks.train.distance import slices
from xtalfuse.tasks.train.examples import Examples, examples_of, pattern_of
from xtalfuse.tasks.train.predictor import NETWORK, Predictor, Said, ensemble, losses

ANSWER = "answer"
ALONE = "extra trees"  # what each input is tried alone with


@dataclass(frozen=True)
class Score:
    """How one model does.

    Parameters
    ----------
    who : `ANSWER` (what ``predict`` gives), the network, a baseline, a baseline on one input
    records : that were tested
    score : R2 of a number in its unit; share of right classes
    error : mean absolute error in the unit; logarithmic loss of classes
    covered, width : share of the truths inside the intervals, and their mean width in the unit
        (of classes: mean number of classes); of the answer alone
    """

    who: str
    records: int
    score: float
    error: float
    covered: float | None = None
    width: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """One target on one part of a dataset.

    Parameters
    ----------
    target, kind, unit, by : by: who answers
    scores : the answer first
    patterns : presence pattern -> the answer on the records that have it
    groups : number of groups among the records
    gain : mean, low and high of the loss of the answer minus that of the best baseline on unseen
        folds of training; 95 % interval over groups. Below zero the answer is better.
    network_gain : the same of the network alone
    rival : that baseline
    """

    target: str
    kind: str
    unit: str
    by: str
    scores: tuple[Score, ...]
    patterns: Mapping[str, Score]
    groups: int
    gain: tuple[float, float, float]
    network_gain: tuple[float, float, float]
    rival: str

    @property
    def conclusion(self) -> str:
        """In a sentence: whether fusing was worth it."""
        _, low, high = self.network_gain
        verdict = (
            f"better than {self.rival}" if high < 0.0
            else f"worse than {self.rival}: use {self.rival}" if low > 0.0
            else f"no better than {self.rival} by these records: use {self.rival}"
        )  # fmt: skip
        return (
            f"{self.target}: the network alone is {verdict} (difference of loss "
            f"{self.network_gain[0]:+.3f}, 95 % {low:+.3f} to {high:+.3f}, over {self.groups} "
            f"groups); predict answers by {self.by}"
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "conclusion": self.conclusion}


def unlearned(model: Predictor, part: str | None = None) -> Dataset:
    """The parts of the split of a model that it did not learn from, or one of them.

    Raises
    ------
    ConfigError
        If there is no such part, or it was learned from.
    """
    parts = Dataset(model.config.dataset).split(model.config.split)
    others = [name for name in parts if name != model.config.learn]
    if part is not None and part not in others:
        raise ConfigError(f"--part {part}: give one of {', '.join(others)}")
    found = parts[part or others[0]]
    for name in others[1:] if part is None else ():
        found = found | parts[name]
    return found


def evaluate(model: Predictor, dataset: Dataset) -> list[Evaluation]:
    """Judge a model on labelled records.

    Parameters
    ----------
    dataset : a part of a split that was not learned from

    Raises
    ------
    ConfigError
        If no record there has a label of the targets, or they have another unit.
    """
    examples = examples_of(dataset, model.config, model.heads)
    if not examples.ids:
        raise ConfigError("no record has a label of the targets; take another part or dataset")
    rows = [model.encode(item) for item in examples.items]
    said = model.say(rows)
    outputs = ensemble(model.network, model.states, rows)
    found = []
    for head in model.heads:
        known = np.isfinite(examples.labels[head.name])
        if known.any():
            network = answered(head, [o[head.name] for o in outputs])[0]
            found.append(_target(model, head, examples, rows, said[head.name], network, known))
    return found


def _target(
    model: Predictor, head: Head, examples: Examples, rows: Sequence[Mapping[str, Tokens]],
    said: Said, network: np.ndarray, known: np.ndarray,
) -> Evaluation:  # fmt: skip
    truth = head.learned(examples.labels[head.name])
    x = matrix(rows, model.network.inputs)
    learned = model.learned[head.name]
    answers = {ANSWER: said.learned, NETWORK: network}
    answers |= {who: predicted(who, head, model.features, learned, x) for who in BASELINES}
    covered = _covered(head, said, truth)
    width = (said.high - said.low) if head.kind == "number" else _lengths(said)
    table = [_score(who, head, answer[known], truth[known]) for who, answer in answers.items()]
    extra = {"covered": float(covered[known].mean()), "width": float(width[known].mean())}
    table[0] = Score(**{**asdict(table[0]), **extra})
    table += _alone(model, head, x, truth, known)
    patterns = np.array([pattern_of(row) for row in rows], object)
    by_pattern = {}
    for name in sorted(set(patterns[known])):
        here = known & (patterns == name)
        one = _score(ANSWER, head, said.learned[here], truth[here])
        extra = {"covered": float(covered[here].mean()), "width": float(width[here].mean())}
        by_pattern[str(name)] = Score(**{**asdict(one), **extra})
    rule = model.rules[head.name]
    groups = [g for g, k in zip(examples.groups, known, strict=True) if k]
    loss = {who: losses(head, answer[known], truth[known]) for who, answer in answers.items()}
    return Evaluation(
        head.name, head.kind, head.unit, rule.by, tuple(table), by_pattern, len(set(groups)),
        difference(loss[ANSWER], loss[rule.baseline], groups),
        difference(loss[NETWORK], loss[rule.baseline], groups), rule.baseline,
    )  # fmt: skip


def _alone(
    model: Predictor, head: Head, x: np.ndarray, truth: np.ndarray, known: np.ndarray
) -> list[Score]:
    """A baseline on each input alone, tested on the records that have it."""
    found = []
    learned = model.learned[head.name]
    for name, columns in slices(model.network.inputs).items():
        there = known & np.isfinite(x[:, columns]).all(axis=1)
        had = np.isfinite(model.features[:, columns]).all(axis=1)
        if len(model.network.inputs) < 2 or there.sum() < 2 or not np.isfinite(learned[had]).any():
            continue
        answer = predicted(
            ALONE, head, model.features[had][:, columns], learned[had], x[there][:, columns]
        )
        found.append(_score(f"{ALONE}, {name} alone", head, answer, truth[there]))
    return found


def _score(who: str, head: Head, answer: np.ndarray, truth: np.ndarray) -> Score:
    if head.kind == "class":
        right = answer.argmax(axis=1) == truth
        return Score(
            who, len(truth), float(right.mean()), float(losses(head, answer, truth).mean())
        )
    values, given = head.told(answer), head.told(truth)
    spread = float(np.mean((given - given.mean()) ** 2))
    r2 = 1.0 - float(np.mean((values - given) ** 2)) / spread if spread else float("nan")
    return Score(who, len(truth), r2, float(np.abs(values - given).mean()))


def _covered(head: Head, said: Said, truth: np.ndarray) -> np.ndarray:
    """(n,) whether the interval or the classes hold the truth; anything without a label."""
    if head.kind == "number":
        given = head.told(truth)
        return (said.low <= given) & (given <= said.high)
    return np.array([
        np.isfinite(t) and head.classes[int(t)] in names
        for t, names in zip(truth, said.classes, strict=True)
    ])  # fmt: skip


def _lengths(said: Said) -> np.ndarray:
    return np.array([len(names) for names in said.classes], float)


def as_rows(found: Evaluation) -> list[dict[str, str]]:
    """One row of a table for each model, then for each presence pattern."""
    first, second = ("right", "log loss") if found.kind == "class" else ("R2", "MAE")
    named = [(s.who, s) for s in found.scores]
    named += [(f"{ANSWER}, {name}", s) for name, s in found.patterns.items()]
    return [
        {
            found.target: who, "records": str(s.records), first: f"{s.score:.3f}",
            f"{second} {found.unit}".strip(): f"{s.error:.4g}",
            "covered": "" if s.covered is None else f"{s.covered:.0%}",
            "mean width": "" if s.width is None else f"{s.width:.3g}",
        }
        for who, s in named
    ]  # fmt: skip
