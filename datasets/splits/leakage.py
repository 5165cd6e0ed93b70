"""What a random split of a dataset hides: a quick baseline, tested on what shares nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xtalfuse.datasets.splits.partition import partition
from xtalfuse.datasets.splits.split import KEYS, fractions, keys_of, label_values, sets_of

if TYPE_CHECKING:
    import pandas as pd

    from xtalfuse.datasets.records.dataset import Dataset

FOLDS = 5
TREES = 100
LEAST = 20  # records; four in each test
RANDOM = "random"
SHARED = ("near", "composition", "source")  # of which it is told how often they are in both
SHARED_TEXT = (
    "near, composition, source: share of the tested records that have a near duplicate, the same "
    "composition or the same source in training."
)


@dataclass(frozen=True)
class Tested:
    """How well the baseline does when no part shares `by`.

    Parameters
    ----------
    by : a name of `KEYS`, or ``random``: record by record
    sets : of records that stay together
    r2, r2_sd, mae, mae_sd : mean and standard deviation over the seeds; the MAE in the unit
    shared : share of the tested records that have a near duplicate, the same composition or the
        same source in training
    """

    by: str
    sets: int
    r2: float
    r2_sd: float
    mae: float
    mae_sd: float
    shared: Mapping[str, float]


@dataclass(frozen=True)
class Leakage:
    """What may be concluded from the labels of a dataset.

    Parameters
    ----------
    label, unit, records : what was predicted; records with a usable label and features
    features : what it was predicted from
    replicates : records of which another has the same features
    noise : standard deviation of the label among those, in the unit
    best_r2 : what no model of these features can pass, because of the noise
    tested : of a random split first
    left_out : records with the label and without features
    """

    label: str
    unit: str
    records: int
    features: str
    replicates: int
    noise: float
    best_r2: float
    tested: tuple[Tested, ...]
    left_out: int

    @property
    def conclusion(self) -> str:
        """In one sentence."""
        random, *grouped = self.tested
        if not grouped:
            return "a random split alone says nothing of new specimens; test by source too"
        worst = min(grouped, key=lambda tested: tested.r2)
        if random.r2 - worst.r2 > np.hypot(random.r2_sd, worst.r2_sd):
            return (
                f"a random split promises R2 {random.r2:.2f} and a new {worst.by} gets "
                f"{worst.r2:.2f}: report what is split by {worst.by}"
            )
        return f"R2 {worst.r2:.2f} by {worst.by} is within the scatter of a random split"


def leakage(
    dataset: Dataset,
    label: str,
    by: Sequence[str] = (),
    given: Sequence[str] = (),
    seeds: int = 5,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Leakage:
    """Predict a label by extremely randomized trees, tested on random and on whole sets of records.

    Each seed cuts the records into five parts, and each part is predicted from the other four; R2
    and MAE are those of all records. Parts are cut as `split` cuts them.

    Parameters
    ----------
    label : a numeric one
    by : names of `KEYS`; all that more than five sets of records have by default
    given : labels that are known beforehand, such as the temperature of a test: features too
    seeds : cuts, and trees, of each
    workers : threads

    Raises
    ------
    KeyError
        If there is no such label.
    ValueError
        If the label is a text, too few records have it, or a key has too few sets.

    References
    ----------
    Geurts, P., Ernst, D. & Wehenkel, L. (2006). Machine Learning 63, 3 (the trees).
    Meredig, B. et al. (2018). Mol. Syst. Des. Eng. 3, 819 (leaving whole clusters out).
    """
    values = label_values(dataset.table, label)
    if values.dtype.kind != "f":
        raise ValueError(f"label {label!r} is a text; the baseline predicts numbers")
    labelled = dataset.take(values.notna().to_numpy())
    features, names, usable = _features(labelled, [name for name in given if name != label])
    table, x = labelled.table[usable], features[usable]
    y = values.dropna().to_numpy(float)[usable]
    if len(y) < LEAST:
        raise ValueError(
            f"{len(y)} records have {label!r} and features ({names}), {LEAST} are the least; "
            "give compositions or powder patterns in the manifest"
        )
    chosen = [RANDOM, *(by or _worth_testing(table))]
    cuts = {key: _cuts(table, key, seeds) for key in chosen}
    tested = []
    for done, (key, parts) in enumerate(cuts.items()):
        tested.append(_tested(key, parts, x, y, table, workers))
        progress(done + 1, len(cuts))
    count, noise = _noise(x, y)
    unit = str(values.name).rpartition("[")[2].rstrip("]")
    best = 1.0 - noise**2 / float(y.var()) if y.var() else 0.0
    return Leakage(
        label, unit, len(y), names, count, noise, best, tuple(tested), int((~usable).sum())
    )


def _worth_testing(table: pd.DataFrame) -> list[str]:
    found = []
    for key in KEYS:
        try:
            sets = set(sets_of(table, key)) - {""}
        except ValueError:
            continue
        if key != "time" and FOLDS <= len(sets) < len(table):
            found.append(key)
    return found


def _features(dataset: Dataset, given: Sequence[str]) -> tuple[np.ndarray, str, np.ndarray]:
    """((n, k) features, what they are, which records have them)."""
    from xtalfuse.datasets.splits.alike import fingerprint

    formulas = [fractions(text) for text in dataset.table["composition"]]
    powders = dataset.table["modalities"].str.split().map(lambda names: "xrd" in names)
    usable = np.array([bool(formula) for formula in formulas], bool)
    what = "atomic fractions of the elements"
    if usable.sum() >= powders.sum():
        elements = sorted({element for formula in formulas for element in formula})
        columns = [[formula.get(element, 0.0) for element in elements] for formula in formulas]
    else:
        what = "fingerprint of the powder pattern"
        none = np.empty((0, 0))
        profiles = [dataset.powder(n) if has else none for n, has in enumerate(powders)]
        usable = np.array([len(found) > 0 for found in profiles], bool)
        columns = [list(fingerprint(found[0])) if len(found) else [] for found in profiles]
        width = max(map(len, columns), default=0)
        columns = [row or [0.0] * width for row in columns]
    parts = [np.array(columns, float).reshape(len(dataset), -1)]
    parts += [_given(dataset.table, name) for name in given]
    return np.concatenate(parts, axis=1), ", ".join([what, *given]), usable


def _given(table: pd.DataFrame, name: str) -> np.ndarray:
    """(n, k) a number, which may be missing, or a column for each text that a label may be."""
    import pandas as pd

    values = label_values(table, name)
    if values.dtype.kind == "f":
        return values.to_numpy(float)[:, None]
    return pd.get_dummies(values).to_numpy(float)


def _cuts(table: pd.DataFrame, key: str, seeds: int) -> list[np.ndarray]:
    """For each seed the part of each record, -1 of those of which the key is not known."""
    sets = list(table["id"]) if key == RANDOM else sets_of(table, key)
    known = np.array([bool(name) for name in sets])
    shares = {f"part {k}": 1.0 / FOLDS for k in range(FOLDS)}
    cuts = []
    for seed in range(seeds):
        parts = np.full(len(sets), -1)
        parts[known] = partition([name for name in sets if name], shares, seed)
        cuts.append(parts)
    return cuts


def _tested(
    key: str, cuts: list[np.ndarray], x: np.ndarray, y: np.ndarray, table: pd.DataFrame,
    workers: int,
) -> Tested:  # fmt: skip
    from sklearn.ensemble import ExtraTreesRegressor

    same = {name: _same(table, name) for name in SHARED}
    scores, shared = [], []
    for seed, parts in enumerate(cuts):
        inside = parts >= 0
        found = np.full(len(y), np.nan)
        for part in range(FOLDS):
            test = parts == part
            trees = ExtraTreesRegressor(TREES, random_state=seed, n_jobs=workers)
            trees.fit(x[inside & ~test], y[inside & ~test])
            found[test] = trees.predict(x[test])
        wrong = found[inside] - y[inside]
        scores.append((1.0 - float((wrong**2).mean() / y[inside].var()), np.abs(wrong).mean()))
        shared.append([_in_training(keys, parts) for keys in same.values()])
    r2, mae = map(float, np.mean(scores, axis=0))
    r2_sd, mae_sd = map(float, np.std(scores, axis=0))
    sets = len(table) if key == RANDOM else len(set(sets_of(table, key)) - {""})
    means = dict(zip(SHARED, map(float, np.mean(shared, axis=0)), strict=True))
    return Tested(key, sets, r2, r2_sd, mae, mae_sd, means)


def _same(table: pd.DataFrame, name: str) -> list[str]:
    if name == "near":
        return list(table["near"])
    return keys_of(table, name) if any(KEYS[name](table)) else [""] * len(table)


def _in_training(keys: Sequence[str], parts: np.ndarray) -> float:
    """Share of the records of which another in another part has the same key."""
    where: dict[str, set[int]] = {}
    for key, part in zip(keys, parts, strict=True):
        if key and part >= 0:
            where.setdefault(key, set()).add(int(part))
    told = [len(where.get(k, ())) > 1 for k, p in zip(keys, parts, strict=True) if p >= 0]
    return float(np.mean(told))


def _noise(x: np.ndarray, y: np.ndarray) -> tuple[int, float]:
    """(records with replicates, standard deviation of the label among records of equal features).

    Pooled over the sets of replicates, each around its own mean; where a feature is missing it is
    not known whether records are replicates.
    """
    whole = np.isfinite(x).all(axis=1)
    x, y = x[whole], y[whole]
    if not len(y):
        return 0, 0.0
    _, which = np.unique(x.round(6), axis=0, return_inverse=True)
    which = which.reshape(-1)
    counts = np.bincount(which)
    means = np.bincount(which, y) / counts
    repeated = counts[which] > 1
    freedom = int(repeated.sum()) - int((counts > 1).sum())
    if freedom == 0:
        return 0, 0.0
    squares = float((((y - means[which]) ** 2)[repeated]).sum())
    return int(repeated.sum()), float(np.sqrt(squares / freedom))


def as_rows(found: Leakage) -> list[dict[str, Any]]:
    """One row of a table for each way of testing; `SHARED_TEXT` says what its last columns are."""
    return [
        {"tested by": t.by, "sets": t.sets, "R2": f"{t.r2:.2f} +- {t.r2_sd:.2f}",
         f"MAE, {found.unit}": f"{t.mae:.3g} +- {t.mae_sd:.1g}",
         **{name: f"{share:.0%}" for name, share in t.shared.items()}}
        for t in found.tested
    ]  # fmt: skip
