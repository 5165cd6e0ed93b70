"""Plain models of scikit-learn on plain features: what a network must beat to be used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from xtalfuse.encoders.tokens.base import Tokens
from xtalfuse.fusion.heads import Head

TREES = 200


def matrix(
    rows: Iterable[Mapping[str, Tokens]], inputs: Mapping[str, tuple[int, int]]
) -> np.ndarray:
    """(n, P) float32 summaries of all inputs side by side; NaN where an input is absent."""
    absent = {name: np.full(summary, np.nan, np.float32) for name, (_, summary) in inputs.items()}
    found = [
        np.concatenate([row[name].plain if name in row else absent[name] for name in inputs])
        for row in rows
    ]
    width = sum(len(each) for each in absent.values())
    return np.array(found, np.float32).reshape(len(found), width)


def _scaled(model: Any) -> Any:
    """Absent values by their mean, with a column that says so; all columns of unit deviation."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer = SimpleImputer(add_indicator=True, keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler(), model)


def _ridge(numbers: bool, records: int) -> Any:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if numbers:
        return _scaled(RidgeCV(np.logspace(-2, 4, 13)))
    return _scaled(LogisticRegression(C=0.1, max_iter=1000))


def _trees(numbers: bool, extra: bool) -> Any:
    from sklearn import ensemble

    kind = ("ExtraTrees" if extra else "RandomForest") + ("Regressor" if numbers else "Classifier")
    share = 1.0 / 3.0 if numbers else "sqrt"  # of the columns at each branch; Breiman (2001)
    forest = getattr(ensemble, kind)(TREES, max_features=share, random_state=0)
    return _scaled(forest)


def _neighbours(numbers: bool, records: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    kind = KNeighborsRegressor if numbers else KNeighborsClassifier
    return _scaled(kind(min(5, records), weights="distance"))


def _support(numbers: bool, records: int) -> Any:
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC, SVR

    if numbers:
        return _scaled(SVR(C=3.0, epsilon=0.1))
    return _scaled(CalibratedClassifierCV(SVC(C=3.0), ensemble=False, cv=2))


def _boosting(numbers: bool, records: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
    return kind(max_iter=100, random_state=0)  # it knows absent values


# (numbers or classes, number of records to learn from) -> model
BASELINES: dict[str, Callable[[bool, int], Any]] = {
    "ridge": _ridge,
    "nearest neighbours": _neighbours,
    "support vectors": _support,
    "random forest": lambda numbers, _: _trees(numbers, extra=False),
    "extra trees": lambda numbers, _: _trees(numbers, extra=True),
    "gradient boosting": _boosting,
}


def predicted(
    name: str, head: Head, x: np.ndarray, learned: np.ndarray, asked: np.ndarray
) -> np.ndarray:
    """What a baseline learns from some records, said of others.

    Parameters
    ----------
    x, learned : (n, P) features and (n,) target on the learned scale; NaN where there is no label
    asked : (m, P) features

    Returns
    -------
    (m,) on the learned scale; of classes (m, classes) probabilities
    """
    known = np.isfinite(learned)
    numbers = head.kind == "number"
    if not numbers:  # one record of a class cannot be learned and held out
        classes, counts = np.unique(learned[known], return_counts=True)
        if counts.max() > 1:
            known &= np.isin(learned, classes[counts > 1])
    model = BASELINES[name](numbers, int(known.sum()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of solvers that stop early, of empty columns
        if numbers:
            return np.asarray(model.fit(x[known], learned[known]).predict(asked), float)
        labels = learned[known].astype(int)
        if len(set(labels)) < 2:
            found, there = np.ones((len(asked), 1)), labels[:1]
        else:
            found, there = model.fit(x[known], labels).predict_proba(asked), np.unique(labels)
    whole = np.zeros((len(asked), len(head.classes)))
    whole[:, there] = found
    return whole
